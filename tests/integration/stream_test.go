package integration

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/gather"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// wholeStack is a proxy over two servers of one kind, with the sharded tables facts and details, and on the first server a schema that
// has all of their rows in tables of the same names.
func wholeStack(t *testing.T, kind servers.Kind) (s *stack, whole string) {
	t.Helper()
	second, err := servers.Start(t.Context(), servers.Options{Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Stop(); err != nil {
			t.Error(err)
		}
	})
	s = newStackOn(t, []*servers.Server{servertest.Get(t, kind), second}, func(c *config.Config) {
		c.Users[0].ScatterWrites = "where"
		schema := c.Tables[0].Schema
		for _, name := range []string{"facts", "details"} {
			c.Tables = append(c.Tables, config.Table{Schema: schema, Name: name, Column: "owner", Function: "modulo", Backends: c.Tables[0].Backends})
		}
		c.Tables = append(c.Tables, config.Table{Schema: schema, Name: "pairs", Columns: []string{"owner", "id"}, ShardMap: "pairs"})
		c.ShardMaps = append(c.ShardMaps, config.ShardMap{Name: "pairs", Function: config.Hash, Slots: 16, Shards: []config.Shard{{Name: "x", Backend: "b0"}, {Name: "y", Backend: "b1"}}})
	})
	whole = s.schema + "_whole"
	admin(t, s.servers[0], "CREATE DATABASE "+whole)
	t.Cleanup(func() { admin(t, s.servers[0], "DROP DATABASE "+whole) })
	for _, schema := range []string{s.schema, whole} {
		for i, server := range s.servers {
			if i > 0 && schema == whole {
				continue
			}
			admin(t, server, "CREATE TABLE "+schema+`.facts (id INT NOT NULL PRIMARY KEY, owner INT NOT NULL, n BIGINT, u BIGINT UNSIGNED, z INT(6) ZEROFILL,
				d DECIMAL(12,3), d5 DECIMAL(20,5), f FLOAT, g DOUBLE, day DATE, at DATETIME(3), ts TIMESTAMP NULL, tm TIME(2), y YEAR, b BIT(10),
				bin VARBINARY(20), name VARCHAR(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, latin CHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci,
				uni VARCHAR(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci, exact VARCHAR(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
				e ENUM('zebra', 'ape', 'cat'), st SET('z', 'y', 'a'), body TEXT, KEY (n))`,
				"CREATE TABLE "+schema+".details (owner INT NOT NULL, num INT NOT NULL, v DECIMAL(10,2), note VARCHAR(40), PRIMARY KEY (owner, num))",
				"CREATE TABLE "+schema+".pairs (owner INT NOT NULL, id INT NOT NULL, v INT, PRIMARY KEY (owner, id))")
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	var facts, details, pairs []string
	for id := range 300 {
		facts = append(facts, fact(r, id))
	}
	for owner := range 40 {
		for num := range r.IntN(6) {
			details = append(details, fmt.Sprintf("(%d, %d, %d.%02d, %s)", owner, num, r.IntN(1000)-500, r.IntN(100), word(r)))
			pairs = append(pairs, fmt.Sprintf("(%d, %d, %d)", owner, num, r.IntN(10)))
		}
	}
	c := s.conn()
	for table, rows := range map[string][]string{
		"facts (id, owner, n, u, z, d, d5, f, g, day, at, ts, tm, y, b, bin, name, latin, uni, exact, e, st, body)": facts,
		"details (owner, num, v, note)": details, "pairs (owner, id, v)": pairs,
	} {
		c.exec("INSERT INTO " + table + " VALUES " + strings.Join(rows, ", "))
		admin(t, s.servers[0], "INSERT INTO "+whole+"."+table+" VALUES "+strings.Join(rows, ", "))
	}
	// The columns of an answer without rows depend on the plan, which must not depend on when a server looks at its new rows.
	admin(t, s.servers[0], "ANALYZE TABLE "+whole+".facts, "+whole+".details, "+whole+".pairs")
	for _, server := range s.servers {
		admin(t, server, "ANALYZE TABLE "+s.schema+".facts, "+s.schema+".details, "+s.schema+".pairs")
	}
	return s, whole
}

// fact is a random row.
func fact(r *rand.Rand, id int) string {
	values := []string{
		fmt.Sprint(r.Int64N(40) - 20), fmt.Sprint(r.Uint64() >> r.IntN(64)), fmt.Sprint(r.IntN(2000)),
		fmt.Sprintf("%d.%03d", r.IntN(20)-10, r.IntN(4)*250), fmt.Sprintf("%d.%05d", r.IntN(7)-3, r.IntN(100000)),
		fmt.Sprintf("%v", float32(r.NormFloat64())), fmt.Sprintf("%v", r.NormFloat64()*1e10),
		fmt.Sprintf("'20%02d-%02d-%02d'", r.IntN(4), 1+r.IntN(12), 1+r.IntN(28)), fmt.Sprintf("'2026-01-%02d %02d:00:%02d.%03d'", 1+r.IntN(3), r.IntN(24), r.IntN(60), r.IntN(1000)),
		fmt.Sprintf("'2025-10-26 0%d:%02d:00'", r.IntN(5), r.IntN(60)), fmt.Sprintf("'%d:%02d:%02d.%02d'", r.IntN(1600)-800, r.IntN(60), r.IntN(60), r.IntN(100)),
		fmt.Sprint(1990 + r.IntN(30)), fmt.Sprintf("b'%b'", r.IntN(1024)),
		fmt.Sprintf("x'%x'", randomBytes(r)), word(r), word(r), word(r), word(r), fmt.Sprintf("'%s'", []string{"zebra", "ape", "cat"}[r.IntN(3)]),
		fmt.Sprintf("'%s'", []string{"", "z", "y", "a,z", "y,a"}[r.IntN(5)]), word(r),
	}
	for i := range values {
		if r.IntN(12) == 0 {
			values[i] = "NULL"
		}
	}
	return fmt.Sprintf("(%d, %d, %s)", id, r.IntN(40), strings.Join(values, ", "))
}

func randomBytes(r *rand.Rand) []byte {
	b := make([]byte, r.IntN(4))
	for i := range b {
		b[i] = []byte{0, 1, 32, 65, 97, 255}[r.IntN(6)]
	}
	return b
}

// word is a string that collations have opinions about.
func word(r *rand.Rand) string {
	var b strings.Builder
	b.WriteByte('\'')
	for range r.IntN(4) {
		b.WriteString([]string{"a", "A", "b", "B", "ä", "ß", "ss", " ", "_", "-", "é", "E", "1", "~", "\t"}[r.IntN(15)])
	}
	return b.String() + "'"
}

// result are the columns and rows of an answer, or its error.
type result struct {
	columns []wire.Column
	rows    [][]byte
	err     *wire.Error
}

// told runs a statement as text or, if it has been prepared, in binary.
func told(t *testing.T, c *wire.Conn, sql string, prepared bool) (out result) {
	t.Helper()
	var err error
	if prepared {
		if err = c.SendCommand(wire.ComStmtPrepare, []byte(sql)); err == nil {
			var p wire.Prepared
			if p, err = c.ReadPrepared(); err == nil {
				err = c.SendExecute(p.ID, 0, nil, nil)
			}
		}
	} else {
		err = c.SendQuery(nil, []byte(sql))
	}
	if errors.As(err, &out.err) {
		return out
	}
	var r *wire.Reader
	if err == nil {
		r, err = c.ReadColumns()
	}
	for err == nil {
		var row []byte
		out.columns = r.Columns
		if row, err = r.Next(); row == nil {
			break
		}
		out.rows = append(out.rows, bytes.Clone(row))
	}
	if err != nil && !errors.As(err, &out.err) {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// streamed are statements whose answer one server has in a certain order; "~" before one: in any order.
var streamed = []string{
	// LIMIT alone: any rows will do, so these have the same in all columns that are asked for
	"SELECT 1 FROM facts LIMIT 7", "SELECT 1 FROM facts LIMIT 5, 9", "SELECT 1 FROM facts LIMIT 290, 50", "SELECT 1 FROM facts LIMIT 0",
	"SELECT 1 FROM facts LIMIT 400 OFFSET 299", "SELECT 1 FROM facts LIMIT 10 OFFSET 300", "SELECT 1 FROM facts LIMIT 1, 18446744073709551615",
	"SELECT 1 FROM facts WHERE owner > 10 LIMIT 3 FOR UPDATE", "~SELECT * FROM facts LIMIT 1000", "SELECT id FROM facts WHERE id = 7 LIMIT 5",
	// ORDER BY columns of every type
	"SELECT id, n FROM facts ORDER BY id", "SELECT n, id FROM facts ORDER BY n, id", "SELECT n, id FROM facts ORDER BY n DESC, id", "SELECT u, id FROM facts ORDER BY u, id DESC",
	"SELECT z, id FROM facts ORDER BY z, id", "SELECT d, id FROM facts ORDER BY d, id", "SELECT d5, id FROM facts ORDER BY d5 DESC, id", "SELECT f, id FROM facts ORDER BY f, id",
	"SELECT g, id FROM facts ORDER BY g, id", "SELECT day, id FROM facts ORDER BY day, id", "SELECT at, id FROM facts ORDER BY at DESC, id", "SELECT ts, id FROM facts ORDER BY ts, id",
	"SELECT tm, id FROM facts ORDER BY tm, id", "SELECT y, id FROM facts ORDER BY y, id", "SELECT b, id FROM facts ORDER BY b, id", "SELECT bin, id FROM facts ORDER BY bin, id",
	"SELECT e, id FROM facts ORDER BY e, id", "SELECT st, id FROM facts ORDER BY st, id",
	"SELECT name, id FROM facts ORDER BY name, id", "SELECT latin, id FROM facts ORDER BY latin DESC, id", "SELECT uni, id FROM facts ORDER BY uni, id", "SELECT exact, id FROM facts ORDER BY exact, id",
	"SELECT body, id FROM facts ORDER BY body, id",
	// hidden keys, positions, aliases, expressions
	"SELECT name FROM facts ORDER BY id", "SELECT * FROM facts ORDER BY id", "SELECT * FROM facts ORDER BY n, id LIMIT 10", "SELECT facts.* FROM facts ORDER BY d DESC, id DESC LIMIT 5, 10",
	"SELECT n AS x, id FROM facts ORDER BY x, 2", "SELECT n, id FROM facts ORDER BY 1 DESC, 2 ASC LIMIT 20", "SELECT -n AS n, id FROM facts ORDER BY n, id", "SELECT id FROM facts ORDER BY n + d, id",
	"SELECT id FROM facts ORDER BY ABS(n), -id", "SELECT id, n FROM facts ORDER BY n IS NULL, n, id", "SELECT id FROM facts f ORDER BY f.n, f.id", "SELECT id AS `a b` FROM facts ORDER BY `a b` DESC LIMIT 3",
	"SELECT day, name FROM facts ORDER BY YEAR(day), MONTH(day), id", "SELECT id, NULL AS q FROM facts ORDER BY q, id", "SELECT id FROM facts ORDER BY NULL, id", "SELECT id FROM facts ORDER BY 'x', id",
	"SELECT id FROM facts ORDER BY CASE WHEN n > 0 THEN 1 ELSE 2 END, id", "SELECT *, n * 2 AS m FROM facts ORDER BY m, id LIMIT 7", "SELECT id m, facts.*, n AS x FROM facts ORDER BY x DESC, m LIMIT 30",
	"SELECT id FROM facts WHERE n > 5 ORDER BY name, id", "SELECT id FROM facts WHERE owner BETWEEN 3 AND 20 ORDER BY bin DESC, id DESC LIMIT 11 OFFSET 4", "SELECT id, n FROM facts WHERE n IN (1, 2) ORDER BY id FOR UPDATE",
	"SELECT id FROM facts HAVING id > 290 ORDER BY id", "SELECT SQL_NO_CACHE id /* c */ FROM facts -- d\n ORDER BY id -- e\n LIMIT 2", "SELECT id FROM facts USE INDEX FOR ORDER BY (n) ORDER BY n, id",
	"SELECT id FROM facts ORDER BY e DESC, st, id", "SELECT id FROM facts ORDER BY CONCAT(name, exact), id", "SELECT id FROM facts ORDER BY UPPER(name), id", "SELECT id FROM facts ORDER BY HEX(bin), id",
	"SELECT id FROM facts ORDER BY CAST(n AS CHAR), id", "SELECT id FROM facts ORDER BY name COLLATE utf8mb4_bin, id", "SELECT id FROM facts ORDER BY body, id LIMIT 50", "SELECT id, (n) FROM facts ORDER BY (n), (id)",
	"SELECT id FROM facts ORDER BY nosuch", "SELECT nosuch FROM facts ORDER BY id", "SELECT id FROM facts ORDER BY 2", "SELECT id FROM facts ORDER BY 0", "SELECT id FROM facts ORDER BY 2, n", "SELECT id, id FROM facts WHERE id / 0 IS NULL ORDER BY id LIMIT 2",
	"SELECT id FROM facts WHERE id < 0 ORDER BY id", "SELECT name FROM facts WHERE id < 0 ORDER BY name",
	// joins on each shard
	"SELECT f.id, d.num, d.v FROM facts f JOIN details d ON d.owner = f.owner ORDER BY f.id, d.num", "SELECT f.id, d.num FROM facts f LEFT JOIN details d ON d.owner = f.owner AND d.num > 3 ORDER BY d.num DESC, f.id",
	"SELECT f.*, d.* FROM facts f JOIN details d USING (owner) ORDER BY d.v, f.id, d.num LIMIT 40", "SELECT d.note FROM facts f JOIN details d ON d.owner = f.owner ORDER BY f.name, f.id, d.num LIMIT 25",
	// aggregates over all rows
	"SELECT COUNT(*) FROM facts", "SELECT COUNT(*), COUNT(n), COUNT(name) FROM facts WHERE id > 50", "SELECT SUM(n), SUM(u), SUM(d), SUM(d5), SUM(y), SUM(z) FROM facts", "SELECT MIN(n), MAX(n), MIN(u), MAX(u), MIN(d), MAX(d5) FROM facts",
	"SELECT MIN(day), MAX(day), MIN(at), MAX(at), MIN(tm), MAX(tm), MIN(y), MAX(y), MIN(z), MAX(z) FROM facts", "SELECT MIN(f), MAX(f), MIN(g), MAX(g) FROM facts", "SELECT MIN(ts), MAX(ts) FROM facts", "SELECT MIN(bin), MAX(bin) FROM facts",
	"SELECT MIN(note), MAX(note) FROM details WHERE note IN ('a', 'b', 'ss')", "SELECT AVG(n), AVG(u), AVG(d), AVG(d5), AVG(y), AVG(n + d5) FROM facts", "SELECT AVG(d5), SUM(d5) FROM facts WHERE d5 < 0", "SELECT BIT_AND(n), BIT_OR(n), BIT_XOR(n), BIT_OR(u) FROM facts",
	"SELECT BIT_AND(n), BIT_OR(n), COUNT(n), SUM(n), AVG(n), MIN(n) FROM facts WHERE id < 0", "SELECT COUNT(*) AS c FROM facts ORDER BY c", "SELECT COUNT(*) FROM facts LIMIT 1", "SELECT COUNT(*) FROM facts LIMIT 0", "SELECT COUNT(*) FROM facts LIMIT 1 OFFSET 1",
	"SELECT 'x', 5, COUNT(*) AS `n`, sum( n ) s, AVG( ALL n ) FROM facts", "SELECT MIN(e), MAX(e), MIN(st), MAX(st), COUNT(*) FROM facts", "SELECT COUNT(*), n FROM facts GROUP BY n LIMIT 0 OFFSET 4", "SELECT MIN(DISTINCT n), MAX(DISTINCT d) FROM facts", "SELECT COUNT(*), SUM(d.v) FROM facts f JOIN details d ON d.owner = f.owner", "SELECT SUM(n * 2), AVG(-d), SUM(n > 0) FROM facts WHERE owner IN (1, 2, 3)",
	"SELECT AVG(n), AVG(d5) FROM facts WHERE n = 3", "SELECT SUM(v), AVG(v), MIN(note) FROM details WHERE v > 499999",
	// groups
	"SELECT n, COUNT(*) FROM facts GROUP BY n ORDER BY n", "~SELECT n, COUNT(*), SUM(d), AVG(d5), MIN(day), MAX(at) FROM facts GROUP BY n", "SELECT n, COUNT(*) FROM facts GROUP BY n ORDER BY n DESC LIMIT 5, 7", "SELECT COUNT(*) FROM facts GROUP BY n ORDER BY n",
	"SELECT day, y, COUNT(id) FROM facts GROUP BY y, day ORDER BY day DESC, y", "SELECT d, AVG(n) a FROM facts GROUP BY d ORDER BY d", "SELECT y, SUM(n), BIT_XOR(u) FROM facts GROUP BY y ORDER BY y LIMIT 4", "~SELECT YEAR(day), COUNT(*) FROM facts GROUP BY YEAR(day)",
	"SELECT YEAR(day) AS yy, MONTH(day) AS mm, COUNT(*) FROM facts GROUP BY yy, mm ORDER BY yy, mm", "SELECT n AS k, COUNT(*) FROM facts GROUP BY k ORDER BY k", "SELECT f, COUNT(*) FROM facts GROUP BY f ORDER BY f", "SELECT ts, COUNT(*) FROM facts GROUP BY ts ORDER BY ts",
	"SELECT e, COUNT(*) FROM facts GROUP BY e ORDER BY e", "SELECT tm, MAX(id) FROM facts GROUP BY tm ORDER BY tm DESC LIMIT 10", "~SELECT bin, COUNT(*) FROM facts GROUP BY bin", "SELECT COUNT(*) FROM facts GROUP BY name ORDER BY name", "SELECT COUNT(*), MIN(id) FROM facts GROUP BY exact ORDER BY exact",
	"SELECT MIN(id), COUNT(*) FROM facts GROUP BY latin ORDER BY latin", "SELECT MIN(id), COUNT(*) FROM facts GROUP BY uni ORDER BY uni DESC LIMIT 20", "SELECT n, e FROM facts GROUP BY n, e ORDER BY n, e", "SELECT n FROM facts WHERE id < 0 GROUP BY n", "SELECT f.n, SUM(d.v) FROM facts f JOIN details d ON d.owner = f.owner GROUP BY f.n ORDER BY f.n",
	"SELECT n, COUNT(*) FROM facts GROUP BY 1 ORDER BY 1", "SELECT y, e, COUNT(*) FROM facts GROUP BY 1, e ORDER BY e DESC, y", "SELECT n, d, NULL, COUNT(*) FROM facts GROUP BY n, d ORDER BY 1 DESC, 2 LIMIT 20", "SELECT DATE_FORMAT(day, '%Y-%m') m, COUNT(*) FROM facts GROUP BY DATE_FORMAT(day, '%Y-%m') ORDER BY m",
	"SELECT id % 7 AS m, COUNT(*), AVG(g > 0) FROM facts GROUP BY id % 7 ORDER BY id % 7",
	// groups in another order than that of their columns
	"SELECT n, COUNT(*) c FROM facts GROUP BY n ORDER BY c DESC, n", "SELECT n, COUNT(*) c FROM facts GROUP BY n ORDER BY c DESC, n DESC LIMIT 4", "SELECT n, SUM(d) FROM facts GROUP BY n ORDER BY 2, 1 LIMIT 3, 7", "SELECT e, n, AVG(d5) a FROM facts GROUP BY e, n ORDER BY a, n, e",
	"SELECT name = 'a' AS q, MAX(day) FROM facts GROUP BY q ORDER BY MAX(day) DESC", "SELECT RTRIM(exact) x, COUNT(*) FROM facts GROUP BY 1 ORDER BY COUNT(*) DESC, 1 LIMIT 12",
	"SELECT COUNT(*) c, MAX(tm) FROM facts GROUP BY n ORDER BY c, 2", "SELECT n, COUNT(*) c FROM facts GROUP BY n ORDER BY c LIMIT 0",
	// groups that are whole on their shards
	"SELECT owner, COUNT(*), GROUP_CONCAT(id ORDER BY id), COUNT(DISTINCT n), STD(d) > 1 FROM facts GROUP BY owner ORDER BY owner", "SELECT owner, COUNT(*) c FROM facts GROUP BY owner HAVING c > 8 ORDER BY c DESC, owner LIMIT 5", "~SELECT owner, n FROM facts GROUP BY owner, n",
	"SELECT f.owner, SUM(d.v) / COUNT(*) q FROM facts f JOIN details d ON d.owner = f.owner GROUP BY f.owner ORDER BY SUM(d.v) DESC, f.owner LIMIT 9", "~SELECT COUNT(*), MAX(name = 'x') FROM facts GROUP BY owner", "SELECT id, owner, ROW_NUMBER() OVER (PARTITION BY owner ORDER BY id) rn FROM facts ORDER BY id",
	"SELECT id, SUM(n) OVER w FROM facts WINDOW w AS (PARTITION BY owner ORDER BY id) ORDER BY id LIMIT 30", "SELECT DISTINCT owner FROM facts ORDER BY owner", "~SELECT DISTINCT owner, n FROM facts", "SELECT DISTINCT owner, n FROM facts ORDER BY n DESC, owner LIMIT 10", "~SELECT DISTINCT * FROM facts",
	"SELECT owner, id, SUM(v) FROM pairs GROUP BY id, owner ORDER BY owner, id", "SELECT owner, SUM(v) FROM pairs GROUP BY owner ORDER BY owner",
	// DISTINCT of other columns
	"SELECT DISTINCT n FROM facts ORDER BY n", "~SELECT DISTINCT n, e FROM facts", "SELECT DISTINCT n, y FROM facts ORDER BY y DESC, n LIMIT 3, 20", "SELECT DISTINCT d FROM facts ORDER BY 1", "SELECT DISTINCT n + 1 AS m FROM facts ORDER BY m", "SELECT DISTINCT f FROM facts ORDER BY f", "SELECT DISTINCT RTRIM(exact) FROM facts ORDER BY 1", "SELECT DISTINCT RTRIM(latin) = latin FROM facts ORDER BY 1 LIMIT 2",
	"SELECT DISTINCT ts FROM facts ORDER BY ts", "SELECT DISTINCT UPPER(name) FROM facts WHERE name IN ('a', 'b', 'ab') ORDER BY 1",
	// subqueries that stay on their shard
	"SELECT id FROM facts f WHERE EXISTS (SELECT 1 FROM details d WHERE d.owner = f.owner AND d.num = 4) ORDER BY id", "SELECT id, (SELECT SUM(v) FROM details d WHERE d.owner = f.owner) s FROM facts f ORDER BY id LIMIT 60", "SELECT id FROM facts f WHERE NOT EXISTS (SELECT 1 FROM details d WHERE d.owner = f.owner) ORDER BY n, id",
	"~SELECT id FROM facts f WHERE n > (SELECT AVG(g.n) FROM facts g WHERE g.owner = f.owner)", "SELECT COUNT(*) FROM facts f WHERE id IN (SELECT MAX(id) FROM facts g WHERE g.owner = f.owner)",
}

// unstreamed are statements that cannot be merged exactly while they pass by, and run on scratch tables.
var unstreamed = []string{
	"SELECT y, SUM(g) FROM facts GROUP BY y ORDER BY 2", "SELECT SUM(g) FROM facts", "SELECT AVG(f) FROM facts", "SELECT n, MIN(at) FROM facts GROUP BY n ORDER BY MIN(at) IS NULL",
	"SELECT COUNT(DISTINCT n) FROM facts", "SELECT n, COUNT(*) c FROM facts GROUP BY n HAVING c > 3", "SELECT SUM(n) / COUNT(*) FROM facts", "SELECT id FROM facts ORDER BY RAND()", "SELECT id FROM facts ORDER BY JSON_ARRAY(n) ",
	"SELECT id FROM facts f ORDER BY id IN (SELECT num FROM details d WHERE d.owner = f.owner), id", "SELECT n FROM facts UNION SELECT num FROM details", "SELECT BIT_OR(n) + 1 FROM facts", "SELECT id FROM facts ORDER BY uni COLLATE utf8mb4_icelandic_ci",
}

// TestStream: statements over all shards are answered as by one server that has all rows, with its columns, as text and prepared.
func TestStream(t *testing.T) {
	t.Parallel()
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			s, whole := wholeStack(t, kind)
			first := s.servers[0]
			ours := dial(t, wire.Dialer{Addr: s.addr, User: "u", Password: "pw", Schema: s.schema})
			theirs := dial(t, wire.Dialer{Addr: first.Addr(), User: first.User, Password: first.Password, Schema: whole})
			for _, prepared := range []bool{false, true} {
				for _, q := range streamed {
					q, loose := strings.CutPrefix(q, "~")
					compare(t, q, loose, prepared, told(t, ours, q, prepared), told(t, theirs, q, prepared))
				}
			}
			for range 2 {
				for _, q := range unstreamed {
					if strings.Contains(q, "JSON") && kind != servers.MySQL {
						continue // there it is a string
					}
					want := told(t, theirs, q, false)
					if got := told(t, ours, q, false); (got.err == nil) != (want.err == nil) || got.err != nil && got.err.Errno != want.err.Errno {
						t.Errorf("%s: %d rows, %v", q, len(got.rows), got.err)
					}
				}
			}
			t.Run("old client", func(t *testing.T) {
				old := dial(t, wire.Dialer{Addr: s.addr, User: "u", Password: "pw", Schema: s.schema, Omit: wire.DeprecateEOF})
				for _, q := range []string{"SELECT name, n FROM facts ORDER BY id LIMIT 5", "SELECT n, COUNT(*) FROM facts GROUP BY n ORDER BY n", "SELECT id FROM facts ORDER BY nosuch"} {
					compare(t, q, false, false, told(t, old, q, false), told(t, theirs, q, false))
				}
			})
			t.Run("bound", func(t *testing.T) { bound(t, s, whole) })
			t.Run("transaction", func(t *testing.T) { streamsInTransactions(t, s, whole) })
			t.Run("past", func(t *testing.T) { pastOfStreams(t, s, whole) })
		})
	}
}

func compare(t *testing.T, q string, loose, prepared bool, got, want result) {
	t.Helper()
	name := q
	if prepared {
		name = "prepared " + q
	}
	switch {
	case got.err != nil && want.err != nil:
		if got.err.Errno != want.err.Errno {
			t.Errorf("%s: %v\nwant %v", name, got.err, want.err)
		}
		return
	case got.err != nil || want.err != nil:
		t.Errorf("%s: %v\nwant %v", name, got.err, want.err)
		return
	}
	for i := range max(len(got.columns), len(want.columns)) {
		if i >= len(got.columns) || i >= len(want.columns) {
			t.Errorf("%s: %d columns, want %d", name, len(got.columns), len(want.columns))
			return
		}
		a, b := got.columns[i], want.columns[i]
		a.Schema, b.Schema = "", ""
		if a != b {
			t.Errorf("%s: column %d is %+v\nwant %+v", name, i, a, b)
		}
	}
	if loose {
		slices.SortFunc(got.rows, bytes.Compare)
		slices.SortFunc(want.rows, bytes.Compare)
	}
	if len(got.rows) != len(want.rows) {
		t.Errorf("%s: %d rows, want %d", name, len(got.rows), len(want.rows))
		return
	}
	for i := range got.rows {
		if !bytes.Equal(got.rows[i], want.rows[i]) {
			t.Errorf("%s: row %d is %q\nwant %q", name, i, got.rows[i], want.rows[i])
			return
		}
	}
}

// TestCollations: the keys that are made of WEIGHT_STRING() have the order of the servers, and are equal where they are.
func TestCollations(t *testing.T) {
	t.Parallel()
	alphabet := []string{
		"a", "A", "b", "B", "z", "ä", "Ä", "à", "ae", "ß", "ss", "é", "E", "ø", "o", "ł", "i", "İ", "ı", "0", "1", " ", "  ", "_", "-", "~", "!", "\t", "\x01", "\x00", "'",
		"Ω", "ω", "я", "Я", "中", "日", "😀", "ﬁ", "\u0301", "\u200b", "ｱ", "ァ",
	}
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		server := servertest.Get(t, kind)
		schema := servertest.Database(t, server)
		r := rand.New(rand.NewPCG(3, 4))
		known := 0
		for _, name := range gather.Collations() {
			set, _, _ := strings.Cut(name, "_")
			var exists string
			if err := pool(t, server).QueryRow("SELECT COLLATION_NAME FROM information_schema.COLLATIONS WHERE COLLATION_NAME = ?", name).Scan(&exists); err != nil {
				continue
			}
			known++
			narrow := set == "latin1" || set == "ascii"
			var rows []string
			for range 2000 {
				var s strings.Builder
				for range r.IntN(5) {
					one := alphabet[r.IntN(len(alphabet))]
					if narrow && one[0] >= 0x80 || set != "utf8mb4" && len(one) == 4 {
						one = "x"
					}
					s.WriteString(one)
				}
				value := fmt.Sprintf("CONVERT(x'%x' USING utf8mb4)", s.String())
				if set == "latin1" { // every byte is a character
					b := append([]byte(s.String()), byte(r.IntN(256)))[r.IntN(2):]
					value = fmt.Sprintf("x'%x'", b)
				} else if set == "binary" {
					value = fmt.Sprintf("x'%x'", s.String())
				}
				rows = append(rows, "("+value+")")
			}
			table := schema + "." + name
			column := "s VARCHAR(60) CHARACTER SET " + set + " COLLATE " + name
			if set == "binary" {
				column = "s VARBINARY(60)"
			}
			admin(t, server, "CREATE TABLE "+table+" ("+column+")", "INSERT INTO "+table+" VALUES "+strings.Join(rows, ", "))
			got, err := pool(t, server).Query("SELECT HEX(s), WEIGHT_STRING(s), COLLATION(s), DENSE_RANK() OVER (ORDER BY s) AS n FROM " + table + " ORDER BY n")
			if err != nil {
				t.Fatal(err)
			}
			var last []byte
			lastText, lastRank := "", 0
			for got.Next() {
				var text, is string
				var weight []byte
				var rank int
				if err := got.Scan(&text, &weight, &is, &rank); err != nil {
					t.Fatal(err)
				}
				key, ok := gather.AppendWeight(nil, []byte(is), weight)
				if c := bytes.Compare(last, key); !ok || is != name || lastRank > 0 && (rank > lastRank) != (c < 0) || lastRank > 0 && (rank == lastRank) != (c == 0) {
					t.Errorf("%s, %s: %s has rank %d and key %x (%v, %s); %s before it %d and %x", kind, name, text, rank, key, ok, is, lastText, lastRank, last)
					break
				}
				last, lastText, lastRank = key, text, rank
			}
			if err := got.Err(); err != nil {
				t.Fatal(err)
			}
			_ = got.Close()
			if lastRank < 100 {
				t.Errorf("%s, %s: only %d different strings", kind, name, lastRank)
			}
		}
		if known < 15 {
			t.Errorf("%s: only %d collations", kind, known)
		}
	}
}

// bound: parameters in keys and limits, through the protocol and by name.
func bound(t *testing.T, s *stack, whole string) {
	ours := s.binary()
	ours.t = t
	theirs := &conn{t, pinned(t, s.servers[0], whole)}
	for _, c := range []struct {
		q    string
		args []any
	}{
		{"SELECT id FROM facts WHERE owner > ? ORDER BY n + ?, id LIMIT ?", []any{3, 7, 20}},
		{"SELECT id, name FROM facts ORDER BY id LIMIT ?, ?", []any{250, 100}},
		{"SELECT id FROM facts ORDER BY id LIMIT ? OFFSET ?", []any{uint64(math.MaxUint64), 290}},
		{"SELECT id FROM facts ORDER BY name, id LIMIT ? OFFSET ?", []any{5, 3}},
		{"SELECT n, SUM(d * ?), AVG(n + ?) FROM facts WHERE id > ? GROUP BY n ORDER BY n DESC LIMIT ?", []any{3, 1, 20, 9}},
		{"SELECT COUNT(*) FROM facts WHERE n IN (?, ?) LIMIT ?", []any{1, 2, 1}},
		{"SELECT id FROM facts WHERE owner IN (?, ?) ORDER BY e, id", []any{2, 5}},
	} {
		for range 2 { // prepared, and prepared already
			if got, want := rowsOf(t, with{ours, c.args}, c.q), rowsOf(t, with{theirs, c.args}, c.q); got != want || got == "" {
				t.Errorf("%s: %s\nwant %s", c.q, got, want)
			}
		}
	}
	ours.exec("SET @few = 4, @from = 2", "PREPARE p FROM 'SELECT id FROM facts ORDER BY name, id LIMIT ? OFFSET ?'")
	if got, want := ours.rows("EXECUTE p USING @few, @from"), theirs.rows("SELECT id FROM facts ORDER BY name, id LIMIT 4 OFFSET 2"); got != want {
		t.Errorf("by name: %s, want %s", got, want)
	}
}

// with binds parameters.
type with struct {
	querier
	args []any
}

func (w with) QueryContext(ctx context.Context, q string, _ ...any) (*sql.Rows, error) {
	return w.querier.QueryContext(ctx, q, w.args...)
}

// streamsInTransactions: a merge that ends early, or fails, leaves the transaction as a server would; its locks are on all shards.
func streamsInTransactions(t *testing.T, s *stack, whole string) {
	c, other := s.conn(), s.conn()
	c.t, other.t = t, t
	for _, q := range []string{
		"SELECT REPEAT('x', 100000) FROM facts LIMIT 9", "SELECT id, REPEAT(name, 1000) FROM facts ORDER BY name, id LIMIT 100, 2", "SELECT DISTINCT exact FROM facts ORDER BY exact LIMIT 1",
		"SELECT id, body FROM facts ORDER BY CONCAT(body, latin), id LIMIT 1", "SELECT id, REPEAT('x', 100000) FROM facts LIMIT 2",
	} {
		before := s.open()
		c.rows(q)
		c.exec("BEGIN", "UPDATE facts SET y = 2000 WHERE id < 2")
		c.rows(q)
		c.exec("UPDATE facts SET y = 2001 WHERE id < 2", "COMMIT")
		if got := c.rows("SELECT DISTINCT y FROM facts WHERE id < 2"); got != "2001" {
			t.Errorf("%s: then y is %s", q, got)
		}
		if after := s.open(); after > before+2 {
			t.Errorf("%s: %d connections, %d before", q, after, before)
		}
	}
	for _, fails := range []string{
		"SELECT id, (SELECT owner FROM details d WHERE d.owner = f.owner) FROM facts f ORDER BY id", // some rows have several
		"SELECT id, REPEAT('x', 1000), IF(id > 250, (SELECT owner FROM details d WHERE d.owner = f.owner), 1) FROM facts f LIMIT 1000",
		"SELECT id FROM facts ORDER BY nosuch",
	} {
		c.exec("BEGIN", "UPDATE facts SET y = 2002 WHERE id < 2")
		errno := uint16(1242)
		if strings.Contains(fails, "nosuch") {
			errno = 1054
		}
		c.fails(errno, fails)
		c.exec("UPDATE facts SET z = 5 WHERE id < 2", "COMMIT")
		if got := c.rows("SELECT DISTINCT y, z FROM facts WHERE id < 2"); got != "2002,5" && got != "2002,000005" {
			t.Errorf("%s: then y, z are %s", fails, got)
		}
		c.fails(errno, fails)
	}
	c.exec("BEGIN")
	c.rows("SELECT id FROM facts WHERE id < 10 ORDER BY name, id FOR UPDATE")
	other.exec("SET innodb_lock_wait_timeout = 1")
	for id := range 2 {
		var owner int
		if err := other.QueryRowContext(context.Background(), "SELECT owner FROM facts WHERE id = ?", id).Scan(&owner); err != nil {
			t.Fatal(err)
		}
		other.fails(1205, fmt.Sprintf("UPDATE facts SET y = 1999 WHERE owner = %d AND id = %d", owner, id))
	}
	// A lock that does not come ends the statement, and a deadlock the transaction.
	other.exec("BEGIN", "UPDATE facts SET y = 1998 WHERE id = 20")
	other.fails(1205, "SELECT id FROM facts WHERE id < 10 ORDER BY name, id FOR UPDATE")
	other.exec("COMMIT")
	if got := other.rows("SELECT y FROM facts WHERE id = 20"); got != "1998" {
		t.Errorf("after a lock wait timeout y is %s", got)
	}
	on := c.column("SELECT id FROM facts WHERE owner = 2 ORDER BY id LIMIT 2") // of one shard
	lock := func(i int) string { return "SELECT id FROM facts WHERE id = " + on[i] + " ORDER BY name FOR UPDATE" }
	c.exec("COMMIT", "BEGIN")
	c.rows(lock(0))
	other.exec("SET innodb_lock_wait_timeout = 20", "BEGIN")
	other.rows(lock(1))
	done := make(chan error, 1)
	go func() {
		_, err := c.ExecContext(context.Background(), lock(1))
		done <- err
	}()
	_, err := other.ExecContext(context.Background(), lock(0))
	first := <-done
	var deadlock *mysql.MySQLError
	if (err == nil) == (first == nil) || !errors.As(cmp.Or(err, first), &deadlock) || deadlock.Number != 1213 {
		t.Errorf("a deadlock: %v, %v", err, first)
	}
	c.exec("COMMIT")
	other.exec("COMMIT", "UPDATE facts SET y = 2002 WHERE id < 2")
}

// open is how many connections the backends have open.
func (s *stack) open() (n int) {
	for _, b := range s.backends {
		n += b.Stats().Open
	}
	return n
}

// pastOfStreams: what a client can ask about a merge, and what it must not be told silently.
func pastOfStreams(t *testing.T, s *stack, whole string) {
	c := s.conn()
	c.t = t
	theirs := &conn{t, pinned(t, s.servers[0], whole)}
	for _, q := range []string{"SELECT id FROM facts ORDER BY id LIMIT 7", "SELECT n, COUNT(*) FROM facts GROUP BY n", "SELECT COUNT(*) FROM facts"} {
		c.rows(q)
		theirs.rows(q)
		for _, ask := range []string{"SELECT FOUND_ROWS()", "SELECT ROW_COUNT()"} {
			if got, want := c.rows(ask), theirs.rows(ask); got != want {
				t.Errorf("%s, %s: %s, want %s", q, ask, got, want)
			}
		}
	}
	q := "SELECT id, CAST(name AS SIGNED) FROM facts WHERE name = 'ß' OR name = 'a' ORDER BY id"
	c.rows(q)
	theirs.rows(q)
	if got, want := c.rows("SHOW WARNINGS"), theirs.rows("SHOW WARNINGS"); len(got) != len(want) || got == "" {
		t.Errorf("warnings: %s\nwant %s", got, want)
	}
	// A column that is called as the alias: servers group by the column.
	for _, x := range []*conn{c, theirs} {
		x.exec("SET sql_mode = ''")
	}
	if got, want := c.rows("SELECT COUNT(*), 0 AS owner FROM facts GROUP BY owner ORDER BY COUNT(*)"), theirs.rows("SELECT COUNT(*), 0 AS owner FROM facts GROUP BY owner ORDER BY COUNT(*)"); got != want {
		t.Errorf("by the shard key: %s, want %s", got, want)
	}
	c.fails(1235, "SELECT id % 2 AS n, COUNT(*) FROM facts GROUP BY n")
	if got, want := c.rows("SELECT id % 2 AS odd, COUNT(*) FROM facts GROUP BY odd ORDER BY odd"), theirs.rows("SELECT id % 2 AS odd, COUNT(*) FROM facts GROUP BY odd ORDER BY odd"); got != want {
		t.Errorf("by an alias: %s, want %s", got, want)
	}
}

// pinned is one connection to a server, in a schema.
func pinned(t *testing.T, server *servers.Server, schema string) *sql.Conn {
	t.Helper()
	return connTo(t, server, schema, "").Conn
}
