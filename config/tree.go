package config

import (
	"bytes"
	"errors"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// table is a TOML table with the place of everything in it. Inline tables, [headers] and dotted keys all become tables.
type table struct {
	offset  int // of the header or the brace
	header  bool
	entries []*entry
	clashes []clash
}

// entry is one key of a table with its value.
type entry struct {
	name   string
	offset int // of the key
	value  value
}

// value is a scalar (text), an array (items) or a table.
type value struct {
	kind    unstable.Kind
	offset  int
	text    string
	items   []value
	table   *table
	headers bool // an array made of [[headers]], which further headers may extend
	bad     bool // a mistake about it is reported already
}

// clash is a key that cannot be where it is because of an earlier one.
type clash struct {
	name   string
	offset int
	text   string
}

func (t *table) get(name string) *entry {
	for _, e := range t.entries {
		if e.name == name {
			return e
		}
	}
	return nil
}

func (t *table) clash(k key, text string) {
	t.clashes = append(t.clashes, clash{k.name, k.offset, text})
}

// maxSyntaxMistakes bounds the noise of a file that is not TOML at all.
const maxSyntaxMistakes = 10

// parseTree reads the whole text. After a syntax error it goes on with the next line that looks like a key or, when a
// header is broken, with the next header, so that keys are never taken for those of another section.
func parseTree(data []byte, r *report) *table {
	data = data[:len(data):len(data)] // the parser derives offsets from capacities
	b := builder{report: r, data: data, root: &table{}}
	b.current = b.root
	for n := 0; n < maxSyntaxMistakes; n++ {
		var p unstable.Parser
		p.Reset(data[b.base:])
		for p.NextExpression() {
			b.add(p.Expression())
		}
		err := p.Error()
		if err == nil {
			break
		}
		r.torn = true
		at, text := len(data), err.Error()
		var perr *unstable.ParserError
		if errors.As(err, &perr) {
			at = b.base + int(p.Range(perr.Highlight).Offset)
		}
		r.add(at, "", "not valid TOML: %s", text)
		b.base = resume(data, at)
	}
	return b.root
}

var (
	headerLine = regexp.MustCompile(`(?m)^[ \t]*\[{1,2}[ \t]*["'A-Za-z0-9_-]+[^=,\n]*\]`)
	keyLine    = regexp.MustCompile(`(?m)^[ \t]*([A-Za-z0-9_.-]+[ \t]*=|\[{1,2}[ \t]*["'A-Za-z0-9_-]+[^=,\n]*\])`)
)

// resume returns the start of the next line after offset at with which parsing can go on.
func resume(data []byte, at int) int {
	start := bytes.LastIndexByte(data[:at], '\n') + 1
	end := bytes.IndexByte(data[at:], '\n')
	if end < 0 {
		return len(data)
	}
	end += at + 1
	next := keyLine
	if bytes.HasPrefix(bytes.TrimLeft(data[start:], " \t"), []byte("[")) {
		next = headerLine
	}
	if loc := next.FindIndex(data[end:]); loc != nil {
		return end + loc[0]
	}
	return len(data)
}

// checkTOML lets the full decoder look for what the parser alone does not refuse, such as impossible dates. What it finds
// where a mistake is reported already is not reported again.
func checkTOML(root *table, r *report) {
	var all map[string]any
	err := toml.Unmarshal(r.data, &all)
	if err == nil || root.hasClash() {
		return
	}
	offset, text := 0, err.Error()
	var derr *toml.DecodeError
	if errors.As(err, &derr) {
		line, column := derr.Position()
		offset = offsetOf(r.data, line, column)
	}
	for _, f := range r.found {
		if f.offset == offset {
			return
		}
	}
	r.add(offset, "", "not valid TOML: %s", strings.TrimPrefix(text, "toml: "))
}

func offsetOf(data []byte, line, column int) int {
	offset := 0
	for ; line > 1; line-- {
		offset += bytes.IndexByte(data[offset:], '\n') + 1
	}
	return min(offset+max(column, 1)-1, len(data))
}

// hasClash reports whether a clash, which the full decoder refuses too, is anywhere in the table.
func (t *table) hasClash() bool {
	if len(t.clashes) > 0 {
		return true
	}
	for _, e := range t.entries {
		if e.value.hasClash() {
			return true
		}
	}
	return false
}

func (v *value) hasClash() bool {
	for i := range v.items {
		if v.items[i].hasClash() {
			return true
		}
	}
	return v.table != nil && v.table.hasClash()
}

// builder puts one expression after the other into the tree.
type builder struct {
	*report
	data    []byte
	base    int // offset of the parser's text in data
	root    *table
	current *table
}

// key is one part of a dotted key.
type key struct {
	name        string
	offset, end int
}

func (b *builder) keys(it unstable.Iterator) []key {
	var ks []key
	for it.Next() {
		n := it.Node()
		offset := b.base + int(n.Raw.Offset)
		ks = append(ks, key{string(n.Data), offset, offset + int(n.Raw.Length)})
	}
	return ks
}

func (b *builder) add(n *unstable.Node) {
	switch n.Kind {
	case unstable.Table:
		b.current = b.openTable(b.keys(n.Key()))
	case unstable.ArrayTable:
		b.current = b.appendTable(b.keys(n.Key()))
	case unstable.KeyValue:
		b.put(b.current, n)
	}
}

// openTable handles [a.b].
func (b *builder) openTable(ks []key) *table {
	last := ks[len(ks)-1]
	parent := b.descend(b.root, ks[:len(ks)-1])
	e := parent.get(last.name)
	switch {
	case e == nil:
		t := &table{offset: last.offset, header: true}
		parent.entries = append(parent.entries, &entry{name: last.name, offset: last.offset, value: value{kind: unstable.Table, offset: last.offset, table: t}})
		return t
	case e.value.table == nil:
		parent.clash(last, b.isAlready(e))
		return &table{}
	case e.value.table.header:
		parent.clash(last, b.isAlready(e))
	}
	e.value.table.header = true
	return e.value.table
}

// appendTable handles [[a.b]].
func (b *builder) appendTable(ks []key) *table {
	last := ks[len(ks)-1]
	parent := b.descend(b.root, ks[:len(ks)-1])
	e := parent.get(last.name)
	if e == nil {
		e = &entry{name: last.name, offset: last.offset, value: value{kind: unstable.Array, offset: last.offset, headers: true}}
		parent.entries = append(parent.entries, e)
	}
	t := &table{offset: last.offset, header: true}
	if !e.value.headers {
		parent.clash(last, b.isAlready(e))
		return t
	}
	e.value.items = append(e.value.items, value{kind: unstable.Table, offset: last.offset, table: t})
	return t
}

// put handles key = value.
func (b *builder) put(t *table, n *unstable.Node) {
	ks := b.keys(n.Key())
	last := ks[len(ks)-1]
	t = b.descend(t, ks[:len(ks)-1])
	if e := t.get(last.name); e != nil {
		t.clash(last, b.isAlready(e))
		return
	}
	start := last.end + bytes.IndexByte(b.data[last.end:], '=') + 1
	start += len(b.data[start:]) - len(bytes.TrimLeft(b.data[start:], " \t"))
	t.entries = append(t.entries, &entry{name: last.name, offset: last.offset, value: b.value(n.Value(), start)})
}

// descend follows the leading parts of a dotted key and makes the tables that do not exist yet. Below something that is
// no table it returns a table that is not part of the tree.
func (b *builder) descend(t *table, ks []key) *table {
	for _, k := range ks {
		e := t.get(k.name)
		if e == nil {
			e = &entry{name: k.name, offset: k.offset, value: value{kind: unstable.Table, offset: k.offset, table: &table{offset: k.offset}}}
			t.entries = append(t.entries, e)
		}
		switch {
		case e.value.table != nil:
			t = e.value.table
		case e.value.headers:
			t = e.value.items[len(e.value.items)-1].table
		default:
			t.clash(k, b.isAlready(e))
			return &table{}
		}
	}
	return t
}

func (b *builder) isAlready(e *entry) string {
	switch {
	case e.value.headers:
		return "is a list of entries; write [[" + e.name + "]] with two brackets for each"
	case e.value.table != nil:
		return "is there already, " + b.lineOf(e) + "; put the keys into one section"
	}
	return "is given twice, first " + b.lineOf(e) + "; keep one of them"
}

// value copies a node, which the parser reuses. Arrays do not know where they start, so the caller says.
func (b *builder) value(n *unstable.Node, offset int) value {
	v := value{kind: n.Kind, offset: offset, text: string(n.Data)}
	switch n.Kind {
	case unstable.Array:
		for it := n.Children(); it.Next(); {
			item := it.Node()
			at := offset
			if item.Raw.Length > 0 {
				at = b.base + int(item.Raw.Offset)
			}
			v.items = append(v.items, b.value(item, at))
		}
	case unstable.InlineTable:
		v.table = &table{offset: offset, header: true}
		for it := n.Children(); it.Next(); {
			b.put(v.table, it.Node())
		}
	}
	return v
}
