package backend

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/wire"
)

// pool keeps the raw connections of one backend: at most size, the most recently used first, with a queue of waiters
// in the order of their arrival.
type pool struct {
	mu      sync.Mutex // protects following fields
	size    int
	free    []*Conn // the last one was used last
	open    int     // lent, free, or being dialled
	waiters []waiter
	closed  bool
	retired bool // connections that come back are closed
	stats   PoolStats
	breaker breaker
}

// waiter is somebody in the queue.
type waiter struct {
	granted chan *Conn // a connection, or nil: the permission to dial one
	owner   any
}

var errShutdown = wire.NewError(wire.CodeServerShutdown, "xaproxy is shutting down; connect again")

// PoolStats counts what a pool did since its start.
type PoolStats struct {
	Size, Open, Free, Waiting int
	Dialled, Waited, TimedOut uint64
	Failed, Rejected          uint64        // connections that could not be opened, and that were not tried after one
	InQueue                   time.Duration // that all who waited have, together
	Received, Sent            uint64        // bytes, of connections that came back
}

// get lends a connection of b that can become s to owner. Errors are *wire.Error, ready for the client.
func (p *pool) get(ctx context.Context, b *Backend, s *Session, owner any) (*Conn, error) {
	queued := time.Duration(0)
	p.mu.Lock()
	for {
		if p.closed {
			p.mu.Unlock()
			return nil, errShutdown
		}
		if c := p.pick(s, owner); c != nil {
			owed := c.claim(owner)
			p.mu.Unlock()
			usable := c.usable(b.Config.MaxLifetime.Std())
			c.pay(owed) // also on a connection that is too old
			if usable && !c.broken {
				c.lends++
				c.queued = queued
				return c, nil
			}
			c.close()
			p.mu.Lock()
			break // its place stays with this client, which may have waited for it
		}
		if p.open < p.size {
			p.open++
			break
		}
		if len(p.free) > 0 { // none of them can become s: replace the one that was used least recently
			victim := p.free[0]
			p.free = p.free[1:]
			owed := victim.claim(owner)
			p.mu.Unlock()
			victim.pay(owed)
			victim.close()
			p.mu.Lock()
			break
		}
		granted := make(chan *Conn, 1)
		p.waiters = append(p.waiters, waiter{granted, owner})
		p.stats.Waited++
		p.mu.Unlock()
		began := time.Now()
		c, err := p.await(ctx, &b.Config, granted)
		queued += time.Since(began)
		p.waited(time.Since(began))
		if err != nil {
			return nil, err
		}
		if c != nil {
			c.pay(c.owed)
			c.owed = nil
		}
		p.mu.Lock()
		if c == nil { // a permission to dial
			break
		}
		p.free = append(p.free, c) // looked at again: it may not be able to become s
	}
	p.mu.Unlock()
	began := time.Now()
	c, err := p.dial(ctx, b, s)
	if err == nil {
		c.queued = queued + time.Since(began)
	}
	return c, err
}

// dial opens a connection, for which there is a place, unless it is known that this would fail.
func (p *pool) dial(ctx context.Context, b *Backend, s *Session) (*Conn, error) {
	if e := p.breaker.admits(time.Now()); e != nil {
		p.vacate(&p.stats.Rejected)
		return nil, e
	}
	c, err := b.connect(ctx, s)
	var e *wire.Error
	if err != nil && !errors.As(err, &e) {
		e = b.unavailable(err)
	}
	p.breaker.done(time.Now(), e)
	if e != nil {
		p.vacate(&p.stats.Failed)
		return nil, e
	}
	p.mu.Lock()
	p.stats.Dialled++
	p.mu.Unlock()
	return c, nil
}

// waited counts how long somebody was in the queue.
func (p *pool) waited(d time.Duration) {
	p.mu.Lock()
	p.stats.InQueue += d
	p.mu.Unlock()
}

// carried counts what has passed through a connection. p.mu is held.
func (p *pool) carried(c *Conn) {
	received, sent := c.Traffic()
	p.stats.Received += received
	p.stats.Sent += sent
}

// pick takes the best free connection: one that is in state s, else one that can become it; of several one that owes owner an
// answer, else one that owes nobody any, else the one that was used last. p.mu is held.
func (p *pool) pick(s *Session, owner any) *Conn {
	best, bestRank := -1, 0
	for i := len(p.free) - 1; i >= 0; i-- {
		c := p.free[i]
		rank := 0
		if c.state == *s {
			rank = 6
		} else if c.state.canBecome(s) {
			rank = 3
		}
		switch {
		case rank == 0:
		case len(c.debts) == 0:
			rank++
		case c.debts[0].owner == owner:
			rank += 2
		}
		if rank > bestRank {
			best, bestRank = i, rank
		}
		if rank >= 7 {
			break
		}
	}
	if best < 0 {
		return nil
	}
	c := p.free[best]
	p.free = append(p.free[:best], p.free[best+1:]...)
	return c
}

// await waits for a connection, or for nil, the permission to dial one.
func (p *pool) await(ctx context.Context, b *config.Backend, granted chan *Conn) (*Conn, error) {
	timer := time.NewTimer(b.PoolWait.Std())
	defer timer.Stop()
	var err *wire.Error
	select {
	case c, open := <-granted:
		if !open {
			return nil, errShutdown
		}
		return c, nil
	case <-timer.C:
		err = wire.NewError(wire.CodeTooManyConnections,
			"backend %s: all %d connections are in use and none became free within %s; try again, or raise pool_size", b.Name, b.PoolSize, b.PoolWait.Std())
	case <-ctx.Done():
		err = wire.NewError(wire.CodeQueryInterrupted, "interrupted while waiting for a connection to backend %s", b.Name)
	}
	p.mu.Lock()
	if ctx.Err() == nil {
		p.stats.TimedOut++
	}
	for i, w := range p.waiters {
		if w.granted == granted {
			p.waiters = append(p.waiters[:i], p.waiters[i+1:]...)
			p.mu.Unlock()
			return nil, err
		}
	}
	p.mu.Unlock()
	c, open := <-granted // it came at the same moment
	if !open {
		return nil, errShutdown
	}
	return c, nil
}

// put takes back a clean connection.
func (p *pool) put(c *Conn) {
	c.used = time.Since(c.born)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.carried(c)
	switch {
	case p.closed:
		p.open--
		c.close()
	case p.retired && len(p.waiters) == 0, p.open > p.size:
		p.open--
		owed := c.claim(nil)
		p.mu.Unlock()
		c.pay(owed)
		c.close()
		p.mu.Lock()
	case len(p.waiters) > 0:
		w := p.waiters[0]
		p.waiters = p.waiters[1:]
		c.owed = c.claim(w.owner)
		w.granted <- c
	default:
		p.free = append(p.free, c)
	}
}

// discard closes a lent connection and passes its place on.
func (p *pool) discard(c *Conn) {
	c.close()
	p.mu.Lock()
	p.carried(c)
	p.mu.Unlock()
	p.vacate(nil)
}

// vacate passes on the place of a connection that is gone, and counts it.
func (p *pool) vacate(count *uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if count != nil {
		*count++
	}
	if len(p.waiters) > 0 && !p.closed {
		w := p.waiters[0]
		p.waiters = p.waiters[1:]
		w.granted <- nil
		return
	}
	p.open--
}

// reclaim lends the connection c again, if it is free and the condition holds.
func (p *pool) reclaim(c *Conn, same func(*Conn) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, f := range p.free {
		if f == c && same(c) {
			p.free = append(p.free[:i], p.free[i+1:]...)
			return true
		}
	}
	return false
}

// resize changes how many connections there may be. Waiters get those that may be opened now; those that are too many are closed, at the
// latest when they come back.
func (p *pool) resize(size int) {
	p.mu.Lock()
	p.size = size
	for len(p.waiters) > 0 && p.open < p.size && !p.closed {
		p.waiters[0].granted <- nil
		p.waiters, p.open = p.waiters[1:], p.open+1
	}
	p.shed(min(len(p.free), max(p.open-p.size, 0)))
}

// retire closes the free connections; those that are lent are closed when they come back.
func (p *pool) retire() {
	p.mu.Lock()
	p.retired = true
	p.shed(len(p.free))
}

// shed closes the n free connections that were used least recently. It lets go of p.mu.
func (p *pool) shed(n int) {
	gone, owed := slices.Clone(p.free[:n]), make([][]*Debt, n)
	for i, c := range gone {
		owed[i] = c.claim(nil)
	}
	p.free, p.open = slices.Delete(p.free, 0, n), p.open-n
	p.mu.Unlock()
	for i, c := range gone {
		c.pay(owed[i])
		c.close()
	}
}

// clear closes the free connections, after the server was seen to have dropped one: the others are likely dead too.
func (p *pool) clear() {
	p.mu.Lock()
	free := p.free
	p.free, p.open = nil, p.open-len(p.free)
	p.mu.Unlock()
	for _, c := range free {
		c.close()
	}
}

// close closes the free connections; those that are lent are closed when they come back.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	waiters := p.waiters
	p.waiters = nil
	p.mu.Unlock()
	for _, w := range waiters {
		close(w.granted)
	}
	p.clear()
}

func (p *pool) snapshot() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Size, s.Open, s.Free, s.Waiting = p.size, p.open, len(p.free), len(p.waiters)
	return s
}
