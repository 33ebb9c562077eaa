package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// What has no place in a branch, and what is wrong about XIDs, has MySQL's errors.
func TestBranchErrors(t *testing.T) {
	f := newFace(t, accounts)
	a, b := f.conn(), f.conn()
	a.exec("XA START 'g1','b',20041;" + pg + "INSERT INTO accounts VALUES (1, 1);XA END 'g1','b',20041;XA PREPARE 'g1','b',20041")
	b.exec("XA START 'g1','b',20041;" + pg + "INSERT INTO accounts VALUES (2, 2);XA END 'g1','b',20041")
	b.fails(1440, "XA PREPARE 'g1','b',20041")
	b.exec("XA COMMIT 'g1','b',20041")
	b.wantRows("1", pg+"SELECT id FROM accounts")

	b.exec("BEGIN")
	b.fails(1400, "XA START 'g2','b',20041")
	b.exec("ROLLBACK;XA START 'g2','b',20041")
	b.fails(1399, "COMMIT")
	b.fails(1399, "BEGIN")
	b.fails(1399, "XA PREPARE 'g2','b',20041")
	b.fails(1397, "XA END 'g3','b',20041")
	b.exec("XA END 'g2','b',20041")
	b.fails(1399, pg+"SELECT 1")
	b.exec("XA PREPARE 'g2','b',20041")
	b.fails(1399, "XA COMMIT 'g2','b',20041 ONE PHASE") // never of a prepared one
	b.exec("XA ROLLBACK 'g2','b',20041")
	b.fails(1398, "XA START 'g|4','b',20041")
	b.fails(1398, "XA START 'g4','b',1")

	// A temporary table keeps a transaction from being prepared; nothing of it stays.
	b.exec("XA START 'g5','b',20041;" + pg + "CREATE TEMP TABLE x (id int);XA END 'g5','b',20041")
	b.fails(1235, "XA PREPARE 'g5','b',20041")
	b.fails(1397, "XA ROLLBACK 'g5','b',20041")

	// What somebody else has prepared is listed with a format of its own, so that nobody takes it for ours.
	f.psql("BEGIN; INSERT INTO shop.accounts VALUES (9, 9); PREPARE TRANSACTION 'somebody''s'")
	b.wantRows("0|10|0|somebody's", "XA RECOVER")
	f.psql("ROLLBACK PREPARED 'somebody''s'")
}

// A statement is ended by KILL QUERY, by its time and by the time that it waits for a lock; the transaction goes on.
func TestInterrupted(t *testing.T) {
	f := newFace(t, accounts, "INSERT INTO accounts VALUES (1, 1), (2, 2)")
	a, b := f.conn(), f.conn()
	id := a.rows("SELECT CONNECTION_ID()")
	a.exec("XA START 'g1','b',20041;" + pg + "UPDATE accounts SET v = 5 WHERE id = 1")
	ended := make(chan error, 1)
	go func() {
		_, err := a.ExecContext(context.Background(), pg+"SELECT pg_sleep(60)")
		ended <- err
	}()
	for f.psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()") == "0" {
	}
	b.exec("KILL QUERY " + id)
	wants(t, <-ended, 1317, "SELECT pg_sleep(60)")
	a.exec("SET max_execution_time = 50")
	a.fails(3024, pg+"SELECT pg_sleep(60)")
	a.exec("SET max_execution_time = 0")

	b.exec("SET innodb_lock_wait_timeout = 1;BEGIN;" + pg + "UPDATE accounts SET v = 6 WHERE id = 2")
	b.fails(1205, pg+"UPDATE accounts SET v = 6 WHERE id = 1")
	b.fails(3572, pg+"SELECT * FROM accounts WHERE id = 1 FOR UPDATE NOWAIT")
	b.exec("COMMIT")
	a.exec("XA END 'g1','b',20041;XA COMMIT 'g1','b',20041 ONE PHASE")
	a.wantRows("1|5\n2|6", pg+"SELECT id, v FROM accounts ORDER BY id")
	b.fails(1094, "KILL "+fmt.Sprint(1<<31))
}

// A session that PostgreSQL ends is a lost connection in every state; what was prepared stays, and anybody can end it.
func TestLostSession(t *testing.T) {
	f := newFace(t, accounts)
	other := f.conn()
	for i, state := range []string{
		"SELECT 1",
		"BEGIN;" + pg + "INSERT INTO accounts VALUES (1, 1)",
		"XA START 'g','b',20041;" + pg + "INSERT INTO accounts VALUES (1, 1)",
		"XA START 'g','b',20041;" + pg + "INSERT INTO accounts VALUES (1, 1);XA END 'g','b',20041",
		"XA START 'g','b',20041;" + pg + "INSERT INTO accounts VALUES (1, 1);XA END 'g','b',20041;XA PREPARE 'g','b',20041",
	} {
		c := f.conn()
		id := c.rows("SELECT CONNECTION_ID()")
		c.exec(state)
		other.exec("KILL " + id)
		for other.rows("SELECT COUNT(*) FROM information_schema.processlist WHERE id = "+id+" AND user = SUBSTRING_INDEX(USER(), '@', 1)") != "0" {
		}
		for _, statement := range []string{"XA PREPARE 'g','b',20041", "XA COMMIT 'g','b',20041", "COMMIT", pg + "SELECT 1"} {
			_, err := c.ExecContext(t.Context(), statement)
			var said *mysql.MySQLError
			if err == nil || errors.As(err, &said) && (said.Number != 1397 && said.Number != 1399 && said.Number != 1400 || strings.Contains(statement, "SELECT")) {
				if statement == "COMMIT" && (i == 0 || i == 4) { // there is nothing to commit, and PostgreSQL is not asked
					continue
				}
				t.Errorf("%s after the end of the session in the state %s: %v", statement, state, err)
			}
		}
		want := ""
		if i == 4 {
			want = "20041|1|1|gb"
		}
		other.wantRows(want, "XA RECOVER")
	}
	other.exec("XA COMMIT 'g','b',20041")
	other.wantRows("1", pg+"SELECT count(*) FROM accounts")
}

// What PostgreSQL would change without a word, or cannot take, is refused.
func TestBadInput(t *testing.T) {
	f := newFace(t, accounts)
	c := f.conn()
	c.fails(1064, pg+"INSERT INTO accounts VALUES (1, 1, 'a\x00b')")
	c.fails(1366, pg+"INSERT INTO accounts VALUES (1, 1, '\xff')")
	c.fails(1059, pg+"SELECT 1 AS "+strings.Repeat("x", 64))
	c.fails(1406, pg+"INSERT INTO accounts VALUES (1, 1, '12345678901')")
	c.fails(1264, pg+"INSERT INTO accounts VALUES (2147483648, 1)")
	c.fails(1048, pg+"INSERT INTO accounts (id) VALUES (1)")
	c.fails(1366, pg+"SELECT 'x'::int")
	c.fails(1292, pg+"SELECT '0000-00-00'::date")
	c.fails(1054, pg+"SELECT nothing FROM accounts")
	c.fails(1064, pg+"SELEC 1")
	c.fails(1146, pg+"SELECT * FROM nothing")
	c.fails(1305, pg+"SELECT nothing()")
	c.fails(1050, pg+"CREATE TABLE accounts (id int)")
	c.fails(1235, pg+"COPY accounts FROM STDIN")
	c.fails(1235, pg+"COMMIT")
	c.fails(1235, pg+"SET search_path TO public")
	c.fails(1049, "USE nothing")
	c.fails(1193, "SET nothing = 1")
	c.fails(1235, "SET NAMES latin1")
	c.wantRows("0", pg+"SELECT count(*) FROM accounts")
}

// After an upgrade of ICU indexes may be in another order: the start checks say so.
func TestOlderCollations(t *testing.T) {
	f := newFace(t)
	if err := f.dialer.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func() string {
		c := config.DefaultBackend(config.Postgres)
		c.Name, c.Port, c.User, c.Password, c.Database = "p", f.server.Port, f.server.User, config.Secret(f.server.Password), f.database
		a, err := backend.NewAdmin(c)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		_, problems, err := a.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(problems)
	}
	if got := check(); strings.Contains(got, "collation") {
		t.Errorf("with the collations as they were made: %s", got)
	}
	f.psql("UPDATE pg_collation SET collversion = '0' WHERE collname IN ('utf8mb4_0900_as_ci', 'und-x-icu', 'und-ME-x-icu')")
	got := check()
	for _, want := range []string{"the collation xaproxy.utf8mb4_0900_as_ci was made with version 0 of its rules", fmt.Sprintf("run REINDEX DATABASE %q and then ALTER COLLATION pg_catalog.\"und-x-icu\" REFRESH VERSION", f.database)} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwithout %s", got, want)
		}
	}
	if n := strings.Count(got, "the collation "); n != 2 {
		t.Errorf("%d collations, want 2: %s", n, got)
	}
	f.psql("ALTER COLLATION xaproxy.utf8mb4_0900_as_ci REFRESH VERSION", `ALTER COLLATION pg_catalog."und-x-icu" REFRESH VERSION`)
	if got := check(); strings.Contains(got, "collation") {
		t.Errorf("after what it says to do: %s", got)
	}
}

// Start checks refuse a server that cannot keep the promise.
func TestStartChecks(t *testing.T) {
	s, err := servers.Start(t.Context(), servers.Options{Kind: servers.Postgres, Args: []string{"-c", "max_prepared_transactions=0", "-c", "synchronous_commit=off"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	check := func(user, password string) []string {
		c := config.DefaultBackend(config.Postgres)
		c.Name, c.Port, c.User, c.Password, c.Database = "p", s.Port, user, config.Secret(password), "postgres"
		a, err := backend.NewAdmin(c)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		facts, problems, err := a.Check(t.Context())
		if err != nil {
			return []string{err.Error()}
		}
		if !strings.Contains(facts.Identity, "/1") || !strings.HasSuffix(facts.Version, "-PostgreSQL-"+s.Version) || facts.TimeZone == "" {
			t.Errorf("facts are %+v", facts)
		}
		started, err := a.Started(t.Context())
		if age := time.Since(started); err != nil || age < 0 || age > time.Minute {
			t.Errorf("started %v ago: %v", age, err)
		}
		var texts []string
		for _, p := range problems {
			texts = append(texts, fmt.Sprint(p.Fatal, " ", p))
		}
		return texts
	}
	got := strings.Join(check(s.User, s.Password), "\n")
	for _, want := range []string{"true max_prepared_transactions is 0: the server prepares no transactions; write max_prepared_transactions = 64", "true synchronous_commit is off: a crash of the server loses transactions that it has committed"} {
		if !strings.Contains(got, want) {
			t.Errorf("the checks say\n%s\nwithout\n%s", got, want)
		}
	}
	if got := check(servers.LimitedUser, servers.LimitedPassword); len(got) != 3 || !strings.HasPrefix(got[2], "false the database lacks functions") {
		t.Errorf("a user without privileges has the problems %q, want the two of the server, and one of the database", got)
	}
	if got := check(s.User, "never-to-be-shown"); len(got) != 1 || !strings.Contains(got[0], "password authentication failed") || strings.Contains(got[0], "never") {
		t.Errorf("wrong password: %q", got)
	}
}
