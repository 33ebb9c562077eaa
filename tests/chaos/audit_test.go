package chaos

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// sound is a journal with the ledger that belongs to it: one transfer of each ending, and one of unknown ending on each
// side of the truth.
func sound() ([]entry, ledger) {
	l := ledger{balances: make(map[int]int), applied: make(map[int]map[int]int)}
	for id := range accounts {
		l.balances[id] = firstBalance
	}
	entries := []entry{
		{tx: 1, from: 0, to: 1, n: 5, end: acknowledgedEnd},
		{tx: 2, from: 2, to: 3, n: 6, end: rolledBackEnd, err: errors.New("deadlock")},
		{tx: 3, from: 4, to: 5, n: 7, end: unknownEnd, err: errors.New("connection lost")},
		{tx: 4, from: 0, to: 2, n: 8, end: unknownEnd, err: errors.New("connection lost")},
	}
	for _, e := range []entry{entries[0], entries[3]} {
		l.applied[e.tx] = map[int]int{e.from: -e.n, e.to: e.n}
		l.balances[e.from] -= e.n
		l.balances[e.to] += e.n
	}
	return entries, l
}

// Goal: the audit accepts what may be, and sees each kind of loss.
func TestAudit(t *testing.T) {
	apply := func(l *ledger, tx, account, n int) {
		if l.applied[tx] == nil {
			l.applied[tx] = make(map[int]int)
		}
		l.applied[tx][account] += n
		l.balances[account] += n
	}
	undo := func(l *ledger, tx int) {
		for account, n := range l.applied[tx] {
			l.balances[account] -= n
		}
		delete(l.applied, tx)
	}
	for name, c := range map[string]struct {
		plant func(*ledger)
		want  []string // the beginnings of what is found, sorted
	}{
		"nothing":                     {func(*ledger) {}, nil},
		"unknown turns out the other": {func(l *ledger) { undo(l, 4); apply(l, 3, 4, -7); apply(l, 3, 5, 7) }, nil},
		"acknowledged is lost":        {func(l *ledger) { undo(l, 1) }, []string{"lost"}},
		"acknowledged is torn":        {func(l *ledger) { l.balances[0] += 5; delete(l.applied[1], 0) }, []string{"there is", "torn"}},
		"rolled back is there":        {func(l *ledger) { apply(l, 2, 2, -6); apply(l, 2, 3, 6) }, []string{"resurrected"}},
		"rolled back is half there":   {func(l *ledger) { apply(l, 2, 2, -6) }, []string{"there is", "torn"}},
		"unknown is torn":             {func(l *ledger) { apply(l, 3, 5, 7) }, []string{"there is", "torn"}},
		"applied twice":               {func(l *ledger) { apply(l, 1, 0, -5); apply(l, 1, 1, 5) }, []string{"torn"}},
		"a balance without a reason":  {func(l *ledger) { l.balances[9]--; l.balances[8]++ }, []string{"account 8", "account 9"}},
		"a transfer of nobody":        {func(l *ledger) { apply(l, 99, 0, -1); apply(l, 99, 1, 1) }, []string{"invented"}},
		"an account is missing":       {func(l *ledger) { delete(l.balances, 7) }, []string{"there is"}},
	} {
		entries, l := sound()
		c.plant(&l)
		got := audit(entries, l)
		slices.Sort(got)
		ok := len(got) == len(c.want)
		for i := range min(len(got), len(c.want)) {
			ok = ok && strings.HasPrefix(got[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
		}
	}
}

// Goal: a run that has shown nothing does not pass for a good one.
func TestEmptyRunIsNotGood(t *testing.T) {
	full := Report{Acknowledged: 1, Faults: map[string]int{"proxy killed, prepare asked": 1}, InDoubt: 1}
	if !full.Good() {
		t.Errorf("%s", full.Verdict())
	}
	for name, empty := range map[string]func(*Report){
		"no commit":        func(r *Report) { r.Acknowledged = 0 },
		"no fault":         func(r *Report) { r.Faults = nil },
		"nothing in doubt": func(r *Report) { r.InDoubt = 0 },
		"a violation":      func(r *Report) { r.Violations = []string{"lost"} },
	} {
		r := full
		empty(&r)
		if r.Good() {
			t.Errorf("%s: passes as good", name)
		}
	}
}
