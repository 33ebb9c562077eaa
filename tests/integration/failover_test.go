package integration

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/participant"
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/tests/chaos"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/xa"
)

// address is one at which one server or another answers.
type address struct {
	*chaos.Tap
	t *testing.T
}

// newAddress makes an address at which the server of b answers, and has the proxy's side of b use it.
func newAddress(t *testing.T, b *bench) *address {
	t.Helper()
	tap, err := chaos.NewTap(b.config.Name, fmt.Sprintf("%s:%d", b.server.Host, b.server.Port))
	check(t, err)
	a := &address{tap, t}
	t.Cleanup(func() { check(t, tap.Close()) })
	b.config.Port = a.port()
	check(t, b.admin.Close())
	b.admin, err = backend.NewAdmin(b.config)
	check(t, err)
	return a
}

func (a *address) port() (port int) {
	a.t.Helper()
	_, err := fmt.Sscanf(strings.TrimPrefix(a.Addr(), "127.0.0.1:"), "%d", &port)
	check(a.t, err)
	return port
}

// becomes has another server answer.
func (a *address) becomes(s *servers.Server) { a.Redirect(fmt.Sprintf("%s:%d", s.Host, s.Port)) }

// janitorOf is newJanitor with a log of what it says.
func janitorOf(d recovery.Decisions, in recovery.InFlight, said *bytes.Buffer, all ...recovery.Server) *recovery.Janitor {
	return recovery.New(recovery.Options{
		Servers: all, Decisions: d, InFlight: in, Interval: 100 * time.Millisecond, Timeout: 2 * time.Second, Logger: zerolog.New(zerolog.SyncWriter(said)),
	})
}

// TestFailoverFile: what was prepared on a server is not finished because another one at its address does not know it. It is told of, and
// finished when the server is back: also a branch whose session lives on.
func TestFailoverFile(t *testing.T) {
	t.Parallel()
	for _, k := range recoveryKinds {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel() // its servers are its own
			b, other := newBench(t, "b1", k), newBench(t, "b1", k)
			a := newAddress(t, b)
			log, first, second := openLog(t, t.TempDir()+"/log"), b.identity(), other.identity()
			if first == second {
				t.Fatalf("two servers are one: %s", first)
			}
			name := func(seq uint64) xa.XID {
				return ours(log, seq, "b1")
			}
			decide := func(x xa.XID, server string, id uint64) {
				check(t, log.Append(xa.Decision{GTRID: x.GTRID, Time: time.Now(), Branches: []xa.BranchRef{{Backend: "b1", Server: server, ConnID: id}}}))
			}
			gone, undecided, held, after := name(1), name(2), name(3), name(4)
			decide(gone, first, b.prepare(gone.SQL(), 1, false))
			b.prepare(undecided.SQL(), 2, false)
			lives := b.prepare(held.SQL(), 3, true)
			decide(held, first, lives)
			l := &lost{}
			l.orphans = append(l.orphans, xa.Orphan{XID: held, Server: first, ConnID: lives, Since: time.Now()})
			said := &bytes.Buffer{}
			j := janitorOf(recovery.OfLog(log), l, said, b.admin)
			j.Pass(t.Context(), true, nil) // it knows the first server

			a.becomes(other.server)
			_, stranger := other.session()
			decide(after, second, other.prepare(after.SQL(), 1, false))
			for range 2 {
				r := j.Pass(t.Context(), false, nil)
				var text strings.Builder
				check(t, r.WriteText(&text))
				if n := strings.Count(text.String(), "this is another server ("+second+") than the one that prepared it ("+first+")"); n != 2 {
					t.Errorf("%d decisions are reported to be open on another server, want 2:\n%s", n, text.String())
				}
			}
			if got := other.values(); got != "1,0,0,0" {
				t.Errorf("the new server has %s: what was prepared there is not finished", got)
			}
			if left := log.Unfinished(); len(left) != 2 {
				t.Errorf("unfinished: %v, want the two of the old server", left)
			}
			if len(l.Orphans("b1")) != 1 {
				t.Error("a lost session of the old server counts as ended")
			}
			if !other.alive(stranger) {
				t.Error("a session of the new server was ended")
			}
			for text, want := range map[string]int{"another server answers for the backend": 1, "a committed transaction may lack this branch": 2} {
				if n := strings.Count(said.String(), text); n != want {
					t.Errorf("told %d times that %s, want %d:\n%s", n, text, want, said)
				}
			}

			a.becomes(b.server)
			for range 2 { // MySQL lets a session finish what another one holds; MariaDB's is ended first
				j.Pass(t.Context(), false, nil)
			}
			wantVerdict(t, j.Pass(t.Context(), false, nil), "clean: nothing of ours is left")
			if got := b.values(); got != "1,0,1,0" {
				t.Errorf("the old server has %s, want 1,0,1,0", got)
			}
			if left := log.Unfinished(); len(left) != 0 || len(l.Orphans("b1")) != 0 {
				t.Errorf("unfinished: %v, orphans: %v", left, l.Orphans("b1"))
			}
		})
	}
}

// TestFailoverAtStart: a proxy that is started after the server was replaced tells of what is missing, too.
func TestFailoverAtStart(t *testing.T) {
	t.Parallel()
	b := newBench(t, "b1", servers.MariaDB)
	log, said := openLog(t, t.TempDir()+"/log"), &bytes.Buffer{}
	g := xa.GTRID{Coord: log.Coord(), Epoch: log.Epoch(), Seq: 1}
	check(t, log.Append(xa.Decision{GTRID: g, Time: time.Now(), Branches: []xa.BranchRef{{Backend: "b1", Server: "1@gone:3306/var/lib/mysql/", ConnID: 7}}}))
	j := janitorOf(recovery.OfLog(log), &lost{}, said, b.admin)
	wantVerdict(t, j.Pass(t.Context(), false, nil), "1 transaction of ours is not finished")
	if len(log.Unfinished()) != 1 || !strings.Contains(said.String(), "a committed transaction may lack this branch") {
		t.Errorf("unfinished: %v, told:\n%s", log.Unfinished(), said)
	}
}

// TestFailoverParticipant: the row of a decision outlives that another server answers for the branch, and finishes it when the old one is
// back; the fence of what is not decided, too.
func TestFailoverParticipant(t *testing.T) {
	t.Parallel()
	for _, kinds := range [][2]servers.Kind{{servers.MySQL, servers.MariaDB}, {servers.MariaDB, servers.MySQL}} {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			t.Parallel() // its servers are its own
			p, other := newParticipantBench(t, kinds[0], kinds[1]), newBench(t, "b", kinds[1])
			check(t, participant.Create(t.Context(), other.admin))
			decided, undecided := p.xid(1, "a", "b"), p.xid(2, "a", "b")
			p.b.held(decided, 1) // its session lives on
			a := newAddress(t, p.b)
			p.server[1] = p.b.admin
			p.b.prepare(undecided.SQL(), 2, false)
			s := p.store(time.Nanosecond)
			_, err := p.a.admin.Exec(t.Context(), s.Insert(xa.Decision{GTRID: decided.GTRID, Branches: []xa.BranchRef{{Backend: "b", Server: p.b.identity()}}})[0])
			check(t, err)
			said := &bytes.Buffer{}
			j := janitorOf(participant.Decisions{Store: s}, recovery.Idle{}, said, p.a.admin, p.b.admin)
			j.Pass(t.Context(), true, nil)

			a.becomes(other.server)
			_, stranger := other.session()
			j.Pass(t.Context(), false, nil)
			if !strings.Contains(said.String(), "another server answers for the backend") {
				t.Errorf("nobody is told:\n%s", said)
			}
			if got := verdicts(t, p.a); got != "commit" {
				t.Errorf("rows %q", got)
			}
			if !other.alive(stranger) {
				t.Error("a session of the new server was ended")
			}

			a.becomes(p.b.server)
			for range 3 {
				j.Pass(t.Context(), false, nil)
			}
			if got := p.b.values(); got != "1,0,0,0" || len(p.b.prepared()) != 0 {
				t.Errorf("values %s, want 1,0,0,0; prepared %q", got, p.b.prepared())
			}
			if got := verdicts(t, p.a); got != "abort,commit" {
				t.Errorf("rows %q", got)
			}
		})
	}
}

// TestFailoverRefs: a branch is of the server that its connection leads to, not of the one that was there when the proxy was started; and no
// client meets a server that was not checked.
func TestFailoverRefs(t *testing.T) {
	t.Parallel()
	for _, k := range recoveryKinds {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel() // its servers are its own
			b, other := newBench(t, "b1", k), newBench(t, "b1", k)
			a := newAddress(t, b)
			pool := b.pool()
			replaced := make(chan error, 10)
			pool.Replaced = func(err error) { replaced <- err }
			ready := func() {
				facts, _, err := b.admin.Check(t.Context())
				check(t, err)
				pool.Ready(facts)
			}
			server := func() string {
				t.Helper()
				conn, err := pool.Get(t.Context(), &backend.Session{}, nil)
				check(t, err)
				defer conn.Put()
				ref := backend.NewBranch(conn, xa.GTRID{Coord: "deadbeef"})
				defer ref.Release()
				return ref.Ref().Server
			}
			ready()
			if got, want := server(), b.identity(); got != want {
				t.Errorf("a branch is of %s, want %s", got, want)
			}
			a.becomes(other.server)
			eventually(t, "the old connections are gone", func() bool {
				conn, err := pool.Get(t.Context(), &backend.Session{}, nil)
				if err == nil {
					if conn.Exec("DO 0") == nil {
						t.Fatal("a connection to a server that was not checked was lent")
					}
					conn.Put()
					return false
				}
				if !strings.Contains(err.Error(), "another server answers at its address") {
					t.Error(err)
				}
				return true
			})
			_, err := pool.Get(t.Context(), &backend.Session{}, nil)
			if err == nil {
				t.Error("a connection to a server that was not checked was lent")
			}
			if len(replaced) != 1 {
				t.Errorf("%d times told of another server, want once", len(replaced))
			}
			ready()
			if got, want := server(), other.identity(); got != want {
				t.Errorf("a branch is of %s, want %s", got, want)
			}
		})
	}
}

// TestFailoverOfTheAddress: where new connections lead to another server and old ones live on, nobody uses these any more once it is known.
func TestFailoverOfTheAddress(t *testing.T) {
	t.Parallel()
	for _, k := range recoveryKinds {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel() // its servers are its own
			b, other := newBench(t, "b1", k), newBench(t, "b1", k)
			a := newAddress(t, b)
			pool := b.pool()
			pool.Replaced = func(error) { b.admin.Reconnect() }
			facts, _, err := b.admin.Check(t.Context())
			check(t, err)
			pool.Ready(facts)
			get := func() (*backend.Conn, error) { return pool.Get(t.Context(), &backend.Session{}, nil) }
			old, err := get()
			check(t, err)

			a.Lead(other.server.Addr())
			if conn, err := get(); err == nil || !strings.Contains(err.Error(), "another server answers at its address") {
				t.Errorf("got %v, %v from a server that was not checked", conn, err)
			}
			facts, _, err = b.admin.Check(t.Context())
			check(t, err)
			if facts.Identity != other.identity() {
				t.Errorf("%s was checked, want %s", facts.Identity, other.identity())
			}
			pool.Ready(facts)
			check(t, old.Exec("DO 0")) // it lives
			old.Put()
			conn, err := get()
			check(t, err)
			defer conn.Put()
			if got := backend.NewBranch(conn, xa.GTRID{Coord: "deadbeef"}).Ref().Server; got != facts.Identity {
				t.Errorf("a branch is of %s, want %s", got, facts.Identity)
			}
		})
	}
}

// limit has the proxy log in as a user whom read_only concerns.
func (b *bench) limit() {
	b.t.Helper()
	b.exec("CREATE USER plain@'%' IDENTIFIED BY 'pw'", "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, PROCESS ON *.* TO plain@'%'")
	if b.server.Kind == servers.MySQL {
		b.exec("GRANT XA_RECOVER_ADMIN ON *.* TO plain@'%'")
	}
	b.config.User, b.config.Password = "plain", "pw"
	b.server.User, b.server.Password = "plain", "pw"
	check(b.t, b.admin.Close())
	var err error
	b.admin, err = backend.NewAdmin(b.config)
	check(b.t, err)
}
