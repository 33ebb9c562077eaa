//go:build !race

package router

import "testing"

// TestNoAllocation: what most statements do on their way costs no memory. (With the race detector sync.Pool forgets at random.)
func TestNoAllocation(t *testing.T) {
	r := newRouter(t, parseConfig(t, testConfig))
	for name, sql := range hotStatements() {
		if n := testing.AllocsPerRun(200, func() {
			if _, err := r.Plan(sql, "shop", 0); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
