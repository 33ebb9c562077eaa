//go:build !race

package router

import "testing"

// TestNoAllocation: what most statements do on their way costs no memory. (With the race detector sync.Pool forgets at random.)
func TestNoAllocation(t *testing.T) {
	r := newRouter(t, parseConfig(t, testConfig))
	statements := hotStatements()
	statements["all shards"] = []byte("SELECT id, name FROM orders WHERE total > 5")
	for name, sql := range statements {
		if n := testing.AllocsPerRun(200, func() {
			if _, err := r.Plan(sql, "shop", 0); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	st, err := r.Prepare([]byte("SELECT id, name, total FROM orders WHERE customer = ? AND id = ?"), "shop", 0)
	if err != nil {
		t.Fatal(err)
	}
	all, err := r.Prepare([]byte("SELECT id FROM orders WHERE total > ?"), "shop", 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(200, func() {
		if p, err := all.Plan(nil); err != nil || len(p.Parts) < 2 {
			t.Fatal(p, err)
		}
	}); n != 0 {
		t.Errorf("prepared, all shards: %v allocations", n)
	}
	customer := int64(0) // captured, as in a session
	if n := testing.AllocsPerRun(200, func() {
		customer++
		if _, err := st.Plan(func(int) Value { return Value{Kind: ValueInt, Int: customer} }); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("bound: %v allocations", n)
	}
}
