package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// One pass finishes ours, leaves the others alone and counts.
func TestPass(t *testing.T) {
	committed, undecided, running := ours(3, 1), ours(2, 2), ours(3, 3)
	log := newFakeLog(decide(committed, ref("a"), ref("b")))
	log.inFlight[running] = true
	foreign := Listed{FormatID: 1, GTRID: "app", BQUAL: "\x00"}
	other := prepared(xa.GTRID{Coord: "11111111", Epoch: 1, Seq: 1}, "a")
	a := newFakeServer("a", prepared(committed, "a"), prepared(undecided, "a"), prepared(running, "a"), foreign, other)
	b := newFakeServer("b", prepared(committed, "b"))
	j := newJanitor(t, log, a, b)

	r := j.Pass(t.Context(), true, nil)
	if len(a.did())+len(b.did()) > 0 || r.Clean() || r.Left != 2 || !log.open(committed) {
		t.Errorf("dry run: did %q and %q, reports %s", a.did(), b.did(), r.Verdict())
	}
	r = j.Pass(t.Context(), false, nil)
	expect(t, "a", a.did(), []string{"commit " + committed.String() + "/a", "rollback " + undecided.String() + "/a"})
	expect(t, "b", b.did(), []string{"commit " + committed.String() + "/b"})
	if log.open(committed) {
		t.Error("the decision is not done although both branches were committed and are not prepared")
	}
	want := "clean: nothing of ours is left; 2 branches committed; 1 branch rolled back; 1 branch in flight; 2 branches of others not touched"
	if !r.Clean() || r.Verdict() != want {
		t.Errorf("got %s\nwant %s", r.Verdict(), want)
	}
}

// A transaction that is decided and leaves the in-flight table while the list travels must be seen as decided: the list
// is older than the look-ups. Looked up before the listing, its branch would be rolled back.
func TestListedBeforeDecided(t *testing.T) {
	g := ours(3, 1)
	log := newFakeLog()
	log.inFlight[g] = true
	a := newFakeServer("a", prepared(g, "a"))
	a.onList = func() {
		log.append(decide(g, ref("a")))
		log.mu.Lock()
		delete(log.inFlight, g)
		log.mu.Unlock()
	}
	newJanitor(t, log, a).Pass(t.Context(), false, nil)
	expect(t, "a", a.did(), []string{"commit " + g.String() + "/a"})
}

// The same race for the end of a decision: one that was taken after the list was made proves nothing by its absence.
func TestDecidedAfterList(t *testing.T) {
	g := ours(3, 1)
	log := newFakeLog()
	a := newFakeServer("a")
	a.onList = func() { log.append(decide(g, ref("a"))) }
	r := newJanitor(t, log, a).Pass(t.Context(), false, nil)
	if !log.open(g) || r.Clean() {
		t.Errorf("done by a list that is older than the decision: %s", r.Verdict())
	}
}

// Unknown XID does not mean finished: the branch stays listed and the decision open.
func TestUnknownIsNotFinished(t *testing.T) {
	g := ours(3, 1)
	log := newFakeLog(decide(g, ref("a")))
	a := newFakeServer("a", prepared(g, "a"))
	a.commit[xa.XID{GTRID: g, BQUAL: "a"}] = &xa.ServerError{Errno: xa.ErrnoNotA, State: "XAE04", Message: "unknown"}
	j := newJanitor(t, log, a)
	for range 2 {
		if r := j.Pass(t.Context(), false, nil); r.Clean() || r.Left != 1 || !log.open(g) {
			t.Fatalf("reports %s", r.Verdict())
		}
	}
	a.set(func(s *fakeServer) { clear(s.commit) })
	if r := j.Pass(t.Context(), false, nil); !r.Clean() || log.open(g) {
		t.Errorf("reports %s once the branch can be committed", r.Verdict())
	}
}

// A decision whose branches are nowhere is done only with a proof; each lack of one is told.
func TestProof(t *testing.T) {
	g := ours(2, 1) // of an earlier run, so its sessions have to be ended
	both := []xa.BranchRef{ref("a"), ref("b")}
	for _, c := range []struct {
		name     string
		branches []xa.BranchRef
		change   func(a, b *fakeServer)
		want     string // in the report; "" if done
	}{
		{"all looked at", both, nil, ""},
		{"backend down", both, func(_, b *fakeServer) { b.down = errDown }, "b: cannot be looked at"},
		{"another server", both, func(a, _ *fakeServer) { a.identity = "replica" }, "a: not prepared, but this is another server (replica) than the one that prepared it (server of a)"},
		{"unknown server", []xa.BranchRef{{Backend: "a"}}, nil, "a: not prepared, but the server that prepared it is not known"},
		{"session lives", both, func(a, _ *fakeServer) { a.kill = errors.New("it stays") }, "a: session 5 may still hold it: it stays"},
		{"backend removed", append(both, ref("c")), nil, "c: not in the configuration: put the backend back there"},
		{"on the wrong server", both, func(_, b *fakeServer) { b.disk.branches = []Listed{prepared(g, "a")} }, "a: prepared"},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := newFakeLog(decide(g, c.branches...))
			a, b := newFakeServer("a"), newFakeServer("b")
			if c.change != nil {
				c.change(a, b)
			}
			r := newJanitor(t, log, a, b).Pass(t.Context(), false, nil)
			if len(r.Decisions) != 1 {
				t.Fatalf("%d decisions in the report, want 1", len(r.Decisions))
			}
			got := strings.Join(r.Decisions[0].Open, "; ")
			if got != c.want || log.open(g) != (c.want != "") || r.Decisions[0].Finished != (c.want == "") {
				t.Errorf("got %q (open %t), want %q", got, log.open(g), c.want)
			}
			if (c.want == "") != r.Clean() {
				t.Errorf("clean is %t", r.Clean())
			}
		})
	}
}

// Sessions of lost connections are ended before the list is made, but never those of a server that was started since,
// nor those that work for this process.
func TestSessionsEnded(t *testing.T) {
	now := time.Now()
	orphan := xa.XID{GTRID: ours(3, 1), BQUAL: "a"}
	for _, c := range []struct {
		name    string
		started time.Time
		kill    error
		want    []string
		adopted bool
	}{
		{"server up since before", now.Add(-time.Hour), nil, []string{"kill 9ns"}, true},
		{"server started since", now.Add(time.Hour), nil, nil, true},
		{"session stays", now.Add(-time.Hour), errors.New("it stays"), []string{"kill 9ns"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := newFakeLog(decide(ours(3, 2), ref("a"))) // all acknowledged: its session is another transaction's now
			log.orphans = []xa.Orphan{{XID: orphan, ConnID: 9, Since: now}}
			a := newFakeServer("a")
			a.started, a.kill = c.started, c.kill
			a.onList = func() { expect(t, "before the list", a.did(), c.want) }
			newJanitor(t, log, a).Pass(t.Context(), false, nil)
			expect(t, "did", a.did(), c.want)
			if adopted := len(log.Orphans("a")) == 0; adopted != c.adopted {
				t.Errorf("adopted: %t, want %t", adopted, c.adopted)
			}
		})
	}
}

// rowsOf is a fakeLog whose decisions are on deciders.
type rowsOf struct{ Decisions }

func (rowsOf) Coord() string             { return "" }
func (rowsOf) Unfinished() []xa.Decision { return nil }

// A session that keeps a branch from being finished is ended before the next list, unless it has ended the branch itself since.
func TestSessionThatKeepsABranch(t *testing.T) {
	g := xa.GTRID{Coord: testCoord, Epoch: 9, Seq: 1, Decider: "b"}
	x := xa.XID{GTRID: g, BQUAL: "a"}
	for name, c := range map[string]struct {
		decided bool
		change  func(*fakeServer)
		want    string
	}{
		"decided":                   {true, func(*fakeServer) {}, "kill 5ns"},
		"undecided":                 {false, func(*fakeServer) {}, "kill 5ns"},
		"nobody holds it":           {true, func(s *fakeServer) { s.holder = 0 }, ""},
		"it is ended":               {true, func(s *fakeServer) { s.disk.remove(prepared(g, "a"), false) }, ""},
		"the branch cannot be held": {true, func(s *fakeServer) { s.commit[x] = &xa.ServerError{Errno: 1205} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			log, verb := newFakeLog(), "rollback"
			if c.decided {
				log, verb = newFakeLog(decide(g, ref("a"))), "commit"
			}
			a := newFakeServer("a", prepared(g, "a"))
			a.holder = 5
			a.commit[x], a.rollback[x] = &xa.ServerError{Errno: xa.ErrnoNotA}, &xa.ServerError{Errno: xa.ErrnoNotA}
			j := newJanitor(t, log, a)
			j.o.Decisions = rowsOf{j.o.Decisions}
			if name == "the branch cannot be held" {
				c.change(a)
			}
			j.Pass(t.Context(), false, nil)
			expect(t, "first pass", a.did(), []string{verb + " " + x.String()})
			a.set(func(s *fakeServer) { s.calls = nil; clear(s.commit); clear(s.rollback) })
			c.change(a)
			a.set(func(s *fakeServer) { clear(s.commit) })
			j.Pass(t.Context(), false, nil)
			got := slices.DeleteFunc(a.did(), func(call string) bool { return !strings.HasPrefix(call, "kill") })
			if strings.Join(got, ",") != c.want {
				t.Errorf("did %q, want %q", got, c.want)
			}
			if r := j.Pass(t.Context(), false, nil); !r.Clean() {
				t.Errorf("reports %s", r.Verdict())
			}
		})
	}
}

// After a failover the ids of the old server's sessions mean others on the new one.
func TestSessionsOfAnotherServer(t *testing.T) {
	log := newFakeLog()
	a := newFakeServer("a")
	j := newJanitor(t, log, a)
	j.Pass(t.Context(), false, nil)
	log.orphans = []xa.Orphan{{XID: xa.XID{GTRID: ours(3, 1), BQUAL: "a"}, Server: "server of a", ConnID: 9, Since: time.Now()}}
	a.set(func(s *fakeServer) { s.identity = "replica" })
	j.Pass(t.Context(), false, nil)
	expect(t, "did", a.did(), nil)
}

// A server that has rolled a decided branch back breaks the promise: it is recorded once, and told.
func TestHeuristic(t *testing.T) {
	g := ours(3, 1)
	log := newFakeLog(decide(g, ref("a")))
	a := newFakeServer("a", prepared(g, "a"))
	a.commit[xa.XID{GTRID: g, BQUAL: "a"}] = &xa.ServerError{Errno: xa.ErrnoRBRollback, State: "XA100", Message: "rolled back"}
	j := newJanitor(t, log, a)
	r := j.Pass(t.Context(), false, nil)
	if r.Heuristics != 1 || r.Clean() || !strings.Contains(r.Verdict(), "1 branch was finished against its decision by its server") {
		t.Errorf("reports %s", r.Verdict())
	}
	want := g.String() + " a decided to commit, but the server answered 1402 (XA100): rolled back: " +
		"it has rolled the branch back, or the branch had changed no row"
	expect(t, "record", log.heuristics, []string{want})
}

// A branch of a later run of our own log: somebody runs with a copy of it, and this process must stop finishing.
func TestFenced(t *testing.T) {
	undecided := ours(3, 1)
	log := newFakeLog()
	a := newFakeServer("a", prepared(undecided, "a"), prepared(ours(4, 1), "a"))
	j := newJanitor(t, log, a)
	told := 0
	j.o.Fenced = func(error) { told++ }
	for range 2 {
		r := j.Pass(t.Context(), false, nil)
		if r.Fenced == "" || r.Clean() {
			t.Errorf("reports %s", r.Verdict())
		}
	}
	expect(t, "did", a.did(), nil)
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
}

// A log that cannot be asked decides nothing.
func TestBrokenLog(t *testing.T) {
	log := newFakeLog()
	log.broken = errors.New("input/output error")
	a := newFakeServer("a", prepared(ours(3, 1), "a"))
	r := newJanitor(t, log, a).Pass(t.Context(), false, nil)
	expect(t, "did", a.did(), nil)
	if r.Clean() || r.Left != 1 {
		t.Errorf("reports %s", r.Verdict())
	}
}

// Two backends on one server list the same branches; each is finished once, by its own backend, and counted once.
func TestTwoBackendsOnOneServer(t *testing.T) {
	g, gone := ours(3, 1), ours(3, 2)
	foreign := Listed{FormatID: 1, GTRID: "app", BQUAL: "1"}
	shared := []Listed{prepared(g, "a"), prepared(g, "b"), prepared(gone, "removed"), foreign}
	log := newFakeLog(decide(g, ref("a")))
	a, b := newFakeServer("a", shared...), newFakeServer("b")
	b.identity, b.disk = a.identity, a.disk
	r := newJanitor(t, log, a, b).Pass(t.Context(), false, nil)
	expect(t, "a", a.did(), []string{"commit " + g.String() + "/a"})
	expect(t, "b", b.did(), []string{"rollback " + g.String() + "/b"})
	if r.NotOurs != 1 || r.Committed != 1 || r.RolledBack != 1 || r.Left != 1 || log.open(g) {
		t.Errorf("reports %s", r.Verdict())
	}
}

// A branch on a server that its backend does not lead to any more is told, not passed over in silence.
func TestBackendsExchanged(t *testing.T) {
	g := ours(3, 1)
	log := newFakeLog()
	a, b := newFakeServer("a"), newFakeServer("b", prepared(g, "a"))
	r := newJanitor(t, log, a, b).Pass(t.Context(), false, nil)
	if r.Left != 1 || len(r.Backends[1].Branches) != 1 ||
		r.Backends[1].Branches[0].Reason != "belongs to backend a, which is another server now: correct the configuration" {
		t.Errorf("reports %+v", r)
	}
	expect(t, "b", b.did(), nil)
}

// A frozen server costs the others nothing, and a pass a bounded time.
func TestFrozenServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frozen, healthy := newFakeServer("frozen"), newFakeServer("healthy")
		frozen.frozen = true
		log := newFakeLog()
		j := newJanitor(t, log, frozen, healthy)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go j.Run(ctx)           // the bubble waits for it
		time.Sleep(time.Minute) // fake
		synctest.Wait()
		healthy.mu.Lock()
		lists := len(healthy.lists)
		healthy.mu.Unlock()
		if lists != 31 {
			t.Errorf("the healthy server was swept %d times in a minute, want one at the start and one every 2 s", lists)
		}
		if log.pruned != 0 {
			t.Error("the log was pruned while a backend cannot be looked at")
		}
		if s := j.States()[0]; !errors.Is(s.Err, context.DeadlineExceeded) {
			t.Fatalf("state of the frozen server is %v", s.Err)
		}
		start := time.Now()
		r := j.Pass(ctx, false, nil)
		if r.Unreachable != 1 || time.Since(start) > 10*time.Second {
			t.Errorf("a pass took %s and reports %s", time.Since(start), r.Verdict())
		}
	})
}

// A server that is down is asked less and less, up to every 5 s; a poke or its return ends that.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newFakeServer("a")
		a.down = errDown
		log := newFakeLog()
		j := newJanitor(t, log, a)
		tries := func() []time.Duration { // since the start
			a.mu.Lock()
			defer a.mu.Unlock()
			var ds []time.Duration
			for _, at := range a.tries {
				ds = append(ds, at.Sub(a.tries[0]))
			}
			return ds
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go j.Run(ctx) // the bubble waits for it
		time.Sleep(20 * time.Second)
		synctest.Wait()
		seconds(t, tries(), 0, 4, 9, 14, 19)
		j.Poke("a")
		j.Poke("not configured")
		synctest.Wait()
		seconds(t, tries()[5:], 20)
		time.Sleep(5 * time.Second) // the pause starts over
		synctest.Wait()
		seconds(t, tries()[5:], 20, 24)
		a.set(func(s *fakeServer) { s.down = nil })
		time.Sleep(12 * time.Second)
		synctest.Wait()
		seconds(t, tries()[5:], 20, 24, 29, 31, 33, 35, 37)
		if log.pruned != 1 {
			t.Errorf("pruned %d times, want once as soon as every backend answers", log.pruned)
		}
	})
}

func seconds(t *testing.T, got []time.Duration, want ...int) {
	t.Helper()
	ok := len(got) == len(want)
	for i := range want {
		ok = ok && got[i] == time.Duration(want[i])*time.Second
	}
	if !ok {
		t.Fatalf("asked at %v, want %v seconds", got, want)
	}
}

// The text is what people read, the JSON what programs read: both are fixed.
func TestReportForms(t *testing.T) {
	committed, undecided := ours(3, 1), ours(3, 2)
	log := newFakeLog(decide(committed, ref("a"), ref("b")))
	a := newFakeServer("a", prepared(committed, "a"), prepared(undecided, "a"), Listed{FormatID: 1, GTRID: "\x01\x02", BQUAL: "x"})
	b, c := newFakeServer("b"), newFakeServer("c")
	b.down = errDown
	r := newJanitor(t, log, a, b, c).Pass(t.Context(), true, nil)
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	want := `BACKEND  BRANCH              OWNER    AGE  VERDICT    RESULT           REASON
a        xp1.0badcafe.3.1/a  ours     new  commit     would commit     decided 2026-03-04 05:06:07Z
a        xp1.0badcafe.3.2/a  ours     new  rollback   would roll back  no decision in the log
a        0x0102/x            foreign  new  untouched  left alone       not made by xaproxy
b        -                   -        -    -          not reachable    connection refused
c        none prepared       -        -    -          -                -
decision xp1.0badcafe.3.1 of 2026-03-04T05:06:07Z is not finished: a: prepared; b: cannot be looked at
1 backend could not be looked at; 2 transactions of ours are not finished; 1 branch of others not touched
`
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
	for i := range r.Backends {
		for k := range r.Backends[i].Branches {
			r.Backends[i].Branches[k].AgeSeconds = 0
		}
	}
	r.Backends[0].Branches = r.Backends[0].Branches[:1]
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	wantJSON := `{"dry_run":true,"coord":"0badcafe","epoch":3,"backends":[{"name":"a","server":"server of a","reachable":true,"branches":[` +
		`{"gtrid":"xp1.0badcafe.3.1","bqual":"a","format_id":20041,"owner":"ours","age_seconds":0,"decided":true,"verdict":"commit",` +
		`"reason":"decided 2026-03-04 05:06:07Z","left":true}]},{"name":"b","reachable":false,"error":"connection refused","branches":[]},` +
		`{"name":"c","server":"server of c","reachable":true,"branches":[]}],"decisions":[{"gtrid":"xp1.0badcafe.3.1",` +
		`"decided":"2026-03-04T05:06:07Z","branches":["a","b"],"one_phase":false,"finished":false,"open":["a: prepared","b: cannot be looked at"]}],` +
		`"committed":0,"rolled_back":0,"in_flight":0,"not_ours":1,"heuristics":0,"left":2,"unreachable":1}`
	if string(got) != wantJSON {
		t.Errorf("got\n%s\nwant\n%s", got, wantJSON)
	}
}
