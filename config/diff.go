package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Change is a key that has another value in a second configuration, or an entry that only one of the two has.
type Change struct {
	// Path is the key's, as in Mistake.Key.
	Path string `json:"path"`
	// Before and After are the values as TOML has them, "" where there is none. A Secret is ***.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// String is one line: "~ server.idle_timeout: 8h -> 1h", "+ backends[b]: { ... }", "- users[old]: { ... }".
func (c Change) String() string {
	switch {
	case c.Before == "":
		return "+ " + c.Path + ": " + c.After
	case c.After == "":
		return "- " + c.Path + ": " + c.Before
	case c.Before == c.After:
		return "~ " + c.Path + ": changed"
	}
	return "~ " + c.Path + ": " + c.Before + " -> " + c.After
}

// Diff returns what is different in after, in the order of the structs. Entries of lists are told apart by their names; where those that
// both have come in another order, that is a change of the list.
func Diff(before, after *Config) []Change {
	return diffStructs(nil, "", reflect.ValueOf(*before), reflect.ValueOf(*after))
}

func diffStructs(changes []Change, path string, before, after reflect.Value) []Change {
	for i, name := range keysOf(before.Type()) {
		at := join(path, name)
		b, a := before.Field(i), after.Field(i)
		switch {
		case b.Kind() == reflect.Struct:
			changes = diffStructs(changes, at, b, a)
		case isList(b):
			changes = diffLists(changes, at, b, a)
		case !reflect.DeepEqual(b.Interface(), a.Interface()) && (b.Kind() != reflect.Slice || b.Len()+a.Len() > 0):
			changes = append(changes, Change{at, literal(b), literal(a)})
		}
	}
	return changes
}

// isList reports whether v has sections.
func isList(v reflect.Value) bool {
	return v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct
}

func diffLists(changes []Change, path string, before, after reflect.Value) []Change {
	old, now := labels(before), labels(after)
	for i, name := range old {
		at := path + "[" + name + "]"
		if j := slices.Index(now, name); j >= 0 {
			changes = diffStructs(changes, at, before.Index(i), after.Index(j))
		} else {
			changes = append(changes, Change{Path: at, Before: literal(before.Index(i))})
		}
	}
	for j, name := range now {
		if !slices.Contains(old, name) {
			changes = append(changes, Change{Path: path + "[" + name + "]", After: literal(after.Index(j))})
		}
	}
	both := func(of, other []string) []string {
		return slices.DeleteFunc(slices.Clone(of), func(name string) bool { return !slices.Contains(other, name) })
	}
	if o, n := both(old, now), both(now, old); !slices.Equal(o, n) {
		changes = append(changes, Change{path, literal(reflect.ValueOf(o)), literal(reflect.ValueOf(n))})
	}
	return changes
}

// labels names the sections of a list, as paths do. Names of schemas and tables are told apart without regard to case.
func labels(list reflect.Value) []string {
	all := make([]string, list.Len())
	for i := range all {
		one := list.Index(i)
		all[i] = one.FieldByName("Name").String()
		if schema := one.FieldByName("Schema"); schema.IsValid() {
			all[i] = fold(schema.String()) + "." + fold(all[i])
		}
		all[i] = printable(all[i])
	}
	return all
}

// Setting is a key of a configuration with its value.
type Setting struct{ Path, Value string }

// Settings returns all keys, with the values as TOML has them, in the order of the structs. A Secret is ***, also where there is none.
func (c *Config) Settings() []Setting { return settings(nil, "", reflect.ValueOf(*c)) }

func settings(all []Setting, path string, v reflect.Value) []Setting {
	for i, name := range keysOf(v.Type()) {
		at, f := join(path, name), v.Field(i)
		switch {
		case f.Kind() == reflect.Struct:
			all = settings(all, at, f)
		case isList(f):
			for i, label := range labels(f) {
				all = settings(all, at+"["+label+"]", f.Index(i))
			}
		default:
			all = append(all, Setting{at, literal(f)})
		}
	}
	return all
}

// literal writes a value as TOML has it; of a section what is not its default.
func literal(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case Secret:
		return x.String()
	case fmt.Stringer:
		return strconv.Quote(x.String())
	case string:
		return strconv.Quote(x)
	}
	switch v.Kind() {
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = literal(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Struct:
		defaults := reflect.New(v.Type())
		if d, ok := defaults.Interface().(interface{ setDefaults() }); ok {
			d.setDefaults()
		}
		var keys []string
		for i, name := range keysOf(v.Type()) {
			if f := v.Field(i); !reflect.DeepEqual(f.Interface(), defaults.Elem().Field(i).Interface()) && !(f.Kind() == reflect.Slice && f.Len() == 0) {
				keys = append(keys, name+" = "+literal(f))
			}
		}
		return "{ " + strings.Join(keys, ", ") + " }"
	}
	return fmt.Sprint(v.Interface())
}
