package recovery

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/xa"
)

// Server is one backend as recovery sees it, through connections that never carry a client's statement. Errors of
// Commit and Rollback are a *xa.ServerError if the server answered with one, anything else if no usable answer came.
// It is safe for concurrent use. Every call ends soon after its context.
type Server interface {
	// Name is the backend's name in the configuration and the bqual of its branches.
	Name() string
	// Prepared lists the prepared branches of the whole server, whoever made them.
	Prepared(context.Context) ([]Listed, error)
	Commit(context.Context, xa.XID) error
	Rollback(context.Context, xa.XID) error
	// KillConn ends the session with this id, if it exists and is one of our own user, and returns nil when no session
	// of our user has the id any more.
	KillConn(ctx context.Context, id uint64) error
	// Holder returns the session that has prepared the branch and keeps others from finishing it, 0 if there is none or nobody knows.
	Holder(context.Context, xa.XID) (id uint64, err error)
	// Identity tells this server from any other that may come to answer at its address.
	Identity(context.Context) (string, error)
	// Started returns a time that is certainly not after the server's start, and seconds before it at most.
	Started(context.Context) (time.Time, error)
}

// Decisions is where decisions are kept, as recovery uses it. It is safe for concurrent use.
type Decisions interface {
	// Coord names the log that has the decisions. It is "" where they are rows on the deciders that the transactions name.
	Coord() string
	Epoch() uint32
	// Lookup rules on transactions, in the order of the argument. Each was listed, and then found not to be in flight. A ruling stays true
	// for ever, unless dryRun is set: nothing is written then to see to that.
	Lookup(ctx context.Context, all []xa.GTRID, dryRun bool) []xa.Ruling
	// Unfinished returns the decisions of which branches may be left, those in flight included.
	Unfinished() []xa.Decision
	// Done notes that every branch of a decision is finished, and which of them this process has committed.
	Done(xa.GTRID, ...xa.BranchEnd)
	// Heuristic records that a server did other than was decided.
	Heuristic(ctx context.Context, g xa.GTRID, backend, text string) error
	// Trail returns all that is recorded of a transaction, in the order in which it was. With an error it is all that is known beside the
	// decision.
	Trail(ctx context.Context, g xa.GTRID) (xa.Trail, error)
	// Prune forgets old decisions, and returns how many, or how many parts of a log. listed has all that was prepared on each backend at
	// one moment, which is not longer than age ago.
	Prune(ctx context.Context, listed []Listed, age time.Duration) (int, error)
}

// InFlight is the coordinator as recovery uses it. It is safe for concurrent use. A transaction is in flight before its
// first branch exists; its decision and its orphans are visible before it stops being in flight.
type InFlight interface {
	InFlight(xa.GTRID) bool
	// Orphans returns the branches on a backend whose connection was lost.
	Orphans(backend string) []xa.Orphan
	// Adopt says that an orphan is proven to be finished.
	Adopt(xa.XID)
}

// Idle is the InFlight of a process that runs no transactions.
type Idle struct{}

// InFlight returns false.
func (Idle) InFlight(xa.GTRID) bool { return false }

// Orphans returns nothing.
func (Idle) Orphans(string) []xa.Orphan { return nil }

// Adopt does nothing.
func (Idle) Adopt(xa.XID) {}

const (
	// maxBackoff is the longest pause after a sweep that failed.
	maxBackoff = 5 * time.Second
	// finishers is how many branches of one backend are finished, or sessions ended, at the same time.
	finishers = 8
	// pruneInterval is the pause between two looks for parts of the log that are no longer needed.
	pruneInterval = time.Minute
)

// Options of a Janitor. Servers, Decisions, InFlight, Interval and Timeout are required.
type Options struct {
	Servers   []Server // one per configured backend, no name twice
	Decisions Decisions
	InFlight  InFlight
	Interval  time.Duration // pause between two sweeps of a backend
	Timeout   time.Duration // bounds every single question to a server
	Logger    zerolog.Logger
	// Fenced is called once, when a branch shows that another process runs a later epoch of the same log. This janitor
	// finishes nothing any more then, and the process should stop. It must not block.
	Fenced func(error)
}

// Janitor finishes what the commit protocol left behind, for ever or in one forced Pass. It is safe for concurrent use.
type Janitor struct {
	o     Options
	added chan *worker // for Run to watch

	mu      sync.Mutex // protects following fields
	workers []*worker  // one for each name, in the order in which they came; replaced, never changed
	fenced  error
	pruned  time.Time
	pruning bool
	told    map[xa.XID]bool      // branches of decisions whose server is not there: an administrator was told
	ends    map[xa.XID]time.Time // when branches of a log's decisions that are not done were committed here
}

// New returns a Janitor that does nothing until Run or Pass.
func New(o Options) *Janitor {
	j := &Janitor{o: o, added: make(chan *worker), told: make(map[xa.XID]bool), ends: make(map[xa.XID]time.Time)}
	for _, s := range o.Servers {
		j.workers = append(j.workers, j.worker(s))
	}
	return j
}

// Run sweeps every backend at once, then after each Interval and when poked, each at its own pace, until ctx ends. It
// returns when all sweeps have ended.
func (j *Janitor) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for _, w := range j.all() {
		running.Go(func() { j.watch(ctx, w) })
	}
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-j.added:
			running.Go(func() { j.watch(ctx, w) })
		}
	}
}

// watch sweeps one backend for ever. After a failure the pause doubles; a poke or a success ends that.
func (j *Janitor) watch(ctx context.Context, w *worker) {
	pause := j.o.Interval
	for {
		s := w.sweep(ctx, false)
		if ctx.Err() != nil {
			return
		}
		if s.err == nil {
			pause = j.o.Interval
		} else {
			pause = min(2*pause, max(maxBackoff, j.o.Interval))
		}
		j.conclude(j.latest(), false)
		if j.released(w) {
			return
		}
		j.prune(ctx)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-w.poke:
			timer.Stop()
			pause = j.o.Interval
		case <-timer.C:
		}
	}
}

// Poke asks for a sweep of the backend now. It does not block and does nothing for a backend that is not configured.
func (j *Janitor) Poke(backend string) {
	w := j.find(backend)
	if w == nil {
		return
	}
	select {
	case w.poke <- struct{}{}:
	default: // it is poked already
	}
}

// Pass sweeps all backends once, in parallel and now, and reports. With dryRun nothing is changed anywhere. progress,
// if not nil, is called for each backend as soon as it was looked at, one call at a time.
func (j *Janitor) Pass(ctx context.Context, dryRun bool, progress func(BackendReport)) Report {
	sweeps := sweepAll(ctx, j.all(), dryRun, progress)
	decisions := j.conclude(sweeps, dryRun)
	return j.report(sweeps, decisions, dryRun)
}

// sweepAll is a sweep of several backends, with the arguments of Pass.
func sweepAll(ctx context.Context, workers []*worker, dryRun bool, progress func(BackendReport)) []*sweep {
	sweeps := make([]*sweep, len(workers))
	var running sync.WaitGroup
	var one sync.Mutex
	for i, w := range workers {
		running.Go(func() {
			sweeps[i] = w.sweep(ctx, dryRun)
			if progress != nil {
				one.Lock()
				defer one.Unlock()
				progress(sweeps[i].report())
			}
		})
	}
	running.Wait()
	return sweeps
}

// State is what the last sweep of a backend found.
type State struct {
	Backend   string
	Swept     time.Time // when it ended; zero before the first one
	Err       error     // why it failed
	Ours      int       // branches of ours, those in flight included
	InDoubt   int       // those of them that are not in flight
	NotOurs   int
	OldestAge time.Duration // of the branches of ours that are not in flight, since this process saw them first
}

// States returns the state of every backend: those of Options.Servers in their order, and then those that were added.
func (j *Janitor) States() []State {
	sweeps := j.latest()
	states := make([]State, len(sweeps))
	for i, s := range sweeps {
		states[i] = s.state()
	}
	return states
}

// Prepared is a branch that was prepared on a backend when that was last looked at.
type Prepared struct {
	Backend string // that listed it
	Seen    time.Time
	InDoubt bool // ours, and of no transaction that was running
	BranchReport
}

// Prepared lists the branches that were prepared when each backend was last looked at.
func (j *Janitor) Prepared() (all []Prepared) {
	for _, s := range j.latest() {
		for _, b := range s.report().Branches {
			if b.prepared && b.Verdict != Elsewhere {
				all = append(all, Prepared{Backend: s.backend, Seen: s.ended, InDoubt: b.Left, BranchReport: b})
			}
		}
	}
	return all
}

// latest returns the last sweep of every backend. One that has not been swept yet has no time at which that ended.
func (j *Janitor) latest() []*sweep {
	workers := j.all()
	sweeps := make([]*sweep, len(workers))
	for i, w := range workers {
		if sweeps[i] = w.last.Load(); sweeps[i] == nil {
			sweeps[i] = &sweep{backend: w.name}
		}
	}
	return sweeps
}

// conclude marks the decisions as done that the sweeps have proven to be finished, and says of each decision that is
// unfinished and not in flight what is known.
func (j *Janitor) conclude(sweeps []*sweep, dryRun bool) []DecisionReport {
	var reports []DecisionReport
	unfinished := j.o.Decisions.Unfinished()
	defer j.forgetEnds(unfinished)
	for _, d := range unfinished {
		if j.o.InFlight.InFlight(d.GTRID) {
			continue
		}
		r := decisionReport(d)
		for _, b := range d.Branches {
			why, replaced := j.unproven(d, b, sweeps)
			if why != "" {
				r.Open = append(r.Open, b.Backend+": "+why)
			}
			if !dryRun {
				j.tellReplaced(xa.XID{GTRID: d.GTRID, BQUAL: b.Backend}, why, replaced)
			}
		}
		r.Finished = len(r.Open) == 0
		if r.Finished && !dryRun {
			j.o.Decisions.Done(d.GTRID, j.endsOf(d)...)
			j.o.Logger.Info().Str("gtrid", d.GTRID.String()).Msg("decision finished")
		}
		reports = append(reports, r)
	}
	return reports
}

// ended notes that a branch was committed here. Nobody writes that down for rows on deciders.
func (j *Janitor) ended(x xa.XID) {
	if x.GTRID.Decider != "" {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ends[x] = time.Now()
}

// forgetEnds forgets what ended has noted of other decisions than these: they are done.
func (j *Janitor) forgetEnds(unfinished []xa.Decision) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.ends) == 0 {
		return
	}
	open := make(map[xa.GTRID]bool, len(unfinished))
	for _, d := range unfinished {
		open[d.GTRID] = true
	}
	maps.DeleteFunc(j.ends, func(x xa.XID, _ time.Time) bool { return !open[x.GTRID] })
}

// endsOf returns what ended has noted of a decision.
func (j *Janitor) endsOf(d xa.Decision) (all []xa.BranchEnd) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, b := range d.Branches {
		if at, ok := j.ends[xa.XID{GTRID: d.GTRID, BQUAL: b.Backend}]; ok {
			all = append(all, xa.BranchEnd{Backend: b.Backend, At: at, Recovery: true})
		}
	}
	return all
}

// unproven says why a branch of a decision may still come to light, or "", and whether that is because another server is in the place of its own.
func (j *Janitor) unproven(d xa.Decision, b xa.BranchRef, sweeps []*sweep) (why string, replaced bool) {
	x := xa.XID{GTRID: d.GTRID, BQUAL: b.Backend}
	var own *sweep
	for _, s := range sweeps {
		if s.backend == b.Backend {
			own = s
		}
	}
	for _, s := range sweeps {
		// A list of the same server under another backend's name says no more than the own one, and may be older.
		sameServer := s != own && own.done() && s.identity == own.identity
		if s.lists(x) && !sameServer {
			return "prepared", false
		}
	}
	switch {
	case own == nil:
		return "not in the configuration: put the backend back there", false
	case own.ended.IsZero() && own.err == nil:
		return "not looked at yet", false
	case own.err != nil:
		return "cannot be looked at", false
	case !own.open[d.GTRID]:
		return "decided after the last look", false
	case own.held[x] != nil:
		return fmt.Sprintf("session %d may still hold it: %v", b.ConnID, own.held[x]), false
	case b.Server == "":
		return "not prepared, but the server that prepared it is not known", false
	case own.identity != b.Server:
		return fmt.Sprintf("not prepared, but this is another server (%s) than the one that prepared it (%s)", own.identity, b.Server), true
	}
	return "", false
}

// tellReplaced tells, once, of a decided branch whose server is not there: nobody can finish it before that server is back.
func (j *Janitor) tellReplaced(x xa.XID, why string, replaced bool) {
	j.mu.Lock()
	told := j.told[x]
	if replaced {
		j.told[x] = true
	} else {
		delete(j.told, x)
	}
	j.mu.Unlock()
	if replaced && !told {
		j.o.Logger.Error().Str("gtrid", x.GTRID.String()).Str("backend", x.BQUAL).Str("reason", why).
			Msg("a committed transaction may lack this branch: bring its server back, or look whether its changes are there")
	}
}

// prune lets go of old decisions, at most once per pruneInterval and only while every backend answers: one that
// is away may come back with branches whose decisions are the oldest.
func (j *Janitor) prune(ctx context.Context) {
	var listed []Listed
	now := time.Now()
	oldest := now
	for _, s := range j.latest() {
		if !s.done() {
			return
		}
		listed = slices.AppendSeq(listed, maps.Keys(s.prepared))
		if s.began.Before(oldest) {
			oldest = s.began
		}
	}
	if !j.mayPrune(now) {
		return
	}
	defer j.hasPruned()
	n, err := j.o.Decisions.Prune(ctx, listed, now.Sub(oldest))
	if err != nil && ctx.Err() == nil {
		j.o.Logger.Error().Err(err).Msg("old decisions cannot be pruned")
	} else if n > 0 {
		j.o.Logger.Info().Int("pruned", n).Msg("old decisions pruned")
	}
}

// mayPrune reports whether it is time to prune, and nobody does. It holds no lock meanwhile: a store that is slow to forget must not
// keep the sweeps of other backends waiting.
func (j *Janitor) mayPrune(now time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.pruning || now.Sub(j.pruned) < pruneInterval {
		return false
	}
	j.pruned, j.pruning = now, true
	return true
}

func (j *Janitor) hasPruned() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pruning = false
}

// fence stops this janitor from finishing anything.
func (j *Janitor) fence(err error) {
	j.mu.Lock()
	first := j.fenced == nil
	if first {
		j.fenced = err
	}
	j.mu.Unlock()
	if !first {
		return
	}
	j.o.Logger.Error().Err(err).Msg("recovery is fenced")
	if j.o.Fenced != nil {
		j.o.Fenced(err)
	}
}

// isFenced returns why nothing may be finished, or nil.
func (j *Janitor) isFenced() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fenced
}
