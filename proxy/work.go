package proxy

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/wire"
)

// work is what others may see and interrupt of a session: whether it runs a statement, since when, and where. It is also the
// context of what the statement waits for before it runs: one of package context would cost every statement an allocation.
type work struct {
	mu     sync.Mutex  // protects following fields
	gen    *generation // that the session may use backends of: between commands only in a transaction, or while it is pinned
	user   *user       // whose session it is; nil before the login
	name   string      // of user
	schema string      // the current one
	pins   []string    // why the session keeps connections
	since  time.Time   // when the statement began; zero between statements
	text   []byte      // the beginning of the statement
	slept  time.Time   // when the last statement ended
	inTx   bool        // a transaction was open then
	ending bool        // the session is to end when none is
	conns  []*backend.Conn
	visits []visit // on backends, that the statement has ended; only its session asks
	timed  atomic.Bool
	used   bool   // a connection was used by the statement; only its session asks
	doing  string // what the statement does, in words; "" if conns say all

	limit  time.Duration // that the statement has set itself, 0: none
	killed bool          // the statement is to end
	done   chan struct{} // closed when it is; made when somebody waits for it
	again  time.Time     // when it is killed once more, if it still runs then
	pause  time.Duration // before that

	// killing is there while a kill is on its way, and closed then: no connection leaves meanwhile, so that the kill hits what
	// it was meant for.
	killing chan struct{}
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

// isOf reports whether it is a session of the user with this name.
func (w *work) isOf(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.user != nil && w.name == name
}

// limited notes that the user has other limits.
func (w *work) limited(u *user) {
	w.mu.Lock()
	w.user = u
	w.mu.Unlock()
}

// begin notes that a statement runs. It returns the generation that the session holds on to, or if there is none the newest one, which it is
// seen to hold before anything happens; the newest one; and whether the session is to end when no transaction is open.
func (w *work) begin(now time.Time, newest *atomic.Pointer[generation]) (held, last *generation, ending bool) {
	w.mu.Lock()
	w.since, w.killed, w.used = now, false, false
	if last = newest.Load(); w.gen == nil {
		w.gen = last
	}
	held, ending = w.gen, w.ending
	w.mu.Unlock()
	return held, last, ending
}

// holds returns the generation that the session may use backends of, nil if there is none.
func (w *work) holds() *generation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gen
}

// moves lets a session that nothing keeps any more hold on to the newest generation.
func (w *work) moves(newest *atomic.Pointer[generation]) *generation {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gen = newest.Load()
	return w.gen
}

// uses notes that the statement runs on a connection, until leaves or end.
func (w *work) uses(c *backend.Conn) {
	w.mu.Lock()
	w.conns, w.used = append(w.conns, c), true
	w.arrives(c)
	w.mu.Unlock()
}

// leaves notes that the statement has finished on a connection, before anybody else can borrow it.
func (w *work) leaves(c *backend.Conn) {
	w.mu.Lock()
	w.settle()
	if i := slices.Index(w.conns, c); i >= 0 {
		w.departs(c)
		w.conns = slices.Delete(w.conns, i, i+1)
	}
	w.mu.Unlock()
}

// drop is leaves for all connections: those of a transaction, before it ends and gives them back.
func (w *work) drop() {
	w.mu.Lock()
	w.clear()
	w.mu.Unlock()
}

// clear is drop with w.mu held.
func (w *work) clear() {
	w.settle()
	for _, c := range w.conns {
		w.departs(c)
	}
	clear(w.conns)
	w.conns = w.conns[:0]
}

// shownText is how much of a statement SHOW FULL PROCESSLIST shows, in bytes.
const shownText = 1 << 10

// runs notes the text of the statement.
func (w *work) runs(text []byte) {
	w.mu.Lock()
	w.text = append(w.text[:0], text[:min(len(text), shownText)]...)
	w.mu.Unlock()
}

// does notes how far the statement has come.
func (w *work) does(what string) {
	w.mu.Lock()
	w.doing = what
	w.mu.Unlock()
}

// end notes that the statement has been answered, and how it left the session. It reports whether the session is to end when no transaction is open.
func (w *work) end(now time.Time, inTx, pinned bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inTx = inTx; !inTx && !pinned {
		w.gen = nil
	}
	w.since, w.slept, w.done, w.doing = time.Time{}, now, nil, ""
	w.clear()
	return w.ending
}

// finish says that the session is to end as soon as it runs no statement and no transaction is open. It reports whether that is now.
func (w *work) finish() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ending = true
	return w.since.IsZero() && !w.inTx
}

// settle waits until no kill is on its way. w.mu is held, but not while it waits.
func (w *work) settle() {
	for w.killing != nil {
		sent := w.killing
		w.mu.Unlock()
		<-sent
		w.mu.Lock()
	}
}

// running returns how long the present statement has run, zero between statements. Due says that no kill of it is on its way
// or may still take effect; killed that there was one.
func (w *work) running(now time.Time) (took time.Duration, due, killed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		return 0, false, false
	}
	return now.Sub(w.since), w.killing == nil && !(w.killed && now.Before(w.again)), w.killed
}

// bound notes how long the present statement may run, 0 for as long as it likes.
func (w *work) bound(limit time.Duration) {
	w.mu.Lock()
	w.limit = limit
	w.mu.Unlock()
}

// finishes reports whether the statement is better finished than ended when nobody waits for its answer any more: DDL, which a server
// finishes too, would be done on some backends only.
func (w *work) finishes() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.doing != ""
}

// overran reports whether the statement has run for longer than it may by itself.
func (w *work) overran(took time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.limit > 0 && took > w.limit
}

// kill ends the present statement: it does not wait for connections any more, and is ended on all of its backends, within
// the time that connecting to them may take. A server that cannot be told loses its connection, so that nobody waits for it.
//
// A server forgets a kill that comes before the statement does, so the watcher repeats it until the statement has ended.
func (w *work) kill() {
	w.mu.Lock()
	if w.since.IsZero() || w.killing != nil {
		w.mu.Unlock()
		return
	}
	if w.pause *= 2; !w.killed {
		w.killed, w.pause = true, watchInterval
		if w.done != nil {
			close(w.done)
		}
	}
	sent := make(chan struct{})
	w.killing = sent
	conns := slices.Clone(w.conns)
	w.mu.Unlock()
	parallel(len(conns), func(i int) {
		if err := conns[i].Backend().KillQuery(background, conns[i].ID); err != nil {
			conns[i].Abort()
		}
	})
	w.mu.Lock()
	w.killing, w.again = nil, time.Now().Add(w.pause)
	w.mu.Unlock()
	close(sent)
}

// Done, Err, Deadline and Value make it a context.Context.
func (w *work) Done() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done == nil {
		w.done = make(chan struct{})
		if w.killed {
			close(w.done)
		}
	}
	return w.done
}

// Err is not nil when the statement is to end.
func (w *work) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.killed {
		return context.Canceled
	}
	return nil
}

// Deadline says that there is none: time limits are the watcher's.
func (w *work) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value has none.
func (w *work) Value(any) any { return nil }

// watchInterval is how often running statements are looked at, and how long one must have run to be looked at.
const watchInterval = 250 * time.Millisecond

// watch ends the statements whose client has gone or whose time is up, until ctx ends. It waits for none of them: a server
// that does not answer must not keep it from the others.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, one := range s.sessions() {
				if why := one.overdue(now); why != "" {
					s.logger.Debug().Uint32("conn", one.id).Msg(why) // the rest of the session is its own goroutine's
					s.running.Go(one.work.kill)
				}
			}
		}
	}
}

// overdue says why the session's statement must be ended, or nothing. It is called by the watcher.
func (s *session) overdue(now time.Time) string {
	took, due, killed := s.work.running(now)
	user := s.work.owner()
	switch {
	case took < watchInterval || !due || user == nil:
	case killed:
		return "statement runs on after it was killed"
	case hungUp(s.net) && !s.work.finishes():
		return "client went away while its statement ran"
	case user.limit > 0 && took > user.limit:
		return "statement ran for longer than max_execution_time"
	case s.work.overran(took):
		return "statement ran for longer than its hint timeout"
	}
	return ""
}

// GiveUp closes the connections to a backend on which statements run, under their hands: it is known that none will be answered. It returns how
// many there were. What is open there without a statement stays.
func (s *Server) GiveUp(b *backend.Backend) (n int) {
	for _, one := range s.sessions() {
		n += one.work.giveUp(b)
	}
	return n
}

func (w *work) giveUp(b *backend.Backend) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		if c.Backend().Shares(b) {
			c.Abort()
			n++
		}
	}
	return n
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
	case !all[i].work.isOf(s.login.User):
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

// terminate ends the session: its client is disconnected, its statement killed, its transaction rolled back. In this order, as on
// a server: the client does not hear of the end of its statement.
func (s *session) terminate() {
	_ = s.net.Close() // also under the hands of a write that the client does not take
	s.work.kill()
}
