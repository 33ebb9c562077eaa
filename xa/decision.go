package xa

import "time"

// Decision is the durable record that a transaction commits. There is no record of a rollback: a transaction without
// a Decision is rolled back (presumed abort).
type Decision struct {
	GTRID    GTRID
	Branches []BranchRef // the branches that the decision commits
	// OnePhase says that the only branch was not prepared but is committed with XA COMMIT ... ONE PHASE after this
	// record. Then a branch that no server lists may also have been rolled back by a lost connection: the record
	// commits the branch only if it shows up prepared, and proves nothing when it does not.
	OnePhase bool
	Key      Key       // the commit key of the transaction
	Time     time.Time // when the decision was taken, to the millisecond; to the second where a decider has it
}

// BranchRef tells recovery where a branch is and which server it was prepared on.
type BranchRef struct {
	Backend string // name in the configuration, also the bqual
	Server  string // identity of the server at connect time (server_uuid or the like); "" when unknown
	ConnID  uint64 // the server's connection id of the session that prepared the branch
	// Voted is when its vote came, by the clock of the process, to the millisecond; zero if it has none, or that is not known.
	Voted time.Time
}

// Ruling is what a store says of one transaction. Its zero value says that nothing was decided, and that nothing will be: presumed abort.
type Ruling struct {
	Decided  bool     // it commits
	Decision Decision // valid if Decided
	Running  bool     // a process that is alive may still decide
	Err      error    // the store cannot say
}
