package main

import (
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/admin"
	"github.com/xaproxy/xaproxy/recovery"
)

func table(columns string, rows ...[]any) admin.Table {
	t := admin.Table{Rows: rows}
	for _, name := range strings.Fields(columns) {
		t.Columns = append(t.Columns, admin.TableColumn{Name: name})
	}
	return t
}

// A frame has backends with their connections, and the rows of its view in their order, each on one line, whatever clients have sent.
func TestTop(t *testing.T) {
	now := time.Date(2026, 11, 27, 1, 0, 0, 0, time.UTC)
	tables := []admin.Table{
		table("name state prepared in_doubt oldest_seconds reason", []any{"a", "up", 0.0, 0.0, 0.0, ""}, []any{"b", "down", 2.0, 1.0, 90.5, "no route"}),
		table("backend used open size waiting", []any{"b", 1.0, 2.0, 64.0, 3.0}),
		table(""),
		table("id user host state state_seconds backends gtrid statement", []any{1.0, "app", "h", "idle", 1.0, "", "", ""}, []any{2.0, "app", "h", "running", 7.25, "b", "x1", "SELECT\n\x1b[2J1"}),
	}
	got := topFrame(recovery.Status{Version: "v1", Started: now.Add(-time.Minute), Sessions: 2, InFlight: 1}, tables, &topViews[0], now)
	want := `xaproxy v1, up 1m0s: 2 clients, 1 transactions in flight, 0 decisions unfinished, 0 heuristic

BACKEND  STATE  USED  OPEN  SIZE  WAITING  PREPARED  IN DOUBT  OLDEST  REASON
a        up     -     -     -     -        0         0         0.000   
b        down   1     2     64    3        2         1         90.500  no route

sessions, the longest in their state first   [s t b p l e space q]
ID  USER  HOST  STATE    STATE  BACKENDS  GTRID  STATEMENT
2   app   h     running  7.250  b         x1     SELECT [2J1
1   app   h     idle     1.000                   
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
	if got := cut("one\ntwo two\nthree\n", 4, 2); got != "one\r\ntwo…" {
		t.Errorf("cut: %q", got)
	}
	shown := &top{view: &topViews[0]}
	if shown.press('t') || shown.view.table != "transactions" || shown.press(' ') || !shown.paused || !shown.press('q') {
		t.Errorf("keys: %+v", shown)
	}
}
