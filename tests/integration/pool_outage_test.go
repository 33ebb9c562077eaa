package integration

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// overTLS makes the first backend of a configuration use TLS.
func overTLS(c *config.Config, ca *authority) {
	c.Backends[0].TLS, c.Backends[0].TLSCA = "verify", ca.file
}

// TestServerRestarts kills a server under load and starts it again, and restarts it cleanly while its connections are idle. The
// clients keep their connections to the proxy, hear of nothing but the outage, and get on afterwards without anybody's help.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	server := ownServer(t, servers.MariaDB, ca.serverArgs(ca.issue("127.0.0.1", time.Time{}))...)
	const clients, size = 20, 8
	s := newStackOn(t, []*servers.Server{server, servertest.Get(t, servers.MySQL)}, func(c *config.Config) {
		overTLS(c, ca)
		for i := range c.Backends {
			c.Backends[i].PoolSize = size
			c.Backends[i].IdleCheck = config.Duration(time.Hour) // pings would hide what the socket says
		}
		c.Decision.PrepareTimeout, c.Decision.CommitWait = config.Duration(2*time.Second), config.Duration(time.Second)
	})
	l := s.load(clients, func(i int) []string {
		return []string{
			fmt.Sprintf("INSERT INTO single (v) VALUES (%d)", i),
			"SELECT COUNT(*) FROM single WHERE v = 1",
			"BEGIN",
			fmt.Sprintf("INSERT INTO accounts (id, v) VALUES (%d, 1) ON DUPLICATE KEY UPDATE v = v + 1", 2*i),
			fmt.Sprintf("INSERT INTO accounts (id, v) VALUES (%d, 1) ON DUPLICATE KEY UPDATE v = v + 1", 2*i+1),
			"COMMIT",
		}
	})
	l.goesOn(t, 100)
	check(t, server.Kill())
	check(t, server.Restart(t.Context()))
	l.goesOn(t, 5*clients)
	errs, _ := l.end()
	if len(errs) == 0 {
		t.Error("nobody noticed the outage")
	}
	for _, e := range errs {
		if !slices.Contains([]string{"1180", "1429", "20041"}, e) { // rolled back, not reached, outcome unknown
			t.Errorf("a client saw %s", e)
		}
	}
	s.nothingPrepared()
	if sum := "SELECT SUM(v) FROM SCHEMA.accounts"; s.on(0, sum) != s.on(1, sum) {
		t.Errorf("half transactions: %s and %s", s.on(0, sum), s.on(1, sum))
	}

	idle := s.fill(size)
	check(t, server.Shutdown())
	check(t, server.Restart(t.Context()))
	for _, c := range idle {
		if _, err := c.ask("SELECT COUNT(*) FROM single"); err != nil {
			t.Errorf("the first statement after a clean restart: %v", err)
		}
	}
	s.atRest()
}

// TestFrozenServer stops every thread of a server. Nobody waits for it longer than the limits say, who has no limit can be
// helped by KILL, and who needs the other server does not notice.
func TestFrozenServer(t *testing.T) {
	t.Parallel()
	const limit, size = 400 * time.Millisecond, 4
	const bound = 3*limit + 2*time.Second // watching, connecting, waiting for an answer, and a machine that is busy
	server := ownServer(t, servers.MariaDB)
	s := newStackOn(t, []*servers.Server{server, servertest.Get(t, servers.MySQL)}, func(c *config.Config) {
		c.Users = append(c.Users, config.User{Name: "limited", Password: "pw", MaxExecutionTime: config.Duration(limit)})
		for i := range c.Backends {
			c.Backends[i].PoolSize, c.Backends[i].PoolWait = size, config.Duration(limit)
			c.Backends[i].ConnectTimeout = config.Duration(limit)
		}
		c.Decision.PrepareTimeout, c.Decision.CommitWait = config.Duration(limit), config.Duration(limit)
	})
	const frozen, well = "SELECT COUNT(*) FROM single", "SELECT COUNT(*) FROM accounts WHERE id = 1"
	ready := func() *raw { // on both servers
		c := s.raw()
		c.exec(frozen, well)
		return c
	}
	patient, gone, idle, writer, fetcher, killer := ready(), ready(), ready(), ready(), ready(), ready()
	limited := s.rawAs(wire.Dialer{User: "limited", Password: "pw", Schema: s.schema})
	s.fill(size)
	writer.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (1, 1)", "INSERT INTO accounts (id, v) VALUES (2, 1)")
	cursor := fetcher.openCursor("SELECT 1 UNION SELECT 2 UNION SELECT v FROM single")
	l := s.load(4, func(int) []string { return []string{well} })
	l.goesOn(t, 50)
	check(t, server.Freeze())
	t.Cleanup(func() { _ = server.Thaw() }) // a failed test must not hang: before the proxy is stopped

	hanging := later(func() error { _, err := patient.ask(frozen); return err })
	vanishing := later(func() error { _, err := gone.ask(frozen); return err })
	until(t, "all connections are in use", func() bool { return s.busy(0) == size })
	for name, q := range map[string]string{"a statement": frozen, "SET": "SET time_zone = '+01:00'"} {
		begun := time.Now()
		if _, err := idle.ask(q); errno(err) != 1040 || time.Since(begun) > bound {
			t.Errorf("%s with all connections in use: %v after %s", name, err, time.Since(begun))
		}
	}
	gone.Close()
	<-vanishing
	until(t, "the connection of a client that went away is free", func() bool { return s.busy(0) < size })
	begun := time.Now()
	if _, err := limited.ask(frozen); err == nil || time.Since(begun) > bound {
		t.Errorf("a statement with a time limit: %v after %s", err, time.Since(begun))
	}
	limited.exec(well)
	begun = time.Now()
	killer.exec(fmt.Sprintf("KILL QUERY %d", patient.id))
	if err := soon(t, "KILL QUERY", bound, hanging); err == nil || time.Since(begun) > bound {
		t.Errorf("a killed statement: %v after %s", err, time.Since(begun))
	}
	patient.exec(well)
	begun = time.Now()
	if _, err := writer.ask("COMMIT"); errno(err) != 1180 || time.Since(begun) > bound {
		t.Errorf("COMMIT: %v after %s", err, time.Since(begun))
	}
	begun = time.Now()
	check(t, fetcher.SendCommand(wire.ComStmtClose, cursor)) // its connection is reset now
	if fetcher.exec(well); time.Since(begun) > bound {
		t.Errorf("behind the end of a cursor: after %s", time.Since(begun))
	}

	l.goesOn(t, 50)
	errs, slowest := l.end()
	if len(errs) > 0 || slowest > limit {
		t.Errorf("clients of the other server saw %v, and waited for up to %s", errs, slowest)
	}
	check(t, server.Thaw())
	until(t, "the server is reached again", func() bool { // within a second: the pause between attempts
		_, err := idle.ask(frozen)
		return err == nil
	})
	for _, c := range []*raw{patient, idle, writer, fetcher, limited} {
		c.exec(frozen, well)
	}
	s.atRest()
	s.nothingPrepared()
	if got := writer.mustAsk("SELECT id FROM accounts WHERE id IN (1, 2)"); got != "" {
		t.Errorf("rows of a transaction that was rolled back: %s", got)
	}
}

// fill lets as many clients as the first backend's pool has connections use it at once, so that they are all open and idle
// then, and returns the clients.
func (s *stack) fill(size int) []*raw {
	s.t.Helper()
	clients := make([]*raw, size)
	for i := range clients {
		clients[i] = s.raw()
		clients[i].exec("BEGIN", "SELECT COUNT(*) FROM single")
	}
	for _, c := range clients {
		c.exec("COMMIT")
	}
	if p := s.backends[0].Stats(); p.Free != size {
		s.t.Fatalf("%d idle connections, want %d", p.Free, size)
	}
	return clients
}

// openCursor prepares and executes a statement with a cursor, and returns the statement's id as commands take it.
func (c *raw) openCursor(q string) []byte {
	c.t.Helper()
	check(c.t, c.SendCommand(wire.ComStmtPrepare, []byte(q)))
	p, err := c.ReadPrepared()
	check(c.t, err)
	id := binary.LittleEndian.AppendUint32(nil, p.ID)
	check(c.t, c.SendCommand(wire.ComStmtExecute, id, []byte{wire.CursorReadOnly, 1, 0, 0, 0}))
	r, err := c.ReadResult(1 << 20)
	check(c.t, err)
	if r.OK.Status&wire.StatusCursorExists == 0 {
		c.t.Fatalf("no cursor: %+v", r)
	}
	return id
}

func (c *raw) mustAsk(q string) string {
	c.t.Helper()
	got, err := c.ask(q)
	if err != nil {
		c.t.Fatalf("%s: %v", q, err)
	}
	return got
}
