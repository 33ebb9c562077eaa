package integration

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// newBroadcastStack has the broadcast tables ref and rate beside the sharded accounts, the single one, and other on the last backend.
func newBroadcastStack(t *testing.T, kinds []servers.Kind) *stack {
	t.Helper()
	var on []*servers.Server
	for _, k := range kinds {
		on = append(on, servertest.Get(t, k))
	}
	return newBroadcastStackOn(t, on)
}

func newBroadcastStackOn(t *testing.T, on []*servers.Server, change ...func(*config.Config)) *stack {
	t.Helper()
	s := newStackOn(t, on, func(c *config.Config) {
		for _, f := range change {
			f(c)
		}
		for _, name := range []string{"ref", "rate"} {
			c.Tables = append(c.Tables, config.Table{Schema: c.Tables[0].Schema, Name: name, Broadcast: true})
		}
		c.Tables = append(c.Tables, config.Table{Schema: c.Tables[0].Schema, Name: "other", Backend: c.Backends[len(on)-1].Name})
	})
	for _, server := range s.servers {
		admin(t, server, "CREATE TABLE "+s.schema+".other (id INT PRIMARY KEY AUTO_INCREMENT, at_ DATETIME NOT NULL)")
		for _, name := range []string{"ref", "rate"} {
			admin(t, server, "CREATE TABLE "+s.schema+"."+name+" (id INT PRIMARY KEY AUTO_INCREMENT, code VARCHAR(20) NOT NULL UNIQUE, v INT NOT NULL DEFAULT 0, "+
				"day DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), changed TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6))")
		}
	}
	return s
}

// same checks that all copies of the broadcast tables are equal, to the last byte, and returns the rows of ref.
func (s *stack) same() (ref string) {
	s.t.Helper()
	for _, name := range []string{"rate", "ref"} {
		ref = s.on(0, "SELECT * FROM SCHEMA."+name+" ORDER BY id")
		for i := 1; i < len(s.servers); i++ {
			if got := s.on(i, "SELECT * FROM SCHEMA."+name+" ORDER BY id"); got != ref {
				s.t.Fatalf("%s is on server 0\n%s\nand on server %d\n%s", name, ref, i, got)
			}
		}
	}
	return ref
}

// clean checks that connections of the pool have kept nothing of a statement on copies: neither its time nor an id. next is the id
// that the table other gives its next row.
func (s *stack) clean(next int) {
	s.t.Helper()
	c := s.conn()
	c.exec("INSERT INTO other (at_) VALUES (NOW())")
	if got := c.rows("SELECT MAX(id), MAX(at_) > SYSDATE() - INTERVAL 1 MINUTE, SYSDATE() > NOW() - INTERVAL 1 MINUTE FROM other"); got != fmt.Sprintf("%d,1,1", next) {
		s.t.Errorf("a connection of the last backend has kept something: %s", got)
	}
}

var broadcastKinds = [][]servers.Kind{{servers.MariaDB, servers.MariaDBBinlog}, {servers.MySQL, servers.MariaDB}}

// TestBroadcast: whatever is written to a broadcast table is the same on all of its backends, also where servers would choose
// values of their own, and the answers are those of one server.
func TestBroadcast(t *testing.T) {
	t.Parallel()
	for _, kinds := range broadcastKinds {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			s := newBroadcastStack(t, kinds)
			c := s.conn("clientFoundRows=false")
			affected := func(want int64, q string) {
				t.Helper()
				if n, err := c.exec(q).RowsAffected(); err != nil || n != want {
					t.Errorf("%s: %d rows, %v; want %d", q, n, err, want)
				}
				s.same()
			}
			// The counters of the servers are not in step.
			admin(t, s.servers[1], "ALTER TABLE "+s.schema+".ref AUTO_INCREMENT = 1000")
			id, err := c.exec("INSERT INTO ref (code) VALUES ('a')").LastInsertId()
			if err != nil || id != 1 || c.rows("SELECT LAST_INSERT_ID()") != "1" {
				t.Errorf("the first id is %d, %v", id, err)
			}
			affected(3, "INSERT INTO ref (code, v) VALUES ('b', 1), ('c', 2), ('d', 3)")
			affected(1, "INSERT INTO ref (id, code) VALUES (77, 'e')")
			if got := c.rows("SELECT LAST_INSERT_ID()"); got != "2" {
				t.Errorf("LAST_INSERT_ID() is %s behind an id of the client's own", got)
			}
			affected(2, "INSERT INTO ref (id, code) VALUES (NULL, 'f'), (100, 'g')")
			affected(3, "INSERT INTO ref (code, v) VALUES ('a', 9), ('h', 1) ON DUPLICATE KEY UPDATE v = VALUES(v)")
			affected(1, "INSERT IGNORE INTO ref (code) VALUES ('a'), ('i')")
			affected(3, "REPLACE INTO ref (code) VALUES ('i'), ('j')")
			affected(2, "UPDATE ref SET v = v + 1, day = NOW(6) WHERE code IN ('a', 'b')")
			affected(1, "DELETE FROM ref WHERE code = 'c'")
			affected(2, "INSERT INTO rate (id, code, v) SELECT id, code, v FROM ref WHERE code < 'c'")
			affected(2, "UPDATE ref JOIN rate USING (code) SET ref.v = 40, rate.code = CONCAT(rate.code, 'x') WHERE rate.code = 'a'")
			c.exec("SET timestamp = 1000000000.5")
			affected(1, "INSERT INTO rate (code) VALUES ('old')")
			if got := c.rows("SELECT UNIX_TIMESTAMP(changed) FROM rate WHERE code = 'old'"); got != "1000000000.500000" {
				t.Errorf("the client's own timestamp became %s", got)
			}
			c.exec("SET timestamp = DEFAULT")
			if one, two := c.rows("SELECT NOW(6)"), c.rows("SELECT NOW(6)"); one == two {
				t.Errorf("the time stands still at %s", one)
			}

			if text := c.fails(1235, "INSERT INTO rate (code) SELECT CONCAT(code, 'y') FROM ref"); !strings.Contains(text, "AUTO_INCREMENT") {
				t.Error(text)
			}
			c.fails(1062, "INSERT INTO ref (code) VALUES ('z'), ('a')")
			c.fails(1062, "UPDATE ref SET code = 'a'")
			s.same()
			s.clean(1)

			c.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2)")
			affectedIn, err := c.exec("UPDATE ref SET v = 50").RowsAffected()
			if err != nil || affectedIn == 0 {
				t.Errorf("%d rows, %v", affectedIn, err)
			}
			if got := c.rows("SELECT DISTINCT v FROM ref"); got != "50" {
				t.Errorf("the transaction sees %s", got)
			}
			c.fails(1062, "INSERT INTO ref (code) VALUES ('n'), ('a')")
			c.fails(1235, "INSERT INTO rate (code) SELECT CONCAT(code, 'y') FROM ref")
			c.exec("INSERT INTO ref (code) VALUES ('k')", "SAVEPOINT p", "DELETE FROM ref", "ROLLBACK TO p", "COMMIT")
			if ref := s.same(); !strings.Contains(ref, ",k,") || strings.Contains(ref, ",n,") {
				t.Error(ref)
			}
			// MariaDB cuts fractions of a second, MySQL rounds them.
			c.exec("ALTER TABLE rate ADD second_ DATETIME, ADD tenth TIME(1)")
			for _, set := range []string{"", "SET sql_mode = 'STRICT_ALL_TABLES'"} {
				if set != "" {
					c.exec(set)
				}
				c.exec("UPDATE rate SET second_ = '2024-12-31 23:59:59.5', tenth = '10:00:00.96'", fmt.Sprintf("INSERT INTO rate (code, second_, tenth) VALUES ('fraction%d', '2024-02-29 10:00:00.7', 1.25)", len(set)))
				s.same()
			}
			c.exec("ALTER TABLE rate MODIFY day DATETIME(2) NOT NULL")
			s.same()
			if got := c.rows("SELECT @@sql_mode"); got != "STRICT_ALL_TABLES" {
				t.Errorf("sql_mode is %s", got)
			}
			c.exec("SET sql_mode = DEFAULT")

			c.exec("BEGIN")
			c.fails(1062, "INSERT INTO ref (code) VALUES ('a')") // where it has not come to the others
			c.exec("COMMIT")
			c.exec("BEGIN", "DELETE FROM ref", "ROLLBACK")
			if s.same() == "" {
				t.Error("a rollback lost the rows")
			}

			for _, q := range []string{
				"SELECT COUNT(*) FROM accounts a JOIN ref r ON r.id = a.id WHERE a.id = 1", "SELECT COUNT(*) FROM accounts a JOIN ref r ON r.id = a.id WHERE a.id = 2",
				"SELECT COUNT(*) FROM ref r LEFT JOIN accounts a ON a.id = 1 AND a.id = r.id WHERE r.code = 'a'", "SELECT COUNT(*) FROM single x RIGHT JOIN ref r ON r.id = x.id WHERE r.code = 'b'",
			} {
				if got := c.rows(q); got != "1" {
					t.Errorf("%s: %s", q, got)
				}
			}
			if got := len(c.column("SELECT a.id FROM accounts a JOIN ref r ON r.id = a.id")); got != 2 {
				t.Errorf("the join over both backends has %d rows", got)
			}
		})
	}
}

// TestBroadcastPrepared: the same by executions, in binary and by name.
func TestBroadcastPrepared(t *testing.T) {
	t.Parallel()
	s := newBroadcastStack(t, []servers.Kind{servers.MySQL, servers.MariaDB})
	c := s.conn("interpolateParams=false")
	insert, err := c.PrepareContext(context.Background(), "INSERT INTO ref (code, v, day) VALUES (?, ?, NOW(6))")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		r, err := insert.Exec(fmt.Sprintf("x%d", i), i)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := r.LastInsertId(); err != nil || id != int64(i+1) {
			t.Errorf("id %d, %v", id, err)
		}
	}
	const alter = "ALTER TABLE rate ADD one DATETIME, ADD two DATETIME, ADD three TIME"
	for _, err = c.ExecContext(t.Context(), alter); retriable(err); { // a lock of the whole server, which another test has
		_, err = c.ExecContext(t.Context(), alter)
	}
	if err != nil {
		t.Fatal(err)
	}
	rounded, err := c.PrepareContext(context.Background(), "INSERT INTO rate (code, one, two, three) VALUES (?, '2024-01-01 10:00:00.6', ?, CAST(? AS TIME(2)))")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if _, err := rounded.Exec(i, "2024-01-01 10:00:00.7", "10:00:00.555"); err != nil {
			t.Fatal(err)
		}
	}
	c.exec("PREPARE p FROM 'UPDATE ref SET v = v + ? WHERE v >= ?'", "SET @a = 10, @b = 3", "EXECUTE p USING @a, @b")
	s.same()
	if got := c.rows("SELECT v FROM ref ORDER BY id"); got != "0 1 2 13 14" {
		t.Error(got)
	}
	read, err := c.PrepareContext(context.Background(), "SELECT v FROM ref WHERE code = ?")
	if err != nil {
		t.Fatal(err)
	}
	var v int
	if err := read.QueryRow("x4").Scan(&v); err != nil || v != 14 {
		t.Errorf("read %d, %v", v, err)
	}
}

// TestBroadcastDiffers: a statement that does not do the same everywhere is undone, and says so.
func TestBroadcastDiffers(t *testing.T) {
	t.Parallel()
	s := newBroadcastStack(t, []servers.Kind{servers.MariaDB, servers.MySQL})
	c := s.conn()
	c.exec("INSERT INTO ref (code) VALUES ('a'), ('b')")
	admin(t, s.servers[1], "DELETE FROM "+s.schema+".ref WHERE code = 'b'")
	before := s.on(0, "SELECT * FROM SCHEMA.ref")
	for _, begin := range []string{"DO 0", "BEGIN"} {
		c.exec(begin)
		if text := c.fails(1105, "UPDATE ref SET v = 7"); !strings.Contains(text, "2 rows are affected on the first and 1 on the second") {
			t.Error(text)
		}
	}
	c.exec("UPDATE ref SET v = 8 WHERE code = 'a'", "COMMIT")
	for i := range s.servers {
		if got := s.on(i, "SELECT v FROM SCHEMA.ref WHERE code = 'a'"); got != "8" {
			t.Errorf("server %d: v = %s", i, got)
		}
	}
	if after := s.on(0, "SELECT * FROM SCHEMA.ref WHERE code = 'b'"); !strings.Contains(before, after) {
		t.Errorf("%s was %s", after, before)
	}
	// On the second server the row is there already: it gets no id.
	admin(t, s.servers[1], "INSERT INTO "+s.schema+".ref (id, code) VALUES (90, 'c')")
	c.fails(1180, "INSERT INTO ref (code) VALUES ('c')")
	c.fails(1180, "INSERT INTO ref (code) VALUES ('c') ON DUPLICATE KEY UPDATE v = v + 1")
	if got := s.on(0, "SELECT COUNT(*) FROM SCHEMA.ref WHERE code = 'c'"); got != "0" {
		t.Errorf("%s rows on the first server", got)
	}
	s.clean(1)
}

// TestBroadcastConcurrent: clients that change the same rows at the same time neither make the copies differ
// nor wait for each other across backends.
func TestBroadcastConcurrent(t *testing.T) {
	t.Parallel()
	s := newBroadcastStack(t, []servers.Kind{servers.MariaDB, servers.MySQL})
	c := s.conn()
	c.exec("INSERT INTO ref (code) VALUES ('a'), ('b')")
	db := s.db()
	db.SetMaxOpenConns(8)
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 20 {
				for _, q := range []string{
					fmt.Sprintf("INSERT INTO ref (code, v) VALUES ('%d-%d', %[1]d), ('%[1]d-%[2]d+', 0)", w, i),
					"UPDATE ref SET v = v + 1, changed = NOW(6) WHERE code = '" + string("ab"[i%2]) + "'",
				} {
					if _, err := db.Exec(q); err != nil {
						t.Errorf("%s: %v", q, err)
					}
				}
			}
		})
	}
	all.Wait()
	s.same()
	if got := c.rows("SELECT COUNT(*) FROM ref"); got != "322" {
		t.Errorf("%s rows", got)
	}
	if got := c.rows("SELECT v FROM ref WHERE code IN ('a', 'b')"); got != "80 80" {
		t.Errorf("the counters are %s", got)
	}
}

// TestBroadcastUpsert: an INSERT that changes a row in place of inserting one changes the same row everywhere, though the AUTO_INCREMENT value
// that it takes for nothing is, on the second backend, that of a row which is just being inserted.
func TestBroadcastUpsert(t *testing.T) {
	t.Parallel()
	for _, kinds := range broadcastKinds {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			s := newBroadcastStack(t, kinds)
			for _, server := range s.servers {
				admin(t, server, "ALTER TABLE "+s.schema+".ref AUTO_INCREMENT = 10")
			}
			s.conn().exec("INSERT INTO ref (code) VALUES ('a'), ('b')")
			// The new row waits on the second backend, behind its primary key.
			hold, err := pool(t, s.servers[1]).Begin()
			check(t, err)
			defer func() { _ = hold.Rollback() }() // for a test that has failed
			_, err = hold.Exec("INSERT INTO " + s.schema + ".ref (id, code) VALUES (1, 'new')")
			check(t, err)
			waiting := func(n int) {
				t.Helper()
				waitFor(t, fmt.Sprint(n, " statements wait"), func() bool {
					const q = "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = 'SCHEMA' AND (INFO LIKE 'INSERT%' OR INFO LIKE 'SELECT GET_LOCK%')"
					return len(strings.Fields(s.on(0, q)+" "+s.on(1, q))) == n
				})
			}
			var all sync.WaitGroup
			run := func(q string) {
				c := s.conn()
				all.Go(func() {
					if _, err := c.ExecContext(context.Background(), q); err != nil {
						t.Errorf("%s: %v", q, err)
					}
				})
			}
			run("INSERT INTO ref (code) VALUES ('new')")
			waiting(1)
			run("INSERT INTO ref (code) VALUES ('a'), ('b') ON DUPLICATE KEY UPDATE v = v + 1")
			waiting(2)
			check(t, hold.Rollback())
			all.Wait()
			s.same()
			if got := s.conn().rows("SELECT code, v FROM ref ORDER BY code"); got != "a,1 b,1 new,0" {
				t.Error(got)
			}
		})
	}
}

// TestBroadcastOutage: while a backend is down, writes fail as a whole and reads go elsewhere.
func TestBroadcastOutage(t *testing.T) {
	t.Parallel()
	server := ownServer(t, servers.MariaDB)
	s := newBroadcastStackOn(t, []*servers.Server{server, servertest.Get(t, servers.MySQL)})
	c := s.conn()
	c.exec("INSERT INTO ref (code) VALUES ('a')")
	check(t, server.Kill())
	waitFor(t, "its connections are gone", func() bool {
		_, err := c.ExecContext(context.Background(), "SELECT * FROM single")
		return err != nil && strings.Contains(err.Error(), "1429")
	})
	read, err := s.conn("interpolateParams=false").PrepareContext(context.Background(), "SELECT code FROM ref WHERE id = ?")
	if err != nil {
		t.Fatal(err)
	}
	var code string
	if err := read.QueryRow(1).Scan(&code); err != nil || code != "a" {
		t.Errorf("an execution reads %s, %v", code, err)
	}
	c.exec("BEGIN")
	if got := c.rows("SELECT code FROM ref"); got != "a" {
		t.Errorf("a transaction reads %s", got)
	}
	c.exec("COMMIT")
	c.fails(1429, "UPDATE ref SET v = 1")
	check(t, server.Restart(t.Context()))
	if ref := s.same(); !strings.HasPrefix(ref, "1,a,0,") {
		t.Error(ref)
	}
	c.exec("UPDATE ref SET v = 2")
	if ref := s.same(); !strings.HasPrefix(ref, "1,a,2,") {
		t.Error(ref)
	}
}

// TestBroadcastSettings: servers whose settings would make copies differ are not written, unless the session has its own.
func TestBroadcastSettings(t *testing.T) {
	t.Parallel()
	there := ownServer(t, servers.MariaDB, "--default-time-zone=+03:00", "--sql-mode=STRICT_TRANS_TABLES,ANSI_QUOTES,NO_ZERO_DATE")
	s := newBroadcastStackOn(t, []*servers.Server{servertest.Get(t, servers.MySQL), there})
	c := s.conn()
	for _, setting := range []string{"sql_mode = 'STRICT_ALL_TABLES'", "time_zone = 'SYSTEM'"} {
		name, _, _ := strings.Cut(setting, " ")
		if text := c.fails(1235, "INSERT INTO ref (code) VALUES ('a')"); !strings.Contains(text, "another "+name) {
			t.Error(text)
		}
		c.exec("SET " + setting)
	}
	c.exec("INSERT INTO ref (code) VALUES ('a')")
}

// TestBroadcastRights: the account of a backend needs no rights beyond its schemas.
func TestBroadcastRights(t *testing.T) {
	t.Parallel()
	server := ownServer(t, servers.MySQL)
	s := newBroadcastStackOn(t, []*servers.Server{servertest.Get(t, servers.MariaDB), server})
	admin(t, server, "CREATE USER plain@'%' IDENTIFIED BY 'pw'", "GRANT SELECT, INSERT, UPDATE, DELETE ON *.* TO plain@'%'")
	dsn := fmt.Sprintf("plain:pw@tcp(127.0.0.1:%d)/%s", server.Port, s.schema)
	db, err := sql.Open("mysql", dsn)
	check(t, err)
	defer func() { check(t, db.Close()) }()
	c, err := db.Conn(context.Background())
	check(t, err)
	for _, q := range []string{"SET timestamp = 1000000000.5", "DO LAST_INSERT_ID(0)", "SET insert_id = 9", "INSERT INTO ref (code) VALUES ('a')", "SET SESSION `timestamp` = DEFAULT"} {
		if _, err := c.ExecContext(context.Background(), q); err != nil {
			t.Errorf("%s: %v", q, err)
		}
	}
}
