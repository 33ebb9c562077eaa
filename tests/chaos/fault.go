package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xaproxy/xaproxy/decision"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// spot is where something is broken: at a proxy, a server, or the connections between the two.
type spot struct{ proxy, side int }

// fault is one way to break something.
type fault struct {
	name   string
	weight int
	aimed  bool // it only makes sense at a step
	// do breaks and mends it. The spot is where the trigger was hit, or drawn; let makes the branch go on that was stopped
	// there, and must be called once.
	do func(w *world, ctx context.Context, at spot, let func(Verdict)) error
}

// faults are those that can be injected with this store and number of proxies.
func (o Options) faults() []fault {
	all := []fault{
		{"proxy killed", 6, false, (*world).killProxy},
		{"server killed", 4, false, (*world).killServer},
		{"proxy and server killed", 2, false, (*world).killBoth},
		{"proxy cut off and killed", 3, false, (*world).cutOff},
		{"recover commands", 2, false, (*world).recoverAtOnce},
		{"proxy frozen", 2, false, (*world).freezeProxy},
		{"server frozen", 3, false, (*world).freezeServer},
		{"connection cut", 6, true, (*world).cutOne},
		{"connections cut again and again", 2, false, (*world).cutSome},
		{"all connections to a server cut", 2, false, (*world).cutAll},
	}
	if o.Proxies > 1 {
		all = append(all,
			fault{"all proxies killed", 2, false, (*world).killProxies},
			fault{"proxy frozen and the others killed", 2, false, (*world).freezeOneKillOthers})
	}
	if o.Store == Participant {
		return append(all, fault{"clock of a server set", 2, false, (*world).setClock})
	}
	return append(all, fault{"no room for the log", 2, false, (*world).fillDisk})
}

const (
	maxPause  = 500 * time.Millisecond // between two faults
	maxFreeze = 3 * time.Second        // longer than inDoubtGrace
	maxCuts   = time.Second            // how long connections are cut
	maxFull   = 4 * time.Second        // how long a log cannot grow
)

// breakThings breaks one thing after the other until ctx ends, and leaves everything running.
func (w *world) breakThings(ctx context.Context) error {
	faults, total := w.o.faults(), 0
	for _, f := range faults {
		total += f.weight
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(w.upTo(maxPause)):
		}
		n := w.rand.IntN(total)
		for _, f := range faults {
			if n -= f.weight; n < 0 {
				// A fault that has begun is mended, whatever becomes of ctx.
				if err := w.inject(context.WithoutCancel(ctx), f); err != nil {
					return fmt.Errorf("%s: %w", f.name, err)
				}
				break
			}
		}
	}
}

func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.rand.Int64N(int64(d))) }

// inject waits for a step that is drawn, breaks something there, and mends it. One fault in four comes at no step.
func (w *world) inject(ctx context.Context, f fault) error {
	at, where, let := spot{w.rand.IntN(len(w.proxies)), w.rand.IntN(len(w.servers))}, "", func(Verdict) {}
	steps := w.o.Store.steps()
	step, point := steps[w.rand.IntN(len(steps))], points[w.rand.IntN(len(points))]
	if f.aimed || w.rand.IntN(4) > 0 {
		a := w.trigger.arm(step, point)
		if e, ok := w.trigger.wait(a); ok {
			at, where = w.spots[e.Tap], fmt.Sprintf("%s %s", step, point)
			let = func(v Verdict) { a.done <- v }
		}
	}
	switch {
	case where == "" && f.aimed:
		return nil
	case where == "":
		where = "at no step"
	}
	w.tally.fault(f.name + ", " + where)
	return f.do(w, ctx, at, let)
}

// killProxy kills one, and starts it again before or after the others have finished what it left, if they can.
func (w *world) killProxy(ctx context.Context, at spot, let func(Verdict)) error {
	p := w.proxies[at.proxy]
	since, doubtful, err := w.killAll(ctx, let, p)
	if err != nil {
		return err
	}
	if w.o.Store == Participant && len(w.proxies) > 1 && w.rand.IntN(2) == 0 {
		return errors.Join(w.resolve(ctx, doubtful, since), p.Restart(ctx))
	}
	return errors.Join(p.Restart(ctx), w.resolve(ctx, doubtful, since))
}

// killProxies kills all of them and starts them again in an order that is drawn.
func (w *world) killProxies(ctx context.Context, _ spot, let func(Verdict)) error {
	since, doubtful, err := w.killAll(ctx, let, w.proxies...)
	if err != nil {
		return err
	}
	for _, i := range w.rand.Perm(len(w.proxies)) {
		if err := w.proxies[i].Restart(ctx); err != nil {
			return err
		}
	}
	return w.resolve(ctx, doubtful, since)
}

// freezeOneKillOthers lets one stand still while the others are killed and come back, for longer than the grace at times.
func (w *world) freezeOneKillOthers(ctx context.Context, at spot, let func(Verdict)) error {
	frozen := w.proxies[at.proxy]
	if err := frozen.Freeze(); err != nil {
		let(Cut)
		return err
	}
	others := slices.DeleteFunc(slices.Clone(w.proxies), func(p *proxytest.Proxy) bool { return p == frozen })
	since, doubtful, err := w.killAll(ctx, let, others...)
	if err != nil {
		return err
	}
	for _, p := range others {
		if err := p.Restart(ctx); err != nil {
			return err
		}
	}
	<-time.After(w.upTo(maxFreeze))
	return errors.Join(frozen.Thaw(), w.resolve(ctx, doubtful, since))
}

// killAll kills proxies and returns when, and the branches that are in doubt then.
func (w *world) killAll(ctx context.Context, let func(Verdict), all ...*proxytest.Proxy) (since time.Time, doubtful []string, err error) {
	for _, p := range all {
		if !p.Running() {
			err = errors.New("xaproxy has ended by itself")
		}
	}
	since = time.Now()
	for _, p := range all {
		err = errors.Join(err, p.Kill())
	}
	let(Cut)
	if err != nil {
		return since, nil, err
	}
	for i := range w.servers {
		branches, err := w.look(ctx, i)
		if err != nil {
			return since, nil, err
		}
		doubtful = append(doubtful, branches...)
	}
	// Those of proxies that live are not in doubt.
	return since, slices.DeleteFunc(doubtful, func(b string) bool {
		return !slices.ContainsFunc(all, func(p *proxytest.Proxy) bool { return p.Owns(b) })
	}), nil
}

func (w *world) killServer(ctx context.Context, at spot, let func(Verdict)) error {
	err := w.servers[at.side].Kill()
	let(Cut)
	if err != nil {
		return err
	}
	if err := w.servers[at.side].Restart(ctx); err != nil {
		return err
	}
	doubtful, err := w.look(ctx, at.side)
	if err != nil {
		return err
	}
	return w.resolve(ctx, doubtful, time.Time{})
}

// killBoth kills a proxy and a server, and starts them again in an order that is drawn.
func (w *world) killBoth(ctx context.Context, at spot, let func(Verdict)) error {
	p, server := w.proxies[at.proxy], w.servers[at.side]
	if !p.Running() {
		let(Cut)
		return errors.New("xaproxy has ended by itself")
	}
	err := errors.Join(p.Kill(), server.Kill())
	let(Cut)
	if err != nil {
		return err
	}
	doubtful, err := w.look(ctx, 1-at.side)
	if err != nil {
		return err
	}
	if w.rand.IntN(2) == 0 {
		err = errors.Join(p.Restart(ctx), server.Restart(ctx))
	} else if err = server.Restart(ctx); err == nil {
		var more []string
		if more, err = w.look(ctx, at.side); err == nil {
			doubtful = append(doubtful, more...)
			err = p.Restart(ctx)
		}
	}
	if err != nil {
		return err
	}
	return w.resolve(ctx, doubtful, time.Time{})
}

func (w *world) freezeProxy(_ context.Context, at spot, let func(Verdict)) error {
	err := w.proxies[at.proxy].Freeze()
	let(Pass)
	if err != nil {
		return err
	}
	<-time.After(w.upTo(maxFreeze))
	return w.proxies[at.proxy].Thaw()
}

func (w *world) freezeServer(ctx context.Context, at spot, let func(Verdict)) error {
	err := w.servers[at.side].Freeze()
	let(Pass)
	if err != nil {
		return err
	}
	<-time.After(w.upTo(maxFreeze))
	if err := w.servers[at.side].Thaw(); err != nil {
		return err
	}
	doubtful, err := w.look(ctx, at.side)
	if err != nil {
		return err
	}
	return w.resolve(ctx, doubtful, time.Time{})
}

func (w *world) cutOne(_ context.Context, _ spot, let func(Verdict)) error {
	let(Cut)
	return nil
}

// cutSome cuts some of the connections of a proxy to a server, and then some of those that were made meanwhile, and so on.
func (w *world) cutSome(_ context.Context, at spot, let func(Verdict)) error {
	let(Pass)
	for until := time.Now().Add(w.upTo(maxCuts)); time.Now().Before(until); <-time.After(w.upTo(maxCuts / 10)) {
		w.taps[at.proxy][at.side].CutSome(func() bool { return w.rand.IntN(3) == 0 })
	}
	return nil
}

func (w *world) cutAll(_ context.Context, at spot, let func(Verdict)) error {
	for _, taps := range w.taps {
		taps[at.side].CutAll()
	}
	let(Cut)
	return nil
}

// settable reports whether the clock of such a server can be set.
func settable(kind servers.Kind) bool {
	return kind == servers.MariaDB || kind == servers.MariaDBBinlog
}

// setClock makes all heartbeats on a server an hour old, or of the next hour: no proxy seems to live there until its next beat.
func (w *world) setClock(ctx context.Context, at spot, let func(Verdict)) error {
	defer let(Pass)
	if settable(w.servers[at.side].Kind) {
		ahead := w.upTo(2*time.Hour) - time.Hour
		return w.servers[at.side].SetClock(ahead)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := w.direct[at.side].ExecContext(ctx, "UPDATE xaproxy.xaproxy_proxy SET beat_at = beat_at - INTERVAL 1 HOUR")
	return err
}

// fillDisk keeps the decision log of a proxy from growing for a while: no further segment can be made. A record that needs the very
// last byte of a segment cannot be written either, and then the proxy has to halt.
func (w *world) fillDisk(ctx context.Context, at spot, let func(Verdict)) error {
	p := w.proxies[at.proxy]
	before := breaks(p)
	err := p.LimitFiles(segmentSize - 1)
	let(Pass)
	if err != nil {
		return err
	}
	<-time.After(w.upTo(maxFull))
	if breaks(p) == before {
		err := p.LimitFiles(proxytest.Unlimited)
		if breaks(p) == before {
			return err
		}
	}
	if err := p.Kill(); err != nil {
		return err
	}
	return p.Restart(ctx)
}

// breaks counts how often the decision log of a proxy was broken: it halts then, if it has not yet.
func breaks(p *proxytest.Proxy) int {
	return len(p.Log.Grep(fmt.Sprintf("%q:%q", "message", decision.ErrBroken)))
}

// look lists the branches that some servers hold prepared, right after something was killed.
func (w *world) look(ctx context.Context, sides ...int) ([]string, error) {
	var all []string
	for _, i := range sides {
		branches, err := w.prepared(ctx, i)
		if err != nil {
			return nil, err
		}
		all = append(all, branches...)
	}
	w.tally.sawInDoubt(len(all))
	return all, nil
}

// resolve waits until the branches that were in doubt are no more. killed is when the proxies were killed that left them there, or
// zero if they were not.
func (w *world) resolve(ctx context.Context, doubtful []string, killed time.Time) error {
	took, left, err := w.awaitNothing(ctx, func(b string) bool { return slices.Contains(doubtful, b) })
	if err != nil {
		return err
	}
	if w.tally.inDoubtFor(took); len(doubtful) > 0 && !killed.IsZero() {
		w.tally.recovered(time.Since(killed))
	}
	for _, b := range left {
		w.tally.violation("%s is in doubt for more than %s after everything runs again", b, w.o.Store.maxInDoubt())
	}
	return nil
}
