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

// ours is hook without the connections on which no client's transaction was ever started: those of recovery and of heartbeats; and without
// the questions about PostgreSQL's tables, which are asked again after five seconds.
func (p *packets) ours(e Event) Verdict {
	if (strings.Contains(e.Opening, ".t") || strings.Contains(e.Opening, `."t"`)) && !strings.Contains(e.Text, "pg_attribute") {
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
	on := map[string]*servers.Server{"a": servertest.Get(t, servers.MariaDB), "b": servertest.Get(t, servers.MySQL), "p": servertest.Get(t, servers.Postgres)}
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
			for _, name := range []string{"a", "b", "c", "p"} {
				s := on[name]
				if err := store.Prepare(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				db, err := proxytest.Direct(t.Context(), s)
				if err != nil {
					t.Fatal(err)
				}
				if schemas[name] = fmt.Sprintf("packets_%s_%v", store, run.slow); s.Kind != servers.Postgres { // where a schema is none of its databases
					schemas[name] = servertest.Database(t, s)
				}
				for _, q := range []string{"CREATE DATABASE IF NOT EXISTS " + schemas[name], "CREATE TABLE " + schemas[name] + ".t (id INT, n INT)", "INSERT INTO " + schemas[name] + ".t VALUES (1, 0)"} {
					if _, err := db.ExecContext(t.Context(), q); err != nil {
						t.Fatal(err)
					}
				}
				tap := newTapOf(t, name, s)
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
					{
						"MySQL decides, and PostgreSQL writes",
						[]string{write("b"), write("p"), write("p")},
						"COMMIT",
						map[string]string{"b": "start prepare commit", "p": "start other prepare commit"},
						map[string]string{"b": "start decide", "p": "start other prepare commit"},
					},
					{
						"PostgreSQL decides",
						[]string{write("p"), write("p"), write("a")},
						"COMMIT",
						map[string]string{"a": "start prepare commit", "p": "start other prepare commit"},
						map[string]string{"a": "start prepare commit", "p": "start other decide"},
					},
					{
						"PostgreSQL writes, and the other reads",
						[]string{write("p"), read("a")},
						"COMMIT",
						map[string]string{"a": "start rollback", "p": "start one-phase"},
						map[string]string{"a": "start rollback", "p": "start one-phase"},
					},
					{
						"PostgreSQL alone",
						[]string{write("p"), write("p")},
						"COMMIT",
						map[string]string{"p": "start other one-phase"},
						map[string]string{"p": "start other one-phase"},
					},
					{
						"rolled back, also on PostgreSQL",
						[]string{write("p"), write("b")},
						"ROLLBACK",
						map[string]string{"b": "start rollback", "p": "start rollback"},
						map[string]string{"b": "start rollback", "p": "start rollback"},
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
