package xa_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	tx := b.Begin("")
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

// refuse and its error.
var (
	deadlock = xatest.Refuse(xa.ErrnoRBDeadlock)
	errDisk  = errors.New("input/output error")
)

// TestPhasesRunInParallel: two votes of one second each take one second, and so do two commits.
func TestPhasesRunInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBench(&xatest.Log{})
		tx, branches := c.begin(2, 2, false)
		for _, b := range branches {
			b.On(xatest.Prepare, xatest.After(time.Second, xatest.OK))
			b.On(xatest.Commit, xatest.After(time.Second, xatest.OK))
		}
		start := time.Now()
		wantAnswer(t, tx.Commit(), xa.Committed, nil)
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("took %v of fake time, want 2s", took)
		}
		c.Close()
	})
}

// TestReadersEndBesideTheVotes: a reader that is slow to end holds up neither the votes nor the decision, only the answer.
func TestReadersEndBesideTheVotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		log := &xatest.Log{OnAppend: func(xa.Decision) error {
			if d := time.Since(start); d != time.Second {
				t.Errorf("decided after %v, want 1s", d)
			}
			return nil
		}}
		c := newBench(log)
		tx, branches := c.begin(3, 2, false)
		branches[0].On(xatest.Prepare, xatest.After(time.Second, xatest.OK))
		branches[2].On(xatest.Rollback, xatest.After(3*time.Second, xatest.OK))
		wantAnswer(t, tx.Commit(), xa.Committed, nil)
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("answered after %v, want 3s", d)
		}
		c.Close()
	})
}

// TestLateCommit: the client hears after CommitWait; the rest goes on and Close waits for it.
func TestLateCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBench(&xatest.Log{})
		tx, branches := c.begin(2, 2, false)
		branches[1].On(xatest.Commit, xatest.After(commitWait+3*time.Second, xatest.OK))
		start := time.Now()
		wantAnswer(t, tx.Commit(), xa.CommittedLate, nil)
		if d := time.Since(start); d != commitWait {
			t.Errorf("answered after %v, want %v", d, commitWait)
		}
		if !c.InFlight(tx.GTRID()) || len(c.log.Finished()) != 0 {
			t.Error("not in flight, or done, although a branch is still committing")
		}
		c.Close()
		if d := time.Since(start); d != commitWait+3*time.Second {
			t.Errorf("closed after %v, want %v", d, commitWait+3*time.Second)
		}
		if c.InFlight(tx.GTRID()) || len(c.log.Finished()) != 1 || len(c.Orphans("b")) != 0 {
			t.Error("after Close: in flight, or not done, or orphaned")
		}
		wantCalls(t, branches[1], xatest.Prepare, xatest.Commit, xatest.Release)
	})
}

// TestLostCommit: a commit that never answers is given up after the branch's own deadline and left to recovery; its
// decision is not done.
func TestLostCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBench(&xatest.Log{})
		tx, branches := c.begin(2, 2, false)
		branches[1].On(xatest.Commit, xatest.Hang)
		start := time.Now()
		wantAnswer(t, tx.Commit(), xa.CommittedLate, nil)
		c.Close()
		if d := time.Since(start); d != commitWait+prepareTimeout {
			t.Errorf("given up after %v, want %v", d, commitWait+prepareTimeout)
		}
		x := xa.XID{GTRID: tx.GTRID(), BQUAL: "b"}
		want := xa.Orphan{XID: x, Server: "server of b", ConnID: 1, Since: time.Now()}
		if o := c.Orphans("b"); len(o) != 1 || o[0] != want {
			t.Errorf("orphans %v, want %v", o, want)
		}
		if len(c.Orphans("a")) != 0 || !slices.Equal(c.orphaned, []string{"b"}) {
			t.Errorf("orphaned %v, want only b", c.orphaned)
		}
		if len(c.log.Finished()) != 0 {
			t.Error("done before every branch has acknowledged")
		}
		c.Adopt(x)
		if len(c.Orphans("b")) != 0 {
			t.Error("still an orphan after Adopt")
		}
	})
}

// TestMoments: the record has the moments of the votes, and DONE those of the commits.
func TestMoments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBench(&xatest.Log{})
		start := time.Now()
		tx, branches := c.begin(3, 2, false)
		branches[0].On(xatest.Prepare, xatest.After(20*time.Millisecond, xatest.OK))
		branches[1].On(xatest.Prepare, xatest.After(50*time.Millisecond, xatest.OK))
		branches[0].On(xatest.Commit, xatest.After(30*time.Millisecond, xatest.OK))
		branches[1].On(xatest.Commit, xatest.After(60*time.Millisecond, xatest.OK))
		if answer := tx.Commit(); answer.Outcome != xa.Committed {
			t.Fatal(answer)
		}
		d := c.log.Decisions()[0]
		for i, want := range []time.Duration{20 * time.Millisecond, 50 * time.Millisecond} {
			if got := d.Branches[i].Voted.Sub(start); got != want {
				t.Errorf("branch %d voted after %v, want %v", i, got, want)
			}
		}
		want := []xa.BranchEnd{{Backend: "a", At: time.UnixMilli(start.UnixMilli() + 80)}, {Backend: "b", At: time.UnixMilli(start.UnixMilli() + 110)}}
		if got := c.log.Ends(); !slices.Equal(got, want) {
			t.Errorf("ends %v, want %v", got, want)
		}
	})
}

// TestRefusedCommit: a server that refuses phase two is recovery's to ask again; the transaction is committed.
func TestRefusedCommit(t *testing.T) {
	c := newBench(&xatest.Log{})
	tx, branches := c.begin(2, 2, false)
	branches[0].On(xatest.Commit, xatest.Refuse(1290))
	answer := tx.Commit()
	if answer.Outcome != xa.CommittedLate || !xa.IsErrno(answer.Cause, 1290) {
		t.Errorf("answer %+v, want committed late because of 1290", answer)
	}
	if len(c.Orphans("a")) != 1 || len(c.log.Finished()) != 0 {
		t.Error("want an orphan and no done")
	}
	wantCalls(t, branches[0], xatest.Prepare, xatest.Commit, xatest.Release)
}

// TestPrepareTimeout: no vote in time is no yes. What was prepared is rolled back; the silent branch is left to
// recovery, because it may be prepared later.
func TestPrepareTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBench(&xatest.Log{})
		tx, branches := c.begin(2, 2, false)
		branches[1].On(xatest.Prepare, xatest.Hang)
		start := time.Now()
		answer := tx.Commit()
		if answer.Outcome != xa.RolledBack || answer.Cause == nil {
			t.Errorf("answer %+v, want rolled back with a cause", answer)
		}
		if d := time.Since(start); d != prepareTimeout {
			t.Errorf("took %v, want %v", d, prepareTimeout)
		}
		wantCalls(t, branches[0], xatest.Prepare, xatest.Rollback, xatest.Release)
		wantCalls(t, branches[1], xatest.Prepare, xatest.Release)
		if len(c.Orphans("b")) != 1 || len(c.Orphans("a")) != 0 {
			t.Error("want b and only b orphaned")
		}
		c.Close()
	})
}

// TestRefusedVote: the client hears the server's own error, the first one, and every branch is rolled back, also the
// one that refused, which may still hold its locks.
func TestRefusedVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBench(&xatest.Log{})
		tx, branches := c.begin(3, 3, false)
		branches[1].On(xatest.Prepare, deadlock)
		branches[2].On(xatest.Prepare, xatest.After(time.Second, xatest.OK))
		branches[0].On(xatest.Rollback, xatest.After(time.Millisecond, xatest.Lose))
		answer := tx.Commit()
		if answer.Outcome != xa.RolledBack || !xa.IsErrno(answer.Cause, xa.ErrnoRBDeadlock) || answer.GTRID != tx.GTRID() {
			t.Errorf("answer %+v, want %v rolled back because of the deadlock", answer, tx.GTRID())
		}
		for _, b := range branches {
			wantCalls(t, b, xatest.Prepare, xatest.Rollback, xatest.Release)
		}
		if len(c.log.Decisions()) != 0 || len(c.Orphans("a")) != 1 {
			t.Error("want no decision, and the lost rollback orphaned")
		}
	})
}

// TestRollback: every branch is rolled back, and the cause comes back.
func TestRollback(t *testing.T) {
	for _, cause := range []error{nil, errDisk} {
		c := newBench(&xatest.Log{})
		tx, branches := c.begin(3, 2, true)
		wantAnswer(t, tx.Rollback(cause), xa.RolledBack, cause)
		for _, b := range branches {
			wantCalls(t, b, xatest.Rollback, xatest.Release)
		}
	}
}

// TestBranchLost: the lost branch is only released, and left to recovery.
func TestBranchLost(t *testing.T) {
	c := newBench(&xatest.Log{})
	tx, branches := c.begin(2, 2, false)
	wantAnswer(t, tx.BranchLost(0, errDisk), xa.RolledBack, errDisk)
	wantCalls(t, branches[0], xatest.Release)
	wantCalls(t, branches[1], xatest.Rollback, xatest.Release)
	if len(c.Orphans("a")) != 1 || len(c.Orphans("b")) != 0 {
		t.Error("want a and only a orphaned")
	}
}

// TestNotWritten: a log that certainly wrote nothing lets the transaction roll back.
func TestNotWritten(t *testing.T) {
	for writers := 1; writers <= 2; writers++ {
		c := newBench(&xatest.Log{OnAppend: func(xa.Decision) error {
			return fmt.Errorf("append: %w", xa.ErrNotWritten)
		}})
		tx, branches := c.begin(writers, writers, true)
		wantAnswer(t, tx.Commit(), xa.RolledBack, xa.ErrNotWritten)
		if len(c.halted) != 0 {
			t.Error("halted")
		}
		for _, b := range branches {
			if calls := b.Calls(); !slices.Contains(calls, xatest.Rollback) || slices.Contains(calls, xatest.Commit) ||
				slices.Contains(calls, xatest.OnePhase) {
				t.Errorf("branch %s: called %v, want a rollback and no commit", b.Ref().Backend, calls)
			}
		}
	}
}

// TestHalt: after any other error of the log nobody may act: no commit, no rollback, and the transaction stays in
// flight, so that recovery in this process leaves its branches alone too.
func TestHalt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBench(&xatest.Log{OnAppend: func(xa.Decision) error { return errDisk }})
		tx, branches := c.begin(3, 2, false)
		branches[2].On(xatest.Rollback, xatest.After(time.Second, xatest.OK)) // a reader that ends after the halt
		wantAnswer(t, tx.Commit(), xa.InDoubt, errDisk)
		c.Close()
		synctest.Wait()
		if len(c.halted) != 1 || !errors.Is(c.halted[0], errDisk) {
			t.Errorf("halted with %v, want once with %v", c.halted, errDisk)
		}
		if !c.InFlight(tx.GTRID()) {
			t.Error("not in flight")
		}
		wantCalls(t, branches[0], xatest.Prepare)
		wantCalls(t, branches[1], xatest.Prepare)
		<-time.After(2 * time.Second) // the bubble's time: let the reader end
	})
}

// TestOnePhaseAnswers: what the client hears of a commit that one server decides.
func TestOnePhaseAnswers(t *testing.T) {
	for _, test := range []struct {
		name    string
		record  bool
		reply   xatest.Reply
		outcome xa.Outcome
		calls   []xatest.Verb
		orphan  bool
	}{
		{"refused", false, deadlock, xa.RolledBack, []xatest.Verb{xatest.OnePhase, xatest.Rollback, xatest.Release}, false},
		{"refused after the record", true, deadlock, xa.InDoubt, []xatest.Verb{xatest.OnePhase, xatest.Rollback, xatest.Release}, false},
		{"lost", false, xatest.Lose, xa.InDoubt, []xatest.Verb{xatest.OnePhase, xatest.Release}, true},
		{"lost after the record", true, xatest.Lose, xa.InDoubt, []xatest.Verb{xatest.OnePhase, xatest.Release}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newBench(&xatest.Log{})
			tx, branches := c.begin(1, 1, test.record)
			branches[0].On(xatest.OnePhase, test.reply)
			answer := tx.Commit()
			if answer.Outcome != test.outcome || answer.Cause == nil {
				t.Errorf("answer %+v, want %v with a cause", answer, test.outcome)
			}
			wantCalls(t, branches[0], test.calls...)
			if (len(c.Orphans("a")) == 1) != test.orphan {
				t.Errorf("orphans %v, want one: %v", c.Orphans("a"), test.orphan)
			}
			if len(c.log.Finished()) != 0 {
				t.Error("done, although nobody knows how it ended")
			}
		})
	}
}

// TestVisibleBeforeLeaving: whoever sees that a transaction is not in flight any more sees its orphans and its
// decision (X7). Recovery looks in that order.
func TestVisibleBeforeLeaving(t *testing.T) {
	var c *bench
	log := &xatest.Log{OnDone: func(g xa.GTRID) {
		if !c.InFlight(g) {
			t.Error("done is noted after the transaction left the in-flight table")
		}
	}}
	c = newBench(log)
	for i := range 100 {
		tx, branches := c.begin(2, 2, false)
		if i%10 != 0 {
			branches[0].On(xatest.Commit, xatest.Lose)
		}
		branches[1].On(xatest.Release, func(time.Time) error {
			if c.InFlight(tx.GTRID()) {
				t.Error("a connection is given back while the transaction is in flight")
			}
			return nil
		})
		// They look without a pause, because what they look for is short.
		var watchers sync.WaitGroup
		for range 2 {
			watchers.Go(func() {
				for c.InFlight(tx.GTRID()) {
				}
				if orphans := len(c.Orphans("a")); (orphans == 1) != (i%10 != 0) {
					t.Errorf("%d orphans as the transaction leaves the in-flight table", orphans)
				}
				if n := len(log.Decisions()); n != i+1 {
					t.Errorf("%d decisions as the transaction leaves the in-flight table, want %d", n, i+1)
				}
			})
		}
		tx.Commit()
		watchers.Wait()
		c.Adopt(xa.XID{GTRID: tx.GTRID(), BQUAL: "a"})
	}
}

// prompt is a branch that answers at once, and notes whether it was called on the stack of the test.
type prompt struct {
	*xatest.Branch
	test      string
	elsewhere bool
	said      []string
}

func (p *prompt) note(what string) {
	p.said = append(p.said, what)
	pc := make([]uintptr, 64)
	frames := runtime.CallersFrames(pc[:runtime.Callers(0, pc)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "."+p.test) {
			return
		}
		if !more {
			p.elsewhere = true
			return
		}
	}
}

func (p *prompt) Prepare(time.Time)        { p.note("prepare") }
func (p *prompt) Commit(time.Time)         { p.note("commit") }
func (p *prompt) CommitOnePhase(time.Time) { p.note("one-phase") }
func (p *prompt) Rollback(time.Time)       { p.note("rollback") }

func (p *prompt) Answer(time.Time) (bool, error) {
	p.note("answer")
	return true, nil
}

// TestPromptAnswersNeedNoGoroutine: a commit whose branches answer soon runs on the caller's stack.
func TestPromptAnswersNeedNoGoroutine(t *testing.T) {
	for _, record := range []bool{false, true} {
		for n := 1; n <= 3; n++ {
			c := newBench(&xatest.Log{})
			tx := c.Begin("")
			var branches []*prompt
			for i := range n {
				branches = append(branches, &prompt{Branch: xatest.NewBranch("a"), test: "TestPromptAnswersNeedNoGoroutine"})
				tx.Add(branches[i], record)
				tx.Wrote(i)
			}
			want := []string{"one-phase", "answer"}
			if n > 1 {
				want = []string{"prepare", "answer", "commit", "answer"}
			}
			wantAnswer(t, tx.Commit(), xa.Committed, nil)
			for i, b := range branches {
				if b.elsewhere || !slices.Equal(b.said, want) {
					t.Errorf("record %v, branch %d of %d: called %v, in another goroutine: %v; want %v on the caller's stack", record, i, n, b.said, b.elsewhere, want)
				}
			}
		}
	}
}

// mute is a branch that has no answer, not even at the deadline.
type mute struct{ *xatest.Branch }

func (mute) Prepare(time.Time)              {}
func (mute) Answer(time.Time) (bool, error) { return false, nil }

// TestSilenceIsNoVote: a branch that breaks its word and has no answer at the deadline has not voted yes.
func TestSilenceIsNoVote(t *testing.T) {
	c := newBench(&xatest.Log{})
	tx, branches := c.begin(1, 1, false)
	tx.Wrote(tx.Add(mute{xatest.NewBranch("mute")}, false))
	if a := tx.Commit(); a.Outcome != xa.RolledBack || len(c.log.Decisions()) > 0 {
		t.Errorf("answer %+v, decisions %v; want it rolled back", a, c.log.Decisions())
	}
	wantCalls(t, branches[0], xatest.Prepare, xatest.Rollback, xatest.Release)
}

// TestAllAreAskedBeforeAnAnswer: no branch waits for what another one says.
func TestAllAreAskedBeforeAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBench(&xatest.Log{})
		tx, branches := c.begin(3, 3, false)
		var asked atomic.Int32
		for _, b := range branches {
			for _, v := range []xatest.Verb{xatest.Prepare, xatest.Commit} {
				b.On(v, func(deadline time.Time) error {
					asked.Add(1)
					<-time.After(time.Millisecond) // of fake time: it passes when nobody has anything else to do
					if n := asked.Load(); n%3 != 0 {
						t.Errorf("%s of %s is answered when %d of 3 were asked", v, b.Ref().Backend, n%3)
					}
					return nil
				})
			}
		}
		wantAnswer(t, tx.Commit(), xa.Committed, nil)
		c.Close()
	})
}

// TestSlowVoteHidesNoRefusal: a vote that takes its time keeps nobody from hearing of a refused one: the branch that has voted yes is
// rolled back long before it.
func TestSlowVoteHidesNoRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBench(&xatest.Log{})
		tx, branches := c.begin(3, 3, false)
		start := time.Now()
		branches[0].On(xatest.Prepare, xatest.Hang)
		branches[1].On(xatest.Prepare, deadlock)
		branches[2].On(xatest.Rollback, func(time.Time) error {
			if d := time.Since(start); d > 100*time.Millisecond {
				t.Errorf("rolled back after %v", d)
			}
			return nil
		})
		if a := tx.Commit(); a.Outcome != xa.RolledBack || !xa.IsErrno(a.Cause, xa.ErrnoRBDeadlock) {
			t.Errorf("answer %+v, want rolled back because of the deadlock", a)
		}
		wantCalls(t, branches[2], xatest.Prepare, xatest.Rollback, xatest.Release)
		c.Close()
	})
}

// TestNamesNeverRepeat: concurrent Begins draw different names of this epoch.
func TestNamesNeverRepeat(t *testing.T) {
	c := newBench(&xatest.Log{})
	var mu sync.Mutex
	seen := make(map[xa.GTRID]bool)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				g := c.Begin("").GTRID()
				mu.Lock()
				if seen[g] || g.Epoch != 7 || g.Coord != c.log.Coord() {
					t.Errorf("%v: repeated, or of another log", g)
				}
				seen[g] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

// TestDecider runs transactions whose first branch decides, through each of its answers.
func TestDecider(t *testing.T) {
	refused := xatest.Refuse(xa.ErrnoRBDeadlock)
	for _, test := range []struct {
		name           string
		decide, fence  xatest.Reply
		outcome        xa.Outcome
		decider, other []xatest.Verb
	}{
		{
			"commits", nil, nil, xa.Committed,
			[]xatest.Verb{xatest.Decide, xatest.Release},
			[]xatest.Verb{xatest.Prepare, xatest.Commit, xatest.Release},
		},
		{
			"refuses", refused, nil, xa.RolledBack,
			[]xatest.Verb{xatest.Decide, xatest.Rollback, xatest.Release},
			[]xatest.Verb{xatest.Prepare, xatest.Rollback, xatest.Release},
		},
		{
			"commits and is not heard", xatest.Lose, nil, xa.Committed,
			[]xatest.Verb{xatest.Decide, xatest.Fence, xatest.Release},
			[]xatest.Verb{xatest.Prepare, xatest.Commit, xatest.Release},
		},
		{
			"commits and is not heard, nor is the fence", xatest.Lose, xatest.Lose, xa.InDoubt,
			[]xatest.Verb{xatest.Decide, xatest.Fence, xatest.Release},
			[]xatest.Verb{xatest.Prepare, xatest.Release},
		},
		{
			"has been fenced", nil, nil, xa.RolledBack,
			[]xatest.Verb{xatest.Decide, xatest.Rollback, xatest.Release},
			[]xatest.Verb{xatest.Prepare, xatest.Rollback, xatest.Release},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newBench(&xatest.Log{})
				tx := c.Begin("a")
				decider, other := xatest.NewDecider("a"), xatest.NewBranch("b")
				for _, b := range []xa.BranchConn{decider, other} {
					tx.Wrote(tx.Add(b, true))
				}
				if test.name == "has been fenced" {
					if committed, err := decider.Fence(tx.GTRID(), time.Now().Add(time.Second)); committed || err != nil {
						t.Fatal(committed, err)
					}
					decider.Reset()
				}
				decider.On(xatest.Decide, test.decide)
				decider.On(xatest.Fence, test.fence)
				answer := tx.Commit()
				c.Close()
				if answer.Outcome != test.outcome {
					t.Errorf("answer %v, want %v", answer.Outcome, test.outcome)
				}
				if (answer.Cause != nil) != (test.outcome != xa.Committed) {
					t.Errorf("cause %v of %v", answer.Cause, answer.Outcome)
				}
				wantCalls(t, decider.Branch, test.decider...)
				wantCalls(t, other, test.other...)
				if len(c.log.Decisions()) > 0 {
					t.Error("the log has a record, too")
				}
				for _, d := range decider.Committed() {
					if d.GTRID != tx.GTRID() || len(d.Branches) != 1 || d.Branches[0].Backend != "b" || d.OnePhase {
						t.Errorf("record %+v, want one that names b alone", d)
					}
				}
			})
		})
	}
}
