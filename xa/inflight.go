package xa

import (
	"cmp"
	"slices"
	"time"
)

// Shown is a transaction in flight, or one that has ended, as others may see it.
type Shown struct {
	GTRID    GTRID
	Session  uint64 // whose it is; 0: unknown
	Key      string // the name of its commit key; "" without one
	State    State
	Recorded bool // its COMMIT record is durable
	Answered bool // the client has its answer
	Began    time.Time
	Since    time.Time // when State became what it is
	Branches []ShownBranch

	// Outcome is NoOutcome in flight. A transaction that has ended has no Branches but the names in Backends: as many as are kept.
	Outcome  Outcome
	Backends []string
	Size     int // number of branches
}

// ShownBranch is a branch of a transaction in flight.
type ShownBranch struct {
	Backend string
	ConnID  uint64 // the server's id of its session
	Branch
}

// Serves says whose transaction it is.
func (tx *Tx) Serves(session uint64) {
	tx.mu.Lock()
	tx.session = session
	tx.mu.Unlock()
}

// Transactions are those in flight, the oldest first. A transaction waits for none of this longer than it takes to copy a few words of it.
func (c *Coordinator) Transactions() []Shown {
	c.mu.Lock()
	all := make([]*Tx, 0, len(c.inFlight))
	for _, tx := range c.inFlight {
		all = append(all, tx)
	}
	c.mu.Unlock()
	shown := make([]Shown, len(all))
	for i, tx := range all {
		shown[i] = tx.show()
	}
	slices.SortFunc(shown, func(a, b Shown) int { return cmp.Compare(a.GTRID.Seq, b.GTRID.Seq) })
	return shown
}

func (tx *Tx) show() Shown {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	s := Shown{
		GTRID: tx.gtrid, Session: tx.session, Key: tx.key.Name, State: tx.txn.State, Recorded: tx.txn.Recorded, Answered: tx.txn.Answered, Began: tx.opened, Since: tx.entered,
		Branches: make([]ShownBranch, len(tx.conns)), Size: len(tx.conns),
	}
	for i, m := range tx.conns {
		s.Branches[i] = ShownBranch{m.backend, m.connID, tx.txn.Branches[i]}
	}
	return s
}

const (
	// shownEnded is how many transactions that have ended are remembered.
	shownEnded = 256
	// shownBranches is how many names of their backends are.
	shownBranches = 8
)

// ended is what is remembered of a transaction. It has no pointers to what the transaction had, and room for all it needs.
type ended struct {
	gtrid      GTRID
	session    uint64
	key        string
	outcome    Outcome
	recorded   bool
	began, end time.Time
	backends   [shownBranches]string
	size       int
}

// note remembers that a transaction has ended. c.mu is held.
func (c *Coordinator) note(tx *Tx, o Outcome) {
	e := &c.ended[c.ends%shownEnded]
	c.ends++
	*e = ended{
		gtrid: tx.gtrid, session: tx.session, key: tx.key.Name, outcome: o, recorded: tx.txn.Recorded, began: tx.opened, end: tx.entered, size: len(tx.conns),
	}
	for i, m := range tx.conns[:min(len(tx.conns), shownBranches)] {
		e.backends[i] = m.backend
	}
}

// Ended are the transactions that have ended last, the newest first: shownEnded of them at most.
func (c *Coordinator) Ended() []Shown {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Shown
	for n := c.ends; n > 0 && c.ends-n < shownEnded; n-- {
		e := &c.ended[(n-1)%shownEnded]
		all = append(all, Shown{
			GTRID: e.gtrid, Session: e.session, Key: e.key, State: Done, Recorded: e.recorded, Began: e.began, Since: e.end, Outcome: e.outcome,
			Backends: slices.Clone(e.backends[:min(e.size, shownBranches)]), Size: e.size,
		})
	}
	return all
}
