package integration

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// brittle are connections of clients that break what writes to them as soon as the text goes out.
type brittle struct {
	net.Listener
	text []byte
}

func (b brittle) Accept() (net.Conn, error) {
	c, err := b.Listener.Accept()
	return brittleConn{c, b.text}, err
}

type brittleConn struct {
	net.Conn
	text []byte
}

func (b brittleConn) Write(p []byte) (int, error) {
	if bytes.Contains(p, b.text) {
		panic("planted")
	}
	return b.Conn.Write(p)
}

// TestPanicIsContained: a session that fails in the middle of an answer, because of a mistake in xaproxy, ends alone. The connection
// that it had is closed: what is left of the answer is not for whoever comes next.
func TestPanicIsContained(t *testing.T) {
	t.Parallel()
	s := newStack(t, []servers.Kind{servers.MariaDB}, func(c *config.Config) { c.Backends[0].PoolSize = 1 })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	served := later(func() error { return s.proxy.Serve(brittle{ln, []byte("planted-row")}) })
	t.Cleanup(func() {
		ln.Close() // the stack's own proxy.Close ends its sessions
		s.proxy.Close()
		s.proxy.Abort()
		check(t, <-served)
	})
	other := s.raw()
	other.exec("INSERT INTO single (v) VALUES (42)")
	for _, q := range []string{
		"SELECT 'planted-row', REPEAT('x', 500000) FROM single JOIN " + digits("d"), "SELECT 'planted-row', id FROM accounts WHERE id IN (1, 2) UNION SELECT 'planted-row', REPEAT('x', 500000)",
	} {
		direct := *s
		direct.addr = ln.Addr().String()
		victim := direct.raw()
		victim.exec("BEGIN", "UPDATE single SET v = 7")
		if _, err := victim.ask(q); err == nil {
			t.Fatalf("%s: nothing broke", q) // the test would show nothing
		}
		for range 3 {
			if got := other.mustAsk("SELECT 1 + 1"); got != "2" {
				t.Errorf("another client got %.40s", got)
			}
		}
		until(t, "the row is free, and as it was", func() bool {
			got, err := other.ask("SELECT v FROM single FOR UPDATE NOWAIT")
			return err == nil && got == "42"
		})
		outside := direct.raw()
		if _, err := outside.ask(q); err == nil {
			t.Fatalf("%s: nothing broke", q)
		}
		if got := other.mustAsk("SELECT 2 + 2"); got != "4" {
			t.Errorf("another client got %.40s", got)
		}
	}
	if n := strings.Count(s.log.String(), "session failed"); n != 4 {
		t.Errorf("%d sessions failed", n)
	}
	s.atRest()
}
