package proxy

import (
	"net"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// BenchmarkCounting is what metrics cost a statement that succeeds.
func BenchmarkCounting(b *testing.B) {
	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	s := &session{counters: newCounters()[0], conn: wire.NewConn(one, 0), gen: &generation{cfg: new(config.Config)}}
	s.work.text = []byte("SELECT c FROM sbtest1 WHERE id = 5024")
	plan := &router.Plan{}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		s.noted.began = now
		s.plans(plan)
		s.counted(now.Add(123 * time.Microsecond))
	}
}

// BenchmarkMetrics is what one scrape costs, apart from writing it.
func BenchmarkMetrics(b *testing.B) {
	s := &Server{counters: newCounters(), open: make(map[*session]struct{})}
	s.newest.Store(&generation{router: new(router.Router)})
	for b.Loop() {
		s.Metrics()
	}
}
