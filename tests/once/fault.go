package once

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xaproxy/xaproxy/tests/chaos"
)

const (
	maxFreeze = 3 * time.Second
	maxStall  = 100 * time.Millisecond
	// lookInterval is the pause between two looks at how far the clients are.
	lookInterval = 10 * time.Millisecond
)

// faults are the ways to break something as a whole, and to mend it. They are taken in turn.
var faults = []struct {
	name string
	do   func(*world, context.Context) error
}{
	{"xaproxy killed", func(w *world, ctx context.Context) error {
		f := w.front()
		return errors.Join(f.kill(), f.proxy.Restart(ctx))
	}},
	{"all connections of clients cut", func(w *world, _ context.Context) error {
		w.front().tap.CutAll()
		return nil
	}},
	{"server killed", func(w *world, ctx context.Context) error {
		s := w.servers[w.side()]
		return errors.Join(s.Kill(), s.Restart(ctx))
	}},
	{"all connections to a server cut", func(w *world, _ context.Context) error {
		w.front().backends[w.side()].CutAll()
		return nil
	}},
	{"xaproxy frozen", func(w *world, _ context.Context) error {
		f := w.front()
		if err := f.proxy.Freeze(); err != nil {
			return err
		}
		w.hold()
		return f.proxy.Thaw()
	}},
	{"xaproxy killed", func(w *world, ctx context.Context) error {
		f := w.front()
		return errors.Join(f.kill(), f.proxy.Restart(ctx))
	}},
	{"server frozen", func(w *world, _ context.Context) error {
		s := w.servers[w.side()]
		if err := s.Freeze(); err != nil {
			return err
		}
		w.hold()
		return s.Thaw()
	}},
	{"xaproxy and server killed", func(w *world, ctx context.Context) error {
		f, s := w.front(), w.servers[w.side()]
		return errors.Join(f.kill(), s.Kill(), s.Restart(ctx), f.proxy.Restart(ctx))
	}},
}

func (w *world) front() *front { return w.fronts[w.draw.IntN(len(w.fronts))] }
func (w *world) side() int     { return w.draw.IntN(len(w.servers)) }
func (w *world) hold()         { <-time.After(time.Duration(w.draw.Int64N(int64(maxFreeze)))) }

// breakThings breaks one thing after the other, each when the clients have done some more operations, until they are through.
func (w *world) breakThings(ctx context.Context) error {
	defer w.broken.Store(math.MaxInt32) // nobody waits for more
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for i := 0; ; i++ {
		for due := int64((i + 1) * w.o.FaultEvery); w.done.Load() < due; {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
		f := faults[i%len(faults)]
		w.tally.fault(f.name)
		w.broken.Add(1)
		if err := f.do(w, context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
}

// dice cut and stall single connections, at moments that are drawn. They are the hooks of the taps, and safe for concurrent use.
type dice struct {
	rolling atomic.Bool
	tally   *tally

	mu   sync.Mutex // protects the following
	draw *rand.Rand
}

// one reports true once in n times.
func (d *dice) one(n int) bool {
	if !d.rolling.Load() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.draw.IntN(n) == 0
}

// client is the hook between clients and a proxy: COMMIT is cut more often than the rest.
func (d *dice) client(e chaos.Event) chaos.Verdict {
	n := 500
	if e.Step == chaos.Commit {
		n = 25
	}
	if d.one(n) {
		d.tally.fault("one connection of a client cut, " + where(e))
		return chaos.Cut
	}
	return chaos.Pass
}

// backend is the hook between a proxy and a server.
func (d *dice) backend(e chaos.Event) chaos.Verdict {
	n := 1000
	switch e.Step {
	case chaos.Prepare, chaos.Decide, chaos.Fence, chaos.Commit, chaos.OnePhase:
		n = 120
	}
	switch {
	case d.one(n):
		d.tally.fault("one connection to a server cut, " + where(e))
		return chaos.Cut
	case d.one(n):
		d.tally.fault("one connection to a server stalled, " + where(e))
		d.mu.Lock()
		pause := time.Duration(d.draw.Int64N(int64(maxStall)))
		d.mu.Unlock()
		<-time.After(pause)
	}
	return chaos.Pass
}

func where(e chaos.Event) string { return fmt.Sprintf("%s %s", e.Step, e.Point) }
