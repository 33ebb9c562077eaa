package proxy

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// gate counts failed logins by client address and blocks an address after too many in a row.
type gate struct {
	mu       sync.Mutex    // protects following fields
	failures int           // that are allowed; 0: any number
	block    time.Duration // how long an address is blocked then
	hosts    map[string]*visitor
}

// limit sets how many failures are allowed, and how long an address is blocked then.
func (g *gate) limit(failures int, block time.Duration) {
	g.mu.Lock()
	g.failures, g.block = failures, block
	g.mu.Unlock()
}

type visitor struct {
	failed  int
	blocked time.Time // until then
	last    time.Time
}

// maxVisitors bounds the addresses that are remembered. The oldest are forgotten: a blocklist that could be made to fill
// the memory would be the better weapon.
const maxVisitors = 10_000

// closed says why the client may not even try.
func (g *gate) closed(c net.Conn, now time.Time) *wire.Error {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.hosts[host(c)]
	if v == nil || !now.Before(v.blocked) {
		return nil
	}
	return &wire.Error{
		Errno: 1129, State: "HY000",
		Message: "Host '" + host(c) + "' is blocked because of many failed logins; it can try again in " + time.Until(v.blocked).Round(time.Second).String(),
	}
}

// tried notes the end of a login. Only wrong passwords and users count as failures, not clients that just look whether
// somebody listens, as load balancers do.
func (g *gate) tried(c net.Conn, err error, now time.Time) {
	var told *wire.Error
	denied := errors.As(err, &told) && told.Errno == wire.CodeAccessDenied.Errno()
	if err != nil && !denied {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failures == 0 {
		return
	}
	name := host(c)
	if err == nil {
		delete(g.hosts, name)
		return
	}
	v := g.hosts[name]
	if v == nil {
		if len(g.hosts) >= maxVisitors {
			g.forget()
		}
		v = &visitor{}
		g.hosts[name] = v
	}
	v.failed, v.last = v.failed+1, now
	if v.failed >= g.failures {
		v.failed, v.blocked = 0, now.Add(g.block)
	}
}

// forget drops the address that was heard of longest ago.
func (g *gate) forget() {
	oldest := ""
	for name, v := range g.hosts {
		if oldest == "" || v.last.Before(g.hosts[oldest].last) {
			oldest = name
		}
	}
	delete(g.hosts, oldest)
}

func host(c net.Conn) string {
	h, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return c.RemoteAddr().String()
	}
	return h
}
