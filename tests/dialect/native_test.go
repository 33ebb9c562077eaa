package dialect

import (
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
)

// TestTablesOfPostgres asks for a table that PostgreSQL's own words made, and for one on MySQL that is the same to a client.
func TestTablesOfPostgres(t *testing.T) {
	p := newPair(t)
	for _, text := range []string{
		"CREATE EXTENSION citext",
		`CREATE TABLE shop.n (id serial PRIMARY KEY, ok boolean NOT NULL DEFAULT true, u uuid, name text, short varchar(10), fixed char(5), ci citext, n numeric(8,2), big bigint,
			at timestamptz(0), made timestamp(3), doc jsonb)`,
		`INSERT INTO shop.n (ok, u, name, short, fixed, ci, n, big, at, made, doc) VALUES
			(true, '6ccd780c-baba-1026-9564-5b8c656024db', 'b', 'B', 'ab', 'Abc', 1.50, 1, '2024-01-01 00:00:00', '2024-01-01 00:00:00.5', '{"a": 1}'),
			(false, NULL, 'B', 'a', 'abc', 'ABC', NULL, NULL, NULL, NULL, NULL), (true, NULL, 'a', 'b', NULL, 'x', -2, 9, '2024-06-01 12:00:00', NULL, '[1]')`,
	} {
		must(t, p.pg, text)
	}
	for _, text := range []string{
		`CREATE TABLE n (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, ok TINYINT(1) NOT NULL DEFAULT 1, u CHAR(36) COLLATE utf8mb4_0900_bin, name LONGTEXT COLLATE utf8mb4_0900_bin,
			short VARCHAR(10) COLLATE utf8mb4_0900_bin, fixed CHAR(5) COLLATE utf8mb4_0900_bin, ci LONGTEXT, n DECIMAL(8,2), big BIGINT, at TIMESTAMP NULL, made DATETIME(3), doc JSON)`,
		`INSERT INTO n (ok, u, name, short, fixed, ci, n, big, at, made, doc) VALUES
			(true, '6ccd780c-baba-1026-9564-5b8c656024db', 'b', 'B', 'ab', 'Abc', 1.50, 1, '2024-01-01 00:00:00', '2024-01-01 00:00:00.5', '{"a": 1}'),
			(false, NULL, 'B', 'a', 'abc', 'ABC', NULL, NULL, NULL, NULL, NULL), (true, NULL, 'a', 'b', NULL, 'x', -2, 9, '2024-06-01 12:00:00', NULL, '[1]')`,
	} {
		if a := p.onMySQL(text); a.err != nil {
			t.Fatal(a.err)
		}
	}
	o := dialect.Options{Schema: p.schema, Catalog: p}
	for _, text := range []string{
		"SELECT * FROM n ORDER BY id",
		"SELECT id FROM n ORDER BY name",
		"SELECT id FROM n ORDER BY short DESC",
		"SELECT id FROM n WHERE name < 'a' ORDER BY id",
		"SELECT id FROM n WHERE name BETWEEN 'A' AND 'Z' ORDER BY id",
		"SELECT MAX(name), MIN(short), GREATEST('a', MAX(name)) FROM n",
		"SELECT DISTINCT short FROM n ORDER BY short",
		"SELECT name FROM n UNION SELECT short FROM n ORDER BY name",
		"SELECT id FROM n WHERE name = 'b'",
		"SELECT id FROM n WHERE name LIKE 'b%' ORDER BY id",
		"SELECT id FROM n WHERE fixed = 'ab'",
		"SELECT id, LENGTH(fixed), CONCAT('[', fixed, ']') FROM n ORDER BY id",
		"SELECT id FROM n WHERE ci = 'aBC' ORDER BY id",
		"SELECT id FROM n WHERE ci LIKE 'aB%' ORDER BY id",
		"SELECT id FROM n WHERE ci IN ('ABC', 'X') ORDER BY id",
		"SELECT id FROM n WHERE u = '6ccd780c-baba-1026-9564-5b8c656024db'",
		"SELECT id FROM n WHERE ok ORDER BY id",
		"SELECT id FROM n WHERE ok = 1 ORDER BY id",
		"SELECT id FROM n WHERE ok = TRUE AND big = '9' ORDER BY id",
		"SELECT SUM(ok), ok + 1, MAX(ok) FROM n GROUP BY ok ORDER BY ok",
		"UPDATE n SET ok = 0 WHERE id = 1",
		"UPDATE n SET ok = NOT ok",
		"UPDATE n SET ok = TRUE, name = 'B' WHERE name = 'b'",
		"UPDATE n SET n = n + 0.005, at = '2024-02-01', doc = '{\"b\": 2}' WHERE id = 1",
		"INSERT INTO n (ok, name) VALUES (1, 'new'), (FALSE, 'newer')",
		"INSERT INTO n (ok, short) VALUES (1, 'much too long')",
		"SELECT id, ok, name, n, at, doc->>'$.b' FROM n ORDER BY id",
		"DELETE FROM n WHERE ok = 0",
	} {
		if difference := p.compare(t.Context(), text, o); difference != "" {
			t.Errorf("%s\n  %s", text, difference)
		}
	}
	t.Logf("%d the same, %d failed on both, %d refused: %s", p.same, p.failed, p.refused, strings.Join(p.refusals, "; "))
}
