package main

import (
	"context"
	"time"
)

// unprobed is how often a backend that nobody is to look at is asked whether that has changed.
const unprobed = time.Second

// probe looks whether a backend answers until it is not in the configuration any more. Statements that wait for it longer than its
// answer_timeout while it answers nobody are given up.
func (s *service) probe(ctx context.Context, m *member) {
	defer func() { m.backend.Load().Unprobed() }()
	for {
		b := m.backend.Load()
		pause := unprobed
		if b.Config.ProbeInterval == 0 {
			b.Unprobed()
		} else {
			health, same, next := b.Probe(ctx)
			pause = next
			limit := b.Config.AnswerTimeout.Std()
			switch silent := health.Looked.Sub(health.Since); {
			case health.Cause != nil && !same:
				s.log.Warn().Str("backend", b.Name()).Err(health.Cause).Msg("backend is down; its statements are refused until it answers")
			case health.Cause == nil && !same && !health.First:
				s.log.Info().Str("backend", b.Name()).Msg("backend answers again")
				s.janitor.Poke(b.Name())
			case health.Cause != nil && limit > 0 && silent >= limit:
				if n := s.proxy.GiveUp(b); n > 0 {
					s.log.Warn().Str("backend", b.Name()).Int("statements", n).Dur("silent", silent).Msg("statements are given up: the backend answers nobody")
				}
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-m.gone:
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}
