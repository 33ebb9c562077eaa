package clients

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/chaos"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// example is a program of docs/exactly-once.md. It finds in its environment also
//
//	DB_SCHEMA   the schema with accounts
//	DB_KEY      the commit key
//
// and moves 10 from account DB_BASE to DB_BASE+1.
type example struct {
	program
	language, source string // of its block in the page, and its file
}

var examples = []example{
	{program{name: "go-sql-driver", command: []string{"@/go/once"}}, "go", "go/once/main.go"},
	{program{name: "Connector J", command: []string{"java", "-cp", "@/java/*", "java/Once.java", "mysql"}}, "java", "java/Once.java"},
	{program{name: "MariaDB Connector J", command: []string{"java", "-cp", "@/java/*", "java/Once.java", "mariadb"}}, "java", "java/Once.java"},
	{program{name: "PyMySQL", command: []string{"@/python/bin/python", "python/once.py"}}, "python", "python/once.py"},
	{program{name: "mysql2", command: []string{"node", "node/once.js"}}, "js", "node/once.js"},
	{program{name: "PDO", command: []string{"php", "php/once.php"}}, "php", "php/once.php"},
}

// losses are the ways in which the first COMMIT of a program loses its connection. hook returns the hooks of the taps in front of the
// proxy and of one server; cut cuts all connections of clients.
var losses = []struct {
	name string
	hook func(cut func()) (client, server hook)
}{
	{"before it arrived", func(func()) (client, server hook) {
		return first(chaos.Commit, chaos.Asked, func() chaos.Verdict { return chaos.Cut }), nil
	}},
	{"with its answer", func(func()) (client, server hook) {
		return first(chaos.Commit, chaos.Answered, func() chaos.Verdict { return chaos.Cut }), nil
	}},
	{"while it is under way", func(cut func()) (client, server hook) {
		var lost atomic.Bool
		more, again := make(chan struct{}), 0
		client = func(e chaos.Event) chaos.Verdict {
			// Every attempt shows one of them, most both: after four there have been two or more, which were refused.
			if lost.Load() && e.Point == chaos.Asked && (e.Step == chaos.Start || strings.Contains(e.Text, "xaproxy_commit_key")) {
				if again++; again == 4 {
					close(more)
				}
			}
			return chaos.Pass
		}
		return client, first(chaos.Prepare, chaos.Answered, func() chaos.Verdict {
			lost.Store(true)
			cut()
			<-more
			return chaos.Pass
		})
	}},
}

type hook func(chaos.Event) chaos.Verdict

// first is a hook that does something the first time that a step comes to a point.
func first(step chaos.Step, point chaos.Point, do func() chaos.Verdict) hook {
	var done atomic.Bool
	return func(e chaos.Event) chaos.Verdict {
		if e.Step == step && e.Point == point && done.CompareAndSwap(false, true) {
			return do()
		}
		return chaos.Pass
	}
}

// The examples of docs/exactly-once.md do what they say, whenever their COMMIT loses its connection.
func TestExactlyOnce(t *testing.T) {
	home, away := servertest.Get(t, servers.MariaDB), servertest.Get(t, servers.MySQL)
	for _, s := range []*servers.Server{home, away} {
		execute(t, s, "", "CREATE DATABASE once", "CREATE TABLE once.accounts (id BIGINT PRIMARY KEY, v INT NOT NULL)")
	}
	behind := tap(t, away.Addr())
	proxy := proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{proxytest.On("even", home), proxytest.On("odd", away).Via(behind.Addr())},
		Tables:   []config.Table{{Schema: "once", Name: "accounts", Column: "id", Function: "modulo", Backends: []string{"even", "odd"}}},
		LogLevel: "info",
	})
	front := tap(t, proxy.Addr)
	base := 0
	for _, x := range examples {
		for _, loss := range losses {
			base += idsPerProgram
			t.Run(x.name+"/"+loss.name, func(t *testing.T) {
				execute(t, home, "once", fmt.Sprintf("INSERT INTO accounts VALUES (%d, 100)", base))
				execute(t, away, "once", fmt.Sprintf("INSERT INTO accounts VALUES (%d, 100)", base+1))
				client, server := loss.hook(func() { front.CutAll() })
				front.SetHook(client)
				behind.SetHook(server)
				t.Setenv("DB_SCHEMA", "once")
				t.Setenv("DB_KEY", fmt.Sprint("transfer-", base))
				if out, err := x.run(t, login{front.Addr(), proxytest.User, proxytest.Password}, "", base); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				for i, s := range []*servers.Server{home, away} {
					want := []string{"90", "110"}[i]
					if got := ask(t, s, fmt.Sprintf("SELECT v FROM once.accounts WHERE id = %d", base+i)); got != want {
						t.Errorf("%s has %s, want %s", s.Kind, got, want)
					}
				}
			})
		}
	}
}

func tap(t *testing.T, target string) *chaos.Tap {
	t.Helper()
	tap, err := chaos.NewTap("", target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tap.Close(); err != nil {
			t.Error(err)
		}
	})
	return tap
}

// The page shows the examples as they are.
func TestExactlyOncePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/exactly-once.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range examples {
		source, err := os.ReadFile(x.source)
		if err != nil {
			t.Fatal(err)
		}
		block := regexp.MustCompile("(?s)```" + x.language + "\n(.*?)```").FindSubmatch(page)
		switch {
		case block == nil:
			t.Errorf("docs/exactly-once.md has no example in %s", x.language)
		case !strings.Contains(string(source), string(block[1])):
			t.Errorf("docs/exactly-once.md shows\n%s\nwhich is not in %s", block[1], x.source)
		}
	}
}
