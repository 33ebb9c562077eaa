package integration

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// TestThousandClients lets 1,200 clients work over pools of four connections, with statements of their own and with
// transactions over both backends. All of them get on, and none holds a connection while it does nothing; one that is pinned
// holds one.
func TestThousandClients(t *testing.T) {
	t.Parallel()
	const clients, rounds, size = 1200, 1, 4
	s := newStack(t, mixes["mixed"], func(c *config.Config) {
		c.Server.MaxConnections = clients + 10
		for i := range c.Backends {
			c.Backends[i].PoolSize, c.Backends[i].PoolWait = size, config.Duration(time.Minute)
		}
	})
	pinned := s.conn()
	pinned.exec("CREATE TEMPORARY TABLE mine (n INT)")
	if s.busy(0) != 1 {
		t.Errorf("a pinned client holds %d connections", s.busy(0))
	}
	all := make([]*raw, clients)
	for i := range all {
		all[i] = s.raw()
	}
	if s.busy(0) != 1 || s.busy(1) != 0 {
		t.Errorf("clients that have only logged in hold %d and %d connections", s.busy(0)-1, s.busy(1))
	}
	stop := make(chan struct{})
	var watching, working sync.WaitGroup
	watching.Go(func() { // at no time does a server see more connections than the pool may have
		for {
			for i := range s.servers {
				if n := s.on(i, "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'SCHEMA'"); len(n) > 1 || n > fmt.Sprint(size) {
					t.Errorf("server %d has %s connections of the pool", i, n)
				}
			}
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	for i, c := range all {
		working.Go(func() {
			for range rounds {
				for _, q := range []string{
					fmt.Sprintf("INSERT INTO single (v) VALUES (%d)", i),
					"BEGIN", // the backends in one order, or clients would wait for each other's connections
					fmt.Sprintf("UPDATE accounts SET v = v + 1 WHERE id = %d", 2*i),
					fmt.Sprintf("UPDATE accounts SET v = v + 1 WHERE id = %d", 2*i+1),
					"COMMIT",
				} {
					if _, err := c.ask(q); err != nil {
						t.Errorf("client %d: %s: %v", i, q, err)
						return
					}
				}
			}
		})
	}
	working.Wait()
	close(stop)
	watching.Wait()
	if got := s.on(0, "SELECT COUNT(*), COUNT(DISTINCT v) FROM SCHEMA.single"); got != fmt.Sprintf("%d,%d", clients*rounds, clients) {
		t.Errorf("rows and clients that wrote them: %s", got)
	}
	if p := s.backends[0].Stats(); p.Waited == 0 || p.TimedOut != 0 || p.Open > size || p.Open-p.Free != 1 {
		t.Errorf("the pool afterwards: %+v", p)
	}
	pinned.exec("DROP TEMPORARY TABLE mine")
	s.atRest()
	s.nothingPrepared()
}

// TestPoolQueue takes the only connection and lets clients queue. They get it in the order in which they came, also when it
// has become too old in the meantime, and those who give up, in whatever way, are no hole in the queue.
func TestPoolQueue(t *testing.T) {
	t.Parallel()
	for name, lifetime := range map[string]time.Duration{"same connection": time.Hour, "new connections": time.Nanosecond} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, []servers.Kind{servers.MariaDB}, func(c *config.Config) {
				c.Backends[0].PoolSize, c.Backends[0].PoolWait = 1, config.Duration(time.Minute)
				c.Backends[0].MaxLifetime = config.Duration(lifetime)
			})
			holder, killer := s.raw(), s.raw()
			holder.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (1, 1)")
			const clients = 12
			queue, answers := make([]*raw, clients), make([]<-chan error, clients)
			for i := range queue {
				queue[i] = s.raw()
				answers[i] = later(func() error {
					_, err := queue[i].ask(fmt.Sprintf("INSERT INTO single (v) VALUES (%d)", i))
					return err
				})
				s.waiting(0, i+1)
			}
			queue[0].Close()
			s.waiting(0, clients-1)
			killer.exec(fmt.Sprintf("KILL QUERY %d", queue[4].id))
			if err := soon(t, "KILL QUERY", 5*time.Second, answers[4]); errno(err) != 1317 {
				t.Errorf("the killed client: %v", err)
			}
			killer.exec(fmt.Sprintf("KILL %d", queue[5].id))
			if err := soon(t, "KILL", 5*time.Second, answers[5]); err == nil {
				t.Error("a client whose connection was killed is served")
			}
			s.waiting(0, clients-3)
			holder.exec("COMMIT")
			var want []string
			for i := range queue {
				if i == 0 || i == 4 || i == 5 {
					continue
				}
				want = append(want, fmt.Sprint(i))
				if err := soon(t, "a client in the queue", 20*time.Second, answers[i]); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			}
			if got := s.on(0, "SELECT v FROM SCHEMA.single ORDER BY id"); got != strings.Join(want, " ") {
				t.Errorf("served in the order %s, want %s", got, strings.Join(want, " "))
			}
			queue[4].exec("INSERT INTO single (v) VALUES (100)") // its session goes on
			s.atRest()
		})
	}
}

// TestPoolWaitIsBounded lets clients queue for longer than pool_wait. Each waits that long and not longer, hears what was the
// matter, and goes on afterwards.
func TestPoolWaitIsBounded(t *testing.T) {
	t.Parallel()
	const wait = 300 * time.Millisecond
	s := newStack(t, []servers.Kind{servers.MariaDB}, func(c *config.Config) {
		c.Backends[0].PoolSize, c.Backends[0].PoolWait = 2, config.Duration(wait)
	})
	var holders []*raw
	for range 2 {
		holders = append(holders, s.raw())
		holders[len(holders)-1].exec("BEGIN", "INSERT INTO single (v) VALUES (1)")
	}
	var wg sync.WaitGroup
	for range 20 {
		c := s.raw()
		wg.Go(func() {
			begun := time.Now()
			_, err := c.ask("SELECT COUNT(*) FROM single")
			if took := time.Since(begun); errno(err) != 1040 || took < wait || took > wait+5*time.Second {
				t.Errorf("%v after %s", err, took)
			} else if text := err.Error(); !strings.Contains(text, "b0") || !strings.Contains(text, "all 2 connections are in use") || !strings.Contains(text, "300ms") {
				t.Errorf("the error does not say what is the matter: %s", text)
			}
			if _, err := c.ask("SELECT @@autocommit IS NOT NULL"); errno(err) != 1040 {
				t.Errorf("the second try: %v", err)
			}
		})
	}
	wg.Wait()
	for _, h := range holders {
		h.exec("ROLLBACK")
	}
	s.raw().exec("SELECT COUNT(*) FROM single")
	s.atRest()
}

// load is clients that work until they are told to stop. One whose statement fails begins anew, on the same connection to the
// proxy.
type load struct {
	done     atomic.Int64
	stop     chan struct{}
	stopping sync.Once
	working  sync.WaitGroup
	mu       sync.Mutex
	errs     map[string]int  // protected by mu: by errno
	slowest  time.Duration   // protected by mu
	took     []time.Duration // protected by mu: of each statement
}

func (s *stack) load(clients int, statements func(client int) []string) *load {
	l := &load{stop: make(chan struct{}), errs: make(map[string]int)}
	for i := range clients {
		c := s.raw()
		l.working.Go(func() {
			defer c.Close()
			for {
				for _, q := range statements(i) {
					select {
					case <-l.stop:
						return
					default:
					}
					begun := time.Now()
					_, err := c.ask(q)
					l.note(err, time.Since(begun))
					if err != nil && errno(err) == 0 {
						return // the connection broke, which the test looks at
					} else if err != nil {
						break
					}
				}
			}
		})
	}
	s.t.Cleanup(func() { l.end() })
	return l
}

func (l *load) note(err error, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowest = max(l.slowest, took)
	l.took = append(l.took, took)
	switch {
	case err == nil:
		l.done.Add(1)
	case errno(err) == 0:
		l.errs[err.Error()]++
	default:
		l.errs[fmt.Sprint(errno(err))]++
	}
}

// end stops the clients and returns the errors they saw, and how long the slowest statement took.
func (l *load) end() (errs []string, slowest time.Duration) {
	l.stopping.Do(func() { close(l.stop) })
	l.working.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := range l.errs {
		errs = append(errs, e)
	}
	slices.Sort(errs)
	return errs, l.slowest
}

// within is the time within which so many of a hundred statements were answered. The clients have ended.
func (l *load) within(percent int) time.Duration {
	slices.Sort(l.took)
	return l.took[(len(l.took)-1)*percent/100]
}

// goesOn waits until so many more statements have succeeded.
func (l *load) goesOn(t testing.TB, n int64) {
	t.Helper()
	from := l.done.Load()
	until(t, "the clients get on", func() bool { return l.done.Load() >= from+n })
}

// ownServer boots a server of the test's own and puts it in front of the others of the stack.
func ownServer(t *testing.T, kind servers.Kind, args ...string) *servers.Server {
	t.Helper()
	s, err := servers.Start(t.Context(), servers.Options{Kind: kind, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, s.Stop()) })
	return s
}
