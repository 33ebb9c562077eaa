package proxy

import (
	"fmt"
	"slices"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// Servers begin no XA branch under LOCK TABLES, and let the session use no other table meanwhile. So with autocommit off the
// transaction is the server's own, on the connection that has the locks: its autocommit is the client's, and what ends or marks
// a transaction goes there. Nothing of it can be on another backend.

// locked returns the connection on which tables are locked, or nil.
func (s *session) locked() *backend.Conn {
	for _, p := range s.pins {
		if slices.Contains(p.reasons, router.PinLockTables.String()) {
			return p.conn
		}
	}
	return nil
}

// local is locked, if the transaction is the server's own.
func (s *session) local() *backend.Conn {
	if s.autocommit || s.tx != nil {
		return nil
	}
	return s.locked()
}

// underLocks runs a statement on the connection where tables are locked.
func (s *session) underLocks(conn *backend.Conn, p *router.Plan, r *request) error {
	for _, part := range p.Parts {
		at := part.Backend
		if at == router.OneCopy {
			if at = p.Copies[0]; slices.Contains(p.Copies, conn.Backend().Index) {
				continue
			}
		}
		if at != router.AnyBackend && at != conn.Backend().Index {
			return s.fail(&wire.Error{Errno: 1100, State: "HY000", Message: fmt.Sprintf("tables of backend %s were not locked with LOCK TABLES: those of backend %s are",
				s.gen.backends[at].Name(), conn.Backend().Name())})
		}
	}
	if p.Change != nil || p.Lookup != nil {
		return s.fail(wire.NewError(wire.CodeNotSupported, "the statement may need other backends, which is not supported under LOCK TABLES; UNLOCK TABLES first"))
	}
	if p.ImplicitCommit || p.Unpin && p.Pin == router.PinLockTables {
		s.nextTx = characteristics{}
	}
	return s.singleOn(conn, p, r.part(p.Parts[0]))
}

// lock runs LOCK TABLES while autocommit is off.
func (s *session) lock(p *router.Plan, r *request) error {
	conn, err := s.acquire(s.backend(p, p.Parts[0]))
	if err != nil {
		return s.fail(clientError(err, false))
	}
	s.work.uses(conn)
	defer conn.Put()
	defer s.work.leaves(conn)
	s.last = lastStatement{conn, conn.Backend(), conn.Lends()}
	err = s.relayOn(conn, p, r.part(p.Parts[0]), switchAutocommit(false))
	if s.locked() == conn || conn.Broken() {
		return err
	}
	if s.recall(conn) != nil || conn.Exec(switchAutocommit(true)) != nil {
		conn.Break()
	}
	return err
}

func switchAutocommit(on bool) string {
	if on {
		return "SET autocommit = 1"
	}
	return "SET autocommit = 0"
}

// unlocked notes that conn has no table locks any more: branches can live on it again.
func (s *session) unlocked(conn *backend.Conn) (free bool) {
	if s.open = false; !s.autocommit && s.locked() == conn && conn.Exec(switchAutocommit(true)) != nil {
		conn.Break()
	}
	return s.letGo(conn, router.PinLockTables.String())
}

// setAutocommit switches autocommit. On commits what is open.
func (s *session) setAutocommit(on bool) *wire.Error {
	if on == s.autocommit {
		return nil
	}
	if on {
		if e := s.commit(); e != nil {
			return e
		}
	}
	if conn := s.locked(); conn != nil {
		if err := conn.Exec(switchAutocommit(on)); err != nil {
			return clientError(err, true)
		}
		s.open = false
	}
	s.autocommit = on
	return nil
}

// tell runs a statement about the transaction on the connection that has it.
func (s *session) tell(conn *backend.Conn, statement string) *wire.Error {
	s.work.uses(conn)
	defer s.work.leaves(conn)
	if err := conn.Exec(statement); err != nil {
		return clientError(err, true)
	}
	return nil
}
