package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/decision"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/xa"
)

// manyBranches is how many are in doubt; every second one is decided.
const manyBranches = 10_000

// BenchmarkRecovery measures the time from the start of a proxy until it has finished all the branches that one which was killed has left on
// one server. The decisions are in its log, or on the other server.
//
//	make bench-recovery
func BenchmarkRecovery(b *testing.B) {
	for _, store := range stores {
		for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
			b.Run(fmt.Sprintf("%s/%s", store, kind), func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					l := newLeftovers(b, store, kind)
					b.StartTimer()
					l.recover(b)
				}
			})
		}
	}
}

// leftovers are the branches of a proxy that is gone, on the backend b.
type leftovers struct {
	store   Store
	servers [2]*servers.Server
	direct  [2]*sql.DB
	options proxytest.Options
}

func newLeftovers(b *testing.B, store Store, kind servers.Kind) *leftovers {
	b.Helper()
	l := &leftovers{store: store}
	check := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	binary, err := proxytest.Build(b.Context(), b.TempDir())
	check(err)
	l.options = proxytest.Options{Binary: binary, Dir: b.TempDir(), Decision: store.Lines(), LogLevel: "info"}
	for i := range l.servers {
		s, err := servers.Start(b.Context(), servers.Options{Kind: kind})
		check(err)
		b.Cleanup(func() { check(s.Stop()) })
		l.servers[i] = s
		l.direct[i], err = s.DB()
		check(err)
		check(store.Prepare(b.Context(), s))
		l.options.Backends = append(l.options.Backends, proxytest.On(backends[i], s))
	}
	l.options.Schemas = []config.Schema{{Name: "d", Backend: "b"}}
	for _, q := range []string{"CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)"} {
		_, err = l.direct[1].Exec(q)
		check(err)
	}
	other, err := backend.NewAdmin(adminOf(l.servers[1]))
	check(err)
	identity, err := other.Identity(b.Context())
	check(err)
	check(other.Close())

	var all []xa.Decision
	var log *decision.File
	first := xa.GTRID{Coord: "deadbeef", Epoch: 1, Decider: "a"}
	if store == File {
		log, err = decision.OpenFile(decision.FileOptions{Dir: l.options.Dir + "/log", Logger: zerolog.Nop()})
		check(err)
		first = xa.GTRID{Coord: log.Coord(), Epoch: log.Epoch()}
	}
	var mu sync.Mutex
	var running sync.WaitGroup
	const workers = 16
	for w := range workers {
		running.Go(func() {
			for i := w; i < manyBranches; i += workers {
				x := xa.XID{GTRID: first, BQUAL: "b"}
				x.GTRID.Seq = uint64(i)
				id, err := prepare(b.Context(), l.servers[1], x, fmt.Sprintf("INSERT INTO d.t VALUES (%d)", i))
				if err != nil {
					b.Error(err)
					return
				}
				d := xa.Decision{GTRID: x.GTRID, Branches: []xa.BranchRef{{Backend: "b", Server: identity, ConnID: id}}, Time: time.Now()}
				if i%2 > 0 {
					continue
				}
				if log != nil {
					if err := log.Append(d); err != nil {
						b.Error(err)
					}
					continue
				}
				mu.Lock()
				all = append(all, d)
				mu.Unlock()
			}
		})
	}
	running.Wait()
	if log != nil {
		check(log.Close())
	}
	for _, d := range all {
		ref := d.Branches[0]
		_, err := l.direct[0].Exec("INSERT INTO xaproxy.xaproxy_decision (gtrid, verdict, branches, created_at) VALUES (?, 'commit', ?, UTC_TIMESTAMP())",
			d.GTRID.String(), fmt.Sprintf("%s:%d:%s", ref.Backend, ref.ConnID, strings.NewReplacer("@", "%40", ":", "%3A", "/", "%2F").Replace(ref.Server)))
		check(err)
	}
	if prepared, err := l.servers[1].Prepared(b.Context()); err != nil || len(prepared) != manyBranches {
		b.Fatalf("%d branches are prepared (%v), want %d", len(prepared), err, manyBranches)
	}
	return l
}

// prepare leaves a prepared branch behind, and returns the id of its session, which ends.
func prepare(ctx context.Context, s *servers.Server, x xa.XID, work string) (id uint64, err error) {
	c, err := mysql.ParseDSN(s.DSN(s.User, s.Password, ""))
	if err != nil {
		return 0, err
	}
	c.MultiStatements, c.Logger = true, &mysql.NopLogger{}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return 0, err
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	if err := db.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		return 0, err
	}
	sql := x.SQL()
	_, err = db.ExecContext(ctx, "XA START "+sql+";"+work+";XA END "+sql+";XA PREPARE "+sql)
	return id, err
}

// recover starts a proxy and waits until nothing is prepared. What was decided is there then.
func (l *leftovers) recover(b *testing.B) {
	b.Helper()
	p, err := proxytest.Start(b.Context(), l.options)
	if err != nil {
		b.Fatal(err)
	}
	// A list of so many costs the server something, so none is asked for before all branches have a line in the log.
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for p.Log.Len() < manyBranches {
		<-tick.C
	}
	for {
		prepared, err := l.servers[1].Prepared(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if len(prepared) == 0 {
			break
		}
		<-tick.C
	}
	b.StopTimer()
	defer b.StartTimer()
	if err := p.Stop(); err != nil {
		b.Error(err)
	}
	var rows, odd int
	if err := l.direct[1].QueryRow("SELECT COUNT(*), SUM(id % 2) FROM d.t").Scan(&rows, &odd); err != nil || rows != manyBranches/2 || odd != 0 {
		b.Errorf("%d rows, %d of them of transactions that were not decided (%v)", rows, odd, err)
	}
}
