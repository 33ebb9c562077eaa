package proxy

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"

	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// script is the server at the far end of a benchmark: it answers with the same bytes again and again, and allocates nothing
// once a connection stands. It is no database; what needs one is in tests.
type script struct {
	addr      *net.TCPAddr
	server    wire.Server
	running   sync.WaitGroup
	query     [][]byte // payloads that answer a COM_QUERY
	prepare   [][]byte // ... a COM_STMT_PREPARE
	execution [][]byte // ... a COM_STMT_EXECUTE
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
		case wire.ComStmtSendLongData, wire.ComStmtClose: // have no answer
			continue
		case wire.ComStmtPrepare:
			answer = s.prepare
		case wire.ComStmtExecute:
			answer = s.execution
		case wire.ComQuery:
			switch {
			case bytes.HasPrefix(arg, []byte("SELECT @@character_set_client")): // the proxy's question on a new connection
				answer = rowsOf([]string{"a", "b"}, wire.AppendTextRow(nil, [][]byte{[]byte("utf8mb4"), []byte("utf8mb4_general_ci")}))
			case bytes.HasPrefix(arg, []byte("XA START")) && bytes.IndexByte(arg, ';') < 0: // before an execution
				answer = [][]byte{okOf(0)}
			case bytes.HasPrefix(arg, []byte("XA START")): // the statement follows in the same packet
				answer = append([][]byte{okOf(wire.StatusMoreResults)}, s.query...)
			case bytes.HasPrefix(arg, []byte("XA END")): // and XA ROLLBACK
				answer = [][]byte{okOf(wire.StatusMoreResults), okOf(0)}
			}
		}
		for _, p := range answer {
			if c.WritePacket(p) != nil {
				return
			}
		}
		if c.Flush() != nil {
			return
		}
	}
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

// okOf returns the payload of an OK.
func okOf(status wire.Status) []byte {
	return wire.OK{Status: status | wire.StatusAutocommit}.Append(nil, scriptCaps)
}

// scriptLog is a decision log for transactions that are never committed.
type scriptLog struct{ xa.Log }

func (scriptLog) Coord() string { return "bench" }
func (scriptLog) Epoch() uint32 { return 1 }
