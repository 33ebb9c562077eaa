package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// joined is a SELECT that no backend can answer, with one row for each order.
const joined = "SELECT COUNT(*) FROM orders o LEFT JOIN events e ON e.id = o.id"

// scratchKinds are the servers of the tests below: of one kind, and of two.
var scratchKinds = [][]servers.Kind{{servers.MariaDB, servers.MariaDBBinlog}, {servers.MySQL, servers.MariaDB}}

// onScratch runs a test on each of them.
func onScratch(t *testing.T, f func(t *testing.T, s *scratchStack), change ...func(*config.Config)) {
	t.Helper()
	for _, kinds := range scratchKinds {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			var on []*servers.Server
			for _, k := range kinds {
				on = append(on, servertest.Get(t, k))
			}
			f(t, newScratchStack(t, on, nil, change...))
		})
	}
}

func (c *conn) one(t *testing.T, q, want string) {
	t.Helper()
	if got := c.column(q); !slices.Equal(got, []string{want}) {
		t.Errorf("%s: %q, want %q", q, got, want)
	}
}

// TestScratchInTransaction: what the transaction has changed is seen and nothing else, rows are locked, and errors leave it as it was.
func TestScratchInTransaction(t *testing.T) {
	t.Parallel()
	onScratch(t, func(t *testing.T, s *scratchStack) {
		c, other := s.conn(), s.conn()
		c.exec("BEGIN", "DELETE FROM orders WHERE customer = 3", "INSERT INTO events (id, kind) VALUES (1001, 'new'), (1002, 'new')", "UPDATE countries SET name = 'changed' WHERE code = 'de'")
		c.one(t, joined, "51")
		c.one(t, "SELECT COUNT(*) FROM orders o RIGHT JOIN events e ON e.id = o.id WHERE e.kind = 'new'", "2")
		c.one(t, "SELECT c.name FROM countries c JOIN audit a ON a.id = 1 WHERE c.code = 'de'", "changed")
		other.one(t, joined, "60")
		other.one(t, "SELECT c.name FROM countries c JOIN audit a ON a.id = 1 WHERE c.code = 'de'", "Deutschland")
		c.fails(1054, "SELECT nothing FROM orders o JOIN events e ON e.id = o.id")
		c.fails(1054, "SELECT COUNT(*) FROM orders o JOIN events e ON e.id = o.id WHERE o.nothing = 1")
		c.one(t, joined, "51")
		c.exec("COMMIT")
		other.one(t, joined, "51")

		c.exec("BEGIN")
		c.one(t, "SELECT COUNT(*) FROM orders o JOIN events e ON e.id = o.id WHERE o.customer = 1 FOR UPDATE", "6")
		other.exec("SET innodb_lock_wait_timeout = 1")
		other.fails(1205, "UPDATE orders SET v = 0 WHERE customer = 1")
		other.fails(1205, "SELECT COUNT(*) FROM orders o JOIN items i ON i.no = o.id WHERE o.customer = 1 FOR UPDATE")
		other.exec("BEGIN", "UPDATE orders SET v = 0 WHERE customer = 2")
		other.fails(1205, "SELECT COUNT(*) FROM orders o JOIN items i ON i.no = o.id WHERE o.customer = 1 FOR UPDATE")
		other.exec("COMMIT", "UPDATE orders SET v = 77 WHERE customer = 6")
		c.exec("COMMIT")
		c.one(t, "SELECT MAX(o.v) FROM orders o JOIN events e ON e.id >= o.id", "77")
		c.one(t, "SELECT COUNT(*) FROM orders o JOIN events e ON e.id = 1 AND o.v = 0 AND o.customer = 2", "9")
	})
}

// TestScratchBudgets: a statement that would bring too much together fails, names the table, and leaves the transaction alive.
func TestScratchBudgets(t *testing.T) {
	t.Parallel()
	onScratch(t, func(t *testing.T, s *scratchStack) {
		for _, server := range s.servers { // more than is under way at any time
			admin(t, server, strings.ReplaceAll("INSERT INTO SCHEMA.events (id, kind, v, text_) SELECT 100000 + a.no * 1000 + b.no, 'many', 0, REPEAT('x', 2000) FROM SCHEMA.items a, SCHEMA.items b", "SCHEMA", s.schema))
		}
		for user, setting := range map[string]string{"few": "max_scratch_rows = 50", "small": "max_scratch_bytes = 2000"} {
			c := s.connAs(user)
			c.exec("BEGIN", "UPDATE orders SET v = v + 1 WHERE customer = 1")
			text := c.fails(1104, "SELECT COUNT(*), MAX(e.text_) FROM orders o JOIN events e ON e.id = o.id")
			if !strings.Contains(text, setting) || !strings.Contains(text, s.schema+".") {
				t.Errorf("%s: the error says neither setting nor table: %s", user, text)
			}
			c.one(t, "SELECT COUNT(*) FROM orders o JOIN events e ON e.id = 2 WHERE o.customer = 2 AND o.v = 1", "2")
			c.exec("COMMIT")
			c.fails(1104, "SELECT COUNT(*), MAX(e.text_) FROM orders o JOIN events e ON e.id = o.id")
			c.one(t, "SELECT COUNT(*) FROM orders o JOIN events e ON e.id = 2 WHERE o.customer = 2 AND o.v = 1", "2")
		}
		s.conn().one(t, "SELECT MIN(v) FROM orders WHERE customer = 1", "1")
	})
}

// TestScratchUsers: nobody gets further by it than by other statements.
func TestScratchUsers(t *testing.T) {
	t.Parallel()
	onScratch(t, func(t *testing.T, s *scratchStack) {
		c := s.raw(t, "reader")
		do(t, c, joined)
		a := askOver(t, c, joined+" FOR UPDATE")
		var said *wire.Error
		if !errors.As(a.err, &said) || said.Errno != 1290 {
			t.Errorf("a reader may lock: %v", a.err)
		}
		if a := askOver(t, c, "SELECT COUNT(*) FROM orders o JOIN events e ON e.id = o.id; INSERT INTO audit VALUES (77, 1, 'x', NULL)"); a.err != nil {
			t.Errorf("a reader cannot read: %v", a.err)
		} else if a = hearOver(c); !errors.As(a.err, &said) || said.Errno != 1290 {
			t.Errorf("a reader may write: %v", a.err)
		}
		limited := dial(t, wire.Dialer{Addr: s.addr, User: "other", Password: "pw"})
		if a := askOver(t, limited, strings.ReplaceAll(strings.ReplaceAll(joined, "orders", s.schema+".orders"), "events", s.schema+".events")); !errors.As(a.err, &said) || said.Errno != 1044 {
			t.Errorf("a user of another schema may read: %v", a.err)
		}
	})
}

// TestScratchLeavesNothing: connections that tables were brought together on serve others as if nothing had been.
func TestScratchLeavesNothing(t *testing.T) {
	t.Parallel()
	onScratch(t, func(t *testing.T, s *scratchStack) {
		c := s.conn()
		before := c.column("SELECT CONCAT_WS('|', @@sql_mode, @@time_zone, @@character_set_results, @@collation_connection)")
		for range 5 {
			c.one(t, joined, "60")
			c.fails(1054, "SELECT nothing FROM orders o JOIN events e ON e.id = o.id")
			for i := range 7 {
				if n := len(c.column(fmt.Sprintf("SELECT id FROM orders WHERE customer = %d", i))); n < 8 {
					t.Fatalf("customer %d has %d orders", i, n)
				}
			}
			if n := len(c.column("SELECT id FROM orders")); n != 60 {
				t.Fatalf("%d orders are left", n)
			}
			if n := c.column("SELECT b FROM events WHERE id = 3"); len(n) != 1 || n[0] == "" {
				t.Fatalf("event 3 is %q", n)
			}
			if after := c.column("SELECT CONCAT_WS('|', @@sql_mode, @@time_zone, @@character_set_results, @@collation_connection)"); !slices.Equal(before, after) {
				t.Fatalf("the session was %q and is %q", before, after)
			}
		}
	}, func(c *config.Config) {
		for i := range c.Backends {
			c.Backends[i].PoolSize = 2
		}
	})
}

// TestScratchKill: KILL and the end of the client end what runs, wherever that is.
func TestScratchKill(t *testing.T) {
	t.Parallel()
	onScratch(t, func(t *testing.T, s *scratchStack) {
		holder, killer := s.conn(), s.conn()
		holder.exec("BEGIN", "UPDATE orders SET v = v WHERE customer = 1")
		for _, q := range []string{
			"SELECT COUNT(*), SUM(SLEEP(100)) FROM orders o JOIN events e ON e.id = o.id", // where the tables are brought together
			"SELECT COUNT(*) FROM orders o JOIN events e ON e.id = o.id FOR UPDATE",       // where the rows come from
		} {
			c := s.conn()
			c.exec("BEGIN", "UPDATE orders SET v = 5 WHERE customer = 2")
			id := c.column("SELECT CONNECTION_ID()")[0]
			failed := make(chan error)
			go func() {
				_, err := c.ExecContext(context.Background(), q)
				failed <- err
			}()
			running := func() bool {
				for _, server := range s.servers {
					if rowsOf(t, pool(t, server), "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SLEEP(100)%' AND INFO NOT LIKE '%PROCESSLIST%' OR INFO LIKE 'SELECT CAST%FOR UPDATE'") != "" {
						return true
					}
				}
				return false
			}
			waitFor(t, "the statement runs", running)
			killer.exec("KILL QUERY " + id)
			if err := <-failed; err == nil || !strings.Contains(err.Error(), "1317") {
				t.Errorf("%s was killed: %v", q, err)
			}
			c.one(t, "SELECT MAX(o.v) FROM orders o JOIN events e ON e.id >= o.id WHERE o.customer = 2", "5")
			c.exec("ROLLBACK")

			gone := s.conn()
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			if _, err := gone.ExecContext(ctx, q); err == nil {
				t.Errorf("%s has ended", q)
			}
			cancel()
			waitFor(t, "the statement of a client that has gone ends", func() bool { return !running() })
		}
		holder.exec("ROLLBACK")
		killer.one(t, joined, "60")
	})
}

// TestScratchTables: views, keys that are not unique across shards, temporary tables of the client, tables in another schema, new columns.
func TestScratchTables(t *testing.T) {
	t.Parallel()
	onScratch(t, func(t *testing.T, s *scratchStack) {
		for i, server := range s.servers {
			admin(t, server, fmt.Sprintf("INSERT INTO %s.events (id, kind, v) VALUES (5000, 'twice', %d)", s.schema, i), "CREATE DATABASE IF NOT EXISTS elsewhere")
		}
		t.Cleanup(func() { admin(t, s.servers[0], "DROP DATABASE elsewhere") })
		admin(t, s.servers[0], "CREATE VIEW "+s.schema+".v AS SELECT code, name FROM "+s.schema+".countries", "CREATE TABLE elsewhere.`sma``ll` (code CHAR(2) PRIMARY KEY, `w#` INT)", "INSERT INTO elsewhere.`sma``ll` VALUES ('de', 1), ('at', 2)")
		c := s.conn()
		c.one(t, "SELECT GROUP_CONCAT(e.v ORDER BY e.v) FROM events e JOIN countries c ON c.code = 'de' WHERE e.kind = 'twice'", "0,1")
		c.one(t, "SELECT GROUP_CONCAT(CONCAT(e.v, f.v) ORDER BY e.v, f.v) FROM events e JOIN events f ON f.id = e.id WHERE e.kind = 'twice'", "00,01,10,11")
		admin(t, s.servers[0], "CREATE VIEW "+s.schema+".sizes AS SELECT LEFT(code, 1) AS letter, COUNT(*) AS n, MAX(name) AS name, 1.50 AS price, DATE'2024-02-29' AS day FROM "+s.schema+".countries GROUP BY LEFT(code, 1)")
		c.exec("BEGIN", "UPDATE countries SET name = 'seen' WHERE code = 'at'")
		c.one(t, "SELECT v.name FROM v JOIN audit a ON a.id = 1 WHERE v.code = 'at'", "seen")
		c.one(t, "SELECT GROUP_CONCAT(CONCAT_WS('-', x.letter, x.n, y.name, y.price, y.day) ORDER BY x.letter) FROM sizes x JOIN sizes y USING (letter) JOIN events e ON e.id = 3 JOIN audit a ON a.id = 1 WHERE x.letter < 'c'", "a-1-seen-1.50-2024-02-29")
		c.exec("ROLLBACK")
		c.one(t, "SELECT GROUP_CONCAT(v.name ORDER BY v.name) FROM v JOIN events e ON e.id = 3 JOIN orders o ON o.id = e.id JOIN countries c ON c.code = v.code WHERE v.code = 'de'", "Deutschland")
		c.exec("EXPLAIN SELECT COUNT(*) FROM orders o JOIN events e ON e.id = o.id", "EXPLAIN SELECT id FROM orders ORDER BY id")
		if text := c.fails(1235, "EXPLAIN SELECT COUNT(*) FROM countries JOIN audit"); !strings.Contains(text, "EXPLAIN XAPROXY") {
			t.Errorf("EXPLAIN is refused with: %s", text)
		}
		c.one(t, "SELECT SUM(s.`w#`) FROM elsewhere.`sma``ll` s JOIN audit a ON a.id = 1", "3")
		c.one(t, "SELECT SUM(`w#`) FROM elsewhere.`sma``ll` JOIN audit a ON a.id = 1 AND `sma``ll`.code <> 'x'", "3")
		c.exec("CREATE TEMPORARY TABLE wanted (id INT PRIMARY KEY, x VARCHAR(5))", "INSERT INTO wanted VALUES (1, 'one'), (3, 'three'), (9, 'nine')")
		c.one(t, "SELECT GROUP_CONCAT(x ORDER BY x) FROM wanted w JOIN orders o ON o.id = w.id JOIN events e ON e.id = w.id", "nine,one,three")
		s.conn().fails(1146, "SELECT GROUP_CONCAT(x ORDER BY x) FROM wanted w JOIN orders o ON o.id = w.id JOIN events e ON e.id = w.id")
		for _, server := range s.servers {
			admin(t, server, "ALTER TABLE "+s.schema+".events ADD COLUMN fresh INT DEFAULT 3")
		}
		c.one(t, "SELECT fresh FROM (SELECT * FROM events e JOIN audit a USING (id) WHERE id = 9) d", "3")
	})
}

// TestScratchParameters: parameters choose the shards and the rows, in the protocol and by name.
func TestScratchParameters(t *testing.T) {
	t.Parallel()
	onScratch(t, func(t *testing.T, s *scratchStack) {
		c := s.raw(t, "u")
		q := "SELECT o.id, o.note FROM orders o JOIN events e ON e.id = o.id WHERE o.customer >= ? AND e.kind = ? AND o.v < ? AND o.note IS NOT NULL ORDER BY o.id"
		_, bound := execute(t, c, q, "1", "close", "3")
		_, literal := execute(t, c, "SELECT o.id, o.note FROM orders o JOIN events e ON e.id = o.id WHERE o.customer >= 1 AND e.kind = 'close' AND o.v < 3 AND o.note IS NOT NULL ORDER BY o.id")
		if len(bound.rows) < 5 {
			t.Fatalf("%d rows, %v", len(bound.rows), bound.err)
		}
		for _, d := range compareScratch(bound, literal, true) {
			t.Error(d)
		}
		do(t, c, "PREPARE p FROM '"+strings.ReplaceAll(q, "'", "''")+"'")
		do(t, c, "SET @one = 1, @close = 'close', @three = 3")
		named := do(t, c, "EXECUTE p USING @one, @close, @three")
		for _, d := range compareScratch(named, do(t, c, "SELECT o.id, o.note FROM orders o JOIN events e ON e.id = o.id WHERE o.customer >= 1 AND e.kind = 'close' AND o.v < 3 AND o.note IS NOT NULL ORDER BY o.id"), true) {
			t.Error(d)
		}
		_, few := execute(t, c, "SELECT id, note FROM orders WHERE v >= ? ORDER BY note, id LIMIT ?, 3", "0", "5")
		_, want := execute(t, c, "SELECT id, note FROM orders WHERE v >= 0 ORDER BY note, id LIMIT 5, 3")
		for _, d := range compareScratch(few, want, true) {
			t.Error(d)
		}
		_, none := execute(t, c, "SELECT COUNT(*), MAX(c.name) FROM countries c JOIN audit a ON a.id = ? AND c.code > ?", "1", "b")
		if len(none.rows) != 1 || none.err != nil {
			t.Errorf("%d rows, %v", len(none.rows), none.err)
		}
	})
}

// TestScratchSelectLimit: sql_select_limit is one of the whole result, also of rows that would be passed on as they are or merged.
func TestScratchSelectLimit(t *testing.T) {
	t.Parallel()
	onScratch(t, func(t *testing.T, s *scratchStack) {
		c := s.conn()
		prepared, err := c.PrepareContext(t.Context(), "SELECT id FROM orders")
		if err != nil {
			t.Fatal(err)
		}
		c.exec("SET sql_select_limit = 5")
		for _, q := range []string{"SELECT id FROM orders", "SELECT id FROM orders ORDER BY id DESC", "SELECT customer FROM orders GROUP BY customer ORDER BY COUNT(*)", "SELECT DISTINCT note FROM orders WHERE note IS NOT NULL", "SELECT o.id FROM orders o JOIN events e ON e.id = o.id"} {
			if got := c.column(q); len(got) != 5 {
				t.Errorf("%s: %q", q, got)
			}
		}
		if got := c.column("SELECT id FROM orders ORDER BY id DESC"); !slices.Equal(got, []string{"59", "58", "57", "56", "55"}) {
			t.Errorf("the first rows are %q", got)
		}
		c.one(t, "SELECT COUNT(*) FROM orders", "60")
		if got := c.column("SELECT id FROM orders ORDER BY id LIMIT 7"); len(got) != 7 {
			t.Errorf("with LIMIT: %q", got)
		}
		if rows, err := prepared.QueryContext(t.Context()); err == nil {
			t.Errorf("a statement that was prepared without the limit: %v", rows)
		} else if !strings.Contains(err.Error(), "prepare") {
			t.Error(err)
		}
		c.exec("SET sql_select_limit = DEFAULT")
		if got := c.column("SELECT id FROM orders"); len(got) != 60 {
			t.Errorf("without: %d rows", len(got))
		}
	})
}

// TestScratchVariables: a SELECT over several backends assigns user variables, and knows those that another backend's connection has.
func TestScratchVariables(t *testing.T) {
	t.Parallel()
	onScratch(t, func(t *testing.T, s *scratchStack) {
		c := s.conn()
		c.exec("SELECT COUNT(*), MAX(o.note), SUM(o.amount), 5000000000 + COUNT(*) - 60, NULL INTO @n, @Note, @amount, @big, @none FROM orders o LEFT JOIN events e ON e.id = o.id")
		c.one(t, "SELECT CONCAT_WS(',', @n, @note = (SELECT MAX(note) FROM orders), @amount, @big, @none IS NULL)", "60,1,5311.770,5000000000,1")
		c.exec("SET @n = 5")
		if got := c.column("SELECT @n := @n + 1 FROM orders o JOIN events e ON e.id = o.id WHERE o.customer < 2 LIMIT 3"); !slices.Equal(got, []string{"6", "7", "8"}) {
			t.Errorf("assigned: %q", got)
		}
		c.one(t, "SELECT COUNT(*) FROM orders o JOIN events e ON e.id = o.id AND o.id < @n", "8")
		c.exec("BEGIN", "UPDATE orders SET v = 88 WHERE customer = 3")
		c.exec("SELECT MAX(o.v), COUNT(*) INTO @v, @n FROM orders o LEFT JOIN events e ON e.id = o.id")
		c.one(t, "SELECT COUNT(*) FROM orders WHERE customer = 3 AND v = @v AND @n = 60", "9")
		c.exec("ROLLBACK")
		c.one(t, "SELECT @v", "88")
		// What one backend's connection assigns is known on the others.
		c.exec("SELECT id INTO @one FROM orders WHERE customer = 1 ORDER BY id LIMIT 1", "SELECT id INTO @two FROM orders WHERE customer = 2 ORDER BY id LIMIT 1")
		c.one(t, "SELECT COUNT(*) FROM orders o JOIN events e ON e.id = o.id AND o.id IN (@one, @two)", "2")
		c.one(t, "SELECT CONCAT(id, @one, @two) FROM orders WHERE customer = 2 AND id = @two", "212")
		c.one(t, "SELECT CONCAT(id, @one, @two) FROM orders WHERE customer = 1 AND id = @one", "112")
		c.fails(1172, "SELECT o.id INTO @n FROM orders o JOIN events e ON e.id = o.id")
		c.one(t, "SELECT COUNT(*) FROM orders o LEFT JOIN events e ON e.id = o.id", "60")
		if pins := c.column("SELECT COUNT(*) FROM orders o LEFT JOIN events e ON e.id = o.id WHERE o.v = @v"); !slices.Equal(pins, []string{"0"}) {
			t.Errorf("@v: %q", pins)
		}
	})
}
