package once

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/chaos"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// Options of a Run. All fields are required but Progress.
type Options struct {
	Kinds      [2]servers.Kind // of the two servers
	Store      chaos.Store     // with the participant store there are two proxies
	Binary     string          // path of the program
	Operations int
	FaultEvery int    // so many operations are done between two faults
	Seed       uint64 // of everything that is drawn; the machine's timing is not
	Clients    int
	Progress   func(line string) // called once a second, if not nil
}

const (
	schema       = "bank"
	accounts     = 100 // even ones on the first server
	firstBalance = 1000

	// maxInDoubt is how long something may be prepared after everything runs again.
	maxInDoubt = 30 * time.Second
)

var backendNames = [2]string{"a", "b"}

// front is a proxy with what lies around it.
type front struct {
	proxy    *proxytest.Proxy
	tap      *chaos.Tap // between the clients and the proxy
	backends [2]*chaos.Tap
	db       *sql.DB // through tap
	kills    atomic.Int64
}

func (f *front) kill() error {
	f.kills.Add(1)
	return f.proxy.Kill()
}

// world is everything that a run consists of.
type world struct {
	o          Options
	dir        string
	servers    [2]*servers.Server
	direct     [2]*sql.DB // the administrator's, around the proxies
	fronts     []*front
	draw       *rand.Rand // of the faults
	dice       dice
	tally      tally
	begun      atomic.Int64 // operations
	done       atomic.Int64
	broken     atomic.Int64 // faults that have begun
	operations []*operation // each is its client's until all are done
}

// Run carries out operations while it breaks what they need, and then looks whether each was applied once. An error says that the
// run could not be made; what it found is in the report. When ctx ends early the checks are made on what has happened until then.
func Run(ctx context.Context, o Options) (r *Report, err error) {
	w := &world{o: o, draw: rand.New(rand.NewPCG(o.Seed, 0)), operations: make([]*operation, o.Operations)}
	w.dice.tally, w.dice.draw = &w.tally, rand.New(rand.NewPCG(o.Seed, 1))
	if w.dir, err = os.MkdirTemp("", "xaproxy-once-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.open(ctx); err != nil {
		return nil, err
	}
	started := time.Now()
	w.dice.rolling.Store(true)
	breaking, stop := context.WithCancel(ctx)
	defer stop()
	var clients, others sync.WaitGroup
	for i := range o.Clients {
		c := &client{w: w, draw: rand.New(rand.NewPCG(o.Seed, uint64(i+2)))}
		clients.Go(func() { c.operations(ctx) })
	}
	others.Go(func() {
		if err := w.breakThings(breaking); err != nil {
			w.tally.violation("the faults ended early: %v", err)
		}
	})
	others.Go(func() { w.progress(breaking, started) })
	clients.Wait()
	stop()
	others.Wait()
	w.dice.rolling.Store(false)
	took := time.Since(started)
	if err := w.check(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	return w.report(started, took), nil
}

// open boots the servers, fills them and starts the proxies.
func (w *world) open(ctx context.Context) error {
	if err := chaos.Boot(ctx, w.o.Kinds, &w.servers); err != nil {
		return err
	}
	for i, s := range w.servers {
		if err := errors.Join(w.fill(ctx, i), w.o.Store.Prepare(ctx, s)); err != nil {
			return err
		}
	}
	proxies := 1
	if w.o.Store == chaos.Participant {
		proxies = 2
	}
	for i := range proxies {
		if err := w.start(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// fill makes the tables of a server.
func (w *world) fill(ctx context.Context, side int) (err error) {
	if w.direct[side], err = w.servers[side].DB(); err != nil {
		return err
	}
	var rows []string
	for id := side; id < accounts; id += len(w.servers) {
		rows = append(rows, fmt.Sprintf("(%d, %d)", id, firstBalance))
	}
	for _, s := range []string{
		"CREATE DATABASE " + schema,
		"CREATE TABLE " + schema + ".account (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)",
		"CREATE TABLE " + schema + ".applied (account BIGINT, op BIGINT, attempt BIGINT, n BIGINT NOT NULL, PRIMARY KEY (op, attempt, account))",
		"INSERT INTO " + schema + ".account VALUES " + strings.Join(rows, ", "),
	} {
		if _, err := w.direct[side].ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %s: %w", w.servers[side], s, err)
		}
	}
	return nil
}

// start starts a proxy.
func (w *world) start(ctx context.Context, number int) (err error) {
	f := &front{}
	w.fronts = append(w.fronts, f)
	// The timeouts are shorter than some of the freezes.
	o := proxytest.Options{
		Binary: w.o.Binary, Dir: filepath.Join(w.dir, strconv.Itoa(number)), Decision: w.o.Store.Lines(), LogLevel: "info",
		PrepareTimeout: time.Second, CommitWait: 500 * time.Millisecond, RecoveryInterval: 500 * time.Millisecond,
	}
	if err := os.Mkdir(o.Dir, 0o700); err != nil {
		return err
	}
	for i, s := range w.servers {
		if f.backends[i], err = chaos.NewTap(backendNames[i], s.Addr()); err != nil {
			return err
		}
		f.backends[i].SetHook(w.dice.backend)
		o.Backends = append(o.Backends, proxytest.On(backendNames[i], s).Via(f.backends[i].Addr()))
	}
	for table, column := range map[string]string{"account": "id", "applied": "account"} {
		o.Tables = append(o.Tables, config.Table{Schema: schema, Name: table, Column: column, Function: "modulo", Backends: backendNames[:]})
	}
	if f.proxy, err = proxytest.Start(ctx, o); err != nil {
		return err
	}
	if f.tap, err = chaos.NewTap("clients", f.proxy.Addr); err != nil {
		return err
	}
	f.tap.SetHook(w.dice.client)
	if f.db, err = proxytest.Open(f.tap.Addr(), schema); err != nil {
		return err
	}
	f.db.SetMaxIdleConns(-1)
	return nil
}

// check looks at the servers when everything runs and nothing is broken any more.
func (w *world) check(ctx context.Context) error {
	if err := w.settle(ctx); err != nil {
		return err
	}
	all, err := w.applied(ctx)
	if err != nil {
		return err
	}
	for _, op := range w.operations {
		if op == nil { // the run was interrupted
			continue
		}
		for _, v := range audit(op, all[op.number]) {
			w.tally.violation("%s", v)
		}
		w.tally.found(op, all[op.number])
		if err := w.askAgain(ctx, op); err != nil {
			return err
		}
	}
	for _, f := range w.fronts {
		for _, line := range f.proxy.Faults() {
			w.tally.violation("xaproxy broke down: %s", line)
		}
	}
	return nil
}

// askAgain looks whether a proxy knows of an operation that it is done, and would not do it again.
func (w *world) askAgain(ctx context.Context, op *operation) error {
	answer, f := outcomeUnknown, w.fronts[op.number%len(w.fronts)]
	for since := time.Now(); answer == outcomeUnknown && time.Since(since) < maxInDoubt; {
		if err := f.db.QueryRowContext(ctx, "SELECT xaproxy_outcome('"+op.key()+"')").Scan(&answer); err != nil {
			return err
		}
	}
	if answer != outcomeCommitted {
		w.tally.violation("told to be %q at the end: %s", answer, op)
	}
	return nil
}

// settle waits until no server holds anything prepared.
func (w *world) settle(ctx context.Context) error {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for since := time.Now(); ; <-tick.C {
		var left []string
		for _, s := range w.servers {
			prepared, err := s.Prepared(ctx)
			if err != nil {
				return err
			}
			left = append(left, prepared...)
		}
		if len(left) == 0 {
			return nil
		}
		if time.Since(since) > maxInDoubt {
			w.tally.violation("%s after everything ran again, still prepared: %s", maxInDoubt, strings.Join(left, ", "))
			return nil
		}
	}
}

// applied reads what the servers have of each operation, and compares it with the balances.
func (w *world) applied(ctx context.Context) (map[int]applied, error) {
	all, balances := make(map[int]applied), make(map[int]int)
	each := func(side int, query string, row func(a, b, c, n int)) error {
		rows, err := w.direct[side].QueryContext(ctx, query)
		if err != nil {
			return err
		}
		for rows.Next() {
			var a, b, c, n int
			if err := rows.Scan(&a, &b, &c, &n); err != nil {
				return errors.Join(err, rows.Close())
			}
			row(a, b, c, n)
		}
		return rows.Err()
	}
	for side := range w.servers {
		err := errors.Join(
			each(side, "SELECT id, 0, 0, n FROM "+schema+".account", func(id, _, _, n int) { balances[id] += n - firstBalance }),
			each(side, "SELECT op, attempt, account, n FROM "+schema+".applied", func(op, attempt, account, n int) {
				if all[op] == nil {
					all[op] = make(applied)
				}
				all[op][attempt] = append(all[op][attempt], leg{account, n})
				balances[account] -= n
			}))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", w.servers[side], err)
		}
	}
	for account, rest := range balances {
		if rest != 0 {
			w.tally.violation("account %d differs by %d from the sum of its changes", account, rest)
		}
	}
	for _, attempts := range all {
		for _, legs := range attempts {
			slices.SortFunc(legs, func(a, b leg) int { return a.account - b.account })
		}
	}
	return all, nil
}

// close ends everything that was started.
func (w *world) close() error {
	var errs []error
	for _, f := range w.fronts {
		if f.db != nil {
			errs = append(errs, f.db.Close())
		}
		if f.proxy != nil {
			errs = append(errs, f.proxy.Stop())
		}
		for _, tap := range []*chaos.Tap{f.tap, f.backends[0], f.backends[1]} {
			if tap != nil {
				errs = append(errs, tap.Close())
			}
		}
	}
	for _, s := range w.servers {
		if s != nil {
			errs = append(errs, s.Stop())
		}
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}
