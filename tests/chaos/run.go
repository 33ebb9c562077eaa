package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// Options of a Run. All fields are required but Progress.
type Options struct {
	Kinds    [2]servers.Kind // of the two servers
	Store    Store           // of the proxies
	Proxies  int             // how many there are, on the same servers
	Binary   string          // path of the program
	Duration time.Duration   // of the faults; the checks come after it
	Seed     uint64          // of everything that is drawn; the machine's timing is not
	Clients  int
	Progress func(line string) // called once a second, if not nil
}

// What the accounts look like at first: accounts 0 to accounts-1, even ones on the first server, each with this much.
const (
	schema       = "bank"
	accounts     = 200
	firstBalance = 1000
)

// The timeouts of the proxy are shorter than some of the freezes.
const (
	prepareTimeout   = time.Second
	commitWait       = 500 * time.Millisecond
	recoveryInterval = 500 * time.Millisecond
)

const (
	// callTimeout bounds every single question to a server, and every statement of a client.
	callTimeout = 30 * time.Second
	// lookInterval is the pause between two looks at what is prepared.
	lookInterval = 20 * time.Millisecond
)

// backendNames are the names of the two servers in the configuration.
var backendNames = [2]string{"a", "b"}

// world is everything that a run consists of.
type world struct {
	o       Options
	dir     string
	servers [2]*servers.Server
	direct  [2]*sql.DB // the administrator's, around the proxy
	proxies []*proxytest.Proxy
	taps    [][2]*Tap       // of each proxy, in front of the servers
	spots   map[string]spot // of the taps, by name
	rand    *rand.Rand      // of the faults
	trigger trigger
	journal journal
	tally   tally
}

// Run moves money through proxies between two servers while it breaks all of them, and then looks whether it is all
// there. An error says that the run could not be made; what it found is in the report. When ctx ends early the
// checks are made on what has happened until then.
func Run(ctx context.Context, o Options) (r *Report, err error) {
	dir, err := os.MkdirTemp("", "xaproxy-chaos-")
	if err != nil {
		return nil, err
	}
	w := &world{o: o, dir: dir, rand: rand.New(rand.NewPCG(o.Seed, 0)), spots: make(map[string]spot)}
	w.tally.kills = make(map[string]int)
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.open(ctx); err != nil {
		return nil, err
	}
	program, err := exec.CommandContext(ctx, o.Binary, "version").Output()
	if err != nil {
		return nil, fmt.Errorf("ask xaproxy for its version: %w", err)
	}
	started := time.Now()
	breaking, stop := context.WithTimeout(ctx, o.Duration)
	defer stop()
	var clients, reporting sync.WaitGroup
	for i := range o.Clients {
		clients.Go(func() { w.client(breaking, i) })
	}
	reporting.Go(func() { w.progress(breaking, started) })
	faultErr := w.breakThings(breaking)
	stop()
	reporting.Wait()
	if faultErr != nil {
		w.tally.violation("the run ended early: %v", faultErr)
	}
	w.trigger.disarm()
	clients.Wait()

	// The checks are made in any case, also when the run was interrupted.
	ctx = context.WithoutCancel(ctx)
	if err := w.settle(ctx); err != nil {
		w.tally.violation("%v", err)
	}
	ledger, err := w.ledger(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range audit(w.journal.all(), ledger) {
		w.tally.violation("%s", v)
	}
	for _, p := range w.proxies {
		for _, line := range p.Faults() {
			w.tally.violation("xaproxy broke down: %s", line)
		}
	}
	r = w.report(started)
	r.Program = strings.TrimSpace(string(program))
	if !r.Good() {
		r.Log = w.explain(r.Violations)
	}
	return r, nil
}

// Boot starts the two servers of a run. After an error those that have started are there, too, to be stopped.
func Boot(ctx context.Context, kinds [2]servers.Kind, started *[2]*servers.Server) error {
	var errs [2]error
	var both sync.WaitGroup
	for i, kind := range kinds {
		both.Go(func() {
			// A row that is in doubt holds up whoever wants it, for as long as the client likes to wait.
			args := []string{"--innodb-lock-wait-timeout=2"}
			if kind == servers.Postgres {
				args = []string{"-c", "lock_timeout=2s"}
			}
			started[i], errs[i] = servers.Start(ctx, servers.Options{Kind: kind, Args: args, Clock: settable(kind)})
		})
	}
	both.Wait()
	return errors.Join(errs[:]...)
}

// open boots the servers, fills them and starts the proxies.
func (w *world) open(ctx context.Context) error {
	if err := Boot(ctx, w.o.Kinds, &w.servers); err != nil {
		return err
	}
	for i, s := range w.servers {
		var err error
		if w.direct[i], err = proxytest.Direct(ctx, s); err != nil {
			return err
		}
		if err := w.fill(ctx, i); err != nil {
			return err
		}
		if err := w.o.Store.Prepare(ctx, s); err != nil {
			return err
		}
	}
	for range w.o.Proxies {
		if err := w.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// start starts one more proxy.
func (w *world) start(ctx context.Context) error {
	number := len(w.proxies)
	o := proxytest.Options{
		Binary: w.o.Binary, Dir: filepath.Join(w.dir, strconv.Itoa(number)),
		PrepareTimeout: prepareTimeout, CommitWait: commitWait, RecoveryInterval: recoveryInterval,
		Decision: w.o.Store.Lines(),
	}
	if err := os.Mkdir(o.Dir, 0o700); err != nil {
		return err
	}
	w.taps = append(w.taps, [2]*Tap{})
	for i, s := range w.servers {
		name := backendNames[i] + strconv.Itoa(number)
		tap, err := NewTapOf(name, s)
		if err != nil {
			return err
		}
		tap.SetHook(w.trigger.hook)
		w.taps[number][i], w.spots[name] = tap, spot{number, i}
		o.Backends = append(o.Backends, proxytest.On(backendNames[i], s).Via(tap.Addr()))
	}
	for table, column := range map[string]string{"account": "id", "applied": "account"} {
		o.Tables = append(o.Tables, config.Table{Schema: schema, Name: table, Column: column, Function: "modulo", Backends: backendNames[:]})
	}
	p, err := proxytest.Start(ctx, o)
	if err != nil {
		return err
	}
	w.proxies = append(w.proxies, p)
	return nil
}

// fill makes the tables of server i. Each transfer leaves a row in applied for each account that it changed, so that
// every single one can be looked up afterwards.
func (w *world) fill(ctx context.Context, i int) error {
	var rows []string
	for id := i; id < accounts; id += len(w.servers) {
		rows = append(rows, fmt.Sprintf("(%d, %d)", id, firstBalance))
	}
	for _, s := range []string{
		"CREATE DATABASE " + schema,
		"CREATE TABLE " + schema + ".account (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)",
		"CREATE TABLE " + schema + ".applied (account BIGINT, tx BIGINT, n BIGINT NOT NULL, PRIMARY KEY (tx, account))",
		"INSERT INTO " + schema + ".account VALUES " + strings.Join(rows, ", "),
	} {
		if _, err := w.direct[i].ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %s: %w", w.servers[i], s, err)
		}
	}
	return nil
}

// settle waits until nothing is in doubt. Everything runs.
func (w *world) settle(ctx context.Context) error {
	took, left, err := w.awaitNothing(ctx, func(string) bool { return true })
	if err != nil {
		return fmt.Errorf("look for branches in doubt at the end: %w", err)
	}
	w.tally.inDoubtFor(took)
	if len(left) > 0 {
		return fmt.Errorf("at the end, after %s, still prepared: %s", w.o.Store.maxInDoubt(), strings.Join(left, ", "))
	}
	return nil
}

// awaitNothing waits until no branch of the proxies that matters is prepared. It returns how long it took, and what was
// left when it took too long.
func (w *world) awaitNothing(ctx context.Context, matters func(branch string) bool) (took time.Duration, left []string, err error) {
	since := time.Now()
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		left = nil
		for i := range w.servers {
			branches, err := w.prepared(ctx, i)
			if err != nil {
				return 0, nil, err
			}
			for _, b := range branches {
				if matters(b) {
					left = append(left, b)
				}
			}
		}
		if took = time.Since(since); len(left) == 0 || took > w.o.Store.maxInDoubt() {
			return took, left, nil
		}
		<-tick.C
	}
}

// prepared lists the proxies' branches that server i holds prepared, those of running transactions included.
func (w *world) prepared(ctx context.Context, i int) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	all, err := w.servers[i].Prepared(ctx)
	var ours []string
	for _, b := range all {
		if slices.ContainsFunc(w.proxies, func(p *proxytest.Proxy) bool { return p.Owns(b) }) {
			ours = append(ours, b)
		}
	}
	return ours, err
}

// ledger reads what the servers have.
func (w *world) ledger(ctx context.Context) (ledger, error) {
	l := ledger{balances: make(map[int]int), applied: make(map[int]map[int]int)}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	each := func(i int, query string, row func(scan func(...any) error) error) (err error) {
		rows, err := w.direct[i].QueryContext(ctx, query)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			if err := row(rows.Scan); err != nil {
				return err
			}
		}
		return rows.Err()
	}
	for i := range w.servers {
		err := errors.Join(
			each(i, "SELECT id, n FROM "+schema+".account", func(scan func(...any) error) error {
				var id, n int
				err := scan(&id, &n)
				l.balances[id] = n
				return err
			}),
			each(i, "SELECT tx, account, n FROM "+schema+".applied", func(scan func(...any) error) error {
				var tx, account, n int
				err := scan(&tx, &account, &n)
				if l.applied[tx] == nil {
					l.applied[tx] = make(map[int]int)
				}
				l.applied[tx][account] = n
				return err
			}))
		if err != nil {
			return l, fmt.Errorf("read the accounts of %s: %w", w.servers[i], err)
		}
	}
	return l, nil
}

// close ends everything that was started.
func (w *world) close() error {
	var errs []error
	for _, p := range w.proxies {
		errs = append(errs, p.Stop())
	}
	for _, taps := range w.taps {
		for _, tap := range taps {
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

// explain returns the proxies' logs about the transactions that the violations name.
func (w *world) explain(violations []string) []string {
	var gtrids []string
	for _, v := range violations {
		for _, word := range strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(" ,|:()", r) }) {
			if strings.HasPrefix(word, "xp1.") || strings.HasPrefix(word, "xp2.") {
				gtrids = append(gtrids, `"`+word+`"`)
			}
		}
	}
	if len(gtrids) == 0 {
		return nil
	}
	var lines []string
	for _, p := range w.proxies {
		lines = append(lines, p.Log.Grep(gtrids...)...)
	}
	return lines
}
