package backend

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

const (
	firstPause = 50 * time.Millisecond
	maxPause   = time.Second
)

// breaker keeps statements from waiting, one after the other, for a server that cannot be reached: after an attempt to connect that failed the next one
// is made when a pause is over, and by one statement at a time. The others get the same error at once. The pause grows up to maxPause.
type breaker struct {
	mu     sync.Mutex // protects following fields
	failed *wire.Error
	until  time.Time // when the next attempt may be made
	pause  time.Duration
	trying bool
}

// admits returns why no attempt may be made now, nil if one may: failure or success follows.
func (b *breaker) admits(now time.Time) *wire.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.failed == nil:
		return nil
	case b.trying || now.Before(b.until):
		e := *b.failed
		e.Message += "; xaproxy keeps trying, and other statements are refused at once until it succeeds"
		return &e
	}
	b.trying = true
	return nil
}

// open returns why statements are refused at once, nil if they are not.
func (b *breaker) open() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == nil {
		return nil
	}
	return b.failed
}

// done notes what came of an attempt: nil, or the client's error.
func (b *breaker) done(now time.Time, e *wire.Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
	if e != nil && e.Errno == wire.CodeQueryInterrupted.Errno() {
		return // nobody knows
	}
	if e == nil || e.Errno == wire.CodeUnknownDatabase.Errno() {
		b.failed, b.pause = nil, 0
		return
	}
	if b.failed = e; now.Before(b.until) {
		return // one of several that began together
	}
	b.pause = min(max(2*b.pause, firstPause), maxPause)
	b.until = now.Add(b.pause/2 + rand.N(b.pause/2)) // so that many proxies do not come at once
}
