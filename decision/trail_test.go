package decision

import (
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// Goal: the trail has the moment of each vote, of the decision, and of each commit with whoever made it, to the millisecond and also after a
// reopening; what the log cannot have, it says.
func TestTrail(t *testing.T) {
	began := time.UnixMilli(1_800_000_000_250)
	now := began
	o := FileOptions{Dir: "/log", FS: newCrashFS(1), SegmentSize: minSegmentSize, Now: func() time.Time { return now }}
	f := mustOpen(t, o)
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	decide := func(seq uint64, votes ...time.Time) xa.GTRID {
		t.Helper()
		d := decisionOf(f, seq)
		d.Time, d.OnePhase = at(0), false
		for i, v := range votes {
			d.Branches[i].Voted = v
		}
		if err := f.Append(d); err != nil {
			t.Fatal(err)
		}
		return d.GTRID
	}
	whole := decide(1, at(-3), at(-1))
	half := decide(2, at(-2000), time.Time{})
	open := decide(3, at(5), at(-1)) // the clock was set back
	now = at(1000)
	f.Done(whole, xa.BranchEnd{Backend: "orders-1", At: at(4)}, xa.BranchEnd{Backend: "orders-2", At: at(90_000), Recovery: true})
	f.Done(half, xa.BranchEnd{Backend: "orders-1", At: at(-7)})
	for range 2 {
		for _, c := range []struct {
			g                xa.GTRID
			entries, missing string
		}{
			{
				whole, "-3 VOTE: branch orders-1 is prepared; -1 VOTE: branch orders-2 is prepared; 0 COMMIT; 4 COMMITTED: branch orders-1, by the session that prepared it; " +
					"90000 COMMITTED: branch orders-2, by recovery; 750 DONE", "",
			},
			{half, "-2000 VOTE: branch orders-1 is prepared; 0 COMMIT; -7 COMMITTED: branch orders-1, by the session that prepared it; 750 DONE", "when branch orders-2 voted yes; when branch orders-2 committed, and by whom"},
			{open, "-1 VOTE: branch orders-2 is prepared; 0 VOTE: branch orders-1 is prepared; 0 COMMIT", "which branches have committed"},
			{xa.GTRID{Coord: f.Coord(), Epoch: 1, Seq: 4}, "", ""},
		} {
			trail, err := f.Trail(c.g)
			if err != nil {
				t.Fatal(err)
			}
			var entries, missing []string
			for _, e := range trail.Entries {
				text, _, _ := strings.Cut(e.Text, ": decided for")
				text, _, _ = strings.Cut(text, ": every branch")
				entries = append(entries, strings.TrimSuffix(e.Time.Sub(began).Round(time.Millisecond).String(), "ms")+" "+text)
			}
			for _, m := range trail.NotRecorded {
				m, _, _ = strings.Cut(m, ":")
				missing = append(missing, m)
			}
			want := strings.NewReplacer("0 COMMIT", "0s COMMIT", "0 VOTE", "0s VOTE", "90000 ", "1m30s ", "-2000 ", "-2s ").Replace(c.entries)
			if got := strings.Join(entries, "; "); got != want {
				t.Errorf("%s: got\n%s\nwant\n%s", c.g, got, want)
			}
			if got := strings.Join(missing, "; "); got != c.missing {
				t.Errorf("%s: not recorded %q, want %q", c.g, got, c.missing)
			}
		}
		mustClose(t, f)
		f = mustOpen(t, o)
	}
	if d, ok, err := f.Lookup(whole); !ok || err != nil || !d.Time.Equal(at(0)) || !d.Branches[0].Voted.Equal(at(-3)) {
		t.Errorf("%+v, %v, %v", d, ok, err)
	}
}
