package main

import "errors"

// Exit statuses. A command that fails returns its error; status 1 is what an error without a status of its own gets.
const (
	exitOK      = 0
	exitFailure = 1
)

// exitError is an error with the status that the process ends with. Without err there is nothing left to tell the user:
// the command has written it already.
type exitError struct {
	code int
	err  error
}

// Error returns the text of the inner error, or "".
func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

// Unwrap returns the inner error.
func (e *exitError) Unwrap() error { return e.err }

// exitCode returns the exit status for what a command returned.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return exitFailure
}
