package backend

import (
	"slices"
	"sync"

	"github.com/xaproxy/xaproxy/wire"
)

// Debt is the answer to a question that a client may still ask about a statement of its own, such as SHOW WARNINGS, and
// that only the connection of that statement knows. The connection serves others meanwhile: whoever borrows it next asks the
// question first, in vain if the client never does, and leaves the answer here.
//
// Conn.Owe makes a Debt. Its owner may call Forgive and Answer from one goroutine.
type Debt struct {
	conn     *Conn
	owner    any
	question string

	mu     sync.Mutex // protects following fields; held while the question is asked
	closed bool       // answered or forgiven: nobody needs to ask any more
	rows   wire.Rows
	err    error
}

// Owe notes that owner, who has borrowed the connection, may want the answer to a question later. Another of the same owner and
// question is taken back.
func (c *Conn) Owe(owner any, question string) *Debt {
	c.debts = slices.DeleteFunc(c.debts, func(d *Debt) bool {
		if d.question == question {
			d.Forgive()
		}
		return d.question == question
	})
	d := &Debt{conn: c, owner: owner, question: question}
	c.debts = append(c.debts, d)
	return d
}

// Forgive says that the answer is not wanted any more.
func (d *Debt) Forgive() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
}

// On reports whether the answer is still to be asked on a connection that the owner has.
func (d *Debt) On(c *Conn) bool { return d.conn == c && slices.Contains(c.debts, d) }

// Reclaim borrows the connection again, if it is free and its answer still to be asked.
func (d *Debt) Reclaim() (*Conn, bool) {
	return d.conn, d.conn.pool.reclaim(d.conn, func(c *Conn) bool { return slices.Contains(c.debts, d) })
}

// Answer returns the answer. mine are connections that the owner has borrowed at present: the debt may be on one of them.
func (d *Debt) Answer(mine func(*Conn) bool) (wire.Rows, error) {
	if mine(d.conn) {
		d.conn.settle()
	} else if c, free := d.Reclaim(); free {
		c.settle()
		c.Put()
	}
	d.mu.Lock() // whoever has the connection asked before anything else
	defer d.mu.Unlock()
	return d.rows, d.err
}

// claim locks what must be asked on behalf of others than owner, before anybody can see that the connection has gone from the
// pool. pay must follow.
func (c *Conn) claim(owner any) (owed []*Debt) {
	for _, d := range c.debts {
		if d.owner != owner {
			d.mu.Lock()
			owed = append(owed, d)
		}
	}
	c.debts = slices.DeleteFunc(c.debts, func(d *Debt) bool { return d.owner != owner })
	return owed
}

// Warned says that a statement of owner left warnings on the connection for which nobody will ask, and which nobody else may see.
func (c *Conn) Warned(owner any) { c.Owe(owner, Warnings).Forgive() }

// pay asks the questions: SHOW WARNINGS first, because every other statement clears them.
func (c *Conn) pay(owed []*Debt) {
	if i := slices.IndexFunc(owed, func(d *Debt) bool { return d.question == Warnings }); i > 0 {
		owed[0], owed[i] = owed[i], owed[0]
	}
	for _, d := range owed {
		if !d.closed || d.question == InsertID { // that must not be there for others
			d.err = c.within(func() (err error) {
				d.rows, err = c.Ask(d.question)
				return err
			})
			d.closed = true
		}
		if d.question == Warnings && c.b.Facts().MariaDB && !c.broken {
			_ = c.within(func() error { return c.Exec(ForgetWarnings) }) // otherwise the connection breaks
		}
		d.mu.Unlock()
	}
}

// settle asks all that anybody may still want to know, because the connection is about to forget it.
func (c *Conn) settle() { c.pay(c.claim(nil)) }

// Ask is Query for one of the questions, whose answers may be larger.
func (c *Conn) Ask(question string) (wire.Rows, error) { return c.query(question, maxAnswer) }

// maxAnswer bounds the answer to a question in bytes: a thousand warnings of the largest size fit.
const maxAnswer = 4 << 20

// lose says of what is still owed that it will never be known.
func (c *Conn) lose() {
	for _, d := range c.claim(nil) {
		if !d.closed {
			d.closed, d.err = true, errForgotten
		}
		d.mu.Unlock()
	}
}

var errForgotten = wire.NewError(wire.CodeBackendDown, "the backend connection of the statement that this asks about was lost")

// The questions.
const (
	Warnings = "SHOW WARNINGS LIMIT 1000"
	// InsertID leaves zero on the connection, so that what is there later is its owner's.
	InsertID = "SELECT LAST_INSERT_ID(), LAST_INSERT_ID(0)"
)

// ForgetWarnings makes a server forget warnings, which others must not see. MariaDB keeps them until a statement with a table begins; a
// derived one will do.
const ForgetWarnings = "DO (SELECT 1 FROM (SELECT 1) AS t)"
