package decision

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// history is what the world outside knows about a log: every answer it gave. check compares a newly opened log with it.
type history struct {
	coord     string
	epoch     uint32 // the highest that an OpenFile returned
	clock     time.Time
	attempted map[xa.GTRID]xa.Decision
	verdict   map[xa.GTRID]bool // committed or not, once somebody has been told
	done      map[xa.GTRID]time.Time
	heur      map[xa.GTRID]bool
	retired   map[xa.GTRID]bool // Prune was allowed to drop it
}

func newHistory() *history {
	return &history{
		clock:     time.Unix(1_700_000_000, 0),
		attempted: map[xa.GTRID]xa.Decision{},
		verdict:   map[xa.GTRID]bool{},
		done:      map[xa.GTRID]time.Time{},
		heur:      map[xa.GTRID]bool{},
		retired:   map[xa.GTRID]bool{},
	}
}

const testRetain = time.Hour

func (h *history) options(files FS) FileOptions {
	return FileOptions{
		Dir: "/log", FS: files, SegmentSize: minSegmentSize, Retain: testRetain,
		Now: func() time.Time { return h.clock },
	}
}

// open opens the log and checks it against everything that was said before.
func (h *history) open(files FS) (*File, error) {
	f, err := OpenFile(h.options(files))
	if err != nil {
		return nil, err
	}
	if h.coord != "" && f.Coord() != h.coord {
		return nil, fmt.Errorf("coord was %s, now %s", h.coord, f.Coord())
	}
	if f.Epoch() <= h.epoch {
		return nil, fmt.Errorf("epoch %d again, %d was given out", f.Epoch(), h.epoch)
	}
	h.coord, h.epoch = f.Coord(), f.Epoch()
	return f, h.check(f)
}

func (h *history) check(f *File) error {
	open := map[xa.GTRID]bool{}
	for _, d := range f.Unfinished() {
		open[d.GTRID] = true
		if _, ok := h.attempted[d.GTRID]; !ok {
			return fmt.Errorf("%s is unfinished and was never appended", d.GTRID)
		}
	}
	for _, g := range slices.SortedFunc(maps.Keys(h.attempted), byKey) {
		want := h.attempted[g]
		d, found, err := f.Lookup(g)
		if errors.Is(err, errDead) {
			return err
		}
		if err != nil {
			return fmt.Errorf("look up: %w", err)
		}
		said, told := h.verdict[g]
		switch _, done := h.done[g]; {
		case found && !reflect.DeepEqual(d, want):
			return fmt.Errorf("appended %+v, found %+v", want, d)
		case h.retired[g]:
			continue
		case told && found != said:
			return fmt.Errorf("%s: found is %v, the answer before was %v", g, found, said)
		case found && !done && !open[g]:
			return fmt.Errorf("%s is decided, not done and not listed as unfinished", g)
		}
		h.verdict[g] = found
	}
	invented := xa.GTRID{Coord: h.coord, Epoch: h.epoch, Seq: 1 << 40}
	if _, found, err := f.Lookup(invented); found || err != nil {
		return fmt.Errorf("%s was never appended: found is %v, %w", invented, found, err)
	}
	kept := map[xa.GTRID]bool{}
	for _, r := range f.Heuristics() {
		kept[r.GTRID] = true
	}
	for g, told := range h.heur {
		if told && !kept[g] {
			return fmt.Errorf("the heuristic record of %s is gone", g)
		}
	}
	return nil
}

func byKey(a, b xa.GTRID) int {
	return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq))
}

// step is one call of the workload.
type step func(h *history, f *File) error

func appendStep(seq uint64) step {
	return func(h *history, f *File) error {
		d := decisionOf(f, seq)
		d.Time = h.clock.UTC()
		for len(d.Branches) < int(seq%7) {
			d.Branches = append(d.Branches, xa.BranchRef{Backend: fmt.Sprintf("b%d", len(d.Branches)), Server: strings.Repeat("s", 60+int(seq)%90), ConnID: seq})
		}
		h.attempted[d.GTRID] = d
		err := f.Append(d)
		switch {
		case err == nil:
			h.verdict[d.GTRID] = true
		case errors.Is(err, ErrNotWritten):
			h.verdict[d.GTRID] = false
		}
		return err
	}
}

// doneStep finishes every decision of the open epoch with a sequence number of the given remainder by 3.
func doneStep(remainder uint64) step {
	return func(h *history, f *File) error {
		for _, d := range f.Unfinished() {
			if d.GTRID.Seq%3 == remainder {
				h.done[d.GTRID] = h.clock
				f.Done(d.GTRID)
			}
		}
		return nil
	}
}

func heurStep(seq uint64) step {
	return func(h *history, f *File) error {
		g := xa.GTRID{Coord: f.Coord(), Epoch: f.Epoch(), Seq: seq}
		err := f.Heuristic(g, "orders-2", "the server is not the one that prepared the branch")
		h.heur[g] = h.heur[g] || err == nil
		return err
	}
}

func pruneStep(h *history, f *File) error {
	for g, at := range h.done {
		if h.clock.Sub(at) > testRetain && !h.heur[g] {
			h.retired[g] = true
		}
	}
	_, err := f.Prune()
	return err
}

func waitStep(d time.Duration) step {
	return func(h *history, _ *File) error {
		h.clock = h.clock.Add(d)
		return nil
	}
}

// workload is three lives of a process. It makes segments, rolls, finishes, prunes several segments at once.
func workload() [][]step {
	var first, second, third []step
	for seq := uint64(1); seq <= 40; seq++ {
		first = append(first, appendStep(seq))
		if seq%5 == 0 || seq > 20 {
			first = append(first, doneStep(seq/5%3))
		}
	}
	first = append(first, heurStep(7), doneStep(0), doneStep(1))
	second = append(second, waitStep(2*testRetain), appendStep(1), heurStep(1))
	for seq := uint64(2); seq <= 12; seq++ {
		second = append(second, appendStep(seq))
	}
	second = append(second, pruneStep, appendStep(13), doneStep(2))
	third = append(third, appendStep(1), doneStep(0), waitStep(2*testRetain), pruneStep, appendStep(2), doneStep(1))
	return [][]step{first, second, third}
}

// live runs the workload on files until it is over or the process is gone. carryOn says to go on after other errors, as
// a program would that does not look at Broken. The error is a broken promise.
func (h *history) live(files *crashFS, carryOn bool) error {
	for _, life := range workload() {
		f, err := h.open(files)
		if err != nil {
			if files.failAt != nil || files.dead {
				return nil
			}
			return err
		}
		for _, s := range life {
			if err := s(h, f); err != nil && !carryOn {
				return nil
			}
		}
		if err := f.Close(); err != nil {
			return nil //nolint:nilerr // the lock of a dead process
		}
	}
	return nil
}

// aftermath opens the log again and again, by kills and power failures at random calls, and checks every time.
func (h *history) aftermath(files *crashFS) error {
	for round := range 5 {
		if files.rng.IntN(3) == 0 {
			files.kill()
		} else {
			files.powerFailure()
		}
		if round < 4 && files.rng.IntN(2) == 0 {
			files.crashAt = files.calls + files.rng.IntN(20)
		}
		f, err := h.open(files)
		if files.dead {
			continue
		}
		if err != nil {
			return fmt.Errorf("opening %d afterwards: %w", round+1, err)
		}
		for seq := range uint64(1 + files.rng.IntN(20)) {
			if err := appendStep(seq+1)(h, f); err != nil && !files.dead {
				return err
			}
		}
		doneStep(files.rng.Uint64N(3))(h, f) //nolint:errcheck // never fails
	}
	return nil
}

// normalRun returns the number of calls of an undisturbed workload and the labels of its syncs.
func normalRun(t *testing.T) (calls int, syncs []string) {
	t.Helper()
	files, h := newCrashFS(0), newHistory()
	if err := h.live(files, false); err != nil {
		t.Fatal(err)
	}
	if len(h.retired) == 0 || len(h.verdict) < 50 || files.calls%101 == 0 {
		t.Fatalf("the workload is no good: %d decisions, %d retired, %d calls", len(h.verdict), len(h.retired), files.calls)
	}
	calls = files.calls
	if err := h.aftermath(files); err != nil {
		t.Fatal(err)
	}
	return calls, slices.Sorted(maps.Keys(files.synced))
}

// crashEverywhere crashes the workload at every call (calls is prime to 101), seeds times each, and returns the first broken promise.
func crashEverywhere(calls int, seeds uint64, lie string) error {
	for i := range calls {
		call := i * 101 % calls // scattered, so that a lie is found out soon
		for seed := range seeds {
			files, h := newCrashFS(seed<<32|uint64(call)), newHistory()
			files.lies[lie] = lie != ""
			files.crashAt = call
			err := h.live(files, false)
			if err == nil {
				err = h.aftermath(files)
			}
			if err != nil {
				return fmt.Errorf("crash at call %d (%s), seed %d: %w", call, files.at(call), seed, err)
			}
		}
	}
	return nil
}

// Goal: no crash at any file access breaks a promise.
func TestCrashAtEveryCall(t *testing.T) {
	t.Parallel()
	calls, _ := normalRun(t)
	t.Logf("%d calls", calls)
	if err := crashEverywhere(calls, 3, ""); err != nil {
		t.Fatal(err)
	}
}

// Goal: the crash test can fail, and no sync of the package is for nothing. Method: one sync after the other is made a
// lie, and each time the crash test must find a broken promise.
func TestEverySyncIsNeeded(t *testing.T) {
	t.Parallel()
	calls, syncs := normalRun(t)
	t.Log(syncs)
	for _, label := range syncs {
		t.Run(label, func(t *testing.T) {
			err := crashEverywhere(calls, 8, label)
			if err == nil {
				t.Errorf("without this sync nothing goes wrong: it is not needed, or the crash test is too weak")
			}
			t.Log(err)
		})
	}
}

// Goal: a failure of any file access breaks no promise either, whether the program goes on or not.
func TestFailAtEveryCall(t *testing.T) {
	t.Parallel()
	calls, _ := normalRun(t)
	for call := range calls {
		for seed := range uint64(3) {
			files, h := newCrashFS(seed<<32|uint64(call)), newHistory()
			files.failAt = func(n int, _, _ string) error {
				if n == call {
					return errInjected
				}
				return nil
			}
			err := h.live(files, seed%2 == 0)
			if err == nil {
				err = h.aftermath(files)
			}
			if err != nil {
				t.Fatalf("failure of call %d (%s), seed %d: %v", call, files.at(call), seed, err)
			}
		}
	}
}
