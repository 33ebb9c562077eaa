package integration

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/decision"
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// recoveryKinds are the servers that recovery works on.
var recoveryKinds = []servers.Kind{servers.MariaDB, servers.MariaDBBinlog, servers.MySQL}

// bench is a server of its own with a table of three rows of value 0, and what recovery needs to work on it.
type bench struct {
	t      *testing.T
	server *servers.Server
	config config.Backend
	admin  *backend.Admin
	root   *sql.DB // the administrator's
}

func newBench(t *testing.T, name string, k servers.Kind) *bench {
	t.Helper()
	s, err := servers.Start(t.Context(), servers.Options{Kind: k})
	check(t, err)
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{t: t, server: s, config: backendConfig(name, s)}
	b.admin, err = backend.NewAdmin(b.config)
	check(t, err)
	t.Cleanup(func() { check(t, b.admin.Close()) })
	b.root, err = s.DB()
	check(t, err)
	t.Cleanup(func() { check(t, b.root.Close()) })
	b.exec("CREATE DATABASE d", "CREATE TABLE d.r (id INT PRIMARY KEY, v INT)", "INSERT INTO d.r VALUES (1, 0), (2, 0), (3, 0), (4, 0)")
	return b
}

func backendConfig(name string, s *servers.Server) config.Backend {
	kind := config.MariaDB
	if s.Kind == servers.MySQL {
		kind = config.MySQL
	}
	c := config.DefaultBackend(kind)
	c.Name, c.Host, c.Port, c.User, c.Password = name, s.Host, s.Port, s.User, config.Secret(s.Password)
	return c
}

func (b *bench) exec(statements ...string) {
	b.t.Helper()
	for _, s := range statements {
		if _, err := b.root.Exec(s); err != nil {
			b.t.Fatalf("%s: %v", s, err)
		}
	}
}

// values returns the rows' values, in order of their ids. It reads without locks.
func (b *bench) values() string {
	b.t.Helper()
	var v string
	check(b.t, b.root.QueryRow("SELECT GROUP_CONCAT(v ORDER BY id) FROM d.r").Scan(&v))
	return v
}

func (b *bench) prepared() []string {
	b.t.Helper()
	list, err := b.server.Prepared(b.t.Context())
	check(b.t, err)
	return list
}

func (b *bench) identity() string {
	b.t.Helper()
	id, err := b.admin.Identity(b.t.Context())
	check(b.t, err)
	return id
}

// session opens a session of the proxy's user, as the pool would, and returns its id.
func (b *bench) session() (*sql.Conn, uint64) {
	b.t.Helper()
	db, err := sql.Open("mysql", b.server.DSN(b.server.User, b.server.Password, "d"))
	check(b.t, err)
	b.t.Cleanup(func() { check(b.t, db.Close()) })
	conn, err := db.Conn(b.t.Context())
	check(b.t, err)
	b.t.Cleanup(func() { _ = conn.Close() }) // the test may have done so, or the server may be gone
	db.SetMaxIdleConns(0)                    // a closed session is to end
	var id uint64
	check(b.t, conn.QueryRowContext(b.t.Context(), "SELECT CONNECTION_ID()").Scan(&id))
	return conn, id
}

// change starts a branch that sets a row to 1.
func (b *bench) change(conn *sql.Conn, xid string, row int) {
	b.t.Helper()
	for _, s := range []string{"XA START " + xid, fmt.Sprintf("UPDATE d.r SET v = 1 WHERE id = %d", row), "XA END " + xid} {
		if _, err := conn.ExecContext(b.t.Context(), s); err != nil {
			b.t.Fatalf("%s: %v", s, err)
		}
	}
}

// prepare prepares a branch that sets a row to 1, on a session that ends or stays, and returns its id.
func (b *bench) prepare(xid string, row int, stay bool) uint64 {
	b.t.Helper()
	conn, id := b.session()
	b.change(conn, xid, row)
	if _, err := conn.ExecContext(b.t.Context(), "XA PREPARE "+xid); err != nil {
		b.t.Fatal(err)
	}
	if !stay {
		check(b.t, conn.Close())
		eventually(b.t, "the session ends", func() bool { return !b.alive(id) })
	}
	return id
}

// ours is the name of a branch of the log's.
func ours(log *decision.File, seq uint64, backend string) xa.XID {
	return xa.XID{GTRID: xa.GTRID{Coord: log.Coord(), Epoch: log.Epoch(), Seq: seq}, BQUAL: backend}
}

// pool opens the backend as the proxy does. It has not passed its start checks.
func (b *bench) pool() *backend.Backend {
	b.t.Helper()
	cfg := config.Default()
	cfg.Backends = []config.Backend{b.config}
	pool, err := backend.Open(&cfg, 0)
	check(b.t, err)
	b.t.Cleanup(pool.Close)
	return pool
}

// held prepares a branch as the proxy does, on a session that stays.
func (b *bench) held(x xa.XID, row int) {
	b.t.Helper()
	pool := b.pool()
	facts, _, err := b.admin.Check(b.t.Context())
	check(b.t, err)
	pool.Ready(facts)
	conn, err := pool.Get(b.t.Context(), &backend.Session{Caps: wire.DeprecateEOF}, nil)
	check(b.t, err)
	branch := backend.NewBranch(conn, x.GTRID)
	b.t.Cleanup(branch.Release)
	check(b.t, branch.Begin(&backend.Session{Caps: wire.DeprecateEOF}, nil, []byte(fmt.Sprintf("UPDATE d.r SET v = 1 WHERE id = %d", row)), ""))
	_, err = conn.Result()
	check(b.t, err)
	by := time.Now().Add(10 * time.Second)
	branch.Prepare(by)
	if answered, err := branch.Answer(by); !answered || err != nil {
		b.t.Fatalf("vote: answered %v, %v", answered, err)
	}
}

// alive reports whether the server has a session with the id.
func (b *bench) alive(id uint64) bool {
	b.t.Helper()
	var n int
	check(b.t, b.root.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE id = ?", id).Scan(&n))
	return n > 0
}

// eventually waits until a condition holds that other processes bring about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited a minute until %s", what)
		}
	}
}

func openLog(t *testing.T, dir string) *decision.File {
	t.Helper()
	log, err := decision.OpenFile(decision.FileOptions{Dir: dir, SegmentSize: 1 << 20, Logger: zerolog.Nop()})
	check(t, err)
	t.Cleanup(func() { check(t, log.Close()) })
	return log
}

// lost is a coordinator that runs nothing and has lost some connections.
type lost struct {
	mu      sync.Mutex // protects following fields
	orphans []xa.Orphan
}

func (l *lost) InFlight(xa.GTRID) bool { return false }

func (l *lost) Orphans(backend string) []xa.Orphan {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.orphans), func(o xa.Orphan) bool { return o.XID.BQUAL != backend })
}

func (l *lost) Adopt(x xa.XID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.orphans = slices.DeleteFunc(l.orphans, func(o xa.Orphan) bool { return o.XID == x })
}

func (l *lost) add(x xa.XID, id uint64, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.orphans = append(l.orphans, xa.Orphan{XID: x, ConnID: id, Since: since})
}

func newJanitor(t *testing.T, log *decision.File, l *lost, benches ...*bench) *recovery.Janitor {
	t.Helper()
	var all []recovery.Server
	for _, b := range benches {
		all = append(all, b.admin)
	}
	return recovery.New(recovery.Options{
		Servers: all, Decisions: recovery.OfLog(log), InFlight: l, Interval: 100 * time.Millisecond, Timeout: 2 * time.Second,
		Logger: zerolog.New(zerolog.NewTestWriter(t)),
	})
}

func wantVerdict(t *testing.T, r recovery.Report, want string) {
	t.Helper()
	if got := r.Verdict(); got != want {
		var text strings.Builder
		check(t, r.WriteText(&text))
		t.Errorf("verdict %q, want %q\n%s", got, want, text.String())
	}
}

// Ours are finished as the log says and the others stay, also when the server was killed in between.
func TestRecoveryFinishesOurs(t *testing.T) {
	t.Parallel()
	for _, k := range recoveryKinds {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel() // its servers are its own
			b := newBench(t, "b1", k)
			log := openLog(t, t.TempDir()+"/log")
			name := func(coord string, seq uint64) xa.XID {
				return xa.XID{GTRID: xa.GTRID{Coord: coord, Epoch: log.Epoch(), Seq: seq}, BQUAL: "b1"}
			}
			committed, undecided, other := name(log.Coord(), 1), name(log.Coord(), 2), name("00000000", 3)
			id := b.prepare(committed.SQL(), 1, false)
			b.prepare(undecided.SQL(), 2, false)
			b.prepare(other.SQL(), 3, false)
			b.prepare("X'00ff','app',1", 4, false)
			check(t, log.Append(xa.Decision{
				GTRID: committed.GTRID, Time: time.Now(),
				Branches: []xa.BranchRef{{Backend: "b1", Server: b.identity(), ConnID: id}},
			}))
			check(t, b.server.Kill())
			check(t, b.server.Restart(t.Context()))

			j := newJanitor(t, log, &lost{}, b)
			wantVerdict(t, j.Pass(t.Context(), true, nil), "2 transactions of ours are not finished; 2 branches of others not touched")
			if n := len(b.prepared()); n != 4 || len(log.Unfinished()) != 1 {
				t.Fatalf("%d branches after the dry run, want 4; unfinished: %v", n, log.Unfinished())
			}
			wantVerdict(t, j.Pass(t.Context(), false, nil),
				"clean: nothing of ours is left; 1 branch committed; 1 branch rolled back; 2 branches of others not touched")
			if got := b.values(); got != "1,0,0,0" {
				t.Errorf("values %s, want only the decided row changed", got)
			}
			if got, want := b.prepared(), []string{"\x00\xff|app", other.GTRID.String() + "|b1"}; !slices.Equal(got, want) {
				t.Errorf("prepared: %q, want %q", got, want)
			}
			if left := log.Unfinished(); len(left) != 0 {
				t.Errorf("unfinished: %v", left)
			}
			b.exec("XA ROLLBACK "+other.SQL(), "XA ROLLBACK X'00ff','app',1")
			b.exec("UPDATE d.r SET v = v + 1") // no lock is left
		})
	}
}

// MariaDB says "unknown XID" while the session that prepared a branch lives. That finishes nothing; ending the session,
// when it is known to be a lost one, does.
func TestRecoveryOfAHeldBranch(t *testing.T) {
	t.Parallel()
	for _, k := range recoveryKinds {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel() // its servers are its own
			b := newBench(t, "b1", k)
			log := openLog(t, t.TempDir()+"/log")
			committed := ours(log, 1, "b1")
			undecided := ours(log, 2, "b1")
			started := time.Now()
			first, second := b.prepare(committed.SQL(), 1, true), b.prepare(undecided.SQL(), 2, true)
			check(t, log.Append(xa.Decision{
				GTRID: committed.GTRID, Time: time.Now(),
				Branches: []xa.BranchRef{{Backend: "b1", Server: b.identity(), ConnID: first}},
			}))
			l := &lost{}
			j := newJanitor(t, log, l, b)
			r := j.Pass(t.Context(), false, nil)
			if k == servers.MySQL { // xa_detach_on_prepare
				wantVerdict(t, r, "clean: nothing of ours is left; 1 branch committed; 1 branch rolled back")
			} else {
				wantVerdict(t, r, "2 transactions of ours are not finished")
				if n := len(b.prepared()); n != 2 || len(log.Unfinished()) != 1 {
					t.Errorf("%d prepared, want 2; unfinished %v", n, log.Unfinished())
				}
			}
			l.add(committed, first, started)
			l.add(undecided, second, time.Now())
			r = j.Pass(t.Context(), false, nil)
			if k == servers.MySQL {
				wantVerdict(t, r, "clean: nothing of ours is left")
			} else {
				wantVerdict(t, r, "clean: nothing of ours is left; 1 branch committed; 1 branch rolled back")
			}
			if got := b.values(); got != "1,0,0,0" {
				t.Errorf("values %s, want 1,0,0,0", got)
			}
			if len(l.orphans) != 0 || len(log.Unfinished()) != 0 {
				t.Errorf("orphans %v, unfinished %v", l.orphans, log.Unfinished())
			}
			if b.alive(first) || b.alive(second) {
				t.Error("a lost session still lives")
			}
		})
	}
}

// TestRecoveryFindsTheSession: a branch whose proxy is gone, while the server has not noticed, is finished by who has never heard of its session;
// that one is ended and no other.
func TestRecoveryFindsTheSession(t *testing.T) {
	t.Parallel()
	for _, k := range recoveryKinds {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel() // its servers are its own
			b := newBench(t, "b1", k)
			log := openLog(t, t.TempDir()+"/log")
			name := func(seq uint64) xa.XID {
				return ours(log, seq, "b1")
			}
			committed, undecided := name(1), name(2)
			_, bystander := b.session()
			b.held(committed, 1)
			b.held(undecided, 2)
			check(t, log.Append(xa.Decision{GTRID: committed.GTRID, Time: time.Now(), Branches: []xa.BranchRef{{Backend: "b1", Server: b.identity()}}}))
			j := newJanitor(t, log, &lost{}, b)
			j.Pass(t.Context(), false, nil)
			j.Pass(t.Context(), false, nil)
			wantVerdict(t, j.Pass(t.Context(), false, nil), "clean: nothing of ours is left")
			if got := b.values(); got != "1,0,0,0" || len(b.prepared()) != 0 {
				t.Errorf("values %s, want 1,0,0,0; prepared %q", got, b.prepared())
			}
			if !b.alive(bystander) {
				t.Error("another session was ended")
			}
		})
	}
}

// A session is ended only if it is surely the one that was lost: of our user, and older than the loss on this server.
func TestRecoveryEndsNoStranger(t *testing.T) {
	t.Parallel()
	for _, k := range recoveryKinds {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel() // its servers are its own
			b := newBench(t, "b1", k)
			log := openLog(t, t.TempDir()+"/log")
			l := &lost{}
			_, reused := b.session()
			conn, err := b.root.Conn(t.Context())
			check(t, err)
			defer func() { check(t, conn.Close()) }()
			var root uint64
			check(t, conn.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&root))
			x := ours(log, 1, "b1")
			l.add(x, reused, time.Now().Add(-time.Hour)) // before the server was started
			x.GTRID.Seq = 2
			l.add(x, root, time.Now())
			wantVerdict(t, newJanitor(t, log, l, b).Pass(t.Context(), false, nil), "clean: nothing of ours is left")
			if !b.alive(reused) || !b.alive(root) {
				t.Errorf("alive: the one with a reused id %t, another user's %t", b.alive(reused), b.alive(root))
			}
			if len(l.orphans) != 0 {
				t.Errorf("not adopted: %v", l.orphans)
			}
		})
	}
}

// A frozen server does not hold the others up; when it goes on, what it was asked last is done with nobody waiting for
// it (a branch is prepared then), and that too is finished.
func TestRecoveryBesideAFrozenServer(t *testing.T) {
	t.Parallel()
	for _, k := range recoveryKinds {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel() // its servers are its own
			frozen, healthy := newBench(t, "frozen", k), newBench(t, "healthy", servers.MariaDB)
			log := openLog(t, t.TempDir()+"/log")
			l := &lost{}
			name := func(seq uint64, backend string) xa.XID {
				return ours(log, seq, backend)
			}
			late := name(1, "frozen")
			conn, id := frozen.session()
			frozen.change(conn, late.SQL(), 1)
			check(t, frozen.server.Freeze())
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := conn.ExecContext(ctx, "XA PREPARE "+late.SQL()); err == nil {
				t.Fatal("a frozen server has answered")
			}
			l.add(late, id, time.Now())

			j := newJanitor(t, log, l, frozen, healthy)
			running, stop := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { j.Run(running); close(ended) }()
			defer func() { stop(); <-ended }()
			healthy.prepare(name(2, "healthy").SQL(), 2, false)
			j.Poke("healthy")
			eventually(t, "the healthy server is recovered", func() bool { return len(healthy.prepared()) == 0 })
			if r := j.Pass(t.Context(), false, nil); r.Unreachable != 1 || r.Backends[0].Reachable || !r.Backends[1].Reachable {
				t.Errorf("reports %s", r.Verdict())
			}
			check(t, frozen.server.Thaw())
			j.Poke("frozen")
			eventually(t, "the frozen server is recovered", func() bool { return len(l.Orphans("frozen")) == 0 })
			frozen.exec("UPDATE d.r SET v = 2 WHERE id = 1") // no lock is left
			wantVerdict(t, j.Pass(t.Context(), false, nil), "clean: nothing of ours is left")
			if got := frozen.values(); got != "2,0,0,0" {
				t.Errorf("values %s, want 2,0,0,0", got)
			}
		})
	}
}
