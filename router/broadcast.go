package router

import (
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// Broadcast tables are whole on several backends. A read of nothing else goes to any of them, and beside other tables a broadcast
// table goes wherever these are. A write runs on every backend that has a copy, and must do the same on each: what may
// give another result there is refused.

// readCopies is the shape of a statement that reads broadcast tables, and no sharded one.
func (v *resolver) readCopies() (*shape, *reason) {
	c := v.st.r.catalog
	on := v.copied[0].copied.copies
	for _, r := range v.copied[1:] {
		on = common(on, r.copied.copies)
	}
	home := v.home
	if home < 0 && v.foreign != "" {
		home = c.owner(v.st.schema, v.foreignSchema)
	}
	switch {
	case home >= 0 && !slices.Contains(on, home):
		t := v.lacks()[home]
		return nil, unsupported(v.st.find(base(t.name)), "give it a copy there", "the broadcast table %s is not on backend %s, where the statement's other tables or functions are", t.name, c.backends[home])
	case home >= 0:
		return v.shape(v.st.r, home), nil
	case len(on) == 0:
		return nil, unsupported(v.st.find(v.copied[0].name), "read them one after the other, or give them common backends", "no backend has all the broadcast tables of the statement")
	case v.write: // it locks rows: everybody must meet on the same backend, on the one where writes begin
		return v.shape(v.st.r, on[0]), nil
	}
	return v.readCopy(v.st.r, on), nil
}

// readCopy is the shape of a statement that any of these backends can answer.
func (f *finding) readCopy(r *Router, on []int) *shape {
	if len(on) == 1 {
		return f.shape(r, on[0])
	}
	p := f.plan()
	p.Parts, p.Copies = []Part{{Backend: OneCopy}}, on
	return &shape{plan: &p}
}

// common are the backends in both lists.
func common(a, b []int) (both []int) {
	for _, x := range a {
		if slices.Contains(b, x) {
			both = append(both, x)
		}
	}
	return both
}

// lacks is, by backend, a broadcast table of the statement that the backend does not have; nil if all have all of them.
func (v *resolver) lacks() (lacks []*table) {
	n := len(v.st.r.catalog.backends)
	for _, r := range v.copied {
		if len(r.copied.copies) == n {
			continue
		}
		if lacks == nil {
			lacks = make([]*table, n)
		}
		for b := range lacks {
			if !r.copied.whole(b) {
				lacks[b] = r.copied
			}
		}
	}
	return lacks
}

// base is the name without its schema.
func base(name string) string { return name[strings.IndexByte(name, '.')+1:] }

// besideCopies tells whether an outer join has rows of a broadcast table also where this one has none: every shard would have them.
func (r *ref) besideCopies() bool {
	return slices.ContainsFunc(r.beside, func(b *ref) bool { return b.copied != nil })
}

// broadcast is a broadcast table whose name the statement contains; "" if none.
func (st *stmt) broadcast() string {
	for _, t := range st.toks {
		for _, s := range st.r.catalog.schemas {
			if have := s.tables[strings.ToLower(t.name)]; have != nil && have.copies != nil {
				return have.name
			}
		}
	}
	return ""
}

// assignCopies notes the broadcast tables that UPDATE changes by an assignment to the column.
func (v *resolver) assignCopies(c *sqlparser.ColName, sc *scope) {
	named := strings.ToLower(c.Qualifier.Name.String())
	for _, r := range sc.refs {
		switch {
		case r.copied == nil, named != "" && named != r.alias, slices.Contains(v.written, r):
		case named == "" && slices.ContainsFunc(sc.refs, func(o *ref) bool { return o.copied == nil }):
			v.refuse(unsupported(v.st.find(c.Name.String()), "qualify it with the table", "column %s may be of the broadcast table %s or of another one", c.Name, r.copied.name))
		default:
			v.written = append(v.written, r)
		}
	}
}

// unlike are functions that may have another value on another server, or when they are called again. NOW() and its like are
// none: the session sets the time of the statement. Lower case.
var unlike = set(`
	uuid uuid_short uuid_v4 uuid_v7 sys_guid rand random_bytes sysdate encrypt password old_password version database schema current_role
	load_file benchmark sleep master_gtid_wait master_pos_wait source_pos_wait wait_for_executed_gtid_set binlog_gtid_pos gtid_subset
	gtid_subtract ps_current_thread_id ps_thread_id icu_version validate_password_strength roles_graphml can_access_column
	can_access_database can_access_table convert_tz coercibility
`)

// inexact are functions whose result the mathematical library of a server rounds: PostgreSQL's may be another one. Lower case.
var inexact = set(`sin cos tan cot asin acos atan atan2 exp ln log log2 log10 pow power degrees radians`)

// orderly are words of statements whose effect may depend on the order in which a server finds its rows, which need not be that of
// another one.
var orderly = []string{"LIMIT", "FETCH", "GROUP", "DISTINCT", "DISTINCTROW", "OVER", "WINDOW", "UNION", "EXCEPT", "INTERSECT"}

// everywhere is the shape of a statement that changes broadcast tables: it runs on all backends that have them.
func (v *resolver) everywhere() (*shape, *reason) {
	st, t := v.st, v.written[0].copied
	at := st.find(v.written[0].name)
	refuse := func(at int, do, why string) (*shape, *reason) {
		return nil, unsupported(at, do, "the statement changes the broadcast table %s, and %s", t.name, why)
	}
	switch {
	case len(v.sharded) > 0:
		return refuse(st.find(v.sharded[0].name), "read it first", "the sharded table "+v.sharded[0].table.name+" is not whole on any of its backends")
	case v.home >= 0:
		return refuse(at, "read it first", v.homeOf+" is on one backend")
	case v.system:
		return refuse(at, "read it first", "system schemas are not the same on all of its backends")
	}
	for _, r := range v.copied {
		if len(common(r.copied.copies, t.copies)) < len(t.copies) {
			return refuse(st.find(r.name), "read it first", "the broadcast table "+r.copied.name+" is not on all of its backends")
		}
	}
	for _, r := range v.written {
		if len(r.copied.copies) != len(t.copies) {
			return refuse(st.find(r.name), "change one at a time", "the broadcast table "+r.copied.name+" has other backends")
		}
	}
	for i, k := range st.toks {
		if name := strings.ToLower(k.name); unlike[name] && st.op(i+1, "(") {
			return refuse(k.start, "compute it in the client", name+"() may have another value on each of its backends")
		}
	}
	if t.mixed {
		for i, k := range st.toks {
			name := strings.ToLower(k.name)
			if st.op(i+1, "(") && (inexact[name] || strings.HasPrefix(name, "json_") || name == "unix_timestamp" && !st.op(i+2, ")")) {
				return refuse(k.start, "compute it in the client", name+"() may have another value on PostgreSQL")
			}
		}
		if v.real > 1 || v.derived || v.subquery {
			return refuse(at, "read it first", "it reads other rows than those it changes, which PostgreSQL may see at another moment")
		}
	}
	if i := slices.IndexFunc(st.toks, func(k tok) bool { return k.kind == kSysVar }); i >= 0 {
		return refuse(st.at(i), "read it first", "system variables may have other values on each of its backends")
	}
	switch i := st.has(orderly...); {
	case i >= 0:
		return refuse(st.at(i), "name the rows by their key, or read them first", "with "+st.word(i)+" it may change other rows on each of its backends")
	case v.aggregate:
		return refuse(at, "read it first", "the value of an aggregate function may depend on the order of rows")
	case v.foreign != "":
		return refuse(st.find(v.foreign), "compute it in the client", "function "+v.foreign+" is not built in")
	case len(v.routines) > 0:
		return refuse(st.find(v.routines[0].name), "compute it in the client", "function "+v.routines[0].name+" is not built in")
	case v.previous, v.leaves != PinNone:
		return refuse(at, "run them one after the other", "it depends on other statements of its connection")
	}
	if i := st.has("IGNORE"); i >= 0 && (v.unordered || st.word(0) != "INSERT") {
		return refuse(st.at(i), "leave IGNORE out", "with IGNORE it may skip other rows on each of its backends")
	}
	if i := st.has("RETURNING"); i >= 0 {
		return refuse(st.at(i), "read the rows behind it", "RETURNING is not supported")
	}
	if v.unordered && (st.word(0) == "REPLACE" || st.has("DUPLICATE") >= 0) {
		return refuse(at, "read the rows first and insert literals", "which of the query's rows replace others may depend on their order")
	}
	p := v.plan()
	p.Merge, p.Unordered, p.Inserts = MergeOne, v.unordered, st.word(0) == "INSERT" || st.word(0) == "REPLACE"
	if t.mixed {
		p.Mixed = Object{t.schema, t.base}
	}
	for _, b := range t.copies {
		p.Parts = append(p.Parts, Part{Backend: b})
	}
	return &shape{plan: &p}, nil
}
