package decision

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// Trail returns what the log says of a transaction, in the order in which it was written. It reads every segment.
func (f *File) Trail(g xa.GTRID) (t xa.Trail, err error) {
	if g.Coord != f.coord {
		return t, fmt.Errorf("%s is not of log %s", g, f.coord)
	}
	f.scan.Lock() // no segment is removed meanwhile
	defer f.scan.Unlock()
	f.mu.Lock()
	segments := slices.Clone(f.segments)
	f.mu.Unlock()
	var records []record
	seen := make(map[string]bool) // a record may have been carried to a later segment
	for _, s := range segments {
		h, data, err := readSegment(f.files, "trail", f.dir, s.name())
		if err != nil {
			return t, err
		}
		for off := int64(headerSize); off < int64(len(data)); {
			fr, p := parseFrame(data[off:], h.seed(), off)
			if p != placeRecord { // the end, or what is being written
				break
			}
			off += int64(fr.size)
			r, err := fr.record()
			if err != nil {
				return t, fmt.Errorf("read decision log %s: %w", s.path, err)
			}
			if same := fmt.Sprint(fr.kind, fr.body); r.key == keyOf(g) && r.kind != kindEpoch && !seen[same] {
				seen[same] = true
				records = append(records, r)
			}
		}
	}
	return trailOf(records), nil
}

// trailOf is the records of one transaction in the words of docs/protocol.md.
func trailOf(records []record) (t xa.Trail) {
	open := make(map[string]bool) // branches of which nothing says that they have committed
	done, decided := false, false
	for _, r := range records {
		at := time.Unix(r.time, 0)
		switch r.kind {
		case kindCommit:
			decided = true
			t.Decided(r.decision(""))
			for _, b := range r.branches {
				open[b.Backend] = true
			}
		case kindDone:
			done = true
			for _, e := range r.ends {
				delete(open, e.Backend)
				t.Ended(e)
			}
			t.Add(at, "DONE: every branch has acknowledged its commit, or was proven to be finished")
		case kindHeur:
			t.Add(at, "HEUR: branch %s: %s", r.backend, r.text)
		}
	}
	switch {
	case done:
		for _, backend := range slices.Sorted(maps.Keys(open)) {
			t.Missing("when branch %s committed, and by whom: its xaproxy died, or no longer waited, and recovery found it finished", backend)
		}
	case decided:
		t.Missing("which branches have committed: that is written down when all have")
	}
	return t
}
