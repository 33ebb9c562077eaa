package decision

import (
	"context"
	"fmt"
	"strconv"

	"github.com/xaproxy/xaproxy/xa"
)

// keyed is the transaction that has committed with a commit key.
type keyed struct {
	key
	seg *segment // that holds the latest copy
}

func (k keyed) gtrid(coord string) xa.GTRID {
	return xa.GTRID{Coord: coord, Epoch: k.epoch, Seq: k.seq}
}

// keepKey notes the commit key of a commit record that lies in s. Must be called with mu held.
func (f *File) keepKey(r record, s *segment) {
	if r.name == "" {
		return
	}
	f.keys[r.name] = keyed{r.key, s}
	s.names = append(s.names, r.name)
}

// take lets one record with a commit key at a time be on its way to the disk. Must be called with mu held.
func (f *File) take(k xa.Key) error {
	switch _, taken := f.keys[k.Name]; {
	case k.Name == "":
		return nil
	case taken:
		return fmt.Errorf("%w: %s", xa.ErrKeyCommitted, f.keys[k.Name].gtrid(f.coord))
	case f.taking[k.Name]:
		return xa.ErrKeyRunning
	case f.fences.stop(k):
		return errFenced
	}
	f.taking[k.Name] = true
	return nil
}

// taken follows take once the record is durable, or has failed.
func (f *File) taken(k xa.Key) {
	if k.Name == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.taking, k.Name)
}

// dropKeys forgets the commit keys of which the latest copy is in s. Must be called with mu held.
func (f *File) dropKeys(s *segment) {
	for _, name := range s.names {
		if f.keys[name].seg == s {
			delete(f.keys, name)
		}
	}
}

// FindKey implements xa.Keys. It finds the keys of the decisions that are retained; each takes some 150 bytes of memory.
func (f *File) FindKey(_ context.Context, name string) (xa.KeyRecord, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.findKey(name)
}

// findKey is FindKey. Must be called with mu held.
func (f *File) findKey(name string) (xa.KeyRecord, error) {
	if k, ok := f.keys[name]; ok {
		return xa.KeyRecord{Committed: true, GTRID: k.gtrid(f.coord)}, nil
	}
	switch {
	case f.closed:
		return xa.KeyRecord{}, fmt.Errorf("look up commit key: %w", ErrClosed)
	case f.broken != nil:
		return xa.KeyRecord{}, fmt.Errorf("look up commit key: %w", f.broken)
	}
	return xa.KeyRecord{Over: strconv.FormatUint(f.fences.last, 10)}, nil
}

// FenceKey implements xa.Keys. Nobody but this process writes to the log, so the fence is in memory: no attempt outlives the process.
// The error wraps xa.ErrKeyRunning while a record with the key is on its way to the disk: that one is past every fence.
func (f *File) FenceKey(_ context.Context, name string) (xa.KeyRecord, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r, err := f.findKey(name); err != nil || r.Committed {
		return r, err
	}
	if f.taking[name] {
		return xa.KeyRecord{}, fmt.Errorf("fence commit key: %w", xa.ErrKeyRunning)
	}
	return xa.KeyRecord{Over: strconv.FormatUint(f.fences.put(name), 10)}, nil
}

// fences are the commit keys of which somebody was told that they are rolled back. They are counted; the Over of a Key is how many there
// were when the attempt began, which must not commit if the fence of its key is later than that.
type fences struct {
	last   uint64
	before uint64            // attempts that began with fewer are fenced, whatever their keys
	at     map[string]uint64 // those after before, at most maxFences
}

// maxFences bounds the memory of fences. One more, and they are all forgotten: then every attempt is fenced that has begun.
const maxFences = 10_000

func (x *fences) put(name string) uint64 {
	x.last++
	if len(x.at) == maxFences {
		x.before, x.at = x.last, nil
	}
	if x.at == nil {
		x.at = make(map[string]uint64)
	}
	x.at[name] = x.last
	return x.last
}

// stop reports whether an attempt with the key must not commit.
func (x *fences) stop(k xa.Key) bool {
	began, err := strconv.ParseUint(k.Over, 10, 64)
	if err != nil { // nobody asked for the key
		began = 0
	}
	return began < max(x.before, x.at[k.Name])
}

// KeyDecider implements xa.Keys: the log decides.
func (f *File) KeyDecider(string) string { return "" }
