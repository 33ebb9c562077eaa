package decision

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/xa"
)

func mustOpen(t testing.TB, o FileOptions) *File {
	t.Helper()
	f, err := OpenFile(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mustAppend(t testing.TB, f *File, from, to uint64) {
	t.Helper()
	for seq := from; seq <= to; seq++ {
		if err := f.Append(decisionOf(f, seq)); err != nil {
			t.Fatal(err)
		}
	}
}

func mustClose(t testing.TB, f *File) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func decisionOf(f *File, seq uint64) xa.Decision {
	return xa.Decision{
		GTRID: xa.GTRID{Coord: f.Coord(), Epoch: f.Epoch(), Seq: seq},
		Branches: []xa.BranchRef{
			{Backend: "orders-1", Server: "5b1c8a2e-0000-11f0-a1b2-0242ac120002", ConnID: 17 + seq},
			{Backend: "orders-2", Server: "", ConnID: 4},
		},
		OnePhase: seq%2 == 1,
		Time:     time.Unix(1_700_000_000+int64(seq), 0).UTC(),
	}
}

func lookup(t testing.TB, f *File, d xa.Decision) bool {
	t.Helper()
	got, found, err := f.Lookup(d.GTRID)
	if err != nil {
		t.Fatal(err)
	}
	if found && !reflect.DeepEqual(got, d) {
		t.Fatalf("found %+v, want %+v", got, d)
	}
	return found
}

// Goal: on a real disk, everything is there again after a reopening, and the files look as the package comment says.
func TestRealFiles(t *testing.T) {
	o := FileOptions{Dir: filepath.Join(t.TempDir(), "log"), SegmentSize: 64 << 10}
	f := mustOpen(t, o)
	mustAppend(t, f, 1, 1500)
	var all []xa.Decision
	for seq := uint64(1); seq <= 1500; seq++ {
		all = append(all, decisionOf(f, seq))
		if seq%10 != 0 {
			f.Done(all[seq-1].GTRID)
		}
	}
	if err := f.Heuristic(all[2].GTRID, "orders-2", strings.Repeat("x", 2*MaxText)); err != nil {
		t.Fatal(err)
	}
	if f.Epoch() != 1 || !xa.ValidCoord(f.Coord()) {
		t.Fatalf("epoch %d, coord %q", f.Epoch(), f.Coord())
	}
	check := func(f *File) {
		t.Helper()
		for _, d := range all {
			if !lookup(t, f, d) {
				t.Fatalf("%s is lost", d.GTRID)
			}
		}
		open := f.Unfinished()
		if len(open) != 150 || !reflect.DeepEqual(open[0], all[9]) || !reflect.DeepEqual(open[149], all[1499]) {
			t.Fatalf("%d unfinished", len(open))
		}
		if h := f.Heuristics(); len(h) != 1 || h[0].GTRID != all[2].GTRID || h[0].Backend != "orders-2" || len(h[0].Text) != MaxText {
			t.Fatalf("heuristics %+v", h)
		}
	}
	check(f)
	segments := len(f.segments)
	mustClose(t, f)
	mustClose(t, f)
	if err := f.Append(decisionOf(f, 2000)); !errors.Is(err, ErrClosed) || !errors.Is(err, ErrNotWritten) {
		t.Fatalf("append after close: %v", err)
	}
	if _, _, err := f.Lookup(all[0].GTRID); !errors.Is(err, ErrClosed) {
		t.Fatalf("lookup after close: %v", err)
	}
	names, err := filepath.Glob(filepath.Join(o.Dir, "*"))
	if err != nil || len(names) != segments+1 || segments < 3 {
		t.Fatalf("%d segments, files %v, %v", segments, names, err)
	}
	for _, name := range names[:segments] {
		if info, err := os.Stat(name); err != nil || info.Size() != o.SegmentSize {
			t.Fatalf("%s: size %d, %v", name, info.Size(), err)
		}
	}
	o.SegmentSize = 128 << 10 // for new segments only
	g := mustOpen(t, o)
	if g.Epoch() != 2 || g.Coord() != f.Coord() {
		t.Fatalf("epoch %d, coord %s", g.Epoch(), g.Coord())
	}
	check(g)
	mustClose(t, g)
}

func TestLockedByWhom(t *testing.T) {
	o := FileOptions{Dir: filepath.Join(t.TempDir(), "log")}
	o.SegmentSize = minSegmentSize
	f := mustOpen(t, o)
	for name, open := range map[string]func(FileOptions) (*File, error){"open": OpenFile, "inspect": InspectFile} {
		_, err := open(o)
		if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d;", os.Getpid())) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustClose(t, f)
	g, err := InspectFile(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(o); !errors.Is(err, ErrLocked) {
		t.Errorf("open while it is inspected: %v", err)
	}
	mustClose(t, g)
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []FileOptions{{}, {Dir: "x", SegmentSize: minSegmentSize - 1}, {Dir: "x", SegmentSize: maxSegmentSize + 1}} {
		if _, err := OpenFile(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	if _, err := OpenFile(FileOptions{Dir: filepath.Join(t.TempDir(), "a", "b")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("directory without a parent: %v", err)
	}
}

// Goal: what cannot be a decision of this log is refused before anything is written.
func TestAppendRefuses(t *testing.T) {
	files := newCrashFS(1)
	f := mustOpen(t, FileOptions{Dir: "/log", FS: files, SegmentSize: minSegmentSize})
	mustAppend(t, f, 1, 1)
	calls := files.calls
	foreign, early, large := decisionOf(f, 2), decisionOf(f, 2), decisionOf(f, 2)
	foreign.GTRID.Coord = "00000000"
	early.GTRID.Epoch--
	large.Branches[0].Server = strings.Repeat("x", minSegmentSize)
	for name, d := range map[string]xa.Decision{"foreign": foreign, "epoch": early, "large": large, "twice": decisionOf(f, 1)} {
		if err := f.Append(d); !errors.Is(err, ErrNotWritten) || errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := f.Heuristic(foreign.GTRID, "b", "t"); !errors.Is(err, ErrNotWritten) {
		t.Errorf("heuristic: %v", err)
	}
	if _, found, err := f.Lookup(foreign.GTRID); found || err == nil {
		t.Errorf("lookup of a foreign gtrid answers %v, %v: it must not be taken for a rollback", found, err)
	}
	f.Done(foreign.GTRID)
	f.Done(xa.GTRID{Coord: f.Coord(), Epoch: 1, Seq: 99})
	if files.calls != calls {
		t.Errorf("%v", files.trace[calls:])
	}
}

// Goal: a full disk at a new segment refuses that decision cleanly, keeps the log usable, and ends when there is space.
func TestDiskFull(t *testing.T) {
	files := newCrashFS(1)
	o := FileOptions{Dir: "/log", FS: files, SegmentSize: minSegmentSize}
	f := mustOpen(t, o)
	files.failAt = func(_ int, op, label string) error {
		if op == "write" && label == "segment fill" {
			return syscall.ENOSPC
		}
		return nil
	}
	seq := uint64(0)
	var err error
	for err == nil {
		seq++
		err = f.Append(decisionOf(f, seq))
	}
	refused := decisionOf(f, seq)
	if !errors.Is(err, ErrNotWritten) || !errors.Is(err, syscall.ENOSPC) || errors.Is(err, ErrBroken) {
		t.Fatalf("append %d: %v", seq, err)
	}
	if lookup(t, f, refused) {
		t.Error("the refused decision is found")
	}
	if err := f.Append(refused); !errors.Is(err, ErrNotWritten) {
		t.Errorf("second try: %v", err)
	}
	if got := strings.Join(files.list("/log"), " "); got != "0000000001.seg" {
		t.Errorf("left behind: %s", got)
	}
	files.failAt = nil
	mustAppend(t, f, seq+1, seq+3)
	mustClose(t, f)
	files.powerFailure()
	g := mustOpen(t, o)
	for s := uint64(1); s <= seq+3; s++ {
		d := decisionOf(f, s)
		if found := lookup(t, g, d); found != (s != seq) {
			t.Errorf("decision %d: found is %v", s, found)
		}
	}
}

// Goal: after a failed sync nothing is decided, nothing is synced again and "not found" is no answer any more.
func TestFailedSyncBreaks(t *testing.T) {
	files := newCrashFS(1)
	f := mustOpen(t, FileOptions{Dir: "/log", FS: files, SegmentSize: minSegmentSize})
	mustAppend(t, f, 1, 3)
	files.failAt = func(_ int, op, _ string) error {
		if op == "sync" {
			return syscall.EIO
		}
		return nil
	}
	err := f.Append(decisionOf(f, 4))
	if !errors.Is(err, ErrBroken) || !errors.Is(err, syscall.EIO) || errors.Is(err, ErrNotWritten) {
		t.Fatalf("the failed one: %v", err)
	}
	select {
	case <-f.Broken():
	default:
		t.Error("Broken is not closed")
	}
	if cause := f.Cause(); !errors.Is(cause, ErrBroken) || !errors.Is(cause, syscall.EIO) {
		t.Errorf("the cause: %v", cause)
	}
	calls := files.calls
	files.failAt = nil
	if err := f.Append(decisionOf(f, 5)); !errors.Is(err, ErrBroken) || !errors.Is(err, ErrNotWritten) || !errors.Is(err, syscall.EIO) {
		t.Errorf("the next one: %v", err)
	}
	if _, err := f.Prune(); !errors.Is(err, ErrBroken) {
		t.Errorf("prune: %v", err)
	}
	f.Done(decisionOf(f, 1).GTRID)
	if !lookup(t, f, decisionOf(f, 2)) {
		t.Error("a durable decision is not found")
	}
	for _, seq := range []uint64{4, 5} {
		if _, found, err := f.Lookup(decisionOf(f, seq).GTRID); found || !errors.Is(err, ErrBroken) {
			t.Errorf("look up %d: %v, %v", seq, found, err)
		}
	}
	mustClose(t, f)
	for _, a := range files.trace[calls:] {
		if a.op == "sync" || a.op == "write" {
			t.Errorf("after the break: %s", a)
		}
	}
}

// Goal: concurrent decisions share syncs, and a crash in the middle keeps each that was acknowledged.
func TestConcurrentAppendsAndCrash(t *testing.T) {
	const writers, each = 16, 30
	for seed := range uint64(20) {
		files := newCrashFS(seed)
		o := FileOptions{Dir: "/log", FS: files, SegmentSize: 2 * minSegmentSize}
		f := mustOpen(t, o)
		if seed > 0 { // the first run goes to the end
			files.crashAt = files.calls + files.rng.IntN(100)
		}
		var mu sync.Mutex
		acked := map[uint64]bool{}
		var wg sync.WaitGroup
		for w := range uint64(writers) {
			wg.Go(func() {
				for seq := w*each + 1; seq <= (w+1)*each; seq++ {
					if f.Append(decisionOf(f, seq)) != nil {
						return
					}
					mu.Lock()
					acked[seq] = true
					mu.Unlock()
					if _, found, err := f.Lookup(decisionOf(f, seq).GTRID); !found || err != nil {
						t.Errorf("acknowledged, and found is %v, %v", found, err)
					}
					if seq%2 == 0 {
						f.Done(decisionOf(f, seq).GTRID)
					}
				}
			})
		}
		wg.Wait()
		if seed == 0 && len(acked) != writers*each {
			t.Fatalf("%d acknowledged", len(acked))
		}
		f.Close() //nolint:errcheck // of a dead process
		files.powerFailure()
		g := mustOpen(t, o)
		for seq := range acked {
			if !lookup(t, g, decisionOf(f, seq)) {
				t.Fatalf("seed %d: decision %d was acknowledged and is lost", seed, seq)
			}
		}
		for _, d := range g.Unfinished() {
			if d.GTRID.Seq == 0 || d.GTRID.Seq > writers*each || !reflect.DeepEqual(d, decisionOf(f, d.GTRID.Seq)) {
				t.Fatalf("seed %d: %+v was never appended", seed, d)
			}
		}
	}
}

// Goal: waiting appends go to the disk together. Method: the first sync is held until the others wait.
func TestGroupCommit(t *testing.T) {
	const waiting = 10
	files := newCrashFS(1)
	f := mustOpen(t, FileOptions{Dir: "/log", FS: files, SegmentSize: 2 * minSegmentSize})
	calls := files.calls
	inSync, goOn := make(chan struct{}), make(chan struct{})
	held := false
	files.failAt = func(_ int, op, _ string) error {
		if op == "sync" && !held {
			held = true
			close(inSync)
			<-goOn
		}
		return nil
	}
	var wg sync.WaitGroup
	start := func(seq uint64) {
		wg.Go(func() {
			if err := f.Append(decisionOf(f, seq)); err != nil {
				t.Error(err)
			}
		})
	}
	start(1)
	<-inSync
	for seq := range uint64(waiting) {
		start(seq + 2)
	}
	for queued := 0; queued < waiting; {
		f.mu.Lock()
		if f.next != nil {
			queued = len(f.next.entries)
		}
		f.mu.Unlock()
	}
	close(goOn)
	wg.Wait()
	var ops []string
	for _, a := range files.trace[calls:] {
		ops = append(ops, a.op)
	}
	if got := strings.Join(ops, " "); got != "stat write sync stat write sync" {
		t.Error(got)
	}
}

// Goal: an inspection reads everything, says what OpenFile would cut, and makes no call that changes the disk.
func TestInspect(t *testing.T) {
	if _, err := InspectFile(FileOptions{Dir: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if _, err := InspectFile(FileOptions{Dir: t.TempDir()}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty directory: %v", err)
	}
	img := newImage(t)
	path, _, x := img.last(t)
	copy(img.files[path][x.end+40:], "torn")
	files := img.fs()
	var logged bytes.Buffer
	f, err := InspectFile(FileOptions{Dir: "/log", FS: files, Logger: zerolog.New(&logged)})
	if err != nil {
		t.Fatal(err)
	}
	if f.Epoch() != 1 || f.Coord() != img.coord || !strings.Contains(logged.String(), "torn tail") {
		t.Errorf("epoch %d, coord %s, log %s", f.Epoch(), f.Coord(), &logged)
	}
	for _, d := range img.want {
		if !lookup(t, f, d) {
			t.Errorf("%s is not found", d.GTRID)
		}
	}
	if err := f.Append(decisionOf(f, 99)); !errors.Is(err, ErrReadOnly) || !errors.Is(err, ErrNotWritten) {
		t.Errorf("append: %v", err)
	}
	if err := f.Heuristic(decisionOf(f, 1).GTRID, "b", "t"); !errors.Is(err, ErrReadOnly) {
		t.Errorf("heuristic: %v", err)
	}
	if _, err := f.Prune(); !errors.Is(err, ErrReadOnly) {
		t.Errorf("prune: %v", err)
	}
	f.Done(decisionOf(f, 1).GTRID)
	mustClose(t, f)
	for _, a := range files.trace {
		if !strings.Contains(" lock list open size read ", " "+a.op+" ") {
			t.Errorf("an inspection does: %s", a)
		}
	}
}

// Goal: a segment goes when its decisions are done and old, counted from Done; what is unfinished or disputed stays.
func TestPrune(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	files := newCrashFS(1)
	o := FileOptions{Dir: "/log", FS: files, SegmentSize: minSegmentSize, Retain: time.Hour, Now: func() time.Time { return now }}
	f := mustOpen(t, o)
	mustAppend(t, f, 1, 60)
	prune := func(want int) {
		t.Helper()
		if n, err := f.Prune(); n != want || err != nil {
			t.Fatalf("%d dropped, %v; want %d", n, err, want)
		}
	}
	const unfinished, disputed = 3, 5
	for seq := uint64(1); seq <= 60; seq++ {
		if seq != unfinished {
			f.Done(decisionOf(f, seq).GTRID)
		}
	}
	if err := f.Heuristic(decisionOf(f, disputed).GTRID, "orders-1", "unproven"); err != nil {
		t.Fatal(err)
	}
	prune(0) // the decisions are years old, but done just now
	now = now.Add(2 * time.Hour)
	before := len(f.segments)
	prune(before - 1)
	prune(0)
	check := func() {
		t.Helper()
		for seq, want := range map[uint64]bool{1: false, 2: false, unfinished: true, disputed: true} {
			if found := lookup(t, f, decisionAt(f, 1, seq)); found != want {
				t.Errorf("decision %d: found is %v", seq, found)
			}
		}
		if u := f.Unfinished(); len(u) != 1 || u[0].GTRID.Seq != unfinished {
			t.Errorf("unfinished %+v", u)
		}
		if h := f.Heuristics(); len(h) != 1 || h[0].GTRID.Seq != disputed || h[0].Text != "unproven" {
			t.Errorf("heuristics %+v", h)
		}
	}
	check()
	for range 2 {
		mustClose(t, f)
		files.powerFailure()
		f = mustOpen(t, o)
		check()
		mustAppend(t, f, 1, 40)
		for seq := uint64(1); seq <= 40; seq++ {
			f.Done(decisionOf(f, seq).GTRID)
		}
		now = now.Add(2 * time.Hour)
		if n, err := f.Prune(); n == 0 || err != nil {
			t.Fatalf("%d dropped, %v", n, err)
		}
		check()
	}
	if first := f.segments[0].number; first < 4 || f.Epoch() != 3 {
		t.Errorf("first segment %d, epoch %d", first, f.Epoch())
	}
}

func decisionAt(f *File, epoch uint32, seq uint64) xa.Decision {
	d := decisionOf(f, seq)
	d.GTRID.Epoch = epoch
	return d
}

// Goal: the order of the disk accesses is what the package comment promises. It may change only together with it.
func TestOrderOfAccesses(t *testing.T) {
	files := newCrashFS(1)
	now := time.Unix(1_800_000_000, 0)
	o := FileOptions{Dir: "/log", FS: files, SegmentSize: minSegmentSize, Retain: time.Hour, Now: func() time.Time { return now }}
	f := mustOpen(t, o)
	large := decisionOf(f, 1)
	large.Branches[0].Server = strings.Repeat("x", minSegmentSize-headerSize-200)
	for seq := range uint64(2) {
		large.GTRID.Seq = seq
		if err := f.Append(large); err != nil {
			t.Fatal(err)
		}
		f.Done(large.GTRID)
	}
	now = now.Add(2 * time.Hour)
	if _, err := f.Prune(); err != nil {
		t.Fatal(err)
	}
	mustClose(t, f)
	mustClose(t, mustOpen(t, o))
	var got strings.Builder
	for _, a := range files.trace {
		fmt.Fprintln(&got, a)
	}
	want, err := os.ReadFile("testdata/accesses.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got:\n%s", &got)
	}
}
