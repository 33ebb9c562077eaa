package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// mix is a proxy over PostgreSQL, which is its first backend, and a server of another kind; the table items is on both, by customer, and numbered by a
// sequence.
type mix struct {
	t      *testing.T
	schema string
	face   *face
	other  *servers.Server
	proxy  *proxytest.Proxy
	db     *sql.DB
}

const items = "CREATE TABLE items (customer INT NOT NULL, id BIGINT NOT NULL AUTO_INCREMENT, n DECIMAL(10,2) NOT NULL DEFAULT 0, at DATETIME(3), raw VARBINARY(8), PRIMARY KEY (customer, id), KEY by_id (id))"

func newMix(t *testing.T, kind servers.Kind) *mix {
	m := &mix{t: t, face: newFace(t), other: servertest.Get(t, kind)}
	m.schema = servertest.Database(t, m.other)
	m.face.psql("ALTER SCHEMA shop RENAME TO " + m.schema)
	if err := m.face.dialer.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	backend := proxytest.On("pg", m.face.server)
	backend.Lines = []string{fmt.Sprintf("database = %q", m.face.database)}
	m.proxy = proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{backend, proxytest.On("other", m.other)},
		Schemas:  []config.Schema{{Name: m.schema, Backend: "pg"}},
		Tables:   []config.Table{{Schema: m.schema, Name: "items", Column: "customer", Function: "modulo", Backends: []string{"pg", "other"}, AutoIncrement: "id"}},
	})
	m.db = m.proxy.DB(t, m.schema)
	m.exec(items)
	return m
}

func (m *mix) exec(text string, args ...any) sql.Result {
	m.t.Helper()
	r, err := m.db.Exec(text, args...)
	if err != nil {
		m.t.Fatalf("%s: %v", text, err)
	}
	return r
}

// want compares the rows of a query.
func (m *mix) want(rows, query string, args ...any) {
	m.t.Helper()
	c, err := m.db.Conn(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	defer c.Close()
	(&conn{m.t, c}).wantRows(rows, query, args...)
}

// command runs a subcommand of xaproxy with the proxy's configuration.
func (m *mix) command(status int, args ...string) string {
	m.t.Helper()
	out, got, err := m.proxy.Command(context.Background(), args...)
	if err != nil || got != status {
		m.t.Fatalf("xaproxy %s: %v, status %d: %s", strings.Join(args, " "), err, got, out)
	}
	return out
}

// A table with shards on PostgreSQL and on another server is made, numbered, filled, read, changed and examined as one.
func TestMixedShards(t *testing.T) {
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			m := newMix(t, kind)
			r := m.exec("INSERT INTO items (customer, n, raw) VALUES (1, 1.5, x'00ff'), (2, 2.25, 'b'), (3, 3, NULL), (4, 4, '')")
			first, _ := r.LastInsertId()
			m.want("4", "SELECT COUNT(DISTINCT id) FROM items")
			m.want(fmt.Sprintf("1|%d\n2|%d\n3|%d\n4|%d", first, first+1, first+2, first+3), "SELECT customer, id FROM items ORDER BY id")
			m.want("4|10.75|2.687500|4.00", "SELECT COUNT(*), SUM(n), AVG(n), MAX(n) FROM items")
			m.want("2.25\n3.00", "SELECT n FROM items WHERE customer IN (?, ?) ORDER BY n", 2, 3)
			m.want("0|6.25\n1|4.50", "SELECT customer % 2, SUM(n) FROM items GROUP BY customer % 2 ORDER BY 1")
			m.want("1|00FF\n2|62", "SELECT customer, HEX(raw) FROM items WHERE raw > '' ORDER BY raw")

			line := func(i int) string {
				return fmt.Sprintf("%d\t%d\t%d.%02d\t2026-01-%02d 10:24:24.125\n", i+10, 1_000_000+i, i, i%100, 1+i%28)
			}
			bad := 600
			mysql.RegisterReaderHandler(m.schema, func() io.Reader {
				var file strings.Builder
				file.WriteString("a head\n")
				for i := range 1000 {
					if file.WriteString(line(i)); i == bad {
						file.WriteString("1000\t1\tx\t2026-01-01\n") // on PostgreSQL
					}
				}
				return strings.NewReader(file.String())
			})
			defer mysql.DeregisterReaderHandler(m.schema)
			load := "LOAD DATA LOCAL INFILE 'Reader::" + m.schema + "' INTO TABLE items IGNORE 1 LINES (customer, id, n, at)"
			_, err := m.db.Exec(load)
			if said := wants(t, err, 1366, "LOAD DATA"); !strings.Contains(said, "line 603 of the file, field 3, 'x' for column 'n'") {
				t.Error(said)
			}
			m.want("4", "SELECT COUNT(*) FROM items") // on no shard
			bad = -1
			if n, err := m.exec(load).RowsAffected(); n != 1000 || err != nil {
				t.Errorf("%d rows are loaded, %v", n, err)
			}
			if n, err := m.exec(load).RowsAffected(); n != 0 || err != nil {
				t.Errorf("%d rows are loaded again, %v", n, err)
			}
			m.want("1004|499510.25", "SELECT COUNT(*), SUM(FLOOR(n)) + 0.25 FROM items")
			m.exec("DELETE FROM items WHERE customer >= 10")

			m.want("2", "SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = ? AND table_name = 'items' AND index_name = 'PRIMARY'", m.schema)
			rows, err := m.db.Query("EXPLAIN XAPROXY SELECT * FROM items ORDER BY n")
			if err != nil {
				t.Fatal(err)
			}
			if err := rows.Close(); err != nil {
				t.Error(err)
			}
			m.want("1", "SELECT /* xaproxy: backend=pg */ COUNT(*) > 0 FROM items WHERE customer = 2")
			m.exec("ALTER TABLE items ADD COLUMN note VARCHAR(20)")
			m.exec("CREATE INDEX by_n ON items (n)")
			m.exec("UPDATE items SET note = 'x' WHERE customer IN (1, 2)")
			m.want("1|x\n2|x", "SELECT customer, note FROM items WHERE note = 'x' ORDER BY customer")
			if kind == servers.MySQL { // MariaDB has another default collation
				m.command(0, "doctor", "--rows", "100")
			}
			m.face.psql("COMMENT ON COLUMN "+m.schema+".items.n IS '{mysql decimal(9,2)}'", "CREATE INDEX further ON "+m.schema+".items (at)")
			if out := m.command(1, "doctor"); !strings.Contains(out, "column n is decimal(9,2)") || !strings.Contains(out, "key further") {
				t.Errorf("doctor: %s", out)
			}

			m.face.psql("ALTER TABLE " + m.schema + ".items ADD COLUMN more INT")
			if _, err := m.db.Exec("ALTER TABLE items ADD COLUMN more INT"); err == nil {
				t.Error("a column was added that is there")
			}
			if out := m.command(1, "ddl", "status"); !strings.Contains(out, "pg") {
				t.Errorf("status: %s", out)
			}
			m.face.psql("ALTER TABLE " + m.schema + ".items DROP COLUMN more")
			if out := m.command(0, "ddl", "resume", "4"); !strings.Contains(out, "done") {
				t.Errorf("resume: %s", out)
			}
			m.exec("UPDATE items SET more = 5 WHERE customer = 2")
			m.exec("DROP TABLE items")
		})
	}
}

// Where all shards are on PostgreSQL, what can be compared exactly is merged, and all else refused; so is a view of rows that are elsewhere, too.
func TestPostgresAlone(t *testing.T) {
	options := proxytest.Options{
		Schemas: []config.Schema{{Name: "shop", Backend: "a"}},
		Tables:  []config.Table{{Schema: "shop", Name: "items", Column: "id", Function: "modulo", Backends: []string{"a", "b"}}},
	}
	var faces []*face
	for _, name := range []string{"a", "b"} {
		f := newFace(t)
		if err := f.dialer.SetUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		b := proxytest.On(name, f.server)
		b.Lines = []string{fmt.Sprintf("database = %q", f.database)}
		options.Backends, faces = append(options.Backends, b), append(faces, f)
	}
	db := proxytest.Run(t, options).DB(t, "shop")
	one, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	c := &conn{t, one}
	c.exec("CREATE TABLE items (id INT PRIMARY KEY, word VARCHAR(20), exact VARCHAR(20) COLLATE utf8mb4_0900_bin, kind ENUM('red','green'))")
	c.exec("INSERT INTO items VALUES (1, 'b', 'b', 'green'), (2, 'ä', 'ä', 'red'), (3, 'B', 'B', 'red'), (4, NULL, NULL, NULL), (5, 'a', 'a', 'green')")
	c.wantRows("NULL\nB\na\nb\nä", "SELECT exact FROM items ORDER BY exact")
	c.wantRows("NULL|1\nred|2\ngreen|2", "SELECT kind, COUNT(*) FROM items GROUP BY kind ORDER BY kind")
	c.wantRows("5\n4\n3", "SELECT id FROM items ORDER BY id DESC LIMIT 3")
	c.wantRows("B|ä", "SELECT MIN(exact), MAX(exact) FROM items")
	c.wantRows("ä\na", "SELECT word FROM items WHERE word = 'A' ORDER BY id") // each compares for itself
	for _, q := range []string{
		"SELECT word FROM items ORDER BY word", "SELECT DISTINCT word FROM items", "SELECT word, COUNT(*) FROM items GROUP BY word", "SELECT MAX(word) FROM items",
		"SELECT a.id FROM items a JOIN items b ON a.word = b.exact", "SELECT COUNT(DISTINCT word) FROM items",
	} {
		if said := c.fails(1235, q); !strings.Contains(said, "add any MySQL or MariaDB server") {
			t.Errorf("%s: %s", q, said)
		}
	}
	c.wantRows("5", "SELECT COUNT(*) FROM items") // nothing is broken

	faces[0].psql("CREATE VIEW words AS SELECT word FROM items")
	began := time.Now()
	c.exec("CREATE TABLE after_it (id INT PRIMARY KEY)") // definitions are looked at after DDL
	for {                                                // soon
		_, err := one.ExecContext(t.Context(), "SELECT * FROM words")
		if err != nil {
			if said := wants(t, err, 1235, "SELECT * FROM words"); !strings.Contains(said, "view shop.words") {
				t.Error(said)
			}
			break
		}
		if t.Context().Err() != nil || time.Since(began) > 20*time.Second {
			t.Fatal("a view of rows that are on several backends is answered")
		}
	}
}
