package backend

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// Health is whether a server answers, as it was last looked at.
type Health struct {
	Cause  error     // why it is taken for down; nil if it answers
	Since  time.Time // when it was found to be as it is; of a server that is down, when it was asked what it did not answer
	Looked time.Time
	First  bool          // nothing was known before
	Took   time.Duration // of the answer

	pause time.Duration // before the next look at a server that is down
}

func (h *Health) since() string { return h.Since.UTC().Format(time.RFC3339) }

// Health returns what Probe has found last; zero before its first look.
func (b *Backend) Health() Health {
	if h := b.health.Load(); h != nil {
		return *h
	}
	return Health{}
}

// down is the refusal of a statement while the server is down.
func (b *Backend) down(h *Health) *wire.Error {
	return wire.NewError(wire.CodeBackendDown, "backend %s is down since %s: %v; xaproxy keeps looking, and statements are refused until it answers",
		b.Config.Name, h.since(), h.Cause)
}

// Probe looks whether the server answers: to a ping on a connection that it keeps, and if not, on a new one. Each may take connect_timeout, however long
// the statements of others take. It returns how it is now, whether it was so before, and the pause before the next look. One goroutine uses it.
func (b *Backend) Probe(ctx context.Context) (now Health, same bool, pause time.Duration) {
	before, began := b.Health(), time.Now()
	err := b.probe(ctx)
	if ctx.Err() != nil {
		return before, true, b.Config.ProbeInterval.Std()
	}
	now = Health{Cause: err, Since: before.Since, Looked: time.Now(), Took: time.Since(began), First: before.Looked.IsZero()}
	if same = (err == nil) == (before.Cause == nil) && !now.First; !same {
		now.Since = began
	}
	pause = b.Config.ProbeInterval.Std()
	if err != nil {
		now.pause = min(max(2*before.pause, firstPause), maxPause)
		pause = now.pause/2 + rand.N(now.pause/2) // so that many proxies do not come at once
	}
	b.health.Store(&now)
	if err == nil && !same {
		b.pool.breaker.done(time.Now(), nil)
	}
	return now, same, pause
}

func (b *Backend) probe(ctx context.Context) error {
	if b.prober != nil {
		if b.prober.b = b; b.prober.ping() && b.prober.facts == b.facts.Load() {
			return nil
		}
		b.hangUp()
	}
	c, err := b.connect(ctx, &Session{})
	var said *wire.Error
	switch {
	case errors.As(err, &said):
		return errors.New(said.Message)
	case err != nil:
		return err
	case !c.ping():
		c.close()
		return errors.New("it takes connections and does not answer")
	}
	b.prober = c
	return nil
}

// Unprobed ends what Probe keeps, and takes the server for one that answers. Probe may be called again.
func (b *Backend) Unprobed() {
	b.hangUp()
	b.health.Store(nil)
}

func (b *Backend) hangUp() {
	if b.prober != nil {
		b.prober.close()
		b.prober = nil
	}
}
