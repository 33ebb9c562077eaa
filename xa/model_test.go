package xa_test

import (
	"fmt"

	"github.com/xaproxy/xaproxy/xa"
)

// model is one exploration: who writes, what may go wrong, and which bug is planted.
type model struct {
	branches       int
	writers        int
	decider        int  // the branch that decides, -1: a log does
	recordOnePhase bool // what Step is told
	forgetful      bool // what is true: the servers may forget an acknowledged one-phase commit
	keyed, early   bool
	bounds         bounds
	bug            bug
	watch          violations // the invariants to check

	met      map[metKey]int    // what Step was asked, so that the walk can be shown to be a walk
	verdicts map[facts]verdict // of recovery, because it is asked often
}

// bounds say how much may go wrong in one run.
type bounds struct {
	faults         uint8 // replies lost or refused, connections lost, failed log appends
	crashes        uint8 // of the process
	backendCrashes uint8
	passes         int // branches that recovery works on at the same time
}

type metKey struct {
	state  xa.State
	event  xa.EventKind
	result xa.Result
}

// bug replaces parts of the protocol. The zero value has none.
type bug struct {
	stepWith func(xa.Txn, xa.Event) (xa.Txn, []xa.Action) // nil: the real Step
	order    []look                                       // nil: list, in-flight table, decision table
	judge    func(inFlight, decided bool) verdict         // nil: recovery's
	forget   func(w *world) bool                          // whether the record is dropped in this world

	overwrites bool // the decider's record replaces that of a fence
}

func (g bug) step(t xa.Txn, e xa.Event) (xa.Txn, []xa.Action) {
	if g.stepWith != nil {
		return g.stepWith(t, e)
	}
	return t.Step(e)
}

// look is one of the three things that recovery looks at, at different moments.
type look uint8

const (
	lookList look = iota
	lookInFlight
	lookDecision
	lookFence // in place of the last two: insert that it is rolled back, or see what is there
	lookRow   // see what is there
)

var (
	rightOrder = []look{lookList, lookInFlight, lookDecision}
	fenceOrder = []look{lookList, lookFence}
)

// initial returns the world before the transaction begins.
func (m *model) initial() world {
	w := world{
		alive: true, faults: m.bounds.faults, crashes: m.bounds.crashes, backendCrashes: m.bounds.backendCrashes,
	}
	for i := range m.branches {
		writes, decides := i < m.writers, i == m.decider
		w.b[i] = branch{exists: true, writes: writes, decides: decides, co: xa.Branch{Wrote: writes, Decides: decides}}
	}
	return w
}

// move names a transition; branch is -1 where there is none.
type move struct {
	what   string
	branch int
}

func (v move) String() string {
	if v.branch < 0 {
		return v.what
	}
	return fmt.Sprintf("b%d: %s", v.branch+1, v.what)
}

// successors calls yield with every world that can be next.
func (m *model) successors(w world, yield func(move, world)) {
	if !w.began {
		n := w
		n.began, n.inFlight = true, true
		yield(move{"begin", -1}, n)
	} else if w.alive {
		m.client(w, yield)
		m.appendMoves(w, yield)
		if w.fencing {
			m.fenceMoves(w, yield)
		}
	}
	if w.began && (w.crashes > 0 || w.state == xa.Halted) {
		m.crash(w, yield)
	}
	passes := 0
	for i := range m.branches {
		if w.b[i].pass != (pass{}) {
			passes++
		}
	}
	for i := range m.branches {
		b := w.b[i]
		if b.asked {
			m.requestMoves(w, i, yield)
		}
		if w.backendCrashes > 0 && w.began {
			m.backendCrash(w, i, yield)
		}
		if b.pass != (pass{}) || passes < m.bounds.passes {
			m.recoveryMoves(w, i, yield)
		}
	}
}

// client: the client ends the transaction, a connection breaks under a statement, or the client has waited too long.
func (m *model) client(w world, yield func(move, world)) {
	switch w.state {
	case xa.Active:
		n := w
		m.step(&n, xa.Event{Kind: xa.EventCommit})
		yield(move{"client: COMMIT", -1}, n)
		n = w
		m.step(&n, xa.Event{Kind: xa.EventRollback})
		yield(move{"client: ROLLBACK", -1}, n)
		for i := range m.branches {
			n = w
			if n.b[i].conn == open {
				if n.faults == 0 {
					continue
				}
				n.faults--
			}
			n.b[i].abandon()
			m.step(&n, xa.Event{Kind: xa.EventBranchLost, Branch: i})
			yield(move{"connection lost under a statement", i}, n)
		}
	case xa.Committing:
		if !w.answered {
			n := w
			m.step(&n, xa.Event{Kind: xa.EventLate})
			yield(move{"client has waited long enough", -1}, n)
		}
	}
}

// appendMoves: what the decision log does with a record.
func (m *model) appendMoves(w world, yield func(move, world)) {
	switch w.log {
	case logHanded:
		n := w
		n.log, n.durable = logWritten, true
		yield(move{"log: record durable", -1}, n)
		if w.faults > 0 {
			n = w
			n.faults--
			n.log = logRefused
			m.step(&n, xa.Event{Kind: xa.EventLogged, Result: xa.Refused})
			yield(move{"log: append failed, certainly not written", -1}, n)
			n = w
			n.faults--
			n.log = logUnknown
			m.step(&n, xa.Event{Kind: xa.EventLogged, Result: xa.Lost})
			yield(move{"log: append failed, may be written", -1}, n)
		}
	case logWritten:
		n := w
		n.log = logVisible
		m.step(&n, xa.Event{Kind: xa.EventLogged, Result: xa.OK})
		yield(move{"log: append returns", -1}, n)
	}
}

// fence is one INSERT with a commit of its own.
func (w *world) fence() {
	if w.row == rowNone {
		w.row = rowAbort
	}
}

// fenceMoves: the decider's backend is asked on a connection of its own.
func (m *model) fenceMoves(w world, yield func(move, world)) {
	n := w
	n.fencing = false
	n.fence()
	result := xa.Refused
	if n.row == rowCommit {
		result = xa.OK
	}
	m.step(&n, xa.Event{Kind: xa.EventFenced, Result: result})
	yield(move{"fence answers", -1}, n)
	if w.faults > 0 {
		n = w
		n.fencing = false
		n.faults--
		m.step(&n, xa.Event{Kind: xa.EventFenced, Result: xa.Lost})
		yield(move{"fence never arrives", -1}, n)
		n = w
		n.fencing = false
		n.faults--
		n.fence()
		m.step(&n, xa.Event{Kind: xa.EventFenced, Result: xa.Lost})
		yield(move{"no reply to the fence", -1}, n)
	}
}

// crash: the process dies and starts again. A halted one need not be killed by chance.
func (m *model) crash(w world, yield func(move, world)) {
	n := w
	if n.crashes > 0 {
		n.crashes--
	}
	if w.log == logUnknown {
		found := n
		found.restart(true)
		yield(move{"proxy crashes and restarts; the record is there", -1}, found)
	}
	if w.fencing {
		sent := n
		sent.fence()
		sent.restart(false)
		yield(move{"proxy crashes; its fence arrives", -1}, sent)
	}
	n.restart(false)
	yield(move{"proxy crashes and restarts", -1}, n)
}

// requestMoves: the server looks at a request, the reply arrives, or it never does.
func (m *model) requestMoves(w world, i int, yield func(move, world)) {
	b := w.b[i]
	name := b.req.String()
	if b.conn == abandoned {
		n := w
		m.execute(&n, &n.b[i])
		n.b[i].reply = replyNone
		n.b[i].abandon()
		yield(move{name + " executed with nobody attached", i}, n)
		n = w
		n.b[i].reply = replyNone
		n.b[i].abandon()
		yield(move{name + " never executed", i}, n)
		return
	}
	switch b.reply {
	case noReply:
		n := w
		n.b[i].reply = m.execute(&n, &n.b[i])
		if b.req == xa.ActionEnd { // nobody else can see a reader end
			m.deliver(&n, i, xa.OK)
		}
		yield(move{name + " executed", i}, n)
		if w.faults > 0 {
			n = w
			n.faults--
			n.b[i].reply = replyNo
			if m.forgetful && b.req == xa.ActionOnePhase && !b.decides {
				n.b[i].returns = true // it was prepared inside the server
			}
			yield(move{name + " refused", i}, n)
			if b.req == xa.ActionPrepare || b.req == xa.ActionOnePhase || b.req == xa.ActionDecide {
				n.b[i].server = gone
				yield(move{name + " refused, branch rolled back by the server", i}, n)
			}
		}
	case replyOK:
		n := w
		m.deliver(&n, i, xa.OK)
		yield(move{name + " ok", i}, n)
	case replyNo:
		n := w
		m.deliver(&n, i, xa.Refused)
		yield(move{name + " refusal arrives", i}, n)
	}
	if b.reply == replyNone || w.faults > 0 {
		n := w
		if b.reply != replyNone {
			n.faults--
		}
		n.b[i].abandon()
		m.step(&n, xa.Event{Kind: xa.EventReply, Branch: i, Result: xa.Lost})
		yield(move{"no reply to " + name, i}, n)
	}
}

// deliver brings a reply to the transaction.
func (m *model) deliver(w *world, i int, r xa.Result) {
	b := &w.b[i]
	b.asked, b.req, b.reply = false, 0, noReply
	m.step(w, xa.Event{Kind: xa.EventReply, Branch: i, Result: r})
	if m.bug.forget != nil && m.bug.forget(w) {
		if w.log == logVisible {
			w.log = logEmpty
		}
		w.row = rowNone
	}
}

// backendCrash: a server dies with kill -9 and starts again. Working branches vanish, prepared ones survive, and some
// that had ended come back as prepared: a rollback that was not flushed, a one-phase commit that was not in the binary
// log, and a two-phase commit if a replica without it was promoted. The last happens only while the decision exists,
// because decisions are retained for that.
func (m *model) backendCrash(w world, i int, yield func(move, world)) {
	n := w
	n.backendCrashes--
	b := &n.b[i]
	if b.conn == abandoned {
		b.asked, b.req, b.reply = false, 0, noReply
	} else {
		b.conn = broken
		if b.asked {
			b.reply = replyNone
		}
	}
	if b.server == working {
		b.server = gone
	}
	yield(move{"server crashes and restarts", i}, n)
	comesBack := !b.decides && (b.server == gone && b.returns || b.server == committed || b.server == committedOne && m.forgetful)
	if comesBack {
		b.server, b.returns = prepared, true
		yield(move{"server crashes and restarts; the branch is prepared again", i}, n)
	}
}

// recoveryMoves: recovery looks once more, or acts.
func (m *model) recoveryMoves(w world, i int, yield func(move, world)) {
	n := w
	p := &n.b[i].pass
	switch p.act {
	case commit, rollback:
		act := p.act
		*p = pass{}
		yield(move{"recovery's request is refused or lost", i}, n)
		if n.b[i].server == prepared {
			if act == commit {
				n.b[i].server = committed
				yield(move{"recovery commits", i}, n)
			} else {
				n.b[i].server = gone
				yield(move{"recovery rolls back", i}, n)
			}
		}
		return
	}
	order := m.bug.order
	switch {
	case order != nil:
	case m.decider >= 0:
		order = fenceOrder
	default:
		order = rightOrder
	}
	what, ok := m.look(&n, i, order[p.looks])
	p.looks++
	switch {
	case !ok:
		*p = pass{}
	case int(p.looks) == len(order):
		*p = pass{act: m.judge(p.inFlight, p.decided, n.b[i].named)}
	}
	if n != w {
		yield(move{what, i}, n)
	}
}

// look does one look and reports whether the pass goes on. It ends as soon as it is clear that it will not act.
func (m *model) look(w *world, i int, l look) (what string, goesOn bool) {
	b := &w.b[i]
	switch l {
	case lookList:
		return "recovery lists", b.server == prepared
	case lookInFlight:
		b.pass.inFlight = w.inFlight
		return "recovery looks in the in-flight table",
			m.judge(w.inFlight, true, b.named) != leave || m.judge(w.inFlight, false, b.named) != leave
	case lookFence, lookRow:
		if l == lookFence {
			w.fence()
		}
		b.pass.decided = w.row == rowCommit
		return "recovery asks the decider's backend", true
	default:
		b.pass.decided = w.log == logVisible
		return "recovery looks in the decision table", w.log != logUnknown // a broken log does not answer
	}
}

// recover runs recovery to its end, with nothing in its way. What a decider decides, recovery decides also while the owner lives.
func (m *model) recover(w *world) {
	for i := range m.branches {
		b := &w.b[i]
		if b.server != prepared {
			continue
		}
		switch m.judge(w.inFlight && m.decider < 0, w.log == logVisible || w.row == rowCommit, b.named) {
		case commit:
			b.server = committed
		case rollback:
			b.server = gone
		}
	}
}
