package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// onePerBackend lets all clients share one connection to each backend, so that what one leaves there the next one meets.
func onePerBackend(c *config.Config) {
	for i := range c.Backends {
		c.Backends[i].PoolSize = 1
	}
}

// TestQuestionsAboutThePast asks about earlier statements while another client uses the same connections in between.
func TestQuestionsAboutThePast(t *testing.T) {
	t.Parallel()
	forMixesWith(t, onePerBackend, func(t *testing.T, s *stack) {
		a, b := s.conn(), s.conn()
		disturb := func() {
			b.exec("INSERT INTO single (v) VALUES (1), (2)", "UPDATE accounts SET v = 0 WHERE id IN (1, 2)")
			b.rows("SELECT 1 UNION SELECT 2")
		}
		want := func(what, sql, want string) {
			t.Helper()
			for _, disturbed := range []bool{false, true} {
				if disturbed {
					disturb()
				}
				if got := a.rows(sql); got != want {
					t.Errorf("%s, disturbed %v: %s is %s, want %s", what, disturbed, sql, got, want)
				}
			}
		}
		want("nothing was inserted yet", "SELECT LAST_INSERT_ID(), @@last_insert_id, @@identity", "0,0,0")
		b.exec("INSERT INTO single (v) VALUES (1)")
		theirs := b.rows("SELECT MAX(id) FROM single")
		b.exec("DELETE FROM single")
		for _, id := range []string{theirs, "1000"} { // one that the connection knows from the other client
			a.exec("INSERT INTO single (id, v) VALUES (" + id + ", 1)")
			if got := a.rows("SELECT LAST_INSERT_ID()"); got != "0" {
				t.Errorf("after an INSERT with the id %s: LAST_INSERT_ID() is %s", id, got)
			}
		}
		want("an id of the client's own", "SELECT LAST_INSERT_ID()", "0")
		a.exec("INSERT INTO single (v) VALUES (99)")
		mine := a.rows("SELECT id FROM single WHERE v = 99")
		want("a generated id", "SELECT LAST_INSERT_ID() = (SELECT id FROM single WHERE v = 99), @@last_insert_id > 1000", "1,1")
		want("in an expression", "SELECT LAST_INSERT_ID() + 1 = "+mine+" + 1 AS next", "1")
		a.exec("INSERT INTO accounts (id, v) VALUES (10, LAST_INSERT_ID()), (11, LAST_INSERT_ID())") // on both backends
		want("used on several backends", "SELECT v FROM accounts WHERE id IN (10, 11)", mine+" "+mine)
		want("an expression", "SELECT LAST_INSERT_ID(77)", "77")
		want("after it", "SELECT LAST_INSERT_ID()", "77")
		a.exec("BEGIN", "INSERT INTO single (v) VALUES (5)", "INSERT INTO accounts (id, v) VALUES (12, 1), (13, 1)")
		if got := a.rows("SELECT LAST_INSERT_ID() > 1001"); got != "1" {
			t.Errorf("in a transaction: %s", got)
		}
		if got := a.rows("SHOW WARNINGS"); got != "" {
			t.Errorf("warnings in a transaction: %s", got)
		}
		a.exec("COMMIT")
		want("after a transaction", "SELECT LAST_INSERT_ID() > 1001", "1")

		a.exec("UPDATE accounts SET v = 7 WHERE id IN (10, 11, 12, 13)")
		if got := a.rows("SELECT ROW_COUNT()"); got != "4" {
			t.Errorf("ROW_COUNT() of a statement on both backends: %s", got)
		}
		want("after a question", "SELECT ROW_COUNT()", "-1")
		a.rows("SELECT id FROM accounts WHERE id IN (10, 11, 12)")
		if got := a.rows("SELECT FOUND_ROWS()"); got != "3" {
			t.Errorf("FOUND_ROWS() of a statement on both backends: %s", got)
		}
		a.rows("SELECT SQL_CALC_FOUND_ROWS id FROM single LIMIT 1")
		disturb()
		if got := a.rows("SELECT FOUND_ROWS() > 3"); got != "1" {
			t.Errorf("FOUND_ROWS() after SQL_CALC_FOUND_ROWS: %s", got)
		}

		a.rows("SELECT 1/0, 2/0")
		division := strings.TrimSuffix(strings.Repeat("Warning,1365,Division by 0 ", 2), " ")
		want("warnings", "SHOW WARNINGS", division)
		want("some of them", "SHOW WARNINGS LIMIT 1", "Warning,1365,Division by 0")
		want("some of them", "SHOW WARNINGS LIMIT 1, 5", "Warning,1365,Division by 0")
		want("their number", "SHOW COUNT(*) WARNINGS", "2")
		want("none is an error", "SHOW ERRORS", "")
		a.fails(1146, "SELECT * FROM no_such_table")
		want("an error", "SHOW ERRORS", fmt.Sprintf("Error,1146,Table '%s.no_such_table' doesn't exist", s.schema))
		want("its number", "SHOW COUNT(*) ERRORS", "1")
		a.exec("DO 1")
		want("none", "SHOW WARNINGS", "")
		a.exec("UPDATE accounts SET v = 3, t = CONCAT('a', id) WHERE id IN (10, 11)", "UPDATE IGNORE accounts SET t = 'a' WHERE id IN (10, 11)")
		a.exec("INSERT IGNORE INTO accounts (id, v) VALUES (10, 1), (11, 1)")
		if got := a.rows("SHOW WARNINGS"); strings.Count(got, "Duplicate entry") != 2 {
			t.Errorf("warnings of two backends: %s", got)
		}
	})
}

// TestValuesOfTheSession are those that a client compares with what it knows of itself.
func TestValuesOfTheSession(t *testing.T) {
	t.Parallel()
	forMixesWith(t, onePerBackend, func(t *testing.T, s *stack) {
		a, b := s.conn(), s.conn()
		if got := a.rows("SELECT USER(), CURRENT_USER, SESSION_USER() = CONCAT('u', '@', '127.0.0.1')"); got != "u@127.0.0.1,u@%,1" {
			t.Errorf("the user: %s", got)
		}
		id := a.rows("SELECT CONNECTION_ID()")
		if other := b.rows("SELECT CONNECTION_ID()"); other == id {
			t.Errorf("two clients have the id %s", id)
		}
		rows, err := a.QueryContext(t.Context(), "SELECT CONNECTION_ID(), USER() AS who, 1")
		if err != nil {
			t.Fatal(err)
		}
		if columns, err := rows.Columns(); err != nil || strings.Join(columns, "|") != "CONNECTION_ID()|who|1" {
			t.Errorf("columns %q (%v)", columns, err)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
		if got := a.rows("SELECT @@autocommit, @@session.autocommit"); got != "1,1" {
			t.Errorf("autocommit: %s", got)
		}
		a.exec("SET autocommit = 0")
		if got := a.rows("SELECT @@autocommit, @@session.autocommit, @@global.autocommit"); got != "0,0,1" {
			t.Errorf("after SET autocommit = 0: %s", got)
		}
		if got := b.rows("SELECT @@autocommit"); got != "1" {
			t.Errorf("autocommit of another client: %s", got)
		}
		a.exec("SET @old = @@autocommit, autocommit = 1", "SET autocommit = @old")
		if got := a.rows("SELECT @@autocommit, @old"); got != "0,0" {
			t.Errorf("autocommit from a variable: %s", got)
		}
		a.exec("SET autocommit = 1")

		stmt, err := a.PrepareContext(t.Context(), "SELECT CONNECTION_ID() = ?, ROW_COUNT()")
		if err != nil {
			t.Fatal(err)
		}
		defer stmt.Close()
		for _, n := range []int{0, 2} {
			a.exec("DO 1")
			if n > 0 {
				a.exec("INSERT INTO accounts (id, v) VALUES (1, 1), (2, 1)")
			}
			var same bool
			var count int
			if err := stmt.QueryRow(id).Scan(&same, &count); err != nil || !same || count != n {
				t.Errorf("prepared: %v, ROW_COUNT() %d (%v), want %d", same, count, err, n)
			}
		}
	})
}

// TestProcessList shows who is connected and why connections are kept, and nobody else's sessions.
func TestProcessList(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], nil)
	a, b := s.conn(), s.conn()
	a.exec("CREATE TEMPORARY TABLE scratch (n INT)")
	id := a.rows("SELECT CONNECTION_ID()")
	all := b.rows("SHOW FULL PROCESSLIST")
	if !strings.Contains(all, id+",u,127.0.0.1:") || !strings.Contains(all, ","+s.schema+",Sleep,0,pinned to b0: temporary table,NULL") {
		t.Errorf("the other session is not shown as %s, pinned: %s", id, all)
	}
	if !strings.Contains(all, "SHOW FULL PROCESSLIST") {
		t.Errorf("the session itself is not shown: %s", all)
	}
	slow := s.conn()
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := slow.ExecContext(ctx, "SELECT SLEEP(60), ?", 5)
		done <- err
	}()
	waitFor(t, "the statement of another session is shown", func() bool {
		return strings.Contains(b.rows("SHOW PROCESSLIST"), ",Query,0,on b0,SELECT SLEEP(60), ")
	})
	b.exec("KILL " + id)
	waitFor(t, "the killed session is gone", func() bool { return !strings.Contains(b.rows("SHOW PROCESSLIST"), id+",u,") })

	cancel()
	<-done
	// The proxy stops now, and does not wait for a statement whose client has gone.
	begun := time.Now()
	s.stop()
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("it took %s to stop", took)
	}
}

// TestStatementsByName prepares within SQL.
func TestStatementsByName(t *testing.T) {
	t.Parallel()
	forMixesWith(t, onePerBackend, func(t *testing.T, s *stack) {
		a, b := s.conn(), s.conn()
		a.exec(`PREPARE p FROM 'INSERT INTO accounts (id, v, t) VALUES (?, ?, ''it\\''s''), (?, 1, ?)'`,
			"SET @one = 1, @two = 2, @v = 40, @t = 'x'", "EXECUTE p USING @one, @v, @two, @t")
		if got := a.rows("SELECT ROW_COUNT()"); got != "2" {
			t.Errorf("ROW_COUNT() after EXECUTE on both backends: %s", got)
		}
		a.exec("SET @q = 'SELECT id, v + ?, t FROM accounts WHERE id IN (?, ?)'", "PREPARE q FROM @q")
		b.fails(1243, "EXECUTE q USING @two, @one, @two") // another client's
		b.fails(1243, "EXECUTE q USING @two, @one, @two") // another client's
		for range 2 {
			if got := a.rows("EXECUTE q USING @two, @one, @two"); got != "2,3,x 1,42,it's" {
				t.Errorf("rows of both backends: %s", got)
			}
			if got := a.rows("EXECUTE Q USING @one, @one, @one"); got != "1,41,it's" {
				t.Errorf("rows of one backend: %s", got)
			}
			b.exec("PREPARE q FROM 'SELECT 5'")
			if got := b.rows("EXECUTE q"); got != "5" {
				t.Errorf("the other client's statement: %s", got)
			}
		}
		a.rows("SELECT @two := 1") // only one connection knows it now
		if got := a.rows("EXECUTE q USING @two, @one, @two"); got != "1,41,it's" {
			t.Errorf("with what another connection knew: %s", got)
		}
		a.exec("SET @two = 2")
		a.fails(1210, "EXECUTE q USING @two")
		a.fails(1064, "PREPARE q FROM 'SELEC'")
		a.fails(1243, "EXECUTE q") // the old one has gone
		a.fails(1146, "PREPARE q FROM 'SELECT * FROM no_such_table'")
		a.fails(1295, "PREPARE q FROM 'PREPARE x FROM ''SELECT 1'''")
		a.fails(1065, "PREPARE q FROM ''")

		a.exec("BEGIN", "SET @three = 3, @four = 4, @u = 'y'", "PREPARE c FROM 'COMMIT'",
			`PREPARE p FROM 'INSERT INTO accounts (id, v, t) VALUES (?, ?, NULL), (?, 1, ?)'`, "EXECUTE p USING @three, @v, @four, @u")
		a.exec("EXECUTE c")
		if got := a.rows("SELECT id, v FROM accounts WHERE id IN (3, 4)"); got != "4,1 3,40" {
			t.Errorf("after COMMIT by name: %s", got)
		}
		a.exec("BEGIN", "SET @four = 8, @u = 'z', @three = 7", "EXECUTE p USING @three, @v, @four, @u", "ROLLBACK")
		if got := a.rows("SELECT id, v FROM accounts WHERE id IN (7, 8)"); got != "" {
			t.Errorf("after ROLLBACK: %s", got)
		}
		a.exec("DEALLOCATE PREPARE p")
		a.fails(1243, "EXECUTE p USING @three, @v, @four, @u")
		a.fails(1243, "DROP PREPARE p")
		s.nothingPrepared()
		if s.servers[0].Kind == servers.MySQL {
			a.fails(1064, "EXECUTE q USING 2, 1, 2")
			a.fails(1064, "EXECUTE IMMEDIATE 'SELECT 1'")
			return
		}
		a.exec("SET @v = 2")
		if got := a.rows("EXECUTE IMMEDIATE 'SELECT id, ? FROM accounts WHERE id IN (?, ?)' USING 'it\\'s', 1, @v"); got != "2,it's 1,it's" {
			t.Errorf("EXECUTE IMMEDIATE on both backends: %s", got)
		}
		a.exec("SET @insert = 'INSERT INTO accounts (id, v) VALUES (?, -1), (?, -1)'", "EXECUTE IMMEDIATE @insert USING 13, 14")
		if got := s.on(0, "SELECT id FROM SCHEMA.accounts WHERE v = -1") + " " + s.on(1, "SELECT id FROM SCHEMA.accounts WHERE v = -1"); got != "14 13" {
			t.Errorf("rows inserted by EXECUTE IMMEDIATE: %s", got)
		}
		a.fails(1210, "EXECUTE IMMEDIATE @insert USING 3")
	})
}

// TestConsistentSnapshot sees on each backend what was there at START TRANSACTION, not at the first read.
func TestConsistentSnapshot(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		c, other := s.conn(), s.conn()
		c.exec("INSERT INTO accounts (id, v) VALUES (1, 1), (2, 1)")
		for _, start := range []string{"START TRANSACTION WITH CONSISTENT SNAPSHOT", "START TRANSACTION /*!40100 WITH CONSISTENT SNAPSHOT */, READ ONLY"} {
			other.exec("UPDATE accounts SET v = 1 WHERE id IN (1, 2)")
			c.exec(start)
			other.exec("UPDATE accounts SET v = 5 WHERE id IN (1, 2)")
			if got := c.rows("SELECT v FROM accounts WHERE id IN (1, 2)"); got != "1 1" {
				t.Errorf("%s: %s", start, got)
			}
			c.exec("COMMIT")
			if got := c.rows("SELECT v FROM accounts WHERE id IN (1, 2)"); got != "5 5" {
				t.Errorf("%s: after COMMIT: %s", start, got)
			}
		}
		s.nothingPrepared()
	})
}

// TestLockTablesElsewhere locks tables on one backend after the other: the first lock ends, as on one server.
func TestLockTablesElsewhere(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], func(c *config.Config) {
		c.Schemas = append(c.Schemas, config.Schema{Name: "beside", Backend: "b1"})
		c.Tables = append(c.Tables, config.Table{Schema: c.Schemas[0].Name, Name: "there", Backend: "b1"})
	})
	a, b := s.conn(), s.conn()
	admin(t, s.servers[1], "CREATE TABLE "+s.schema+".there (n INT)")
	a.exec("LOCK TABLES single WRITE", "INSERT INTO single (v) VALUES (1)", "LOCK TABLES there WRITE", "INSERT INTO there VALUES (1)")
	b.exec("SET lock_wait_timeout = 1", "INSERT INTO single (v) VALUES (2)")
	a.exec("SET autocommit = 0", "INSERT INTO there VALUES (2)", "UNLOCK TABLES") // which commits
	a.exec("INSERT INTO there VALUES (3)", "ROLLBACK", "SET autocommit = 1")
	if got := b.rows("SELECT n FROM there"); got != "1 2" {
		t.Errorf("rows: %s", got)
	}
}

// TestDiagnosticsOfOthers asks for diagnostics when the connection of the last statement serves another client, and when there is none.
func TestDiagnosticsOfOthers(t *testing.T) {
	t.Parallel()
	forMixesWith(t, onePerBackend, func(t *testing.T, s *stack) {
		a, b := s.conn(), s.conn()
		a.fails(1054, "SELECT nope FROM single")
		b.exec("DO 1")
		a.fails(1235, "GET DIAGNOSTICS CONDITION 1 @no = MYSQL_ERRNO")
		a.fails(1054, "SELECT nope FROM single")
		a.exec("SAVEPOINT s") // which needs no connection
		a.fails(1235, "GET DIAGNOSTICS @n = NUMBER")
		a.exec("INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2)")
		a.fails(1235, "GET DIAGNOSTICS @n = ROW_COUNT")
		a.exec("UPDATE accounts SET v = 5 WHERE id = 1", "GET DIAGNOSTICS @n = ROW_COUNT")
		if got := a.rows("SELECT @n"); got != "1" {
			t.Errorf("ROW_COUNT of an UPDATE of one row: %s", got)
		}
	})
}

// TestWarningsOfOthers: what a connection says about the statement of one client is never told to another.
func TestWarningsOfOthers(t *testing.T) {
	t.Parallel()
	forMixesWith(t, onePerBackend, func(t *testing.T, s *stack) {
		a, b := s.conn(), s.conn()
		b.exec("INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2)")
		for _, theirs := range []string{
			"SELECT secret FROM single",
			"INSERT INTO accounts (id, v) VALUES (1, 1)",
			"INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2)",
			"SELECT secret FROM accounts",
			"UPDATE accounts SET v = CAST('secret' AS SIGNED)",
			"SELECT CAST('secret' AS SIGNED) FROM accounts",
			"DO CAST('secret' AS SIGNED)",
		} {
			_, _ = b.ExecContext(t.Context(), theirs)
			for _, mine := range []string{"DO 1", "SELECT 1", "COMMIT"} {
				a.exec(mine)
				if got := a.rows("SHOW WARNINGS"); got != "" {
					t.Errorf("after %s of another client, %s: SHOW WARNINGS is %s", theirs, mine, got)
				}
				_, _ = b.ExecContext(t.Context(), theirs)
			}
			c := s.conn()
			c.exec("DO 1", "GET DIAGNOSTICS @n = NUMBER")
			if got := c.rows("SELECT @n"); got != "0" {
				t.Errorf("after %s of another client there are %s conditions", theirs, got)
			}
			c.hangUp() // the variable holds the connection
		}
	})
}
