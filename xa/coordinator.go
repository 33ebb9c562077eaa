package xa

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Log keeps decisions. It is declared here because the coordinator is its user; package decision has it.
type Log interface {
	Coord() string
	Epoch() uint32
	// Append returns nil once the decision is durable. An error that wraps ErrNotWritten says that it certainly is
	// not and never will be; after any other error it may be, and the process must stop.
	Append(Decision) error
	// Done notes, some time later and without a sync, that all branches have acknowledged, and when, as far as that is known.
	Done(GTRID, ...BranchEnd)
}

// BranchConn is a branch that runs on a connection of its own. The coordinator calls one method at a time. Prepare, Commit,
// CommitOnePhase and Rollback send a request, and do not wait for what comes of it: Answer does. A request takes the moment at which
// to give up, because raw connections have deadlines and a context per packet would cost more than the packet.
type BranchConn interface {
	Ref() BranchRef
	Prepare(deadline time.Time)
	Commit(deadline time.Time)
	CommitOnePhase(deadline time.Time)
	// Rollback ends the branch in whichever state it is before its commit. The answer is nil also when the server no
	// longer knows the branch.
	Rollback(deadline time.Time)
	// Answer waits for the answer to the request. It reports false if there is none by then, and is called again; at the deadline
	// of the request there is one. Errors: nil, a *ServerError if the server answered with one, anything else if no usable
	// answer came.
	Answer(by time.Time) (answered bool, err error)
	// Release gives the connection back. It is closed unless the branch has come to a proven end.
	Release()
}

// Decider is a branch that is a plain transaction and takes the decision along in its commit: the participant store. Its one-phase
// commit is a plain COMMIT.
type Decider interface {
	BranchConn
	// Decide is a request, too: it inserts the record of d and commits. A *ServerError says that the record was not inserted and the
	// transaction is still open; after any other error it may be committed, or may be later.
	Decide(d Decision, deadline time.Time)
	// Fence asks on a connection of its own which record of g there is, and inserts one that it is rolled back if there is none. From
	// then on that cannot change.
	Fence(g GTRID, deadline time.Time) (committed bool, err error)
}

// Options of a Coordinator. All fields are required but EarlyAnswer and Observer.
type Options struct {
	Log            Log
	PrepareTimeout time.Duration // how long a vote, a one-phase commit or a rollback may take
	CommitWait     time.Duration // how long a client waits for phase two before it is answered "committed late"
	EarlyAnswer    bool          // the client is answered before phase two
	Logger         zerolog.Logger
	Observer       Observer // nil: nobody wants to know
	// Orphaned is called when a branch was left to recovery. It must not block.
	Orphaned func(backend string)
	// Halt is called once the decision log cannot be trusted. It must end the process; it may return before it has.
	Halt func(error)
}

// Coordinator runs transactions: it performs the actions of Step. It is safe for concurrent use.
type Coordinator struct {
	o    Options
	seq  atomic.Uint64
	late sync.WaitGroup // transactions whose client was answered before the end

	mu       sync.Mutex // protects following fields
	inFlight map[GTRID]*Tx
	keys     map[string]struct{} // of the transactions in flight
	orphans  map[XID]Orphan
	ended    [shownEnded]ended // a ring
	ends     uint64            // how many transactions have ended; the next one's place in the ring
}

// Orphan is a branch that the coordinator left to recovery, with the session that may still be working on it.
type Orphan struct {
	XID    XID
	Server string    // the identity of its server; "" when unknown
	ConnID uint64    // the server's id of the session, to be killed before anything is concluded from an unknown XID
	Since  time.Time // a server that was started later has forgotten the session and may have reused its id
}

// NewCoordinator returns a Coordinator that numbers its transactions in the current epoch of the log.
func NewCoordinator(o Options) *Coordinator {
	return &Coordinator{o: o, inFlight: make(map[GTRID]*Tx), keys: make(map[string]struct{}), orphans: make(map[XID]Orphan)}
}

// Tx is one running transaction. One goroutine uses it. Exactly one of Commit, Rollback and BranchLost ends it.
type Tx struct {
	c        *Coordinator
	gtrid    GTRID
	key      Key
	opened   time.Time
	asked    []request  // whose answers are taken one after the other
	waits    int        // goroutines that wait for an answer each
	replies  chan reply // of these
	began    time.Time  // when its end began
	commitBy time.Time  // when the client stops waiting for phase two; zero outside of it
	answer   Answer
	cause    error // the first thing that went wrong
	forgot   bool
	watcher  Watcher // nil: nobody wants to know

	mu      sync.Mutex // protects following fields; the goroutine that uses the Tx is the only one that changes them, and reads them without it
	session uint64     // whose transaction it is; 0: nobody has said
	txn     Txn
	entered time.Time // when its state became what it is
	conns   []member
}

// member is a branch with the moments that its transaction's record and its end are to tell, in milliseconds since 1970; 0 = not yet.
type member struct {
	BranchConn
	backend          string
	connID           uint64
	voted, committed int64
	asked            time.Time     // when the request was sent that has no answer yet
	took             time.Duration // until the answers to those that have
}

// request is an action on a branch that was asked for.
type request struct {
	Action
	deadline time.Time
}

// reply is an event with the error that it was made of.
type reply struct {
	Event
	err error
}

// Answer is what the client is to be told.
type Answer struct {
	Outcome Outcome
	GTRID   GTRID
	Cause   error // the first thing that went wrong, when something did
	// Branches is how long the answers of the branches took until now, if the client was kept waiting for longer than patience.
	Branches []BranchTime
}

// BranchTime is how long the answers of a branch took.
type BranchTime struct {
	Backend string
	Took    time.Duration
}

// Begin draws a GTRID and registers the transaction as in flight, so that recovery leaves its branches alone. decider is the backend
// whose branch will be a Decider, "" with a log.
func (c *Coordinator) Begin(decider string) *Tx {
	g := GTRID{Coord: c.o.Log.Coord(), Epoch: c.o.Log.Epoch(), Seq: c.seq.Add(1), Decider: decider}
	now := time.Now()
	tx := &Tx{c: c, gtrid: g, opened: now, entered: now, txn: Txn{Early: c.o.EarlyAnswer}}
	c.mu.Lock()
	c.inFlight[g] = tx
	c.mu.Unlock()
	return tx
}

// BeginKeyed is Begin of a transaction with a commit key. The error wraps ErrKeyRunning.
func (c *Coordinator) BeginKeyed(decider string, key Key) (*Tx, error) {
	c.mu.Lock()
	_, runs := c.keys[key.Name]
	c.keys[key.Name] = struct{}{}
	c.mu.Unlock()
	if runs {
		return nil, ErrKeyRunning
	}
	tx := c.Begin(decider)
	tx.mu.Lock()
	tx.key, tx.txn.Keyed = key, true
	tx.mu.Unlock()
	return tx, nil
}

// RunsKey reports whether a transaction with the commit key is in flight.
func (c *Coordinator) RunsKey(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, runs := c.keys[name]
	return runs
}

// GTRID returns the name of the transaction.
func (tx *Tx) GTRID() GTRID { return tx.gtrid }

// Add registers a branch, before its XA START is sent, and returns its index. recordOnePhase says that its server may
// forget an acknowledged one-phase commit. The branch on the decider, and no other, is a Decider.
func (tx *Tx) Add(b BranchConn, recordOnePhase bool) int {
	_, decides := b.(Decider)
	ref := b.Ref()
	if tx.watcher != nil {
		tx.watcher.Joined(ref.Backend, time.Now())
	}
	tx.mu.Lock()
	defer tx.mu.Unlock()
	tx.conns = append(tx.conns, member{BranchConn: b, backend: ref.Backend, connID: ref.ConnID})
	tx.txn.Branches = append(tx.txn.Branches, Branch{Decides: decides})
	tx.txn.RecordOnePhase = tx.txn.RecordOnePhase || recordOnePhase
	return len(tx.conns) - 1
}

// Wrote notes that branch i runs a statement that may change rows.
func (tx *Tx) Wrote(i int) {
	tx.mu.Lock()
	tx.txn.Branches[i].Wrote = true
	tx.mu.Unlock()
}

// Commit runs the commit protocol and returns the client's answer. Once phase two has begun it returns CommittedLate
// after CommitWait, while the rest goes on in the background.
func (tx *Tx) Commit() Answer { return tx.run(reply{Event: Event{Kind: EventCommit}}) }

// Rollback rolls all branches back. A cause, if given, comes back in the Answer.
func (tx *Tx) Rollback(cause error) Answer {
	return tx.run(reply{Event{Kind: EventRollback}, cause})
}

// BranchLost ends the transaction because the connection of branch i broke; cause says how.
func (tx *Tx) BranchLost(i int, cause error) Answer {
	return tx.run(reply{Event{Kind: EventBranchLost, Branch: i}, cause})
}

// run drives the transaction until the client has its answer; what is left then goes on in a goroutine of its own,
// for which Close waits.
func (tx *Tx) run(first reply) Answer {
	tx.began = time.Now()
	tx.step(first)
	for tx.answer.Outcome == NoOutcome {
		tx.step(tx.next())
	}
	if !tx.forgot && tx.txn.State != Halted {
		tx.c.late.Go(func() {
			for !tx.forgot {
				tx.step(tx.next())
			}
		})
	}
	return tx.answer
}

// patience is how long one answer may keep the others waiting. The moments of votes and commits are told as much too late.
const patience = 20 * time.Millisecond

// next waits for the next event. Every outstanding request is answered in bounded time, because each has a deadline.
//
// Nearly always the answers come within a moment of each other, and are taken one after the other: handing them over from
// goroutines costs more than what they say. From the first one that takes long on, each is waited for in a goroutine of its own.
func (tx *Tx) next() reply {
	if tx.waits == 0 {
		by := time.Now().Add(patience)
		if !tx.commitBy.IsZero() && tx.commitBy.Before(by) {
			by = tx.commitBy
		}
		r := tx.asked[0]
		if answered, err := tx.conns[r.Branch].Answer(by); answered {
			tx.asked = slices.Delete(tx.asked, 0, 1)
			return replied(r, err)
		}
	}
	for _, r := range tx.asked {
		tx.wait(func() reply {
			answered, err := tx.conns[r.Branch].Answer(r.deadline)
			if !answered {
				err = errSilent
			}
			return replied(r, err)
		})
	}
	tx.asked = tx.asked[:0]
	var late <-chan time.Time
	if !tx.commitBy.IsZero() && !tx.txn.Answered {
		timer := time.NewTimer(time.Until(tx.commitBy))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case r := <-tx.replies:
		tx.waits--
		return r
	case <-late:
		return reply{Event: Event{Kind: EventLate}}
	}
}

// wait waits for an answer in a goroutine of its own; run and Close wait for that.
func (tx *Tx) wait(answer func() reply) {
	if tx.replies == nil {
		tx.replies = make(chan reply, len(tx.conns))
	}
	tx.waits++
	go func() { tx.replies <- answer() }()
}

var errSilent = errors.New("no answer in time")

func replied(r request, err error) reply {
	return reply{Event{Kind: EventReply, Branch: r.Branch, Result: result(err)}, err}
}

// step applies one event, and those that its actions bring about at once.
func (tx *Tx) step(r reply) {
	for more := true; more; {
		if r.Kind == EventReply {
			m := &tx.conns[r.Branch]
			m.took, m.asked = m.took+time.Since(m.asked), time.Time{}
			if tx.watcher != nil {
				tx.watcher.Heard(r.Branch, r.Result, time.Now())
			}
			if r.Result == OK {
				tx.stamp(r.Branch)
			}
		}
		if tx.cause == nil {
			tx.cause = r.err
		}
		before := tx.txn.State
		next, actions := tx.txn.Step(r.Event)
		left := tx.entered
		tx.mu.Lock()
		if tx.txn = next; next.State != before {
			tx.entered = time.Now()
		}
		tx.mu.Unlock()
		if o := tx.c.o.Observer; o != nil && next.State != before && before != Active {
			o.Left(before, tx.entered.Sub(left))
		}
		if tx.watcher != nil && next.State != before {
			tx.watcher.Entered(next.State, tx.entered)
		}
		if next.State == Committing && before != Committing {
			tx.cause = nil // what was in doubt no longer is
		}
		if e := tx.c.o.Logger.Debug(); e.Enabled() {
			e.Str("gtrid", tx.gtrid.String()).Stringer("event", r.Kind).Int("branch", r.Branch).
				Stringer("result", r.Result).Stringer("from", before).Stringer("to", next.State).
				AnErr("cause", r.err).Msg("transition")
		}
		r, more = tx.perform(actions)
	}
}

// stamp notes when a branch has voted yes or, after a record, committed.
func (tx *Tx) stamp(i int) {
	switch b := tx.txn.Branches[i]; {
	case b.State == BranchPreparing:
		tx.conns[i].voted = time.Now().UnixMilli()
	case b.State == BranchCommitting && tx.txn.Recorded:
		tx.conns[i].committed = time.Now().UnixMilli()
	}
}

// perform does the actions in order. The log is asked in this goroutine and its reply is returned.
func (tx *Tx) perform(actions []Action) (r reply, replied bool) {
	for _, a := range actions {
		switch a.Kind {
		case ActionAppend:
			r, replied = tx.append(), true
		case ActionAnswer:
			tx.answer = Answer{Outcome: a.Outcome, GTRID: tx.gtrid, Cause: tx.cause, Branches: tx.times(time.Now())}
		case ActionForget:
			tx.forget(a.Outcome)
		case ActionHalt:
			tx.c.o.Halt(tx.cause)
		case ActionFence:
			deadline := time.Now().Add(tx.c.o.PrepareTimeout)
			tx.wait(func() reply { return tx.fence(tx.conns[a.Branch].BranchConn.(Decider), deadline) })
		case ActionCommit:
			tx.commitBy = time.Now().Add(tx.c.o.CommitWait)
			// The branch has longer than the client: a connection that is given up here costs a pass of recovery.
			tx.ask(a, time.Now().Add(tx.c.o.CommitWait+tx.c.o.PrepareTimeout))
		default:
			tx.ask(a, time.Now().Add(tx.c.o.PrepareTimeout))
		}
	}
	return r, replied
}

// ask sends the request of an action. Nothing depends on the answers of readers, so they are taken last.
func (tx *Tx) ask(a Action, deadline time.Time) {
	conn := &tx.conns[a.Branch]
	conn.asked = time.Now()
	if tx.watcher != nil {
		tx.watcher.Asked(a.Branch, a.Kind, conn.asked)
	}
	switch a.Kind {
	case ActionEnd, ActionRollback:
		conn.Rollback(deadline)
	case ActionPrepare:
		conn.Prepare(deadline)
	case ActionOnePhase:
		conn.CommitOnePhase(deadline)
	case ActionCommit:
		conn.Commit(deadline)
	case ActionDecide:
		conn.BranchConn.(Decider).Decide(tx.decision(), deadline)
	default:
		panic(fmt.Sprintf("xa: %v is not a branch's", a.Kind))
	}
	at := len(tx.asked)
	for a.Kind != ActionEnd && at > 0 && tx.asked[at-1].Kind == ActionEnd {
		at--
	}
	tx.asked = slices.Insert(tx.asked, at, request{a, deadline})
}

// times is how long the answers of the branches have taken, if that is worth a word.
func (tx *Tx) times(now time.Time) []BranchTime {
	if now.Sub(tx.began) <= patience {
		return nil
	}
	all := make([]BranchTime, len(tx.conns))
	for i, m := range tx.conns {
		all[i] = BranchTime{m.Ref().Backend, m.took}
		if !m.asked.IsZero() {
			all[i].Took += now.Sub(m.asked)
		}
	}
	return all
}

// fence asks the decider's backend what the decision is.
func (tx *Tx) fence(d Decider, deadline time.Time) reply {
	committed, err := d.Fence(tx.gtrid, deadline)
	r := reply{Event{Kind: EventFenced, Result: Refused}, err}
	switch {
	case err != nil:
		r.Result = Lost
	case committed:
		r.Result = OK
	}
	return r
}

// decision is the record of the transaction.
func (tx *Tx) decision() Decision {
	d := Decision{GTRID: tx.gtrid, OnePhase: tx.txn.unprepared() >= 0, Key: tx.key, Time: time.Now()}
	for i, b := range tx.txn.Branches {
		if b.Wrote && !b.Decides {
			r := tx.conns[i].Ref()
			if at := tx.conns[i].voted; at != 0 {
				r.Voted = time.UnixMilli(at)
			}
			d.Branches = append(d.Branches, r)
		}
	}
	return d
}

// append makes the decision durable.
func (tx *Tx) append() reply {
	err := tx.c.o.Log.Append(tx.decision())
	r := reply{Event{Kind: EventLogged, Result: OK}, err}
	switch {
	case errors.Is(err, ErrNotWritten):
		r.Result = Refused
	case err != nil:
		r.Result = Lost
	}
	return r
}

// forget gives the connections back and leaves the in-flight table. What recovery must know (the decision, the
// orphans) is visible to it before the transaction stops being in flight: X7.
func (tx *Tx) forget(o Outcome) {
	c := tx.c
	tx.forgot = true
	if e := c.o.Logger.Debug(); e.Enabled() {
		e.Str("gtrid", tx.gtrid.String()).Stringer("outcome", o).Msg("transaction forgotten")
	}
	if tx.watcher != nil {
		tx.watcher.Ended(o, time.Now())
	}
	if c.o.Observer != nil {
		c.o.Observer.Ended(o, len(tx.conns))
	}
	if o == Committed && tx.txn.Recorded {
		c.o.Log.Done(tx.gtrid, tx.ends()...)
	}
	var orphaned []string
	c.mu.Lock()
	for i, b := range tx.txn.Branches {
		if b.State == BranchLost {
			ref := tx.conns[i].Ref()
			x := XID{GTRID: tx.gtrid, BQUAL: ref.Backend}
			c.orphans[x] = Orphan{XID: x, Server: ref.Server, ConnID: ref.ConnID, Since: time.Now()}
			orphaned = append(orphaned, ref.Backend)
		}
	}
	delete(c.inFlight, tx.gtrid)
	c.note(tx, o)
	if tx.txn.Keyed {
		delete(c.keys, tx.key.Name)
	}
	c.mu.Unlock()
	for _, conn := range tx.conns {
		conn.Release()
	}
	for _, backend := range orphaned {
		c.o.Orphaned(backend)
	}
}

// ends says when the branches have committed. A decider's transaction has no record of it.
func (tx *Tx) ends() (all []BranchEnd) {
	if tx.gtrid.Decider != "" {
		return nil
	}
	all = make([]BranchEnd, 0, len(tx.conns))
	for _, m := range tx.conns {
		if m.committed != 0 {
			all = append(all, BranchEnd{Backend: m.Ref().Backend, At: time.UnixMilli(m.committed)})
		}
	}
	return all
}

// InFlight reports whether g is a transaction that this process still runs.
func (c *Coordinator) InFlight(g GTRID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.inFlight[g]
	return ok
}

// Orphans returns the branches on a backend that were left to recovery.
func (c *Coordinator) Orphans(backend string) []Orphan {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []Orphan
	for x, o := range c.orphans {
		if x.BQUAL == backend {
			found = append(found, o)
		}
	}
	return found
}

// Adopt tells the coordinator that recovery has finished an orphan.
func (c *Coordinator) Adopt(x XID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.orphans, x)
}

// Close waits for the transactions that go on after their client was answered. It is called once every other one has
// its answer; no transaction may be begun after it.
func (c *Coordinator) Close() { c.late.Wait() }

// Running is the number of transactions in flight.
func (c *Coordinator) Running() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.inFlight)
}
