package once

import (
	"fmt"
	"slices"
)

// leg is one change of an operation.
type leg struct{ account, n int }

// operation is what is to be done once.
type operation struct {
	number   int
	legs     []leg
	attempts []attempt
	tellings []telling
}

func (o *operation) key() string { return fmt.Sprintf("op-%d", o.number) }

// ending is what a client knows of an attempt.
type ending uint8

const (
	unknown      ending = iota // it heard nothing, or that nobody knows
	acknowledged               // COMMIT was answered with OK
	already                    // 20042: an earlier attempt has committed
	running                    // 20043: an earlier attempt is running
	rolledBack                 // another error that says so, or COMMIT was never sent
)

func (e ending) String() string {
	return [...]string{"unknown", "acknowledged", "already committed", "an earlier one is running", "rolled back"}[e]
}

// attempt is one try, as its client saw it.
type attempt struct {
	proxy int
	end   ending
	err   error
	of    int // how many attempts had begun when it ended
}

// telling is an answer of xaproxy_outcome, which was asked when so many attempts had been made.
type telling struct {
	answer string
	proxy  int
	after  int
}

// Answers of xaproxy_outcome. The first two are promises.
const (
	outcomeCommitted  = "committed"
	outcomeRolledBack = "rolled back"
	outcomeUnknown    = "unknown"
)

func (o *operation) String() string {
	s := fmt.Sprintf("%s %v:", o.key(), o.legs)
	for i, a := range o.attempts {
		s += fmt.Sprintf(" %d at proxy %d %s", i, a.proxy, a.end)
		if a.err != nil {
			s += fmt.Sprintf(" (%v)", a.err)
		}
		for _, t := range o.tellings {
			if t.after == i+1 {
				s += fmt.Sprintf(", proxy %d told %q", t.proxy, t.answer)
			}
		}
	}
	return s
}

// applied is what the servers have of an operation: the changes of each attempt, in the order of accounts.
type applied map[int][]leg

// audit compares what clients were told of an operation with what the servers have.
func audit(o *operation, is applied) (violations []string) {
	bad := func(format string, args ...any) {
		violations = append(violations, fmt.Sprintf(format, args...)+" — "+o.String())
	}
	if len(is) != 1 {
		bad("applied %d times: %v", len(is), is)
		return violations
	}
	by := 0
	for n, legs := range is {
		by = n
		want := slices.Clone(o.legs)
		slices.SortFunc(want, func(a, b leg) int { return a.account - b.account })
		if !slices.Equal(legs, want) {
			bad("attempt %d has applied %v", n, legs)
		}
	}
	for i, a := range o.attempts {
		switch {
		case i == by && a.end != unknown && a.end != acknowledged:
			bad("attempt %d is applied, and was told %q", i, a.end)
		case i != by && a.end == acknowledged:
			bad("attempt %d was told OK, and attempt %d is applied", i, by)
		case a.end == already && by >= a.of:
			bad("attempt %d was told 20042 before attempt %d was applied", i, by)
		}
	}
	for _, t := range o.tellings {
		switch {
		case t.answer == outcomeCommitted && by >= t.after:
			bad("told to be committed after %d attempts, applied by attempt %d", t.after, by)
		case t.answer == outcomeRolledBack && by < t.after:
			bad("told to be rolled back after %d attempts, applied by attempt %d", t.after, by)
		}
	}
	return violations
}
