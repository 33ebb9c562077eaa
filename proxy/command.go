package proxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/wire"
)

// command answers one command. A returned error ends the session.
func (s *session) command(command wire.Command, arg []byte) error {
	switch command {
	case wire.ComQuery:
		return s.query(arg)
	case wire.ComPing:
		s.past.rowCount = 0
		return s.ok(wire.OK{})
	case wire.ComInitDB:
		return s.use(string(arg))
	case wire.ComResetConnection:
		s.abandon()
		s.unpin()
		found := s.past.foundRows
		s.reset()
		s.past.foundRows = found // this servers keep
		return s.ok(wire.OK{})
	case wire.ComChangeUser:
		return s.changeUser(arg)
	case wire.ComFieldList:
		return s.fieldList(arg)
	case wire.ComStatistics:
		return s.conn.WriteString(s.srv.statistics())
	case wire.ComSetOption:
		return s.setOption(arg)
	case wire.ComProcessKill:
		if len(arg) != 4 {
			return s.fail(malformed(command))
		}
		return s.kill(uint64(binary.LittleEndian.Uint32(arg)), false)
	case wire.ComDebug:
		return s.fail(&wire.Error{Errno: 1227, State: "42000", Message: "Access denied; you need the SUPER privilege for this operation: ask the backends themselves"})
	case wire.ComStmtPrepare:
		return s.prepare(trimmed(arg))
	case wire.ComStmtExecute:
		return s.execute(arg)
	case wire.ComStmtSendLongData:
		return s.sendLongData(arg)
	case wire.ComStmtReset:
		return s.resetStatement(arg)
	case wire.ComStmtFetch:
		return s.fetch(arg)
	case wire.ComStmtClose:
		s.closeStatement(arg)
		return nil
	}
	return s.fail(wire.NewError(wire.CodeUnknownCommand, "%s is not supported by xaproxy", command))
}

func malformed(command wire.Command) *wire.Error {
	return wire.NewError(wire.CodeMalformed, "malformed packet: %s", command)
}

// changeUser starts the session anew, for another user or the same one. Whatever goes wrong ends the session, as on a
// server.
func (s *session) changeUser(arg []byte) error {
	s.abandon()
	s.unpin()
	s.gen, s.last = s.work.moves(&s.srv.newest), lastStatement{}
	login, err := s.gen.wire.ChangeUser(s.conn, s.login, arg)
	s.srv.gate.tried(s.net, err, time.Now())
	if err != nil {
		return err
	}
	s.srv.leave(s)
	s.login, s.state = login, backend.Session{}
	return s.welcome()
}

// fieldList answers COM_FIELD_LIST: the columns of a table, from a backend that has it.
func (s *session) fieldList(arg []byte) error {
	table, _, ends := bytes.Cut(arg, []byte{0})
	if len(table) == 0 {
		return s.fail(s.srv.style.noTable(ends))
	}
	plan, err := s.router.Plan([]byte("SHOW COLUMNS FROM "+backend.Quote(string(table))), s.state.Schema, s.mode)
	if err != nil {
		return s.fail(clientError(err, false))
	}
	if e := s.forbidden(plan); e != nil {
		return s.fail(e)
	}
	conn, release, err := s.asideFor(plan)
	if err != nil {
		return s.fail(clientError(err, false))
	}
	defer release()
	if err := conn.Ready(&s.state); err != nil {
		return s.fail(clientError(err, false))
	}
	if err := conn.SendCommand(wire.ComFieldList, arg); err != nil {
		return s.fail(clientError(conn.Lost(err), false))
	}
	s.relayStatus()
	if _, err := s.relay.Fields(s.conn, conn.Conn); err != nil {
		return s.side(conn, err, func(cause error) *wire.Error { return clientError(cause, false) })
	}
	return nil
}

// setOption answers COM_SET_OPTION, which allows or forbids several statements in one COM_QUERY.
func (s *session) setOption(arg []byte) error {
	on, err := wire.ParseSetOption(arg)
	if err != nil {
		return s.fail(clientError(err, false))
	}
	s.conn.SetMultiStatements(on)
	return s.conn.WriteEOF(wire.OK{Status: s.status()})
}

// statistics is the line that COM_STATISTICS asks for, in the form of a server's.
func (s *Server) statistics() string {
	up := max(time.Since(s.started), time.Second)
	questions := s.questions.Load()
	return fmt.Sprintf("Uptime: %d  Threads: %d  Questions: %d  Queries per second avg: %.3f",
		int(up.Seconds()), s.Sessions(), questions, float64(questions)/up.Seconds())
}
