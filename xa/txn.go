package xa

import "fmt"

// State is where a transaction stands. The comment of each state is the promise it makes.
type State uint8

const (
	// Active: statements run. No decision; a crash means rollback.
	Active State = iota
	// Preparing: votes are being collected. No decision; a crash means rollback.
	Preparing
	// Deciding: the COMMIT record was handed to the log, or to the decider. A crash means what is there then.
	Deciding
	// Committing: the record is durable. From here only commit.
	Committing
	// OnePhase: the only writing branch was told to commit without a vote. Its server decides.
	OnePhase
	// Aborting: only rollback from here.
	Aborting
	// Fencing: the decider gave no answer. Its backend is asked what the decision is, so that it cannot change any more.
	Fencing
	// Unknown: the decider's backend does not say what the decision is. Recovery will find out; readers may still have to end.
	Unknown
	// Halted: the log failed and nobody here can know the decision. The process must stop and recover.
	Halted
	// Done: nothing is left for the coordinator to do.
	Done
)

// BranchState is what the coordinator knows of one branch. In the states that end in -ing, exactly one action is
// outstanding on the branch and exactly one Reply will come.
type BranchState uint8

const (
	BranchActive      BranchState = iota // statements run
	BranchEnding                         // told to end without a vote, because it only read
	BranchPreparing                      // asked for its vote
	BranchPrepared                       // voted yes
	BranchDeciding                       // told to commit together with the record
	BranchCommitting                     // told to commit
	BranchRollingBack                    // told to roll back
	BranchCommitted                      // acknowledged its commit
	BranchRolledBack                     // acknowledged its rollback, or only read and has ended
	BranchLost                           // gave no usable answer: recovery finishes it
)

// Branch is one branch of a Txn.
type Branch struct {
	State BranchState
	Wrote bool // some statement other than a plain SELECT ran here
	// Refused says that the server answered a one-phase commit with an error, so it has not committed.
	Refused bool
	// Decides says that the branch is a plain transaction, whose commit can take the COMMIT record along: the participant store.
	// At most one branch of a Txn decides; without one a log has the record.
	Decides bool
}

// Txn is one global transaction. Step copies it, so every value ever returned stays valid.
type Txn struct {
	State    State
	Branches []Branch
	// RecordOnePhase says that the one-phase shortcut needs a durable record first, because the server may bring
	// the branch back as prepared after an acknowledged one-phase commit (MariaDB with its binary log, MDEV-21469).
	RecordOnePhase bool
	// Keyed says that the transaction has a commit key, which the record carries: it commits only with one, whoever wrote.
	Keyed bool
	// Early says that the client does not wait for phase two.
	Early bool
	// Recorded says that the COMMIT record is durable.
	Recorded bool
	// Answered says that the client has its answer while branches are still outstanding.
	Answered bool
}

// EventKind says what happened.
type EventKind uint8

const (
	EventCommit     EventKind = iota // the client asks for COMMIT
	EventRollback                    // the client asks for ROLLBACK, is gone, or the transaction cannot go on
	EventBranchLost                  // the connection of an active branch broke
	EventReply                       // a branch answered its outstanding action
	EventLogged                      // the log answered
	EventFenced                      // the decider's backend answered: OK, it is committed; Refused, it never will be
	EventLate                        // the client has waited long enough for phase two
)

// Result is what came back from a branch or from the log.
type Result uint8

const (
	OK      Result = iota // done
	Refused               // the server answered with an error; the log wrote nothing
	Lost                  // no answer: it may or may not have happened
)

// Event is the input of Step.
type Event struct {
	Kind   EventKind
	Branch int    // EventBranchLost, EventReply
	Result Result // EventReply, EventLogged, EventFenced
}

// ActionKind says what is due.
type ActionKind uint8

const (
	ActionEnd      ActionKind = iota // branch: XA END; XA ROLLBACK, because it only read
	ActionPrepare                    // branch: XA END; XA PREPARE
	ActionOnePhase                   // branch: XA END; XA COMMIT ... ONE PHASE
	ActionAppend                     // log: make the COMMIT record durable
	ActionDecide                     // decider: insert the COMMIT record; COMMIT
	ActionFence                      // backend of the decider: which record is there; if none, insert one that it is rolled back
	ActionCommit                     // branch: XA COMMIT
	ActionRollback                   // branch: XA END (result ignored); XA ROLLBACK
	ActionAnswer                     // client: Outcome
	ActionForget                     // leave the in-flight table; Outcome says whether all branches acknowledged
	ActionHalt                       // stop the process: the log can no longer be trusted
)

// Outcome is what the client is told.
type Outcome uint8

const (
	NoOutcome     Outcome = iota
	Committed             // every branch acknowledged
	CommittedLate         // decided and durable, but some branch is still to be finished by recovery
	RolledBack            // no branch is or will be committed
	InDoubt               // nobody here can know
)

// Action is the output of Step.
type Action struct {
	Kind    ActionKind
	Branch  int
	Outcome Outcome // ActionAnswer, ActionForget
}

// Step applies one event and returns the next value with the actions it makes due, in an order that is safe to follow.
// It does no I/O, never blocks and does not modify t. An event that cannot happen in t's state panics: a coordinator
// that sends one is broken, and going on could lose money.
//
// The cases are the rows of the table in docs/protocol.md, in the same order and with the same names.
func (t Txn) Step(e Event) (Txn, []Action) {
	t.Branches = append([]Branch(nil), t.Branches...)
	switch e.Kind {
	case EventCommit:
		t.require(e, Active)
		return t.commit()
	case EventRollback:
		t.require(e, Active)
		return t.abort()
	case EventBranchLost:
		t.require(e, Active)
		t.Branches[e.Branch].State = BranchLost
		return t.abort()
	case EventReply:
		return t.reply(e)
	case EventLogged:
		t.require(e, Deciding)
		return t.logged(e)
	case EventFenced:
		t.require(e, Fencing)
		return t.fenced(e)
	case EventLate:
		t.require(e, Committing)
		return t.late()
	}
	panic(fmt.Sprintf("xa: unknown event %d", e.Kind))
}

// commit: rows C0 to C5.
func (t Txn) commit() (Txn, []Action) {
	var actions []Action
	writers, voters, last, decider := 0, 0, 0, t.decider()
	for i, b := range t.Branches {
		if b.Wrote {
			writers, last = writers+1, i
			if i != decider {
				voters++
			}
		}
	}
	// Whoever decides need not have written anything itself. A record for one branch is no use where that is the decider, unless it has
	// a key: its server does not forget a plain COMMIT.
	record := writers > 1 || voters == 1 && t.RecordOnePhase || t.Keyed
	for i, b := range t.Branches {
		if b.Wrote || record && i == decider {
			continue
		}
		t.Branches[i].State = BranchEnding
		actions = append(actions, Action{Kind: ActionEnd, Branch: i})
	}
	switch {
	case t.Keyed && voters == 0: // C5: nobody has a vote, and the key is to be known all the same
		t.State = Deciding
		more := t.decide()
		return t, append(actions, more...)
	case writers == 0: // C0: nothing to decide; the readers only give up their locks
		t.State = Committing
		more := t.settle(Committed)
		return t, append(actions, more...)
	case record && decider < 0 && writers == 1 && !t.Keyed: // C1: the server may forget the commit, so the record goes first
		t.State = Deciding
		return t, append(actions, Action{Kind: ActionAppend})
	case !record: // C2: the server of the only writer decides
		t.State = OnePhase
		t.Branches[last].State = BranchCommitting
		return t, append(actions, Action{Kind: ActionOnePhase, Branch: last})
	default: // C3: phase one. C4: the same without the decider, whose commit is the decision
		t.State = Preparing
		for i, b := range t.Branches {
			if b.Wrote && !b.Decides {
				t.Branches[i].State = BranchPreparing
				actions = append(actions, Action{Kind: ActionPrepare, Branch: i})
			}
		}
		return t, actions
	}
}

// abort: row A0. Branches that are told nothing now are rolled back when their outstanding answer arrives.
func (t Txn) abort() (Txn, []Action) {
	t.State = Aborting
	var actions []Action
	for i, b := range t.Branches {
		if b.State == BranchActive || b.State == BranchPrepared {
			t.Branches[i].State = BranchRollingBack
			actions = append(actions, Action{Kind: ActionRollback, Branch: i})
		}
	}
	more := t.settle(RolledBack)
	return t, append(actions, more...)
}

// reply: rows R0 to R6 and D0 to D2, chosen by what was outstanding on the branch.
func (t Txn) reply(e Event) (Txn, []Action) {
	b := &t.Branches[e.Branch]
	switch b.State {
	case BranchEnding: // R0: a reader has nothing to lose; a lost one is rolled back by its server
		b.State = BranchRolledBack
		if e.Result == Lost {
			b.State = BranchLost
		}
		return t.settled()

	case BranchPreparing: // R1, R2: a vote
		return t.voted(e)

	case BranchCommitting:
		if t.State == OnePhase { // R3, R4: the server has decided
			return t.decidedByServer(e)
		}
		t.require(e, Committing) // R5: phase two; whatever did not say OK is recovery's to repeat
		b.State = BranchCommitted
		if e.Result != OK {
			b.State = BranchLost
		}
		return t.settled()

	case BranchDeciding: // D0 to D2
		return t.decided(e)

	case BranchRollingBack: // R6: a rollback that was refused or lost is repeated by recovery (presumed abort)
		t.require(e, Aborting, OnePhase)
		b.State = BranchRolledBack
		if e.Result != OK {
			b.State = BranchLost
		}
		return t.settled()
	}
	panic(fmt.Sprintf("xa: reply from branch %d in state %q of a transaction in state %q: nothing was asked", e.Branch, b.State, t.State))
}

// voted: rows R1 (phase one) and R2 (a late vote: the transaction is already aborting).
func (t Txn) voted(e Event) (Txn, []Action) {
	t.require(e, Preparing, Aborting)
	b := &t.Branches[e.Branch]
	switch e.Result {
	case OK:
		b.State = BranchPrepared
	case Refused: // the branch may still hold its locks until it is rolled back
		b.State = BranchActive
	case Lost: // the server may prepare it later, with nobody attached: recovery rolls it back
		b.State = BranchLost
	}
	if t.State == Aborting || e.Result != OK {
		return t.abort()
	}
	for _, b := range t.Branches {
		if b.Wrote && !b.Decides && b.State != BranchPrepared {
			return t, nil
		}
	}
	t.State = Deciding
	actions := t.decide()
	return t, actions
}

// decide hands the record to whoever keeps it.
func (t *Txn) decide() []Action {
	decider := t.decider()
	if decider < 0 {
		return []Action{{Kind: ActionAppend}}
	}
	t.Branches[decider].State = BranchDeciding
	return []Action{{Kind: ActionDecide, Branch: decider}}
}

// decided: rows D0 to D2.
func (t Txn) decided(e Event) (Txn, []Action) {
	t.require(e, Deciding)
	b := &t.Branches[e.Branch]
	switch e.Result {
	case Refused: // D0: the record was not inserted, so the transaction is still open, and can still be rolled back
		b.State = BranchActive
		return t.abort()
	case Lost: // D1: it may have committed, or may do so later
		b.State = BranchLost
		t.State = Fencing
		return t, []Action{{Kind: ActionFence, Branch: e.Branch}}
	}
	b.State = BranchCommitted // D2: the commit point was passed
	return t.phaseTwo()
}

// fenced: rows F0 to F2.
func (t Txn) fenced(e Event) (Txn, []Action) {
	switch e.Result {
	case OK: // F0: the record is there
		t.Branches[t.decider()].State = BranchCommitted
		return t.phaseTwo()
	case Refused: // F1: the decider can never commit any more
		return t.abort()
	}
	for i, b := range t.Branches { // F2: nobody here can know; recovery will
		if b.State == BranchPrepared {
			t.Branches[i].State = BranchLost
		}
	}
	t.State = Unknown
	return t.settled()
}

// phaseTwo commits every prepared branch: the record is durable. T1: a client that does not wait for it is answered.
func (t Txn) phaseTwo() (Txn, []Action) {
	t.State, t.Recorded = Committing, true
	var actions []Action
	for i, b := range t.Branches {
		if b.State == BranchPrepared {
			t.Branches[i].State = BranchCommitting
			actions = append(actions, Action{Kind: ActionCommit, Branch: i})
		}
	}
	if actions == nil { // C5
		return t.settled()
	}
	if t.Early {
		t.Answered = true
		actions = append(actions, Action{Kind: ActionAnswer, Outcome: Committed})
	}
	return t, actions
}

// logged: rows L0 to L3.
func (t Txn) logged(e Event) (Txn, []Action) {
	switch e.Result {
	case Refused: // L0: certainly not written, so it can still be rolled back
		return t.abort()
	case Lost: // L1: the record may be on disk; rolling back could contradict it
		t.State = Halted
		return t, []Action{{Kind: ActionAnswer, Outcome: InDoubt}, {Kind: ActionHalt}}
	}
	if w := t.unprepared(); w >= 0 { // L2: row C1 goes on
		t.State, t.Recorded = OnePhase, true
		t.Branches[w].State = BranchCommitting
		return t, []Action{{Kind: ActionOnePhase, Branch: w}}
	}
	return t.phaseTwo() // L3: the commit point was passed
}

// decidedByServer: rows R3 and R4.
func (t Txn) decidedByServer(e Event) (Txn, []Action) {
	b := &t.Branches[e.Branch]
	switch {
	case e.Result == OK:
		b.State = BranchCommitted // R3: it has committed
	case e.Result == Refused: // R3: it has not; clear what is left of it in the session
		b.State, b.Refused = BranchRollingBack, true
		return t, []Action{{Kind: ActionRollback, Branch: e.Branch}}
	default: // R4: no answer, so nobody here knows
		b.State = BranchLost
	}
	return t.settled()
}

// late: row T0. The client stops waiting; the branches go on.
func (t Txn) late() (Txn, []Action) {
	if t.Answered {
		return t, nil
	}
	t.Answered = true
	return t, []Action{{Kind: ActionAnswer, Outcome: CommittedLate}}
}

// settled ends the transaction when no answer is outstanding. The outcome follows from the state alone.
func (t Txn) settled() (Txn, []Action) {
	switch t.State {
	case Aborting:
		actions := t.settle(RolledBack)
		return t, actions
	case Committing:
		for _, b := range t.Branches {
			if b.Wrote && b.State == BranchLost {
				actions := t.settle(CommittedLate)
				return t, actions
			}
		}
		actions := t.settle(Committed)
		return t, actions
	case Unknown:
		actions := t.settle(InDoubt)
		return t, actions
	case OnePhase:
		outcome := Committed
		for _, b := range t.Branches {
			if !b.Wrote {
				continue
			}
			switch {
			case b.State == BranchCommitted:
			case b.Refused && !t.Recorded:
				outcome = RolledBack
			default: // no answer, so it may have committed; or recorded, so it will be if a crash brings it back
				outcome = InDoubt
			}
		}
		actions := t.settle(outcome)
		return t, actions
	}
	return t, nil // a reader has ended while votes or the log are outstanding
}

// settle moves to Done and says so, if no branch has an answer outstanding.
func (t *Txn) settle(o Outcome) []Action {
	for _, b := range t.Branches {
		switch b.State {
		case BranchEnding, BranchPreparing, BranchDeciding, BranchCommitting, BranchRollingBack:
			return nil
		}
	}
	t.State = Done
	if t.Answered {
		return []Action{{Kind: ActionForget, Outcome: o}}
	}
	t.Answered = true
	return []Action{{Kind: ActionAnswer, Outcome: o}, {Kind: ActionForget, Outcome: o}}
}

// decider returns the branch that decides, or -1.
func (t *Txn) decider() int {
	for i, b := range t.Branches {
		if b.Decides {
			return i
		}
	}
	return -1
}

// unprepared returns the writing branch that has not voted, or -1.
func (t *Txn) unprepared() int {
	for i, b := range t.Branches {
		if b.Wrote && b.State == BranchActive {
			return i
		}
	}
	return -1
}

// require panics unless t is in one of the states in which the event can happen.
func (t *Txn) require(e Event, states ...State) {
	for _, s := range states {
		if t.State == s {
			return
		}
	}
	panic(fmt.Sprintf("xa: event %+v cannot happen in state %q", e, t.State))
}
