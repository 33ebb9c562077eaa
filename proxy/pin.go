package proxy

import (
	"errors"
	"slices"

	"github.com/xaproxy/xaproxy/backend"
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
	return b.Get(s.ctx(), &s.state)
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
		s.log.Debug().Str("backend", conn.Backend().Name()).Str("reason", why).Msg("pinned to a connection")
	}
	if !slices.Contains(p.reasons, why) {
		p.reasons = append(p.reasons, why)
	}
}

// letGo takes back one reason. With the last one the connection is reset and can serve others.
func (s *session) letGo(b *backend.Backend, why string) {
	p, ok := s.pins[b.Index]
	if !ok {
		return
	}
	if i := slices.Index(p.reasons, why); i >= 0 {
		p.reasons = slices.Delete(p.reasons, i, i+1)
	}
	if len(p.reasons) == 0 {
		delete(s.pins, b.Index)
		p.conn.LetGo()
	}
}

// unpin gives all pinned connections up. Nothing of this client may be seen by another: they are closed.
func (s *session) unpin() {
	for index, p := range s.pins {
		delete(s.pins, index)
		p.conn.Break()
		p.conn.LetGo()
	}
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
