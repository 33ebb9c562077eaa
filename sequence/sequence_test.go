package sequence

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

// counter is a Counter in memory that can fail.
type counter struct {
	mu    sync.Mutex
	next  uint64
	takes int
	fails error
}

func (c *counter) Take(_ context.Context, n uint64) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fails != nil {
		return 0, c.fails
	}
	c.takes++
	c.next += n
	return c.next - n, nil
}

func (c *counter) Raise(_ context.Context, least uint64) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = max(c.next, least)
	return c.next, c.fails
}

func take(t *testing.T, s Sequence, n uint64) uint64 {
	t.Helper()
	first, err := s.Take(context.Background(), n)
	if err != nil {
		t.Fatal(err)
	}
	return first
}

func pass(t *testing.T, s Sequence, v uint64) {
	t.Helper()
	if err := s.Pass(context.Background(), v); err != nil {
		t.Fatal(err)
	}
}

func TestBlocks(t *testing.T) {
	c := &counter{next: 1}
	b := NewBlocks(c, 10)
	var got []uint64
	for _, n := range []uint64{1, 4, 6, 25, 1} { // 6 do not fit into what is left, but the next block goes on there
		got = append(got, take(t, b, n))
	}
	if want := []uint64{1, 2, 6, 12, 37}; !slices.Equal(got, want) || c.takes != 3 {
		t.Errorf("got %d in %d blocks, want %d in 3", got, c.takes, want)
	}
	c.next = 1000                              // another proxy
	if first := take(t, b, 9); first != 1000 { // 8 are left of the old block
		t.Errorf("a run across two blocks begins at %d, want 1000", first)
	}
	take(t, b, 4) // a new block
	pass(t, b, 1015)
	if first := take(t, b, 1); first != 1016 {
		t.Errorf("after 1015 was passed comes %d", first)
	}
	pass(t, b, 500)
	if first := take(t, b, 1); first != 1017 {
		t.Errorf("after 500 was passed comes %d", first)
	}
	pass(t, b, 70000)
	if first := take(t, b, 1); first != 70001 {
		t.Errorf("after 70000 was passed comes %d", first)
	}
}

func TestBlocksAfterAnError(t *testing.T) {
	c := &counter{next: 1, fails: errors.New("gone")}
	b := NewBlocks(c, 10)
	if _, err := b.Take(context.Background(), 1); !errors.Is(err, c.fails) {
		t.Fatalf("got %v", err)
	}
	c.fails = nil
	if first := take(t, b, 1); first != 1 {
		t.Errorf("the first value is %d", first)
	}
	b.turn <- struct{}{} // somebody waits for the counter
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.Take(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a statement that was killed waits on: %v", err)
	}
}

// Several proxies and clients, and no value twice.
func TestUnique(t *testing.T) {
	c := &counter{next: 1}
	for name, all := range map[string][]Sequence{
		"blocks":    {NewBlocks(c, 7), NewBlocks(c, 50)},
		"snowflake": {NewSnowflake(0, time.Now), NewSnowflake(255, time.Now)},
	} {
		var mu sync.Mutex
		var wg sync.WaitGroup
		seen := map[uint64]bool{}
		for i := range 8 {
			wg.Go(func() {
				for n := range uint64(300) {
					n = 1 + n%20
					first, err := all[i%2].Take(context.Background(), n)
					mu.Lock()
					for v := first; v < first+n; v++ {
						if err != nil || v == 0 || seen[v] {
							t.Errorf("%s: %d came twice, or %v", name, v, err)
						}
						seen[v] = true
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
}

func TestSnowflake(t *testing.T) {
	now := time.UnixMilli(epoch + 1000)
	s := NewSnowflake(3, func() time.Time { return now })
	if first := take(t, s, 5); first != 1000<<22|3<<14 {
		t.Errorf("the first value is %#x", first)
	}
	last := take(t, s, 1)
	if last != 1000<<22|3<<14|5 {
		t.Errorf("the second value is %#x", last)
	}
	for i := range 40 {
		now = now.Add(time.Duration(i%5-3) * time.Millisecond) // also back, and before the epoch
		if i == 30 {
			now = time.UnixMilli(0)
		}
		first := take(t, s, maxRun/3)
		if first <= last || first>>14&0xff != 3 || (first+maxRun/3-1)>>14 != first>>14 {
			t.Errorf("%#x follows %#x", first, last)
		}
		last = first + maxRun/3 - 1
	}
	if _, err := s.Take(context.Background(), maxRun+1); err == nil {
		t.Error("a run may be longer than the counter")
	}
	if v := take(t, NewSnowflake(0, func() time.Time { return time.Time{} }), 1); v == 0 {
		t.Error("a value is 0")
	}
}
