package integration

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// numberedTable is how the tables of these tests look on every backend.
const numberedTable = " (id BIGINT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL DEFAULT 0, u INT UNIQUE, v INT)"

// newNumberedStack has a table that is sharded by k and one that is sharded by its AUTO_INCREMENT column.
func newNumberedStack(t *testing.T, kinds []servers.Kind, change func(*config.Config)) *stack {
	t.Helper()
	s := newStack(t, kinds, func(c *config.Config) {
		schema, names := c.Tables[0].Schema, c.Tables[0].Backends
		c.Tables = append(c.Tables,
			config.Table{Schema: schema, Name: "orders", Column: "k", Function: "modulo", Backends: names, AutoIncrement: "id"},
			config.Table{Schema: schema, Name: "events", Column: "id", Function: "modulo", Backends: names, AutoIncrement: "id"})
		if change != nil {
			change(c)
		}
	})
	for _, server := range s.servers {
		admin(t, server, "CREATE TABLE "+s.schema+".orders"+numberedTable, "CREATE TABLE "+s.schema+".events"+numberedTable)
	}
	return s
}

// numberStories are sequences of statements. $k is the number of the backend that a row is to be on.
var numberStories = []string{
	"INSERT INTO orders (k, u, v) VALUES (1, 1, 1), (2, 2, 1), (3, 3, 1)",
	"INSERT INTO orders (k, u, v) VALUES (1, 11, 1)",
	"INSERT INTO orders (k, u, v, id) VALUES (1, 12, 1, 500)",
	"INSERT INTO orders (id, k, u, v) VALUES (300, 1, 4, 1), (290, 2, 5, 1)",
	"INSERT INTO orders (id, k, u, v) VALUES (NULL, 1, 17, 1), (NULL, 2, 18, 1)",
	"INSERT INTO orders (id, k, u, v) VALUES (DEFAULT, 1, 217, 1), (0, 2, 218, 1)",
	"INSERT IGNORE INTO orders (k, u, v) VALUES (1, 1, 1)",
	"INSERT IGNORE INTO orders (k, u, v) VALUES (1, 1, 1), (1, 20, 1), (1, 21, 1)",
	"INSERT IGNORE INTO orders (k, u, v) VALUES (2, 2, 1), (1, 22, 1), (2, 23, 1)",
	"INSERT IGNORE INTO orders (k, u, v) VALUES (2, 2, 1), (1, 22, 1)",
	"INSERT IGNORE INTO orders (id, k, u, v) VALUES (1700, 1, 1, 1)",
	"INSERT INTO orders (k, u, v) VALUES (1, 1, 1) ON DUPLICATE KEY UPDATE v = v + 1",
	"INSERT INTO orders (k, u, v) VALUES (1, 1, 1) ON DUPLICATE KEY UPDATE v = v",
	"INSERT INTO orders (k, u, v) VALUES (1, 41, 1) ON DUPLICATE KEY UPDATE v = v + 1",
	"INSERT INTO orders (k, u, v) VALUES (1, 1, 1), (1, 43, 1), (1, 45, 1) ON DUPLICATE KEY UPDATE v = v + 1",
	"INSERT INTO orders (k, u, v) VALUES (1, 1, 1), (2, 46, 1), (1, 47, 1) ON DUPLICATE KEY UPDATE v = v + 1",
	"INSERT INTO orders (k, u, v) VALUES (1, 1, 1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), v = v + 1",
	"INSERT INTO orders (k, u, v) VALUES (1, 61, 1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), v = v + 1",
	"INSERT INTO orders (id, k, u, v) VALUES (1800, 1, 1, 1) ON DUPLICATE KEY UPDATE v = v + 1",
	"REPLACE INTO orders (k, u, v) VALUES (1, 61, 2)",
	"REPLACE INTO orders (k, u, v) VALUES (1, 61, 2), (2, 62, 2)",
	"REPLACE INTO orders (id, k, u, v) VALUES (1950, 1, 61, 2), (1951, 2, 62, 2)",
	"INSERT INTO orders SET k = 1, u = 70",
	"INSERT INTO orders SET id = 0, k = 1, u = 71",
	"INSERT INTO orders SET id = 3071, k = 1, u = 72",
	"INSERT INTO orders (id, k) VALUES (-5, 2)",
	"INSERT INTO orders (k, v) VALUES (1, LAST_INSERT_ID())",
	"UPDATE orders SET v = 9 WHERE k = 1",
	"INSERT INTO orders (k, u, v) SELECT 1, 301, 1 UNION ALL SELECT 2, 302, 1",
	"INSERT INTO orders (id, k, u, v) SELECT 4000 + k, k, u + 400, 1 FROM orders WHERE u IN (301, 302) ORDER BY u",
	"INSERT IGNORE INTO orders (k, u, v) SELECT 1, 301, 1 UNION ALL SELECT 2, 304, 1",
	"INSERT INTO events (v) VALUES (1), (2), (3)",
	"INSERT INTO events () VALUES ()",
	"INSERT INTO events SET v = 7",
	"SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')",
	"INSERT INTO events (id, v) VALUES (0, 1)",
	"INSERT INTO events (id, v) VALUES (NULL, 1)",
	"INSERT INTO events (v) SELECT k FROM orders WHERE u IN (301, 302) ORDER BY u", // the last one: servers leave numbers out behind it
}

// TestNumbersAsOfOneServer: what a statement says of its rows, and LAST_INSERT_ID() behind it, is what one server with all rows says.
func TestNumbersAsOfOneServer(t *testing.T) {
	t.Parallel()
	for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MariaDBBinlog}, {servers.MySQL, servers.MariaDB}} {
		for _, way := range []string{"text", "transaction", "prepared", "by name"} {
			t.Run(fmt.Sprint(kinds, way), func(t *testing.T) {
				s := newNumberedStack(t, kinds, nil)
				many := s.conn()
				single := servertest.Database(t, s.servers[0])
				one := connTo(t, s.servers[0], single, "")
				one.exec("CREATE TABLE orders"+numberedTable, "CREATE TABLE events"+numberedTable)
				for _, q := range numberStories {
					if want, got := tell(one, q, way), tell(many, q, way); want != got {
						t.Errorf("%s:\none server %s\nproxy      %s", q, want, got)
					}
				}
				for _, q := range []string{"SELECT k, u, v FROM orders WHERE k = %d ORDER BY id", "SELECT v, id FROM events WHERE id = %d"} {
					for k := range 10 {
						q := fmt.Sprintf(q, k)
						if want, got := one.rows(q), many.rows(q); want != got {
							t.Errorf("%s:\none server %s\nproxy      %s", q, want, got)
						}
					}
				}
			})
		}
	}
}

var literals = regexp.MustCompile(`'[^']*'|-?\b[0-9]+\b`)

// tell runs a statement in one of the ways and returns all that it says.
func tell(c *conn, q, way string) string {
	// Rows that INSERT IGNORE leaves out use up numbers on one server in other ways, so an id is told by its row.
	return tellOf(c, q, way, func(id string) string {
		return c.rows("SELECT k, u FROM orders WHERE id = "+id) + c.rows("SELECT v FROM events WHERE id = "+id)
	})
}

// tellOf is tell where row is the row with an id.
func tellOf(c *conn, q, way string, row func(id string) string) string {
	c.t.Helper()
	ctx := context.Background()
	verb, _, _ := strings.Cut(q, " ")
	var result sql.Result
	var err error
	text, args := q, []any(nil)
	if way == "prepared" || way == "by name" {
		text = literals.ReplaceAllStringFunc(q, func(n string) string {
			args = append(args, n)
			return "?"
		})
	}
	switch {
	case verb == "SET":
		result, err = c.ExecContext(ctx, q)
	case way == "prepared":
		var st *sql.Stmt
		if st, err = c.PrepareContext(ctx, text); err == nil {
			for i, n := range args {
				if args[i], err = strconv.ParseInt(n.(string), 10, 64); err != nil {
					args[i] = strings.Trim(n.(string), "'")
				}
			}
			result, err = st.ExecContext(ctx, args...)
			if err := st.Close(); err != nil {
				c.t.Fatal(err)
			}
		}
	case way == "by name":
		using := ""
		for i, n := range args {
			c.exec(fmt.Sprintf("SET @a%d = %s", i, n))
			using += fmt.Sprintf("%s@a%d", map[bool]string{true: " USING ", false: ", "}[i == 0], i)
		}
		c.exec("PREPARE p FROM '" + text + "'")
		result, err = c.ExecContext(ctx, "EXECUTE p"+using)
	case way == "transaction":
		c.exec("BEGIN")
		result, err = c.ExecContext(ctx, q)
		defer c.exec("COMMIT")
	default:
		result, err = c.ExecContext(ctx, q)
	}
	if err != nil {
		return err.Error()
	}
	id, _ := result.LastInsertId() // the driver has no errors here
	n, _ := result.RowsAffected()
	last := c.rows("SELECT LAST_INSERT_ID()")
	return fmt.Sprintf("%d rows, id (%s), LAST_INSERT_ID() (%s)", n, row(fmt.Sprint(id)), row(last))
}

// TestNumbersAreUnique: two proxies with many clients each, one of which is killed now and then, give no number twice, whatever
// backend the rows are on. What a client was told of its rows is where it was told.
func TestNumbersAreUnique(t *testing.T) {
	t.Parallel()
	for kind, lines := range map[string]string{"blocks": "block = 7", "snowflake": "kind = 'snowflake'\nnode = %d"} {
		t.Run(kind, func(t *testing.T) {
			on := []*servers.Server{servertest.Get(t, servers.MariaDB), servertest.Get(t, servers.MySQL)}
			schema := servertest.Database(t, on[0])
			admin(t, on[1], "CREATE DATABASE "+schema)
			t.Cleanup(func() { admin(t, on[1], "DROP DATABASE "+schema) })
			for _, server := range on {
				admin(t, server, "CREATE TABLE "+schema+".orders"+numberedTable)
			}
			for id := range 40 { // from before there was a sequence
				admin(t, on[1], fmt.Sprintf("INSERT INTO %s.orders (id, k) VALUES (%d, 1)", schema, id+1))
			}
			var proxies []*proxytest.Proxy
			for node := range 2 {
				of := lines
				if strings.Contains(of, "%d") {
					of = fmt.Sprintf(of, node)
				}
				proxies = append(proxies, proxytest.Run(t, proxytest.Options{
					Backends:  []proxytest.Backend{proxytest.On("a", on[0]), proxytest.On("b", on[1])},
					Schemas:   []config.Schema{{Name: schema, Backend: "a"}},
					Sequences: []string{"name = 'numbers'\n" + of},
					Tables: []config.Table{{
						Schema: schema, Name: "orders", Column: "k", Function: "modulo", Backends: []string{"a", "b"}, AutoIncrement: "id", Sequence: "numbers",
					}},
				}))
			}
			var mu sync.Mutex
			told := map[int64]int{} // the tag of the row by its id
			var clients sync.WaitGroup
			for n := range 8 {
				db := proxies[n%2].DB(t, schema)
				clients.Go(func() {
					for i := range 60 {
						rows := 1 + (n+i)%4
						tag := 1000*n + 10*i
						values := []string{}
						for r := range rows {
							values = append(values, fmt.Sprintf("(%d, %d)", r, tag+r))
						}
						result, err := db.Exec("INSERT INTO orders (k, v) VALUES " + strings.Join(values, ", "))
						if err != nil {
							continue // its proxy was killed
						}
						first, _ := result.LastInsertId()
						mu.Lock()
						for r := range rows {
							told[first+int64(r)] = tag + r
						}
						mu.Unlock()
					}
				})
			}
			for range 3 {
				before := func() int { mu.Lock(); defer mu.Unlock(); return len(told) }()
				waitFor(t, "rows were inserted", func() bool { mu.Lock(); defer mu.Unlock(); return len(told) > before || before > 600 })
				if err := proxies[0].Kill(); err != nil {
					t.Fatal(err)
				}
				if err := proxies[0].Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			clients.Wait()
			for _, server := range on { // what was in doubt is finished
				waitFor(t, "no branch is left", func() bool {
					left, err := server.Prepared(t.Context())
					return err == nil && !slices.ContainsFunc(left, func(b string) bool { return proxies[0].Owns(b) || proxies[1].Owns(b) })
				})
			}
			seen := map[int64]bool{}
			for _, server := range on {
				rows, err := pool(t, server).Query("SELECT id, COALESCE(v, -1) FROM " + schema + ".orders")
				if err != nil {
					t.Fatal(err)
				}
				for rows.Next() {
					var id int64
					var tag int
					if err := rows.Scan(&id, &tag); err != nil {
						t.Fatal(err)
					}
					if seen[id] {
						t.Errorf("number %d is on two rows", id)
					}
					if want, known := told[id]; known && want != tag {
						t.Errorf("row %d has tag %d, its client was told %d", id, tag, want)
					}
					seen[id] = true
				}
				if err := rows.Err(); err != nil {
					t.Fatal(err)
				}
			}
			for id := range told {
				if !seen[id] {
					t.Errorf("row %d is missing", id)
				}
			}
			if len(told) < 300 {
				t.Errorf("only %d rows were inserted", len(told))
			}
		})
	}
}

// TestNumbersFail: without its backend a sequence gives an error that says so, and the statement has not run.
func TestNumbersFail(t *testing.T) {
	t.Parallel()
	s := newNumberedStack(t, []servers.Kind{servers.MariaDB, servers.MySQL}, func(c *config.Config) {
		c.Sequences = []config.Sequence{{Name: "broken", Kind: config.Blocks, Backend: "b1", Table: "numbers", Block: 10}}
		c.Tables[1].Sequence = "broken"
	})
	admin(t, s.servers[1], "CREATE TABLE "+s.schema+".numbers (name INT)")
	c := s.conn()
	if text := c.fails(1467, "INSERT INTO orders (k) VALUES (0)"); !strings.Contains(text, s.schema+".orders") || !strings.Contains(text, "next") {
		t.Errorf("the error does not say what is wrong: %s", text)
	}
	c.exec("INSERT INTO events (v) VALUES (1), (2)")
	admin(t, s.servers[1], "DROP TABLE "+s.schema+".numbers")
	c.exec("INSERT INTO orders (k) VALUES (0)")
	if got := s.on(1, "SELECT name, next FROM SCHEMA.numbers"); got != s.schema+".orders,11" {
		t.Errorf("the table of blocks has %s", got)
	}
}

// TestInsertWithoutColumns: an INSERT that names no columns means those of the table, as they are now.
func TestInsertWithoutColumns(t *testing.T) {
	t.Parallel()
	for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MySQL}, {servers.MySQL, servers.MariaDB}} {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			s := newNumberedStack(t, kinds, nil)
			c := s.conn()
			c.exec("INSERT INTO accounts VALUES (1, 10, 'a'), (2, 20, 'b')", "INSERT INTO accounts VALUES (3, 30, 'c')", "REPLACE accounts VALUES (3, 31, 'c')")
			c.fails(1136, "INSERT INTO accounts VALUES (5, 10)")
			c.fails(1062, "INSERT INTO accounts VALUES (3, 10, NULL)")
			st, err := c.PrepareContext(context.Background(), "INSERT INTO accounts VALUES (?, ?, ?), (?, ?, NULL)")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := st.Exec(6, 60, "x", 7, 70); err != nil {
				t.Fatal(err)
			}
			if id, _ := c.exec("INSERT INTO orders VALUES (NULL, 1, 1, 1), (NULL, 2, 2, 1), (0, 4, 4, 1)").LastInsertId(); id != 1 {
				t.Errorf("the first number is %d", id)
			}
			if id, _ := c.exec("INSERT INTO events VALUES (DEFAULT, 1, 1, 1), (7, 2, 2, 1)").LastInsertId(); id != 8 {
				t.Errorf("the number behind one of the client's is %d", id)
			}
			for _, server := range s.servers {
				admin(t, server, "ALTER TABLE "+s.schema+".accounts ADD COLUMN w INT FIRST")
			}
			c.fails(1136, "INSERT INTO accounts VALUES (0, 8, 80, 'y'), (1, 9, 90, 'z')") // the old columns are still believed
			c.exec("INSERT INTO accounts VALUES (0, 8, 80, 'y'), (1, 9, 90, 'z')")
			for b, want := range []string{"2,20,b 6,60,x 8,80,y", "1,10,a 3,31,c 7,70,NULL 9,90,z"} {
				if got := s.on(b, "SELECT id, v, t FROM SCHEMA.accounts ORDER BY id"); got != want {
					t.Errorf("backend %d has %s, want %s", b, got, want)
				}
			}
			if got := s.on(0, "SELECT id, k FROM SCHEMA.orders ORDER BY id") + " / " + s.on(1, "SELECT id, k FROM SCHEMA.orders ORDER BY id"); got != "2,2 3,4 / 1,1" {
				t.Errorf("orders are %s", got)
			}
		})
	}
}

// TestInfoOfInsert: the counts of an INSERT over several backends, and its info, are those of one server.
func TestInfoOfInsert(t *testing.T) {
	t.Parallel()
	for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MariaDBBinlog}, {servers.MySQL, servers.MariaDB}} {
		for _, caps := range []wire.Capability{0, wire.FoundRows} {
			t.Run(fmt.Sprint(kinds, caps), func(t *testing.T) {
				s := newNumberedStack(t, kinds, nil)
				single := servertest.Database(t, s.servers[0])
				admin(t, s.servers[0], "CREATE TABLE "+single+".orders"+numberedTable)
				dial := func(addr, user, password, schema string) *wire.Conn {
					c, _, err := (&wire.Dialer{Network: "tcp", Addr: addr, User: user, Password: password, Schema: schema, Caps: caps | wire.DeprecateEOF, MaxPacket: 1 << 20, Timeout: 20 * time.Second}).Dial(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = c.Close() })
					return c
				}
				one := dial(s.servers[0].Addr(), s.servers[0].User, s.servers[0].Password, single)
				many := dial(s.addr, "u", "pw", s.schema)
				ask := func(c *wire.Conn, q string) string {
					if err := c.SendQuery(nil, []byte(q)); err != nil {
						t.Fatal(err)
					}
					rows, err := c.ReadResult(1 << 20)
					if err != nil {
						return err.Error()
					}
					return fmt.Sprintf("%d rows, %d warnings, info %q", rows.OK.Affected, rows.OK.Warnings, rows.OK.Info)
				}
				for _, q := range []string{
					"INSERT INTO orders (k, u, v) VALUES (1, 1, 1), (2, 2, 1)",
					"INSERT INTO orders (k, u, v) VALUES (1, 3, 1), (2, 4, 1), (3, 5, 1)",
					"INSERT INTO orders (k, u, v) VALUES (1, 13, 1), (2, 14, 1), (3, 15, 1), (4, 16, 1)",
					"INSERT IGNORE INTO orders (k, u, v) VALUES (1, 13, 1), (2, 14, 1)",
					"INSERT IGNORE INTO orders (k, u, v) VALUES (1, 13, 1), (2, 24, 1)",
					"INSERT IGNORE INTO orders (k, u, v) VALUES (1, 13, 1), (2, 34, 1), (3, 35, 1)",
					"INSERT IGNORE INTO orders (k, u, v) VALUES (1, 13, 1), (2, 34, 1), (3, 37, 1), (4, 38, 1)",
					"REPLACE INTO orders (k, u, v) VALUES (1, 13, 1), (2, 14, 2)",
					"REPLACE INTO orders (k, u, v) VALUES (1, 13, 1), (2, 14, 2), (3, 60, 1), (5, 61, 1)",
					"INSERT INTO orders (k, u, v) VALUES (1, 13, 1), (2, 14, 2) ON DUPLICATE KEY UPDATE v = v",
					"INSERT INTO orders (k, u, v) VALUES (1, 13, 1), (2, 14, 2) ON DUPLICATE KEY UPDATE v = v + 1",
					"INSERT INTO orders (k, u, v) VALUES (1, 13, 1), (2, 70, 2) ON DUPLICATE KEY UPDATE v = v + 1",
					"INSERT INTO orders (k, u, v) VALUES (1, 13, 1), (2, 14, 2), (3, 71, 1) ON DUPLICATE KEY UPDATE v = v + 1",
					"INSERT INTO orders (k, u, v) VALUES (1, 13, 1), (2, 14, 2), (3, 71, 1) ON DUPLICATE KEY UPDATE v = v",
					"INSERT IGNORE INTO orders (k, u, v) VALUES (1, 13, 1), (2, 14, 2), (3, 72, 1) ON DUPLICATE KEY UPDATE v = v + 1",
					"INSERT IGNORE INTO orders (k, u, v) VALUES (1, 13, 1), (2, 14, 2) ON DUPLICATE KEY UPDATE v = v",
					"INSERT IGNORE INTO orders (k, u, v) VALUES (1, 13, 1), (2, 14, 2) ON DUPLICATE KEY UPDATE v = v + 1",
					"INSERT IGNORE INTO orders (k, u, v) VALUES (1, 80, 'x'), (2, 81, 2)",
					"INSERT IGNORE INTO orders (k, u, v) VALUES (1, 82, 'x'), (2, 83, 'y')",
				} {
					want, got := ask(one, q), ask(many, q)
					if caps == wire.FoundRows && strings.HasSuffix(q, "v = v") { // a single row that was found counts as one that was inserted does
						want, _, _ = strings.Cut(want, "Duplicates")
						got, _, _ = strings.Cut(got, "Duplicates")
					}
					if want != got {
						t.Errorf("%s:\none server %s\nproxy      %s", q, want, got)
					}
				}
			})
		}
	}
}

// TestCopy: INSERT ... SELECT between tables on one shard map copies each row on its shard, in one transaction.
func TestCopy(t *testing.T) {
	t.Parallel()
	for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MariaDBBinlog}, {servers.MySQL, servers.MariaDB}} {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			s := newStack(t, kinds, func(c *config.Config) {
				archive := c.Tables[0]
				archive.Name = "archive"
				c.Tables = append(c.Tables, archive)
			})
			for _, server := range s.servers {
				admin(t, server, "CREATE TABLE "+s.schema+".archive LIKE "+s.schema+".accounts")
			}
			c := s.conn()
			c.exec("INSERT INTO accounts VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c'), (4, 40, 'd')")
			if n, err := c.exec("INSERT INTO archive (id, v, t) SELECT id, v + 1, t FROM accounts WHERE v < 40").RowsAffected(); err != nil || n != 3 {
				t.Errorf("%d rows were copied, %v", n, err)
			}
			c.fails(1062, "INSERT INTO archive (id, v) SELECT id, v FROM accounts") // row 4 is new, and goes back
			c.exec("BEGIN", "INSERT INTO archive (id, v) SELECT id, v FROM accounts WHERE id = 4", "ROLLBACK")
			for b, want := range []string{"2,21,b", "1,11,a 3,31,c"} {
				if got := s.on(b, "SELECT id, v, t FROM SCHEMA.archive ORDER BY id"); got != want {
					t.Errorf("backend %d has %s, want %s", b, got, want)
				}
			}
			if n, err := c.exec("REPLACE INTO archive (id, v) SELECT a.id, a.v FROM accounts a JOIN archive b ON a.id = b.id").RowsAffected(); err != nil || n != 6 {
				t.Errorf("%d rows were replaced, %v", n, err)
			}
		})
	}
}
