package router

import (
	"slices"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// Conflict says what an INSERT does with a row that has a unique value of another one.
type Conflict uint8

// The conflicts.
const (
	ConflictFails    Conflict = iota
	ConflictIgnores           // IGNORE: the new row is left out
	ConflictReplaces          // REPLACE: the other rows go
	ConflictUpdates           // ON DUPLICATE KEY UPDATE: the other row changes
)

// StepRow is a row of an INSERT into a table with lookup tables, which is written by a statement of its own.
type StepRow struct {
	SQL     []byte
	Backend int // that its shard key says
	// Values are those of StepTable.Columns as they are written: literals, NULL or DEFAULT; nil for anything else.
	Values [][]byte
}

// rowwise is an INSERT into a table with lookup tables whose rows must be written one after the other: what becomes of one depends on rows
// that are there, on whatever shard, or only the table's server knows its values.
type rowwise struct {
	columns  []string
	conflict Conflict
	assigns  []string
	plain    [][]bool // for each row shape the values that are literals, NULL or DEFAULT
}

// rowwise is how an INSERT is written row by row; nil if it need not be.
func (v *resolver) rowwise(t *table, n *sqlparser.Insert, values sqlparser.Values) *rowwise {
	w := &rowwise{}
	for _, a := range n.OnDup {
		if name := a.Name.Name.Lowered(); !keeps(a, v.into) && !ofNew(a.Expr, name, n) {
			w.assigns = append(w.assigns, name)
		}
	}
	switch {
	case len(n.OnDup) > 0:
		w.conflict = ConflictUpdates
	case v.st.word(0) == "REPLACE":
		w.conflict = ConflictReplaces
	case v.ignore:
		w.conflict = ConflictIgnores
	}
	for _, c := range n.Columns {
		w.columns = append(w.columns, c.Lowered())
	}
	for _, r := range values {
		plain := make([]bool, len(r))
		for i, e := range r {
			plain[i] = v.plain(e)
		}
		w.plain = append(w.plain, plain)
	}
	given := func(name string) bool {
		i := slices.Index(w.columns, name)
		return i >= 0 && !slices.ContainsFunc(values, func(r sqlparser.ValTuple) bool {
			_, byDefault := r[i].(*sqlparser.Default)
			return byDefault
		})
	}
	if w.conflict == ConflictFails && !slices.ContainsFunc(t.lookups, func(l *table) bool {
		return slices.ContainsFunc(l.columns, func(name string) bool { return !given(name) })
	}) {
		return nil
	}
	return w
}

// plain tells whether a value is a literal, NULL or DEFAULT.
func (v *resolver) plain(e sqlparser.Expr) bool {
	_, ok := v.st.literal(e)
	switch e := e.(type) {
	case *sqlparser.NullVal:
		return true
	case *sqlparser.Default:
		return e.ColName == ""
	}
	return ok
}

// byRows is the plan of an INSERT that is written row by row; p is that of its rows alone.
func (sh *shape) byRows(p *Plan, pl *placing) (*Plan, *reason, int) {
	in, s := sh.insert, pl.s
	w, t := in.rowwise, in.table
	refuse := func(do, why string) (*Plan, *reason, int) {
		return nil, unsupported(-1, do, "%s has lookup table %s, so that its rows are written one after the other, and %s", t.name, t.lookups[0].name, why), -1
	}
	switch {
	case s.exec:
		return refuse("write it without the comment", "there is an executable comment")
	case sh.merge == MergeNone:
		return refuse("write a value", sh.whole)
	}
	q := sh.set.base
	q.Merge, q.LastRow = MergeSteps, p.LastRow
	for _, part := range p.Parts {
		q.Parts = append(q.Parts, Part{Backend: part.Backend})
	}
	q.Steps = &Steps{
		Table: &StepTable{Schema: t.schema, Name: t.base, Key: t.columns, Columns: w.columns}, Ignore: q.Ignore, Common: -1,
		Conflict: w.conflict, Assigns: w.assigns, Change: t.changed(t.newChange(t.lookups).columns, t.lookups),
	}
	if s.params > 0 { // only a statement with values is carried out
		return &q, nil, -1
	}
	for _, r := range in.rowsOf(s) {
		one, plain := StepRow{SQL: slices.Clone(s.sql), Backend: p.Parts[0].Backend}, w.plain[0]
		from, to := 0, len(s.sql)
		if in.rows {
			one.SQL = slices.Concat(s.sql[:s.rows[0].start], s.sql[r.start:r.end], s.sql[s.rows[len(s.rows)-1].end:])
			one.Backend, _ = in.row(pl, &r)
			plain, from, to = w.plain[r.like], r.start+1, r.end
		}
		for i, ok := range plain {
			if one.Values = append(one.Values, nil); !ok {
				continue
			}
			if start, end := s.item(from, to, i, !in.rows); start >= 0 {
				one.Values[i] = slices.Clone(s.sql[start:end])
			}
		}
		q.Steps.Rows = append(q.Steps.Rows, one)
	}
	q.Steps.Row = len(q.Steps.Rows) == 1
	return &q, nil, -1
}
