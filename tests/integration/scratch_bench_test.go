package integration

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// scratchJoin is a stack over three shards and a connection to one server with all of their data: tables a and b with so many rows each,
// which no shard can join by itself. The texts of a are so long.
func scratchJoin(tb testing.TB, kind servers.Kind, rows, long int) (s *stack, one *wire.Conn) {
	tb.Helper()
	var on []*servers.Server
	for range 4 {
		server, err := servers.Start(tb.Context(), servers.Options{Kind: kind})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = server.Stop() })
		on = append(on, server)
	}
	s = newStackOn(tb, on[:3], func(c *config.Config) {
		c.Users[0].MaxScratchRows, c.Users[0].MaxScratchBytes = 10*rows, 1<<34
		for _, name := range []string{"a", "b"} {
			c.Tables = append(c.Tables, config.Table{Schema: c.Tables[0].Schema, Name: name, Column: "id", Function: "modulo", Backends: c.Tables[0].Backends})
		}
	})
	admin(tb, on[3], "CREATE DATABASE "+s.schema)
	for _, server := range on {
		admin(tb, server,
			"CREATE TABLE "+s.schema+".a (id INT PRIMARY KEY, grp INT NOT NULL, name VARCHAR(40) NOT NULL, text_ VARCHAR(2000), KEY (grp))",
			"CREATE TABLE "+s.schema+".b (id INT PRIMARY KEY, a_id INT NOT NULL, amount DECIMAL(12,2) NOT NULL, text_ VARCHAR(2000), KEY (a_id))")
	}
	one = dial(tb, wire.Dialer{Addr: on[3].Addr(), User: on[3].User, Password: on[3].Password, Schema: s.schema})
	proxy := dial(tb, wire.Dialer{Addr: s.addr, User: "u", Password: "pw", Schema: s.schema})
	for _, c := range []*wire.Conn{one, proxy} {
		for from := 0; from < rows; from += 1000 {
			var a, b []byte
			for i := from; i < min(from+1000, rows); i++ {
				a = fmt.Appendf(a, ", (%d, %d, 'name of number %d', '%s')", i, i%100, i, strings.Repeat("x", long))
				b = fmt.Appendf(b, ", (%d, %d, %d.%02d, '%s')", i, (i*7919)%rows, i%1000, i%100, "text that is not read")
			}
			scratchSays(tb, c, "INSERT INTO a VALUES "+string(a[2:]))
			scratchSays(tb, c, "INSERT INTO b VALUES "+string(b[2:]))
		}
	}
	for _, server := range on {
		admin(tb, server, "ANALYZE TABLE "+s.schema+".a, "+s.schema+".b")
	}
	return s, one
}

// scratchSays is the rows of a statement as text.
func scratchSays(tb testing.TB, c *wire.Conn, q string) string {
	tb.Helper()
	if err := c.SendQuery(nil, []byte(q)); err != nil {
		tb.Fatal(err)
	}
	r, err := c.ReadResult(1 << 20)
	if err != nil {
		tb.Fatalf("%.100s: %v", q, err)
	}
	return fmt.Sprintf("%q", r.Values)
}

const scratchJoined = "SELECT a.grp, COUNT(*), SUM(b.amount), COUNT(DISTINCT a.name) FROM a JOIN b ON b.a_id = a.id GROUP BY a.grp ORDER BY a.grp"

// BenchmarkScratchJoin joins and groups 2 × 10,000 rows of three shards, and the same on one server that holds them all.
func BenchmarkScratchJoin(b *testing.B) {
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		s, one := scratchJoin(b, kind, 10_000, 30)
		proxy := dial(b, wire.Dialer{Addr: s.addr, User: "u", Password: "pw", Schema: s.schema})
		b.Run(string(kind), func(b *testing.B) {
			var direct, through time.Duration
			for b.Loop() { // in turn, so that both have what load there is on the machine
				start := time.Now()
				want := scratchSays(b, one, scratchJoined)
				between := time.Now()
				got := scratchSays(b, proxy, scratchJoined)
				direct, through = direct+between.Sub(start), through+time.Since(between)
				if got != want {
					b.Fatalf("one server says %s, the shards %s", want, got)
				}
			}
			b.ReportMetric(direct.Seconds()*1e3/float64(b.N), "ms-one-server")
			b.ReportMetric(through.Seconds()*1e3/float64(b.N), "ms-shards")
			b.ReportMetric(through.Seconds()/direct.Seconds(), "ratio")
		})
	}
}

// scratchPeak runs a statement and returns how much more heap than before there was at most meanwhile.
func scratchPeak(tb testing.TB, c *wire.Conn, q string) (peak uint64, rows string) {
	tb.Helper()
	before := heapInUse()
	done := make(chan struct{})
	peaks := make(chan uint64)
	go func() {
		var most uint64
		for tick := time.Tick(2 * time.Millisecond); ; {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-done:
				peaks <- most
				return
			case <-tick:
			}
		}
	}()
	rows = scratchSays(tb, c, q)
	close(done)
	most := <-peaks
	return most - min(most, before), rows
}

const scratchCounted = "SELECT COUNT(*), SUM(b.amount), SUM(LENGTH(a.text_)) FROM a JOIN b ON b.a_id = a.id"

// TestScratchMemory: what is brought together passes through; none of it stays in the proxy.
func TestScratchMemory(t *testing.T) {
	s, one := scratchJoin(t, servers.MariaDB, 20_000, 2000)
	peak, got := scratchPeak(t, dial(t, wire.Dialer{Addr: s.addr, User: "u", Password: "pw", Schema: s.schema}), scratchCounted)
	if want := scratchSays(t, one, scratchCounted); got != want {
		t.Errorf("one server says %s, the shards %s", want, got)
	}
	if peak > 28<<20 { // of 40 MB
		t.Errorf("the heap has grown by %d MB", peak>>20)
	}
}

// BenchmarkScratchMemory is TestScratchMemory with a million rows.
func BenchmarkScratchMemory(b *testing.B) {
	s, one := scratchJoin(b, servers.MariaDB, 500_000, 30)
	proxy := dial(b, wire.Dialer{Addr: s.addr, User: "u", Password: "pw", Schema: s.schema})
	want := scratchSays(b, one, scratchCounted)
	for b.Loop() {
		peak, got := scratchPeak(b, proxy, scratchCounted)
		if got != want {
			b.Errorf("one server says %s, the shards %s", want, got)
		}
		if peak > 64<<20 {
			b.Errorf("the heap has grown by %d MB", peak>>20)
		}
		b.ReportMetric(float64(peak)/(1<<20), "MB-more")
	}
}
