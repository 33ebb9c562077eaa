package router

import (
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/xaproxy/xaproxy/config"
)

// query plans SELECT, INSERT, REPLACE, UPDATE, DELETE, DO and their relatives.
func (st *stmt) query(f finding) (*shape, *reason) {
	st.unwrap()
	tree, at, err := st.parse()
	if err != nil {
		f.write = true
		return st.loose(f, at)
	}
	v := &resolver{st: st, finding: f, tree: tree}
	var in *insert
	switch tree := tree.(type) {
	case *sqlparser.Select, *sqlparser.SetOp, *sqlparser.ParenSelect:
		v.reads = true
		v.query(tree.(sqlparser.SelectStatement), nil)
		v.blanks()
		v.routed()
		v.reads = !v.write // what a sequence or a function changes is not on scratch tables
		v.write = v.write || st.locks()
	case *sqlparser.Insert:
		v.write, v.changes = true, true
		in = v.insert(tree)
	case *sqlparser.Update:
		v.write, v.changes = true, true
		v.update(tree)
	case *sqlparser.Delete:
		v.write, v.changes = true, true
		v.delete(tree)
	default:
		f.write = true
		return st.loose(f, 0)
	}
	if v.changes {
		v.routed()
	}
	if v.why != nil {
		return nil, v.why
	}
	if sh, why := v.aimed(in); sh != nil || why != nil {
		return sh, why
	}
	return v.unaimed(in)
}

// unwrap takes off brackets that are around the whole query.
func (st *stmt) unwrap() {
	for st.op(0, "(") && st.derives(0) {
		end := st.closing(0)
		if end >= len(st.toks) || end+1 < len(st.toks) && st.toks[end+1].kind != kSemi {
			return
		}
		st.toks = st.toks[1:end]
		st.wraps++
	}
}

// unaimed is the shape of a resolved statement.
func (v *resolver) unaimed(in *insert) (*shape, *reason) {
	if in != nil {
		return v.inserted(in)
	}
	return v.placed()
}

// locks tells whether a SELECT takes row locks or writes a file.
func (st *stmt) locks() bool {
	for i := range st.toks {
		switch st.word(i) {
		case "FOR":
			if w := st.word(i + 1); w == "UPDATE" || w == "SHARE" {
				return true
			}
		case "LOCK":
			if st.word(i+1) == "IN" {
				return true
			}
		case "INTO": // a file
			if i+1 == len(st.toks) || st.toks[i+1].kind != kUserVar {
				return true
			}
		}
	}
	return false
}

// placed is the shape of a resolved statement other than an INSERT into a sharded table.
func (v *resolver) placed() (*shape, *reason) {
	c := v.st.r.catalog
	if v.stepwise != nil {
		return v.instead(v.stepwise)
	}
	if len(v.written) > 0 {
		sh, why := v.everywhere()
		if why != nil {
			return v.instead(why)
		}
		return sh, nil
	}
	for _, r := range v.sharded {
		r.pick = r.pick.complete(len(r.table.columns))
	}
	if v.reads && v.system {
		if v.pipes() >= 0 {
			v.unpick()
		}
		if sh := v.informed(); sh != nil {
			return sh, nil
		}
	}
	if len(v.sharded) == 0 && len(v.copied) > 0 && v.split == nil {
		return v.readCopies()
	}
	if len(v.sharded) == 0 && v.split == nil {
		home := v.home
		if home < 0 && v.foreign != "" && v.real == 0 && len(c.backends) > 1 {
			home = c.owner(v.st.schema, v.foreignSchema)
			if home < 0 && !config.SystemSchema(strings.ToLower(v.foreignSchema)) {
				return nil, unsupported(v.st.find(v.foreign), "qualify it with a schema that has a [[schemas]] entry",
					"function %s is not built in, and no schema says which backend has it", v.foreign)
			}
		}
		if home < 0 && v.changes && v.system {
			return nil, unsupported(-1, "run it on the backend itself", "writing to system schemas is not supported")
		}
		if sh := v.informed(); sh != nil {
			return sh, nil
		}
		if home < 0 && v.system && len(v.about) > 0 && len(c.backends) > 1 {
			return &shape{set: v.st.r.plans.get(v.plan(), len(c.backends)), fixed: -1, about: v.about, catalog: c}, nil
		}
		return v.shape(v.st.r, home), nil
	}
	sh := &shape{set: v.st.r.plans.get(v.plan(), len(c.backends)), fixed: v.home, fixedOf: v.homeOf, lacks: v.lacks(), catalog: c, scratch: v.scratch(), steps: v.steps()}
	why := v.split
	if i := slices.IndexFunc(v.sources, func(s source) bool { return s.informs != "" }); i >= 0 && why == nil {
		why = unsupported(v.st.find(v.sources[i].name), "read it first", "the statement changes rows of %s, and %s on their backend shows what that has", v.sharded[0].table.name, informationSchema)
	}
	if why == nil {
		why = v.drive(sh)
	}
	if i := v.pipes(); i >= 0 && len(v.sharded) > 0 {
		if why == nil {
			why = unsupported(v.st.at(i), "write OR or CONCAT()", "|| has two meanings, and the statement reads the sharded table %s", v.sharded[0].table.name)
		}
		v.unpick() // what limits the rows is not certain either
	}
	switch {
	case sh.scratch != nil:
		sh.scratch.only = why
	case sh.steps != nil:
		sh.steps.only = why
	case why != nil:
		return nil, why
	}
	sh.merge, sh.stream, sh.whole = v.merging()
	if sh.merge == MergeStream && len(v.routines) > 0 { // they may have another value each time
		sh.merge, sh.stream, sh.whole = MergeNone, nil, "it calls a stored function"
	}
	if v.foreign != "" {
		sh.advice = "call the function in a statement of its own, and write its value into this one"
	}
	i := slices.IndexFunc(sh.roots, func(r root) bool { return r.pick == nil && r.found != nil })
	if i >= 0 && why == nil && !v.previous && !(v.changes && v.st.has("RETURNING") >= 0) { // whose rows cannot wait for the end of a transaction of the statement's own
		sh.asks = &sh.roots[i]
	}
	if sh.change = v.change; sh.change == nil && sh.asks == nil {
		sh.everywhere()
	}
	return sh, nil
}

// unpick forgets what limits the rows of sharded tables.
func (v *resolver) unpick() {
	for _, r := range v.sharded {
		r.pick, r.with, r.found = nil, nil, nil
	}
}

// drive finds the tables that choose the shards.
func (v *resolver) drive(sh *shape) *reason {
	for _, r := range v.sharded {
		r.spread()
		if !slices.ContainsFunc(v.sharded, func(r *ref) bool { return !r.pinned }) && !r.besideCopies() {
			sh.driven = true
			sh.roots = append(sh.roots, root{r.table, r.pick, r.found})
			if v.top != nil && slices.Contains(v.top.refs, r) {
				v.drivers = append(v.drivers, r)
			}
		}
		for _, r := range v.sharded {
			r.pinned = false
		}
	}
	sh.filtered = v.st.has("WHERE") >= 0
	if sh.driven {
		return nil
	}
	for _, r := range v.sharded {
		if r.pick != nil {
			sh.roots = append(sh.roots, root{r.table, r.pick, nil})
			r.spread()
		}
	}
	for _, r := range v.sharded {
		if !r.pinned {
			return unsupported(v.st.find(r.name), "compare it with literals, or with the shard key of another table",
				"the statement does not say which %s, the shard key of %s, it means", r.table.key(), r.table.name)
		}
	}
	return nil
}

// owner is the backend that functions of the schema are on, -1 if unknown.
func (c *catalog) owner(current, in string) int {
	if in == "" {
		in = current
	}
	if s := c.schemas[strings.ToLower(in)]; s != nil {
		return s.backend
	}
	return -1
}

// pipes is the token ||, -1 if there is none.
func (v *resolver) pipes() int {
	for i := range v.st.toks {
		if v.st.op(i, "||") {
			return i
		}
	}
	return -1
}

// oneBackend are words of changes that are not the sum of their parts.
var oneBackend = []string{"ORDER", "LIMIT", "WITH"}

// merging says how the answers of several backends are put together, or why they cannot be.
func (v *resolver) merging() (Merge, *stream, string) {
	st := v.st
	switch {
	case v.home >= 0 || v.system:
		return MergeNone, nil, "only sharded tables are supported across backends yet"
	case v.previous:
		return MergeNone, nil, "it depends on the statement before it"
	case v.foreign != "":
		return MergeNone, nil, "function " + v.foreign + " is not built in" + v.foreignWhy
	case v.leaves != PinNone:
		return MergeNone, nil, "it leaves state (" + v.leaves.String() + ") on one connection"
	case v.reads && st.mode&SelectLimit != 0:
		return MergeNone, nil, "each of them would go by sql_select_limit"
	}
	if w := st.word(0); w != "UPDATE" && w != "DELETE" {
		return v.streaming()
	}
	switch i := st.has(oneBackend...); {
	case i >= 0:
		return MergeNone, nil, st.word(i) + " is not supported across backends yet"
	case v.derived || v.subquery:
		return MergeNone, nil, "subqueries are not supported across backends yet"
	case st.has("RETURNING") >= 0:
		return MergeReturning, nil, ""
	}
	return MergeOK, nil, ""
}

// inserted is the shape of an INSERT into a sharded table.
func (v *resolver) inserted(in *insert) (*shape, *reason) {
	if in.only != nil {
		return v.instead(in.only)
	}
	if !in.query && (v.real > 1+len(v.copied) || v.derived || v.subquery) {
		return v.instead(unsupported(v.st.find(in.table.name[strings.IndexByte(in.table.name, '.')+1:]), "insert literals",
			"inserting the result of a query into the sharded table %s is not supported yet", in.table.name))
	}
	if in.query {
		return v.spread(in)
	}
	if v.columns != "" {
		return v.shape(v.st.r, in.table.first()), nil
	}
	sh := &shape{set: v.st.r.plans.get(v.plan(), len(v.st.r.catalog.backends)), insert: in, fixed: -1, merge: MergeOK, lacks: v.lacks(), catalog: v.st.r.catalog}
	switch {
	case v.previous:
		sh.merge, sh.whole = MergeNone, "it depends on the statement before it"
	case v.leaves == PinLastInsertID && in.rowwise != nil: // each row is a statement
	case v.leaves != PinNone:
		sh.merge, sh.whole = MergeNone, "it leaves state ("+v.leaves.String()+") on one connection"
	case v.foreign != "":
		sh.merge, sh.whole = MergeNone, "function "+v.foreign+" is not built in"+v.foreignWhy
	case v.st.has("RETURNING") >= 0:
		sh.merge = MergeReturning
	}
	return sh, nil
}
