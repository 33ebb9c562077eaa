package integration

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/chaos"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// tapped is a stack whose second backend, and with decider its first one too, is behind a tap.
func tapped(t *testing.T, kinds []servers.Kind, change func(*config.Config)) (*stack, []*chaos.Tap) {
	t.Helper()
	var taps []*chaos.Tap
	s := newStack(t, kinds, func(cfg *config.Config) {
		for i := range cfg.Backends {
			b := &cfg.Backends[i]
			tap, err := chaos.NewTap(b.Name, fmt.Sprintf("%s:%d", b.Host, b.Port))
			check(t, err)
			t.Cleanup(func() {
				tap.SetHook(nil)
				check(t, tap.Close())
			})
			taps = append(taps, tap)
			if _, err := fmt.Sscanf(strings.TrimPrefix(tap.Addr(), "127.0.0.1:"), "%d", &b.Port); err != nil {
				t.Fatal(err)
			}
		}
		change(cfg)
	})
	return s, taps
}

// TestTruthOfCommit: COMMIT is answered OK if and only if it is decided, with a warning when it is not yet seen everywhere; with an error that
// says that everything is rolled back if it is; and with one of its own if nobody knows.
func TestTruthOfCommit(t *testing.T) {
	for _, store := range []string{config.FileStore, config.ParticipantStore} {
		for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MySQL}, {servers.MySQL, servers.MariaDB}} {
			t.Run(fmt.Sprint(store, kinds), func(t *testing.T) {
				t.Parallel()
				s, taps := tapped(t, kinds, func(cfg *config.Config) {
					cfg.Decision.Store, cfg.Decision.CommitWait, cfg.Decision.PrepareTimeout = store, config.Duration(200*time.Millisecond), config.Duration(2*time.Second)
				})
				s.conn().exec("INSERT INTO accounts (id, v) VALUES (1, 0), (2, 0)")
				begin := func() *conn {
					c := s.conn()
					c.exec("BEGIN", "UPDATE accounts SET v = v + 1 WHERE id = 2", "UPDATE accounts SET v = v + 1 WHERE id = 1")
					return c
				}
				settled := func(want string) {
					t.Helper()
					eventually(t, "the values are "+want, func() bool { return s.conn().rows("SELECT v FROM accounts ORDER BY id LOCK IN SHARE MODE") == want })
				}

				// Decided, and phase two is late.
				hold := make(chan struct{})
				taps[1].SetHook(func(e chaos.Event) chaos.Verdict {
					if e.Step == chaos.Commit && e.Point == chaos.Asked {
						<-hold
					}
					return chaos.Pass
				})
				c := begin()
				c.exec("COMMIT")
				if got := c.rows("SHOW WARNINGS"); !strings.HasPrefix(got, "Warning,1105,transaction xp") || !strings.Contains(got, "is committed; a branch of it is still to be finished") {
					t.Errorf("late: warnings %q", got)
				}
				if got := c.rows("SELECT v FROM accounts WHERE id = 2"); got != "1" {
					t.Errorf("late: the first branch has %s", got)
				}
				close(hold)
				taps[1].SetHook(nil)
				settled("1 1")

				// A vote is no: the server's own error.
				c = begin()
				taps[1].SetHook(func(e chaos.Event) chaos.Verdict {
					if e.Step == chaos.Prepare && e.Point == chaos.Asked {
						return chaos.Cut
					}
					return chaos.Pass
				})
				if e := c.fails(1180, "COMMIT"); !strings.Contains(e, "rolled back on all backends, it can be tried again") {
					t.Errorf("no vote: %s", e)
				}
				taps[1].SetHook(nil)
				settled("1 1")

				// The one who decides alone gives no answer: nobody knows.
				c = s.conn()
				c.exec("BEGIN", "UPDATE accounts SET v = v + 1 WHERE id = 1")
				taps[1].SetHook(func(e chaos.Event) chaos.Verdict {
					if (e.Step == chaos.OnePhase || e.Step == chaos.Commit) && e.Point == chaos.Answered {
						return chaos.Cut
					}
					return chaos.Pass
				})
				if e := c.fails(20041, "COMMIT"); !strings.Contains(e, "the outcome of transaction xp") {
					t.Errorf("unknown: %s", e)
				}
				taps[1].SetHook(nil)
				settled("2 1")
				if store == config.FileStore {
					return
				}

				// The decider gives no answer: its owner asks, again until it is answered, and knows.
				for _, point := range []chaos.Point{chaos.Asked, chaos.Answered} {
					c = begin()
					var asked atomic.Int32
					taps[0].SetHook(func(e chaos.Event) chaos.Verdict {
						if e.Step == chaos.Decide && e.Point == point {
							return chaos.Cut
						}
						if strings.HasPrefix(e.Text, "SELECT gtrid, verdict") && e.Point == chaos.Asked && asked.Add(1) <= 3 {
							return chaos.Cut
						}
						return chaos.Pass
					})
					if point == chaos.Asked {
						c.fails(1180, "COMMIT")
						settled("2 1")
					} else {
						c.exec("COMMIT")
						settled("3 2")
					}
					taps[0].SetHook(nil)
				}
			})
		}
	}
}

// TestEarlyAnswer: with early_answer COMMIT is answered when it is decided, without a warning, and the branches follow.
func TestEarlyAnswer(t *testing.T) {
	for _, store := range []string{config.FileStore, config.ParticipantStore} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s, taps := tapped(t, []servers.Kind{servers.MariaDB, servers.MySQL}, func(cfg *config.Config) {
				cfg.Decision.Store, cfg.Decision.EarlyAnswer, cfg.Decision.CommitWait = store, true, config.Duration(time.Minute)
			})
			c := s.conn()
			c.exec("INSERT INTO accounts (id, v) VALUES (1, 0)", "INSERT INTO accounts (id, v) VALUES (2, 0)")
			hold, once := make(chan struct{}), sync.Once{}
			defer once.Do(func() { close(hold) })
			taps[1].SetHook(func(e chaos.Event) chaos.Verdict {
				if e.Step == chaos.Commit && e.Point == chaos.Asked {
					<-hold
				}
				return chaos.Pass
			})
			c.exec("BEGIN", "UPDATE accounts SET v = 1 WHERE id = 2", "UPDATE accounts SET v = 1 WHERE id = 1", "COMMIT")
			if got := c.rows("SHOW WARNINGS"); got != "" {
				t.Errorf("warnings %q", got)
			}
			if got := c.rows("SELECT v FROM accounts WHERE id = 1"); got != "0" {
				t.Errorf("the branch that is held has %s: is it answered early?", got)
			}
			once.Do(func() { close(hold) })
			if got := c.rows("SELECT v FROM accounts WHERE id = 1 LOCK IN SHARE MODE"); got != "1" {
				t.Errorf("a locking read has %s", got)
			}
		})
	}
}
