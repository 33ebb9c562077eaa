package router

import (
	"maps"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/config"
)

// finding is what the analysis of a statement collects.
type finding struct {
	write, commit, previous bool
	own                     bool
	server, here            bool // it names system variables; the current schema
	schemas, variables      map[string]bool
	home                    int    // backend of the unsharded tables, -1: none yet
	homeOf                  string // what lives there
	leaves                  Pin
	unpin                   bool
	temporary               []string
	drops, renames          bool
	program                 bool
	privileged              bool
	sequence, columns       string // Plan.Sequence, Plan.Columns
	partial, returning      bool
	ignore                  bool
}

func newFinding() finding {
	return finding{schemas: map[string]bool{}, variables: map[string]bool{}, home: -1}
}

// settle puts what is only there, such as an unsharded table, on its backend. All of a statement must be on one.
func (f *finding) settle(c *catalog, backend int, what string, at int) *reason {
	if f.home >= 0 && f.home != backend {
		return unsupported(at, "run one statement for each backend", "%s is on backend %s and %s is on backend %s: joins across backends are not supported yet",
			f.homeOf, c.backends[f.home], what, c.backends[backend])
	}
	f.home, f.homeOf = backend, what
	return nil
}

// plan is the plan on one backend without its parts.
func (f *finding) plan() Plan {
	return Plan{
		Write: f.write, ImplicitCommit: f.commit, LastConn: f.previous, Own: f.own, Server: f.server && !f.here, Pin: f.leaves, Unpin: f.unpin,
		Temporary: f.temporary, Drops: f.drops, Renames: f.renames, Program: f.program, Privileged: f.privileged, Variables: slices.Sorted(maps.Keys(f.variables)), Schemas: slices.Sorted(maps.Keys(f.schemas)),
		Sequence: f.sequence, Columns: f.columns, Ignore: f.ignore, Partial: f.partial, Returning: f.returning,
	}
}

// shape is the result for a statement whose backend is known, or AnyBackend.
func (f *finding) shape(r *Router, backend int) *shape {
	return &shape{plan: r.plans.get(f.plan(), len(r.catalog.backends)).on(backend)}
}

// analyse finds out all about a shape with these hints, or nil. It sees nothing else of the client's text.
func (r *Router) analyse(text, schema string, mode Mode, h *hints) *shape {
	st := r.newStmt(text, schema, mode)
	st.hints = h
	sh, why := st.analyse()
	switch {
	case why != nil:
		return &shape{refused: why}
	case h != nil:
		st.heed(sh)
	}
	return sh
}

const (
	oneServer  = "it concerns one server"
	accounting = "accounts are those of the configuration"
)

// refusedVerbs are statements that are refused whatever they say, with the reason.
var refusedVerbs = map[string]string{
	"IMPORT": oneServer,
	"XA":     "xaproxy itself makes the transactions of BEGIN and COMMIT atomic across backends",
	"FLUSH":  oneServer, "RESET": oneServer, "PURGE": oneServer,
	"CHANGE": oneServer, "STOP": oneServer, "SHUTDOWN": oneServer, "RESTART": oneServer,
	"INSTALL": oneServer, "UNINSTALL": oneServer, "BINLOG": oneServer, "CLONE": oneServer,
	"BACKUP": oneServer, "CACHE": oneServer,
	"GRANT": accounting, "REVOKE": accounting,
}

func (st *stmt) analyse() (*shape, *reason) {
	if st.words(0, "BEGIN", "NOT") || slices.Contains(compounds, st.word(0)) {
		return st.compound()
	}
	switch st.word(0) {
	case "BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "USE", "EXECUTE", "DEALLOCATE":
		p, why := st.control()
		if why != nil {
			return nil, why
		}
		return &shape{plan: p}, nil
	}
	if st.words(0, "DROP", "PREPARE") {
		p, why := st.named(2, Deallocate)
		if why != nil {
			return nil, why
		}
		return &shape{plan: p}, nil
	}
	if st.words(0, "SHOW", "XAPROXY") {
		p, why := st.named(2, List)
		if why != nil {
			return nil, why
		}
		return &shape{plan: p}, nil
	}
	f := newFinding()
	if why := st.session(&f); why != nil {
		return nil, why
	}
	verb := st.word(0)
	switch verb {
	case "SELECT", "WITH", "VALUES", "TABLE", "INSERT", "REPLACE", "UPDATE", "DELETE", "DO":
		return st.query(f)
	case "SHOW":
		return st.show(f)
	case "DESCRIBE", "DESC", "EXPLAIN":
		return st.explain(f)
	case "CALL":
		return st.call(f)
	case "LOCK":
		return st.lock(f)
	case "UNLOCK":
		return st.unlock(f)
	case "HANDLER":
		return st.handler(f)
	case "GET":
		if len(f.variables) == 0 {
			return nil, st.wrong(len(st.toks))
		}
		f.keep(PinUserVariable)
		p := *st.r.plans.get(f.plan(), len(st.r.catalog.backends)).on(AnyBackend)
		p.Verb, p.Get = Diagnostics, true
		return &shape{plan: &p}, nil
	case "HELP", "SIGNAL", "RESIGNAL":
		return f.shape(st.r, AnyBackend), nil
	case "CREATE", "ALTER", "DROP", "TRUNCATE", "RENAME", "ANALYZE", "OPTIMIZE", "CHECK", "REPAIR", "CHECKSUM":
		return st.define(f)
	}
	if st.op(0, "(") {
		return st.query(f)
	}
	if text := refusedVerbs[verb]; text != "" {
		return nil, unsupported(st.at(0), "run it on the backend itself if it is needed", "%s is not supported: %s", verb, text)
	}
	return nil, syntax(st.at(0), "you have an error in your SQL syntax: no statement begins with %s", st.near(0))
}

// loose finds a place for a statement that is not understood in detail: a single backend, or the one that holds all of every
// schema that the statement could mean. i is the token that was not understood, -1 if a compound statement is not to be.
func (st *stmt) loose(f finding, i int) (*shape, *reason) {
	c := st.r.catalog
	f.program = f.program || !f.commit && st.calls()
	refuse := func(why string) *reason {
		if i < 0 {
			return unsupported(i, "send its statements one by one", "a compound statement runs on one backend, and %s", why)
		}
		return unsupported(st.at(i), "write it in simpler terms, or check its syntax",
			"the statement is not understood near %s, and %s", st.near(i), why)
	}
	names := st.qualifiers()
	if st.schema != "" {
		names = append(names, object{name: st.schema, at: -1})
	}
	home := f.home
	if len(c.backends) == 1 {
		home = 0
	}
	for _, q := range names {
		name := strings.ToLower(q.name)
		switch {
		case config.SystemSchema(name):
			f.schemas[name] = true
			continue
		case c.schemas[name] != nil:
			f.schemas[name] = true
		case q.at >= 0 && (st.alone(q.name) || name == "new" || name == "old"):
			continue // an alias, a table or the row of a trigger, followed by a column
		default:
			return nil, c.unknown(name, q.at)
		}
		if len(c.backends) == 1 {
			continue
		}
		b := c.whole(name)
		if b < 0 {
			return nil, refuse("schema " + name + " is on several backends")
		}
		if home >= 0 && b != home {
			return nil, refuse("what it names is on backends " + c.backends[home] + " and " + c.backends[b])
		}
		home = b
	}
	if name := st.elsewhere(home); name != "" {
		return nil, refuse("it may mean table " + name + " of another backend")
	}
	if home < 0 && f.commit {
		return nil, noSchema(st.at(0))
	}
	return f.shape(st.r, home), nil
}

// call plans CALL: to the backend of the procedure's schema if that holds all of the schema, because the procedure may use any
// table there.
func (st *stmt) call(f finding) (*shape, *reason) {
	c := st.r.catalog
	o, next, ok := st.object(1)
	if !ok || next < len(st.toks) && !st.op(next, "(") {
		return nil, st.wrong(next)
	}
	in := strings.ToLower(o.schema)
	if in == "" {
		in = strings.ToLower(st.schema)
	}
	home := c.whole(in)
	switch {
	case in == "":
		return nil, noSchema(o.at)
	case config.SystemSchema(in):
		return nil, unsupported(o.at, "run it on the backend itself if it is needed", "CALL of a procedure of a system schema is not supported: %s", oneServer)
	case c.schemas[in] == nil:
		return nil, c.unknown(in, o.at)
	case len(c.backends) == 1:
		home = 0
	case home < 0:
		return nil, unsupported(o.at, "send its statements one by one", "CALL is not supported in schema %s, which is on several backends: a procedure may use any table", in)
	}
	if why := f.settle(c, home, "procedure "+in+"."+o.name, o.at); why != nil {
		return nil, why
	}
	f.write, f.program, f.schemas[in] = true, true, true
	if st.has(queries...) >= 0 {
		return st.mentioning(f)
	}
	return f.shape(st.r, f.home), nil
}

// compound plans the statements of stored programs that MariaDB takes outside of them too, such as BEGIN NOT ATOMIC ... END: like a
// procedure that is defined and called at once.
func (st *stmt) compound() (*shape, *reason) {
	f := newFinding()
	if why := st.session(&f); why != nil {
		return nil, why
	}
	for i := 1; i < len(st.toks); i++ {
		if why := refusedVerbs[st.word(i)]; why != "" && (st.toks[i-1].kind == kSemi || beforeStatement[st.word(i-1)]) {
			return nil, unsupported(st.at(i), "run it on the backend itself if it is needed", "%s is not supported: %s", st.word(i), why)
		}
	}
	f.write, f.program, f.privileged = true, true, true
	if len(f.variables) > 0 {
		f.keep(PinUserVariable)
	}
	return st.loose(f, -1)
}

// beforeStatement are the words behind which a statement of a compound statement begins.
var beforeStatement = map[string]bool{"ATOMIC": true, "BEGIN": true, "THEN": true, "ELSE": true, "DO": true, "LOOP": true, "REPEAT": true}

// queries are words of which a subquery has at least one.
var queries = []string{"SELECT", "TABLE", "VALUES", "WITH"}

// calls tells whether a name that is no function of the server's has a bracket behind it: it may be a stored function.
func (st *stmt) calls() bool {
	for i, t := range st.toks {
		if name := strings.ToLower(t.name); name != "" && st.op(i+1, "(") && !builtin[name] && !notCalled[t.word] {
			return true
		}
	}
	return false
}

// notCalled are words that have brackets behind them and are no functions.
var notCalled = map[string]bool{
	"IN": true, "AND": true, "OR": true, "NOT": true, "OF": true, "AS": true, "FROM": true, "WHERE": true, "ON": true, "USING": true, "EXISTS": true, "OVER": true,
	"DECIMAL": true, "NUMERIC": true, "VARCHAR": true, "BINARY": true, "VARBINARY": true, "FLOAT": true, "DOUBLE": true, "MATCH": true, "GROUP": true, "WHEN": true,
	"THEN": true, "ELSE": true, "CASE": true, "LIKE": true, "BETWEEN": true, "DIV": true, "REGEXP": true, "RLIKE": true, "DISTINCT": true, "IS": true, "ROW": true, "HAVING": true,
	"BY": true, "JOIN": true, "VALUES": true, "SELECT": true, "UNION": true, "ALL": true, "ANY": true, "SOME": true, "XOR": true, "INDEX": true, "KEY": true,
}

// qualifiers are the identifiers with a point behind them.
func (st *stmt) qualifiers() (all []object) {
	for i, t := range st.toks {
		if t.name != "" && !t.dotted && st.op(i+1, ".") {
			all = append(all, object{name: t.name, at: t.start})
		}
	}
	return all
}

// alone tells whether the identifier also occurs without a point behind it.
func (st *stmt) alone(name string) bool {
	for i, t := range st.toks {
		if strings.EqualFold(t.name, name) && !st.op(i+1, ".") {
			return true
		}
	}
	return false
}

// elsewhere is a table that is known not to be, or not only, on the backend and whose name the statement contains; "" if none.
func (st *stmt) elsewhere(backend int) string {
	if len(st.r.catalog.backends) == 1 {
		return ""
	}
	for _, t := range st.toks {
		if t.name == "" {
			continue
		}
		for _, in := range slices.Sorted(maps.Keys(st.r.catalog.schemas)) { // in an order, so that the message is always the same
			s := st.r.catalog.schemas[in]
			name := in + "." + strings.ToLower(t.name)
			if at, hidden := st.r.catalog.temporary[name]; hidden {
				if at != backend {
					return name
				}
				continue
			}
			if have := s.tables[strings.ToLower(t.name)]; have != nil && !have.whole(backend) {
				return have.name
			}
			if st.r.catalog.view(in, t.name, t.start) != nil {
				return name
			}
		}
	}
	return ""
}
