package router

import (
	"testing"
	"time"
)

// Shapes in the plan cache are shown with what was counted of them, and a shape is one whatever its literals are.
func TestTally(t *testing.T) {
	r := newRouter(t, parseConfig(t, "backend a\nschema bank a\n"))
	for _, sql := range []string{"SELECT 'secret' FROM t WHERE id = 4711", "SELECT 'other' FROM t WHERE id = 4712"} {
		_, tally, err := r.Tallied([]byte(sql), "bank", 0)
		if err != nil {
			t.Fatal(err)
		}
		tally.Add(3 * time.Millisecond)
	}
	all := r.Cached()
	if len(all) != 1 {
		t.Fatalf("%d shapes, want 1", len(all))
	}
	got := all[0]
	if want := (Cached{Text: "SELECT ? FROM t WHERE id = ?", Plan: got.Plan, Bytes: got.Bytes, Count: 2, Total: 6 * time.Millisecond, Longest: 3 * time.Millisecond}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
