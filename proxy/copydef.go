package proxy

import (
	"context"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/ddl"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// copyDefinitions is whether broadcast tables with copies on PostgreSQL are defined alike everywhere. With another collation a condition would be
// true of other rows, with another type a value would become another one. It is safe for concurrent use.
type copyDefinitions struct {
	mu    sync.Mutex // protects known
	known map[router.Object]copyDefinition
}

type copyDefinition struct {
	differs string // "" if they are alike
	until   time.Time
}

// copiesLast is how long a look at the definitions is believed: somebody may change them on the backends themselves.
const copiesLast = 10 * time.Second

// alike says how the definitions on the backends of the parts differ.
func (d *copyDefinitions) alike(ctx context.Context, o router.Object, all []*backend.Backend, parts []router.Part) *wire.Error {
	d.mu.Lock()
	known := d.known[o]
	d.mu.Unlock()
	if time.Now().After(known.until) {
		on := make([]*backend.Backend, len(parts))
		for i, p := range parts {
			on[i] = all[p.Backend]
		}
		known = copyDefinition{until: time.Now().Add(copiesLast)}
		found, err := ddl.Differences(ctx, []router.Object{o}, on)
		if err != nil {
			return clientError(err, false)
		}
		if len(found) > 0 {
			known.differs = found[0].String()
		}
		d.mu.Lock()
		if d.known == nil {
			d.known = make(map[router.Object]copyDefinition)
		}
		d.known[o] = known
		d.mu.Unlock()
	}
	if known.differs == "" {
		return nil
	}
	return wire.NewError(wire.CodeNotSupported, "the copies of a broadcast table are defined in different ways, and one is on PostgreSQL, so that they would get different rows: %s; make the definitions the same", known.differs)
}

// forget has the definitions looked at once more.
func (d *copyDefinitions) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = nil
}
