package recovery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// worker sweeps one backend.
type worker struct {
	j      *Janitor
	server Server
	name   string
	poke   chan struct{} // holds one token when a sweep is wanted now
	last   atomic.Pointer[sweep]
	known  atomic.Value            // the identity that was found last, a string
	left   atomic.Pointer[leaving] // nil while the backend is in the configuration

	// turn is a mutex that can be waited for with a context: it holds a token while a sweep runs. It protects the
	// following fields.
	turn     chan struct{}
	seen     map[Listed]*sighting
	failing  bool
	identity string // that the last sweep found
}

// sighting is what a worker remembers of a listed branch.
type sighting struct {
	first  time.Time
	warned bool // that it cannot be finished
	heur   bool // its heuristic outcome is in the log
	held   bool // a session that is still there may keep it from being finished
}

// sweep is the result of looking at one backend once. It is immutable when worker.sweep has returned it.
type sweep struct {
	backend  string
	began    time.Time
	ended    time.Time
	err      error // why the list below could not be had; nothing may be concluded from the other fields then
	identity string
	open     map[xa.GTRID]bool // the decisions that were unfinished, and not in flight, before anything was looked at
	held     map[xa.XID]error  // branches that a session may still hold, because it could not be ended
	branches []branch          // everything that was listed, first or last
	prepared map[Listed]bool   // what was listed last, each without its session
}

// branch is one listed branch with what was concluded and done.
type branch struct {
	listed   Listed
	gtrid    xa.GTRID // valid unless foreign
	owner    Owner
	evidence Evidence
	Judgement
	age    time.Duration // since the first sighting
	result string        // what was done, for people; "" if nothing
	ended  ending
}

// ending says how a branch was finished by this sweep.
type ending uint8

const (
	notEnded ending = iota
	committed
	rolledBack
	heuristic
)

// done reports whether the backend could be looked at.
func (s *sweep) done() bool { return s != nil && !s.ended.IsZero() && s.err == nil }

// lists reports whether the branch was prepared when the sweep ended.
func (s *sweep) lists(x xa.XID) bool {
	return s.prepared[Listed{FormatID: xa.FormatID, GTRID: x.GTRID.String(), BQUAL: x.BQUAL}]
}

// is reports whether the sweep looked at the server with this identity, if it is known.
func (s *sweep) is(server string) bool { return server == "" || server == s.identity }

// sweep looks at the backend once, and finishes what is to be finished unless dryRun is set. The package comment says
// in which order and why.
func (w *worker) sweep(ctx context.Context, dryRun bool) *sweep {
	s := &sweep{backend: w.name, began: time.Now()}
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		s.err = ctx.Err()
		return s
	}
	s.err = w.look(ctx, s, dryRun)
	s.ended = time.Now()
	if dryRun || ctx.Err() != nil {
		return s
	}
	log := &w.j.o.Logger
	switch {
	case s.err != nil && !w.failing:
		log.Warn().Str("backend", w.name).Err(s.err).Msg("backend cannot be swept")
	case s.err == nil && w.failing:
		log.Info().Str("backend", w.name).Msg("backend can be swept again")
	}
	w.failing = s.err != nil
	w.last.Store(s)
	return s
}

// look fills s in.
func (w *worker) look(ctx context.Context, s *sweep, dryRun bool) error {
	// Before anything is asked of the server: what is not in flight now has all its branches, decided or orphaned, in
	// place, so the lists below can prove something about it.
	s.open = make(map[xa.GTRID]bool)
	var open []xa.Decision
	for _, d := range w.j.o.Decisions.Unfinished() {
		if !w.j.o.InFlight.InFlight(d.GTRID) {
			s.open[d.GTRID] = true
			open = append(open, d)
		}
	}
	orphans := w.j.o.InFlight.Orphans(w.name)

	if err := w.identify(ctx, s); err != nil {
		return err
	}
	if !dryRun {
		if err := w.endSessions(ctx, s, open, orphans); err != nil {
			return err
		}
		if err := w.endHolders(ctx); err != nil {
			return err
		}
	}
	listed, err := w.list(ctx)
	if err != nil {
		return err
	}
	s.branches, s.prepared = w.judge(ctx, nil, listed, dryRun), set(listed)
	if dryRun || !w.finish(ctx, s.branches) {
		w.adopt(s, orphans, dryRun)
		return nil
	}
	if listed, err = w.list(ctx); err != nil {
		return err
	}
	s.branches, s.prepared = w.judge(ctx, s.branches, listed, false), set(listed)
	for l, seen := range w.seen {
		if !s.prepared[bare(l)] {
			seen.held = false // it was finished meanwhile, and the session that had it works for others by now
		}
	}
	w.adopt(s, orphans, dryRun)
	return nil
}

// ask bounds one question to the server.
func (w *worker) ask(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, w.j.o.Timeout)
}

func (w *worker) list(ctx context.Context) ([]Listed, error) {
	ctx, cancel := w.ask(ctx)
	defer cancel()
	return w.server.Prepared(ctx)
}

// identify learns which server this is, and tells when it is another one than before.
func (w *worker) identify(ctx context.Context, s *sweep) error {
	ctx, cancel := w.ask(ctx)
	defer cancel()
	identity, err := w.server.Identity(ctx)
	if err != nil {
		return err
	}
	if w.identity != "" && identity != w.identity {
		w.j.o.Logger.Error().Str("backend", w.name).Str("was", w.identity).Str("is", identity).
			Msg("another server answers for the backend: what was prepared on the old one and is not listed by the new one is not finished before the old one is back")
	}
	w.identity, s.identity = identity, identity
	w.known.Store(identity)
	return nil
}

// judge adds the listed branches that are not in known, each with its judgement, and forgets the sightings that are
// over. The listing has been made: only now may the in-flight table be asked, and only then the decisions.
func (w *worker) judge(ctx context.Context, known []branch, listed []Listed, dryRun bool) []branch {
	there := set(listed)
	have := make(map[Listed]bool, len(known))
	for _, b := range known {
		have[b.listed] = true
	}
	for l := range w.seen {
		if !there[bare(l)] && !have[l] {
			delete(w.seen, l)
		}
	}
	fresh := len(known)
	var asked []xa.GTRID
	var askedBy []int
	for _, l := range listed {
		if have[l] {
			continue
		}
		have[l] = true
		b := w.evidence(l)
		if b.owner == Ours && !b.evidence.InFlight && l.BQUAL == w.name {
			asked, askedBy = append(asked, b.gtrid), append(askedBy, len(known))
		}
		known = append(known, b)
	}
	if len(asked) > 0 {
		for i, r := range w.j.o.Decisions.Lookup(ctx, asked, dryRun) {
			known[askedBy[i]].evidence.Ruling = r
		}
	}
	for i := fresh; i < len(known); i++ {
		b := &known[i]
		if b.Judgement = Judge(b.evidence); b.Verdict == Fenced {
			w.j.fence(fmt.Errorf("backend %s: branch %s/%s was %s", w.name, b.listed.GTRID, b.listed.BQUAL, b.Reason))
		}
	}
	return known
}

// evidence gathers what is known here of a listed branch; the ruling is still to come.
func (w *worker) evidence(l Listed) branch {
	seen := w.seen[l]
	if seen == nil {
		seen = &sighting{first: time.Now()}
		w.seen[l] = seen
	}
	decisions := w.j.o.Decisions
	b := branch{listed: l, age: time.Since(seen.first)}
	b.evidence = Evidence{Backend: w.name, Coord: decisions.Coord(), Epoch: decisions.Epoch(), Listed: l}
	if b.owner, b.gtrid = Whose(l, b.evidence.Coord); b.owner == Ours {
		b.evidence.InFlight = w.j.o.InFlight.InFlight(b.gtrid)
		b.evidence.Sibling = l.BQUAL != w.name && w.j.find(l.BQUAL) != nil
	}
	return b
}

// finish commits and rolls back as judged, and reports whether anything was tried. After a question that got no answer
// nothing more is asked: the list that follows shows whether the server answers at all.
func (w *worker) finish(ctx context.Context, branches []branch) (tried bool) {
	var due []*branch
	for i := range branches {
		if v := branches[i].Verdict; v == Commit || v == Rollback {
			due = append(due, &branches[i])
		}
	}
	var silent atomic.Bool
	inParallel(due, func(b *branch) {
		if silent.Load() || w.j.isFenced() != nil {
			return
		}
		if !w.finishOne(ctx, b) {
			silent.Store(true)
		}
	})
	return len(due) > 0
}

// finishOne finishes a branch and reports whether the server gave any answer. An answer "unknown XID" finishes nothing:
// a session may still hold the branch, and then it is on a later list.
func (w *worker) finishOne(ctx context.Context, b *branch) (answered bool) {
	ctx, cancel := w.ask(ctx)
	defer cancel()
	verb := w.server.Commit
	if b.Verdict == Rollback {
		verb = w.server.Rollback
	}
	err := verb(ctx, named(b.gtrid, b.listed))
	rolledBackBefore := xa.IsErrno(err, xa.ErrnoRBRollback, xa.ErrnoRBTimeout, xa.ErrnoRBDeadlock)
	log := w.j.o.Logger.With().Str("gtrid", b.gtrid.String()).Str("backend", w.name).Logger()
	switch {
	case err == nil && b.Verdict == Commit:
		b.ended, b.result = committed, "committed"
		w.j.ended(xa.XID{GTRID: b.gtrid, BQUAL: w.name})
		log.Info().Str("reason", b.Reason).Msg("branch committed")
	case err == nil, rolledBackBefore && b.Verdict == Rollback:
		b.ended, b.result = rolledBack, "rolled back"
		log.Info().Str("reason", b.Reason).Msg("branch rolled back")
	case rolledBackBefore:
		w.heuristic(ctx, b, err)
	default:
		b.result = "kept: " + err.Error()
		w.seen[b.listed].held = xa.IsErrno(err, xa.ErrnoNotA)
		if seen := w.seen[b.listed]; !seen.warned {
			seen.warned = true
			log.Warn().Str("verdict", string(b.Verdict)).Err(err).Msg("branch cannot be finished yet")
		}
	}
	var se *xa.ServerError
	return err == nil || errors.As(err, &se)
}

// heuristic notes that a decided branch was rolled back by its server.
func (w *worker) heuristic(ctx context.Context, b *branch, cause error) {
	b.ended = heuristic
	b.result = "heuristic: the server had nothing left to commit"
	seen := w.seen[b.listed]
	if seen.heur {
		return
	}
	seen.heur = true
	log := w.j.o.Logger.Error().Str("gtrid", b.gtrid.String()).Str("backend", w.name).AnErr("answer", cause)
	text := fmt.Sprintf("decided to commit, but the server answered %v: it has rolled the branch back, or the branch had changed no row", cause)
	if err := w.j.o.Decisions.Heuristic(ctx, b.gtrid, w.name, text); err != nil {
		log = log.Err(err)
	}
	log.Msg("a committed transaction may lack this branch")
}

// adopt tells the coordinator which orphans are finished: on their own server their session is gone and they are not prepared.
func (w *worker) adopt(s *sweep, orphans []xa.Orphan, dryRun bool) {
	if dryRun {
		return
	}
	for _, o := range orphans {
		if s.is(o.Server) && s.held[o.XID] == nil && !s.lists(o.XID) {
			w.j.o.InFlight.Adopt(o.XID)
		}
	}
}

// inParallel calls do for every item, a few at a time, and returns when all calls have returned.
func inParallel[T any](items []T, do func(T)) {
	var next atomic.Int64
	var running sync.WaitGroup
	for range min(finishers, len(items)) {
		running.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(items)); i = next.Add(1) - 1 {
				do(items[i])
			}
		})
	}
	running.Wait()
}

// set has the branches without their sessions, which decisions know nothing of.
func set(listed []Listed) map[Listed]bool {
	m := make(map[Listed]bool, len(listed))
	for _, l := range listed {
		m[bare(l)] = true
	}
	return m
}

func bare(l Listed) Listed {
	l.Session = ""
	return l
}

// named is the name of a listed branch of this transaction.
func named(g xa.GTRID, l Listed) xa.XID { return xa.XID{GTRID: g, BQUAL: l.BQUAL, Session: l.Session} }

// bqual is the one that the server has.
func bqual(l Listed) string {
	if l.Session == "" {
		return l.BQUAL
	}
	return l.BQUAL + "." + l.Session
}
