package integration

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
)

// binary returns a connection whose statements with parameters are prepared on the server side.
func (s *stack) binary() *conn {
	s.t.Helper()
	c, err := s.db("interpolateParams=false").Conn(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return &conn{s.t, c}
}

// TestPreparedStatements runs statements with parameters of all kinds over both backends.
func TestPreparedStatements(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		c := s.binary()
		ctx := context.Background()
		run := func(q string, args ...any) sql.Result {
			t.Helper()
			r, err := c.ExecContext(ctx, q, args...)
			if err != nil {
				t.Fatalf("%s: %v", q, err)
			}
			return r
		}
		for id := range 6 {
			run("INSERT INTO accounts (id, v, t) VALUES (?, ?, ?)", id, 100, fmt.Sprint("name ", id))
		}
		if got := s.on(0, "SELECT id FROM SCHEMA.accounts ORDER BY id") + "/" + s.on(1, "SELECT id FROM SCHEMA.accounts ORDER BY id"); got != "0 2 4/1 3 5" {
			t.Errorf("rows by backend: %s", got)
		}
		r := run("INSERT INTO accounts (id, v, t) VALUES (?, ?, ?), (?, ?, NULL), (?, 7, ?)", 6, 1, "six", 7, 2, 8, "eight")
		if n, err := r.RowsAffected(); err != nil || n != 3 {
			t.Errorf("a split INSERT affected %d rows, %v", n, err)
		}
		if got := c.rows("SELECT id, v, t FROM accounts WHERE id IN (6, 7, 8)"); got != "6,1,six 8,7,eight 7,2,NULL" {
			t.Errorf("rows of the split INSERT: %s", got)
		}

		read := func(id any) (v int, name sql.NullString) {
			t.Helper()
			if err := c.QueryRowContext(ctx, "SELECT v, t FROM accounts WHERE id = ?", id).Scan(&v, &name); err != nil {
				t.Fatal(err)
			}
			return v, name
		}
		for _, id := range []any{3, int64(3), uint64(3), "3", 3.0} {
			if v, name := read(id); v != 100 || name.String != "name 3" {
				t.Errorf("row %v: %d %v", id, v, name)
			}
		}
		tx, err := c.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		update, err := tx.Prepare("UPDATE accounts SET v = v + ? WHERE id = ?")
		if err != nil {
			t.Fatal(err)
		}
		for id, amount := range map[int]int{1: -10, 2: 10, 3: -1, 4: 1} {
			if _, err := update.Exec(amount, id); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if got := c.rows("SELECT v FROM accounts WHERE id IN (1, 2, 3, 4)"); got != "110 101 90 99" {
			t.Errorf("after COMMIT: %s", got)
		}
		if _, err := c.ExecContext(ctx, "INSERT INTO accounts (id, v) VALUES (?, ?)", 1, 1); err == nil || !strings.Contains(err.Error(), "1062") {
			t.Errorf("a duplicate key: %v", err)
		}
		if _, err := c.PrepareContext(ctx, "SELECT no_such_column FROM accounts WHERE id = ?"); err == nil || !strings.Contains(err.Error(), "1054") {
			t.Errorf("a column that does not exist: %v", err)
		}
		run("INSERT INTO single (id, v, t) VALUES (?, ?, ?)", 1, 1, strings.Repeat("x", 60000))
		var n int
		if err := c.QueryRowContext(ctx, "SELECT LENGTH(t) FROM single WHERE id = ?", 1).Scan(&n); err != nil || n != 60000 {
			t.Errorf("a long string: %d bytes, %v", n, err)
		}
		s.nothingPrepared()
	})
}

// TestTransactionControlAsPreparedStatements does what sysbench and libmysql do.
func TestTransactionControlAsPreparedStatements(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		c, other := s.binary(), s.conn()
		ctx := context.Background()
		prepared := make(map[string]*sql.Stmt)
		run := func(q string, args ...any) {
			t.Helper()
			if prepared[q] == nil {
				stmt, err := c.PrepareContext(ctx, q)
				if err != nil {
					t.Fatalf("prepare %s: %v", q, err)
				}
				prepared[q] = stmt
			}
			if _, err := prepared[q].Exec(args...); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
		}
		for id := range 3 {
			run("BEGIN")
			run("INSERT INTO accounts (id, v) VALUES (?, ?)", 2*id, id)
			run("SAVEPOINT s")
			run("INSERT INTO accounts (id, v) VALUES (?, ?)", 2*id+1, id)
			if id == 1 {
				run("ROLLBACK TO s")
			}
			if got := other.rows(fmt.Sprintf("SELECT id FROM accounts WHERE id = %d", 2*id)); got != "" {
				t.Errorf("row %s is visible before COMMIT", got)
			}
			if id == 2 {
				run("ROLLBACK")
			} else {
				run("COMMIT")
			}
		}
		if got := other.rows("SELECT id FROM accounts WHERE id IN (0, 1, 2, 3, 4, 5)"); got != "0 2 1" {
			t.Errorf("rows at the end: %s", got)
		}
		s.nothingPrepared()
	})
}

// TestPreparedOnManyConnections executes one statement while others take the connections in between, so that it is
// prepared again and again.
func TestPreparedOnManyConnections(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], func(c *config.Config) {
		for i := range c.Backends {
			c.Backends[i].PoolSize = 2
		}
	})
	c, other := s.binary(), s.conn()
	stmt, err := c.PrepareContext(context.Background(), "SELECT ? + v FROM accounts WHERE id = ?")
	if err != nil {
		t.Fatal(err)
	}
	other.exec("INSERT INTO accounts (id, v) VALUES (1, 10), (2, 20)")
	failures, killed := 0, 0
	check := func(i int, err error) {
		t.Helper()
		if err == nil {
			return
		}
		if failures++; i < 100 || failures > killed { // each killed connection may fail the one statement that meets it
			t.Fatalf("execution %d: %v", i, err)
		}
	}
	for i := range 200 {
		if i%3 == 0 {
			for _, q := range []string{fmt.Sprintf("SET time_zone = '+0%d:00'", i%5), "UPDATE accounts SET v = v + 1 WHERE id = 2"} {
				_, err := other.ExecContext(context.Background(), q)
				check(i, err)
			}
		}
		if i == 100 {
			for server := range s.servers {
				for id := range strings.FieldsSeq(s.on(server, "SELECT id FROM information_schema.processlist WHERE db = 'SCHEMA' AND user = 'app' AND command = 'Sleep'")) {
					admin(t, s.servers[server], "KILL "+id)
					killed++
				}
			}
		}
		var n float64
		err := stmt.QueryRow(i, 1).Scan(&n)
		if err == nil && int(n) != i+10 {
			t.Fatalf("execution %d: %v", i, n)
		}
		check(i, err)
	}
	if killed == 0 {
		t.Error("no connection was killed")
	}
}
