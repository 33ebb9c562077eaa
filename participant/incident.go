package participant

import (
	"context"
	"encoding/hex"
	"errors"
	"sync"

	"github.com/xaproxy/xaproxy/xa"
)

// Heuristic records that a server did other than was decided: on the decider, or if that cannot be reached, on the branch's backend.
func (d Decisions) Heuristic(ctx context.Context, g xa.GTRID, backend, text string) error {
	insert := "INSERT INTO " + incidentTable + " (gtrid, backend, what, created_at) VALUES ('" + g.String() + "', '" + backend +
		"', CONVERT(X'" + hex.EncodeToString([]byte(text)) + "' USING utf8mb4), UTC_TIMESTAMP())"
	err := errors.New("neither the decider nor the backend is in the configuration")
	for _, name := range []string{g.Decider, backend} {
		if server := d.server(name); server != nil {
			if _, err = d.exec(ctx, server, insert); err == nil {
				return nil
			}
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
			err := d.each(ctx, server, "SELECT COUNT(*) FROM "+incidentTable, func(scan func(...any) error) error { return scan(&count) })
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
