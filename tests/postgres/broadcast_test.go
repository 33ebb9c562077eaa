package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// copied has the broadcast tables ref and rate on several backends, of which PostgreSQL is the first of the configuration, and sharded on all of them.
type copied struct {
	t      *testing.T
	schema string
	proxy  *proxytest.Proxy
	copies []*conn // the backends themselves
	faces  []*face
	killed atomic.Bool
}

func newCopied(t *testing.T, kinds ...servers.Kind) *copied {
	b := &copied{t: t, schema: servertest.Database(t, servertest.Get(t, servers.MariaDB))}
	o := proxytest.Options{}
	tables := []config.Table{{Schema: b.schema, Name: "ref", Broadcast: true}, {Schema: b.schema, Name: "rate", Broadcast: true}, {Schema: b.schema, Name: "sharded", Column: "id", Function: "modulo"}}
	for i, kind := range kinds {
		name := fmt.Sprint("b", i)
		for j := range tables {
			tables[j].Backends = append(tables[j].Backends, name)
		}
		if kind == servers.Postgres {
			f := newFace(t)
			f.psql("ALTER SCHEMA shop RENAME TO " + b.schema)
			if err := f.dialer.SetUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			backend := proxytest.On(name, f.server)
			backend.Lines = []string{fmt.Sprintf("database = %q", f.database)}
			o.Backends = append(o.Backends, backend)
			b.faces = append(b.faces, f)
			c := f.conn(func(c *mysql.Config) { c.DBName = b.schema })
			c.exec("SET time_zone = '+00:00'")
			b.copies = append(b.copies, c)
			continue
		}
		s := servertest.Get(t, kind)
		o.Backends = append(o.Backends, proxytest.On(name, s))
		db, err := s.DB()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		one, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c := &conn{t, one}
		c.exec("CREATE DATABASE IF NOT EXISTS " + b.schema)
		if kind != servers.MariaDB {
			t.Cleanup(func() { _, _ = one.ExecContext(context.Background(), "DROP DATABASE IF EXISTS "+b.schema) })
		}
		c.exec("USE " + b.schema)
		c.exec("SET time_zone = '+00:00'")
		b.copies = append(b.copies, c)
	}
	o.Schemas, o.Tables = []config.Schema{{Name: b.schema, Backend: "b0"}}, tables
	b.proxy = proxytest.Run(t, o)
	c := b.conn()
	collate := "utf8mb4_0900_ai_ci"
	for _, k := range kinds {
		if k == servers.MariaDB {
			collate = "utf8mb4_nopad_bin"
		}
	}
	for _, name := range []string{"ref", "rate"} {
		c.exec("CREATE TABLE " + name + " (id INT PRIMARY KEY AUTO_INCREMENT, code VARCHAR(20) NOT NULL UNIQUE, v INT NOT NULL DEFAULT 0, " +
			"d DECIMAL(10,3), f DOUBLE, e ENUM('red','green') DEFAULT 'red', day DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), " +
			"second_ DATETIME, tenth TIME(1), changed TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)) COLLATE " + collate)
		c.wantRows("", "SHOW WARNINGS")
	}
	c.exec("CREATE TABLE sharded (id INT PRIMARY KEY, v INT)")
	return b
}

func (b *copied) conn() *conn {
	b.t.Helper()
	db := b.proxy.DB(b.t, b.schema)
	c, err := db.Conn(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	return &conn{b.t, c}
}

// same checks that all copies have the same rows, and returns those of ref.
func (b *copied) same() (ref string) {
	b.t.Helper()
	for _, name := range []string{"rate", "ref"} {
		for i, c := range b.copies {
			got := c.rows("SELECT id, code, v, d, f, e, day, second_, tenth, UNIX_TIMESTAMP(changed) FROM " + name + " ORDER BY id")
			if i == 0 {
				ref = got
			} else if got != ref {
				b.t.Fatalf("%s is on backend 0\n%s\nand on backend %d\n%s", name, ref, i, got)
			}
		}
	}
	return ref
}

var copiedKinds = [][]servers.Kind{{servers.Postgres, servers.MySQL}, {servers.MariaDB, servers.Postgres}, {servers.Postgres, servers.Postgres}}

// What is written to a broadcast table is the same on MySQL and on PostgreSQL, also where servers would choose values of their own.
func TestBroadcast(t *testing.T) {
	for _, kinds := range copiedKinds {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			b := newCopied(t, kinds...)
			c := b.conn()
			affected := func(want int64, q string, args ...any) {
				t.Helper()
				if n, err := c.exec(q, args...).RowsAffected(); err != nil || n != want {
					t.Errorf("%s: %d rows, %v; want %d", q, n, err, want)
				}
				b.same()
			}
			// The counters are not in step.
			for i, f := range b.faces {
				f.psql(fmt.Sprintf("SELECT setval('%s.\"ref_id_seq\"', %d)", b.schema, 1000+i))
			}
			id, err := c.exec("INSERT INTO ref (code) VALUES ('a')").LastInsertId()
			if err != nil || c.rows("SELECT LAST_INSERT_ID()") != fmt.Sprint(id) {
				t.Errorf("the first id is %d, %v", id, err)
			}
			affected(3, "INSERT INTO ref (code, v) VALUES ('b', 1), ('c', 2), ('d', 3)")
			affected(1, "INSERT INTO ref (id, code) VALUES (7777, 'e')")
			affected(0, "INSERT INTO ref (code, v) VALUES ('a', 9) ON DUPLICATE KEY UPDATE v = v")
			affected(2, "INSERT INTO ref (code, v) VALUES ('a', 9) ON DUPLICATE KEY UPDATE v = VALUES(v)")
			affected(1, "INSERT INTO ref (code, v) VALUES ('a2', 9) ON DUPLICATE KEY UPDATE v = VALUES(v)")
			affected(1, "INSERT IGNORE INTO ref (code) VALUES ('i')")
			affected(2, "REPLACE INTO ref (code) VALUES ('i')")
			affected(1, "REPLACE INTO ref (code) VALUES ('j')")
			affected(2, "UPDATE ref SET v = v + 1, day = NOW(6) WHERE code IN ('a', 'b')")
			affected(0, "UPDATE ref SET v = v WHERE code IN ('a', 'b')")
			affected(1, "DELETE FROM ref WHERE code = 'c'")
			affected(3, "INSERT INTO rate (id, code, v) SELECT id, code, v FROM ref WHERE code < 'b0'")
			c.exec("SET timestamp = 1000000000.5")
			affected(1, "INSERT INTO rate (code) VALUES ('old')")
			c.wantRows("1000000000.500000", "SELECT UNIX_TIMESTAMP(changed) FROM rate WHERE code = 'old'")
			c.exec("SET timestamp = DEFAULT")
			c.fails(1062, "INSERT INTO ref (code) VALUES ('z'), ('a')")
			c.fails(1062, "UPDATE ref SET code = 'a' WHERE code = 'b'")
			b.same()

			c.exec("BEGIN")
			c.exec("INSERT INTO sharded VALUES (1, 1), (2, 2)")
			affectedIn, err := c.exec("UPDATE ref SET v = 50 WHERE id > 0").RowsAffected()
			if err != nil || affectedIn == 0 {
				t.Errorf("%d rows, %v", affectedIn, err)
			}
			c.wantRows("50", "SELECT DISTINCT v FROM ref")
			c.fails(1062, "INSERT INTO ref (code) VALUES ('n'), ('a')")
			c.exec("INSERT INTO ref (code) VALUES ('k')")
			c.exec("SAVEPOINT p")
			c.exec("DELETE FROM ref WHERE id > 0")
			c.exec("ROLLBACK TO p")
			c.exec("COMMIT")
			if ref := b.same(); !strings.Contains(ref, "|k|") || strings.Contains(ref, "|n|") {
				t.Error(ref)
			}
			c.exec("BEGIN")
			c.exec("DELETE FROM ref WHERE id > 0")
			c.exec("ROLLBACK")
			if b.same() == "" {
				t.Error("a rollback lost the rows")
			}
			for _, id := range []int{1, 2} {
				c.wantRows("1", "SELECT COUNT(*) FROM sharded s JOIN ref r ON r.code = 'a' WHERE s.id = ?", id)
			}
			c.wantRows("2", "SELECT COUNT(*) FROM sharded s JOIN ref r ON r.code = 'a'")

			c.exec("ALTER TABLE ref ADD made DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)")
			const made = "SELECT DISTINCT r.made FROM sharded s JOIN ref r ON r.id > 0 WHERE s.id = "
			c.wantRows(c.rows(made+"1"), made+"2")

			insert, err := c.PrepareContext(t.Context(), "INSERT INTO ref (code, v, d, f, day) VALUES (?, ?, ?, ?, NOW(6))")
			if err != nil {
				t.Fatal(err)
			}
			defer insert.Close()
			for i := range 3 {
				if _, err := insert.Exec(fmt.Sprintf("x%d", i), i, "1.5", 0.1*float64(i)); err != nil {
					t.Fatal(err)
				}
			}
			b.same()
		})
	}
}

// What could become another row on MySQL than on PostgreSQL is refused, and changes nothing.
func TestBroadcastRefused(t *testing.T) {
	b := newCopied(t, servers.MySQL, servers.Postgres)
	c := b.conn()
	c.exec("INSERT INTO ref (code) VALUES ('a'), ('b')")
	c.exec("INSERT INTO rate (code) VALUES ('r')")
	c.exec("INSERT INTO sharded VALUES (1, 1)")
	before := b.same()
	refused := func(why, q string) {
		t.Helper()
		if said := c.fails(1235, q); !strings.Contains(said, why) {
			t.Errorf("%s\n%s\nis not because of %q", q, said, why)
		}
		if after := b.same(); after != before {
			t.Errorf("%s\nhas changed\n%s\ninto\n%s", q, before, after)
		}
	}
	for range 2 {
		refused("another moment (at position", "UPDATE ref SET v = (SELECT MAX(v) FROM rate)")
		refused("another moment (at position", "DELETE ref FROM ref JOIN rate USING (code)")
		refused("sin() may have another value on PostgreSQL (at position", "UPDATE ref SET f = SIN(v)")
		refused("unix_timestamp()", "UPDATE ref SET v = UNIX_TIMESTAMP(day) WHERE id = 1")
		refused("do not follow one another", "INSERT INTO ref (code) VALUES ('a'), ('c') ON DUPLICATE KEY UPDATE v = 9")
		refused("TRUNCATE", "TRUNCATE ref")
		c.exec("BEGIN")
	}
	c.exec("ROLLBACK")
	c.exec("SET sql_mode = ''")
	refused("STRICT_TRANS_TABLES", "UPDATE ref SET v = 3")
	c.exec("SET sql_mode = DEFAULT")
	c.exec("SET time_zone = '+01:00'")
	c.exec("UPDATE ref SET v = 3")
	before = b.same()
	for _, level := range []string{"REPEATABLE READ", "SERIALIZABLE"} {
		c.exec("SET TRANSACTION ISOLATION LEVEL " + level)
		c.exec("BEGIN")
		refused("READ COMMITTED", "UPDATE ref SET v = 4")
		c.exec("ROLLBACK")
	}

	c.exec("ALTER TABLE rate ADD j JSON")
	refused("column j of rate is of type JSON", "UPDATE rate SET v = 5")
	c.exec("ALTER TABLE rate DROP j")
	c.exec("UPDATE rate SET v = 5")
	b.faces[0].psql("ALTER TABLE " + b.schema + ".rate ALTER code TYPE varchar(20) COLLATE xaproxy.utf8mb4_0900_as_cs")
	c.exec("ALTER TABLE rate COMMENT 'looked at once more'")
	refused("collate utf8mb4_0900_as_cs", "UPDATE rate SET v = 6")

	// Others have changed a copy.
	b.faces[0].psql("DELETE FROM " + b.schema + ".ref WHERE code = 'b'")
	said := c.fails(1105, "UPDATE ref SET v = 7")
	if !strings.Contains(said, "2 rows are affected on the first and 1 on the second") {
		t.Error(said)
	}
	b.copies[0].wantRows("3|3", "SELECT MIN(v), MAX(v) FROM ref")

	c = newCopied(t, servers.Postgres, servers.Postgres).conn()
	c.exec("SET time_zone = 'Europe/Berlin'")
	if said := c.fails(1235, "UPDATE ref SET v = 3"); !strings.Contains(said, "comes twice") {
		t.Error(said)
	}
}

// What differs between copies the doctor finds.
func TestBroadcastDoctor(t *testing.T) {
	for _, kinds := range [][]servers.Kind{{servers.Postgres, servers.MySQL}, {servers.MariaDB, servers.Postgres}} {
		b := newCopied(t, kinds...)
		c := b.conn()
		c.exec("INSERT INTO ref (code, d, f, e) VALUES ('a', 1.5, 1e30, NULL), ('b', NULL, 0.1, 'green'), ('c', -0.001, 1e-7, 'red'), ('ü', 1, 2, 'red')")
		doctor := func(rows string) string {
			t.Helper()
			out, _, err := b.proxy.Command(t.Context(), "doctor", "--rows", rows)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		if out := doctor("100"); strings.Contains(out, "ref") {
			t.Error(out)
		}
		for _, broken := range []struct{ sql, rows, says string }{
			{"UPDATE ref SET f = 0.2 WHERE code = 'b'", "100", `1 are not the same on`},
			{"DELETE FROM ref WHERE code IN ('a', 'b')", "100", `2 are not the same on`},
			{"INSERT INTO ref (id, code, day, changed) SELECT 99, 'z', day, changed FROM ref WHERE code = 'c'", "100", `3 are not the same on`},
			{"UPDATE ref SET v = 0 WHERE code = 'c'", "1", ""},
		} {
			b.faces[0].psql("SET search_path TO " + b.schema + "; " + broken.sql)
			if out := doctor(broken.rows); strings.Contains(out, "not the same") != (broken.says != "") || !strings.Contains(out, broken.says) {
				t.Errorf("%s\n%s", broken.sql, out)
			}
		}
	}
}

// DDL that has failed on one copy fills the others, when it is run there later, with the same time.
func TestBroadcastResume(t *testing.T) {
	b := newCopied(t, servers.Postgres, servers.MySQL)
	c := b.conn()
	c.exec("INSERT INTO ref (code) VALUES ('a')")
	c.exec("INSERT INTO sharded VALUES (1, 1), (2, 2)")
	f := b.faces[0]
	f.psql("ALTER TABLE " + b.schema + ".ref ADD late int")
	said := c.fails(1060, "ALTER TABLE ref ADD late DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)")
	f.psql("ALTER TABLE " + b.schema + ".ref DROP late")
	b.command("ddl", "resume", said[strings.LastIndexByte(said, ' ')+1:])
	const late = "SELECT r.late FROM sharded s JOIN ref r ON r.code = 'a' WHERE s.id = "
	c.wantRows(c.rows(late+"1"), late+"2")
	c.exec("UPDATE ref SET late = late + INTERVAL 1 DAY")
	c.wantRows(c.rows(late+"1"), late+"2")
}

// command runs a subcommand of xaproxy with the proxy's configuration.
func (b *copied) command(args ...string) string {
	b.t.Helper()
	out, status, err := b.proxy.Command(b.t.Context(), args...)
	if err != nil || status != 0 {
		b.t.Fatalf("xaproxy %s: %v, status %d: %s", strings.Join(args, " "), err, status, out)
	}
	return out
}

// A change that finds a transaction prepared on PostgreSQL waits for it: it is committed already where the change was made before.
func TestBroadcastSettles(t *testing.T) {
	b := newCopied(t, servers.MySQL, servers.Postgres)
	c := b.conn()
	c.exec("INSERT INTO ref (code, v) VALUES ('a', 1), ('b', 2)")
	f := b.faces[0]
	// As a transaction that is committed on MySQL, and not yet on PostgreSQL.
	b.copies[0].exec("UPDATE ref SET v = 1, changed = changed WHERE code = 'b'")
	f.psql("BEGIN; UPDATE " + b.schema + ".ref SET v = 1 WHERE code = 'b'; PREPARE TRANSACTION 'late'")
	done := make(chan error)
	go func() {
		_, err := c.ExecContext(context.Background(), "UPDATE ref SET d = 7 WHERE v = 1")
		done <- err
	}()
	for f.psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%xaproxy.settle%' AND state = 'active' AND pid <> pg_backend_pid()") == "0" {
		select {
		case err := <-done:
			t.Fatalf("it has not waited: %v", err)
		default:
		}
	}
	f.psql("COMMIT PREPARED 'late'")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	b.same()
	c.wantRows("7.000|7.000", "SELECT MIN(d), MAX(d) FROM ref")
}

// Random changes of many clients leave all copies the same, whatever becomes of each of them.
func TestBroadcastRandom(t *testing.T) {
	for i, kinds := range copiedKinds {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			b := newCopied(t, kinds...)
			said := b.work(uint64(i), func(int) {})
			t.Logf("answers by error number: %v", said)
			if said[0] < 500 {
				t.Errorf("only %d statements have done something", said[0])
			}
			b.same()
		})
	}
}

// So does the end of the proxy amid them.
func TestBroadcastCrash(t *testing.T) {
	for i, kinds := range copiedKinds {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			b := newCopied(t, kinds...)
			for round := range 3 {
				b.killed.Store(false)
				b.work(uint64(10*i+round), func(n int) {
					if n == 50+30*round {
						b.killed.Store(true)
						if err := b.proxy.Kill(); err != nil {
							t.Error(err)
						}
					}
				})
				if err := b.proxy.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
				if out, status, err := b.proxy.Recover(t.Context()); err != nil || status != 0 {
					t.Fatalf("recover: %v, status %d: %s", err, status, out)
				}
				b.same()
			}
		})
	}
}

// work has four clients make random changes until they are done or the proxy is gone, and returns how often they were answered with which error.
// done is told of each change that was made; every second client counts the rows found.
func (b *copied) work(seed uint64, done func(n int)) map[uint16]int {
	said := map[uint16]int{}
	var mu sync.Mutex
	var clients sync.WaitGroup
	for n := range 4 {
		config, err := mysql.ParseDSN(b.proxy.DSN(b.schema))
		if err != nil {
			b.t.Fatal(err)
		}
		config.ClientFoundRows = n%2 == 1
		connector, err := mysql.NewConnector(config)
		if err != nil {
			b.t.Fatal(err)
		}
		clients.Go(func() {
			db := sql.OpenDB(connector)
			defer db.Close()
			c, err := db.Conn(context.Background())
			if err != nil && b.killed.Load() {
				return
			} else if err != nil {
				b.t.Error(err)
				return
			}
			defer c.Close()
			r := rand.New(rand.NewPCG(seed, uint64(n)))
			open := false
			for range 250 {
				q := randomChange(r)
				switch x := r.IntN(10); {
				case !open && x == 0:
					q, open = "BEGIN", true
				case open && x < 3:
					q, open = []string{"COMMIT", "ROLLBACK"}[r.IntN(2)], false
				}
				_, err := c.ExecContext(context.Background(), q)
				var e *mysql.MySQLError
				if err != nil && !errors.As(err, &e) {
					if !b.killed.Load() {
						b.t.Errorf("%s: %v", q, err)
					}
					return
				}
				mu.Lock()
				if err == nil {
					said[0]++
					done(said[0])
					mu.Unlock()
					continue
				}
				said[e.Number]++
				mu.Unlock()
				open = open && e.Number != 1213 && e.Number != 1180
				switch e.Number {
				case 1062, 1205, 1213, 1180:
				case 1235:
					if !strings.Contains(e.Message, "do not follow") {
						b.t.Errorf("%s: %v", q, err)
					}
				default:
					b.t.Errorf("%s: %v", q, err)
				}
			}
			if open {
				_, _ = c.ExecContext(context.Background(), "COMMIT") // the proxy may be gone
			}
		})
	}
	clients.Wait()
	return said
}

// randomChange is a change of few rows, so that clients meet.
func randomChange(r *rand.Rand) string {
	table := []string{"ref", "rate"}[r.IntN(2)]
	code := func() string { return fmt.Sprintf("'%s%d'", []string{"a", "B", "é", "ß"}[r.IntN(4)], r.IntN(12)) }
	number := func() string { return []string{"NULL", "0", "1.2345", "-7", "0.1 + 0.2", "1e2"}[r.IntN(6)] }
	where := func() string {
		switch r.IntN(6) {
		case 0:
			return fmt.Sprintf("id = %d", r.IntN(30))
		case 1:
			return fmt.Sprintf("v BETWEEN %d AND %d", r.IntN(5), 5+r.IntN(5))
		case 2:
			return fmt.Sprintf("d > %d OR f IS NULL", r.IntN(3))
		case 3:
			return "e = 'green' AND v < " + fmt.Sprint(r.IntN(9))
		case 4:
			return "code < " + code()
		}
		return "code = " + code()
	}
	switch r.IntN(10) {
	case 0, 1, 2:
		return fmt.Sprintf("INSERT INTO %s (code, v, d, f) VALUES (%s, %d, %s, %s)", table, code(), r.IntN(10), number(), number())
	case 3:
		return fmt.Sprintf("INSERT INTO %s (code, v, e) VALUES (%s, %d, 'green'), (%s, 2, NULL)", table, code(), r.IntN(10), code())
	case 4:
		return fmt.Sprintf("INSERT INTO %s (code, v) VALUES (%s, %d) ON DUPLICATE KEY UPDATE v = v + VALUES(v), f = %s", table, code(), r.IntN(10), number())
	case 5:
		return fmt.Sprintf("INSERT IGNORE INTO %s (code, v) VALUES (%s, 1), (%s, 2)", table, code(), code())
	case 6:
		return fmt.Sprintf("REPLACE INTO %s (code, d, day) VALUES (%s, %s, NOW(6))", table, code(), number())
	case 7:
		return fmt.Sprintf("DELETE FROM %s WHERE %s", table, where())
	case 8:
		return fmt.Sprintf("UPDATE %s SET v = v %% 7 + 1, f = f * 1.5, e = %s WHERE %s", table, []string{"'red'", "'green'", "NULL"}[r.IntN(3)], where())
	}
	return fmt.Sprintf("UPDATE %s SET code = CONCAT(code, 'x'), d = %s, day = CURRENT_TIMESTAMP(6), second_ = '2024-12-31 23:59:59.%d', tenth = '10:00:00.9%d' WHERE %s", table, number(), r.IntN(100), r.IntN(10), where())
}
