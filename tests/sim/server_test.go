package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// flavour is what a server is. The comments of exec and its kin name what they do differently; docs/protocol.md, "What real servers do",
// has the same as a table.
type flavour string

const (
	mysql   flavour = "mysql"          // 8.0.29 and later: xa_detach_on_prepare
	mariadb flavour = "mariadb"        // 10.5 and later, log_bin = OFF
	binlog  flavour = "mariadb-binlog" // log_bin = ON
	// postgres is PostgreSQL as package backend/postgres makes it appear: a session is free after its vote, as MySQL's is.
	postgres flavour = "postgres"
)

// server is a simulated backend. The scheduler alone changes it.
type server struct {
	name     string
	flavour  flavour
	rng      *rand.Rand
	identity string
	started  time.Time
	failover int // how often another server has taken its place

	up, frozen bool
	readOnly   bool          // read_only = ON, as an operator or a failover tool sets it
	flushLock  bool          // FLUSH TABLES WITH READ LOCK by somebody: no commit, and no prepare, gets through
	until      time.Time     // nobody repairs it earlier
	skew       time.Duration // of its clock
	ahead      time.Duration // by which it has jumped forward, in all
	lockWait   time.Duration // innodb_lock_wait_timeout and lock_wait_timeout of clients

	lastID    uint64
	sessions  map[uint64]*session
	branches  map[string]*trx // XA transactions by XID, from XA START to their end
	locks     map[string]*trx // rows by name; InnoDB's X locks
	tables    tables
	unflushed []*trx // ended and acknowledged, but a crash brings them back as prepared
	tail      *trx   // the latest thing that was made durable, if that was an XA COMMIT: a replica may lack it
	onCommit  func(t *trx, prepared bool)
}

type state string

const (
	active       state = "ACTIVE"
	idle         state = "IDLE"
	prepared     state = "PREPARED"
	rollbackOnly state = "ROLLBACK ONLY" // after a deadlock; its locks and changes are gone
	ended        state = "ended"
)

// trx is a transaction of the server's: an XA branch, or a plain one.
type trx struct {
	xid        string // "" of a plain one
	state      state
	session    *session // that it is attached to; nil when it is detached
	detached   bool     // it was prepared by a session that is gone
	committing *session // whose XA COMMIT waits for the flush lock
	orphaned   bool     // MariaDB, after the reset of its session: no XA verb finds it before the next restart
	rows       []string // locked
	inserts    []row    // decision rows that are not committed
	deletes    []string // decision rows that are gone when it commits
	changed    bool     // it changed at least one row
	part       *part    // what the checker knows of it; nil of administrative ones
	endedAt    time.Time
}

// session is one connection on the server's side.
type session struct {
	id     uint64
	trx    *trx
	waits  string    // the lock that its statement waits for
	until  time.Time // when that wait ends
	wait   time.Duration
	killed bool // KILL QUERY came, or comes, while its next statement runs
	gone   bool
}

// stmt is a statement. Text of SQL is parsed only where the stores write it; see sql_test.go.
type stmt struct {
	verb    string
	xid     string
	row     string // WRITE
	changes bool   // WRITE: it changes a row, and does not only lock it
	part    *part  // XA START, BEGIN
	sql     string // SQL
	id      uint64 // KILL
}

func (st stmt) String() string {
	return strings.TrimRight(st.verb+" "+st.xid+st.row+plainSQL.Replace(st.sql), " ")
}

var plainSQL = strings.NewReplacer("`xaproxy`.", "", "`", "", "CONVERT(", "", " USING utf8mb4)", "", ", UTC_TIMESTAMP(6)", "", "(coord, host, pid, beat_at) ", "",
	" ON DUPLICATE KEY UPDATE beat_at = UTC_TIMESTAMP(6)", "", ", UTC_TIMESTAMP()", "", "(gtrid, verdict, branches, created_at) ", "", "(gtrid, verdict, branches, commit_key, created_at) ", "",
	", TIMESTAMPDIFF(SECOND, '1970-01-01', created_at)", "")

const flushLock = "the flush lock"

func refuse(errno uint16) *xa.ServerError {
	return &xa.ServerError{Errno: errno, State: "HY000", Message: "simulated"}
}

func (s *server) maria() bool { return s.flavour == mariadb || s.flavour == binlog }

// exec runs a statement, or reports that it waits for a lock: then it is called again later.
func (s *server) exec(c *session, st stmt) (value any, err *xa.ServerError, waits bool) {
	if c.waits != "" && !s.ready(c) {
		return nil, nil, true
	}
	timedOut := c.waits != "" && !time.Now().Before(c.until)
	c.waits = ""
	killed := c.killed
	c.killed = false
	need := func(lock string) (busy bool) {
		if lock == flushLock && !s.flushLock || lock != flushLock && s.lock(c.trx, lock) {
			return false
		}
		if timedOut || killed {
			return true
		}
		c.waits, c.until = lock, time.Now().Add(c.wait)
		return true
	}
	interrupted := func() *xa.ServerError {
		if killed {
			return refuse(1317)
		}
		return refuse(1205)
	}
	t := c.trx
	switch st.verb {
	case "XA START", "BEGIN":
		switch {
		case t != nil && t.xid == "":
			return nil, refuse(xa.ErrnoOutside), false
		case t != nil:
			return nil, refuse(xa.ErrnoRMFail), false
		case st.xid != "" && s.branches[st.xid] != nil:
			return nil, refuse(1440), false // XAER_DUPID
		}
		c.trx = &trx{xid: st.xid, state: active, session: c, part: st.part}
		if st.xid != "" {
			s.branches[st.xid] = c.trx
		}
		st.part.fate = running
		return nil, nil, false

	case "WRITE":
		switch {
		case t == nil || t.state != active:
			return nil, refuse(xa.ErrnoRMFail), false
		case s.readOnly:
			return nil, refuse(1290), false
		case killed:
			return nil, refuse(1317), false // only the statement is undone
		case s.deadlock(c, st.row):
			s.undo(t)
			t.part.fate = rolledBack
			if t.state = rollbackOnly; t.xid == "" && s.flavour != postgres { // which wants to hear ROLLBACK
				s.end(t)
			}
			return nil, refuse(1213), false
		case need(st.row):
			if c.waits != "" {
				return nil, nil, true
			}
			return nil, refuse(1205), false // only the statement is undone
		}
		t.changed = t.changed || st.changes
		t.part.changed = t.changed
		return nil, nil, false

	case "XA END":
		switch {
		case t == nil || t.xid != st.xid:
			return nil, refuse(xa.ErrnoNotA), false
		case t.state == rollbackOnly && s.maria():
			return nil, refuse(xa.ErrnoRMFail), false
		case t.state == rollbackOnly: // MySQL: from here XA ROLLBACK is accepted
			s.end(t)
			return nil, refuse(xa.ErrnoRBDeadlock), false
		case t.state != active:
			return nil, refuse(xa.ErrnoRMFail), false
		}
		t.state = idle
		return nil, nil, false

	case "XA PREPARE":
		switch {
		case t == nil || t.xid != st.xid:
			return nil, refuse(xa.ErrnoNotA), false
		case t.state != idle:
			return nil, refuse(xa.ErrnoRMFail), false
		case need(flushLock), killed: // a PREPARE that is interrupted rolls the branch back
			if c.waits != "" {
				return nil, nil, true
			}
			s.rollback(t)
			return nil, interrupted(), false
		}
		t.state = prepared
		t.part.fate = isPrepared
		s.flush()
		if !s.maria() { // the branch is nobody's from here, and the session is free
			t.session, c.trx = nil, nil
		}
		return nil, nil, false

	case "XA COMMIT":
		if err, waits := s.find(c, st.xid); err != nil || waits {
			return nil, err, waits
		}
		t := s.branches[st.xid]
		switch {
		case t.orphaned: // MariaDB says OK and does nothing
			c.trx = nil
			return nil, nil, false
		case s.readOnly && s.maria():
			return nil, refuse(1290), false
		case need(flushLock), killed: // a COMMIT that is interrupted can be repeated
			if t.committing = nil; c.waits != "" {
				t.committing = c
				return nil, nil, true
			}
			return nil, interrupted(), false
		case !t.changed && t.detached && s.maria():
			s.rollback(t)
			return nil, refuse(xa.ErrnoRBRollback), false
		}
		s.commit(t, true)
		return nil, nil, false

	case "XA COMMIT ONE PHASE":
		switch {
		case t == nil || t.xid != st.xid:
			if t := s.branches[st.xid]; !s.maria() && t != nil && t.state == prepared { // MySQL commits it
				s.commit(t, true)
				return nil, nil, false
			}
			return nil, refuse(xa.ErrnoNotA), false
		case t.state == prepared:
			return nil, refuse(xa.ErrnoInvalid), false
		case t.state == rollbackOnly:
			return nil, refuse(xa.ErrnoRBDeadlock), false
		case t.state != idle:
			return nil, refuse(xa.ErrnoRMFail), false
		case s.readOnly && s.maria():
			return nil, refuse(1290), false
		case need(flushLock), killed:
			if c.waits != "" {
				return nil, nil, true
			}
			return nil, interrupted(), false
		}
		s.commit(t, false)
		return nil, nil, false

	case "XA ROLLBACK":
		if t != nil && t.xid == st.xid && t.state != prepared { // its own, without a vote
			if t.state == active || t.state == rollbackOnly && !s.maria() {
				return nil, refuse(xa.ErrnoRMFail), false
			}
			s.rollback(t)
			return nil, nil, false
		}
		if err, waits := s.find(c, st.xid); err != nil || waits {
			return nil, err, waits
		}
		switch t := s.branches[st.xid]; {
		case t.orphaned:
			c.trx = nil
		case killed:
			return nil, refuse(1317), false
		default:
			s.rollback(t)
			if s.maria() { // never flushed
				t.endedAt = time.Now()
				s.unflushed = append(s.unflushed, t)
			}
		}
		return nil, nil, false

	case "COMMIT":
		switch {
		case t == nil:
			return nil, nil, false
		case t.xid != "":
			return nil, refuse(xa.ErrnoRMFail), false
		case t.state == rollbackOnly:
			s.end(t)
			return nil, refuse(xa.ErrnoRBDeadlock), false
		case s.readOnly && (t.changed || len(t.inserts) > 0):
			return nil, refuse(1290), false
		case need(flushLock), killed:
			if c.waits != "" {
				return nil, nil, true
			}
			if killed && len(t.inserts) > 0 && s.rng.IntN(2) == 0 { // the proxy must not rely on it, so it may come too late
				s.commit(t, false)
			}
			return nil, interrupted(), false
		}
		s.commit(t, false)
		return nil, nil, false

	case "ROLLBACK":
		if t != nil && t.xid != "" {
			return nil, refuse(xa.ErrnoRMFail), false
		}
		if t != nil {
			s.rollback(t)
		}
		return nil, nil, false

	case "RESET": // COM_RESET_CONNECTION
		switch {
		case t == nil:
		case t.state != prepared:
			s.rollback(t)
		default: // MariaDB only: MySQL's session has let go of it
			t.orphaned = true
		}
		return nil, nil, false

	case "XA RECOVER":
		return s.listed(), nil, false
	case "KILL":
		if victim := s.sessions[st.id]; victim != nil {
			s.disconnect(victim)
		}
		return nil, nil, false
	case "HOLDER":
		if t := s.branches[st.xid]; t != nil && t.session != nil {
			return t.session.id, nil, false
		}
		return uint64(0), nil, false
	case "IDENTITY":
		return s.identity, nil, false
	case "UPTIME":
		return int64(time.Since(s.started) / time.Second), nil, false
	case "SQL":
		if killed {
			return nil, refuse(1317), false
		}
		return s.sql(c, st.sql, need)
	}
	panic(fmt.Sprintf("the simulated server does not know %q", st.verb))
}
