package router

import (
	"testing"
)

// TestLearn: what answers show of the columns changes the next plan of the shape, whatever its literals; what cannot be compared makes
// it a refusal.
func TestLearn(t *testing.T) {
	r := newRouter(t, parseConfig(t, "backend a\nbackend b\nschema shop a\ntable shop.orders by customer modulo a b\n"))
	plan := func(sql string) *Plan {
		t.Helper()
		p, err := r.Plan([]byte(sql), "shop", 0)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct {
		sql  string
		i    int
		form Form
		want string
	}{
		{"SELECT name FROM orders ORDER BY name LIMIT 1, 2", 0, Weight, "SELECT name, WEIGHT_STRING(name) AS `xaproxy 1`, COLLATION(name) AS `xaproxy 2` FROM orders ORDER BY name LIMIT 3[0/4@-2 hidden 2 limit 1,2]"},
		{"SELECT id FROM orders o ORDER BY o.at DESC", 0, Moment, "SELECT id, o.at AS `xaproxy 1`, UNIX_TIMESTAMP(o.at) AS `xaproxy 2` FROM orders o ORDER BY o.at DESC[-2/3@-1desc hidden 2]"},
		{"SELECT f, e FROM orders ORDER BY 2", 0, Number, "SELECT f, e, (e) + 0 AS `xaproxy 1` FROM orders ORDER BY 2[1/2@-1 hidden 1]"},
		{"SELECT *, f FROM orders ORDER BY 2", 0, Weight, "SELECT *, f FROM orders ORDER BY 2[1]"}, // it cannot be said what to weigh
		{"SELECT MIN(f), AVG(x) FROM orders", 0, Double, "SELECT MIN(f), AVG(x), (MIN(f)) + 0e0 AS `xaproxy 1`, SUM(x) AS `xaproxy 2`, COUNT(x) AS `xaproxy 3` FROM orders[ group min(0/1@-3) avg(1)=-2/-1 hidden 3]"},
		{"SELECT DISTINCT x FROM orders LIMIT 3", 0, Weight, "SELECT DISTINCT x, WEIGHT_STRING(x) AS `xaproxy 1`, COLLATION(x) AS `xaproxy 2` FROM orders ORDER BY 1[0/4@-2 group  hidden 2 limit 0,3]"},
		{"SELECT COUNT(*) FROM orders GROUP BY x, y ORDER BY y", 0, Weight, "SELECT COUNT(*), y AS `xaproxy 1`, WEIGHT_STRING(MIN(y)) AS `xaproxy 2`, COLLATION(MIN(y)) AS `xaproxy 3`, x AS `xaproxy 4` FROM orders GROUP BY x, y ORDER BY y, `xaproxy 4`[-4/4@-3 -1 group sum(0) hidden 4]"},
	} {
		p := plan(c.sql)
		p.Stream.Learn(c.i, c.form)
		p = plan(c.sql)
		text := c.sql
		if p.Parts[0].SQL != nil {
			text = string(p.Parts[0].SQL)
		}
		if got := text + streamed(p.Stream); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.sql, got, c.want)
		}
		p.Stream.Learn(len(p.Stream.Keys)+len(p.Stream.Folds)-1, Impossible)
		if p := plan(c.sql); p.Merge != MergeScratch {
			t.Errorf("%s: %v after it was learnt to be impossible", c.sql, p.Merge)
		}
	}
}
