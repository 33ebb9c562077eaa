package decision

import (
	"errors"
	"fmt"

	"github.com/xaproxy/xaproxy/xa"
)

var (
	// ErrBroken says that a write or a sync of the log failed. The log takes nothing more until it is opened again. A
	// decision whose Append answers ErrBroken without ErrNotWritten may or may not be durable: only the next OpenFile
	// can tell, so neither commit nor roll back on it.
	ErrBroken = errors.New("decision log is broken")

	// ErrNotWritten says that no byte of the record was handed to the system: no Lookup and no replay will ever find
	// it, and the transaction can be rolled back. It comes alone when the log stays usable (the disk is full, the
	// record is refused) and together with ErrBroken or ErrClosed when it does not. It is xa's error, by which the
	// coordinator tells a rollback from an unknown outcome.
	ErrNotWritten = xa.ErrNotWritten

	// ErrLocked says that another process holds the directory. The text names its process id where it is known.
	ErrLocked = errors.New("decision log is in use")

	// ErrClosed is returned by every call after Close.
	ErrClosed = errors.New("decision log is closed")

	// ErrReadOnly is returned by the writing calls of a log that InspectFile opened.
	ErrReadOnly = errors.New("decision log is open for inspection only")
)

// DamageError says that bytes that had been durable are not what was written. The log is not opened: a decision that is
// lost here would be taken for a rollback.
type DamageError struct {
	File   string
	Offset int64 // of the first byte that cannot be trusted
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("decision log %s is damaged at byte %d: %s; restore the file from a backup, or move the directory "+
		"away and resolve the prepared branches by hand: decisions from this byte on may be lost", e.File, e.Offset, e.Reason)
}

var errFenced = errors.New("somebody asked for the outcome of its commit key after it began, and was told that it is rolled back")

var errTooLarge = errors.New("the record does not fit into a segment; raise the segment size")

// unsure wraps the error of a record that was handed to the system, notWritten that of one that was not.
func unsure(cause error) error { return fmt.Errorf("append decision: %w", cause) }

func notWritten(cause error) error {
	return fmt.Errorf("append decision: %w: %w", ErrNotWritten, cause)
}
