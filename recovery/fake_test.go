package recovery

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/xa"
)

// fakeDisk is what a server keeps; two backends can be on one server.
type fakeDisk struct {
	mu       sync.Mutex // protects following fields
	branches []Listed
}

func (d *fakeDisk) list() []Listed {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.branches)
}

// remove reports whether the branch was there; it stays if keep is set.
func (d *fakeDisk) remove(l Listed, keep bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.branches, l)
	if i >= 0 && !keep {
		d.branches = slices.Delete(d.branches, i, i+1)
	}
	return i >= 0
}

// fakeServer is a Server for the tests of the loop's logic; what real servers do is tested in tests/integration.
type fakeServer struct {
	name string
	disk *fakeDisk

	mu       sync.Mutex // protects following fields
	identity string
	started  time.Time
	down     error            // every question fails with it
	frozen   bool             // no question is answered before its context ends
	commit   map[xa.XID]error // what Commit answers, instead of committing
	rollback map[xa.XID]error // the same of Rollback
	onList   func()           // called after the list was made, before it is returned
	kill     error            // what KillConn answers
	holder   uint64           // what Holder answers
	calls    []string         // what was done to branches and sessions
	lists    []time.Time      // when Prepared was called
	tries    []time.Time      // when Identity, the first question of a sweep, was called
}

func newFakeServer(name string, branches ...Listed) *fakeServer {
	return &fakeServer{name: name, disk: &fakeDisk{branches: branches}, identity: "server of " + name, commit: make(map[xa.XID]error), rollback: make(map[xa.XID]error)}
}

func (s *fakeServer) Name() string { return s.name }

// ask returns with mu held unless there is an error.
func (s *fakeServer) ask(ctx context.Context) error {
	s.mu.Lock()
	frozen, down := s.frozen, s.down
	s.mu.Unlock()
	if frozen {
		<-ctx.Done()
		return ctx.Err()
	}
	if down != nil {
		return down
	}
	s.mu.Lock()
	return nil
}

func (s *fakeServer) Prepared(ctx context.Context) ([]Listed, error) {
	s.mu.Lock()
	s.lists = append(s.lists, time.Now())
	s.mu.Unlock()
	if err := s.ask(ctx); err != nil {
		return nil, err
	}
	list, then := s.disk.list(), s.onList
	s.mu.Unlock()
	if then != nil {
		then()
	}
	return list, nil
}

func (s *fakeServer) end(ctx context.Context, verb string, x xa.XID) error {
	if err := s.ask(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.calls = append(s.calls, verb+" "+x.String())
	answer := s.commit[x]
	if verb != "commit" {
		answer = s.rollback[x]
	}
	if !s.disk.remove(prepared(x.GTRID, x.BQUAL), answer != nil && !xa.IsErrno(answer, xa.ErrnoRBRollback)) {
		return &xa.ServerError{Errno: xa.ErrnoNotA}
	}
	return answer
}

func (s *fakeServer) Commit(ctx context.Context, x xa.XID) error { return s.end(ctx, "commit", x) }

func (s *fakeServer) Rollback(ctx context.Context, x xa.XID) error { return s.end(ctx, "rollback", x) }

func (s *fakeServer) KillConn(ctx context.Context, id uint64) error {
	if err := s.ask(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.calls = append(s.calls, "kill "+time.Duration(id).String())
	return s.kill
}

func (s *fakeServer) Holder(ctx context.Context, _ xa.XID) (uint64, error) {
	if err := s.ask(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	return s.holder, nil
}

func (s *fakeServer) Identity(ctx context.Context) (string, error) {
	s.mu.Lock()
	s.tries = append(s.tries, time.Now())
	s.mu.Unlock()
	if err := s.ask(ctx); err != nil {
		return "", err
	}
	defer s.mu.Unlock()
	return s.identity, nil
}

func (s *fakeServer) Started(ctx context.Context) (time.Time, error) {
	if err := s.ask(ctx); err != nil {
		return time.Time{}, err
	}
	defer s.mu.Unlock()
	return s.started, nil
}

// did returns what was done to branches and sessions, in order of text where order is free.
func (s *fakeServer) did() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := slices.Clone(s.calls)
	slices.Sort(calls)
	return calls
}

func (s *fakeServer) set(change func(*fakeServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// fakeLog is a decision log and a coordinator in memory.
type fakeLog struct {
	mu         sync.Mutex // protects following fields
	epoch      uint32
	decisions  map[xa.GTRID]xa.Decision
	unfinished map[xa.GTRID]bool
	inFlight   map[xa.GTRID]bool
	orphans    []xa.Orphan
	heuristics []string
	broken     error
	pruned     int
}

func newFakeLog(decisions ...xa.Decision) *fakeLog {
	l := &fakeLog{
		epoch: 3, decisions: make(map[xa.GTRID]xa.Decision), unfinished: make(map[xa.GTRID]bool), inFlight: make(map[xa.GTRID]bool),
	}
	for _, d := range decisions {
		l.append(d)
	}
	return l
}

func (l *fakeLog) append(d xa.Decision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.decisions[d.GTRID], l.unfinished[d.GTRID] = d, true
}

func (l *fakeLog) Coord() string { return testCoord }
func (l *fakeLog) Epoch() uint32 { return l.epoch }

func (l *fakeLog) Lookup(g xa.GTRID) (xa.Decision, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, ok := l.decisions[g]
	return d, ok, l.broken
}

func (l *fakeLog) Unfinished() []xa.Decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []xa.Decision
	for g := range l.unfinished {
		list = append(list, l.decisions[g])
	}
	slices.SortFunc(list, func(a, b xa.Decision) int { return int(a.GTRID.Seq) - int(b.GTRID.Seq) })
	return list
}

func (l *fakeLog) Done(g xa.GTRID, _ ...xa.BranchEnd) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.unfinished, g)
}

func (l *fakeLog) Heuristic(g xa.GTRID, backend, text string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heuristics = append(l.heuristics, g.String()+" "+backend+" "+text)
	return nil
}

func (l *fakeLog) Trail(g xa.GTRID) (t xa.Trail, err error) {
	d, ok, err := l.Lookup(g)
	if ok {
		t.Decided(d)
	}
	return t, err
}

func (l *fakeLog) Prune() (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pruned++
	return 0, nil
}

func (l *fakeLog) InFlight(g xa.GTRID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inFlight[g]
}

func (l *fakeLog) Orphans(backend string) []xa.Orphan {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []xa.Orphan
	for _, o := range l.orphans {
		if o.XID.BQUAL == backend {
			list = append(list, o)
		}
	}
	return list
}

func (l *fakeLog) Adopt(x xa.XID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.orphans = slices.DeleteFunc(l.orphans, func(o xa.Orphan) bool { return o.XID == x })
}

// open reports whether the decision is unfinished.
func (l *fakeLog) open(g xa.GTRID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unfinished[g]
}

// ref is a branch that was prepared on the server that newFakeServer makes for the backend.
func ref(backend string) xa.BranchRef {
	return xa.BranchRef{Backend: backend, Server: "server of " + backend, ConnID: 5}
}

func newJanitor(t *testing.T, log *fakeLog, servers ...Server) *Janitor {
	t.Helper()
	return New(Options{
		Servers: servers, Decisions: OfLog(log), InFlight: log, Interval: 2 * time.Second, Timeout: 5 * time.Second,
		Logger: zerolog.New(zerolog.NewTestWriter(t)),
	})
}

var errDown = errors.New("connection refused")

func expect(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}
