package decision

import (
	"context"
	"fmt"

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
	if k, ok := f.keys[name]; ok {
		return xa.KeyRecord{Committed: true, GTRID: k.gtrid(f.coord)}, nil
	}
	switch {
	case f.closed:
		return xa.KeyRecord{}, fmt.Errorf("look up commit key: %w", ErrClosed)
	case f.broken != nil:
		return xa.KeyRecord{}, fmt.Errorf("look up commit key: %w", f.broken)
	}
	return xa.KeyRecord{}, nil
}

// FenceKey implements xa.Keys. Nobody but this process writes to the log.
func (f *File) FenceKey(ctx context.Context, name string) (xa.KeyRecord, error) {
	return f.FindKey(ctx, name)
}

// KeyDecider implements xa.Keys: the log decides.
func (f *File) KeyDecider(string) string { return "" }
