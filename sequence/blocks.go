package sequence

import "context"

// Counter is a number that only grows, kept where no proxy can lose it.
type Counter interface {
	// Take adds n and returns what the number was before.
	Take(ctx context.Context, n uint64) (before uint64, err error)
	// Raise makes the number at least as large as least, and returns what it is then.
	Raise(ctx context.Context, least uint64) (now uint64, err error)
}

// Blocks is a Sequence of a Counter.
type Blocks struct {
	counter Counter
	size    uint64

	turn chan struct{} // holds something while one of the callers uses the following fields, also while it waits for the counter
	next uint64        // of the present block
	left uint64        // in it
	seen uint64        // the counter was at least that
}

// NewBlocks returns a Sequence that takes size values at a time, more if one statement needs more.
func NewBlocks(c Counter, size uint64) *Blocks {
	return &Blocks{counter: c, size: size, turn: make(chan struct{}, 1)}
}

// Take returns the first of n values.
func (b *Blocks) Take(ctx context.Context, n uint64) (uint64, error) {
	if err := b.enter(ctx); err != nil {
		return 0, err
	}
	defer b.leave()
	if n > b.left {
		size := max(n, b.size)
		before, err := b.counter.Take(ctx, size)
		if err != nil {
			return 0, err
		}
		if b.left == 0 || before != b.next+b.left { // the rest of the old block is lost, unless the new one goes on where it ends
			b.next, b.left = before, 0
		}
		b.left += size
		b.seen = before + size
	}
	first := b.next
	b.next += n
	b.left -= n
	return first, nil
}

// Pass moves the counter if it is not beyond the value yet. What is below it is left to whoever has its block.
func (b *Blocks) Pass(ctx context.Context, value uint64) error {
	if err := b.enter(ctx); err != nil {
		return err
	}
	defer b.leave()
	switch {
	case value >= b.next && value < b.next+b.left: // of the present block
		b.left -= value + 1 - b.next
		b.next = value + 1
		return nil
	case value < b.seen:
		return nil
	}
	now, err := b.counter.Raise(ctx, value+1)
	if err != nil {
		return err
	}
	b.seen, b.left = now, 0
	return nil
}

// enter waits for the caller's turn.
func (b *Blocks) enter(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
		return nil
	default: // only who must wait pays for a channel of the context
	}
	select {
	case b.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *Blocks) leave() { <-b.turn }
