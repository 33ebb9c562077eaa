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
	// FenceKey is FindKey, after which no transaction that has begun can commit with the key any more, unless this process runs it.
	FenceKey(ctx context.Context, key string) (KeyRecord, error)
	// KeyDecider is the backend that decides on transactions with the key, "" if a log does.
	KeyDecider(key string) string
}
