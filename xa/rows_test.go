package xa_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/xa"
)

// One test for each row of the transition table in docs/protocol.md, with the row's name. TestTableRows compares the
// three lists.

// Events, as a table reads them.
var (
	commitAsked   = xa.Event{Kind: xa.EventCommit}
	rollbackAsked = xa.Event{Kind: xa.EventRollback}
	late          = xa.Event{Kind: xa.EventLate}
)

func reply(branch int, r xa.Result) xa.Event {
	return xa.Event{Kind: xa.EventReply, Branch: branch - 1, Result: r}
}

func fenced(r xa.Result) xa.Event { return xa.Event{Kind: xa.EventFenced, Result: r} }

func logged(r xa.Result) xa.Event { return xa.Event{Kind: xa.EventLogged, Result: r} }

func lost(branch int) xa.Event { return xa.Event{Kind: xa.EventBranchLost, Branch: branch - 1} }

// txn returns a running transaction with one branch per letter: w writes, r reads.
func txn(branches string) xa.Txn {
	var t xa.Txn
	for _, c := range branches {
		t.Branches = append(t.Branches, xa.Branch{Wrote: c == 'w'})
	}
	return t
}

// deciding is t with a branch that decides.
func deciding(t xa.Txn, branch int) xa.Txn {
	t.Branches[branch-1].Decides = true
	return t
}

// recording is t on servers whose one-phase commits need a record.
func recording(t xa.Txn) xa.Txn {
	t.RecordOnePhase = true
	return t
}

// keyed is t with a commit key.
func keyed(t xa.Txn) xa.Txn {
	t.Keyed = true
	return t
}

// early is t of a client that does not wait for phase two.
func early(t xa.Txn) xa.Txn {
	t.Early = true
	return t
}

// after returns t after events whose actions do not matter to the test.
func after(t xa.Txn, events ...xa.Event) xa.Txn {
	for _, e := range events {
		t, _ = t.Step(e)
	}
	return t
}

// transition checks one Step: the states of transaction and branches after it, and the actions.
func transition(t *testing.T, from xa.Txn, e xa.Event, state, actions string) xa.Txn {
	t.Helper()
	before := show(from)
	to, did := from.Step(e)
	if got := show(to); got != state {
		t.Errorf("%s on %s: %s, want %s", before, showEvent(e), got, state)
	}
	var names []string
	for _, a := range did {
		names = append(names, showAction(a))
	}
	if got := strings.Join(names, "; "); got != actions {
		t.Errorf("%s on %s: actions %q, want %q", before, showEvent(e), got, actions)
	}
	if show(from) != before {
		t.Errorf("Step changed the value that it was called on: %s, was %s", show(from), before)
	}
	return to
}

func show(t xa.Txn) string {
	var branches []string
	for _, b := range t.Branches {
		branches = append(branches, b.State.String())
	}
	return t.State.String() + ": " + strings.Join(branches, ", ")
}

func showEvent(e xa.Event) string {
	switch e.Kind {
	case xa.EventReply:
		return fmt.Sprintf("reply b%d %v", e.Branch+1, e.Result)
	case xa.EventLogged:
		return fmt.Sprintf("logged %v", e.Result)
	case xa.EventFenced:
		return fmt.Sprintf("fenced %v", e.Result)
	case xa.EventBranchLost:
		return fmt.Sprintf("branch lost b%d", e.Branch+1)
	}
	return e.Kind.String()
}

func showAction(a xa.Action) string {
	switch a.Kind {
	case xa.ActionAnswer, xa.ActionForget:
		return fmt.Sprintf("%v %v", a.Kind, a.Outcome)
	case xa.ActionAppend, xa.ActionHalt:
		return a.Kind.String()
	}
	return fmt.Sprintf("%v b%d", a.Kind, a.Branch+1)
}

func TestRowC0(t *testing.T) {
	transition(t, txn(""), commitAsked, "done: ", "answer committed; forget committed")
	transition(t, txn("rr"), commitAsked, "committing: ending, ending", "end b1; end b2")
}

func TestRowC1(t *testing.T) {
	transition(t, recording(txn("w")), commitAsked, "deciding: active", "append")
	transition(t, recording(txn("rw")), commitAsked, "deciding: ending, active", "end b1; append")
}

func TestRowC2(t *testing.T) {
	transition(t, txn("w"), commitAsked, "one-phase: committing", "one-phase b1")
	transition(t, txn("rwr"), commitAsked, "one-phase: ending, committing, ending", "end b1; end b3; one-phase b2")
}

func TestRowC3(t *testing.T) {
	transition(t, txn("ww"), commitAsked, "preparing: preparing, preparing", "prepare b1; prepare b2")
	transition(t, recording(txn("wrw")), commitAsked, "preparing: preparing, ending, preparing", "end b2; prepare b1; prepare b3")
}

func TestRowC4(t *testing.T) {
	transition(t, deciding(txn("wrw"), 1), commitAsked, "preparing: active, ending, preparing", "end b2; prepare b3")
	transition(t, deciding(txn("wwr"), 3), commitAsked, "preparing: preparing, preparing, active", "prepare b1; prepare b2")
	transition(t, deciding(recording(txn("rw")), 1), commitAsked, "preparing: active, preparing", "prepare b2")

	// One writer whose server forgets nothing needs no record, and a decider's server forgets nothing: C2.
	transition(t, deciding(txn("rw"), 1), commitAsked, "one-phase: ending, committing", "end b1; one-phase b2")
	transition(t, deciding(recording(txn("wr")), 1), commitAsked, "one-phase: committing, ending", "end b2; one-phase b1")
	transition(t, deciding(txn("rr"), 1), commitAsked, "committing: ending, ending", "end b1; end b2")
}

func TestRowC5(t *testing.T) {
	transition(t, keyed(txn("rr")), commitAsked, "deciding: ending, ending", "end b1; end b2; append")
	transition(t, keyed(deciding(txn("wr"), 1)), commitAsked, "deciding: deciding, ending", "end b2; decide b1")
	transition(t, keyed(deciding(txn("rr"), 1)), commitAsked, "deciding: deciding, ending", "end b2; decide b1")
	transition(t, after(keyed(txn("")), commitAsked), logged(xa.OK), "done: ", "answer committed; forget committed")
	transition(t, after(keyed(deciding(txn("w"), 1)), commitAsked), reply(1, xa.OK), "done: committed", "answer committed; forget committed")

	// Whoever has a vote is asked for it: C3 and C4.
	transition(t, keyed(txn("w")), commitAsked, "preparing: preparing", "prepare b1")
	transition(t, keyed(recording(txn("w"))), commitAsked, "preparing: preparing", "prepare b1")
	transition(t, keyed(deciding(txn("rw"), 1)), commitAsked, "preparing: active, preparing", "prepare b2")
}

func TestRowA0(t *testing.T) {
	transition(t, txn(""), rollbackAsked, "done: ", "answer rolled back; forget rolled back")
	transition(t, txn("wr"), rollbackAsked, "aborting: rolling back, rolling back", "rollback b1; rollback b2")
	transition(t, txn("wr"), lost(1), "aborting: lost, rolling back", "rollback b2")
	transition(t, txn("w"), lost(1), "done: lost", "answer rolled back; forget rolled back")
}

func TestRowR0(t *testing.T) {
	readers := after(txn("rr"), commitAsked)
	one := transition(t, readers, reply(1, xa.OK), "committing: rolled back, ending", "")
	transition(t, one, reply(2, xa.Refused), "done: rolled back, rolled back", "answer committed; forget committed")
	transition(t, one, reply(2, xa.Lost), "done: rolled back, lost", "answer committed; forget committed")

	// While votes or the log are outstanding, a reader's end decides nothing.
	transition(t, after(txn("wwr"), commitAsked), reply(3, xa.OK), "preparing: preparing, preparing, rolled back", "")
	transition(t, after(recording(txn("wr")), commitAsked), reply(2, xa.Lost), "deciding: active, lost", "")
	transition(t, after(recording(txn("wr")), commitAsked, logged(xa.Lost)), reply(2, xa.OK), "halted: active, rolled back", "")
}

func TestRowR1(t *testing.T) {
	asked := after(txn("ww"), commitAsked)
	one := transition(t, asked, reply(2, xa.OK), "preparing: preparing, prepared", "")
	transition(t, one, reply(1, xa.OK), "deciding: prepared, prepared", "append")
	transition(t, one, reply(1, xa.Refused), "aborting: rolling back, rolling back", "rollback b1; rollback b2")
	transition(t, one, reply(1, xa.Lost), "aborting: lost, rolling back", "rollback b2")
	transition(t, after(txn("wwr"), commitAsked, reply(1, xa.OK)), reply(2, xa.OK), "deciding: prepared, prepared, ending", "append")
}

func TestRowR2(t *testing.T) {
	aborting := after(txn("ww"), commitAsked, reply(1, xa.Lost))
	transition(t, aborting, reply(2, xa.OK), "aborting: lost, rolling back", "rollback b2")
	transition(t, aborting, reply(2, xa.Refused), "aborting: lost, rolling back", "rollback b2")
	transition(t, aborting, reply(2, xa.Lost), "done: lost, lost", "answer rolled back; forget rolled back")
}

func TestRowR3(t *testing.T) {
	asked := after(txn("w"), commitAsked)
	transition(t, asked, reply(1, xa.OK), "done: committed", "answer committed; forget committed")
	refused := transition(t, asked, reply(1, xa.Refused), "one-phase: rolling back", "rollback b1")
	transition(t, refused, reply(1, xa.OK), "done: rolled back", "answer rolled back; forget rolled back")
	transition(t, refused, reply(1, xa.Lost), "done: lost", "answer rolled back; forget rolled back")

	// After the record a branch that turns up prepared is committed, so nobody may be told that it is rolled back.
	recorded := after(recording(txn("w")), commitAsked, logged(xa.OK))
	transition(t, recorded, reply(1, xa.OK), "done: committed", "answer committed; forget committed")
	refused = transition(t, recorded, reply(1, xa.Refused), "one-phase: rolling back", "rollback b1")
	transition(t, refused, reply(1, xa.OK), "done: rolled back", "answer in doubt; forget in doubt")

	// A reader that is still to end delays the answer.
	transition(t, after(txn("wr"), commitAsked), reply(1, xa.OK), "one-phase: committed, ending", "")
}

func TestRowR4(t *testing.T) {
	transition(t, after(txn("w"), commitAsked), reply(1, xa.Lost), "done: lost", "answer in doubt; forget in doubt")
	transition(t, after(recording(txn("w")), commitAsked, logged(xa.OK)), reply(1, xa.Lost), "done: lost", "answer in doubt; forget in doubt")
}

func TestRowR5(t *testing.T) {
	committing := after(txn("ww"), commitAsked, reply(1, xa.OK), reply(2, xa.OK), logged(xa.OK))
	one := transition(t, committing, reply(1, xa.OK), "committing: committed, committing", "")
	transition(t, one, reply(2, xa.OK), "done: committed, committed", "answer committed; forget committed")
	transition(t, one, reply(2, xa.Refused), "done: committed, lost", "answer committed late; forget committed late")
	transition(t, one, reply(2, xa.Lost), "done: committed, lost", "answer committed late; forget committed late")
}

func TestRowR6(t *testing.T) {
	aborting := after(txn("ww"), rollbackAsked)
	one := transition(t, aborting, reply(1, xa.OK), "aborting: rolled back, rolling back", "")
	transition(t, one, reply(2, xa.OK), "done: rolled back, rolled back", "answer rolled back; forget rolled back")
	transition(t, one, reply(2, xa.Refused), "done: rolled back, lost", "answer rolled back; forget rolled back")
	transition(t, one, reply(2, xa.Lost), "done: rolled back, lost", "answer rolled back; forget rolled back")
}

func TestRowL0(t *testing.T) {
	deciding := after(txn("ww"), commitAsked, reply(1, xa.OK), reply(2, xa.OK))
	transition(t, deciding, logged(xa.Refused), "aborting: rolling back, rolling back", "rollback b1; rollback b2")
	transition(t, after(recording(txn("w")), commitAsked), logged(xa.Refused), "aborting: rolling back", "rollback b1")
}

func TestRowL1(t *testing.T) {
	deciding := after(txn("ww"), commitAsked, reply(1, xa.OK), reply(2, xa.OK))
	transition(t, deciding, logged(xa.Lost), "halted: prepared, prepared", "answer in doubt; halt")
	transition(t, after(recording(txn("w")), commitAsked), logged(xa.Lost), "halted: active", "answer in doubt; halt")
}

func TestRowL2(t *testing.T) {
	got := transition(t, after(recording(txn("rw")), commitAsked), logged(xa.OK), "one-phase: ending, committing", "one-phase b2")
	if !got.Recorded {
		t.Error("not marked as recorded")
	}
}

func TestRowL3(t *testing.T) {
	deciding := after(txn("wrw"), commitAsked, reply(1, xa.OK), reply(3, xa.OK))
	got := transition(t, deciding, logged(xa.OK), "committing: committing, ending, committing", "commit b1; commit b3")
	if !got.Recorded {
		t.Error("not marked as recorded")
	}
}

// decide is a transaction whose second branch has voted and whose first one decides.
func decide() xa.Txn { return after(deciding(txn("ww"), 1), commitAsked, reply(2, xa.OK)) }

func TestRowD0(t *testing.T) {
	transition(t, after(deciding(txn("ww"), 1), commitAsked), reply(2, xa.OK), "deciding: deciding, prepared", "decide b1")
	transition(t, decide(), reply(1, xa.Refused), "aborting: rolling back, rolling back", "rollback b1; rollback b2")
}

func TestRowD1(t *testing.T) {
	transition(t, decide(), reply(1, xa.Lost), "fencing: lost, prepared", "fence b1")
}

func TestRowD2(t *testing.T) {
	got := transition(t, decide(), reply(1, xa.OK), "committing: committed, committing", "commit b2")
	if !got.Recorded {
		t.Error("not marked as recorded")
	}
	transition(t, got, reply(2, xa.OK), "done: committed, committed", "answer committed; forget committed")
	transition(t, got, reply(2, xa.Lost), "done: committed, lost", "answer committed late; forget committed late")
	reader := after(deciding(txn("rww"), 1), commitAsked, reply(2, xa.OK), reply(3, xa.OK))
	transition(t, reader, reply(1, xa.OK), "committing: committed, committing, committing", "commit b2; commit b3")
}

func TestRowF0(t *testing.T) {
	transition(t, after(decide(), reply(1, xa.Lost)), fenced(xa.OK), "committing: committed, committing", "commit b2")
}

func TestRowF1(t *testing.T) {
	aborting := transition(t, after(decide(), reply(1, xa.Lost)), fenced(xa.Refused), "aborting: lost, rolling back", "rollback b2")
	transition(t, aborting, reply(2, xa.OK), "done: lost, rolled back", "answer rolled back; forget rolled back")
}

func TestRowF2(t *testing.T) {
	transition(t, after(decide(), reply(1, xa.Lost)), fenced(xa.Lost), "done: lost, lost", "answer in doubt; forget in doubt")
	reader := after(deciding(txn("wwr"), 1), commitAsked, reply(2, xa.OK), reply(1, xa.Lost))
	waiting := transition(t, reader, fenced(xa.Lost), "unknown: lost, lost, ending", "")
	transition(t, waiting, reply(3, xa.OK), "done: lost, lost, rolled back", "answer in doubt; forget in doubt")
}

func TestRowT0(t *testing.T) {
	committing := after(txn("ww"), commitAsked, reply(1, xa.OK), reply(2, xa.OK), logged(xa.OK))
	answered := transition(t, committing, late, "committing: committing, committing", "answer committed late")
	transition(t, answered, late, "committing: committing, committing", "")
	one := transition(t, answered, reply(1, xa.OK), "committing: committed, committing", "")
	transition(t, one, reply(2, xa.OK), "done: committed, committed", "forget committed")
	transition(t, one, reply(2, xa.Lost), "done: committed, lost", "forget committed late")
}

func TestRowT1(t *testing.T) {
	committing := transition(t, after(early(txn("ww")), commitAsked, reply(1, xa.OK), reply(2, xa.OK)), logged(xa.OK),
		"committing: committing, committing", "commit b1; commit b2; answer committed")
	transition(t, committing, late, "committing: committing, committing", "")
	transition(t, after(committing, reply(1, xa.OK)), reply(2, xa.Lost), "done: committed, lost", "forget committed late")
	transition(t, after(early(deciding(txn("ww"), 1)), commitAsked, reply(2, xa.OK)), reply(1, xa.OK),
		"committing: committed, committing", "commit b2; answer committed")
	transition(t, after(early(txn("w")), commitAsked), reply(1, xa.OK), "done: committed", "answer committed; forget committed")
}

// TestImpossibleEvents goes through every event in every state and expects a panic unless a row names the pair.
func TestImpossibleEvents(t *testing.T) {
	two := []xa.Event{commitAsked, reply(1, xa.OK), reply(2, xa.OK)}
	states := map[xa.State]xa.Txn{
		xa.Active:     txn("ww"),
		xa.Preparing:  after(txn("ww"), commitAsked),
		xa.Deciding:   after(txn("ww"), two...),
		xa.Committing: after(txn("ww"), append(slices.Clone(two), logged(xa.OK))...),
		xa.OnePhase:   after(txn("wr"), commitAsked, reply(2, xa.OK)),
		xa.Aborting:   after(txn("ww"), rollbackAsked),
		xa.Fencing:    after(decide(), reply(1, xa.Lost)),
		xa.Unknown:    after(deciding(txn("wwr"), 1), commitAsked, reply(2, xa.OK), reply(1, xa.Lost), fenced(xa.Lost)),
		xa.Halted:     after(txn("ww"), append(slices.Clone(two), logged(xa.Lost))...),
		xa.Done:       after(txn("ww"), append(slices.Clone(two), logged(xa.OK), reply(1, xa.OK), reply(2, xa.OK))...),
	}
	events := []xa.Event{commitAsked, rollbackAsked, lost(1), reply(1, xa.OK), reply(2, xa.OK), reply(3, xa.OK), logged(xa.OK), fenced(xa.OK), late, {Kind: 99}}
	possible := map[xa.State][]xa.Event{
		xa.Active:     {commitAsked, rollbackAsked, lost(1)},
		xa.Preparing:  {reply(1, xa.OK), reply(2, xa.OK)},
		xa.Deciding:   {logged(xa.OK)},
		xa.Committing: {reply(1, xa.OK), reply(2, xa.OK), late},
		xa.OnePhase:   {reply(1, xa.OK)},
		xa.Aborting:   {reply(1, xa.OK), reply(2, xa.OK)},
		xa.Fencing:    {fenced(xa.OK)},
		xa.Unknown:    {reply(3, xa.OK)},
	}
	for state, from := range states {
		if from.State != state {
			t.Fatalf("state %v, want %v", from.State, state)
		}
		for _, e := range events {
			want := !slices.Contains(possible[state], e)
			if got := panics(func() { from.Step(e) }); got != want {
				t.Errorf("%s on %s: panic %v, want %v", show(from), showEvent(e), got, want)
			}
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}
