package router

import (
	"strings"
	"sync/atomic"
	"time"
)

// Tally counts the executions of the statements of one shape. Safe for concurrent use.
type Tally struct{ count, nanoseconds, longest atomic.Uint64 }

// Add counts an execution.
func (t *Tally) Add(took time.Duration) {
	n := uint64(max(took, 0))
	t.count.Add(1)
	t.nanoseconds.Add(n)
	for {
		longest := t.longest.Load()
		if n <= longest || t.longest.CompareAndSwap(longest, n) {
			return
		}
	}
}

// Cached is a shape in the plan cache.
type Cached struct {
	Text    string // with ? for each literal
	Plan    string // how it is carried out, or that it is refused
	Bytes   int
	Count   uint64 // executions that were answered
	Total   time.Duration
	Longest time.Duration
}

// Cached are the shapes in the plan cache, in no order. It looks at one part of the cache after the other.
func (r *Router) Cached() (all []Cached) {
	if r.cache == nil {
		return nil
	}
	for i := range r.cache.segments {
		s := &r.cache.segments[i]
		s.mu.RLock()
		ring := append([]*entry(nil), s.ring...)
		s.mu.RUnlock()
		for _, e := range ring {
			t := &e.shape.tally
			all = append(all, Cached{
				Text: shown(e.key), Plan: e.shape.kind(), Bytes: e.size, Count: t.count.Load(), Total: time.Duration(t.nanoseconds.Load()), Longest: time.Duration(t.longest.Load()),
			})
		}
	}
	return all
}

// shown is the text in a key of the cache, with ? for each literal. What comes before the text is the mode and the schema, what comes after it are hints.
func shown(key string) string {
	parts := strings.SplitN(key[1:], "\x00", 4)
	text := parts[min(1, len(parts)-1)]
	if Mode(key[0])&hides != 0 && len(parts) > 2 {
		text = parts[2]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return '?'
		}
		return r
	}, text)
}

// kind says in a word or two how the statements of a shape are carried out.
func (sh *shape) kind() string {
	switch {
	case sh.refused != nil:
		return "refused"
	case sh.plan != nil && sh.plan.Verb != Route:
		return "session"
	case sh.plan != nil:
		return sh.plan.way()
	case sh.all != nil:
		return sh.all.way()
	case sh.insert != nil:
		return "by shard key of rows"
	case sh.scratch != nil && sh.scratch.only != nil:
		return MergeScratch.String()
	case sh.merge == MergeNone:
		return "one backend"
	}
	return "one backend, or " + sh.merge.String()
}

func (p *Plan) way() string {
	if p.Merge == MergeNone {
		return "one backend"
	}
	return p.Merge.String()
}
