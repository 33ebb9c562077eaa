package participant

import (
	"context"
	"encoding/hex"
	"strconv"
	"sync"
	"time"
)

// Beat renews this proxy's heartbeat on one backend, now.
func (s *Store) Beat(ctx context.Context, backend string) error {
	_, err := s.exec(ctx, s.servers[backend], "INSERT INTO "+proxyTable+" (coord, host, pid, beat_at) VALUES ('"+s.coord+
		"', CONVERT(X'"+hex.EncodeToString([]byte(s.o.Host))+"' USING utf8mb4), "+strconv.Itoa(s.o.PID)+
		", UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE beat_at = UTC_TIMESTAMP(6)")
	return err
}

// Run renews this proxy's heartbeats until ctx ends.
func (s *Store) Run(ctx context.Context) {
	var running sync.WaitGroup
	for name := range s.servers {
		running.Go(func() {
			ticker := time.NewTicker(beatEvery)
			defer ticker.Stop()
			failing := false
			for {
				err := s.Beat(ctx, name)
				if ctx.Err() != nil {
					return
				}
				if err != nil && !failing {
					s.o.Logger.Warn().Str("backend", name).Err(err).Msg("heartbeat cannot be written: other proxies may roll back transactions that are decided there")
				}
				failing = err != nil
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
				}
			}
		})
	}
	running.Wait()
}

// Stopped says that this proxy decides nothing any more, so that others need not wait for the grace. It is called when the last
// transaction has ended, and Run too.
func (s *Store) Stopped(ctx context.Context) {
	var running sync.WaitGroup
	for name, server := range s.servers {
		running.Go(func() {
			if _, err := s.exec(ctx, server, "DELETE FROM "+proxyTable+" WHERE coord = '"+s.coord+"'"); err != nil {
				s.o.Logger.Info().Str("backend", name).Err(err).Msg("heartbeat could not be taken back: it grows old instead")
			}
		})
	}
	running.Wait()
}
