package proxy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// pin is a backend connection that the session keeps between statements, because it holds state of the client that
// cannot be brought to another one: a temporary table, a named lock, an open cursor.
type pin struct {
	conn    *backend.Conn
	reasons []string
}

// acquire lends a connection to a backend: the one that the session is pinned to, or one of the pool. Put gives either
// back.
func (s *session) acquire(b *backend.Backend) (*backend.Conn, error) {
	if p, ok := s.pins[b.Index]; ok {
		return p.conn, nil
	}
	return b.Get(s.ctx(), &s.state, s)
}

// hold pins the session to a connection that it has borrowed.
func (s *session) hold(conn *backend.Conn, why string) {
	index := conn.Backend().Index
	p, ok := s.pins[index]
	if !ok {
		if s.pins == nil {
			s.pins = make(map[int]*pin)
		}
		p = &pin{conn: conn}
		s.pins[index] = p
		conn.Hold()
		s.log(zerolog.DebugLevel).Str("backend", conn.Backend().Name()).Str("reason", why).Msg("pinned to a connection")
	}
	if !slices.Contains(p.reasons, why) {
		p.reasons = append(p.reasons, why)
	}
	s.showPins()
}

// showPins lets SHOW PROCESSLIST tell why the session keeps connections.
func (s *session) showPins() {
	var all []string
	for _, p := range s.pins {
		all = append(all, "pinned to "+p.conn.Backend().Name()+": "+strings.Join(p.reasons, ", "))
	}
	slices.Sort(all)
	s.work.keeps(all)
}

// holds reports whether the session is pinned to the connection.
func (s *session) holds(conn *backend.Conn) bool {
	p, ok := s.pins[conn.Backend().Index]
	return ok && p.conn == conn
}

// letGo takes back one reason. With the last one the connection is reset when it is put back, and can serve others.
func (s *session) letGo(conn *backend.Conn, why string) (free bool) {
	p, ok := s.pins[conn.Backend().Index]
	if !ok || p.conn != conn {
		return false
	}
	if i := slices.Index(p.reasons, why); i >= 0 {
		p.reasons = slices.Delete(p.reasons, i, i+1)
	}
	defer s.showPins()
	if len(p.reasons) > 0 {
		return false
	}
	delete(s.pins, conn.Backend().Index)
	conn.LetGo()
	return !conn.InBranch()
}

// left notes what a statement that succeeded has left on its connection, which the caller puts back.
func (s *session) left(p *router.Plan, conn *backend.Conn) {
	switch {
	case p.Pin == router.PinNone, p.Pin == router.PinFoundRows, p.Pin == router.PinLastInsertID: // ran has noted these
	case p.Unpin && p.Pin == router.PinLockTables:
		s.unlocked(conn)
	case p.Unpin && p.Pin == router.PinHandler:
		delete(s.handlers, p.Name)
		if index := conn.Backend().Index; !slices.Contains(slices.Collect(maps.Values(s.handlers)), index) {
			s.letGo(conn, p.Pin.String())
		}
	case p.Unpin:
		s.letGo(conn, p.Pin.String())
	default:
		s.hold(conn, p.Pin.String())
	}
	switch {
	case p.Pin == router.PinUserVariable:
		s.assigned(p.Variables, conn)
	case p.Pin == router.PinHandler && !p.Unpin:
		if s.handlers == nil {
			s.handlers = make(map[string]int)
		}
		s.handlers[p.Name] = conn.Backend().Index
	}
	s.router = s.router.After(p)
	if p.Drops && !s.router.HasTemporary(conn.Backend().Index) {
		s.letGo(conn, router.PinTemporaryTable.String())
	}
}

// atHandler is the plan of a statement about an open handler, at the backend where that is.
func (s *session) atHandler(p *router.Plan) *router.Plan {
	at := *p
	at.Verb = router.Route
	if index, ok := s.handlers[p.Name]; ok {
		at.Parts = []router.Part{{Backend: index}}
	}
	return &at
}

// unlockTables does what BEGIN does on a server to the tables that are locked, so that the connection can have a branch.
func (s *session) unlockTables() *wire.Error {
	conn := s.locked()
	if conn == nil {
		return nil
	}
	if e := s.tell(conn, "UNLOCK TABLES"); e != nil {
		return e
	}
	if s.unlocked(conn) {
		conn.Put()
	}
	return nil
}

// assigned notes that a statement has given user variables values that only its connection knows.
func (s *session) assigned(names []string, conn *backend.Conn) {
	if s.elsewhere == nil {
		s.elsewhere = make(map[string]int)
	}
	for _, name := range names {
		s.elsewhere[name] = conn.Backend().Index
		s.variables = slices.DeleteFunc(s.variables, func(v variable) bool { return v.name == "@"+name })
	}
	s.compose()
	conn.Became(&s.state)
}

// freeVariables gives up the connections that the session keeps for user variables which are known elsewhere by now.
func (s *session) freeVariables() {
	why := router.PinUserVariable.String()
	for index, pin := range s.pins {
		if slices.Contains(slices.Collect(maps.Values(s.elsewhere)), index) || !slices.Contains(pin.reasons, why) {
			continue
		}
		if s.letGo(pin.conn, why) {
			pin.conn.Put()
		}
	}
}

// reach makes user variables known where a statement goes that names them, if only another backend's connection knows them.
func (s *session) reach(p *router.Plan) *wire.Error {
	for _, name := range p.Variables {
		index, ok := s.elsewhere[name]
		if !ok || !slices.ContainsFunc(p.Parts, func(part router.Part) bool { return s.backend(p, part).Index != index }) {
			continue
		}
		if e := s.fetchVariables(s.pins[index].conn, []string{name}); e != nil {
			return e
		}
	}
	return nil
}

// bring makes the values that user variables have on a connection those of the session, after an answer to the client.
func (s *session) bring(conn *backend.Conn, names []string) error {
	if e := s.fetchVariables(conn, names); e != nil {
		return fmt.Errorf("read user variables: %w", e)
	}
	return nil
}

func (s *session) fetchVariables(conn *backend.Conn, names []string) *wire.Error {
	next := s.settings
	next.variables = slices.Clone(s.variables)
	for _, name := range names {
		v := variable{name: "@" + name}
		literal, err := userLiteral(conn, v.value())
		if err != nil {
			return clientError(err, false)
		}
		v.sql, v.literal = "SET "+v.place()+" = "+literal, literal
		next.note(v)
	}
	next.compose()
	changed := changedVariables(s.variables, next.variables)
	if len(changed) == 0 {
		return nil
	}
	return s.adopt(&next)
}

// pinned returns the backend that holds state of the client besides cursors, or nil.
func (s *session) pinned() *backend.Backend {
	for _, p := range s.pins {
		if slices.ContainsFunc(p.reasons, func(why string) bool { return why != pinCursor }) {
			return p.conn.Backend()
		}
	}
	return nil
}

// unpin gives all pinned connections up. Nothing of this client may be seen by another: they are closed.
func (s *session) unpin() {
	defer s.showPins()
	for index, p := range s.pins {
		delete(s.pins, index)
		p.conn.Break()
		p.conn.LetGo()
		p.conn.Put()
	}
	s.elsewhere, s.handlers, s.open = nil, nil, false
}

// lostPin reports whether a pinned connection broke: the client's state on it is gone, and only a new session of the
// client can start without it.
func (s *session) lostPin() error {
	for _, p := range s.pins {
		if p.conn.Broken() {
			return errPinLost
		}
	}
	return nil
}

var errPinLost = errors.New("the backend connection that held state of the client broke")
