package decision

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/xa"
)

// Defaults of FileOptions.
const (
	DefaultSegmentSize = 16 << 20
	DefaultRetain      = 7 * 24 * time.Hour
)

// MaxText is the longest text of a heuristic record in bytes; what is longer is cut.
const MaxText = 1024

// FileOptions says where a log is and how it is kept.
type FileOptions struct {
	Dir         string        // made when it is not there; its parent must exist
	SegmentSize int64         // bytes of a new segment, 4 KiB to 1 GiB; 0 = DefaultSegmentSize
	Retain      time.Duration // how long a decision is kept after its transaction is done; 0 = DefaultRetain
	FS          FS            // nil = the operating system
	Now         func() time.Time
	// OnSync is told how long each sync took, and how many records it has made durable. It must not block; nil: nobody wants to know.
	OnSync func(took time.Duration, records int)
	Logger zerolog.Logger
}

// File is an open decision log. It is safe for concurrent use.
type File struct {
	files       FS
	dir         string
	segmentSize int64
	retain      time.Duration
	now         func() time.Time
	onSync      func(took time.Duration, records int)
	log         zerolog.Logger
	readOnly    bool
	coord       string
	epoch       uint32
	lock        io.Closer
	brokenCh    chan struct{}

	// Owned by the leader, and by OpenFile and Close while there is none:
	handle Handle // of active
	seed   uint32 // of active
	end    int64  // of the records in active
	synced int64  // durable up to here. Invariant: headerSize <= synced <= end
	astray bool   // the next opening would not find it
	buf    []byte

	// scan serializes Lookup in complete segments and keeps Prune from removing what is being read. It protects
	// indexed, the complete segment whose index was made last. Taken before mu, never after it.
	scan    sync.Mutex
	indexed *segment

	mu         sync.Mutex // protects the following fields and the segments
	idle       sync.Cond  // leading has become false
	leading    bool       // somebody flushes
	next       *batch     // what is flushed next
	closed     bool
	broken     error
	segments   []*segment // in the order of their numbers, without gaps; the last is active
	active     *segment
	unfinished map[key]unfinished
	keys       map[string]keyed // by commit key
	taking     map[string]bool  // commit keys of records that are on their way to the disk
	fences     fences
	heuristics []heuristic
}

type unfinished struct {
	record
	seg *segment // that holds the latest copy
}

type heuristic struct {
	record
	seg *segment
}

// HeuristicRecord says that the outcome of one branch could not be proven, or was forced by hand.
type HeuristicRecord struct {
	GTRID   xa.GTRID
	Backend string
	Text    string
	Time    time.Time // to the second
}

// Coord returns the name of this log in every GTRID: 8 hex characters drawn when the log was made.
func (f *File) Coord() string { return f.coord }

// Epoch returns the epoch of this opening, higher than that of any earlier one. Of an inspected log it returns the
// epoch of the last opening.
func (f *File) Epoch() uint32 { return f.epoch }

// Broken returns a channel that is closed when the log breaks.
func (f *File) Broken() <-chan struct{} { return f.brokenCh }

// Cause returns the first error that broke the log, which is an ErrBroken; nil while it works.
func (f *File) Cause() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken
}

// Append makes the decision d durable and returns nil when it is. This is the commit point. Concurrent calls share one
// sync. A zero d.Time is taken as now.
//
// An error with ErrNotWritten says that d was not decided and never will be. Any other error leaves the outcome open
// until the log is opened again, see ErrBroken. d must be of this log and this epoch, and must not be decided already.
func (f *File) Append(d xa.Decision) error {
	if d.GTRID.Coord != f.coord || d.GTRID.Epoch != f.epoch {
		return notWritten(fmt.Errorf("%s is not of log %s, epoch %x", d.GTRID, f.coord, f.epoch))
	}
	if d.Time.IsZero() {
		d.Time = f.now()
	}
	d.Branches = slices.Clone(d.Branches)
	e := newEntry(commitRecord(d))
	if f.tooLarge(e) {
		return notWritten(fmt.Errorf("%s: %w", d.GTRID, errTooLarge))
	}
	f.mu.Lock()
	if _, twice := f.unfinished[e.key]; twice {
		f.mu.Unlock()
		return notWritten(fmt.Errorf("%s is already decided", d.GTRID))
	}
	if err := f.take(d.Key); err != nil {
		f.mu.Unlock()
		return notWritten(fmt.Errorf("%s: %w", d.GTRID, err))
	}
	defer f.taken(d.Key)
	return f.submit(e)
}

// Heuristic makes durable that the branch of g on backend has an outcome which nobody can prove, and returns nil when it
// is. Such records are kept for ever. Errors are those of Append.
func (f *File) Heuristic(g xa.GTRID, backend, text string) error {
	if g.Coord != f.coord {
		return notWritten(fmt.Errorf("%s is not of log %s", g, f.coord))
	}
	e := newEntry(record{
		kind: kindHeur, key: keyOf(g), time: f.now().Unix(), backend: backend, text: text[:min(len(text), MaxText)],
	})
	if f.tooLarge(e) {
		return notWritten(fmt.Errorf("%s: %w", g, errTooLarge))
	}
	f.mu.Lock()
	return f.submit(e)
}

// Done notes that every branch of g has acknowledged the commit, and when those of ends have. It waits for no sync: a Done that a crash swallows
// makes recovery look at the branches once more. It does nothing when g is unknown or done already.
func (f *File) Done(g xa.GTRID, ends ...xa.BranchEnd) {
	if g.Coord != f.coord || f.readOnly {
		return
	}
	r := record{kind: kindDone, key: keyOf(g), time: f.now().Unix(), ends: ends}
	f.mu.Lock()
	if _, ok := f.unfinished[r.key]; !ok {
		f.mu.Unlock()
		return
	}
	f.finish(r)
	e := newEntry(r)
	e.durable = false
	if err := f.submit(e); err != nil {
		// The log is broken or closed; whoever broke or closed it knows, and the next opening finds g unfinished.
		return
	}
}

func newEntry(r record) *entry { return &entry{record: r, body: r.appendBody(nil), durable: true} }

func (f *File) tooLarge(e *entry) bool {
	return headerSize+int64(recordSize(len(e.body))) > f.segmentSize
}

// keep notes a commit record that lies in s. A carried copy only moves a decision that is still unfinished.
// Must be called with mu held.
func (f *File) keep(r record, s *segment, carried bool) {
	f.keepKey(r, s)
	old, known := f.unfinished[r.key]
	switch {
	case known:
		old.seg.unfinished--
	case carried:
		return
	}
	f.unfinished[r.key] = unfinished{r, s}
	s.unfinished++
}

// finish applies a done record. Must be called with mu held.
func (f *File) finish(r record) {
	u, ok := f.unfinished[r.key]
	if !ok {
		return // its commit record is retired, or it was done before
	}
	delete(f.unfinished, r.key)
	u.seg.unfinished--
	u.seg.newest = max(u.seg.newest, r.time)
}

// keepHeuristic notes a heuristic record that lies in s; of several copies the last one counts. Must be called with mu
// held.
func (f *File) keepHeuristic(r record, s *segment) {
	for i, h := range f.heuristics {
		if h.key == r.key && h.backend == r.backend && h.text == r.text && h.time == r.time {
			f.heuristics[i].seg = s
			return
		}
	}
	f.heuristics = append(f.heuristics, heuristic{r, s})
}

// Unfinished returns the decisions without Done, oldest first.
func (f *File) Unfinished() []xa.Decision {
	f.mu.Lock()
	records := make([]record, 0, len(f.unfinished))
	for _, u := range f.unfinished {
		records = append(records, u.record)
	}
	f.mu.Unlock()
	slices.SortFunc(records, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.key.epoch, b.key.epoch), cmp.Compare(a.time, b.time), cmp.Compare(a.key.seq, b.key.seq))
	})
	decisions := make([]xa.Decision, len(records))
	for i, r := range records {
		decisions[i] = r.decision(f.coord)
		decisions[i].Branches = slices.Clone(r.branches)
	}
	return decisions
}

// Heuristics returns the heuristic records, oldest first.
func (f *File) Heuristics() []HeuristicRecord {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]HeuristicRecord, len(f.heuristics))
	for i, h := range f.heuristics {
		list[i] = HeuristicRecord{
			GTRID:   xa.GTRID{Coord: f.coord, Epoch: h.key.epoch, Seq: h.key.seq},
			Backend: h.backend,
			Text:    h.text,
			Time:    time.Unix(h.time, 0).UTC(),
		}
	}
	return list
}

// Close finishes the calls that are under way and gives the directory free. What Done left behind is written but not
// synced: nothing depends on it. Closing twice is allowed.
func (f *File) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil
	}
	f.closed = true
	for f.leading {
		f.idle.Wait()
	}
	f.mu.Unlock()
	var err error
	if f.handle != nil {
		err = f.handle.Close()
	}
	return errors.Join(err, f.lock.Close())
}

func (f *File) path(h header) string { return filepath.Join(f.dir, h.name()) }
