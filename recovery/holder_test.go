package recovery

import (
	"context"
	"testing"

	"github.com/xaproxy/xaproxy/xa"
)

// onDeciders is a fakeLog whose decisions are rows on deciders.
type onDeciders struct {
	Decisions
	log *fakeLog
}

func (onDeciders) Coord() string { return "" }

func (o onDeciders) Lookup(_ context.Context, all []xa.GTRID, _ bool) []xa.Ruling {
	rulings := make([]xa.Ruling, len(all))
	for i, g := range all {
		rulings[i].Decision, rulings[i].Decided, rulings[i].Err = o.log.Lookup(g)
	}
	return rulings
}

// A decided branch that a server does not know has a session that keeps it, if it is still prepared afterwards. If it is not, it was committed
// in between, and its connection is in use by others: ending that would roll back a transaction of theirs.
func TestHolder(t *testing.T) {
	g := ours(3, 1)
	g.Decider = "a"
	for name, c := range map[string]struct {
		kept bool
		want []string // on the second pass, too
	}{
		"kept":                 {true, []string{"commit " + g.String() + "/a", "commit " + g.String() + "/a", "kill 5ns"}},
		"committed in between": {false, []string{"commit " + g.String() + "/a"}},
	} {
		log := newFakeLog(decide(g, ref("a")))
		a := newFakeServer("a", prepared(g, "a"))
		a.holder = 5
		if c.kept {
			a.commit[xa.XID{GTRID: g, BQUAL: "a"}] = &xa.ServerError{Errno: xa.ErrnoNotA}
		} else {
			a.onList = func() { a.disk.remove(prepared(g, "a"), false) }
		}
		j := newJanitor(t, log, a)
		j.o.Decisions = onDeciders{OfLog(log), log}
		j.Pass(t.Context(), false, nil)
		j.Pass(t.Context(), false, nil)
		expect(t, name, a.did(), c.want)
	}
}
