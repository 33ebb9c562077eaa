package router

import (
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/config"
)

// DDL is what a statement with MergeDDL does.
type DDL struct {
	// What are its words for people, such as ALTER TABLE.
	What string
	// Objects are the tables that it is about, in the statement's case, or one without Name, the schema: their definitions tell
	// whether it has run on a backend.
	Objects []Object
	// Rows is true for a statement that answers with rows.
	Rows bool
	// Again is true for a statement that may run once more on a backend where nobody knows whether it has; Blind for one after which
	// definitions do not tell.
	Again, Blind bool
	// Alike is true for a statement that fills rows which must be the same everywhere: every backend gets the same time.
	Alike bool
	// Exclusive is true for a statement during which nobody may write to its tables on any backend.
	Exclusive bool
	// Notes are warnings for the client.
	Notes []string
}

// Object is a table that a statement is about, or a schema if it has no Name.
type Object struct{ Schema, Name string }

// placed is a table that a statement is about, and where it is.
type placed struct {
	object
	place
	in string // its schema in lower case
}

// backends are those that have something of the table, in order.
func (p *placed) backends() []int {
	switch {
	case p.table != nil:
		all := slices.Clone(p.table.sharding.backends)
		slices.Sort(all)
		return slices.Compact(all)
	case p.copied != nil:
		return p.copied.copies
	}
	return []int{p.backend}
}

// kind names the table for a message.
func (p *placed) kind() string {
	name := p.in + "." + strings.ToLower(p.name)
	switch {
	case p.table != nil:
		return "the sharded table " + name
	case p.copied != nil:
		return "the broadcast table " + name
	}
	return "table " + name
}

// likewise tells whether a table's rows would be where they are if it had the other one's name.
func (p *placed) likewise(q *placed) bool {
	switch {
	case p.temporary || q.temporary || p.system || q.system:
		return false
	case p.table != nil:
		return q.table != nil && p.table.together(q.table) && slices.Equal(p.table.columns, q.table.columns) && p.table.auto == q.table.auto
	case p.copied != nil:
		return q.copied != nil && slices.Equal(p.copied.copies, q.copied.copies)
	}
	return q.table == nil && q.copied == nil && p.backend == q.backend
}

// spreads tells whether the statement is one for several backends.
func (st *stmt) spreads(all []placed) bool {
	return slices.ContainsFunc(all, func(p placed) bool {
		return p.table != nil || p.copied != nil || st.word(0) == "DROP" && !p.temporary && p.backend != all[0].backend && !all[0].temporary
	})
}

// overShards plans a statement about tables that are not all on one backend.
func (st *stmt) overShards(f finding, what string, all []placed) (*shape, *reason) {
	if verb := st.word(0); verb == "LOCK" || verb == "HANDLER" {
		i := slices.IndexFunc(all, func(p placed) bool { return p.table != nil || p.copied != nil })
		return nil, unsupported(all[i].at, "run it on its backends themselves", "%s of %s is not supported yet", verb, all[i].kind())
	}
	d := &DDL{What: st.word(0) + " " + what}
	if what == "KEY" {
		d.What = st.word(0) + " INDEX"
	}
	for _, p := range all {
		if p.temporary {
			return nil, unsupported(p.at, "name it in a statement of its own", "the statement is about temporary tables of the session and tables of several backends")
		}
		schema := p.schema
		if schema == "" {
			schema = st.schema
		}
		if o := (Object{schema, p.name}); !slices.Contains(d.Objects, o) {
			d.Objects = append(d.Objects, o)
		}
	}
	first := &all[0]
	if verb := st.word(0); verb != "DROP" && verb != "RENAME" {
		for i := range all[1:] {
			if p := &all[1+i]; !slices.Equal(p.backends(), first.backends()) {
				return nil, unsupported(p.at, "run one statement for each", "%s and %s are on different backends", first.kind(), p.kind())
			}
		}
	}
	switch verb := st.word(0); {
	case what == "INDEX" || what == "KEY":
		if verb == "CREATE" {
			st.notesOfIndex(d, first)
		}
	case verb == "CREATE":
		if why := st.creates(d, first); why != nil {
			return nil, why
		}
	case verb == "ALTER":
		if why := st.alters(d, first); why != nil {
			return nil, why
		}
	case verb == "RENAME":
		return st.renames(f, d, all)
	case verb == "DROP":
		return st.drops(f, d, all)
	case verb == "TRUNCATE" && first.table != nil && len(first.table.lookups) > 0:
		return nil, unsupported(first.at, "DELETE the rows, or drop its lookup tables first", "TRUNCATE of %s would leave the entries of lookup table %s", first.table.name, first.table.lookups[0].name)
	case verb == "TRUNCATE" && first.copied != nil && first.copied.mixed:
		return nil, unsupported(first.at, "DELETE the rows", "TRUNCATE of the broadcast table %s cannot wait on PostgreSQL until nobody writes to it", first.copied.name)
	case verb == "TRUNCATE":
		d.What = "TRUNCATE TABLE"
		d.Again, d.Exclusive = true, first.copied != nil
	case verb == "CHECKSUM":
		return st.checksum(f, all)
	default: // ANALYZE, OPTIMIZE, CHECK, REPAIR
		d.Rows, d.Again = true, true
	}
	return f.defines(d, first.backends()), nil
}

// defines is the shape of a statement whose text goes to all of these backends.
func (f *finding) defines(d *DDL, on []int) *shape {
	p := f.plan()
	p.Merge, p.DDL = MergeDDL, d
	for _, b := range on {
		p.Parts = append(p.Parts, Part{Backend: b})
	}
	return &shape{plan: &p}
}

// renames checks that every table is where its new name says.
func (st *stmt) renames(f finding, d *DDL, all []placed) (*shape, *reason) {
	if len(all)%2 != 0 {
		return nil, st.wrong(len(st.toks))
	}
	on := all[0].backends()
	for i := 0; i < len(all); i += 2 {
		from, to := &all[i], &all[i+1]
		if why := from.becomes(to); why != nil {
			return nil, why
		}
		if !slices.Equal(from.backends(), on) {
			return nil, unsupported(from.at, "run one statement for each", "%s and %s are on different backends", all[0].kind(), from.kind())
		}
	}
	d.Blind = len(all) > 2 // names may be exchanged
	return f.defines(d, on), nil
}

// becomes says why the table cannot get the other's name.
func (p *placed) becomes(to *placed) *reason {
	if p.likewise(to) {
		return nil
	}
	return unsupported(to.at, "configure both names alike (backends, shard map, shard key, sequence)", "%s would become %s, whose rows the configuration has elsewhere", p.kind(), to.kind())
}

// drops gives each backend the list of the tables that it has.
func (st *stmt) drops(f finding, d *DDL, all []placed) (*shape, *reason) {
	by := make([][]string, len(st.r.catalog.backends))
	for _, p := range all {
		_, next, _ := st.object(slices.IndexFunc(st.toks, func(t tok) bool { return t.start == p.at }))
		for _, b := range p.backends() {
			by[b] = append(by[b], st.text[p.at:st.toks[next-1].end])
		}
	}
	var on []int
	same := true
	for b, names := range by {
		if len(names) > 0 {
			on = append(on, b)
			same = same && len(names) == len(all)
		}
	}
	sh := f.defines(d, on)
	if same {
		return sh, nil
	}
	last := all[len(all)-1]
	// Literals are not in the shape, and nobody knows which server runs an executable comment.
	rest := st.behind(last.object)
	if slices.ContainsFunc(rest.toks, func(t tok) bool { return t.kind.literal() }) || strings.Contains(st.text, "!") {
		return nil, unsupported(last.at, "run one statement for each", "%s and %s are on different backends", all[0].kind(), last.kind())
	}
	for i, b := range on {
		sql := st.text[:all[0].at] + strings.Join(by[b], ", ")
		if len(rest.toks) > 0 {
			sql += " " + st.text[rest.toks[0].start:]
		}
		sh.plan.Parts[i].SQL = []byte(sql)
	}
	return sh, nil
}

// checksum reads one copy of broadcast tables.
func (st *stmt) checksum(f finding, all []placed) (*shape, *reason) {
	for _, p := range all {
		if p.copied == nil {
			return nil, unsupported(p.at, "ask each backend, and add up modulo 4294967296 if all are of one kind", "CHECKSUM of %s is not supported: kinds of servers have other sums", p.kind())
		}
	}
	return f.readCopy(st.r, all[0].copied.copies), nil
}

// stored says why a view or a stored program cannot be where the tables of its schema are, if these are on several backends; i is the
// word before its name.
func (st *stmt) stored(what string, i int) *reason {
	c := st.r.catalog
	in := strings.ToLower(st.inside(i).schema)
	if len(c.backends) == 1 || c.schemas[in] == nil || c.whole(in) >= 0 {
		return nil
	}
	do := "run it on each of them itself; it sees no more than the rows there"
	if what == "VIEW" {
		do = "run it on each of them itself, and give the view a [[tables]] entry like that of the tables that it reads"
	}
	return unsupported(st.at(i), do, "%s %s in schema %s, which is on several backends, is not supported", st.word(0), what, in)
}

// database plans CREATE, ALTER and DROP DATABASE, i being the word DATABASE: on all backends that have something of the schema.
func (st *stmt) database(f finding, i int) (*shape, *reason) {
	c := st.r.catalog
	verb, what := st.word(0), st.word(i)
	i++
	for st.word(i) == "IF" || st.word(i) == "NOT" || st.word(i) == "EXISTS" {
		i++
	}
	o, _, ok := st.object(i)
	switch {
	case verb == "ALTER" && (!ok || databaseOption[st.word(i)]):
		if st.schema == "" {
			return nil, noSchema(st.at(i))
		}
		o = object{name: st.schema, at: st.at(i)}
	case !ok || o.schema != "":
		return nil, st.wrong(i)
	}
	name := strings.ToLower(o.name)
	switch {
	case config.SystemSchema(name):
		return nil, unsupported(o.at, "run it on the backend itself", "changing system schemas is not supported")
	case c.schemas[name] == nil && verb == "CREATE":
		return nil, unsupported(o.at, "name it in [[schemas]] or [[tables]] of the configuration first", "%s %s of a schema that no backend is to have is not supported", verb, what)
	case c.schemas[name] == nil:
		return nil, c.unknown(name, o.at)
	}
	f.schemas[name] = true
	var on []int
	for b := range c.backends {
		if c.holds(name, b) {
			on = append(on, b)
		}
	}
	sh := f.defines(&DDL{What: verb + " DATABASE", Objects: []Object{{Schema: o.name}}}, on)
	if len(on) == 1 {
		sh.plan.Merge = MergeNone
	}
	return sh, nil
}

// databaseOption are the words that ALTER DATABASE has in place of a name.
var databaseOption = map[string]bool{"CHARACTER": true, "CHARSET": true, "DEFAULT": true, "COLLATE": true, "ENCRYPTION": true, "READ": true, "COMMENT": true}
