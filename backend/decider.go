package backend

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// Decider is a branch that is a plain transaction, whose commit takes the decision along. It is the xa.Decider of MySQL and MariaDB.
// One goroutine uses it at a time.
type Decider struct{ Branch }

var _ xa.Decider = (*Decider)(nil)

// mark is a savepoint of a decider's transaction, from before stored code ran in it. While it is there, nothing has ended that transaction and
// begun another one, as a procedure can, which an XA branch would not let it. Other savepoints come behind it, so that going back to one
// does not remove it. Without stored code no mark is needed: nothing else begins a transaction, and whether one is open the server says
// with its answers.
//
// PostgreSQL lets no procedure commit in a transaction block.
const mark = "`xaproxy decider`"

// Numbers of the server's error reference.
const (
	errnoDuplicate   = 1062 // ER_DUP_ENTRY
	errnoLockWait    = 1205 // ER_LOCK_WAIT_TIMEOUT
	errnoDeadlock    = 1213 // ER_LOCK_DEADLOCK
	errnoReadOnly    = 1290 // ER_OPTION_PREVENTS_STATEMENT
	errnoNoSavepoint = 1305 // ER_SP_DOES_NOT_EXIST
	errnoInterrupted = 1317 // ER_QUERY_INTERRUPTED
)

// NewDecider returns the branch of a transaction on the connection to its decider. The transaction is started by the first Begin.
func NewDecider(c *Conn, g xa.GTRID) *Decider {
	c.branch = true
	d := &Decider{Branch{conn: c, xid: xa.XID{GTRID: g, BQUAL: c.b.Config.Name}, start: "START TRANSACTION"}}
	if c.b.postgres == nil {
		d.mark = "SAVEPOINT " + mark
	}
	return d
}

var errNoVote = errors.New("a plain transaction has no vote")

// Prepare refuses: the vote of a decider is its Decide.
func (d *Decider) Prepare(deadline time.Time) { d.refuse(deadline) }

// Commit refuses: a decider has committed when the others are to.
func (d *Decider) Commit(deadline time.Time) { d.refuse(deadline) }

func (d *Decider) refuse(deadline time.Time) {
	d.ask(deadline, func(*Branch, int, error) error { return errNoVote }, 0)
}

// CommitOnePhase commits. No record is needed.
func (d *Decider) CommitOnePhase(deadline time.Time) {
	d.state = branchUnknown
	d.ask(deadline, func(b *Branch, done int, err error) error { return b.ended(done, b.truth(err)) }, 1, "COMMIT")
}

// Decide inserts the record and commits, in one packet.
func (d *Decider) Decide(r xa.Decision, deadline time.Time) {
	statements := append(append(d.proof(), d.conn.b.Records.Insert(r)...), "COMMIT")
	d.state = branchUnknown
	d.ask(deadline, func(_ *Branch, done int, err error) error {
		switch {
		case err == nil || !answered(err):
		case done < len(statements)-1:
			d.state = branchActive
			return d.refusal(r, err, deadline)
		case d.conn.b.postgres != nil: // which gives no error once it has committed, and the client can have this one
			return err
		default: // the error of a COMMIT is no proof that it has not happened, and the record must not stay locked
			d.conn.broken = true
			return fmt.Errorf("COMMIT was answered with an error: %s", err.Error())
		}
		return d.ended(done, err)
	}, len(statements), strings.Join(statements, ";"))
}

// proof is what fails, and the commit behind it with it, unless the transaction that the client has begun is open.
func (d *Decider) proof() []string {
	switch {
	case d.state == branchNew: // no statement has reached it
		return []string{d.start}
	case d.conn.b.postgres != nil: // which fails by itself
		return nil
	case d.mark == "":
		return []string{"RELEASE SAVEPOINT " + mark}
	case d.conn.InTransaction():
		return nil
	}
	return append(d.Mark(), "RELEASE SAVEPOINT "+mark) // the last answer was an error; without a transaction a savepoint is not kept
}

// refusal says in the client's words why the record could not be written. What a server says of the client's own transaction stays as it
// is.
func (d *Decider) refusal(r xa.Decision, err error, deadline time.Time) error {
	why := ""
	switch {
	case xa.IsErrno(err, errnoDeadlock, errnoLockWait):
		return err
	case xa.IsErrno(err, errnoNoSavepoint):
		why = "a statement has ended its transaction there, as a procedure can; what had been changed until then stays, and everything else is rolled back"
	case xa.IsErrno(err, errnoDuplicate) && d.keyCommitted(r.Key, deadline):
		return &xa.ServerError{Errno: wire.CodeKeyCommitted.Errno(), State: wire.CodeKeyCommitted.State(), Message: xa.AlreadyCommitted(r.Key.Name)}
	case xa.IsErrno(err, errnoDuplicate):
		why = "the transaction was fenced, because another xaproxy took this one for dead, or somebody asked for the outcome of its commit key; it can be tried again"
	default:
		why = "the decision cannot be written there, so the transaction is rolled back: " + err.Error()
	}
	return &xa.ServerError{Errno: wire.CodeRolledBack.Errno(), State: wire.CodeRolledBack.State(), Message: "backend " + d.xid.BQUAL + ": " + why}
}

// keyCommitted reports whether a transaction with the commit key has committed.
func (d *Decider) keyCommitted(key xa.Key, deadline time.Time) bool {
	if key.Name == "" {
		return false
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	r, err := d.conn.b.Records.FindKey(ctx, key.Name)
	return err == nil && r.Committed
}

const (
	// fencePause is the pause between two attempts to fence.
	fencePause = 100 * time.Millisecond
	// fenceTime bounds all attempts: a backend that is down for longer keeps no client waiting.
	fenceTime = 5 * time.Second
)

// Fence asks the decider's backend, on another connection, what was decided, until it answers or the time is up: the client waits to know.
func (d *Decider) Fence(g xa.GTRID, deadline time.Time) (bool, error) {
	if limit := time.Now().Add(fenceTime); limit.Before(deadline) {
		deadline = limit
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	ticker := time.NewTicker(fencePause)
	defer ticker.Stop()
	for {
		committed, err := d.conn.b.Records.Fence(ctx, g)
		if err == nil {
			return committed, nil
		}
		select {
		case <-ctx.Done():
			return false, err
		case <-ticker.C:
		}
	}
}

// Rollback rolls the transaction back.
func (d *Decider) Rollback(deadline time.Time) {
	if d.state == branchNew {
		d.ask(deadline, (*Branch).ended, 0)
		return
	}
	d.ask(deadline, (*Branch).ended, 1, "ROLLBACK")
}
