package router

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// limits of the plan cache; each of the segments has its share
const (
	cacheSegments = 16
	cacheShapes   = 10_000
	cacheBytes    = 32 << 20
)

// cache keeps the shapes seen last: key bytes to what was found out about them. It is bounded in number and in bytes, and
// evicts by the clock algorithm: a hit only sets a bit. Safe for concurrent use.
type cache struct {
	seed     maphash.Seed
	cleared  atomic.Uint64 // how often
	segments [cacheSegments]segment
}

type segment struct {
	mu    sync.RWMutex // protects following fields
	byKey map[string]*entry
	ring  []*entry
	hand  int
	bytes int

	hits, misses atomic.Uint64
	_            [24]byte // segments do not share cache lines
}

type entry struct {
	key   string
	shape *shape
	size  int
	used  atomic.Bool
}

func newCache() *cache {
	c := &cache{seed: maphash.MakeSeed()}
	for i := range c.segments {
		c.segments[i].byKey = map[string]*entry{}
	}
	return c
}

func (c *cache) segment(key []byte) *segment {
	return &c.segments[maphash.Bytes(c.seed, key)%cacheSegments]
}

// get returns the shape of the key, or nil.
func (c *cache) get(key []byte) *shape {
	s := c.segment(key)
	s.mu.RLock()
	e := s.byKey[string(key)]
	s.mu.RUnlock()
	if e == nil {
		s.misses.Add(1)
		return nil
	}
	s.hits.Add(1)
	if !e.used.Load() {
		e.used.Store(true)
	}
	return e.shape
}

// put keeps the shape, unless the key is too long, or the cache was cleared since it was so often: the shape may be of what was known
// before. Of two shapes put for one key either may stay: they are equal.
func (c *cache) put(key []byte, sh *shape, cleared uint64) {
	if len(key) > maxCachedShape {
		return
	}
	e := &entry{key: string(key), shape: sh, size: len(key) + sh.size()}
	s := c.segment(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[e.key] != nil || c.cleared.Load() != cleared {
		return
	}
	for len(s.ring) > 0 && (len(s.ring) >= cacheShapes/cacheSegments || s.bytes+e.size > cacheBytes/cacheSegments) {
		s.evict()
	}
	s.byKey[e.key] = e
	s.ring = append(s.ring, e)
	s.bytes += e.size
}

// evict drops the first entry under the hand that was not used since the hand came by last.
func (s *segment) evict() {
	for {
		s.hand %= len(s.ring)
		e := s.ring[s.hand]
		if e.used.Swap(false) {
			s.hand++
			continue
		}
		last := len(s.ring) - 1
		s.ring[s.hand] = s.ring[last]
		s.ring[last] = nil
		s.ring = s.ring[:last]
		s.bytes -= e.size
		delete(s.byKey, e.key)
		return
	}
}

// clear forgets all shapes.
func (c *cache) clear() {
	c.cleared.Add(1)
	for i := range c.segments {
		s := &c.segments[i]
		s.mu.Lock()
		clear(s.byKey)
		s.ring, s.hand, s.bytes = nil, 0, 0
		s.mu.Unlock()
	}
}

// counts is how often a shape was found, and was not.
func (c *cache) counts() (hits, misses uint64) {
	for i := range c.segments {
		hits += c.segments[i].hits.Load()
		misses += c.segments[i].misses.Load()
	}
	return hits, misses
}

// shapes is the number of shapes kept.
func (c *cache) shapes() (n int) {
	for i := range c.segments {
		s := &c.segments[i]
		s.mu.RLock()
		n += len(s.ring)
		s.mu.RUnlock()
	}
	return n
}
