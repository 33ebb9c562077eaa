package proxy

import (
	"errors"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// transaction is a client's open transaction: its branches so far, and what branches that are opened later must be
// told first.
type transaction struct {
	coordinator *xa.Coordinator
	session     uint64            // whose it is
	decides     bool              // the first branch is the decider, or that of the key: the participant store
	key         xa.Key            // set before the first branch
	keyDecider  *backend.Backend  // that decides on transactions with the key, nil: a log
	xa          *xa.Tx            // nil before the first branch
	branches    map[int]*txBranch // by backend
	last        *txBranch         // that ran the client's last statement
	opening     characteristics   // of each branch
	savepoints  []string          // the client's, in order
	own         bool              // it is that of one statement, with autocommit
	traced      *traced           // the session's
	logger      *zerolog.Logger
}

// txBranch is a branch with its index in the xa.Tx.
type txBranch struct {
	*backend.Branch
	index int
}

func newTransaction(s *session, opening characteristics) *transaction {
	return &transaction{
		coordinator: s.srv.xa, session: uint64(s.id), decides: s.srv.decides, branches: make(map[int]*txBranch), opening: opening, logger: &s.srv.logger, traced: s.traced,
	}
}

// readOnly reports whether the client has asked for a transaction that changes nothing.
func (t *transaction) readOnly() bool { return t.opening.access == "READ ONLY" }

// branch returns the transaction's branch on a backend, opening one if it has none. Its start travels with the first
// statement. An error is a *wire.Error, and the transaction is as it was.
func (t *transaction) branch(b *backend.Backend, acquire func(*backend.Backend) (*backend.Conn, error)) (*txBranch, error) {
	if br, ok := t.branches[b.Index]; ok {
		return br, nil
	}
	conn, err := acquire(b)
	if err != nil {
		return nil, err
	}
	if e := t.begun(b); e != nil {
		conn.Put()
		return nil, e
	}
	br := &txBranch{}
	if g := t.xa.GTRID(); g.Decider == b.Name() {
		d := backend.NewDecider(conn, g)
		br.Branch, br.index = &d.Branch, t.xa.Add(d, false)
	} else {
		br.Branch = backend.NewBranch(conn, g)
		br.index = t.xa.Add(br, br.RecordOnePhase())
	}
	t.branches[b.Index] = br
	t.tell("branch begins", b)
	return br, nil
}

// begun sees to it that the transaction has a name, before its first branch, which is on b.
func (t *transaction) begun(b *backend.Backend) *wire.Error {
	if t.xa != nil {
		return nil
	}
	decider := ""
	switch {
	case !t.decides:
	case t.key.Name != "":
		decider = t.keyDecider.Name()
	default:
		decider = b.Name()
	}
	defer t.tell("transaction begins", nil)
	if t.key.Name == "" {
		t.xa = t.coordinator.Begin(decider)
		t.xa.Serves(t.session)
		t.traced.begins(t.xa)
		return nil
	}
	tx, err := t.coordinator.BeginKeyed(decider, t.key)
	if err != nil {
		return keyRunning(t.key.Name)
	}
	t.xa = tx
	t.xa.Serves(t.session)
	t.traced.begins(t.xa)
	return nil
}

// tell logs what became of the transaction.
func (t *transaction) tell(what string, on *backend.Backend) {
	e := t.logger.Debug()
	if t.xa == nil || !e.Enabled() {
		return
	}
	if e = e.Str("gtrid", t.xa.GTRID().String()).Uint64("conn", t.session); on != nil {
		e = e.Str("backend", on.Name())
	}
	e.Msg(what)
}

// begin sends a statement on a branch, after the client's savepoints if the branch is new and after lead. It may run
// for several branches at once.
func (t *transaction) begin(br *txBranch, state *backend.Session, r *request, write bool, lead ...string) error {
	if write {
		t.xa.Wrote(br.index) // before it is sent: a lost answer must not make a writer look like a reader
	}
	if br.Started() {
		return r.sendOn(br.Branch, state, "", lead...)
	}
	all := make([]string, 0, len(t.savepoints)+len(lead))
	for _, name := range t.savepoints {
		all = append(all, "SAVEPOINT "+backend.Quote(name))
	}
	return r.sendOn(br.Branch, state, t.opening.statement(), append(all, lead...)...)
}

// commit ends the transaction. With a commit key its decider takes part, though it may have had no statement, and there may have been none.
func (t *transaction) commit(acquire func(*backend.Backend) (*backend.Conn, error), state *backend.Session) xa.Answer {
	for _, br := range t.branches {
		if err := t.wake(br, state); err != nil {
			return t.fail(br, err)
		}
	}
	if t.key.Name != "" {
		var err error
		if t.decides {
			_, err = t.branch(t.keyDecider, acquire)
		} else if e := t.begun(nil); e != nil {
			err = e
		}
		if err != nil {
			return t.rollback(err)
		}
	}
	if t.xa == nil {
		return xa.Answer{Outcome: xa.Committed}
	}
	return t.xa.Commit()
}

// wake starts a branch that a statement was to have, and failed elsewhere before it was sent there: it can be committed then. A decider needs
// no start for that.
func (t *transaction) wake(br *txBranch, state *backend.Session) error {
	if br.Started() || t.xa.GTRID().Decider == br.Conn().Backend().Name() {
		return nil
	}
	if err := t.begin(br, state, &request{sql: []byte("DO 0")}, false); err != nil {
		return err
	}
	_, err := br.Conn().Result()
	return err
}

// rollback ends the transaction.
func (t *transaction) rollback(cause error) xa.Answer {
	if t.xa == nil {
		return xa.Answer{Outcome: xa.RolledBack, Cause: cause}
	}
	return t.xa.Rollback(cause)
}

// fail ends the transaction after a statement on br failed in a way that the transaction cannot survive.
func (t *transaction) fail(br *txBranch, cause error) xa.Answer {
	if answered(cause) {
		return t.xa.Rollback(cause)
	}
	br.Conn().Break()
	return t.xa.BranchLost(br.index, cause)
}

// savepoint notes a savepoint and returns the statement for the open branches. A second one of the same name replaces
// the first.
func (t *transaction) savepoint(name string) string {
	if i := t.find(name); i >= 0 {
		t.savepoints = slices.Delete(t.savepoints, i, i+1)
	}
	t.savepoints = append(t.savepoints, name)
	return "SAVEPOINT " + backend.Quote(name)
}

// rollbackTo forgets the savepoints after the named one; ok is false if there is none of that name.
func (t *transaction) rollbackTo(name string) (statement string, ok bool) {
	i := t.find(name)
	if i < 0 {
		return "", false
	}
	t.savepoints = t.savepoints[:i+1]
	return "ROLLBACK TO SAVEPOINT " + backend.Quote(name), true
}

// release forgets the named savepoint and those after it; ok is false if there is none of that name.
func (t *transaction) release(name string) (statement string, ok bool) {
	i := t.find(name)
	if i < 0 {
		return "", false
	}
	t.savepoints = t.savepoints[:i]
	return "RELEASE SAVEPOINT " + backend.Quote(name), true
}

func (t *transaction) find(name string) int {
	return slices.IndexFunc(t.savepoints, func(s string) bool { return strings.EqualFold(s, name) })
}

// started returns the branches that the servers know of.
func (t *transaction) started() []*txBranch {
	var all []*txBranch
	for _, br := range t.branches {
		if br.Started() {
			all = append(all, br)
		}
	}
	return all
}

// onAll runs a statement about savepoints on all branches, in parallel. It returns the branch and the error of one that
// failed.
func onAll(branches []*txBranch, statement string) (*txBranch, error) {
	errs := make([]error, len(branches))
	parallel(len(branches), func(i int) { errs[i] = branches[i].Exec(statement) })
	for i, err := range errs {
		if err != nil {
			return branches[i], err
		}
	}
	return nil, nil
}

var errUnfinished = errors.New("statement was not finished")
