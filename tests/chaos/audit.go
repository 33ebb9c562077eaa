package chaos

import "fmt"

// ledger is what the servers have in the end.
type ledger struct {
	balances map[int]int         // by account
	applied  map[int]map[int]int // by transfer and account
}

// audit compares what the clients saw with what the servers have, and returns every contradiction. It is a pure
// function.
func audit(entries []entry, l ledger) []string {
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	known := make(map[int]bool, len(entries))
	for _, e := range entries {
		known[e.tx] = true
		applied := l.applied[e.tx]
		whole := len(applied) == 2 && applied[e.from] == -e.n && applied[e.to] == e.n
		switch {
		case !whole && len(applied) > 0:
			say("torn: %s: applied is %v", e, applied)
		case e.end == acknowledgedEnd && !whole:
			say("lost: %s, and it is not there", e)
		case e.end == rolledBackEnd && whole:
			say("resurrected: %s, and it is there", e)
		}
	}
	sum := 0
	should := make(map[int]int, len(l.balances))
	for id, n := range l.balances {
		sum += n
		should[id] = firstBalance
	}
	for tx, applied := range l.applied {
		if !known[tx] {
			say("invented: transfer %d was made by no client: %v", tx, applied)
		}
		for id, n := range applied {
			should[id] += n
		}
	}
	for id, n := range l.balances {
		if n != should[id] {
			say("account %d has %d, and its transfers make %d", id, n, should[id])
		}
	}
	if want := accounts * firstBalance; sum != want || len(l.balances) != accounts {
		say("there is %d in %d accounts, want %d in %d", sum, len(l.balances), want, accounts)
	}
	return found
}
