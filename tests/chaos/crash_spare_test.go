package chaos

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// The tests of this file have two proxies with the participant store on the same servers. The first one fails for good,
// and the second one finishes what it has left.

// spared is for a proxy that is not the only one.
var spared = setting{store: Participant, prepare: unlimited.prepare, commit: unlimited.commit, spare: true}

// decider is the index of the backend that decides.
func (tx *transaction) decider() int {
	if tx.row.first == y {
		return 1 - tx.x
	}
	return tx.x
}

// ruled returns an error until the deciders have a row for each transaction with prepared branches that is to have one.
func (b *batch) ruled(t *testing.T, expected func(*transaction) outcome) error {
	t.Helper()
	for _, tx := range b.transactions {
		want := map[fate]string{committed: "commit", rolledBack: "abort"}[expected(tx).want]
		prepares := slices.ContainsFunc(tx.row.hold, func(h at) bool { return h.step == Prepare })
		if want == "" || tx.row.doubt == "" && !prepares {
			continue
		}
		var verdict string
		err := b.m.direct[tx.decider()].QueryRowContext(t.Context(), "SELECT verdict FROM xaproxy.xaproxy_decision WHERE gtrid = ?", tx.gtrid).Scan(&verdict)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			b.explain(tx.gtrid)
			return fmt.Errorf("%s: no row on %s: %s", tx.gtrid, backends[tx.decider()], tx.name())
		case err != nil:
			return err
		case verdict != want:
			b.explain(tx.gtrid)
			t.Fatalf("%s: the row says %s, want %s: %s", tx.gtrid, verdict, want, tx.name())
		}
	}
	return nil
}

// takeOver thaws the second proxy and waits until everything is ruled on and what is decided is finished.
func (b *batch) takeOver(t *testing.T, expected func(*transaction) outcome) {
	t.Helper()
	if err := b.spare.Thaw(); err != nil {
		t.Fatal(err)
	}
	eventually(t, inDoubtGrace+promised, "recovery by another proxy", func() error {
		return errors.Join(b.ruled(t, expected), b.undecidedOnly(t, expected))
	})
}

// The proxy is killed and stays away.
func proxyKilledForGood(t *testing.T, m *mix) {
	b := newBatch(t, m, "killed_for_good", spared, participantRows, 0, 1)
	b.place(t)
	if err := b.proxy.Kill(); err != nil {
		t.Fatal(err)
	}
	b.release(func(side) Verdict { return Cut })
	b.answers(t)
	b.inDoubt(t)
	if err := b.spare.Thaw(); err != nil {
		t.Fatal(err)
	}
	b.settled(t)
	b.check(t, ifLost)
}

// The machine of the proxy is gone, its sessions live on, and its last requests arrive when the other proxy has ruled on its
// transactions: the decider's commit meets the fence.
func bytesArriveAfterAnother(t *testing.T, m *mix) {
	b := newBatch(t, m, "bytes_later", spared, participantRows, 0, 1)
	b.place(t)
	if err := b.proxy.Kill(); err != nil {
		t.Fatal(err)
	}
	b.inDoubt(t)
	b.takeOver(t, func(tx *transaction) outcome {
		if tx.row.doubt == "" {
			return outcome{want: either} // nothing is prepared yet, so there is nothing to rule on
		}
		return ifLost(tx)
	})
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

// The machine of the proxy is cut off: the servers do not notice, and its sessions live on. MariaDB lets nobody finish what they have
// prepared, so the other proxy finds and ends them, and everything is finished while no connection has been closed.
func proxyCutOff(t *testing.T, m *mix) {
	b := newBatch(t, m, "cut_off", spared, participantRows, 0, 1)
	b.place(t)
	b.cutOff(t)
	b.inDoubt(t)
	if err := b.spare.Thaw(); err != nil {
		t.Fatal(err)
	}
	b.settled(t)
	b.release(func(side) Verdict { return Cut })
	b.answers(t)
	b.check(t, ifLost)
}

// The proxy stands still for longer than the grace, while its last requests arrive; the other proxy takes over, and then
// the first one goes on where it stood. It commits nothing that was fenced.
func proxyFrozen(t *testing.T, m *mix) {
	b := newBatch(t, m, "proxy_frozen", spared, participantRows, 0, 1)
	b.place(t)
	b.inDoubt(t)
	if err := b.proxy.Freeze(); err != nil {
		t.Fatal(err)
	}
	b.release(func(side) Verdict { return Pass })
	b.takeOver(t, ifThawed)
	if err := b.proxy.Thaw(); err != nil {
		t.Fatal(err)
	}
	b.answers(t)
	b.settled(t)
	b.check(t, ifThawed)
}
