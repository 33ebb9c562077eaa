package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// badValues are what a column cannot have, as a literal and as a bound value. The error has the number and names the column, and the value as
// shown unless that is "".
var badValues = []struct {
	column, literal string
	bound           any
	errno           uint16
	state, shown    string
}{
	{"name", `'a\0b'`, "a\x00b", 1366, "HY000", ""},
	{"txt", `'a\0b'`, "a\x00b", 1366, "HY000", ""},
	{"name", "'\xff'", "\xff", 1366, "HY000", ""},
	{"name", "'a\xe4b'", "a\xe4b", 1366, "HY000", ""},
	{"txt", "'\xed\xa0\x80'", "\xed\xa0\x80", 1366, "HY000", ""}, // half of a surrogate pair
	{"name", "'12345678901'", "12345678901", 1406, "22001", ""},
	{"n", "256", 256, 1264, "22003", "256"},
	{"n", "-1", -1, 1264, "22003", "-1"},
	{"n", "'x'", "x", 1366, "HY000", "x"},
	{"n", "1e3", 1e3, 1264, "22003", ""},
	{"id", "2147483648", 2147483648, 1264, "22003", "2147483648"},
	{"big", "9223372036854775808", uint64(1 << 63), 1264, "22003", "9223372036854775808"},
	{"b", "-1", -1, 1264, "22003", "-1"},
	{"b", "18446744073709551616", "18446744073709551616", 1264, "22003", "18446744073709551616"},
	{"d", "1000", 1000, 1264, "22003", "1000"},
	{"d", "'abc'", "abc", 1366, "HY000", "abc"},
	{"f", "1e39", 1e39, 1264, "22003", ""},
	{"day", "'0000-00-00'", "0000-00-00", 1292, "22007", "0000-00-00"},
	{"day", "'2024-02-30'", "2024-02-30", 1292, "22007", "2024-02-30"},
	{"day", "'2024-00-10'", "2024-00-10", 1292, "22007", "2024-00-10"},
	{"at", "'0000-00-00 00:00:00'", "0000-00-00 00:00:00", 1292, "22007", "0000-00-00 00:00:00"},
	{"at", "'2024-01-01 24:00:00'", "2024-01-01 24:00:00", 1292, "22007", "2024-01-01 24:00:00"},
	{"at", "'now'", "now", 1292, "22007", "now"},
	{"ts", "'0000-00-00'", "0000-00-00", 1292, "22007", "0000-00-00"},
	{"tm", "'838:59:59'", "838:59:59", 1292, "22007", "838:59:59"},
	{"tm", "'-01:00:00'", "-01:00:00", 1292, "22007", "-01:00:00"},
	{"en", "'blue'", "blue", 1265, "01000", ""},
	{"se", "'a,x'", "a,x", 1265, "01000", ""},
	{"raw", "x'0102030405'", []byte{1, 2, 3, 4, 5}, 1406, "22001", ""},
	{"y", "1900", 1900, 1264, "22003", "1900"},
	{"bits", "16", 16, 1264, "22003", ""}, // 1406 on MySQL
	{"j", `'{"a"'`, `{"a"`, 3140, "22032", ""},
	{"j", `'{"a": "\\u0000"}'`, `{"a": "\u0000"}`, 1366, "HY000", ""},
	{"need", "NULL", nil, 1048, "23000", ""},
}

const badTable = "CREATE TABLE bad (id INT PRIMARY KEY, name VARCHAR(10), txt TEXT, n TINYINT UNSIGNED, big BIGINT, b BIGINT UNSIGNED, d DECIMAL(5,2), f FLOAT, day DATE, at DATETIME(3), " +
	"ts TIMESTAMP NULL, tm TIME, en ENUM('red','green'), se SET('a','b'), raw VARBINARY(4), y YEAR, bits BIT(4), j JSON, need INT NOT NULL DEFAULT 0)"

// What a column cannot have is an error that names it, as text and prepared, and changes nothing.
func TestBadValues(t *testing.T) {
	f, p := newProxy(t)
	db := p.DB(t, "shop")
	if _, err := db.Exec(badTable); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO bad (id) VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	before := f.psql("SELECT * FROM bad")
	for _, v := range badValues {
		insert, update := "INSERT INTO bad (id, %s) VALUES (2, %s)", "UPDATE bad SET %s = %s WHERE id = 1"
		if v.column == "id" {
			insert = "INSERT INTO bad (%s) VALUES (%s)"
		}
		for _, form := range []string{insert, update} {
			statements := map[string]error{}
			text := fmt.Sprintf(form, v.column, v.literal)
			_, statements[text] = db.Exec(text)
			text = fmt.Sprintf(form, v.column, "?")
			st, err := db.Prepare(text)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			_, statements[fmt.Sprintf("%s of %q", text, v.bound)] = st.Exec(v.bound)
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
			for text, err := range statements {
				var said *mysql.MySQLError
				switch {
				case !errors.As(err, &said):
					t.Errorf("%s: %v, want error %d", text, err, v.errno)
				case said.Number != v.errno || string(said.SQLState[:]) != v.state:
					t.Errorf("%s: %v, want %d (%s)", text, err, v.errno, v.state)
				case !strings.Contains(said.Message, "'"+v.column+"'") || !strings.Contains(said.Message, v.shown):
					t.Errorf("%s: %v does not name column %s and value %s", text, err, v.column, v.shown)
				}
			}
		}
		if now := f.psql("SELECT * FROM bad"); now != before {
			t.Fatalf("%s of column %s has changed the table:\n%s", v.literal, v.column, now)
		}
	}
}

// Names that PostgreSQL would cut are refused, in whatever place.
func TestLongNames(t *testing.T) {
	_, p := newProxy(t)
	db := p.DB(t, "shop")
	long, wide, fits := strings.Repeat("x", 64), strings.Repeat("ä", 32), strings.Repeat("x", 63-len(".PRIMARY"))
	_, err := db.Exec("CREATE TABLE x" + fits + " (id INT PRIMARY KEY)") // whose key is called …x.PRIMARY
	wants(t, err, 1059, "a table with a long name")
	_, err = db.Exec("CREATE TABLE " + fits + " (id INT PRIMARY KEY, small TINYINT)") // with the check ….small range
	wants(t, err, 1059, "a table with a long name")
	if _, err := db.Exec("CREATE TABLE " + fits + " (" + fits + " INT PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{long, "`" + wide + "`"} {
		for _, text := range []string{
			"CREATE TABLE %s (id INT PRIMARY KEY)", "CREATE TABLE t (%s INT PRIMARY KEY)", "CREATE TABLE t (id INT PRIMARY KEY, KEY %s (id))", "SELECT 1 FROM %s", "SELECT 1 AS %s",
			"SELECT * FROM " + fits + " AS %s", "INSERT INTO " + fits + " (%s) VALUES (1)", "ALTER TABLE " + fits + " ADD %s INT",
		} {
			text = fmt.Sprintf(text, name)
			_, err := db.Exec(text)
			wants(t, err, 1059, text)
			if st, err := db.Prepare(text); err == nil {
				st.Close()
				t.Errorf("%s is prepared", text)
			}
		}
	}
}

// A session that is lost while its rows are on their way is an error behind the rows that came, in a transaction and without one, and the
// transaction is over.
func TestLostWhileStreaming(t *testing.T) {
	f, p := newProxy(t, "CREATE TABLE t (id int PRIMARY KEY)")
	db := p.DB(t, "shop")
	for _, inTransaction := range []bool{false, true} {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if inTransaction {
			for _, text := range []string{"BEGIN", "INSERT INTO t VALUES (1)"} {
				if _, err := c.ExecContext(t.Context(), text); err != nil {
					t.Fatal(err)
				}
			}
		}
		const total = 200_000 // of a kilobyte: the server waits for the client
		rows, err := c.QueryContext(t.Context(), fmt.Sprintf(pg+"SELECT i, repeat('x', 1000) FROM generate_series(1, %d) AS streamed(i)", total))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for n < 10 && rows.Next() {
			n++
		}
		if ended := f.psql("SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%AS streamed(i)' AND pid <> pg_backend_pid()) AS ended"); ended != "1" {
			t.Fatalf("%s sessions are ended, after %d rows", ended, n)
		}
		for rows.Next() {
			n++
		}
		if rows.Err() == nil || n >= total {
			t.Errorf("in a transaction %v: %d rows and %v", inTransaction, n, rows.Err())
		}
		if err := rows.Err(); inTransaction && (err == nil || !strings.Contains(err.Error(), "transaction rolled back on all backends")) {
			t.Errorf("in a transaction: %v", err)
		}
		if _, err := c.ExecContext(t.Context(), "COMMIT"); err != nil { // of nothing, as after a deadlock
			t.Error(err)
		}
		if err := c.Close(); err != nil && !strings.Contains(err.Error(), "bad connection") {
			t.Error(err)
		}
	}
	if left := f.psql("SELECT count(*) FROM t"); left != "0" {
		t.Errorf("%s rows of the transaction are there", left)
	}
}
