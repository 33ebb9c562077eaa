package proxy

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/wire"
)

// work is what others may see and interrupt of a session: whether it runs a statement, since when, and where.
type work struct {
	mu     sync.Mutex // protects following fields; held while a kill is sent, so that it hits what it was meant for
	user   *user      // whose session it is; nil before the login
	name   string     // of user
	slept  time.Time  // when the last statement ended
	pins   []string   // why the session keeps connections
	schema string     // the current one
	since  time.Time  // when the statement began; zero between statements
	conns  []*backend.Conn
}

// belongs notes whose session it is, and in which schema it begins.
func (w *work) belongs(u *user, name, schema string) {
	w.mu.Lock()
	w.user, w.name, w.schema, w.slept = u, name, schema, time.Now()
	w.mu.Unlock()
}

// moved notes that the session has another current schema.
func (w *work) moved(schema string) {
	w.mu.Lock()
	w.schema = schema
	w.mu.Unlock()
}

// keeps notes why the session keeps connections.
func (w *work) keeps(pins []string) {
	w.mu.Lock()
	w.pins = pins
	w.mu.Unlock()
}

// owner returns whose session it is.
func (w *work) owner() *user {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.user
}

// begin notes that a statement runs.
func (w *work) begin(now time.Time) {
	w.mu.Lock()
	w.since = now
	w.mu.Unlock()
}

// uses notes that the statement runs on a connection, until leaves or end.
func (w *work) uses(c *backend.Conn) {
	w.mu.Lock()
	w.conns = append(w.conns, c)
	w.mu.Unlock()
}

// leaves notes that the statement has finished on a connection, before anybody else can borrow it.
func (w *work) leaves(c *backend.Conn) {
	w.mu.Lock()
	if i := slices.Index(w.conns, c); i >= 0 {
		w.conns = slices.Delete(w.conns, i, i+1)
	}
	w.mu.Unlock()
}

// drop is leaves for all connections: those of a transaction, before it ends and gives them back.
func (w *work) drop() {
	w.mu.Lock()
	clear(w.conns)
	w.conns = w.conns[:0]
	w.mu.Unlock()
}

// end notes that the statement has been answered.
func (w *work) end() {
	w.mu.Lock()
	w.since, w.slept = time.Time{}, time.Now()
	w.mu.Unlock()
	w.drop()
}

// running returns how long the present statement has run, zero between statements.
func (w *work) running(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		return 0
	}
	return now.Sub(w.since)
}

// kill ends the present statement on all of its backends, within the time that connecting to them may take. A server
// that cannot be told loses its connection, so that nobody waits for it.
func (w *work) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	parallel(len(w.conns), func(i int) {
		if err := w.conns[i].Backend().KillQuery(background, w.conns[i].ID); err != nil {
			w.conns[i].Abort()
		}
	})
}

// watchInterval is how often running statements are looked at, and how long one must have run to be looked at.
const watchInterval = 250 * time.Millisecond

// watch ends the statements whose client has gone or whose time is up, until ctx ends.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			var ending sync.WaitGroup
			for _, one := range s.sessions() {
				if why := one.overdue(now); why != "" {
					one.log.Debug().Msg(why)
					ending.Go(one.work.kill)
				}
			}
			ending.Wait()
		}
	}
}

// overdue says why the session's statement must be ended, or nothing. It is called by the watcher.
func (s *session) overdue(now time.Time) string {
	took, user := s.work.running(now), s.work.owner()
	switch {
	case took < watchInterval || user == nil:
	case hungUp(s.net):
		return "client went away while its statement ran"
	case user.limit > 0 && took > user.limit:
		return "statement ran for longer than max_execution_time"
	}
	return ""
}

// sessions returns the open sessions.
func (s *Server) sessions() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*session, 0, len(s.open))
	for one := range s.open {
		all = append(all, one)
	}
	return all
}

// kill answers KILL and COM_PROCESS_KILL. The ids are those of xaproxy, which clients got in their handshake; a user may
// end what is its own.
func (s *session) kill(id uint64, query bool) error {
	all := s.srv.sessions()
	i := slices.IndexFunc(all, func(one *session) bool { return uint64(one.id) == id && one.work.owner() != nil })
	switch {
	case i < 0:
		return s.fail(&wire.Error{Errno: 1094, State: "HY000", Message: fmt.Sprintf("Unknown thread id: %d", id)})
	case all[i].work.owner() != s.user:
		return s.fail(&wire.Error{Errno: 1095, State: "HY000", Message: fmt.Sprintf("You are not owner of thread %d", id)})
	case all[i] == s: // it runs nothing but this
		e := wire.NewError(wire.CodeQueryInterrupted, "Query execution was interrupted")
		if err := s.fail(e); err != nil || query {
			return err
		}
		return e
	case query:
		all[i].work.kill()
	default:
		all[i].terminate()
	}
	return s.ok(wire.OK{})
}

// terminate ends the session: its statement is killed, its client disconnected, its transaction rolled back.
func (s *session) terminate() {
	s.work.kill()
	_ = s.net.SetDeadline(time.Unix(1, 0)) // a connection that is closed already needs nothing
}
