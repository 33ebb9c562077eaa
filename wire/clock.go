package wire

import (
	"net"
	"sync/atomic"
	"time"
)

// clock adds up how long reads wait for the peer, while somebody wants to know. Who reads and who wants to know may be two.
type clock struct {
	runs   atomic.Bool
	began  time.Time // of the wait, zero outside of one
	waited atomic.Int64
}

// begin notes that a read has to wait.
func (c *clock) begin() {
	if c.runs.Load() && c.began.IsZero() {
		c.began = time.Now()
	}
}

// end notes that it has waited, if it had to.
func (c *clock) end() {
	if !c.began.IsZero() {
		c.waited.Add(int64(time.Since(c.began)))
		c.began = time.Time{}
	}
}

// Time begins to add up how long reads wait for the peer.
func (c *Conn) Time() {
	if s := c.socket(); s != nil {
		s.clock.waited.Store(0)
		s.clock.runs.Store(true)
	}
}

// Waited ends Time and returns the sum; 0 without Time.
func (c *Conn) Waited() time.Duration {
	s := c.socket()
	if s == nil {
		return 0
	}
	s.clock.runs.Store(false)
	return time.Duration(s.clock.waited.Swap(0))
}

// socket is where reads wait; nil where that is not known.
func (c *Conn) socket() *socket {
	bottom := c.bottom
	if b, ok := bottom.(interface{ Beneath() net.Conn }); ok { // a peer within this process, which waits for another one
		bottom = b.Beneath()
	}
	s, _ := bottom.(*socket)
	return s
}
