package decision

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/xaproxy/xaproxy/xa"
)

// Prune drops the oldest segments, up to the first that is younger than Retain, and returns how many. The age of a
// segment is that of its latest commit or, where that came later, of the Done of one of its commits. What must not be
// forgotten is written to the end of the log first: decisions without Done, heuristic records, and the decisions that a
// heuristic record is about.
func (f *File) Prune() (segments int, err error) {
	f.scan.Lock()
	defer f.scan.Unlock()
	f.mu.Lock()
	last := f.active // what is sealed from here on is not looked at: it may hold what this call carried
	f.mu.Unlock()
	for {
		f.mu.Lock()
		err := f.refusal()
		s := f.segments[0]
		old := s != last && s.newest < f.now().Add(-f.retain).Unix()
		f.mu.Unlock()
		if err != nil {
			return segments, fmt.Errorf("prune decision log %s: %w", f.dir, err)
		}
		if !old {
			return segments, nil
		}
		if err := f.drop(s); err != nil {
			return segments, fmt.Errorf("prune decision log: %w", err)
		}
		segments++
		f.log.Info().Str("file", s.path).Int("commits", s.commits).Msg("decision log segment dropped")
	}
}

// drop removes s, the first segment. Segments go one by one, each removal durable before the next, so that no crash
// leaves a gap between them. Must be called with scan held.
func (f *File) drop(s *segment) error {
	if err := f.carry(s); err != nil {
		return err
	}
	if err := f.files.Remove("prune remove", s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", s.path, err)
	}
	f.mu.Lock()
	f.segments = f.segments[1:]
	f.dropKeys(s)
	f.mu.Unlock()
	if f.indexed == s {
		f.indexed = nil
	}
	if err := f.files.SyncDir("prune dir", f.dir); err != nil {
		return f.fail(fmt.Errorf("sync directory %s: %w", f.dir, err))
	}
	return nil
}

// carry appends what of s is to outlive it and returns when that is durable.
func (f *File) carry(s *segment) error {
	disputed, err := f.disputed(s)
	if err != nil {
		return err
	}
	var entries []*entry
	add := func(r record) {
		e := newEntry(r)
		e.carried = true
		entries = append(entries, e)
	}
	f.mu.Lock()
	for _, r := range disputed {
		if _, open := f.unfinished[r.key]; !open {
			add(r)
			add(record{kind: kindDone, key: r.key, time: f.now().Unix()})
		}
	}
	first := len(entries)
	for _, u := range f.unfinished {
		if u.seg == s {
			add(u.record)
		}
	}
	slices.SortFunc(entries[first:], func(a, b *entry) int { // the same log has the same bytes again
		return cmp.Or(cmp.Compare(a.key.epoch, b.key.epoch), cmp.Compare(a.key.seq, b.key.seq))
	})
	for _, h := range f.heuristics {
		if h.seg == s {
			add(h.record)
		}
	}
	if len(entries) == 0 {
		f.mu.Unlock()
		return nil
	}
	return f.submit(entries...)
}

// disputed returns the commit records of s that a heuristic record is about. Must be called with scan held.
func (f *File) disputed(s *segment) ([]record, error) {
	var records []record
	for _, h := range f.Heuristics() {
		if k := keyOf(h.GTRID); s.covers(k) {
			if err := f.makeIndex(s); err != nil {
				return nil, err
			}
			if at, ok := s.index[k]; ok {
				d, _, err := f.read(h.GTRID, s, at)
				if err != nil {
					return nil, err
				}
				records = append(records, commitRecord(d))
			}
		}
	}
	return records, nil
}

func commitRecord(d xa.Decision) record {
	return record{kind: kindCommit, key: keyOf(d.GTRID), time: d.Time.Unix(), ms: int64(d.Time.Nanosecond()) / 1e6, onePhase: d.OnePhase, branches: d.Branches, name: d.Key.Name}
}
