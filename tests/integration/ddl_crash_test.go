package integration

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/ddl"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// crash is the program in front of a MariaDB and a MySQL server, with the sharded table orders on both.
type crash struct {
	t       *testing.T
	options proxytest.Options
	proxy   *proxytest.Proxy
	schema  string
	servers []*servers.Server
	db      *sql.DB
}

func newCrash(t *testing.T) *crash {
	t.Helper()
	c := &crash{t: t, servers: []*servers.Server{servertest.Get(t, servers.MariaDB), servertest.Get(t, servers.MySQL)}}
	c.schema = servertest.Database(t, c.servers[0])
	admin(t, c.servers[1], "CREATE DATABASE IF NOT EXISTS "+c.schema)
	t.Cleanup(func() { admin(t, c.servers[1], "DROP DATABASE "+c.schema) })
	c.options = proxytest.Options{
		Backends: []proxytest.Backend{proxytest.On("north", c.servers[0]), proxytest.On("south", c.servers[1])},
		Schemas:  []config.Schema{{Name: c.schema, Backend: "north"}},
		Tables: []config.Table{
			{Schema: c.schema, Name: "orders", Column: "customer", Function: "hash", Backends: []string{"north", "south"}},
			{Schema: c.schema, Name: "country", Broadcast: true},
			{Schema: c.schema, Name: "pays", Column: "customer", Function: "hash", Backends: []string{"north", "south"}, AutoIncrement: "id"},
		},
	}
	c.proxy = proxytest.Run(t, c.options)
	c.db = c.proxy.DB(t, c.schema)
	c.exec("CREATE TABLE orders (customer INT PRIMARY KEY, v INT) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
	return c
}

func (c *crash) exec(q string) {
	c.t.Helper()
	if _, err := c.db.Exec(q); err != nil {
		c.t.Fatalf("%s: %v", q, err)
	}
}

// command runs the program, which must end with the status, and returns what it wrote.
func (c *crash) command(status int, args ...string) string {
	c.t.Helper()
	out, got, err := c.proxy.Command(c.t.Context(), args...)
	if err != nil || got != status {
		c.t.Errorf("%q: status %d, %v, want %d\n%s", args, got, err, status, out)
	}
	return out
}

// open is the record that is open.
func (c *crash) open() *ddl.Record {
	c.t.Helper()
	out, _, err := c.proxy.Command(c.t.Context(), "ddl", "status", "--json")
	if err != nil {
		c.t.Fatal(err)
	}
	var all []*ddl.Record
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
	for _, r := range all {
		if strings.HasPrefix(r.Objects[0], c.schema+".") {
			return r
		}
	}
	return nil
}

// resume runs xaproxy ddl resume of the open record.
func (c *crash) resume(status int, args ...string) string {
	c.t.Helper()
	r := c.open()
	if r == nil {
		c.t.Fatal("no record is open")
	}
	return c.command(status, append([]string{"ddl", "resume", fmt.Sprint(r.ID)}, args...)...)
}

// half runs a statement through a proxy until it is done in the north and waits in the south, behind what it returns.
func (c *crash) half(db *sql.DB, q string) (release func(), answer chan error) {
	c.t.Helper()
	tx, err := pool(c.t, c.servers[1]).Begin()
	check(c.t, err)
	_, err = tx.Exec("SELECT * FROM " + c.schema + ".orders")
	check(c.t, err)
	release = func() {
		if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
			c.t.Error(err)
		}
	}
	c.t.Cleanup(release)
	answer = make(chan error, 1)
	go func() {
		_, err := db.ExecContext(context.Background(), q)
		answer <- err
	}()
	waitFor(c.t, "half of "+q, func() bool {
		r := c.open()
		return r != nil && r.Held && r.Parts[0].State == ddl.Done && r.Parts[1].State == ddl.Running && c.on(1, fmt.Sprintf("SELECT 1 FROM information_schema.processlist WHERE id = %d AND state LIKE 'Waiting for table%%'", r.Parts[1].Connection)) == "1"
	})
	return release, answer
}

func (c *crash) on(server int, q string) string {
	c.t.Helper()
	return rowsOf(c.t, pool(c.t, c.servers[server]), strings.ReplaceAll(q, "SCHEMA", c.schema))
}

// columns checks what both servers have of orders.
func (c *crash) columns(want string) {
	c.t.Helper()
	for i := range c.servers {
		if got := c.on(i, fmt.Sprintf(nameOfColumns, "orders")); got != want {
			c.t.Errorf("server %d has %s, want %s", i, got, want)
		}
	}
}

// TestDDLKilledApplied: the proxy dies when the statement has run on a backend that it has not heard of.
func TestDDLKilledApplied(t *testing.T) {
	c := newCrash(t)
	release, answer := c.half(c.db, "ALTER TABLE orders ADD x INT")
	check(t, c.proxy.Freeze())
	release()
	waitFor(t, "the column", func() bool { return c.on(1, fmt.Sprintf(nameOfColumns, "orders")) == "customer v x" })
	check(t, c.proxy.Kill())
	if err := <-answer; err == nil {
		t.Error("the client of a dead proxy got an answer")
	}
	if out := c.command(1, "ddl", "status"); !strings.Contains(out, "unfinished: xaproxy ddl resume") || !strings.Contains(out, "ALTER TABLE orders ADD x INT") {
		t.Errorf("status:\n%s", out)
	}
	check(t, c.proxy.Restart(t.Context()))
	var said *mysql.MySQLError
	if _, err := c.db.Exec("ALTER TABLE orders ADD y INT"); !errors.As(err, &said) || !strings.Contains(said.Message, "xaproxy ddl resume") {
		t.Errorf("another statement about the table: %v", err)
	}
	c.exec("INSERT INTO orders (customer) VALUES (1), (2), (3)")
	c.resume(0)
	c.columns("customer v x")
	c.exec("ALTER TABLE orders ADD y INT")
	c.columns("customer v x y")
}

// TestDDLKilledNotApplied: the proxy dies while the statement waits on a backend, and it never runs there.
func TestDDLKilledNotApplied(t *testing.T) {
	c := newCrash(t)
	release, _ := c.half(c.db, "ALTER TABLE orders ADD x INT")
	check(t, c.proxy.Freeze()) // the connection stays
	connection := c.open().Parts[1].Connection
	if out := c.resume(2); out != "" {
		t.Errorf("resumed under the hands of a proxy: %s", out)
	}
	admin(t, c.servers[0], fmt.Sprintf("KILL %s", c.on(0, "SELECT IS_USED_LOCK(CONCAT('xaproxy.ddl.', LEFT(SHA2(LOWER(CONCAT('SCHEMA', CHAR(0), 'orders')), 256), 40)))")))
	waitFor(t, "the lock", func() bool { return !c.open().Held })
	if out := c.resume(1); !strings.Contains(out, "it still runs there") {
		t.Errorf("resumed beside a statement that runs: %s", out)
	}
	admin(t, c.servers[1], fmt.Sprintf("KILL %d", connection))
	check(t, c.proxy.Kill())
	release()
	c.resume(0)
	c.columns("customer v x")
	if out := c.command(0, "ddl", "status"); strings.Contains(out, c.schema) {
		t.Errorf("status: %s", out)
	}
}

// TestDDLKilledUndecided: somebody has changed the table by hand meanwhile, so that only the operator can tell.
func TestDDLKilledUndecided(t *testing.T) {
	c := newCrash(t)
	release, _ := c.half(c.db, "ALTER TABLE orders ADD x INT")
	check(t, c.proxy.Freeze())
	connection := c.open().Parts[1].Connection
	admin(t, c.servers[1], fmt.Sprintf("KILL %d", connection))
	check(t, c.proxy.Kill())
	release()
	admin(t, c.servers[1], "ALTER TABLE "+c.schema+".orders ADD z INT")
	if out := c.resume(1); !strings.Contains(out, "--done south or --run south") || !strings.Contains(out, "column z is missing on north") {
		t.Errorf("resumed what nobody knows: %s", out)
	}
	id := fmt.Sprint(c.open().ID)
	c.command(2, "ddl", "abandon", id)
	c.resume(0, "--run", "south")
	if got := c.on(1, fmt.Sprintf(nameOfColumns, "orders")); got != "customer v z x" {
		t.Errorf("the south has %s", got)
	}
	c.command(2, "ddl", "abandon", id, "--force") // it has ended
}

// TestDDLTwoProxies: two proxies with one configuration do not change a table at once.
func TestDDLTwoProxies(t *testing.T) {
	c := newCrash(t)
	other := proxytest.Run(t, c.options).DB(t, c.schema)
	release, first := c.half(c.db, "ALTER TABLE orders ADD x INT")
	second := make(chan error, 1)
	go func() {
		_, err := other.ExecContext(context.Background(), "ALTER TABLE orders ADD y INT")
		second <- err
	}()
	waitFor(t, "the second proxy", func() bool {
		return c.on(0, "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT GET_LOCK%'") == "1"
	})
	if got := c.on(0, fmt.Sprintf(nameOfColumns, "orders")); got != "customer v x" {
		t.Errorf("the second proxy did not wait: %s", got)
	}
	release()
	check(t, errors.Join(<-first, <-second))
	c.columns("customer v x y")
}
