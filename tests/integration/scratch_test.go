package integration

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// scratchStack is a proxy over shards, and one server of the same kind that holds all of their data.
type scratchStack struct {
	*stack
	one *servers.Server
}

// scratchTables are the tables: statements that make them, and what they hold. A table of the list sharded is made on every shard.
const scratchTables = `
CREATE TABLE orders (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, customer INT NOT NULL, v INT DEFAULT '7', amount DECIMAL(12,3) NOT NULL, note VARCHAR(40) DEFAULT NULL,
  state ENUM('new','it''s, paid','gone') NOT NULL DEFAULT 'new', flags SET('a','b','c') DEFAULT NULL, at TIMESTAMP(3) NULL DEFAULT NULL, d DATE DEFAULT NULL COMMENT 'a, (comment',
  total DECIMAL(14,3) GENERATED ALWAYS AS (amount * 2) STORED, PRIMARY KEY (id), UNIQUE KEY n (note, customer), KEY c (customer, v), KEY s (state))
CREATE TABLE items (customer INT NOT NULL, no SMALLINT NOT NULL, order_id BIGINT UNSIGNED NOT NULL, price DOUBLE NOT NULL, name CHAR(10) CHARACTER SET latin1 NOT NULL DEFAULT 'none', PRIMARY KEY (customer, no), KEY o (order_id))
CREATE TABLE events (id INT NOT NULL, kind VARCHAR(20) NOT NULL, v INT, text_ TEXT, b VARBINARY(20), UNIQUE KEY (id), FULLTEXT KEY f (text_)) DEFAULT CHARSET=utf8mb4
CREATE TABLE countries (code CHAR(2) NOT NULL PRIMARY KEY, name VARCHAR(50) NOT NULL UNIQUE, size FLOAT)
CREATE TABLE audit (id INT NOT NULL PRIMARY KEY AUTO_INCREMENT, order_id BIGINT UNSIGNED, who VARCHAR(20), at DATETIME(6), KEY (who(5)))
CREATE TABLE places (id INT NOT NULL PRIMARY KEY, g POINT NOT NULL, shape GEOMETRY, SPATIAL KEY g (g))
CREATE TABLE types (id INT NOT NULL PRIMARY KEY, c_bool BOOLEAN, c_tiny TINYINT, c_utiny TINYINT(3) UNSIGNED ZEROFILL, c_small SMALLINT, c_medium MEDIUMINT UNSIGNED, c_big BIGINT, c_ubig BIGINT UNSIGNED,
  c_float FLOAT, c_float2 FLOAT(7,2), c_double DOUBLE, c_double2 DOUBLE(9,3), c_dec DECIMAL(30,10), c_year YEAR, c_date DATE, c_time TIME(6), c_datetime DATETIME(3), c_ts TIMESTAMP(6) NULL,
  c_char CHAR(8), c_latin VARCHAR(20) CHARACTER SET latin1, c_bin VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, c_ucs VARCHAR(20) CHARACTER SET ucs2, c_text MEDIUMTEXT, c_binary BINARY(6),
  c_blob LONGBLOB, c_enum ENUM('x','ü','') CHARACTER SET latin1, c_set SET('p','q','r'), c_bit BIT(12), c_json JSON, c_point POINT, c_gen INT GENERATED ALWAYS AS (c_small + 1) VIRTUAL, KEY (c_double), KEY (c_latin(3), c_date))
`

func scratchRows() (all []string) {
	all = append(all, "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+00:00'")
	var rows []string
	notes := []string{"'Straße'", "NULL", "'strasse'", "'a%b_c'", "'It''s'", "'ä'", "'A'", "'a  '", "''", "'z'"}
	states := []string{"'new'", "'it''s, paid'", "3", "0"}
	flags := []string{"NULL", "''", "'a'", "'a,c'", "7"}
	for i := range 60 {
		note := notes[i%len(notes)]
		if i >= 30 && note != "NULL" {
			note = fmt.Sprintf("CONCAT(%s, %d)", note, i)
		} else if i >= 10 && note != "NULL" {
			note = fmt.Sprintf("'%d%s", i, note[1:])
		}
		at := "NULL"
		if i%4 > 0 {
			at = fmt.Sprintf("'2024-%02d-%02d 0%d:59:59.%03d'", 1+i%12, 1+i%28, i%10, i)
		}
		rows = append(rows, fmt.Sprintf("(%d, %d, %d, %d.%03d, %s, %s, %s, %s, '2024-%02d-%02d')", i, i%7, i%5-1, i*3, i%1000, note, states[i%4], flags[i%5], at, 1+i%12, 1+i%28))
	}
	all = append(all, "INSERT INTO orders (id, customer, v, amount, note, state, flags, at, d) VALUES "+strings.Join(rows, ", "))
	rows = nil
	for i := range 90 {
		rows = append(rows, fmt.Sprintf("(%d, %d, %d, %d.25, 'n\xc3\xa4me%d')", i%7, i, i*2%60, i%13, i%6))
	}
	all = append(all, "INSERT INTO items (customer, no, order_id, price, name) VALUES "+strings.Join(rows, ", "))
	rows = nil
	for i := range 40 {
		rows = append(rows, fmt.Sprintf("(%d, '%s', %d, '%s text \\\\ ''%d', x'00ff27%02x5c')", i, []string{"open", "Open ", "close", "öpen"}[i%4], i%6, strings.Repeat("long ", i), i, i))
	}
	all = append(all, "INSERT INTO events (id, kind, v, text_, b) VALUES "+strings.Join(rows, ", "))
	all = append(all, "INSERT INTO countries VALUES ('de', 'Deutschland', 0.1), ('at', 'Österreich', 1e10), ('ch', 'Schweiz', 3.4028e38), ('li', 'Liechtenstein', NULL)",
		"INSERT INTO audit VALUES (0, 3, 'Anna', '2024-02-29 12:00:00.123456'), (1, 4, 'anna', '0000-00-00'), (2, NULL, 'Bob', '2024-02-31 00:00:00'), (3, 12, NULL, NULL), (9, 13, 'bob ', '9999-12-31 23:59:59.999999')")
	all = append(all, "INSERT INTO places (id, g, shape) VALUES (1, POINT(1, 2), NULL), (2, POINT(3, 4), ST_GeomFromText('POLYGON((0 0, 0 1, 1 1, 0 0))')), (3, POINT(-1, 0), ST_GeomFromText('LINESTRING(0 0, 5 5)', 4326))")
	rows = []string{
		"(0, 1, -128, 7, -32768, 16777215, -9223372036854775808, 18446744073709551615, 1.17549e-38, 12345.67, 1.7976931348623157e308, 123456.789, 12345678901234567890.0123456789, 1901, '0000-00-00', '-838:59:59', '0000-00-00', '0000-00-00', 'a ', 'café', 'b', 'ü', 'text', 'ab', x'0001ff', 'ü', 'p,r', b'101', '{\"a\": [1, 2.5, null, \"ü\\\\\\\"\"]}', POINT(1, 2.5))",
		"(1, 0, 127, 255, 32767, 0, 9223372036854775807, 0, 16777217, -0.01, -1e-300, -0.001, -0.0000000001, 2155, '2024-02-31', '838:59:59', '9999-12-31 23:59:59.999', '2038-01-19 03:14:07.999999', '', '', '', '', '', '', '', '', '', 0, 'null', NULL)",
		"(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
		"(3, 1, 0, 0, 0, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.1, 0, '1000-01-01', '00:00:00.000001', '1000-01-01', '1970-01-01 00:00:01.5', 'Ä', 'Ä', 'Ä', 'Ä', '\\\\''\"', x'5c27', x'5c2722', 'x', 'q', 4095, '[]', POINT(-1e300, 0))",
		"(4, 1, 0, 0, 0, 1, 1, 1, -0.0, 0, -0e0, 0, 0, 2024, '2024-01-01', '12:00:00', '2024-01-01 12:00:00', '2024-10-27 00:30:00', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 0, 0, 1, '{}', POINT(0, 0))",
	}
	all = append(all, "INSERT INTO types (id, c_bool, c_tiny, c_utiny, c_small, c_medium, c_big, c_ubig, c_float, c_float2, c_double, c_double2, c_dec, c_year, c_date, c_time, c_datetime, c_ts, c_char, c_latin, c_bin, c_ucs, c_text, c_binary, c_blob, c_enum, c_set, c_bit, c_json, c_point) VALUES "+strings.Join(rows, ", "))
	return all
}

// newScratchStack makes the tables on shards, and fills them. With one, a server, it does the same there.
func newScratchStack(t *testing.T, on []*servers.Server, one *servers.Server, change ...func(*config.Config)) *scratchStack {
	t.Helper()
	s := &scratchStack{one: one}
	s.stack = newStackOn(t, on, func(c *config.Config) {
		c.Users = append(c.Users, config.User{Name: "few", Password: "pw", MaxScratchRows: 50}, config.User{Name: "small", Password: "pw", MaxScratchBytes: 2000}, config.User{Name: "reader", Password: "pw", ReadOnly: true})
		var names []string
		for _, b := range c.Backends {
			names = append(names, b.Name)
		}
		table := func(name, column, function string) {
			c.Tables = append(c.Tables, config.Table{Schema: c.Tables[0].Schema, Name: name, Column: column, Function: function, Backends: names})
		}
		table("orders", "customer", "modulo")
		table("items", "customer", "modulo")
		table("events", "id", "hash")
		table("types", "id", "modulo")
		table("places", "id", "modulo")
		c.Tables = append(c.Tables, config.Table{Schema: c.Tables[0].Schema, Name: "audit", Backend: names[1]})
		for _, f := range change {
			f(c)
		}
	})
	schema := s.schema
	var direct *wire.Conn
	if one != nil {
		direct = dial(t, wire.Dialer{Addr: one.Addr(), User: one.User, Password: one.Password, Collation: 45, Caps: wire.DeprecateEOF | wire.MultiResults})
		do(t, direct, "CREATE DATABASE "+schema)
		do(t, direct, "USE "+schema)
	}
	for i, server := range on {
		c := dial(t, wire.Dialer{Addr: server.Addr(), User: server.User, Password: server.Password, Schema: schema, Collation: 45, Caps: wire.DeprecateEOF | wire.MultiResults})
		for create := range strings.SplitSeq(strings.TrimSpace(scratchTables), "\nCREATE") {
			create = "CREATE" + strings.TrimPrefix(create, "CREATE")
			if i == 0 && one != nil {
				do(t, direct, create)
			}
			switch name := strings.Fields(create)[2]; {
			case name == "countries" && i != 0, name == "audit" && i != 1:
			default:
				do(t, c, create)
			}
		}
	}
	through := s.raw(t, "u")
	for _, q := range scratchRows() {
		if one != nil {
			do(t, direct, q)
		}
		do(t, through, q)
	}
	return s
}

// raw is a connection through the proxy whose answers are seen as they are.
func (s *scratchStack) raw(t *testing.T, user string) *wire.Conn {
	t.Helper()
	return dial(t, wire.Dialer{Addr: s.addr, User: user, Password: "pw", Schema: s.schema, Collation: 45, Caps: wire.DeprecateEOF | wire.MultiResults | wire.MultiStatements})
}

// direct is the same connection to the one server.
func (s *scratchStack) direct(t *testing.T) *wire.Conn {
	t.Helper()
	return dial(t, wire.Dialer{Addr: s.one.Addr(), User: s.one.User, Password: s.one.Password, Schema: s.schema, Collation: 45, Caps: wire.DeprecateEOF | wire.MultiResults | wire.MultiStatements})
}

// answer is a result with its metadata.
type answer struct {
	columns []wire.Column
	rows    []string
	end     wire.OK
	err     error
}

// hear reads an answer.
func hearOver(c *wire.Conn) (a answer) {
	r, err := c.ReadColumns()
	if err != nil {
		return answer{err: err}
	}
	a.columns = r.Columns
	for len(a.columns) > 0 {
		row, err := r.Next()
		if err != nil {
			a.err = err
			return a
		}
		if row == nil {
			break
		}
		a.rows = append(a.rows, string(row))
	}
	a.end = r.End
	return a
}

// tell sends a text and reads the answer.
func askOver(t *testing.T, c *wire.Conn, q string) answer {
	t.Helper()
	if err := c.SendQuery(nil, []byte(q)); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return hearOver(c)
}

// do is tell for what must succeed.
func do(t *testing.T, c *wire.Conn, q string) answer {
	t.Helper()
	a := askOver(t, c, q)
	if a.err != nil {
		t.Fatalf("%.200s: %v", q, a.err)
	}
	return a
}

// execute prepares a text, executes it with parameters that are strings and reads the answer, with the columns that PREPARE told.
func execute(t *testing.T, c *wire.Conn, q string, params ...string) (told []wire.Column, a answer) {
	t.Helper()
	if err := c.SendCommand(wire.ComStmtPrepare, []byte(q)); err != nil {
		t.Fatal(err)
	}
	p, err := c.ReadPacket()
	if err != nil {
		t.Fatal(err)
	}
	if p[0] == 0xff {
		e, err := wire.ParseErr(p, c.Caps())
		if err != nil {
			t.Fatal(err)
		}
		return nil, answer{err: e}
	}
	id := uint32(p[1]) | uint32(p[2])<<8 | uint32(p[3])<<16 | uint32(p[4])<<24
	columns, n := int(p[5])|int(p[6])<<8, int(p[7])|int(p[8])<<8
	for i := range n + columns {
		if p, err = c.ReadPacket(); err != nil {
			t.Fatal(err)
		}
		if i < n {
			continue
		}
		col, err := wire.ParseColumn(p)
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, col)
	}
	types, values := []byte{}, []byte{}
	for _, v := range params {
		types, values = append(types, byte(wire.TypeVarString), 0), wire.AppendString(values, v)
	}
	if err := c.SendExecute(id, 0, make([]byte, (n+7)/8), types, values); err != nil {
		t.Fatal(err)
	}
	a = hearOver(c)
	if err := c.SendCommand(wire.ComStmtClose, []byte{byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}); err != nil {
		t.Fatal(err)
	}
	return told, a
}

// compare says what two answers differ in.
func compareScratch(got, want answer, ordered bool) (differences []string) {
	if (got.err == nil) != (want.err == nil) || got.err != nil && got.err.Error() != want.err.Error() {
		return []string{fmt.Sprintf("error: %v, want %v", got.err, want.err)}
	}
	differences = compareColumns(got.columns, want.columns)
	a, b := slices.Clone(got.rows), slices.Clone(want.rows)
	if !ordered {
		slices.Sort(a)
		slices.Sort(b)
	}
	if len(a) != len(b) {
		return append(differences, fmt.Sprintf("%d rows, want %d", len(a), len(b)))
	}
	for i := range a {
		if a[i] != b[i] {
			return append(differences, fmt.Sprintf("row %d: %.300q\nwant   %.300q", i, a[i], b[i]))
		}
	}
	return differences
}

func compareColumns(got, want []wire.Column) (differences []string) {
	if len(got) != len(want) {
		return []string{fmt.Sprintf("%d columns, want %d", len(got), len(want))}
	}
	for i := range got {
		if got[i] != want[i] {
			differences = append(differences, fmt.Sprintf("column %d: %+v\n     want %+v", i, got[i], want[i]))
		}
	}
	return differences
}

// scratchQueries reads the SELECTs of testdata/scratch.sql: one a line; a line that begins with "=" has an order.
func scratchQueries(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/scratch.sql")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if q := strings.TrimSpace(string(line)); q != "" && !strings.HasPrefix(q, "--") {
			all = append(all, q)
		}
	}
	return all
}

// TestScratch: SELECTs over several shards answer as one server does that has all the data: rows, and columns with all that is said
// of them.
func TestScratch(t *testing.T) {
	t.Parallel()
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			on := []*servers.Server{servertest.Get(t, kind)}
			if kind == servers.MariaDB {
				on = append(on, servertest.Get(t, servers.MariaDBBinlog))
			} else {
				on = append(on, ownServer(t, kind))
			}
			s := newScratchStack(t, on, ownServer(t, kind, "--skip-log-bin"))
			through, direct, n := s.raw(t, "u"), s.direct(t), 0
			for _, q := range scratchQueries(t) {
				if strings.HasPrefix(q, "SET ") {
					do(t, through, q)
					do(t, direct, q)
					continue
				}
				q, ordered := strings.CutPrefix(q, "=")
				q, twice := strings.CutPrefix(q, "!")
				rename := func(columns []wire.Column) {
					for i := range columns {
						if twice && kind == servers.MySQL {
							columns[i].OrgTable, _, _ = strings.Cut(columns[i].OrgTable, "#")
						}
					}
				}
				n++
				got, want := askOver(t, through, q), askOver(t, direct, q)
				rename(got.columns)
				for _, d := range compareScratch(got, want, ordered) {
					t.Errorf("%s\n  %s", q, d)
				}
				var gotTold, wantTold []wire.Column
				gotTold, got = execute(t, through, q)
				wantTold, want = execute(t, direct, q)
				rename(gotTold)
				rename(got.columns)
				for _, d := range append(compareColumns(gotTold, wantTold), compareScratch(got, want, ordered)...) {
					t.Errorf("prepared: %s\n  %s", q, d)
				}
			}
			for _, q := range []string{ // parameters in common table expressions that MySQL gets in other places, or twice
				"WITH c AS (SELECT v, COUNT(*) AS n FROM orders WHERE customer > ? GROUP BY v HAVING n > ?) SELECT x.v, y.n, ? AS p FROM c x JOIN c y ON x.v = y.v WHERE x.v < ?",
				"WITH c AS (SELECT id, v FROM orders WHERE customer > ? AND id > ?) SELECT x.id, y.v, ? AS p FROM c x JOIN c y ON x.id = y.id + 1 WHERE x.v < ?",
			} {
				_, got := execute(t, through, q, "1", "2", "x", "3")
				_, want := execute(t, direct, q, "1", "2", "x", "3")
				if len(want.rows) < 3 {
					t.Errorf("%s: only %d rows", q, len(want.rows))
				}
				got.columns, want.columns = nil, nil
				for _, d := range compareScratch(got, want, false) {
					t.Errorf("%s\n  %s", q, d)
				}
			}
			if n < 120 {
				t.Errorf("only %d SELECTs were compared", n)
			}
		})
	}
}
