package router

import (
	"slices"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// copies resolves INSERT ... SELECT into a sharded table, of which the SELECT has been resolved. Each shard can do it alone if the
// shard key of a row is that of a row which it was made of, and the two tables are spread in the same way.
func (v *resolver) copies(t *table, n *sqlparser.Insert, at int) *insert {
	refuse := func(do, format string, args ...any) *insert {
		return &insert{only: unsupported(at, do, "INSERT ... SELECT into the sharded table "+t.name+" is not supported "+format, args...)}
	}
	const read = "read the rows first and insert literals"
	query, plain := n.Rows.(*sqlparser.Select)
	switch {
	case len(t.lookups) > 0:
		return refuse(read, "on each shard, because it has lookup table %s", t.lookups[0].name)
	case !plain || v.top == nil:
		return refuse(read, "of anything but a single SELECT")
	case len(n.Columns) == 0:
		return refuse("name the columns of both", "without the names of its columns")
	case v.st.has("RETURNING") >= 0:
		return refuse(read, "with RETURNING")
	case t.auto != "":
		return refuse(read, "yet, because its AUTO_INCREMENT column has a sequence")
	case v.st.has("LEFT", "RIGHT", "ROLLUP") >= 0 || v.aggregate && v.st.has("GROUP") < 0:
		return refuse(read, "yet where %s of a row may be NULL: with LEFT, RIGHT, ROLLUP, or aggregates without GROUP BY", t.key())
	case len(v.sharded) == 0:
		return refuse(read, "yet from tables that are on one backend")
	}
	selected := func(column string) (*ref, *sqlparser.ColName) {
		i := slices.IndexFunc(n.Columns, func(c sqlparser.ColIdent) bool { return c.Lowered() == column })
		if i < 0 || i >= len(query.SelectExprs) || slices.ContainsFunc(query.SelectExprs[:i+1], func(e sqlparser.SelectExpr) bool {
			_, ok := e.(*sqlparser.AliasedExpr)
			return !ok
		}) {
			return nil, nil
		}
		c, ok := query.SelectExprs[i].(*sqlparser.AliasedExpr).Expr.(*sqlparser.ColName)
		if !ok {
			return nil, nil
		}
		r, _ := v.key(c, v.top)
		return r, c
	}
	var of *ref
	for i, column := range t.columns {
		r, c := selected(column)
		if r == nil || of != nil && r != of || r.keyed(c.Name.Lowered()) != i || !r.table.together(t) || !t.known(i).takes(r.table.known(i)) {
			return refuse("select the shard key of a table on the same shard map into "+t.key()+", or "+read, "yet where %s is not the shard key of a row that is selected", column)
		}
		of = r
	}
	v.inSteps = v.steps()
	v.tree = query
	return &insert{table: t, query: true}
}

// spread is the shape of INSERT ... SELECT.
func (v *resolver) spread(in *insert) (*shape, *reason) {
	sh, why := v.placed()
	if why != nil {
		return nil, why
	}
	only := *v
	only.st = v.st.from(v.st.has("SELECT"))
	switch merge, _, whole := only.merging(); merge {
	case MergeRows:
		sh.merge = MergeOK
	case MergeStream:
		sh.merge, sh.whole = MergeNone, "ORDER BY, LIMIT, DISTINCT and groups without the shard key are not supported in INSERT ... SELECT across backends yet"
	default:
		sh.merge, sh.whole = merge, whole
	}
	sh.stream = nil
	sh.harmless = true
	sh.everywhere()
	return sh, nil
}
