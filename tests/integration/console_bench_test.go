//go:build gms_pure_go && linux

package integration

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/admin/live"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// BenchmarkScraped is what point selects cost while all tables of the schema xaproxy are read once a second, beside what they cost otherwise: seconds with
// and without take turns, and the figure is the median of the ratios of neighbours, of processor time per statement and of statements per second.
func BenchmarkScraped(b *testing.B) {
	server := servertest.Get(b, servers.MariaDB)
	schema := servertest.Database(b, server)
	admin(b, server, "CREATE TABLE "+schema+".t (id INT PRIMARY KEY, v INT)", "INSERT INTO "+schema+".t WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < 100) SELECT id, id FROM n")
	p := proxytest.Run(b, proxytest.Options{
		Backends: []proxytest.Backend{proxytest.On("b0", server)}, Schemas: []config.Schema{{Name: schema, Backend: "b0"}},
		Users: []string{"name = \"root\"\npassword = \"pw\"\nadmin = true"},
	})
	root, err := sql.Open("mysql", strings.Replace(p.DSN("xaproxy"), proxytest.User+":"+proxytest.Password, "root:pw", 1))
	check(b, err)
	defer root.Close()
	var done atomic.Uint64
	stop, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	db := p.DB(b, schema)
	for range 4 {
		running.Go(func() {
			c, err := db.Conn(stop)
			for i := 0; err == nil; i++ {
				var v int
				if err = c.QueryRowContext(stop, fmt.Sprintf("SELECT v FROM t WHERE id = %d", 1+i%100)).Scan(&v); err == nil {
					done.Add(1)
				}
			}
		})
	}
	cpu := func() time.Duration {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
		check(b, err)
		f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
		user, err := strconv.Atoi(f[11])
		check(b, err)
		system, err := strconv.Atoi(f[12])
		check(b, err)
		return time.Duration(user+system) * 10 * time.Millisecond
	}
	second := func(scraped bool) (perStatement, perSecond float64) {
		from, used, began := done.Load(), cpu(), time.Now()
		if scraped {
			for _, name := range live.Names() {
				rows, err := root.QueryContext(b.Context(), "SELECT * FROM "+name)
				check(b, err)
				for rows.Next() {
				}
				check(b, rows.Err())
			}
		}
		<-time.After(time.Second - time.Since(began))
		n := float64(done.Load() - from)
		return (cpu() - used).Seconds() / n, n / time.Since(began).Seconds()
	}
	second(true)
	var costs, rates []float64
	for range 40 {
		cost, rate := second(false)
		costScraped, rateScraped := second(true)
		costs, rates = append(costs, costScraped/cost), append(rates, rateScraped/rate)
	}
	cancel()
	running.Wait()
	slices.Sort(costs)
	slices.Sort(rates)
	b.ReportMetric(costs[len(costs)/2], "cpu-ratio")
	b.ReportMetric(rates[len(rates)/2], "rate-ratio")
	b.ReportMetric(0, "ns/op")
}
