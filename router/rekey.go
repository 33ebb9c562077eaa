package router

import (
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// Change is what a session has to know of the rows of an UPDATE that may change their shard key: Plan.Parts run as they are, and
// rows whose key is of another backend then are brought there.
type Change struct {
	Schema, Table string   // as the configuration has them
	Key           []string // the columns of the shard key, in their order, in lower case
	// Read, for each of Plan.Parts, locks the rows that the statement is about, and answers with texts, all of type BINARY: the shard
	// key as it is, and as it will be, each in the order of Key.
	Read []Part
	of   *table
}

// Place is the backend of the rows with a shard key, whose values are texts, nil being NULL. The only error is *Refusal.
func (c *Change) Place(values [][]byte) (backend int, _ error) {
	keys := make([]key, len(values))
	for i, v := range values {
		one := Value{Kind: ValueBytes, Bytes: v}
		if v == nil {
			one.Kind = ValueNull
		}
		keys[i].date = c.of.sharding.moments
		if fault := keys[i].value(one, false); fault != keyGood {
			return 0, misplaced(c.of, i, fault, false).refusal(-1)
		}
	}
	shard, fault := 0, keyGood
	if len(keys) == 1 {
		shard, fault = c.of.sharding.shard(&keys[0])
	} else {
		shard, fault = c.of.sharding.together(keys)
	}
	if fault != keyGood {
		return 0, misplaced(c.of, 0, fault, false).refusal(-1)
	}
	return c.of.sharding.backends[shard], nil
}

// change is what is known of a Change before the literals are.
type change struct {
	table *table
	keys  []keyRef // the new shard key, if all of it is literals
	// refused is why no row may move; one that stays may be changed all the same.
	refused *reason
	from    span   // the table reference
	values  []span // what each column of the key gets, of width 0 for a column that the statement leaves
	where   span   // the condition, of width 0 if there is none
}

func (c *change) size() int { return 256 + 64*len(c.values) }

// sums tells whether the plan adds up the counts of changes on several backends.
func (p *Plan) sums() bool {
	return p.Merge == MergeOK || p.Merge == MergeChange || p.Merge == MergeSteps || p.Merge == MergeReturning
}

// rekeying is what an UPDATE of one table does that assigns columns of its shard key.
func (v *resolver) rekeying(n *sqlparser.Update, r *ref) *change {
	st, t := v.st, r.table
	c := &change{table: t, values: make([]span, len(t.columns))}
	refuse := func(at int, do, why string) {
		if c.refused == nil {
			c.refused = unsupported(at, do, "the UPDATE changes %s, the shard key of %s, and %s", t.key(), t.name, why)
		}
	}
	set, where, end := v.cutUpdate()
	list := st.commas(set+1, min(where, end))
	if set < 0 || len(list) != len(n.Exprs) {
		c.refused = unsupported(st.at(0), "write UPDATE table SET column = value WHERE condition", "the UPDATE of the shard key of %s is not understood", t.name)
		return c
	}
	first := 1
	for w := st.word(first); w == "LOW_PRIORITY" || w == "IGNORE"; w = st.word(first) {
		first++
	}
	c.from = st.span(first, set-1)
	if where < end-1 {
		c.where = st.span(where+1, end-1)
	}
	if i := st.has("IGNORE", "ORDER", "LIMIT", "WITH", "RETURNING"); i >= 0 && (st.word(i) != "ORDER" || i > set) {
		refuse(st.at(i), "leave it out", "with "+st.word(i)+" it may be about other rows than those that are read before")
	}
	switch {
	case v.subquery || v.derived:
		refuse(st.find(r.name), "read it first", "subqueries may see the rows at another time")
	case v.foreign != "":
		refuse(st.find(v.foreign), "compute it in the client", "function "+v.foreign+" is not built in")
	case v.previous, v.leaves != PinNone:
		refuse(st.find(r.name), "run them one after the other", "it depends on other statements of its connection")
	}
	literals := 0
	c.keys = make([]keyRef, len(t.columns))
	assigned := map[string]bool{}
	for i, a := range n.Exprs {
		name := a.Name.Name.Lowered()
		if k := r.keyed(name); k >= 0 {
			at := st.at(list[i][0])
			value, ok := v.assigned(list[i])
			switch {
			case assigned[name]:
				refuse(at, "assign it once", "column "+name+" is assigned twice")
			case !ok:
				refuse(at, "write the value", "what is assigned is not understood")
			}
			c.values[k] = st.span(value[0], value[1]-1)
			if key, ok := st.literal(a.Expr); ok {
				c.keys[k], literals = key, literals+1
			} else {
				v.steady(value, assigned, refuse)
			}
		}
		assigned[name] = true
	}
	if literals < len(t.columns) {
		c.keys = nil
	}
	return c
}

// cutUpdate finds SET and WHERE of an UPDATE outside of brackets, and its end: those that are not there are at the end; SET is -1 then.
func (v *resolver) cutUpdate() (set, where, end int) {
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
		case w == "SET" && set < 0:
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

// changing plans a change: one that leaves the rows on their only backend like any other.
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
	case len(p.Parts) == 1 && p.Parts[0].Backend == home:
		return p, nil, -1
	case c.refused != nil:
		return nil, c.refused, pl.s.retrace(c.refused.at)
	case pl.s.exec:
		return nil, unsupported(-1, "write it without the comment", "rows of %s may move, and there is an executable comment", c.table.name), -1
	}
	moving := *p
	moving.Merge, moving.Change = MergeChange, &Change{Schema: c.table.schema, Table: c.table.base, Key: c.table.columns, of: c.table}
	read := c.read(pl.s)
	for _, part := range p.Parts {
		read.Backend = part.Backend
		moving.Change.Read = append(moving.Change.Read, read)
	}
	return &moving, nil, -1
}

// read is the query for the rows: their keys, before and after.
func (c *change) read(s *scan) (p Part) {
	traced := &scan{trace: true}
	traced.read(s.sql, "", s.mode, s.skip)
	sql, params := []byte("SELECT "), []int{}
	part := func(of span) {
		start, end := of.of(traced)
		sql, params = append(sql, s.sql[start:end]...), append(params, s.paramsIn(start, end)...)
	}
	for _, name := range c.table.columns {
		sql = append(sql, "CAST("+quoteName(name)+" AS BINARY), "...)
	}
	for i, value := range c.values {
		if i > 0 {
			sql = append(sql, ", "...)
		}
		sql = append(sql, "CAST("...)
		if value.width == 0 {
			sql = append(sql, quoteName(c.table.columns[i])...)
		} else {
			sql = append(sql, '(')
			part(value)
			sql = append(sql, ')')
		}
		sql = append(sql, " AS BINARY)"...)
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
