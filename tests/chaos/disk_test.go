package chaos

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/decision"
	"github.com/xaproxy/xaproxy/tests/proxytest"
)

// While the decision log cannot grow, transactions over several backends are rolled back and their clients told so; the proxy goes on, and
// commits again as soon as there is room.
func TestNoRoomForLog(t *testing.T) {
	t.Parallel()
	for attempt := range 5 {
		if noRoomForLog(t, fmt.Sprintf("no_room_%d", attempt)) {
			return
		}
	}
	t.Error("the proxy halted every time: the test has shown nothing")
}

// noRoomForLog returns false if a record needed the very last byte of the segment, which the limit does not give: then the proxy halts.
func noRoomForLog(t *testing.T, schema string) bool {
	b, db := newBank(t, schema)
	return noRoom(t, b, db, func(b *batch) error { return b.proxy.LimitFiles(segmentSize - 1) }, func(b *batch) error { return b.proxy.LimitFiles(proxytest.Unlimited) })
}

// noRoom pays until there is no room in the log, which fill sees to, and goes on when free has made room.
func noRoom(t *testing.T, b *batch, db *sql.DB, fill, free func(*batch) error) bool {
	const clients = 16
	for i := range clients {
		for _, table := range tables {
			b.m.execute(t, "INSERT INTO %s.%s VALUES (%d, %d)", b.schema, table, account+1+i, money)
		}
	}
	if err := fill(b); err != nil {
		t.Fatal(err)
	}
	var paid atomic.Int64
	pay := func(id int) error {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			return err
		}
		for i, table := range tables {
			if _, err := tx.ExecContext(t.Context(), fmt.Sprintf("UPDATE %s SET n = n + %d WHERE id = %d", table, 2*i-1, id)); err != nil {
				return errors.Join(err, tx.Rollback())
			}
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		paid.Add(1)
		return nil
	}
	refused := func(err error, what string) {
		var said *mysql.MySQLError
		if !errors.As(err, &said) || said.Number != 1180 {
			t.Errorf("%s, after %d commits: %v, want 1180", what, paid.Load(), err)
		}
	}
	var all sync.WaitGroup
	var ends [clients]error
	for i := range clients {
		all.Go(func() {
			var err error
			for n := 0; err == nil && n < 8*segmentSize/clients; n++ { // a record takes more than a byte
				err = pay(account + 1 + i)
			}
			ends[i] = err
		})
	}
	all.Wait()
	if slices.ContainsFunc(ends[:], halting) {
		if err := b.proxy.Kill(); err != nil { // its log is complete then
			t.Fatal(err)
		}
		if breaks(b.proxy) > 0 {
			return false
		}
	}
	for i, err := range ends {
		refused(err, fmt.Sprintf("client %d", i))
	}
	before := paid.Load()
	refused(pay(account), "one more")
	if err := free(b); err != nil {
		t.Fatal(err)
	}
	if err := pay(account); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if before == 0 || paid.Load() != before+1 {
		t.Errorf("%d commits before there was no room, %d in all", before, paid.Load())
	}
	for i, table := range tables {
		var n int64
		if err := b.m.direct[i].QueryRowContext(t.Context(), fmt.Sprintf("SELECT SUM(n) FROM %s.%s", b.schema, table)).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if want := (clients+1)*money + int64(2*i-1)*paid.Load(); n != want {
			t.Errorf("%s has %d after %d commits, want %d", table, n, paid.Load(), want)
		}
	}
	if !b.proxy.Running() {
		t.Error("the proxy has ended")
	}
	return true
}

// halting says whether an answer can come from a proxy whose log is broken: it ends soon, whether or not it is still there.
func halting(err error) bool {
	var said *mysql.MySQLError
	return !errors.As(err, &said) || said.Number != 1180 || strings.Contains(said.Message, decision.ErrBroken.Error())
}
