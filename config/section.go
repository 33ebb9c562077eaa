package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// section is what a Validate needs to know about where its struct came from: which keys are given, and where a mistake
// about a key belongs.
type section struct {
	report *report
	dir    string // folder of the file
	prefix string // path of the section
	table  *table
}

// has reports whether the key is given, be it with an empty value.
func (at section) has(key string) bool { return at.table.get(key) != nil }

// wrong reports a mistake in the value of key, unless one is reported already. A key that is not given is reported at
// the section.
func (at section) wrong(key, format string, args ...any) {
	offset := at.table.offset
	if e := at.table.get(key); e != nil {
		if e.value.bad {
			return
		}
		e.value.bad = true
		offset = e.value.offset
	}
	at.report.add(offset, join(at.prefix, key), format, args...)
}

// wrongItem reports a mistake in one element of a list.
func (at section) wrongItem(key string, i int, format string, args ...any) {
	e := at.table.get(key)
	if e == nil || i >= len(e.value.items) || e.value.items[i].bad {
		return
	}
	item := &e.value.items[i]
	item.bad = true
	at.report.add(item.offset, join(at.prefix, key)+"["+strconv.Itoa(i)+"]", format, args...)
}

// missing reports a required key that is not given, or is given without a value.
func (at section) missing(key, format string, args ...any) {
	if e := at.table.get(key); e != nil {
		at.wrong(key, "is empty: "+format, args...)
		return
	}
	at.wrong(key, "is missing: "+format, args...)
}

// path resolves a file name against the folder of the configuration file; none stays none.
func (at section) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(at.dir, name)
}

func (at section) oneOf(key, value string, allowed ...string) {
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	if len(allowed) == 1 {
		at.wrong(key, "%q is not known; write %q", value, allowed[0])
		return
	}
	at.wrong(key, "%q is not known; write one of %s", value, strings.Join(allowed, ", "))
}

// text checks a required name of at most limit characters.
func (at section) text(key, value string, limit int) {
	switch {
	case value == "":
		at.missing(key, "write 1 to %d characters", limit)
	case utf8.RuneCountInString(value) > limit:
		at.wrong(key, "has %d characters, at most %d are allowed", utf8.RuneCountInString(value), limit)
	case strings.ContainsFunc(value, unicode.IsControl):
		at.wrong(key, "%q has control characters; write 1 to %d printable ones", value, limit)
	}
}

// identifier checks the name of a schema, table or column.
func (at section) identifier(key, value string) {
	if strings.ContainsAny(value, ".`") {
		at.wrong(key, "%q is not a plain name; write it without dots and quotes, the schema goes into a key of its own", value)
		return
	}
	at.text(key, value, maxIdentifier)
}

// backend checks a reference to a [[backends]] entry; i is the element of a list, or -1.
func (at section) backend(key string, i int, name string, c *Config) {
	if c.BackendIndex(name) >= 0 || !c.allBackendsNamed() {
		return
	}
	names := make([]string, len(c.Backends))
	for j := range c.Backends {
		names[j] = c.Backends[j].Name
	}
	text := fmt.Sprintf("there is no backend %q; the [[backends]] are %s", name, strings.Join(names, ", "))
	if i < 0 {
		at.wrong(key, "%s", text)
		return
	}
	at.wrongItem(key, i, "%s", text)
}

// within checks that a number, size or duration is from low to high.
func within[T cmp.Ordered](at section, key string, value, low, high T) {
	if value < low || value > high {
		at.wrong(key, "%v is out of range; write %v to %v", value, low, high)
	}
}

// unique reports every entry of a list that has the identity of an earlier one; entries without identity do not count.
func unique(entries []section, noun string, identity func(i int) string) {
	first := map[string]section{}
	for i, at := range entries {
		id := identity(i)
		if id == "" {
			continue
		}
		if before, ok := first[id]; ok {
			at.wrong("name", "%s %q is configured twice, first on line %d; rename one or remove it",
				noun, id, before.report.line(before.table.offset))
			continue
		}
		first[id] = at
	}
}
