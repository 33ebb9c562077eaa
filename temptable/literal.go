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
