package xa

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Trail is all that a store says of one transaction.
type Trail struct {
	Entries     []TrailEntry // in the order in which it happened, as far as clocks agree
	NotRecorded []string     // what nobody has written down, and why
}

// TrailEntry is one thing that is known of a transaction.
type TrailEntry struct {
	Time time.Time `json:"time"` // by the clock of the one that wrote it; whole seconds, where it has no better
	Text string    `json:"text"`
}

// BranchEnd says that a branch has acknowledged its commit.
type BranchEnd struct {
	Backend  string
	At       time.Time // by the clock of the process, to the millisecond
	Recovery bool      // recovery has committed it, and not the session that prepared it
}

// Add adds an entry.
func (t *Trail) Add(at time.Time, format string, args ...any) {
	t.Entries = append(t.Entries, TrailEntry{at.UTC(), fmt.Sprintf(format, args...)})
}

// Missing adds what is not recorded.
func (t *Trail) Missing(format string, args ...any) {
	t.NotRecorded = append(t.NotRecorded, fmt.Sprintf(format, args...))
}

// Decided adds what a record says: the votes, and the decision.
func (t *Trail) Decided(d Decision) {
	for _, r := range d.Branches {
		switch {
		case d.OnePhase: // it has no vote
		case r.Voted.IsZero():
			t.Missing("when branch %s voted yes", r.Backend)
		default:
			t.Add(r.Voted, "VOTE: branch %s is prepared", r.Backend)
		}
	}
	slices.SortStableFunc(t.Entries, func(a, b TrailEntry) int { return a.Time.Compare(b.Time) })
	t.Add(d.Time, "%s", d.Words())
}

// Ended adds that a branch has committed.
func (t *Trail) Ended(e BranchEnd) {
	by := "the session that prepared it"
	if e.Recovery {
		by = "recovery"
	}
	t.Add(e.At, "COMMITTED: branch %s, by %s", e.Backend, by)
}

// Words is the record for people.
func (d Decision) Words() string {
	var b strings.Builder
	b.WriteString("COMMIT: decided")
	if d.OnePhase {
		b.WriteString(" before the one-phase commit of")
	} else {
		b.WriteString(" for")
	}
	for i, r := range d.Branches {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " branch %s (session %d of server %s)", r.Backend, r.ConnID, r.Server)
	}
	if len(d.Branches) == 0 {
		b.WriteString(" no other branch")
	}
	if d.Key.Name != "" {
		fmt.Fprintf(&b, ", with commit key '%s'", d.Key.Name)
	}
	return b.String()
}
