package router

import (
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// A lookup table is a unique index of a sharded table over all shards, and itself a sharded table: its shard key are columns of the
// table, and it has the table's shard key besides. Conditions on these columns choose the shards by what it answers, and
// whatever changes them changes it, in the same transaction (rekey.go, entry.go).

// Lookup is a question to a lookup table, whose answer chooses the shards of a statement.
type Lookup struct {
	Table string // schema.table, as the configuration has them
	// Ask is the query, a part for each backend. Its columns, all of type BINARY, are the shard key that rows have.
	Ask []Part
	Key int // how many columns these are
	// Changes tells that the statement is an UPDATE or DELETE: the answer must be true until that is committed.
	Changes bool

	of    *reading
	bound map[int]Value // to the statement's parameters
}

// Then is the plan of the statement when the lookup table has answered, also to be made several times. The only error is *Refusal.
func (l *Lookup) Then(rows [][][]byte) (*Plan, error) {
	s, sh := l.of.scan, l.of.shape
	s.found = sh.asks.table.where(rows)
	p, why, at := sh.choose(&s, func(param int) Value { return l.bound[param] })
	if why != nil {
		return nil, why.refusal(at)
	}
	return p, nil
}

// looked is a condition that a lookup table answers: its shard key is one of these literals.
type looked struct {
	table   *table
	keys    []keyRef
	changes bool // the statement is an UPDATE or DELETE
}

// lookUp finds the conditions that lookup tables of the tables of a FROM clause answer.
func (v *resolver) lookUp(conds []condition, sc *scope) {
	for i, r := range sc.refs {
		if r.table == nil {
			continue
		}
		for _, l := range r.table.lookups {
			as := &ref{alias: r.alias, schema: r.schema, name: r.name, table: l}
			in := *sc
			in.refs = slices.Clone(sc.refs)
			in.refs[i] = as
			for _, c := range conds {
				if p := v.picks(c.expr, &in)[as]; p != nil && slices.Contains(c.of, r) {
					as.pick = both(as.pick, p)
				}
			}
			if p := as.pick.complete(len(l.columns)); p != nil && p.op == pickKeys && r.found == nil {
				r.found = &looked{l, p.keys, v.changes}
			}
		}
	}
}

// ask is the plan that asks the lookup table first, nil if it cannot be asked.
func (sh *shape) ask(pl *placing) *Plan {
	r := sh.asks
	l, s := r.found.table, pl.s
	if s.exec {
		return nil
	}
	ask := &Lookup{Table: l.schema + "." + l.base, Key: len(r.table.columns), Changes: r.found.changes}
	head := "SELECT "
	for i, name := range r.table.columns {
		if i > 0 {
			head += ", "
		}
		head += "CAST(" + quoteName(name) + " AS BINARY)"
	}
	head += " FROM " + quoteName(l.schema) + "." + quoteName(l.base) + " WHERE "
	for key := range slices.Chunk(r.found.keys, len(l.columns)) {
		shard, fault := pl.shard(l, key)
		if fault == keyNowhere {
			continue // there are no such rows
		} else if fault != keyGood {
			pl.why, pl.at = nil, -1
			return nil
		}
		p := partOn(&ask.Ask, l.sharding.backends[shard], head, " OR ")
		for i, k := range key {
			p.SQL = append(p.SQL, map[bool]string{true: "(", false: " AND "}[i == 0]+quoteName(l.columns[i])+" = "...)
			p.literal(s, k)
		}
		p.SQL = append(p.SQL, ')')
	}
	for i := range ask.Ask {
		ask.Ask[i].SQL = append(ask.Ask[i].SQL, " LIMIT 18446744073709551615"...)
		if sh.set.base.Write {
			ask.Ask[i].SQL = append(ask.Ask[i].SQL, " FOR UPDATE"...)
		}
	}
	ask.of = &reading{shape: sh}
	ask.of.read(slices.Clone(s.sql), "", s.mode, s.skip)
	ask.bound = map[int]Value{} // not pl.value itself, which would be moved to the heap for every statement, looked up or not
	for _, param := range ask.of.keys() {
		ask.bound[param] = pl.value(param)
	}
	p := *sh.set.on(r.table.first())
	p.Lookup = ask
	return &p
}

// where is the shards of rows with these keys; all, if a key has no place.
func (t *table) where(rows [][][]byte) *shardSet {
	shards := &shardSet{}
	for _, values := range rows {
		home, err := t.place(values)
		if err != nil {
			return &t.sharding.all
		}
		for n, b := range t.sharding.backends {
			if b == home {
				shards.add(n)
			}
		}
	}
	return shards
}

// partOn is the part of a backend, which is begun with head, and goes on with between.
func partOn(parts *[]Part, backend int, head, between string) *Part {
	i := slices.IndexFunc(*parts, func(p Part) bool { return p.Backend == backend })
	if i < 0 {
		*parts = append(*parts, Part{Backend: backend, SQL: []byte(head)})
		return &(*parts)[len(*parts)-1]
	}
	(*parts)[i].SQL = append((*parts)[i].SQL, between...)
	return &(*parts)[i]
}

// literal appends a literal of the statement.
func (p *Part) literal(s *scan, k keyRef) {
	if k.minus {
		p.SQL = append(p.SQL, "- "...) // two of them would be a comment
	}
	lit := s.lits[k.slot]
	p.SQL = append(p.SQL, s.sql[lit.start:lit.end]...)
	if s.params > 0 && p.Params == nil {
		p.Params = []int{}
	}
	if lit.kind == kParam {
		p.Params = append(p.Params, int(lit.param))
	}
}

// assignLookup notes an assignment to what lookup tables of the table have.
func (v *resolver) assignLookup(c *sqlparser.ColName, r *ref, sc *scope) {
	if r.table == nil {
		return
	}
	name, q := c.Name.Lowered(), strings.ToLower(c.Qualifier.Name.String())
	for _, l := range r.table.lookups {
		switch {
		case !slices.Contains(l.columns, name), q != "" && q != r.alias:
		case len(sc.refs) > 1:
			v.stepwise = unsupported(v.st.find(c.Name.String()), "name no other table in the UPDATE", "changing %s, which lookup table %s has, by an UPDATE of several tables is not supported so", name, l.name)
		default:
			v.rekeyed = true
		}
	}
}
