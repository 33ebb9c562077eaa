package router

import (
	"strings"
	"testing"
	"time"
)

// TestLongList: what a list of values costs grows with its length, not with its square.
func TestLongList(t *testing.T) {
	r := newRouter(t, parseConfig(t, testConfig))
	sql := "SELECT id FROM orders WHERE customer IN (7" + strings.Repeat(", 7", 300_000) + ")"
	start := time.Now()
	p, err := r.Plan([]byte(sql), "shop", 0)
	if err != nil || len(p.Parts) != 1 {
		t.Fatal(p, err)
	}
	if took := time.Since(start); took > 30*time.Second { // it was half an hour
		t.Errorf("%d bytes took %v", len(sql), took)
	}
	if n := r.cache.shapes(); n != 0 {
		t.Errorf("%d shapes that are as long are kept", n)
	}
}
