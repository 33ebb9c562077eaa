package temptable

import (
	"bytes"
	"slices"
	"strings"
)

// Column is the column of that name, in any case.
func (t *Table) Column(name string) (Column, bool) {
	i := slices.IndexFunc(t.Columns, func(c Column) bool { return strings.EqualFold(c.Name, name) })
	if i < 0 {
		return Column{}, false
	}
	return t.Columns[i], true
}

// Stored are the columns whose values no expression gives.
func (t *Table) Stored() []Column {
	return slices.DeleteFunc(slices.Clone(t.Columns), func(c Column) bool { return c.Generated })
}

// Compared is a text as a literal, under the sql_mode Loading, that the column can be compared with.
func (c Column) Compared(value []byte) []byte {
	if digits := bytes.TrimPrefix(value, []byte("-")); c.form == formNumber && len(digits) > 0 && !bytes.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return value
	}
	return append(append([]byte{'\''}, bytes.ReplaceAll(value, []byte("'"), []byte("''"))...), '\'')
}

// Unique is the name of the key that lets no two rows have the same values in all of these columns.
func (t *Table) Unique(columns []string) (name string, ok bool) {
	for _, k := range t.keys {
		if !k.unique || len(k.columns) != len(columns) {
			continue
		}
		same := true
		for i, c := range k.columns {
			same = same && k.parts[i] == Quote(c) && slices.ContainsFunc(columns, func(s string) bool { return strings.EqualFold(s, c) })
		}
		switch {
		case same && k.primary:
			return "PRIMARY", true
		case same:
			return k.name, true
		}
	}
	return "", false
}
