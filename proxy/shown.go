package proxy

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/router"
)

// Shown is a session as administrators see it.
type Shown struct {
	ID        uint64
	User      string // "" before the login
	Host      string
	Schema    string
	Came      time.Time
	Running   bool
	Since     time.Time // when the statement began, or the last one has ended
	Statement string    // the beginning of the present one
	InTx      bool      // a transaction was open when the last statement had ended
	Backends  []string  // where the statement runs
	Keeps     []string  // why the session keeps connections
}

// Shown are the open sessions, by id. A session waits for none of this longer than it takes to copy a few words of it.
func (s *Server) Shown() []Shown {
	open := s.sessions()
	all := make([]Shown, len(open))
	for i, one := range open {
		all[i] = one.show()
	}
	slices.SortFunc(all, func(a, b Shown) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (s *session) show() Shown {
	w := &s.work
	x := Shown{ID: uint64(s.id), Host: s.net.RemoteAddr().String(), Came: s.came, Since: s.came}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.user == nil {
		return x
	}
	x.User, x.Schema, x.Since, x.InTx, x.Keeps = w.name, w.schema, w.slept, w.inTx, slices.Clone(w.pins)
	if !w.since.IsZero() {
		x.Running, x.Since, x.Statement = true, w.since, strings.ToValidUTF8(string(w.text), "\ufffd")
		for _, c := range w.conns {
			x.Backends = append(x.Backends, c.Backend().Name())
		}
	}
	return x
}

// Cached are the shapes in the plan cache of the configuration in effect.
func (s *Server) Cached() []router.Cached { return s.newest.Load().router.Cached() }
