package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

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
	waitFor(s.t, "no connection is in use and no server runs anything", func() bool {
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

// waiting waits until so many clients stand in the queue of a backend's pool.
func (s *stack) waiting(backend, n int) {
	s.t.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.backends[backend].Stats().Waiting != n {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("%d clients wait for backend %d, want %d", s.backends[backend].Stats().Waiting, backend, n)
		}
	}
}

// runs waits until a server runs so many statements that contain the text.
func (s *stack) runs(server, n int, text string) {
	s.t.Helper()
	q := fmt.Sprintf("SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'SCHEMA' AND info LIKE '%%%s%%' AND id <> CONNECTION_ID()", text)
	waitFor(s.t, fmt.Sprintf("%d statements with %s run on server %d", n, text, server), func() bool { return s.on(server, q) == fmt.Sprint(n) })
}
