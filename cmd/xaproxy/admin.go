package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/admin"
	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/recovery"
)

// serveAdmin opens the admin listener, if there is to be one. It is no reason not to serve clients that somebody else has its default address.
func (s *service) serveAdmin(c config.Admin) error {
	if c.Listen == config.AdminOff {
		return nil
	}
	t, err := listenerTLS("admin", config.Server{TLSCert: c.TLSCert, TLSKey: c.TLSKey, TLSClientCA: c.TLSClientCA}, s.log)
	if err != nil {
		return err
	}
	s.admin, err = admin.Listen(admin.Options{Config: c, TLS: t, Source: monitored{s}, Live: tables{s}, Act: s.act, Logger: s.log})
	if errors.Is(err, syscall.EADDRINUSE) && c.Listen == config.Default().Admin.Listen {
		s.log.Warn().Err(err).Msg("no health checks and no metrics: give this xaproxy an address of its own with admin.listen, or \"off\"")
		return nil
	}
	if err == nil {
		s.log.Info().Str("listen", s.admin.Addr().String()).Bool("tls", t != nil).Bool("token", c.Token != "").Msg("admin listener")
	}
	return err
}

// monitored tells the admin listener about the running proxy.
type monitored struct{ s *service }

func (l monitored) Stopping() bool { return l.s.stopping.Load() }

func (l monitored) Backends() []admin.Backend {
	states := l.s.janitor.States()
	members, _ := l.s.all()
	all := make([]admin.Backend, len(members))
	for i, m := range members {
		b := m.backend.Load()
		p := b.Stats()
		all[i] = admin.Backend{
			Name: b.Name(), Size: p.Size, Open: p.Open, Idle: p.Free, Waiting: p.Waiting, Dialled: p.Dialled, Failed: p.Failed, Rejected: p.Rejected, Waited: p.Waited, TimedOut: p.TimedOut,
			InQueue: p.InQueue, Received: p.Received, Sent: p.Sent,
		}
		all[i].Down = down(b, states)
		swept := looked(states, b)
		if swept.Swept.IsZero() {
			continue
		}
		all[i].Prepared, all[i].InDoubt, all[i].Oldest, all[i].Looked = swept.Ours, swept.InDoubt, swept.OldestAge, time.Since(swept.Swept)
	}
	return all
}

// looked is what recovery has found on a backend, nothing at the zero time if it has not looked there yet.
func looked(states []recovery.State, b *backend.Backend) recovery.State {
	if at := slices.IndexFunc(states, func(s recovery.State) bool { return s.Backend == b.Name() }); at >= 0 {
		return states[at]
	}
	return recovery.State{}
}

// down says why a backend is not usable, "" if it is: as whoever looked last has found it.
func down(b *backend.Backend, states []recovery.State) string {
	health, swept := b.Health(), looked(states, b)
	switch {
	case b.Facts().Version == "":
		return "it has not passed its start checks"
	case health.Cause != nil:
		return fmt.Sprintf("since %s: %v", health.Since.UTC().Format(time.RFC3339), health.Cause)
	case swept.Err != nil && health.Looked.Before(swept.Swept):
		return fmt.Sprintf("it did not answer when it was last looked at: %v", swept.Err)
	}
	return ""
}

// audit writes down what an administrator has done, or tried to, whatever log_level is.
func (s *service) audit(action, by string, err error) { audit(&s.log, action, by, err) }

func audit(log *zerolog.Logger, action, by string, err error) {
	log.Log().Str("audit", action).Str("by", by).Bool("done", err == nil).AnErr("refused", err).Msg("admin action")
}

// note is audit of what another program has done, and tells of.
func (s *service) note(action, by, refused string) {
	var err error
	if refused != "" {
		err = errors.New(refused)
	}
	s.audit(action, fmt.Sprintf("%s (%s)", viaSocket, by), err)
}

// viaSocket is who asks through the control socket: its file lets nobody else.
const viaSocket = "control socket"

// audited is recovery with what people have it do written down.
type audited struct {
	recovery.Recoverer
	s *service
}

func (a audited) Pass(ctx context.Context, dryRun bool, progress func(recovery.BackendReport)) recovery.Report {
	a.s.audit(dry("recover", dryRun), viaSocket, nil)
	return a.Recoverer.Pass(ctx, dryRun, progress)
}

func (a audited) Resolve(ctx context.Context, gtrid string, verdict recovery.Verdict, by string) (recovery.Resolution, error) {
	return a.s.resolve(ctx, gtrid, verdict, fmt.Sprintf("%s (%s)", viaSocket, by))
}

// dry names an action.
func dry(action string, dryRun bool) string {
	if dryRun {
		return action + " --dry-run"
	}
	return action
}
