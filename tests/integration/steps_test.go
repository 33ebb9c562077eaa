package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// many is an INSERT of more rows than go into one statement, from several backends.
const many = "INSERT INTO events (id, kind, v) SELECT 1000 + i.no * 100 + e.id, e.kind, i.customer FROM items i JOIN events e ON e.id < 40"

// failing is many with a row behind all others that is there already.
const failing = many + " UNION ALL SELECT 5, 'again', 0"

// scattering lets all users change rows on several backends.
func scattering(c *config.Config) {
	for i := range c.Users {
		c.Users[i].ScatterWrites = "where"
	}
}

// TestStepsAreOneStatement: a statement that reads first and writes in many steps is undone as a whole when it fails, and nothing
// else of the transaction; ROLLBACK undoes it as any other.
func TestStepsAreOneStatement(t *testing.T) {
	t.Parallel()
	onScratch(t, func(t *testing.T, s *scratchStack) {
		c := s.conn()
		events, orders := "SELECT CONCAT(COUNT(*), ' ', SUM(id)) FROM events", "SELECT CONCAT(COUNT(*), ' ', SUM(v), ' ', COUNT(note)) FROM orders"
		had := append(c.column(events), c.column(orders)...)
		for _, fails := range []string{
			failing,
			"REPLACE INTO events (id, kind) SELECT id, NULL FROM orders",
			"UPDATE orders SET note = 'same' WHERE customer > 1 ORDER BY customer, id LIMIT 40",
			"UPDATE orders SET v = v + 1, note = (SELECT MAX(kind) FROM events) WHERE id < 50",
		} {
			c.exec("BEGIN", "UPDATE orders SET v = v + 100 WHERE customer = 1")
			changed := append(c.column(events), c.column(orders)...)
			if _, err := c.ExecContext(context.Background(), fails); err == nil {
				t.Fatalf("%s has not failed", fails)
			}
			if got := append(c.column(events), c.column(orders)...); !slices.Equal(got, changed) {
				t.Errorf("after %s in a transaction there are %q, want %q", fails, got, changed)
			}
			c.exec("ROLLBACK")
			if _, err := c.ExecContext(context.Background(), fails); err == nil {
				t.Fatalf("%s has not failed", fails)
			}
			if got := append(c.column(events), c.column(orders)...); !slices.Equal(got, had) {
				t.Errorf("after %s there are %q, want %q", fails, got, had)
			}
		}
		c.exec("BEGIN")
		if n, err := c.exec(many).RowsAffected(); n != 3600 || err != nil {
			t.Errorf("%d rows were inserted, %v", n, err)
		}
		c.one(t, "SELECT COUNT(*) FROM events", "3640")
		c.exec("SAVEPOINT a", "DELETE FROM events WHERE v IN (SELECT MAX(customer) FROM items)", "UPDATE events SET v = 5 ORDER BY id LIMIT 1200", "ROLLBACK TO a")
		c.one(t, "SELECT COUNT(*) FROM events WHERE id >= 1000 AND v = 6", "480")
		c.exec("ROLLBACK")
		if got := append(c.column(events), c.column(orders)...); !slices.Equal(got, had) {
			t.Errorf("after ROLLBACK there are %q, want %q", got, had)
		}
		c.exec("SET autocommit = 0", many, "ROLLBACK", many, "COMMIT", "SET autocommit = 1")
		s.conn().one(t, "SELECT COUNT(*) FROM events", "3640")
		c.exec("START TRANSACTION READ ONLY")
		c.fails(1792, "DELETE FROM orders ORDER BY id LIMIT 1")
		c.fails(1792, "INSERT INTO audit (who) SELECT kind FROM events WHERE id = -5")
		c.exec("COMMIT")
	}, scattering)
}

// TestStepsBudgets: what is read before it is written is bounded; the statement fails, and the transaction lives.
func TestStepsBudgets(t *testing.T) {
	t.Parallel()
	onScratch(t, func(t *testing.T, s *scratchStack) {
		for user, setting := range map[string]string{"few": "max_scratch_rows = 50", "small": "max_scratch_bytes = 2000"} {
			c := s.connAs(user)
			for _, q := range []string{
				"INSERT INTO events (id, kind, text_) SELECT id + 100, 'x', REPEAT('y', 100) FROM orders",
				"UPDATE orders SET v = 6, note = (SELECT CONCAT(REPEAT('z', 40), MAX(id)) FROM events) WHERE id > 0 ORDER BY id LIMIT 1000",
				"DELETE i FROM items i JOIN events e WHERE e.id < 4",
			} {
				c.exec("BEGIN", "UPDATE orders SET v = v + 1 WHERE customer = 1")
				if text := c.fails(1104, q); !strings.Contains(text, setting) {
					t.Errorf("%s: the error does not say %s: %s", q, setting, text)
				}
				c.one(t, "SELECT COUNT(*) FROM orders WHERE customer = 1", "9")
				c.exec("ROLLBACK")
			}
			c.exec("DELETE FROM items WHERE customer = 1 OR customer = 2 LIMIT 2")
		}
		s.conn().one(t, "SELECT COUNT(*) FROM items", "86")
	}, scattering)
}

// TestStepsPrepared: values that are bound count, whichever way the statement is prepared.
func TestStepsPrepared(t *testing.T) {
	t.Parallel()
	onScratch(t, func(t *testing.T, s *scratchStack) {
		c := s.binary()
		run := func(want int64, q string, args ...any) {
			t.Helper()
			r, err := c.ExecContext(context.Background(), q, args...)
			if err != nil {
				t.Fatalf("%s: %v", q, err)
			}
			if n, err := r.RowsAffected(); n != want || err != nil {
				t.Errorf("%s: %d rows, want %d; %v", q, n, want, err)
			}
		}
		run(3, "UPDATE orders SET v = ?, note = ? WHERE v >= ? ORDER BY id LIMIT ?", 50, nil, 0, 3)
		c.one(t, "SELECT COUNT(*) FROM orders WHERE v = 50 AND note IS NULL", "3")
		run(2, "INSERT INTO events (id, kind, b) SELECT id + ?, ?, ? FROM orders WHERE v = ? ORDER BY id LIMIT ?", 500, "it's \\ ü", []byte{0, 39, 92, 255}, 50, 2)
		c.one(t, `SELECT COUNT(*) FROM events WHERE kind = 'it''s \\ ü' AND b = x'00275cff'`, "2")
		run(1, "DELETE FROM events WHERE kind = ? LIMIT ?", "it's \\ ü", 1)
		run(1, "INSERT INTO audit (id, who) SELECT ?, MAX(kind) FROM events WHERE id > ?", 77, 0)
		c.exec("SET @v = 50, @n = 2", "PREPARE p FROM 'UPDATE orders SET v = ? + 1 WHERE v = ? ORDER BY id LIMIT 2'", "EXECUTE p USING @v, @v", "DEALLOCATE PREPARE p")
		c.one(t, "SELECT COUNT(*) FROM orders WHERE v = 51", "2")
		c.exec("UPDATE orders SET v = @v + @n WHERE v = 51 ORDER BY id LIMIT 1")
		c.one(t, "SELECT COUNT(*) FROM orders WHERE v = 52", "1")
		var said *mysql.MySQLError
		if _, err := c.ExecContext(context.Background(), "UPDATE orders SET nothing = ? ORDER BY id LIMIT 1", 1); !errors.As(err, &said) || said.Number != 1054 {
			t.Errorf("an unknown column: %v", err)
		}
	}, scattering)
}

// TestStepsQueue: of several clients that take rows of one queue each gets others, and all are taken.
func TestStepsQueue(t *testing.T) {
	t.Parallel()
	for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MariaDBBinlog}, {servers.MySQL, servers.MariaDB}} {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			s := newStack(t, kinds, scattering)
			var rows []string
			const jobs, workers = 120, 3
			for i := range jobs {
				rows = append(rows, fmt.Sprintf("(%d, 0)", i+1))
			}
			s.conn().exec("INSERT INTO accounts (id, v) VALUES " + strings.Join(rows, ", "))
			var taken [workers]int64
			var all sync.WaitGroup
			for w := range workers {
				c := s.conn()
				all.Go(func() {
					for {
						r, err := c.ExecContext(context.Background(), fmt.Sprintf("UPDATE accounts SET v = %d WHERE v = 0 ORDER BY id LIMIT 3", w+1))
						var said *mysql.MySQLError
						if errors.As(err, &said) && said.Number == 1213 {
							continue
						}
						if err != nil {
							t.Error(err)
							return
						}
						n, err := r.RowsAffected()
						if taken[w] += n; n == 0 || err != nil {
							return
						}
					}
				})
			}
			all.Wait()
			sum := int64(0)
			for w, n := range taken {
				sum += n
				s.conn().one(t, fmt.Sprintf("SELECT COUNT(*) FROM accounts WHERE v = %d", w+1), fmt.Sprint(n))
			}
			if sum != jobs {
				t.Errorf("%d of %d jobs were taken, by worker %v", sum, jobs, taken)
			}
		})
	}
}

// TestStepsRefused: what would have another effect than on one server is refused before anything is changed.
func TestStepsRefused(t *testing.T) {
	t.Parallel()
	onScratch(t, func(t *testing.T, s *scratchStack) {
		for _, server := range s.servers {
			admin(t, server, "ALTER TABLE "+s.schema+".items DROP PRIMARY KEY")
		}
		c := s.conn()
		for q, why := range map[string]string{
			"DELETE FROM items LIMIT 3": "no primary key",
			"INSERT INTO events (id, kind) SELECT o.id, 'x' FROM orders o ON DUPLICATE KEY UPDATE kind = o.note": "names a column of it",
			"INSERT INTO events (id, v, kind) SELECT id + 900, state, 'x' FROM orders WHERE id < 9":              "CAST",
			"INSERT INTO events (id, kind) SELECT id + 900, state FROM orders WHERE id IN (3, 7)":                "''",
			"UPDATE orders SET v = 1, amount = (SELECT v + MAX(id) FROM events) WHERE id > 3":                    "does not say which",
			"UPDATE orders SET v = @a := 5 WHERE id > 3 ORDER BY id LIMIT 2":                                     "",
		} {
			if text := c.fails(1235, q); !strings.Contains(text, why) {
				t.Errorf("%s: %s", q, text)
			}
		}
		c.exec("SET NAMES latin1")
		c.fails(1235, "INSERT INTO audit (who) SELECT kind FROM events")
		c.exec("SET NAMES utf8mb4", "SET sql_select_limit = 5")
		c.fails(1235, "INSERT INTO audit (who) SELECT kind FROM events")
		c.exec("SET sql_select_limit = DEFAULT", "LOCK TABLES audit WRITE")
		c.fails(1235, "INSERT INTO audit (who) SELECT kind FROM events")
		c.exec("UNLOCK TABLES")
		c.one(t, "SELECT COUNT(*) FROM audit", "5")
	}, scattering)
}

// TestReturning: rows that several backends return are those of one statement, which is done or undone as a whole.
func TestReturning(t *testing.T) {
	t.Parallel()
	s := newStack(t, []servers.Kind{servers.MariaDB, servers.MariaDBBinlog}, scattering)
	c := s.conn()
	c.returns(t, "INSERT INTO accounts (id, v, t) VALUES (4, 1, 'a'), (1, 2, 'b'), (3, 3, 'c'), (2, 4, 'd') RETURNING id", "4", "1", "3", "2")
	c.exec("BEGIN")
	c.fails(1062, "INSERT INTO accounts (id, v, t) VALUES (10, 1, 'x'), (11, 2, 'y'), (12, 3, 'x') RETURNING id")
	c.returns(t, "SELECT id FROM accounts ORDER BY id", "1", "2", "3", "4")
	c.returns(t, "REPLACE INTO accounts (id, v, t) VALUES (1, 9, 'z'), (2, 9, 'y') RETURNING CONCAT(id, t)", "1z", "2y")
	c.exec("COMMIT")
	c.fails(1062, "INSERT INTO accounts (id, v, t) VALUES (10, 1, 'x'), (11, 2, 'y'), (12, 3, 'x') RETURNING id")
	got := c.column("DELETE FROM accounts WHERE v > 2 RETURNING id")
	if slices.Sort(got); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("%q were deleted", got)
	}
	c.returns(t, "SELECT id FROM accounts", "4")
	b := s.binary()
	if _, err := b.ExecContext(context.Background(), "INSERT INTO accounts (id, v) VALUES (5 + ?, 8), (? * 10, 9)", 1, 1); err != nil {
		t.Error(err)
	}
	c.returns(t, "SELECT v FROM accounts WHERE id IN (6, 10)", "8", "9")
	var said *mysql.MySQLError
	if _, err := b.ExecContext(context.Background(), "INSERT INTO accounts (id, v) VALUES (?, 8)", nil); !errors.As(err, &said) || said.Number != 1048 {
		t.Errorf("a key that is NULL: %v", err)
	}
	if _, err := b.QueryContext(context.Background(), "INSERT INTO accounts (id, v) VALUES (5 + ?, 8), (? * 10, 9) RETURNING id", 1, 1); !errors.As(err, &said) || said.Number != 1235 {
		t.Errorf("a key that must be computed, with rows in the binary protocol: %v", err)
	}
	rows, err := b.QueryContext(context.Background(), "INSERT INTO accounts (id, v) VALUES (?, ?), (?, 7), (?, 8) RETURNING id, v", 20, 5, 21, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var id, v int
		if err := rows.Scan(&id, &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(id, " ", v))
	}
	if err := rows.Err(); err != nil || !slices.Equal(all, []string{"20 5", "21 7", "7 8"}) {
		t.Errorf("%q were returned, %v", all, err)
	}
}

// returns checks the first column of a result.
func (c *conn) returns(t *testing.T, q string, want ...string) {
	t.Helper()
	if got := c.column(q); !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", q, got, want)
	}
}
