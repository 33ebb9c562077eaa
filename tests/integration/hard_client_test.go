package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// raw is a client that speaks the protocol itself: it costs little, and may do what no driver does.
type raw struct {
	t testing.TB
	*wire.Conn
	id uint32 // what KILL takes
}

// raw logs in as u.
func (s *stack) raw() *raw {
	s.t.Helper()
	return s.rawAs(wire.Dialer{User: "u", Password: "pw", Schema: s.schema})
}

func (s *stack) rawAs(d wire.Dialer) *raw {
	s.t.Helper()
	d.Addr, d.Timeout = s.addr, 20*time.Second
	c, g, err := d.Dial(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return &raw{s.t, c, g.ConnID}
}

// ask runs a statement and returns the rows as conn.rows does. An error is the server's, or that of a broken connection. It
// may be called by any goroutine.
func (c *raw) ask(q string) (string, error) {
	if err := c.SendQuery(nil, []byte(q)); err != nil {
		return "", err
	}
	return c.answer()
}

func (c *raw) answer() (string, error) {
	r, err := c.ReadResult(1 << 24)
	var out []string
	for _, row := range r.Values {
		var line []string
		for _, v := range row {
			if v == nil {
				v = []byte("NULL")
			}
			line = append(line, string(v))
		}
		out = append(out, strings.Join(line, ","))
	}
	return strings.Join(out, " "), err
}

// exec runs statements that must succeed.
func (c *raw) exec(statements ...string) {
	c.t.Helper()
	for _, q := range statements {
		if _, err := c.ask(q); err != nil {
			c.t.Fatalf("%s: %v", q, err)
		}
	}
}

// errno is the number of the server's error, 0 for anything else.
func errno(err error) uint16 {
	var e *wire.Error
	if errors.As(err, &e) {
		return e.Errno
	}
	return 0
}

// later runs f and returns what it will return.
func later(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

// soon returns what comes from the channel, which must be within the time.
func soon[T any](t testing.TB, what string, limit time.Duration, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(limit):
		t.Fatalf("%s: nothing within %s", what, limit)
		panic("not reached")
	}
}

// busy returns how many connections of a backend's pool are lent.
func (s *stack) busy(backend int) int {
	p := s.backends[backend].Stats()
	return p.Open - p.Free
}

// atRest waits until nothing is left of the clients' statements: no connection is lent, nobody waits for one, and no server
// runs anything in the test's schema.
func (s *stack) atRest() {
	s.t.Helper()
	until(s.t, "no connection is in use and no server runs anything", func() bool {
		for i, b := range s.backends {
			if p := b.Stats(); p.Open != p.Free || p.Waiting > 0 || s.running(i) != "0" {
				return false
			}
		}
		return true
	})
}

// running counts what a server runs in the test's schema.
func (s *stack) running(server int) string {
	return s.on(server, "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'SCHEMA' AND command NOT IN ('Sleep', 'Killed')")
}

// until is waitFor for conditions that may be asked for as often as one likes.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		case <-tick.C:
		}
	}
}

// waiting waits until so many clients stand in the queue of a backend's pool.
func (s *stack) waiting(backend, n int) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("%d clients wait for backend %d", n, backend), func() bool { return s.backends[backend].Stats().Waiting == n })
}

// runs waits until a server runs so many statements that contain the text.
func (s *stack) runs(server, n int, text string) {
	s.t.Helper()
	q := fmt.Sprintf("SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'SCHEMA' AND info LIKE '%%%s%%' AND id <> CONNECTION_ID()", text)
	until(s.t, fmt.Sprintf("%d statements with %s run on server %d", n, text, server), func() bool { return s.on(server, q) == fmt.Sprint(n) })
}

// startProxy runs the program itself in front of a server, with a schema of the test's, and a client of it.
func startProxy(t *testing.T, server *servers.Server) (*proxytest.Proxy, *raw) {
	t.Helper()
	schema := servertest.Database(t, server)
	p := proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{proxytest.On("one", server)},
		Schemas:  []config.Schema{{Name: schema, Backend: "one"}},
	})
	c, g, err := (&wire.Dialer{Addr: p.Addr, User: proxytest.User, Password: proxytest.Password, Schema: schema, Timeout: 20 * time.Second}).Dial(t.Context())
	check(t, err)
	t.Cleanup(func() { c.Close() })
	return p, &raw{t, c, g.ConnID}
}

// changeUser sends COM_CHANGE_USER and proves the password, as a client of an account with a plain password does.
func (c *raw) changeUser(user, password, schema string) error {
	arg := append([]byte(user), 0, 0) // no proof yet
	arg = append(append(arg, schema...), 0)
	arg = append(arg, 45, 0)
	arg = append(append(arg, "caching_sha2_password"...), 0)
	if err := c.SendCommand(wire.ComChangeUser, arg); err != nil {
		return err
	}
	p, err := c.ReadPacket()
	if err != nil {
		return err
	}
	_, salt, ok := bytes.Cut(p[1:], []byte{0})
	if p[0] != 0xfe || !ok {
		return fmt.Errorf("asked with %q", p)
	}
	proof := sha256.Sum256([]byte(password))
	stored := sha256.Sum256(proof[:])
	for i, b := range sha256.Sum256(append(stored[:], salt[:20]...)) {
		proof[i] ^= b
	}
	if err := errors.Join(c.WritePacket(proof[:]), c.Flush()); err != nil {
		return err
	}
	if p, err = c.ReadPacket(); err != nil {
		return err
	}
	if p[0] == 0xff {
		said, err := wire.ParseErr(p, c.Caps())
		return errors.Join(said, err)
	}
	_, err = c.answer() // the proof was right; now comes the OK, or what else is in the way
	return err
}
