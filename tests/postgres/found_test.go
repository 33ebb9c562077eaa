package postgres_test

import (
	"slices"
	"testing"
)

// TestFoundRows asks MySQL and PostgreSQL's face what SQL_CALC_FOUND_ROWS has counted.
func TestFoundRows(t *testing.T) {
	m, p := newLoaders(t, "CREATE TABLE f (id INT PRIMARY KEY, a INT)", "INSERT INTO f VALUES (1, 1), (2, 1), (3, 2), (4, NULL), (5, 3)")
	for _, begin := range []string{"COMMIT", "BEGIN"} {
		for _, q := range []string{
			"SELECT SQL_CALC_FOUND_ROWS id FROM f ORDER BY id LIMIT 2", "SELECT SQL_CALC_FOUND_ROWS id FROM f WHERE a = 1 ORDER BY id LIMIT 1, 10", "SELECT SQL_CALC_FOUND_ROWS id FROM f LIMIT 100, 10",
			"SELECT SQL_CALC_FOUND_ROWS id, f.* FROM f ORDER BY id", "SELECT SQL_CALC_FOUND_ROWS a FROM f GROUP BY a ORDER BY a LIMIT 1", "SELECT SQL_CALC_FOUND_ROWS DISTINCT a FROM f ORDER BY a LIMIT 0",
			"SELECT SQL_CALC_FOUND_ROWS id FROM f WHERE a > 7 LIMIT 2", "SELECT SQL_CALC_FOUND_ROWS COUNT(*) FROM f LIMIT 1", "SELECT SQL_CALC_FOUND_ROWS id FROM f WHERE a = 2 LIMIT 1 FOR UPDATE",
		} {
			var answers [2][]string
			for i, l := range []*loader{m, p} {
				l.rows(begin)
				answers[i] = append(l.rows(q), l.rows("SELECT FOUND_ROWS()")...)
				l.rows("COMMIT")
			}
			if !slices.Equal(answers[0], answers[1]) {
				t.Errorf("%s\nMySQL: %v\nPostgreSQL: %v", q, answers[0], answers[1])
			}
		}
	}
}
