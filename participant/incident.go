package participant

import (
	"context"
	"errors"
	"sync"

	"github.com/xaproxy/xaproxy/xa"
)

// Heuristic records that a server did other than was decided: on the decider, or if that cannot be reached, on the branch's backend.
func (d Decisions) Heuristic(ctx context.Context, g xa.GTRID, backend, text string) error {
	err := errors.New("neither the decider nor the backend is in the configuration")
	for _, name := range []string{g.Decider, backend} {
		server := d.server(name)
		if server == nil {
			continue
		}
		w := wordsOf(server)
		_, err = d.exec(ctx, server, "INSERT INTO "+w.incident+" (gtrid, backend, what, created_at) VALUES ('"+g.String()+"', '"+backend+"', "+w.text(text)+", "+w.now+")")
		if err == nil {
			return nil
		}
	}
	return err
}

// Heuristics counts what Heuristic has recorded, by any proxy, on all backends at once. uncounted are those that cannot say before ctx ends.
func (d Decisions) Heuristics(ctx context.Context) (n int, uncounted []string) {
	var mu sync.Mutex // protects the results
	var asking sync.WaitGroup
	counts := make(map[string]int)
	servers := d.all()
	for _, server := range servers {
		asking.Go(func() {
			count := 0
			err := d.each(ctx, server, "SELECT COUNT(*) FROM "+wordsOf(server).incident, func(scan func(...any) error) error { return scan(&count) })
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				counts[server.Name()] = count
			}
		})
	}
	asking.Wait()
	for _, server := range servers {
		if count, ok := counts[server.Name()]; ok {
			n += count
		} else {
			uncounted = append(uncounted, server.Name())
		}
	}
	return n, uncounted
}
