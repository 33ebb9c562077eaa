package xa_test

import (
	"github.com/xaproxy/xaproxy/xa"
)

// This file is the model that the explorer walks: up to four servers with one branch each, a decision log, a client,
// and recovery. Only the transaction itself is not modelled: that is the real Step.

// maxBranches is the largest number of branches in a world.
const maxBranches = 4

// world is one moment of everything that the protocol is about. It is comparable, and is its own key.
type world struct {
	b [maxBranches]branch

	// The process that runs the transaction.
	began    bool
	alive    bool // the transaction is in memory: no crash since it began
	inFlight bool
	state    xa.State
	recorded bool
	answered bool

	log     logState // with a log
	row     rowState // with a decider
	durable bool     // the record was on disk at some time
	fencing bool     // the coordinator has asked the decider's backend

	answer xa.Outcome // what the client heard
	bad    violations // broken by an action, not visible in the rest of the world

	// How much may still go wrong.
	faults, crashes, backendCrashes uint8
}

// branch is one branch as the coordinator, the connection, the server and recovery have it.
type branch struct {
	exists  bool
	writes  bool // in truth; what Step believes is co.Wrote
	decides bool
	co      xa.Branch
	conn    connState
	req     xa.ActionKind // with asked
	asked   bool          // a request was sent: it is at the server, or its reply is on the way
	reply   replyState
	server  serverState
	// returns says that the server may bring the branch back as prepared after it was rolled back, because it was
	// prepared once and the rollback is not flushed (MariaDB).
	returns bool
	named   bool // in the COMMIT record
	pass    pass
}

type connState uint8

const (
	open      connState = iota
	broken              // the server is gone; the coordinator has not noticed
	abandoned           // the coordinator has let go of it; the server may still work on the last request
)

type replyState uint8

const (
	noReply   replyState = iota // the server has not yet looked at the request
	replyOK                     // done; the reply is on the way
	replyNo                     // refused; the reply is on the way
	replyNone                   // the connection broke: no reply can come
)

type serverState uint8

const (
	working      serverState = iota // XA START to XA END
	prepared                        // listed by XA RECOVER
	committed                       // by XA COMMIT
	committedOne                    // by XA COMMIT ... ONE PHASE
	gone                            // rolled back
)

type logState uint8

const (
	logEmpty   logState = iota
	logHanded           // Append was called
	logWritten          // on disk; Append has not returned
	logVisible          // Append has returned nil, or a restart has read the record
	logRefused          // Append has returned ErrNotWritten
	logUnknown          // Append has returned another error: the next start will see whether it is there
)

// rowState is the record on the decider's backend.
type rowState uint8

const (
	rowNone   rowState = iota
	rowCommit          // inserted by the decider's own transaction
	rowAbort           // inserted by a fence
)

// pass is how far recovery has come with one branch of one backend. Each look is a step of its own, so that the
// transaction can move between any two.
type pass struct {
	looks    uint8 // done so far, in the model's order
	inFlight bool  // what the in-flight table said
	decided  bool  // what the decision table said
	act      verdict
}

type verdict uint8

const (
	leave verdict = iota
	commit
	rollback
)

// writer reports whether b is a branch whose rows are at stake.
func (b branch) writer() bool { return b.exists && b.writes }

func (b branch) hasCommitted() bool { return b.server == committed || b.server == committedOne }

// onDisk reports whether a process that started now would read a COMMIT record.
func (w *world) onDisk() bool {
	return w.log == logWritten || w.log == logVisible || w.row == rowCommit
}

// willCommit reports whether b is or will be committed, as things are on disk.
func (w *world) willCommit(b branch) bool {
	return b.hasCommitted() || b.server == prepared && w.onDisk()
}

// txn returns the transaction as Step wants it.
func (m *model) txn(w *world) xa.Txn {
	t := xa.Txn{
		State: w.state, Recorded: w.recorded, Answered: w.answered,
		RecordOnePhase: m.recordOnePhase, Keyed: m.keyed, Early: m.early, Branches: make([]xa.Branch, m.branches),
	}
	for i := range t.Branches {
		t.Branches[i] = w.b[i].co
	}
	return t
}

// step lets the transaction take an event and performs the actions. All requests are sent at once: a crash between two
// of them leaves what a crash after both leaves when the second never arrives.
func (m *model) step(w *world, e xa.Event) {
	m.met[metKey{w.state, e.Kind, e.Result}]++
	t, actions := m.bug.step(m.txn(w), e)
	w.state, w.recorded, w.answered = t.State, t.Recorded, t.Answered
	for i, b := range t.Branches {
		w.b[i].co = b
	}
	for _, a := range actions {
		m.perform(w, a)
	}
	if w.state == xa.Done && !w.inFlight {
		w.endTxn() // to the rest of the world it is as if the process had forgotten it
	}
}

// endTxn removes the transaction from the process.
func (w *world) endTxn() {
	w.alive, w.inFlight, w.fencing = false, false, false
	w.state, w.recorded, w.answered = 0, false, false
	for i := range w.b {
		w.b[i].abandon()
		w.b[i].co = xa.Branch{Decides: w.b[i].decides}
	}
}

func (m *model) perform(w *world, a xa.Action) {
	switch a.Kind {
	case xa.ActionAppend:
		w.log = logHanded
		for i := range w.b {
			w.b[i].named = w.b[i].co.Wrote
		}
	case xa.ActionFence:
		w.fencing = true
	case xa.ActionAnswer:
		if w.answer != xa.NoOutcome {
			w.bad |= x7
		}
		w.answer = a.Outcome
	case xa.ActionForget:
		// Before the answer, twice, or while the log has not said what the decision is.
		if !w.inFlight || w.answer == xa.NoOutcome || w.log == logHanded || w.log == logWritten || w.log == logUnknown {
			w.bad |= x7
		}
		w.inFlight = false
		for i := range w.b {
			w.b[i].abandon()
		}
	case xa.ActionHalt:
		if w.state != xa.Halted {
			w.bad |= x7
		}
	default:
		b := &w.b[a.Branch]
		handed := w.log != logEmpty && w.log != logRefused || w.row == rowCommit
		if a.Kind == xa.ActionRollback && b.writes && !b.co.Refused && handed {
			w.bad |= x2
		}
		if a.Kind == xa.ActionDecide {
			for i := range w.b {
				w.b[i].named = w.b[i].co.Wrote && !w.b[i].decides
			}
		}
		b.req, b.asked, b.reply = a.Kind, true, noReply
		if b.conn != open {
			b.reply = replyNone
		}
	}
}

// abandon is what is left on the server's side when nobody holds the connection any more: the request that the server
// has not looked at may still be executed, and without one an unprepared branch is rolled back.
func (b *branch) abandon() {
	if !b.exists {
		return
	}
	b.conn = abandoned
	if b.reply != noReply || b.req == xa.ActionEnd {
		b.asked = false
	}
	b.reply = noReply
	if !b.asked {
		b.req = 0
		if b.server == working {
			b.server = gone
		}
	}
}

// execute lets the server do what it was asked for and returns its reply.
func (m *model) execute(w *world, b *branch) replyState {
	switch b.req {
	case xa.ActionEnd, xa.ActionRollback:
		if b.server == working || b.server == prepared {
			b.server = gone
		}
		return replyOK // also for an unknown branch
	case xa.ActionPrepare:
		if b.server == working {
			b.server, b.returns = prepared, true
			return replyOK
		}
	case xa.ActionOnePhase:
		if b.server == working {
			b.server = committedOne
			return replyOK
		}
	case xa.ActionDecide:
		if b.server == working && (w.row == rowNone || m.bug.overwrites) {
			b.server, w.row, w.durable = committed, rowCommit, true
			return replyOK
		}
	case xa.ActionCommit:
		if b.server == prepared {
			b.server = committed
			return replyOK
		}
	}
	return replyNo // XAER_NOTA
}

// outstanding reports whether the coordinator or a server still works on something, so that the world is not at rest.
func (w *world) outstanding() bool {
	if w.log == logHanded || w.log == logWritten || w.fencing {
		return true
	}
	for _, b := range w.b {
		if b.asked {
			return true
		}
	}
	return false
}

// restart is a crash of the process and its next start: the transaction is forgotten, its requests may still arrive,
// and the log is read again. So may recovery's requests; its looks are forgotten.
func (w *world) restart(unknownIsWritten bool) {
	w.endTxn()
	for i := range w.b {
		if w.b[i].pass.act == leave {
			w.b[i].pass = pass{}
		}
	}
	switch {
	case w.log == logWritten, w.log == logUnknown && unknownIsWritten:
		w.log, w.durable = logVisible, true
	case w.log == logHanded, w.log == logUnknown:
		w.log = logEmpty
	}
}
