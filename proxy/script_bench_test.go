package proxy

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/xaproxy/xaproxy/wire"
)

// script is the server at the far end of a benchmark: it answers with the same bytes again and again, and allocates nothing
// once a connection stands. It is no database; what needs one is in tests.
type script struct {
	addr      *net.TCPAddr
	server    wire.Server
	running   sync.WaitGroup
	query     []byte // packets that answer a COM_QUERY
	prepare   []byte // ... a COM_STMT_PREPARE, after its text was seen
	execution []byte // ... a COM_STMT_EXECUTE
}

// scriptCaps are the capabilities that the answers are written for.
const scriptCaps = wire.Protocol41 | wire.DeprecateEOF

// Account lets everybody in.
func (s *script) Account(string) (*wire.Account, bool) { return scriptAccount, true }

var scriptAccount = wire.NewAccount("")

// listen serves until the test ends.
func (s *script) listen(tb testing.TB) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s.addr, s.server = ln.Addr().(*net.TCPAddr), wire.Server{Version: "8.4.0", Accounts: s}
	s.running.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil { // closed below
				return
			}
			s.running.Go(func() {
				defer nc.Close()
				s.serve(tb, nc)
			})
		}
	})
	tb.Cleanup(func() {
		_ = ln.Close() // twice is no harm
		s.running.Wait()
	})
}

// serve answers on one connection until it is closed.
func (s *script) serve(tb testing.TB, nc net.Conn) {
	c, _, err := s.server.Accept(context.Background(), nc, 1)
	if err != nil {
		tb.Errorf("login at the script: %v", err)
		return
	}
	if err := c.WriteOK(wire.OK{Status: wire.StatusAutocommit}); err != nil {
		return
	}
	for {
		command, arg, err := c.ReadCommand()
		if err != nil {
			return
		}
		answer := s.query
		switch command {
		case wire.ComStmtPrepare:
			answer = s.prepare
		case wire.ComStmtExecute:
			answer = s.execution
		case wire.ComQuery:
			if name, ok := aboutNames(arg); ok {
				answer = name
			}
		}
		if _, err := c.NetConn().Write(answer); err != nil {
			return
		}
	}
}

// aboutNames answers the question that the proxy asks on a new connection, and XA START, which goes before a statement.
func aboutNames(sql []byte) (answer []byte, ok bool) {
	if strings.HasPrefix(string(sql[:min(len(sql), 24)]), "SELECT @@character_set_c") {
		return packets(rowsOf([]string{"a", "b"}, wire.AppendTextRow(nil, [][]byte{[]byte("utf8mb4"), []byte("utf8mb4_general_ci")}))...), true
	}
	return nil, false
}

// rowsOf returns the payloads of a result set.
func rowsOf(columns []string, rows ...[]byte) [][]byte {
	all := [][]byte{{byte(len(columns))}}
	for _, name := range columns {
		all = append(all, wire.Column{Name: name, Type: wire.TypeVarString, Charset: 45, Length: 480}.Append(nil))
	}
	all = append(all, rows...)
	return append(all, wire.OK{Header: 0xFE, Status: wire.StatusAutocommit}.Append(nil, scriptCaps))
}

// packets frames payloads that answer one command.
func packets(payloads ...[]byte) []byte {
	var all recorder
	c := wire.NewConn(&all, 0)
	c.SetSeq(1)
	for _, p := range payloads {
		if err := c.WritePacket(p); err != nil {
			panic(fmt.Sprintf("a recorder cannot fail: %v", err))
		}
	}
	if err := c.Flush(); err != nil {
		panic(fmt.Sprintf("a recorder cannot fail: %v", err))
	}
	return all.bytes
}

// recorder keeps what is written.
type recorder struct {
	net.Conn
	bytes []byte
}

func (r *recorder) Write(p []byte) (int, error) {
	r.bytes = append(r.bytes, p...)
	return len(p), nil
}
