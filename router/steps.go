package router

import (
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// Steps says how a change runs that no backend can do for itself and that is not the sum of what each of them does: a query is read
// first, in the same transaction, and what it finds is written into further statements. Of a text between two others each is complete,
// with the blanks that it needs.
type Steps struct {
	// Table is what INSERT or REPLACE ... SELECT writes to. Its statements are Head, VALUES with rows that Query has found, and Tail.
	Table *StepTable
	Head  []byte
	Tail  []byte

	// Targets are the tables that UPDATE or DELETE changes. The query is Before, the columns that say which rows of these are meant,
	// a comma and Values if there are any, and After.
	Targets []StepTable
	Before  []byte
	Values  [][]byte
	After   []byte
	Order   []byte // ORDER BY of an UPDATE of one table, for its statements

	Row    bool   // Query makes the only row of VALUES
	Query  []byte // what is read; of UPDATE and DELETE with the columns that the Router knows of
	Delete bool
	Ignore bool
	Single bool // the query reads one table, so that it finds no row twice
	// Common is a backend that has all tables of the statement, so that it can look at the text; -1 if there is none.
	Common int
}

// StepTable is a table that is changed step by step.
type StepTable struct {
	Schema, Name string
	Alias        string   // what its columns are qualified with
	Key          []string // the shard key, none of a table that is on one backend
	Backends     []int    // where it has rows, sorted
	Set          []StepAssignment
	Columns      []string // those that an INSERT names, nil: it names none
}

// StepAssignment is one "column = expression" of an UPDATE.
type StepAssignment struct {
	Column string // without a qualifier or quotes
	Text   []byte // all of it up to the expression
	Expr   []byte // the expression, if it can be evaluated where the row is; else nil
	Value  int    // its place among Steps.Values
}

// steps is what is known of Steps before the literals are: places among the tokens.
type steps struct {
	only    *reason // why the statement runs in no other way, whatever its literals are; nil: it may
	st      *stmt
	planner func(sql []byte, schema string, mode Mode) (*Plan, error) // NB: called by name it would be a recursion, in which all parameters escape
	sources []source
	insert  *stepTable
	query   [2]int // of INSERT: the query, or with row the values of the only row
	row     bool
	head    [2]int // of INSERT: what is before VALUES, and what is behind the rows
	tail    [2]int
	targets []stepTable
	with    [2]int
	tables  [2]int // what stands where FROM of the query is
	rest    [2]int // WHERE and all behind it
	order   [2]int // with its words
	limited bool
	filter  bool
	delete  bool
	ignore  bool
	single  bool // there is one table
}

type stepTable struct {
	StepTable
	set []stepAssignment
}

type stepAssignment struct {
	StepAssignment
	text, expr [2]int
	computed   bool
}

func (sp *steps) size() int { return 1024 + 128*len(sp.st.toks) }

// steps is how the statement can run in steps, nil if it cannot.
func (v *resolver) steps() *steps {
	st := v.st
	if v.inSteps != nil {
		return v.inSteps
	}
	if !v.changes || v.change != nil || v.foreign != "" || v.previous || v.system || v.leaves != PinNone || st.has("RETURNING") >= 0 {
		return nil
	}
	sp := &steps{st: st, planner: st.r.Plan, sources: v.sources, ignore: st.has("IGNORE") >= 0}
	ok := false
	switch tree := v.tree.(type) {
	case *sqlparser.Insert:
		ok = sp.cutInsert(v, tree)
	case *sqlparser.Update:
		ok = len(v.written) == 0 && sp.cutUpdate(v, tree)
	case *sqlparser.Delete:
		sp.delete = true
		ok = len(v.written) == 0 && sp.cutDelete(v, tree)
	}
	if !ok {
		return nil
	}
	return sp
}

// instead is the shape of a statement that runs in steps, because of why it runs in no other way; why itself if it cannot.
func (v *resolver) instead(why *reason) (*shape, *reason) {
	sp := v.steps()
	if sp == nil {
		return nil, why
	}
	sp.only = why
	return &shape{set: v.st.r.plans.get(v.plan(), len(v.st.r.catalog.backends)), fixed: -1, catalog: v.st.r.catalog, steps: sp}, nil
}

// cutInsert cuts INSERT or REPLACE ... SELECT.
func (sp *steps) cutInsert(v *resolver, tree *sqlparser.Insert) bool {
	st := sp.st
	if len(v.sources) == 0 {
		return false
	}
	start := slices.IndexFunc(st.toks, func(t tok) bool { return t.word == "INSERT" || t.word == "REPLACE" })
	if start != 0 {
		return false
	}
	if values, literal := rowsOf(tree.Rows); literal {
		return len(values) == 1 && !v.set() && sp.cutRow() && sp.into(v, tree)
	}
	for sp.query[0] = 1; sp.query[0] < len(st.toks) && !st.derives(sp.query[0]); sp.query[0]++ {
		if st.op(sp.query[0], "(") {
			sp.query[0] = st.closing(sp.query[0])
		}
	}
	end := st.end()
	for i := sp.query[0]; i < end; i++ {
		switch {
		case st.op(i, "("):
			i = st.closing(i)
		case st.words(i, "ON", "DUPLICATE"):
			end = i
		}
	}
	if sp.query[1] = end; sp.query[0] >= end {
		return false
	}
	sp.head, sp.tail = [2]int{0, sp.query[0]}, [2]int{end, st.end()}
	return sp.into(v, tree)
}

// cutRow cuts INSERT ... VALUES with one row, whose values can be selected.
func (sp *steps) cutRow() bool {
	st := sp.st
	i := st.has("VALUES", "VALUE")
	if i < 0 || !st.op(i+1, "(") {
		return false
	}
	end := st.closing(i + 1)
	sp.row, sp.head, sp.query, sp.tail = true, [2]int{0, i}, [2]int{i + 2, end}, [2]int{end + 1, st.end()}
	return end < st.end() && sp.query[0] < end && !slices.ContainsFunc(st.toks[sp.query[0]:end], func(t tok) bool { return t.word == "DEFAULT" })
}

// into finds what an INSERT writes to.
func (sp *steps) into(v *resolver, tree *sqlparser.Insert) bool {
	st, at := sp.st, 1
	for st.word(at) == "IGNORE" || st.word(at) == "INTO" || afterVerb[st.word(at)] {
		at++
	}
	o, _, named := st.object(at)
	i := slices.IndexFunc(v.sources, func(s source) bool { return s.ref == v.into })
	if !named || i < 0 {
		return false
	}
	t := sp.target(v.sources[i], o)
	for _, c := range tree.Columns {
		t.Columns = append(t.Columns, c.String())
	}
	sp.insert = &t
	return true
}

// end is the place behind the last token of the statement.
func (st *stmt) end() int {
	if n := len(st.toks); n > 0 && st.toks[n-1].kind == kSemi {
		return n - 1
	}
	return len(st.toks)
}

// target is a table of the statement, under its names as written.
func (sp *steps) target(s source, as object) stepTable {
	t := stepTable{StepTable: StepTable{Schema: as.schema, Name: as.name, Alias: as.name, Backends: s.place.backends()}}
	if as.schema == "" {
		t.Schema = sp.st.schema
	}
	if s.place.table != nil {
		t.Key = s.place.table.columns
	}
	return t
}

// backends are those that have rows of the table.
func (p place) backends() []int {
	switch {
	case p.table != nil:
		return p.table.sharding.on(&p.table.sharding.all)
	case p.copied != nil:
		return p.copied.copies
	}
	return []int{p.backend}
}

// change cuts what UPDATE and DELETE have in common; from is the first token of the tables.
func (sp *steps) change(v *resolver, from int) (end int) {
	st := sp.st
	sp.single = len(v.changed.refs) == 1
	clause := from
	for clause < st.end() && !st.clause(clause) && st.word(clause) != "SET" {
		if st.op(clause, "(") {
			clause = st.closing(clause)
		}
		clause++
	}
	sp.tables = [2]int{from, clause}
	sp.rest = [2]int{clause, st.end()}
	if st.word(clause) == "SET" {
		for sp.rest[0] < st.end() && !st.clause(sp.rest[0]) {
			if st.op(sp.rest[0], "(") {
				sp.rest[0] = st.closing(sp.rest[0])
			}
			sp.rest[0]++
		}
	}
	for i := sp.rest[0]; i < sp.rest[1]; i++ {
		switch {
		case st.op(i, "("):
			i = st.closing(i)
		case st.word(i) == "WHERE":
			sp.filter = true
		case st.words(i, "ORDER", "BY"):
			sp.order = [2]int{i, st.operand(i + 2)[1]}
		case st.word(i) == "LIMIT":
			sp.limited = true
		}
	}
	return clause
}

// verb is the place behind UPDATE or DELETE and the words that advise the server.
func (sp *steps) verb(word string) int {
	st := sp.st
	i := 0
	for ; i < len(st.toks) && st.word(i) != word; i++ {
		if st.op(i, "(") {
			i = st.closing(i)
		}
	}
	sp.with = [2]int{0, i}
	for i++; st.word(i) == "IGNORE" || afterVerb[st.word(i)]; i++ {
	}
	return i
}

func (sp *steps) cutUpdate(v *resolver, tree *sqlparser.Update) bool {
	st := sp.st
	set := sp.change(v, sp.verb("UPDATE"))
	if st.word(set) != "SET" {
		return false
	}
	assigned := st.commas(set+1, sp.rest[0])
	if len(assigned) != len(tree.Exprs) {
		return false
	}
	for i, a := range assigned {
		ref := v.assignee(tree.Exprs[i].Name)
		if ref == nil {
			return false
		}
		t := sp.targetOf(v, ref)
		if t == nil {
			return false
		}
		eq := a[0]
		for eq < a[1] && !st.op(eq, "=") && !st.op(eq, ":=") {
			eq++
		}
		if eq+1 >= a[1] {
			return false
		}
		one := stepAssignment{text: [2]int{a[0], eq + 1}, expr: [2]int{eq + 1, a[1]}}
		one.Column = tree.Exprs[i].Name.Name.String()
		names := 0
		for n := one.expr[0]; n < one.expr[1]; n++ {
			t := st.toks[n]
			if slices.Contains(queries, t.word) {
				one.computed = true
			}
			if t.name != "" && t.word != "DEFAULT" && t.word != "NULL" {
				names++
			}
		}
		one.computed = one.computed || !sp.single && names > 0
		if one.computed && sp.namesAssigned(assigned[:i], tree, one.expr) {
			return false
		}
		t.set = append(t.set, one)
	}
	if !sp.single {
		sp.order = [2]int{}
	}
	return true
}

// namesAssigned tells whether the tokens have the name of a column that was assigned before: its value is another one then.
func (sp *steps) namesAssigned(before [][2]int, tree *sqlparser.Update, expr [2]int) bool {
	for i := range before {
		name := tree.Exprs[i].Name.Name.String()
		if slices.ContainsFunc(sp.st.toks[expr[0]:expr[1]], func(t tok) bool { return strings.EqualFold(t.name, name) }) {
			return true
		}
	}
	return false
}

// assignee is the table whose column an UPDATE assigns, nil if that is not certain.
func (v *resolver) assignee(c *sqlparser.ColName) *ref {
	in := strings.ToLower(c.Qualifier.Name.String())
	if in == "" && len(v.changed.refs) == 1 {
		return v.changed.refs[0]
	}
	for _, r := range v.changed.refs {
		if in != "" && r.alias == in {
			return r
		}
	}
	return nil
}

// targetOf is the target of a table in FROM, which is added if it is none yet; nil if the table is derived.
func (sp *steps) targetOf(v *resolver, r *ref) *stepTable {
	i := slices.IndexFunc(v.sources, func(s source) bool { return s.ref == r && s.cte == "" })
	if i < 0 {
		return nil
	}
	for n := range sp.targets {
		if strings.EqualFold(sp.targets[n].Alias, r.alias) {
			return &sp.targets[n]
		}
	}
	within := *sp.st
	within.toks = within.toks[:sp.tables[1]]
	factors, _ := within.clauseFrom(&selectTokens{}, sp.tables[0])
	f := slices.IndexFunc(factors, func(f factor) bool { return strings.EqualFold(f.called(), r.alias) })
	if f < 0 {
		return nil
	}
	t := sp.target(v.sources[i], factors[f].object)
	t.Alias = factors[f].called()
	sp.targets = append(sp.targets, t)
	return &sp.targets[len(sp.targets)-1]
}

func (sp *steps) cutDelete(v *resolver, tree *sqlparser.Delete) bool {
	st := sp.st
	from := sp.verb("DELETE")
	switch {
	case len(tree.Targets) == 0 && st.word(from) == "FROM":
		from++
	case st.word(from) == "FROM": // DELETE FROM a, b USING ...
		for from < st.end() && st.word(from) != "USING" {
			from++
		}
		from++
	default:
		for from < st.end() && st.word(from) != "FROM" {
			from++
		}
		from++
	}
	if from >= st.end() {
		return false
	}
	sp.change(v, from)
	refs := v.changed.refs
	if len(tree.Targets) > 0 {
		refs = nil
		for _, t := range tree.Targets {
			i := slices.IndexFunc(v.changed.refs, func(r *ref) bool { return strings.EqualFold(r.alias, t.Name.String()) })
			if i < 0 {
				return false
			}
			refs = append(refs, v.changed.refs[i])
		}
	}
	for _, r := range refs {
		if sp.targetOf(v, r) == nil {
			return false
		}
	}
	sp.order = [2]int{}
	return len(sp.targets) > 0
}

// plan is the plan of the statement read into s.
func (sp *steps) plan(set *planSet, s *scan) (*Plan, *reason, int) {
	if s.exec {
		return nil, unsupported(-1, "write it without the comment", "the statement runs in steps, and there is an executable comment"), -1
	}
	traced := &scan{trace: true}
	traced.read(s.sql, "", s.mode, s.skip)
	text := func(at [2]int) []byte {
		if at[0] >= at[1] {
			return nil
		}
		from, to := sp.st.span(at[0], at[1]-1).of(traced)
		return slices.Clone(s.sql[from:to])
	}
	if sp.row && len(s.rows) != 1 {
		return nil, sp.only, s.retrace(sp.only.at)
	}
	p := set.base
	p.Merge, p.Steps = MergeSteps, &Steps{Delete: sp.delete, Ignore: sp.ignore, Common: sp.common()}
	var backends []int
	if sp.insert != nil {
		sp.planInsert(p.Steps, text)
		backends = sp.insert.Backends
	} else {
		sp.planChange(p.Steps, text)
		for _, t := range sp.targets {
			backends = append(backends, t.Backends...)
		}
	}
	slices.Sort(backends)
	for _, b := range slices.Compact(backends) {
		p.Parts = append(p.Parts, Part{Backend: b})
	}
	if s.params > 0 { // only a statement with values is carried out
		return &p, nil, -1
	}
	of, err := sp.planner(p.Steps.Query, sp.st.schema, s.mode)
	switch {
	case err != nil && sp.only != nil:
		return nil, sp.only, s.retrace(sp.only.at)
	case err != nil:
		return nil, &reason{errno: err.(*Refusal).Errno, text: "its rows cannot be read first: " + err.Error(), at: -1}, -1
	case sp.insert != nil, len(p.Parts) == 1, len(of.Parts) == 1, of.Merge != MergeScratch && of.Scatter == ScatterNone:
	case sp.filter, sp.limited:
		p.Scatter = ScatterWhere
	default:
		p.Scatter = ScatterAll
	}
	return &p, nil, -1
}

func (sp *steps) planInsert(to *Steps, text func([2]int) []byte) {
	t := sp.insert.StepTable
	to.Table, to.Query, to.Row = &t, text(sp.query), sp.row
	if sp.row {
		to.Query = append([]byte("SELECT "), to.Query...)
	}
	to.Head = append(text(sp.head), ' ')
	if tail := text(sp.tail); tail != nil {
		to.Tail = append([]byte{' '}, tail...)
	}
	if !sp.row && sp.st.shares(sp.query) {
		to.Query = append(to.Query, " LOCK IN SHARE MODE"...)
	}
}

// shares tells whether servers lock the rows that a query among the tokens reads for an INSERT, and the clause for that can be written
// behind it: it is a single SELECT without one.
func (st *stmt) shares(query [2]int) bool {
	if st.word(query[0]) != "SELECT" {
		return false
	}
	from := false
	for i := query[0] + 1; i < query[1]; i++ {
		switch w := st.word(i); {
		case st.op(i, "("):
			i = st.closing(i)
		case w == "FROM":
			from = true
		case w == "UNION", w == "EXCEPT", w == "INTERSECT", w == "LOCK", w == "FOR" && st.clause(i), w == "PROCEDURE":
			return false
		}
	}
	return from
}

func (sp *steps) planChange(to *Steps, text func([2]int) []byte) {
	to.Before = []byte("SELECT ")
	if with := text(sp.with); with != nil {
		to.Before = append(with, " SELECT "...)
	}
	to.After = append([]byte(" FROM "), text(sp.tables)...)
	if rest := text(sp.rest); rest != nil {
		to.After = append(append(to.After, ' '), rest...)
	}
	to.After = append(to.After, " FOR UPDATE"...)
	if sp.order[0] < sp.order[1] {
		to.Order = append([]byte{' '}, text(sp.order)...)
	}
	var known []string
	for _, from := range sp.targets {
		t := from.StepTable
		for _, a := range from.set {
			one := a.StepAssignment
			one.Text = append(text(a.text), ' ')
			if expr := text(a.expr); a.computed {
				one.Value = len(to.Values)
				to.Values = append(to.Values, expr)
			} else {
				one.Expr = expr
			}
			t.Set = append(t.Set, one)
		}
		for _, k := range t.Key {
			known = append(known, quoted(t.Alias)+"."+quoted(k))
		}
		to.Targets = append(to.Targets, t)
	}
	to.Single = sp.single
	to.Query = to.Find(known)
}

// Find is the query of UPDATE and DELETE with the columns that say which rows are meant.
func (s *Steps) Find(columns []string) []byte {
	list := make([][]byte, 0, len(columns)+len(s.Values))
	for _, c := range columns {
		list = append(list, []byte(c))
	}
	list = append(list, s.Values...)
	if len(list) == 0 {
		list = append(list, []byte("1"))
	}
	q := slices.Clone(s.Before)
	for i, c := range list {
		if i > 0 {
			q = append(q, ", "...)
		}
		q = append(q, c...)
	}
	return append(q, s.After...)
}

// quoted is a name as a quoted identifier.
func quoted(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// common is a backend that has all tables, -1 if there is none.
func (sp *steps) common() int {
	var on []int
	for i, s := range sp.sources {
		if s.cte != "" {
			continue
		}
		if have := s.place.backends(); i == 0 || on == nil {
			on = have
		} else if on = common(on, have); len(on) == 0 {
			return -1
		}
	}
	if len(on) == 0 {
		return -1
	}
	return on[0]
}

// Locate is the backend of a row of a sharded table by the values of its shard key.
func (r *Router) Locate(schema, name string, values []Value) (backend int, err error) {
	t := r.base.catalog.schemas[strings.ToLower(schema)].tables[strings.ToLower(name)]
	keys := make([]key, len(values))
	for i, v := range values {
		keys[i].date = t.sharding.moments
		if fault := keys[i].value(v, false); fault != keyGood {
			return 0, misplaced(t, i, fault, true).refusal(-1)
		}
	}
	var shard int
	fault := keyGood
	if len(keys) == 1 {
		shard, fault = t.sharding.shard(&keys[0])
	} else {
		shard, fault = t.sharding.together(keys)
	}
	if fault != keyGood {
		return 0, misplaced(t, 0, fault, true).refusal(-1)
	}
	return t.sharding.backends[shard], nil
}
