package router

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// insert resolves INSERT or REPLACE. It returns what places the rows, or nil when the table is not sharded.
func (v *resolver) insert(n *sqlparser.Insert) *insert {
	named := &scope{}
	v.with(n.With, named)
	target := v.target(n.Table)
	if v.why != nil {
		return nil
	}
	v.into = target
	sc := &scope{outer: named, refs: []*ref{target}}
	v.visit(n.OnDup, sc)
	v.visit(n.Returning, sc)
	values, literal := rowsOf(n.Rows)
	if literal {
		v.visit(values, sc)
	} else if q, ok := n.Rows.(sqlparser.SelectStatement); ok {
		v.query(q, named)
	} else {
		v.refuse(unsupported(v.st.at(0), "", "INSERT of %T is not supported", n.Rows))
	}
	if target.copied != nil {
		v.written = append(v.written, target)
		v.unordered = !literal
	}
	if target.table == nil {
		// A row left out of the shape because it looks like another may have keys of its own.
		if literal && len(v.sharded) > 0 {
			return &insert{only: unsupported(v.st.find(v.sharded[0].name), "read it first", "a query on the sharded table %s inside of VALUES is not supported", v.sharded[0].table.name)}
		}
		return nil
	}
	for i, r := range v.sharded {
		if r == target {
			v.sharded = slices.Delete(v.sharded, i, i+1)
			break
		}
	}
	at := v.st.find(target.name)
	for _, a := range n.OnDup {
		name := a.Name.Name.Lowered()
		switch at := v.st.find(a.Name.Name.String()); {
		case target.keyed(name) < 0 || keeps(a, target) || ofNew(a.Expr, name, n) && renews(n, target):
		default:
			v.refuse(unsupported(at, "delete the row and insert it anew", "changing %s, the shard key of %s, is not supported", name, target.table.name))
		}
	}
	v.onlyInsert(target.table)
	if !literal {
		return v.copies(target.table, n, at)
	}
	return v.rows(target.table, n, values, at)
}

// target is the table that an INSERT writes to.
func (v *resolver) target(n sqlparser.TableName) *ref {
	sc := &scope{}
	v.named(n, "", sc)
	if len(sc.refs) == 0 {
		v.refuse(syntax(v.st.at(0), "you have an error in your SQL syntax: no table to insert into"))
		return nil
	}
	return sc.refs[0]
}

// rowsOf are the rows of VALUES or SET, if that is where they come from.
func rowsOf(r sqlparser.InsertRows) (sqlparser.Values, bool) {
	switch r := r.(type) {
	case *sqlparser.AliasedValues:
		return r.Values, true
	case sqlparser.AliasedValues:
		return r.Values, true
	case sqlparser.Values:
		return r, true
	}
	return nil, false
}

// rows finds the shard key in each row.
func (v *resolver) rows(t *table, n *sqlparser.Insert, values sqlparser.Values, at int) *insert {
	columns := n.Columns
	v.ignore = v.st.has("IGNORE") >= 0
	in := &insert{table: t, rows: v.st.has("VALUES", "VALUE") >= 0 && !v.set(), likes: len(values)}
	if t.auto != "" && (len(columns) > 0 || v.st.listed()) {
		v.sequence, v.partial, v.returning = t.name, v.ignore || v.st.has("DUPLICATE") >= 0, v.st.has("RETURNING") >= 0
		if in.numbers = v.numbers(t, columns, values, at); in.numbers == nil || in.numbers.always() {
			return in // the keys are looked at when the numbers are there
		}
	}
	if len(columns) == 0 && !v.st.listed() {
		v.columns = t.name
		return in
	}
	places := make([]int, len(t.columns)) // of each column of the key: its place in a row
	for n, key := range t.columns {
		places[n] = slices.IndexFunc(columns, func(c sqlparser.ColIdent) bool { return c.Lowered() == key })
		switch {
		case places[n] < 0:
			v.refuse(unsupported(at, "give it a value", "the INSERT has no value for %s, the shard key of %s", key, t.name))
			return nil
		case slices.ContainsFunc(columns[places[n]+1:], func(c sqlparser.ColIdent) bool { return c.Lowered() == key }):
			v.refuse(&reason{errno: 1110, text: fmt.Sprintf("Column '%s' specified twice", key), at: v.st.find(key)})
			return nil
		}
	}
	for like, r := range values {
		for n, i := range places {
			if i >= len(r) {
				v.refuse(fewer(at))
				return nil
			}
			k, ok := v.st.literal(r[i])
			if !ok && v.computable(in, r[i]) {
				in.computed = append(in.computed, computedKey{like: like, place: i, column: t.columns[n]})
				continue
			}
			if !ok && (v.subquery || v.derived || v.real > 1) {
				in.only = unsupported(at, "read it first", "the value of %s, the shard key of %s, is the result of a query", t.columns[n], t.name)
				return in
			}
			if !ok {
				v.refuse(unsupported(at, "compute it in the client", "the value of %s, the shard key of %s, is not a literal", t.columns[n], t.name))
				return nil
			}
			in.keys = append(in.keys, k)
		}
	}
	if len(t.lookups) > 0 {
		in.entries = v.entries(in, columns, values, at)
	}
	if in.computed != nil {
		v.returning = v.st.has("RETURNING") >= 0
		in.keys, in.entries = nil, nil // they are looked at when the values are there
		return in
	}
	if len(t.lookups) > 0 && v.why == nil && in.only == nil {
		in.rowwise = v.rowwise(t, n, values)
	}
	return in
}

// keeps tells whether an assignment of ON DUPLICATE KEY UPDATE leaves its column as it is: id = id, or id = LAST_INSERT_ID(id), which tells the
// client the id of the row that is there.
func keeps(a *sqlparser.AssignmentExpr, target *ref) bool {
	value := a.Expr
	if f, ok := value.(*sqlparser.FuncExpr); ok && f.Name.Lowered() == "last_insert_id" && f.Qualifier.IsEmpty() && len(f.Exprs) == 1 {
		if n := target.keyed(a.Name.Name.Lowered()); n >= 0 && !target.table.numeric(n) {
			return false
		}
		arg, ok := f.Exprs[0].(*sqlparser.AliasedExpr)
		if !ok {
			return false
		}
		value = arg.Expr
	}
	c, ok := value.(*sqlparser.ColName)
	return ok && c.Name.Lowered() == a.Name.Name.Lowered() && (c.Qualifier.IsEmpty() || strings.EqualFold(c.Qualifier.Name.String(), target.alias))
}

// numeric tells whether the n-th column of the shard key may be one of integers.
func (t *table) numeric(n int) bool {
	c := t.column(n)
	return c == nil || c.Kind == KeyAny || c.Kind == KeyIntegers
}

// renews tells whether ON DUPLICATE KEY UPDATE gives the row that is there the whole shard key of the new one, which is of the same backend.
func renews(n *sqlparser.Insert, target *ref) bool {
	for _, key := range target.table.columns {
		if !slices.ContainsFunc(n.OnDup, func(a *sqlparser.AssignmentExpr) bool {
			return a.Name.Name.Lowered() == key && ofNew(a.Expr, key, n)
		}) {
			return false
		}
	}
	return true
}

// ofNew tells whether an expression is the value of a column in the new row: VALUES(column), or new.column where the rows are AS new.
func ofNew(e sqlparser.Expr, column string, n *sqlparser.Insert) bool {
	switch e := e.(type) {
	case *sqlparser.ValuesFuncExpr:
		return e.Name.Name.Lowered() == column
	case *sqlparser.ColName:
		var rows sqlparser.AliasedValues
		switch r := n.Rows.(type) {
		case *sqlparser.AliasedValues:
			rows = *r
		case sqlparser.AliasedValues:
			rows = r
		}
		return len(rows.Columns) == 0 && !rows.As.IsEmpty() && e.Name.Lowered() == column && strings.EqualFold(e.Qualifier.Name.String(), rows.As.String())
	}
	return false
}

// set tells whether the INSERT has SET in place of VALUES: SET comes first.
func (v *resolver) set() bool {
	s, w := v.st.has("SET"), v.st.has("VALUES", "VALUE")
	return s >= 0 && (w < 0 || s < w)
}

// listed tells whether the INSERT has a list of columns, be it an empty one.
func (st *stmt) listed() bool {
	_, ok := (&scan{sql: []byte(st.text), lexer: lexer{mode: st.mode}}).list()
	return ok
}

// update resolves UPDATE.
func (v *resolver) update(n *sqlparser.Update) {
	named := &scope{}
	v.with(n.With, named)
	sc := v.from(n.TableExprs, named, n.Where)
	v.changed = sc
	for _, a := range n.Exprs {
		v.assign(a.Name, sc)
		v.assignCopies(a.Name, sc)
	}
	for _, part := range []any{n.Exprs, n.OrderBy, n.Limit, n.Returning} {
		v.visit(part, sc)
	}
	if v.rekeyed {
		v.change = v.updating(n, sc.refs[0])
	}
}

// assign refuses to change a shard key, unless rows of the table may move.
func (v *resolver) assign(c *sqlparser.ColName, sc *scope) {
	for _, r := range sc.refs {
		if v.assignLookup(c, r, sc); r.keyed(c.Name.Lowered()) < 0 {
			continue
		}
		q := strings.ToLower(c.Qualifier.Name.String())
		switch at := v.st.find(c.Name.String()); {
		case q != "" && q != r.alias:
		case r.table.moves && len(sc.refs) == 1:
			v.rekeyed = true
		case r.table.moves:
			v.refuse(unsupported(at, "name no other table in the UPDATE", "changing %s, the shard key of %s, by an UPDATE of several tables is not supported", c.Name.Lowered(), r.table.name))
		default:
			v.refuse(unsupported(at, `delete the row and insert it anew, or set key_changes = "move" for the table`, "changing %s, the shard key of %s, is not supported", c.Name.Lowered(), r.table.name))
		}
	}
}

// delete resolves DELETE.
func (v *resolver) delete(n *sqlparser.Delete) {
	named := &scope{}
	v.with(n.With, named)
	sc := v.from(n.TableExprs, named, n.Where)
	v.changed = sc
	for _, t := range n.Targets {
		name, in := strings.ToLower(t.Name.String()), strings.ToLower(t.DbQualifier.String())
		if !slices.ContainsFunc(sc.refs, func(r *ref) bool { return r.alias == name && (in == "" || in == r.schema) }) {
			v.refuse(unsupported(v.st.find(t.Name.String()), "name it as FROM does", "table %s is deleted from but not in FROM", t.Name))
		}
	}
	for _, r := range sc.refs {
		of := func(t sqlparser.TableName) bool { return strings.EqualFold(t.Name.String(), r.alias) }
		if r.copied != nil && (len(n.Targets) == 0 || slices.ContainsFunc(n.Targets, of)) {
			v.written = append(v.written, r)
		}
	}
	for _, part := range []any{n.OrderBy, n.Limit, n.Returning} {
		v.visit(part, sc)
	}
	v.change = v.deleting(n, sc)
}
