package config

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// decoder fills structs from the tree by their toml tags and remembers where each section is.
type decoder struct {
	*report
	dir      string
	sections map[string][]section // by top-level key, as long as the slice in Config; [server] and [decision] have one
	top      *table
}

func (d *decoder) root(t *table, c *Config) {
	d.top = t
	d.fill(t, reflect.ValueOf(c).Elem(), "")
}

// whole is the section of top-level keys.
func (d *decoder) whole() section { return section{d.report, d.dir, "", d.top} }

// section returns a section that occurs once; it is empty when the file does not have it.
func (d *decoder) section(name string) section {
	if s := d.sections[name]; len(s) > 0 {
		return s[0]
	}
	return section{d.report, d.dir, name, &table{}}
}

// fill decodes a table into a struct.
func (d *decoder) fill(t *table, dst reflect.Value, path string) {
	names := keysOf(dst.Type())
	for _, c := range t.clashes {
		d.add(c.offset, join(path, c.name), "%s", c.text)
	}
	for _, e := range t.entries {
		at := join(path, e.name)
		i := indexOf(names, e.name)
		if i < 0 {
			d.unknown(e, at, names)
			continue
		}
		d.value(e, dst.Field(i), at)
	}
}

func (d *decoder) unknown(e *entry, path string, names []string) {
	if best := nearest(e.name, names); best != "" {
		d.add(e.offset, path, "unknown key; did you mean %s?", best)
		return
	}
	d.add(e.offset, path, "unknown key; known here: %s", strings.Join(names, ", "))
}

// value decodes one value; a wrong one leaves dst as it is and marks the entry bad.
func (d *decoder) value(e *entry, dst reflect.Value, path string) {
	v := &e.value
	fail := func(must string) {
		v.bad = true
		d.add(v.offset, path, "is %s, must be %s", describe(v), must)
	}
	refuse := func(text string) {
		v.bad = true
		d.add(v.offset, path, "%s", text)
	}
	switch p := dst.Addr().Interface().(type) {
	case *string:
		if v.kind != unstable.String {
			fail(`a string in quotes`)
			return
		}
		*p = v.text
	case *Secret:
		if v.kind != unstable.String {
			fail(`a string in quotes`)
			return
		}
		*p = Secret(v.text)
	case *bool:
		if v.kind != unstable.Bool {
			fail("true or false")
			return
		}
		*p = v.text == "true"
	case *int:
		n, ok := v.integer()
		if !ok {
			fail("an integer without quotes")
			return
		}
		*p = int(n)
	case *Size:
		n, ok := v.integer()
		if ok {
			*p = Size(n)
			return
		}
		if v.kind != unstable.String {
			fail(`a size such as "64MiB" or an integer in bytes`)
			return
		}
		size, err := parseSize(v.text)
		if err != nil {
			refuse(err.Error())
			return
		}
		*p = size
	case *Duration:
		if v.kind != unstable.String {
			fail(`a duration in quotes with its unit, such as "250ms", "5s" or "1h30m"`)
			return
		}
		duration, err := parseDuration(v.text)
		if err != nil {
			refuse(err.Error())
			return
		}
		*p = duration
	case *[]string:
		if v.kind != unstable.Array || v.headers {
			fail(`a list of strings such as ["a", "b"]`)
			return
		}
		for i := range v.items {
			item := &v.items[i]
			if item.kind != unstable.String {
				item.bad = true // and stays in the list, so that the others keep their places
				d.add(item.offset, path+"["+strconv.Itoa(i)+"]", "is %s, must be a string in quotes", describe(item))
			}
			*p = append(*p, item.text)
		}
	default:
		d.composite(e, dst, path, fail)
	}
}

// composite decodes a section or a list of them.
func (d *decoder) composite(e *entry, dst reflect.Value, path string, fail func(string)) {
	v := &e.value
	if dst.Kind() == reflect.Struct {
		if v.table == nil {
			fail("a section: write [" + path + "] and the keys below it")
			return
		}
		d.enter(e.name, v.table, dst, path)
		return
	}
	if v.kind != unstable.Array {
		fail("a list of sections: write [[" + path + "]] and the keys below it, once for each")
		return
	}
	for i := range v.items {
		item := &v.items[i]
		if item.table == nil {
			d.add(item.offset, path+"["+strconv.Itoa(i)+"]", "is %s, must be a section: write [[%s]] and the keys below it", describe(item), path)
			continue
		}
		one := reflect.New(dst.Type().Elem())
		if o, ok := one.Interface().(interface{ setDefaults() }); ok {
			o.setDefaults()
		}
		d.enter(e.name, item.table, one.Elem(), path+"["+label(item.table, i)+"]")
		dst.Set(reflect.Append(dst, one.Elem()))
	}
}

func (d *decoder) enter(name string, t *table, dst reflect.Value, path string) {
	d.sections[name] = append(d.sections[name], section{d.report, d.dir, path, t})
	d.fill(t, dst, path)
}

// label names an entry of a list: by schema and name, by name, or by its number from zero.
func label(t *table, i int) string {
	name := t.get("name")
	if name == nil || name.value.kind != unstable.String || name.value.text == "" {
		return strconv.Itoa(i)
	}
	if schema := t.get("schema"); schema != nil && schema.value.kind == unstable.String {
		return printable(schema.value.text + "." + name.value.text)
	}
	return printable(name.value.text)
}

// printable keeps a name from breaking the line of a mistake.
func printable(s string) string {
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

func (v *value) integer() (int64, bool) {
	if v.kind != unstable.Integer {
		return 0, false
	}
	n, err := strconv.ParseInt(v.text, 0, 64)
	return n, err == nil
}

func describe(v *value) string {
	switch v.kind {
	case unstable.String:
		return "a string"
	case unstable.Bool:
		return "a boolean"
	case unstable.Integer:
		if _, ok := v.integer(); !ok {
			return "an integer that is too large"
		}
		return "an integer"
	case unstable.Float:
		return "a number with a fraction"
	case unstable.Array:
		return "a list"
	case unstable.Table, unstable.InlineTable:
		return "a section"
	default:
		return "a date or time"
	}
}

// keysOf returns the toml names of a struct's fields in order.
func keysOf(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("toml")
	}
	return names
}

func indexOf(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}

func join(path, name string) string {
	if path == "" {
		return printable(name)
	}
	return path + "." + printable(name)
}

// nearest returns the name with the fewest typing errors from what was written, or "" when none is near.
func nearest(written string, names []string) string {
	best, fewest := "", 1+max(1, len(written)/3)
	for _, n := range names {
		if d := distance(written, n); d < fewest {
			best, fewest = n, d
		}
	}
	return best
}

// distance counts the insertions, deletions and replacements of bytes between a and b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
