package chaos

import (
	"regexp"
	"strconv"
	"sync"
	"time"
)

// trigger is the hook of all taps: it stops the first branch that comes to a chosen step, while something is broken.
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
	startedXID     = regexp.MustCompile(`(?:XA START|PREPARE TRANSACTION) '([^'|]+)['|]`)
)

// gtrid returns the name that the proxy gave to a transfer, or "".
func (t *trigger) gtrid(tx int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.gtrids[tx]
}

// steps are those that are drawn to break something at, those more often that have more to lose.
func (s Store) steps() []Step {
	if s == Participant {
		return []Step{Start, Prepare, Prepare, Prepare, Decide, Decide, Decide, Decide, Commit, Commit, Commit, OnePhase, Rollback}
	}
	return []Step{Start, Prepare, Prepare, Prepare, Commit, Commit, Commit, Commit, OnePhase, OnePhase, Rollback}
}

var points = []Point{Asked, Answered, Told}

// aimTime is how long the trigger waits for its step.
const aimTime = 500 * time.Millisecond
