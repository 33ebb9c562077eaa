package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/xa"
)

// commands runs the program with one configuration.
type commands struct {
	t       *testing.T
	program string
	config  string
	dir     string // of the decision log
}

func newCommands(t *testing.T, backends ...*bench) *commands {
	t.Helper()
	dir, err := os.MkdirTemp("", "xp") // short enough for a socket in it
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	c := &commands{t: t, config: filepath.Join(dir, "config.toml"), dir: filepath.Join(dir, "log")}
	c.program, err = proxytest.Build(t.Context(), dir)
	check(t, err)
	var text strings.Builder
	text.WriteString("[decision]\ndir = \"log\"\n[[users]]\nname = \"u\"\npassword = \"p\"\n[[schemas]]\nname = \"d\"\nbackend = \"b1\"\n")
	for _, b := range backends {
		fmt.Fprintf(&text, "[[backends]]\nname = %q\nkind = %q\nhost = %q\nport = %d\nuser = %q\npassword = %q\n",
			b.config.Name, b.config.Kind, b.config.Host, b.config.Port, b.config.User, b.config.Password.Reveal())
	}
	check(t, os.WriteFile(c.config, []byte(text.String()), 0o600))
	return c
}

// participates lets the configuration keep decisions on the backends.
func (c *commands) participates() {
	c.t.Helper()
	text, err := os.ReadFile(c.config)
	check(c.t, err)
	check(c.t, os.WriteFile(c.config, bytes.Replace(text, []byte("[decision]\n"), []byte("[decision]\nstore = \"participant\"\n"), 1), 0o600))
}

// run runs a command, which must end with the status and last write the line; it returns what it wrote.
func (c *commands) run(status int, lastLine string, args ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Minute)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, c.program, append(args, "--config", c.config)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if got := cmd.ProcessState.ExitCode(); got != status || lastLine != "" && lines[len(lines)-1] != lastLine {
		c.t.Errorf("%q: status %d, want %d and in the end %q:\n%s", args, got, status, lastLine, out.String())
	}
	return out.String()
}

// The exit status tells a script how it stands, without a running proxy.
func TestRecoverCommandOffline(t *testing.T) {
	t.Parallel()
	b := newBench(t, "b1", servers.MariaDBBinlog)
	c := newCommands(t, b)
	if out := c.run(2, "", "recover", "--dry-run"); !strings.Contains(out, "no decision log is there") &&
		!strings.Contains(out, "no such file") {
		t.Errorf("without a log: %s", out)
	}
	c.run(0, "clean: nothing of ours is left", "recover") // makes the log
	log := openLog(t, c.dir)
	name := func(seq uint64) xa.XID {
		return ours(log, seq, "b1")
	}
	id := b.prepare(name(1).SQL(), 1, false)
	b.prepare(name(2).SQL(), 2, false)
	check(t, log.Append(xa.Decision{
		GTRID: name(1).GTRID, Time: time.Now(), Branches: []xa.BranchRef{{Backend: "b1", Server: b.identity(), ConnID: id}},
	}))
	if out := c.run(2, "", "recover"); !strings.Contains(out, fmt.Sprintf("process %d", os.Getpid())) || !strings.Contains(out, "does not answer") {
		t.Errorf("the log is in use: %s", out)
	}
	check(t, log.Close())

	c.run(1, "2 transactions of ours are not finished", "recover", "--dry-run")
	if n := len(b.prepared()); n != 2 {
		t.Errorf("%d branches after the dry run, want 2", n)
	}
	var r recovery.Report
	check(t, json.Unmarshal([]byte(c.run(0, "", "recover", "--json")), &r))
	if r.Committed != 1 || r.RolledBack != 1 || len(b.prepared()) != 0 || b.values() != "1,0,0,0" {
		t.Errorf("reports %+v; prepared %q, values %s", r, b.prepared(), b.values())
	}
	c.run(0, "clean: nothing of ours is left", "recover", "--dry-run")

	log = openLog(t, c.dir)
	gone := xa.Decision{GTRID: name(3).GTRID, Time: time.Now(), Branches: []xa.BranchRef{{Backend: "removed", Server: "x", ConnID: 1}}}
	gone.GTRID.Epoch = log.Epoch()
	check(t, log.Append(gone))
	check(t, log.Close())
	out := c.run(1, "1 transaction of ours is not finished", "recover")
	if !strings.Contains(out, "removed: not in the configuration") {
		t.Errorf("a backend was taken out of the configuration: %s", out)
	}

	check(t, b.server.Kill())
	c.run(2, "1 backend could not be looked at; 1 transaction of ours is not finished", "recover")
	check(t, os.WriteFile(c.config, []byte("colour = 1\n"), 0o600))
	c.run(2, "", "recover")
}

// With a running proxy the command asks it, and needs no lock.
func TestRecoverCommandOnline(t *testing.T) {
	t.Parallel()
	b := newBench(t, "b1", servers.MySQL)
	c := newCommands(t, b)
	if out := c.run(2, "", "status"); !strings.Contains(out, "no running xaproxy answers for the decision log in "+c.dir) {
		t.Errorf("status of nobody: %s", out)
	}
	log := openLog(t, c.dir)
	j := newJanitor(t, log, &lost{}, b)
	control, err := recovery.Serve(c.dir, j,
		func() recovery.Status {
			return recovery.Status{
				Version: "1.2.3", PID: os.Getpid(), Started: time.Now(), Listen: "127.0.0.1:3307", Coord: "0badcafe", Epoch: 4, Sessions: 5,
				InFlight: 6, Unfinished: 7, Heuristics: 8, Uncounted: []string{"b2"}, Backends: []recovery.BackendStatus{
					{Name: "b1", Kind: "mysql", Version: "9.7.4", Reachable: true, Open: 9, Busy: 2, Ours: 3, NotOurs: 1, OldestAgeSeconds: 61},
					{Name: "b2", Kind: "mariadb", Error: "connection refused"},
					{Name: "b3", Kind: "mysql", Version: "8.4", Reachable: true, Leaving: true},
				},
			}
		}, nil, nil)
	check(t, err)
	b.prepare(ours(log, 1, "b1").SQL(), 1, false)
	c.run(1, "1 transaction of ours is not finished", "recover", "--dry-run")
	c.run(0, "clean: nothing of ours is left; 1 branch rolled back", "recover")
	if len(b.prepared()) != 0 {
		t.Errorf("prepared: %q", b.prepared())
	}
	want := fmt.Sprintf(`xaproxy 1.2.3, process %d, listening on 127.0.0.1:3307, up T
log 0badcafe epoch 4: 6 in flight, 7 unfinished, 8 heuristic (not counted: b2); 5 clients

BACKEND  KIND     VERSION  CONNECTIONS  BUSY  OURS  OTHERS  OLDEST  STATE
b1       mysql    9.7.4    9            2     3     1       1m1s    up
b2       mariadb           0            0     0     0       0s      connection refused
b3       mysql    8.4      0            0     0     0       0s      leaving, up
`, os.Getpid())
	age := regexp.MustCompile(`, up \d+s\n`)
	if got := age.ReplaceAllString(c.run(0, "", "status"), ", up T\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var s recovery.Status
	check(t, json.Unmarshal([]byte(c.run(0, "", "status", "--json")), &s))
	if s.Unfinished != 7 || len(s.Backends) != 3 {
		t.Errorf("got %+v", s)
	}
	check(t, control.Close())
	c.run(2, "", "status")
}

// TestRecoverByHand: what is known of a transaction is shown, and a person may finish what no decision is there for, and nothing else.
func TestRecoverByHand(t *testing.T) {
	b := newBench(t, "b1", servers.MySQL)
	c := newCommands(t, b)
	c.run(0, "clean: nothing of ours is left", "recover") // makes the log
	log := openLog(t, c.dir)
	name := func(coord string, seq uint64) xa.XID {
		return xa.XID{GTRID: xa.GTRID{Coord: coord, Epoch: log.Epoch(), Seq: seq}, BQUAL: "b1"}
	}
	decided, undecided, lost := name(log.Coord(), 1), name(log.Coord(), 2), name("0badcafe", 3)
	id := b.prepare(decided.SQL(), 1, false)
	b.prepare(undecided.SQL(), 2, false)
	b.prepare(lost.SQL(), 3, false)
	check(t, log.Append(xa.Decision{
		GTRID: decided.GTRID, Time: time.Now(), Key: xa.Key{Name: "order-1"}, Branches: []xa.BranchRef{{Backend: "b1", Server: b.identity(), ConnID: id, Voted: time.Now()}},
	}))
	check(t, log.Close())
	shows := func(status int, want []string, args ...string) {
		t.Helper()
		out := c.run(status, "", args...)
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%q does not say %q:\n%s", args, w, out)
			}
		}
	}
	shows(0, []string{"would commit", "would roll back", "left alone"}, "recover", "list")
	shows(0, []string{"Z  VOTE: branch b1 is prepared", "COMMIT: decided for branch b1 (session ", "not recorded: which branches have committed", "with commit key 'order-1'", "is prepared on b1", "commit, because decided"}, "recover", "explain", decided.GTRID.String())
	shows(0, []string{"presumed abort", "rollback, because no decision in the log"}, "recover", "explain", undecided.GTRID.String())
	shows(0, []string{"other, decided by a decision log", "the store of another xaproxy", "untouched"}, "recover", "explain", lost.GTRID.String())
	shows(2, []string{"of the form neither"}, "recover", "explain", "x")
	if n := len(b.prepared()); n != 3 {
		t.Fatalf("%d branches, want all that were there", n)
	}

	g := lost.GTRID.String()
	shows(2, []string{"either --commit or --rollback"}, "recover", "resolve", g, "--force")
	shows(2, []string{"nobody can undo it"}, "recover", "resolve", g, "--commit")
	shows(2, []string{"not confirmed"}, "recover", "resolve", g, "--commit", "--force")
	shows(2, []string{"the decision says otherwise"}, "recover", "resolve", decided.GTRID.String(), "--rollback", "--force", "--yes")
	shows(2, []string{"never touched"}, "recover", "resolve", "someone-else", "--rollback", "--force", "--yes")
	shows(0, []string{"commit by hand; the decision was: unknown", "branch b1 on b1: commit by hand"}, "recover", "resolve", g, "--commit", "--force", "--yes")
	shows(0, []string{"recorded in the store of decisions"}, "recover", "resolve", undecided.GTRID.String(), "--commit", "--force", "--yes")
	shows(0, []string{"HEUR: branch b1: commit by hand, by ", "the decision was: none, so that recovery would roll back"}, "recover", "explain", undecided.GTRID.String())
	c.run(0, "clean: nothing of ours is left; 1 branch committed", "recover")
	shows(0, []string{"COMMITTED: branch b1, by recovery", "DONE: every branch"}, "recover", "explain", decided.GTRID.String())
	if got := b.values(); got != "1,1,1,0" {
		t.Errorf("values %s, want 1,1,1,0", got)
	}
}

// TestRecoverByHandParticipant: a decider that is gone for good leaves branches that only a person may finish.
func TestRecoverByHandParticipant(t *testing.T) {
	for _, k := range recoveryKinds {
		t.Run(string(k), func(t *testing.T) { recoverByHandParticipant(t, k) })
	}
}

func recoverByHandParticipant(t *testing.T, k servers.Kind) {
	a, b := newBench(t, "b1", servers.MariaDB), newBench(t, "b2", k)
	c := newCommands(t, a, b)
	c.participates()
	c.run(1, "", "serve") // the tables are missing
	c.run(1, "", "doctor")
	c.run(0, "", "doctor", "--fix")
	x := xa.XID{GTRID: xa.GTRID{Coord: "0badcafe", Epoch: 1, Seq: 0xabc, Decider: "b1"}, BQUAL: "b2"}
	b.held(x, 1) // and its session is still there
	check(t, a.server.Kill())
	out := c.run(2, "", "recover")
	if n := len(b.prepared()); n != 1 {
		t.Fatalf("%d branches without the decider, want 1:\n%s", n, out)
	}
	out = c.run(0, "", "recover", "explain", x.GTRID.String())
	for _, want := range []string{"ours, decided by a row on its decider b1", "nothing is known of the decision: decider b1", "undecidable", "not looked at: b1"} {
		if !strings.Contains(out, want) {
			t.Errorf("explain does not say %q:\n%s", want, out)
		}
	}
	out = c.run(2, "", "recover", "resolve", x.GTRID.String(), "--commit", "--force", "--yes")
	if !strings.Contains(out, "on b2: commit by hand; recorded in the store of decisions") || !strings.Contains(out, "branch b2") || b.values() != "1,0,0,0" {
		t.Errorf("values %s:\n%s", b.values(), out)
	}
	out = c.run(0, "", "recover", "explain", x.GTRID.String())
	if !strings.Contains(out, "nothing is known of the decision") || !strings.Contains(out, "HEUR: branch b2: commit by hand, by ") || !strings.Contains(out, "incidents on b1: they cannot be read") {
		t.Errorf("explain:\n%s", out)
	}
	var what string
	check(t, b.root.QueryRow("SELECT what FROM xaproxy.xaproxy_incident").Scan(&what))
	if !strings.HasPrefix(what, "commit by hand, by ") {
		t.Errorf("incident %q", what)
	}
}
