package sim

import (
	"context"
	"errors"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// keysOf changes the keys of a store.
func keysOf(change func(p *process, k xa.Keys) xa.Keys) plant { return plant{keys: change} }

// records changes what a record says, with either store. It is called where the record is about to be written.
func records(change func(p *process, r xa.Decision) xa.Decision) plant {
	return plant{
		log: func(p *process, l xa.Log) xa.Log { return rewriter{l, p, change} },
		decide: func(d *decider, r xa.Decision, deadline time.Time) error {
			return d.decide(change(d.conn.p, r), deadline)
		},
	}
}

type rewriter struct {
	xa.Log
	p      *process
	change func(*process, xa.Decision) xa.Decision
}

func (l rewriter) Append(d xa.Decision) error { return l.Log.Append(l.change(l.p, d)) }

// withoutKey writes the record without the commit key.
func withoutKey(_ *process, r xa.Decision) xa.Decision {
	r.Key = xa.Key{}
	return r
}

// keyOfAttempt writes a key that no other attempt has.
func keyOfAttempt(_ *process, r xa.Decision) xa.Decision {
	if r.Key.Name != "" {
		r.Key.Name += " by " + r.GTRID.String()
	}
	return r
}

// latestFence lets an attempt replace whatever fence is there, also one that was made to stop it.
func latestFence(p *process, r xa.Decision) xa.Decision {
	if r.Key.Name == "" {
		return r
	}
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), asker{}, r.GTRID.String()), adminTimeout)
	defer cancel()
	if k, err := p.keys.FindKey(ctx, r.Key.Name); err == nil && !k.Committed {
		r.Key.Over = k.Over
	}
	return r
}

// noKeyFence believes that what has not committed never will.
type noKeyFence struct{ xa.Keys }

func (k noKeyFence) FenceKey(ctx context.Context, key string) (xa.KeyRecord, error) {
	return k.FindKey(ctx, key)
}

// fencedTooLate reads what became of a key before it fences it, and believes that.
type fencedTooLate struct{ xa.Keys }

func (k fencedTooLate) FenceKey(ctx context.Context, key string) (xa.KeyRecord, error) {
	r, err := k.FindKey(ctx, key)
	if err != nil || r.Committed {
		return r, err
	}
	_, err = k.Keys.FenceKey(ctx, key)
	return r, err
}

// unasked says that an attempt whose record is on its way is rolled back.
func unasked(ctx context.Context, p *process, key string) xa.KeyState {
	switch r, err := p.keys.FenceKey(ctx, key); {
	case errors.Is(err, xa.ErrKeyRunning):
	case err != nil:
		return xa.KeyUnknown
	case r.Committed:
		return xa.KeyCommitted
	}
	return xa.KeyRolledBack
}

// everyOther gives the machines different deciders of keys.
func everyOther(p *process) (names []string) {
	for i, s := range p.w.servers {
		if i%2 == int(p.m.name[1])%2 {
			names = append(names, s.name)
		}
	}
	if names == nil {
		return p.w.deciders
	}
	return names
}
