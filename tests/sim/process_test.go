package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/decision"
	"github.com/xaproxy/xaproxy/participant"
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/xa"
)

// The settings of the proxies.
const (
	prepareTimeout = 10 * time.Second
	commitWait     = 5 * time.Second
	adminTimeout   = 5 * time.Second
	interval       = 5 * time.Second
	grace          = 5 * time.Second
	retain         = 2 * time.Minute
	comeBack       = time.Minute // more than flushInterval and replicaLag
	connectTimeout = 3 * time.Second
	stmtTimeout    = 30 * time.Second // after which the proxy gives a statement up, or its client does
)

// machine is a host that runs a proxy, again after each crash.
type machine struct {
	name  string
	disk  *disk
	p     *process // nil while none runs
	runs  int
	stuck bool // its processes are stopped, or cut off from everybody
	until time.Time
}

// process is one run of a proxy: what cmd/xaproxy serve puts together, with clients of its own in place of package proxy.
type process struct {
	w    *world
	m    *machine
	name string
	dead atomic.Bool
	ctx  context.Context
	die  context.CancelFunc
	wg   sync.WaitGroup

	// Set before the clients start:
	log         xa.Log
	keys        xa.Keys
	file        *decision.File
	rows        *participant.Store
	coordinator *xa.Coordinator
	janitor     *recovery.Janitor

	// Protected by w.mu:
	identities map[string]string // of the backends that have passed the start checks
	free       map[*server][]*conn
	pruning    bool
	serving    bool
}

// boot starts a process on the machine. Must be called with w.mu held.
func (w *world) boot(m *machine) {
	m.runs++
	p := &process{w: w, m: m, name: fmt.Sprintf("%s.%d", m.name, m.runs), identities: make(map[string]string), free: make(map[*server][]*conn)}
	p.ctx, p.die = context.WithCancel(context.Background())
	m.p = p
	w.all.Go(func() {
		p.serve()
		p.wg.Wait()
	})
}

func (p *process) serve() {
	if p.pause("start", nil) != nil {
		return
	}
	if err := p.open(); err != nil {
		switch {
		case p.dead.Load():
		case errors.Is(err, errDisk), errors.Is(err, errDiskFull):
			p.halt(err)
		default:
			p.w.violated("X2: the decisions cannot be read at the start: %v", err)
		}
		return
	}
	for _, s := range p.w.servers {
		p.wg.Go(func() { p.check(s) })
	}
	p.wg.Go(func() { p.janitor.Run(p.ctx) })
	if p.rows != nil {
		p.wg.Go(func() { p.rows.Run(p.ctx) })
	} else if !p.w.plant.survives {
		p.wg.Go(p.watchLog)
	}
	p.w.mu.Lock()
	p.serving = true
	p.w.mu.Unlock()
	for i := range p.w.clients {
		p.wg.Go(func() { p.client(fmt.Sprintf("client %d", i)) })
	}
}

// open opens the store and puts the parts together.
func (p *process) open() (err error) {
	w := p.w
	var servers []recovery.Server
	var sides []participant.Server
	for _, s := range w.servers {
		servers, sides = append(servers, wrap[admin, recovery.Server](w.plant.server, p, admin{p, s, "recovery"}, admin{p, s, "recovery"})), append(sides, admin{p, s, "store"})
	}
	var decisions recovery.Decisions
	if run := p.m.runs; w.rows { // there is one at a time on a machine
		p.rows, err = participant.New(participant.Options{
			Servers: sides, Deciders: w.keyDeciders(p), Grace: grace, Retain: retain, ComeBack: cmp.Or(w.plant.comeBack, comeBack), Timeout: adminTimeout, Logger: zerolog.Nop(),
			Host: p.m.name, PID: run, Gone: func(host string, pid int) bool { return host == p.m.name && pid < run },
		})
		p.log, p.keys, decisions = p.rows, p.rows, participant.Decisions{Store: p.rows}
	} else {
		p.file, err = decision.OpenFile(decision.FileOptions{
			Dir: "/log", SegmentSize: 4 << 10, Retain: retain, FS: mount{p.m.disk, p}, Logger: zerolog.Nop(),
		})
		p.log, p.keys, decisions = gate{p.file, p}, gate{p.file, p}, recovery.OfLog(gate{p.file, p})
	}
	if err != nil {
		return err
	}
	p.log, p.keys = wrap(w.plant.log, p, p.log, p.log), wrap(w.plant.keys, p, p.keys, p.keys)
	p.coordinator = xa.NewCoordinator(xa.Options{
		Log: p.log, PrepareTimeout: prepareTimeout, CommitWait: commitWait, EarlyAnswer: w.early, Logger: zerolog.Nop(),
		Orphaned: func(name string) { p.janitor.Poke(name) }, Halt: p.halt,
	})
	p.janitor = recovery.New(recovery.Options{
		Servers: servers, Decisions: wrap(w.plant.decisions, p, decisions, decisions), InFlight: wrap[recovery.InFlight, recovery.InFlight](w.plant.inFlight, p, p.coordinator, p.coordinator),
		Interval: interval, Timeout: adminTimeout, Logger: zerolog.Nop(), Fenced: p.halt,
	})
	return nil
}

// check does the start check of a backend until it passes; statements there are refused before.
func (p *process) check(s *server) {
	for p.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(p.ctx, adminTimeout)
		identity, err := admin{p, s, "check"}.Identity(ctx)
		if err == nil && p.rows != nil {
			err = p.rows.Beat(ctx, s.name)
		}
		cancel()
		if err == nil {
			p.w.mu.Lock()
			p.identities[s.name] = identity
			p.w.mu.Unlock()
			return
		}
		select {
		case <-p.ctx.Done():
		case <-time.After(interval):
		}
	}
}

// watchLog ends the process when the log breaks, also by a write for which nobody waits.
func (p *process) watchLog() {
	select {
	case <-p.ctx.Done():
	case <-p.file.Broken():
		p.halt(decision.ErrBroken)
	}
}

// halt is os.Exit, which takes effect at the next step: until then every goroutine of the process goes on until it waits, so that it does not
// matter which is the faster one.
func (p *process) halt(error) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.w.halted = append(p.w.halted, p)
}

// gate lets the scheduler choose when the log is used, and keeps to the log's own order: who prunes holds a lock that who looks up needs,
// and a goroutine that waits for a lock would be waited for in vain.
type gate struct {
	*decision.File
	p *process
}

func (g gate) Append(d xa.Decision) error {
	if err := g.p.pause("append "+d.GTRID.String(), nil); err != nil {
		return err
	}
	return g.File.Append(d)
}

func (g gate) Lookup(x xa.GTRID) (xa.Decision, bool, error) {
	if err := g.p.pause("look up "+x.String(), func() bool { return !g.p.pruning }); err != nil {
		return xa.Decision{}, false, err
	}
	return g.File.Lookup(x)
}

func (g gate) FindKey(ctx context.Context, key string) (xa.KeyRecord, error) {
	if err := g.p.asks(ctx, "find "+key); err != nil {
		return xa.KeyRecord{}, err
	}
	return g.File.FindKey(ctx, key)
}

func (g gate) FenceKey(ctx context.Context, key string) (xa.KeyRecord, error) {
	if err := g.p.asks(ctx, "fence "+key); err != nil {
		return xa.KeyRecord{}, err
	}
	return g.File.FenceKey(ctx, key)
}

func (g gate) Prune() (int, error) {
	err := g.p.pauseUntil(context.Background(), "prune", nil, func() error { g.p.pruning = true; return nil })
	if err != nil {
		return 0, err
	}
	n, err := g.File.Prune()
	g.p.w.mu.Lock()
	defer g.p.w.mu.Unlock()
	g.p.pruning = false
	return n, err
}

// conn returns a connection to a backend, a free one if there is.
func (p *process) conn(ctx context.Context, s *server, key string) (*conn, error) {
	var c *conn
	err := p.pauseUntil(ctx, "take a connection to "+s.name+" for "+key, nil, func() error {
		if p.identities[s.name] == "" {
			return fmt.Errorf("backend %s has not passed its checks", s.name)
		}
		p.free[s] = slices.DeleteFunc(p.free[s], func(c *conn) bool { return c.cut })
		if n := len(p.free[s]); n > 0 {
			i := 0 // the order in which they were given back may be that of goroutines
			for k, x := range p.free[s] {
				if x.id > p.free[s][i].id {
					i = k
				}
			}
			c = p.free[s][i]
			p.free[s] = slices.Delete(p.free[s], i, i+1)
		}
		return nil
	})
	if err != nil || c != nil {
		return c, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return p.dial(ctx, s, key)
}

// release gives a connection back.
func (p *process) release(c *conn, reusable bool) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if c.cut = c.cut || !reusable; !c.cut {
		p.free[c.server] = append(p.free[c.server], c)
	}
}

// client runs transactions, one after the other.
func (p *process) client(name string) {
	for {
		var plan plan
		err := p.pauseUntil(p.ctx, name, func() bool { return len(p.identities) == len(p.w.servers) && p.w.hasWork(p) }, func() error {
			plan = p.w.draw(p)
			return nil
		})
		if err != nil {
			return
		}
		if plan.op != nil {
			p.operate(name, plan)
		} else {
			p.transaction(name, plan)
		}
		time.Sleep(plan.pause)
	}
}

// transaction runs one transaction without a commit key.
func (p *process) transaction(name string, plan plan) {
	dec := ""
	if p.rows != nil {
		dec = plan.parts[0].server.name
	}
	p.run(name, &txn{p: p, tx: p.coordinator.Begin(dec), plan: plan}, dec)
}

// run runs a transaction that has begun, and notes what its client hears if it is still there.
func (p *process) run(name string, t *txn, dec string) xa.Answer {
	t.gtrid = t.tx.GTRID().String()
	p.w.mu.Lock()
	p.w.txns = append(p.w.txns, t)
	if t.client != nil {
		t.client.op.txns = append(t.client.op.txns, t)
	}
	p.w.mu.Unlock()
	answer := p.statements(name, t, dec)
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.dead.Load() {
		return answer // nobody has heard it
	}
	t.answers++
	t.answer = answer.Outcome
	p.w.stats.outcomes[answer.Outcome]++
	return answer
}

func (p *process) statements(name string, t *txn, dec string) xa.Answer {
	decides := false // the decider takes part
	for i := range t.plan.parts {
		if t.plan.hangUp == i+1 {
			t.client.cut(keyLost)
			_ = p.pause(name+" is gone", nil) // whatever becomes of the process
			return t.tx.Rollback(errGone)
		}
		want := &t.plan.parts[i]
		run, at, err := p.branch(name, t, want.server, dec, want.writes)
		if err != nil {
			return t.tx.Rollback(err)
		}
		decides = decides || want.server.name == dec
		if want.writes {
			t.tx.Wrote(at)
		}
		err = run.write(time.Now().Add(stmtTimeout), stmt{verb: "WRITE", row: want.row, changes: want.writes && want.changes})
		switch {
		case err == nil:
		case !answered(err):
			return t.tx.BranchLost(at, err)
		case xa.IsErrno(err, 1213) || t.plan.strict || run.state == branchNew:
			return t.tx.Rollback(err)
		}
	}
	if t.plan.rollback {
		return t.tx.Rollback(errors.New("the client has asked for it"))
	}
	if !decides && dec != "" { // it is that of the commit key
		if _, _, err := p.branch(name, t, p.w.server(dec), dec, false); err != nil {
			return t.tx.Rollback(err)
		}
	}
	if t.plan.hangUp == len(t.plan.parts)+1 {
		t.client.cut(keyLostInIt)
	}
	return t.tx.Commit()
}

var errGone = errors.New("the client is gone")

// branch adds a branch to a transaction; the first statement on it starts it.
func (p *process) branch(name string, t *txn, s *server, dec string, writes bool) (run *branch, at int, err error) {
	conn, err := p.conn(p.ctx, s, name)
	if err != nil {
		return nil, 0, err
	}
	x := xa.XID{GTRID: t.tx.GTRID(), BQUAL: s.name}
	p.w.mu.Lock()
	part := &part{server: s, xid: x.String(), wrote: writes}
	t.parts = append(t.parts, part)
	b := branch{conn: conn, xid: x, part: part, ref: xa.BranchRef{Backend: x.BQUAL, Server: p.identities[x.BQUAL], ConnID: conn.id}}
	p.w.mu.Unlock()
	var bc xa.BranchConn
	run = &b
	if s.name == dec {
		d := &decider{b}
		run, bc = &d.branch, d
	} else {
		bc = run
	}
	t.conns = append(t.conns, run)
	return run, t.tx.Add(bc, s.flavour == binlog && !p.w.plant.forgetful), nil
}
