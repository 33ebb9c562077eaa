//go:build !race

package proxy

import (
	"runtime"
	"testing"
)

// TestSessionAllocations: a statement that came before, and came in this form, passes through the whole proxy without an
// allocation. What the client and the server of this test allocate would count, too. With the race detector pools forget at
// random, so this is for builds without it.
func TestSessionAllocations(t *testing.T) {
	for _, w := range workloads {
		t.Run(w.name, func(t *testing.T) {
			c := startBench(t, 100)
			for range 100 {
				if err := w.once(c); err != nil {
					t.Fatal(err)
				}
			}
			if allocs := allocations(t, func() error { return w.once(c) }); allocs >= 0.1 {
				t.Errorf("%.2f allocations for each statement, want none", allocs)
			}
		})
	}
}

// TestAllocationsAreSeen: the measure of the test above sees one allocation in each statement.
func TestAllocationsAreSeen(t *testing.T) {
	c := startBench(t, 100)
	kept := make([][]byte, 0, 10*measured)
	allocs := allocations(t, func() error {
		kept = append(kept, make([]byte, 16))
		return c.text()
	})
	if allocs < 0.9 {
		t.Errorf("one allocation for each statement was measured as %.2f", allocs)
	}
}

// measured is how many statements are measured at one time.
const measured = 500

// allocations is the number of allocations of the whole program for each call of f: the least of several attempts, because
// timers and watchers allocate now and then, and a collection empties the pools.
func allocations(t *testing.T, f func() error) float64 {
	t.Helper()
	least := float64(measured)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range measured {
			if err := f(); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.Mallocs-before.Mallocs)/measured)
	}
	return least
}
