package xa

import "time"

// Observer is told how transactions go. Its methods must not block, and are called by several goroutines at once.
type Observer interface {
	// Left tells how long a transaction was in a state. The states before Done are the phases of its end.
	Left(State, time.Duration)
	// Ended tells how a transaction with so many branches has ended; one without branches is not told of.
	Ended(o Outcome, branches int)
}
