package proxy

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/trace"
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

// BenchmarkTracing is what a statement costs of which nobody is told: without a collector, with one that wants none, and with one in a hundred.
func BenchmarkTracing(b *testing.B) {
	for name, oneIn := range map[string]int{"off": -1, "none": 0, "hundredth": 100} {
		b.Run(name, func(b *testing.B) {
			one, other := net.Pipe()
			b.Cleanup(func() { _ = errors.Join(one.Close(), other.Close()) })
			s := &session{counters: newCounters()[0], conn: wire.NewConn(one, 0), gen: &generation{cfg: new(config.Config)}, login: new(wire.Login)}
			if oneIn >= 0 {
				away := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
				b.Cleanup(away.Close)
				tracer, err := trace.New(trace.Options{Endpoint: away.URL, OneIn: oneIn, Logger: zerolog.Nop()})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(tracer.Close)
				s.traced = &traced{tracer: tracer}
			}
			text := []byte("SELECT c FROM sbtest1 WHERE id = 5024")
			s.work.text = text
			plan, now := &router.Plan{}, time.Now()
			b.ReportAllocs()
			for b.Loop() {
				s.noted.began = now
				s.traced.reads(text)
				s.plans(plan)
				s.counted(now.Add(123 * time.Microsecond))
			}
		})
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
