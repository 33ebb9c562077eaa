package xa

import (
	"errors"
	"fmt"
)

// ErrNotWritten is wrapped by a Log's Append when it is certain that nothing of the record reached the disk, so that
// the transaction can still be rolled back. Every other error of Append leaves the decision unknown.
var ErrNotWritten = errors.New("nothing was written")

// ServerError is the error that a server answered, as against no answer at all: a Branch method that returns one has
// certainly not done what it was asked to do. Errno and State are MySQL's.
type ServerError struct {
	Errno   uint16
	State   string
	Message string
}

func (e *ServerError) Error() string {
	return fmt.Sprintf("%d (%s): %s", e.Errno, e.State, e.Message)
}

// MySQL's numbers for XA, from the server's error reference.
const (
	ErrnoNotA       = 1397 // XAER_NOTA: unknown XID, or a session that may still finish it holds it
	ErrnoInvalid    = 1398 // XAER_INVAL
	ErrnoRMFail     = 1399 // XAER_RMFAIL: not in this state of the branch
	ErrnoOutside    = 1400 // XAER_OUTSIDE
	ErrnoRMErr      = 1401 // XAER_RMERR; also the lack of XA_RECOVER_ADMIN
	ErrnoRBRollback = 1402 // XA_RBROLLBACK
	ErrnoRBTimeout  = 1613 // XA_RBTIMEOUT
	ErrnoRBDeadlock = 1614 // XA_RBDEADLOCK
)

// IsErrno reports whether err is the server's answer with one of these numbers.
func IsErrno(err error, numbers ...uint16) bool {
	var se *ServerError
	if !errors.As(err, &se) {
		return false
	}
	for _, n := range numbers {
		if se.Errno == n {
			return true
		}
	}
	return false
}

// result classifies what a Branch method returned.
func result(err error) Result {
	var se *ServerError
	switch {
	case err == nil:
		return OK
	case errors.As(err, &se):
		return Refused
	default:
		return Lost
	}
}
