package recovery

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// A server gives the ids of sessions again after a restart. That an old decision names the id of an ended session does not keep a session of
// today from being ended.
func TestSessionIDGivenAgain(t *testing.T) {
	now := time.Now()
	old := decide(ours(2, 1), ref("a")) // of an earlier run, on session 5 of a server that has been started since
	old.Time = now.Add(-2 * time.Hour)
	log := newFakeLog(old)
	log.orphans = []xa.Orphan{{XID: xa.XID{GTRID: ours(3, 1), BQUAL: "a"}, ConnID: 5, Since: now}}
	a := newFakeServer("a")
	a.started = now.Add(-time.Hour)
	newJanitor(t, log, a).Pass(t.Context(), false, nil)
	expect(t, "did", a.did(), []string{"kill 5ns"})
}

// slowToForget is a store that takes its time to forget, as rows on a frozen server do.
type slowToForget struct{ Decisions }

func (slowToForget) Prune(ctx context.Context, _ []Listed, _ time.Duration) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

// A store that is slow to forget keeps nobody from finishing branches.
func TestSlowPrune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newFakeServer("a"), newFakeServer("b")
		log := newFakeLog()
		j := newJanitor(t, log, a, b)
		j.o.Decisions = slowToForget{j.o.Decisions}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go j.Run(ctx) // the bubble waits for it
		synctest.Wait()
		g := ours(3, 1)
		for _, s := range []*fakeServer{a, b} {
			s.disk.mu.Lock()
			s.disk.branches = []Listed{prepared(g, s.name)}
			s.disk.mu.Unlock()
			j.Poke(s.name)
		}
		time.Sleep(time.Minute) // fake
		did := slices.Concat(a.did(), b.did())
		if !slices.Contains(did, "rollback "+g.String()+"/a") && !slices.Contains(did, "rollback "+g.String()+"/b") {
			t.Errorf("did %q: whoever does not prune must go on", did)
		}
	})
}
