package proxy

import (
	"errors"
	"sync"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// The numbers of errors after which a server has rolled the whole transaction back, not just the statement.
const (
	errnoLockWait = 1205 // only with innodb_rollback_on_timeout
	errnoDeadlock = 1213
)

// endsTransaction reports whether the server's error means that the branch cannot go on.
func endsTransaction(e *wire.Error, rollbackOnTimeout bool) bool {
	switch e.Errno {
	case errnoDeadlock, xa.ErrnoRMFail, xa.ErrnoRBRollback, xa.ErrnoRBTimeout, xa.ErrnoRBDeadlock:
		return true
	case errnoLockWait:
		return rollbackOnTimeout
	}
	return false
}

// answered reports whether err is something that a server said, as against a broken connection.
func answered(err error) bool {
	var said *wire.Error
	var se *xa.ServerError
	return errors.As(err, &said) || errors.As(err, &se)
}

// outcomeError turns the end of a transaction into the client's error, or nil if it is committed.
//
// "Rolled back" keeps the number of the server that refused, because drivers decide by it whether to try again. A
// lost server has no number; the client gets 1180 in SQLSTATE class 40, transaction rollback.
func outcomeError(a xa.Answer) *wire.Error {
	switch a.Outcome {
	case xa.Committed, xa.CommittedLate:
		return nil
	case xa.RolledBack:
		return rolledBack(a)
	}
	return wire.NewError(wire.CodeInDoubt,
		"the outcome of transaction %s is unknown: %v; do not repeat it before you have looked whether its changes are there", a.GTRID, a.Cause)
}

func rolledBack(a xa.Answer) *wire.Error {
	var said *wire.Error
	var se *xa.ServerError
	switch {
	case errors.Is(a.Cause, xa.ErrKeyCommitted):
		return wire.NewError(wire.CodeKeyCommitted, "%v; this transaction is rolled back", a.Cause)
	case errors.As(a.Cause, &said) && !broken(said.Errno):
		return said
	case errors.As(a.Cause, &se) && !broken(se.Errno):
		return &wire.Error{Errno: se.Errno, State: se.State, Message: se.Message}
	}
	return wire.NewError(wire.CodeRolledBack, "transaction rolled back on all backends, it can be tried again: %v", a.Cause)
}

// broken reports whether a server's number speaks of the XA state of a branch, which means nothing to the client.
func broken(errno uint16) bool {
	switch errno {
	case xa.ErrnoNotA, xa.ErrnoInvalid, xa.ErrnoRMFail, xa.ErrnoOutside, xa.ErrnoRMErr:
		return true
	}
	return false
}

// clientError turns an error of a statement outside of a transaction into the client's. wrote says whether it may have
// changed something: then a lost answer leaves the outcome open.
func clientError(err error, wrote bool) *wire.Error {
	var said *wire.Error
	var refused *router.Refusal
	switch {
	case errors.As(err, &said):
		return said
	case errors.As(err, &refused):
		return &wire.Error{Errno: refused.Errno, State: refused.State, Message: refused.Text}
	case wrote:
		return wire.NewError(wire.CodeInDoubt, "the statement may or may not have been carried out: %v", err)
	}
	return wire.NewError(wire.CodeBackendDown, "the statement was not finished: %v", err)
}

// parallel runs f(0) to f(n-1), each in a goroutine but the first, and waits for all.
func parallel(n int, f func(int)) {
	if n == 0 {
		return
	}
	var wg sync.WaitGroup
	for i := 1; i < n; i++ {
		wg.Go(func() { f(i) })
	}
	f(0)
	wg.Wait()
}
