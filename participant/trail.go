package participant

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// Trail returns what the rows of the decider say of a transaction, and of the proxies that ran and fenced it; and the incidents on every
// backend that can be reached, also when the decider cannot.
func (d Decisions) Trail(ctx context.Context, g xa.GTRID) (t xa.Trail, err error) {
	if server := d.server(g.Decider); server == nil {
		err = fmt.Errorf("decider %s is not in the configuration", g.Decider)
	} else if err = d.decided(ctx, server, g, &t); err != nil {
		err = fmt.Errorf("decider %s: %w", g.Decider, err)
	}
	for _, server := range d.all() {
		w := wordsOf(server)
		failed := d.each(ctx, server, "SELECT "+w.seconds("created_at")+", backend, what FROM "+w.incident+" WHERE gtrid = '"+g.String()+"'",
			func(scan func(...any) error) error {
				var at int64
				var backend, what string
				if err := scan(&at, &backend, &what); err != nil {
					return err
				}
				t.Add(time.Unix(at, 0), "HEUR: branch %s: %s", backend, what)
				return nil
			})
		if failed != nil {
			t.Missing("incidents on %s: they cannot be read: %v", server.Name(), failed)
		}
	}
	slices.SortStableFunc(t.Entries, func(a, b xa.TrailEntry) int { // rows have whole seconds, and votes come before decisions
		return a.Time.Truncate(time.Second).Compare(b.Time.Truncate(time.Second))
	})
	return t, err
}

// decided adds what the decider has of a transaction.
func (d Decisions) decided(ctx context.Context, server Server, g xa.GTRID, t *xa.Trail) error {
	rows, err := d.rows(ctx, server, []xa.GTRID{g})
	if err != nil {
		return err
	}
	coords := []string{g.Coord}
	if r, ok := rows[g]; ok {
		coords = r.trail(g, t, coords)
	}
	w := wordsOf(server)
	return d.each(ctx, server, "SELECT "+w.seconds("beat_at")+", coord, host, pid FROM "+w.proxy+" WHERE coord IN ('"+strings.Join(coords, "','")+"')",
		func(scan func(...any) error) error {
			var at int64
			var coord, host, pid string
			if err := scan(&at, &coord, &host, &pid); err != nil {
				return err
			}
			t.Add(time.Unix(at, 0), "last heartbeat of xaproxy %s, on %s, process %s", coord, host, pid)
			return nil
		})
}

// trail adds what the row says, and returns coords with those of the xaproxies that it names.
func (r row) trail(g xa.GTRID, t *xa.Trail, coords []string) []string {
	ruling, at := r.ruling(g), time.Unix(r.created, 0)
	switch coord, fenced := strings.CutPrefix(r.branches, fencedBy); {
	case ruling.Err != nil:
		t.Add(at, "%v", ruling.Err)
	case ruling.Decided:
		t.Decided(ruling.Decision)
		t.Missing("when the branches on other backends than %s committed, and by whom: no row is written for that, and none may be left out. "+
			"A branch that is not prepared any more has committed; the logs of the xaproxies say when", g.Decider)
	case fenced:
		t.Add(at, "ABORT: fenced by xaproxy %s, so that it can never commit", coord)
		t.Missing("which branches it had, and when they were rolled back: the owner has written nothing")
		return append(coords, coord)
	default:
		t.Add(at, "ABORT: fenced, so that it can never commit")
	}
	return coords
}
