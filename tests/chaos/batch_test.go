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
	"github.com/xaproxy/xaproxy/xa"
)

// batch is a proxy with many transactions that have all come to their moment at the same time, so that one fault hits
// all of them.
type batch struct {
	m            *mix
	set          setting
	schema       string
	names        [2]string // of the backends; nobody else's, so that the proxies of other batches leave its branches alone
	proxy        *proxytest.Proxy
	spare        *proxytest.Proxy // nil without
	taps         [2]*Tap          // in front of the backends
	transactions []*transaction
	byID         map[int]*transaction
	clients      sync.WaitGroup
}

// setting is how the proxy of a batch is configured.
type setting struct {
	store           Store
	prepare, commit time.Duration // its timeouts
	spare           bool          // a second proxy is there, which stands still until the test thaws it
}

// unlimited is for a proxy that must not give up before the test does something.
var unlimited = setting{store: File, prepare: 5 * time.Minute, commit: 5 * time.Minute}

// with is the same with another store.
func (s setting) with(store Store) setting {
	s.store = store
	return s
}

// newBatch makes a schema on both servers, a proxy in front of them with a tap in between, and transactions for the
// rows with both, or only one, of the backends as x.
func newBatch(t *testing.T, m *mix, schema string, set setting, rows []row, xs ...int) *batch {
	t.Helper()
	b := &batch{m: m, set: set, schema: schema, byID: make(map[int]*transaction)}
	for i := range b.names {
		b.names[i] = backends[i] + "_" + schema
	}
	m.execute(t, "CREATE DATABASE %s", schema)
	var accounts []string
	for i := range rows {
		for _, x := range xs {
			if rows[i].on != nil && !rows[i].on(m.kinds[x]) {
				continue
			}
			tx := newTransaction(&rows[i], x, len(b.transactions)+1)
			b.transactions = append(b.transactions, tx)
			b.byID[tx.id] = tx
			accounts = append(accounts, fmt.Sprintf("(%d, %d), (%d, %d)", tx.id, money, tx.id+twin, money))
		}
	}
	o := proxytest.Options{
		PrepareTimeout: set.prepare, CommitWait: set.commit, RecoveryInterval: 200 * time.Millisecond,
		Server: []string{`handshake_timeout = "3s"`}, Decision: set.store.Lines(),
	}
	for i, s := range m.servers {
		m.execute(t, "CREATE TABLE %s.%s (id INT PRIMARY KEY, n INT NOT NULL)", schema, tables[i])
		if len(accounts) > 0 {
			m.execute(t, "INSERT INTO %s.%s VALUES %s", schema, tables[i], strings.Join(accounts, ", "))
		}
		b.taps[i] = newTapOf(t, backends[i], s)
		o.Backends = append(o.Backends, proxytest.On(b.names[i], s).Via(b.taps[i].Addr()))
		o.Tables = append(o.Tables, config.Table{Schema: schema, Name: tables[i], Backend: b.names[i]})
	}
	b.proxy = proxytest.Run(t, o)
	if set.spare {
		o.Backends = slices.Clone(o.Backends)
		for i, s := range m.servers {
			o.Backends[i] = o.Backends[i].Via(s.Addr())
		}
		b.spare = proxytest.Run(t, o)
		if err := b.spare.Freeze(); err != nil {
			t.Fatal(err)
		}
	}
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
			b.explain(tx.gtrid)
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
				b.explain(tx.gtrid)
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
				want = append(want, tx.gtrid+"|"+b.names[i])
			}
		}
		slices.Sort(want)
		got := b.prepared(t, i)
		if !slices.Equal(got, want) {
			b.explain(got...)
			t.Errorf("prepared on %s:\n%s\nwant:\n%s", b.m.servers[i], b.named(got), b.named(want))
		}
		total += len(got)
	}
	if total == 0 {
		t.Error("no branch was in doubt: the test has shown nothing")
	}
}

// prepared lists the branches of the batch that server i holds, without their sessions.
func (b *batch) prepared(t *testing.T, i int) []string {
	t.Helper()
	all := slices.DeleteFunc(b.m.prepared(t, i), func(x string) bool { return !b.proxy.Owns(x) })
	for i, x := range all {
		gtrid, bqual, _ := strings.Cut(x, "|")
		name, _ := xa.CutSession(bqual)
		all[i] = gtrid + "|" + name
	}
	return all
}

// explain chooses what is printed of the logs when the test fails.
func (b *batch) explain(gtrids ...string) {
	b.proxy.Explain(gtrids...)
	if b.spare != nil {
		b.spare.Explain(gtrids...)
	}
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

// cutOff kills the proxy, and the servers do not notice: its sessions live on.
func (b *batch) cutOff(t *testing.T) {
	t.Helper()
	for _, tap := range b.taps {
		tap.Silence()
	}
	if err := b.proxy.Kill(); err != nil {
		t.Fatal(err)
	}
}

// settled checks that nothing of the batch is prepared within the promised time, and that nothing comes back.
func (b *batch) settled(t *testing.T) {
	t.Helper()
	limit := promised
	if b.spare != nil {
		limit += inDoubtGrace
	}
	eventually(t, limit, "branches in doubt", func() error {
		for i := range b.m.servers {
			if got := b.prepared(t, i); len(got) > 0 {
				b.explain(strings.Split(got[0], "|")[0])
				return fmt.Errorf("prepared on %s:\n%s", b.m.servers[i], b.named(got))
			}
		}
		return nil
	})
}

// check compares what clients heard and what the data say, with the rows and with each other.
func (b *batch) check(t *testing.T, expected func(*transaction) outcome) {
	t.Helper()
	fates := map[fate]int{}
	for _, tx := range b.transactions {
		t.Run(string(b.set.store)+"/"+tx.name(), func(t *testing.T) {
			got := tx.fate(t, b.m, b.schema)
			fates[got]++
			want := expected(tx)
			switch {
			case got == torn:
				t.Error("it is neither committed nor rolled back as a whole")
			case want.want != either && got != want.want:
				t.Errorf("it is %s, want %s", got, want.want)
			case tx.told == acknowledged && tx.row.end == "COMMIT" && got != committed,
				tx.told == refused && got != rolledBack:
				t.Errorf("the client heard %q (%v), and it is %s", tx.told, tx.err, got)
			}
			if tx.told != want.told {
				t.Errorf("the client heard %q (%v), want %q", tx.told, tx.err, want.told)
			}
			if t.Failed() {
				b.explain(tx.gtrid)
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

// undecidedOnly returns an error as long as a branch of a transaction is prepared that is to be committed.
func (b *batch) undecidedOnly(t *testing.T, expected func(*transaction) outcome) error {
	t.Helper()
	for i := range b.m.servers {
		for _, branch := range b.prepared(t, i) {
			for _, tx := range b.transactions {
				if strings.HasPrefix(branch, tx.gtrid+"|") && expected(tx).want == committed {
					b.explain(tx.gtrid)
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
		branch := tx.gtrid + "|" + b.names[i]
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
		if slices.Contains(tx.row.hold, at{x, Prepare, Asked}) && !slices.Contains(got, tx.gtrid+"|"+b.names[i]) {
			return fmt.Errorf("%s is not prepared on %s: %s", tx.gtrid, b.m.servers[i], tx.name())
		}
	}
	return nil
}
