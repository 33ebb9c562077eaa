package gather

import (
	"bytes"
	"slices"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// maxSorted is how many bytes of groups are kept to be sorted. What needs more is not for this package.
const maxSorted = 8 << 20

// sortedRow is a complete group that waits for its turn.
type sortedRow struct {
	key, row []byte
	end      int
}

// groupDone takes a complete group: it is for the client, or waits until all others are complete too.
func (m *Merge) groupDone(row []byte, end int, values []wire.Value, emit func(row []byte, end int) error) error {
	if len(m.spec.Sort) == 0 {
		return emit(row, end)
	}
	one := sortedRow{row: slices.Clone(row), end: end}
	for _, o := range m.spec.Sort {
		if o.Key < 0 {
			column := m.folds[o.Fold].column
			v := values[column]
			k := key{kind: kindOf(&m.columns[column], m.inBinary), invert: o.Desc}
			var err error
			if one.key, err = appendKey(one.key, &k, m.inBinary, row[v.From:v.To], v.Null); err != nil {
				return err
			}
			continue
		}
		start, from := 0, len(one.key)
		if o.Key > 0 {
			start = m.group.ends[o.Key-1]
		}
		one.key = append(one.key, m.group.key[start:m.group.ends[o.Key]]...)
		if o.Desc != m.keys[o.Key].invert {
			invert(one.key[from:])
		}
	}
	m.sorted = append(m.sorted, one)
	m.held += len(one.key) + len(one.row)
	if most := m.spec.Offset + m.spec.Count; most >= m.spec.Count && uint64(len(m.sorted)/2) > most && len(m.sorted) > 64 {
		m.arrange()
		m.sorted, m.held = m.sorted[:most], 0
		for _, r := range m.sorted {
			m.held += len(r.key) + len(r.row)
		}
	}
	if m.held > maxSorted {
		return &Unfit{0, router.Impossible}
	}
	return nil
}

// arrange sorts the groups; those that are equal stay in the order of their keys.
func (m *Merge) arrange() {
	slices.SortStableFunc(m.sorted, func(a, b sortedRow) int { return bytes.Compare(a.key, b.key) })
}
