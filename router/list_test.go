package router

import (
	"errors"
	"strings"
	"testing"
)

// TestLongList: a long list of values is placed, its shape is not kept, and a longer one than that is refused before it costs anything.
func TestLongList(t *testing.T) {
	r := newRouter(t, parseConfig(t, testConfig))
	list := func(n int) []byte {
		return []byte("SELECT id FROM orders WHERE customer IN (7" + strings.Repeat(", 7", n-1) + ")")
	}
	p, err := r.Plan(list(20_000), "shop", 0)
	if err != nil || len(p.Parts) != 1 {
		t.Fatal(p, err)
	}
	if n := r.cache.shapes(); n != 0 {
		t.Errorf("%d shapes that are as long are kept", n)
	}
	var refused *Refusal
	if p, err := r.Plan(list(200_000), "shop", 0); !errors.As(err, &refused) || refused.Errno != 1235 {
		t.Errorf("200,000 values: %v, %v", p, err)
	}
	rows := "INSERT INTO orders (id, customer) VALUES (1, 7)" + strings.Repeat(", (2, 7)", 100_000)
	if p, err := r.Plan([]byte(rows), "shop", 0); err != nil || len(p.Parts) != 1 {
		t.Errorf("rows of an INSERT are no list: %v, %v", p, err)
	}
}
