package decision

import (
	"fmt"
	"slices"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// Trail returns what the log says of a transaction, in the order in which it was written. It reads every segment.
func (f *File) Trail(g xa.GTRID) ([]xa.TrailEntry, error) {
	if g.Coord != f.coord {
		return nil, fmt.Errorf("%s is not of log %s", g, f.coord)
	}
	f.scan.Lock() // no segment is removed meanwhile
	defer f.scan.Unlock()
	f.mu.Lock()
	segments := slices.Clone(f.segments)
	f.mu.Unlock()
	var trail []xa.TrailEntry
	seen := make(map[xa.TrailEntry]bool) // a record may have been carried to a later segment
	for _, s := range segments {
		h, data, err := readSegment(f.files, "trail", f.dir, s.name())
		if err != nil {
			return nil, err
		}
		for off := int64(headerSize); off < int64(len(data)); {
			fr, p := parseFrame(data[off:], h.seed(), off)
			if p != placeRecord { // the end, or what is being written
				break
			}
			off += int64(fr.size)
			r, err := fr.record()
			if err != nil {
				return nil, fmt.Errorf("read decision log %s: %w", s.path, err)
			}
			if e := r.trail(); r.key == keyOf(g) && e.Text != "" && !seen[e] {
				seen[e] = true
				trail = append(trail, e)
			}
		}
	}
	return trail, nil
}

// trail is the record in the words of docs/protocol.md.
func (r record) trail() xa.TrailEntry {
	e := xa.TrailEntry{Time: time.Unix(r.time, 0).UTC()}
	switch r.kind {
	case kindCommit:
		e.Text = xa.Decision{Branches: r.branches, OnePhase: r.onePhase, Key: xa.Key{Name: r.name}}.Words()
	case kindDone:
		e.Text = "DONE: every branch has acknowledged its commit, or was proven to be finished"
	case kindHeur:
		e.Text = fmt.Sprintf("HEUR: branch %s: %s", r.backend, r.text)
	}
	return e
}
