package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
)

var errReloading = errors.New("the configuration is being loaded already; try again when that is done")

// reload puts the configuration in the file into effect, and returns the lines that tell what is different. If there is an error nothing has
// changed. ctx lasts as long as the service, asked as long as somebody waits for the answer, and by says who that is. What came of it is logged.
func (s *service) reload(ctx, asked context.Context, path, by string, dryRun bool) (_ []string, err error) {
	defer func() { s.audit(dry("reload", dryRun), by, err) }()
	if !s.loading.TryLock() {
		return nil, errReloading
	}
	defer s.loading.Unlock()
	lines, err := s.load(ctx, asked, path, dryRun)
	switch {
	case err != nil:
		s.log.Error().Err(err).Bool("dry_run", dryRun).Msg("configuration not loaded: nothing has changed")
		return nil, err
	case !dryRun:
		s.log.Info().Strs("changes", lines).Msg("configuration loaded")
	}
	return lines, nil
}

// reloading is a configuration that is to take the place of the one in effect.
type reloading struct {
	cfg      *config.Config
	tls      *tls.Config
	members  []*member          // in the order of the configuration; fresh ones among them
	backends []*backend.Backend // of members, as the configuration has them
	fresh    []*member
	gone     []*member
	follow   map[*member]*backend.Admin // with another address or login

	mu         sync.Mutex // protects objections
	objections []config.Objection
}

func (r *reloading) object(path, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.objections = append(r.objections, config.Objection{Path: path, Why: fmt.Sprintf(format, args...)})
}

func (s *service) load(ctx, asked context.Context, path string, dryRun bool) ([]string, error) {
	if own, err := filepath.Abs(s.path); err != nil || !samePath(own, path) {
		return nil, fmt.Errorf("this xaproxy runs with the configuration in %s and not with %s: %w", s.path, path, os.ErrInvalid)
	}
	cfg, err := config.Load(s.path)
	if err != nil {
		return nil, err
	}
	r, err := s.examine(ctx, asked, cfg)
	if err != nil {
		return nil, err
	}
	lines := []string{}
	for _, c := range config.Diff(s.cfg.Load(), cfg.Sealed(s.seal)) {
		lines = append(lines, c.String())
	}
	if len(lines) == 0 {
		lines = append(lines, "nothing is different")
	}
	for _, remark := range config.Remarks(s.cfg.Load(), cfg) {
		lines = append(lines, "note: "+remark)
	}
	if dryRun {
		s.forget(r)
		return lines, nil
	}
	if err := s.apply(ctx, r); err != nil {
		s.forget(r)
		return nil, err
	}
	return lines, nil
}

func samePath(own, other string) bool {
	abs, err := filepath.Abs(other)
	if err != nil {
		return false
	}
	a, errA := os.Stat(own)
	b, errB := os.Stat(abs)
	return own == abs || errA == nil && errB == nil && os.SameFile(a, b)
}

// examine finds out all that is in the way of a configuration. It changes nothing. ctx and asked are those of reload.
func (s *service) examine(ctx, asked context.Context, cfg *config.Config) (*reloading, error) {
	r := &reloading{cfg: cfg, follow: make(map[*member]*backend.Admin), objections: config.Objections(s.cfg.Load(), cfg)}
	var err error
	if r.tls, err = serverTLS(cfg.Server, s.log); err != nil {
		r.object("server.tls_cert", "%v", err)
	}
	s.mu.Lock()
	leaving := s.leaving
	s.mu.Unlock()
	var looking sync.WaitGroup
	for i, c := range cfg.Backends {
		at := "backends[" + c.Name + "]"
		if named(leaving, c.Name) != nil {
			r.object(at, "the backend that had this name has not left yet: see xaproxy status, and try again when it has")
			continue
		}
		if m := named(s.members, c.Name); m != nil {
			b, err := m.backend.Load().Again(cfg, i)
			if err != nil {
				r.object(at, "%v", err)
				continue
			}
			r.members, r.backends = append(r.members, m), append(r.backends, b)
			if !sameLogin(m.backend.Load().Config, c) {
				s.examineLogin(asked, &looking, r, m, cfg, i)
			}
			continue
		}
		m, err := newMember(cfg, i, c)
		if err != nil {
			r.object(at, "%v", err)
			continue
		}
		s.prepare(ctx, m, cfg.Decision.RecoveryInterval.Std(), s.running)
		r.members, r.backends, r.fresh = append(r.members, m), append(r.backends, m.backend.Load()), append(r.fresh, m)
		looking.Go(func() {
			if facts, why := s.lookOnce(asked, m); why != nil {
				r.object(at, "is not taken in: %v", why)
			} else {
				m.backend.Load().Ready(facts)
			}
		})
	}
	for _, m := range s.members {
		name := m.admin.Name()
		if cfg.BackendIndex(name) >= 0 {
			continue
		}
		r.gone = append(r.gone, m)
		looking.Go(func() {
			stuck, err := s.janitor.Unfinished(asked, name)
			switch {
			case err != nil:
				r.object("backends["+name+"]", "cannot be taken out: branches of transactions may be prepared there, and %v", err)
			case len(stuck) > 0:
				r.object("backends["+name+"]", "cannot be taken out: %s; see xaproxy recover list, and try again when recovery has finished them", some(stuck))
			}
		})
	}
	looking.Wait()
	if len(r.objections) == 0 {
		return r, nil
	}
	s.forget(r)
	lines := make([]string, len(r.objections))
	for i, o := range r.objections {
		lines[i] = o.String()
	}
	slices.Sort(lines)
	return nil, errors.New(strings.Join(slices.Compact(lines), "\n"))
}

// examineLogin looks whether a backend that stays is the same server with its new address or login.
func (s *service) examineLogin(ctx context.Context, looking *sync.WaitGroup, r *reloading, m *member, cfg *config.Config, i int) {
	at := "backends[" + m.admin.Name() + "]"
	probe, err := newMember(cfg, i, cfg.Backends[i])
	if err != nil {
		r.object(at, "%v", err)
		return
	}
	r.follow[m] = probe.admin
	looking.Go(func() {
		defer probe.backend.Load().Close()
		known := s.janitor.Identity(m.admin.Name())
		facts, why := s.lookOnce(ctx, probe)
		switch {
		case why != nil:
			r.object(at, "cannot be used so: %v", why)
		case known == "":
			r.object(at, "has not been reached before, so nobody knows whether it is the same server: restart xaproxy")
		case facts.Identity != known:
			r.object(at, "is another server there (%s, and it was %s), and branches of transactions have its name: give the other server another name", facts.Identity, known)
		}
	})
}

// lookOnce does the start checks of a backend that is not in use.
func (s *service) lookOnce(ctx context.Context, m *member) (backend.Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	facts, unsafe, err := s.look(ctx, m)
	return facts, errors.Join(unsafe, err)
}

// apply puts what was examined into effect.
func (s *service) apply(ctx context.Context, r *reloading) error {
	for i, m := range r.fresh {
		if err := s.store.add(ctx, m.admin); err != nil {
			for _, before := range r.fresh[:i] {
				s.store.remove(before.admin)
			}
			return fmt.Errorf("backends[%s]: %w", m.admin.Name(), err)
		}
	}
	if err := s.proxy.Reload(ctx, r.cfg, r.backends, r.tls); err != nil {
		for _, m := range r.fresh {
			s.store.remove(m.admin)
		}
		return err
	}
	for m, admin := range r.follow {
		m.admin.Follow(admin)
	}
	for _, m := range r.fresh {
		s.janitor.Add(ctx, m.admin)
		s.running.Go(func() { s.probe(ctx, m) })
	}
	s.level.set(r.cfg.Server.LogLevel)
	if s.admin != nil {
		s.admin.Configure(r.cfg.Admin)
	}
	s.drain.Store(int64(r.cfg.Server.DrainTimeout))
	for i, m := range r.members {
		m.backend.Store(r.backends[i])
		r.backends[i].Resize()
	}
	s.cfg.Store(r.cfg.Sealed(s.seal))
	s.mu.Lock()
	s.members, s.leaving = r.members, append(s.leaving, r.gone...)
	s.mu.Unlock()
	for _, m := range r.gone {
		s.release(m)
	}
	return nil
}

// release lets a backend go when the last statement has, and nothing is unfinished there.
func (s *service) release(m *member) {
	b := m.backend.Load()
	close(m.gone)
	b.Retire()
	s.janitor.Release(b.Name(), func() bool { return !s.proxy.Uses(b) && b.Stats().Open == 0 }, func() {
		s.mu.Lock()
		s.leaving = slices.DeleteFunc(slices.Clone(s.leaving), func(o *member) bool { return o == m })
		s.mu.Unlock()
		s.store.remove(m.admin)
		s.discard(m)
	})
}

// forget ends what was opened for a configuration that does not come into effect.
func (s *service) forget(r *reloading) {
	for _, m := range r.fresh {
		s.discard(m)
	}
	for m, admin := range r.follow {
		if err := admin.Close(); err != nil {
			s.log.Warn().Err(err).Str("backend", m.admin.Name()).Msg("closing administrative connections failed")
		}
	}
}

func named(members []*member, name string) *member {
	if i := slices.IndexFunc(members, func(m *member) bool { return m.admin.Name() == name }); i >= 0 {
		return members[i]
	}
	return nil
}

// sameLogin reports whether connections to a backend are made in the same way.
func sameLogin(a, b config.Backend) bool {
	for _, c := range []*config.Backend{&a, &b} {
		c.PoolSize, c.PoolWait, c.MaxLifetime, c.IdleCheck, c.ProbeInterval, c.AnswerTimeout = 0, 0, 0, 0, 0, 0
	}
	return a == b
}

// some lists the first few.
func some(all []string) string {
	const shown = 3
	if len(all) <= shown {
		return strings.Join(all, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(all[:shown], "; "), len(all)-shown)
}
