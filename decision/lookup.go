package decision

import (
	"errors"
	"fmt"
	"slices"

	"github.com/xaproxy/xaproxy/xa"
)

// Lookup returns the decision about g, also when it is done, as long as it is retained. false without an error is the
// log's word that g is not decided; where the log cannot give it (it is broken, or cannot be read) there is an error. A
// g whose Append has not returned may or may not be found.
func (f *File) Lookup(g xa.GTRID) (xa.Decision, bool, error) {
	if g.Coord != f.coord {
		return xa.Decision{}, false, fmt.Errorf("look up decision: %s is not of log %s", g, f.coord)
	}
	k := keyOf(g)
	f.scan.Lock()
	defer f.scan.Unlock()
	f.mu.Lock()
	u, found := f.unfinished[k]
	at, active := f.active.index[k]
	current, broken, closed := f.active, f.broken, f.closed
	var candidates []*segment
	for _, s := range slices.Backward(f.segments) {
		if s != current && s.covers(k) {
			candidates = append(candidates, s)
		}
	}
	f.mu.Unlock()
	switch {
	case closed:
		return xa.Decision{}, false, fmt.Errorf("look up decision %s: %w", g, ErrClosed)
	case found:
		d := u.decision(f.coord)
		d.Branches = slices.Clone(u.branches)
		return d, true, nil
	case active:
		return f.read(g, current, at)
	}
	for _, s := range candidates {
		if err := f.makeIndex(s); err != nil {
			return xa.Decision{}, false, fmt.Errorf("look up decision %s: %w", g, err)
		}
		if at, ok := s.index[k]; ok {
			return f.read(g, s, at)
		}
	}
	if broken != nil {
		return xa.Decision{}, false, fmt.Errorf("look up decision %s: %w", g, broken)
	}
	return xa.Decision{}, false, nil
}

// read reads the commit record of g back from s.
func (f *File) read(g xa.GTRID, s *segment, at span) (d xa.Decision, found bool, err error) {
	fail := func(err error) (xa.Decision, bool, error) {
		return xa.Decision{}, false, fmt.Errorf("look up decision %s: read %s at byte %d: %w", g, s.path, at.off, err)
	}
	handle, err := f.files.Open("lookup", s.path, false)
	if err != nil {
		return fail(err)
	}
	buf := make([]byte, at.size)
	if err := errors.Join(handle.ReadAt("lookup", buf, int64(at.off)), handle.Close()); err != nil {
		return fail(err)
	}
	fr, p := parseFrame(buf, s.seed(), int64(at.off))
	if p != placeRecord {
		return fail(errors.New("the check of the record fails"))
	}
	r, err := fr.record()
	if err != nil {
		return fail(err)
	}
	if r.kind != kindCommit || r.key != keyOf(g) {
		return fail(errors.New("another record is there"))
	}
	return r.decision(f.coord), true, nil
}

// makeIndex reads the complete segment s for where its commit records are. The index of the segment that was read before
// is given up, so that memory holds two at most: this and that of the active segment. Must be called with scan held.
func (f *File) makeIndex(s *segment) error {
	if s.index != nil {
		return nil
	}
	h, data, err := readSegment(f.files, "lookup", f.dir, s.name())
	if err != nil {
		return err
	}
	index := make(map[key]span, s.commits)
	_, err = h.scan(data, s.end, func(off int64, fr frame) error {
		if fr.kind != kindCommit {
			return nil
		}
		r, err := fr.record()
		index[r.key] = span{uint32(off), uint32(fr.size)}
		return err
	})
	if err != nil {
		return fmt.Errorf("read decision log %s: %w", s.path, err)
	}
	if f.indexed != nil {
		f.indexed.index = nil
	}
	f.indexed, s.index = s, index
	return nil
}
