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

	// Rows are, in place of Query, those of an INSERT into a table with lookup tables. They are written one after the other, and the lookup
	// tables are brought up to date as Change says. Assigns are the columns that ON DUPLICATE KEY UPDATE changes, in lower case.
	Rows     []StepRow
	Conflict Conflict
	Assigns  []string
	Change   *Change

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
	Planned      bool     // its rows move, or have lookup tables: what changes them is planned like a client's statement
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
	known := v.change != nil || v.stepwise != nil // whose rows must be known: they are changed by the statements of the steps
	if known && st.has("IGNORE") >= 0 {
		return nil
	}
	if !v.changes || v.foreign != "" || v.previous || v.leaves != PinNone || st.has("RETURNING") >= 0 {
		return nil
	}
	if v.changed != nil && slices.ContainsFunc(v.sources, func(s source) bool { return s.place.system && slices.Contains(v.changed.refs, s.ref) }) {
		return nil // MySQL locks no rows of a join with them
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
		backends = slices.Clone(sp.insert.Backends)
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
	if !sp.row && sp.st.shares(sp.query) && !slices.ContainsFunc(sp.sources, func(s source) bool { return s.place.system }) { // MySQL locks nothing beside these
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
	return r.base.catalog.schemas[strings.ToLower(schema)].tables[strings.ToLower(name)].locate(values, true)
}

// locate is the backend of the rows with a shard key; bound says where the values come from, for the error.
func (t *table) locate(values []Value, bound bool) (backend int, _ error) {
	shard, column, fault := t.shard(values)
	if fault != keyGood {
		return 0, misplaced(t, column, fault, bound).refusal(-1)
	}
	return t.sharding.backends[shard], nil
}

// shard is the shard of the rows with a shard key that is to be stored, or what is wrong with which column of it.
func (t *table) shard(values []Value) (shard, column int, fault keyFault) {
	var few [4]key // on the stack: LOAD DATA asks for each line
	keys := few[:]
	if len(values) > len(few) {
		keys = make([]key, len(values))
	}
	keys = keys[:len(values)]
	for i, v := range values {
		keys[i].date = t.sharding.moments
		fault := keys[i].value(v, false)
		if c := t.column(i); fault == keyGood && c != nil {
			fault = c.unfit(&keys[i], v.Kind == ValueBytes, true)
		}
		if fault != keyGood {
			return 0, i, fault
		}
	}
	if len(keys) > 1 {
		shard, fault = t.sharding.together(keys)
		return shard, 0, fault
	}
	if shard, fault = t.sharding.shard(&keys[0]); fault == keyGood && keys[0].date {
		fault = t.rounded(&keys[0], shard, true)
	}
	return shard, 0, fault
}
