package postgres

import (
	"strings"
	"testing"
)

// Only numbers that are nothing but values become parameters.
func TestMasked(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"SELECT c FROM t WHERE id = 5", "SELECT c FROM t WHERE id = ? <5>"},
		{"select c from t where id=5 and k<>6 or k >= 007 limit 1", "select c from t where id=? and k<>? or k >= ? limit 1 <5 6 007>"},
		{"UPDATE t SET n = 4 WHERE id = 5", "UPDATE t SET n = 4 WHERE id = ? <5>"},
		{"DELETE FROM t WHERE id = 5 ORDER BY 1 LIMIT 1", "DELETE FROM t WHERE id = ? ORDER BY 1 LIMIT 1 <5>"},
		{"SELECT a = 5 FROM t WHERE id = 6 GROUP BY 1 HAVING b = 7", "SELECT a = 5 FROM t WHERE id = ? GROUP BY 1 HAVING b = 7 <6>"},
		{"SELECT 'WHERE id = 5 AND' FROM t WHERE s = '6 AND' AND id = 7", "SELECT 'WHERE id = 5 AND' FROM t WHERE s = '6 AND' AND id = ? <7>"},
		{"SELECT c FROM t WHERE id = 5 UNION SELECT a = 6 FROM t WHERE id = 7", "SELECT c FROM t WHERE id = 5 UNION SELECT a = 6 FROM t WHERE id = ? <7>"},
		{"SELECT c FROM t WHERE id IN (SELECT a = 5 FROM u)", ""},
		{"SELECT c FROM t WHERE id = 5 + 1", ""},
		{"SELECT c FROM t WHERE id = -5", ""},
		{"SELECT c FROM t WHERE id = 5.0 AND x = 1e3", ""},
		{"SELECT c FROM t WHERE id = 1234567890123456789", ""},
		{"SELECT c FROM t WHERE id = 0x5 AND k = 5x", ""},
		{"SELECT c FROM t WHERE id = 5 AND k = ?", ""},
		{"SELECT c FROM t WHERE d > NOW() - INTERVAL 1 DAY AND e BETWEEN 1 AND 2", ""},
		{"SELECT c FROM t /* WHERE id = 5 AND */", ""},
		{"INSERT INTO t SELECT 1 FROM u WHERE id = 5", ""},
		{"SELECT c FROM t WHERE id = 5 /* 6 */ AND k = 7", "SELECT c FROM t WHERE id = ? /* 6 */ AND k = ? <5 7>"},
	} {
		list, err := split([]byte(c.text), true)
		if err != nil || len(list) != 1 {
			t.Fatal(c.text, err)
		}
		got, numbers := masked(&list[0], true)
		if got != "" {
			got += " <" + strings.Join(numbers, " ") + ">"
		}
		if got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.text, got, c.want)
		}
	}
}
