package router

import "github.com/dolthub/vitess/go/vt/sqlparser"

// Computed is a value of an INSERT's shard key that a server has to compute before the row can be placed: the expression sql[Start:End].
type Computed struct {
	Table      string // schema.table
	Column     string
	Start, End int
	Nullable   bool // NULL is a value like any other: of a lookup table
}

// computedKey is such a value: the place-th one of the rows of a row shape.
type computedKey struct {
	like, place int
	column      string
	nullable    bool
}

// computable tells whether the value of a shard key can be computed by any server, and before the statement.
func (v *resolver) computable(in *insert, e sqlparser.Expr) bool {
	_, byDefault := e.(*sqlparser.Default)
	return in.rows && !byDefault && v.foreign == "" && !v.previous && (v.leaves == PinNone || v.leaves == PinLastInsertID && !leavesInsertID(e)) && v.real == 1 && !v.subquery && !v.derived
}

// leavesInsertID tells whether an expression may set what LAST_INSERT_ID() says.
func leavesInsertID(e sqlparser.Expr) (leaves bool) {
	_ = sqlparser.Walk(func(n sqlparser.SQLNode) (bool, error) { // the visitor has no errors
		f, ok := n.(*sqlparser.FuncExpr)
		leaves = leaves || ok && f.Name.Lowered() == "last_insert_id"
		return !leaves, nil
	}, e)
	return leaves
}

// chooseComputed is chooseInsert for keys that are not known yet.
func (sh *shape) chooseComputed(pl *placing) (*Plan, *reason, int) {
	in, s := sh.insert, pl.s
	if s.exec {
		return nil, unsupported(-1, "write it without the comment", "values of the shard key are expressions, and there is an executable comment"), -1
	}
	p := *sh.set.on(in.table.first())
	for _, r := range s.rows {
		for _, c := range in.computed {
			if c.like == r.like {
				start, end := s.item(r.start+1, r.end, c.place, false)
				p.Compute = append(p.Compute, Computed{in.table.name, c.column, start, end, c.nullable})
			}
		}
	}
	return &p, nil, -1
}
