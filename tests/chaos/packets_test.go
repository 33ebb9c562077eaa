package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// packets is a hook that notes what every packet to a server is.
type packets struct {
	slow bool // what servers say about branches comes late; set before the hook

	mu    sync.Mutex // protects steps
	steps map[string][]string
}

// ours is hook without the connections on which no client's transaction was ever started: those of recovery and of heartbeats.
func (p *packets) ours(e Event) Verdict {
	if strings.Contains(e.Opening, ".t") {
		if p.slow && e.Point == Answered && e.Step != Start && e.Step != Other {
			<-time.After(100 * time.Millisecond) // longer than one answer may keep others waiting
		}
		return p.hook(e)
	}
	return Pass
}

func (p *packets) hook(e Event) Verdict {
	if e.Point == Asked {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.steps[e.Tap] = append(p.steps[e.Tap], string(e.Step))
	}
	return Pass
}

// take returns what was noted since it was called last, by tap.
func (p *packets) take() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	said := make(map[string]string)
	for tap, steps := range p.steps {
		said[tap] = strings.Join(steps, " ")
	}
	p.steps = make(map[string][]string)
	return said
}

// A transaction costs each server the packets that docs/protocol.md says, and one on a single backend of the participant store no more
// than a client's own. It makes no difference to that how long the answers take.
func TestPackets(t *testing.T) {
	on := map[string]*servers.Server{"a": servertest.Get(t, servers.MariaDB), "b": servertest.Get(t, servers.MySQL)}
	on["c"] = on["a"] // two backends may be on one server
	for _, run := range []struct {
		store Store
		slow  bool
	}{{File, false}, {File, true}, {Participant, false}, {Participant, true}} {
		store := run.store
		t.Run(fmt.Sprintf("%s, slow %v", store, run.slow), func(t *testing.T) {
			noted := packets{slow: run.slow, steps: make(map[string][]string)}
			o := proxytest.Options{Decision: store.Lines()}
			schemas := make(map[string]string)
			for _, name := range []string{"a", "b", "c"} {
				s := on[name]
				if err := store.Prepare(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				schemas[name] = servertest.Database(t, s)
				db, err := s.DB()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := db.ExecContext(t.Context(), "CREATE TABLE "+schemas[name]+".t AS SELECT 1 AS id, 0 AS n"); err != nil {
					t.Fatal(err)
				}
				tap := newTap(t, name, s.Addr())
				tap.SetHook(noted.ours)
				o.Backends = append(o.Backends, proxytest.On(name, s).Via(tap.Addr()))
				o.Schemas = append(o.Schemas, config.Schema{Name: schemas[name], Backend: name})
			}
			conn, err := proxytest.Run(t, o).DB(t, "").Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			write := func(name string) string { return "UPDATE " + schemas[name] + ".t SET n = n + 1" }
			read := func(name string) string { return "SELECT n FROM " + schemas[name] + ".t" }
			for range 2 { // the first time connections are made
				for _, c := range []struct {
					name              string
					work              []string
					end               string
					file, participant map[string]string
				}{
					{
						"two writers",
						[]string{write("a"), write("b")},
						"COMMIT",
						map[string]string{"a": "start prepare commit", "b": "start prepare commit"},
						map[string]string{"a": "start decide", "b": "start prepare commit"},
					},
					{
						"two writers, the other way",
						[]string{write("b"), write("a")},
						"COMMIT",
						map[string]string{"a": "start prepare commit", "b": "start prepare commit"},
						map[string]string{"a": "start prepare commit", "b": "start decide"},
					},
					{
						"three writers",
						[]string{write("a"), write("b"), write("c")},
						"COMMIT",
						map[string]string{"a": "start prepare commit", "b": "start prepare commit", "c": "start prepare commit"},
						map[string]string{"a": "start decide", "b": "start prepare commit", "c": "start prepare commit"},
					},
					{
						"a writer and a reader",
						[]string{write("a"), read("b")},
						"COMMIT",
						map[string]string{"a": "start one-phase", "b": "start rollback"},
						map[string]string{"a": "start commit", "b": "start rollback"},
					},
					{
						"a reader and a writer",
						[]string{read("a"), write("b")},
						"COMMIT",
						map[string]string{"a": "start rollback", "b": "start one-phase"},
						map[string]string{"a": "start rollback", "b": "start one-phase"},
					},
					{
						"one backend",
						[]string{write("a"), write("a")},
						"COMMIT",
						map[string]string{"a": "start other one-phase"},
						map[string]string{"a": "start other commit"},
					},
					{
						"rolled back",
						[]string{write("a"), write("b")},
						"ROLLBACK",
						map[string]string{"a": "start rollback", "b": "start rollback"},
						map[string]string{"a": "start rollback", "b": "start rollback"},
					},
				} {
					noted.take()
					execute(t, conn, append(append([]string{"START TRANSACTION"}, c.work...), c.end)...)
					want := map[Store]map[string]string{File: c.file, Participant: c.participant}[store]
					if got := noted.take(); fmt.Sprint(got) != fmt.Sprint(want) {
						t.Errorf("%s: packets %v, want %v", c.name, got, want)
					}
				}
			}
			if store == Participant {
				statements := []string{"START TRANSACTION", write("a"), write("a"), "COMMIT"}
				execute(t, conn, statements...)
				ours := noted.take()["a"]
				tap := newTap(t, "direct", on["a"].Addr())
				tap.SetHook(noted.hook)
				execute(t, tapped(t, on["a"], tap), statements...)
				if direct := noted.take()["direct"]; len(strings.Fields(ours)) > len(strings.Fields(direct)) {
					t.Errorf("a transaction on one backend takes the packets %q, and %q without the proxy", ours, direct)
				}
			}
		})
	}
}

// execute runs statements on one connection.
func execute(t *testing.T, conn *sql.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := conn.ExecContext(ctx, s)
		cancel()
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}
