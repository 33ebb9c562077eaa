package xa

import "time"

// Observer is told how transactions go. Its methods must not block, and are called by several goroutines at once.
type Observer interface {
	// Left tells how long a transaction was in a state. The states before Done are the phases of its end.
	Left(State, time.Duration)
	// Ended tells how a transaction with so many branches has ended; one without branches is not told of.
	Ended(o Outcome, branches int)
}

// Watcher is told of one transaction, by the goroutine that runs it. Its methods must not block.
type Watcher interface {
	// Joined tells of the next branch.
	Joined(backend string, at time.Time)
	// Entered tells that the transaction has come to a state.
	Entered(s State, at time.Time)
	// Asked tells what a branch was asked for.
	Asked(branch int, what ActionKind, at time.Time)
	// Heard tells what came of that.
	Heard(branch int, r Result, at time.Time)
	// Ended tells that the process has done all that it can.
	Ended(o Outcome, at time.Time)
}

// Watch has w told of the transaction, which has no branch yet.
func (tx *Tx) Watch(w Watcher) { tx.watcher = w }
