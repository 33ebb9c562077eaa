package recovery

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// session is one that may still hold branches, or be about to prepare or to finish them.
type session struct {
	id    uint64
	since time.Time // it existed then; the latest such time that is known
	xids  []xa.XID
}

// endSessions ends the sessions that lost their client: those of the orphans, and those of earlier runs of this process,
// which a server may not have noticed the end of. Those that cannot be ended are noted in s.held.
func (w *worker) endSessions(ctx context.Context, s *sweep, open []xa.Decision, orphans []xa.Orphan) error {
	s.held = make(map[xa.XID]error)
	sessions := make(map[uint64]*session)
	note := func(x xa.XID, server string, id uint64, since time.Time) {
		if id == 0 || !s.is(server) {
			return // on another server the id would be a stranger's
		}
		if sessions[id] == nil {
			sessions[id] = &session{id: id, since: since}
		}
		sessions[id].xids = append(sessions[id].xids, x)
		if since.After(sessions[id].since) { // a server gives ids again after a restart, so the latest session is the one to end
			sessions[id].since = since
		}
	}
	for _, o := range orphans {
		note(o.XID, o.Server, o.ConnID, o.Since)
	}
	for _, d := range open {
		if d.GTRID.Epoch == w.j.o.Decisions.Epoch() {
			continue // its lost connections are orphans; the others work for other transactions by now
		}
		for _, b := range d.Branches {
			if b.Backend == w.name && b.Server != "" {
				note(xa.XID{GTRID: d.GTRID, BQUAL: w.name}, b.Server, b.ConnID, d.Time)
			}
		}
	}
	if len(sessions) == 0 {
		return nil
	}
	startedCtx, cancel := w.ask(ctx)
	started, err := w.server.Started(startedCtx)
	cancel()
	if err != nil {
		return err
	}
	var mu sync.Mutex // protects s.held
	inOrder := slices.SortedFunc(maps.Values(sessions), func(a, b *session) int { return cmp.Compare(a.id, b.id) })
	inParallel(inOrder, func(x *session) {
		if x.since.Before(started) {
			return // it ended when the server did, and its id may be somebody else's now
		}
		ctx, cancel := w.ask(ctx)
		defer cancel()
		if err := w.server.KillConn(ctx, x.id); err != nil {
			mu.Lock()
			defer mu.Unlock()
			for _, xid := range x.xids {
				s.held[xid] = err
			}
		}
	})
	return nil
}

// endHolders ends the sessions that kept branches from being finished at the last sweep: MariaDB lets nobody else do that while they are
// there. Since then such a session may have ended its branch itself, and work for another transaction; so it is looked at once more.
func (w *worker) endHolders(ctx context.Context) error {
	var held []Listed
	for l, seen := range w.seen {
		if seen.held {
			held = append(held, l)
			seen.held = false
		}
	}
	if len(held) == 0 {
		return nil
	}
	listed, err := w.list(ctx)
	if err != nil {
		return err
	}
	there := set(listed)
	inParallel(held, func(l Listed) {
		if !there[bare(l)] {
			return
		}
		if err := w.endHolder(ctx, l); err != nil {
			w.j.o.Logger.Warn().Str("gtrid", l.GTRID).Str("backend", w.name).Err(err).Msg("the session that holds a branch cannot be ended")
		}
	})
	return nil
}

func (w *worker) endHolder(ctx context.Context, l Listed) error {
	g, err := xa.ParseGTRID(l.GTRID)
	if err != nil {
		return err
	}
	asked, cancel := w.ask(ctx)
	defer cancel()
	id, err := w.server.Holder(asked, named(g, l))
	if err != nil || id == 0 {
		return err
	}
	if err := w.server.KillConn(asked, id); err != nil {
		return err
	}
	w.j.o.Logger.Info().Str("gtrid", l.GTRID).Str("backend", w.name).Uint64("session", id).Msg("session ended that held a branch")
	return nil
}
