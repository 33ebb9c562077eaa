package chaos

import (
	"fmt"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// What the rows say when the proxy lives and x does not.
func toldByRow(tx *transaction) verdict { return tx.row.told }
func wantByRow(tx *transaction) fate    { return tx.row.want }

// lost is what every client hears of a proxy that was killed.
func lost(*transaction) verdict { return unknown }

// holds reports whether something is held on a side in the row.
func (r *row) holds(s side) bool {
	for _, h := range r.hold {
		if h.side == s {
			return true
		}
	}
	return false
}

func TestCrash(t *testing.T) {
	eachMix(t, func(t *testing.T, m *mix) {
		t.Run("at once", func(t *testing.T) { // these leave the servers alone
			t.Run("proxy killed", func(t *testing.T) { t.Parallel(); proxyKilled(t, m) })
			t.Run("proxy killed, bytes arrive late", func(t *testing.T) { t.Parallel(); bytesArriveLate(t, m) })
			t.Run("connection cut", func(t *testing.T) { t.Parallel(); connectionCut(t, m) })
		})
		for x := range m.servers {
			t.Run("server "+backends[x]+" killed", func(t *testing.T) { serverKilled(t, m, x) })
			t.Run("server "+backends[x]+" frozen", func(t *testing.T) { serverFrozen(t, m, x) })
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
	b.check(t, lost, wantByRow)
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
	eventually(t, promised, "decided branches after the restart", func() error {
		return b.undecidedOnly(t)
	})
	b.release(func(s side) Verdict {
		if s == client {
			return Cut
		}
		return Pass
	})
	b.answers(t)
	b.settled(t)
	b.check(t, lost, func(tx *transaction) fate {
		if tx.row.work != transfer {
			return either // a commit in one phase that arrives late is carried out if its session is still there
		}
		return tx.row.want
	})
}

// The connections on which something is held are cut, x's or the client's, and everything else goes on.
func connectionCut(t *testing.T, m *mix) {
	b := newBatch(t, m, "connection_cut", unlimited, rows, 0, 1)
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
	b.check(t, func(tx *transaction) verdict {
		if tx.row.holds(client) {
			return unknown
		}
		return tx.row.told
	}, wantByRow)
}

// Server x is killed and comes back when the clients have their answers. The proxy lives; it stands still only while the
// test looks which branches the server brings back.
func serverKilled(t *testing.T, m *mix, victim int) {
	b := newBatch(t, m, "killed_"+backends[victim], unlimited, rows, victim)
	b.place(t)
	b.inDoubt(t)
	if err := m.servers[victim].Kill(); err != nil {
		t.Fatal(err)
	}
	b.release(func(s side) Verdict {
		if s == x {
			return Cut
		}
		return Pass
	})
	b.answers(t)
	if err := b.proxy.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := m.servers[victim].Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.survived(t, victim)
	if err := b.proxy.Thaw(); err != nil {
		t.Fatal(err)
	}
	b.settled(t)
	b.check(t, toldByRow, wantByRow)
}

// Server x stands still for as long as the clients wait, with what was held in its socket, and then goes on with it:
// it prepares and commits for sessions that have long gone. The proxy stands still only while the test looks at that.
func serverFrozen(t *testing.T, m *mix, victim int) {
	b := newBatch(t, m, "frozen_"+backends[victim], timeouts{prepare: 1500 * time.Millisecond, commit: time.Second}, rows, victim)
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
	b.check(t, func(tx *transaction) verdict {
		if tx.row.frozenTold != "" {
			return tx.row.frozenTold
		}
		return tx.row.told
	}, func(tx *transaction) fate {
		if tx.row.frozenWant != "" {
			return tx.row.frozenWant
		}
		return tx.row.want
	})
}

// The client hears OK to a commit in one phase, and the server was killed at once, with nothing behind the commit that
// would have made it durable. MariaDB with its binary log brings the branch back as prepared then (MDEV-21469), and
// the test is not over before it has seen that.
func toldThenKilled(t *testing.T, m *mix) {
	forgetful := m.kinds[0] == servers.MariaDBBinlog
	moment := row{
		name: "one-phase and the client was told", work: inside, end: "COMMIT",
		hold: []at{{client, Commit, Answered}}, await: []at{{x, OnePhase, Told}},
		want: committed, told: acknowledged, reborn: true,
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
		b.check(t, toldByRow, wantByRow)
		if reborn == forgetful || t.Failed() {
			return
		}
		if reborn {
			t.Fatalf("%s has forgotten an acknowledged commit in one phase", m.servers[0])
		}
	}
	t.Error("the server never brought an acknowledged commit back as prepared: the test has shown nothing")
}
