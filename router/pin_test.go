package router

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// condText is a condition as text, with the precedence of its outermost operator, and as a function of the row.
type condText struct {
	text string
	prec int // OR 1, XOR 2, AND 3, NOT 4, comparison 5
	eval func(k, x int) bool
}

// wrap puts brackets around the text where MySQL needs them, and sometimes where it does not.
// https://dev.mysql.com/doc/refman/8.4/en/operator-precedence.html
func (c condText) wrap(prec int, rnd *rand.Rand) string {
	if c.prec < prec || rnd.IntN(4) == 0 {
		return "(" + c.text + ")"
	}
	return c.text
}

// randomCond makes a condition on the columns k and x.
func randomCond(rnd *rand.Rand, depth int) condText {
	if depth == 0 || rnd.IntN(5) == 0 {
		n, m := rnd.IntN(8)-2, rnd.IntN(8)-2
		switch rnd.IntN(8) {
		case 0, 1:
			return condText{fmt.Sprintf("k = %d", n), 5, func(k, _ int) bool { return k == n }}
		case 2:
			return condText{fmt.Sprintf("'%d' = o.k", n), 5, func(k, _ int) bool { return k == n }}
		case 3:
			return condText{fmt.Sprintf("k IN (%d, %d)", n, m), 5, func(k, _ int) bool { return k == n || k == m }}
		case 4:
			return condText{fmt.Sprintf("k NOT IN (%d, %d)", n, m), 5, func(k, _ int) bool { return k != n && k != m }}
		case 5:
			return condText{fmt.Sprintf("k BETWEEN %d AND %d", n, m), 5, func(k, _ int) bool { return n <= k && k <= m }}
		case 6:
			return condText{fmt.Sprintf("k <=> %d.0", n), 5, func(k, _ int) bool { return k == n }}
		}
		return condText{fmt.Sprintf("x = %d", n), 5, func(_, x int) bool { return x == n }}
	}
	a, b := randomCond(rnd, depth-1), randomCond(rnd, depth-1)
	switch rnd.IntN(7) {
	case 0, 1, 2:
		return condText{a.wrap(3, rnd) + " AND " + b.wrap(4, rnd), 3, func(k, x int) bool { return a.eval(k, x) && b.eval(k, x) }}
	case 3, 4:
		return condText{a.wrap(1, rnd) + " or " + b.wrap(2, rnd), 1, func(k, x int) bool { return a.eval(k, x) || b.eval(k, x) }}
	case 5:
		return condText{a.wrap(2, rnd) + " XOR " + b.wrap(3, rnd), 2, func(k, x int) bool { return a.eval(k, x) != b.eval(k, x) }}
	}
	return condText{"NOT " + a.wrap(4, rnd), 4, func(k, x int) bool { return !a.eval(k, x) }}
}

// TestPinsLetNoRowEscape compares the plans of random conditions with what the conditions mean: every row that satisfies one is
// on a backend of its plan. It also counts the plans, so that refusing everything is no way to pass.
func TestPinsLetNoRowEscape(t *testing.T) {
	r := newRouter(t, parseConfig(t, "backend a\nbackend b\nbackend c\nbackend d\ntable shop.o by k modulo a b c d"))
	rnd := rand.New(rand.NewPCG(1, 2))
	plans, narrow := 0, 0
	for range 4_000 {
		c := randomCond(rnd, 4)
		p, err := r.Plan([]byte("SELECT * FROM o WHERE "+c.text), "shop", 0)
		if err != nil {
			if !strings.Contains(err.Error(), "does not say") {
				t.Fatalf("%s: %v", c.text, err)
			}
			continue
		}
		plans++
		if len(p.Parts) == 1 {
			narrow++
		}
		for k := -10; k <= 10; k++ {
			for x := -3; x <= 6; x++ {
				home := ((k % 4) + 4) % 4
				if c.eval(k, x) && !slices.ContainsFunc(p.Parts, func(q Part) bool { return q.Backend == home }) {
					t.Fatalf("%s: row k=%d x=%d is on backend %d, the plan is %v", c.text, k, x, home, p.Parts)
				}
			}
		}
	}
	if plans < 400 || narrow < 100 {
		t.Fatalf("only %d plans, %d of them on one backend", plans, narrow)
	}
}
