package sim

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// world is one simulation: servers, machines with proxies, the network between them, and the scheduler. Whatever a goroutine of the code
// under test does to anything outside of itself is a call or a packet, on which it waits. The scheduler waits until everybody does, and
// then lets exactly one thing happen. So the seed fixes everything.
type world struct {
	rng     *rand.Rand
	rows    bool // the participant store
	plant   plant
	voteYes float64 // probability, if nothing else happens; 0 = always
	began   time.Time
	all     sync.WaitGroup

	servers  []*server
	machines []*machine
	clients  int      // per process
	keys     int      // rows per server that transactions fight for; 0 = none do
	early    bool     // clients are answered before phase two
	keyed    float64  // share of the transactions that begin an operation with a commit key
	deciders []string // of commit keys
	halfOpen bool     // a server need not notice that a process has given a connection up
	style    style
	faults   []fault
	rate     int // of faults, per 1000 steps

	mu         sync.Mutex // protects following fields
	step       int
	left       int // transactions still to be begun
	calls      []*call
	packets    []*packet
	conns      []*conn
	txns       []*txn
	operations []*operation
	halted     []*process
	wakes      []wake   // of calls that get no answer
	quiet      bool     // no more faults
	list       []choice // what can happen; kept for its space
	trace      bytes.Buffer
	stats      stats

	failing sync.Mutex // protects failure
	failure string     // the first violation
}

// style is a way to choose among what can happen.
type style struct {
	name    string
	starved string // what has this in its name seldom happens
}

// options of one simulation.
type options struct {
	seed     uint64
	store    string // "file", "participant"; "" lets the seed choose
	plant    plant
	branches int     // of every transaction; 0 lets the seed choose
	voteYes  float64 // with it nothing else goes wrong
}

// result of one simulation.
type result struct {
	violation string // "" if there was none
	trace     string
	stats     stats
}

// simulate runs one seed.
func simulate(t *testing.T, o options) (r result) {
	cryptotest.SetGlobalRandom(t, o.seed) // coords are drawn from it
	synctest.Test(t, func(*testing.T) {
		w := newWorld(o)
		w.run()
		r = result{violation: w.failure, trace: w.trace.String(), stats: w.stats}
	})
	return r
}

func newWorld(o options) *world {
	rng := rand.New(rand.NewPCG(o.seed, 0))
	w := &world{rng: rng, plant: o.plant, voteYes: o.voteYes, began: time.Now(), stats: newStats()}
	w.rows = rng.IntN(2) == 1
	if o.store != "" {
		w.rows = o.store == "participant"
	}
	n, same := 1+rng.IntN(5), rng.IntN(2) == 0
	if o.branches > 0 {
		n = o.branches
	}
	flavours := []flavour{mysql, mariadb, binlog, postgres}
	all := flavours[rng.IntN(len(flavours))]
	for i := range n {
		s := &server{
			name: fmt.Sprintf("b%d", i), flavour: all, rng: rng, up: true, started: w.began.Add(-time.Hour),
			skew: time.Duration(rng.IntN(7200)-3600) * time.Second, lockWait: time.Duration(1+rng.IntN(20)) * time.Second,
			sessions: make(map[uint64]*session), branches: make(map[string]*trx), locks: make(map[string]*trx),
			tables: tables{decisions: make(map[string]row), beats: make(map[string]heartbeat)}, onCommit: w.onCommit,
		}
		if s.identity = s.name + ".0"; !same {
			s.flavour = flavours[rng.IntN(len(flavours))]
		}
		w.servers = append(w.servers, s)
	}
	for i := range 1 + rng.IntN(3) {
		m := &machine{name: fmt.Sprintf("p%d", i), disk: newDisk(rand.New(rand.NewPCG(o.seed, uint64(i)+1)))}
		m.disk.lies = o.plant.diskLies
		w.machines = append(w.machines, m)
	}
	w.clients, w.left = 1+rng.IntN(3), 5+rng.IntN(36)
	w.keys = []int{0, 0, 0, 2, 5}[rng.IntN(5)]
	w.halfOpen, w.early = rng.IntN(2) == 0, rng.IntN(4) == 0
	w.keyed = []float64{0, 0, 0.3, 0.9}[rng.IntN(4)]
	for _, i := range rng.Perm(n)[:1+rng.IntN(n)] {
		w.deciders = append(w.deciders, w.servers[i].name)
	}
	names := []string{"uniform", "uniform", "oldest first", "newest first", "starve"}
	if w.style.name = names[rng.IntN(len(names))]; w.style.name == "starve" {
		victims := []string{"p0", "p1", "b0", "b1", "XA COMMIT", "XA PREPARE", "admin", "reply", "look up", "exec", " fence "}
		w.style.starved = victims[rng.IntN(len(victims))]
	}
	if w.rate = []int{2, 5, 10, 20, 50}[rng.IntN(5)]; o.voteYes > 0 {
		w.rate, w.left, w.clients, w.keys, w.keyed, w.style = 0, 60, 3, 0, 0, style{name: "uniform"}
		w.machines = w.machines[:1]
		for _, s := range w.servers {
			if s.flavour == binlog { // a one-phase commit that is refused after its record leaves doubt
				s.flavour = mariadb
			}
		}
	}
	for _, i := range rng.Perm(len(allFaults))[:1+rng.IntN(6)] {
		w.faults = append(w.faults, allFaults[i])
	}
	return w
}

// run lets everything go on until the clients have had their transactions, then heals what is broken and looks how things stand, twice:
// before and after every server has crashed once more.
func (w *world) run() {
	w.mu.Lock()
	for _, m := range w.machines {
		w.boot(m)
	}
	w.mu.Unlock()
	for w.step < maxSteps && w.failure == "" && !w.finished() {
		w.turn()
	}
	for last := range 2 {
		w.mu.Lock()
		w.heal(last == 1)
		w.mu.Unlock()
		healed := time.Now()
		for w.failure == "" && time.Since(healed) < restWithin && !w.atRest() {
			w.turn()
		}
		if w.failure == "" {
			w.mu.Lock()
			w.checkRest()
			w.mu.Unlock()
		}
	}
	w.mu.Lock()
	for _, m := range w.machines {
		w.kill(m)
	}
	w.hangUp()
	w.mu.Unlock()
	w.all.Wait()
	w.stats.steps = w.step
	for _, t := range w.txns {
		if t.answers == 0 {
			w.stats.unheard++
		}
	}
}

const (
	maxSteps   = 6000
	maxPackets = 100 // of which no more wait on servers that are frozen; heartbeats would come together there
	restWithin = 4 * time.Minute
)

// turn lets one thing happen.
func (w *world) turn() {
	// Nobody runs but this goroutine; timers that fall due meanwhile are served first.
	pace := time.Duration(1 + w.rng.Int64N(int64(2*time.Millisecond)))
	if w.rng.IntN(50) == 0 && !w.quiet && w.voteYes == 0 {
		pace = time.Duration(w.rng.Int64N(int64(4 * time.Second)))
	}
	time.Sleep(pace)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buryHalted()
	w.hangUp()
	w.check()
	w.step++
	if !w.quiet && w.rng.IntN(1000) < w.rate && w.injectFault() {
		w.hangUp()
		return
	}
	all := w.choices()
	if len(all) == 0 {
		w.mu.Unlock()
		time.Sleep(50 * time.Millisecond)
		w.mu.Lock()
		return
	}
	c := w.choose(all)
	w.note(c.what + c.of)
	c.do(w, c)
	w.hangUp()
}

// order brings what has appeared since the last step into an order that does not depend on how goroutines were scheduled.
func (w *world) order() {
	by := func(a, b *call) int {
		return cmp.Or(cmp.Compare(a.step, b.step), a.at.Compare(b.at), cmp.Compare(a.key, b.key))
	}
	slices.SortFunc(w.calls, by)
	slices.SortFunc(w.packets, func(a, b *packet) int { return by(&a.call, &b.call) })
	for i := 1; i < len(w.packets); i++ {
		if a, b := w.packets[i-1], w.packets[i]; by(&a.call, &b.call) == 0 {
			panic("two packets cannot be told apart: " + a.key)
		}
	}
	for i := 1; i < len(w.calls); i++ {
		if by(w.calls[i-1], w.calls[i]) == 0 {
			panic("two calls cannot be told apart: " + w.calls[i].key)
		}
	}
}

// hear lets a server notice that a client is gone.
func (w *world) hear(c *conn) {
	if c.session != nil && !c.session.gone {
		c.server.disconnect(c.session)
	}
}

// hangUp follows what has happened to sessions: a command on one that is gone gets no answer.
func (w *world) hangUp() {
	w.order()
	for _, pk := range slices.Clone(w.packets) {
		switch {
		case pk.conn.session != nil && pk.conn.session.gone && !pk.ran:
			w.lose(pk, errLost, false)
			w.dropPacket(pk)
		case pk.ran && pk.lost, pk.lost && pk.conn.session == nil && len(w.packets) > maxPackets:
			w.dropPacket(pk)
		}
	}
	w.conns = slices.DeleteFunc(w.conns, func(c *conn) bool { return c.session.gone })
	for len(w.wakes) > 0 { // one after the other: what they do next may depend on the order
		next := w.wakes[0]
		w.wakes = w.wakes[1:]
		next.finish(next.err)
		w.mu.Unlock()
		synctest.Wait()
		w.mu.Lock()
	}
	w.order()
}

func (w *world) dropCall(c *call) {
	w.calls = slices.DeleteFunc(w.calls, func(x *call) bool { return x == c })
}

func (w *world) dropPacket(pk *packet) {
	pk.conn.busy = false
	w.packets = slices.DeleteFunc(w.packets, func(x *packet) bool { return x == pk })
}

// note writes a line of the trace.
func (w *world) note(what string) {
	fmt.Fprintf(&w.trace, "%5d %12s  %s\n", w.step, time.Since(w.began).Round(time.Microsecond), what)
}

// draw makes up a transaction.
func (w *world) draw(p *process) (drawn plan) {
	var op *operation
	if due := w.due(p); len(due) > 0 && (w.left == 0 || w.rng.IntN(2) == 0) {
		op = due[w.rng.IntN(len(due))]
	} else {
		w.left--
	}
	defer func() {
		if op != nil || w.rng.Float64() < w.keyed {
			w.drawAttempt(p, &drawn, op)
		}
	}()
	n := 1 + w.rng.IntN(len(w.servers))
	if w.voteYes > 0 {
		n = len(w.servers)
	}
	drawn.pause = time.Duration(w.rng.Int64N(int64(100 * time.Millisecond)))
	for _, i := range w.rng.Perm(len(w.servers))[:n] {
		want := want{server: w.servers[i], writes: w.rng.IntN(8) > 0, changes: w.rng.IntN(8) > 0, row: fmt.Sprintf("new row %d", len(w.txns))}
		if w.keys > 0 {
			want.row = fmt.Sprintf("row %d", w.rng.IntN(w.keys))
		}
		if w.voteYes > 0 {
			want.writes, want.changes = true, true
		}
		drawn.parts = append(drawn.parts, want)
	}
	drawn.rollback, drawn.strict = w.rng.IntN(20) == 0 && w.voteYes == 0, w.rng.IntN(2) == 0
	return drawn
}

// plan is a transaction that a client is about to run.
type plan struct {
	parts            []want
	pause            time.Duration // before the next one
	rollback, strict bool          // strict: after an error of a statement the client gives up
	attempt
}

type want struct {
	server          *server
	writes, changes bool
	row             string
}

// stats counts what has happened.
type stats struct {
	steps    int
	outcomes map[xa.Outcome]int
	unheard  int // transactions whose process died before its client heard
	faults   map[string]int
	inDoubt  int // branches that recovery has finished
	cameBack int
	keys     map[string]int // what clients with commit keys hear
}

func newStats() stats {
	return stats{outcomes: make(map[xa.Outcome]int), faults: make(map[string]int), keys: make(map[string]int)}
}

// server returns the server of a name.
func (w *world) server(name string) *server {
	return w.servers[slices.IndexFunc(w.servers, func(s *server) bool { return s.name == name })]
}
