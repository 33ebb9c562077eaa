package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// newNamed is a face with tables, and a connection to it that prepares what has parameters.
func newNamed(t *testing.T, script ...string) (*face, *conn) {
	f := newFace(t)
	if err := f.dialer.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := f.conn(prepares)
	for _, s := range script {
		c.exec(s)
	}
	return f, c
}

func prepares(c *mysql.Config) { c.InterpolateParams = false }

// names are how many statements PostgreSQL has prepared for the session whose text contains this.
func (c *conn) names(containing string) string {
	c.t.Helper()
	return c.rows(pg + "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%" + containing + "%'")
}

// executed are prepared statements with the values of each execution.
var executed = []struct {
	text string
	args [][]any
}{
	{"INSERT INTO p (id, name, n, d, at, day, tm, f, b, big, j) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [][]any{
		{1, "Anna", 7, "1.25", "2024-02-29 10:11:12", "2024-02-29", "10:11:12", 1.5, []byte{0, 255, 39, 92}, uint64(math.MaxUint64), `{"a": "it's"}`},
		{"2", "be'\\rta", "8", 2, time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC), "00:00:00", "2.5", "text", 7, `[1]`},
		{int64(3), "carl", nil, nil, nil, nil, nil, nil, nil, nil, nil},
		{uint64(4), "dora", true, 3.25, "2024-01-01", "2024-01-01", "23:59:59", float32(0.5), []byte{}, int64(0), "null"},
		{5, strings.Repeat("ä", 3000), -5, "-9.99", nil, nil, nil, -1e30, nil, nil, nil}, // as long data
		{6, "x", math.MaxInt32 + 1, 1, nil, nil, nil, nil, nil, nil, nil},
		{6, "x", "no number", 1, nil, nil, nil, nil, nil, nil, nil},
		{6, "x", 1, 1, "2024-02-30", nil, nil, nil, nil, nil, nil},
		{6, "x", 1, 1, nil, "0000-00-00", nil, nil, nil, nil, nil},
		{6, "x", 1, 1, nil, nil, nil, nil, nil, -1, nil},
		{6, "x", 1, 1, nil, nil, nil, nil, nil, nil, "no JSON"},
		{1, "again", 1, 1, nil, nil, nil, nil, nil, nil, nil},
		{6, "frida", 1, 99999999, nil, nil, nil, nil, nil, nil, nil},
		{6, "gerd", 7, 1, nil, nil, nil, nil, nil, nil, nil},
	}},
	{"SELECT * FROM p WHERE id = ?", [][]any{{1}, {"1"}, {2}, {nil}, {3}, {1.5}, {uint64(math.MaxUint64)}, {5}, {1}}},
	{"SELECT id FROM p WHERE name = ? OR n > ? ORDER BY id", [][]any{{"ANNA", 100}, {"carl", "7"}, {nil, 6.5}, {"BE'\\RTA", nil}}},
	{"SELECT id FROM p WHERE n IN (?, ?, ?) ORDER BY id DESC LIMIT ?", [][]any{{7, 8, nil, 2}, {"7", 8, 1, 1}, {7, 7, 7, 10}}},
	{"SELECT name, ? FROM p WHERE at > ? ORDER BY id", [][]any{{1, "2024-01-02"}, {-7, time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)}, {3, nil}}},
	{"SELECT COUNT(*), SUM(n + ?) FROM p GROUP BY n > ? ORDER BY 1, 2", [][]any{{1, 7}, {2, 1}, {nil, 7}}},
	{"SELECT a.id, b.id FROM p a JOIN p b ON a.id = b.n - ? WHERE a.name LIKE ? ORDER BY 1, 2", [][]any{{6, "A%"}, {6, "%"}, {"6", "%a"}}},
	{"UPDATE p SET n = n + ?, name = ? WHERE id = ?", [][]any{{1, "Anne", 1}, {1, "Anne", 99}, {nil, "Anne", 1}, {math.MaxInt64, "x", 2}, {1, "x", nil}}},
	{"INSERT INTO p (id, name, n) VALUES (?, ?, 1) ON DUPLICATE KEY UPDATE n = ?", [][]any{{1, "Anne", 5}, {7, "hans", 5}, {7, "hans", 5}, {7, "ida", 6}}},
	{"REPLACE INTO q (id, u, n) VALUES (?, ?, ?)", [][]any{{1, 1, 1}, {2, 2, 2}, {1, 2, 3}, {3, nil, nil}}},
	{"INSERT INTO q (u, n) SELECT id + ?, n FROM p WHERE id < ?", [][]any{{100, 3}, {200, 2}, {100, 3}}},
	{"INSERT IGNORE INTO q (id, u) VALUES (?, ?)", [][]any{{1, 900}, {50, 901}, {51, 901}}},
	{"DELETE FROM q WHERE u = ? OR n = ?", [][]any{{101, 1}, {102, nil}, {"201", 0}}},
	{"SELECT id > 0, u, n FROM q ORDER BY u, n, id", [][]any{nil, nil}},
}

// What was prepared has MySQL's answers, at the first execution and later, with values of whatever types, and in transactions in which some of it fails.
func TestNamedValues(t *testing.T) {
	s := servertest.Get(t, servers.MySQL)
	database := servertest.Database(t, s)
	tables := []string{
		"CREATE TABLE p (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, name VARCHAR(4000) NOT NULL, n INT, d DECIMAL(8,2) DEFAULT 9.5, at DATETIME, day DATE, tm TIME, f DOUBLE, b VARBINARY(10), big BIGINT UNSIGNED, j JSON)",
		"CREATE TABLE q (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, u INT UNIQUE, n INT)",
	}
	f, _ := newNamed(t, tables...)
	short := func(c *mysql.Config) { c.MaxAllowedPacket = 16 << 10 } // what takes more than its part of it is long data
	both := [2]*conn{f.conn(prepares, short)}
	config := mysql.NewConfig()
	config.Net, config.Addr, config.User, config.Passwd, config.DBName, config.Collation = "tcp", s.Addr(), servers.AdminUser, servers.AdminPassword, database, "utf8mb4_0900_ai_ci"
	short(config)
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	direct, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	both[1] = &conn{t, direct}
	for _, table := range tables {
		both[1].exec(table)
	}
	for _, transaction := range []bool{false, true} {
		for _, c := range both {
			c.exec("DELETE FROM p")
			c.exec("DELETE FROM q")
			if transaction {
				c.exec("BEGIN")
			}
		}
		for range 2 {
			for _, e := range executed {
				var prepared [2]*sql.Stmt
				for i, c := range both {
					if prepared[i], err = c.PrepareContext(t.Context(), e.text); err != nil {
						t.Fatalf("%s: %v", e.text, err)
					}
				}
				for _, args := range e.args {
					var answers [2]string
					for i, st := range prepared {
						answers[i] = answerOf(t, st, strings.HasPrefix(e.text, "SELECT"), args)
					}
					if answers[0] != answers[1] {
						t.Errorf("%s of %.200v, in a transaction %v:\nPostgreSQL %.500s\nMySQL      %.500s", e.text, args, transaction, answers[0], answers[1])
					}
				}
				for _, st := range prepared {
					if err := st.Close(); err != nil {
						t.Error(err)
					}
				}
			}
		}
		for _, c := range both {
			c.exec("COMMIT")
		}
	}
	for _, e := range executed {
		verb, _, _ := strings.Cut(e.text, " ")
		if verb == "REPLACE" {
			verb = "INSERT"
		}
		if both[0].names(verb) == "0" {
			t.Errorf("no %s was prepared in PostgreSQL", verb)
		}
	}
}

// answerOf executes a statement, and tells its rows, counts or the number of its error.
func answerOf(t *testing.T, st *sql.Stmt, query bool, args []any) string {
	t.Helper()
	failed := func(err error) string {
		var said *mysql.MySQLError
		if !errors.As(err, &said) {
			t.Fatal(err)
		}
		if said.Number == 1690 || said.Number == 1264 { // out of range of a type, or of a column
			said.Number = 1264
		}
		return fmt.Sprint("error ", said.Number)
	}
	if !query {
		r, err := st.ExecContext(t.Context(), args...)
		if err != nil {
			return failed(err)
		}
		n, _ := r.RowsAffected()
		return fmt.Sprint(n, " rows")
	}
	rows, err := st.QueryContext(t.Context(), args...)
	if err != nil {
		return failed(err)
	}
	defer rows.Close()
	columns, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range columns {
		b.WriteString(c.Name() + " " + c.DatabaseTypeName() + ", ")
	}
	for rows.Next() {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\n%v", values)
	}
	if err := rows.Err(); err != nil {
		return failed(err)
	}
	return b.String()
}

// A statement whose tables others have changed since it was prepared has the answer that it would have if it had come for the first time, and what the
// transaction did before stays.
func TestNamedAfterDDL(t *testing.T) {
	f, c := newNamed(t, "CREATE TABLE log (id INT PRIMARY KEY)")
	const query = "SELECT c FROM items WHERE id = ?"
	id := 0
	for _, change := range []struct{ ddl, want string }{
		{"ALTER TABLE items ALTER c TYPE varchar(50)", "one"},
		{"ALTER TABLE items ADD COLUMN more int", "one"},
		{"ALTER TABLE items DROP COLUMN other", "one"},
		{"ALTER TABLE items RENAME c TO d; ALTER TABLE items ADD c varchar(20) DEFAULT 'new'", "new"},
		{"DROP TABLE items; CREATE TABLE items (id int, c varchar(20)); INSERT INTO items VALUES (1, 'other')", "other"},
		{"ALTER TABLE items ALTER c TYPE int USING 5", "5"},
	} {
		for _, when := range []string{"outside", "first", "later", "behind a savepoint"} {
			c.exec("DROP TABLE IF EXISTS items")
			c.exec("CREATE TABLE items (id INT PRIMARY KEY, c VARCHAR(20), other INT)")
			c.exec("INSERT INTO items VALUES (1, 'one', 2)")
			for range 2 {
				c.wantRows("one", query, 1)
			}
			id++
			switch when {
			case "first":
				c.exec("BEGIN")
			case "later", "behind a savepoint":
				c.exec("BEGIN")
				c.exec("INSERT INTO log VALUES (?)", id)
				if when != "later" {
					c.exec("SAVEPOINT a")
				}
			}
			f.psql(change.ddl)
			for range 2 {
				c.wantRows(change.want, query, 1)
			}
			if when == "first" {
				c.exec("INSERT INTO log VALUES (?)", id)
			}
			c.exec("COMMIT")
			if when != "outside" {
				c.wantRows("1", "SELECT COUNT(*) FROM log WHERE id = ?", id)
			}
		}
	}
	// A table that is gone, and comes back.
	f.psql("DROP TABLE items")
	c.fails(1146, query, 1)
	f.psql("CREATE TABLE items (id int, c varchar(20)); INSERT INTO items VALUES (1, 'back')")
	c.wantRows("back", query, 1)

	// A statement of several steps, of which a later one is stale, has run once, and so have its warnings.
	c.exec("CREATE TABLE pairs (id INT PRIMARY KEY AUTO_INCREMENT, u INT UNIQUE, v INT UNIQUE)")
	f.psql("CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE WARNING 'gone'; RETURN OLD; END$$", "CREATE TRIGGER gone BEFORE DELETE ON pairs FOR EACH ROW EXECUTE FUNCTION gone()")
	for _, transaction := range []bool{false, true} {
		for i, ddl := range []string{"ALTER TABLE pairs ALTER id TYPE bigint", "ALTER TABLE pairs ALTER id TYPE int"} {
			c.exec("REPLACE INTO pairs (u, v) VALUES (?, ?)", 1, 1)
			if transaction {
				c.exec("BEGIN")
				c.exec("INSERT INTO log VALUES (?)", 1000+i)
			}
			f.psql(ddl)
			if n, err := c.exec("REPLACE INTO pairs (u, v) VALUES (?, ?)", 1, 1).RowsAffected(); n != 2 || err != nil {
				t.Errorf("%d rows, %v, in a transaction %v", n, err, transaction)
			}
			c.wantRows("Warning|1105|gone", "SHOW WARNINGS")
			c.exec("COMMIT")
			c.wantRows("1|1", "SELECT COUNT(*), MIN(v) FROM pairs WHERE u = ?", 1)
		}
	}
	c.wantRows("2", "SELECT COUNT(*) FROM log WHERE id >= ?", 1000)
}

// Somebody has PostgreSQL forget what was prepared: it is prepared once more, and so is what goes in front of it.
func TestNamedForgotten(t *testing.T) {
	_, c := newNamed(t, "CREATE TABLE items (id INT PRIMARY KEY, c VARCHAR(20))", "INSERT INTO items VALUES (1, 'one')")
	const query, forget = "SELECT c FROM items WHERE id = ?", pg + "DO $$BEGIN EXECUTE 'DEALLOCATE ALL'; END$$"
	c.wantRows("one", query, 1)
	c.exec(forget)
	c.wantRows("one", query, 1)
	// In a transaction it may be too late for that: the savepoint of the statement is gone, and nothing is committed.
	c.exec("BEGIN")
	c.exec("INSERT INTO items VALUES (?, ?)", 2, "two")
	c.wantRows("one", query, 1)
	c.exec(forget)
	c.fails(1305, query, 2)
	c.fails(1399, "COMMIT")
	for range 2 {
		c.wantRows("", query, 2)
		c.exec("BEGIN")
		c.exec("INSERT INTO items VALUES (?, ?)", 2, "two")
		c.wantRows("one", query, 1)
		c.wantRows("two", query, 2)
		c.exec("ROLLBACK")
	}
}

// What PostgreSQL cannot prepare runs as text, within a transaction too, and is not tried again.
func TestNamedRefused(t *testing.T) {
	f, c := newNamed(t, "CREATE TABLE items (id INT PRIMARY KEY, n INT)", "INSERT INTO items VALUES (1, 1), (2, 1), (3, 2)")
	const query = "SELECT n + ?, COUNT(*) FROM items GROUP BY n + ? ORDER BY 1" // two parameters, which only their values make the same
	c.exec("BEGIN")
	c.exec("INSERT INTO items VALUES (?, ?)", 4, 5)
	for range 3 {
		c.wantRows("2|2\n3|1\n6|1", query, 1, 1)
	}
	if n := c.names("GROUP BY"); n != "0" {
		t.Errorf("%s statements are prepared", n)
	}
	c.exec("COMMIT")
	c.wantRows("3|2\n4|1\n7|1", query, 2, 2)
	c.fails(1055, query, 1, 2)
	// What fails as text, too, is tried again: the table is back.
	const other = "SELECT n FROM items WHERE id = ? AND n > 0"
	st, err := c.PrepareContext(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	f.psql("ALTER TABLE items RENAME TO away")
	_, err = st.Exec(1)
	wants(t, err, 1146, other)
	f.psql("ALTER TABLE away RENAME TO items")
	if _, err := st.Exec(1); err != nil {
		t.Error(err)
	}
	if n := c.names("FROM \"shop\".\"items\""); n == "0" {
		t.Error("it is not prepared")
	}
}

// The names of a session are bounded, in number and in the length of what they stand for; what is used stays. A reset forgets them.
func TestNamedBounds(t *testing.T) {
	f, c := newNamed(t, "CREATE TABLE items (id INT PRIMARY KEY, c VARCHAR(20))", "INSERT INTO items VALUES (1, 'one')")
	const hot = "SELECT c FROM items WHERE id = ? AND c <> 'hot'"
	prepared := func() string {
		return c.rows(pg + "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%hot%' AND from_sql = false")
	}
	c.wantRows("one", hot, 1)
	name := prepared()
	for i := range 450 {
		c.wantRows("one", fmt.Sprintf("SELECT c FROM items WHERE id = ? AND c <> 'a%d'", i), 1)
		c.wantRows("one", hot, 1)
	}
	if n := c.names(""); n != "200" {
		t.Errorf("%s statements are prepared", n)
	}
	if now := prepared(); now != name || name == "" {
		t.Errorf("the one that is used all the time is called %s, and was %s", now, name)
	}
	long := " AND c <> ''"
	for i := range 150 {
		c.wantRows("one", fmt.Sprintf("SELECT c FROM items WHERE id = ? AND c <> 'b%d'%s", i, strings.Repeat(long, 250)), 1)
	}
	c.wantRows("1|1", pg+"SELECT (sum(length(statement)) BETWEEN 200000 AND 270000)::int, (count(*) < 100)::int FROM pg_prepared_statements")
	c.exec("BEGIN") // an error does not keep PostgreSQL from forgetting
	for i := range 250 {
		c.fails(1264, fmt.Sprintf("SELECT EXP(id * 800) FROM items WHERE id = ? AND c <> 'c%d' FOR UPDATE", i), 1)
	}
	c.exec("COMMIT")
	if n := c.names(""); n != "200" {
		t.Errorf("%s statements are prepared after errors", n)
	}

	l := newLoader(t, wire.Dialer{User: "any", Schema: "shop", Connect: f.dialer.Dial})
	transaction := func() {
		l.rows("BEGIN")
		for range 6 {
			if got := l.rows("SELECT c FROM items WHERE id = 1"); got[0] != `"one"|` {
				t.Error(got)
			}
		}
		l.rows("COMMIT")
	}
	transaction()
	count := pg + "SELECT count(*) FROM pg_prepared_statements"
	if got := l.rows(count); got[0] == `"0"|` {
		t.Fatalf("%s statements are prepared", got)
	}
	if err := l.SendCommand(wire.ComResetConnection); err != nil {
		t.Fatal(err)
	}
	if _, err := l.ReadResult(1 << 10); err != nil {
		t.Fatal(err)
	}
	if got := l.rows(count); got[0] != `"0"|` {
		t.Fatalf("%s statements are prepared after a reset", got)
	}
	transaction()
}

// A statement as text gets a name when it comes often, whatever its numbers are; client statements of one text share it.
func TestNamedText(t *testing.T) {
	_, c := newNamed(t, "CREATE TABLE items (id INT PRIMARY KEY, c VARCHAR(20))", "INSERT INTO items VALUES (1, 'one'), (2, 'two')")
	for i := range 8 {
		c.wantRows([]string{"one", "two"}[i%2], fmt.Sprintf("SELECT c FROM items WHERE id = %d", 1+i%2))
		if n, want := c.names("items"), fmt.Sprint(min(max(i-3, 0), 1)); n != want {
			t.Errorf("after %d times %s statements are prepared, want %s", i+1, n, want)
		}
	}
	var all []*sql.Stmt
	for range 3 {
		st, err := c.PrepareContext(t.Context(), "SELECT c FROM items WHERE id = ?")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, st)
	}
	for _, st := range append(all, all...) {
		if got := answerOf(t, st, true, []any{2}); !strings.Contains(got, "two") {
			t.Error(got)
		}
	}
	if n := c.names("items"); n != "1" {
		t.Errorf("%s statements are prepared", n)
	}
}

// Moments in the text are of the session's time zone at each execution.
func TestNamedZone(t *testing.T) {
	_, c := newNamed(t, "SET time_zone = '+00:00'", "CREATE TABLE z (id INT PRIMARY KEY, ts TIMESTAMP)", "INSERT INTO z VALUES (1, '2024-07-01 12:00:00')")
	const query = "SELECT COUNT(*) FROM z WHERE ts = '2024-07-01 12:00:00' AND id = ?"
	for range 2 {
		for zone, want := range map[string]string{"+00:00": "1", "+05:00": "0", "SYSTEM": "", "Europe/Berlin": "0"} {
			c.exec("SET time_zone = '" + zone + "'")
			if want != "" {
				c.wantRows(want, query, 1)
			}
		}
	}
	c.exec("SET time_zone = '+00:00'")
	c.exec("BEGIN")
	c.wantRows("1", query, 1)
	c.exec("SET time_zone = '+05:00'")
	c.wantRows("0", query, 1)
	c.exec("ROLLBACK")
	c.wantRows("0", query, 1)
	c.exec(pg + "SELECT set_config('TimeZone', 'UTC', false)") // nobody was told but by PostgreSQL
	c.wantRows("1", query, 1)
}

// What goes in front of a statement keeps it from running where it fails, and bounds its time.
func TestNamedFront(t *testing.T) {
	f, c := newNamed(t, "CREATE TABLE items (id INT PRIMARY KEY, n INT)", "INSERT INTO items VALUES (1, 1)")
	const change = "UPDATE items SET n = n + ? WHERE id = ?"
	c.exec(change, 1, 1)
	c.exec("SET TRANSACTION READ ONLY")
	c.fails(1792, change, 1, 1)
	c.exec("START TRANSACTION READ ONLY")
	c.fails(1792, change, 1, 1)
	c.wantRows("2", "SELECT n FROM items WHERE id = ?", 1)
	c.exec("COMMIT")

	// The lock of a change of copies.
	other := f.conn()
	c.exec("SET innodb_lock_wait_timeout = 1")
	other.exec("BEGIN;" + pg + "LOCK TABLE items IN ROW EXCLUSIVE MODE")
	for range 2 {
		c.exec("BEGIN")
		c.exec("/* xaproxy: first copy */ DO 0")
		c.fails(1205, change, 1, 1)
		c.exec("COMMIT")
	}
	other.exec("COMMIT")
	c.exec("BEGIN")
	c.exec("/* xaproxy: first copy */ DO 0")
	c.exec(change, 1, 1)
	c.exec("COMMIT")
	c.wantRows("3", "SELECT n FROM items WHERE id = ?", 1)

	// Time, which is that of a SELECT alone.
	const slow = "SELECT SLEEP(?) FROM items WHERE id = ?"
	c.exec("SET max_execution_time = 50")
	for _, transaction := range []string{"SELECT 1", "BEGIN"} {
		c.exec(transaction)
		c.exec(change, 1, 1)
		for range 2 {
			c.fails(3024, slow, 5, 1)
			c.wantRows("0", slow, 0, 1)
			c.wantRows("", "SHOW WARNINGS") // as of SET LOCAL outside of a transaction
			c.exec("UPDATE items SET n = n + SLEEP(?) WHERE id = ?", 0.1, 1)
		}
		c.exec("COMMIT")
	}
	c.wantRows("5", "SELECT n FROM items WHERE id = ?", 1)
	c.exec("SET max_execution_time = 0")

	// The session's own clock.
	for range 2 {
		for _, moment := range []string{"1700000000", "1600000000"} {
			c.exec("SET timestamp = " + moment)
			c.wantRows(moment, "SELECT UNIX_TIMESTAMP() + ? FROM items WHERE id = 1", 0)
			c.exec("BEGIN")
			c.wantRows(moment, "SELECT UNIX_TIMESTAMP() + ? FROM items WHERE id = 1", 0)
			c.exec("COMMIT")
		}
		c.exec("SET timestamp = DEFAULT")
		c.wantRows("1", "SELECT UNIX_TIMESTAMP() + ? > 1750000000 FROM items WHERE id = 1", 0)
	}

	// KILL QUERY, and the end of the session, in the middle of an execution.
	id := c.rows("SELECT CONNECTION_ID()")
	c.exec("BEGIN")
	c.exec(change, 1, 1)
	for _, verb := range []string{"KILL QUERY ", "KILL "} {
		ended := make(chan error, 1)
		go func() {
			_, err := c.ExecContext(context.Background(), slow, 60, 1)
			ended <- err
		}()
		for f.psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep%' AND state = 'active' AND wait_event = 'PgSleep' AND pid <> pg_backend_pid()") == "0" {
		}
		other.exec(verb + id)
		err := <-ended
		if verb == "KILL " {
			if err == nil || errors.As(err, new(*mysql.MySQLError)) {
				t.Errorf("a session that has ended: %v", err)
			}
			break
		}
		wants(t, err, 1317, slow)
		c.wantRows("6", "SELECT n FROM items WHERE id = ?", 1)
	}
	other.wantRows("5", "SELECT n FROM items WHERE id = 1")
}

// Statements of XA branches run under names, and so does what follows a branch that is prepared.
func TestNamedXA(t *testing.T) {
	_, c := newNamed(t, "CREATE TABLE items (id INT PRIMARY KEY, n INT)")
	for i := range 4 {
		xid := fmt.Sprintf("'g%d','b',20041", i)
		c.exec("XA START " + xid)
		c.exec("INSERT INTO items VALUES (?, ?)", i, 1)
		c.fails(1062, "INSERT INTO items VALUES (?, ?)", i, 2)
		c.exec("UPDATE items SET n = n + ? WHERE id = ?", 4, i)
		c.exec("XA END " + xid)
		c.exec("XA PREPARE " + xid)
		c.exec([]string{"XA COMMIT ", "XA ROLLBACK "}[i%2] + xid)
		c.wantRows(fmt.Sprint(i/2+1), "SELECT COUNT(*) FROM items WHERE n = ?", 5)
	}
}

// Rows of a statement with a name come as they are made, and the first ones before the last.
func TestNamedStream(t *testing.T) {
	_, c := newNamed(t, "CREATE TABLE numbers (id INT PRIMARY KEY)")
	c.exec(pg + "INSERT INTO numbers SELECT generate_series(1, 300000)")
	for range 2 {
		rows, err := c.QueryContext(t.Context(), "SELECT id, REPEAT('x', 200) FROM numbers WHERE id > ? ORDER BY id", 0)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for rows.Next() {
			var id int
			var text string
			if err := rows.Scan(&id, &text); err != nil {
				t.Fatal(err)
			}
			if n++; id != n || len(text) != 200 {
				t.Fatalf("row %d is %d with %d bytes", n, id, len(text))
			}
		}
		if err := rows.Err(); err != nil || n != 300000 {
			t.Errorf("%d rows, %v", n, err)
		}
		// An error behind rows.
		rows, err = c.QueryContext(t.Context(), "SELECT id, EXP(id DIV 100000 * 800) FROM numbers WHERE id > ? ORDER BY id", 0)
		if err != nil {
			t.Fatal(err)
		}
		for n = 0; rows.Next(); {
			n++
		}
		if n < 1000 || n >= 100000 {
			t.Errorf("%d rows in front of %v", n, rows.Err())
		}
	}
}
