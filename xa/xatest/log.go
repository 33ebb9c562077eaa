package xatest

import (
	"slices"
	"sync"

	"github.com/xaproxy/xaproxy/xa"
)

// Log is a fake xa.Log in memory. The zero value is ready; it is safe for concurrent use.
type Log struct {
	// OnAppend, if set before use, is asked before a decision is kept; an error keeps it out and is what Append
	// returns. It may block.
	OnAppend func(xa.Decision) error
	// OnDone, if set before use, is called by Done.
	OnDone func(xa.GTRID)

	mu        sync.Mutex // protects following fields
	decisions []xa.Decision
	done      []xa.GTRID
	ends      []xa.BranchEnd
}

var _ xa.Log = (*Log)(nil)

// Coord implements xa.Log.
func (l *Log) Coord() string { return "0123abcd" }

// Epoch implements xa.Log.
func (l *Log) Epoch() uint32 { return 7 }

// Append implements xa.Log.
func (l *Log) Append(d xa.Decision) error {
	if l.OnAppend != nil {
		if err := l.OnAppend(d); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.decisions = append(l.decisions, d)
	return nil
}

// Done implements xa.Log.
func (l *Log) Done(g xa.GTRID, ends ...xa.BranchEnd) {
	if l.OnDone != nil {
		l.OnDone(g)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done, l.ends = append(l.done, g), append(l.ends, ends...)
}

// Ends returns what Done was told of branches, in order.
func (l *Log) Ends() []xa.BranchEnd {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ends)
}

// Decisions returns the decisions that were kept, in order.
func (l *Log) Decisions() []xa.Decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.decisions)
}

// Finished returns the transactions that Done was called for, in order.
func (l *Log) Finished() []xa.GTRID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.done)
}
