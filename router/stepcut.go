package router

import (
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

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
	if !named || i < 0 || v.sources[i].place.system {
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
	i := slices.IndexFunc(v.sources, func(s source) bool { return s.ref == r && s.cte == "" && !s.place.system })
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
	t.Planned = v.change != nil || r.table != nil && len(r.table.lookups) > 0
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
