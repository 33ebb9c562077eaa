package proxy

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// prepared is a client's statement of COM_STMT_PREPARE. The client knows it by a number of the session's; each backend
// connection that executes it prepares it for itself.
type prepared struct {
	text     string
	shown    []byte // the beginning of text
	sent     string // text with values of the session's own in it, as the servers get it
	numbered string // sent with parameters for numbers of a sequence; "" if there are none
	schema   string // that was current when it was prepared: its tables are looked up there for ever
	mode     router.Mode
	listed   time.Time      // when the names of columns were written into sent; zero: they were not
	router   *router.Router // that made routed; another one has other temporary tables
	learnt   uint64         // by it until then
	own      bool           // text has values of the session's own, which may be others at each execution
	asks     bool           // text asks what became of a commit key
	routed   *router.Statement
	params   int
	console  []int          // of a statement on the schema xaproxy, which is not nil: where its parameters are in text
	types    []byte         // of the parameters, as the client bound them last
	long     map[int][]byte // parameters sent as long data, until the next execution or reset
	size     int            // of long, in bytes
	fault    *wire.Error    // what was wrong with long data, until the next reset
	cursor   *cursor        // open, or nil
}

// cursor is rows that the client fetches piece by piece, from the connection that executed the statement.
type cursor struct {
	conn      *backend.Conn
	statement *backend.Statement
}

// maxPrepared is how many statements a session may have, the default of a server's max_prepared_stmt_count.
const maxPrepared = 16382

// pinCursor is the reason to keep a connection while a client fetches from it.
const pinCursor = "open cursor"

// prepare answers COM_STMT_PREPARE. A backend that may execute the statement describes its parameters and columns.
func (s *session) prepare(sql []byte) error {
	p, plan, e := s.newPrepared(sql)
	if (e != nil || s.state.Schema == router.Console) && s.preparesForConsole(sql) {
		return s.prepareConsole(sql)
	}
	if e != nil {
		return s.fail(e)
	}
	s.lastID++
	id := s.lastID
	text := p.sent
	if plan.Verb == router.Set && p.params > 0 { // a server knows what its parameters are
		if slices.ContainsFunc(plan.Sets, func(a router.Assignment) bool { return a.Name == commitKey }) {
			text = onlyParams(p.params) // it does not know the variable
		}
		plan = &router.Plan{Verb: router.Route, Parts: []router.Part{{Backend: router.AnyBackend}}, Server: true}
	}
	if plan.Verb != router.Route && plan.Verb != router.Diagnostics { // the session carries it out itself
		if err := s.conn.WritePrepared(wire.Prepared{ID: id}); err != nil {
			return err
		}
		s.keep(id, p)
		return nil
	}
	described, err := s.describe(plan, text, p.params, id)
	if described {
		s.keep(id, p)
	}
	return err
}

// newPrepared analyses a statement that the client wants to prepare, and returns a plan that describes it, or why it may not.
func (s *session) newPrepared(sql []byte) (*prepared, *router.Plan, *wire.Error) {
	if s.full() {
		return nil, nil, tooManyStatements
	}
	p := &prepared{text: string(sql), shown: slices.Clone(sql[:min(len(sql), shownText)]), schema: s.state.Schema, mode: s.mode}
	if err := s.routed(p); err != nil {
		return nil, nil, clientError(err, false)
	}
	plan := p.routed.Any()
	switch e := s.forbidden(plan); {
	case e != nil:
		return nil, nil, e
	case plan.Verb == router.Empty:
		return nil, nil, emptyQuery
	case s.unprepared(plan.Verb), plan.Merge == router.MergeDDL && plan.DDL.Rows:
		return nil, nil, unpreparable
	case plan.Verb == router.Handler:
		plan = s.atHandler(plan)
	}
	return p, plan, nil
}

// full says whether the session has as many statements as it may, or as much text in them.
func (s *session) full() bool {
	return len(s.statements)+len(s.named) >= maxPrepared || s.texts > int(s.gen.cfg.Server.MaxPacket)
}

var tooManyStatements = &wire.Error{
	Errno: 1461, State: "42000", Message: "Can't create more than max_prepared_stmt_count statements (current value: 16382); close some",
}

// routed has a statement analysed, with the values of the session's own that it names.
func (s *session) routed(p *prepared) error {
	if p.router == s.router && p.learnt == s.router.Learnt() && !p.own && (p.listed.IsZero() || time.Since(p.listed) < columnsLast) {
		return nil
	}
	return s.analyse(p, func(string, int) (string, *wire.Error) {
		p.asks = true // but not yet
		return "'rolled back'", nil
	})
}

// analyse is routed with what outcome says of commit keys.
func (s *session) analyse(p *prepared, outcome func(arg string, param int) (string, *wire.Error)) error {
	learnt := s.router.Learnt()
	routed, err := s.router.Prepare([]byte(p.text), p.schema, p.mode)
	if s.looks() {
		routed, err = s.router.Prepare([]byte(p.text), p.schema, p.mode)
	}
	if err != nil {
		return err
	}
	p.sent = p.text
	if p.own = routed.Any().Own; p.own {
		sent, e := s.own([]byte(p.text), p.mode, outcome)
		if e != nil {
			return e
		}
		if routed, err = s.router.Prepare(sent, p.schema, p.mode); err != nil {
			return err
		}
		p.sent = string(sent)
	}
	p.listed = time.Time{}
	if plan := routed.Any(); plan.Columns != "" {
		sent, e := s.list(plan, []byte(p.sent), p.mode)
		if e != nil {
			return e
		}
		if routed, err = s.router.Prepare(sent, p.schema, p.mode); err != nil {
			return err
		}
		p.sent, p.listed = string(sent), time.Now()
	}
	p.router, p.learnt, p.routed, p.params, p.numbered = s.router, learnt, routed, routed.Params, string(routed.Text)
	return nil
}

func (s *session) keep(id uint32, p *prepared) {
	if s.statements == nil {
		s.statements = make(map[uint32]*prepared)
	}
	s.statements[id] = p
	s.texts += len(p.text)
}

// describe prepares the text on a backend and relays what it says, under the session's id.
func (s *session) describe(plan *router.Plan, text string, params int, id uint32) (described bool, _ error) {
	conn, text, release, err := s.describer(plan, text, params)
	if err != nil {
		return false, s.fail(clientError(err, false))
	}
	defer release()
	if plan.Scratch == nil && s.tx == nil && s.nextTx != (characteristics{}) { // a server refuses now what may not write
		err := s.once([]*backend.Conn{conn}, func(lead string) error {
			described, err = s.describeOn(conn, text, id, lead)
			return err
		})
		return described, err
	}
	return s.describeOn(conn, text, id)
}

// describeOn is describe on a connection, after lead.
func (s *session) describeOn(conn *backend.Conn, text string, id uint32, lead ...string) (described bool, _ error) {
	if len(lead) > 0 {
		if err := conn.Ready(&s.state, lead...); err != nil {
			return false, s.fail(clientError(err, false))
		}
	}
	if err := conn.SendCommand(wire.ComStmtPrepare, []byte(text)); err != nil {
		return false, s.fail(clientError(conn.Lost(err), false))
	}
	s.relayStatus()
	answer, err := s.relay.Prepare(s.conn, conn.Conn, id)
	if err != nil {
		return false, s.side(conn, err, func(cause error) *wire.Error { return clientError(cause, false) })
	}
	if answer.Err != nil {
		if s.failed = true; !s.srv.style.mariadb {
			s.past.failed(answer.Err)
		}
		return false, nil
	}
	return true, conn.Keep(text, answer.ID)
}

// onlyParams is a statement with parameters and no columns.
func onlyParams(n int) string { return "DO 0" + strings.Repeat(", ?", n) }

// asideFor is aside for a plan on one backend.
func (s *session) asideFor(p *router.Plan) (conn *backend.Conn, release func(), err error) {
	conn, release, err = s.aside(s.backend(p, p.Parts[0]))
	for i := 0; err != nil && i < len(p.Copies); i++ {
		conn, release, err = s.aside(s.gen.backends[p.Copies[i]])
	}
	return conn, release, err
}

// describer lends a connection that can prepare the text of a statement, or the text that it returns instead.
func (s *session) describer(plan *router.Plan, text string, params int) (conn *backend.Conn, as string, release func(), err error) {
	switch {
	case plan.Scratch != nil && (plan.Scratch.Beside || !plan.Scratch.Informs):
		return s.scratchDescriber(plan, text)
	case plan.Steps != nil: // it has no columns
		plan = &router.Plan{Verb: router.Route, Parts: []router.Part{{Backend: router.AnyBackend}}}
		text = onlyParams(params)
	}
	if conn, release, err = s.asideFor(plan); err != nil {
		return nil, "", nil, err
	}
	if err = conn.Ready(&s.state); err != nil {
		release()
		return nil, "", nil, err
	}
	return conn, text, release, nil
}

// aside lends a connection for something that is no part of the transaction: that of a branch, if the backend has one,
// because tables that the transaction made are only known there.
func (s *session) aside(b *backend.Backend) (conn *backend.Conn, release func(), err error) {
	if s.tx != nil {
		if br, ok := s.tx.branches[b.Index]; ok && br.Started() {
			conn = br.Conn()
			s.work.uses(conn)
			return conn, func() { s.work.leaves(conn) }, nil
		}
	}
	if conn, err = s.acquire(b); err != nil {
		return nil, nil, err
	}
	s.work.uses(conn)
	return conn, func() {
		s.work.leaves(conn)
		conn.Put()
	}, nil
}

// execute answers COM_STMT_EXECUTE: the bound values say where it goes, and a statement that the session carries out
// itself, such as COMMIT, takes the same way as its text would.
func (s *session) execute(arg []byte) error {
	p, e := s.lookUp(wire.ComStmtExecute, arg)
	if e != nil {
		return s.fail(e)
	}
	s.closeCursor(p)
	if p.fault != nil {
		return s.fail(p.fault)
	}
	s.work.runs(p.shown)
	if p.console == nil {
		if err := s.routed(p); err != nil {
			return s.fail(clientError(err, false))
		}
	}
	s.binding.long = p.long
	s.request = request{text: p.sent, schema: p.schema, bound: &s.binding}
	defer s.executed()
	r, x := &s.request, &s.binding.execute
	if err := x.Parse(arg, p.params, p.types, p.isLong, s.conn.Caps()); err != nil {
		return s.fail(s.srv.style.unreadableArguments(err))
	}
	p.types = append(p.types[:0], x.Types...)
	if p.console != nil {
		return s.executeConsole(p, x)
	}
	if p.asks {
		if err := s.analyse(p, s.outcomeOfBound(p.mode, func(i int) router.Value { return value(x, p.long, i) })); err != nil {
			return s.fail(clientError(err, false))
		}
		r.text = p.sent
	}
	var plan *router.Plan
	var err error
	s.noted.tally = p.routed.Tally()
	if p.routed.Numbered() {
		plan, e = s.numberedExecution(p, func(i int) router.Value { return value(x, p.long, i) })
	} else if plan, err = p.routed.Plan(func(i int) router.Value { return value(x, p.long, i) }); err != nil {
		e = clientError(err, false)
	}
	if e != nil {
		return s.fail(e)
	}
	switch {
	case plan.Compute != nil && plan.Returning: // the rows would come as text
		return s.fail(wire.NewError(wire.CodeNotSupported, "the value of %s, the shard key of %s, is an expression, and the statement has RETURNING; bind the value itself", plan.Compute[0].Column, plan.Compute[0].Table))
	case plan.Verb == router.Set && p.params > 0, plan.Merge == router.MergeSteps, plan.Compute != nil:
		err = s.written(p, r.numbers, func(i int) []byte { return s.literal(x, s.binding.long, i) })
		s.dropLong(p)
		return err
	case plan.Verb != router.Route:
		r.sql = []byte(p.sent)
	}
	if x.Flags != 0 && len(plan.Parts) != 1 {
		x.Flags = 0 // rows of several backends come at once: a server, too, may ignore the wish for a cursor
	}
	if plan.Stream == nil {
		err = s.carryOut(plan, r)
	} else {
		err = s.replan(plan, r, func() (*router.Plan, error) {
			return p.routed.Plan(func(i int) router.Value { return value(x, p.long, i) })
		})
	}
	s.dropLong(p)
	if s.cursor != nil {
		p.cursor, s.cursor = s.cursor, nil
	}
	return err
}

// executed drops what the present request holds of the client's packet, which may be large.
func (s *session) executed() {
	s.binding.execute.Forget()
	s.request, s.binding = request{}, binding{execute: s.binding.execute}
}

func (p *prepared) isLong(i int) bool {
	_, ok := p.long[i]
	return ok
}

// value is what the router sees of a parameter.
func value(x *wire.Execute, long map[int][]byte, i int) router.Value {
	if data, ok := long[i]; ok {
		return router.Value{Kind: router.ValueBytes, Bytes: data}
	}
	if x.Null(i) {
		return router.Value{Kind: router.ValueNull}
	}
	if bits, ok := x.Integer(i); ok {
		if x.Unsigned(i) {
			return router.Value{Kind: router.ValueUint, Uint: bits}
		}
		return router.Value{Kind: router.ValueInt, Int: int64(bits)}
	}
	if text, ok := x.Text(i); ok {
		return router.Value{Kind: router.ValueBytes, Bytes: text}
	}
	if f, ok := x.Double(i); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 { // the numbers of JavaScript
		return router.Value{Kind: router.ValueInt, Int: int64(f)}
	}
	if text, ok := x.AppendMoment(nil, i); ok {
		return router.Value{Kind: router.ValueBytes, Bytes: text}
	}
	return router.Value{Kind: router.ValueOther}
}

// written carries out a prepared statement whose values are written into its text, among them numbers of a sequence.
func (s *session) written(p *prepared, n numbers, value func(int) []byte) error {
	sql := p.routed.Written(value)
	plan, err := p.router.Plan(sql, p.schema, p.mode)
	if err != nil {
		return s.fail(clientError(err, false))
	}
	if (plan.Merge == router.MergeSteps || plan.Compute != nil) && p.mode != s.mode {
		return s.fail(wire.NewError(wire.CodeNotSupported, "sql_mode has changed since the statement was prepared, and values are written into it; prepare it again"))
	}
	if plan.Compute != nil {
		defer func(schema string) { s.state.Schema = schema }(s.state.Schema)
		s.state.Schema = p.schema
		if sql, plan, err = s.computed(plan, sql); err != nil {
			return s.fail(clientError(err, false))
		}
	}
	s.request = request{sql: sql, schema: p.schema, numbers: n}
	return s.carryOut(plan, &s.request)
}

// literal is a bound value as a literal of the same type.
func (s *session) literal(x *wire.Execute, long map[int][]byte, i int) []byte {
	if data, ok := long[i]; ok {
		return s.quote(data)
	}
	if x.Null(i) {
		return []byte("NULL")
	}
	if bits, ok := x.Integer(i); ok {
		if x.Unsigned(i) {
			return strconv.AppendUint(nil, bits, 10)
		}
		return strconv.AppendInt(nil, int64(bits), 10)
	}
	if f, ok := x.Double(i); ok {
		return strconv.AppendFloat(nil, f, 'e', -1, 64)
	}
	if f, ok := x.Float(i); ok {
		return strconv.AppendFloat(nil, float64(f), 'e', -1, 64)
	}
	if text, ok := x.Text(i); ok {
		return s.quote(text)
	}
	if text, ok := x.AppendMoment(nil, i); ok {
		return s.quote(text)
	}
	text, number := x.Written(i)
	if number {
		return text
	}
	return s.quote(text)
}

// quote writes a string literal in the client's character set. Bytes that are no text in it are written as what they are.
func (s *session) quote(text []byte) []byte {
	if !utf8.Valid(text) && s.speaksUTF8() {
		return fmt.Appendf(nil, "_binary x'%x'", text)
	}
	out := []byte{'\''}
	for _, c := range text {
		if c == '\'' || c == '\\' && s.escapes() {
			out = append(out, c)
		}
		out = append(out, c)
	}
	return append(out, '\'')
}

// sendLongData notes a piece of a parameter. There is no answer, so what is wrong is said by the next execution.
func (s *session) sendLongData(arg []byte) error {
	p, e := s.lookUp(wire.ComStmtSendLongData, arg)
	if e != nil || len(arg) < 6 {
		return nil
	}
	i, data := int(binary.LittleEndian.Uint16(arg[4:])), arg[6:]
	if i >= p.params {
		p.fault = wrongArguments("mysqld_stmt_send_long_data")
		return nil
	}
	if p.fault != nil {
		return nil
	}
	p.size += len(data)
	if s.long += len(data); s.long > int(s.gen.cfg.Server.MaxPacket) {
		s.dropLong(p)
		p.fault = tooLong
		return nil
	}
	if p.long == nil {
		p.long = make(map[int][]byte)
	}
	p.long[i] = append(p.long[i], data...)
	return nil
}

// tooLong is the error of an execution whose long data was dropped: all that a session has at one time must fit max_packet.
var tooLong = wire.NewError(wire.CodeUnknown,
	"Parameter of prepared statement which is set through mysql_send_long_data() is longer than 'max_allowed_packet' bytes")

// dropLong drops the long data of a statement.
func (s *session) dropLong(p *prepared) {
	s.long -= p.size
	p.long, p.size = nil, 0
}

// resetStatement answers COM_STMT_RESET: long data is dropped and the cursor closed.
func (s *session) resetStatement(arg []byte) error {
	p, e := s.lookUp(wire.ComStmtReset, arg)
	if e != nil {
		return s.fail(e)
	}
	s.dropLong(p)
	p.fault = nil
	s.closeCursor(p)
	return s.ok(wire.OK{})
}

// closeStatement carries COM_STMT_CLOSE out. There is no answer. Backend connections keep the statement for whoever
// sends the same text next.
func (s *session) closeStatement(arg []byte) {
	if p, e := s.lookUp(wire.ComStmtClose, arg); e == nil {
		s.closeCursor(p)
		s.dropLong(p)
		s.texts -= len(p.text)
		delete(s.statements, binary.LittleEndian.Uint32(arg))
	}
}

// fetch answers COM_STMT_FETCH from the connection that has the cursor.
func (s *session) fetch(arg []byte) error {
	p, e := s.lookUp(wire.ComStmtFetch, arg)
	if e != nil {
		return s.fail(e)
	}
	if p.cursor == nil || len(arg) < 8 {
		return s.fail(&wire.Error{Errno: 1421, State: "HY000", Message: fmt.Sprintf("The statement (%d) has no open cursor.", binary.LittleEndian.Uint32(arg))})
	}
	conn := p.cursor.conn
	s.work.uses(conn)
	defer s.work.leaves(conn)
	var head [4]byte
	binary.LittleEndian.PutUint32(head[:], p.cursor.statement.ID())
	if err := conn.SendCommand(wire.ComStmtFetch, head[:], arg[4:8]); err != nil {
		return s.fail(clientError(conn.Lost(err), false))
	}
	s.relayStatus()
	result, err := s.relay.Rows(s.conn, conn.Conn)
	if err != nil {
		return s.side(conn, err, func(cause error) *wire.Error { return clientError(cause, false) })
	}
	if result.Err != nil {
		s.failed = true
	}
	if result.Err != nil || result.OK.Status&wire.StatusLastRowSent != 0 {
		s.dropCursor(p, conn.Return)
	}
	return nil
}

// opened notes whether the execution has opened a cursor, whose connection is kept for the client then.
func (s *session) opened(r *request, conn *backend.Conn, result wire.Result) {
	if !s.relay.Cursor || result.Err != nil || result.OK.Status&wire.StatusCursorExists == 0 {
		return
	}
	s.hold(conn, pinCursor)
	s.cursor = &cursor{conn, conn.Take(r.bound.id)}
}

// closeCursor gives up the rows that the client has not fetched.
func (s *session) closeCursor(p *prepared) {
	if p.cursor != nil {
		s.dropCursor(p, p.cursor.conn.Forget)
	}
}

// dropCursor ends a cursor, and with the last one on its connection the reason to keep that. then disposes of the statement.
func (s *session) dropCursor(p *prepared, then func(*backend.Statement) error) {
	c := p.cursor
	p.cursor = nil
	if err := then(c.statement); err != nil { // the loss is found out by LetGo
		s.log(zerolog.DebugLevel).Err(err).Msg("closing a cursor failed")
	}
	for _, other := range s.statements {
		if other.cursor != nil && other.cursor.conn == c.conn {
			return
		}
	}
	if s.letGo(c.conn, pinCursor) {
		c.conn.Put()
	}
}

// lookUp returns the statement that a command names.
func (s *session) lookUp(command wire.Command, arg []byte) (*prepared, *wire.Error) {
	if len(arg) < 4 {
		return nil, malformed(command)
	}
	id := binary.LittleEndian.Uint32(arg)
	if p, ok := s.statements[id]; ok {
		return p, nil
	}
	return nil, wire.NewError(wire.CodeUnknownStatement, "Unknown prepared statement handler (%d) given to %s", id, command)
}

// wrongArguments is the error of a command about a prepared statement whose parameters cannot be read.
func wrongArguments(command string) *wire.Error {
	return &wire.Error{Errno: 1210, State: "HY000", Message: "Incorrect arguments to " + command}
}
