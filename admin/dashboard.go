package admin

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"time"

	"github.com/xaproxy/xaproxy/admin/live"
	"github.com/xaproxy/xaproxy/metric"
)

//go:embed dashboard
var dashboardFiles embed.FS

// policy lets the page load nothing but what is embedded here, and ask nobody else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pages are the paths of the dashboard.
func pages() []string {
	entries, err := dashboardFiles.ReadDir("dashboard")
	if err != nil {
		panic(err) // the name is the one above
	}
	all := []string{"{$}"}
	for _, e := range entries {
		if e.Name() != "index.html" {
			all = append(all, e.Name())
		}
	}
	return all
}

// page answers with the files of the dashboard. They are the same for everybody and say nothing of this proxy, so they need no token: a browser could
// not send one before it has them.
func page() http.Handler {
	files, err := fs.Sub(dashboardFiles, "dashboard")
	if err != nil {
		panic(err) // the name is the one above
	}
	server := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		server.ServeHTTP(w, r)
	})
}

// shownRows is how many rows of a table the dashboard gets; tables say how many there are.
const shownRows = 50

// dashboard is what the page asks for, again and again. What counts, counts since the start.
type dashboard struct {
	Time       time.Time              `json:"time"`
	Version    string                 `json:"version"`
	Ready      bool                   `json:"ready"`
	Stopping   bool                   `json:"stopping"`
	Clients    int                    `json:"clients"`
	InFlight   int                    `json:"in_flight"`
	InDoubt    int                    `json:"in_doubt"`
	States     map[string]int         `json:"states"` // transactions in flight
	Statements uint64                 `json:"statements"`
	Errors     uint64                 `json:"errors"`
	Received   uint64                 `json:"received"`
	Sent       uint64                 `json:"sent"`
	PerPower   int                    `json:"buckets_per_power"` // of two
	Took       [][2]int64             `json:"took"`              // statements, by the bucket of their duration: index, count
	Tables     map[string]*shownTable `json:"tables"`
}

// shownTable is the beginning of a table of package live.
type shownTable struct {
	All  int              `json:"all"`
	Rows []map[string]any `json:"rows"`
}

// shown are the tables of the dashboard.
var shown = []string{"backends", "pools", "transactions", "branches", "slow_statements", "events"}

// overview answers /dashboard.json.
func (s *Server) overview(w http.ResponseWriter, _ *http.Request) {
	all, backends := s.source.Snapshot(), s.source.Backends()
	d := dashboard{
		Time: time.Now(), Version: all.Version, Stopping: s.source.Stopping(), Clients: all.Clients, InFlight: all.InFlight, States: make(map[string]int),
		Received: all.Received, Sent: all.Sent, PerPower: 1 << metric.Schema, Tables: make(map[string]*shownTable),
	}
	d.Ready = readiness(d.Stopping, backends, false)
	for _, one := range all.Statements {
		d.Statements += one.Count
	}
	for _, n := range all.Errors {
		d.Errors += n
	}
	for i := range metric.Buckets {
		n := uint64(0)
		for _, kind := range all.Durations {
			n += kind.Buckets[i]
		}
		if n > 0 {
			d.Took = append(d.Took, [2]int64{int64(metric.First + i), int64(n)})
		}
	}
	for _, name := range shown {
		keep := func(map[string]any) bool { return true }
		switch name {
		case "transactions":
			keep = func(row map[string]any) bool { d.States[row["state"].(string)]++; return true }
		case "branches":
			keep = func(row map[string]any) bool { return row["in_doubt"] == true }
		}
		d.Tables[name] = s.table(name, keep)
	}
	d.InDoubt = d.Tables["branches"].All
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(d) // an error means that nobody is left to tell
}

// table returns the rows of a table of package live that are to be kept, by the names of their columns.
func (s *Server) table(name string, keep func(map[string]any) bool) *shownTable {
	v := live.Find(name)
	t := &shownTable{Rows: []map[string]any{}}
	for _, values := range v.Rows(s.live) {
		row := make(map[string]any, len(values))
		for i, c := range v.Columns {
			row[c.Name] = values[i]
		}
		if !keep(row) {
			continue
		}
		if t.All++; t.All <= shownRows {
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}
