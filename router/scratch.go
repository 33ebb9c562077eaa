package router

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// Scratch says how a SELECT runs whose tables are not all on one backend and whose answers cannot be put together: the rows of
// its tables are brought to one server, and the client's text runs there.
type Scratch struct {
	Tables []ScratchTable
	// Names are the identifiers of the statement in lower case, sorted: no other columns can be meant, unless a table says All. nil: any.
	Names []string
	With  *ScratchWith // nil: no common table expression is read more than once
	// Informs: there are tables of information_schema that are about schemas; Beside: and others than those of system schemas.
	Informs, Beside bool
	// Direct: the client's text can also run as it is on the Plan's part, if the user may see all of the schemas About, which the tables of
	// information_schema are asked about.
	Direct bool
	About  []string
	// Text, unless it is nil, runs in place of the client's, which is answered with an OK.
	Text []byte
	// InsertID: the text may leave another LAST_INSERT_ID().
	InsertID bool
	// Cuts are where the text qualifies columns of these tables with their schema.
	Cuts []ScratchPlace
	// Orderless, unless it is nil, says when the answer does not depend on the order of the tables' rows.
	Orderless *Orderless
}

// ScratchTable is a table of the statement, once whatever the number of times that it is named.
type ScratchTable struct {
	Schema, Name string // as the statement has them
	Backends     []int  // where the rows are that may count, sorted
	Informs      bool   // it is a table of information_schema, whose rows are Shares
	Shares       []ScratchShare
	Server       bool   // it is another one of a system schema, which tells of the server that reads it
	Whole        bool   // all rows of the table are on its only backend
	Temporary    bool   // it is one of the session's temporary tables
	All          bool   // all of its columns may count
	Alias        string // what Filters qualify its columns with
	Filters      []ScratchFilter
	// Limit, unless it is 0, is how many rows of each backend are enough, the first ones in the order of Order ("": any), if all Filters can be
	// asked and OrderNames are columns of the table.
	Limit      uint64
	Order      []byte
	OrderNames []string
	Lock       string         // the locking clause of the statement, as far as it is about this table
	References int            // how often the statement names it
	Reused     string         // a common table expression that reads it and is itself named more than once
	Places     []ScratchPlace // where; none if that is not certain, because a common table expression has its name
}

// ScratchFilter is a condition on the rows of one table, to be asked of its backends if Names are columns of the table.
type ScratchFilter struct {
	SQL    []byte
	Params []int    // the client's parameters that it takes
	Names  []string // what it names without a qualifier, in lower case
}

// ScratchPlace is where the client's text names a table: sql[Start:End].
type ScratchPlace struct {
	Start, End int
	// Alias is what columns are qualified with, to be written behind another name; "" if the statement has one there.
	Alias string
}

// scratch is what is known of a Scratch before the literals are.
type scratch struct {
	with   *with
	leaves bool    // another LAST_INSERT_ID()
	only   *reason // why the statement runs in no other way, whatever its literals; nil: it may
	names  []string
	tables []scratchTable

	orderless *Orderless
}

type scratchTable struct {
	ScratchTable
	informs string // ref.informs
	home    int    // backend of an unsharded table, or the first one of a broadcast table
	copies  []int  // backends of a broadcast table
	refs    []*ref // of a sharded table
	places  []span
	filters []spanFilter
	wait    int // slot of the literal at the end of Lock, -1: none
	order   span
	limits  []keyRef // the literals of LIMIT, whose sum is enough; nil: all rows are needed
}

// span is a part of the shape: from the start of one token to the end of another one.
type span struct {
	start, last, width, slot int
}

type spanFilter struct {
	span
	names []string
}

func (sc *scratch) size() int {
	n := 64
	for _, name := range sc.names {
		n += 16 + len(name)
	}
	if sc.with != nil {
		n += 256 * len(sc.with.exprs)
	}
	for _, t := range sc.tables {
		n += 256 + 64*len(t.refs) + 96*(len(t.places)+len(t.filters))
		for _, r := range t.refs {
			r.pick.literals(func(int) { n += 32 })
		}
	}
	return n
}

// span is the part of the shape from token i to token j.
func (st *stmt) span(i, j int) span {
	s := span{start: st.toks[i].start, last: st.toks[j].start, width: st.toks[j].end - st.toks[j].start, slot: -1}
	if st.toks[j].kind.literal() {
		s.slot = st.toks[j].slot
	}
	return s
}

// of is the part of the client's text; s has traced it.
func (p span) of(s *scan) (from, to int) {
	if p.slot >= 0 {
		return s.source(p.start), s.lits[p.slot].end
	}
	return s.source(p.start), s.source(p.last) + p.width
}

// scratch is how the statement can run on scratch tables, nil if it cannot.
func (v *resolver) scratch() *scratch {
	st := v.st
	if !v.reads || v.foreign != "" || v.previous || v.leaves > PinUserVariable || st.callsAny(lockFunctions) || st.has("PROCEDURE") >= 0 {
		return nil
	}
	if i := st.has("INTO"); i >= 0 && (i+1 == len(st.toks) || st.toks[i+1].kind != kUserVar) { // a file
		return nil
	}
	sc := &scratch{names: st.identifiers(), leaves: st.has("LAST_INSERT_ID") >= 0}
	at, reused := map[string]int{}, v.reused()
	if len(reused) > 0 {
		sc.with = v.withClause()
	}
	for _, src := range v.sources {
		if src.cte != "" {
			continue
		}
		key := src.schema + "." + strings.ToLower(src.name)
		i, known := at[key]
		if !known {
			i = len(sc.tables)
			at[key] = i
			t := scratchTable{informs: src.informs, home: src.place.backend, wait: -1}
			if c := src.place.copied; c != nil {
				t.home, t.copies = c.copies[0], c.copies
			}
			t.Schema, t.Name, t.Temporary, t.Whole = src.schema, src.name, src.place.temporary, src.place.table == nil
			t.Informs, t.Server = src.informs != "", src.place.system && src.informs == ""
			if strings.EqualFold(t.Schema, st.schema) {
				t.Schema = st.schema
			}
			sc.tables = append(sc.tables, t)
		}
		t := &sc.tables[i]
		t.References++
		if name := reused[src.ref]; name != "" {
			t.Reused = name
		}
		t.refs = append(t.refs, src.ref)
		t.All = t.All || src.all
	}
	factors := st.factors()
	count := map[string]int{}
	for _, f := range factors {
		count[f.key(st)]++
	}
	for _, f := range factors {
		i, ok := at[f.key(st)]
		switch {
		case !ok:
		case count[f.key(st)] == len(sc.tables[i].refs):
			sc.tables[i].named(v, &f)
		case len(f.block.locks) > 0: // a common table expression has the same name, so it is not certain what is to be locked
			return nil
		}
	}
	sc.orderless = v.orderless()
	return sc
}

// callsAny tells whether one of the functions, whose names are in upper case, is called.
func (st *stmt) callsAny(functions map[string]bool) bool {
	for i := range st.toks {
		if functions[strings.ToUpper(st.toks[i].name)] && st.op(i+1, "(") {
			return true
		}
	}
	return false
}

// key is the table in lower case.
func (f *factor) key(st *stmt) string {
	in := f.schema
	if in == "" {
		in = st.schema
	}
	return strings.ToLower(in) + "." + strings.ToLower(f.name)
}

// named notes a place in the statement that names the table.
func (t *scratchTable) named(v *resolver, f *factor) {
	st := v.st
	t.Schema, t.Name = f.schema, f.name
	if f.schema == "" {
		t.Schema = st.schema
	}
	place := ScratchPlace{}
	if f.alias == "" && !f.whole {
		place.Alias = st.text[st.toks[f.last].start:st.toks[f.last].end]
	}
	t.Places = append(t.Places, place)
	t.places = append(t.places, st.span(f.first, f.last))
	t.Alias = f.called()
	for _, l := range f.block.locks {
		if l.of == nil || slices.Contains(l.of, strings.ToLower(f.called())) {
			t.Lock, t.wait = l.text, l.wait
		}
	}
	if len(t.refs) > 1 || t.refs[0].optional || v.pipes() >= 0 {
		return
	}
	whole := true
	for _, c := range st.conjuncts(f.block.where[0], f.block.where[1]) {
		if c[0] == c[1] {
			continue
		}
		names, ok := st.plain(f, c[0], c[1])
		if ok {
			t.filters = append(t.filters, spanFilter{st.span(c[0], c[1]-1), names})
		}
		whole = whole && ok
	}
	if whole {
		t.first(v, f)
	}
}

// first notes how many rows are enough, if the statement has but this table and sorts and counts its rows as they are.
func (t *scratchTable) first(v *resolver, f *factor) {
	st, b := v.st, f.block
	tree, plain := v.tree.(*sqlparser.Select)
	if !plain || len(st.blanks) > 0 || len(v.sources) > 1 || v.derived || v.subquery || v.aggregate || v.leaves != PinNone || len(b.locks) > 0 || b.limit[0] == 0 ||
		st.has("DISTINCT", "DISTINCTROW", "GROUP", "HAVING", "UNION", "EXCEPT", "INTERSECT", "FETCH") >= 0 {
		return
	}
	if b.order[0] < b.order[1] {
		names, ok := st.plain(f, b.order[0], b.order[1])
		if !ok || slices.ContainsFunc(st.toks[b.order[0]:b.order[1]], func(t tok) bool { return t.kind.literal() }) {
			return
		}
		names = slices.DeleteFunc(names, func(name string) bool { return name == "asc" || name == "desc" })
		for _, e := range tree.SelectExprs {
			if a, ok := e.(*sqlparser.AliasedExpr); ok && slices.Contains(names, a.As.Lowered()) {
				return // it is not the column that is sorted by
			}
		}
		t.order, t.OrderNames = st.span(b.order[0], b.order[1]-1), names
	}
	for i := b.limit[0]; i < b.limit[1]; i += 2 {
		if k := st.toks[i]; k.kind == kInt || k.kind == kParam {
			t.limits = append(t.limits, keyRef{slot: k.slot})
		} else {
			t.limits = nil
			return
		}
	}
}

// enough is the sum of LIMIT's numbers, 0 if it is not known.
func (t *scratchTable) enough(pl *placing) (sum uint64) {
	for _, ref := range t.limits {
		n, ok := pl.count(ref.slot)
		if sum += n; !ok || sum < n {
			return 0
		}
	}
	return sum
}

// identifiers are the names in the statement, in lower case, sorted; nil if some are not ASCII, whose case is not folded here.
func (st *stmt) identifiers() []string {
	names := []string{}
	for _, t := range st.toks {
		if strings.ContainsFunc(t.name, func(r rune) bool { return r >= 0x80 }) {
			return nil
		}
		if t.name != "" {
			names = append(names, strings.ToLower(t.name))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// common is a backend that has all of the statement's tables, -1 if there is none.
func (sc *scratch) common() int {
	own := slices.DeleteFunc(slices.Clone(sc.tables), func(t scratchTable) bool { return t.Informs || t.Server })
	if len(own) == 0 {
		return -1
	}
	for _, b := range own[0].has() {
		if !slices.ContainsFunc(own, func(t scratchTable) bool { return !slices.Contains(t.has(), b) }) {
			return b
		}
	}
	return -1
}

// has is the backends that have the table.
func (t *scratchTable) has() []int {
	switch {
	case t.copies != nil:
		return t.copies
	case t.Whole:
		return []int{t.home}
	}
	return t.refs[0].table.sharding.backends
}

// backends are those that the shards are on, sorted.
func (m *sharding) on(shards *shardSet) (on []int) {
	for n, b := range m.backends {
		if shards.has(n) && !slices.Contains(on, b) {
			on = append(on, b)
		}
	}
	slices.Sort(on)
	return on
}

// literals calls f with the slots of all literals that choose the shards.
func (sc *scratch) literals(f func(slot int)) {
	for _, t := range sc.tables {
		for _, r := range t.refs {
			r.pick.literals(f)
		}
		for _, k := range t.limits {
			f(k.slot)
		}
	}
}

// picked is the shards of each reference to a sharded table. Rows that are joined by the shard key are on the same shards.
func (sc *scratch) picked(pl *placing) map[*ref]*shardSet {
	picked := map[*ref]*shardSet{}
	for _, t := range sc.tables {
		for _, r := range t.refs {
			if r.table != nil {
				picked[r] = &shardSet{}
				pl.shards(r.table, r.pick, picked[r])
			}
		}
	}
	for range picked { // as far as chains of joins go
		for r, shards := range picked {
			for _, w := range r.with {
				picked[w].intersect(shards)
			}
		}
	}
	return picked
}

// plan is the plan of the statement read into pl.s; base is all of it but what is about the tables. pl is nil for a description only.
func (sc *scratch) plan(set *planSet, pl *placing, s *scan) *Plan {
	p := set.base
	p.Merge, p.Scratch = MergeScratch, &Scratch{Names: sc.names, InsertID: sc.leaves}
	traced := &scan{trace: true}
	traced.read(s.sql, "", s.mode, s.skip)
	p.Scratch.With = sc.with.of(traced)
	if sc.orderless.holds(s) {
		p.Scratch.Orderless = sc.orderless
	}
	sc.bring(&p, pl, s, traced)
	if b := p.Parts[0].Backend; len(p.Parts) == 1 {
		return set.on(b)
	}
	return &p
}

// bring notes the tables in the plan, and as its parts the backends that have rows of them.
func (sc *scratch) bring(p *Plan, pl *placing, s, traced *scan) {
	var picked map[*ref]*shardSet
	if pl != nil {
		picked = sc.picked(pl)
	}
	for i, from := range sc.tables {
		t := sc.table(i, s, traced)
		switch {
		case t.Informs, t.Server:
			p.Scratch.Tables = append(p.Scratch.Tables, t)
			continue
		case t.Whole:
			t.Backends = []int{from.home}
		case pl == nil:
			t.Backends = from.refs[0].table.sharding.on(&from.refs[0].table.sharding.all)
		default:
			var shards shardSet
			for _, r := range from.refs {
				shards.unite(picked[r])
			}
			t.Backends = from.refs[0].table.sharding.on(&shards)
		}
		if len(t.Backends) == 0 { // there are no such rows: any shard knows that
			t.Backends = from.has()[:1]
		}
		if from.wait >= 0 {
			t.Lock = fmt.Sprintf("%s %s", t.Lock, s.sql[s.lits[from.wait].start:s.lits[from.wait].end])
		}
		if !s.exec && pl != nil {
			if t.Limit = from.enough(pl); t.Limit > 0 && from.order.width > 0 {
				start, end := from.order.of(traced)
				t.Order = slices.Clone(s.sql[start:end])
				if len(s.paramsIn(start, end)) > 0 { // nobody binds them there
					t.Limit, t.Order = 0, nil
				}
			}
		}
		p.Scratch.Tables = append(p.Scratch.Tables, t)
		for _, b := range t.Backends {
			if !slices.ContainsFunc(p.Parts, func(part Part) bool { return part.Backend == b }) {
				p.Parts = append(p.Parts, Part{Backend: b})
			}
		}
	}
	slices.SortFunc(p.Parts, func(a, b Part) int { return a.Backend - b.Backend })
}

// table is the i-th table with what the text that was read into s, and traced, says of it.
func (sc *scratch) table(i int, s, traced *scan) ScratchTable {
	from := &sc.tables[i]
	t := from.ScratchTable
	t.Places = slices.Clone(t.Places)
	for i := range t.Places {
		t.Places[i].Start, t.Places[i].End = from.places[i].of(traced)
	}
	if s.exec {
		return t
	}
	for _, f := range from.filters {
		start, end := f.of(traced)
		t.Filters = append(t.Filters, ScratchFilter{slices.Clone(s.sql[start:end]), s.paramsIn(start, end), f.names})
	}
	return t
}

// paramsIn are the parameters between two places of the text.
func (s *scan) paramsIn(from, to int) (all []int) {
	for _, l := range s.lits {
		if l.kind == kParam && l.start >= from && l.end <= to {
			all = append(all, int(l.param))
		}
	}
	return all
}
