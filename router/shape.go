package router

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"
	"sync"
)

// shape is what is known about all statements that differ only in their literals. It is immutable.
type shape struct {
	// Exactly one of plan, refused and set is not nil.
	plan    *Plan    // of a statement whose place does not depend on literals
	refused *reason  // its position counts in the shape
	set     *planSet // plans to choose from by the shard keys
	roots   []root   // the keys that choose, for all but an INSERT into a sharded table
	insert  *insert  // an INSERT into a sharded table
	fixed   int      // backend of the statement's unsharded tables, -1: it has none
	fixedOf string   // what it has there
	about   []int    // slots of literals that may name the schema that a statement on system schemas is about
	catalog *catalog // of about
	merge   Merge    // how the answers of several backends become one, MergeNone: they cannot
	whole   string   // with MergeNone, why the statement cannot run on several backends
}

// root is a sharded table whose rows the statement picks by the keys at these places.
type root struct {
	table *table
	keys  []keyRef
}

// keyRef is a literal that is a shard key: the slot-th placeholder of the shape. minus: a minus sign goes before it.
type keyRef struct {
	slot  int
	minus bool
}

// insert is an INSERT into a sharded table. keys has one entry for each row shape, or only one for INSERT ... SET.
type insert struct {
	table *table
	keys  []keyRef
	rows  bool // VALUES, not SET
}

func (sh *shape) size() int {
	n := 256
	for _, r := range sh.roots {
		n += 48 + 16*len(r.keys)
	}
	if sh.insert != nil {
		n += 64 + 16*len(sh.insert.keys)
	}
	n += 8 * len(sh.about)
	if sh.plan != nil {
		n += 256
	}
	if sh.refused != nil {
		n += 96 + len(sh.refused.text) + len(sh.refused.do)
	}
	return n
}

// planSet is the plans that differ only in their one backend; by[0] is for AnyBackend.
type planSet struct {
	base Plan
	by   []Plan
}

// on is the plan for the backend.
func (p *planSet) on(backend int) *Plan { return &p.by[backend+1] }

// maxPlanSets bounds the sets that shapes share; further shapes have their own.
const maxPlanSets = 1 << 12

// planSets are the sets in use, shared between shapes.
type planSets struct {
	mu   sync.Mutex // protects following fields
	sets map[string]*planSet
}

func (s *planSets) get(base Plan, backends int) *planSet {
	lists := [][]string{base.Schemas, base.Variables, base.Temporary}
	key := fmt.Sprint(base.Write, base.ImplicitCommit, base.LastConn, base.Own, base.Server, base.Pin, base.Unpin, base.Drops, base.Program, base.Privileged)
	for _, l := range lists {
		key += "\x01" + strings.Join(l, "\x00")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.sets[key]; p != nil {
		return p
	}
	p := &planSet{base: base, by: make([]Plan, backends+1)}
	parts := make([]Part, backends+1)
	for i := range p.by {
		parts[i].Backend = i - 1
		p.by[i] = base
		p.by[i].Parts = parts[i : i+1 : i+1]
	}
	if s.sets == nil {
		s.sets = map[string]*planSet{}
	}
	if len(s.sets) < maxPlanSets {
		s.sets[key] = p
	}
	return p
}

// equal tells whether two plans say the same.
func equal(a, b *Plan) bool { return reflect.DeepEqual(a, b) }

// choose picks or makes the plan by the keys of the statement that was read into s. The int is the place in the client's
// text that the reason is about.
func (sh *shape) choose(s *scan, value func(int) Value) (*Plan, *reason, int) {
	switch {
	case sh.refused != nil:
		return nil, sh.refused, s.retrace(sh.refused.at)
	case sh.insert != nil:
		return sh.chooseInsert(s, value)
	}
	home := sh.fixed
	for i := range sh.roots {
		root := &sh.roots[i]
		for _, k := range root.keys {
			lit := s.lits[k.slot]
			b, why := root.table.place(s, lit, k.minus, value)
			if why != nil {
				return nil, why, lit.start
			}
			if home < 0 {
				home = b
			}
			if b != home {
				return sh.several(s, lit.start, value)
			}
		}
	}
	if home < 0 && sh.about != nil {
		home = sh.catalog.asked(sh.about, s, value)
	}
	return sh.set.on(home), nil, -1
}

// retrace finds where a place of the shape is in the client's text.
func (s *scan) retrace(shape int) int {
	if shape < 0 {
		return -1
	}
	t := scan{trace: true}
	t.read(s.sql, "", s.mode, s.skip)
	return t.source(shape)
}

// place is the backend of the rows with this key. value is not called for text without parameters.
func (t *table) place(s *scan, lit literal, minus bool, value func(int) Value) (int, *reason) {
	var k key
	var fault keyFault
	if lit.kind == kParam {
		fault = k.value(value(int(lit.param)), minus)
	} else {
		fault = k.parse(s.sql[lit.start:lit.end], lit.kind, minus, s.mode)
	}
	if fault == keyGood {
		var shard int
		if shard, fault = k.shard(t.function, len(t.backends)); fault == keyGood {
			return t.backends[shard], nil
		}
	}
	do := "write a plain integer or an ASCII string"
	if lit.kind == kParam {
		do = "bind a plain integer or an ASCII string"
	}
	return 0, unsupported(-1, do, "the value of the shard key %s of %s %s", t.column, t.name, keyFaults[fault])
}

// several makes the plan of a statement whose keys are on more than one backend, seen at the literal that begins at at.
func (sh *shape) several(s *scan, at int, value func(int) Value) (*Plan, *reason, int) {
	if sh.fixed >= 0 {
		return nil, unsupported(at, "run one statement for each backend", "the rows of this shard key are not on the backend of %s", sh.fixedOf), at
	}
	if sh.merge == MergeNone {
		return nil, unsupported(at, "run it once for each backend", "the statement's shard keys are on several backends, and %s", sh.whole), at
	}
	root := &sh.roots[0]
	var backends []int
	for _, k := range root.keys {
		lit := s.lits[k.slot]
		b, why := root.table.place(s, lit, k.minus, value)
		if why != nil {
			return nil, why, lit.start
		}
		if !slices.Contains(backends, b) {
			backends = append(backends, b)
		}
	}
	sort.Ints(backends)
	p := sh.set.base
	p.Merge = sh.merge
	for _, b := range backends {
		p.Parts = append(p.Parts, Part{Backend: b})
	}
	return &p, nil, -1
}

// chooseInsert places each row of an INSERT.
func (sh *shape) chooseInsert(s *scan, value func(int) Value) (*Plan, *reason, int) {
	in := sh.insert
	if !in.rows {
		lit := s.lits[in.keys[0].slot]
		b, why := in.table.place(s, lit, in.keys[0].minus, value)
		if why != nil {
			return nil, why, lit.start
		}
		return sh.set.on(b), nil, -1
	}
	if len(in.keys) != len(s.likes) {
		return nil, unsupported(-1, "write VALUES (...), (...)", "the rows of the INSERT are not understood"), -1
	}
	home := -1
	for _, r := range s.rows {
		lit, b, why := in.row(s, r, value)
		switch {
		case why != nil:
			return nil, why, lit.start
		case home < 0:
			home = b
		case b != home:
			return sh.cut(s, lit.start, value)
		}
	}
	return sh.set.on(home), nil, -1
}

// row is the backend of one row, and the literal that says so.
func (in *insert) row(s *scan, r row, value func(int) Value) (literal, int, *reason) {
	lit := in.literal(s, r)
	b, why := in.table.place(s, lit, in.keys[r.like].minus, value)
	return lit, b, why
}

// literal is the shard key of one row.
func (in *insert) literal(s *scan, r row) literal {
	return s.lits[r.lit+in.keys[r.like].slot-s.likes[r.like].slot]
}

// cut makes one statement for each backend: the text before the rows, its rows in their order, and the text behind them. At
// at it was seen that there is more than one backend.
func (sh *shape) cut(s *scan, at int, value func(int) Value) (*Plan, *reason, int) {
	if sh.merge == MergeNone {
		return nil, unsupported(at, "run it once for each backend", "the rows are for several backends, and %s", sh.whole), at
	}
	if s.exec {
		return nil, unsupported(at, "write it without the comment", "the rows are for several backends, and there is an executable comment"), at
	}
	head, tail := s.sql[:s.rows[0].start], s.sql[s.rows[len(s.rows)-1].end:]
	params := paramReader{lits: s.lits}
	headParams := params.until(len(head))
	p := sh.set.base
	p.Merge = sh.merge
	for _, r := range s.rows {
		lit, b, why := sh.insert.row(s, r, value)
		if why != nil {
			return nil, why, lit.start
		}
		i := slices.IndexFunc(p.Parts, func(q Part) bool { return q.Backend == b })
		if i < 0 {
			i = len(p.Parts)
			p.Parts = append(p.Parts, Part{Backend: b, SQL: slices.Clone(head)})
			if s.params > 0 {
				p.Parts[i].Params = append([]int{}, headParams...)
			}
		} else {
			p.Parts[i].SQL = append(p.Parts[i].SQL, ',', ' ')
		}
		p.Parts[i].SQL = append(p.Parts[i].SQL, s.sql[r.start:r.end]...)
		p.Parts[i].Params = append(p.Parts[i].Params, params.until(r.end)...)
	}
	tailParams := params.until(len(s.sql))
	for i := range p.Parts {
		p.Parts[i].SQL = append(p.Parts[i].SQL, tail...)
		p.Parts[i].Params = append(p.Parts[i].Params, tailParams...)
	}
	slices.SortFunc(p.Parts, func(a, b Part) int { return a.Backend - b.Backend })
	return &p, nil, -1
}
