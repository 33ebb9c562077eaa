package dialect

import (
	"testing"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
)

// TestLenientGroupBy: without ONLY_FULL_GROUP_BY what is neither a key nor aggregated is a value of one of the rows of the group. Here they all have
// the same one.
func TestLenientGroupBy(t *testing.T) {
	p := newPair(t)
	o := dialect.Options{Schema: p.schema, Catalog: p, LenientGroupBy: true}
	if a := p.onMySQL("SET sql_mode = 'STRICT_TRANS_TABLES'"); a.err != nil {
		t.Fatal(a.err)
	}
	defer p.onMySQL("SET sql_mode = DEFAULT")
	for _, text := range []string{
		"CREATE TABLE g (id INT PRIMARY KEY, k INT, name VARCHAR(10), n DECIMAL(6,2), e ENUM('b','a'), at DATETIME(3))",
		"INSERT INTO g VALUES (1, 1, 'one', 1.5, 'a', '2024-01-01 10:00:00.5'), (2, 1, 'one', 1.5, 'a', '2024-01-01 10:00:00.5'), (3, 2, 'Two', NULL, 'b', NULL), (4, NULL, NULL, 4, NULL, '2024-01-02')",
		"SELECT k, name, COUNT(*) FROM g GROUP BY k ORDER BY k",
		"SELECT k, n, e, at, n + 1, CONCAT(name, k), SUM(id) FROM g GROUP BY k ORDER BY k",
		"SELECT name, SUM(id) s FROM g GROUP BY k HAVING name > 'a' ORDER BY name",
		"SELECT COUNT(*), name FROM g WHERE k = 1",
		"SELECT COUNT(*), name, n, e FROM g WHERE k = 99",
		"SELECT name, k FROM g GROUP BY name, k ORDER BY e, k",
		"SELECT x.name, COUNT(*) FROM (SELECT k, name FROM g GROUP BY k) x GROUP BY x.k ORDER BY x.name",
		"SELECT id, name FROM g GROUP BY id ORDER BY id",
		"SELECT k + 1, name FROM g GROUP BY k + 1 ORDER BY name",
		"SELECT (SELECT MAX(h.id) FROM g h WHERE h.k = g.k), g.name FROM g GROUP BY k ORDER BY g.name",
		"SELECT MAX(id), 'x', NULL, 7 FROM g GROUP BY k ORDER BY 1",
	} {
		if difference := p.compare(t.Context(), text, o); difference != "" {
			t.Errorf("%s\n  %s", text, difference)
		}
	}
	t.Logf("%d the same, %d failed on both, %d refused: %v", p.same, p.failed, p.refused, p.refusals)
	if p.refused > 0 {
		t.Error("some are refused")
	}
}
