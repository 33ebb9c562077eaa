package router

import (
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/config"
)

// define plans the statements that create, change, drop, check or rebuild tables and other objects.
//
// Where the tables of the statement can be read, they decide. Otherwise the statement goes where the whole schema is.
// https://dev.mysql.com/doc/refman/8.4/en/implicit-commit.html
func (st *stmt) define(f finding) (*shape, *reason) {
	f.write, f.commit = true, true
	f.program = st.has("SELECT") >= 0 && st.calls() // CREATE TABLE ... SELECT; cleared where the text is only stored
	verb := st.word(0)
	i, what := st.what()
	if t := st.has("TEMPORARY"); t >= 0 && t < i && (verb == "CREATE" || verb == "DROP") {
		if what != "TABLE" && what != "TABLES" {
			return nil, unsupported(st.at(t), "use a plain one", "a temporary %s is not supported", strings.ToLower(what))
		}
		return st.temporaryTables(f, i)
	}
	switch what {
	case "TABLE", "TABLES":
		if verb == "ALTER" || verb == "RENAME" {
			if sh, why, ok := st.renamed(f, i); ok {
				return sh, why
			}
		}
		names, why := st.tables(verb, i+1)
		if why != nil {
			return nil, why
		}
		if verb == "CHECKSUM" {
			f.write, f.commit = false, false
		}
		return st.defined(f, what, names)
	case "INDEX", "KEY":
		for ; i < len(st.toks); i++ {
			if st.word(i) == "ON" {
				o, _, ok := st.object(i + 1)
				if !ok {
					return nil, st.wrong(i + 1)
				}
				return st.defined(f, what, []object{o})
			}
		}
		return nil, st.wrong(i)
	case "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "SEQUENCE", "PACKAGE":
		if why := st.stored(what, i); why != nil {
			return nil, why
		}
		if what == "PROCEDURE" || what == "FUNCTION" || what == "EVENT" {
			st = st.inside(i)
		}
		body := newFinding() // what it says of variables and locks happens when it runs
		body.privileged = f.privileged
		body.write, body.commit = true, true
		return st.loose(body, i)
	case "DATABASE", "SCHEMA":
		return st.database(f, i)
	case "USER", "ROLE":
		return nil, unsupported(st.at(i), "change the configuration", "%s %s is not supported: accounts are those of the configuration", verb, what)
	}
	if verb == "TRUNCATE" {
		names, why := st.tables(verb, 1)
		if why != nil {
			return nil, why
		}
		return st.defined(f, what, names)
	}
	if verb == "ANALYZE" { // MariaDB: ANALYZE [FORMAT=...] statement
		f.commit = false
		return st.loose(f, 1)
	}
	if what == "" {
		return nil, st.wrong(1)
	}
	return nil, unsupported(st.at(i), "run it on the backend itself if it is needed", "%s %s is not supported: it concerns one server", verb, what)
}

// inside is the statement as if the schema of the routine or event that it is about were the current one, which it is for its
// body; i is the word before its name.
func (st *stmt) inside(i int) *stmt {
	i++
	for _, w := range []string{"IF", "NOT", "EXISTS"} {
		if st.word(i) == w {
			i++
		}
	}
	o, _, ok := st.object(i)
	if !ok || st.r.catalog.schemas[strings.ToLower(o.schema)] == nil {
		return st
	}
	in := *st
	in.schema = o.schema
	return &in
}

// objects are what CREATE, ALTER and the others are about; the first of them in a statement counts.
var objects = []string{
	"TABLE", "TABLES", "INDEX", "KEY", "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "SEQUENCE", "PACKAGE", "DATABASE", "SCHEMA", "USER", "ROLE",
	"SERVER", "TABLESPACE", "LOGFILE", "UNDO", "RESOURCE", "SPATIAL", "INSTANCE", "LIBRARY",
}

// what finds the kind of object that the statement is about. Behind it may be words such as OR REPLACE, UNIQUE, or
// DEFINER = account.
func (st *stmt) what() (int, string) {
	for i := 1; i < len(st.toks); i++ {
		w := st.word(i)
		if w == "SPATIAL" && (st.word(i+1) == "INDEX" || st.word(i+1) == "KEY") {
			continue
		}
		if slices.Contains(objects, w) {
			return i, w
		}
		if st.op(i, "(") || st.word(0) != "CREATE" && st.word(0) != "ALTER" && i > 3 {
			break
		}
	}
	return 1, ""
}

// tables reads the names behind TABLE, from the i-th token on.
func (st *stmt) tables(verb string, i int) (all []object, why *reason) {
	switch {
	case st.words(i, "IF", "NOT", "EXISTS"):
		i += 3
	case st.words(i, "IF", "EXISTS"):
		i += 2
	}
	for {
		o, next, ok := st.object(i)
		if !ok {
			return nil, st.wrong(i)
		}
		all = append(all, o)
		i = next
		switch verb {
		case "CREATE", "ALTER", "TRUNCATE":
			return all, nil
		case "RENAME":
			for st.word(i) == "WAIT" || st.word(i) == "NOWAIT" || i < len(st.toks) && st.toks[i].kind == kInt {
				i++
			}
			if st.word(i) == "TO" {
				i++
				continue
			}
		case "ANALYZE": // MariaDB: t PERSISTENT FOR ALL, u
			for i < len(st.toks) && !st.op(i, ",") {
				if st.op(i, "(") { // a list of columns or indexes
					for i < len(st.toks) && !st.op(i, ")") {
						i++
					}
				}
				i++
			}
		}
		if !st.op(i, ",") {
			return all, nil
		}
		i++
	}
}

// mentions are words of statements that may name other tables than those they begin with.
var mentions = []string{"SELECT", "LIKE", "REFERENCES", "TO", "AS", "RENAME", "EXCHANGE", "UNION", "TABLE", "VALUES", "WITH"}

// defined plans a statement about these tables.
func (st *stmt) defined(f finding, what string, names []object) (*shape, *reason) {
	var all []placed
	for _, o := range names {
		p, schema, why := st.existing(o)
		switch {
		case why != nil:
			return nil, why
		case p.system:
			return nil, unsupported(o.at, "run it on the backend itself", "changing system schemas is not supported")
		}
		f.schemas[schema] = true
		all = append(all, placed{o, p, schema})
	}
	if st.spreads(all) {
		return st.overShards(f, what, all)
	}
	for _, p := range all {
		name := p.in + "." + strings.ToLower(p.name)
		if why := f.settle(st.r.catalog, p.backend, "table "+name, p.at); why != nil {
			return nil, why
		}
		if p.temporary && st.word(0) == "DROP" {
			f.temporary, f.drops = append(f.temporary, name), true
		}
	}
	if st.from(2).has(mentions...) >= 0 {
		return st.mentioning(f)
	}
	return f.shape(st.r, f.home), nil
}

// existing finds a table that the statement is about: CREATE TABLE makes a new one even if a temporary one has its name.
func (st *stmt) existing(o object) (place, string, *reason) {
	c := st.r.catalog
	if _, what := st.what(); st.word(0) == "CREATE" && what == "TABLE" {
		c = st.r.base.catalog
	}
	p, schema, why := c.resolve(o.schema, o.name, st.schema, o.at)
	if why == nil && p.temporary && st.word(0) == "RENAME" {
		why = unsupported(o.at, "rename it alone, within its schema", "renaming a temporary table in this way is not supported")
	}
	return p, schema, why
}

// beforeTable are the words that come before a table's name in statements without a query.
var beforeTable = map[string]bool{"LIKE": true, "REFERENCES": true, "TO": true, "AS": true, "RENAME": true, "TABLE": true}

// mentioned is the statement reduced to what may be the names of other tables.
func (st *stmt) mentioned() *stmt {
	if st.has("SELECT", "UNION", "WITH") >= 0 {
		return st
	}
	names := *st
	names.toks = nil
	for i := range st.toks {
		if beforeTable[st.word(i-1)] {
			_, next, _ := st.object(i)
			names.toks = append(names.toks, st.toks[i:next]...)
		}
	}
	return &names
}

// mentioning checks that no other table of the statement can be elsewhere.
func (st *stmt) mentioning(f finding) (*shape, *reason) {
	c := st.r.catalog
	all := st
	st = st.mentioned()
	name := st.elsewhere(f.home)
	if i := all.has("EXCHANGE", "RENAME"); i >= 0 && name == "" {
		name = st.broadcast() // these change what they name
	}
	if name != "" {
		return nil, unsupported(all.find(name[strings.IndexByte(name, '.')+1:]), "run it on the backend itself",
			"the statement is about a table on backend %s and may mean table %s of another backend", c.backends[f.home], name)
	}
	for _, q := range st.qualifiers() {
		name := strings.ToLower(q.name)
		s := c.schemas[name]
		switch {
		case config.SystemSchema(name), s != nil && len(c.backends) == 1:
			f.schemas[name] = true
		case s != nil:
			if s.backend >= 0 && s.backend != f.home {
				return nil, unsupported(q.at, "run it on the backend itself", "the statement is about a table on backend %s and may mean schema %s of another backend", c.backends[f.home], name)
			}
			f.schemas[name] = true
		case !all.alone(q.name):
			return nil, c.unknown(name, q.at)
		}
	}
	return f.shape(st.r, f.home), nil
}
