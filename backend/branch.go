package backend

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// Branch is an XA branch on a connection of its own, from XA START to its end. It is the xa.BranchConn of MySQL and
// MariaDB. One goroutine uses it at a time.
//
// Source of the states and of what is allowed in them: MySQL manual, "XA Transaction States".
type Branch struct {
	conn  *Conn
	xid   xa.XID
	sql   string // the XID as the argument of the XA verbs
	start string // the statement that starts it
	mark  string // until it was sent, what has to go before savepoints and stored code
	state branchState

	question
}

// question is what the server was asked, and has not answered yet.
type question struct {
	deadline time.Time
	answers  int                                        // that come, unless one is an error
	unasked  error                                      // why it could not be asked
	then     func(b *Branch, done int, err error) error // makes of the answers what Answer returns
}

type branchState uint8

const (
	branchNew      branchState = iota // its start was not yet answered
	branchActive                      // statements run
	branchUnknown                     // XA END was sent; ended or not, prepared or not
	branchPrepared                    // XA PREPARE was acknowledged
	branchEnded                       // committed or rolled back, and acknowledged
)

// NewBranch returns the branch of a transaction on the connection. XA START is sent by its first Begin.
func NewBranch(c *Conn, g xa.GTRID) *Branch {
	c.branch = true
	x := xa.XID{GTRID: g, BQUAL: c.b.Config.Name, Session: c.session()}
	b := &Branch{conn: c, xid: x, sql: x.SQL()}
	b.start = "XA START " + b.sql
	return b
}

// Conn returns the branch's connection, on which answers to Begin are read.
func (b *Branch) Conn() *Conn { return b.conn }

// Begin sends a statement of the client; the first one starts the branch, with opening between what the session
// needs and the start (SET TRANSACTION), and lead after it (savepoints). See Conn.Begin for the errors.
func (b *Branch) Begin(s *Session, attrs, sql []byte, opening string, lead ...string) error {
	if err := b.conn.Begin(s, attrs, sql, b.lead(opening, lead)...); err != nil {
		return err
	}
	b.state = branchActive
	return nil
}

// Ready is Begin without a statement, for a command that is not text: it starts the branch if need be, and has waited
// for the server's word that it has.
func (b *Branch) Ready(s *Session, opening string, lead ...string) error {
	if err := b.conn.Ready(s, b.lead(opening, lead)...); err != nil {
		return err
	}
	b.state = branchActive
	return nil
}

// session is what the name of a branch says of the session, where that keeps others from finishing the branch once it is prepared: its id,
// and when the server was started. See Admin.Holder.
func (c *Conn) session() string {
	if c.started == "" {
		return ""
	}
	return strconv.FormatUint(c.ID, 16) + "." + c.started
}

// lead returns what goes before a statement: for the first one of the branch, its start.
func (b *Branch) lead(opening string, lead []string) []string {
	if len(lead) > 0 {
		lead = append(b.Mark(), lead...)
	}
	if b.state != branchNew {
		return lead
	}
	all := make([]string, 0, len(lead)+2)
	if opening != "" {
		all = append(all, opening)
	}
	return append(append(all, b.start), lead...)
}

// Mark returns what has to go before the first stored code that runs on the branch; it goes before what Begin and Ready are given as lead,
// and before what Exec runs, by itself. See Decider.
func (b *Branch) Mark() (lead []string) {
	if b.mark != "" {
		lead, b.mark = []string{b.mark}, ""
	}
	return lead
}

// Exec runs a statement about savepoints on a branch that was started.
func (b *Branch) Exec(sql string) error {
	_, err := b.conn.Batch(maxOwnResult, append(b.Mark(), sql)...)
	return err
}

// Started reports whether the server has acknowledged its start.
func (b *Branch) Started() bool { return b.state != branchNew }

// Ref tells recovery where the branch is.
func (b *Branch) Ref() xa.BranchRef {
	ref := xa.BranchRef{Backend: b.xid.BQUAL, ConnID: b.conn.ID}
	if f := b.conn.facts; f != nil {
		ref.Server = f.Identity
	}
	return ref
}

// RecordOnePhase reports whether the server may bring the branch back as prepared after it has acknowledged
// XA COMMIT ... ONE PHASE, so that the decision must be durable before that is sent (MDEV-21469).
func (b *Branch) RecordOnePhase() bool {
	f := b.conn.facts
	return f != nil && f.MariaDB && f.LogBin
}

// Prepare asks for the vote, in one packet.
func (b *Branch) Prepare(deadline time.Time) {
	b.state = branchUnknown
	b.ask(deadline, (*Branch).voted, 2, "XA END ", b.sql, ";XA PREPARE ", b.sql)
}

func (b *Branch) voted(_ int, err error) error {
	if err == nil {
		b.state = branchPrepared
	}
	return err
}

// Commit commits the prepared branch.
func (b *Branch) Commit(deadline time.Time) {
	b.ask(deadline, (*Branch).ended, 1, "XA COMMIT ", b.sql)
}

// CommitOnePhase commits the branch without a vote, in one packet. It is never sent for a prepared branch: MySQL
// would commit it.
func (b *Branch) CommitOnePhase(deadline time.Time) {
	b.state = branchUnknown
	b.ask(deadline, (*Branch).decided, 2, "XA END ", b.sql, ";XA COMMIT ", b.sql, " ONE PHASE")
}

// decided is what came of a commit without a vote, behind an XA END.
func (b *Branch) decided(done int, err error) error {
	if done > 0 {
		err = b.truth(err)
	}
	return b.ended(done, err)
}

// truth makes of a server's error to a commit without a vote a loss, unless it says that nothing has been committed. PostgreSQL gives none
// once it has committed.
func (b *Branch) truth(err error) error {
	if !answered(err) || uncommitted(err) || b.conn.b.postgres != nil {
		return err
	}
	b.conn.broken = true
	return fmt.Errorf("the commit was answered with an error that does not say whether it has happened: %s", err.Error())
}

// uncommitted reports whether a server's error to a commit proves that it has not happened. Others come from the binary log, or say that the
// session or the server ends.
//
// Source: sql/handler.cc, ha_commit_trans, of both servers: read-only, locks and interruption are looked at before any engine is asked.
func uncommitted(err error) bool {
	var e *xa.ServerError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Errno {
	case errnoReadOnly, errnoLockWait, errnoInterrupted, xa.ErrnoNotA, xa.ErrnoInvalid, xa.ErrnoRMFail, xa.ErrnoOutside:
		return true
	}
	return strings.HasPrefix(e.State, "40") || strings.HasPrefix(e.State, "XA1") // transaction rollback, in SQL and in XA
}

// Rollback rolls the branch back, from whichever state it is in.
func (b *Branch) Rollback(deadline time.Time) {
	switch b.state {
	case branchNew: // the server never had it
		b.ask(deadline, (*Branch).ended, 0)
	case branchActive:
		b.state = branchUnknown
		b.ask(deadline, (*Branch).rolledBackOrEnded, 2, "XA END ", b.sql, ";XA ROLLBACK ", b.sql)
	default:
		b.ask(deadline, (*Branch).rolledBack, 1, "XA ROLLBACK ", b.sql)
	}
}

// rolledBackOrEnded asks once more where XA ROLLBACK was not reached, or refused. After a deadlock MySQL wants XA END before it and MariaDB
// refuses that, so the result of XA END does not count.
func (b *Branch) rolledBackOrEnded(done int, err error) error {
	if answered(err) {
		b.ask(b.deadline, nil, 1, "XA ROLLBACK ", b.sql)
		done, err = b.hear()
	}
	return b.rolledBack(done, err)
}

func (b *Branch) rolledBack(done int, err error) error {
	if xa.IsErrno(err, xa.ErrnoNotA, xa.ErrnoRBRollback, xa.ErrnoRBTimeout, xa.ErrnoRBDeadlock) {
		err = nil // gone already: this is the session that had it, so nobody else can still hold it
	}
	return b.ended(done, err)
}

// Release gives the connection back. It is closed unless the branch has ended: a server may keep a branch attached to
// the session, and MariaDB must not be made to reset it.
func (b *Branch) Release() {
	if b.state != branchEnded {
		b.conn.broken = true
	}
	b.conn.Put()
}

func (b *Branch) ended(_ int, err error) error {
	if err == nil {
		b.state = branchEnded
		b.conn.branch = false
	}
	return err
}

var errBroken = errors.New("connection was lost before")

// ask sends so many statements that end the branch, in one packet; without any there is nothing to answer.
func (b *Branch) ask(deadline time.Time, then func(b *Branch, done int, err error) error, statements int, text ...string) {
	b.question = question{deadline: deadline, answers: statements, then: then}
	c := b.conn
	if c.broken {
		b.unasked = errBroken
		return
	}
	if statements == 0 {
		return
	}
	if err := c.SetDeadline(deadline); err != nil {
		b.unasked = c.Lost(err)
		return
	}
	c.lead = c.lead[:0]
	for _, piece := range text {
		c.lead = append(c.lead, piece...)
	}
	if statements > 1 {
		c.Several()
	}
	if err := c.SendQuery(nil, c.lead); err != nil {
		b.unasked = c.Lost(err)
	}
}

// Answer is that to the last question.
func (b *Branch) Answer(by time.Time) (bool, error) {
	if b.unasked == nil && b.answers > 0 && by.Before(b.deadline) {
		if err := b.conn.SetDeadline(by); err == nil && !b.conn.Arrived(b.answers) {
			_ = b.conn.SetDeadline(b.deadline) // if it fails, so will reading
			return false, nil
		}
	}
	done, err := b.hear()
	return true, b.then(b, done, err)
}

// hear reads the answers, up to the first error, and says how many of the statements were carried out. A server's error comes back
// as *xa.ServerError; after anything else the connection is broken.
func (b *Branch) hear() (done int, err error) {
	c := b.conn
	if b.unasked != nil || b.answers == 0 {
		return 0, b.unasked
	}
	var refused error
	for range b.answers {
		if err := c.Expect(); c.broken {
			return done, err
		} else if err != nil { // a server runs nothing behind the first error
			refused = serverError(err)
			break
		}
		done++
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		return done, c.Lost(err)
	}
	return done, refused
}

// serverError makes the server's answer known to package xa as such.
func serverError(err error) error {
	var e *wire.Error
	if errors.As(err, &e) {
		return &xa.ServerError{Errno: e.Errno, State: e.State, Message: e.Message}
	}
	return err
}

func answered(err error) bool {
	var e *xa.ServerError
	return errors.As(err, &e)
}
