package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// moving lets UPDATEs change all shard keys.
func moving(c *config.Config) {
	c.Users[0].ScatterWrites = "allow"
	for i := range c.Tables {
		if c.Tables[i].Sharded() {
			c.Tables[i].KeyChanges = config.KeyChangesMove
		}
	}
}

// TestMoveKeepsValues: a row that moves is the same on its new backend, whatever its types and the client's session are.
func TestMoveKeepsValues(t *testing.T) {
	t.Parallel()
	forMixesWith(t, func(c *config.Config) {
		c.Tables = append(c.Tables, config.Table{Schema: c.Tables[0].Schema, Name: "kinds", Column: "id", Function: "modulo", Backends: c.Tables[0].Backends})
		moving(c)
	}, func(t *testing.T, s *stack) {
		for _, server := range s.servers {
			admin(t, server, "CREATE TABLE "+s.schema+".kinds (id BIGINT PRIMARY KEY, `a``b` VARCHAR(50) CHARACTER SET utf8mb4, l VARCHAR(50) CHARACTER SET latin1, c BINARY(5), x LONGBLOB, "+
				"d DECIMAL(30,10), f FLOAT, g DOUBLE, t TIMESTAMP(6) NULL, dt DATETIME(3), da DATE, ti TIME(2), y YEAR, e ENUM('x','y''z','ü') CHARACTER SET utf8mb4, se SET('p','q','r'), b BIT(33), j JSON, u BIGINT UNSIGNED, "+
				"p POINT, v INT, w INT GENERATED ALWAYS AS (v * 2) VIRTUAL, z INT AS (v + 1) STORED, n INT NULL)")
		}
		c := s.conn()
		c.exec("INSERT INTO kinds (id, `a``b`, l, c, x, d, f, g, t, dt, da, ti, y, e, se, b, j, u, p, v) VALUES " +
			`(1, 'naïve 😀 \\ '' " %', _utf8mb4'Größe', 'ab', REPEAT(x'00ff275c', 500000), -12345678901234567890.0123456789, 0.1, -0.1, '2026-07-01 12:00:00.123456', '1000-01-01 00:00:00.001', '9999-12-31', '-838:59:59', 1999, 'ü', 'p,r', b'101010101010101010101010101010101', '{"a": [1, "\\u00fc", 1.5, null]}', 18446744073709551615, ST_GeomFromText('POINT(1 2)'), 7),` +
			`(3, '', '', '', '', 0, -0.0, 1e308, '2026-10-25 00:30:00', '2026-02-28 23:59:59.999', '2026-01-01', '00:00:00.01', 2155, 'x', '', b'0', '"s"', 0, ST_GeomFromText('POINT(-1e-5 0)'), NULL)`)
		const values = "SELECT HEX(`a``b`), HEX(l), HEX(c), CRC32(x), d, f * 1e0, g, UNIX_TIMESTAMP(t), dt, da, ti, y, e + 0, HEX(se), b + 0, JSON_EXTRACT(j, '$'), u, ST_AsText(p), v, w, z, n FROM kinds WHERE id = "
		for _, session := range [][]string{
			{"SET NAMES utf8mb4"},
			{"SET NAMES latin1", "SET time_zone = 'Europe/Berlin', sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES,NO_ZERO_DATE'", "SET sql_select_limit = 1"},
		} {
			c := s.conn()
			c.exec("SET time_zone = '+05:00'")
			if session[0] == "SET NAMES latin1" {
				session[1] = strings.Replace(session[1], "Europe/Berlin", "-11:30", 1) // a server has no names without its tables
			}
			c.exec(session...)
			settings := func() string {
				c.exec("SET sql_select_limit = DEFAULT")
				got := ""
				for id := range 2 {
					got += c.rows(fmt.Sprintf("SELECT @@time_zone, @@sql_mode, @@character_set_client, @@collation_connection, @@character_set_results, @@sql_select_limit FROM accounts WHERE id = %d UNION ALL SELECT '', '', '', '', '', 0", id))
				}
				return got
			}
			for from, to := range map[int]int{1: 2, 3: 4} {
				before := c.rows(strings.Replace(values, "`a``b`", "`a``b`", 1) + fmt.Sprint(from))
				c.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (0, 0), (1, 0)")
				set := settings()
				c.exec(session...)
				c.exec(fmt.Sprintf("UPDATE kinds SET id = %d WHERE id = %d", to, from))
				if got := settings(); got != set {
					t.Errorf("the session is\n%s\nafterwards, it was\n%s", got, set)
				}
				if got := c.rows(values + fmt.Sprint(to)); got != before || got == "" {
					t.Errorf("a row that was\n%s\nis\n%s", before, got)
				}
				if got := c.rows(values + fmt.Sprint(from)); got != "" {
					t.Errorf("the row is still there: %s", got)
				}
				c.exec("COMMIT", "DELETE FROM accounts WHERE id < 2")
				if got := s.on(0, fmt.Sprintf("SELECT COUNT(*) FROM SCHEMA.kinds WHERE id = %d", to)); got != "1" {
					t.Errorf("%s rows are on the backend", got)
				}
				c.exec(fmt.Sprintf("UPDATE kinds SET id = %d WHERE id = %d", from, to))
			}
		}
		s.nothingPrepared()
	})
}

// TestMoveOfEveryMap: each shard function has a row where its new key is, whether it moves or not.
func TestMoveOfEveryMap(t *testing.T) {
	t.Parallel()
	var cfg *config.Config
	s := newStack(t, mixes["mixed"], func(c *config.Config) {
		c.Users[0].ScatterWrites = "allow"
		mapped(c)
		moving(c)
		cfg = c
	})
	r, err := router.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := s.conn()
	for i := range cfg.Tables[1:] {
		name := cfg.Tables[i+1].Name
		for _, server := range s.servers {
			admin(t, server, fmt.Sprintf("CREATE TABLE %s.%s (id INT NOT NULL, t VARCHAR(20) NOT NULL, day DATE NOT NULL, v INT)", s.schema, name))
		}
		for i := range 24 {
			c.exec(fmt.Sprintf("INSERT INTO %s (id, t, day, v) VALUES (%d, 't%d', '2026-%02d-%02d', %d)", name, i, i%7, 1+i%12, 1+i%28, i))
		}
		column, value := "id", "id + 5"
		switch name {
		case "months", "dated":
			column, value = "day", "day + INTERVAL 1 MONTH"
		case "paired":
			column, value = "t", "CONCAT('s', id)"
		}
		places := func() {
			t.Helper()
			all := ""
			for b := range s.servers {
				for _, row := range strings.Fields(s.on(b, "SELECT id, t, day, v FROM SCHEMA."+name)) {
					v := strings.Split(row, ",")
					p, err := r.Plan(fmt.Appendf(nil, "SELECT * FROM %s WHERE id = %s AND t = '%s' AND day = '%s'", name, v[0], v[1], v[2][:10]), s.schema, 0)
					if err != nil || len(p.Parts) != 1 || p.Parts[0].Backend != b {
						t.Errorf("%s: row %s is on backend %d, %v", name, row, b, err)
					}
					all += "."
				}
			}
			if len(all) != 24 {
				t.Errorf("%s has %d rows", name, len(all))
			}
		}
		moved := s.on(0, "SELECT GROUP_CONCAT(v ORDER BY v) FROM SCHEMA."+name)
		if n, err := c.exec("UPDATE " + name + " SET " + column + " = " + value).RowsAffected(); err != nil || n != 24 {
			t.Errorf("%s: %d rows changed, %v", name, n, err)
		}
		places()
		if got := s.on(0, "SELECT GROUP_CONCAT(v ORDER BY v) FROM SCHEMA."+name); got == moved {
			t.Errorf("%s: no row has moved", name)
		}
		for v := range 24 {
			row := strings.Split(c.rows(fmt.Sprintf("SELECT id, t, day FROM %s WHERE v = %d", name, v)), ",")
			at := map[string]int{"id": 0, "t": 1, "day": 2}[column]
			same := fmt.Sprintf("UPDATE %s SET %s = '%s', v = v + 100 WHERE id = %s AND t = '%s' AND day = '%s'", name, column, row[at][:min(len(row[at]), 10)], row[0], row[1], row[2][:10])
			if n, err := c.exec(same).RowsAffected(); err != nil || n != 1 {
				t.Errorf("%s: %d rows, %v", same, n, err)
			}
		}
		places()
	}
	s.nothingPrepared()
}

// TestMoveFails: what cannot be done leaves no trace, in a transaction and without.
func TestMoveFails(t *testing.T) {
	t.Parallel()
	forMixesWith(t, func(c *config.Config) {
		schema, names := c.Tables[0].Schema, c.Tables[0].Backends
		for _, name := range []string{"bound", "parents", "children"} {
			c.Tables = append(c.Tables, config.Table{Schema: schema, Name: name, Column: "id", Function: "modulo", Backends: names})
		}
		moving(c)
		c.Users[0].MaxScratchRows = 6
		c.Users = append(c.Users, config.User{Name: "big", Password: "pw"}, config.User{Name: "reader", Password: "pw", ReadOnly: true})
	}, func(t *testing.T, s *stack) {
		for _, server := range s.servers {
			in := s.schema + "."
			admin(t, server,
				"CREATE TABLE "+in+"bound (id INT PRIMARY KEY, v INT)", "CREATE TRIGGER "+in+"bound_gone BEFORE DELETE ON "+in+"bound FOR EACH ROW SET @gone = 1",
				"CREATE TABLE "+in+"parents (id INT PRIMARY KEY, v INT UNIQUE)",
				"CREATE TABLE "+in+"children (id INT PRIMARY KEY, v INT, FOREIGN KEY (v) REFERENCES "+in+"parents (v) ON DELETE CASCADE)")
		}
		c := s.conn()
		for _, name := range []string{"accounts", "bound", "parents"} {
			c.exec("INSERT INTO " + name + " (id, v) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7)")
		}
		c.exec("INSERT INTO children (id, v) VALUES (1, 1)", "UPDATE accounts SET t = 'taken' WHERE id = 2")
		big := s.connAs("big")
		all := func() string {
			got := ""
			for _, name := range []string{"accounts", "bound", "parents", "children"} {
				for b := range s.servers {
					got += s.on(b, "SELECT * FROM SCHEMA."+name+" ORDER BY id") + "; "
				}
			}
			return got
		}
		before := all()
		for _, one := range []struct {
			q     string
			errno uint16
			said  string
		}{
			{"UPDATE accounts SET id = 2, v = 9 WHERE id = 1", 1062, "Duplicate entry '2' for key"},
			{"UPDATE accounts SET id = 8, t = 'taken' WHERE id = 1", 1062, "Duplicate entry 'taken' for key"},
			{"UPDATE accounts SET id = id + 1 WHERE id IN (1, 7)", 1062, "Duplicate entry '2' for key"},
			{"UPDATE accounts SET id = id + 100, v = NULL WHERE id IN (1, 2)", 1048, "cannot be null"},
			{"UPDATE accounts SET id = v / 0 WHERE id = 1", 1235, "is NULL"},
			{"UPDATE accounts SET id = v + 0.5 WHERE id = 1", 1235, "not in its plain decimal form"},
			{"UPDATE accounts SET id = id + 1000001 WHERE id > 0", 1104, "max_scratch_rows = 6"},
			{"UPDATE accounts SET nope = 1, id = 8 WHERE id = 1", 1054, "nope"},
			{"UPDATE bound SET id = 8 WHERE id = 1", 1235, "trigger bound_gone"},
			{"UPDATE parents SET id = 8 WHERE id = 1", 1235, "foreign key children"},
			{"UPDATE children SET id = 8 WHERE id = 1", 1235, "foreign key children"},
		} {
			for _, around := range [][2]string{{"DO 0", "DO 0"}, {"BEGIN", "COMMIT"}, {"SET autocommit = 0", "SET autocommit = 1"}} {
				c.exec(around[0])
				if got := c.fails(one.errno, one.q); !strings.Contains(got, one.said) {
					t.Errorf("%s: %s", one.q, got)
				}
				c.exec(around[1])
				if got := all(); got != before {
					t.Fatalf("%s behind %s: left is\n%s, there was\n%s", one.q, around[0], got, before)
				}
			}
		}
		s.connAs("reader").fails(1290, "UPDATE accounts SET id = 8 WHERE id = 1")
		c.exec("START TRANSACTION READ ONLY")
		c.fails(1792, "UPDATE accounts SET id = 8 WHERE id = 1")
		c.exec("COMMIT", "LOCK TABLES single WRITE")
		c.fails(1235, "UPDATE accounts SET id = 9 WHERE id = 2")
		c.exec("UNLOCK TABLES")

		c.exec("BEGIN", "UPDATE accounts SET v = 50 WHERE id IN (1, 2)", "UPDATE accounts SET id = 11 WHERE id = 4")
		c.fails(1062, "UPDATE accounts SET id = 2 WHERE id = 1")
		c.exec("SAVEPOINT a", "UPDATE accounts SET id = 12 WHERE id = 5", "ROLLBACK TO SAVEPOINT a", "COMMIT")
		if got := c.rows("SELECT id, v FROM accounts WHERE id IN (1, 2, 4, 5, 11, 12) ORDER BY id"); got != "1,50 2,50 5,5 11,4" {
			t.Errorf("after a transaction with a failed statement: %s", got)
		}
		// Not strict, a server cuts values to what the column holds: the row would not be where it is looked for.
		big.exec("SET sql_mode = ''")
		big.fails(1020, "UPDATE accounts SET id = 9999999998 WHERE id = 1")
		big.fails(1020, "UPDATE accounts SET id = id + 9999999998 WHERE id IN (1, 2)")
		if got := c.rows("SELECT id FROM accounts WHERE id IN (1, 2, 2147483647)"); got != "2 1" && got != "1 2" {
			t.Errorf("after values that do not fit: %s", got)
		}
		s.nothingPrepared()
	})
}

// TestMoveAnswers: counts, warnings and parameters are as on one server.
func TestMoveAnswers(t *testing.T) {
	t.Parallel()
	forMixesWith(t, moving, func(t *testing.T, s *stack) {
		c := s.conn()
		c.exec("INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)")
		for _, one := range []struct {
			q    string
			n    int64
			rows string
		}{
			{"UPDATE accounts SET id = 12 WHERE id = 1", 1, "2 3 4 5 6 12"},
			{"UPDATE accounts SET id = 12 WHERE id = 1", 0, "2 3 4 5 6 12"},
			{"UPDATE accounts SET id = 12 WHERE id = 12", 0, "2 3 4 5 6 12"},
			{"UPDATE accounts AS a SET a.v = a.v + 1, a.id = IF(a.id < 4, a.id, 27 - a.id) WHERE a.id < 7", 5, "2 3 12 21 22 23"},
			{"UPDATE accounts SET id = 5 - id WHERE id IN (2, 3)", 2, "2 3 12 21 22 23"},
		} {
			if n, err := c.exec(one.q).RowsAffected(); err != nil || n != one.n {
				t.Errorf("%s: %d rows, %v", one.q, n, err)
			}
			if got := c.rows("SELECT ROW_COUNT()"); got != fmt.Sprint(one.n) {
				t.Errorf("%s: ROW_COUNT() is %s", one.q, got)
			}
			if got := strings.Join(c.column("SELECT id FROM accounts ORDER BY id"), " "); got != one.rows {
				t.Errorf("%s: rows %s, want %s", one.q, got, one.rows)
			}
		}
		if got := c.rows("SELECT id, v FROM accounts WHERE id IN (2, 3) ORDER BY id"); got != "2,4 3,3" {
			t.Errorf("two rows that change places: %s", got)
		}
		raw := s.raw()
		raw.exec("SET sql_mode = ''")
		raw.exec("UPDATE accounts SET id = 31, t = REPEAT('x', 200) WHERE id = 12")
		if got := raw.mustAsk("SHOW WARNINGS"); !strings.Contains(got, "1265") {
			t.Errorf("SHOW WARNINGS: %s", got)
		}
		b := s.binary()
		for _, q := range []struct {
			q    string
			args []any
		}{
			{"UPDATE accounts SET v = ?, id = ? WHERE id = ? AND v < ?", []any{7, 32, 31, 1000}},
			{"UPDATE accounts SET v = v + ?, id = id + ? WHERE id IN (?, ?)", []any{1, 1, 32, 23}},
		} {
			for range 2 {
				if _, err := b.ExecContext(context.Background(), q.q, q.args...); err != nil {
					t.Errorf("%s: %v", q.q, err)
				}
			}
		}
		c.exec("PREPARE p FROM 'UPDATE accounts SET id = ? WHERE id = ?'", "SET @a = 40, @b = 33", "EXECUTE p USING @a, @b")
		if got := c.rows("SELECT id, v FROM accounts WHERE id IN (23, 24, 33, 40) ORDER BY id"); got != "24,6 40,8" {
			t.Errorf("after prepared statements: %s", got)
		}
		s.nothingPrepared()
	})
}

// TestMoveOfNoValue: a row whose ENUM is ”, which no statement in strict mode can write, stays where it is, and the error names the column.
func TestMoveOfNoValue(t *testing.T) {
	t.Parallel()
	forMixesWith(t, moving, func(t *testing.T, s *stack) {
		c := s.conn()
		c.exec("ALTER TABLE accounts ADD COLUMN state ENUM('new','paid')", "INSERT INTO accounts (id, v, state) VALUES (1, 1, 'new'), (3, 3, 'paid')",
			"UPDATE IGNORE accounts SET state = 'nonsense' WHERE id = 1")
		if e := c.fails(1235, "UPDATE accounts SET id = id + 1 WHERE id IN (1, 3)"); !strings.Contains(e, "column 'state'") {
			t.Error(e)
		}
		c.exec("UPDATE accounts SET state = NULL WHERE id = 1", "UPDATE accounts SET id = id + 1 WHERE id IN (1, 3)")
		if got := c.rows("SELECT id, state FROM accounts ORDER BY id"); got != "2,NULL 4,paid" {
			t.Error(got)
		}
		s.nothingPrepared()
	})
}

// TestMoveKilled: KILL QUERY of an UPDATE that waits for a lock where its row goes undoes it.
func TestMoveKilled(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], moving)
	holder, victim, killer := s.conn(), s.conn(), s.conn()
	holder.exec("INSERT INTO accounts (id, v) VALUES (1, 1), (3, 3)", "BEGIN", "INSERT INTO accounts (id, v) VALUES (2, 2)")
	id := victim.rows("SELECT CONNECTION_ID()")
	for _, in := range []string{"DO 0", "BEGIN"} {
		victim.exec(in)
		done := make(chan error)
		go func() {
			_, err := victim.ExecContext(context.Background(), "UPDATE accounts SET id = 2 WHERE id = 1")
			done <- err
		}()
		waitFor(t, "the row waits where it goes", func() bool {
			return s.on(0, "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'INSERT INTO `SCHEMA`.`accounts`%'") == "1"
		})
		killer.exec("KILL QUERY " + id)
		var e *mysql.MySQLError
		if err := <-done; !errors.As(err, &e) || e.Number != 1317 && string(e.SQLState[:2]) != "40" {
			t.Errorf("behind %s: %v", in, err)
		}
		victim.exec("ROLLBACK")
		if got := s.on(1, "SELECT id FROM SCHEMA.accounts"); got != "1 3" {
			t.Errorf("behind %s: %s", in, got)
		}
	}
	holder.exec("ROLLBACK")
	s.nothingPrepared()
}

// TestMovesAtOnce: clients that move the same rows and change them lose none of them and nothing in them.
func TestMovesAtOnce(t *testing.T) {
	t.Parallel()
	forMixesWith(t, moving, func(t *testing.T, s *stack) {
		c := s.conn()
		c.exec("INSERT INTO accounts (id, v, t) VALUES (1, 0, 'a'), (2, 0, 'b'), (3, 0, 'c'), (4, 0, 'd')")
		const clients, each = 4, 12
		var mu sync.Mutex
		added, moved := 0, 0
		var all sync.WaitGroup
		for i := range clients {
			conn := s.conn()
			conn.exec("SET innodb_lock_wait_timeout = 1") // of a deadlock over two servers nobody knows
			all.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 7))
				for range each {
					name := string("abcd"[r.IntN(4)])
					q := fmt.Sprintf("UPDATE accounts SET id = %d, v = v + 1 WHERE t = '%s'", 1+r.IntN(1000), name)
					if r.IntN(3) == 0 {
						q = fmt.Sprintf("UPDATE accounts SET v = v + 1 WHERE t = '%s'", name)
					}
					res, err := conn.ExecContext(context.Background(), q)
					var e *mysql.MySQLError
					switch {
					case err == nil:
						n, _ := res.RowsAffected()
						mu.Lock()
						if added += int(n); strings.Contains(q, "id =") {
							moved += int(n)
						}
						mu.Unlock()
					case errors.As(err, &e) && (e.Number == 1213 || e.Number == 1205 || e.Number == 1062 || e.Number == 1020):
					default:
						t.Errorf("%s: %v", q, err)
					}
				}
			})
		}
		all.Wait()
		if got := c.rows("SELECT COUNT(*), SUM(v), COUNT(DISTINCT t) FROM accounts"); got != fmt.Sprintf("4,%d,4", added) || moved == 0 {
			t.Errorf("after %d changes, %d of them moves: %s", added, moved, got)
		}
		for b := range s.servers {
			if got := s.on(b, fmt.Sprintf("SELECT COUNT(*) FROM SCHEMA.accounts WHERE id %% 2 <> %d", b)); got != "0" {
				t.Errorf("%s rows are on backend %d and belong elsewhere", got, b)
			}
		}
		s.nothingPrepared()
	})
}

// TestMoveLargeRow: a row that does not fit into a packet of its new backend is refused before it is sent.
func TestMoveLargeRow(t *testing.T) {
	t.Parallel()
	s := newStack(t, []servers.Kind{servers.MariaDB, servers.MySQL}, func(c *config.Config) {
		c.Tables = append(c.Tables, config.Table{Schema: c.Tables[0].Schema, Name: "blobs", Column: "id", Function: "modulo", Backends: c.Tables[0].Backends})
		c.Server.MaxPacket = 64 * config.MiB
		moving(c)
	})
	for _, server := range s.servers {
		admin(t, server, "CREATE TABLE "+s.schema+".blobs (id INT PRIMARY KEY, x LONGBLOB, y LONGBLOB)")
	}
	limit := s.on(0, "SELECT @@max_allowed_packet")
	var n int
	if _, err := fmt.Sscan(limit, &n); err != nil {
		t.Fatal(err)
	}
	c := s.conn("maxAllowedPacket=0")
	half := bytes.Repeat([]byte{'x'}, n*6/10)
	for _, column := range []string{"x", "y"} {
		if _, err := c.ExecContext(context.Background(), "INSERT INTO blobs (id, "+column+") VALUES (1, ?) ON DUPLICATE KEY UPDATE "+column+" = VALUES("+column+")", half); err != nil {
			t.Fatal(err)
		}
	}
	c.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (1, 1), (2, 2)")
	if got := c.fails(1235, "UPDATE blobs SET id = 2 WHERE id = 1"); !strings.Contains(got, "max_allowed_packet there is "+limit) {
		t.Error(got)
	}
	c.exec("UPDATE blobs SET y = NULL WHERE id = 1", "UPDATE blobs SET id = 2 WHERE id = 1", "COMMIT")
	if got := s.on(0, "SELECT LENGTH(x) FROM SCHEMA.blobs"); got != fmt.Sprint(len(half)) {
		t.Errorf("%s bytes have moved", got)
	}
	if got := c.rows("SELECT COUNT(*) FROM accounts"); got != "2" {
		t.Errorf("rows of the transaction: %s", got)
	}
}
