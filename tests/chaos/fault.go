package chaos

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"
)

// trigger is the hook of both taps: it stops the first branch that comes to a chosen step, while something is broken.
// Otherwise everything passes. It is safe for concurrent use.
type trigger struct {
	mu     sync.Mutex // protects the following
	armed  *aim
	gtrids map[int]string // of the transfers that have come by
}

// aim is a step to wait for.
type aim struct {
	step  Step
	point Point
	hit   chan Event // gets the event when it has come
	done  chan Verdict
}

// arm makes the trigger wait for a step. Whoever reads hit must send on done.
func (t *trigger) arm(step Step, point Point) *aim {
	a := &aim{step: step, point: point, hit: make(chan Event, 1), done: make(chan Verdict, 1)}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed = a
	return a
}

// disarm lets everything pass.
func (t *trigger) disarm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed = nil
}

// wait waits until a branch has come to the step, or aimTime is over.
func (t *trigger) wait(a *aim) (e Event, ok bool) {
	select {
	case e := <-a.hit:
		return e, true
	case <-time.After(aimTime):
	}
	t.disarm()
	select {
	case e := <-a.hit: // at the last moment
		return e, true
	default:
		return Event{}, false
	}
}

func (t *trigger) hook(e Event) Verdict {
	if e.Point == Asked {
		t.note(e)
	}
	if e.Opening == "" || e.Step == Other { // recovery's connections are hit by chance, not by aim
		return Pass
	}
	t.mu.Lock()
	a := t.armed
	if a == nil || a.step != e.Step || a.point != e.Point {
		t.mu.Unlock()
		return Pass
	}
	t.armed = nil
	a.hit <- e // before anybody can see that it is no longer armed
	t.mu.Unlock()
	return <-a.done
}

// note learns which transaction of the proxy a transfer is, so that the proxy's log can be searched for it.
func (t *trigger) note(e Event) {
	number := transferNumber.FindStringSubmatch(e.Text)
	gtrid := startedXID.FindStringSubmatch(e.Opening)
	if number == nil || gtrid == nil {
		return
	}
	tx, err := strconv.Atoi(number[1])
	if err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gtrids == nil {
		t.gtrids = make(map[int]string)
	}
	t.gtrids[tx] = gtrid[1]
}

var (
	transferNumber = regexp.MustCompile(`INTO applied \(account, tx, n\) VALUES \(\d+, (\d+),`)
	startedXID     = regexp.MustCompile(`XA START '([^']+)'`)
)

// gtrid returns the name that the proxy gave to a transfer, or "".
func (t *trigger) gtrid(tx int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.gtrids[tx]
}

// fault is one way to break something.
type fault struct {
	name   string
	weight int
	aimed  bool // it only makes sense at a step
	// do breaks and mends it. side is the server that the trigger was hit at, or one drawn; let makes the branch go on that
	// was stopped there, and must be called once.
	do func(w *world, ctx context.Context, side int, let func(Verdict)) error
}

var faults = []fault{
	{"proxy killed", 6, false, (*world).killProxy},
	{"server killed", 4, false, (*world).killServer},
	{"proxy and server killed", 2, false, (*world).killBoth},
	{"proxy frozen", 1, false, (*world).freezeProxy},
	{"server frozen", 3, false, (*world).freezeServer},
	{"connection cut", 6, true, (*world).cutOne},
	{"all connections to a server cut", 2, false, (*world).cutAll},
}

// aims are the steps that are drawn, those more often that have more to lose.
var (
	aims   = []Step{Start, Prepare, Prepare, Prepare, Commit, Commit, Commit, Commit, OnePhase, OnePhase, Rollback}
	points = []Point{Asked, Answered, Told}
)

const (
	maxPause  = 500 * time.Millisecond // between two faults
	maxFreeze = 3 * time.Second
	// aimTime is how long the trigger waits for its step.
	aimTime = 500 * time.Millisecond
)

// breakThings breaks one thing after the other until ctx ends, and leaves everything running.
func (w *world) breakThings(ctx context.Context) error {
	total := 0
	for _, f := range faults {
		total += f.weight
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(w.upTo(maxPause)):
		}
		n := w.rand.IntN(total)
		for _, f := range faults {
			if n -= f.weight; n < 0 {
				// A fault that has begun is mended, whatever becomes of ctx.
				if err := w.inject(context.WithoutCancel(ctx), f); err != nil {
					return fmt.Errorf("%s: %w", f.name, err)
				}
				break
			}
		}
	}
}

func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.rand.Int64N(int64(d))) }

// inject waits for a step that is drawn, breaks something there, and mends it. One fault in four comes at no step.
func (w *world) inject(ctx context.Context, f fault) error {
	side, where, let := w.rand.IntN(len(w.servers)), "", func(Verdict) {}
	step, point := aims[w.rand.IntN(len(aims))], points[w.rand.IntN(len(points))]
	if f.aimed || w.rand.IntN(4) > 0 {
		a := w.trigger.arm(step, point)
		if e, ok := w.trigger.wait(a); ok {
			side, where = slices.Index(backendNames[:], e.Tap), fmt.Sprintf("%s %s", step, point)
			let = func(v Verdict) { a.done <- v }
		}
	}
	switch {
	case where == "" && f.aimed:
		return nil
	case where == "":
		where = "at no step"
	}
	w.tally.fault(f.name + ", " + where)
	return f.do(w, ctx, side, let)
}

func (w *world) killProxy(ctx context.Context, _ int, let func(Verdict)) error {
	if err := w.alive(); err != nil {
		let(Cut)
		return err
	}
	err := w.proxy.Kill()
	let(Cut)
	if err != nil {
		return err
	}
	doubtful, err := w.look(ctx, 0, 1)
	if err != nil {
		return err
	}
	if err := w.proxy.Restart(ctx); err != nil {
		return err
	}
	return w.resolve(ctx, doubtful)
}

func (w *world) killServer(ctx context.Context, side int, let func(Verdict)) error {
	err := w.servers[side].Kill()
	let(Cut)
	if err != nil {
		return err
	}
	if err := w.servers[side].Restart(ctx); err != nil {
		return err
	}
	doubtful, err := w.look(ctx, side)
	if err != nil {
		return err
	}
	return w.resolve(ctx, doubtful)
}

// killBoth kills proxy and server, and starts them again in an order that is drawn.
func (w *world) killBoth(ctx context.Context, side int, let func(Verdict)) error {
	if err := w.alive(); err != nil {
		let(Cut)
		return err
	}
	err := errors.Join(w.proxy.Kill(), w.servers[side].Kill())
	let(Cut)
	if err != nil {
		return err
	}
	doubtful, err := w.look(ctx, 1-side)
	if err != nil {
		return err
	}
	if w.rand.IntN(2) == 0 {
		err = errors.Join(w.proxy.Restart(ctx), w.servers[side].Restart(ctx))
	} else if err = w.servers[side].Restart(ctx); err == nil {
		var more []string
		if more, err = w.look(ctx, side); err == nil {
			doubtful = append(doubtful, more...)
			err = w.proxy.Restart(ctx)
		}
	}
	if err != nil {
		return err
	}
	return w.resolve(ctx, doubtful)
}

func (w *world) freezeProxy(_ context.Context, _ int, let func(Verdict)) error {
	err := w.proxy.Freeze()
	let(Pass)
	if err != nil {
		return err
	}
	<-time.After(w.upTo(maxFreeze))
	return w.proxy.Thaw()
}

func (w *world) freezeServer(ctx context.Context, side int, let func(Verdict)) error {
	err := w.servers[side].Freeze()
	let(Pass)
	if err != nil {
		return err
	}
	<-time.After(w.upTo(maxFreeze))
	if err := w.servers[side].Thaw(); err != nil {
		return err
	}
	doubtful, err := w.look(ctx, side)
	if err != nil {
		return err
	}
	return w.resolve(ctx, doubtful)
}

func (w *world) cutOne(_ context.Context, _ int, let func(Verdict)) error {
	let(Cut)
	return nil
}

func (w *world) cutAll(_ context.Context, side int, let func(Verdict)) error {
	w.taps[side].CutAll()
	let(Cut)
	return nil
}

// alive returns an error if the proxy has ended by itself.
func (w *world) alive() error {
	if !w.proxy.Running() {
		return errors.New("xaproxy has ended by itself")
	}
	return nil
}

// look lists the branches that some servers hold prepared, right after something was killed.
func (w *world) look(ctx context.Context, sides ...int) ([]string, error) {
	var all []string
	for _, i := range sides {
		branches, err := w.prepared(ctx, i)
		if err != nil {
			return nil, err
		}
		all = append(all, branches...)
	}
	w.tally.sawInDoubt(len(all))
	return all, nil
}

// resolve waits until the branches that were in doubt are no more.
func (w *world) resolve(ctx context.Context, doubtful []string) error {
	took, left, err := w.awaitNothing(ctx, func(b string) bool { return slices.Contains(doubtful, b) })
	if err != nil {
		return err
	}
	w.tally.inDoubtFor(took)
	for _, b := range left {
		w.tally.violation("%s is in doubt for more than %s after everything runs again", b, maxInDoubt)
	}
	return nil
}
