package chaos

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// What the rows say of a fault.
func ifSevered(tx *transaction) outcome { return tx.row.severed.or(tx.row.outcome) }
func ifKilled(tx *transaction) outcome  { return tx.row.killed.or(tx.row.outcome) }
func ifFrozen(tx *transaction) outcome  { return tx.row.frozen.or(tx.row.outcome) }
func ifThawed(tx *transaction) outcome  { return tx.row.thawed.or(tx.row.outcome) }

// ifLost is for a proxy that was killed: no client has heard anything.
func ifLost(tx *transaction) outcome { return outcome{tx.row.want, unknown} }

// holds reports whether something is held on a side in the row.
func (r *row) holds(s side) bool {
	for _, h := range r.hold {
		if h.side == s {
			return true
		}
	}
	return false
}

// rowsOf are the moments with a store.
func rowsOf(s Store) []row {
	if s == Participant {
		return participantRows
	}
	return rows
}

var stores = []Store{File, Participant}

// matrix is for the make target of that name.
var matrix = flag.Bool("matrix", false, "hit either server also where both are of one kind")

func TestCrash(t *testing.T) {
	eachMix(t, func(t *testing.T, m *mix) {
		t.Run("at once", func(t *testing.T) { // these leave the servers alone
			for name, test := range map[string]func(*testing.T, *mix){
				"proxy killed, it starts again":                       proxyKilled,
				"proxy killed, another one recovers":                  proxyKilledForGood,
				"proxy killed, bytes arrive late":                     bytesArriveLate,
				"proxy killed, bytes arrive after another's recovery": bytesArriveAfterAnother,
				"proxy frozen, another one recovers":                  proxyFrozen,
				"proxy cut off, another one recovers":                 proxyCutOff,
				"proxy cut off, it starts again":                      proxyCutOffAndBack,
			} {
				t.Run(name, func(t *testing.T) { t.Parallel(); test(t, m) })
			}
			for _, store := range stores {
				t.Run("connection cut/"+string(store), func(t *testing.T) { t.Parallel(); connectionCut(t, m, store) })
			}
		})
		for x := range m.servers {
			if x == 1 && m.kinds[0] == m.kinds[1] && !*matrix {
				continue // as with the first one
			}
			t.Run("server "+backends[x]+" killed", func(t *testing.T) { serverKilled(t, m, x) })
			for _, store := range stores {
				t.Run("server "+backends[x]+" frozen/"+string(store), func(t *testing.T) { serverFrozen(t, m, x, store) })
			}
		}
		t.Run("server killed after the client was told", func(t *testing.T) { toldThenKilled(t, m) })
	})
}

// The proxy is killed, its connections end with it, and it is started again.
func proxyKilled(t *testing.T, m *mix) {
	b := newBatch(t, m, "proxy_killed", unlimited, rows, 0, 1)
	b.place(t)
	if err := b.proxy.Kill(); err != nil {
		t.Fatal(err)
	}
	b.release(func(side) Verdict { return Cut })
	b.answers(t)
	b.inDoubt(t)
	if err := b.proxy.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.settled(t)
	b.check(t, ifLost)
}

// The machine of the proxy is gone and the servers have not noticed: its sessions live on, and its last requests arrive
// when another proxy has long taken over. What is decided is finished before that.
func bytesArriveLate(t *testing.T, m *mix) {
	b := newBatch(t, m, "bytes_late", unlimited, rows, 0, 1)
	b.place(t)
	if err := b.proxy.Kill(); err != nil {
		t.Fatal(err)
	}
	b.inDoubt(t)
	if err := b.proxy.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, promised, "decided branches after the restart", func() error { return b.undecidedOnly(t, ifLost) })
	b.release(func(s side) Verdict {
		if s == client {
			return Cut
		}
		return Pass
	})
	b.answers(t)
	b.settled(t)
	b.check(t, ifLate)
}

// The machine of the proxy is cut off, its sessions live on, and it is started again with its log.
func proxyCutOffAndBack(t *testing.T, m *mix) {
	b := newBatch(t, m, "cut_off_and_back", unlimited, rows, 0, 1)
	b.place(t)
	b.cutOff(t)
	b.inDoubt(t)
	if err := b.proxy.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.settled(t)
	b.release(func(side) Verdict { return Cut })
	b.answers(t)
	b.check(t, ifLost)
}

// ifLate is ifLost when the last requests arrive all the same.
func ifLate(tx *transaction) outcome {
	if tx.row.work != transfer && tx.row.doubt == "" {
		return outcome{either, unknown} // a commit in one phase is carried out if its session is still there
	}
	return ifLost(tx)
}

// The connections on which something is held are cut, x's or the client's, and everything else goes on.
func connectionCut(t *testing.T, m *mix, store Store) {
	b := newBatch(t, m, "cut_"+string(store), unlimited.with(store), rowsOf(store), 0, 1)
	b.place(t)
	b.inDoubt(t)
	b.release(func(s side) Verdict {
		if s == y {
			return Pass
		}
		return Cut
	})
	b.answers(t)
	b.settled(t)
	b.check(t, func(tx *transaction) outcome {
		if tx.row.holds(client) {
			return ifLost(tx)
		}
		return ifSevered(tx)
	})
}

// Server x is killed and comes back when the clients have their answers. The proxies live; they stand still only while the
// test looks which branches the server brings back.
func serverKilled(t *testing.T, m *mix, victim int) {
	var all []*batch // both stores: the server is killed once
	for _, store := range stores {
		all = append(all, newBatch(t, m, "killed_"+backends[victim]+"_"+string(store), unlimited.with(store), rowsOf(store), victim))
	}
	for _, b := range all {
		b.place(t)
		b.inDoubt(t)
	}
	if err := m.servers[victim].Kill(); err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		b.release(func(s side) Verdict {
			if s == x {
				return Cut
			}
			return Pass
		})
	}
	for _, b := range all {
		b.answers(t)
		if err := b.proxy.Freeze(); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.servers[victim].Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		b.survived(t, victim)
		if err := b.proxy.Thaw(); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range all {
		b.settled(t)
		b.check(t, ifKilled)
	}
}

// Server x stands still for as long as the clients wait, with what was held in its socket, and then goes on with it:
// it prepares and commits for sessions that have long gone. The proxy stands still only while the test looks at that.
func serverFrozen(t *testing.T, m *mix, victim int, store Store) {
	set := setting{store: store, prepare: 2 * time.Second, commit: time.Second}
	b := newBatch(t, m, "frozen_"+backends[victim]+"_"+string(store), set, rowsOf(store), victim)
	b.place(t)
	b.inDoubt(t)
	if err := m.servers[victim].Freeze(); err != nil {
		t.Fatal(err)
	}
	b.release(func(side) Verdict { return Pass })
	b.answers(t)
	if err := b.proxy.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := m.servers[victim].Thaw(); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "branches that are prepared for sessions that have gone", func() error {
		return b.undead(t, victim)
	})
	if err := b.proxy.Thaw(); err != nil {
		t.Fatal(err)
	}
	b.settled(t)
	b.check(t, ifFrozen)
}

// The client hears OK to a commit in one phase, and the server was killed at once, with nothing behind the commit that
// would have made it durable. MariaDB with its binary log brings the branch back as prepared then (MDEV-21469), and
// the test is not over before it has seen that.
func toldThenKilled(t *testing.T, m *mix) {
	forgetful := m.kinds[0] == servers.MariaDBBinlog
	moment := row{
		name: "one-phase and the client was told", work: inside, end: "COMMIT",
		hold: []at{{client, Commit, Answered}}, await: []at{{x, OnePhase, Told}},
		outcome: outcome{committed, acknowledged}, reborn: true,
	}
	for attempt := range 5 {
		b := newBatch(t, m, fmt.Sprintf("told_%d", attempt), unlimited, []row{moment}, 0)
		b.place(t)
		if err := m.servers[0].Kill(); err != nil {
			t.Fatal(err)
		}
		b.release(func(side) Verdict { return Pass })
		b.answers(t)
		if err := b.proxy.Freeze(); err != nil {
			t.Fatal(err)
		}
		if err := m.servers[0].Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		reborn := len(b.prepared(t, 0)) > 0
		if err := b.proxy.Thaw(); err != nil {
			t.Fatal(err)
		}
		b.settled(t)
		b.check(t, ifKilled)
		if reborn == forgetful || t.Failed() {
			return
		}
		if reborn {
			t.Fatalf("%s has forgotten an acknowledged commit in one phase", m.servers[0])
		}
	}
	t.Error("the server never brought an acknowledged commit back as prepared: the test has shown nothing")
}
