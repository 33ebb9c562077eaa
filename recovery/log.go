package recovery

import (
	"context"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// Log is a decision log of this process's own. It is safe for concurrent use.
type Log interface {
	Coord() string
	Epoch() uint32
	// Lookup also finds decisions that are done, as long as they are retained.
	Lookup(xa.GTRID) (xa.Decision, bool, error)
	// Unfinished returns the decisions that are not done, those in flight included.
	Unfinished() []xa.Decision
	Done(xa.GTRID, ...xa.BranchEnd)
	Heuristic(g xa.GTRID, backend, text string) error
	Trail(xa.GTRID) (xa.Trail, error)
	Prune() (int, error)
}

// OfLog returns the decisions that a log has.
func OfLog(l Log) Decisions { return logged{l} }

type logged struct{ log Log }

func (l logged) Coord() string             { return l.log.Coord() }
func (l logged) Epoch() uint32             { return l.log.Epoch() }
func (l logged) Unfinished() []xa.Decision { return l.log.Unfinished() }

// Done says when recovery has committed branches, of those that it has.
func (l logged) Done(g xa.GTRID, ends ...xa.BranchEnd) { l.log.Done(g, ends...) }

// Lookup reads the log. What is not in there of a transaction that is not in flight never will be: nobody else writes to it.
func (l logged) Lookup(_ context.Context, all []xa.GTRID, _ bool) []xa.Ruling {
	rulings := make([]xa.Ruling, len(all))
	for i, g := range all {
		r := &rulings[i]
		r.Decision, r.Decided, r.Err = l.log.Lookup(g)
	}
	return rulings
}

func (l logged) Heuristic(_ context.Context, g xa.GTRID, backend, text string) error {
	return l.log.Heuristic(g, backend, text)
}

func (l logged) Trail(_ context.Context, g xa.GTRID) (xa.Trail, error) { return l.log.Trail(g) }

// Prune leaves it to the log: its decisions are retained by age, and as long as they are not done.
func (l logged) Prune(context.Context, []Listed, time.Duration) (int, error) { return l.log.Prune() }
