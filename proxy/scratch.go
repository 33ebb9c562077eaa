package proxy

import (
	"errors"
	"fmt"
	"math"
	"slices"
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
	moved   bool     // the first one does not have the table's name
	unique  bool     // keys are as unique as in the table
}

// scratch answers a SELECT whose tables are not all on one backend.
func (s *session) scratch(p *router.Plan, r *request) error {
	text, state := string(r.sql), &s.state
	switch {
	case r.bound != nil:
		text, state = r.text, r.state(state)
		r.bound.execute.Flags = 0 // no cursor: the rows would have to be kept
	case r.named != nil:
		text, state = r.named.text, r.state(state)
	}
	c, err := s.openScratch(p, text, state)
	if err != nil {
		return s.fail(clientError(err, false))
	}
	defer c.close()
	if err := c.create(); err != nil {
		return s.fail(clientError(err, false))
	}
	if e := c.load(r); e != nil {
		return s.fail(e)
	}
	if err := c.ready(); err != nil {
		return s.fail(clientError(err, false))
	}
	whole, err := c.made(r)
	if err != nil {
		return s.fail(clientError(err, false))
	}
	part := router.Part{Backend: c.conn.Backend().Index}
	if whole.text != c.text {
		part.SQL, part.Params = []byte(whole.text), whole.params
	}
	return s.relayOn(c.conn, p, r.part(part))
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
	b := s.scratchBackend(p)
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
// a table is named twice, which MySQL takes more trouble for; each session has its own choice of the rest.
func (s *session) scratchBackend(p *router.Plan) *backend.Backend {
	var best []*backend.Backend
	most := math.MinInt
	for _, part := range p.Parts {
		b := s.srv.backends[part.Backend]
		score := 1
		for i := range p.Scratch.Tables {
			t := &p.Scratch.Tables[i]
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
			if !slices.ContainsFunc(t.Backends, func(i int) bool { return s.srv.backends[i].Flavour() == b.Flavour() }) {
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
	return best[int(s.id)%len(best)]
}

// maxDefinition bounds the answer to SHOW CREATE TABLE, in bytes.
const maxDefinition = 4 << 20

// defining brings a session to a state in which definitions mean the same on every server; kept is what ready brings back.
func defining(flavour int) []string {
	access := accessVariable(flavour)
	return []string{
		"SET @`xaproxy mode` = @@sql_mode, @`xaproxy zone` = @@time_zone, @`xaproxy access` = @@" + access,
		"SET NAMES utf8mb4",
		"SET SESSION sql_mode = '', time_zone = '+00:00', sql_quote_show_create = 1, " + access + " = 0",
	}
}

// accessVariable is the name of transaction_read_only, which MariaDB before 11.1 has under its old one only.
func accessVariable(flavour int) string {
	if flavour == 1 {
		return "tx_read_only"
	}
	return "transaction_read_only"
}

// define reads the definitions of the tables that have to be loaded.
func (c *scratch) define() error {
	if err := c.conn.Ready(c.state); err != nil {
		return err
	}
	here := c.conn.Backend()
	if here.Flavour() == 1 && here.Facts().LogBin {
		// Only some accounts may. Rows of temporary tables are in the log otherwise, unless its format is ROW.
		var said *wire.Error
		if err := c.conn.Exec("SET SESSION sql_log_bin = 0"); err != nil && !errors.As(err, &said) {
			return err
		}
	}
	var found []*scratchTable
	var shown []string
	for i := range c.plan.Scratch.Tables {
		t := &c.plan.Scratch.Tables[i]
		if c.s.tx == nil && t.Whole && !t.Temporary && t.Backends[0] == here.Index {
			continue // it is there
		}
		one := &scratchTable{ScratchTable: t, unique: true}
		c.tables = append(c.tables, one)
		if !t.Temporary && slices.Contains(t.Backends, here.Index) {
			found, shown = append(found, one), append(shown, one.show())
		}
	}
	answers, err := c.conn.Batch(maxDefinition, append(defining(here.Flavour()), shown...)...)
	if err != nil {
		return err
	}
	for i, t := range found {
		if err := c.defined(t, answers[len(answers)-len(found)+i]); err != nil {
			return err
		}
	}
	for _, t := range c.tables {
		if t.def == nil {
			if err := c.ask(t); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *scratchTable) show() string {
	return "SHOW CREATE TABLE " + backend.Quote(t.Schema) + "." + backend.Quote(t.Name)
}

// ask asks one of the table's backends for its definition, one of the same kind if there is one.
func (c *scratch) ask(t *scratchTable) error {
	s := c.s
	of := s.srv.backends[t.Backends[0]]
	for _, i := range t.Backends {
		if b := s.srv.backends[i]; b.Flavour() == c.conn.Backend().Flavour() {
			of = b
			break
		}
	}
	if t.Temporary {
		conn, release, err := s.aside(of)
		if err != nil {
			return err
		}
		defer release()
		answers, err := conn.Batch(maxDefinition, t.show())
		if err != nil {
			return err
		}
		return c.defined(t, answers[0])
	}
	state := &backend.Session{Caps: s.state.Caps, Collation: s.state.Collation}
	conn, err := of.Get(s.ctx(), state, s)
	if err != nil {
		return err
	}
	s.work.uses(conn)
	defer conn.Put()
	defer s.work.leaves(conn)
	conn.Soil()
	answers, err := conn.Batch(maxDefinition, append(defining(of.Flavour()), t.show())...)
	if err != nil {
		return err
	}
	return c.defined(t, answers[len(answers)-1])
}

// defined notes the definition of a table.
func (c *scratch) defined(t *scratchTable, answer wire.Rows) error {
	if len(answer.Columns) != 2 || len(answer.Values) != 1 {
		return wire.NewError(wire.CodeNotSupported,
			"%s.%s is a view, and its rows are needed on another backend or in a transaction over several; name its tables instead", t.Schema, t.Name)
	}
	def, err := temptable.ParseTable(string(answer.Values[0][1]))
	if err != nil {
		return wire.NewError(wire.CodeNotSupported, "the definition of %s.%s is not understood: %v", t.Schema, t.Name, err)
	}
	t.def, t.columns = def, def.Needed(c.plan.Scratch.Names, t.All)
	return nil
}

// create makes the temporary tables.
func (c *scratch) create() error {
	b := c.conn.Backend()
	var create []string
	for _, t := range c.tables {
		t.in = t.Schema
		t.names = []string{t.Name}
		if !b.Has(t.Schema) { // another schema must do, under another name
			for i := range c.plan.Scratch.Tables {
				if in := c.plan.Scratch.Tables[i].Schema; b.Has(in) {
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
	for _, t := range c.tables {
		for i := range t.names {
			create = append(create, t.def.Create(t.quoted(i), t.columns, t.unique))
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

// source is a backend that rows are fetched from.
type source struct {
	tables []*scratchTable
	conn   *backend.Conn
	branch *txBranch    // in a transaction
	rows   *wire.Reader // that come, or have come last
	err    error        // what went wrong there
}

// load brings the rows. Backends are read in parallel, the tables of each one after the other. After an error the transaction may be
// over.
func (c *scratch) load(r *request) *wire.Error {
	if len(c.tables) == 0 {
		return nil
	}
	if err := c.conn.Exec("SET SESSION sql_mode = '" + temptable.Loading + "'"); err != nil {
		return clientError(err, false)
	}
	sources, err := c.sources()
	defer func() {
		for _, from := range sources {
			c.s.work.leaves(from.conn)
			if from.branch == nil {
				from.conn.Put()
			}
		}
	}()
	if err != nil {
		return clientError(err, false)
	}
	fetch := func(i int) {
		if err := c.fetch(sources[i], r); err != nil {
			sources[i].err = err
			c.fail(err)
		}
	}
	if c.plan.Write { // one after the other, so that row locks bring everybody into one order
		for i := range sources {
			if fetch(i); c.failed != nil {
				break
			}
		}
	} else {
		parallel(len(sources), fetch)
	}
	return c.loaded(sources)
}

// sources borrows a connection to each backend that rows come from: in a transaction its branch.
func (c *scratch) sources() (sources []*source, err error) {
	s := c.s
	for _, part := range c.plan.Parts {
		from := &source{}
		for _, t := range c.tables {
			if slices.Contains(t.Backends, part.Backend) {
				from.tables = append(from.tables, t)
			}
		}
		if from.tables == nil {
			continue
		}
		b := s.srv.backends[part.Backend]
		if s.tx != nil {
			if from.branch, err = s.tx.branch(b, s.acquire); err != nil {
				return sources, err
			}
			from.conn, s.tx.last = from.branch.Conn(), from.branch
		} else if from.conn, err = s.acquire(b); err != nil {
			return sources, err
		}
		s.work.uses(from.conn)
		sources = append(sources, from)
	}
	return sources, nil
}

// fetch brings the rows of one backend. An error is about that; other reasons to stop are in c.failed.
func (c *scratch) fetch(from *source, r *request) error {
	for _, t := range from.tables {
		filters := slices.DeleteFunc(slices.Clone(t.Filters), func(f router.ScratchFilter) bool { return !t.def.Has(f.Names) })
		first := t.Limit > 0 && len(filters) == len(t.Filters) && t.def.Has(t.OrderNames) && !c.s.srv.mixed // servers of two kinds have orders of their own
		sql, params := temptable.Fetch(t.ScratchTable, t.columns, filters, first)
		one := &request{sql: sql}
		if len(params) > 0 {
			one = r.part(router.Part{SQL: sql, Params: params})
		}
		var err error
		if from.branch != nil {
			err = c.s.tx.begin(from.branch, &c.s.state, one, c.plan.Write)
		} else {
			err = one.send(from.conn, &c.s.state)
		}
		if err != nil {
			return err
		}
		rows, err := from.conn.Read()
		if err != nil {
			return err
		}
		from.rows = rows
		batch := temptable.NewBatch(t.quoted(0), t.columns)
		for {
			row, err := rows.Next()
			if err != nil {
				return from.conn.Classify(err)
			}
			if row != nil {
				if err := batch.Add(row, one.bound != nil); err != nil {
					c.fail(fmt.Errorf("table %s.%s: %w", t.Schema, t.Name, err))
					return nil
				}
			}
			if batch.Full() || row == nil && batch.Rows > 0 {
				if !c.insert(t, batch) {
					return nil
				}
				batch.Reset()
			}
			if row == nil {
				break
			}
		}
	}
	return nil
}

// fail ends the loading.
func (c *scratch) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
}

// errnoDuplicate is ER_DUP_ENTRY.
const errnoDuplicate = 1062

// insert loads rows, and tells whether more are wanted.
func (c *scratch) insert(t *scratchTable, batch *temptable.Batch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return false
	}
	c.rows += int64(batch.Rows)
	c.bytes += int64(len(batch.SQL()))
	if c.failed = c.overBudget(t); c.failed != nil {
		return false
	}
	err := c.run(batch.SQL())
	var said *wire.Error
	if errors.As(err, &said) && said.Errno == errnoDuplicate && t.unique { // what is unique on each backend need not be on all
		if err = c.loosen(t); err == nil {
			err = c.run(batch.SQL())
		}
	}
	c.failed = c.explain(err)
	return err == nil
}

// overBudget says why no more rows may be loaded.
func (c *scratch) overBudget(t *scratchTable) error {
	u := c.s.user
	for _, limit := range []struct {
		have, may int64
		name      string
	}{{c.rows, u.rows, "max_scratch_rows"}, {c.bytes, u.bytes, "max_scratch_bytes"}} {
		if limit.may > 0 && limit.have > limit.may {
			return wire.NewError(wire.CodeTooBigSelect,
				"the SELECT would bring more rows to one backend than %s = %d of user '%s' allows: %d rows, %d bytes, not all of %s.%s yet; add conditions on that table alone, name fewer columns, or change the setting",
				limit.name, limit.may, c.s.login.User, c.rows, c.bytes, t.Schema, t.Name)
		}
	}
	return nil
}

// run runs a statement without a result.
func (c *scratch) run(sql []byte) error {
	if err := c.conn.SendQuery(nil, sql); err != nil {
		return c.conn.Lost(err)
	}
	return c.conn.Expect()
}

// loosen makes the temporary table anew, with keys that need not be unique.
func (c *scratch) loosen(t *scratchTable) error {
	t.unique = false
	old, made := t.quoted(0), backend.Quote(t.in)+"."+backend.Quote("xaproxy#loose")
	statements := []string{
		"SET SESSION sql_mode = ''",
		t.def.Create(made, t.columns, false),
		"SET SESSION sql_mode = '" + temptable.Loading + "'",
		fmt.Sprintf("INSERT INTO %s (%s) SELECT %[2]s FROM %[3]s", made, t.columnList(), old),
		"DROP TEMPORARY TABLE " + old,
		"ALTER TABLE " + made + " RENAME TO " + old,
	}
	for i := range t.names[1:] {
		statements = append(statements, "DROP TEMPORARY TABLE "+t.quoted(i+1), t.def.Create(t.quoted(i+1), t.columns, false))
	}
	_, err := c.conn.Batch(maxAnswer, statements...)
	return err
}

// loaded looks at how the loading has ended.
func (c *scratch) loaded(sources []*source) *wire.Error {
	s := c.s
	for _, from := range sources {
		if !from.conn.Answered() && !from.conn.Broken() {
			if err := from.interrupt(); err != nil {
				from.err = err
			}
		}
	}
	for _, from := range sources {
		var said *wire.Error
		switch {
		case from.err == nil || from.branch == nil:
		case !errors.As(from.err, &said), endsTransaction(said, from.conn.Backend().Facts().RollbackOnTimeout):
			return s.lose(from.branch, from.err)
		}
	}
	if c.failed != nil {
		return clientError(c.failed, false)
	}
	return nil
}

// interrupt ends an answer whose rows are not wanted any more, so that the transaction can go on.
func (from *source) interrupt() error {
	if from.branch == nil || from.rows == nil {
		from.conn.Break()
		return nil
	}
	if err := from.conn.Backend().KillQuery(background, from.conn.ID); err != nil {
		return from.conn.Lost(err)
	}
	for row, err := from.rows.Next(); row != nil || err != nil; row, err = from.rows.Next() {
		var said *wire.Error
		if errors.As(err, &said) {
			return nil
		} else if err != nil {
			return from.conn.Lost(err)
		}
	}
	return nil
}
