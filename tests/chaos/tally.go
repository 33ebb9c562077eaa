package chaos

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// tally counts what happens. It is safe for concurrent use.
type tally struct {
	transactions, acknowledged, rolledBack, unknown, refused atomic.Int64

	mu         sync.Mutex     // protects the following
	kills      map[string]int // by kind and step
	faults     int
	inDoubt    int // branches seen
	longest    time.Duration
	recoveries []time.Duration // from the kill of proxies until what they had left was finished
	violations []string
}

func (t *tally) fault(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kills[name]++
	t.faults++
}

func (t *tally) sawInDoubt(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inDoubt += n
}

func (t *tally) inDoubtFor(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.longest = max(t.longest, d)
}

func (t *tally) recovered(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recoveries = append(t.recoveries, d)
}

func (t *tally) violation(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.violations = append(t.violations, fmt.Sprintf(format, args...))
}
