package recovery

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// patience is how long a backend that is to leave may take to finish the branches that were seen there first, and unfinishedPause the pause
// between two looks.
const (
	patience        = 3 * time.Second
	unfinishedPause = 50 * time.Millisecond
)

// leaving is the end of a worker whose backend is not in the configuration any more.
type leaving struct {
	idle  func() bool // nobody can make another branch there
	ended func()
	since time.Time // when idle was true first; only the worker's own goroutine uses it
}

func (j *Janitor) worker(s Server) *worker {
	return &worker{
		j: j, server: s, name: s.Name(),
		poke: make(chan struct{}, 1), turn: make(chan struct{}, 1), seen: make(map[Listed]*sighting),
	}
}

// all returns the workers.
func (j *Janitor) all() []*worker {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.workers
}

// find returns the worker of a backend, nil if there is none.
func (j *Janitor) find(backend string) *worker {
	for _, w := range j.all() {
		if w.name == backend {
			return w
		}
	}
	return nil
}

// Add sweeps another backend from now on. Run must be running, until ctx ends at the latest.
func (j *Janitor) Add(ctx context.Context, s Server) {
	w := j.worker(s)
	j.mu.Lock()
	j.workers = append(slices.Clip(j.workers), w)
	j.mu.Unlock()
	select {
	case j.added <- w:
	case <-ctx.Done():
	}
}

// Release sweeps a backend for only as long as something may be unfinished there: until idle has told that nobody can make a branch there any
// more, and what is there has been finished since. ended is called then, once.
func (j *Janitor) Release(backend string, idle func() bool, ended func()) {
	if w := j.find(backend); w != nil {
		w.left.Store(&leaving{idle: idle, ended: ended})
		j.Poke(backend)
	}
}

// released reports whether the worker has nothing to do any more, and takes it out then.
func (j *Janitor) released(w *worker) bool {
	l := w.left.Load()
	switch {
	case l == nil:
		return false
	case l.since.IsZero():
		if l.idle() {
			l.since = time.Now()
			for _, other := range j.all() {
				j.Poke(other.name)
			}
		}
		return false
	}
	sweeps := j.latest()
	for _, s := range sweeps {
		if j.tells(s.backend, w.name) && (!s.done() || s.began.Before(l.since)) {
			return false
		}
	}
	if len(j.unfinished(w.name, sweeps)) > 0 {
		return false
	}
	j.mu.Lock()
	j.workers = slices.DeleteFunc(slices.Clone(j.workers), func(o *worker) bool { return o == w })
	j.mu.Unlock()
	j.o.Logger.Info().Str("backend", w.name).Msg("backend has left: nothing is unfinished there")
	l.ended()
	return true
}

// tells reports whether a sweep of one backend may show what another has to do with: it is the same, or decisions are on backends, and what is
// prepared on the one may be decided on the other.
func (j *Janitor) tells(one, other string) bool { return one == other || j.o.Decisions.Coord() == "" }

// unfinished says, by the name of the transaction, what keeps a backend from leaving, as the sweeps, the decisions and the coordinator tell.
func (j *Janitor) unfinished(backend string, sweeps []*sweep) map[string]string {
	all := make(map[string]string)
	for _, o := range j.o.InFlight.Orphans(backend) {
		all[o.XID.GTRID.String()] = "a branch is not proven to be finished"
	}
	for _, d := range j.o.Decisions.Unfinished() {
		if slices.ContainsFunc(d.Branches, func(b xa.BranchRef) bool { return b.Backend == backend }) {
			all[d.GTRID.String()] = "decided to commit, and not finished"
		}
	}
	for _, s := range sweeps {
		for l := range s.prepared {
			owner, g := Whose(l, j.o.Decisions.Coord())
			switch {
			case owner != Ours:
			case l.BQUAL == backend:
				all[l.GTRID] = "a branch is prepared"
			case g.Decider == backend:
				all[l.GTRID] = "a branch is prepared on " + l.BQUAL + ", and its decision is here"
			}
		}
	}
	return all
}

// Unfinished returns what keeps a backend from leaving: the transactions with a branch that is prepared there, or was decided and is not proven to
// be finished, or with a decision there that others need. What ends within moments, as it does all the time under load, does not count. The
// error says that it could not be looked at.
func (j *Janitor) Unfinished(ctx context.Context, backend string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience+j.o.Timeout)
	defer cancel()
	var stuck map[string]string
	for began := time.Now(); ; {
		telling := slices.DeleteFunc(slices.Clone(j.all()), func(w *worker) bool { return !j.tells(w.name, backend) })
		sweeps := sweepAll(ctx, telling, false, nil)
		for _, s := range sweeps {
			if s.err != nil {
				return nil, fmt.Errorf("%s cannot be looked at: %w", s.backend, s.err)
			}
		}
		j.conclude(j.latest(), false)
		now := j.unfinished(backend, sweeps)
		if stuck == nil {
			stuck = now
		}
		maps.DeleteFunc(stuck, func(gtrid, _ string) bool { return now[gtrid] == "" })
		if len(stuck) == 0 {
			return nil, nil
		}
		if time.Since(began) > patience {
			break
		}
		pause := time.NewTimer(unfinishedPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, ctx.Err()
		}
	}
	all := make([]string, 0, len(stuck))
	for gtrid, what := range stuck {
		all = append(all, gtrid+": "+what)
	}
	slices.SortFunc(all, strings.Compare)
	return all, nil
}

// Identity is that of the server that was found at a backend's address last, "" if none was.
func (j *Janitor) Identity(backend string) string {
	w := j.find(backend)
	if w == nil {
		return ""
	}
	known, _ := w.known.Load().(string)
	return known
}
