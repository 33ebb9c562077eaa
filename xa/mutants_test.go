package xa_test

import (
	"slices"
	"testing"

	"github.com/xaproxy/xaproxy/xa"
)

type mutant struct {
	name                string
	writers, readers    int
	decides             bool // the first branch
	forgetful, unrecord bool // servers that forget one-phase commits; and Step is not told
	keyed               bool
	bug                 bug
	violates            violations // the invariant that must be seen broken
}

func (m mutant) decider() int {
	if m.decides {
		return 0
	}
	return -1
}

type stepFunc = func(xa.Txn, xa.Event) (xa.Txn, []xa.Action)

// mutants are protocols with one bug each. The bugs are planted around the real Step, or in the model of recovery and
// log; the code that runs in production has no switches for them.
var mutants = []mutant{
	{
		name: "a key is forgotten where one server can decide", writers: 1, keyed: true, violates: x8,
		bug: bug{stepWith: unkeyed},
	},
	{
		name: "a key is forgotten where the decider alone wrote", writers: 1, readers: 1, decides: true, keyed: true, violates: x8,
		bug: bug{stepWith: unkeyed},
	},
	{
		name: "a key is forgotten where nothing was written", readers: 1, keyed: true, violates: x8,
		bug: bug{stepWith: unkeyed},
	},
	{
		name: "the one writer with a key does not vote", writers: 1, keyed: true, violates: x2,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			t.Keyed, t.RecordOnePhase = false, true
			return t.Step(e)
		}},
	},
	{
		name: "phase two before the log sync", writers: 2, violates: x1,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			if e.Kind == xa.EventLogged && t.State != xa.Deciding {
				return t, nil // it was not waited for
			}
			next, actions := t.Step(e)
			if !has(actions, xa.ActionAppend) {
				return next, actions
			}
			next, more := next.Step(xa.Event{Kind: xa.EventLogged, Result: xa.OK})
			return next, append(actions, more...)
		}},
	},
	{
		name: "an append that failed is taken for one that did not", writers: 2, violates: x1,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			if e.Kind == xa.EventLogged {
				e.Result = xa.OK
			}
			return t.Step(e)
		}},
	},
	{
		name: "rollback after a log error although the record may be written", writers: 2, violates: x2,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			if e.Kind == xa.EventLogged && e.Result == xa.Lost {
				e.Result = xa.Refused
			}
			return t.Step(e)
		}},
	},
	{
		name: "a lost commit is not tried again", writers: 2, violates: x4,
		bug: bug{judge: func(inFlight, decided bool) verdict {
			if inFlight || decided {
				return leave
			}
			return rollback
		}},
	},
	{
		name: "recovery ignores decisions", writers: 2, violates: x3,
		bug: bug{judge: func(inFlight, _ bool) verdict {
			if inFlight {
				return leave
			}
			return rollback
		}},
	},
	{
		name: "recovery skips what is not in the log", writers: 2, violates: x4,
		bug: bug{judge: func(inFlight, decided bool) verdict {
			if inFlight || !decided {
				return leave
			}
			return commit
		}},
	},
	{
		name: "recovery commits what is not in the log", writers: 2, violates: x6,
		bug: bug{judge: func(inFlight, _ bool) verdict {
			if inFlight {
				return leave
			}
			return commit
		}},
	},
	{
		name: "recovery acts on transactions in flight", writers: 2, violates: x2,
		bug: bug{judge: func(_, decided bool) verdict {
			if decided {
				return commit
			}
			return rollback
		}},
	},
	{
		name: "recovery looks at decisions before it lists", writers: 2, violates: x2,
		bug: bug{order: []look{lookDecision, lookList, lookInFlight}},
	},
	{
		name: "recovery looks at the in-flight table before it lists", writers: 2, violates: x2,
		bug: bug{order: []look{lookInFlight, lookList, lookDecision}},
	},
	{
		name: "recovery looks at decisions before the in-flight table", writers: 2, violates: x2,
		bug: bug{order: []look{lookList, lookDecision, lookInFlight}},
	},
	{
		name: "no rollback after a failed vote", writers: 2, violates: x4,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			if t.State == xa.Preparing && e.Kind == xa.EventReply && e.Result != xa.OK {
				t.State = xa.Done // it stays in flight, so recovery leaves its branches alone
				return t, []xa.Action{{Kind: xa.ActionAnswer, Outcome: xa.RolledBack}}
			}
			if t.State == xa.Done {
				return t, nil // late votes
			}
			return t.Step(e)
		}},
	},
	{
		name: "too few votes", writers: 3, violates: x3,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			if t.State == xa.Preparing && e.Result == xa.OK {
				votes := 0
				for i := range t.Branches {
					if t.Branches[i].State == xa.BranchPrepared {
						votes++
					}
				}
				if votes == len(t.Branches)-2 { // with this one, all but one: the last is not waited for
					t = clone(t)
					for i := range t.Branches {
						if i != e.Branch && t.Branches[i].State == xa.BranchPreparing {
							t.Branches[i] = xa.Branch{State: xa.BranchEnding}
						}
					}
				}
			}
			return t.Step(e)
		}},
	},
	{
		name: "a lost vote counts as yes", writers: 2, violates: x5,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			if t.State == xa.Preparing && e.Kind == xa.EventReply && e.Result == xa.Lost && t.Branches[e.Branch].Wrote {
				e.Result = xa.OK
			}
			return t.Step(e)
		}},
	},
	{
		name: "a reader's answer counts as a vote", writers: 2, readers: 1, violates: x3,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			if t.State == xa.Preparing && t.Branches[e.Branch].State == xa.BranchEnding && e.Result == xa.OK {
				for i := range t.Branches {
					if t.Branches[i].State == xa.BranchPreparing { // instead of this one's
						t = clone(t)
						t.Branches[i], t.Branches[e.Branch] = t.Branches[e.Branch], xa.Branch{State: xa.BranchRolledBack}
						t.Branches[i].State = xa.BranchEnding
						last := true
						for _, b := range t.Branches {
							last = last && b.State != xa.BranchPreparing
						}
						if last {
							t.State = xa.Deciding
							return t, []xa.Action{{Kind: xa.ActionAppend}}
						}
						return t, nil
					}
				}
			}
			return t.Step(e)
		}},
	},
	{
		name: "commit is sent to a reader only", writers: 1, readers: 1, violates: x5,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			if e.Kind == xa.EventCommit {
				t = clone(t)
				t.Branches[0].Wrote, t.Branches[1].Wrote = t.Branches[1].Wrote, t.Branches[0].Wrote
			}
			return t.Step(e)
		}},
	},
	{
		name: "the client is answered before the record", writers: 2, violates: x5,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			next, actions := t.Step(e)
			if has(actions, xa.ActionAppend) {
				next.Answered = true
				actions = append([]xa.Action{{Kind: xa.ActionAnswer, Outcome: xa.Committed}}, actions...)
			}
			return next, actions
		}},
	},
	{
		name: "the client is answered twice", writers: 2, violates: x7,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			next, actions := t.Step(e)
			if e.Kind == xa.EventLate {
				next.Answered = false
			}
			return next, actions
		}},
	},
	{
		name: "the in-flight table is left before the decision is visible", writers: 2, violates: x2,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			next, actions := t.Step(e)
			if has(actions, xa.ActionAppend) {
				actions = append(actions, xa.Action{Kind: xa.ActionForget})
			}
			return next, actions
		}},
	},
	{
		name: "the in-flight table is never left", writers: 2, violates: x7,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			next, actions := t.Step(e)
			return next, slices.DeleteFunc(actions, func(a xa.Action) bool { return a.Kind == xa.ActionForget })
		}},
	},
	{
		name: "a one-phase commit without a record on a server that forgets it", writers: 1, violates: x5,
		forgetful: true, unrecord: true,
	},
	{
		name: "a lost one-phase commit is answered as rolled back", writers: 1, violates: x6,
		bug: bug{stepWith: answerInstead(xa.InDoubt, xa.RolledBack)},
	},
	{
		name: "a lost one-phase commit is answered as committed", writers: 1, violates: x5,
		bug: bug{stepWith: answerInstead(xa.InDoubt, xa.Committed)},
	},
	{
		name: "a recorded and refused one-phase commit is answered as rolled back", writers: 1, violates: x6,
		forgetful: true,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			if t.State == xa.OnePhase && t.Branches[e.Branch].Refused {
				t.Recorded = false
			}
			return t.Step(e)
		}},
	},
	{
		name: "the decision is forgotten at the first acknowledgement", writers: 2, violates: x3,
		bug: bug{forget: func(w *world) bool {
			for _, b := range w.b {
				if b.co.State == xa.BranchCommitted {
					return true
				}
			}
			return false
		}},
	},
	{
		name: "the decision is forgotten at the last acknowledgement", writers: 2, violates: x3,
		bug: bug{forget: func(w *world) bool { return w.answer == xa.Committed }},
	},
	{
		name: "the others are committed before the decider", writers: 2, decides: true, violates: x1,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			if t.State == xa.Deciding && t.Branches[e.Branch].State == xa.BranchCommitting {
				t = clone(t)
				t.Branches[0].State, t.Branches[1].State = xa.BranchDeciding, xa.BranchCommitted
				return t, []xa.Action{{Kind: xa.ActionDecide}}
			}
			next, actions := t.Step(e)
			if has(actions, xa.ActionDecide) {
				next.Branches[0].State, next.Branches[1].State = xa.BranchActive, xa.BranchCommitting
				actions = []xa.Action{{Kind: xa.ActionCommit, Branch: 1}}
			}
			return next, actions
		}},
	},
	{
		name: "the decider is asked before the votes are there", writers: 2, decides: true, violates: x2,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			if t.State != xa.Preparing && t.State != xa.Aborting && t.Branches[e.Branch].State == xa.BranchPreparing {
				t = clone(t)
				t.Branches[1].State = xa.BranchPrepared
				return t, nil
			}
			next, actions := t.Step(e)
			if e.Kind == xa.EventCommit {
				next.State, next.Branches[0].State = xa.Deciding, xa.BranchDeciding
				actions = append(actions, xa.Action{Kind: xa.ActionDecide})
			}
			return next, actions
		}},
	},
	{
		name: "a lost reply of the decider is taken for a refusal", writers: 2, decides: true, violates: x2,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			if t.State == xa.Deciding && e.Kind == xa.EventReply && e.Result == xa.Lost && t.Branches[e.Branch].Decides {
				e.Result = xa.Refused
			}
			return t.Step(e)
		}},
	},
	{
		name: "a lost reply of the decider is taken for a commit", writers: 2, decides: true, violates: x1,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			if t.State == xa.Deciding && e.Kind == xa.EventReply && t.Branches[e.Branch].Decides {
				e.Result = xa.OK
			}
			return t.Step(e)
		}},
	},
	{
		name: "a fence without an answer is answered as rolled back", writers: 2, decides: true, violates: x6,
		bug: bug{stepWith: answerInstead(xa.InDoubt, xa.RolledBack)},
	},
	{
		name: "a fence without an answer is taken for one that is there first", writers: 2, decides: true, violates: x2,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			if e.Kind == xa.EventFenced && e.Result == xa.Lost {
				e.Result = xa.Refused
			}
			return t.Step(e)
		}},
	},
	{
		name: "a decider that only read is ended without the record", writers: 1, readers: 1, forgetful: true, unrecord: true, decides: true, violates: x5,
		bug: bug{stepWith: func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
			if e.Kind == xa.EventCommit { // the first branch decides, and the second one writes
				t = clone(t)
				t.Branches[0].Wrote, t.Branches[1].Wrote = false, true
			}
			return t.Step(e)
		}},
	},
	{
		name: "recovery reads the record and does not fence", writers: 2, decides: true, violates: x2,
		bug: bug{order: []look{lookList, lookRow}},
	},
	{
		name: "recovery commits what has no record on the decider", writers: 2, decides: true, violates: x1,
		bug: bug{judge: func(bool, bool) verdict { return commit }},
	},
	{
		name: "a late decider writes over the record of a fence", writers: 2, decides: true, violates: x2,
		bug: bug{overwrites: true},
	},
	{
		name: "the record on the decider is deleted at the last acknowledgement", writers: 2, decides: true, violates: x3,
		bug: bug{forget: func(w *world) bool { return w.answer == xa.Committed }},
	},
}

// TestPlantedBugsAreCaught shows that the explorer can fail: each mutant must lead to a world in which the invariant
// that it is about does not hold. Run with -v to see the shortest way there.
func TestPlantedBugsAreCaught(t *testing.T) {
	for _, mutant := range mutants {
		t.Run(mutant.name, func(t *testing.T) {
			b := bounds{faults: 2, crashes: 1, backendCrashes: 1, passes: 1}
			m := newModel(mutant.writers+mutant.readers, mutant.writers, mutant.decider(), mutant.forgetful && !mutant.unrecord, b)
			m.forgetful, m.keyed, m.bug, m.watch = mutant.forgetful, mutant.keyed, mutant.bug, mutant.violates
			worlds, counter := m.explore()
			switch {
			case counter == nil:
				t.Fatalf("not caught in %d worlds", worlds)
			case counter.panicked != nil:
				t.Fatalf("want %s violated\n%s", mutant.violates, counter)
			}
			t.Logf("%s", counter)
		})
	}
}

// TestMutantsDifferOnlyInTheirBug shows that what catches a mutant is its bug: without it, the same worlds are clean.
func TestMutantsDifferOnlyInTheirBug(t *testing.T) {
	for _, mutant := range mutants {
		b := bounds{faults: 2, crashes: 1, backendCrashes: 1, passes: 1}
		m := newModel(mutant.writers+mutant.readers, mutant.writers, mutant.decider(), mutant.forgetful, b)
		m.keyed = mutant.keyed
		if _, counter := m.explore(); counter != nil {
			t.Errorf("%s: without the bug\n%s", mutant.name, counter)
		}
	}
}

// unkeyed is Step that knows no keys.
func unkeyed(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
	t.Keyed = false
	return t.Step(e)
}

// answerInstead is Step, but with another answer to the client.
func answerInstead(of, with xa.Outcome) stepFunc {
	return func(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
		next, actions := t.Step(e)
		for i := range actions {
			if actions[i].Kind == xa.ActionAnswer && actions[i].Outcome == of {
				actions[i].Outcome = with
			}
		}
		return next, actions
	}
}

func has(actions []xa.Action, kind xa.ActionKind) bool {
	return slices.ContainsFunc(actions, func(a xa.Action) bool { return a.Kind == kind })
}

func clone(t xa.Txn) xa.Txn {
	t.Branches = slices.Clone(t.Branches)
	return t
}
