package integration

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/participant"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// TestDeciderProof: a decision is committed if the transaction that the client has begun is still open, and with it, and refused if it is
// not, whatever has run in it.
func TestDeciderProof(t *testing.T) {
	for _, k := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "b0", k)
			check(t, participant.Create(t.Context(), b.admin))
			facts, _, err := b.admin.Check(t.Context())
			check(t, err)
			rows := newRows(t, time.Hour, &stack{admins: []*backend.Admin{b.admin}})
			pool := b.pool()
			pool.Records = rows
			pool.Ready(facts)
			const (
				mark  = "!" // before stored code
				point = "+SAVEPOINT a"
				back  = "+ROLLBACK TO a"
				fails = "INSERT INTO d.r VALUES (1, 1)"
			)
			for seq, c := range []struct {
				run  []string // behind an update
				open bool
			}{
				{nil, true},
				{[]string{"SELECT 1"}, true},
				{[]string{fails}, true},
				{[]string{"COMMIT"}, false},
				{[]string{"COMMIT", "SELECT 1"}, false},
				{[]string{"COMMIT", fails}, false},
				{[]string{mark, "SELECT 1"}, true},
				{[]string{mark, fails}, true},
				{[]string{mark, "COMMIT"}, false},
				{[]string{mark, "COMMIT", "START TRANSACTION"}, false},
				{[]string{point, mark, "SELECT 1", back}, true},
				{[]string{point, back, fails}, true},
				{[]string{point, mark, "COMMIT", "START TRANSACTION", "SAVEPOINT a", back}, false},
				{[]string{mark, "SELECT 1", point, "+RELEASE SAVEPOINT a"}, true},
			} {
				state := &backend.Session{Caps: wire.DeprecateEOF}
				conn, err := pool.Get(t.Context(), state, nil)
				check(t, err)
				g := xa.GTRID{Coord: rows.Coord(), Epoch: rows.Epoch(), Seq: uint64(seq + 1), Decider: "b0"}
				d := backend.NewDecider(conn, g)
				check(t, d.Begin(state, nil, []byte("UPDATE d.r SET v = v + 1 WHERE id = 1"), ""))
				_, err = conn.Result()
				check(t, err)
				var lead []string
				for _, sql := range c.run {
					if sql == mark {
						lead = d.Mark()
						continue
					}
					if about, ok := strings.CutPrefix(sql, "+"); ok {
						check(t, d.Exec(about))
						continue
					}
					check(t, d.Begin(state, nil, []byte(sql), "", lead...))
					lead = nil
					var refused *wire.Error
					if err := conn.Expect(); err != nil && !errors.As(err, &refused) || (refused != nil) != (sql == fails) {
						t.Fatalf("%q: %v", sql, err)
					}
				}
				by := time.Now().Add(10 * time.Second)
				d.Decide(xa.Decision{GTRID: g, Branches: []xa.BranchRef{{Backend: "b0"}}}, by)
				if _, err := d.Answer(by); (err == nil) != c.open {
					t.Errorf("%q: decided: %v, want open: %v", c.run, err, c.open)
				} else if err != nil && !strings.Contains(err.Error(), "a statement has ended its transaction there") {
					t.Errorf("%q: %v", c.run, err)
				}
				if !c.open {
					d.Rollback(by)
					_, err := d.Answer(by)
					check(t, err)
				}
				d.Release()
				if r := rows.Lookup(t.Context(), []xa.GTRID{g}, true)[0]; r.Err != nil || r.Decided != c.open {
					t.Errorf("%q: ruling %+v, want decided: %v", c.run, r, c.open)
				}
			}
		})
	}
}
