package integration

import (
	"fmt"
	"sync"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// BenchmarkStream reads 3 × 1 M sorted rows of three servers: through a plain connection to each at the same time, and merged through
// the proxy.
func BenchmarkStream(b *testing.B) {
	const rows = 1_000_000
	var on []*servers.Server
	for range 3 {
		server, err := servers.Start(b.Context(), servers.Options{Kind: servers.MariaDB})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = server.Stop() })
		on = append(on, server)
	}
	s := newStackOn(b, on, func(c *config.Config) {
		c.Tables = append(c.Tables, config.Table{Schema: c.Tables[0].Schema, Name: "many", Column: "id", Function: "modulo", Backends: c.Tables[0].Backends})
	})
	for i, server := range on {
		admin(b, server, "CREATE TABLE "+s.schema+".many (id INT PRIMARY KEY, s VARCHAR(40), d DECIMAL(12,2))",
			fmt.Sprintf("INSERT INTO %s.many SELECT seq * 3 + %d, 'a string of some length', (seq %% 1000) + 0.25 FROM %s.seq_0_to_%d", s.schema, i, s.schema, rows-1))
	}
	const q = "SELECT id, s, d FROM many ORDER BY id"
	read := func(b *testing.B, c *wire.Conn, want int) {
		if err := c.SendQuery(nil, []byte(q)); err != nil {
			b.Error(err)
			return
		}
		r, err := c.ReadColumns()
		n := -1
		for row := []byte{0}; err == nil && row != nil; n++ {
			row, err = r.Next()
		}
		if err != nil || n != want {
			b.Errorf("%d rows, %v", n, err)
		}
	}
	b.Run("plain", func(b *testing.B) {
		var conns []*wire.Conn
		for _, server := range on {
			conns = append(conns, dial(b, wire.Dialer{Addr: server.Addr(), User: server.User, Password: server.Password, Schema: s.schema}))
		}
		for b.Loop() {
			var wg sync.WaitGroup
			for _, c := range conns {
				wg.Go(func() { read(b, c, rows) })
			}
			wg.Wait()
		}
		b.ReportMetric(float64(b.N)*3*rows/b.Elapsed().Seconds(), "rows/s")
	})
	b.Run("merged", func(b *testing.B) {
		c := dial(b, wire.Dialer{Addr: s.addr, User: "u", Password: "pw", Schema: s.schema})
		for b.Loop() {
			read(b, c, 3*rows)
		}
		b.ReportMetric(float64(b.N)*3*rows/b.Elapsed().Seconds(), "rows/s")
	})
}
