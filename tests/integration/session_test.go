package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// transfer moves one unit between two accounts, in the order of their ids: no server sees a deadlock that spans two of
// them, so it would last until innodb_lock_wait_timeout.
func transfer(db *sql.DB, from, to int) (err error) {
	amount := 1
	if from > to {
		from, to, amount = to, from, -1
	}
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	if _, err := tx.Exec("UPDATE accounts SET v = v - ? WHERE id = ?", amount, from); err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE accounts SET v = v + ? WHERE id = ?", amount, to); err != nil {
		return err
	}
	return tx.Commit()
}

// retriable reports whether the error invites to try the transaction again.
func retriable(err error) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && (e.Number == 1213 || e.Number == 1205)
}

func TestSessionVariablesFollowTheSession(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], func(c *config.Config) {
		for i := range c.Backends {
			c.Backends[i].PoolSize = 1 // so that two clients share a connection
		}
	})
	a, b := s.conn(), s.conn()
	before := b.rows("SELECT @@sql_mode, @@time_zone, @@character_set_client")
	a.exec("SET time_zone = '+05:00', SESSION sql_mode = 'ANSI_QUOTES'", "SET NAMES latin1")
	if got := a.rows("SELECT @@sql_mode, @@time_zone, @@character_set_client"); got != "ANSI_QUOTES,+05:00,latin1" {
		t.Errorf("the client's own settings: %s", got)
	}
	if got := b.rows("SELECT @@sql_mode, @@time_zone, @@character_set_client"); got != before {
		t.Errorf("another client sees them: %s", got)
	}
	if got := a.rows(`SELECT "v" FROM "accounts" WHERE "id" = 1`); got != "" { // an identifier now, for the router too
		t.Errorf("unexpected rows %s", got)
	}
	if got := b.rows("SELECT @@time_zone"); got == "+05:00" {
		t.Errorf("another client sees the time zone")
	}
	a.exec("BEGIN", "UPDATE accounts SET v = 1 WHERE id = 1", "SET time_zone = '+01:00'", "UPDATE accounts SET v = 1 WHERE id = 2")
	if got := a.rows("SELECT @@time_zone"); got != "+01:00" {
		t.Errorf("a setting changed in a transaction: %s", got)
	}
	a.exec("COMMIT")
	if got := a.rows("SELECT @@time_zone"); got != "+01:00" {
		t.Errorf("after the transaction: %s", got)
	}
	a.fails(1193, "SET no_such_variable = 1")
	a.fails(1235, "SET sql_log_bin = 0")
	a.fails(1235, "SET NAMES gbk")
	if got := a.rows("SELECT @@time_zone, @@sql_mode"); got != "+01:00,ANSI_QUOTES" {
		t.Errorf("after refused settings: %s", got)
	}
}

// TestSetOnEveryBackend has each backend use what SET has made of variables, while another client uses the connections too.
func TestSetOnEveryBackend(t *testing.T) {
	t.Parallel()
	forMixesWith(t, onePerBackend, func(t *testing.T, s *stack) {
		a, b := s.conn(), s.conn()
		a.exec("INSERT INTO accounts (id, v) VALUES (1, 1), (2, 22)")
		everywhere := func(what, want string) {
			t.Helper()
			for _, id := range []string{"1", "2"} { // one on each backend
				b.exec("SET @l = 'theirs', @n = 'theirs'", "UPDATE accounts SET v = v WHERE id = "+id)
				if got := a.rows("SELECT " + what + " FROM accounts WHERE id = " + id); got != want {
					t.Errorf("%s where account %s is: %s, want %s", what, id, got, want)
				}
			}
		}
		a.exec(`SET @l = _latin1 X'e9', @s = 'a\\b', @u = CAST(5 AS UNSIGNED), @x = X'00ff', @n = NULL, sql_mode = 'NO_BACKSLASH_ESCAPES'`)
		everywhere("@l, CHARSET(@l), @s, @u, HEX(@x), @n, @@sql_mode", `é,latin1,a\b,5,00FF,NULL,NO_BACKSLASH_ESCAPES`)
		a.exec("SET collation_connection = latin1_bin", "SET NAMES utf8mb4 COLLATE utf8mb4_bin")
		everywhere("@@collation_connection", "utf8mb4_bin")

		a.exec("BEGIN", "UPDATE accounts SET v = 23 WHERE id = 2")
		a.exec("SET @l = (SELECT v FROM accounts WHERE id = 2), @n = @l")
		if got := a.rows("SELECT @l, @n IS NULL FROM accounts WHERE id = 2"); got != "23,0" {
			t.Errorf("the result of a query: %s", got)
		}
		a.exec("ROLLBACK", "SET @l = 23, @n = 23")
		everywhere("@l, @n IS NULL", "23,0")

		for _, id := range []string{"1", "2"} {
			if got := a.rows("SELECT @l := v + 1 FROM accounts WHERE id = 2"); got != "23" {
				t.Errorf("an assignment in a statement: %s", got)
			}
			if got := a.rows("SELECT @l FROM accounts WHERE id = 1"); got != "23" {
				t.Errorf("an assignment on another backend: %s", got)
			}
			a.exec("SET @l = @l + 1")
			if got := a.rows("SELECT @l FROM accounts WHERE id = " + id); got != "24" {
				t.Errorf("after SET, where account %s is: %s", id, got)
			}
			everywhere("@l", "24")
		}

		a.exec("SET @n = 'abc' + 1")
		b.rows("SELECT 1")
		if got := a.rows("SHOW WARNINGS"); got != "Warning,1292,Truncated incorrect DOUBLE value: 'abc'" {
			t.Errorf("warnings of SET: %s", got)
		}
	})
}

// TestServersOfBothKinds lets a client ask for what the server has whose version it was told, in a schema of the other kind.
func TestServersOfBothKinds(t *testing.T) {
	t.Parallel()
	for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MySQL}, {servers.MySQL, servers.MariaDB}} {
		t.Run(string(kinds[0])+" first", func(t *testing.T) {
			s := newStack(t, kinds, func(c *config.Config) {
				c.Schemas[0].Backend = "b1" // the client's schema
				c.Backends[0].PoolSize, c.Backends[1].PoolSize = 1, 1
			})
			c, other := s.conn(), s.conn()
			isolation, own := "tx_isolation", "note_verbosity"
			if kinds[0] == servers.MySQL {
				isolation, own = "transaction_isolation", "information_schema_stats_expiry"
			}
			for _, in := range []string{"", s.schema} {
				c.exec("SET SESSION "+isolation+" = 'READ-COMMITTED'", "SET @@session."+own+" = DEFAULT")
				if in != "" {
					c.exec("BEGIN")
				}
				if got := c.rows("SELECT @@" + isolation + ", VERSION() LIKE '%MariaDB%'"); got != "READ-COMMITTED,"+map[bool]string{true: "1", false: "0"}[kinds[0] == servers.MariaDB] {
					t.Errorf("in %q: %s", in, got)
				}
				c.exec("INSERT INTO single (v) VALUES (1)", "INSERT INTO accounts (id, v) VALUES (10, 1), (11, 1)", "DELETE FROM accounts WHERE id IN (10, 11)")
				c.exec("COMMIT")
				other.rows("SELECT 1")
			}
			c.fails(1193, "SET SESSION no_such_variable = 1")
			c.exec("INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2)")
			for _, names := range []string{"utf8mb4", map[bool]string{true: "utf8mb4 COLLATE utf8mb4_uca1400_nopad_ai_ci", false: "utf8mb4 COLLATE utf8mb4_0900_ai_ci"}[kinds[0] == servers.MariaDB]} {
				c.exec("SET NAMES "+names, "SET @s = 'ü'") // the collations have another name, or none, on the other server
				for _, id := range []string{"1", "2"} {
					if got := c.rows("SELECT @s, CHARSET(@s), 'Ü' = @s FROM accounts WHERE id = " + id); got != "ü,utf8mb4,1" {
						t.Errorf("after SET NAMES %s, a user variable where account %s is: %s", names, id, got)
					}
				}
			}
			c.exec("INSERT INTO single (v) VALUES (1)")
			if got := c.rows("SELECT DATABASE()"); got != s.schema {
				t.Errorf("the schema: %s", got)
			}
		})
	}
}

func TestIsolationLevelReachesEveryBranch(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		c, other := s.conn(), s.conn()
		c.exec("INSERT INTO accounts (id, v) VALUES (1, 1), (2, 1)")
		for _, start := range [][]string{
			{"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN"},
			{"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION"},
		} {
			other.exec("UPDATE accounts SET v = 1 WHERE id IN (1, 2)")
			c.exec(start...)
			c.rows("SELECT v FROM accounts WHERE id = 1")
			c.rows("SELECT v FROM accounts WHERE id = 2")
			other.exec("UPDATE accounts SET v = 5 WHERE id IN (1, 2)")
			if got := c.rows("SELECT v FROM accounts WHERE id IN (1, 2)"); got != "5 5" {
				t.Errorf("%v: READ COMMITTED sees %s", start, got)
			}
			c.exec("COMMIT")
		}
		c.exec("START TRANSACTION READ ONLY")
		c.fails(1792, "UPDATE accounts SET v = 1 WHERE id = 1")
		c.exec("ROLLBACK")
		s.nothingPrepared()
	})
}

func TestSecondStatementIsRefusedUnlessAskedFor(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], nil)
	c := s.conn()
	c.fails(1064, "SELECT 1; DELETE FROM single")
	m := s.conn("multiStatements=true")
	m.exec("INSERT INTO single (v) VALUES (1); INSERT INTO single (v) VALUES (2); BEGIN; UPDATE single SET v = 3; COMMIT")
	if got := c.rows("SELECT v FROM single"); got != "3 3" {
		t.Errorf("after multi-statements: %s", got)
	}
	m.fails(1109, "INSERT INTO single (v) VALUES (4); SELECT * FROM information_schema.no_such_table; INSERT INTO single (v) VALUES (5)")
	if got := c.rows("SELECT COUNT(*) FROM single"); got != "3" {
		t.Errorf("statements behind the first error ran: %s", got)
	}
}

func TestPermissionsAndLogins(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], nil)
	login := func(dsn string) error {
		db, err := sql.Open("mysql", strings.ReplaceAll(strings.ReplaceAll(dsn, "ADDR", "tcp("+s.addr+")"), "SCHEMA", s.schema))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		return db.Ping()
	}
	for dsn, errno := range map[string]uint16{
		"u:wrong@ADDR/SCHEMA":  1045,
		"nobody:pw@ADDR/":      1045,
		"other:pw@ADDR/SCHEMA": 1044,
		"u:pw@ADDR/no_such":    1049,
		"other:pw@ADDR/mysql":  1044,
	} {
		var e *mysql.MySQLError
		if err := login(dsn); !errors.As(err, &e) || e.Number != errno {
			t.Errorf("%s: want error %d, got %v", dsn, errno, err)
		} else if strings.Contains(e.Message, "pw") {
			t.Errorf("%s: the error shows the password: %v", dsn, e)
		}
	}
	if err := login("u:pw@ADDR/SCHEMA"); err != nil {
		t.Error(err)
	}
	c := s.conn()
	c.fails(1044, "SELECT user FROM mysql.user")
	c.fails(1049, "USE no_such_schema")
}

// TestRawCommands speaks the protocol itself.
func TestRawCommands(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], nil)
	d := wire.Dialer{Network: "tcp", Addr: s.addr, User: "u", Password: "pw", Schema: s.schema, MaxPacket: 1 << 20, Timeout: 5 * time.Second}
	c, _, err := d.Dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func(command wire.Command, arg string) (wire.Rows, error) {
		t.Helper()
		if err := c.SendCommand(command, []byte(arg)); err != nil {
			t.Fatal(err)
		}
		return c.ReadResult(1 << 20)
	}
	ok := func(command wire.Command, arg string, status wire.Status) {
		t.Helper()
		r, err := send(command, arg)
		if err != nil || r.OK.Status != status {
			t.Errorf("%s %s: status %b, want %b, error %v", command, arg, r.OK.Status, status, err)
		}
	}
	ok(wire.ComPing, "", wire.StatusAutocommit)
	ok(wire.ComInitDB, s.schema, wire.StatusAutocommit)
	ok(wire.ComQuery, "BEGIN", wire.StatusAutocommit|wire.StatusInTrans)
	ok(wire.ComQuery, "INSERT INTO accounts (id, v) VALUES (1, 1)", wire.StatusAutocommit|wire.StatusInTrans)
	ok(wire.ComResetConnection, "", wire.StatusAutocommit) // rolls back
	if r, err := send(wire.ComQuery, "SELECT COUNT(*) FROM accounts WHERE id = 1"); err != nil || string(r.Values[0][0]) != "0" {
		t.Errorf("after COM_RESET_CONNECTION: %q, %v", r.Values, err)
	}
	ok(wire.ComQuery, "SET autocommit = 0", 0)
	ok(wire.ComQuery, "INSERT INTO accounts (id, v) VALUES (1, 1)", wire.StatusInTrans)
	ok(wire.ComQuery, "COMMIT", 0)
	for _, command := range []wire.Command{wire.ComBinlogDump, wire.ComTableDump, 0x7f} {
		_, err := send(command, "x")
		var e *wire.Error
		if !errors.As(err, &e) || e.Errno != 1047 || !strings.Contains(e.Message, command.String()) {
			t.Errorf("%s: %v", command, err)
		}
	}
	ok(wire.ComPing, "", 0) // the connection survived all of it
	if err := c.SendCommand(wire.ComQuit); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadPacket(); err == nil {
		t.Error("the connection is open after COM_QUIT")
	}
}

// TestBadClients misbehaves on the wire while a well-behaved client goes on.
func TestBadClients(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], func(c *config.Config) {
		c.Server.HandshakeTimeout = config.Duration(200 * time.Millisecond)
		c.Server.MaxPacket = 1 << 20
	})
	good := s.conn()
	good.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (1, 1)")
	for name, misbehave := range map[string]func(net.Conn) error{
		"says nothing": func(net.Conn) error { return nil },
		"garbage":      func(c net.Conn) error { _, err := c.Write([]byte("GET / HTTP/1.1\r\n\r\n")); return err },
		"lies about a length": func(c net.Conn) error {
			_, err := c.Write([]byte{0xff, 0xff, 0xff, 1, 0x85})
			return err
		},
		"wrong sequence": func(c net.Conn) error { _, err := c.Write([]byte{1, 0, 0, 9, 1}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := misbehave(c); err != nil {
				t.Fatal(err)
			}
			if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 1<<16)
			for err == nil { // until the proxy hangs up
				_, err = c.Read(buf)
			}
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Error("the proxy does not hang up")
			}
		})
	}
	t.Run("too large a packet", func(t *testing.T) {
		c := s.conn("maxAllowedPacket=67108864")
		_, err := c.ExecContext(context.Background(), "SELECT '"+strings.Repeat("x", 2<<20)+"'")
		var e *mysql.MySQLError
		if !errors.As(err, &e) || e.Number != 1153 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("error while it sends", func(t *testing.T) {
		c := s.within(t).raw()
		_, err := c.NetConn().Write(append([]byte{0, 0, 0x20, 0}, make([]byte, 1000)...))
		check(t, err)
		c.SetSeq(1)
		if _, err := c.answer(); errno(err) != 1153 {
			t.Errorf("got %v", err)
		}
		for range 20 { // most drivers only read when they have sent everything
			if _, err := c.NetConn().Write(make([]byte, 100_000)); err != nil {
				t.Fatalf("the connection was closed under the client's hands: %v", err)
			}
		}
		c.Close()
	})
	good.exec("INSERT INTO accounts (id, v) VALUES (2, 2)", "COMMIT")
	if got := good.rows("SELECT id FROM accounts WHERE id IN (1, 2)"); got != "2 1" {
		t.Errorf("the good client's rows: %s", got)
	}
}

// TestVanishedClientFreesItsStatement closes the socket of a client whose statement waits for a lock.
func TestVanishedClientFreesItsStatement(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		holder, waiter := s.conn(), s.conn()
		holder.exec("INSERT INTO accounts (id, v) VALUES (1, 0), (2, 0)", "BEGIN", "UPDATE accounts SET v = 1 WHERE id = 2")
		ctx, cancel := context.WithCancel(context.Background())
		waiting := make(chan error, 1)
		go func() {
			_, err := waiter.ExecContext(ctx, "UPDATE accounts SET v = 2 WHERE id = 2")
			waiting <- err
		}()
		lockWaits := func() string {
			return s.lockWaits(0)
		}
		waitFor(t, "the second client waits", func() bool {
			select {
			case err := <-waiting:
				t.Fatalf("the second client does not wait: %v", err)
			default:
			}
			return lockWaits() == "1"
		})
		cancel() // the driver closes its connection
		if err := <-waiting; err == nil {
			t.Fatal("the statement was not interrupted")
		}
		waitFor(t, "the server has given the statement up", func() bool { return lockWaits() == "0" })
		holder.exec("COMMIT")
		if got := holder.rows("SELECT v FROM accounts WHERE id = 2"); got != "1" {
			t.Errorf("the abandoned statement took effect: %s", got)
		}
	})
}

func TestLimitsOfUsers(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], func(c *config.Config) {
		c.Users[0].MaxExecutionTime = config.Duration(300 * time.Millisecond)
		c.Users = append(c.Users,
			config.User{Name: "reader", Password: "pw", ReadOnly: true},
			config.User{Name: "single", Password: "pw", MaxConnections: 1})
		c.Server.LoginFailures = 3
	})
	open := func(user, password string) (*conn, error) {
		db, err := sql.Open("mysql", user+":"+password+"@tcp("+s.addr+")/"+s.schema)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		c, err := db.Conn(context.Background())
		return &conn{t, c}, err
	}
	number := func(err error) uint16 {
		var e *mysql.MySQLError
		if errors.As(err, &e) {
			return e.Number
		}
		return 0
	}

	slow := s.conn()
	if _, err := slow.ExecContext(context.Background(), "SELECT SLEEP(30) FROM single WHERE id IN (SELECT id FROM single)"); err != nil {
		t.Errorf("an empty result: %v", err)
	}
	slow.exec("INSERT INTO single (v) VALUES (1)")
	begun := time.Now()
	if _, err := slow.ExecContext(context.Background(), "UPDATE single SET v = 2 WHERE SLEEP(30) = 0"); number(err) != 1317 || time.Since(begun) > 20*time.Second {
		t.Errorf("a statement beyond max_execution_time: %v after %s", err, time.Since(begun))
	}
	slow.exec("UPDATE single SET v = 3") // the session goes on

	reader, err := open("reader", "pw")
	if err != nil {
		t.Fatal(err)
	}
	if got := reader.rows("SELECT v FROM single"); got != "3" {
		t.Errorf("a read-only user reads %s", got)
	}
	reader.fails(1290, "UPDATE single SET v = 4")
	reader.fails(1290, "SELECT v FROM single FOR UPDATE")

	if _, err := open("single", "pw"); err != nil {
		t.Fatal(err)
	}
	if _, err := open("single", "pw"); number(err) != 1203 {
		t.Errorf("a second connection of a user with one: %v", err)
	}

	for range 3 {
		if _, err := open("u", "wrong"); number(err) != 1045 {
			t.Errorf("a wrong password: %v", err)
		}
	}
	waitFor(t, "the address is blocked", func() bool { // a failure counts once the client has been told of it
		_, err := open("u", "wrong")
		return number(err) == 1129
	})
	if _, err := open("u", "pw"); number(err) != 1129 {
		t.Errorf("an address with too many failures: %v", err)
	}
	slow.exec("UPDATE single SET v = 5") // who is in stays in
}

// TestStatePinsTheSession leaves state on connections that two clients would otherwise share.
func TestStatePinsTheSession(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], func(c *config.Config) {
		for i := range c.Backends {
			c.Backends[i].PoolSize = 3
		}
	})
	a, b := s.conn(), s.conn()
	a.exec("CREATE TEMPORARY TABLE scratch (n INT)", "INSERT INTO scratch VALUES (1), (2)")
	b.fails(1146, "SELECT * FROM scratch")
	if got := a.rows("SELECT n FROM scratch"); got != "1 2" {
		t.Errorf("the temporary table: %s", got)
	}
	b.exec("CREATE TEMPORARY TABLE scratch (n INT)", "INSERT INTO scratch VALUES (7)") // each client has its own
	if got := a.rows("SELECT n FROM scratch") + "/" + b.rows("SELECT n FROM scratch"); got != "1 2/7" {
		t.Errorf("two temporary tables of one name: %s", got)
	}
	a.exec("SET time_zone = '+03:00'") // changes the session without a reset of the connection
	if got := a.rows("SELECT n, @@time_zone FROM scratch"); got != "1,+03:00 2,+03:00" {
		t.Errorf("after SET: %s", got)
	}
	a.exec("DROP TEMPORARY TABLE scratch")
	a.fails(1146, "SELECT * FROM scratch")
	b.exec("DROP TEMPORARY TABLE scratch")

	if got := a.rows("SELECT GET_LOCK('x', 0)"); got != "1" {
		t.Errorf("GET_LOCK: %s", got)
	}
	if got := b.rows("SELECT GET_LOCK('x', 0)"); got != "0" {
		t.Errorf("a second client gets the lock too: %s", got)
	}
	if got := a.rows("SELECT RELEASE_ALL_LOCKS()"); got != "1" {
		t.Errorf("RELEASE_ALL_LOCKS: %s", got)
	}
	if got := b.rows("SELECT GET_LOCK('x', 5)"); got != "1" {
		t.Errorf("the lock was not released: %s", got)
	}
	b.hangUp()

	a.exec("SET @x = 41, @s = 'it''s'")
	if got := a.rows("SELECT @x + 1, @s, @none"); got != "42,it's,NULL" {
		t.Errorf("user variables from SET: %s", got)
	}
	a.exec("UPDATE accounts SET v = @x WHERE id = 1") // the other backend gets their values too
	if got := a.rows("SELECT @x := @x + 1"); got != "42" {
		t.Errorf("an assignment in a statement: %s", got)
	}
	if got := a.rows("SELECT @x, @s"); got != "42,it's" {
		t.Errorf("after it: %s", got)
	}
	c := s.conn()
	if got := c.rows("SELECT @x, @s"); got != "NULL,NULL" {
		t.Errorf("another client sees user variables: %s", got)
	}
	a.hangUp()
	waitFor(t, "connections that held state are given up", func() bool {
		return c.rows("SELECT IS_FREE_LOCK('x')") == "1"
	})
}

// TestStoredProgramsLeaveNothing calls a procedure and a function that set user variables and make a temporary table; so does a
// compound statement.
func TestStoredProgramsLeaveNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], func(c *config.Config) {
		c.Tables = nil // the schema is on one backend
		for i := range c.Backends {
			c.Backends[i].PoolSize = 1
		}
	})
	admin(t, s.servers[0], "SET GLOBAL log_bin_trust_function_creators = 1",
		"CREATE PROCEDURE "+s.schema+".leave_behind() BEGIN SET @left = 5; CREATE TEMPORARY TABLE left_over (n INT); END",
		"CREATE FUNCTION "+s.schema+".leave_too() RETURNS INT DETERMINISTIC BEGIN SET @left = 6; RETURN 1; END")
	a, b := s.conn(), s.conn()
	for _, q := range []string{
		"CALL leave_behind()", "DO leave_too()", "SELECT leave_too() FROM single",
		"BEGIN NOT ATOMIC CREATE TEMPORARY TABLE left_over SELECT 1 AS n; PREPARE s FROM 'SELECT 1'; END",
	} {
		a.exec(q)
		if got := b.rows("SELECT @left"); got != "NULL" {
			t.Errorf("%s: another client sees @left = %s", q, got)
		}
		b.fails(1146, "SELECT * FROM left_over")
		a.exec("BEGIN", q, "ROLLBACK")
		if got := b.rows("SELECT @left"); got != "NULL" {
			t.Errorf("%s in a transaction: another client sees @left = %s", q, got)
		}
	}
}

// TestHandlersOnSeveralBackends opens tables of two backends, one under an alias, which does not say where it is.
func TestHandlersOnSeveralBackends(t *testing.T) {
	t.Parallel()
	forMixesWith(t, func(c *config.Config) {
		c.Tables = append(c.Tables, config.Table{Schema: c.Tables[0].Schema, Name: "single", Backend: "b1"})
	}, func(t *testing.T, s *stack) {
		admin(t, s.servers[0], "CREATE TABLE "+s.schema+".plain (id INT PRIMARY KEY)", "INSERT INTO "+s.schema+".plain VALUES (10), (20)")
		admin(t, s.servers[1], "INSERT INTO "+s.schema+".single (id, v) VALUES (1, 2)")
		c, other := s.conn(), s.conn()
		c.exec("HANDLER single OPEN AS h", "HANDLER plain OPEN")
		for range 2 {
			if got := c.rows("HANDLER h READ FIRST") + " " + c.rows("HANDLER plain READ `PRIMARY` LAST"); got != "1,2,NULL 20" {
				t.Errorf("rows of both handlers: %s", got)
			}
			other.fails(1109, "HANDLER h READ FIRST")
		}
		c.fails(1235, "HANDLER accounts OPEN AS a")
		c.exec("HANDLER h CLOSE")
		c.fails(1109, "HANDLER h READ FIRST")
		c.exec("HANDLER plain READ FIRST", "HANDLER plain CLOSE")
		if got := c.rows("SHOW PROCESSLIST"); strings.Contains(got, "pinned") {
			t.Errorf("a connection is kept after the last CLOSE: %s", got)
		}
	})
}

// TestTableLocksEndWithTheirClient locks tables, and leaves in three ways.
func TestTableLocksEndWithTheirClient(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], func(c *config.Config) {
		for i := range c.Backends {
			c.Backends[i].PoolSize = 2
		}
	})
	other := s.conn()
	for name, leave := range map[string]func(*conn){
		"unlock":  func(c *conn) { c.exec("UNLOCK TABLES") },
		"begin":   func(c *conn) { c.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2)", "ROLLBACK") },
		"hang up": func(c *conn) { c.hangUp() },
	} {
		t.Run(name, func(t *testing.T) {
			c := s.conn()
			c.exec("LOCK TABLES single WRITE", "INSERT INTO single (v) VALUES (1)")
			leave(c)
			waitFor(t, "the table is free", func() bool {
				_, err := other.ExecContext(context.Background(), "SET lock_wait_timeout = 1")
				_, err2 := other.ExecContext(context.Background(), "INSERT INTO single (v) VALUES (2)")
				return err == nil && err2 == nil
			})
			other.exec("CREATE TABLE IF NOT EXISTS another (id INT)", "DROP TABLE another")
		})
	}
}

// TestKill ends a statement and a session of the same user from another one.
func TestKill(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], nil)
	victim, killer := s.conn(), s.conn()
	victim.exec("INSERT INTO single (v) VALUES (1)")
	running := make(chan error, 1)
	run := func() {
		_, err := victim.ExecContext(context.Background(), "UPDATE single SET v = 2 WHERE SLEEP(30) = 0")
		running <- err
	}
	id := uint32(1) // sessions are numbered in the order of their logins
	go run()
	waitFor(t, "the statement runs", func() bool {
		return s.on(0, "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'SCHEMA' AND info LIKE 'UPDATE single%'") == "1"
	})
	killer.exec(fmt.Sprintf("KILL QUERY %d", id))
	if err := <-running; err == nil || !strings.Contains(err.Error(), "1317") {
		t.Errorf("KILL QUERY: %v", err)
	}
	victim.exec("UPDATE single SET v = 3") // the session goes on
	go run()
	waitFor(t, "the statement runs", func() bool {
		return s.on(0, "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'SCHEMA' AND info LIKE 'UPDATE single%'") == "1"
	})
	killer.exec(fmt.Sprintf("KILL %d", id))
	if err := <-running; err == nil {
		t.Error("KILL left the statement alone")
	}
	if _, err := victim.ExecContext(context.Background(), "DO 1"); err == nil {
		t.Error("KILL left the session alone")
	}
	killer.fails(1094, "KILL 12345")
	if got := killer.rows("SELECT v FROM single"); got != "3" {
		t.Errorf("a killed statement took effect: %s", got)
	}
}
