package postgres_test

import (
	"testing"
)

// Statements in MySQL's words have MySQL's answers, as text and prepared, with the insert id and the counts.
func TestTranslated(t *testing.T) {
	f := newFace(t)
	if err := f.dialer.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if there, err := f.dialer.IsSetUp(t.Context()); err != nil || !there {
		t.Fatalf("set up: %v, %v", there, err)
	}
	c := f.conn()
	for _, other := range []string{"sql_mode = 'STRICT_ALL_TABLES,TIME_TRUNCATE_FRACTIONAL'", "sql_mode = 'HIGH_NOT_PRECEDENCE'", "default_week_format = 3", "lc_time_names = 'de_DE'"} {
		c.fails(1235, "SET "+other)
	}
	c.exec("SET default_week_format = 0, lc_time_names = 'en_US', sql_mode = DEFAULT")
	c.wantRows("50|50", "SELECT @@innodb_lock_wait_timeout, @@innodb_lock_wait_timeout + 0")
	c.exec("CREATE TABLE `orders` (`id` INT NOT NULL AUTO_INCREMENT PRIMARY KEY, `name` VARCHAR(20), `n` BIGINT UNSIGNED, `at` DATETIME(3), `raw` VARBINARY(10))")
	r := c.exec("INSERT INTO `orders` (`name`, `n`) VALUES ('one', 18446744073709551615), ('two', 2)")
	if id, _ := r.LastInsertId(); id != 1 {
		t.Errorf("insert id %d, want 1", id)
	}
	if n, _ := r.RowsAffected(); n != 2 {
		t.Errorf("%d rows affected, want 2", n)
	}
	c.wantRows("1", "SELECT LAST_INSERT_ID()")
	c.wantRows("1|one|18446744073709551615|NULL", "SELECT id, name, n, at FROM orders WHERE name = 'ONE'")
	c.fails(1062, "INSERT INTO orders (id) VALUES (1)")
	c.exec("BEGIN")
	c.exec("UPDATE orders SET n = n - 1 WHERE id = 2")
	c.fails(1406, "UPDATE orders SET name = '123456789012345678901' WHERE id = 2")
	c.exec("COMMIT")
	c.wantRows("2|1", "SELECT id, n FROM orders WHERE id = 2")

	insert, err := c.PrepareContext(t.Context(), "INSERT INTO orders (name, n, at, raw) VALUES (?, ?, ?, ?)")
	if err != nil {
		t.Fatal(err)
	}
	defer insert.Close()
	if r, err := insert.Exec("it's", uint64(1<<63), "2026-01-31 12:00:00.125", []byte{0, 255}); err != nil {
		t.Fatal(err)
	} else if id, _ := r.LastInsertId(); id < 3 {
		t.Errorf("insert id %d", id)
	}
	for _, bad := range []struct {
		errno uint16
		args  []any
	}{
		{1366, []any{"a\x00", 1, nil, nil}},
		{1366, []any{"\xff", 1, nil, nil}},
		{1264, []any{"x", -1, nil, nil}},
		{1292, []any{"x", 1, "0000-00-00 00:00:00", nil}},
		{1406, []any{"x", 1, nil, []byte("12345678901")}},
	} {
		_, err := insert.Exec(bad.args...)
		wants(t, err, bad.errno, "EXECUTE")
	}
	query, err := c.PrepareContext(t.Context(), "SELECT id, name, n, at, raw FROM orders WHERE n > ? ORDER BY id DESC LIMIT ?")
	if err != nil {
		t.Fatal(err)
	}
	defer query.Close()
	var id int
	var name, at string
	var n uint64
	var raw []byte
	if err := query.QueryRow(2, 1).Scan(&id, &name, &n, &at, &raw); err != nil {
		t.Fatal(err)
	}
	if name != "it's" || n != 1<<63 || at != "2026-01-31 12:00:00.125" || string(raw) != "\x00\xff" {
		t.Errorf("%d %q %d %q %q", id, name, n, at, raw)
	}
}

// User variables have the values and types that SET and SELECT … INTO gave them.
func TestUserVariables(t *testing.T) {
	f := newFace(t)
	if err := f.dialer.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := f.conn()
	c.exec("CREATE TABLE v (id INT PRIMARY KEY, d DECIMAL(6,2), s VARCHAR(10), b BIGINT UNSIGNED)")
	c.exec("INSERT INTO v VALUES (1, 1.50, 'One', 18446744073709551615), (2, 2.25, 'two', 2)")
	c.exec("SET @n = 1, @s = 'ONE', @none = NULL, @neg = -5, @sum = (SELECT SUM(d) FROM v WHERE id <= 2), @big = CAST(7 AS UNSIGNED), @f = 1.5e0, @raw = _binary X'00ff'")
	c.wantRows("1|ONE|NULL|-5|3.75|7|1.5|NULL", "SELECT @n, @s, @none, @neg, @sum, @big, @f, @unset")
	c.wantRows("1|One", "SELECT id, s FROM v WHERE id = @n AND s = @s")
	c.wantRows("00FF|binary", "SELECT HEX(@raw), CHARSET(@raw)")
	c.exec("SELECT id, d, s, b INTO @a, @d, @t, @u FROM v WHERE id = 1")
	c.wantRows("1|1.50|One|18446744073709551615|2|3.00", "SELECT @a, @d, @t, @u, @a + 1, CAST(@d * 2 AS DECIMAL(6,2))")
	c.exec("SELECT id INTO @a FROM v WHERE id = 99")
	c.wantRows("Warning|1329|No data - zero rows fetched, selected, or processed", "SHOW WARNINGS")
	c.wantRows("1", "SELECT @a")
	c.fails(1172, "SELECT id INTO @a FROM v")
	c.fails(1222, "SELECT id, d INTO @a FROM v WHERE id = 1")
	c.exec("BEGIN")
	c.exec("UPDATE v SET d = d + @n WHERE s = @s")
	c.fails(1172, "SELECT id INTO @a FROM v")
	c.exec("SET @now = (SELECT d FROM v WHERE id = 1)")
	c.exec("COMMIT")
	c.wantRows("2.50|2.50", "SELECT @now, d FROM v WHERE id = 1")
	c.fails(1235, "SELECT @n := id FROM v")
}

// A row that is returned with a value that no client can be told is not there afterwards.
func TestReturning(t *testing.T) {
	f := newFace(t, "CREATE TABLE r (id int, f float8)")
	c := f.conn()
	c.fails(1367, pg+"INSERT INTO r VALUES (1, 'NaN') RETURNING f")
	c.fails(1367, pg+"WITH x AS (INSERT INTO r VALUES (2, 'NaN') RETURNING f) SELECT f FROM x")
	c.wantRows("3", pg+"INSERT INTO r VALUES (3, 1.5) RETURNING id")
	c.wantRows("3", pg+"SELECT string_agg(id::text, ',') FROM r")
	c.exec("BEGIN")
	c.fails(1367, pg+"INSERT INTO r VALUES (4, 'NaN') RETURNING f")
	c.exec(pg + "INSERT INTO r VALUES (5, 1)")
	c.exec("COMMIT")
	c.wantRows("3,5", pg+"SELECT string_agg(id::text, ',' ORDER BY id) FROM r")
}
