package integration

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/decision"
	"github.com/xaproxy/xaproxy/participant"
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// keeper is a store of decisions on the branches of backend b.
type keeper struct {
	*participantBench
	kind      servers.Kind // of b
	decisions recovery.Decisions
	said      bytes.Buffer       // by janitors
	file      *decision.File     // nil with the participant store
	rows      *participant.Store // nil with the file store
	last      uint64             // of the numbers of transactions
}

// TestHazards goes through what real servers do to branches, with each store.
func TestHazards(t *testing.T) {
	t.Parallel()
	for _, kind := range recoveryKinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel() // its servers are its own
			p := newParticipantBench(t, servers.MariaDB, kind)
			p.b.limit()
			p.server[1] = p.b.admin
			log, rows := openLog(t, t.TempDir()+"/log"), p.store(time.Nanosecond)
			for _, k := range []*keeper{
				{participantBench: p, kind: kind, decisions: recovery.OfLog(log), file: log},
				{participantBench: p, kind: kind, decisions: participant.Decisions{Store: rows}, rows: rows},
			} {
				for _, hazard := range []struct {
					name string
					test func(*testing.T, *keeper)
				}{
					{"rollback comes back", rollbackComesBack},
					{"commit comes back", commitComesBack},
					{"heuristic branch", heuristicBranch},
					{"two committers", twoCommitters},
					{"read-only", readOnly},
				} {
					t.Run(map[bool]string{true: config.FileStore, false: config.ParticipantStore}[k.file != nil]+"/"+hazard.name, func(t *testing.T) {
						k.said.Reset()
						p.b.exec("UPDATE d.r SET v = 0")
						hazard.test(t, k)
					})
				}
			}
		})
	}
}

// name is that of another branch on b.
func (k *keeper) name() xa.XID {
	k.last++
	if k.file == nil {
		return k.xid(k.last, "a", "b")
	}
	return xa.XID{GTRID: xa.GTRID{Coord: k.file.Coord(), Epoch: k.file.Epoch(), Seq: k.last}, BQUAL: "b"}
}

// decide writes down that a transaction commits.
func (k *keeper) decide(x xa.XID) {
	k.t.Helper()
	d := xa.Decision{GTRID: x.GTRID, Time: time.Now(), Branches: []xa.BranchRef{{Backend: "b", Server: k.b.identity()}}}
	if k.file != nil {
		check(k.t, k.file.Append(d))
		return
	}
	_, err := k.a.admin.Exec(k.t.Context(), k.rows.Insert(d)[0])
	check(k.t, err)
}

// janitor is one that has not been there before.
func (k *keeper) janitor() *recovery.Janitor {
	return janitorOf(k.decisions, recovery.Idle{}, &k.said, k.a.admin, k.b.admin)
}

// crash kills b and starts it again.
func (k *keeper) crash() {
	k.t.Helper()
	check(k.t, k.b.server.Kill())
	check(k.t, k.b.server.Restart(k.t.Context()))
}

// rollbackComesBack: a rollback that was acknowledged is not durable on MariaDB. Recovery rolls the branch back as often as it comes, and
// its decision never changes.
func rollbackComesBack(t *testing.T, k *keeper) {
	x := k.name()
	k.b.prepare(x.SQL(), 1, false)
	j := k.janitor()
	if r := j.Pass(t.Context(), false, nil); r.RolledBack != 1 {
		t.Fatalf("%d rolled back, want 1", r.RolledBack)
	}
	k.crash()
	if back := len(k.b.prepared()) > 0; back == (k.kind == servers.MySQL) {
		t.Errorf("the branch has come back: %t; docs/protocol.md says otherwise", back)
	}
	j.Pass(t.Context(), false, nil)
	wantVerdict(t, j.Pass(t.Context(), false, nil), "clean: nothing of ours is left")
	k.b.exec("UPDATE d.r SET v = v WHERE id = 1") // no lock is left
	if got := k.b.values(); got != "0,0,0,0" {
		t.Errorf("values %s", got)
	}
}

// commitComesBack: after the reset of its session MariaDB says OK to the commit of a branch and does nothing; the next crash shows that.
// The decision has outlived its acknowledgement, and finishes the branch. Other servers keep what they say.
func commitComesBack(t *testing.T, k *keeper) {
	x := k.name()
	d := wire.Dialer{Network: "tcp", Addr: fmt.Sprintf("%s:%d", k.b.server.Host, k.b.server.Port), User: k.b.server.User, Password: k.b.server.Password, MaxPacket: 1 << 20, Timeout: 10 * time.Second}
	c, _, err := d.Dial(t.Context())
	check(t, err)
	defer func() { _ = c.Close() }() // the server is killed before
	run := func(command wire.Command, text string) error {
		if err := c.SendCommand(command, []byte(text)); err != nil {
			return err
		}
		_, err := c.ReadResult(1 << 10)
		return err
	}
	for _, q := range []string{"XA START " + x.SQL(), "UPDATE d.r SET v = 1 WHERE id = 1", "XA END " + x.SQL(), "XA PREPARE " + x.SQL()} {
		check(t, run(wire.ComQuery, q))
	}
	k.decide(x)
	check(t, run(wire.ComResetConnection, ""))
	if err := run(wire.ComQuery, "XA COMMIT "+x.SQL()); err != nil {
		t.Fatalf("the commit is refused: %v; docs/protocol.md says otherwise", err)
	}
	j := k.janitor()
	wantVerdict(t, j.Pass(t.Context(), false, nil), "clean: nothing of ours is left")
	if done := k.b.values() == "1,0,0,0"; done != (k.kind == servers.MySQL) {
		t.Errorf("committed: %t; docs/protocol.md says otherwise", done)
	}
	k.crash()
	j.Pass(t.Context(), false, nil)
	wantVerdict(t, j.Pass(t.Context(), false, nil), "clean: nothing of ours is left")
	if got := k.b.values(); got != "1,0,0,0" {
		t.Errorf("values %s: the decision is lost", got)
	}
}

// heuristicBranch: MariaDB has rolled back, when its session ended, what had changed no row, and says so to its commit. That is written down,
// told and shown, and stays; recovery goes on.
func heuristicBranch(t *testing.T, k *keeper) {
	x, other := k.name(), k.name()
	conn, id := k.b.session()
	for _, q := range []string{"XA START " + x.SQL(), "SELECT v FROM d.r WHERE id = 1 FOR UPDATE", "XA END " + x.SQL(), "XA PREPARE " + x.SQL()} {
		_, err := conn.ExecContext(t.Context(), q)
		check(t, err)
	}
	check(t, conn.Close())
	eventually(t, "the session ends", func() bool { return !k.b.alive(id) })
	k.b.prepare(other.SQL(), 2, false)
	k.decide(x)
	k.decide(other)
	j := k.janitor()
	r := j.Pass(t.Context(), false, nil)
	maria := k.kind != servers.MySQL
	var report strings.Builder
	check(t, r.WriteText(&report))
	if strings.Contains(report.String(), "heuristic: the server had nothing left to commit") != maria || r.Committed != map[bool]int{true: 1, false: 2}[maria] {
		t.Errorf("%d committed:\n%s", r.Committed, &report)
	}
	for range 2 {
		trail, err := k.decisions.Trail(t.Context(), x.GTRID)
		check(t, err)
		if kept := strings.Contains(fmt.Sprint(trail), "decided to commit, but the server answered"); kept != maria {
			t.Errorf("the trail says so: %t: %v", kept, trail)
		}
		k.crash()
		j.Pass(t.Context(), false, nil)
	}
	if told := strings.Count(k.said.String(), "a committed transaction may lack this branch"); (told == 1) != maria {
		t.Errorf("told %d times:\n%s", told, &k.said)
	}
	wantVerdict(t, j.Pass(t.Context(), false, nil), "clean: nothing of ours is left")
	if got := k.b.values(); got != "0,1,0,0" {
		t.Errorf("values %s", got)
	}
}

// twoCommitters: while somebody else's commit of a branch waits, MariaDB does not know the branch, and MySQL has the second one wait. When
// that commit fails in the end, the branch is there as before; recovery finishes it.
func twoCommitters(t *testing.T, k *keeper) {
	x := k.name()
	k.b.prepare(x.SQL(), 1, false)
	k.decide(x)
	locker, err := k.b.root.Conn(t.Context())
	check(t, err)
	defer func() { check(t, locker.Close()) }()
	lock := func(q string) {
		t.Helper()
		_, err := locker.ExecContext(t.Context(), q)
		check(t, err)
	}
	lock("FLUSH TABLES WITH READ LOCK")
	conn, id := k.b.session()
	answered := make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(context.Background(), "XA COMMIT "+x.SQL())
		answered <- err
	}()
	eventually(t, "the other commit waits", func() bool {
		var n int
		check(t, k.b.root.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE id = ? AND state LIKE 'Waiting for%'", id).Scan(&n))
		return n > 0
	})
	j := k.janitor()
	if r := j.Pass(t.Context(), false, nil); r.Committed != 0 || r.Clean() {
		t.Errorf("while the other commit waits: %s", r.Verdict())
	}
	k.b.exec(fmt.Sprintf("KILL QUERY %d", id))
	if err := <-answered; err == nil {
		t.Fatal("the other commit was not interrupted")
	}
	lock("UNLOCK TABLES")
	j.Pass(t.Context(), false, nil)
	wantVerdict(t, j.Pass(t.Context(), false, nil), "clean: nothing of ours is left")
	if got := k.b.values(); got != "1,0,0,0" {
		t.Errorf("values %s", got)
	}
}

// readOnly: a server that has become read-only while a branch is prepared refuses its commit, if it is MariaDB. The branch stays in doubt,
// that is told, and it is finished as soon as the server may be written again. MySQL lets it commit.
func readOnly(t *testing.T, k *keeper) {
	committed, undecided := k.name(), k.name()
	k.decide(committed)
	k.b.prepare(committed.SQL(), 1, false)
	k.b.prepare(undecided.SQL(), 2, false)
	j := k.janitor()
	k.b.exec("SET GLOBAL read_only = 1")
	if k.kind == servers.MySQL {
		k.b.exec("SET GLOBAL super_read_only = 1")
	}
	r := j.Pass(t.Context(), false, nil)
	if k.kind == servers.MySQL {
		if r.Committed != 1 {
			t.Errorf("a read-only MySQL has refused a commit: docs/protocol.md says otherwise:\n%s", &k.said)
		}
	} else {
		j.Pass(t.Context(), false, nil)
		if told := k.said.String(); r.Committed != 0 || !strings.Contains(told, "branch cannot be finished yet") || !strings.Contains(told, "1290 (HY000)") {
			t.Errorf("%d committed, and told:\n%s", r.Committed, told)
		}
		if !slices.Contains(k.b.prepared(), committed.GTRID.String()+"|b") {
			t.Error("the branch is not prepared any more")
		}
		if got := k.b.values(); got != "0,0,0,0" {
			t.Errorf("values %s", got)
		}
	}
	k.b.exec("SET GLOBAL read_only = 0")
	j.Pass(t.Context(), false, nil)
	wantVerdict(t, j.Pass(t.Context(), false, nil), "clean: nothing of ours is left")
	if got := k.b.values(); got != "1,0,0,0" {
		t.Errorf("values %s, want 1,0,0,0", got)
	}
}
