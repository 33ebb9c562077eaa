package router

import (
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// Change is what a session has to know of the rows of a statement whose shard key, or what lookup tables say of them, it changes.
// Plan.Parts run as they are. Rows whose key is of another backend then are brought there, and lookup tables are brought up to date.
type Change struct {
	Schema, Table string   // as the configuration has them
	Columns       []string // in lower case: those of the shard key, Key of them, and those of Lookups
	Key           int
	// Read, for each of Plan.Parts, locks the rows that the statement is about, and answers with texts, all of type BINARY: the Columns as
	// they are, and then, unless the rows are Gone, as they will be. Of an INSERT there is none.
	Read    []Part
	Gone    bool
	Lookups []Entries
	of      *table
}

// Entries are the rows of a lookup table.
type Entries struct {
	Schema, Table string // as the configuration has them
	Columns       []int  // of Change.Columns: its own shard key; besides it has the shard key of the table
	// Insert, of an INSERT, writes the rows, a part for each backend; Rows has their numbers.
	Insert []Part
	Rows   []uint64
	of     *table
}

// Place is the backend of the rows with a shard key, whose values are texts, nil being NULL. The only error is *Refusal.
func (c *Change) Place(values [][]byte) (backend int, _ error) { return c.of.place(values) }

// Place is the backend of an entry. The only error is *Refusal.
func (e *Entries) Place(values [][]byte) (backend int, _ error) { return e.of.place(values) }

func (t *table) place(texts [][]byte) (backend int, _ error) {
	values := make([]Value, len(texts))
	for i, text := range texts {
		if text != nil {
			values[i] = Value{Kind: ValueBytes, Bytes: text}
		}
	}
	return t.locate(values, false)
}

// change is what is known of a Change before the literals are.
type change struct {
	table   *table
	lookups []*table // those that it concerns
	columns []string
	gone    bool
	keys    []keyRef // the new shard key, if all of it is literals
	refused *reason  // why no row may be changed but one that stays and that no lookup table knows
	alone   bool     // it is refused for what each row by itself would be, too
	from    span     // the table reference
	values  []span   // what each of columns gets, of width 0 for one that the statement leaves
	where   span     // the condition, of width 0 if there is none
}

func (t *table) newChange(lookups []*table) *change {
	c := &change{table: t, lookups: lookups, columns: slices.Clone(t.columns)}
	for _, l := range lookups {
		for _, name := range l.columns {
			if !slices.Contains(c.columns, name) {
				c.columns = append(c.columns, name)
			}
		}
	}
	c.values = make([]span, len(c.columns))
	return c
}

func (c *change) size() int { return 256 + 96*len(c.values) }

// refuse notes why the rows may not be changed.
func (c *change) refuse(at int, do, why string) {
	c.alone = true
	c.refuseTogether(at, do, why)
}

// refuseTogether is refuse of what is no matter if the rows are found first: the statement can run in steps.
func (c *change) refuseTogether(at int, do, why string) {
	if c.refused != nil {
		return
	}
	of := c.table.key() + ", the shard key of " + c.table.name
	if len(c.lookups) > 0 {
		of = c.table.name + ", which has lookup table " + c.lookups[0].name
	}
	c.refused = unsupported(at, do, "the statement changes %s, and %s", of, why)
}

// sums tells whether the plan adds up the counts of changes on several backends.
func (p *Plan) sums() bool {
	return p.Merge == MergeOK || p.Merge == MergeChange || p.Merge == MergeSteps || p.Merge == MergeReturning
}

// updating is what an UPDATE of one table does that assigns columns of its shard key or of lookup tables.
func (v *resolver) updating(n *sqlparser.Update, r *ref) *change {
	st, t := v.st, r.table
	rekeyed := slices.ContainsFunc(n.Exprs, func(a *sqlparser.AssignmentExpr) bool { return r.keyed(a.Name.Name.Lowered()) >= 0 })
	var lookups []*table
	for _, l := range t.lookups {
		if rekeyed || slices.ContainsFunc(n.Exprs, func(a *sqlparser.AssignmentExpr) bool { return slices.Contains(l.columns, a.Name.Name.Lowered()) }) {
			lookups = append(lookups, l)
		}
	}
	c := t.newChange(lookups)
	set, where, end := v.cutChange("SET")
	list := st.commas(set+1, min(where, end))
	if set < 0 || len(list) != len(n.Exprs) {
		c.refuse(st.at(0), "write UPDATE table SET column = value WHERE condition", "is not understood")
		return c
	}
	c.cut(v, r, set, where, end)
	literals := 0
	c.keys = make([]keyRef, len(t.columns))
	assigned := map[string]bool{}
	for i, a := range n.Exprs {
		name := a.Name.Name.Lowered()
		if k := slices.Index(c.columns, name); k >= 0 {
			at := st.at(list[i][0])
			value, ok := v.assigned(list[i])
			switch {
			case assigned[name]:
				c.refuse(at, "assign it once", "column "+name+" is assigned twice")
			case !ok:
				c.refuse(at, "write the value", "what is assigned is not understood")
			}
			c.values[k] = st.span(value[0], value[1]-1)
			key, ok := st.literal(a.Expr)
			switch {
			case !ok:
				v.steady(value, assigned, c.refuse)
			case k < len(t.columns):
				c.keys[k], literals = key, literals+1
			}
		}
		assigned[name] = true
	}
	if literals < len(t.columns) {
		c.keys = nil
	}
	return c
}

// deleting is what a DELETE does to lookup tables; nil if there are none.
func (v *resolver) deleting(n *sqlparser.Delete, sc *scope) *change {
	i := slices.IndexFunc(sc.refs, func(r *ref) bool { return r.table != nil && len(r.table.lookups) > 0 })
	if i < 0 {
		return nil
	}
	r := sc.refs[i]
	if len(sc.refs) > 1 || len(n.Targets) > 0 {
		v.stepwise = unsupported(v.st.find(r.name), "write DELETE FROM table WHERE condition", "DELETE by several tables from %s, which has lookup table %s, is not supported so", r.table.name, r.table.lookups[0].name)
		return nil
	}
	c := r.table.newChange(r.table.lookups)
	c.gone = true
	from, where, end := v.cutChange("FROM")
	if from < 0 {
		c.refuse(v.st.at(0), "write DELETE FROM table WHERE condition", "is not understood")
		return c
	}
	c.cut(v, r, from, where, end)
	return c
}

// cut finds the table reference, in front of the word SET at or behind the word FROM at, and the condition, and notes what cannot be done.
func (c *change) cut(v *resolver, r *ref, at, where, end int) {
	st := v.st
	first, last := 1, at-1
	if c.gone {
		first, last = at+1, where-1
	} else {
		for w := st.word(first); w == "LOW_PRIORITY" || w == "IGNORE"; w = st.word(first) {
			first++
		}
	}
	c.from = st.span(first, last)
	if where < end-1 {
		c.where = st.span(where+1, end-1)
	}
	if i := st.has("IGNORE", "ORDER", "LIMIT", "WITH", "RETURNING"); i >= 0 && (st.word(i) != "ORDER" || i > at) {
		c.refuseTogether(st.at(i), "leave it out", "with "+st.word(i)+" it may be about other rows than those that are read before")
	}
	switch {
	case v.subquery || v.derived:
		c.refuseTogether(st.find(r.name), "read it first", "subqueries may see the rows at another time")
	case v.foreign != "":
		c.refuse(st.find(v.foreign), "compute it in the client", "function "+v.foreign+" is not built in")
	case len(v.routines) > 0:
		c.refuse(st.find(v.routines[0].name), "compute it in the client", "function "+v.routines[0].name+" is not built in")
	case v.previous, v.leaves != PinNone:
		c.refuse(st.find(r.name), "run them one after the other", "it depends on other statements of its connection")
	}
}

// cutChange finds a word and WHERE behind it outside of brackets, and the end. WHERE is there if it is not found, the word is -1 then.
func (v *resolver) cutChange(word string) (set, where, end int) {
	st := v.st
	if end = len(st.toks); st.toks[end-1].kind == kSemi {
		end--
	}
	set, where = -1, end
	depth := 0
	for i := range st.toks[:end] {
		switch w := st.word(i); {
		case st.op(i, "("):
			depth++
		case st.op(i, ")"):
			depth--
		case depth > 0:
		case w == word && set < 0:
			set = i
		case w == "WHERE" && set > 0 && where == end:
			where = i
		case (w == "ORDER" || w == "LIMIT" || w == "RETURNING") && set > 0:
			return set, min(where, i), i
		}
	}
	return set, where, end
}

// assigned is the part of an assignment behind its "=".
func (v *resolver) assigned(one [2]int) (value [2]int, ok bool) {
	for i := one[0]; i < one[1]-1; i++ {
		if v.st.op(i, "=") || v.st.op(i, ":=") {
			return [2]int{i + 1, one[1]}, v.st.word(i+1) != "DEFAULT" || v.st.op(i+2, "(")
		}
	}
	return one, false
}

// steady refuses a value that a query before the UPDATE may not find as the UPDATE does.
func (v *resolver) steady(value [2]int, assigned map[string]bool, refuse func(at int, do, why string)) {
	st := v.st
	for i := value[0]; i < value[1]; i++ {
		switch t, name := st.toks[i], strings.ToLower(st.toks[i].name); {
		case t.kind == kUserVar, t.kind == kSysVar:
			refuse(t.start, "write the value", "a variable may have another value in each row")
		case name == "":
		case unlike[name] && st.op(i+1, "("):
			refuse(t.start, "compute it in the client", name+"() has another value each time")
		case assigned[name] && !st.op(i+1, "("):
			refuse(t.start, "assign the shard key first", "its new value depends on "+name+", which is assigned before")
		}
	}
}

// changing plans a change: one that leaves the rows on their only backend, and that no lookup table knows, like any other.
func (sh *shape) changing(pl *placing) (*Plan, *reason, int) {
	c := sh.change
	home := -1
	if c.keys != nil {
		shard, fault := pl.shard(c.table, c.keys)
		if fault != keyGood {
			return nil, pl.why, pl.at
		}
		home = c.table.sharding.backends[shard]
	}
	p, why, at := sh.gather(pl)
	switch {
	case why != nil:
		return nil, why, at
	case len(p.Parts) == 1 && p.Parts[0].Backend == home && len(c.lookups) == 0:
		return p, nil, -1
	case c.inSteps(sh):
		return sh.steps.plan(sh.set, pl.s)
	case c.refused != nil:
		return nil, c.refused, pl.s.retrace(c.refused.at)
	case pl.s.exec:
		return nil, unsupported(-1, "write it without the comment", "rows of %s must be known before, and there is an executable comment", c.table.name), -1
	}
	moving := *p
	moving.Merge, moving.Change = MergeChange, c.table.changed(c.columns, c.lookups)
	moving.Change.Gone = c.gone
	read := c.read(pl.s)
	for _, part := range p.Parts {
		read.Backend = part.Backend
		moving.Change.Read = append(moving.Change.Read, read)
	}
	return &moving, nil, -1
}

// inSteps tells whether the statement runs in steps, because it is refused otherwise.
func (c *change) inSteps(sh *shape) bool {
	return c != nil && c.refused != nil && !c.alone && sh.steps != nil
}

// changed is the Change of rows with these columns.
func (t *table) changed(columns []string, lookups []*table) *Change {
	c := &Change{Schema: t.schema, Table: t.base, Columns: columns, Key: len(t.columns), of: t}
	for _, l := range lookups {
		e := Entries{Schema: l.schema, Table: l.base, of: l}
		for _, name := range l.columns {
			e.Columns = append(e.Columns, slices.Index(columns, name))
		}
		c.Lookups = append(c.Lookups, e)
	}
	return c
}

// read is the query for the rows: what is to be known of them, before and after.
func (c *change) read(s *scan) (p Part) {
	traced := &scan{trace: true}
	traced.read(s.sql, "", s.mode, s.skip)
	sql, params := []byte("SELECT "), []int{}
	part := func(of span) {
		start, end := of.of(traced)
		sql, params = append(sql, s.sql[start:end]...), append(params, s.paramsIn(start, end)...)
	}
	for i, name := range c.columns {
		if i > 0 {
			sql = append(sql, ", "...)
		}
		sql = append(sql, "CAST("+quoteName(name)+" AS BINARY)"...)
	}
	for i, value := range c.values {
		switch {
		case c.gone:
		case value.width == 0:
			sql = append(sql, ", CAST("+quoteName(c.columns[i])+" AS BINARY)"...)
		default:
			sql = append(sql, ", CAST(("...)
			part(value)
			sql = append(sql, ") AS BINARY)"...)
		}
	}
	sql = append(sql, " FROM "...)
	part(c.from)
	if c.where.width > 0 {
		sql = append(sql, " WHERE "...)
		part(c.where)
	}
	p.SQL = append(sql, " LIMIT 18446744073709551615 FOR UPDATE"...) // whatever sql_select_limit is
	if s.params > 0 {
		p.Params = slices.Clip(params)
	}
	return p
}

// quoteName is a name in backticks.
func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
