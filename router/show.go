package router

import (
	"maps"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/config"
)

// showServer are the SHOW statements about the server, which any backend answers in its way, by the words behind SHOW and its
// modifiers.
var showServer = [][]string{
	{"VARIABLES"},
	{"STATUS"},
	{"ENGINES"},
	{"STORAGE", "ENGINES"},
	{"ENGINE"},
	{"COLLATION"},
	{"CHARACTER", "SET"},
	{"CHARSET"},
	{"PLUGINS"},
	{"PRIVILEGES"},
	{"AUTHORS"},
	{"CONTRIBUTORS"},
	{"LOCALES"},
}

// showAny are those about accounts.
var showAny = [][]string{{"GRANTS"}, {"CREATE", "USER"}}

// showAll are those about all schemas.
var showAll = [][]string{{"DATABASES"}, {"SCHEMAS"}, {"FUNCTION", "STATUS"}, {"PROCEDURE", "STATUS"}, {"PACKAGE"}}

// showSchema are those about a schema: SHOW ... [FROM schema].
var showSchema = [][]string{{"TABLES"}, {"TABLE", "STATUS"}, {"OPEN", "TABLES"}, {"TRIGGERS"}, {"EVENTS"}}

// showTable are those about a table: SHOW ... FROM table [FROM schema].
var showTable = [][]string{{"COLUMNS"}, {"FIELDS"}, {"INDEX"}, {"INDEXES"}, {"KEYS"}}

func (st *stmt) any(i int, of [][]string) bool {
	for _, w := range of {
		if st.words(i, w...) {
			return true
		}
	}
	return false
}

// show plans SHOW. https://dev.mysql.com/doc/refman/8.4/en/show.html
func (st *stmt) show(f finding) (*shape, *reason) {
	c := st.r.catalog
	if i := st.from(1).has("SELECT"); i >= 0 {
		return st.loose(f, i+1)
	}
	i := st.shown()
	switch {
	case st.any(i, showServer):
		f.server = true
		return f.shape(st.r, AnyBackend), nil
	case st.any(i, showAny):
		return f.shape(st.r, AnyBackend), nil
	case st.any(i, showAll):
		return st.showAll(f, st.word(i) == "DATABASES" || st.word(i) == "SCHEMAS"), nil
	case st.word(1) == "WARNINGS", st.word(1) == "ERRORS":
		return st.diagnostics(f, 1)
	case st.word(1) == "COUNT" && st.op(2, "(") && st.op(3, "*") && st.op(4, ")") && (st.word(5) == "WARNINGS" || st.word(5) == "ERRORS"):
		return st.diagnostics(f, 5)
	case st.word(i) == "PROCESSLIST" && i <= 2 && i+1 == len(st.toks):
		return &shape{plan: &Plan{Verb: Processes, Full: i == 2}}, nil
	case st.any(i, showSchema):
		return st.showSchema(f, i)
	case st.any(i, showTable):
		return st.showTable(f, i+1)
	case st.word(i) == "CREATE":
		i += 2
		if st.words(i, "IF", "NOT", "EXISTS") {
			i += 3
		}
		o, next, ok := st.object(i)
		if !ok || next < len(st.toks) {
			return nil, st.wrong(i)
		}
		switch st.word(2) {
		case "TABLE", "VIEW", "SEQUENCE":
			return st.showObject(f, o)
		case "DATABASE", "SCHEMA":
			return st.showIn(f, o.name, o.at)
		}
		if o.schema == "" {
			o.schema = st.schema
		}
		if s := c.schemas[strings.ToLower(o.schema)]; s != nil && s.backend >= 0 {
			f.schemas[strings.ToLower(o.schema)] = true
			return f.shape(st.r, s.backend), nil
		}
	}
	if len(c.backends) > 1 {
		return nil, unsupported(st.at(i), "run it on the backend itself", "SHOW %s is not supported: %s", st.word(i), oneServer)
	}
	return st.loose(f, i)
}

// diagnostics plans SHOW [COUNT(*)] WARNINGS or ERRORS, which is the i-th token. What follows is for a server to look at.
func (st *stmt) diagnostics(f finding, i int) (*shape, *reason) {
	p := *st.r.plans.get(f.plan(), len(st.r.catalog.backends)).on(AnyBackend)
	p.Verb, p.Errors, p.Count = Diagnostics, st.word(i) == "ERRORS", i > 1
	return &shape{plan: &p}, nil
}

// shown is the place of what is to be shown, behind SHOW and its modifiers.
func (st *stmt) shown() int {
	i := 1
	for w := st.word(i); w == "FULL" || w == "EXTENDED" || w == "GLOBAL" || w == "SESSION" || w == "LOCAL" || w == "ALL"; w = st.word(i) {
		i++
	}
	return i
}

// showSchema plans SHOW TABLES [{FROM | IN} schema] and the like; the i-th token is the first word of what is shown.
func (st *stmt) showSchema(f finding, i int) (*shape, *reason) {
	name, at := st.schema, -1
	for i := range st.toks {
		if w := st.word(i); (w == "FROM" || w == "IN") && i <= 5 {
			o, _, ok := st.object(i + 1)
			if !ok || o.schema != "" {
				return nil, st.wrong(i + 1)
			}
			name, at = o.name, o.at
			break
		}
		if w := st.word(i); w == "LIKE" || w == "WHERE" {
			break
		}
	}
	in := strings.ToLower(name)
	c := st.r.catalog
	switch {
	case in == "":
		return nil, noSchema(-1)
	case c.schemas[in] == nil, st.word(i) == "EVENTS", c.verbatim(in) >= 0: // what is no part of a table is on the schema's own backend
		return st.showIn(f, name, at)
	}
	f.schemas[in] = true
	p := f.listing(c.on(in), Listing{Schema: in, Needs: c.schemas[in].needs()})
	switch st.word(i) {
	case "TABLE":
		p.Listing.Sums = []int{4, 6, 8, 9}
	case "OPEN":
		p.Listing.Table, p.Listing.Unsorted = 1, true
	case "TRIGGERS":
		p.Listing.Table = 2
	}
	return &shape{plan: p}, nil
}

// showAll plans SHOW DATABASES, or a list of what all schemas have besides tables.
func (st *stmt) showAll(f finding, schemas bool) *shape {
	c := st.r.catalog
	l := Listing{Table: -1}
	for _, in := range slices.Sorted(maps.Keys(c.schemas)) {
		on := c.on(in)
		if !schemas {
			on = on[:1]
		}
		if !slices.ContainsFunc(l.Needs, func(have []int) bool { return slices.Equal(have, on) }) {
			l.Needs = append(l.Needs, on)
		}
	}
	all := make([]int, len(c.backends))
	for b := range all {
		all[b] = b
	}
	return &shape{plan: f.listing(all, l)}
}

// listing is the plan of a list that these backends give.
func (f *finding) listing(on []int, l Listing) *Plan {
	p := f.plan()
	for _, b := range slices.Sorted(slices.Values(on)) {
		p.Parts = append(p.Parts, Part{Backend: b})
	}
	p.Merge, p.Listing = MergeListing, &l
	return &p
}

// showIn answers from the backend that knows the schema.
func (st *stmt) showIn(f finding, name string, at int) (*shape, *reason) {
	c := st.r.catalog
	in := strings.ToLower(name)
	f.schemas[in] = true
	switch {
	case config.SystemSchema(in):
		return f.shape(st.r, AnyBackend), nil
	case c.schemas[in] == nil:
		return nil, c.unknown(name, at)
	}
	return f.shape(st.r, c.first(in)), nil
}

// showTable reads {FROM | IN} table [{FROM | IN} schema].
func (st *stmt) showTable(f finding, i int) (*shape, *reason) {
	if w := st.word(i); w != "FROM" && w != "IN" {
		return nil, st.wrong(i)
	}
	o, next, ok := st.object(i + 1)
	if !ok {
		return nil, st.wrong(i + 1)
	}
	if w := st.word(next); w == "FROM" || w == "IN" {
		in, _, ok := st.object(next + 1)
		if !ok || in.schema != "" {
			return nil, st.wrong(next + 1)
		}
		o.schema = in.name
	}
	return st.showObject(f, o)
}

// showObject answers from the table's backend, or the first of them.
func (st *stmt) showObject(f finding, o object) (*shape, *reason) {
	p, schema, why := st.r.catalog.resolve(o.schema, o.name, st.schema, o.at)
	if why != nil {
		return nil, why
	}
	f.schemas[schema] = true
	switch {
	case p.system:
		return f.shape(st.r, AnyBackend), nil
	case p.table != nil:
		return f.readCopy(st.r, p.table.holders()), nil
	case p.copied != nil:
		return f.readCopy(st.r, p.copied.copies), nil
	}
	return f.shape(st.r, p.backend), nil
}

// explained are the words that begin a statement that EXPLAIN takes.
var explained = map[string]bool{
	"SELECT": true, "INSERT": true, "UPDATE": true, "DELETE": true, "REPLACE": true, "WITH": true, "VALUES": true,
}

// explain plans EXPLAIN statement and DESCRIBE table.
// https://dev.mysql.com/doc/refman/8.4/en/explain.html
func (st *stmt) explain(f finding) (*shape, *reason) {
	run := false
	i := 1
	for {
		switch w := st.word(i); {
		case w == "EXTENDED", w == "PARTITIONS":
			i++
			continue
		case w == "ANALYZE":
			run = true
			i++
			continue
		case w == "FORMAT" && st.op(i+1, "="):
			i += 3
			continue
		case w == "FOR":
			return nil, unsupported(st.at(i), "run it on the backend itself", "EXPLAIN FOR CONNECTION is not supported: connections are numbered by each backend")
		case explained[w], st.op(i, "("), w == "TABLE" && i+1 < len(st.toks) && st.toks[i+1].name != "":
			return st.from(i).explained(f, run)
		}
		break
	}
	if i > 1 {
		return st.loose(f, i)
	}
	o, _, ok := st.object(i)
	if !ok {
		return nil, st.wrong(i)
	}
	return st.showObject(f, o)
}

// explained plans the statement to be explained, which run tells to be run too.
func (st *stmt) explained(f finding, run bool) (*shape, *reason) {
	sh, why := st.query(f)
	if why != nil {
		return nil, why
	}
	if sh.plan != nil {
		p := *sh.plan
		p.Write = p.Write && run
		if p.Merge == MergeOne {
			if run {
				return nil, unsupported(st.at(0), "leave ANALYZE out", "EXPLAIN ANALYZE that writes to a broadcast table is not supported: it would do so on one backend only")
			}
			p.Merge, p.Parts = MergeNone, p.Parts[:1:1]
		}
		sh.plan = &p
		return sh, nil
	}
	if sh.steps != nil && sh.steps.only != nil {
		return nil, sh.steps.only
	}
	sh.steps, sh.change = nil, nil
	if sh.asks != nil {
		sh.asks.found = &looked{table: sh.asks.found.table, keys: sh.asks.found.keys}
	}
	if sh.insert != nil {
		sh.insert.entries = nil
	}
	base := sh.set.base
	base.Write = base.Write && run
	sh.set = st.r.plans.get(base, len(st.r.catalog.backends))
	sh.information = nil
	sh.explains, sh.merge, sh.whole, sh.all = !run, MergeNone, "EXPLAIN has one answer", nil
	if sc := sh.scratch; sc != nil {
		b := sc.common()
		switch {
		case b >= 0 && !run && (sc.only != nil || sh.fixed >= 0):
			return &shape{plan: sh.set.on(b)}, nil
		case sc.only != nil:
			return nil, unsupported(sc.only.at, "write EXPLAIN XAPROXY, which says how it runs", "no backend can explain the statement: %s", sc.only.text)
		}
		sh.scratch = nil
	}
	return sh, nil
}
