package sim

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/participant"
	"github.com/xaproxy/xaproxy/xa"
)

// direct is the administrative side of a simulated server without a network.
type direct struct{ admin }

func (a direct) ask(statement string) (any, error) {
	c := a.s.connect()
	defer a.s.disconnect(c)
	v, refused, _ := a.s.exec(c, stmt{verb: "SQL", sql: statement})
	if refused != nil {
		return nil, refused
	}
	return v, nil
}

func (a direct) Exec(_ context.Context, statement string) (int64, error) {
	v, err := a.ask(statement)
	n, _ := v.(int64)
	return n, err
}

func (a direct) Each(_ context.Context, query string, row func(scan func(...any) error) error) error {
	v, err := a.ask(query)
	if err != nil {
		return err
	}
	return scanAll(v, row)
}

// TestRowsOutliveTheirBranches: a branch that could be finished only after the retention may come back after its end, if its server crashes
// at once. Its row must be there then, whatever its age. The simulation found this with a server that was read-only for long.
func TestRowsOutliveTheirBranches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(options{seed: 1, branches: 1})
		s := w.servers[0]
		side := direct{admin{s: s}}
		start := func() *participant.Store {
			store, err := participant.New(participant.Options{
				Servers: []participant.Server{side}, Grace: grace, Retain: retain, ComeBack: comeBack, Timeout: adminTimeout, Logger: zerolog.Nop(),
			})
			if err != nil {
				t.Fatal(err)
			}
			return store
		}
		owner, other := start(), start()
		g := xa.GTRID{Coord: owner.Coord(), Epoch: owner.Epoch(), Seq: 1, Decider: s.name}
		if _, err := side.Exec(t.Context(), owner.Insert(xa.Decision{GTRID: g, Branches: []xa.BranchRef{{Backend: s.name}}})[0]); err != nil {
			t.Fatal(err)
		}
		pruned := func(store *participant.Store, want int, when string) {
			t.Helper()
			if n, err := (participant.Decisions{Store: store}).Prune(t.Context(), nil, 0); n != want || err != nil {
				t.Errorf("%s: %d rows pruned (%v), want %d", when, n, err, want)
			}
		}
		time.Sleep(retain + 10*time.Second)
		if r := other.Lookup(t.Context(), []xa.GTRID{g}, false)[0]; !r.Decided {
			t.Fatalf("ruling %+v", r)
		}
		pruned(other, 0, "the branch has just been committed")
		pruned(start(), 0, "a proxy that has just started")
		time.Sleep(comeBack + time.Second)
		pruned(other, 1, "later")
	})
}
