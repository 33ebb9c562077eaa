package xa_test

import (
	"strings"

	"github.com/xaproxy/xaproxy/xa"
)

// violations is a set of the invariants of package xa's comment.
type violations uint8

const (
	x1 violations = 1 << iota
	x2
	x3
	x4
	x5
	x6
	x7
	x8
)

func (v violations) String() string {
	var names []string
	for i, name := range []string{"X1", "X2", "X3", "X4", "X5", "X6", "X7", "X8"} {
		if v&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// check returns the invariants that do not hold in w. Invariants about the future ("ever will be") hold in every world
// because the explorer checks every world that can follow.
func (m *model) check(w *world) violations {
	bad := w.bad
	writers, fates := 0, 0 // fates: writers that are or will be committed
	anyCommitted := false
	for _, b := range w.b {
		if !b.writer() {
			continue
		}
		writers++
		anyCommitted = anyCommitted || b.hasCommitted()
		if w.willCommit(b) {
			fates++
		}
		if b.server == committed && !w.durable {
			bad |= x1
		}
	}
	for _, b := range w.b {
		// A record of a one-phase commit does not promise that its server agrees.
		if b.writer() && b.server == gone && w.durable && (writers > 1 || w.row == rowCommit || m.keyed) {
			bad |= x2
		}
	}
	if anyCommitted && fates < writers {
		bad |= x3
	}
	switch w.answer {
	case xa.Committed, xa.CommittedLate:
		if fates < writers {
			bad |= x5
		}
	case xa.RolledBack:
		if fates > 0 {
			bad |= x6
		}
	}
	if m.keyed && !w.durable && (anyCommitted || w.answer == xa.Committed || w.answer == xa.CommittedLate) {
		bad |= x8
	}
	if w.alive && w.began && w.state != xa.Active && w.state != xa.Halted && !w.outstanding() {
		bad |= x7 // the client will never hear, or the in-flight table never be left
	}
	if m.atRest(w) {
		after := *w
		m.recover(&after)
		for _, b := range after.b {
			if b.server == prepared {
				bad |= x4
			}
		}
	}
	return bad
}

// atRest reports whether only recovery is left to do something: the client does not run statements, the process need
// not stop, and nobody works on a request.
func (m *model) atRest(w *world) bool {
	return !w.outstanding() && (!w.alive || w.state != xa.Active && w.state != xa.Halted)
}
