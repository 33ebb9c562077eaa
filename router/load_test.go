package router

import (
	"errors"
	"testing"
)

// TestLoadLikeInsert: a line of a file goes where an INSERT of its key goes.
func TestLoadLikeInsert(t *testing.T) {
	r := newRouter(t, parseConfig(t, testConfig))
	p, err := r.Plan([]byte("LOAD DATA LOCAL INFILE 'x' INTO TABLE orders (customer, a)"), "shop", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"0", "5", "-5", "18446744073709551615", "Bob", "bob ", "05", "5.0", "", "ä"} {
		b, err := p.Load.Shard([]byte(key))
		one, insertErr := r.Plan([]byte("INSERT INTO orders (customer) VALUES ('"+key+"')"), "shop", 0)
		switch {
		case (err == nil) != (insertErr == nil):
			t.Errorf("%q: %v, inserted: %v", key, err, insertErr)
		case err == nil && b != one.Parts[0].Backend:
			t.Errorf("%q is on backend %d, inserted on %d", key, b, one.Parts[0].Backend)
		}
	}
	var why *Refusal
	if _, err := p.Load.Shard(nil); !errors.As(err, &why) || why.Pos != -1 {
		t.Errorf("NULL: %v", err)
	}
}
