package proxy

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/xa"
)

// SlowStatement is a statement that took as long as slow_statement, or longer.
type SlowStatement struct {
	Ended        time.Time // when its answer was complete
	Conn         uint32    // as clients know it
	User, Schema string
	Kind         string   // what it begins with, as Metrics have it
	Plan         string   // how it was carried out, as Metrics have it
	Text         string   // its beginning, with ? in place of each value
	Outline      []string // of its plan
	Took         time.Duration
	Queued       time.Duration // of Took, until it had its connections
	Backends     []BackendTime // of Took, waits for the answers of each; several may be waited for at once
	Rows         int64         // that were sent, or changed
	Errno        uint16        // 0: it has succeeded
	GTRID        string        // of its transaction; "" without one that has a branch
}

// BackendTime is how long a backend kept a statement waiting.
type BackendTime struct {
	Backend string
	Took    time.Duration
}

// slowStatements keeps the last ones.
type slowStatements struct {
	mu   sync.Mutex // protects following fields
	kept []SlowStatement
	next int // where the next one goes, once kept is as long as it may be
}

// keep adds one to the limit that are kept at most.
func (k *slowStatements) keep(one SlowStatement, limit int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.kept) > limit { // it was changed
		k.kept, k.next = slices.Clone(k.inOrder()[len(k.kept)-limit:]), 0
	}
	switch {
	case limit == 0:
	case len(k.kept) < limit:
		k.kept, k.next = append(k.inOrder(), one), 0
	default:
		k.kept[k.next] = one
		k.next = (k.next + 1) % limit
	}
}

// inOrder returns them from the oldest to the newest. k.mu is held.
func (k *slowStatements) inOrder() []SlowStatement {
	if k.next == 0 {
		return k.kept
	}
	return slices.Concat(k.kept[k.next:], k.kept[:k.next])
}

// SlowStatements returns the slow statements that are kept, the oldest first.
func (s *Server) SlowStatements() []SlowStatement {
	s.slow.mu.Lock()
	defer s.slow.mu.Unlock()
	return slices.Clone(s.slow.inOrder())
}

// slow logs and keeps the statement that has been answered by now.
func (s *session) slow(now time.Time, took time.Duration) {
	one := s.observed(now, took)
	one.Outline = s.gen.router.Outline(s.noted.of)
	s.srv.slow.keep(one, s.gen.cfg.Server.SlowStatements)
	one.log(s.log(zerolog.WarnLevel))
}

// observed is what is known of the statement that has been answered by now, but for the outline of its plan.
func (s *session) observed(now time.Time, took time.Duration) SlowStatement {
	n := &s.noted
	one := SlowStatement{
		Ended: now, Conn: s.id, User: s.login.User, Schema: s.state.Schema, Kind: kindNames[n.kind], Plan: planName(int(n.plan)),
		Text: s.work.shown(s.mode), Took: took, Rows: s.past.rowCount,
	}
	one.Queued, one.Backends = s.work.spent(took)
	if one.Rows < 0 {
		one.Rows = int64(s.past.foundRows)
	}
	if s.failed {
		one.Errno = s.past.errno
	}
	switch {
	case n.gtrid != xa.GTRID{}:
		one.GTRID = n.gtrid.String()
	case s.tx != nil && s.tx.xa != nil:
		one.GTRID = s.tx.xa.GTRID().String()
	}
	return one
}

func (o *SlowStatement) log(e *zerolog.Event) {
	waits := zerolog.Dict()
	for _, b := range o.Backends {
		waits.Dur(b.Backend, b.Took)
	}
	e = e.Str("schema", o.Schema).Str("kind", o.Kind).Str("plan", o.Plan).Str("statement", o.Text).Str("outline", strings.Join(o.Outline, "\n")).
		Dur("took", o.Took).Dur("queued", o.Queued).Dict("backends", waits).Int64("rows", o.Rows)
	if o.Errno != 0 {
		e = e.Uint16("errno", o.Errno)
	}
	if o.GTRID != "" {
		e = e.Str("gtrid", o.GTRID)
	}
	e.Msg("slow statement")
}

// visit is what a statement has had of a backend.
type visit struct {
	backend *backend.Backend
	name    string // in place of backend
	queued  time.Duration
	waited  time.Duration
}

// times says whether the waits for backends are measured by their reads: where there are several. Where there is one it is waited for all the
// time, and need not be.
func (w *work) times(several bool) {
	if w.timed.Load() != several {
		w.timed.Store(several)
	}
}

// arrives notes that the statement has come to a connection. w.mu is held.
func (w *work) arrives(c *backend.Conn) {
	if w.timed.Load() {
		c.Time()
	}
	w.visit(visit{backend: c.Backend(), queued: c.Queued()})
}

// departs notes that it has left the connection again. w.mu is held.
func (w *work) departs(c *backend.Conn) {
	if w.timed.Load() {
		w.visit(visit{backend: c.Backend(), waited: c.Waited()})
	}
}

// visit adds up visits by backend.
func (w *work) visit(v visit) {
	for i := range w.visits {
		if one := &w.visits[i]; one.backend == v.backend && one.name == v.name {
			one.queued += v.queued
			one.waited += v.waited
			return
		}
	}
	w.visits = append(w.visits, v)
}

// visited forgets the visits of a statement.
func (w *work) visited() {
	clear(w.visits)
	w.visits = w.visits[:0]
}

// spent says what a statement that took so long has waited for.
func (w *work) spent(took time.Duration) (queued time.Duration, waits []BackendTime) {
	if len(w.visits) == 1 && w.visits[0].waited == 0 && w.visits[0].backend != nil {
		w.visits[0].waited = took - w.visits[0].queued
	}
	for _, v := range w.visits {
		if queued += v.queued; v.backend != nil {
			v.name = v.backend.Name()
		}
		at := slices.IndexFunc(waits, func(b BackendTime) bool { return b.Backend == v.name })
		if at < 0 {
			at, waits = len(waits), append(waits, BackendTime{Backend: v.name})
		}
		waits[at].Took += v.waited
	}
	return queued, waits
}

// shown is the text of the statement as it may be shown.
func (w *work) shown(mode router.Mode) string {
	text := router.Redact(w.text, mode)
	if len(w.text) == shownText && !strings.HasSuffix(text, "...") {
		text += " ..."
	}
	return text
}

// ended notes the transaction that the statement has ended.
func (s *session) ended(a xa.Answer) {
	s.noted.gtrid = a.GTRID
	for _, b := range a.Branches {
		s.work.visit(visit{name: b.Backend, waited: b.Took})
	}
}
