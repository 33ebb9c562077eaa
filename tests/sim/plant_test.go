package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/xa"
)

// plant is a bug around the code under test. The zero value is none.
type plant struct {
	diskLies  bool // a sync says that it has synced, and has not
	forgetful bool // nobody is told that a server forgets one-phase commits
	survives  bool // a process goes on with a log that is broken
	hasty     bool // whoever meets a commit key that is taken hears that it is committed
	comeBack  time.Duration

	// Called after the branch has its answer; what they return is what the coordinator gets.
	prepared, committed, onePhase func(b *branch, deadline time.Time, err error) error
	decide                        func(d *decider, r xa.Decision, deadline time.Time) error
	fence                         func(d *decider, g xa.GTRID) (bool, error)

	log       func(p *process, l xa.Log) xa.Log
	server    func(p *process, s admin) recovery.Server
	decisions func(p *process, d recovery.Decisions) recovery.Decisions
	inFlight  func(p *process, c recovery.InFlight) recovery.InFlight
	keys      func(p *process, k xa.Keys) xa.Keys
	deciders  func(p *process) []string
	outcome   func(ctx context.Context, p *process, key string) xa.KeyState
}

// wrap puts a part of a bug around a part of the program, where there is one.
func wrap[P, T any](with func(*process, P) T, p *process, part P, plain T) T {
	if with == nil {
		return plain
	}
	return with(p, part)
}

// set is one that goroutines share.
type set[T comparable] struct {
	mu sync.Mutex
	in map[T]bool
}

func newSet[T comparable]() *set[T] { return &set[T]{in: make(map[T]bool)} }

func (s *set[T]) add(x T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in[x] = true
}

func (s *set[T]) has(x T) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in[x]
}

// appender changes the errors of Append.
type appender struct {
	xa.Log
	change func(error) error
}

func appends(change func(error) error) func(*process, xa.Log) xa.Log {
	return func(_ *process, l xa.Log) xa.Log { return appender{l, change} }
}

func (l appender) Append(d xa.Decision) error {
	err := l.Log.Append(d)
	if err == nil || errors.Is(err, errDead) {
		return err
	}
	return l.change(err)
}

// noRecord writes nothing.
type noRecord struct{ xa.Log }

func (noRecord) Append(xa.Decision) error { return nil }

// sameNames gives the transactions of every run of a machine the same names.
type sameNames struct {
	xa.Log
	p *process
}

func (l sameNames) Coord() string { return "0000000" + l.p.m.name[1:] }
func (sameNames) Epoch() uint32   { return 1 }

// forgetful forgets a decision with its Done.
type forgetful struct {
	xa.Log
	done *set[xa.GTRID]
}

func (l forgetful) Done(g xa.GTRID, ends ...xa.BranchEnd) {
	l.done.add(g)
	l.Log.Done(g, ends...)
}

type forgetfulDecisions struct {
	recovery.Decisions
	done *set[xa.GTRID]
}

func (d forgetfulDecisions) Done(g xa.GTRID, ends ...xa.BranchEnd) {
	d.done.add(g)
	d.Decisions.Done(g, ends...)
}

func (d forgetfulDecisions) Lookup(ctx context.Context, all []xa.GTRID, dryRun bool) []xa.Ruling {
	rulings := d.Decisions.Lookup(ctx, all, dryRun)
	for i, g := range all {
		if d.done.has(g) {
			rulings[i] = xa.Ruling{}
		}
	}
	return rulings
}

// lookTooEarly reads the decisions when recovery gets the answer to a request, and believes that later.
func lookTooEarly(verb string) func() plant {
	return func() plant {
		var mu sync.Mutex
		known := make(map[*process]map[xa.GTRID]bool) // unfinished when it was looked
		look := func(p *process) {
			mu.Lock()
			defer mu.Unlock()
			known[p] = make(map[xa.GTRID]bool)
			for _, d := range p.file.Unfinished() {
				known[p][d.GTRID] = true
			}
		}
		return plant{
			server: func(p *process, s admin) recovery.Server { return beforehand{s, verb, func() { look(p) }} },
			decisions: func(p *process, d recovery.Decisions) recovery.Decisions {
				return tooEarly{d, func(g xa.GTRID) bool {
					mu.Lock()
					defer mu.Unlock()
					return known[p][g]
				}}
			},
		}
	}
}

type tooEarly struct {
	recovery.Decisions
	knew func(xa.GTRID) bool
}

func (d tooEarly) Lookup(ctx context.Context, all []xa.GTRID, dryRun bool) []xa.Ruling {
	rulings := d.Decisions.Lookup(ctx, all, dryRun)
	for i, g := range all {
		if !d.knew(g) {
			rulings[i] = xa.Ruling{}
		}
	}
	return rulings
}

// beforehand does something when recovery has the answer to a request.
type beforehand struct {
	admin
	verb string
	then func()
}

func (s beforehand) Identity(ctx context.Context) (string, error) {
	identity, err := s.admin.Identity(ctx)
	if s.verb == "IDENTITY" {
		s.then()
		s.dawdle()
	}
	return identity, err
}

func (s beforehand) Prepared(ctx context.Context) ([]recovery.Listed, error) {
	list, err := s.admin.Prepared(ctx)
	if s.verb == "XA RECOVER" {
		s.then()
		s.dawdle()
	}
	return list, err
}

// dawdle takes the time in which others can do something, as a machine with much to do has it.
func (s beforehand) dawdle() {
	for i := range 10 {
		_ = s.p.pause(fmt.Sprintf("recovery of %s has %d things to do meanwhile", s.Name(), 10-i), nil)
	}
}

type table = recovery.InFlight

// oldTable says what was in flight before the list was made.
type oldTable struct {
	table
	then func(xa.GTRID) bool
}

func (c oldTable) InFlight(g xa.GTRID) bool { return c.then(g) }

// tableTooEarly reads the in-flight table when a look at a backend begins.
func tableTooEarly() plant {
	var mu sync.Mutex
	tables := make(map[*process]map[xa.GTRID]bool)
	look := func(p *process) {
		p.w.mu.Lock()
		defer p.w.mu.Unlock()
		mu.Lock()
		defer mu.Unlock()
		tables[p] = make(map[xa.GTRID]bool)
		for _, t := range p.w.txns {
			if t.p == p && p.coordinator.InFlight(t.tx.GTRID()) {
				tables[p][t.tx.GTRID()] = true
			}
		}
	}
	return plant{
		server: func(p *process, s admin) recovery.Server { return beforehand{s, "IDENTITY", func() { look(p) }} },
		inFlight: func(p *process, c recovery.InFlight) recovery.InFlight {
			return oldTable{c, func(g xa.GTRID) bool {
				mu.Lock()
				defer mu.Unlock()
				return tables[p][g]
			}}
		},
	}
}

// hiding is a server whose lists lack what recovery takes for finished.
type hiding struct {
	recovery.Server
	gone     *set[xa.XID]
	finished func(verb string, x xa.XID, err error) bool
}

// hideAfter makes recovery forget a branch after an answer.
func hideAfter(finished func(verb string, x xa.XID, err error) bool) plant {
	gone := newSet[xa.XID]()
	return plant{server: func(_ *process, s admin) recovery.Server { return hiding{s, gone, finished} }}
}

func (s hiding) Prepared(ctx context.Context) ([]recovery.Listed, error) {
	list, err := s.Server.Prepared(ctx)
	return slices.DeleteFunc(slices.Clone(list), func(l recovery.Listed) bool {
		g, err := xa.ParseGTRID(l.GTRID)
		return err == nil && s.gone.has(xa.XID{GTRID: g, BQUAL: l.BQUAL})
	}), err
}

func (s hiding) Commit(ctx context.Context, x xa.XID) error {
	return s.note("XA COMMIT", x, s.Server.Commit(ctx, x))
}

func (s hiding) Rollback(ctx context.Context, x xa.XID) error {
	return s.note("XA ROLLBACK", x, s.Server.Rollback(ctx, x))
}

func (s hiding) note(verb string, x xa.XID, err error) error {
	if !errors.Is(err, errDead) && s.finished(verb, x, err) {
		s.gone.add(x)
	}
	return err
}

// lenient ends no sessions.
type lenient struct{ admin }

func (lenient) KillConn(context.Context, uint64) error { return nil }

// believer rolls lost branches back by name, and takes an unknown one for rolled back.
type believer struct {
	hiding
	p *process
}

func (s believer) Prepared(ctx context.Context) ([]recovery.Listed, error) {
	for _, o := range s.p.coordinator.Orphans(s.Name()) {
		_, decided, err := gate{s.p.file, s.p}.Lookup(o.XID.GTRID)
		if err == nil && !decided && xa.IsErrno(s.Rollback(ctx, o.XID), xa.ErrnoNotA) {
			s.gone.add(o.XID)
		}
	}
	return s.hiding.Prepared(ctx)
}

// sameServer looks only at the server that was there first.
type sameServer struct{ admin }

func (s sameServer) Prepared(ctx context.Context) ([]recovery.Listed, error) {
	list, err := s.admin.Prepared(ctx)
	s.p.w.mu.Lock()
	defer s.p.w.mu.Unlock()
	if s.s.failover > 0 {
		return nil, err
	}
	return list, err
}

// otherNames asks for the branches of earlier runs by names that do not exist, and takes that for the end of them.
type otherNames struct {
	hiding
	p *process
}

func (s otherNames) Commit(ctx context.Context, x xa.XID) error {
	if x.GTRID.Epoch != s.p.log.Epoch() {
		s.gone.add(x)
		return nil
	}
	return s.Server.Commit(ctx, x)
}

// rowsAlone rolls back whatever has no row, be its owner alive or not.
type rowsAlone struct{ recovery.Decisions }

func (d rowsAlone) Lookup(ctx context.Context, all []xa.GTRID, _ bool) []xa.Ruling {
	rulings := d.Decisions.Lookup(ctx, all, true)
	for i := range rulings {
		if rulings[i].Running {
			rulings[i] = xa.Ruling{}
		}
	}
	return rulings
}

// noFence believes that what has no row will have none.
type noFence struct{ recovery.Decisions }

func (d noFence) Lookup(ctx context.Context, all []xa.GTRID, _ bool) []xa.Ruling {
	return d.Decisions.Lookup(ctx, all, true)
}

// forgetsAll does not look at what is prepared.
type forgetsAll struct{ recovery.Decisions }

func (d forgetsAll) Prune(ctx context.Context, _ []recovery.Listed, age time.Duration) (int, error) {
	return d.Decisions.Prune(ctx, nil, age)
}
