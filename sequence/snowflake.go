package sequence

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// The bits of a value from the left: a zero, 41 bits of milliseconds since epoch, the node, a counter.
const (
	nodeBits    = 8
	counterBits = 14
	epoch       = 1_704_067_200_000 // 2024-01-01 00:00:00 UTC; 41 bits last until 2093

	maxRun = 1 << counterBits
)

// Snowflake is a Sequence of the clock. Its values grow also when the clock goes back, as long as it lives.
type Snowflake struct {
	node uint64
	now  func() time.Time

	mu   sync.Mutex // protects following fields
	last uint64     // the millisecond of the last value, since epoch
	used uint64     // values of this millisecond that are taken
}

// NewSnowflake returns the Sequence of a node, 0 to 255. No other may have its number.
func NewSnowflake(node int, now func() time.Time) *Snowflake {
	return &Snowflake{node: uint64(node), now: now, last: 1} // no value is 0, by which servers are told to choose
}

// Take returns the first of n values. When those of a millisecond are used up it takes the next one's, which the clock soon reaches.
func (s *Snowflake) Take(_ context.Context, n uint64) (uint64, error) {
	if n > maxRun {
		return 0, fmt.Errorf("%d values are needed at once and there are at most %d; send fewer rows at a time", n, maxRun)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := uint64(max(s.now().UnixMilli()-epoch, 0)); now > s.last {
		s.last, s.used = now, 0
	}
	if s.used+n > maxRun {
		s.last++
		s.used = 0
	}
	first := s.last<<(nodeBits+counterBits) | s.node<<counterBits | s.used
	s.used += n
	return first, nil
}

// Pass does nothing: the clock does not come to values that somebody else has chosen, unless they look like its own.
func (s *Snowflake) Pass(context.Context, uint64) error { return nil }
