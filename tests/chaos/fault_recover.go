package chaos

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
)

// cutOff kills a proxy whose servers do not notice: its sessions live on with what they have prepared, until that is finished all the same.
func (w *world) cutOff(ctx context.Context, at spot, let func(Verdict)) error {
	p := w.proxies[at.proxy]
	for _, tap := range w.taps[at.proxy] {
		tap.Silence()
	}
	since, doubtful, err := w.killAll(ctx, let, p)
	if err != nil {
		return err
	}
	err = errors.Join(p.Restart(ctx), w.resolve(ctx, doubtful, since))
	for _, tap := range w.taps[at.proxy] {
		tap.CutAll() // sessions that have prepared nothing keep their locks for so long
	}
	return err
}

// recoverAtOnce has several people recover at once, beside the proxies and the branch that was stopped, and roll back by hand what they see:
// they are refused where a transaction runs or is decided.
func (w *world) recoverAtOnce(ctx context.Context, at spot, let func(Verdict)) error {
	defer let(Pass)
	var branches []string
	for i := range w.servers {
		all, err := w.prepared(ctx, i)
		if err != nil {
			return err
		}
		branches = append(branches, all...)
	}
	if w.o.Store == File { // nobody but its own log knows what becomes of a branch
		branches = slices.DeleteFunc(branches, func(b string) bool { return !w.proxies[at.proxy].Owns(b) })
	}
	var all sync.WaitGroup
	errs := make(chan error, 2*len(w.proxies)+2)
	command := func(proxy int, args ...string) {
		all.Go(func() {
			_, _, err := w.proxies[proxy].Command(ctx, args...)
			errs <- err
		})
	}
	for i := range w.proxies {
		command(i, "recover")
		command(i, "recover")
	}
	for _, b := range branches[:min(2, len(branches))] {
		gtrid, _, _ := strings.Cut(b, "|")
		command(at.proxy, "recover", "resolve", gtrid, "--rollback", "--force", "--yes")
	}
	all.Wait()
	close(errs)
	var err error
	for e := range errs {
		err = errors.Join(err, e)
	}
	return err
}
