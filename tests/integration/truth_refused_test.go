package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/chaos"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// TestTruthOfErrors: an error that a server answers to a COMMIT is told as a rollback only if it is one. Here the commit has happened.
func TestTruthOfErrors(t *testing.T) {
	for _, store := range []string{config.FileStore, config.ParticipantStore} {
		for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MySQL}, {servers.MySQL, servers.MariaDBBinlog}} {
			t.Run(fmt.Sprint(store, kinds), func(t *testing.T) {
				t.Parallel()
				s, taps := tapped(t, kinds, func(cfg *config.Config) { cfg.Decision.Store = store })
				c := s.conn()
				c.exec("INSERT INTO accounts (id, v) VALUES (1, 0), (2, 0)")
				spoil := func(steps ...chaos.Step) {
					for _, tap := range taps {
						tap.SetHook(func(e chaos.Event) chaos.Verdict {
							for _, step := range steps {
								if e.Step == step && e.Point == chaos.Answered {
									return chaos.Spoil
								}
							}
							return chaos.Pass
						})
					}
				}
				for id := 1; id <= 2; id++ {
					c.exec("BEGIN", fmt.Sprintf("UPDATE accounts SET v = 1 WHERE id = %d", id))
					spoil(chaos.OnePhase, chaos.Commit)
					if e := c.fails(20041, "COMMIT"); !strings.Contains(e, "the outcome of transaction xp") || !strings.Contains(e, "No space left on device") {
						t.Error(e)
					}
					spoil()
				}
				if got := c.rows("SELECT v FROM accounts ORDER BY id LOCK IN SHARE MODE"); got != "1 1" {
					t.Errorf("values %s", got)
				}
				if store == config.FileStore {
					return
				}
				c.exec("BEGIN", "UPDATE accounts SET v = 2 WHERE id = 1", "UPDATE accounts SET v = 2 WHERE id = 2")
				spoil(chaos.Decide)
				c.exec("COMMIT") // its owner asks what the record says
				spoil()
				if got := c.rows("SELECT v FROM accounts ORDER BY id LOCK IN SHARE MODE"); got != "2 2" {
					t.Errorf("values %s", got)
				}
			})
		}
	}
}

// TestTruthOfRefusals: what real servers answer to the COMMIT of the only writer, when it is not let through, is told as what it is.
func TestTruthOfRefusals(t *testing.T) {
	for _, store := range []string{config.FileStore, config.ParticipantStore} {
		for _, k := range recoveryKinds {
			t.Run(store+"/"+string(k), func(t *testing.T) {
				t.Parallel() // its server is its own
				b := newBench(t, "b0", k)
				b.limit()
				s := newStackOn(t, []*servers.Server{b.server}, func(cfg *config.Config) {
					cfg.Decision.Store, cfg.Decision.PrepareTimeout = store, config.Duration(20*time.Second)
				})
				s.conn().exec("INSERT INTO accounts (id, v) VALUES (1, 0)")
				locker, err := b.root.Conn(t.Context()) // a global lock is a session's
				check(t, err)
				defer func() { check(t, locker.Close()) }()
				value, lock := 0, func(statement string) {
					t.Helper()
					_, err := locker.ExecContext(t.Context(), statement)
					check(t, err)
				}
				for _, way := range []struct {
					name      string
					begin     string // as the administrator, before COMMIT
					waits     bool   // COMMIT waits
					meanwhile func(id string)
					end       string
					committed bool
					open      bool // servers differ in what becomes of it
				}{
					{name: "read-only", begin: "SET GLOBAL read_only = 1", end: "SET GLOBAL read_only = 0"},
					{name: "killed while it waits", begin: "FLUSH TABLES WITH READ LOCK", waits: true, meanwhile: func(id string) { b.exec("KILL QUERY " + id) }, end: "UNLOCK TABLES"},
					{name: "connection killed while it waits", begin: "FLUSH TABLES WITH READ LOCK", waits: true, meanwhile: func(id string) { b.exec("KILL " + id) }, end: "UNLOCK TABLES", open: true},
					{name: "held up", begin: "FLUSH TABLES WITH READ LOCK", waits: true, end: "UNLOCK TABLES", committed: true},
				} {
					c := s.conn()
					c.exec("BEGIN", fmt.Sprintf("UPDATE accounts SET v = %d WHERE id = 1", value+1))
					lock(way.begin)
					answered := make(chan error, 1)
					go func() {
						_, err := c.ExecContext(context.Background(), "COMMIT")
						answered <- err
					}()
					if way.waits {
						id := ""
						eventually(t, "COMMIT waits", func() bool {
							err := b.root.QueryRow("SELECT id FROM information_schema.processlist WHERE user = 'plain' AND info LIKE '%COMMIT%' AND state LIKE 'Waiting for%'").Scan(&id)
							return err == nil
						})
						if way.meanwhile != nil {
							way.meanwhile(id)
						} else {
							lock(way.end)
						}
					}
					err := <-answered
					if way.meanwhile != nil || !way.waits {
						lock(way.end)
					}
					eventually(t, "the row is free", func() bool {
						_, err := b.root.Exec("SELECT * FROM " + s.schema + ".accounts WHERE id = 1 FOR UPDATE NOWAIT")
						return err == nil
					})
					var now int
					check(t, b.root.QueryRow("SELECT v FROM "+s.schema+".accounts WHERE id = 1").Scan(&now))
					t.Logf("%s: %v; %d, was %d", way.name, err, now, value)
					said, _ := err.(*mysql.MySQLError)
					switch {
					case err == nil && now != value+1, err != nil && said == nil, said != nil && said.Number != 20041 && now != value:
						t.Errorf("%s: told %v, and the row has %d, it had %d", way.name, err, now, value)
					case !way.open && way.committed != (now == value+1):
						t.Errorf("%s: committed %t", way.name, !way.committed)
					}
					value = now
				}
			})
		}
	}
}
