package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// What happens with commit keys, as stats counts it.
const (
	keyBegun     = "operations"
	keyDone      = "heard OK"
	keyAlready   = "heard already committed"
	keyLost      = "connections lost before COMMIT"
	keyLostInIt  = "connections lost in COMMIT"
	keyForgotten = "committed again after the retention"
	keyTold      = "told "
)

// keyTellings are those of them that have to happen.
var keyTellings = []string{
	keyBegun, keyDone, keyAlready, keyLost, keyLostInIt,
	keyTold + string(xa.KeyCommitted), keyTold + string(xa.KeyRolledBack), keyTold + string(xa.KeyInProgress), keyTold + string(xa.KeyUnknown),
}

// operation is what clients want done once. It has a commit key, and clients try again with it, on any proxy that can know the key, until one
// of them hears that it is done; some try even then.
type operation struct {
	key      string
	m        *machine // file store: the one whose log has the key
	rivals   int      // how many may try at once
	again    int      // tries of those who do not know that it is done
	trying   int      // clients that are at it, and have not lost their connection
	done     bool     // one has heard so
	decided  bool     // once at least
	txns     []*txn   // of the attempts that got as far as to have the key
	taken    int      // attempts that have the key, with a transaction or not yet
	tellings []telling
}

// telling is "rolled back" in answer to xaproxy_outcome.
type telling struct {
	asked, heard time.Time
	taken        int // attempts that had the key when it was asked
}

// attempt is what a plan has besides if it is a try of an operation.
type attempt struct {
	op     *operation
	asks   bool // for the outcome, and nothing else
	hangUp int  // before which statement the client loses its connection, counted from 1; one more: while COMMIT runs; 0: never
}

// due returns the operations that a client of the process can try.
func (w *world) due(p *process) (all []*operation) {
	for _, op := range w.operations {
		if op.m != nil && op.m != p.m || op.trying >= op.rivals || op.done && (op.again == 0 || w.quiet) {
			continue
		}
		all = append(all, op)
	}
	return all
}

// drawAttempt makes a plan a try of an operation, of a new one if there is none.
func (w *world) drawAttempt(p *process, plan *plan, op *operation) {
	if op == nil {
		op = &operation{key: fmt.Sprintf("op %d", len(w.operations)), rivals: 1 + w.rng.IntN(4)/3, again: w.rng.IntN(8) / 6}
		if !w.rows {
			op.m = p.m
		}
		w.operations = append(w.operations, op)
		w.stats.keys[keyBegun]++
	}
	if op.trying++; op.done {
		op.again--
	}
	plan.attempt = attempt{op: op, asks: w.rng.IntN(4) == 0}
	plan.pause = time.Duration(w.rng.Int64N(int64(2 * time.Second))) // a server may be away for long
	if w.rng.IntN(3) == 0 && !w.quiet {
		plan.hangUp = min(1+w.rng.IntN(len(plan.parts)+2), len(plan.parts)+1)
	}
}

// operationsDone reports whether clients know of every operation that it is done.
func (w *world) operationsDone() bool {
	return !slices.ContainsFunc(w.operations, func(op *operation) bool { return !op.done || op.trying > 0 })
}

// asker is the key of a context's value that tells one question of a process from another.
type asker struct{}

// link is the connection of a client to a process. The client may lose it.
type link struct {
	p  *process
	op *operation
	up bool
}

// cut loses the connection. The client may try again at once.
func (l *link) cut(how string) {
	l.p.w.mu.Lock()
	defer l.p.w.mu.Unlock()
	if l.up {
		l.up = false
		l.op.trying--
		if how != "" {
			l.p.w.stats.keys[how]++
		}
	}
}

// hears calls what if the client hears it.
func (l *link) hears(what func()) {
	l.p.w.mu.Lock()
	defer l.p.w.mu.Unlock()
	if l.up && !l.p.dead.Load() {
		what()
	}
}

// operate makes one attempt, or asks what became of those before.
func (p *process) operate(name string, plan plan) {
	op, w := plan.op, p.w
	client := &link{p, op, true}
	defer client.cut("")
	ctx, cancel := context.WithTimeout(context.WithValue(p.ctx, asker{}, name), prepareTimeout)
	defer cancel()
	if plan.asks {
		p.ask(ctx, client)
		return
	}
	key, err := p.coordinator.TakeKey(ctx, p.keys, op.key)
	switch {
	case errors.Is(err, xa.ErrKeyCommitted), errors.Is(err, xa.ErrKeyRunning) && w.plant.hasty:
		client.hears(func() { w.already(op) })
		return
	case err != nil:
		return
	}
	t := &txn{p: p, plan: plan, client: client}
	w.mu.Lock()
	op.taken++
	t.number = op.taken
	w.mu.Unlock()
	if p.pause(name+" begins", nil) != nil {
		return
	}
	dec := p.keys.KeyDecider(op.key)
	if t.tx, err = p.coordinator.BeginKeyed(dec, key); err != nil {
		return
	}
	answer := p.run(name, t, dec)
	client.hears(func() {
		switch {
		case answer.Outcome == xa.Committed, answer.Outcome == xa.CommittedLate:
			op.done = true
			w.stats.keys[keyDone]++
		case answer.Outcome == xa.RolledBack && errors.Is(answer.Cause, xa.ErrKeyCommitted):
			w.already(op)
		}
	})
}

// ask asks for the outcome of an operation.
func (p *process) ask(ctx context.Context, client *link) {
	w, op := p.w, client.op
	w.mu.Lock()
	t := telling{asked: time.Now(), taken: op.taken}
	w.mu.Unlock()
	state := w.outcome(ctx, p, op.key)
	client.hears(func() {
		w.stats.keys[keyTold+string(state)]++
		switch state {
		case xa.KeyCommitted:
			w.mustBeDecided(op, "a client is told that %s is committed")
		case xa.KeyRolledBack:
			t.heard = time.Now()
			op.tellings = append(op.tellings, t)
		}
	})
}

// already is called when a client hears "already committed".
func (w *world) already(op *operation) {
	op.done = true
	w.stats.keys[keyAlready]++
	w.mustBeDecided(op, "a client hears that %s is already committed")
}

func (w *world) mustBeDecided(op *operation, heard string) {
	if !slices.ContainsFunc(op.txns, func(t *txn) bool { return t.decided }) {
		w.violated("K2: "+heard+", and no transaction with that key is decided: %s", op.key, op)
	}
}

// checkKeys looks at the invariants of commit keys.
func (w *world) checkKeys() {
	for _, op := range w.operations {
		var last *txn // that is decided
		for _, t := range op.txns {
			commits, _ := t.fates()
			switch {
			case commits > 0 && !t.decided:
				w.violated("X8: %s has commit key %q, is committed, and has no record", t.gtrid, op.key)
			case !t.decided:
				continue
			}
			for _, told := range op.tellings {
				forgotten := w.forgotten(told.asked, t.sure)
				if t.sure.Before(told.asked) {
					forgotten = w.forgotten(t.recorded, told.heard)
				}
				if t.number <= told.taken && !forgotten {
					w.violated("K3: %s was told to be rolled back after %d attempts had begun, and number %d is committed: %s", op.key, told.taken, t.number, op)
				}
			}
			if last != nil {
				first, second := last, t
				if second.sure.Before(first.sure) {
					first, second = second, first
				}
				if !w.forgotten(first.recorded, second.sure) {
					w.violated("K1: %s is committed twice: %s", op.key, op)
				}
			}
			last = t
		}
	}
}

// forgotten reports whether a store may forget by the second moment what it has noted at the first.
func (w *world) forgotten(noted, now time.Time) bool {
	keeps := retain - 2*time.Second
	for _, s := range w.servers {
		keeps = min(keeps, retain-2*time.Second-s.ahead)
	}
	return now.Sub(noted) > keeps
}

// checkKeysAtRest checks that what clients heard is so in the end.
func (w *world) checkKeysAtRest() {
	for _, op := range w.operations {
		decided := 0
		for _, t := range op.txns {
			if t.decided {
				decided++
			}
		}
		switch {
		case op.done && decided == 0:
			w.violated("K2: at rest a client has heard that %s is done, and it is not: %s", op.key, op)
		case !op.done:
			w.violated("K4: at rest no client has heard yet that %s is done: %s", op.key, op)
		}
	}
}

func (op *operation) String() string {
	s := fmt.Sprintf("%d attempts have had the key", op.taken)
	for _, t := range op.txns {
		s += fmt.Sprintf("; number %d is %s", t.number, t.gtrid)
		if t.decided {
			s += ", decided"
		}
		s += ", " + t.String()
	}
	return s
}

// hasWork reports whether there is something to do for a client of the process.
func (w *world) hasWork(p *process) bool { return w.left > 0 || len(w.due(p)) > 0 }

// asks waits until the scheduler lets a question about a key through.
func (p *process) asks(ctx context.Context, what string) error {
	return p.pauseUntil(ctx, fmt.Sprintf("%s for %v", what, ctx.Value(asker{})), nil, nil)
}

// keyDeciders are the deciders of commit keys, as a process has them configured.
func (w *world) keyDeciders(p *process) []string {
	if w.plant.deciders != nil {
		return w.plant.deciders(p)
	}
	return w.deciders
}

func (w *world) outcome(ctx context.Context, p *process, key string) xa.KeyState {
	if w.plant.outcome != nil {
		return w.plant.outcome(ctx, p, key)
	}
	state, _ := p.coordinator.KeyOutcome(ctx, p.keys, key) // why it is unknown does not matter
	return state
}
