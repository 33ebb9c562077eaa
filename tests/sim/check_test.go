package sim

import (
	"fmt"
	"strings"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/decision"
	"github.com/xaproxy/xaproxy/xa"
)

// txn is what the checker knows of a transaction.
type txn struct {
	p     *process
	tx    *xa.Tx
	gtrid string
	plan  plan
	parts []*part
	conns []*branch

	client *link // nil if it has no commit key
	number int   // of the attempt, among those of its operation

	decided  bool      // a record that it commits is durable
	onePhase bool      // that record is of a one-phase commit
	recorded time.Time // when the record was made
	sure     time.Time // when it was durable
	left     bool      // it has left the in-flight table of its process
	late     bool      // it became decided after that
	answers  int
	answer   xa.Outcome
}

// part is a branch, or the decider's transaction. The servers say how it stands.
type part struct {
	server  *server
	xid     string
	wrote   bool // as the proxy sees it
	changed bool // a row
	fate    fate
}

type fate string

const (
	notBegun   fate = ""
	running    fate = "running"
	isPrepared fate = "prepared"
	committed  fate = "committed"
	rolledBack fate = "rolled back"
)

// violated notes the first violation, which ends the simulation.
func (w *world) violated(format string, args ...any) {
	w.failing.Lock()
	defer w.failing.Unlock()
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
	}
}

// readLog notes which decisions are on the disk of a process for good. The process has just synced something.
func (w *world) readLog(p *process) {
	f, err := decision.InspectFile(decision.FileOptions{Dir: "/log", SegmentSize: 4 << 10, FS: platter{p.m.disk}, Logger: zerolog.Nop()})
	if err != nil {
		return // it is just being made; one that cannot be read is found at the next start
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range f.Unfinished() {
		w.decided(d.GTRID.String(), d.OnePhase, d.Time)
	}
}

func (w *world) decided(gtrid string, onePhase bool, recorded time.Time) {
	for _, t := range w.txns {
		if t.gtrid == gtrid && !t.decided {
			t.decided, t.onePhase, t.late = true, onePhase, t.left
			t.recorded, t.sure = recorded, time.Now()
			w.note("  decided: " + gtrid)
			if t.client != nil && t.client.op.decided {
				w.stats.keys[keyForgotten]++
			} else if t.client != nil {
				t.client.op.decided = true
			}
		}
	}
}

// onCommit is called by a server that commits.
func (w *world) onCommit(committing *trx, wasPrepared bool) {
	for _, r := range committing.inserts {
		if r.verdict == "commit" {
			w.decided(r.gtrid, false, r.made)
		}
	}
	if !wasPrepared {
		return
	}
	for _, t := range w.txns {
		for _, b := range t.parts {
			if b == committing.part && !t.decided {
				w.violated("X1: %s commits %s, and the decision is not durable", b.server.name, b.xid)
			}
		}
	}
}

// check looks at the invariants of xa/doc.go, by their numbers. X1 is checked where servers commit, X4 at rest.
func (w *world) check() {
	w.checkKeys()
	for _, t := range w.txns {
		if p := t.p; p.m.p == p && !t.left && !p.coordinator.InFlight(t.tx.GTRID()) {
			t.left = true
		}
		commits, rollbacks := t.fates()
		switch {
		case rollbacks > 0 && t.decided && !t.onePhase:
			w.violated("X2: %s is decided, and %s", t.gtrid, t)
		case commits > 0 && rollbacks > 0:
			w.violated("X3: %s: %s", t.gtrid, t)
		case rollbacks > 0 && (t.answer == xa.Committed || t.answer == xa.CommittedLate):
			w.violated("X5: the client of %s has heard that it is committed, and %s", t.gtrid, t)
		case commits > 0 && t.answer == xa.RolledBack:
			w.violated("X6: the client of %s has heard that it is rolled back, and %s", t.gtrid, t)
		case t.answers > 1, t.answers == 1 && t.answer == xa.NoOutcome:
			w.violated("X7: the client of %s was answered %d times, at last with %v", t.gtrid, t.answers, t.answer)
		case t.late && !w.rows:
			w.violated("X7: %s was decided after it had left the in-flight table", t.gtrid)
		case t.answer == xa.Committed && !t.left && t.p.m.p == t.p && !w.early:
			w.violated("X7: the client of %s has its answer, every branch has acknowledged, and it is still in flight", t.gtrid)
		}
	}
}

// fates counts the branches that were committed and rolled back, of those that have changed a row.
func (t *txn) fates() (commits, rollbacks int) {
	for _, b := range t.parts {
		switch {
		case !b.changed:
		case b.fate == committed:
			commits++
		case b.fate == rolledBack:
			rollbacks++
		}
	}
	return commits, rollbacks
}

func (t *txn) String() string {
	var all []string
	for _, b := range t.parts {
		s := fmt.Sprintf("%s is %s", b.server.name, b.fate)
		if !b.changed {
			s += " and has changed nothing"
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

// finished reports whether the clients have had their transactions.
func (w *world) finished() bool {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.left == 0 && w.answered() && w.operationsDone()
}

// answered reports whether no transaction runs in a process that lives.
func (w *world) answered() bool {
	for _, t := range w.txns {
		if t.p.m.p == t.p && (t.answers == 0 || !t.left && t.answer != xa.InDoubt) {
			return false
		}
	}
	return true
}

// atRest reports whether nothing is left to be done: no transaction runs, no request is on its way but the heartbeats and the looks of
// recovery, and nothing is prepared.
func (w *world) atRest() bool {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.answered() || !w.operationsDone() {
		return false
	}
	for _, pk := range w.packets {
		if pk.lost || !pk.conn.admin {
			return false
		}
	}
	for _, s := range w.servers {
		if len(s.branches) > 0 {
			return false
		}
		for _, c := range s.sessions {
			if c.trx != nil && c.trx.part != nil {
				return false
			}
		}
	}
	return true
}

// checkRest checks what must be so when everything runs and there was time enough.
func (w *world) checkRest() {
	w.check()
	w.checkKeysAtRest()
	for _, t := range w.txns {
		commits, rollbacks := t.fates()
		changed := 0
		for _, b := range t.parts {
			if b.changed {
				changed++
			}
			if b.fate == isPrepared || b.fate == running {
				w.violated("X4: at rest %s is %s on %s", b.xid, b.fate, b.server.name)
			}
		}
		switch {
		case t.p.m.p == t.p && (t.answers == 0 || !t.left && t.answer != xa.InDoubt):
			w.violated("X7: at rest %s is still in flight, answered %d times", t.gtrid, t.answers)
		case commits > 0 && commits+rollbacks < changed, commits > 0 && rollbacks > 0:
			w.violated("X3: at rest %s", t)
		case (t.answer == xa.Committed || t.answer == xa.CommittedLate) && commits < changed:
			w.violated("X5: at rest the client of %s has heard that it is committed, and %s", t.gtrid, t)
		}
	}
}
