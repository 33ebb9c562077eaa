package decision

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// Goal: a commit key is taken once, as long as its decision is retained, also after reopenings, and memory does not keep it longer.
func TestCommitKeys(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	o := FileOptions{Dir: "/log", FS: newCrashFS(1), SegmentSize: minSegmentSize, Retain: time.Hour, Now: func() time.Time { return now }}
	f := mustOpen(t, o)
	keyed := func(seq uint64, name string) xa.Decision {
		d := decisionOf(f, seq)
		d.Key.Name = name
		return d
	}
	name := func(seq uint64) string { return fmt.Sprintf("order-%d", seq) }
	found := func(seq uint64, want bool) {
		t.Helper()
		r, err := f.FindKey(t.Context(), name(seq))
		if err != nil || r.Committed != want || want && r.GTRID.Seq != seq {
			t.Errorf("key %d: %+v, %v; want committed %v", seq, r, err, want)
		}
	}
	for seq := uint64(1); seq <= 60; seq++ {
		if err := f.Append(keyed(seq, name(seq))); err != nil {
			t.Fatal(err)
		}
	}
	if !lookup(t, f, keyed(1, name(1))) {
		t.Error("the decision is not there, or has another key")
	}
	for range 2 {
		found(1, true)
		found(60, true)
		found(61, false)
		err := f.Append(keyed(100, name(7)))
		if !errors.Is(err, xa.ErrKeyCommitted) || !errors.Is(err, ErrNotWritten) {
			t.Errorf("the same key again: %v", err)
		}
		mustClose(t, f)
		f = mustOpen(t, o)
	}
	unfinished := decisionAt(f, 1, 3)
	for seq := uint64(1); seq <= 60; seq++ {
		if seq != unfinished.GTRID.Seq {
			f.Done(decisionAt(f, 1, seq).GTRID)
		}
	}
	now = now.Add(2 * time.Hour)
	if n, err := f.Prune(); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	found(1, false)
	found(3, true)
	if n := len(f.keys); n > 20 {
		t.Errorf("%d keys in memory, want those of the last segment", n)
	}
	if err := f.Append(keyed(101, name(1))); err != nil {
		t.Errorf("a key from before the retention: %v", err)
	}
	mustClose(t, f)
	if _, err := f.FindKey(t.Context(), name(2)); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// Goal: what has begun before its key was said to be rolled back never commits, and what begins later does; memory stays bounded.
func TestFenceKey(t *testing.T) {
	f := mustOpen(t, FileOptions{Dir: "/log", FS: newCrashFS(1), SegmentSize: minSegmentSize})
	seq := uint64(0)
	begin := func(name string) xa.Decision {
		t.Helper()
		r, err := f.FindKey(t.Context(), name)
		if err != nil || r.Committed {
			t.Fatalf("%s: %+v, %v", name, r, err)
		}
		seq++
		d := decisionOf(f, seq)
		d.Key = xa.Key{Name: name, Over: r.Over}
		return d
	}
	fence := func(name string, committed bool) {
		t.Helper()
		if r, err := f.FenceKey(t.Context(), name); err != nil || r.Committed != committed {
			t.Fatalf("%s: %+v, %v", name, r, err)
		}
	}
	appends := func(d xa.Decision, want error) {
		t.Helper()
		if err := f.Append(d); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", d.Key.Name, err, want)
		}
	}
	first, other := begin("a"), begin("b")
	fence("a", false)
	second := begin("a")
	appends(first, errFenced)
	appends(first, ErrNotWritten)
	appends(second, nil)
	appends(other, nil)
	fence("a", true)
	late := begin("c")
	for i := range maxFences + 1 {
		fence(fmt.Sprint("order-", i), false)
	}
	if n := len(f.fences.at); n > maxFences {
		t.Errorf("%d fences in memory", n)
	}
	appends(late, errFenced)
	appends(begin("c"), nil)
	plain := decisionOf(f, 1000)
	appends(plain, nil)
}

// Goal: a record that is on its way to the disk is past every fence, so nobody hears that its key is rolled back, and no second one follows it.
// Method: the log's sync waits while others ask.
func TestFenceKeyOfAGroup(t *testing.T) {
	files := newCrashFS(1)
	f := mustOpen(t, FileOptions{Dir: "/log", FS: files, SegmentSize: minSegmentSize})
	inSync, goOn := make(chan struct{}), make(chan struct{})
	files.failAt = func(_ int, op, _ string) error {
		if op == "sync" {
			close(inSync)
			<-goOn
		}
		return nil
	}
	keyed := func(seq uint64) xa.Decision {
		d := decisionOf(f, seq)
		d.Key = xa.Key{Name: "order-1", Over: "0"}
		return d
	}
	first := make(chan error)
	go func() { first <- f.Append(keyed(1)) }()
	<-inSync
	if r, err := f.FenceKey(t.Context(), "order-1"); !errors.Is(err, xa.ErrKeyRunning) {
		t.Errorf("fenced: %+v, %v", r, err)
	}
	if err := f.Append(keyed(2)); !errors.Is(err, xa.ErrKeyRunning) || !errors.Is(err, ErrNotWritten) {
		t.Errorf("a second record: %v", err)
	}
	close(goOn)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if r, err := f.FenceKey(t.Context(), "order-1"); err != nil || !r.Committed {
		t.Errorf("afterwards: %+v, %v", r, err)
	}
	if len(f.taking) > 0 {
		t.Errorf("keys in memory: %v", f.taking)
	}
}
