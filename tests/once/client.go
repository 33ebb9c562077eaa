package once

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	// statementTimeout bounds every statement of a client: then it gives its connection up.
	statementTimeout = 10 * time.Second
	// operationTimeout is how long an operation may take, with all its attempts.
	operationTimeout = 2 * time.Minute
	// retryPause is the longest that a client waits before the next attempt.
	retryPause = 40 * time.Millisecond
)

// The numbers of the errors that speak of commit keys, and of what the proxy answers while a server is away.
const (
	errnoAlready     = 20042
	errnoRunning     = 20043
	errnoBackendDown = 1429
)

// client carries out operations, one after the other.
type client struct {
	w     *world
	draw  *rand.Rand
	conn  *sql.Conn // nil when there is none
	proxy int       // that conn leads to
	kills int64     // of that proxy, when conn was opened
}

// operations carries out what is left to do.
func (c *client) operations(ctx context.Context) {
	defer c.hangUp()
	for ctx.Err() == nil {
		number := int(c.w.begun.Add(1)) - 1
		if number >= c.w.o.Operations {
			return
		}
		for int64(number) >= (c.w.broken.Load()+2)*int64(c.w.o.FaultEvery) && ctx.Err() == nil {
			<-time.After(lookInterval) // else a fast machine is through before much was broken
		}
		op := &operation{number: number, legs: c.legs()}
		c.w.operations[number] = op
		if !c.perform(op) {
			c.w.tally.violation("not done within %s: %s", operationTimeout, op)
		}
		c.w.done.Add(1)
	}
}

// legs draws what an operation changes: in half of them accounts of both servers, else of one.
func (c *client) legs() []leg {
	from, n := c.draw.IntN(accounts), 1+c.draw.IntN(10)
	switch c.draw.IntN(4) {
	case 0:
		return []leg{{from, n}}
	case 1:
		return []leg{{from, -n}, {(from + 2 + 2*c.draw.IntN(accounts/2-1)) % accounts, n}}
	}
	return []leg{{from, -n}, {(from + 1 + 2*c.draw.IntN(accounts/2-1)) % accounts, n}}
}

// perform does what an application does: it tries until it is told OK or 20042.
func (c *client) perform(op *operation) bool {
	for began := time.Now(); time.Since(began) < operationTimeout; {
		if !c.dial() {
			c.pause()
			continue
		}
		var rival *client
		first := len(op.attempts)
		if c.draw.IntN(6) == 0 {
			rival = c.rival(op)
		}
		a, lost := attempt{}, false
		if rival == nil || c.draw.IntN(3) > 0 {
			a, lost = c.attempt(op)
		}
		if (lost || rival != nil) && c.draw.IntN(3) == 0 && c.dial() {
			c.ask(op)
		}
		if rival != nil {
			r := &op.attempts[first]
			r.end, r.err = rival.finish(op, first)
			rival.ended(op, r)
			rival.hangUp()
			if r.end == acknowledged || r.end == already {
				return true
			}
		}
		if a.end == acknowledged || a.end == already {
			return true
		}
		if !lost || c.draw.IntN(2) == 0 {
			c.pause()
		}
	}
	return false
}

func (c *client) pause() { <-time.After(time.Duration(c.draw.Int64N(int64(retryPause)))) }

// attempt makes one attempt, and reports whether the connection was lost.
func (c *client) attempt(op *operation) (a attempt, lost bool) {
	number := len(op.attempts)
	op.attempts = append(op.attempts, attempt{proxy: c.proxy})
	if a.end, a.err = c.begin(op); a.err == nil {
		a.end, a.err = c.finish(op, number)
	}
	a.proxy = c.proxy
	lost = c.ended(op, &a)
	op.attempts[number] = a
	return a, lost
}

// ended counts an attempt, and reports whether the connection was lost.
func (c *client) ended(op *operation, a *attempt) (lost bool) {
	a.of = len(op.attempts)
	c.w.tally.attempt(*a)
	if lost = a.err != nil && !answered(a.err); lost {
		c.w.tally.lost(c.cause(a.err))
		c.hangUp()
	}
	return lost
}

// rival begins an attempt on a connection of its own, as another worker does that has got the same order. It is nil if that has failed.
func (c *client) rival(op *operation) *client {
	r := &client{w: c.w, draw: c.draw}
	if !r.dial() {
		return nil
	}
	if _, err := r.begin(op); err != nil {
		r.hangUp()
		return nil
	}
	op.attempts = append(op.attempts, attempt{proxy: r.proxy})
	return r
}

// begin begins a transaction with the key.
func (c *client) begin(op *operation) (ending, error) {
	statements := []string{"SET @@xaproxy_commit_key = '" + op.key() + "'", "BEGIN"}
	switch c.draw.IntN(3) {
	case 0:
		statements = []string{"/* xaproxy: commit_key=" + op.key() + " */ START TRANSACTION"}
	case 1:
		statements = []string{statements[1], statements[0]}
	}
	return c.run(statements)
}

// finish makes the changes, and commits.
func (c *client) finish(op *operation, number int) (ending, error) {
	var statements []string
	for _, l := range op.legs {
		statements = append(statements,
			fmt.Sprintf("UPDATE account SET n = n + %d WHERE id = %d", l.n, l.account),
			fmt.Sprintf("INSERT INTO applied (account, op, attempt, n) VALUES (%d, %d, %d, %d)", l.account, op.number, number, l.n))
	}
	if end, err := c.run(statements); err != nil {
		return end, err
	}
	patience := statementTimeout
	if c.draw.IntN(20) == 0 {
		patience = time.Duration(1+c.draw.IntN(30)) * time.Millisecond
	}
	err := c.exec("COMMIT", patience)
	if err == nil {
		return acknowledged, nil
	}
	if !answered(err) || inDoubt(err) {
		return unknown, err
	}
	return endOf(err, rolledBack), err
}

// run runs statements before COMMIT. After an error the transaction is rolled back.
func (c *client) run(statements []string) (ending, error) {
	for _, s := range statements {
		err := c.exec(s, statementTimeout)
		if err == nil {
			continue
		}
		if answered(err) {
			if undone := c.exec("ROLLBACK", statementTimeout); undone != nil && !answered(undone) {
				c.w.tally.lost(c.cause(undone))
				c.hangUp()
			}
		}
		return endOf(err, rolledBack), err // COMMIT was not sent
	}
	return unknown, nil
}

// endOf is what an error says of an attempt.
func endOf(err error, otherwise ending) ending {
	switch errno(err) {
	case errnoAlready:
		return already
	case errnoRunning:
		return running
	}
	return otherwise
}

// ask asks what became of an operation, and keeps the answer.
func (c *client) ask(op *operation) {
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	t := telling{proxy: c.proxy, after: len(op.attempts)}
	if err := c.conn.QueryRowContext(ctx, "SELECT xaproxy_outcome('"+op.key()+"')").Scan(&t.answer); err != nil {
		if !answered(err) {
			c.w.tally.lost(c.cause(err))
			c.hangUp()
		} else if errno(err) != errnoBackendDown {
			c.w.tally.violation("xaproxy_outcome is answered with an error: %v", err)
		}
		return
	}
	op.tellings = append(op.tellings, t)
	c.w.tally.told(t.answer)
}

func (c *client) exec(statement string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := c.conn.ExecContext(ctx, statement)
	return err
}

// dial sees to it that there is a connection, to a proxy that is drawn.
func (c *client) dial() bool {
	if c.conn != nil {
		return true
	}
	c.proxy = c.draw.IntN(len(c.w.fronts))
	f := c.w.fronts[c.proxy]
	c.kills = f.kills.Load()
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	conn, err := f.db.Conn(ctx)
	if err != nil {
		c.w.tally.refuse()
		return false
	}
	c.conn = conn
	return true
}

func (c *client) hangUp() {
	if c.conn != nil {
		_ = c.conn.Close() // the pool keeps none; whatever closing says, it is gone
		c.conn = nil
	}
}

// cause says why the connection was lost.
func (c *client) cause(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "the client gave up"
	case c.w.fronts[c.proxy].kills.Load() != c.kills:
		return "xaproxy killed"
	}
	return "the client's connection cut"
}

// answered reports whether err came over the connection, as against the end of it.
func answered(err error) bool { return errno(err) != 0 }

func errno(err error) uint16 {
	var said *mysql.MySQLError
	if errors.As(err, &said) {
		return said.Number
	}
	return 0
}

// inDoubt reports whether an answer leaves the outcome open.
func inDoubt(err error) bool {
	var said *mysql.MySQLError
	return errors.As(err, &said) && string(said.SQLState[:2]) == "08"
}
