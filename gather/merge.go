package gather

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// Source is the rows of one backend: Next returns one, valid until the next call and to be changed at will, or nil at the end.
type Source interface{ Next() ([]byte, error) }

// Unfit is why a statement cannot be merged as the plan says: the I-th of its keys and folds needs another form. It is found
// before anything is written.
type Unfit struct {
	I    int
	Form router.Form
}

func (e *Unfit) Error() string {
	return fmt.Sprintf("key %d must be compared in form %d", e.I, e.Form)
}

// ErrMerge is why rows cannot be merged that came from backends.
var ErrMerge = errors.New("unexpected rows")

var (
	errOrder = fmt.Errorf("%w: they are sorted in another order than their columns say", ErrMerge)
	errValue = fmt.Errorf("%w: a value is not of its column's type", ErrMerge)
)

// Merge merges the rows of several backends. It is made for one statement.
type Merge struct {
	spec     *router.Stream
	inBinary bool
	columns  []wire.Column   // of the first backend's answer, which the client gets
	lists    [][]wire.Column // of each backend's
	visible  int
	keys     []key
	folds    []fold
	cut      int  // how many columns of each row are looked at
	checked  bool // whether rows come in the order of their keys can be told

	sorted []sortedRow // of spec.Sort
	held   int         // bytes in sorted

	lanes []*lane // a heap: those that have a row, the one with the next row first
	group group
	out   []byte
}

// lane is a source with its present row.
type lane struct {
	source  Source
	index   int
	columns []wire.Column
	row     []byte
	values  []wire.Value
	key     []byte
	before  []byte // the key of the row before
	ends    []int  // of each key in key
}

// New returns the merge of answers with these columns, one list for each backend. The error is an *Unfit, a *wire.Error for
// the client, or says how the answers differ.
func New(spec *router.Stream, inBinary bool, columns ...[]wire.Column) (*Merge, error) {
	m := &Merge{spec: spec, inBinary: inBinary, columns: columns[0], lists: columns, visible: len(columns[0]) - spec.Hidden, checked: true}
	for _, c := range columns[1:] {
		if len(c) != len(m.columns) {
			return nil, fmt.Errorf("%w: %d and %d columns", wire.ErrShape, len(m.columns), len(c))
		}
	}
	if m.visible < 1 {
		return nil, fmt.Errorf("%w: %d columns, %d of them hidden", wire.ErrShape, len(m.columns), spec.Hidden)
	}
	if inBinary {
		for i := range m.visible {
			if err := alike(columns, i); err != nil {
				return nil, err
			}
		}
	}
	for i, k := range spec.Keys {
		if k.Column >= m.visible {
			return nil, &wire.Error{Errno: 1054, State: "42S22", Message: fmt.Sprintf("Unknown column '%d' in 'order clause'", k.Column+1)}
		}
		one, err := m.key(k, i, columns)
		if err != nil {
			return nil, err
		}
		m.keys = append(m.keys, one)
	}
	for i, f := range spec.Folds {
		one, err := m.fold(f, len(spec.Keys)+i, columns)
		if err != nil {
			return nil, err
		}
		m.folds = append(m.folds, one)
	}
	for _, o := range spec.Sort {
		if o.Key < 0 && form(&m.columns[m.folds[o.Fold].column], inBinary) != router.Plain {
			return nil, &Unfit{len(spec.Keys) + o.Fold, router.Impossible}
		}
	}
	m.cut = m.needed()
	return m, nil
}

// alike checks that the values of a column mean the same in all answers: servers of different makers have different types for the same
// strings.
func alike(columns [][]wire.Column, i int) error {
	for _, c := range columns[1:] {
		a, b := &columns[0][i], &c[i]
		strings := form(a, false) == router.Weight && form(b, false) == router.Weight
		if a.Type != b.Type && !strings || (a.Flags^b.Flags)&wire.FlagUnsigned != 0 {
			return fmt.Errorf("%w: column %s is of type %d, and of type %d", wire.ErrShape, a.Name, a.Type, b.Type)
		}
	}
	return nil
}

// at is a column of the answers.
func (m *Merge) at(column int) int {
	if column < 0 {
		column += len(m.columns)
	}
	return column
}

// disguised tells whether the column may be one of type BIT that MariaDB sends as a number, and without its table's name, because DISTINCT
// rows are sorted by it.
func disguised(c *wire.Column) bool {
	return (c.Type == wire.TypeLong || c.Type == wire.TypeLongLong) && c.Flags&wire.FlagUnsigned != 0 && c.Table != "" && c.OrgTable == ""
}

// key makes the i-th key.
func (m *Merge) key(k router.SortKey, i int, columns [][]wire.Column) (key, error) {
	one := key{i: i, of: m.at(k.Column), column: m.at(k.Column), invert: k.Desc}
	for _, c := range columns {
		if need := form(&c[one.of], m.inBinary); need != k.Form && c[one.of].Type != wire.TypeNull {
			return one, &Unfit{i, need}
		}
		if k.Added && disguised(&c[one.of]) {
			return one, &Unfit{i, router.Impossible}
		}
	}
	if k.Form != router.Plain {
		one.column = m.at(k.At)
	}
	if k.Form == router.Weight && slices.ContainsFunc(columns, func(c []wire.Column) bool {
		return c[one.column].Type == wire.TypeNull && c[one.of].Type != wire.TypeNull
	}) {
		return one, &Unfit{i, router.Impossible} // a server that has no weights, PostgreSQL
	}
	one.kind = keyNull
	for _, c := range columns {
		kind := kindOf(&c[one.column], m.inBinary)
		switch {
		case k.Form == router.Weight:
			one.kind = keyWeight
		case one.kind == keyNull:
			one.kind = kind
		case kind != one.kind && kind != keyNull, kind == keyNone:
			return one, &Unfit{i, router.Impossible}
		}
	}
	m.checked = m.checked && one.kind != keyWeight // of long strings servers only sort by the beginning
	return one, nil
}

// needed is how many columns have to be found in each row.
func (m *Merge) needed() (n int) {
	if m.spec.Hidden > 0 || m.spec.Group && len(m.spec.Folds) > 0 {
		return len(m.columns)
	}
	for _, k := range m.keys {
		n = max(n, k.column+1)
	}
	return n
}

// Open reads the first row of each source; they have the columns that New was given, in its order. The error is that of a
// source, or an *Unfit.
func (m *Merge) Open(sources []Source) error {
	if m.spec.Count == 0 {
		return nil
	}
	for i, s := range sources {
		l := &lane{source: s, index: i, columns: m.lists[i], values: make([]wire.Value, m.cut)}
		more, err := m.next(l)
		if err != nil {
			return err
		}
		if more {
			m.lanes = append(m.lanes, l)
		}
	}
	slices.SortFunc(m.lanes, func(a, b *lane) int {
		if a.less(b) {
			return -1
		}
		return 1
	})
	return nil
}

// Run merges the rows of the sources that were opened and writes those for the client. It stops as soon as there are enough. Errors of
// sources and of write are returned as they are.
func (m *Merge) Run(write func(row []byte) error) (rows uint64, err error) {
	skip, left := m.spec.Offset, m.spec.Count
	emit := func(row []byte, end int) error {
		if skip > 0 {
			skip--
			return nil
		}
		if m.spec.Hidden > 0 {
			row = wire.TrimRow(row, m.inBinary, len(m.columns), m.visible, end)
		}
		left--
		rows++
		return write(row)
	}
	for len(m.lanes) > 0 && left > 0 {
		l := m.lanes[0]
		switch {
		case !m.spec.Group:
			err = emit(l.row, m.end(l))
		case m.group.rows > 0 && bytes.Equal(m.group.key, l.key):
			err = m.add(l)
		default:
			if err = m.flush(emit); err == nil {
				m.start(l)
			}
		}
		if err != nil {
			return rows, err
		}
		if left == 0 {
			return rows, nil
		}
		more, err := m.next(l)
		if err != nil {
			return rows, err
		}
		if !more {
			last := len(m.lanes) - 1
			m.lanes[0] = m.lanes[last]
			m.lanes = m.lanes[:last]
		}
		m.sink()
	}
	if left > 0 {
		err = m.flush(emit)
	}
	if err == nil && len(m.sorted) > 0 {
		m.arrange()
		for i := 0; i < len(m.sorted) && left > 0 && err == nil; i++ {
			err = emit(m.sorted[i].row, m.sorted[i].end)
		}
	}
	return rows, err
}

// next reads the lane's next row and makes its key.
func (m *Merge) next(l *lane) (more bool, err error) {
	if l.row, err = l.source.Next(); err != nil || l.row == nil {
		return false, err
	}
	if m.cut == 0 {
		return true, nil
	}
	if _, err = wire.CutRow(l.row, m.inBinary, l.columns, m.cut, l.values); err != nil {
		return false, fmt.Errorf("%w: %w", ErrMerge, err)
	}
	l.key, l.before, l.ends = l.before[:0], l.key, l.ends[:0]
	for i := range m.keys {
		if l.key, err = m.appendKey(l.key, &m.keys[i], l.row, l.values); err != nil {
			return false, err
		}
		l.ends = append(l.ends, len(l.key))
	}
	if m.checked && bytes.Compare(l.key, l.before) < 0 {
		return false, errOrder
	}
	return true, nil
}

// appendKey appends a key of the row.
func (m *Merge) appendKey(dst []byte, k *key, row []byte, values []wire.Value) (_ []byte, err error) {
	v := values[k.column]
	switch raw := row[v.From:v.To]; {
	case v.Null != values[k.of].Null: // a weight that is longer than a packet
		err = errValue
	case k.kind == keyWeight:
		dst, err = m.appendWeight(dst, k, raw, v.Null, row, values[k.column+1])
	default:
		dst, err = appendKey(dst, k, m.inBinary, raw, v.Null)
	}
	if err != nil {
		return dst, m.about(k, err)
	}
	return dst, nil
}

// about says which column an error is about.
func (m *Merge) about(k *key, err error) error {
	var unfit *Unfit
	if errors.As(err, &unfit) {
		return err
	}
	return fmt.Errorf("column %s: %w", m.columns[k.column].Name, err)
}

// appendWeight appends the key of a string, whose collation is in another column: the same in all rows.
func (m *Merge) appendWeight(dst []byte, k *key, raw []byte, null bool, row []byte, collation wire.Value) ([]byte, error) {
	name := row[collation.From:collation.To]
	switch {
	case k.collation == "":
		k.collation = string(name)
	case k.collation != string(name):
		return dst, &Unfit{k.i, router.Impossible}
	}
	if null {
		return appendKey(dst, k, m.inBinary, nil, true)
	}
	start := len(dst)
	dst, known := AppendWeight(append(dst, 1), name, raw)
	if !known {
		return dst, &Unfit{k.i, router.Impossible}
	}
	if k.invert {
		invert(dst[start:])
	}
	return dst, nil
}

// end is where the client's columns of the lane's row end, if there are hidden ones behind them.
func (m *Merge) end(l *lane) int {
	if m.spec.Hidden == 0 {
		return len(l.row)
	}
	return l.values[m.visible-1].To
}

// less tells whether the row of a comes before that of b.
func (a *lane) less(b *lane) bool {
	if c := bytes.Compare(a.key, b.key); c != 0 {
		return c < 0
	}
	return a.index < b.index
}

// sink moves the first lane to its place in the heap.
func (m *Merge) sink() {
	h := m.lanes
	for at := 0; ; {
		least := at
		for child := 2*at + 1; child <= 2*at+2 && child < len(h); child++ {
			if h[child].less(h[least]) {
				least = child
			}
		}
		if least == at {
			return
		}
		h[at], h[least] = h[least], h[at]
		at = least
	}
}
