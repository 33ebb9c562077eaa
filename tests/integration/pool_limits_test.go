package integration

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// ended waits until the proxy has hung up, and returns the error that it sent before, if it did.
func (c *raw) ended(limit time.Duration) error {
	c.t.Helper()
	check(c.t, c.SetDeadline(time.Now().Add(limit)))
	c.SetSeq(0) // it belongs to no command
	var said error
	for {
		p, err := c.ReadPacket()
		var ne net.Error
		switch {
		case errors.As(err, &ne) && ne.Timeout():
			c.t.Errorf("the connection is still open after %s", limit)
			return said
		case err != nil:
			return said
		case p[0] == 0xff:
			said, _ = wire.ParseErr(p, c.Caps())
		}
	}
}

// TestIdleTimeout: a client that says nothing is disconnected with a word of why, and its transaction is rolled back. One that
// works is not, however long that takes, and an upload does not make the proxy forget.
func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	const idle = 600 * time.Millisecond
	s := newStack(t, []servers.Kind{servers.MariaDB}, func(c *config.Config) { c.Server.IdleTimeout = config.Duration(idle) })
	silent, active := s.raw(), s.raw()
	active.exec("INSERT INTO single (v) VALUES (1)")
	silent.exec("BEGIN", "UPDATE single SET v = 2")
	for _, q := range []string{"SELECT SLEEP(0.3)", "SELECT SLEEP(0.3)", "SELECT SLEEP(0.3)", "SELECT SLEEP(0.9)", "SELECT 1"} {
		active.exec(q)
	}
	if err := silent.ended(5 * time.Second); errno(err) != 1053 || !strings.Contains(err.Error(), "idle_timeout") {
		t.Errorf("the client was told %v", err)
	}
	active.exec("UPDATE single SET v = v + 2") // nobody locks the row
	if got := active.mustAsk("SELECT v FROM single"); got != "3" {
		t.Errorf("v = %s", got)
	}
	localFiles(t, s.servers[0])
	active.Close()
	loader := s.rawAs(wire.Dialer{User: "u", Password: "pw", Schema: s.schema, Caps: wire.LocalFiles | wire.MultiStatements})
	loader.upload("LOAD DATA LOCAL INFILE 'x' INTO TABLE single (v); DO 1", "7\n", "8\n")
	_, err := loader.answer()
	check(t, err)
	if err := loader.ended(5 * time.Second); errno(err) != 1053 {
		t.Errorf("after an upload the client was told %v", err)
	}
	s.atRest()
}

// upload runs LOAD DATA LOCAL with a file of these pieces.
func (c *raw) upload(q string, pieces ...string) {
	c.t.Helper()
	c.startUpload(q)
	for _, p := range pieces {
		check(c.t, c.WriteFileChunk([]byte(p)))
	}
	check(c.t, c.WriteFileChunk(nil))
	_, err := c.answer()
	check(c.t, err)
}

func (c *raw) startUpload(q string) {
	c.t.Helper()
	check(c.t, c.SendQuery(nil, []byte(q)))
	_, err := c.ReadFileRequest()
	check(c.t, err)
}

// TestStallTimeout: a client that takes nothing of its result, or sends nothing of its file, is disconnected after stall_timeout,
// and what it held is free. One that is slow is not, and one that says how long it may take has that long.
func TestStallTimeout(t *testing.T) {
	t.Parallel()
	const stall = 400 * time.Millisecond
	s := newStack(t, mixes["mixed"], func(c *config.Config) { c.Server.StallTimeout = config.Duration(stall) })
	localFiles(t, s.servers[0])
	s.raw().exec("INSERT INTO single (v) VALUES (1)")
	deaf, inTx, slow, allowed := s.raw(), s.raw(), s.raw(), s.raw()
	mute := s.rawAs(wire.Dialer{User: "u", Password: "pw", Schema: s.schema, Caps: wire.LocalFiles})

	const much = "SELECT REPEAT('x', 1000000) FROM single"
	hundred := much + " JOIN " + digits("a") + " JOIN " + digits("b")
	allowed.exec("SET SESSION net_write_timeout = 30")
	check(t, allowed.SendQuery(nil, []byte(hundred)))
	s.runs(0, 1, "REPEAT")
	begun := time.Now()
	check(t, deaf.SendQuery(nil, []byte(endless)))
	inTx.exec("BEGIN", "UPDATE accounts SET v = 1 WHERE id IN (1, 2)")
	check(t, inTx.SendQuery(nil, []byte(endless)))
	mute.startUpload("LOAD DATA LOCAL INFILE 'x' INTO TABLE single (v)")
	check(t, mute.WritePacket([]byte("7\n")))
	check(t, mute.Flush())
	s.runs(0, 3, "REPEAT")
	until(t, "only the client that may keep a connection has one", func() bool { return s.busy(0) == 1 && s.busy(1) == 0 })
	if took := time.Since(begun); took < stall || took > stall+5*time.Second {
		t.Errorf("they held connections for %s", took)
	}
	if _, err := allowed.ReadResult(200 << 20); err != nil {
		t.Errorf("a client with net_write_timeout: %v", err)
	}
	s.atRest()
	if got := s.on(0, "SELECT GROUP_CONCAT(v) FROM SCHEMA.single FOR UPDATE"); got != "1" {
		t.Errorf("half a file is in the table: %s", got)
	}
	s.nothingPrepared()

	check(t, slow.SendQuery(nil, []byte(hundred)))
	pause := time.NewTicker(stall / 2)
	defer pause.Stop()
	for rows := 1; ; rows++ {
		p, err := slow.ReadPacket()
		check(t, err)
		if p[0] == 0xfe {
			break
		}
		if rows%25 == 0 {
			<-pause.C
		}
	}
	s.atRest()
}

// TestSilentClients opens more connections than there may be and says nothing on them. Who logs in is served all the same, and
// those who are in are left alone.
func TestSilentClients(t *testing.T) {
	t.Parallel()
	const most = 20
	s := newStack(t, []servers.Kind{servers.MariaDB}, func(c *config.Config) {
		c.Server.MaxConnections, c.Server.HandshakeTimeout = most, config.Duration(time.Minute)
	})
	before := s.raw()
	for range 3 * most {
		c, err := net.Dial("tcp", s.addr)
		check(t, err)
		defer c.Close()
	}
	var in []*raw
	begun := time.Now()
	until(t, "a client can log in", func() bool {
		c, _, err := (&wire.Dialer{Addr: s.addr, User: "u", Password: "pw", Schema: s.schema, Timeout: time.Minute}).Dial(t.Context())
		if err == nil {
			in = append(in, &raw{t, c, 0})
			t.Cleanup(func() { c.Close() })
		} else if errno(err) != 1040 {
			t.Fatal(err)
		}
		return err == nil
	})
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("logging in took %s", took)
	}
	for len(in) < most-2 { // with the one from before all but one that there may be
		in = append(in, s.raw())
	}
	got := 0
	until(t, "those who were sent away have gone", func() bool {
		got = s.logins(3)
		return got > 0
	})
	if got != 1 { // who came while there was a place
		t.Errorf("%d clients logged in for one place", got)
	}
	_, _, err := (&wire.Dialer{Addr: s.addr, User: "u", Password: "pw", Timeout: time.Minute}).Dial(t.Context())
	if errno(err) != 1040 || !strings.Contains(err.Error(), "max_connections = 20") {
		t.Errorf("one too many: %v", err)
	}
	for _, c := range append(in, before) {
		c.exec("SELECT COUNT(*) FROM single")
	}
	in[0].Close()
	until(t, "the place of a client that left is free", func() bool {
		c, _, err := (&wire.Dialer{Addr: s.addr, User: "u", Password: "pw", Timeout: time.Minute}).Dial(t.Context())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// logins opens connections, logs in on all of them only then, and returns how many were let in and stay.
func (s *stack) logins(n int) (in int) {
	s.t.Helper()
	var conns []net.Conn
	for range n {
		c, err := net.Dial("tcp", s.addr)
		check(s.t, err)
		conns = append(conns, c)
	}
	for _, c := range conns {
		cfg := mysql.NewConfig()
		cfg.User, cfg.Passwd, cfg.Logger = "u", "pw", &mysql.NopLogger{}
		cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) { return c, nil }
		connector, err := mysql.NewConnector(cfg)
		check(s.t, err)
		conn, err := connector.Connect(context.Background())
		var said *mysql.MySQLError
		switch {
		case err == nil:
			in++
			s.t.Cleanup(func() { conn.Close() })
		case !errors.As(err, &said) || said.Number != 1040:
			s.t.Errorf("login: %v", err)
		}
	}
	return in
}

// TestLoginLimits: who only looks whether the port is open is not taken for a guesser, a block ends, and the limit of a user
// counts however the user came in.
func TestLoginLimits(t *testing.T) {
	t.Parallel()
	const block = 400 * time.Millisecond
	s := newStack(t, []servers.Kind{servers.MariaDB}, func(c *config.Config) {
		c.Users = append(c.Users, config.User{Name: "single", Password: "pw", MaxConnections: 1})
		c.Server.LoginFailures, c.Server.LoginBlock = 3, config.Duration(block)
	})
	login := func(user, password string) error {
		c, _, err := (&wire.Dialer{Addr: s.addr, User: user, Password: password, Timeout: time.Minute}).Dial(t.Context())
		if err == nil {
			c.Close()
		}
		return err
	}
	for i := range 12 {
		c, err := net.Dial("tcp", s.addr)
		check(t, err)
		if i%2 == 0 { // the greeting is read, or not
			_, err = io.ReadFull(c, make([]byte, 20))
			check(t, err)
		}
		if i%3 == 0 {
			_, err = c.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
			check(t, err)
		}
		c.Close()
	}
	check(t, login("u", "pw"))
	for range 3 {
		if err := login("nobody", "pw"); errno(err) != 1045 {
			t.Errorf("a wrong user: %v", err)
		}
	}
	until(t, "the address is blocked", func() bool {
		if errno(login("u", "pw")) == 1129 {
			return true
		}
		for range 3 { // on a busy machine the block is over before it is looked at
			_ = login("nobody", "pw")
		}
		return false
	})
	until(t, "the block has ended", func() bool { return login("u", "pw") == nil })

	only := s.rawAs(wire.Dialer{User: "single", Password: "pw"})
	if err := login("single", "pw"); errno(err) != 1203 || !strings.Contains(err.Error(), "max_connections") {
		t.Errorf("a second connection: %v", err)
	}
	if err := s.raw().changeUser("single", "pw", ""); errno(err) != 1203 {
		t.Errorf("a second connection by COM_CHANGE_USER: %v", err)
	}
	check(t, only.changeUser("u", "pw", s.schema)) // it gives its place back
	only.exec("SELECT COUNT(*) FROM single")
	again := s.rawAs(wire.Dialer{User: "single", Password: "pw"})
	again.Close()
	until(t, "the place of a connection that was closed is free", func() bool { return login("single", "pw") == nil })
}

// TestAbort ends the sessions of a proxy that is to stop, whose clients do not read, or wait.
func TestAbort(t *testing.T) {
	t.Parallel()
	s := newStack(t, []servers.Kind{servers.MariaDB}, nil)
	deaf, idle := s.raw(), s.raw()
	deaf.exec("INSERT INTO single (v) VALUES (1)")
	check(t, deaf.SendQuery(nil, []byte(endless)))
	s.runs(0, 1, "REPEAT")
	s.proxy.Abort()
	until(t, "all sessions have ended", func() bool { return s.proxy.Sessions() == 0 })
	if _, err := idle.ask("SELECT 1"); err == nil {
		t.Error("a client is served after its connection was closed")
	}
	s.atRest()
}
