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
	id     uint64
	server string    // its identity; "" when unknown
	since  time.Time // it existed then; the latest such time that is known
	xids   []xa.XID
}

// endSessions ends the sessions that lost their client: those of the orphans, and those of earlier runs of this process,
// which a server may not have noticed the end of, and those that keep another process's decided branch. Those that cannot be ended are
// noted in s.held.
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
	for _, seen := range w.seen {
		if h := seen.holder; h != nil {
			note(h.xids[0], h.server, h.id, h.since)
			seen.holder = nil
		}
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

// holder returns the session that keeps a branch of a decider's transaction from being committed, if err says that there may be one:
// MariaDB knows no branch of a session that is still there. Those of our own log's transactions are ended in any case.
func (w *worker) holder(b *branch, err error) *session {
	if b.gtrid.Decider == "" || b.Verdict != Commit || !xa.IsErrno(err, xa.ErrnoNotA) {
		return nil
	}
	d := b.evidence.Ruling.Decision
	for _, ref := range d.Branches {
		if ref.Backend == w.name && ref.Server == w.identity {
			return &session{id: ref.ConnID, server: ref.Server, since: d.Time, xids: []xa.XID{{GTRID: b.gtrid, BQUAL: w.name}}}
		}
	}
	return nil
}
