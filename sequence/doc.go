// Package sequence makes the values of AUTO_INCREMENT columns whose tables are on several servers, each of which would count for
// itself.
//
// A Blocks takes blocks of values from a counter that all proxies share and uses them up before it takes the next one. A Snowflake
// makes values of the time, a number of its own and a counter, and needs nobody. Both give each value once, those of one statement
// in a row without gaps between them. Values that were taken and not used are lost: there are gaps, as there are on one server.
package sequence

import "context"

// Sequence gives out values. Safe for concurrent use.
type Sequence interface {
	// Take returns the first of n values that follow one another, and belong to the caller.
	Take(ctx context.Context, n uint64) (first uint64, err error)
	// Pass says that somebody uses a value of their own choice: the sequence must not come to it later.
	Pass(ctx context.Context, value uint64) error
}
