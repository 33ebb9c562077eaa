package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/tests/proxytest"
)

// The names of the backends, and of the table on each.
var (
	backends = [2]string{"a", "b"}
	tables   = [2]string{"east", "west"}
)

// Each transaction has two accounts of its own in every table, id and id+twin, with this much money.
const (
	twin  = 1000
	money = 100
)

// transaction is one row that is carried out. The hooks of the taps call event; the test calls the rest.
type transaction struct {
	row  *row
	x    int // index of the backend that the row calls x
	id   int
	tap  *Tap // between the client and the proxy
	done chan struct{}
	told verdict // what the client heard of the end; read it after done
	err  error   // of that

	mu      sync.Mutex // protects the following
	gtrid   string
	seen    map[at]bool
	held    map[at]chan Verdict
	changed chan struct{} // closed and replaced at every event
}

func (tx *transaction) name() string { return tx.row.name + "/x=" + backends[tx.x] }

func newTransaction(r *row, x, id int) *transaction {
	return &transaction{
		row: r, x: x, id: id, done: make(chan struct{}),
		seen: make(map[at]bool), held: make(map[at]chan Verdict), changed: make(chan struct{}),
	}
}

// side is that of a tap.
func (tx *transaction) side(tap string) side {
	switch tap {
	case backends[tx.x]:
		return x
	case backends[1-tx.x]:
		return y
	}
	return client
}

// event is called by the taps.
func (tx *transaction) event(e Event) Verdict {
	where := at{tx.side(e.Tap), e.Step, e.Point}
	if where.step == OnePhase && tx.row.plain() { // PostgreSQL gets the same for both
		where.step = Commit
	}
	tx.mu.Lock()
	if m := startedXID.FindStringSubmatch(e.Text); m != nil {
		tx.gtrid = m[1]
	}
	first := !tx.seen[where]
	tx.seen[where] = true
	var release chan Verdict
	if first && slices.Contains(tx.row.hold, where) {
		release = make(chan Verdict, 1)
		tx.held[where] = release
	}
	close(tx.changed)
	tx.changed = make(chan struct{})
	tx.mu.Unlock()
	switch {
	case release != nil:
		return <-release
	case slices.Contains(tx.row.cut, where):
		return Cut
	}
	return Pass
}

// release lets everything go that is held, each as decide says.
func (tx *transaction) release(decide func(side) Verdict) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	for where, c := range tx.held {
		c <- decide(where.side)
	}
	clear(tx.held)
}

// reach waits until the moment of the row has come.
func (tx *transaction) reach(ctx context.Context) error {
	for {
		tx.mu.Lock()
		missing := ""
		for _, where := range slices.Concat(tx.row.hold, tx.row.await, tx.row.cut) {
			if !tx.seen[where] {
				missing = fmt.Sprintf("%s %s was not %s", where.side, where.step, where.point)
			}
		}
		changed, seen := tx.changed, slices.Collect(maps.Keys(tx.seen))
		tx.mu.Unlock()
		if missing == "" {
			return nil
		}
		select {
		case <-changed:
		case <-tx.done:
			return fmt.Errorf("%s: %s, and the client has its answer: %s (%w); seen: %v", tx.name(), missing, tx.told, tx.err, seen)
		case <-ctx.Done():
			return fmt.Errorf("%s: %s; seen: %v", tx.name(), missing, seen)
		}
	}
}

// run is the client. It closes done when the last statement was answered in one way or the other.
func (tx *transaction) run(ctx context.Context, schema string) {
	defer close(tx.done)
	tx.err = tx.statements(ctx, schema)
	tx.told = heard(tx.err)
}

func (tx *transaction) statements(ctx context.Context, schema string) (err error) {
	db, err := proxytest.Open(tx.tap.Addr(), schema)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // the pool says what there is to say
	pay := func(table string, id, n int) string {
		return fmt.Sprintf("UPDATE %s SET n = n + %d WHERE id = %d", table, n, id)
	}
	mine, other := tables[tx.x], tables[1-tx.x]
	work := map[side][]string{x: {pay(mine, tx.id, -1)}, y: {pay(other, tx.id, 1)}}
	if tx.row.work != transfer {
		work[x], work[y] = append(work[x], pay(mine, tx.id+twin, 1)), nil
	}
	if tx.row.work == insideReader {
		work[y] = []string{fmt.Sprintf("SELECT n FROM %s WHERE id = %d", other, tx.id)}
	}
	statements := []string{"START TRANSACTION"}
	if tx.row.first == y {
		statements = append(append(statements, work[y]...), work[x]...)
	} else {
		statements = append(append(statements, work[x]...), work[y]...)
	}
	for _, s := range append(statements, tx.row.end) {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// heard reads the answer to the last statement.
func heard(err error) verdict {
	var answer *mysql.MySQLError
	switch {
	case err == nil:
		return acknowledged
	case errors.As(err, &answer) && string(answer.SQLState[:]) != "08007" && string(answer.SQLState[:]) != "08S01":
		return refused
	}
	return unknown
}

// fate reads from the data what became of the transaction.
func (tx *transaction) fate(t *testing.T, m *mix, schema string) fate {
	t.Helper()
	read := func(i, id int) (n int) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		query := fmt.Sprintf("SELECT n FROM %s.%s WHERE id = %d", schema, tables[i], id)
		if err := m.direct[i].QueryRowContext(ctx, query).Scan(&n); err != nil && !errors.Is(err, sql.ErrNoRows) {
			t.Fatalf("%s: %v", query, err)
		}
		return n
	}
	from, to := read(tx.x, tx.id), read(tx.x, tx.id+twin)
	if tx.row.work == transfer {
		to = read(1-tx.x, tx.id)
	}
	switch {
	case from == money-1 && to == money+1:
		return committed
	case from == money && to == money:
		return rolledBack
	}
	return torn
}

// accountOf finds the id of the transaction whose first statement on a backend is in the text.
func accountOf(opening string) (int, bool) {
	m := firstAccount.FindStringSubmatch(opening)
	if m == nil {
		return 0, false
	}
	id, err := strconv.Atoi(m[1])
	return id % twin, err == nil
}

var firstAccount = regexp.MustCompile(`WHERE (?:id|\(?"\w+"\."id") = \(?'?(\d+)`)
