package xatest

import (
	"slices"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// Verb is a method of a branch that talks to its server.
type Verb string

// The verbs, as Calls lists them.
const (
	Prepare  Verb = "prepare"
	Commit   Verb = "commit"
	OnePhase Verb = "one-phase"
	Rollback Verb = "rollback"
	Decide   Verb = "decide"  // of a Decider
	Fence    Verb = "fence"   // of a Decider; not on the branch's connection
	Release  Verb = "release" // has no reply
)

// Branch is a fake xa.BranchConn. It is safe for concurrent use, and reports misuse: two verbs at a time, a verb after
// Release, Release twice.
type Branch struct {
	ref xa.BranchRef
	Asking

	mu      sync.Mutex // protects following fields
	replies map[Verb]Reply
	calls   []Verb
	busy    bool
	misuse  string
}

var _ xa.BranchConn = (*Branch)(nil)

// NewBranch returns a branch on a backend, whose verbs succeed.
func NewBranch(backend string) *Branch {
	return &Branch{ref: xa.BranchRef{Backend: backend, Server: "server of " + backend, ConnID: 1}}
}

// On sets the reply to a verb, from now on.
func (b *Branch) On(v Verb, r Reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.replies == nil {
		b.replies = make(map[Verb]Reply)
	}
	b.replies[v] = r
}

// Calls returns what was called so far, in order.
func (b *Branch) Calls() []Verb {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.calls)
}

// Misuse returns how the contract of xa.BranchConn was broken, or "".
func (b *Branch) Misuse() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.misuse
}

// Reset forgets the calls, so that a benchmark can use the branch again.
func (b *Branch) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = b.calls[:0]
}

func (b *Branch) begin(v Verb) Reply {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.busy:
		b.misuse = string(v) + " while another call was running"
	case len(b.calls) > 0 && b.calls[len(b.calls)-1] == Release:
		b.misuse = string(v) + " after release"
	}
	b.calls = append(b.calls, v)
	b.busy = v != Release
	return b.replies[v]
}

func (b *Branch) do(v Verb, deadline time.Time) error {
	reply := b.begin(v)
	var err error
	if reply != nil {
		err = reply(deadline)
	}
	b.mu.Lock()
	b.busy = false
	b.mu.Unlock()
	return err
}

func (b *Branch) ask(v Verb, deadline time.Time) {
	b.Ask(deadline, func() error { return b.do(v, deadline) })
}

// Ref implements xa.BranchConn.
func (b *Branch) Ref() xa.BranchRef { return b.ref }

// Prepare implements xa.BranchConn.
func (b *Branch) Prepare(deadline time.Time) { b.ask(Prepare, deadline) }

// Commit implements xa.BranchConn.
func (b *Branch) Commit(deadline time.Time) { b.ask(Commit, deadline) }

// CommitOnePhase implements xa.BranchConn.
func (b *Branch) CommitOnePhase(deadline time.Time) { b.ask(OnePhase, deadline) }

// Rollback implements xa.BranchConn.
func (b *Branch) Rollback(deadline time.Time) { b.ask(Rollback, deadline) }

// Decider is a fake xa.Decider, with the record of the last transaction that decided or was fenced.
type Decider struct {
	*Branch

	mu        sync.Mutex // protects following fields
	fenced    bool
	committed []xa.Decision
}

var _ xa.Decider = (*Decider)(nil)

// NewDecider returns a branch on a backend that decides, and whose verbs succeed.
func NewDecider(backend string) *Decider { return &Decider{Branch: NewBranch(backend)} }

// Decide implements xa.Decider. The record is inserted, unless the reply is a refusal or a fence was there before.
func (d *Decider) Decide(r xa.Decision, deadline time.Time) {
	d.Ask(deadline, func() error { return d.decide(r, deadline) })
}

func (d *Decider) decide(r xa.Decision, deadline time.Time) error {
	err := d.do(Decide, deadline)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case xa.IsErrno(err, xa.ErrnoRBDeadlock):
	case d.fenced:
		return Refuse(errnoDuplicate)(deadline)
	default:
		d.committed = append(d.committed, r)
	}
	return err
}

const errnoDuplicate = 1062

// Fence implements xa.Decider.
func (d *Decider) Fence(_ xa.GTRID, deadline time.Time) (bool, error) {
	if err := d.do(Fence, deadline); err != nil {
		return false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fenced = len(d.committed) == 0
	return !d.fenced, nil
}

// Committed returns the records that were inserted.
func (d *Decider) Committed() []xa.Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.committed)
}

// Release implements xa.BranchConn.
func (b *Branch) Release() {
	if hook := b.begin(Release); hook != nil {
		_ = hook(time.Time{}) // a hook of the test; Release has no error to give
	}
}
