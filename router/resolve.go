package router

import (
	"reflect"
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/xaproxy/xaproxy/config"
)

// resolver walks the tree of a statement: it finds the place of every table, the literals that pin the key of every sharded
// one, and the functions called. The first reason to refuse the statement ends the walk.
//
// A sharded table is pinned when only rows with certain keys can contribute to the statement's result:
//
//   - by conditions on its key, AND-ed ones in WHERE, in ON of an inner join around the table, or in ON of an outer join on whose
//     optional side the table is (pick.go); or
//   - by such a condition key = other.key with a pinned table whose keys are spread in the same way, which may be a table of an
//     outer query.
//
// When all tables of a statement are pinned to one backend, that backend's answer is the whole answer, whatever else the
// statement computes. When one table pins all others, each of its rows is on one shard with everything that can be joined to it.
type resolver struct {
	st *stmt
	finding
	tree          sqlparser.Statement
	top           *scope // of the outermost SELECT
	drivers       []*ref // in it: each of them pins all other tables
	why           *reason
	sharded       []*ref
	copied        []*ref   // broadcast tables
	written       []*ref   // those of them that the statement changes
	inSteps       *steps   // how it can run, if that is known
	into          *ref     // what an INSERT writes to
	changed       *scope   // of the tables of UPDATE and DELETE
	reads         bool     // a query, which may run on scratch tables
	sources       []source // of it, in the order of the tree
	ctes          []cte    // of it
	split         *reason  // why its unsharded tables cannot be read on one backend
	real          int      // tables named, system and sharded ones included
	system        bool     // a system table is named
	changes       bool     // INSERT, UPDATE or DELETE
	derived       bool     // there is a derived table or common table expression
	subquery      bool     // there is a subquery
	aggregate     bool     // an aggregate or window function is called
	rekeyed       bool     // UPDATE assigns a shard key, or what lookup tables have
	stepwise      *reason  // why the statement, which changes what lookup tables have, runs in steps
	change        *change  // what UPDATE or DELETE does to such columns
	unordered     bool     // an INSERT into a broadcast table takes its rows from a query
	foreign       string   // a function that is not built in
	foreignSchema string
	foreignWhy    string   // what keeps it on its backend, if that is known
	routines      []called // stored functions
	about         []int    // slots of literals that a column with the name of a schema is compared with
}

// ref is a table in a FROM clause.
type ref struct {
	alias  string // what columns are qualified with, lower case
	schema string // when it has no alias of its own: the schema it may also be qualified with
	name   string // as written
	table  *table // a sharded table, else nil
	copied *table // a broadcast table, else nil
	beside []*ref // tables whose rows are in the result of an outer join also where this one has none
	pick   *pick
	found  *looked // by a lookup table
	pinned bool
	all    bool // * or NATURAL may mean any of its columns
	// optional: an outer join has rows without it.
	optional bool
	with     []*ref       // tables that are pinned when this one is
	equal    map[*ref]int // columns of the key, as bits, that are equal to those of tables that may become part of with
	informs  string       // of a table of information_schema: its name, a key of informing
	limit    *limit       // what its rows are about, nil: anything
	follows  []*ref       // tables that say this, too
}

// scope is where names of tables are looked up.
type scope struct {
	outer *scope
	refs  []*ref
	ctes  []string
	// coalesced: some columns of refs are merged by USING or NATURAL, so an unqualified name may mean another table's column.
	coalesced bool
}

// condition restricts the rows of the tables in of.
type condition struct {
	expr sqlparser.Expr
	of   []*ref
}

func (v *resolver) refuse(why *reason) {
	if v.why == nil {
		v.why = why
	}
}

// query resolves a query expression.
func (v *resolver) query(s sqlparser.SelectStatement, outer *scope) {
	switch s := s.(type) {
	case *sqlparser.Select:
		v.block(s, outer)
	case *sqlparser.ParenSelect:
		v.query(s.Select, outer)
	case *sqlparser.SetOp:
		sc := &scope{outer: outer}
		v.with(s.With, sc)
		v.query(s.Left, sc)
		v.query(s.Right, sc)
		v.visit(s.OrderBy, sc)
		v.visit(s.Limit, sc)
	default:
		v.refuse(unsupported(v.st.at(0), "", "%T is not supported", s))
	}
}

// with resolves common table expressions and makes their names known.
func (v *resolver) with(w *sqlparser.With, sc *scope) {
	if w == nil {
		return
	}
	for _, one := range w.Ctes {
		v.derived = true
		name := strings.ToLower(one.As.String())
		if w.Recursive {
			sc.ctes = append(sc.ctes, name)
		}
		at, first := len(v.ctes), len(v.sources)
		v.ctes = append(v.ctes, cte{name: name})
		if q, ok := one.Expr.(*sqlparser.Subquery); ok {
			v.query(q.Select, sc)
		} else {
			v.visit(one.Expr, sc)
		}
		v.ctes[at].sources = v.sources[first:len(v.sources):len(v.sources)]
		if !w.Recursive {
			sc.ctes = append(sc.ctes, name)
		}
	}
}

// block resolves one SELECT.
func (v *resolver) block(s *sqlparser.Select, outer *scope) {
	named := &scope{outer: outer}
	v.with(s.With, named)
	sc := v.from(s.From, named, s.Where)
	sc.stars(s.SelectExprs)
	for _, part := range []any{&s.QueryOpts, s.SelectExprs, s.GroupBy, s.Having, s.Window, s.OrderBy, s.Limit} {
		v.visit(part, sc)
	}
	v.top = sc // those inside are done by now
}

// stars notes the tables that * and alias.* mean.
func (sc *scope) stars(columns sqlparser.SelectExprs) {
	for _, c := range columns {
		star, ok := c.(*sqlparser.StarExpr)
		if !ok {
			continue
		}
		of := star.TableName.Name.String()
		for in := sc; in != nil; in = in.outer {
			for _, r := range in.refs {
				r.all = r.all || of == "" || strings.EqualFold(of, r.alias)
			}
			if of == "" {
				break
			}
		}
	}
}

// from resolves the tables of a FROM clause, with the conditions on them, and pins them.
func (v *resolver) from(tables sqlparser.TableExprs, outer *scope, where *sqlparser.Where) *scope {
	sc := &scope{outer: outer}
	var conds []condition
	for _, t := range tables {
		v.tableExpr(t, sc, &conds)
	}
	if where != nil {
		conds = append(conds, condition{where.Expr, sc.refs})
	}
	for i, r := range sc.refs {
		for _, s := range sc.refs[:i] {
			if s.alias == r.alias && s.schema == r.schema {
				v.refuse(unsupported(v.st.find(r.alias), "give each its own alias", "two tables are called %s", r.alias))
				return sc
			}
		}
	}
	for _, c := range conds {
		v.pin(c, sc)
		for r, l := range v.limits(c.expr, c.of, sc) {
			if slices.Contains(c.of, r) {
				r.limit = l
			}
		}
	}
	v.lookUp(conds, sc)
	for _, c := range conds {
		v.visit(c.expr, sc)
	}
	return sc
}

// spread pins what is pinned along with r.
func (r *ref) spread() {
	if r.pinned {
		return
	}
	r.pinned = true
	for _, w := range r.with {
		w.spread()
	}
}

// tableExpr resolves a table reference. It returns the tables in it, and appends the conditions of joins.
func (v *resolver) tableExpr(t sqlparser.TableExpr, sc *scope, conds *[]condition) []*ref {
	first := len(sc.refs)
	switch t := t.(type) {
	case *sqlparser.AliasedTableExpr:
		v.factor(t, sc)
	case *sqlparser.ParenTableExpr:
		for _, e := range t.Exprs {
			v.tableExpr(e, sc, conds)
		}
	case *sqlparser.JoinTableExpr:
		left := v.tableExpr(t.LeftExpr, sc, conds)
		right := v.tableExpr(t.RightExpr, sc, conds)
		v.join(t, left, right, sc, conds)
	case *sqlparser.JSONTableExpr:
		v.derived = true
		v.visit(t.Data, sc)
		v.visit(t.Spec, sc)
		sc.refs = append(sc.refs, &ref{alias: strings.ToLower(t.Alias.String()), pinned: true})
	default:
		v.refuse(unsupported(v.st.has("FROM"), "", "%T is not supported", t))
	}
	return slices.Clip(sc.refs[first:])
}

// join appends the conditions of a join.
func (v *resolver) join(t *sqlparser.JoinTableExpr, left, right []*ref, sc *scope, conds *[]condition) {
	var of []*ref
	beside := func(optional, others []*ref) {
		for _, r := range optional {
			r.beside = append(r.beside, others...)
		}
	}
	switch t.Join {
	case sqlparser.LeftJoinStr, sqlparser.NaturalLeftJoinStr:
		beside(right, left)
	case sqlparser.RightJoinStr, sqlparser.NaturalRightJoinStr:
		beside(left, right)
	}
	switch t.Join {
	case sqlparser.JoinStr, sqlparser.StraightJoinStr:
		of = slices.Concat(left, right)
	case sqlparser.LeftJoinStr:
		of = right
		lonely(right)
	case sqlparser.RightJoinStr:
		of = left
		lonely(left)
	case sqlparser.NaturalJoinStr, sqlparser.NaturalLeftJoinStr, sqlparser.NaturalRightJoinStr:
		sc.coalesced = true
		lonely(left)
		lonely(right)
		for _, r := range slices.Concat(left, right) {
			r.all = true
		}
		return
	default:
		v.refuse(unsupported(v.st.find(strings.Fields(t.Join)[0]), "", "%s is not supported", t.Join))
		return
	}
	if t.Condition.On != nil {
		*conds = append(*conds, condition{t.Condition.On, of})
	}
	if len(t.Condition.Using) == 0 {
		return
	}
	sc.coalesced = true
	if len(left) != 1 || len(right) != 1 {
		return
	}
	for _, c := range t.Condition.Using {
		l, r := left[0], right[0]
		link(l, r, l.keyed(c.Lowered()), r.keyed(c.Lowered()), of)
	}
}

// lonely notes that a join may have rows without these tables.
func lonely(of []*ref) {
	for _, r := range of {
		r.optional = true
	}
}

// keyed is the place of the column in the table's shard key, -1 if it has none.
func (r *ref) keyed(column string) int {
	if r.table == nil {
		return -1
	}
	return slices.Index(r.table.columns, column)
}

// link notes that a column of the keys of two tables is equal in all rows that count, as far as the rows of the tables in of go.
func link(a, b *ref, i, j int, of []*ref) {
	if i < 0 || i != j || !a.table.joins(b.table, i) {
		return
	}
	if slices.Contains(of, b) {
		a.leads(b, i)
	}
	if slices.Contains(of, a) {
		b.leads(a, i)
	}
}

// leads notes that b's column of the key is that of r: if all are, b is pinned when r is.
func (r *ref) leads(b *ref, column int) {
	if r.equal == nil {
		r.equal = map[*ref]int{}
	}
	r.equal[b] |= 1 << column
	if r.equal[b] == 1<<len(r.table.columns)-1 {
		r.with = append(r.with, b)
	}
}

// factor resolves a single table, derived or not.
func (v *resolver) factor(t *sqlparser.AliasedTableExpr, sc *scope) {
	v.visit(t.AsOf, sc)
	switch e := t.Expr.(type) {
	case sqlparser.TableName:
		v.named(e, t.As.String(), sc)
		return
	case *sqlparser.Subquery:
		inner := sc.outer
		if t.Lateral {
			inner = sc
		}
		v.query(e.Select, inner)
	default:
		v.visit(e, sc)
	}
	v.derived = true
	sc.refs = append(sc.refs, &ref{alias: strings.ToLower(t.As.String()), pinned: true})
}

// named resolves a table by its name.
func (v *resolver) named(n sqlparser.TableName, alias string, sc *scope) {
	name, in := n.Name.String(), n.DbQualifier.String()
	r := &ref{alias: strings.ToLower(alias), name: name, pinned: true}
	if alias == "" {
		r.alias = strings.ToLower(name)
	}
	switch {
	case !n.SchemaQualifier.IsEmpty():
		v.refuse(syntax(v.st.find(name), "you have an error in your SQL syntax: a table name of three parts"))
		return
	case in == "" && sc.cte(strings.ToLower(name)):
		sc.refs = append(sc.refs, r)
		v.sources = append(v.sources, source{ref: r, cte: strings.ToLower(name)})
		return
	case in == "" && strings.EqualFold(name, "dual"):
		return
	}
	p, schema := v.table(in, name)
	if alias == "" {
		r.schema = schema
	}
	sc.refs = append(sc.refs, r)
	v.sources = append(v.sources, source{ref: r, schema: schema, place: p})
	if _, known := informing[strings.ToLower(name)]; known && schema == informationSchema {
		r.informs = strings.ToLower(name)
	}
	if p.table != nil {
		r.table, r.pinned = p.table, false
		v.sharded = append(v.sharded, r)
	}
	if p.copied != nil {
		r.copied = p.copied
		v.copied = append(v.copied, r)
	}
}

// table finds a table's place and notes it.
func (v *resolver) table(in, name string) (place, string) {
	at := v.st.find(name)
	p, schema, why := v.st.r.catalog.resolve(in, name, v.st.schema, at)
	if why != nil {
		v.refuse(why)
		return place{}, ""
	}
	v.real++
	v.schemas[schema] = true
	if why := v.st.r.catalog.view(schema, name, at); why != nil {
		v.refuse(why)
	}
	switch {
	case p.system:
		v.system = true
	case p.table == nil && p.copied == nil:
		why := v.settle(v.st.r.catalog, p.backend, "table "+schema+"."+name, at)
		if why != nil && (v.reads || v.changes) {
			v.split = why
		} else if why != nil {
			v.refuse(why)
		}
	}
	return p, schema
}

// cte tells whether the name is a common table expression.
func (sc *scope) cte(name string) bool {
	for ; sc != nil; sc = sc.outer {
		if slices.Contains(sc.ctes, name) {
			return true
		}
	}
	return false
}

// pin applies a condition.
func (v *resolver) pin(c condition, sc *scope) {
	for r, p := range v.picks(c.expr, sc) {
		if slices.Contains(c.of, r) {
			r.pick = both(r.pick, p)
		}
	}
	v.links(c.expr, c.of, sc)
}

// links finds the AND-ed equalities between keys.
func (v *resolver) links(e sqlparser.Expr, of []*ref, sc *scope) {
	switch e := e.(type) {
	case *sqlparser.ParenExpr:
		v.links(e.Expr, of, sc)
	case *sqlparser.AndExpr:
		v.links(e.Left, of, sc)
		v.links(e.Right, of, sc)
	case *sqlparser.ComparisonExpr:
		if e.Operator != sqlparser.EqualStr {
			return
		}
		if l, r := tuple(e.Left), tuple(e.Right); l != nil && len(l) == len(r) {
			for i := range l {
				v.equal(l[i], r[i], of, sc)
			}
			return
		}
		v.equal(e.Left, e.Right, of, sc)
	}
}

// equal notes that two expressions are equal.
func (v *resolver) equal(l, r sqlparser.Expr, of []*ref, sc *scope) {
	a, i := v.key(l, sc)
	b, j := v.key(r, sc)
	if a != nil && b != nil && a != b {
		link(a, b, i, j, of)
	}
}

// tuple is the list of a row constructor, nil if the expression is none.
func tuple(e sqlparser.Expr) sqlparser.ValTuple {
	if l, ok := e.(sqlparser.ValTuple); ok && len(l) > 1 {
		return l
	}
	return nil
}

// picks is what a condition picks of the tables that it limits.
func (v *resolver) picks(e sqlparser.Expr, sc *scope) map[*ref]*pick {
	switch e := e.(type) {
	case *sqlparser.ParenExpr:
		return v.picks(e.Expr, sc)
	case *sqlparser.AndExpr:
		all := v.picks(e.Left, sc)
		for r, p := range v.picks(e.Right, sc) {
			if all == nil {
				all = map[*ref]*pick{}
			}
			all[r] = both(all[r], p)
		}
		return all
	case *sqlparser.OrExpr:
		all := v.picks(e.Left, sc)
		right := v.picks(e.Right, sc)
		for r, p := range all {
			if right[r] == nil {
				delete(all, r)
			} else {
				all[r] = either(p, right[r])
			}
		}
		return all
	case *sqlparser.ComparisonExpr:
		return v.comparison(e, sc)
	case *sqlparser.RangeCond:
		if e.Operator == sqlparser.BetweenStr {
			return v.between(e.Left, e.From, e.To, sc)
		}
	}
	return nil
}

// between is what key BETWEEN from AND to picks; a nil end is open.
func (v *resolver) between(left, from, to sqlparser.Expr, sc *scope) map[*ref]*pick {
	r, _ := v.key(left, sc)
	if r == nil || len(r.table.columns) > 1 || !r.table.sharding.ordered() {
		return nil
	}
	p := &pick{op: pickBetween}
	for _, e := range []sqlparser.Expr{from, to} {
		end := keyRef{slot: -1}
		if e != nil {
			var ok bool
			if end, ok = v.st.literal(e); !ok {
				return nil
			}
		}
		p.keys = append(p.keys, end)
	}
	return map[*ref]*pick{r: p}
}

// comparison is what a comparison with literals picks.
func (v *resolver) comparison(e *sqlparser.ComparisonExpr, sc *scope) map[*ref]*pick {
	left, right, op := e.Left, e.Right, e.Operator
	switch op {
	case sqlparser.EqualStr, sqlparser.NullSafeEqualStr:
		if l, r := tuple(left), tuple(right); l != nil && len(l) == len(r) {
			return v.row(l, []sqlparser.ValTuple{r}, sc)
		}
		if r, _ := v.key(left, sc); r == nil {
			left, right = right, left
		}
		return v.values(left, sqlparser.ValTuple{right}, sc)
	case sqlparser.InStr:
		list, ok := right.(sqlparser.ValTuple)
		if !ok || len(list) == 0 {
			return nil
		}
		if l := tuple(left); l != nil {
			rows := make([]sqlparser.ValTuple, len(list))
			for i, x := range list {
				if rows[i] = tuple(x); len(rows[i]) != len(l) {
					return nil
				}
			}
			return v.row(l, rows, sc)
		}
		return v.values(left, list, sc)
	}
	if r, _ := v.key(left, sc); r == nil {
		left, right, op = right, left, turned[op]
	}
	switch op {
	case sqlparser.LessThanStr, sqlparser.LessEqualStr:
		return v.between(left, nil, right, sc)
	case sqlparser.GreaterThanStr, sqlparser.GreaterEqualStr:
		return v.between(left, right, nil, sc)
	}
	return nil
}

// turned are the operators for comparisons that are written the other way round.
var turned = map[string]string{
	sqlparser.LessThanStr: sqlparser.GreaterThanStr, sqlparser.LessEqualStr: sqlparser.GreaterEqualStr,
	sqlparser.GreaterThanStr: sqlparser.LessThanStr, sqlparser.GreaterEqualStr: sqlparser.LessEqualStr,
}

// values is what column IN (literals) picks.
func (v *resolver) values(column sqlparser.Expr, list sqlparser.ValTuple, sc *scope) map[*ref]*pick {
	r, i := v.key(column, sc)
	if r == nil {
		return nil
	}
	p := &pick{op: pickKeys, keys: make([]keyRef, len(list))}
	if len(r.table.columns) > 1 {
		p.op, p.column = pickColumn, i
	}
	for i, x := range list {
		var ok bool
		if p.keys[i], ok = v.st.literal(x); !ok {
			return nil
		}
	}
	return map[*ref]*pick{r: p}
}

// row is what (columns) IN (rows of literals) picks.
func (v *resolver) row(columns sqlparser.ValTuple, rows []sqlparser.ValTuple, sc *scope) map[*ref]*pick {
	if len(rows) == 1 { // the same as one comparison for each column
		all := map[*ref]*pick{}
		for i, c := range columns {
			for r, p := range v.values(c, sqlparser.ValTuple{rows[0][i]}, sc) {
				all[r] = both(all[r], p)
			}
		}
		return all
	}
	at := map[*ref][]int{} // of each table: the places of its key's columns
	for i, c := range columns {
		r, column := v.key(c, sc)
		if r == nil {
			continue
		}
		if at[r] == nil {
			at[r] = slices.Repeat([]int{-1}, len(r.table.columns))
		}
		at[r][column] = i
	}
	all := map[*ref]*pick{}
	for r, places := range at {
		if slices.Contains(places, -1) {
			continue
		}
		if keys := v.rowKeys(rows, places); keys != nil {
			all[r] = &pick{op: pickKeys, keys: keys}
		}
	}
	return all
}

// rowKeys are the literals at these places of the rows, nil if one is none.
func (v *resolver) rowKeys(rows []sqlparser.ValTuple, places []int) (keys []keyRef) {
	for _, row := range rows {
		for _, at := range places {
			k, ok := v.st.literal(row[at])
			if !ok {
				return nil
			}
			keys = append(keys, k)
		}
	}
	return keys
}

// key is the sharded table and the place in its shard key of what the expression names, or nil.
func (v *resolver) key(e sqlparser.Expr, sc *scope) (*ref, int) {
	if p, ok := e.(*sqlparser.ParenExpr); ok {
		return v.key(p.Expr, sc)
	}
	c, ok := e.(*sqlparser.ColName)
	if !ok || c.StoredProcVal != nil || !c.Qualifier.SchemaQualifier.IsEmpty() {
		return nil, -1
	}
	column := c.Name.Lowered()
	if c.Qualifier.IsEmpty() {
		return sc.unqualified(column)
	}
	alias, in := strings.ToLower(c.Qualifier.Name.String()), strings.ToLower(c.Qualifier.DbQualifier.String())
	for ; sc != nil; sc = sc.outer {
		var found *ref
		for _, r := range sc.refs {
			if r.alias != alias || in != "" && r.schema != in {
				continue
			}
			if found != nil {
				return nil, -1
			}
			found = r
		}
		if found != nil {
			if i := found.keyed(column); i >= 0 {
				return found, i
			}
			return nil, -1
		}
	}
	return nil, -1
}

// unqualified is the table of the innermost FROM whose shard key has the name, if there is only one. If another table there has
// a column of that name too, the server refuses the statement.
func (sc *scope) unqualified(column string) (found *ref, at int) {
	if sc == nil || sc.coalesced {
		return nil, -1
	}
	for _, r := range sc.refs {
		if i := r.keyed(column); i >= 0 {
			if found != nil {
				return nil, -1
			}
			found, at = r, i
		}
	}
	return found, at
}

// visit looks for subqueries and functions in any part of the tree, whatever its types are: nothing may hide a table.
func (v *resolver) visit(node any, sc *scope) { v.walk(reflect.ValueOf(node), sc) }

func (v *resolver) walk(n reflect.Value, sc *scope) {
	if v.why != nil {
		return
	}
	switch n.Kind() {
	case reflect.Interface, reflect.Pointer:
		if n.IsNil() || n.Kind() == reflect.Pointer && v.node(n.Interface(), sc) {
			return
		}
		v.walk(n.Elem(), sc)
	case reflect.Slice:
		if n.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range n.Len() {
			v.walk(n.Index(i), sc)
		}
	case reflect.Struct:
		if v.node(n.Interface(), sc) {
			return
		}
		for i := range n.NumField() {
			if n.Type().Field(i).IsExported() {
				v.walk(n.Field(i), sc)
			}
		}
	}
}

// node handles the nodes that mean something by themselves. It returns true if their fields need no visit.
func (v *resolver) node(n any, sc *scope) bool {
	switch n := n.(type) {
	case *sqlparser.Subquery:
		v.inner(n.Select, sc)
		return true
	case sqlparser.SelectStatement:
		v.inner(n, sc)
		return true
	case *sqlparser.ComparisonExpr:
		v.schemaNames(n)
	case *sqlparser.FuncExpr:
		v.call(n)
	case *sqlparser.GroupConcatExpr, *sqlparser.Over:
		v.aggregate = true
	case sqlparser.Nextval:
		v.write = true
	case *sqlparser.ColName, *sqlparser.StarExpr, sqlparser.ColIdent, sqlparser.TableIdent, sqlparser.AuthInformation:
		return true
	case sqlparser.TableName:
		if !n.IsEmpty() {
			v.refuse(unsupported(v.st.find(n.Name.String()), "", "the use of table %s is not understood", n.Name))
		}
		return true
	case *sqlparser.ValuesStatement:
	case sqlparser.TableExpr:
		v.refuse(unsupported(-1, "", "the use of %T is not understood", n))
		return true
	}
	return false
}

// inner resolves a subquery. One that reads broadcast tables only has the same result wherever it runs, so it does not count.
func (v *resolver) inner(s sqlparser.SelectStatement, sc *scope) {
	tables, copied := v.real, len(v.copied)
	v.query(s, sc)
	if tables == v.real || v.real-tables > len(v.copied)-copied {
		v.subquery = true
	}
}

// call notes a function.
func (v *resolver) call(f *sqlparser.FuncExpr) {
	name := f.Name.Lowered()
	switch {
	case sequenceFunctions[name] && f.Qualifier.IsEmpty():
		v.write = true
		if e, ok := f.Exprs[0].(*sqlparser.AliasedExpr); ok {
			if c, ok := e.Expr.(*sqlparser.ColName); ok {
				if p, _ := v.table(c.Qualifier.Name.String(), c.Name.String()); p.table != nil {
					v.refuse(unsupported(v.st.find(c.Name.String()), "", "%s is not a sequence", p.table.name))
				} else if p.copied != nil {
					v.refuse(unsupported(v.st.find(c.Name.String()), "", "%s is not a sequence", p.copied.name))
				}
				return
			}
		}
		v.refuse(unsupported(v.st.find(f.Name.String()), "name the sequence", "%s of an expression is not supported", name))
	case !f.Qualifier.IsEmpty():
		schema := f.Qualifier.String()
		in := strings.ToLower(schema)
		if !config.SystemSchema(in) && v.st.r.catalog.schemas[in] == nil {
			v.refuse(v.st.r.catalog.unknown(schema, v.st.find(schema)))
			return
		}
		v.schemas[in] = true
		v.stored(schema, f.Name.String())
	case aggregates[name]:
		v.aggregate = true
	case !builtin[name] && name != outcomeFunction:
		if v.st.schema != "" {
			v.schemas[strings.ToLower(v.st.schema)] = true
		}
		v.stored("", f.Name.String())
	}
}

// stored notes a function that is not built in.
func (v *resolver) stored(schema, name string) {
	in := schema
	if in == "" {
		in = v.st.schema
	}
	if f, known := v.st.r.catalog.computes(in, name); known {
		v.routines = append(v.routines, called{f, schema, name})
		return
	}
	v.foreign, v.foreignSchema, v.write, v.program = name, schema, true, true
}
