package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/chaos"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// storyTold are the lines of docs/operating.md that say where something is to be seen in the story, and what: those before it is over, and those after.
func storyTold(t *testing.T) (before, after [][2]string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/operating.md")
	check(t, err)
	_, story, found := strings.Cut(string(text), "\n## A backend freezes in mid-commit\n")
	story, _, ends := strings.Cut(story, "\n## ")
	first, second, both := strings.Cut(story, "When it goes on:")
	if !found || !ends || !both {
		t.Fatal("docs/operating.md does not tell the story")
	}
	line := regexp.MustCompile(`(?m)^    (\S+) {2,}(.+)$`)
	for _, m := range line.FindAllStringSubmatch(first, -1) {
		before = append(before, [2]string{m[1], m[2]})
	}
	for _, m := range line.FindAllStringSubmatch(second, -1) {
		after = append(after, [2]string{m[1], m[2]})
	}
	if len(before) < 10 || len(after) < 5 {
		t.Fatalf("docs/operating.md tells %d and %d things", len(before), len(after))
	}
	return before, after
}

// seen waits until all of it is to be seen.
func (w *watched) seen(gtrid string, all [][2]string) {
	w.t.Helper()
	root := w.conn("root", "pw")
	for _, one := range all {
		where, what := one[0], strings.ReplaceAll(one[1], "GTRID", gtrid)
		waitFor(w.t, fmt.Sprintf("%s has %s", where, what), func() bool {
			switch where {
			case "log":
				return len(w.Log.Grep(what)) > 0
			case "SQL":
				query, answer, _ := strings.Cut(what, " => ")
				return strings.Contains(root.rows(query), answer)
			}
			_, text := w.get(where, adminToken)
			return strings.Contains(text, what)
		})
	}
}

// A server freezes when XA COMMIT is on its way to it. Everything that docs/operating.md says is to be seen; it goes on, and the transaction is finished.
func TestStoryOfAFrozenBackend(t *testing.T) {
	t.Parallel()
	before, after := storyTold(t)
	cold := ownServer(t, servers.MariaDB)
	tap, err := chaos.NewTap("b1", cold.Addr())
	check(t, err)
	var frozen atomic.Bool
	tap.SetHook(func(e chaos.Event) chaos.Verdict {
		if e.Step == chaos.Commit && e.Point == chaos.Asked && frozen.CompareAndSwap(false, true) {
			check(t, cold.Freeze())
		}
		return chaos.Pass
	})
	w := newWatched(t, []*servers.Server{servertest.Get(t, servers.MySQL), cold}, func(o *proxytest.Options) {
		o.Backends[1] = o.Backends[1].Via(tap.Addr())
		o.Server = []string{`slow_statement = "500ms"`}
		o.PrepareTimeout, o.CommitWait = time.Minute, time.Second
	})
	t.Cleanup(func() { _ = tap.Close(); _ = cold.Thaw() }) // before the proxy is stopped: it must not wait
	c := w.conn(proxytest.User, proxytest.Password)
	c.exec("BEGIN", "INSERT INTO accounts VALUES (2, 1)", "INSERT INTO accounts VALUES (3, 1)")
	status, text := w.get("/live/transactions", adminToken)
	var running struct{ Rows [][]any }
	if err := json.Unmarshal([]byte(text), &running); err != nil || len(running.Rows) != 1 {
		t.Fatalf("%d %s", status, text)
	}
	gtrid := running.Rows[0][0].(string)
	c.exec("COMMIT")
	if !frozen.Load() {
		t.Fatal("the server was never frozen")
	}
	w.seen(gtrid, before)
	c.fails(1429, "SELECT v FROM accounts WHERE id = 3")
	c.exec("SELECT v FROM accounts WHERE id = 2")

	check(t, cold.Thaw())
	w.seen(gtrid, after)
	if got := c.rows("SELECT id FROM accounts ORDER BY id"); got != "2 3" {
		t.Errorf("the accounts are %s, want all that the transaction has made", got)
	}
}
