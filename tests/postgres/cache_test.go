package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// A translation that is used once more is of the same settings, schema and tables; and values that only look alike have translations of their own.
func TestTranslationsKept(t *testing.T) {
	f := newFace(t, "CREATE SCHEMA other")
	if err := f.dialer.SetUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	c := f.conn()
	c.exec("CREATE TABLE items (id INT PRIMARY KEY, c VARCHAR(20) NOT NULL, e ENUM('5', 'b', 'c') NOT NULL, d DATE, n DECIMAL(20,2), u BIGINT UNSIGNED)")
	c.exec("CREATE TABLE other.items (id INT PRIMARY KEY, c VARCHAR(20) NOT NULL)")
	c.exec("INSERT INTO items VALUES (1, '5', '5', '2024-01-05', 5, 5), (2, '5x', 'b', NULL, 2, 18446744073709551615), (3, 'c', 'c', NULL, 3.5, 0)")
	c.exec("INSERT INTO other.items VALUES (1, 'other'), (2, 'two')")
	for range 2 {
		for id, want := range []string{"", "5", "5x", "c"} {
			c.wantRows(want, "SELECT c FROM items WHERE id = "+string(rune('0'+id)))
		}
		c.wantRows("1", "SELECT id FROM items WHERE e = 1") // by its number
		c.wantRows("2", "SELECT id FROM items WHERE e = 2")
		c.wantRows("1\n3", "SELECT id FROM items WHERE n > 2 AND n < 6 ORDER BY 1")
		c.wantRows("", "SELECT id FROM items WHERE u > 999999999999999999 AND id = 3")
		c.wantRows("2", "SELECT id FROM items WHERE u = 18446744073709551615")
		c.wantRows("0", "SELECT COUNT(*) FROM items WHERE id = 7 LIMIT 5")
		c.exec("USE other")
		c.wantRows("other", "SELECT c FROM items WHERE id = 1")
		c.exec("USE shop")
		if n, err := c.exec("UPDATE items SET n = 9 WHERE id = 1").RowsAffected(); err != nil {
			t.Error(err)
		} else if again, _ := c.exec("UPDATE items SET n = 9 WHERE id = 1").RowsAffected(); n+again > 1 || again != 0 {
			t.Errorf("%d and %d rows were changed", n, again)
		}
		found := f.conn(func(c *mysql.Config) { c.ClientFoundRows = true })
		if n, _ := found.exec("UPDATE items SET n = 9 WHERE id = 1").RowsAffected(); n != 1 {
			t.Errorf("%d rows were found", n)
		}
		c.exec("UPDATE items SET n = 5 WHERE id = 1")
	}
	// Another sql_mode reads the same text in another way.
	c.wantRows("c", `SELECT "c" FROM items WHERE id = 2`)
	c.exec("SET sql_mode = 'ANSI_QUOTES,STRICT_TRANS_TABLES'")
	c.wantRows("5x", `SELECT "c" FROM items WHERE id = 2`)
	c.exec("SET sql_mode = DEFAULT")
	// The session's own values are no other session's.
	c.exec("CREATE TABLE numbered (id INT AUTO_INCREMENT PRIMARY KEY, n INT)")
	other := f.conn()
	for i, c := range []*conn{c, other, c, other} {
		c.exec("INSERT INTO numbered (n) VALUES (1)")
		c.wantRows(string(rune('1'+i)), "SELECT id FROM numbered WHERE id = LAST_INSERT_ID() AND n = 1")
		c.wantRows(c.rows("SELECT CONNECTION_ID()"), "SELECT CONNECTION_ID() FROM numbered WHERE id = 1")
		c.exec("SET @mine = " + string(rune('1'+i)))
		c.wantRows(string(rune('1'+i)), "SELECT @mine FROM numbered WHERE id = 1")
		c.exec("SET max_heap_table_size = " + string(rune('1'+i)) + "0000000")
		c.wantRows(string(rune('1'+i))+"0000000", "SELECT @@max_heap_table_size FROM numbered WHERE id = 1")
	}
	// A table that is changed through xaproxy is seen to be another one, by every session.
	prepared := f.conn(func(c *mysql.Config) { c.InterpolateParams = false })
	prepared.wantRows("5", "SELECT c FROM items WHERE id = ?", 1)
	c.wantRows("", "SELECT id FROM items WHERE c = 8 AND id = 1") // of text
	c.exec("ALTER TABLE items DROP COLUMN c")
	other.fails(1054, "SELECT c FROM items WHERE id = 1")
	prepared.fails(1054, "SELECT c FROM items WHERE id = ?", 1)
	c.exec("ALTER TABLE items ADD COLUMN c INT NOT NULL DEFAULT 8")
	other.wantRows("8", "SELECT c FROM items WHERE id = 1")
	c.wantRows("1", "SELECT id FROM items WHERE c = 8 AND id = 1") // of numbers
	prepared.wantRows("8", "SELECT c FROM items WHERE id = ?", 1)
	// What is wrong is told about the client's own text.
	if said := c.fails(1235, "SELECT MATCH (c) AGAINST ('x') FROM items WHERE id = 1"); !strings.Contains(said, "position") {
		t.Error(said)
	}
	// Values of several types for one place.
	for _, v := range []any{int64(1), "1", 1.0, 1.5, uint64(1), []byte("1"), nil, int64(1)} {
		want := "8"
		if v == nil || v == 1.5 {
			want = ""
		}
		prepared.wantRows(want, "SELECT c FROM items WHERE id = ?", v)
	}
}
