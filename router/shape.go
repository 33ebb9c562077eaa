package router

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"
	"sync"
)

// shape is what is known about all statements that differ only in their literals. It is immutable, but for what is counted.
type shape struct {
	tally Tally
	// Exactly one of plan, refused and set is not nil.
	plan        *Plan        // of a statement whose place does not depend on literals
	refused     *reason      // its position counts in the shape
	set         *planSet     // plans to choose from by the shard keys
	roots       []root       // the tables that choose, for all but an INSERT into a sharded table
	driven      bool         // each of roots pins all other tables: with several shards, each of these has its share of the answer
	insert      *insert      // an INSERT into a sharded table
	fixed       int          // backend of the statement's unsharded tables, -1: it has none
	fixedOf     string       // what it has there
	lacks       []*table     // by backend: a broadcast table that the statement reads and the backend does not have; nil: there is none
	about       []int        // slots of literals that may name the schema that a statement on system schemas is about
	catalog     *catalog     // of about and lacks
	hints       *hints       // what must be true of the plan, nil: nothing
	information *information // of a statement about tables of information_schema, else nil
	scratch     *scratch     // how it runs if it runs in no other way, nil: it does not
	steps       *steps       // the same of a change
	filtered    bool         // it has a WHERE
	harmless    bool         // it need not have one
	explains    bool         // it is explained: of several backends the first will do
	stream      *stream      // of MergeStream
	change      *change      // of an UPDATE or DELETE whose rows must be known, else nil
	asks        *root        // the one of roots whose lookup table is asked first, nil: none
	all         *Plan        // of a statement that runs on all backends of its tables, whatever its literals are; else nil
	merge       Merge        // how the answers of several backends become one, MergeNone: they cannot
	whole       string       // with MergeNone, why the statement cannot run on several backends
	advice      string       // what to do then, "": run it once for each backend
}

// root is a sharded table with what the statement picks of it.
type root struct {
	table *table
	pick  *pick
	found *looked
}

// keyRef is a literal that is a shard key: the slot-th placeholder of the shape. minus: a minus sign goes before it.
type keyRef struct {
	slot  int
	minus bool
}

// insert is an INSERT into a sharded table. keys has one key for each row shape, or only one for INSERT ... SET, a literal for each
// column of the key.
type insert struct {
	table *table
	keys  []keyRef
	rows  bool    // VALUES, not SET
	query bool    // INSERT ... SELECT of rows that are on the same shard already
	only  *reason // why it is none of these, and runs in steps if it can
	likes int     // row shapes
	// computed are the values of the shard key that are no literals.
	computed []computedKey
	// numbers is of a table that has a sequence.
	numbers *numbering
	entries []entering // of its lookup tables
	rowwise *rowwise   // how its rows are written one after the other, else nil
}

func (sh *shape) size() int {
	n := 256
	for _, r := range sh.roots {
		if n += 48; r.found != nil {
			n += 32 + 16*len(r.found.keys)
		}
		r.pick.literals(func(int) { n += 32 })
	}
	if sh.insert != nil {
		n += 64 + 16*len(sh.insert.keys)
		for _, e := range sh.insert.entries {
			n += 32 + 16*len(e.keys)
		}
		if sh.insert.numbers != nil {
			n += 64 + 16*len(sh.insert.numbers.given)
		}
	}
	n += 8 * len(sh.about)
	if sh.plan != nil {
		n += 256
	}
	if sh.stream != nil { // with the statement's tree
		n += 1024 + 512*len(sh.stream.block.st.toks)
	}
	if sh.scratch != nil {
		n += sh.scratch.size()
	}
	if sh.steps != nil {
		n += sh.steps.size()
	}
	if sh.change != nil {
		n += sh.change.size()
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

// several is a new plan for several backends, with no parts yet but with room for some.
func (p *planSet) several(merge Merge) *Plan {
	one := &struct {
		plan  Plan
		parts [4]Part
	}{plan: p.base}
	one.plan.Merge, one.plan.Parts = merge, one.parts[:0]
	return &one.plan
}

// maxPlanSets bounds the sets that shapes share; further shapes have their own.
const maxPlanSets = 1 << 12

// planSets are the sets in use, shared between shapes.
type planSets struct {
	mu   sync.Mutex // protects following fields
	sets map[string]*planSet
}

func (s *planSets) get(base Plan, backends int) *planSet {
	lists := [][]string{base.Schemas, base.Variables, base.Temporary}
	key := fmt.Sprintln(base.Write, base.ImplicitCommit, base.LastConn, base.Own, base.Server, base.Pin, base.Unpin, base.Drops, base.Renames, base.Program, base.Privileged, base.Sequence, base.Columns, base.Ignore, base.Partial, base.Returning)
	for _, l := range lists {
		key += "\x01" + strings.Join(l, "\x00")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.sets[key]; p != nil {
		return p
	}
	p := newPlanSet(base, backends)
	if s.sets == nil {
		s.sets = map[string]*planSet{}
	}
	if len(s.sets) < maxPlanSets {
		s.sets[key] = p
	}
	return p
}

func newPlanSet(base Plan, backends int) *planSet {
	p := &planSet{base: base, by: make([]Plan, backends+1)}
	parts := make([]Part, backends+1)
	for i := range p.by {
		parts[i].Backend = i - 1
		p.by[i] = base
		p.by[i].Parts = parts[i : i+1 : i+1]
	}
	return p
}

// equal tells whether two plans say the same.
func equal(a, b *Plan) bool { return reflect.DeepEqual(a, b) }

// choose picks or makes the plan by the keys of the statement that was read into s. The int is the place in the client's
// text that the reason is about.
func (sh *shape) choose(s *scan, value func(int) Value) (*Plan, *reason, int) {
	p, why, at := sh.place(s, value)
	if why == nil && sh.hints != nil {
		if why = sh.hints.check(p); why != nil {
			return nil, why, -1
		}
	}
	if why == nil && sh.lacks != nil && p.Merge != MergeScratch {
		for _, part := range p.Parts {
			if t := sh.lacks[part.Backend]; t != nil {
				return nil, unsupported(-1, "give it a copy there", "the statement goes to backend %s, where the broadcast table %s is not", sh.catalog.backends[part.Backend], t.name), -1
			}
		}
	}
	return p, why, at
}

func (sh *shape) place(s *scan, value func(int) Value) (*Plan, *reason, int) {
	switch {
	case sh.refused != nil:
		return nil, sh.refused, s.retrace(sh.refused.at)
	case sh.insert != nil:
		return sh.chooseInsert(s, value)
	}
	if sh.all != nil {
		return sh.all, nil, -1
	}
	pl := placing{s: s, value: value, at: -1}
	inSteps := sh.steps != nil && (sh.merge == MergeNone || sh.change.inSteps(sh)) // whose query asks for itself
	if sh.asks != nil && s.found == nil && !inSteps {
		if p := sh.ask(&pl); p != nil {
			return p, nil, -1
		}
	}
	if sh.change != nil {
		return sh.changing(&pl)
	}
	if sh.information != nil {
		if sh.scratch != nil {
			return sh.inform(s, &pl), nil, -1
		}
		p, why := sh.information.only(sh, &pl)
		if why != nil && sh.steps != nil {
			sh.steps.only = why
			return sh.steps.plan(sh.set, s)
		}
		return p, why, -1
	}
	if sh.scratch != nil && sh.scratch.only != nil {
		return sh.scratch.plan(sh.set, &pl, s), nil, -1
	}
	if sh.steps != nil && sh.steps.only != nil {
		return sh.steps.plan(sh.set, s)
	}
	if len(sh.roots) == 1 {
		r := &sh.roots[0]
		if keys := r.pick.single(len(r.table.columns)); keys != nil {
			if shard, fault := pl.shard(r.table, keys); fault == keyGood {
				if b := r.table.sharding.backends[shard]; sh.fixed < 0 || b == sh.fixed {
					return sh.set.on(b), nil, -1
				}
			}
		}
	}
	return sh.gather(&pl)
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

// everywhere makes the plan of a statement that no shard key limits.
func (sh *shape) everywhere() {
	sh.all = nil
	if !sh.driven || sh.fixed >= 0 || sh.merge != MergeRows && sh.merge != MergeOK ||
		slices.ContainsFunc(sh.roots, func(r root) bool { return r.pick != nil }) {
		return
	}
	on := slices.Clone(sh.roots[0].table.sharding.backends) // all roots have the same shards
	slices.Sort(on)
	if on = slices.Compact(on); len(on) > 1 {
		sh.all = sh.on(on, sh.merge, false)
	}
}

// on is the plan on these backends, whose parts are the client's text.
func (sh *shape) on(backends []int, merge Merge, limited bool) *Plan {
	p := sh.set.several(merge)
	switch {
	case limited || sh.harmless:
	case sh.filtered:
		p.Scatter = ScatterWhere
	default:
		p.Scatter = ScatterAll
	}
	for _, b := range backends {
		p.Parts = append(p.Parts, Part{Backend: b})
	}
	return p
}

// gather picks or makes the plan of a statement that may be about several shards.
func (sh *shape) gather(pl *placing) (*Plan, *reason, int) {
	var picked shardSet
	var on []int // backends
	limited := false
	for i := range sh.roots {
		r := &sh.roots[i]
		var shards shardSet
		if r == sh.asks && pl.s.found != nil {
			shards, limited = *pl.s.found, true
		} else {
			limited = pl.shards(r.table, r.pick, &shards) || limited
		}
		if i > 0 && sh.driven {
			shards.intersect(&picked)
			on = nil
		}
		picked = shards
		for n := range shards.all() {
			if b := r.table.sharding.backends[n]; !slices.Contains(on, b) {
				on = append(on, b)
			}
		}
	}
	merge, whole := sh.merge, sh.whole
	if merge == MergeStream && !sh.stream.fits(pl) {
		merge, whole = MergeNone, "its columns cannot be compared or added up exactly outside of a server"
	}
	switch home := sh.fixed; {
	case home < 0 && len(on) == 0 && len(sh.roots) > 0: // there are no such rows: any shard knows that
		return sh.set.on(sh.roots[0].table.first()), nil, -1
	case home < 0 && len(on) == 1:
		return sh.set.on(on[0]), nil, -1
	case home >= 0 && (len(on) == 0 || len(on) == 1 && on[0] == home):
		return sh.set.on(home), nil, -1
	case home < 0 && len(sh.roots) == 0:
		if sh.about != nil {
			home = sh.catalog.asked(sh.about, pl.s, pl.value)
		}
		return sh.set.on(home), nil, -1
	case sh.explains && home < 0 && sh.driven: // each has all tables
		return sh.set.on(slices.Min(on)), nil, -1
	case sh.scratch != nil && (home >= 0 || !sh.driven || merge == MergeNone):
		return sh.scratch.plan(sh.set, pl, pl.s), nil, -1
	case sh.steps != nil && (home >= 0 || !sh.driven || merge == MergeNone):
		return sh.steps.plan(sh.set, pl.s)
	case pl.why != nil && (home >= 0 || !sh.driven || merge == MergeNone):
		return nil, pl.why, pl.at
	case home >= 0:
		return nil, unsupported(-1, "run one statement for each backend", "the rows of %s that the statement may mean are not all on the backend of %s", sh.roots[0].table.name, sh.fixedOf), sh.where(pl)
	case !sh.driven:
		return nil, unsupported(-1, "compare the shard keys of all tables with each other, or with literals of one shard", "the statement joins rows of several backends, which is not supported yet"), sh.where(pl)
	case merge == MergeNone:
		do := "run it once for each backend"
		if sh.advice != "" {
			do = sh.advice
		}
		return nil, unsupported(-1, do, "the statement's rows are on several backends, and %s", whole), sh.where(pl)
	}
	sort.Ints(on)
	p := sh.on(on, merge, limited)
	if merge == MergeStream {
		if why, at := sh.stream.plan(p, pl); why != nil {
			return nil, why, at
		}
	}
	return p, nil, -1
}

// where is the place of the first shard key in the client's text, -1 if there is none.
func (sh *shape) where(pl *placing) int {
	at := -1
	for _, r := range sh.roots {
		r.pick.literals(func(slot int) {
			if at < 0 {
				at = pl.s.lits[slot].start
			}
		})
	}
	return at
}
