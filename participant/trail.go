package participant

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// Trail returns what the rows of the decider say of a transaction, and of the proxy that ran it; and the incidents on every backend that
// can be reached.
func (d Decisions) Trail(ctx context.Context, g xa.GTRID) ([]xa.TrailEntry, error) {
	server := d.servers[g.Decider]
	if server == nil {
		return nil, fmt.Errorf("decider %s is not in the configuration", g.Decider)
	}
	rows, err := d.rows(ctx, server, []xa.GTRID{g})
	if err != nil {
		return nil, fmt.Errorf("decider %s: %w", g.Decider, err)
	}
	var trail []xa.TrailEntry
	if r, ok := rows[g]; ok {
		e := xa.TrailEntry{Time: time.Unix(r.created, 0).UTC(), Text: "ABORT: fenced, so that it can never commit"}
		if ruling := r.ruling(g); ruling.Err != nil {
			e.Text = ruling.Err.Error()
		} else if ruling.Decided {
			e.Text = ruling.Decision.Words()
		}
		trail = append(trail, e)
	}
	entry := func(text string) func(scan func(...any) error) error {
		return func(scan func(...any) error) error {
			var at int64
			var a, b string
			if err := scan(&at, &a, &b); err != nil {
				return err
			}
			trail = append(trail, xa.TrailEntry{Time: time.Unix(at, 0).UTC(), Text: fmt.Sprintf(text, a, b)})
			return nil
		}
	}
	const seconds = "TIMESTAMPDIFF(SECOND, '1970-01-01', "
	err = d.each(ctx, server, "SELECT "+seconds+"beat_at), host, pid FROM "+proxyTable+" WHERE coord = '"+g.Coord+"'",
		entry("last heartbeat of the xaproxy that ran it, on %s, process %s"))
	if err != nil {
		return nil, fmt.Errorf("decider %s: %w", g.Decider, err)
	}
	for name, server := range d.servers {
		err := d.each(ctx, server, "SELECT "+seconds+"created_at), backend, what FROM "+incidentTable+" WHERE gtrid = '"+g.String()+"'", entry("HEUR: branch %s: %s"))
		if err != nil {
			trail = append(trail, xa.TrailEntry{Time: time.Now().UTC(), Text: fmt.Sprintf("incidents on %s cannot be read: %v", name, err)})
		}
	}
	slices.SortStableFunc(trail, func(a, b xa.TrailEntry) int { return a.Time.Compare(b.Time) })
	return trail, nil
}
