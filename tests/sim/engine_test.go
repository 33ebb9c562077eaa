package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// ready reports whether the statement of a session that waits can go on.
func (s *server) ready(c *session) bool {
	switch {
	case c.waits == "" || c.killed || !time.Now().Before(c.until):
		return true
	case c.waits == flushLock:
		return !s.flushLock
	}
	return s.locks[c.waits] == nil || s.locks[c.waits] == c.trx
}

// find looks a prepared branch up as XA COMMIT and XA ROLLBACK do.
func (s *server) find(c *session, xid string) (err *xa.ServerError, waits bool) {
	t := s.branches[xid]
	switch {
	case c.trx != nil && c.trx != t && s.maria():
		return refuse(xa.ErrnoOutside), false
	case c.trx != nil && c.trx != t:
		return refuse(xa.ErrnoRMFail), false
	case t != nil && t == c.trx && t.state != prepared:
		return refuse(xa.ErrnoRMFail), false
	case t == nil || t.state != prepared: // also while it is ACTIVE or IDLE somewhere, and can become PREPARED yet
		return refuse(xa.ErrnoNotA), false
	case t.orphaned && t != c.trx:
		return refuse(xa.ErrnoNotA), false
	case t.session != nil && t.session != c: // MariaDB: whoever prepared it is still connected
		return refuse(xa.ErrnoNotA), false
	case t.committing != nil && t.committing != c && s.maria(): // although that one may yet fail
		return refuse(xa.ErrnoNotA), false
	case t.committing != nil && t.committing != c:
		return nil, true
	}
	return nil, false
}

// lock takes a row for a transaction, if nobody else has it.
func (s *server) lock(t *trx, row string) bool {
	if holder := s.locks[row]; holder != nil {
		return holder == t
	}
	s.locks[row] = t
	t.rows = append(t.rows, row)
	return true
}

// deadlock reports whether a session that began to wait for the row would wait for itself.
func (s *server) deadlock(c *session, row string) bool {
	for t := s.locks[row]; t != nil && t != c.trx; t = s.locks[t.session.waits] {
		if t.session == nil || t.session.waits == "" {
			return false
		}
	}
	return s.locks[row] != nil && s.locks[row] != c.trx
}

func (s *server) commit(t *trx, wasPrepared bool) {
	if t.part != nil {
		t.part.fate = committed
	}
	s.onCommit(t, wasPrepared)
	for _, g := range t.deletes {
		delete(s.tables.decisions, g)
	}
	for _, r := range t.inserts {
		s.tables.decisions[r.gtrid] = r
	}
	s.end(t)
	if !wasPrepared && t.xid != "" && s.flavour == binlog && t.changed { // MDEV-21469: not flushed
		t.endedAt = time.Now()
		s.unflushed = append(s.unflushed, t)
		return
	}
	s.flush()
	if wasPrepared {
		t.endedAt, s.tail = time.Now(), t
	}
}

func (s *server) rollback(t *trx) {
	if t.part != nil {
		t.part.fate = rolledBack
	}
	s.undo(t)
	s.end(t)
}

// undo frees what a transaction has locked, and forgets what it has inserted and deleted.
func (s *server) undo(t *trx) {
	for _, row := range t.rows {
		delete(s.locks, row)
	}
	t.inserts, t.deletes = nil, nil
}

func (s *server) end(t *trx) {
	s.undo(t)
	t.state, t.committing = ended, nil
	delete(s.branches, t.xid)
	if t.session != nil {
		t.session.trx, t.session = nil, nil
	}
}

// flush makes everything that was acknowledged durable.
func (s *server) flush() { s.unflushed, s.tail = nil, nil }

// flushInterval is after how long the server flushes by itself.
const flushInterval = 1500 * time.Millisecond

// connect makes a session.
func (s *server) connect() *session {
	s.lastID++
	c := &session{id: s.lastID, wait: s.lockWait}
	s.sessions[c.id] = c
	return c
}

// disconnect ends a session. What it has prepared survives it.
func (s *server) disconnect(c *session) {
	delete(s.sessions, c.id)
	c.gone = true
	for _, t := range s.branches {
		if t.committing == c {
			t.committing = nil
		}
	}
	switch t := c.trx; {
	case t == nil:
	case t.state == prepared:
		t.session, t.detached, t.orphaned, c.trx = nil, true, false, nil // reset and then closed is fine
	default:
		s.rollback(t)
	}
}

// crash is kill -9, or a power failure: with innodb_flush_log_at_trx_commit = 1 and sync_binlog = 1 it makes no difference.
func (s *server) crash() (cameBack int) {
	s.up, s.frozen, s.flushLock = false, false, false
	for _, id := range sorted(s.sessions) {
		s.disconnect(s.sessions[id])
	}
	for _, xid := range sorted(s.branches) {
		t := s.branches[xid]
		if t.session, t.orphaned, t.detached = nil, false, true; !t.changed && s.flavour != postgres {
			s.rollback(t) // a prepared branch that changed nothing vanishes
		}
	}
	for _, t := range s.unflushed {
		if time.Since(t.endedAt) < flushInterval && s.rng.IntN(2) == 0 && s.comeBack(t) {
			cameBack++
		}
	}
	s.unflushed = nil
	s.lastID = 0 // ids of sessions begin again
	return cameBack
}

// comeBack makes an ended branch prepared again, unless its rows have been changed since.
func (s *server) comeBack(t *trx) bool {
	if !t.changed || s.branches[t.xid] != nil || slices.ContainsFunc(t.rows, func(row string) bool { return s.locks[row] != nil }) {
		return false
	}
	t.state, t.detached = prepared, true
	t.part.fate = isPrepared
	s.branches[t.xid] = t
	for _, row := range t.rows {
		s.locks[row] = t
	}
	return true
}

// start follows a crash.
func (s *server) start() { s.up, s.started = true, time.Now() }

// replicaLag is how far a replica may be behind with an XA COMMIT; everything else it has.
const replicaLag = 30 * time.Second

// replace makes a replica of the crashed server answer at its address. It has all that was acknowledged, but may have the last XA COMMIT
// as PREPARED only.
func (s *server) replace() (cameBack int) {
	s.failover++
	s.identity = fmt.Sprintf("%s.%d", s.name, s.failover)
	if t := s.tail; t != nil && time.Since(t.endedAt) < replicaLag && s.comeBack(t) {
		cameBack++
	}
	s.tail = nil
	return cameBack
}
