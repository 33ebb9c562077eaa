package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/xa"
)

// plants are bugs, each of which the simulation must find. Where another system is named, its code or its issues had the bug. They are planted
// around the code under test; what runs in production has no switches for them.
var plants = []struct {
	name, store string // "": both, but without -for that which the seed draws
	finds       string // the invariants, one of which must be seen broken
	long        bool   // it takes some seconds, so only with -for
	bug         func() plant
}{
	{"the log says that a record is durable before it is", "file", "X1", false, func() plant { return plant{diskLies: true} }},
	{"a failed append is taken for a good one", "file", "X1 X2 X3 X5", false, func() plant {
		return plant{log: appends(func(err error) error { return nil })}
	}},
	{"an append of unknown outcome is taken for one that wrote nothing", "file", "X2 X3", false, func() plant {
		return plant{log: appends(func(err error) error { return errors.Join(xa.ErrNotWritten, err) })}
	}},
	{"the process goes on when its log is broken", "file", "X4", true, func() plant { return plant{survives: true} }},
	{"RadonDB: nothing is written before phase two", "file", "X1", false, func() plant {
		return plant{log: func(p *process, l xa.Log) xa.Log { return noRecord{l} }}
	}},
	{"Citus: recovery reads the decisions before it lists", "file", "X1 X2 X3 X5", false, lookTooEarly("IDENTITY")},
	{"recovery reads the decisions before the in-flight table", "file", "X1 X2 X3 X5", false, lookTooEarly("XA RECOVER")},
	{"recovery reads the in-flight table before it lists", "file", "X1 X2 X3 X5 X6", false, tableTooEarly},
	{"the decision is forgotten when all have acknowledged", "file", "X2 X3 X5", false, func() plant {
		forgot := newSet[xa.GTRID]()
		return plant{
			log:       func(p *process, l xa.Log) xa.Log { return forgetful{l, forgot} },
			decisions: func(p *process, d recovery.Decisions) recovery.Decisions { return forgetfulDecisions{d, forgot} },
		}
	}},
	{"a lost vote counts as yes", "", "X1 X2 X3 X5", false, func() plant {
		return plant{prepared: func(_ *branch, _ time.Time, err error) error { return onlyAnswered(err, nil) }}
	}},
	{"a commit that is refused is followed by a rollback", "", "X2 X3 X5", false, func() plant {
		return plant{committed: func(b *branch, deadline time.Time, err error) error {
			if answered(err) {
				return b.rollback(deadline)
			}
			return err
		}}
	}},
	{"nobody knows that a server forgets one-phase commits", "file", "X5", false, func() plant { return plant{forgetful: true} }},
	{"a one-phase commit without an answer is taken for done", "file", "X4 X5", false, func() plant {
		return plant{onePhase: func(_ *branch, _ time.Time, err error) error { return onlyAnswered(err, nil) }}
	}},
	{"a one-phase commit without an answer is taken for refused", "file", "X6", false, func() plant {
		return plant{onePhase: func(_ *branch, _ time.Time, err error) error { return onlyAnswered(err, refuse(xa.ErrnoRMFail)) }}
	}},
	{"a connection with a prepared branch is reset", "", "X4 X5", false, func() plant {
		return plant{prepared: func(b *branch, deadline time.Time, err error) error {
			if err == nil && b.conn.server.maria() {
				err = b.verbs(deadline, "RESET")
			}
			return err
		}}
	}},
	{"a rollback that was acknowledged is final", "", "X4", false, func() plant {
		return hideAfter(func(verb string, _ xa.XID, err error) bool { return verb == "XA ROLLBACK" && err == nil })
	}},
	{"sessions of lost connections are not ended", "", "X4", false, func() plant {
		return plant{server: func(p *process, s admin) recovery.Server { return lenient{s} }}
	}},
	{"Seata: an unknown XID is taken for rolled back", "file", "X4", false, func() plant {
		gone := newSet[xa.XID]()
		return plant{server: func(p *process, s admin) recovery.Server { return believer{hiding{lenient{s}, gone, never}, p} }}
	}},
	{"RadonDB: recovery gives up after some tries", "", "X4", true, func() plant {
		var mu sync.Mutex
		tries := make(map[xa.XID]int)
		return hideAfter(func(_ string, x xa.XID, err error) bool {
			mu.Lock()
			defer mu.Unlock()
			tries[x]++
			return err != nil && tries[x] >= 3
		})
	}},
	{"DBLE: a branch on a server that was replaced is skipped, and counts as finished", "", "X4", false, func() plant {
		return plant{server: func(p *process, s admin) recovery.Server { return sameServer{s} }}
	}},
	{"PgDog: another run of the proxy asks for names that do not exist, and believes that they are finished", "file", "X4", false, func() plant {
		gone := newSet[xa.XID]()
		return plant{server: func(p *process, s admin) recovery.Server { return otherNames{hiding{s, gone, never}, p} }}
	}},
	{"MyCat2: the others are committed before the decider", "participant", "X1", false, func() plant {
		return plant{decide: func(d *decider, r xa.Decision, deadline time.Time) error {
			for _, b := range d.others() {
				_ = b.verbs(deadline, "XA COMMIT")
			}
			return d.decide(r, deadline)
		}}
	}},
	{"MyCat2: names begin again at every start", "participant", "X1 X2 X3 X5 X6 K1", false, func() plant {
		return plant{log: func(p *process, l xa.Log) xa.Log { return sameNames{l, p} }}
	}},
	{"MyCat2: recovery rolls back whatever has no row, also what runs elsewhere", "participant", "X1 X2 X3 X5", false, func() plant {
		return plant{decisions: func(_ *process, d recovery.Decisions) recovery.Decisions { return rowsAlone{d} }}
	}},
	{"recovery reads the rows and does not fence", "participant", "X1 X2 X3 X5 X6", true, func() plant {
		return plant{decisions: func(_ *process, d recovery.Decisions) recovery.Decisions { return noFence{d} }}
	}},
	{"a decider without an answer is taken for rolled back", "participant", "X2 X3 X6", false, func() plant {
		return plant{fence: func(*decider, xa.GTRID) (bool, error) { return false, nil }}
	}},
	{"a decider without an answer is taken for committed", "participant", "X1 X3 X5", false, func() plant {
		return plant{fence: func(*decider, xa.GTRID) (bool, error) { return true, nil }}
	}},
	{"the record is written after the decider has committed", "participant", "X3 X5 X8", false, func() plant {
		return plant{decide: func(d *decider, r xa.Decision, deadline time.Time) error {
			if _, err := d.statements(deadline, stmt{verb: "COMMIT"}); err != nil {
				return err
			}
			return d.end(d.alone(r, deadline))
		}}
	}},
	{"the record is written before the decider commits", "participant", "X2 X3 X5", false, func() plant {
		return plant{decide: func(d *decider, r xa.Decision, deadline time.Time) error {
			if err := d.alone(r, deadline); err != nil {
				return err
			}
			return d.commitOnePhase(deadline)
		}}
	}},
	{"rows are deleted by their age alone", "participant", "X2 X3 X5", true, func() plant {
		return plant{comeBack: time.Nanosecond, decisions: func(_ *process, d recovery.Decisions) recovery.Decisions { return forgetsAll{d} }}
	}},
	{"the record lacks the commit key", "file", "K1 K3", false, func() plant { return records(withoutKey) }},
	{"the row lacks the commit key", "participant", "K1 K3", false, func() plant { return records(withoutKey) }},
	{"each attempt has a commit key of its own", "", "K1 K3", false, func() plant { return records(keyOfAttempt) }},
	{"whoever meets a commit key that is taken is told that it is committed", "", "K2", false, func() plant { return plant{hasty: true} }},
	{"the outcome of a commit key is read and not fenced", "", "K3", true, func() plant {
		return keysOf(func(_ *process, k xa.Keys) xa.Keys { return noKeyFence{k} })
	}},
	{"the outcome of a commit key is read before it is fenced", "participant", "K3", true, func() plant {
		return keysOf(func(_ *process, k xa.Keys) xa.Keys { return fencedTooLate{k} })
	}},
	{"a retry takes away a fence that was made after it began", "", "K3", false, func() plant { return records(latestFence) }},
	{"the record of a commit key that is on its way to the disk is taken for rolled back", "file", "K3", false, func() plant { return plant{outcome: unasked} }},
	{"the proxies do not agree on who decides on a commit key", "participant", "K1 K3", false, func() plant { return plant{deciders: everyOther} }},
}

// findWithin is how long a planted bug may stay hidden.
const findWithin = 60 * time.Second

// TestPlantedBugsAreFound plants one bug at a time and simulates from seed 1 until an invariant is seen broken.
func TestPlantedBugsAreFound(t *testing.T) {
	for _, p := range plants {
		if p.long && *forFlag == 0 {
			continue
		}
		in := []string{p.store}
		if p.store == "" && *forFlag > 0 {
			in = stores
		}
		for _, store := range in {
			t.Run(strings.TrimSuffix(p.name+", "+store, ", "), func(t *testing.T) {
				began := time.Now()
				for seed := uint64(1); time.Since(began) < findWithin; seed++ {
					bug := p.bug()
					r := simulate(t, options{seed: seed, store: store, plant: bug})
					if r.violation == "" {
						continue
					}
					if !oneOf(p.finds, r.violation) {
						t.Errorf("seed %d: want %s, got %s", seed, p.finds, r.violation)
					}
					t.Logf("seed %d after %v: %s", seed, time.Since(began).Round(time.Millisecond), r.violation)
					return
				}
				t.Errorf("not found within %v", findWithin)
			})
		}
	}
}

// oneOf reports whether a violation is of one of the invariants.
func oneOf(finds, violation string) bool {
	for i := 0; i+2 <= len(finds); i += 3 {
		if finds[i:i+2] == violation[:2] {
			return true
		}
	}
	return false
}

// onlyAnswered returns instead where there was no answer.
func onlyAnswered(err, instead error) error {
	if err == nil || answered(err) || errors.Is(err, errDead) {
		return err
	}
	return instead
}

// others returns the other branches of the decider's transaction that have voted.
func (d *decider) others() (all []*branch) {
	w := d.conn.p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.txns {
		if !slices.Contains(t.conns, &d.branch) {
			continue
		}
		for _, b := range t.conns {
			if b != &d.branch && b.part.wrote {
				all = append(all, b)
			}
		}
	}
	return all
}

// alone writes the record in a transaction of its own.
func (d *decider) alone(r xa.Decision, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	for _, statement := range d.conn.p.rows.Insert(r) {
		if _, err := (admin{d.conn.p, d.conn.server, "decider"}).Exec(ctx, statement); answered(err) {
			return fmt.Errorf("%v", err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func never(string, xa.XID, error) bool { return false }
