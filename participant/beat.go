package participant

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// Beat renews this proxy's heartbeat on one backend, now.
func (s *Store) Beat(ctx context.Context, backend string) error {
	return s.beat(ctx, s.server(backend), s.coord, s.o.Host, s.o.PID)
}

// durable returns when everything that was read on a server before is durable there. InnoDB without a binary log shows a commit to others
// before its redo is flushed, so a row that was read could vanish in a crash; a commit of our own flushes what is before it.
func (s *Store) durable(ctx context.Context, server Server) error {
	return s.beat(ctx, server, "-durable", "", 0) // no coord
}

// beat commits a row of the proxies' table with the present time.
func (s *Store) beat(ctx context.Context, server Server, coord, host string, pid int) error {
	w := wordsOf(server)
	_, err := s.exec(ctx, server, "INSERT INTO "+w.proxy+" (coord, host, pid, beat_at) VALUES ('"+coord+
		"', "+w.text(host)+", "+strconv.Itoa(pid)+", "+w.nowExact+")"+w.orBeat())
	return err
}

// Run renews this proxy's heartbeats until ctx ends.
func (s *Store) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	beating := make(map[Server]bool)
	for {
		for _, server := range s.all() {
			if !beating[server] {
				beating[server] = true
				running.Go(func() { s.renew(ctx, server) })
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-s.poked:
		}
	}
}

// renew renews the heartbeat on one server for as long as that is one of the store's.
func (s *Store) renew(ctx context.Context, server Server) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	failing := false
	for s.server(server.Name()) == server {
		err := s.beat(ctx, server, s.coord, s.o.Host, s.o.PID)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			s.o.Logger.Warn().Str("backend", server.Name()).Err(err).Msg("heartbeat cannot be written: other proxies may roll back transactions that are decided there")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Stopped says that this proxy decides nothing any more, so that others need not wait for the grace. It is called when the last
// transaction has ended, and Run too.
func (s *Store) Stopped(ctx context.Context) {
	var running sync.WaitGroup
	for _, server := range s.all() {
		running.Go(func() {
			if _, err := s.exec(ctx, server, "DELETE FROM "+wordsOf(server).proxy+" WHERE coord = '"+s.coord+"'"); err != nil {
				s.o.Logger.Info().Str("backend", server.Name()).Err(err).Msg("heartbeat could not be taken back: it grows old instead")
			}
		})
	}
	running.Wait()
}
