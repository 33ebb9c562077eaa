package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/wire"
)

// login connects to the proxy with a connection that can send anything.
func login(t *testing.T, b *batch) *wire.Conn {
	t.Helper()
	d := wire.Dialer{Network: "tcp", Addr: b.proxy.Addr, User: proxytest.User, Password: proxytest.Password, Schema: b.schema, MaxPacket: 1 << 20, Timeout: patience}
	c, _, err := d.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // mostly it is closed already
	return c
}

// run sends a statement and reads its answer.
func run(t *testing.T, c *wire.Conn, statement string) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if err := c.SendCommand(wire.ComQuery, []byte(statement)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadResult(1 << 16); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// account is the one that the clients of these tests fight for.
const account = 1

// newBank is a batch with no transactions but one account on each server.
func newBank(t *testing.T, schema string) (*batch, *sql.DB) {
	t.Helper()
	b := newBatch(t, sharedMix(t), schema, unlimited, nil, 0)
	for i := range tables {
		b.m.execute(t, "CREATE TABLE IF NOT EXISTS %s.%s (id INT PRIMARY KEY, n INT NOT NULL)", schema, tables[i])
	}
	for i, db := range b.m.direct {
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO %s.%s VALUES (%d, %d)", schema, tables[i], account, money)); err != nil {
			t.Fatal(err)
		}
	}
	return b, b.proxy.DB(t, schema)
}

// hold opens a transaction that holds the account on both servers.
func hold(t *testing.T, c *wire.Conn) {
	t.Helper()
	run(t, c, "START TRANSACTION")
	for _, table := range tables {
		run(t, c, fmt.Sprintf("UPDATE %s SET n = 0 WHERE id = %d", table, account))
	}
}

// free checks that nobody holds the account any more, that it is unchanged, and that the proxy serves.
func free(t *testing.T, b *batch, db *sql.DB) {
	t.Helper()
	for i, table := range tables {
		eventually(t, patience, "the lock on "+table, func() error {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var n int
			query := fmt.Sprintf("SELECT n FROM %s.%s WHERE id = %d FOR UPDATE NOWAIT", b.schema, table, account)
			if err := b.m.direct[i].QueryRowContext(ctx, query).Scan(&n); err != nil {
				return err
			}
			if n != money {
				t.Fatalf("%s: the account has %d, want %d", table, n, money)
			}
			return nil
		})
		if got := b.prepared(t, i); len(got) > 0 {
			t.Errorf("prepared on %s: %q", b.m.servers[i], got)
		}
	}
	var one int
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := db.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil || one != 1 {
		t.Errorf("another client got %d, %v", one, err)
	}
}

// A client that vanishes in the middle of a transaction leaves nothing behind, whether it says goodbye, closes the
// connection, resets it, or goes away in the middle of a packet or while a statement runs.
func TestVanishingClients(t *testing.T) {
	b, db := newBank(t, "vanishing")
	for name, vanish := range map[string]func(*wire.Conn) error{
		"quit":  func(c *wire.Conn) error { return c.SendCommand(wire.ComQuit) },
		"close": func(c *wire.Conn) error { return c.NetConn().Close() },
		"reset": func(c *wire.Conn) error {
			if err := c.NetConn().(*net.TCPConn).SetLinger(0); err != nil {
				return err
			}
			return c.NetConn().Close()
		},
		"in a packet": func(c *wire.Conn) error {
			if _, err := c.NetConn().Write([]byte{200, 0, 0, 0, 3, 'S', 'E', 'L'}); err != nil {
				return err
			}
			return c.NetConn().Close()
		},
		"in a header": func(c *wire.Conn) error {
			if _, err := c.NetConn().Write([]byte{9, 0}); err != nil {
				return err
			}
			return c.NetConn().Close()
		},
		"in a statement": func(c *wire.Conn) error {
			if err := c.SendCommand(wire.ComQuery, []byte("SELECT SLEEP(0.1), n FROM east")); err != nil {
				return err
			}
			return c.NetConn().Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := login(t, b)
			hold(t, c)
			if err := vanish(c); err != nil {
				t.Fatal(err)
			}
			free(t, b, db)
		})
	}
}

// A client that is not there any more when its COMMIT is half done gets its commit all the same.
func TestClientVanishesInCommit(t *testing.T) {
	moments := []row{
		{name: "nobody has prepared", end: "COMMIT", hold: []at{{x, Prepare, Asked}, {y, Prepare, Asked}}, outcome: outcome{want: committed}},
		{name: "decided", end: "COMMIT", hold: []at{{x, Commit, Asked}, {y, Commit, Asked}}, doubt: "xy", outcome: outcome{want: committed}},
		{name: "rolling back", end: "ROLLBACK", hold: []at{{x, Rollback, Asked}, {y, Rollback, Asked}}, outcome: outcome{want: rolledBack}},
	}
	b := newBatch(t, sharedMix(t), "vanishing_in_commit", unlimited, moments, 0, 1)
	b.place(t)
	b.inDoubt(t)
	for _, tx := range b.transactions {
		tx.tap.CutAll()
	}
	b.answers(t)
	b.release(func(side) Verdict { return Pass })
	eventually(t, patience, "the end of the transactions", func() error {
		for _, tx := range b.transactions {
			if got := tx.fate(t, b.m, b.schema); got != tx.row.want {
				return fmt.Errorf("%s is %s", tx.name(), got)
			}
		}
		return nil
	})
	b.settled(t)
	b.check(t, ifLost)
}

// Connections that say nothing, or half of something, are closed when the time for the handshake is over, and cost
// nobody else anything meanwhile.
func TestHalfOpenClients(t *testing.T) {
	b, db := newBank(t, "half_open")
	var conns []net.Conn
	for i, said := range []string{"", "\x20\x00\x00\x01", "\x20\x00\x00\x01\x85\xa6", "G"} {
		for range 5 {
			c, err := net.Dial("tcp", b.proxy.Addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			if _, err := c.Write([]byte(said)); err != nil {
				t.Fatalf("client %d: %v", i, err)
			}
			conns = append(conns, c)
		}
	}
	free(t, b, db)
	for i, c := range conns {
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		for buf := make([]byte, 4096); ; {
			if _, err := c.Read(buf); err == nil {
				continue
			} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Errorf("connection %d is open for more than %s without a login", i, patience)
			}
			break
		}
	}
	free(t, b, db)
}

// Garbage costs the client that sends it its connection at most, before the login and in the middle of a transaction.
func TestMalformedPackets(t *testing.T) {
	b, db := newBank(t, "malformed")
	garbage := map[string][]byte{
		"empty packet":            {0, 0, 0, 0},
		"wrong sequence":          {1, 0, 0, 7, byte(wire.ComPing)},
		"unknown command":         {2, 0, 0, 0, 0xAB, 0xCD},
		"empty statement":         {1, 0, 0, 0, byte(wire.ComQuery)},
		"statement of zero bytes": {5, 0, 0, 0, byte(wire.ComQuery), 0, 0, 0, 0},
		"not utf8":                {5, 0, 0, 0, byte(wire.ComQuery), 0xFF, 0xFE, 0xC0, 0x80},
		"unclosed quote":          append([]byte{13, 0, 0, 0, byte(wire.ComQuery)}, "SELECT 'abcd"...),
		"execute of nothing":      {10, 0, 0, 0, byte(wire.ComStmtExecute), 9, 9, 9, 9, 0, 1, 0, 0, 0},
		"short execute":           {2, 0, 0, 0, byte(wire.ComStmtExecute), 9},
		"short change user":       {2, 0, 0, 0, byte(wire.ComChangeUser), 'x'},
		"change user without end": append([]byte{9, 0, 0, 0, byte(wire.ComChangeUser)}, "app\x00\xff123"...),
		"binlog dump":             append([]byte{11, 0, 0, 0, byte(wire.ComBinlogDump)}, "0123456789"...),
		"http":                    []byte("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"),
		"giant":                   append([]byte{0xFF, 0xFF, 0xFF, 0, byte(wire.ComQuery)}, "SELECT 1"...),
	}
	for name, bytes := range garbage {
		t.Run("before the login/"+name, func(t *testing.T) {
			c, err := net.Dial("tcp", b.proxy.Addr)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = c.Write(bytes) // the proxy may have closed it already
			_ = c.Close()
			free(t, b, db)
		})
		t.Run("in a transaction/"+name, func(t *testing.T) {
			c := login(t, b)
			hold(t, c)
			if _, err := c.NetConn().Write(bytes); err != nil {
				t.Fatal(err)
			}
			// Whatever the answer is, if there is one, the transaction ends with the connection.
			if err := c.NetConn().(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			free(t, b, db)
		})
	}
}
