package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/xaproxy/xaproxy/admin"
	"github.com/xaproxy/xaproxy/recovery"
)

// topView is a table that xaproxy top shows below its head.
type topView struct {
	key     byte
	table   string
	about   string
	columns []string // of the table, in this order
	order   string   // column by which the rows come, the largest first; "": as they come
}

var topViews = []topView{
	{'s', "sessions", "sessions, the longest in their state first", []string{"id", "user", "host", "state", "state_seconds", "backends", "gtrid", "statement"}, "state_seconds"},
	{'t', "transactions", "transactions in flight, the oldest first", []string{"gtrid", "session", "state", "state_seconds", "age_seconds", "backends", "recorded"}, "age_seconds"},
	{'b', "branches", "branches, the oldest first", []string{"gtrid", "backend", "state", "in_doubt", "age_seconds", "verdict", "reason"}, "age_seconds"},
	{'p', "plans", "shapes of statements, by the time that they took together", []string{"executions", "total_seconds", "average_seconds", "longest_seconds", "plan", "statement"}, "total_seconds"},
	{'l', "slow_statements", "the last slow statements", []string{"at", "took_seconds", "queued_seconds", "user", "backends", "statement"}, ""},
	{'e', "events", "the last lines of the log", []string{"at", "level", "message", "backend", "gtrid", "fields"}, ""},
}

// topKeys says which keys there are.
func topKeys() string {
	var b strings.Builder
	b.WriteString("Keys:\n")
	for _, v := range topViews {
		fmt.Fprintf(&b, "  %c      %s\n", v.key, v.about)
	}
	b.WriteString("  space  hold still, or go on\n  q      end\n")
	return b.String()
}

// topFrame writes the head (how it stands, backends with their connections, transactions by state) and the table of the view. tables are backends, pools, transactions and that.
func topFrame(s recovery.Status, tables []admin.Table, v *topView, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "xaproxy %s, up %s: %d clients, %d transactions in flight, %d decisions unfinished, %d heuristic\n\n",
		s.Version, now.Sub(s.Started).Round(time.Second), s.Sessions, s.InFlight, s.Unfinished, s.Heuristics)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0) // its errors are those of b, which has none
	fmt.Fprintln(w, "BACKEND\tSTATE\tUSED\tOPEN\tSIZE\tWAITING\tPREPARED\tIN DOUBT\tOLDEST\tREASON")
	backends, pools := tables[0], tables[1]
	for _, row := range backends.Rows {
		name := cell(backends, row, "name")
		var pool []any
		if i := slices.IndexFunc(pools.Rows, func(r []any) bool { return cell(pools, r, "backend") == name }); i >= 0 {
			pool = pools.Rows[i]
		}
		fmt.Fprintln(w, strings.Join([]string{
			name, cell(backends, row, "state"), cell(pools, pool, "used"), cell(pools, pool, "open"), cell(pools, pool, "size"), cell(pools, pool, "waiting"),
			cell(backends, row, "prepared"), cell(backends, row, "in_doubt"), cell(backends, row, "oldest_seconds"), cell(backends, row, "reason"),
		}, "\t"))
	}
	_ = w.Flush()
	fmt.Fprintf(&b, "\n%s   [", v.about)
	for _, other := range topViews {
		fmt.Fprintf(&b, "%c ", other.key)
	}
	b.WriteString("space q]\n")
	table := tables[3]
	if v.order != "" {
		slices.SortStableFunc(table.Rows, func(x, y []any) int { return cmp.Compare(measure(table, y, v.order), measure(table, x, v.order)) })
	}
	w = tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ToUpper(strings.ReplaceAll(strings.Join(v.columns, "\t"), "_seconds", "")))
	for _, row := range table.Rows {
		cells := make([]string, len(v.columns))
		for i, name := range v.columns {
			cells[i] = cell(table, row, name)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush()
	return b.String()
}

// cut makes a text fit a terminal, on which lines end with a carriage return, too.
func cut(text string, width, height int) string {
	if width == 0 {
		return text
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	lines = lines[:min(len(lines), max(height, 1))]
	for i, line := range lines {
		if r := []rune(line); len(r) > width {
			lines[i] = string(r[:max(width-1, 0)]) + "…"
		}
	}
	return strings.Join(lines, "\r\n")
}

// at is the value of a column in a row, nil if there is none.
func at(t admin.Table, row []any, column string) any {
	i := slices.IndexFunc(t.Columns, func(c admin.TableColumn) bool { return c.Name == column })
	if i < 0 || i >= len(row) {
		return nil
	}
	return row[i]
}

// cell is a value for people: on one line, and times to the second.
func cell(t admin.Table, row []any, column string) string {
	switch x := at(t, row, column).(type) {
	case nil:
		return "-"
	case float64:
		if strings.HasSuffix(column, "_seconds") {
			return fmt.Sprintf("%.3f", x)
		}
		return fmt.Sprint(int64(x))
	case bool:
		if x {
			return "yes"
		}
		return "no"
	case string:
		if when, err := time.Parse(time.RFC3339, x); err == nil && column == "at" {
			return when.UTC().Format(time.TimeOnly)
		}
		return strings.Join(strings.FieldsFunc(x, func(r rune) bool { return r <= ' ' || r == 0x7f || r == 0x9b }), " ")
	default:
		return fmt.Sprint(x)
	}
}

func measure(t admin.Table, row []any, column string) float64 {
	f, _ := at(t, row, column).(float64)
	return f
}
