package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/ddl"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// newHalfDDL has a table orders on a MariaDB and a MySQL server, on the second of which an index of the name i exists.
func newHalfDDL(t *testing.T) (*stack, *conn) {
	t.Helper()
	s := newDDLStack(t, []servers.Kind{servers.MariaDB, servers.MySQL})
	c := s.conn()
	c.exec("CREATE TABLE orders (customer INT PRIMARY KEY, v INT) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
	admin(t, s.servers[1], "CREATE INDEX i ON "+s.schema+".orders (v)")
	return s, c
}

const indexes = "SELECT GROUP_CONCAT(index_name, column_name ORDER BY index_name) FROM information_schema.statistics WHERE table_schema = 'SCHEMA' AND table_name = 'orders'"

// TestDDLFailsOnOne: what fails on one shard says where, goes no further, and is finished later.
func TestDDLFailsOnOne(t *testing.T) {
	s, c := newHalfDDL(t)
	text := c.fails(1061, "CREATE INDEX i ON orders (customer)")
	id := s.record().ID
	for _, part := range []string{"Duplicate key name 'i'", "failed on b1", "done on b0", fmt.Sprintf("xaproxy ddl resume %d", id)} {
		if !strings.Contains(text, part) {
			t.Errorf("the error does not say %q: %s", part, text)
		}
	}
	if got := s.states(); got != " done failed" {
		t.Errorf("the record says %q", got)
	}
	for _, q := range []string{"ALTER TABLE orders ADD x INT", "DROP TABLE orders", "DROP DATABASE " + s.schema, "ANALYZE TABLE orders"} {
		if text := c.fails(1235, q); !strings.Contains(text, fmt.Sprintf("xaproxy ddl resume %d", id)) {
			t.Errorf("%s: %s", q, text)
		}
	}
	c.exec("INSERT INTO orders VALUES (1, 1), (2, 2), (3, 3)", "CREATE TABLE items (customer INT PRIMARY KEY)")

	j := s.journal()
	if _, left, err := j.Resume(t.Context(), id, ddl.Orders{}); err != nil || !strings.Contains(left["b1"], "1061") {
		t.Errorf("resumed with the cause still there: %v, %v", left, err)
	}
	if _, _, err := j.Resume(t.Context(), id+1000, ddl.Orders{}); err == nil {
		t.Error("a record that does not exist was resumed")
	}
	if _, _, err := j.Resume(t.Context(), id, ddl.Orders{Done: []string{"b7"}}); err == nil {
		t.Error("a backend that does not exist was believed")
	}
	admin(t, s.servers[1], "DROP INDEX i ON "+s.schema+".orders")
	r, left, err := j.Resume(t.Context(), id, ddl.Orders{})
	if err != nil || len(left) > 0 || r.Outcome != ddl.Complete {
		t.Fatalf("resumed: %v, %v, %v", r, left, err)
	}
	s.everywhere("icustomer,PRIMARYcustomer", indexes)
	if _, _, err := j.Resume(t.Context(), id, ddl.Orders{}); err == nil {
		t.Error("a closed record was resumed")
	}
	c.exec("ALTER TABLE orders ADD x INT")
	if got := c.rows("SHOW WARNINGS"); got != "" {
		t.Errorf("warnings: %s", got)
	}
}

// TestDDLByHand: the operator says of a backend that it is done there, or gives a record up.
func TestDDLByHand(t *testing.T) {
	s, c := newHalfDDL(t)
	c.fails(1061, "CREATE INDEX i ON orders (customer)")
	id, j := s.record().ID, s.journal()
	if r, left, err := j.Resume(t.Context(), id, ddl.Orders{Done: []string{"b1"}}); err != nil || len(left) > 0 || r.Outcome != ddl.Complete {
		t.Fatalf("resumed: %v, %v, %v", r, left, err)
	}
	c.exec("ALTER TABLE orders ADD x INT")
	if got := c.rows("SHOW WARNINGS"); !strings.Contains(got, "key i is btree key (customer) on b0, btree key (v) on b1") {
		t.Errorf("warnings of shards that differ: %s", got)
	}
	admin(t, s.servers[0], "ALTER TABLE "+s.schema+".orders ADD y INT")
	c.fails(1060, "ALTER TABLE orders ADD y INT")
	if r, err := j.Abandon(t.Context(), s.record().ID); err != nil || r.Outcome != ddl.AbandonedNow {
		t.Fatalf("abandoned: %v, %v", r, err)
	}
	c.exec("ALTER TABLE orders DROP COLUMN y")
	s.everywhere("customer v x", fmt.Sprintf(nameOfColumns, "orders"))
}

// TestDDLKeepsSession: a statement that is finished later runs in the schema, the sql_mode and the time zone of its session.
func TestDDLKeepsSession(t *testing.T) {
	s, c := newHalfDDL(t)
	c.exec("SET sql_mode = 'ANSI_QUOTES', time_zone = '+05:00'")
	admin(t, s.servers[1], "ALTER TABLE "+s.schema+".orders ADD at TIMESTAMP NULL")
	c.fails(1060, `ALTER TABLE "orders" ADD "at" TIMESTAMP NOT NULL DEFAULT '2020-01-01 05:00:00'`)
	admin(t, s.servers[1], "ALTER TABLE "+s.schema+".orders DROP at")
	if _, left, err := s.journal().Resume(t.Context(), s.record().ID, ddl.Orders{}); err != nil || len(left) > 0 {
		t.Fatalf("resumed: %v, %v", left, err)
	}
	c.exec("INSERT INTO orders (customer) VALUES (1), (2), (3), (4)")
	if got := c.rows("SELECT DISTINCT UNIX_TIMESTAMP(at) FROM orders"); got != "1577836800" {
		t.Errorf("the default is %s", got)
	}
}

// holdUp keeps others from changing orders on a server, until release.
func holdUp(t *testing.T, s *stack, server int) (release func()) {
	t.Helper()
	tx, err := pool(t, s.servers[server]).Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("SELECT * FROM " + s.schema + ".orders"); err != nil {
		t.Fatal(err)
	}
	return func() { _ = tx.Rollback() } // also of a server that is dead
}

// TestDDLTogether: while a statement runs, SHOW PROCESSLIST says where, another one about the table waits for it, and a KILL ends it
// where it runs.
func TestDDLTogether(t *testing.T) {
	s, c := newHalfDDL(t)
	release := holdUp(t, s, 1)
	defer release()
	watch := s.conn()
	run := func(c *conn, q string) chan error {
		done := make(chan error, 1)
		go func() {
			_, err := c.ExecContext(context.Background(), q)
			done <- err
		}()
		return done
	}
	progress := func() string {
		return strings.Join(slices.DeleteFunc(strings.Split(watch.rows("SHOW FULL PROCESSLIST"), "\n"), func(l string) bool { return !strings.Contains(l, "ddl") }), "")
	}
	first := run(c, "ALTER TABLE orders ADD x INT")
	waitFor(t, "the first backend", func() bool {
		return strings.Contains(progress(), "b0 done") && strings.Contains(progress(), "b1 running")
	})
	if r := s.record(); !r.Held || r.Parts[1].State != ddl.Running || r.Parts[1].Connection == 0 {
		t.Errorf("the record while it runs: %+v", r)
	}
	if _, _, err := s.journal().Resume(t.Context(), s.record().ID, ddl.Orders{}); err == nil || !strings.Contains(err.Error(), "another DDL") {
		t.Errorf("resumed a statement that runs: %v", err)
	}
	second := run(s.conn(), "ALTER TABLE orders ADD y INT")
	release()
	if err := errors.Join(<-first, <-second); err != nil {
		t.Error(err)
	}
	s.everywhere("customer v x y", fmt.Sprintf(nameOfColumns, "orders"))

	release = holdUp(t, s, 1)
	defer release()
	number := c.rows("SELECT CONNECTION_ID()")
	third := run(c, "ALTER TABLE orders ADD z INT")
	waitFor(t, "the third statement", func() bool {
		return strings.Contains(progress(), "b0 done") && strings.Contains(progress(), "b1 running")
	})
	watch.exec("KILL QUERY " + number)
	var said *mysql.MySQLError
	if err := <-third; !errors.As(err, &said) || said.Number != 1317 || !strings.Contains(said.Message, "failed on b1, done on b0") {
		t.Errorf("a statement that was killed on one backend says %v", said)
	}
	release()
	if _, left, err := s.journal().Resume(t.Context(), s.record().ID, ddl.Orders{}); err != nil || len(left) > 0 {
		t.Errorf("resumed: %v, %v", left, err)
	}
	s.everywhere("customer v x y z", fmt.Sprintf(nameOfColumns, "orders"))
}

// TestDDLWithoutClient: a statement whose client has gone is finished, unlike others.
func TestDDLWithoutClient(t *testing.T) {
	s, c := newHalfDDL(t)
	release := holdUp(t, s, 1)
	defer release()
	watch := s.conn()
	leave := make([]context.CancelFunc, 2)
	for i, q := range []string{"ALTER TABLE orders ADD x INT", "SELECT SLEEP(1000)"} {
		ctx, cancel := context.WithCancel(context.Background())
		leave[i] = cancel
		own := s.conn()
		go func() { _, _ = own.ExecContext(ctx, q) }() // the client does not wait for the answer
		waitFor(t, q, func() bool {
			all := watch.rows("SHOW FULL PROCESSLIST")
			return strings.Contains(all, q) && (i > 0 || strings.Contains(all, "b1 running"))
		})
	}
	for _, cancel := range leave {
		cancel()
	}
	waitFor(t, "the end of the other statement", func() bool { return !strings.Contains(watch.rows("SHOW FULL PROCESSLIST"), "SLEEP(1000)") })
	release()
	waitFor(t, "the end of the DDL", func() bool { return s.record().Outcome != ddl.Open })
	s.everywhere("customer v x", fmt.Sprintf(nameOfColumns, "orders"))
	c.exec("ALTER TABLE orders ADD y INT")
}

// reopen makes the newest record one that is done on the first backend and, as far as anybody knows, runs on the second.
func (s *stack) reopen() uint64 {
	s.t.Helper()
	r := s.record()
	admin(s.t, s.servers[0], fmt.Sprintf("UPDATE xaproxy.xaproxy_ddl SET outcome = '' WHERE id = %d", r.ID),
		fmt.Sprintf("UPDATE xaproxy.xaproxy_ddl_part SET state = 'running', connection = 0 WHERE id = %d AND backend = 'b1'", r.ID))
	return r.ID
}

// TestDDLResumeKinds: what definitions tell of each kind of statement, when it has run.
func TestDDLResumeKinds(t *testing.T) {
	s := newDDLStack(t, []servers.Kind{servers.MariaDB, servers.MySQL})
	c := s.conn()
	c.exec("CREATE TABLE country (id INT PRIMARY KEY) COLLATE utf8mb4_bin", "INSERT INTO country VALUES (1)", "TRUNCATE country", "INSERT INTO country VALUES (2)")
	resume := func(q string, left bool) {
		t.Helper()
		if q != "" {
			c.exec(q)
		}
		r, still, err := s.journal().Resume(t.Context(), s.reopen(), ddl.Orders{})
		if err != nil || (len(still) > 0) != left || (r.Outcome == ddl.Open) != left {
			t.Errorf("%s: %v, %v, %v", q, r.Outcome, still, err)
		}
		if left {
			if _, err := s.journal().Abandon(t.Context(), r.ID); err != nil {
				t.Error(err)
			}
		}
	}
	resume("", false)
	s.everywhere("0", "SELECT COUNT(*) FROM SCHEMA.country")
	resume("CREATE TABLE orders (customer INT PRIMARY KEY, v INT) COLLATE utf8mb4_bin", false)
	resume("ALTER TABLE orders RENAME TO items", false)
	resume("CREATE INDEX i ON items (v)", false)
	resume("DROP INDEX i ON items", false)
	resume("RENAME TABLE items TO orders, orders TO done, done TO items", true) // names that were exchanged look alike
	c.exec("CREATE TABLE last (x INT)")
	resume("DROP TABLE items, last", false)
	s.everywhere("", fmt.Sprintf(nameOfColumns, "items"))
	resume("CREATE DATABASE "+s.schema+"_new COLLATE utf8mb4_bin", false)
	resume("DROP DATABASE "+s.schema+"_new", false)
}
