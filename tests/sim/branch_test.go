package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xaproxy/xaproxy/xa"
	"github.com/xaproxy/xaproxy/xa/xatest"
)

// branch is the xa.BranchConn of a simulated server. It sends what backend.Branch sends, packet by packet.
type branch struct {
	conn  *conn
	xid   xa.XID
	ref   xa.BranchRef
	part  *part
	state branchState
	xatest.Asking
}

type branchState uint8

const (
	branchNew     branchState = iota // its start was not yet answered
	branchActive                     // statements run
	branchUnknown                    // told to end
	branchEnded                      // committed or rolled back, and acknowledged
)

func (b *branch) verbs(deadline time.Time, verbs ...string) error {
	_, err := b.answers(deadline, verbs...)
	return err
}

func (b *branch) answers(deadline time.Time, verbs ...string) (done int, err error) {
	stmts := make([]stmt, len(verbs))
	for i, v := range verbs {
		stmts[i] = stmt{verb: v, xid: b.xid.String()}
		if v == "COMMIT" || v == "ROLLBACK" || v == "RESET" {
			stmts[i].xid = ""
		}
	}
	return b.statements(deadline, stmts...)
}

func (b *branch) statements(deadline time.Time, stmts ...stmt) (done int, err error) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	values, err := b.conn.send(ctx, stmts[0].verb+" "+b.xid.String(), stmts...)
	return len(values), err
}

func (b *branch) plain() bool { return b.xid.GTRID.Decider == b.xid.BQUAL }

// write runs the client's statement; it starts the branch.
func (b *branch) write(deadline time.Time, st stmt) error {
	start := stmt{verb: "XA START", xid: b.xid.String(), part: b.part}
	if b.plain() {
		start = stmt{verb: "BEGIN", part: b.part}
	}
	done, err := b.statements(deadline, start, st)
	if done > 0 || err == nil {
		b.state = branchActive
	}
	return err
}

func (b *branch) Ref() xa.BranchRef { return b.ref }

func (b *branch) Prepare(deadline time.Time) {
	b.Ask(deadline, func() error { return b.prepare(deadline) })
}

func (b *branch) Commit(deadline time.Time) {
	b.Ask(deadline, func() error { return b.commit(deadline) })
}

func (b *branch) CommitOnePhase(deadline time.Time) {
	b.Ask(deadline, func() error { return b.commitOnePhase(deadline) })
}

func (b *branch) Rollback(deadline time.Time) {
	b.Ask(deadline, func() error { return b.rollback(deadline) })
}

func (b *branch) prepare(deadline time.Time) error {
	b.state = branchUnknown
	err := b.verbs(deadline, "XA END", "XA PREPARE")
	if hook := b.conn.p.w.plant.prepared; hook != nil {
		err = hook(b, deadline, err)
	}
	return err
}

func (b *branch) commit(deadline time.Time) error {
	err := b.end(b.verbs(deadline, "XA COMMIT"))
	if hook := b.conn.p.w.plant.committed; hook != nil {
		err = hook(b, deadline, err)
	}
	return err
}

func (b *branch) commitOnePhase(deadline time.Time) error {
	b.state = branchUnknown
	err := b.end(b.verbs(deadline, "XA END", "XA COMMIT ONE PHASE"))
	if hook := b.conn.p.w.plant.onePhase; hook != nil {
		err = hook(b, deadline, err)
	}
	return err
}

func (b *branch) rollback(deadline time.Time) error {
	var err error
	switch b.state {
	case branchNew:
		if !b.conn.cut {
			return b.end(nil)
		}
		return errBroken
	case branchActive:
		b.state = branchUnknown
		err = b.verbs(deadline, "XA END", "XA ROLLBACK")
		if answered(err) {
			err = b.verbs(deadline, "XA ROLLBACK")
		}
	default:
		err = b.verbs(deadline, "XA ROLLBACK")
	}
	if xa.IsErrno(err, xa.ErrnoNotA, xa.ErrnoRBRollback, xa.ErrnoRBTimeout, xa.ErrnoRBDeadlock) {
		err = nil
	}
	return b.end(err)
}

func (b *branch) Release() { b.conn.p.release(b.conn, b.state == branchEnded) }

func (b *branch) end(err error) error {
	if err == nil {
		b.state = branchEnded
	}
	return err
}

func answered(err error) bool {
	var e *xa.ServerError
	return errors.As(err, &e)
}

// decider is the xa.Decider of a simulated server. It sends what backend.Decider sends.
type decider struct{ branch }

var _ xa.Decider = (*decider)(nil)

const errnoDuplicate = 1062

var errNoVote = errors.New("a plain transaction has no vote")

func (d *decider) Prepare(deadline time.Time) {
	d.Ask(deadline, func() error { return errNoVote })
}

func (d *decider) Commit(deadline time.Time) {
	d.Ask(deadline, func() error { return errNoVote })
}

func (d *decider) CommitOnePhase(deadline time.Time) {
	d.Ask(deadline, func() error { return d.commitOnePhase(deadline) })
}

func (d *decider) Rollback(deadline time.Time) {
	d.Ask(deadline, func() error { return d.rollback(deadline) })
}

func (d *decider) Decide(r xa.Decision, deadline time.Time) {
	d.Ask(deadline, func() error {
		if hook := d.conn.p.w.plant.decide; hook != nil {
			return hook(d, r, deadline)
		}
		return d.decide(r, deadline)
	})
}

func (d *decider) commitOnePhase(deadline time.Time) error {
	d.state = branchUnknown
	return d.end(d.verbs(deadline, "COMMIT"))
}

func (d *decider) decide(r xa.Decision, deadline time.Time) error {
	var stmts []stmt
	if d.state == branchNew {
		stmts = append(stmts, stmt{verb: "BEGIN", part: d.part})
	}
	for _, sql := range d.conn.p.rows.Insert(r) {
		stmts = append(stmts, stmt{verb: "SQL", sql: sql})
	}
	stmts = append(stmts, stmt{verb: "COMMIT"})
	d.state = branchUnknown
	done, err := d.statements(deadline, stmts...)
	switch {
	case err == nil || !answered(err):
	case done < len(stmts)-1:
		d.state = branchActive
		if xa.IsErrno(err, errnoDuplicate) && d.keyCommitted(r.Key, deadline) {
			return fmt.Errorf("%w: %w", xa.ErrKeyCommitted, err)
		}
		return err
	default: // the error of a COMMIT is no proof that it has not happened
		d.conn.close()
		return fmt.Errorf("COMMIT was answered with an error: %s", err.Error())
	}
	return d.end(err)
}

// keyCommitted reports whether a transaction with the commit key has committed.
func (d *decider) keyCommitted(key xa.Key, deadline time.Time) bool {
	switch {
	case key.Name == "":
		return false
	case d.conn.p.w.plant.hasty:
		return true
	}
	ctx, cancel := context.WithDeadline(context.WithValue(context.Background(), asker{}, d.xid.String()), deadline)
	defer cancel()
	r, err := d.conn.p.keys.FindKey(ctx, key.Name)
	return err == nil && r.Committed
}

func (d *decider) Fence(g xa.GTRID, deadline time.Time) (bool, error) {
	if hook := d.conn.p.w.plant.fence; hook != nil {
		return hook(d, g)
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	return d.conn.p.rows.Fence(ctx, g)
}

func (d *decider) rollback(deadline time.Time) error {
	if d.state == branchNew && !d.conn.cut {
		return d.end(nil)
	}
	return d.end(d.verbs(deadline, "ROLLBACK"))
}
