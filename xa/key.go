package xa

import (
	"context"
	"errors"
	"fmt"
)

// MaxKey is how long a commit key may be, in bytes.
const MaxKey = 128

// ErrKeyCommitted is wrapped by a Log's Append, together with ErrNotWritten, when a transaction with the commit key is committed already.
var ErrKeyCommitted = errors.New("a transaction with this commit key is committed already")

// ErrKeyRunning says that a transaction with the commit key is in flight.
var ErrKeyRunning = errors.New("a transaction with this commit key is running")

// AlreadyCommitted is what a client is told whose transaction has a commit key that is committed.
func AlreadyCommitted(key string) string {
	return fmt.Sprintf("commit key '%s' is already committed: what it stands for is done, and this transaction is rolled back", key)
}

// Key is the commit key of a transaction: a name that a client gives to what it wants done once, however often it has to try.
type Key struct {
	Name string // "" for none
	// Over is what the store gave when it was asked for the key: the fence of earlier attempts, which the record of this one replaces.
	Over string
}

// KeyRecord is what a store knows of a commit key.
type KeyRecord struct {
	Committed bool
	GTRID     GTRID  // that committed
	Over      string // of a Key, if it is not committed
}

// Keys are the commit keys that a store knows, for its retention. It is safe for concurrent use.
type Keys interface {
	// FindKey says what became of a key.
	FindKey(ctx context.Context, key string) (KeyRecord, error)
	// FenceKey is FindKey, after which no transaction that has begun can commit with the key any more. The error wraps ErrKeyRunning if
	// one is past every fence, and not committed yet.
	FenceKey(ctx context.Context, key string) (KeyRecord, error)
	// KeyDecider is the backend that decides on transactions with the key, "" if a log does.
	KeyDecider(key string) string
}

// TakeKey asks for a commit key on behalf of a transaction that is about to begin. The error wraps ErrKeyCommitted or ErrKeyRunning; after
// any other one nobody can say.
func (c *Coordinator) TakeKey(ctx context.Context, keys Keys, name string) (Key, error) {
	r, err := keys.FindKey(ctx, name)
	switch {
	case err != nil:
		return Key{}, err
	case r.Committed:
		return Key{}, ErrKeyCommitted
	case c.RunsKey(name):
		return Key{}, ErrKeyRunning
	}
	return Key{Name: name, Over: r.Over}, nil
}

// KeyState is what became of a commit key, in the words that clients hear.
type KeyState string

const (
	KeyCommitted  KeyState = "committed"
	KeyRolledBack KeyState = "rolled back" // no transaction that had begun when it was asked will ever commit
	KeyInProgress KeyState = "in progress" // in this process
	KeyUnknown    KeyState = "unknown"
)

// KeyOutcome says what became of a commit key. Asking is final: what is told to be rolled back never commits, unless it is tried again.
// The error says why a key is unknown.
func (c *Coordinator) KeyOutcome(ctx context.Context, keys Keys, name string) (KeyState, error) {
	if c.RunsKey(name) { // it can go on
		return KeyInProgress, nil
	}
	r, err := keys.FenceKey(ctx, name)
	switch {
	case errors.Is(err, ErrKeyRunning):
		return KeyInProgress, nil
	case err != nil:
		return KeyUnknown, err
	case r.Committed:
		return KeyCommitted, nil
	}
	return KeyRolledBack, nil
}
