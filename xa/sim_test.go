package xa_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xaproxy/xaproxy/xa"
	"github.com/xaproxy/xaproxy/xa/xatest"
)

var seed = flag.Uint64("seed", 0, "seed of the simulation; 0 draws one")

// TestSimulation runs the real Coordinator on many transactions at once, with fakes that answer, refuse, hang and break
// at random, and checks that every answer agrees with what was asked of the branches and what is in the log. The seed
// fixes the replies; the order of goroutines is the scheduler's.
func TestSimulation(t *testing.T) {
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("-seed %d", s)
	const transactions = 300
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(s, 0))
		reply := func() xatest.Reply {
			delay := time.Duration(random.Int64N(int64(12 * time.Second)))
			switch n := random.IntN(10); {
			case n < 5:
				return xatest.OK
			case n < 7:
				return xatest.After(delay, xatest.OK)
			case n < 8:
				return xatest.After(delay, xatest.Refuse(xa.ErrnoRMFail))
			case n < 9:
				return xatest.Lose
			default:
				return xatest.Hang
			}
		}
		c := newBench(&xatest.Log{})
		outcomes := make(map[xa.Outcome]int)
		var mu sync.Mutex
		var sessions sync.WaitGroup
		var check []func()
		for range transactions {
			n := random.IntN(4)
			writers := random.IntN(n + 1)
			record := random.IntN(2) == 0
			tx, branches := c.begin(n, writers, record)
			for _, b := range branches {
				for _, v := range []xatest.Verb{xatest.Prepare, xatest.Commit, xatest.OnePhase, xatest.Rollback} {
					b.On(v, reply())
				}
			}
			end := random.IntN(10)
			sessions.Go(func() {
				var answer xa.Answer
				switch {
				case end == 0:
					answer = tx.Rollback(nil)
				case end == 1 && n > 0:
					answer = tx.BranchLost(0, xatest.ErrLost)
				default:
					answer = tx.Commit()
				}
				mu.Lock()
				defer mu.Unlock()
				outcomes[answer.Outcome]++
				check = append(check, func() { agrees(t, c, answer, branches, writers, record) })
			})
		}
		sessions.Wait()
		c.Close()
		for _, f := range check {
			f()
		}
		for _, o := range []xa.Outcome{xa.Committed, xa.CommittedLate, xa.RolledBack, xa.InDoubt} {
			if outcomes[o] == 0 {
				t.Errorf("no transaction ended %v: the run proves nothing about it", o)
			}
		}
		t.Logf("%v", outcomes)
	})
}

// agrees checks one answer against the calls and the log.
func agrees(t *testing.T, c *bench, answer xa.Answer, branches []*xatest.Branch, writers int, record bool) {
	fail := func(format string, args ...any) {
		t.Helper()
		var calls []string
		for _, b := range branches {
			calls = append(calls, fmt.Sprint(b.Calls()))
		}
		t.Errorf("%v, %d write, record %v, answer %v (%v), calls %v: %s", answer.GTRID, writers, record,
			answer.Outcome, answer.Cause, calls, fmt.Sprintf(format, args...))
	}
	decided := slices.ContainsFunc(c.log.Decisions(), func(d xa.Decision) bool { return d.GTRID == answer.GTRID })
	if c.InFlight(answer.GTRID) {
		fail("still in flight")
	}
	for i, b := range branches {
		calls := b.Calls()
		if m := b.Misuse(); m != "" || calls[len(calls)-1] != xatest.Release {
			fail("branch %d: not released at the end, or misused: %s", i, m)
		}
		wrote := i < writers
		commits, rollbacks := slices.Contains(calls, xatest.Commit), slices.Contains(calls, xatest.Rollback)
		switch {
		case commits && rollbacks:
			fail("branch %d was told to commit and to roll back", i)
		case commits && !decided:
			fail("branch %d was told to commit without a decision", i)
		case commits && !wrote:
			fail("branch %d was told to commit, but only read", i)
		}
		switch answer.Outcome {
		case xa.Committed, xa.CommittedLate:
			if wrote && rollbacks {
				fail("branch %d was rolled back", i)
			}
			if wrote && writers > 1 && !decided {
				fail("no decision")
			}
		case xa.RolledBack:
			if commits || decided {
				fail("branch %d was told to commit, or there is a decision", i)
			}
		}
	}
}
