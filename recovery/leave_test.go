package recovery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// A backend that is added is swept like those that were there before, and a name is found once.
func TestAdd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJanitor(t, newFakeLog(), newFakeServer("a"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go j.Run(ctx) // the bubble waits for it
		b := newFakeServer("b", prepared(ours(3, 1), "b"))
		j.Add(ctx, b)
		synctest.Wait()
		expect(t, "b", b.did(), []string{"rollback " + ours(3, 1).String() + "/b"})
		if len(j.States()) != 2 || j.Identity("b") != "server of b" || j.Identity("c") != "" {
			t.Errorf("states %+v, identities %q and %q", j.States(), j.Identity("b"), j.Identity("c"))
		}
	})
}

// What keeps a backend from leaving is what was there at first and does not go away, not what comes and goes under load.
func TestUnfinished(t *testing.T) {
	passing, stuck, decided, lost := ours(3, 1), ours(3, 2), ours(3, 3), ours(3, 4)
	for name, c := range map[string]struct {
		set  func(*fakeLog, *fakeServer)
		want []string // the beginnings
		fail bool
	}{
		"nothing": {func(*fakeLog, *fakeServer) {}, nil, false},
		"a transaction that ends": {func(l *fakeLog, a *fakeServer) {
			l.inFlight[passing] = true
			a.disk.branches = []Listed{prepared(passing, "a")}
			time.AfterFunc(time.Second, func() { a.disk.remove(prepared(passing, "a"), false) })
		}, nil, false},
		"always another one": {func(l *fakeLog, a *fakeServer) {
			a.onList = func() {
				a.disk.mu.Lock()
				defer a.disk.mu.Unlock()
				next := ours(3, uint64(time.Now().UnixNano()))
				l.mu.Lock()
				l.inFlight[next] = true
				l.mu.Unlock()
				a.disk.branches = []Listed{prepared(next, "a")}
			}
		}, nil, false},
		"a transaction that does not end": {func(l *fakeLog, a *fakeServer) {
			l.inFlight[stuck] = true
			a.disk.branches = []Listed{prepared(stuck, "a"), {FormatID: 1, GTRID: "app"}, prepared(stuck, "b")}
		}, []string{stuck.String() + ": a branch is prepared"}, false},
		"what recovery finishes": {func(l *fakeLog, a *fakeServer) {
			l.append(decide(decided, ref("a")))
			a.disk.branches = []Listed{prepared(decided, "a"), prepared(lost, "a")}
		}, nil, false},
		"a decision that is not proven to be finished": {func(l *fakeLog, a *fakeServer) {
			l.append(decide(decided, ref("a"), xa.BranchRef{Backend: "gone", Server: "x"}))
		}, []string{decided.String() + ": decided to commit"}, false},
		"an orphan": {func(l *fakeLog, a *fakeServer) {
			l.orphans = []xa.Orphan{{XID: xa.XID{GTRID: lost, BQUAL: "a"}, ConnID: 9}}
			a.kill = errors.New("not now")
		}, []string{lost.String() + ": a branch is not proven"}, false},
		"silence":                       {func(_ *fakeLog, a *fakeServer) { a.frozen = true }, nil, true},
		"silence of one that is not it": {func(l *fakeLog, _ *fakeServer) { l.orphans = []xa.Orphan{{XID: xa.XID{GTRID: lost, BQUAL: "b"}}} }, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, a, b := newFakeLog(), newFakeServer("a"), newFakeServer("b")
				b.down = errDown
				c.set(log, a)
				got, err := newJanitor(t, log, a, b).Unfinished(t.Context(), "a")
				if (err != nil) != c.fail || !slices.EqualFunc(got, c.want, strings.HasPrefix) {
					t.Errorf("got %q, %v, want %q", got, err, c.want)
				}
			})
		})
	}
}

// A backend that leaves is swept until nobody can make a branch there and none is left, and then no more.
func TestRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, log := ours(3, 1), newFakeLog()
		log.inFlight[g] = true
		a, b := newFakeServer("a"), newFakeServer("b", prepared(g, "b"))
		j := newJanitor(t, log, a, b)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go j.Run(ctx) // the bubble waits for it
		var idle atomic.Bool
		var ended atomic.Int32
		j.Release("b", idle.Load, func() { ended.Add(1) })
		left := func(when string, want int32) {
			t.Helper()
			time.Sleep(time.Minute) // fake
			synctest.Wait()
			if ended.Load() != want || len(j.States()) != 2-int(want) {
				t.Errorf("%s it has left %d times, of %d backends", when, ended.Load(), len(j.States()))
			}
		}
		left("in use", 0)
		idle.Store(true)
		left("with a branch of a transaction that runs", 0)
		b.set(func(b *fakeServer) { b.down = errDown })
		log.mu.Lock()
		delete(log.inFlight, g)
		log.mu.Unlock()
		left("unreachable", 0)
		b.set(func(b *fakeServer) { b.down = nil })
		left("with nothing left", 1)
		expect(t, "b", b.did(), []string{"rollback " + g.String() + "/b"})
		b.mu.Lock()
		lists := len(b.lists)
		b.mu.Unlock()
		left("later", 1)
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.lists) != lists {
			t.Error("it is still looked at")
		}
	})
}
