package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
)

// batch is a proxy with many transactions that have all come to their moment at the same time, so that one fault hits
// all of them.
type batch struct {
	m            *mix
	schema       string
	proxy        *proxytest.Proxy
	taps         [2]*Tap // in front of the backends
	transactions []*transaction
	byID         map[int]*transaction
	clients      sync.WaitGroup
}

// timeouts of the proxy.
type timeouts struct{ prepare, commit time.Duration }

// unlimited are the timeouts for a proxy that must not give up before the test does something.
var unlimited = timeouts{5 * time.Minute, 5 * time.Minute}

// newBatch makes a schema on both servers, a proxy in front of them with a tap in between, and transactions for the
// rows with both, or only one, of the backends as x.
func newBatch(t *testing.T, m *mix, schema string, limit timeouts, rows []row, xs ...int) *batch {
	t.Helper()
	b := &batch{m: m, schema: schema, byID: make(map[int]*transaction)}
	m.execute(t, "CREATE DATABASE %s", schema)
	var accounts []string
	for i := range rows {
		for _, x := range xs {
			tx := newTransaction(&rows[i], x, len(b.transactions)+1)
			b.transactions = append(b.transactions, tx)
			b.byID[tx.id] = tx
			accounts = append(accounts, fmt.Sprintf("(%d, %d), (%d, %d)", tx.id, money, tx.id+twin, money))
		}
	}
	o := proxytest.Options{
		PrepareTimeout: limit.prepare, CommitWait: limit.commit, RecoveryInterval: 200 * time.Millisecond,
		Server: []string{`handshake_timeout = "3s"`},
	}
	for i, s := range m.servers {
		m.execute(t, "CREATE TABLE %s.%s (id INT PRIMARY KEY, n INT NOT NULL)", schema, tables[i])
		if len(accounts) > 0 {
			m.execute(t, "INSERT INTO %s.%s VALUES %s", schema, tables[i], strings.Join(accounts, ", "))
		}
		b.taps[i] = newTap(t, backends[i], s.Addr())
		o.Backends = append(o.Backends, proxytest.On(backends[i], s).Via(b.taps[i].Addr()))
		o.Tables = append(o.Tables, config.Table{Schema: schema, Name: tables[i], Backend: backends[i]})
	}
	b.proxy = proxytest.Run(t, o)
	for _, tap := range b.taps {
		tap.SetHook(b.event)
	}
	for _, tx := range b.transactions {
		tx.tap = newTap(t, string(client), b.proxy.Addr)
		tx.tap.SetHook(tx.event)
	}
	return b
}

// event passes what happens on a branch's connection on to its transaction.
func (b *batch) event(e Event) Verdict {
	if id, ok := accountOf(e.Opening); ok && b.byID[id] != nil {
		return b.byID[id].event(e)
	}
	return Pass // recovery, start checks, clients of a test's own
}

// place starts all transactions and returns when each has come to its moment.
func (b *batch) place(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	for _, tx := range b.transactions {
		b.clients.Go(func() { tx.run(ctx, b.schema) })
	}
	t.Cleanup(func() { // before the taps are closed
		b.release(func(side) Verdict { return Cut })
		cancel()
		b.clients.Wait()
	})
	waiting, stop := context.WithTimeout(ctx, patience)
	defer stop()
	var errs []error
	for _, tx := range b.transactions {
		if err := tx.reach(waiting); err != nil {
			b.proxy.Explain(tx.gtrid)
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		t.Fatalf("the moment did not come: %v", errors.Join(errs...))
	}
}

// release lets go everything that is held, as decide says for each side.
func (b *batch) release(decide func(side) Verdict) {
	for _, tx := range b.transactions {
		tx.release(decide)
	}
}

// answers waits until every client has heard something, or has lost its connection.
func (b *batch) answers(t *testing.T) {
	t.Helper()
	all := make(chan struct{})
	go func() {
		b.clients.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-time.After(patience):
		var silent []string
		for _, tx := range b.transactions {
			select {
			case <-tx.done:
			default:
				silent = append(silent, tx.gtrid+" "+tx.name())
				b.proxy.Explain(tx.gtrid)
			}
		}
		t.Fatalf("clients without an answer after %s: %s", patience, strings.Join(silent, "; "))
	}
}

// inDoubt checks that the servers hold exactly those branches prepared that the rows say.
func (b *batch) inDoubt(t *testing.T) {
	t.Helper()
	total := 0
	for i := range b.m.servers {
		var want []string
		for _, tx := range b.transactions {
			s := x
			if i != tx.x {
				s = y
			}
			if strings.Contains(tx.row.doubt, string(s)) {
				want = append(want, tx.gtrid+"|"+backends[i])
			}
		}
		slices.Sort(want)
		got := b.prepared(t, i)
		if !slices.Equal(got, want) {
			b.proxy.Explain(got...)
			t.Errorf("prepared on %s:\n%s\nwant:\n%s", b.m.servers[i], b.named(got), b.named(want))
		}
		total += len(got)
	}
	if total == 0 {
		t.Error("no branch was in doubt: the test has shown nothing")
	}
}

// prepared lists the branches of the batch that server i holds.
func (b *batch) prepared(t *testing.T, i int) []string {
	t.Helper()
	return b.m.prepared(t, i, "xp1."+b.proxy.Coord()+".")
}

// named adds to branches the names of their transactions.
func (b *batch) named(branches []string) string {
	var lines []string
	for _, branch := range branches {
		for _, tx := range b.transactions {
			if gtrid, _, _ := strings.Cut(branch, "|"); gtrid == tx.gtrid {
				branch += " " + tx.name()
			}
		}
		lines = append(lines, branch)
	}
	return strings.Join(lines, "\n")
}

// settled checks that nothing of the batch is prepared within the promised time, and that nothing comes back.
func (b *batch) settled(t *testing.T) {
	t.Helper()
	eventually(t, promised, "branches in doubt after the restart", func() error {
		for i := range b.m.servers {
			if got := b.prepared(t, i); len(got) > 0 {
				b.proxy.Explain(strings.Split(got[0], "|")[0])
				return fmt.Errorf("prepared on %s:\n%s", b.m.servers[i], b.named(got))
			}
		}
		return nil
	})
}

// check compares what clients heard and what the data say, with the rows and with each other.
func (b *batch) check(t *testing.T, told func(*transaction) verdict, want func(*transaction) fate) {
	t.Helper()
	fates := map[fate]int{}
	for _, tx := range b.transactions {
		t.Run(tx.name(), func(t *testing.T) {
			got := tx.fate(t, b.m, b.schema)
			fates[got]++
			switch want := want(tx); {
			case got == torn:
				t.Error("it is neither committed nor rolled back as a whole")
			case want != either && got != want:
				t.Errorf("it is %s, want %s", got, want)
			case tx.told == acknowledged && tx.row.end == "COMMIT" && got != committed,
				tx.told == refused && got != rolledBack:
				t.Errorf("the client heard %q (%v), and it is %s", tx.told, tx.err, got)
			}
			if want := told(tx); tx.told != want {
				t.Errorf("the client heard %q (%v), want %q", tx.told, tx.err, want)
			}
			if t.Failed() {
				b.proxy.Explain(tx.gtrid)
			}
		})
	}
	if len(b.transactions) > 1 && (fates[committed] == 0 || fates[rolledBack] == 0) {
		t.Errorf("fates %v: there should be some of both", fates)
	}
	sum := 0
	for i, db := range b.m.direct {
		var n int
		if err := db.QueryRowContext(t.Context(), fmt.Sprintf("SELECT SUM(n) FROM %s.%s", b.schema, tables[i])).Scan(&n); err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	if want := 4 * money * len(b.transactions); sum != want {
		t.Errorf("there is %d in all accounts, want %d", sum, want)
	}
}

// undecidedOnly returns an error as long as a branch of a committed transaction is prepared.
func (b *batch) undecidedOnly(t *testing.T) error {
	t.Helper()
	for i := range b.m.servers {
		for _, branch := range b.prepared(t, i) {
			for _, tx := range b.transactions {
				if strings.HasPrefix(branch, tx.gtrid+"|") && tx.row.want == committed {
					b.proxy.Explain(tx.gtrid)
					return fmt.Errorf("%s is prepared on %s: %s", branch, b.m.servers[i], tx.name())
				}
			}
		}
	}
	return nil
}

// survived checks that the server brings back from its crash what it held prepared, and nothing that it did not, unless
// the row says that it may.
func (b *batch) survived(t *testing.T, i int) {
	t.Helper()
	got := b.prepared(t, i)
	for _, tx := range b.transactions {
		branch := tx.gtrid + "|" + backends[i]
		there, wanted := slices.Contains(got, branch), strings.Contains(tx.row.doubt, string(x))
		if there != wanted && !(there && tx.row.reborn) {
			t.Errorf("%s: prepared after the crash: %t, before: %t", tx.name(), there, wanted)
		}
		if there && !wanted {
			t.Logf("%s: %s has brought it back as prepared", tx.name(), b.m.servers[i])
		}
	}
}

// undead returns an error until the thawed server has prepared every branch that it was asked to while it stood still.
func (b *batch) undead(t *testing.T, i int) error {
	t.Helper()
	got := b.prepared(t, i)
	for _, tx := range b.transactions {
		if slices.Contains(tx.row.hold, at{x, Prepare, Asked}) && !slices.Contains(got, tx.gtrid+"|"+backends[i]) {
			return fmt.Errorf("%s is not prepared on %s: %s", tx.gtrid, b.m.servers[i], tx.name())
		}
	}
	return nil
}
