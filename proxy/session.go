package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// session is one client connection. Its goroutine owns every field but known and work.
type session struct {
	srv  *Server
	gen  *generation // that the present command sees
	id   uint32
	net  net.Conn
	came time.Time

	known bool // it has logged in; protected by Server.mu
	work  work

	conn  *wire.Conn
	user  *user
	login *wire.Login
	relay wire.Relay

	settings
	autocommit bool
	nextKey    xa.Key       // the commit key of the next transaction
	tx         *transaction // nil outside of a transaction
	open       bool         // a transaction of local's own has begun, as the last answer said
	last       lastStatement
	past       past

	statements map[uint32]*prepared // of COM_STMT_PREPARE
	texts      int                  // bytes in their texts
	long       int                  // bytes of long data that they have
	named      map[string]*prepared // of PREPARE, by name in lower case
	lastID     uint32               // of statements
	cursor     *cursor              // that the present execution has opened
	pins       map[int]*pin         // by backend
	elsewhere  map[string]int       // user variables that only a pinned connection knows, by name: its backend
	handlers   map[string]int       // open ones, by name: their backends
	router     *router.Router       // with the session's temporary tables

	counters *counters
	noted    noted
	traced   *traced // nil: nothing is traced

	request request // of the present statement; it and binding are used again and again
	binding binding // of the present COM_STMT_EXECUTE
	track   tracker

	more   bool // another statement of the same packet follows
	failed bool // the present statement was answered with an error
	armed  time.Time
}

// serve runs the session to its end. Whatever it holds is given back: an open transaction is rolled back.
func (s *session) serve() {
	defer s.net.Close()
	defer func() {
		if r := recover(); r != nil { // one client's misfortune costs no other client anything
			s.srv.logger.Error().Uint32("conn", s.id).Interface("panic", r).Bytes("stack", debug.Stack()).Msg("session failed")
			s.abandon()
			s.unpin()
			s.forgetPast()
		}
	}()
	err := s.accept()
	if err == nil {
		err = s.commands()
		s.abandon()
		s.unpin()
		s.forgetPast()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.counters.failed[clientSide].Add(1)
		s.log(zerolog.DebugLevel).Err(err).Msg("session ended")
	}
}

// log begins a line about the session.
func (s *session) log(level zerolog.Level) *zerolog.Event {
	e := s.srv.logger.WithLevel(level).Uint32("conn", s.id)
	if s.login != nil {
		e = e.Str("user", s.login.User)
	}
	return e
}

// accept does the handshake.
func (s *session) accept() error {
	conn, login, err := s.gen.wire.Accept(background, s.net, s.id)
	s.srv.gate.tried(s.net, err, time.Now())
	if err != nil {
		return err
	}
	s.conn, s.login = conn, login
	return s.welcome()
}

// welcome makes the session that of the user who has just logged in, and answers.
func (s *session) welcome() error {
	login := s.login
	if e := s.srv.enter(s, s.gen.users[login.User]); e != nil {
		return s.turnAway(e)
	}
	if name, bad := unsafeCollation(login.Collation); bad {
		return s.turnAway(wire.NewError(wire.CodeNotSupported,
			"character set %s can hide quotes inside its characters and is not supported; connect with utf8mb4", name))
	}
	s.reset()
	if login.Schema != "" {
		if e := s.selectable(login.Schema); e != nil {
			return s.turnAway(e)
		}
		s.state.Schema = canonical(login.Schema)
		s.track.uses()
	}
	s.work.belongs(s.user, login.User, login.Schema)
	s.log(zerolog.DebugLevel).Msg("session started")
	return s.ok(wire.OK{})
}

// turnAway ends a handshake with an error.
func (s *session) turnAway(e *wire.Error) error {
	if err := s.conn.WriteErr(e); err != nil {
		return err
	}
	return e
}

// reset brings the session's state to what it was after the handshake, except for the schema.
func (s *session) reset() {
	s.state = backend.Session{
		Caps: s.conn.Caps() & backend.HandshakeCaps, Collation: s.login.Collation, Schema: s.state.Schema,
	}
	s.variables, s.nextTx, s.nextKey = nil, characteristics{}, xa.Key{}
	s.statements, s.named, s.router = nil, nil, s.gen.router
	s.texts, s.long = 0, 0
	s.forgetPast()
	if s.user.readOnly {
		s.note(forReading)
		s.compose()
	}
	s.mode, s.autocommit = s.gen.mode, true
	s.track.start(s)
	s.repeat = s.track.on
	s.conn.SetPatience(s.patience())
}

// patience is how long the client may keep a statement waiting: stall_timeout, or a larger net_write_timeout of its own, as
// drivers set it that read a large result slowly.
func (s *session) patience() time.Duration {
	limit := s.gen.cfg.Server.StallTimeout.Std()
	_, seconds, ok := strings.Cut(find(s.variables, "net_write_timeout").sql, " = ")
	if n, err := strconv.Atoi(seconds); ok && err == nil {
		limit = max(limit, time.Duration(n)*time.Second)
	}
	return limit
}

// commands answers one command after the other. A returned error ends the session.
//
// NB: most clients wait here. Their stacks, of 8 KB while they work, shrink to 4 KB as long as the frames of this wait are
// small: they have no room for what only a command needs.
func (s *session) commands() error {
	s.arm(time.Now())
	for {
		command, arg, err := s.conn.ReadCommand()
		if err != nil {
			return s.unreadable(err)
		}
		s.srv.questions.Add(1)
		if command == wire.ComQuit {
			return nil
		}
		if err := s.answer(command, arg); err != nil {
			return err
		}
	}
}

// answer answers one command and makes the session ready for the next one.
func (s *session) answer(command wire.Command, arg []byte) error {
	s.more, s.failed = false, false
	var err error
	s.noted.began = time.Now()
	held, newest, ending := s.work.begin(s.noted.began, &s.srv.newest)
	if newest != s.gen {
		err = s.renew(held, newest)
	}
	last := ending && endsUse(command, arg)
	if last {
		cork(s.net, true) // the end goes with the answer: a client that has the one has the other
	}
	if err == nil {
		err = s.command(command, arg)
	}
	now := time.Now()
	inTx := s.tx != nil || s.open
	if s.work.end(now, inTx, len(s.pins) > 0) {
		s.armed = time.Time{} // its time may have been set just before it began a transaction
	}
	s.counted(now)
	s.relay.Infile = false
	if err == nil {
		err = s.lostPin()
	}
	switch {
	case last && !inTx:
		s.interrupt()
		return err
	case last:
		cork(s.net, false)
	}
	s.arm(now)
	return err
}

// endsUse reports whether clients may be done with a connection for now after such a command. Others come before a statement.
func endsUse(command wire.Command, arg []byte) bool {
	switch command {
	case wire.ComQuery:
		return kindOf(arg) != setKind
	case wire.ComStmtExecute:
		return true
	}
	return false
}

// query runs the statements of a COM_QUERY. Only a client that asked for multi-statements may send more than one:
// backend connections always allow several, so the router's refusal keeps the protection that the client would have
// on a direct connection.
func (s *session) query(arg []byte) error {
	attrs, sql, err := wire.SplitQueryAttributes(arg, s.conn.Caps())
	if err != nil {
		return s.fail(unreadablePacket)
	}
	sql = trimmed(sql)
	if !s.conn.Caps().Has(wire.MultiStatements) {
		return s.statement(attrs, s.alone(sql))
	}
	if bytes.IndexByte(sql, ';') < 0 {
		return s.statement(attrs, sql)
	}
	statements := router.Split(sql, s.mode)
	if len(statements) < 2 {
		return s.statement(attrs, sql)
	}
	attrs = bytes.Clone(attrs)
	for i, one := range statements {
		statements[i] = bytes.Clone(one) // the file of a LOAD DATA among them is read into the packet's place
	}
	for i, one := range statements {
		s.more = i < len(statements)-1
		if err := s.statement(attrs, one); err != nil || s.failed {
			return err
		}
		if s.more {
			s.counted(time.Now())
		}
	}
	return nil
}

// trimmed takes off what servers take off the end of a text. A NUL is the end of it for them.
func trimmed(sql []byte) []byte { return bytes.TrimRight(sql, " \t\r\n\v\f;\x00") }

// alone takes off what may be behind the semicolon of a statement even if the client may send only one: comments.
func (s *session) alone(sql []byte) []byte {
	_, rest, more := bytes.Cut(sql, []byte{';'})
	if !more || !bytes.Contains(rest, []byte("--")) && !bytes.ContainsAny(rest, "#*") {
		return sql
	}
	if statements := router.Split(sql, s.mode); len(statements) == 1 && bytes.HasPrefix(sql, statements[0]) {
		return statements[0]
	}
	return sql
}

// use selects a schema. Backend connections follow when the next statement needs them.
func (s *session) use(schema string) error {
	if e := s.selectable(schema); e != nil {
		return s.fail(e)
	}
	s.state.Schema = canonical(schema)
	s.work.moved(schema)
	s.track.uses()
	return s.ok(wire.OK{})
}

// selectable says why a schema cannot be the current one.
func (s *session) selectable(schema string) *wire.Error {
	if e := s.srv.style.badSchema(schema); e != nil {
		return e
	}
	lower := strings.ToLower(schema)
	if lower == router.Console {
		if e := s.mayAdminister(); e != nil {
			return wire.NewError(wire.CodeDBAccessDenied, "Access denied for user '%s' to database '%s': %s", s.login.User, schema, e.Message)
		}
		return nil
	}
	if !s.user.mayUse(lower) {
		return wire.NewError(wire.CodeDBAccessDenied, "Access denied for user '%s' to database '%s'", s.login.User, schema)
	}
	if config.SystemSchema(lower) || s.gen.cfg.HasSchema(schema) {
		return nil
	}
	return wire.NewError(wire.CodeUnknownDatabase, "Unknown database '%s': it is in no [[schemas]] and no [[tables]] of the configuration", schema)
}

// status is what OK packets tell the client about its session.
func (s *session) status() wire.Status {
	var st wire.Status
	if s.autocommit {
		st |= wire.StatusAutocommit
	}
	if s.tx != nil || s.open {
		st |= wire.StatusInTrans
	}
	if s.tx != nil && s.tx.readOnly() {
		st |= wire.StatusInTransReadonly
	}
	if s.mode&router.NoBackslashEscapes != 0 {
		st |= wire.StatusNoBackslashEscapes
	}
	if s.mode&router.AnsiQuotes != 0 && s.srv.style.mariadb {
		st |= wire.StatusAnsiQuotes
	}
	if s.more {
		st |= wire.StatusMoreResults
	}
	return st
}

// ok answers with an OK of the proxy's own.
func (s *session) ok(o wire.OK) error {
	o.Status |= s.status()
	o.Warnings += s.relay.AddWarnings
	if s.past.late {
		o.Warnings++
	}
	s.track.tell(&o, false)
	return s.conn.WriteOK(o)
}

// table answers with rows of the proxy's own.
func (s *session) table(columns []wire.Column, rows [][][]byte) error {
	end := wire.OK{Status: s.status()}
	if s.conn.Caps().Has(wire.DeprecateEOF) {
		s.track.tell(&end, true)
	}
	return s.conn.WriteTextResult(columns, rows, end)
}

// fail answers with an error. One that takes the commit key from the open transaction, which has done nothing yet, ends that: drivers read
// "rolled back" from its SQLSTATE, and what came next would have no key.
func (s *session) fail(e *wire.Error) error {
	s.failed = true
	if !s.work.used {
		s.noted.reason = refusedFor(e.Errno)
	}
	if keyless := e.Errno == wire.CodeKeyRunning.Errno() || e.Errno == wire.CodeKeyCommitted.Errno(); keyless && s.tx != nil && s.tx.xa == nil {
		s.rollback(e)
	}
	s.past.failed(e)
	return s.conn.WriteErr(e)
}

// abandon rolls back the open transaction, because the client is gone or starts anew. Inlined, its variables would be on the stacks of all clients
// that wait.
//
//go:noinline
func (s *session) abandon() {
	if s.tx != nil {
		s.rollback(errAbandoned)
	}
}

var errAbandoned = errors.New("the client went away")

// arm sets the moment at which an idle client is disconnected. Doing it for every command would cost a fresh timer
// each time, so it is only kept within a sixteenth of idle_timeout.
func (s *session) arm(now time.Time) {
	limit := s.gen.cfg.Server.IdleTimeout.Std()
	if now.Sub(s.armed) > limit/16 {
		s.armed = now
		_ = s.net.SetReadDeadline(now.Add(limit)) // a connection without deadlines is closed: the next read says so
		if s.srv.isClosing() && s.work.finish() {
			s.linger() // this may have undone it
		}
	}
}

// linger ends the session unless it has something to do within lastWord.
func (s *session) linger() {
	_ = s.net.SetReadDeadline(time.Now().Add(lastWord)) // a closed connection needs no end
}

// interrupt ends the session when it next waits for its client.
func (s *session) interrupt() {
	_ = s.net.SetReadDeadline(time.Unix(1, 0)) // a closed connection needs no interruption
}

// unreadable ends the session after its client could not be read, with a word of why where it can be heard.
func (s *session) unreadable(err error) error {
	var e *wire.Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, os.ErrDeadlineExceeded):
		e = wire.NewError(wire.CodeServerShutdown, "xaproxy closed the connection: %s", s.srv.whyClosed())
	case errors.Is(err, wire.ErrTooLarge):
		e = wire.NewError(wire.CodePacketTooLarge, "Got a packet bigger than max_packet = %s of xaproxy", s.gen.cfg.Server.MaxPacket)
	case errors.Is(err, wire.ErrSequence):
		e = wire.NewError(wire.CodePacketOrder, "Got packets out of order")
	default:
		return err
	}
	_ = s.net.SetWriteDeadline(time.Now().Add(time.Second)) // if it fails, so does the write
	if werr := s.conn.WriteErr(e); werr != nil {
		return fmt.Errorf("%w (and the client did not hear of it: %v)", err, werr)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) { // who said nothing is not saying anything
		s.abandon()
		s.unpin()
		s.forgetPast()
		s.hearOut()
	}
	return err
}

// hearOut takes what the client is still sending, for a while. A connection that is closed before everything was read is reset,
// and the client loses the error that it was sent.
func (s *session) hearOut() {
	if half, ok := s.net.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = s.net.SetReadDeadline(time.Now().Add(farewell)) // if it fails, so does the read
		_, _ = io.Copy(io.Discard, s.net)                   // the session is over in any case
	}
}

// farewell is how long a client may take to send the rest of a packet that is not wanted, and to close.
const farewell = time.Second

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

func (s *Server) whyClosed() string {
	if s.isClosing() {
		return "it is shutting down"
	}
	return "the connection was idle for longer than idle_timeout"
}

// ctx is the context of waits for a backend connection, which end with the statement; they are bounded by pool_wait and
// connect_timeout.
func (s *session) ctx() context.Context { return &s.work }
