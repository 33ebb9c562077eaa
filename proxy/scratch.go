package proxy

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/temptable"
	"github.com/xaproxy/xaproxy/wire"
)

// scratch is a backend connection on which the rows of several backends are brought together, in temporary tables of the same names
// as theirs, which hide others: the client's text runs there as it is. It is never a part of the client's transaction, and is reset
// before it serves anybody else.
type scratch struct {
	s      *session
	plan   *router.Plan
	text   string // of the client
	state  *backend.Session
	conn   *backend.Conn
	tables []*scratchTable // those that are loaded
	cuts   []router.ScratchPlace

	mu     sync.Mutex // protects conn while several backends' rows come, and following fields
	rows   int64
	bytes  int64
	failed error // what ended the loading, other than a backend's answer
}

// scratchTable is a table that is loaded.
type scratchTable struct {
	*router.ScratchTable
	def     *temptable.Table
	columns []temptable.Column
	in      string   // schema of the temporary tables
	names   []string // of these, one for each time that the server wants another one in the statement
	more    string   // the table of what is only added up, "" if there is none
	made    int      // so many are there
	moved   bool     // the first one does not have the table's name
	unique  bool     // keys are as unique as in the table
	engine  temptable.Engine
	loaded  int // rows
}

// scratch answers a SELECT whose tables are not all on one backend.
func (s *session) scratch(p *router.Plan, r *request) error {
	text, state, r := s.scratched(p, r)
	c, err := s.openScratch(p, text, state)
	if err != nil {
		return s.fail(clientError(err, false))
	}
	defer c.close()
	var definitions [][]byte
	if err := c.create(); err != nil {
		return s.fail(clientError(err, false))
	}
	if p.Scratch.Informs {
		if definitions, err = c.beside(r); err != nil {
			return s.fail(clientError(err, false))
		}
	}
	if e := c.load(r); e != nil {
		return s.fail(e)
	}
	if err := c.ready(); err != nil {
		return s.fail(clientError(err, false))
	}
	return c.answer(r, definitions)
}

// answer runs the client's text and relays what the server answers, under other definitions of the columns unless they are nil.
func (c *scratch) answer(r *request, definitions [][]byte) error {
	s, p := c.s, c.plan
	one, err := c.request(r)
	switch {
	case err != nil:
	case p.Scratch.Text != nil:
		return s.assign(c.conn, p, one)
	case definitions == nil || p.Pin == router.PinUserVariable || p.Scratch.InsertID:
		return s.relayAssigning(c.conn, p, one)
	default:
		err = one.send(c.conn, c.state)
	}
	if err != nil {
		return s.fail(clientError(err, false))
	}
	return s.underColumns(c.conn, definitions, r.bound != nil)
}

// relayAssigning relays the answer on a connection that the session does not keep; the values that user variables and LAST_INSERT_ID() get there
// become the session's.
func (s *session) relayAssigning(conn *backend.Conn, p *router.Plan, r *request) error {
	alone := *p
	if p.Pin == router.PinUserVariable || p.Pin == router.PinLastInsertID {
		alone.Pin = router.PinNone
	}
	if p.Scratch.InsertID {
		id, err := s.lastInsertID(s.mine)
		if err == nil {
			err = conn.Exec("DO LAST_INSERT_ID(" + strconv.FormatUint(id, 10) + ")")
		}
		if err != nil {
			return s.fail(clientError(err, false))
		}
	}
	s.failed = false
	if err := s.relayOn(conn, &alone, r); err != nil || s.failed {
		return err
	}
	if p.Scratch.InsertID {
		s.past.changed(0, conn, s)
		s.past.certain = true
	}
	if p.Pin != router.PinUserVariable {
		return nil
	}
	return s.bring(conn, p.Variables)
}

// scratched is the text to run, the state of the session for it, and the request with it.
func (s *session) scratched(p *router.Plan, r *request) (string, *backend.Session, *request) {
	switch {
	case p.Scratch.Text != nil:
		return string(p.Scratch.Text), &s.state, r.part(router.Part{SQL: p.Scratch.Text})
	case r.bound != nil:
		r.bound.execute.Flags = 0 // no cursor: the rows would have to be kept
		return r.text, r.state(&s.state), r
	case r.named != nil:
		return r.named.text, r.state(&s.state), r
	}
	return string(r.sql), &s.state, r
}

// request is the request for the tables as they are named on the connection.
func (c *scratch) request(r *request) (*request, error) {
	whole, err := c.made(r)
	if err != nil {
		return nil, err
	}
	part := router.Part{Backend: c.conn.Backend().Index}
	if whole.text != c.text {
		part.SQL, part.Params = []byte(whole.text), whole.params
	}
	return r.part(part), nil
}

// scratchDescriber is describer for a statement that no backend can describe.
func (s *session) scratchDescriber(p *router.Plan, text string) (*backend.Conn, string, func(), error) {
	c, err := s.openScratch(p, text, &s.state)
	if err != nil {
		return nil, "", nil, err
	}
	if err := c.create(); err != nil {
		c.close()
		return nil, "", nil, err
	}
	if err := c.ready(); err != nil {
		c.close()
		return nil, "", nil, err
	}
	whole, _, err := c.splice(true)
	if err != nil {
		c.close()
		return nil, "", nil, err
	}
	return c.conn, whole.text, c.close, nil
}

// openScratch lends a connection and finds out what the tables look like.
func (s *session) openScratch(p *router.Plan, text string, state *backend.Session) (*scratch, error) {
	b, err := s.scratchBackend(p)
	if err != nil {
		return nil, err
	}
	conn, err := b.Get(s.ctx(), state, s)
	if err != nil {
		return nil, err
	}
	s.work.uses(conn)
	c := &scratch{s: s, plan: p, text: text, state: state, conn: conn}
	if err := c.define(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// close gives the connection back. The temporary tables go with its session.
func (c *scratch) close() {
	c.s.work.leaves(c.conn)
	c.conn.Soil()
	c.conn.Put()
}

// scratchBackend chooses where the tables are brought together: where most of them are, and most that need no loading; among equals, MariaDB if
// a table is named twice, which MySQL takes more trouble for; each session has its own choice of the rest. PostgreSQL has no temporary tables
// that hide others: if all tables are there, any other backend will do.
func (s *session) scratchBackend(p *router.Plan) (*backend.Backend, error) {
	var all []*backend.Backend
	for _, part := range p.Parts {
		all = append(all, s.gen.backends[part.Backend])
	}
	if all = slices.DeleteFunc(all, (*backend.Backend).Translates); len(all) == 0 {
		if all = slices.DeleteFunc(slices.Clone(s.gen.backends), (*backend.Backend).Translates); len(all) == 0 {
			return nil, errNoScratch
		}
	}
	var best []*backend.Backend
	most := math.MinInt
	for _, b := range all {
		score := 1
		for i := range p.Scratch.Tables {
			t := &p.Scratch.Tables[i]
			if t.Informs || t.Server {
				continue
			}
			if b.Has(t.Schema) {
				score += 100
			}
			if slices.Contains(t.Backends, b.Index) {
				score += 10
			}
			if s.tx == nil && t.Whole && t.Backends[0] == b.Index {
				score += 10
			}
			if t.References > 1 && b.Flavour() == 1 {
				score++
			}
			if t.Reused != "" && b.Flavour() == 1 {
				score += 1000
			}
			if !slices.ContainsFunc(t.Backends, func(i int) bool { return s.gen.backends[i].Flavour() == b.Flavour() }) {
				score -= 20 + 20*b.Flavour() // a definition of the other kind, of which MySQL understands more
			}
		}
		if b.Facts().Version == "" { // it has not passed its start checks
			score = math.MinInt
		}
		if score > most {
			best, most = best[:0], score
		}
		if score == most {
			best = append(best, b)
		}
	}
	return best[int(s.id)%len(best)], nil
}

// errNoScratch is the refusal where all backends are PostgreSQL.
var errNoScratch = wire.NewError(wire.CodeNotSupported, "the rows of several PostgreSQL backends cannot be put together as MySQL would, and there is no backend of another kind where that could be done; "+
	"add any MySQL or MariaDB server with a schema of its own to the configuration, or read the backends' rows one by one")

// create makes the temporary tables.
func (c *scratch) create() error {
	b := c.conn.Backend()
	var create []string
	for _, t := range c.tables {
		if t.made == 0 {
			t.in = t.Schema
			t.names = []string{t.Name}
		}
		if t.made == 0 && !b.Has(t.Schema) { // another schema must do, under another name
			for i := range c.plan.Scratch.Tables {
				if in := c.plan.Scratch.Tables[i].Schema; b.Has(in) {
					t.in = in
				}
			}
			if !b.Has(t.in) { // it has rows of none of the tables
				for _, in := range slices.Sorted(maps.Keys(c.s.gen.cfg.SchemasOn(b.Name()))) {
					t.in = in
				}
			}
			t.names[0], t.moved = fmt.Sprintf("%.30s#%.30s", t.Schema, t.Name), true
		}
		if len(t.Places) == 0 && (t.moved || t.References > 1 && b.Flavour() == 0) {
			return wire.NewError(wire.CodeNotSupported, "a common table expression has the name of table %s.%s, which is on several backends; give it another name", t.Schema, t.Name)
		}
		if t.Reused != "" && b.Flavour() == 0 && c.plan.Scratch.With == nil {
			return wire.NewError(wire.CodeNotSupported,
				"common table expression %s is used more than once and reads %s.%s, whose rows are on several backends, and it is not alone at the begin of the statement under a name of its own: MySQL cannot read a temporary table more than once in a statement; write one WITH at the begin, with other names than those of tables, or give the table a MariaDB backend",
				t.Reused, t.Schema, t.Name)
		}
	}
	// Both ways to write the text, so that there are enough tables for it.
	for _, described := range []bool{true, false} {
		if _, _, err := c.splice(described); err != nil {
			return err
		}
	}
	orderless := c.orderless()
	for _, t := range c.tables {
		if t.made == 0 && orderless {
			t.engine = t.def.Fit(t.columns)
		}
		for ; t.made < len(t.names); t.made++ {
			create = append(create, t.def.Create(t.quoted(t.made), t.columns, t.unique, t.engine))
		}
	}
	if len(create) == 0 {
		return nil
	}
	_, err := c.conn.Batch(maxAnswer, create...)
	return c.explain(err)
}

// maxAnswer bounds answers without rows, in bytes.
const maxAnswer = 64 << 10

// explain says what a server's refusal is about: the client does not know that there are temporary tables.
func (c *scratch) explain(err error) error {
	var said *wire.Error
	if !errors.As(err, &said) || said.Errno == wire.CodeQueryInterrupted.Errno() {
		return err
	}
	text := fmt.Sprintf("%s (on backend %s, where the tables of the statement are brought together)", said.Message, c.conn.Backend().Name())
	if said.Errno == wire.CodeDBAccessDenied.Errno() {
		text += "; xaproxy's account there needs the privilege CREATE TEMPORARY TABLES"
	}
	return &wire.Error{Errno: said.Errno, State: said.State, Message: text}
}

// quoted is the i-th temporary table.
func (t *scratchTable) quoted(i int) string {
	return backend.Quote(t.in) + "." + backend.Quote(t.names[i])
}

// columnList is the names of the columns.
func (t *scratchTable) columnList() string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = backend.Quote(c.Name)
	}
	return strings.Join(names, ",")
}

// ready ends the loading: the second and further tables get what the first has, and the session is the client's again.
func (c *scratch) ready() error {
	var last []string
	for _, t := range c.tables {
		last = append(last, t.addedUp()...)
		for i := range t.names[1:] {
			last = append(last, fmt.Sprintf("INSERT INTO %s (%s) SELECT %[2]s FROM %[3]s", t.quoted(i+1), t.columnList(), t.quoted(0)))
		}
	}
	last = append(last, "SET SESSION sql_mode = @`xaproxy mode`, time_zone = @`xaproxy zone`, "+accessVariable(c.conn.Backend().Flavour())+" = @`xaproxy access`")
	if _, err := c.conn.Batch(maxAnswer, last...); err != nil {
		return c.explain(err)
	}
	return c.conn.Restore(c.state)
}
