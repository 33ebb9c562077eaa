package backend

import (
	"context"
	"fmt"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// pause keeps new statements from a backend.
type pause struct {
	by    string
	since time.Time
	over  chan struct{} // closed when it ends
}

// Pause lends no connections any more until Resume: who wants one waits for pool_wait and is refused then. What is lent stays lent, so transactions that have
// a branch there go on and end, and recovery has connections of its own. It reports false if the backend is paused already.
func (b *Backend) Pause(by string) bool {
	return b.paused.CompareAndSwap(nil, &pause{by: by, since: time.Now(), over: make(chan struct{})})
}

// Resume ends a pause, and reports false if there is none.
func (b *Backend) Resume() bool {
	p := b.paused.Swap(nil)
	if p != nil {
		close(p.over)
	}
	return p != nil
}

// Paused says who has paused the backend and when, "" if nobody has.
func (b *Backend) Paused() string {
	p := b.paused.Load()
	if p == nil {
		return ""
	}
	return fmt.Sprintf("paused by %s at %s: new statements wait for %s, and are refused then", p.by, p.since.UTC().Format(time.DateTime), b.Config.PoolWait.Std())
}

// passes waits until the backend is not paused.
func (b *Backend) passes(ctx context.Context) *wire.Error {
	limit := time.NewTimer(b.Config.PoolWait.Std())
	defer limit.Stop()
	for p := b.paused.Load(); p != nil; p = b.paused.Load() {
		select {
		case <-p.over:
		case <-limit.C:
			return wire.NewError(wire.CodeBackendDown, "backend %s is paused by an administrator and was not resumed within %s; try again later, or XAPROXY RESUME BACKEND",
				b.Config.Name, b.Config.PoolWait.Std())
		case <-ctx.Done():
			return wire.NewError(wire.CodeQueryInterrupted, "interrupted while backend %s was paused", b.Config.Name)
		}
	}
	return nil
}
