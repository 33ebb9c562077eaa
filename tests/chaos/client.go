package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/tests/proxytest"
)

// ending is what a client knows of a transfer.
type ending uint8

const (
	// acknowledgedEnd: COMMIT was answered with OK.
	acknowledgedEnd ending = iota
	// rolledBackEnd: COMMIT was answered as rolled back, or was never sent.
	rolledBackEnd
	// unknownEnd: COMMIT got no answer, or one that says that the outcome is unknown.
	unknownEnd
)

// errnoBackendDown is what the proxy answers while a server is away.
const errnoBackendDown = 1429

// entry is a transfer as its client saw it.
type entry struct {
	tx, from, to, n int
	end             ending
	err             error  // of the statement that failed
	gtrid           string // the proxy's name for it, if it came far enough to have one
}

// journal keeps what all clients saw. It is safe for concurrent use.
type journal struct {
	mu      sync.Mutex // protects entries
	entries []entry
}

func (j *journal) add(e entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, e)
}

func (j *journal) all() []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.entries
}

// retryPause is how long a client waits when the proxy or a server is away.
const retryPause = 20 * time.Millisecond

// client makes transfers until ctx ends; the last one is brought to its end. Its transactions have numbers of their own.
func (w *world) client(ctx context.Context, number int) {
	draw := rand.New(rand.NewPCG(w.o.Seed, uint64(number+1)))
	var pools []*sql.DB // one for each proxy
	for _, p := range w.proxies {
		db, err := proxytest.Open(p.Addr, schema)
		if err != nil {
			w.tally.violation("client %d: %v", number, err)
			return
		}
		defer db.Close() // the connections end with the run, whatever closing them says
		pools = append(pools, db)
	}
	var conn *sql.Conn
	for i := 0; ctx.Err() == nil; i++ {
		if conn == nil {
			conn = connect(ctx, pools[(number+i)%len(pools)], &w.tally)
			continue
		}
		e := entry{tx: number*1_000_000 + i, from: draw.IntN(accounts), n: 1 + draw.IntN(10)}
		e.to = (e.from + 1 + draw.IntN(accounts-1)) % accounts
		if draw.IntN(4) == 0 { // within one shard
			e.to = (e.from + 2 + 2*draw.IntN(accounts/2-1)) % accounts
		}
		if !w.transfer(conn, &e, draw) {
			_ = conn.Close() // it is broken; a new one is opened
			conn = nil
		}
		e.gtrid = w.trigger.gtrid(e.tx)
		w.journal.add(e)
		w.tally.count(e)
		if e.away() {
			pause(ctx)
		}
	}
}

// pause waits for a moment, because something is down.
func pause(ctx context.Context) {
	select {
	case <-time.After(retryPause):
	case <-ctx.Done():
	}
}

// away reports whether the transfer failed because a server could not be reached.
func (e entry) away() bool {
	var said *mysql.MySQLError
	return errors.As(e.err, &said) && said.Number == errnoBackendDown
}

// connect opens a connection, or returns nil after a pause.
func connect(ctx context.Context, db *sql.DB, t *tally) *sql.Conn {
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := db.Conn(limited)
	if err == nil {
		return conn
	}
	t.refused.Add(1)
	pause(ctx)
	return nil
}

// transfer moves money in one transaction and notes its end in e. It reports whether the connection is still good.
// Statements have time limits of their own: a transfer is not ended by the end of the run.
func (w *world) transfer(conn *sql.Conn, e *entry, draw *rand.Rand) bool {
	run := func(statement string, args ...any) error {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		_, err := conn.ExecContext(ctx, statement, args...)
		return err
	}
	e.end = rolledBackEnd
	e.err = run("START TRANSACTION")
	if e.err == nil && draw.IntN(4) == 0 { // a look at an account that the transfer does not change
		e.err = run("SELECT n FROM account WHERE id = ?", draw.IntN(accounts))
	}
	for _, side := range [2]struct{ account, n int }{{e.from, -e.n}, {e.to, e.n}} {
		if e.err == nil {
			e.err = run("UPDATE account SET n = n + ? WHERE id = ?", side.n, side.account)
		}
		if e.err == nil {
			e.err = run("INSERT INTO applied (account, tx, n) VALUES (?, ?, ?)", side.account, e.tx, side.n)
		}
	}
	if e.err != nil {
		return answered(e.err) && run("ROLLBACK") == nil
	}
	if draw.IntN(10) == 0 {
		return run("ROLLBACK") == nil
	}
	e.err = run("COMMIT")
	switch {
	case e.err == nil:
		e.end = acknowledgedEnd
	case !answered(e.err), inDoubt(e.err):
		e.end = unknownEnd
	}
	return e.err == nil || answered(e.err)
}

// answered reports whether err came over the connection, as against the end of it.
func answered(err error) bool {
	var said *mysql.MySQLError
	return errors.As(err, &said)
}

// inDoubt reports whether an answer leaves the outcome open: SQLSTATE 08007, and every other one that speaks of the
// connection.
func inDoubt(err error) bool {
	var said *mysql.MySQLError
	return errors.As(err, &said) && string(said.SQLState[:2]) == "08"
}

func (t *tally) count(e entry) {
	if e.away() {
		t.refused.Add(1)
		return
	}
	t.transactions.Add(1)
	switch e.end {
	case acknowledgedEnd:
		t.acknowledged.Add(1)
	case rolledBackEnd:
		t.rolledBack.Add(1)
	case unknownEnd:
		t.unknown.Add(1)
	}
}

func (e entry) String() string {
	words := [...]string{"acknowledged", "rolled back", "unknown"}
	return fmt.Sprintf("transfer %d (%s) of %d from account %d to %d, %s (%v)", e.tx, e.gtrid, e.n, e.from, e.to, words[e.end], e.err)
}
