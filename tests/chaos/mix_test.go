package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// mix is two servers behind a proxy. The tests of one mix have them to themselves.
type mix struct {
	name    string
	kinds   [2]servers.Kind
	servers [2]*servers.Server
	direct  [2]*sql.DB // the administrator's, around the proxy
}

var mixes = []mix{
	{name: "mariadb", kinds: [2]servers.Kind{servers.MariaDB, servers.MariaDB}},
	{name: "mariadb-binlog", kinds: [2]servers.Kind{servers.MariaDBBinlog, servers.MariaDBBinlog}},
	{name: "mysql", kinds: [2]servers.Kind{servers.MySQL, servers.MySQL}},
	{name: "mariadb-mysql", kinds: [2]servers.Kind{servers.MariaDB, servers.MySQL}},
	{name: "mariadb-postgres", kinds: [2]servers.Kind{servers.MariaDB, servers.Postgres}},
	{name: "mysql-postgres", kinds: [2]servers.Kind{servers.MySQL, servers.Postgres}},
}

// eachMix runs a test for every mix, all of them at once.
func eachMix(t *testing.T, test func(*testing.T, *mix)) {
	for _, m := range mixes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			m.boot(t)
			for _, s := range m.servers {
				if err := Participant.Prepare(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}
			test(t, &m)
		})
	}
}

// boot starts the servers for the length of the test.
func (m *mix) boot(t *testing.T) {
	t.Helper()
	var errs [2]error
	var both sync.WaitGroup
	for i, kind := range m.kinds {
		both.Go(func() {
			if m.servers[i], errs[i] = servers.Start(t.Context(), servers.Options{Kind: kind}); errs[i] == nil {
				m.direct[i], errs[i] = proxytest.Direct(t.Context(), m.servers[i])
			}
		})
	}
	both.Wait()
	for i := range m.kinds {
		if m.servers[i] != nil {
			t.Cleanup(func() {
				if err := m.servers[i].Stop(); err != nil {
					t.Error(err)
				}
			})
		}
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
	}
}

// execute runs a statement on both servers as the administrator.
func (m *mix) execute(t *testing.T, format string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i, db := range m.direct {
		if _, err := db.ExecContext(ctx, fmt.Sprintf(format, args...)); err != nil {
			t.Fatalf("%s: %v", m.servers[i], err)
		}
	}
}

// prepared lists the branches that server i holds prepared.
func (m *mix) prepared(t *testing.T, i int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	all, err := m.servers[i].Prepared(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const (
	// patience is how long a test waits for what must come; it is generous, because the machine may be busy.
	patience = 30 * time.Second
	// promised is within which time after everything runs again nothing may be in doubt any more.
	promised = 10 * time.Second
	// pollInterval is the pause between two looks at a condition.
	pollInterval = 20 * time.Millisecond
)

// eventually waits until check returns nil, and fails with what it last returned when that takes too long.
func eventually(t *testing.T, limit time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: not within %s: %v", what, limit, err)
		case <-tick.C:
		}
	}
}
