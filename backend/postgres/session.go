package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/xaproxy/xaproxy/wire"
)

// session is one session of PostgreSQL, and the MySQL connection in front of it. The coroutine of a link, serve, has it after Dial.
type session struct {
	dialer *Dialer
	conn   driver.Conn
	socket net.Conn
	in     *messages
	out    []byte
	client *wire.Conn

	id                 uint32 // what KILL takes
	version            string // PostgreSQL's
	lockWait           int64  // seconds that it waits for a lock, unless the client sets it
	zone               string // PostgreSQL's own time zone
	schema             string
	vars               variables
	tx                 transaction
	prepared           preparedStatements
	named              named
	warnings           []warning
	said               []warning // of the statement that runs
	unlisted           int       // warnings that there were besides
	insertID           uint64
	commits, rollbacks int64 // as Handler_commit and Handler_rollback count

	sent        uint64 // messages
	answered    rows   // of the last message
	description []byte // of the last rows, and what it says
	fields      []field

	lost error // PostgreSQL has ended the session, or the connection to it broke
}

// warning is what SHOW WARNINGS shows.
type warning struct {
	level, text string
	errno       uint16
}

// maxWarnings is how many warnings of a statement are kept, as max_error_count has it by default.
const maxWarnings = 1024

// notice takes what PostgreSQL says beside its answer. It is called by the goroutine that runs the statement.
func (s *session) notice(e *pq.Error) {
	if len(s.said) < maxWarnings {
		level := "Note"
		if e.Severity == pqerror.SeverityWarning {
			level = "Warning"
		}
		s.said = append(s.said, warning{level, e.Message, 1105})
	}
}

// introduce asks PostgreSQL what the greeting needs.
//
// The id is the process id, of which Linux has 22 bits, and the lowest bits of the second in which the session began, so that it does not
// mean a later session with the same process id.
func (s *session) introduce() error {
	rows, err := s.ask("SELECT pg_backend_pid(), " + startBits("pg_backend_pid()") + ", current_setting('server_version'), " +
		"current_setting('default_transaction_isolation'), " + boundWaiting + ", current_setting('TimeZone')")
	if err != nil {
		return err
	}
	pid, _ := rows[0][0].(int64)
	bits, _ := rows[0][1].(int64)
	s.id = uint32(pid)&(1<<pidBits-1) | uint32(bits)<<pidBits
	s.version, s.zone = fmt.Sprint(rows[0][2]), fmt.Sprint(rows[0][5])
	if ms, err := strconv.ParseInt(fmt.Sprint(rows[0][4]), 10, 64); err == nil {
		s.lockWait = (ms + 999) / 1000
	}
	s.vars.reset(s, strings.ToUpper(strings.ReplaceAll(fmt.Sprint(rows[0][3]), " ", "-")))
	return nil
}

const pidBits = 22

// startBits is an expression of the lowest bits of the second in which the session of a process id began.
func startBits(pid string) string {
	return "(SELECT extract(epoch FROM backend_start)::bigint & 1023 FROM pg_stat_activity WHERE pid = " + pid + ")"
}

// serve speaks the MySQL protocol until one of the two connections ends, and then ends the other one.
func (s *session) serve(far net.Conn) {
	defer s.socket.Close()
	defer func() {
		if r := recover(); r != nil { // the connection is lost, and no other client has anything of it
			s.dialer.warn(fmt.Errorf("panic in a session of PostgreSQL: %v: this is a mistake in xaproxy\n%s", r, debug.Stack()))
		}
	}()
	login := s.dialer.login(Version(s.version), utf8mb4Collation)
	client, l, err := login.Accept(context.Background(), far, s.id)
	if err != nil {
		return // the peer has been told
	}
	s.client = client
	s.vars.login(l)
	if err := s.enter(l.Schema); err != nil {
		_ = client.WriteErr(mysqlError(err)) // nobody else can be told
		return
	}
	if client.WriteOK(s.ok()) != nil {
		return
	}
	for s.lost == nil {
		command, arg, err := client.ReadCommand()
		if err != nil || command == wire.ComQuit {
			s.goodbye()
			return
		}
		if s.command(command, arg) != nil {
			return
		}
	}
}

// goodbye ends the session of PostgreSQL properly.
func (s *session) goodbye() { _ = s.conn.Close() } // the socket is closed in any case

// mysqlVersion is what clients are told, whose code then takes the way for MySQL 8.0.
const mysqlVersion = "8.0.36"

// utf8mb4Collation is utf8mb4_general_ci.
const utf8mb4Collation = 45

// command carries out a command. The error says that the client is gone.
func (s *session) command(command wire.Command, arg []byte) error {
	switch command {
	case wire.ComQuery:
		return s.query(arg)
	case wire.ComPing:
		if err := s.run("SELECT 1"); err != nil {
			return s.fail(err)
		}
		return s.client.WriteOK(s.ok())
	case wire.ComInitDB:
		if err := s.enter(string(arg)); err != nil {
			return s.fail(err)
		}
		return s.client.WriteOK(s.ok())
	case wire.ComResetConnection:
		if err := s.reset(); err != nil {
			return s.fail(err)
		}
		return s.client.WriteOK(s.ok())
	case wire.ComSetOption:
		on, err := wire.ParseSetOption(arg)
		if err != nil {
			return s.fail(err)
		}
		s.client.SetMultiStatements(on)
		return s.client.WriteEOF(s.ok())
	case wire.ComStmtPrepare:
		return s.prepare(arg)
	case wire.ComStmtExecute:
		return s.execute(arg)
	case wire.ComStmtSendLongData:
		s.longData(arg)
		return nil
	case wire.ComStmtClose:
		s.closeStatement(arg)
		return nil
	case wire.ComStmtReset:
		return s.resetStatement(arg)
	}
	return s.fail(wire.NewError(wire.CodeUnknownCommand, "%s is not known to a PostgreSQL backend", command))
}

// fail answers with an error, unless the session is lost: then the connection ends without an answer, as that of a server does.
func (s *session) fail(err error) error {
	if s.lost != nil {
		return s.lost
	}
	return s.client.WriteErr(mysqlError(err))
}

// mysqlError is the error that a client gets.
func mysqlError(err error) *wire.Error {
	var own *wire.Error
	if errors.As(err, &own) {
		return own
	}
	if e := said(err); e != nil {
		return translate(e)
	}
	return wire.NewError(wire.CodeUnknown, "%v", err)
}

// ok is an OK packet with the session's status.
func (s *session) ok() wire.OK {
	return wire.OK{Status: s.status(), Warnings: s.warned()}
}

// warned is how many warnings an OK packet tells of.
func (s *session) warned() uint16 { return uint16(min(len(s.warnings)+s.unlisted, math.MaxUint16)) }

func (s *session) status() wire.Status {
	st := wire.Status(0)
	if s.vars.autocommit {
		st |= wire.StatusAutocommit
	}
	if s.tx.open() {
		st |= wire.StatusInTrans
	}
	if s.vars.noEscapes {
		st |= wire.StatusNoBackslashEscapes
	}
	return st
}

// query answers a COM_QUERY: its statements run up to the first error.
func (s *session) query(arg []byte) error {
	list, err := split(arg, !s.vars.noEscapes)
	if err != nil {
		return s.fail(err)
	}
	if len(list) == 0 {
		return s.fail(&wire.Error{Errno: 1065, State: "42000", Message: "Query was empty"})
	}
	for i := range list {
		if s.decides(list[i:]) {
			return s.decide(list[i:])
		}
		a := answer{s: s, more: i < len(list)-1}
		if err := s.statement(&list[i], &a, nil); err != nil {
			return a.fail(err)
		}
		if err := a.finish(); err != nil {
			return err
		}
	}
	return nil
}

// statement runs one statement, with the values of p if there are any, and answers it. The error is for the client; nothing was answered then but rows, perhaps.
func (s *session) statement(st *statement, a *answer, p *preparedStatement) error {
	if !st.keepsWarnings() {
		s.warnings, s.said, s.unlisted = nil, nil, 0
	}
	defer func() {
		if len(s.said) > 0 {
			s.warnings, s.said = s.said, nil
		}
	}()
	if !st.native {
		if done, err := s.own(st, a); done || err != nil {
			return err
		}
		if done, err := s.question(st, a); done {
			return err
		}
		if st.is("LOAD", "DATA") && p == nil {
			return s.load(st, a)
		}
		return s.foreign(st, a, p)
	}
	if verb, refused := st.first(), notNative[st.first()]; refused != "" {
		return wire.NewError(wire.CodeNotSupported, "%s in PostgreSQL's words is refused: %s", verb, refused)
	}
	return s.direct(string(st.text), st.is("SELECT"), a)
}

// notNative are statements that cannot be sent in PostgreSQL's words, with the reason and what to do.
var notNative = func() map[string]string {
	const (
		tx      = "the transaction must be known to xaproxy; write it in MySQL's words"
		session = "the next client of the connection would have it, too; write it in MySQL's words, or with the statement it is for"
	)
	return map[string]string{
		"BEGIN": tx, "START": tx, "COMMIT": tx, "END": tx, "ROLLBACK": tx, "ABORT": tx, "SAVEPOINT": tx, "RELEASE": tx,
		"SET": session, "RESET": session, "DISCARD": session, "PREPARE": session, "EXECUTE": session, "DEALLOCATE": session, "LISTEN": session, "UNLISTEN": session,
		"COPY": "its data has no place in MySQL's protocol; write INSERT",
	}
}()

// first is the first word of a statement, in capitals.
func (st *statement) first() string {
	if len(st.head) == 0 || st.head[0].kind != word {
		return ""
	}
	return strings.ToUpper(string(st.text[st.head[0].from:st.head[0].to]))
}

// ask runs a statement of our own, outside of what the transaction keeps track of, and returns its rows.
func (s *session) ask(sql string) ([][]driver.Value, error) {
	rows, err := s.send(sql)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all [][]driver.Value
	for {
		row := make([]driver.Value, rows.columns)
		if err := rows.Next(row); err == io.EOF {
			return all, s.noted(rows.Close())
		} else if err != nil {
			return nil, s.noted(err)
		}
		all = append(all, row)
	}
}

// run runs statements of our own without rows.
func (s *session) run(sql string) error {
	_, err := s.ask(sql)
	return err
}

// send sends statements in one message.
func (s *session) send(sql string) (*rows, error) {
	r, err := s.simpleQuery(sql)
	if err != nil {
		return nil, s.noted(err)
	}
	return r, nil
}

// noted remembers that the session is lost, if the error says so.
func (s *session) noted(err error) error {
	if err == nil || s.lost != nil {
		return err
	}
	if said(err) == nil && !errors.As(err, new(*wire.Error)) && err != io.EOF {
		s.lost = err
	}
	return err
}
