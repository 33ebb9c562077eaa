package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
)

// member is a backend of the running proxy, for as long as it is one.
type member struct {
	backend atomic.Pointer[backend.Backend] // as the configuration in effect has it
	admin   *backend.Admin
	gone    chan struct{} // closed when it is not in the configuration any more
}

// newMember connects to nothing.
func newMember(cfg *config.Config, index int, c config.Backend) (*member, error) {
	admin, err := backend.NewAdmin(c)
	if err != nil {
		return nil, err
	}
	b, err := backend.Open(cfg, index)
	if err != nil {
		return nil, errors.Join(err, admin.Close())
	}
	m := &member{admin: admin, gone: make(chan struct{})}
	m.backend.Store(b)
	return m, nil
}

// prepare tells a backend what it needs before it is used.
func (s *service) prepare(ctx context.Context, m *member, interval time.Duration, running *sync.WaitGroup) {
	b := m.backend.Load()
	b.Replaced = func(err error) {
		s.log.Error().Str("backend", b.Name()).Err(err).Msg("the backend's server has changed; statements are refused until the new one is checked")
		m.admin.Reconnect()
		running.Go(func() { s.recheck(ctx, interval, m) })
	}
	b.Warn = func(err error) { s.log.Warn().Err(err).Msg("backend needs attention") }
	if s.store.rows != nil {
		b.Records = s.store.rows
	}
}

// discard ends a member that nobody uses any more.
func (s *service) discard(m *member) {
	m.backend.Load().Close()
	if err := m.admin.Close(); err != nil {
		s.log.Warn().Err(err).Str("backend", m.admin.Name()).Msg("closing administrative connections failed")
	}
}

// all returns the members, and behind them so many that are leaving.
func (s *service) all() (all []*member, leaving int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.members, s.leaving), len(s.leaving)
}

// checkAll does the start checks of all backends. A backend that can be reached and is not safe to use stops the
// start; one that cannot be reached refuses statements until it can, and the others serve.
func (s *service) checkAll(ctx context.Context, interval time.Duration, running *sync.WaitGroup) error {
	errs := make([]error, len(s.members))
	var wg sync.WaitGroup
	for i, m := range s.members {
		wg.Go(func() {
			unsafe, err := s.check(ctx, m)
			if errs[i] = unsafe; err == nil {
				return
			}
			s.log.Warn().Err(err).Str("backend", m.admin.Name()).Msg("backend cannot be checked; its statements are refused until it can")
			running.Go(func() { s.recheck(ctx, interval, m) })
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// check does the start checks of one backend and opens it for clients. unsafe says that the server must not be used;
// err that it could not be asked.
func (s *service) check(ctx context.Context, m *member) (unsafe, err error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	facts, unsafe, err := s.look(ctx, m)
	if unsafe == nil && err == nil {
		err = s.store.beat(ctx, m.admin)
	}
	if unsafe == nil && err == nil {
		m.backend.Load().Ready(facts)
	}
	return unsafe, err
}

// look is check that changes nothing.
func (s *service) look(ctx context.Context, m *member) (facts backend.Facts, unsafe, err error) {
	name := m.admin.Name()
	facts, problems, err := m.admin.Check(ctx)
	if err != nil {
		return facts, nil, err
	}
	for _, p := range problems {
		if p.Fatal {
			unsafe = errors.Join(unsafe, fmt.Errorf("backend %s: %s", name, p.String()))
		} else {
			s.log.Warn().Str("backend", name).Msg(p.String())
		}
	}
	if unsafe == nil {
		unsafe, err = s.store.checkTables(ctx, m.admin)
	}
	if unsafe == nil && err == nil {
		facts.Collation, err = m.backend.Load().Greets(ctx)
	}
	if unsafe == nil && err == nil {
		s.log.Info().Str("backend", name).Str("version", facts.Version).Bool("log_bin", facts.LogBin).Msg("start checks passed")
	}
	return facts, unsafe, err
}

// recheck repeats the start checks until they pass, or the backend is not in the configuration any more.
func (s *service) recheck(ctx context.Context, interval time.Duration, m *member) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	last := ""
	for {
		unsafe, err := s.check(ctx, m)
		if unsafe == nil && err == nil {
			return
		}
		if unsafe != nil && unsafe.Error() != last {
			last = unsafe.Error()
			s.log.Error().Err(unsafe).Msg("backend is not safe to use; its statements are refused")
		}
		select {
		case <-ctx.Done():
			return
		case <-m.gone:
			return
		case <-ticker.C:
		}
	}
}
