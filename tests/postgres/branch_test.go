package postgres_test

import (
	"strings"
	"testing"
)

const accounts = "CREATE TABLE accounts (id int PRIMARY KEY, v int NOT NULL CHECK (v > -1000), t varchar(10))"

// A branch goes the way from XA START to XA COMMIT, from another session also, and its name is in XA RECOVER meanwhile.
func TestBranch(t *testing.T) {
	f := newFace(t, accounts, "INSERT INTO accounts VALUES (1, 10), (2, 20)")
	a, b := f.conn(), f.conn()
	a.exec("XA START 'g1','b',20041")
	a.exec(pg + "UPDATE accounts SET v = v + 1 WHERE id = 1")
	b.wantRows("10", pg+"SELECT v FROM accounts WHERE id = 1")
	a.exec("XA END 'g1','b',20041;XA PREPARE 'g1','b',20041")
	b.wantRows("20041|2|1|g1b", "XA RECOVER")
	a.fails(1399, pg+"SELECT 1") // as MySQL's session with a prepared branch
	b.exec("XA COMMIT 'g1','b',20041")
	b.wantRows("11", pg+"SELECT v FROM accounts WHERE id = 1")
	b.fails(1397, "XA COMMIT 'g1','b',20041")
	b.fails(1397, "XA ROLLBACK 'g1','b',20041")
	a.exec("XA START 'g2','b',20041;" + pg + "UPDATE accounts SET v = 0 WHERE id = 1;XA END 'g2','b',20041")
	a.exec("XA ROLLBACK 'g2','b',20041")
	a.exec("XA START 'g3','b',20041")
	a.exec(pg + "UPDATE accounts SET v = v + 1 WHERE id = 2")
	a.exec("XA END 'g3','b',20041;XA COMMIT 'g3','b',20041 ONE PHASE")
	a.wantRows("1|11\n2|21", pg+"SELECT id, v FROM accounts ORDER BY id")
}

// A statement that fails undoes itself and nothing else, whatever its place in the transaction, also beside savepoints of the client's.
func TestFailedStatement(t *testing.T) {
	f := newFace(t, accounts)
	c := f.conn()
	c.exec("BEGIN")
	c.fails(1146, pg+"SELECT * FROM nothing")
	c.exec(pg + "INSERT INTO accounts VALUES (1, 1)")
	c.fails(1062, pg+"INSERT INTO accounts VALUES (2, 2), (1, 1)")
	c.exec("SAVEPOINT a")
	c.exec(pg + "INSERT INTO accounts VALUES (3, 3)")
	c.fails(3819, pg+"INSERT INTO accounts VALUES (4, -1000)")
	c.exec("SAVEPOINT b;SAVEPOINT A") // the second A takes the place of the first
	c.exec(pg + "INSERT INTO accounts VALUES (5, 5)")
	c.fails(1365, pg+"SELECT 1 / 0")
	c.exec("ROLLBACK TO a")
	c.wantRows("1,3", pg+"SELECT string_agg(id::text, ',' ORDER BY id) FROM accounts")
	c.exec("RELEASE SAVEPOINT a")
	c.fails(1305, "ROLLBACK TO SAVEPOINT a")
	c.exec("ROLLBACK TO SAVEPOINT b;" + pg + "INSERT INTO accounts VALUES (6, 6);COMMIT")
	c.wantRows("1,3,6", pg+"SELECT string_agg(id::text, ',' ORDER BY id) FROM accounts")
}

// What PostgreSQL checks only at the end is a vote no, and nothing stays prepared.
func TestVoteNo(t *testing.T) {
	f := newFace(t, accounts, "CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)", "INSERT INTO accounts VALUES (1, 1), (2, 2)", "INSERT INTO late VALUES (1)")
	a, b := f.conn(), f.conn()
	a.exec("XA START 'g1','b',20041;" + pg + "INSERT INTO late VALUES (1)")
	said := a.fails(1062, "XA END 'g1','b',20041;XA PREPARE 'g1','b',20041")
	if !strings.Contains(said, "Duplicate entry '1' for key 'late.late_id_key'") {
		t.Error(said)
	}
	a.fails(1397, "XA ROLLBACK 'g1','b',20041")

	for _, c := range []*conn{a, b} {
		c.exec("SET SESSION transaction_isolation = 'SERIALIZABLE'")
	}
	a.exec("XA START 'g2','b',20041;" + pg + "UPDATE accounts SET v = (SELECT v FROM accounts WHERE id = 2) WHERE id = 1")
	b.exec("XA START 'g3','b',20041;" + pg + "UPDATE accounts SET v = (SELECT v FROM accounts WHERE id = 1) WHERE id = 2")
	a.exec("XA END 'g2','b',20041;XA PREPARE 'g2','b',20041;XA COMMIT 'g2','b',20041")
	b.fails(1213, "XA END 'g3','b',20041;XA PREPARE 'g3','b',20041")
	b.wantRows("", "XA RECOVER")
	b.wantRows("1|2\n2|2", pg+"SELECT id, v FROM accounts ORDER BY id")
}

// A deadlock undoes the whole branch of one of the two, which can then only be rolled back.
func TestDeadlock(t *testing.T) {
	f := newFace(t, accounts, "INSERT INTO accounts VALUES (1, 1), (2, 2)")
	a, b := f.conn(), f.conn()
	a.exec("XA START 'g1','b',20041;" + pg + "UPDATE accounts SET v = 5 WHERE id = 1")
	b.exec("XA START 'g2','b',20041;" + pg + "UPDATE accounts SET v = 6 WHERE id = 2")
	waiting := make(chan error, 1)
	go func() {
		_, err := a.ExecContext(t.Context(), pg+"UPDATE accounts SET v = 5 WHERE id = 2")
		waiting <- err
	}()
	_, err := b.ExecContext(t.Context(), pg+"UPDATE accounts SET v = 6 WHERE id = 1")
	lost, xid := b, "'g2','b',20041"
	if other := <-waiting; err == nil {
		err, lost, xid = other, a, "'g1','b',20041"
	}
	wants(t, err, 1213, "UPDATE")
	lost.fails(1399, pg+"SELECT 1")
	lost.fails(1614, "XA END "+xid)
	lost.exec("XA ROLLBACK " + xid)
	lost.wantRows("1", pg+"SELECT 1")
}

// What a session sets within a transaction stays when that, or a statement of it, is undone.
func TestSettingsStay(t *testing.T) {
	f := newFace(t, accounts, "CREATE SCHEMA other", "CREATE TABLE other.only_there (id int)")
	c := f.conn()
	const moment = pg + "SELECT '2026-07-01 12:00:00+00'::timestamptz"
	c.exec("BEGIN;" + pg + "INSERT INTO accounts VALUES (1, 1);SET time_zone = '+05:00';USE other")
	c.fails(1365, pg+"SELECT 1 / 0")
	c.wantRows("2026-07-01 17:00:00|0", pg+"SELECT '2026-07-01 12:00:00+00'::timestamptz, (SELECT count(*) FROM only_there)")
	c.exec("SAVEPOINT a;SET time_zone = '+06:00';ROLLBACK TO a")
	c.wantRows("2026-07-01 18:00:00", moment)
	c.exec("ROLLBACK")
	c.wantRows("2026-07-01 18:00:00", moment)
	c.wantRows("0|other", pg+"SELECT count(*), current_schema() FROM only_there")
	c.fails(1298, "SET time_zone = 'nowhere'")

	// The time of a SELECT is bounded, that of everything else is not.
	c.exec("SET max_execution_time = 50;BEGIN")
	c.fails(3024, pg+"SELECT pg_sleep(10)")
	c.exec(pg + "WITH slow AS (SELECT pg_sleep(0.1)) INSERT INTO only_there SELECT 1 FROM slow")
	c.wantRows("1", pg+"SELECT count(*) FROM only_there")
	c.exec("COMMIT")
	c.fails(3024, pg+"SELECT pg_sleep(10)")
	c.exec("SET TRANSACTION READ ONLY")
	c.fails(1792, pg+"INSERT INTO only_there VALUES (2)")
	c.exec(pg + "INSERT INTO only_there VALUES (2)")
}
