package backend

import (
	"context"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// pool keeps the raw connections of one backend: at most size, the most recently used first, with a queue of waiters
// in the order of their arrival.
type pool struct {
	size     int
	wait     time.Duration
	lifetime time.Duration
	dial     func(context.Context, *Session) (*Conn, error)

	mu      sync.Mutex // protects following fields
	free    []*Conn    // the last one was used last
	open    int        // lent, free, or being dialled
	waiters []chan *Conn
	closed  bool
	stats   PoolStats
}

var errShutdown = wire.NewError(wire.CodeServerShutdown, "xaproxy is shutting down; connect again")

// PoolStats counts what a pool did since its start.
type PoolStats struct {
	Size, Open, Free, Waiting int
	Dialled, Waited, TimedOut uint64
}

// get lends a connection that can become s. Errors are *wire.Error, ready for the client.
func (p *pool) get(ctx context.Context, name string, s *Session) (*Conn, error) {
	p.mu.Lock()
	for {
		if p.closed {
			p.mu.Unlock()
			return nil, errShutdown
		}
		if c := p.pick(s); c != nil {
			p.mu.Unlock()
			if c.usable(p.lifetime) {
				c.lends++
				return c, nil
			}
			p.discard(c)
			p.mu.Lock()
			continue
		}
		if p.open < p.size {
			p.open++
			break
		}
		if len(p.free) > 0 { // none of them can become s: replace the one that was used least recently
			victim := p.free[0]
			p.free = p.free[1:]
			p.mu.Unlock()
			victim.close()
			p.mu.Lock()
			break
		}
		granted := make(chan *Conn, 1)
		p.waiters = append(p.waiters, granted)
		p.stats.Waited++
		p.mu.Unlock()
		c, err := p.await(ctx, name, granted)
		if err != nil {
			return nil, err
		}
		p.mu.Lock()
		if c == nil { // a permission to dial
			break
		}
		p.free = append(p.free, c) // looked at again: it may not be able to become s
	}
	p.stats.Dialled++
	p.mu.Unlock()
	c, err := p.dial(ctx, s)
	if err != nil {
		p.vacate()
		return nil, err
	}
	return c, nil
}

// pick takes the best free connection: one that is in state s, else one that can become it. p.mu is held.
func (p *pool) pick(s *Session) *Conn {
	best := -1
	for i := len(p.free) - 1; i >= 0; i-- {
		state := &p.free[i].state
		if *state == *s {
			best = i
			break
		}
		if best < 0 && state.canBecome(s) {
			best = i
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
func (p *pool) await(ctx context.Context, name string, granted chan *Conn) (*Conn, error) {
	timer := time.NewTimer(p.wait)
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
			"backend %s: all %d connections are in use and none became free within %s; try again, or raise pool_size", name, p.size, p.wait)
	case <-ctx.Done():
		err = wire.NewError(wire.CodeQueryInterrupted, "interrupted while waiting for a connection to backend %s", name)
	}
	p.mu.Lock()
	p.stats.TimedOut++
	for i, w := range p.waiters {
		if w == granted {
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
	c.used = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed || p.open > p.size:
		p.open--
		c.close()
	case len(p.waiters) > 0:
		granted := p.waiters[0]
		p.waiters = p.waiters[1:]
		granted <- c
	default:
		p.free = append(p.free, c)
	}
}

// discard closes a lent connection and passes its place on.
func (p *pool) discard(c *Conn) {
	c.close()
	p.vacate()
}

// vacate passes on the place of a connection that is gone.
func (p *pool) vacate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiters) > 0 && !p.closed {
		granted := p.waiters[0]
		p.waiters = p.waiters[1:]
		granted <- nil
		return
	}
	p.open--
}

// reclaim lends the connection c again, if it is free and its last loan had that number.
func (p *pool) reclaim(c *Conn, lends uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, f := range p.free {
		if f == c && c.lends == lends {
			p.free = append(p.free[:i], p.free[i+1:]...)
			return true
		}
	}
	return false
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
		close(w)
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
