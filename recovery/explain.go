package recovery

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// Explanation is all that is known of one transaction. Its JSON form is part of the command line's interface: keys may be added, not
// changed.
type Explanation struct {
	GTRID    string           `json:"gtrid"`
	Owner    Owner            `json:"owner"`
	Decider  string           `json:"decider,omitempty"`      // the backend that has the decision, if it is no log
	InFlight bool             `json:"in_flight"`              // this process runs it
	Trail    []xa.TrailEntry  `json:"trail"`                  // what the store says
	Missing  []string         `json:"not_recorded,omitempty"` // what nobody has written down, and why
	Unknown  string           `json:"unknown,omitempty"`      // why the store cannot say
	Branches []ListedBranch   `json:"branches"`               // what servers have prepared, and what recovery would do
	Unseen   []string         `json:"unseen,omitempty"`       // backends that could not be looked at, and why
	Found    []DecisionReport `json:"unfinished"`             // why the decision is not done
}

// ListedBranch is a branch and the backend that lists it.
type ListedBranch struct {
	On string `json:"on"`
	BranchReport
}

// Explain says what is known of a transaction. Nothing is changed anywhere.
func (j *Janitor) Explain(ctx context.Context, gtrid string) (Explanation, error) {
	g, err := xa.ParseGTRID(gtrid)
	if err != nil {
		return Explanation{}, fmt.Errorf("%w: xaproxy has made no such transaction", err)
	}
	owner, _ := Whose(Listed{FormatID: xa.FormatID, GTRID: gtrid}, j.o.Decisions.Coord())
	e := Explanation{
		GTRID: gtrid, Owner: owner, Decider: g.Decider, InFlight: j.o.InFlight.InFlight(g),
		Trail: []xa.TrailEntry{}, Branches: []ListedBranch{},
	}
	report := j.Pass(ctx, true, nil)
	for _, b := range report.Backends {
		if !b.Reachable {
			e.Unseen = append(e.Unseen, b.Name+": "+b.Error)
		}
		for _, br := range b.Branches {
			if br.gtrid == g && br.Owner != Foreign {
				e.Branches = append(e.Branches, ListedBranch{b.Name, br})
			}
		}
	}
	for _, d := range report.Decisions {
		if d.gtrid == g {
			e.Found = append(e.Found, d)
		}
	}
	if owner != Ours {
		e.Unknown = "the store of another xaproxy has the decision"
		return e, nil
	}
	trail, err := j.o.Decisions.Trail(ctx, g)
	if err != nil {
		e.Unknown = err.Error()
	}
	e.Trail, e.Missing = append(e.Trail, trail.Entries...), trail.NotRecorded
	return e, nil
}

// WriteText writes the explanation for people.
func (e *Explanation) WriteText(w io.Writer) error {
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, format+"\n", args...)
		}
	}
	store := "a decision log"
	if e.Decider != "" {
		store = "a row on its decider " + e.Decider
	}
	line("%s: %s, decided by %s", e.GTRID, e.Owner, store)
	for _, t := range e.Trail {
		line("  %-24s  %s", moment(t.Time), t.Text)
	}
	for _, m := range e.Missing {
		line("  not recorded: %s", m)
	}
	switch {
	case e.Unknown != "":
		line("  nothing is known of the decision: %s", e.Unknown)
	case e.InFlight:
		line("  it is running")
	case len(e.Trail) == 0:
		line("  nothing is recorded: it was not decided, so what is prepared of it is rolled back (presumed abort)")
	}
	for _, b := range e.Branches {
		line("  branch %s is prepared on %s, since %s: %s, because %s", b.BQUAL, b.On, b.age(), b.Verdict, b.Reason)
	}
	if len(e.Branches) == 0 {
		line("  no server that was looked at has a branch of it prepared")
	}
	for _, d := range e.Found {
		for _, open := range d.Open {
			line("  not proven to be finished: %s", open)
		}
	}
	for _, u := range e.Unseen {
		line("  not looked at: %s", u)
	}
	return err
}

// moment shows milliseconds where they are known.
func moment(at time.Time) string {
	if at.Nanosecond() == 0 {
		return at.Format(time.RFC3339)
	}
	return at.Format("2006-01-02T15:04:05.000Z07:00")
}
