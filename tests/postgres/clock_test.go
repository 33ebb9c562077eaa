package postgres_test

import (
	"strings"
	"testing"
)

const clock1700 = "2023-11-14 22:13:20" // 1700000000

// By the time that a session has set go its functions, defaults and ON UPDATE, in transactions too, until it sets another one; those of other sessions do not.
func TestClock(t *testing.T) {
	f := newFace(t)
	if err := f.dialer.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := f.conn()
	c.exec("SET time_zone = '+00:00'")
	c.exec("CREATE TABLE t (id INT PRIMARY KEY, n INT, made DATETIME DEFAULT CURRENT_TIMESTAMP, at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6))")
	made := strings.Split(f.psql("SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'shop.t'::regclass"), "\n")
	for _, d := range made {
		if !strings.Contains(d, "xaproxy.now()") {
			t.Errorf("a default is %s", d)
		}
	}
	c.wantRows("made|CURRENT_TIMESTAMP|DEFAULT_GENERATED\nat|CURRENT_TIMESTAMP(6)|DEFAULT_GENERATED on update CURRENT_TIMESTAMP(6)",
		"SELECT COLUMN_NAME, COLUMN_DEFAULT, EXTRA FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'shop' AND COLUMN_DEFAULT IS NOT NULL ORDER BY ORDINAL_POSITION")

	all := "SELECT NOW(), NOW(3), CURRENT_TIMESTAMP, CURDATE(), CURTIME(), UTC_TIMESTAMP(6), UTC_DATE(), UNIX_TIMESTAMP(), SYSDATE() > '2026-01-01'"
	fixed := clock1700 + "|" + clock1700 + ".250|" + clock1700 + "|2023-11-14|22:13:20|" + clock1700 + ".250000|2023-11-14|1700000000|1"
	for _, set := range []string{"1700000000.25", "1700000000.25e0", "'1700000000.25'", "(1600000000 + 100000000.25)"} {
		c.exec("SET timestamp = " + set)
		c.wantRows(fixed, all)
	}
	c.wantRows("1700000000.25", "SELECT @@timestamp")
	c.exec("SET @then = NOW()")
	c.exec("INSERT INTO t (id, n) VALUES (1, 1), (2, 2)")
	c.exec("INSERT INTO t (id, n) SELECT id + 2, n FROM t")
	c.exec("INSERT INTO t VALUES (5, 5, DEFAULT, DEFAULT)")
	c.wantRows("5|"+clock1700+"|"+clock1700+".250000|"+clock1700, "SELECT COUNT(*), MIN(made), MAX(at), @then FROM t WHERE made = '"+clock1700+"' AND at = '"+clock1700+".25' AND made = NOW()")

	// A statement that fails, savepoints, and the end of the transaction leave it; so does a time that goes by again within.
	c.exec("BEGIN")
	c.fails(1062, "INSERT INTO t (id) VALUES (1)")
	c.wantRows(fixed, all)
	c.exec("SAVEPOINT a")
	c.exec("SET timestamp = DEFAULT")
	c.exec("INSERT INTO t (id) VALUES (6)")
	c.wantRows("1|1", "SELECT made > '2026-01-01', NOW() > '2026-01-01' FROM t WHERE id = 6")
	c.exec("ROLLBACK TO a")
	c.exec("INSERT INTO t (id) VALUES (7)")
	c.exec("SET timestamp = 1600000000")
	c.exec("INSERT INTO t (id) VALUES (8)")
	c.exec("UPDATE t SET n = 9 WHERE id = 1")
	c.exec("COMMIT")
	c.wantRows("1|0|1\n7|1|1\n8|0|1", "SELECT id, made > '2026-01-01', at = made FROM (SELECT id, made, IF(id = 1, made, at) AS at FROM t WHERE id IN (1, 8) UNION ALL SELECT id, made, DATE(made) + INTERVAL TIME_TO_SEC(TIME(made)) SECOND FROM t WHERE id = 7) AS x ORDER BY id")
	c.wantRows("1|2020-09-13 12:26:40.000000|"+clock1700+"\n8|2020-09-13 12:26:40.000000|2020-09-13 12:26:40", "SELECT id, at, made FROM t WHERE id IN (1, 8) ORDER BY id")

	other := f.conn()
	other.wantRows("1", "SELECT NOW() > '2026-01-01'")
	c.exec("SET timestamp = 0")
	c.wantRows("1", "SELECT NOW() > '2026-01-01'")
	c.exec("INSERT INTO t (id) VALUES (10)")
	c.wantRows("1", "SELECT made > '2026-01-01' FROM t WHERE id = 10")
	for _, wrong := range []string{"-1", "'x'", "32536771200", "NULL"} {
		c.fails(1231, "SET timestamp = "+wrong)
	}

	// A default that others have made goes by the server's clock.
	f.psql("CREATE TABLE n (id int PRIMARY KEY, at timestamptz DEFAULT now(), word text DEFAULT 'now()')")
	c.exec("INSERT INTO n (id) VALUES (1)")
	c.exec("SET timestamp = 1700000000")
	for _, refused := range []string{"INSERT INTO n (id) VALUES (2)", "INSERT INTO n VALUES (2, DEFAULT, 'x')", "UPDATE n SET at = DEFAULT"} {
		if said := c.fails(1235, refused); !strings.Contains(said, "column at is by PostgreSQL's clock") {
			t.Error(said)
		}
	}
	c.exec("INSERT INTO n (id, at) VALUES (2, NOW())")
	c.wantRows("1", "SELECT COUNT(*) FROM n WHERE at = FROM_UNIXTIME(1700000000)")
}

// The time that a client of the proxy has set is that on all backends.
func TestClockOfTheClient(t *testing.T) {
	p := newPair(t)
	one, err := p.db().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	c := &conn{t, one}
	for _, at := range []string{"1700000000", "1700000000.5"} {
		c.exec("SET timestamp = " + at)
		c.exec("UPDATE account SET n = UNIX_TIMESTAMP() - 1600000000 WHERE id >= 0")
		c.wantRows("100000000|100000000", "SELECT MIN(n), MAX(n) FROM account")
		c.exec("BEGIN")
		c.exec("UPDATE account SET n = UNIX_TIMESTAMP(NOW()) - 1600000001 WHERE id >= 0")
		c.exec("COMMIT")
		c.wantRows("99999999|99999999", "SELECT MIN(n), MAX(n) FROM account")
	}
	c.exec("SET timestamp = DEFAULT")
	c.exec("UPDATE account SET n = UNIX_TIMESTAMP() - 1600000000 WHERE id >= 0")
	c.wantRows("1", "SELECT MIN(n) > 100000000 FROM account")
}
