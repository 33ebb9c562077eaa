package temptable

import (
	"fmt"
	"slices"
	"strings"
)

// UniqueKeys are the columns of the keys that let no two rows have the same values, in the order in which servers look at them. The error
// names one that is not about whole columns.
func (t *Table) UniqueKeys() (keys [][]string, _ error) {
	for _, k := range t.keys {
		if !k.unique && !k.primary {
			continue
		}
		for i, part := range k.parts {
			if strings.TrimSuffix(part, " DESC") != Quote(k.columns[i]) {
				return nil, fmt.Errorf("unique key %s is about a part of %s", k.name, k.columns[i])
			}
		}
		keys = append(keys, k.columns)
	}
	if t.computed != "" {
		return nil, fmt.Errorf("unique key %s is about an expression", t.computed)
	}
	return keys, nil
}

// Identity is the columns of the primary key, or of the key that servers take for one; nil if there is neither.
func (t *Table) Identity() []string { return t.identity() }

// Unset tells whether the column is NULL, or has no value at all, in a row that leaves it to its default.
func (c Column) Unset() bool {
	i := slices.Index(c.def, "DEFAULT")
	return !c.Generated && (i < 0 || i+1 < len(c.def) && c.def[i+1] == "NULL")
}

// Numbered tells whether the server numbers rows in the column.
func (c Column) Numbered() bool {
	return slices.ContainsFunc(c.def, func(w string) bool { return strings.EqualFold(w, "AUTO_INCREMENT") })
}
