package integration

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/participant"
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/xa"
)

func participants(cfg *config.Config) { cfg.Decision.Store = config.ParticipantStore }

// decision returns verdict and branches of the row of a stack's n-th transaction, "" without one.
func (s *stack) decision(n uint64, decider int) string {
	s.t.Helper()
	var verdict, branches string
	g := s.gtrid(n, decider)
	err := pool(s.t, s.servers[decider]).QueryRow("SELECT verdict, branches FROM xaproxy.xaproxy_decision WHERE gtrid = ?", g.String()).Scan(&verdict, &branches)
	if err == sql.ErrNoRows {
		return ""
	}
	check(s.t, err)
	var names []string
	for b := range strings.SplitSeq(branches, ",") {
		name, _, _ := strings.Cut(b, ":")
		names = append(names, name)
	}
	return verdict + " " + strings.Join(names, " ")
}

// gtrid is the name of a stack's n-th transaction.
func (s *stack) gtrid(n uint64, decider int) xa.GTRID {
	return xa.GTRID{Coord: s.rows.Coord(), Epoch: s.rows.Epoch(), Seq: n, Decider: s.backends[decider].Name()}
}

// TestParticipantDecides: what is written on several backends is decided by a row on the first one that was touched, whoever wrote
// there, and nothing else has a row.
func TestParticipantDecides(t *testing.T) {
	for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MySQL}, {servers.MySQL, servers.MariaDBBinlog}, {servers.MariaDBBinlog, servers.MariaDB}} {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			t.Parallel()
			s := newStack(t, kinds, participants)
			c := s.conn()
			c.exec("INSERT INTO accounts (id, v) VALUES (2, 0), (4, 0)") // one backend in autocommit: no transaction of ours
			c.exec("INSERT INTO accounts (id, v) VALUES (1, 0)")
			n := uint64(0)
			for _, test := range []struct {
				name       string
				statements []string
				decider    int
				want       string
			}{
				{"two writers", []string{"UPDATE accounts SET v = v + 1 WHERE id = 2", "UPDATE accounts SET v = v + 1 WHERE id = 1"}, 0, "commit b1"},
				{"two writers, the other way", []string{"UPDATE accounts SET v = v + 1 WHERE id = 1", "UPDATE accounts SET v = v + 1 WHERE id = 2"}, 1, "commit b0"},
				{"one backend", []string{"UPDATE accounts SET v = v + 1 WHERE id = 2", "UPDATE accounts SET v = v + 1 WHERE id = 4"}, 0, ""},
				{"the other one only reads", []string{"UPDATE accounts SET v = v + 1 WHERE id = 2", "SELECT v FROM accounts WHERE id = 1"}, 0, ""},
				{"readers", []string{"SELECT v FROM accounts WHERE id = 2", "SELECT v FROM accounts WHERE id = 1"}, 0, ""},
				{"scatter", []string{"UPDATE accounts SET v = v + 1 WHERE id IN (1, 2)"}, 0, "commit b1"},
			} {
				n++
				c.exec("BEGIN")
				c.exec(test.statements...)
				c.exec("COMMIT")
				if got := s.decision(n, test.decider); got != test.want {
					t.Errorf("%s: row %q, want %q", test.name, got, test.want)
				}
			}
			// The decider has only read. A server that may forget a one-phase commit needs a record all the same.
			n++
			c.exec("BEGIN", "SELECT v FROM accounts WHERE id = 2", "UPDATE accounts SET v = v + 1 WHERE id = 1", "COMMIT")
			want := ""
			if kinds[1] == servers.MariaDBBinlog {
				want = "commit b1"
			}
			if got := s.decision(n, 0); got != want {
				t.Errorf("a decider that has only read: row %q, want %q", got, want)
			}
			n++
			c.exec("BEGIN", "UPDATE accounts SET v = v + 1 WHERE id = 2", "UPDATE accounts SET v = v + 1 WHERE id = 1", "ROLLBACK")
			if got := s.decision(n, 0); got != "" {
				t.Errorf("rolled back: row %q", got)
			}
			if got := c.rows("SELECT GROUP_CONCAT(v ORDER BY id) FROM accounts"); got != "4,5,1" {
				t.Errorf("values %s, want 4,5,1", got)
			}
		})
	}
}

// TestParticipantFenced: a transaction that somebody has fenced rolls back whole, however far it is.
func TestParticipantFenced(t *testing.T) {
	for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MySQL}, {servers.MySQL, servers.MariaDB}} {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			t.Parallel()
			s := newStack(t, kinds, participants)
			c := s.conn()
			c.exec("INSERT INTO accounts (id, v) VALUES (1, 0)")
			c.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (2, 7)", "UPDATE accounts SET v = 7 WHERE id = 1")
			// An offline recoverer, which takes the owner for dead.
			other := newRows(t, time.Nanosecond, s)
			if r := other.Lookup(t.Context(), []xa.GTRID{s.gtrid(1, 0)}, true)[0]; r.Decided || r.Err != nil {
				t.Fatalf("dry run: %+v", r)
			}
			if r := other.Lookup(t.Context(), []xa.GTRID{s.gtrid(1, 0)}, false)[0]; r.Decided || r.Running || r.Err != nil {
				t.Fatalf("ruling %+v, want rollback", r)
			}
			c.fails(1180, "COMMIT")
			if got := c.rows("SELECT GROUP_CONCAT(v ORDER BY id) FROM accounts"); got != "0" {
				t.Errorf("values %s after the rollback, want 0", got)
			}
			c.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (2, 7)", "UPDATE accounts SET v = 7 WHERE id = 1", "COMMIT")
			if r := other.Lookup(t.Context(), []xa.GTRID{s.gtrid(2, 0)}, false)[0]; !r.Decided || len(r.Decision.Branches) != 1 || r.Decision.Branches[0].Backend != "b1" {
				t.Errorf("ruling on what is committed: %+v", r)
			}
		})
	}
}

// newRows is the store as another proxy, with no heartbeat yet, has it over the backends of a stack.
func newRows(t *testing.T, grace time.Duration, s *stack) *participant.Store {
	t.Helper()
	var all []participant.Server
	for _, a := range s.admins {
		all = append(all, a)
	}
	rows, err := participant.New(participant.Options{Servers: all, Deciders: []string{"b0", "b1"}, Grace: grace, Retain: time.Hour, Timeout: 5 * time.Second, Logger: zerolog.Nop()})
	check(t, err)
	return rows
}

// TestParticipantProcedureCommits: a procedure may end the decider's transaction, which an XA branch would not let it. The rest is
// rolled back, and the client is told.
func TestParticipantProcedureCommits(t *testing.T) {
	for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MySQL}, {servers.MySQL, servers.MariaDB}} {
		for name, body := range map[string]string{"commits": "COMMIT", "commits and begins": "BEGIN COMMIT; START TRANSACTION; END"} {
			t.Run(fmt.Sprint(kinds, name), func(t *testing.T) {
				s := newStack(t, kinds, func(cfg *config.Config) {
					participants(cfg)
					cfg.Schemas = append(cfg.Schemas, config.Schema{Name: cfg.Schemas[0].Name + "_p", Backend: "b0"})
				})
				own := s.schema + "_p"
				admin(t, s.servers[0], "CREATE DATABASE "+own, "CREATE PROCEDURE "+own+".p() "+body)
				t.Cleanup(func() { admin(t, s.servers[0], "DROP DATABASE "+own) })
				c := s.conn()
				c.exec("INSERT INTO accounts (id, v) VALUES (1, 0)")
				c.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (2, 7)", "UPDATE accounts SET v = 7 WHERE id = 1", "CALL "+own+".p()")
				if e := c.fails(1180, "COMMIT"); !strings.Contains(e, "backend b0: a statement has ended its transaction there") {
					t.Errorf("error %s", e)
				}
				if got := c.rows("SELECT GROUP_CONCAT(v ORDER BY id) FROM accounts"); got != "0,7" {
					t.Errorf("values %s, want 0,7: what the procedure has committed stays", got)
				}
				if got := s.decision(1, 0); got != "" {
					t.Errorf("row %q", got)
				}
			})
		}
	}
}

// participantBench is two servers with the tables, as proxies that are dead now have left them.
type participantBench struct {
	t      *testing.T
	a, b   *bench
	coord  string // of a proxy that is dead
	server []participant.Server
}

func newParticipantBench(t *testing.T, ka, kb servers.Kind) *participantBench {
	p := &participantBench{t: t, a: newBench(t, "a", ka), b: newBench(t, "b", kb), coord: "deadbeef"}
	for _, b := range []*bench{p.a, p.b} {
		check(t, participant.Create(t.Context(), b.admin))
		p.server = append(p.server, b.admin)
	}
	return p
}

func (p *participantBench) xid(seq uint64, decider, on string) xa.XID {
	return xa.XID{GTRID: xa.GTRID{Coord: p.coord, Epoch: 1, Seq: seq, Decider: decider}, BQUAL: on}
}

// goneProcess is, on host h, known to have ended.
const goneProcess = 9

// store is that of a proxy with an own coord.
func (p *participantBench) store(grace time.Duration) *participant.Store {
	p.t.Helper()
	s, err := participant.New(participant.Options{
		Servers: p.server, Grace: grace, Retain: time.Hour, Timeout: 5 * time.Second, Logger: zerolog.Nop(),
		Gone: func(host string, pid int) bool { return host == "h" && pid == goneProcess },
	})
	check(p.t, err)
	return s
}

func (p *participantBench) janitor(s *participant.Store) *recovery.Janitor {
	return recovery.New(recovery.Options{
		Servers: []recovery.Server{p.a.admin, p.b.admin}, Decisions: participant.Decisions{Store: s}, InFlight: recovery.Idle{},
		Interval: 100 * time.Millisecond, Timeout: 5 * time.Second, Logger: zerolog.New(zerolog.NewTestWriter(p.t)),
	})
}

// TestParticipantRecovery: whoever comes finishes what a dead proxy left, as the deciders' rows say. A living one's is left alone.
func TestParticipantRecovery(t *testing.T) {
	for _, run := range []struct {
		kinds [2]servers.Kind
		end   string // of the proxy that lives at first
	}{
		{[2]servers.Kind{servers.MariaDB, servers.MySQL}, "UPDATE xaproxy.xaproxy_proxy SET beat_at = beat_at + INTERVAL 2 HOUR WHERE coord = '0000aaaa'"}, // its clock was set back
		{[2]servers.Kind{servers.MariaDB, servers.MySQL}, "DELETE FROM xaproxy.xaproxy_proxy WHERE coord = '0000aaaa'"},
		{[2]servers.Kind{servers.MySQL, servers.MariaDBBinlog}, fmt.Sprintf("UPDATE xaproxy.xaproxy_proxy SET pid = %d WHERE coord = '0000aaaa'", goneProcess)},
	} {
		t.Run(fmt.Sprint(run.kinds), func(t *testing.T) {
			t.Parallel()
			p := newParticipantBench(t, run.kinds[0], run.kinds[1])
			decided, undecided, alive, gone := p.xid(1, "a", "b"), p.xid(2, "a", "b"), p.xid(3, "a", "b"), p.xid(4, "elsewhere", "b")
			alive.GTRID.Coord = "0000aaaa"
			id := p.b.prepare(decided.SQL(), 1, false)
			for i, x := range []xa.XID{undecided, alive, gone} {
				p.b.prepare(x.SQL(), 2+i, false)
			}
			s := p.store(time.Hour)
			_, err := p.a.admin.Exec(t.Context(), s.Insert(xa.Decision{GTRID: decided.GTRID, Branches: []xa.BranchRef{{Backend: "b", Server: p.b.identity(), ConnID: id, Voted: time.Now()}}})[0])
			check(t, err)
			p.a.exec("INSERT INTO xaproxy.xaproxy_proxy VALUES ('0000aaaa', 'h', 1, UTC_TIMESTAMP(6)), ('deadbeef', 'h', 2, UTC_TIMESTAMP(6) - INTERVAL 2 HOUR)")
			j := p.janitor(s)
			j.Pass(t.Context(), true, nil)
			if n := len(p.b.prepared()); n != 4 {
				t.Fatalf("%d branches after the dry run, want 4", n)
			}
			if got := verdicts(t, p.a); got != "commit" {
				t.Errorf("rows after the dry run: %q", got)
			}
			r := j.Pass(t.Context(), false, nil)
			if r.Committed != 1 || r.RolledBack != 1 {
				t.Errorf("%d committed, %d rolled back, want 1 and 1", r.Committed, r.RolledBack)
			}
			for g, want := range map[xa.GTRID][2]string{
				decided.GTRID:   {"VOTE: branch b is prepared", "when the branches on other backends than a committed"},
				undecided.GTRID: {"ABORT: fenced by xaproxy " + s.Coord() + ", so", "which branches it had"},
			} {
				e, err := j.Explain(t.Context(), g.String())
				says := slices.ContainsFunc(e.Trail, func(t xa.TrailEntry) bool { return strings.HasPrefix(t.Text, want[0]) })
				if err != nil || !says || len(e.Missing) != 1 || !strings.HasPrefix(e.Missing[0], want[1]) {
					t.Errorf("%s: %+v, %v", g, e, err)
				}
			}
			if got, want := p.b.prepared(), []string{alive.GTRID.String() + "|b", gone.GTRID.String() + "|b"}; !slices.Equal(got, want) {
				t.Errorf("prepared %q, want %q", got, want)
			}
			if got := p.b.values(); got != "1,0,0,0" {
				t.Errorf("values %s, want only the decided row changed", got)
			}
			if got := verdicts(t, p.a); got != "abort,commit" {
				t.Errorf("rows %q, want a fence", got)
			}
			p.a.exec(run.end)
			if r := j.Pass(t.Context(), false, nil); r.RolledBack != 1 {
				t.Errorf("%d rolled back once the owner is gone, want 1", r.RolledBack)
			}
			if n := len(p.b.prepared()); n != 1 {
				t.Errorf("%d branches, want that whose decider is not configured", n)
			}
			p.b.exec("XA ROLLBACK "+gone.SQL(), "UPDATE d.r SET v = v + 1")
		})
	}
}

func verdicts(t *testing.T, b *bench) string {
	t.Helper()
	var all sql.NullString
	check(t, b.root.QueryRow("SELECT GROUP_CONCAT(verdict ORDER BY verdict) FROM xaproxy.xaproxy_decision").Scan(&all))
	return all.String
}

// TestParticipantZombie: a decider that has inserted its row and not committed yet keeps recovery waiting, and nothing else; what it does in
// the end counts.
func TestParticipantZombie(t *testing.T) {
	for _, kinds := range [][2]servers.Kind{{servers.MariaDB, servers.MySQL}, {servers.MySQL, servers.MariaDB}} {
		for _, end := range []string{"COMMIT", "ROLLBACK"} {
			t.Run(fmt.Sprint(kinds, end), func(t *testing.T) {
				t.Parallel()
				p := newParticipantBench(t, kinds[0], kinds[1])
				held, other := p.xid(1, "a", "b"), p.xid(2, "a", "b")
				id := p.b.prepare(held.SQL(), 1, false)
				p.b.prepare(other.SQL(), 2, false)
				s := p.store(time.Hour)
				conn, _ := p.a.session()
				for _, q := range []string{"START TRANSACTION", s.Insert(xa.Decision{GTRID: held.GTRID, Branches: []xa.BranchRef{{Backend: "b", Server: p.b.identity(), ConnID: id}}})[0]} {
					_, err := conn.ExecContext(t.Context(), q)
					check(t, err)
				}
				j := p.janitor(s)
				j.Pass(t.Context(), false, nil)
				if got, want := p.b.prepared(), []string{held.GTRID.String() + "|b"}; !slices.Equal(got, want) {
					t.Errorf("prepared %q, want %q", got, want)
				}
				_, err := conn.ExecContext(t.Context(), end)
				check(t, err)
				j.Pass(t.Context(), false, nil)
				want := "1,0,0,0"
				if end == "ROLLBACK" {
					want = "0,0,0,0"
				}
				if got := p.b.values(); got != want || len(p.b.prepared()) != 0 {
					t.Errorf("values %s, want %s; prepared %q", got, want, p.b.prepared())
				}
			})
		}
	}
}

// TestParticipantManyRecover: several recoverers at once, beside owners that decide at the same moment, agree.
func TestParticipantManyRecover(t *testing.T) {
	for _, kinds := range [][2]servers.Kind{{servers.MariaDB, servers.MySQL}, {servers.MySQL, servers.MariaDB}} {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			t.Parallel()
			p := newParticipantBench(t, kinds[0], kinds[1])
			const n = 40
			p.b.exec("DELETE FROM d.r")
			p.a.exec("DELETE FROM d.r")
			owner := p.store(time.Nanosecond)
			var gtrids []xa.GTRID
			for i := range uint64(n) {
				x := p.xid(i, "a", "b")
				conn, _ := p.b.session()
				for _, q := range []string{"XA START " + x.SQL(), fmt.Sprintf("INSERT INTO d.r VALUES (%d, 1)", i), "XA END " + x.SQL(), "XA PREPARE " + x.SQL()} {
					_, err := conn.ExecContext(t.Context(), q)
					check(t, err)
				}
				check(t, conn.Close())
				gtrids = append(gtrids, x.GTRID)
			}
			done := make(chan error)
			go func() { // the owner decides one after the other
				for i, g := range gtrids {
					conn, err := p.a.root.Conn(context.Background())
					if err != nil {
						done <- err
						return
					}
					for _, q := range []string{"START TRANSACTION", fmt.Sprintf("INSERT INTO d.r VALUES (%d, 1)", i), owner.Insert(xa.Decision{GTRID: g, Branches: []xa.BranchRef{{Backend: "b"}}})[0], "COMMIT"} {
						if _, err := conn.ExecContext(context.Background(), q); err != nil {
							_, _ = conn.ExecContext(context.Background(), "ROLLBACK") // fenced
							break
						}
					}
					if err := conn.Close(); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
			reports := make(chan recovery.Report)
			for range 2 {
				go func() { reports <- p.janitor(p.store(time.Nanosecond)).Pass(context.Background(), false, nil) }()
			}
			check(t, <-done)
			<-reports
			<-reports
			for range 3 { // MariaDB may say "unknown XID" while the other one finishes
				p.janitor(p.store(time.Nanosecond)).Pass(t.Context(), false, nil)
			}
			if left := p.b.prepared(); len(left) != 0 {
				t.Errorf("prepared %q", left)
			}
			list := func(b *bench) string {
				var ids sql.NullString
				check(t, b.root.QueryRow("SELECT GROUP_CONCAT(id ORDER BY id) FROM d.r").Scan(&ids))
				return ids.String
			}
			if a, b := list(p.a), list(p.b); a != b {
				t.Errorf("committed on a: %s\ncommitted on b: %s", a, b)
			} else {
				t.Logf("committed on both: %s", a)
			}
		})
	}
}

// TestParticipantPrune: rows are kept for the retention, and as long as one of their branches is prepared or cannot be looked for.
func TestParticipantPrune(t *testing.T) {
	t.Parallel()
	p := newParticipantBench(t, servers.MariaDB, servers.MySQL)
	s, err := participant.New(participant.Options{
		Servers: p.server, Grace: time.Hour, Retain: time.Hour, ComeBack: time.Nanosecond, Timeout: 5 * time.Second, Logger: zerolog.Nop(),
	})
	check(t, err)
	insert := func(seq uint64, on string, age time.Duration) xa.XID {
		x := p.xid(seq, "a", on)
		_, err := p.a.admin.Exec(t.Context(), s.Insert(xa.Decision{GTRID: x.GTRID, Branches: []xa.BranchRef{{Backend: on}}})[0])
		check(t, err)
		p.a.exec(fmt.Sprintf("UPDATE xaproxy.xaproxy_decision SET created_at = UTC_TIMESTAMP() - INTERVAL %d SECOND WHERE gtrid = '%s'", int64(age.Seconds()), x.GTRID))
		return x
	}
	young := insert(1, "b", 58*time.Minute)
	listed := insert(2, "b", 3*time.Hour)
	elsewhere := insert(3, "removed", 3*time.Hour)
	for i := range uint64(1200) { // more than are looked at in one go
		insert(100+i, "b", 2*time.Hour)
	}
	p.a.exec("INSERT INTO xaproxy.xaproxy_proxy VALUES ('deadbeef', 'h', 2, UTC_TIMESTAMP(6) - INTERVAL 2 HOUR)")
	if n, err := (participant.Decisions{Store: p.store(time.Hour)}).Prune(t.Context(), nil, 0); n != 0 || err != nil {
		t.Errorf("%d pruned (%v) by a proxy that has just been started, and does not know what was prepared until then", n, err)
	}
	n, err := participant.Decisions{Store: s}.Prune(t.Context(), []recovery.Listed{{FormatID: xa.FormatID, GTRID: listed.GTRID.String(), BQUAL: "b"}}, time.Minute)
	if n != 1200 || err != nil {
		t.Errorf("%d pruned (%v), want 1200", n, err)
	}
	var left string
	check(t, p.a.root.QueryRow("SELECT GROUP_CONCAT(gtrid ORDER BY gtrid) FROM xaproxy.xaproxy_decision").Scan(&left))
	if want := fmt.Sprintf("%s,%s,%s", young.GTRID, listed.GTRID, elsewhere.GTRID); left != want {
		t.Errorf("left %s, want %s", left, want)
	}
	var proxies int
	check(t, p.a.root.QueryRow("SELECT COUNT(*) FROM xaproxy.xaproxy_proxy").Scan(&proxies))
	if proxies != 0 {
		t.Error("the heartbeat of long ago is still there")
	}
}

// TestParticipantByHand: the SQL of docs/operating.md makes what the store needs, and its grants suffice.
func TestParticipantByHand(t *testing.T) {
	page, err := os.ReadFile("../../docs/operating.md")
	check(t, err)
	_, text, _ := strings.Cut(string(page), "-- participant\n")
	text, _, ok := strings.Cut(text, "```")
	if !ok {
		t.Fatal("docs/operating.md has no SQL for the participant store")
	}
	for _, k := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "a", k)
			b.exec("CREATE USER 'xaproxy'@'%' IDENTIFIED BY 'pw'")
			for statement := range strings.SplitSeq(text, ";\n") {
				if strings.TrimSpace(statement) != "" {
					b.exec(statement)
				}
			}
			limited := b.config
			limited.User, limited.Password = "xaproxy", "pw"
			a, err := backend.NewAdmin(limited)
			check(t, err)
			defer func() { check(t, a.Close()) }()
			if wrong, err := participant.Check(t.Context(), a); wrong != nil || err != nil {
				t.Fatal(wrong, err)
			}
			s, err := participant.New(participant.Options{Servers: []participant.Server{a}, Grace: time.Hour, Retain: time.Hour, Timeout: 5 * time.Second, Host: "a'b", Logger: zerolog.Nop()})
			check(t, err)
			g := xa.GTRID{Coord: "deadbeef", Decider: "a"}
			if r := s.Lookup(t.Context(), []xa.GTRID{g}, false)[0]; r.Decided || r.Err != nil {
				t.Errorf("ruling %+v", r)
			}
			check(t, s.Beat(t.Context(), "a"))
			check(t, participant.Decisions{Store: s}.Heuristic(t.Context(), g, "b", `it's "odd"`))
			_, err = participant.Decisions{Store: s}.Prune(t.Context(), nil, 0)
			check(t, err)
			s.Stopped(t.Context())
			if got := verdicts(t, b); got != "abort" {
				t.Errorf("rows %q", got)
			}
			var what string
			check(t, b.root.QueryRow("SELECT what FROM xaproxy.xaproxy_incident").Scan(&what))
			if what != `it's "odd"` {
				t.Errorf("incident %s", what)
			}
			definition := func() (all string) {
				for _, table := range []string{"decision", "proxy", "incident"} {
					var name, text string
					check(t, b.root.QueryRow("SHOW CREATE TABLE xaproxy.xaproxy_"+table).Scan(&name, &text))
					all += regexp.MustCompile(` COMMENT '[^']*'| AUTO_INCREMENT=\d+`).ReplaceAllString(text, "") + "\n"
				}
				return all
			}
			byHand := definition()
			b.exec("DROP DATABASE xaproxy")
			if wrong, err := participant.Check(t.Context(), b.admin); wrong == nil || err != nil {
				t.Errorf("without tables: %v, %v", wrong, err)
			}
			check(t, participant.Create(t.Context(), b.admin))
			if made := definition(); made != byHand {
				t.Errorf("made by hand:\n%s\nmade by --fix:\n%s", byHand, made)
			}
		})
	}
}

// TestParticipantIncidents: what was recorded is counted on every backend, and one that cannot be asked is named.
func TestParticipantIncidents(t *testing.T) {
	t.Parallel()
	p := newParticipantBench(t, servers.MariaDB, servers.MySQL)
	d := participant.Decisions{Store: p.store(time.Hour)}
	g := p.xid(1, "a", "b").GTRID
	for _, decider := range []string{"a", "a", "elsewhere"} { // the last one is recorded on the branch's backend
		g.Decider = decider
		check(t, d.Heuristic(t.Context(), g, "b", "done by hand"))
	}
	if n, uncounted := d.Heuristics(t.Context()); n != 3 || len(uncounted) > 0 {
		t.Errorf("%d, without %q; want 3", n, uncounted)
	}
	check(t, p.b.server.Kill())
	if n, uncounted := d.Heuristics(t.Context()); n != 2 || !slices.Equal(uncounted, []string{"b"}) {
		t.Errorf("%d, without %q; want 2, without b", n, uncounted)
	}
}
