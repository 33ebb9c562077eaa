package xa_test

import (
	"fmt"
	"testing"

	"github.com/xaproxy/xaproxy/xa"
)

// allowed is how much may go wrong in one run, by number of branches. It is as much as fits into a few seconds: the
// worlds grow with the product of the bounds and with the power of the branches.
var allowed = map[int]bounds{
	1: {faults: 3, crashes: 2, backendCrashes: 3, passes: 1},
	2: {faults: 3, crashes: 2, backendCrashes: 2, passes: 2},
	3: {faults: 2, crashes: 2, backendCrashes: 1, passes: 2},
	4: {faults: 2, crashes: 1, backendCrashes: 1, passes: 1},
}

func newModel(branches, writers, decider int, recordOnePhase bool, b bounds) *model {
	return &model{
		branches: branches, writers: writers, decider: decider, recordOnePhase: recordOnePhase, forgetful: recordOnePhase, bounds: b, watch: x1 | x2 | x3 | x4 | x5 | x6 | x7 | x8,
		met: make(map[metKey]int), verdicts: make(map[facts]verdict),
	}
}

// deciders are the branches that can decide: none, because a log does; one that writes; one that only reads. Of four branches a log does.
func deciders(branches, writers int) []int {
	all := []int{-1}
	if branches == maxBranches {
		return all
	}
	if writers > 0 {
		all = append(all, 0)
	}
	if writers < branches {
		all = append(all, branches-1)
	}
	return all
}

// variant is a way to commit.
type variant struct{ keyed, early bool }

// variants are those that differ: a key matters where a single server could decide, and the client waits for what several commit.
func variants(branches, writers int) []variant {
	all := []variant{{}}
	if branches <= 3 && writers <= 2 {
		all = append(all, variant{keyed: true})
	}
	if branches <= 3 && writers >= 2 {
		all = append(all, variant{early: true})
	}
	return all
}

// TestEveryInterleaving walks every world that can be reached with one to four branches, of which any may write, on
// servers that may or may not forget a one-phase commit, and checks the invariants X1 to X8 in each.
//
// What may happen, at any moment and in any order:
//
//   - a vote, commit, one-phase commit or rollback is executed, is refused, is executed while its reply is lost, is lost
//     on the way, or is executed long after everybody has gone;
//   - the client commits, with or without a commit key, waiting for phase two or not, rolls back, or stops waiting; a connection breaks under a statement;
//   - the log appends; says that it certainly did not; or fails without knowing;
//   - in place of the log a branch decides, that writes or only reads: its commit with the record is executed, refused or lost
//     like the others, and so is the fence that asks what became of it;
//   - the process crashes and starts again, reading the log;
//   - a server crashes: unprepared branches vanish, prepared ones stay, and ended ones may come back prepared, as the
//     servers in docs/protocol.md do;
//   - recovery lists a branch, looks in the in-flight table, looks in the decision table, and acts, each a move of its
//     own, with package recovery's own Judge; its request may be refused, lost, or arrive after a crash. Where a branch decides,
//     it fences instead of the last two looks, and does so while the owner lives, as any other proxy may.
//
// What bounds it: the numbers in allowed. What it does not show: that the Coordinator performs the actions as the model
// does (coordinator_test.go), that servers behave as the model's (tests on real servers), and that a pass of recovery
// makes its looks in this order.
func TestEveryInterleaving(t *testing.T) {
	met := make(map[metKey]int)
	total := 0
	for n := 1; n <= maxBranches; n++ {
		worlds := 0
		for writers := 0; writers <= n; writers++ {
			for _, recordOnePhase := range []bool{false, true} {
				for _, decider := range deciders(n, writers) {
					for _, v := range variants(n, writers) {
						m := newModel(n, writers, decider, recordOnePhase, allowed[n])
						m.keyed, m.early = v.keyed, v.early
						found, counter := m.explore()
						worlds += found
						if counter != nil {
							t.Errorf("%d branches, %d of them write, b%d decides, record one-phase commits: %v, %+v\n%s", n, writers, decider+1, recordOnePhase, v, counter)
						}
						for k, v := range m.met {
							met[k] += v
						}
					}
				}
			}
		}
		t.Logf("%d branches: %7d worlds with %+v", n, worlds, allowed[n])
		total += worlds
	}
	t.Logf("in all:     %7d worlds", total)

	// The walk has been everywhere: each event in each state in which Step accepts it.
	for _, k := range []metKey{
		{xa.Active, xa.EventCommit, xa.OK},
		{xa.Active, xa.EventRollback, xa.OK},
		{xa.Active, xa.EventBranchLost, xa.OK},
		{xa.Preparing, xa.EventReply, xa.OK},
		{xa.Preparing, xa.EventReply, xa.Refused},
		{xa.Preparing, xa.EventReply, xa.Lost},
		{xa.Deciding, xa.EventLogged, xa.OK},
		{xa.Deciding, xa.EventLogged, xa.Refused},
		{xa.Deciding, xa.EventLogged, xa.Lost},
		{xa.Deciding, xa.EventReply, xa.OK},
		{xa.Deciding, xa.EventReply, xa.Refused},
		{xa.Deciding, xa.EventReply, xa.Lost},
		{xa.Halted, xa.EventReply, xa.OK},
		{xa.Fencing, xa.EventFenced, xa.OK},
		{xa.Fencing, xa.EventFenced, xa.Refused},
		{xa.Fencing, xa.EventFenced, xa.Lost},
		{xa.Fencing, xa.EventReply, xa.OK},
		{xa.Unknown, xa.EventReply, xa.OK},
		{xa.Committing, xa.EventReply, xa.OK},
		{xa.Committing, xa.EventReply, xa.Refused},
		{xa.Committing, xa.EventReply, xa.Lost},
		{xa.Committing, xa.EventLate, xa.OK},
		{xa.OnePhase, xa.EventReply, xa.OK},
		{xa.OnePhase, xa.EventReply, xa.Refused},
		{xa.OnePhase, xa.EventReply, xa.Lost},
		{xa.Aborting, xa.EventReply, xa.OK},
		{xa.Aborting, xa.EventReply, xa.Refused},
		{xa.Aborting, xa.EventReply, xa.Lost},
	} {
		if met[k] == 0 {
			t.Errorf("the walk never met %s", fmt.Sprintf("event %v (%v) in state %v", k.event, k.result, k.state))
		}
	}
}
