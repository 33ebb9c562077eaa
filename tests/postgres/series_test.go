package postgres_test

import (
	"strconv"
	"strings"
	"testing"
)

// since tells whether the server is of that series or a newer one. What a series does not have is not tested on it.
func (f *face) since(series int) bool {
	major, _, _ := strings.Cut(f.server.Version, ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		f.t.Fatal(err)
	}
	return n >= series
}

// TestRestrict: a row that others refer to is error 1451, for which PostgreSQL has SQLSTATEs of its own from series to series.
func TestRestrict(t *testing.T) {
	for _, action := range []string{"", "ON DELETE RESTRICT ON UPDATE RESTRICT"} {
		f := newFace(t)
		c := f.conn()
		c.exec("CREATE TABLE above (id INT PRIMARY KEY)")
		c.exec("CREATE TABLE below (id INT PRIMARY KEY, up INT, CONSTRAINT up FOREIGN KEY (up) REFERENCES above (id) " + action + ")")
		c.exec("INSERT INTO above VALUES (1)")
		c.exec("INSERT INTO below VALUES (1, 1)")
		for _, change := range []string{"DELETE FROM above", "UPDATE above SET id = 2"} {
			if got := c.fails(1451, change); !strings.HasPrefix(got, "1451 (23000): Cannot delete or update a parent row: a foreign key constraint fails (constraint 'up')") {
				t.Errorf("%q: %s: %s", action, change, got)
			}
		}
		c.fails(1452, "INSERT INTO below VALUES (2, 7)")
	}
}

// TestTablesOfSeries: tables that PostgreSQL's own words made, with what younger series have.
func TestTablesOfSeries(t *testing.T) {
	f := newFace(t)
	if err := f.dialer.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := f.conn()
	c.wantRows("", "SELECT CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS")
	c.wantRows("", "SELECT CONSTRAINT_NAME FROM information_schema.KEY_COLUMN_USAGE")

	kind := "STORED"
	if f.since(18) {
		kind = "VIRTUAL"
		f.psql("CREATE EXTENSION btree_gist",
			"CREATE TABLE room (id int, during int4range, guest text, PRIMARY KEY (id, during WITHOUT OVERLAPS))",
			"CREATE TABLE late (id int PRIMARY KEY, n int, m int NOT NULL, CHECK (m > 0) NOT ENFORCED)",
			"INSERT INTO late VALUES (1, 5, -5), (2, NULL, 6), (3, 4, 7)",
			"ALTER TABLE late ADD CONSTRAINT given NOT NULL n NOT VALID")
		c.wantRows("2|NULL\n3|4\n1|5", "SELECT id, n FROM late ORDER BY n") // PostgreSQL's own has NULL last
		c.wantRows("2", "SELECT id FROM late WHERE n IS NULL")
		c.wantRows("late_m_check|CHECK|NO\nPRIMARY|PRIMARY KEY|YES", "SELECT CONSTRAINT_NAME, CONSTRAINT_TYPE, ENFORCED FROM information_schema.TABLE_CONSTRAINTS WHERE TABLE_NAME = 'late' ORDER BY 1")
		c.fails(1048, "INSERT INTO late VALUES (4, NULL, 1)")
		c.exec("INSERT INTO late VALUES (4, 1, -1)")

		c.exec("INSERT INTO room VALUES (1, '[1,5)', 'a')")
		c.fails(1062, "INSERT INTO room VALUES (1, '[2,3)', 'b')")
		c.exec("INSERT IGNORE INTO room VALUES (1, '[2,3)', 'b')")
		for _, meeting := range []string{"INSERT INTO room VALUES (1, '[1,5)', 'b') ON DUPLICATE KEY UPDATE guest = VALUES(guest)", "REPLACE INTO room VALUES (1, '[2,3)', 'b')"} {
			if got := c.fails(1235, meeting); !strings.Contains(got, "WITHOUT OVERLAPS") {
				t.Errorf("%s: %s", meeting, got)
			}
		}
		c.wantRows("1|[1,5)|a", "SELECT * FROM room")
	}
	f.psql("CREATE TABLE twice (id int PRIMARY KEY, n int NOT NULL, two int GENERATED ALWAYS AS (n * 2) " + kind + ", size int GENERATED ALWAYS AS (abs(n)) STORED)")
	c.wantRows("id|int|NO|PRI|NULL|\nn|int|NO||NULL|\ntwo|int|YES||NULL|"+kind+" GENERATED\nsize|int|YES||NULL|STORED GENERATED", "DESCRIBE twice")
	c.wantRows("two|NULL|"+kind+" GENERATED", "SELECT COLUMN_NAME, COLUMN_DEFAULT, EXTRA FROM information_schema.COLUMNS WHERE TABLE_NAME = 'twice' AND COLUMN_NAME = 'two'")
	if got := c.rows("SHOW CREATE TABLE twice"); !strings.Contains(got, "`two` int GENERATED ALWAYS AS ((n * 2)) "+kind+",") || !strings.Contains(got, "`size` int GENERATED ALWAYS AS (abs(n)) STORED,") {
		t.Error(got)
	}
	c.exec("INSERT INTO twice (id, n) VALUES (1, 2), (2, 3)")
	c.exec("INSERT INTO twice (id, n) VALUES (1, 4) ON DUPLICATE KEY UPDATE n = VALUES(n)")
	c.exec("UPDATE twice SET n = n + 1 WHERE two = 6")
	c.exec("CREATE TABLE again LIKE twice")
	c.exec("INSERT INTO again (id, n) SELECT id, n FROM twice")
	c.wantRows("1|4|8|4\n2|4|8|4", "SELECT * FROM again ORDER BY id")
	c.fails(3105, "INSERT INTO twice (id, n, two) VALUES (3, 1, 2)")
	c.fails(3105, "UPDATE twice SET two = 1")

	if f.since(17) { // the provider "builtin"
		f.psql("CREATE TABLE word (id int PRIMARY KEY, w text COLLATE pg_catalog.pg_c_utf8)", "INSERT INTO word VALUES (1, 'b'), (2, 'É'), (3, 'A'), (4, 'a')")
		c.wantRows("3|1\n4|1\n1|0\n2|0", "SELECT id, w < 'b' FROM word ORDER BY w")
	}
}
