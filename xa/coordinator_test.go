package xa_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/xa"
	"github.com/xaproxy/xaproxy/xa/xatest"
)

const (
	prepareTimeout = 10 * time.Second
	commitWait     = 5 * time.Second
)

// bench is a coordinator with what a test wants to see of it.
type bench struct {
	*xa.Coordinator
	log *xatest.Log

	mu       sync.Mutex // protects following fields
	orphaned []string
	halted   []error
}

func newBench(log *xatest.Log) *bench {
	b := &bench{log: log}
	b.Coordinator = xa.NewCoordinator(xa.Options{
		Log: log, PrepareTimeout: prepareTimeout, CommitWait: commitWait, Logger: zerolog.Nop(),
		Orphaned: func(backend string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.orphaned = append(b.orphaned, backend)
		},
		Halt: func(err error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.halted = append(b.halted, err)
		},
	})
	return b
}

// begin returns a transaction on n branches named a, b, c, ..., of which the first writers write.
func (b *bench) begin(n, writers int, recordOnePhase bool) (*xa.Tx, []*xatest.Branch) {
	tx := b.Begin()
	var branches []*xatest.Branch
	for i := range n {
		branches = append(branches, xatest.NewBranch(string(rune('a'+i))))
		tx.Add(branches[i], recordOnePhase)
		if i < writers {
			tx.Wrote(i)
		}
	}
	return tx, branches
}

// wantCalls checks what was asked of a branch.
func wantCalls(t *testing.T, b *xatest.Branch, want ...xatest.Verb) {
	t.Helper()
	if got := b.Calls(); !slices.Equal(got, want) {
		t.Errorf("branch %s: called %v, want %v", b.Ref().Backend, got, want)
	}
	if m := b.Misuse(); m != "" {
		t.Errorf("branch %s: %s", b.Ref().Backend, m)
	}
}

func wantAnswer(t *testing.T, got xa.Answer, outcome xa.Outcome, cause error) {
	t.Helper()
	if got.Outcome != outcome || !errors.Is(got.Cause, cause) || (cause == nil) != (got.Cause == nil) {
		t.Errorf("answer %v (cause %v), want %v (cause %v)", got.Outcome, got.Cause, outcome, cause)
	}
}

// TestCommitRunsEveryShape commits every mix of up to three readers and writers, with and without a record for
// one-phase commits. It hangs, and fails with the bubble's deadlock, if a reply gets lost on the way to Step.
func TestCommitRunsEveryShape(t *testing.T) {
	for n := range 4 {
		for writers := range n + 1 {
			for _, record := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d branches, %d write, record %v", n, writers, record), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						c := newBench(&xatest.Log{})
						tx, branches := c.begin(n, writers, record)
						answer := tx.Commit()
						c.Close()
						wantAnswer(t, answer, xa.Committed, nil)
						if c.InFlight(tx.GTRID()) {
							t.Error("still in flight")
						}
						recorded := writers > 1 || writers == 1 && record
						for i, b := range branches {
							switch {
							case i >= writers:
								wantCalls(t, b, xatest.Rollback, xatest.Release)
							case writers == 1:
								wantCalls(t, b, xatest.OnePhase, xatest.Release)
							default:
								wantCalls(t, b, xatest.Prepare, xatest.Commit, xatest.Release)
							}
						}
						if !recorded {
							if d := c.log.Decisions(); len(d) != 0 {
								t.Errorf("decisions %v, want none", d)
							}
							return
						}
						d := c.log.Decisions()
						if len(d) != 1 || d[0].GTRID != tx.GTRID() || d[0].OnePhase != (writers == 1) || len(d[0].Branches) != writers {
							t.Errorf("decisions %+v, want one on %d branches", d, writers)
						}
						if f := c.log.Finished(); !slices.Equal(f, []xa.GTRID{tx.GTRID()}) {
							t.Errorf("done %v, want %v", f, tx.GTRID())
						}
					})
				})
			}
		}
	}
}
