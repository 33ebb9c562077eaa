package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/proxy"
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/xa"
)

// exitHalted is the status after the decision log failed: restart the process, it then reads what the log says.
const exitHalted = 3

// serveCommand is "xaproxy serve".
func serveCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the proxy until SIGTERM or SIGINT",
		Long: "Opens the decision log, checks the backends, finishes what an earlier run left in doubt, and serves clients.\n" +
			"Exit status 0: stopped by a signal; 1: could not start; 3: the decision log failed, start again.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return serve(ctx, path, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "config.toml", "configuration file")
	return cmd
}

// service is a running proxy with everything that belongs to it, in the order in which it is started.
type service struct {
	cfg         *config.Config
	log         zerolog.Logger
	started     time.Time
	store       store
	backends    []*backend.Backend
	admins      []*backend.Admin
	coordinator *xa.Coordinator
	janitor     *recovery.Janitor
	proxy       *proxy.Server
	listener    net.Listener
}

// serve runs the proxy until ctx ends.
func serve(ctx context.Context, path string, stderr io.Writer) (err error) {
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	s := &service{cfg: cfg, log: newLogger(cfg.Server, stderr), started: time.Now()}
	defer func() { closing(&err, s.store) }() // after the last transaction
	defer s.close()
	for _, c := range cfg.Backends {
		admin, err := backend.NewAdmin(c)
		if err != nil {
			return err
		}
		s.admins = append(s.admins, admin)
	}
	if s.store, err = openStore(cfg, s.admins, s.log, false); err != nil {
		return err
	}

	var background sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer background.Wait() // after cancel: deferred calls run in reverse order
	defer cancel()
	if err := s.open(ctx, &background); err != nil {
		return err
	}
	background.Go(func() { s.janitor.Run(ctx) })
	if s.store.rows != nil {
		background.Go(func() { s.store.rows.Run(ctx) })
	}
	if s.store.file != nil {
		background.Go(func() { haltWhenBroken(ctx, s.store.file.Broken(), s.store.file.Cause, s.halt) })
	}

	if err := os.MkdirAll(cfg.Decision.Dir, 0o700); err != nil { // the log has made it, if there is one
		return fmt.Errorf("decision.dir: %w", err)
	}
	control, err := recovery.Serve(cfg.Decision.Dir, s.janitor, s.status)
	if err != nil {
		return err
	}
	defer closing(&err, control)

	s.listener, err = net.Listen("tcp", cfg.Server.Listen)
	if err != nil {
		return fmt.Errorf("server.listen: %w", err)
	}
	served := make(chan struct{})
	background.Go(func() {
		<-ctx.Done()
		_ = s.listener.Close() // it is being taken down anyway
		s.proxy.Close()
		overdue := time.AfterFunc(drainTimeout, func() {
			s.log.Warn().Int("sessions", s.proxy.Sessions()).Msg("statements still run: their connections are closed")
			s.proxy.Abort()
			for _, b := range s.backends {
				b.Abort()
			}
		})
		<-served
		overdue.Stop()
	})
	s.log.Info().Str("listen", s.listener.Addr().String()).Str("coord", s.store.log.Coord()).Uint32("epoch", s.store.log.Epoch()).
		Int("backends", len(s.backends)).Msg("serving")
	err = s.proxy.Serve(s.listener)
	close(served)
	cancel()
	if err != nil {
		return err
	}
	s.log.Info().Msg("stopped")
	return nil
}

// open connects the parts. The store of decisions is open.
func (s *service) open(ctx context.Context, running *sync.WaitGroup) error {
	servers := make([]recovery.Server, 0, len(s.cfg.Backends))
	for i := range s.cfg.Backends {
		b, err := backend.Open(s.cfg, i)
		if err != nil {
			return err
		}
		b.Warn = func(err error) { s.log.Warn().Err(err).Msg("backend needs attention") }
		b.Replaced = func(err error) {
			s.log.Error().Str("backend", b.Name()).Err(err).Msg("the backend's server has changed; statements are refused until the new one is checked")
			running.Go(func() { s.recheck(ctx, i) })
		}
		if rows := s.store.rows; rows != nil {
			b.Records = rows
		}
		s.backends, servers = append(s.backends, b), append(servers, s.admins[i])
	}
	if err := s.checkAll(ctx, running); err != nil {
		return err
	}
	s.coordinator = xa.NewCoordinator(xa.Options{
		Log: s.store.log, PrepareTimeout: s.cfg.Decision.PrepareTimeout.Std(), CommitWait: s.cfg.Decision.CommitWait.Std(),
		EarlyAnswer: s.cfg.Decision.EarlyAnswer,
		Logger:      s.log, Orphaned: func(name string) { s.janitor.Poke(name) }, Halt: s.halt,
	})
	s.janitor = recovery.New(recovery.Options{
		Servers: servers, Decisions: s.store.decisions, InFlight: s.coordinator, Interval: s.cfg.Decision.RecoveryInterval.Std(),
		Timeout: adminTimeout, Logger: s.log, Fenced: s.halt,
	})
	t, err := serverTLS(s.cfg.Server, s.log)
	if err != nil {
		return err
	}
	s.proxy, err = proxy.New(proxy.Options{
		Config: s.cfg, Backends: s.backends, Coordinator: s.coordinator, Keys: s.store.keys, TLS: t, Logger: s.log,
	})
	s.cfg.Users = nil // no password stays in memory for longer than it is needed
	return err
}

// drainTimeout is how long statements may go on after the signal to stop.
const drainTimeout = 10 * time.Second

// adminTimeout bounds one question of recovery or of a start check to a server.
const adminTimeout = 5 * time.Second

// close takes the parts down that were started, after the last session and the janitor have ended.
func (s *service) close() {
	if s.coordinator != nil {
		s.coordinator.Close()
	}
	if s.store.rows != nil && s.proxy != nil {
		s.store.rows.Stopped(context.Background())
	}
	for _, b := range s.backends {
		b.Close()
	}
	for _, a := range s.admins {
		if err := a.Close(); err != nil {
			s.log.Warn().Err(err).Str("backend", a.Name()).Msg("closing administrative connections failed")
		}
	}
}

// halt ends the process because the decision log cannot be trusted any more. Nothing is tidied up: what is prepared
// now is decided by what the log says at the next start.
func (s *service) halt(err error) {
	s.log.Error().Err(err).Msg("stopping at once: the decision log cannot be relied on; start again to recover")
	os.Exit(exitHalted)
}

// haltWhenBroken ends the process when the log breaks, also by a write for which no client waits: nothing could be decided any more, and
// nothing finished.
func haltWhenBroken(ctx context.Context, broken <-chan struct{}, cause func() error, halt func(error)) {
	select {
	case <-ctx.Done():
	case <-broken:
		halt(cause())
	}
}

// checkAll does the start checks of all backends. A backend that can be reached and is not safe to use stops the
// start; one that cannot be reached refuses statements until it can, and the others serve.
func (s *service) checkAll(ctx context.Context, running *sync.WaitGroup) error {
	errs := make([]error, len(s.backends))
	var wg sync.WaitGroup
	for i := range s.backends {
		wg.Go(func() {
			unsafe, err := s.check(ctx, i)
			if errs[i] = unsafe; err == nil {
				return
			}
			s.log.Warn().Err(err).Str("backend", s.backends[i].Name()).Msg("backend cannot be checked; its statements are refused until it can")
			running.Go(func() { s.recheck(ctx, i) })
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// check does the start checks of one backend and opens it for clients. unsafe says that the server must not be used;
// err that it could not be asked.
func (s *service) check(ctx context.Context, i int) (unsafe, err error) {
	name := s.backends[i].Name()
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	facts, problems, err := s.admins[i].Check(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range problems {
		if p.Fatal {
			unsafe = errors.Join(unsafe, fmt.Errorf("backend %s: %s", name, p.String()))
		} else {
			s.log.Warn().Str("backend", name).Msg(p.String())
		}
	}
	if unsafe == nil {
		if unsafe, err = s.store.checkTables(ctx, s.admins[i]); err != nil {
			return nil, err
		}
	}
	if unsafe == nil {
		if facts.Collation, err = s.backends[i].Greets(ctx); err != nil {
			return nil, err
		}
		s.log.Info().Str("backend", name).Str("version", facts.Version).Bool("log_bin", facts.LogBin).Msg("start checks passed")
		s.backends[i].Ready(facts)
	}
	return unsafe, nil
}

// recheck repeats the start checks until they pass.
func (s *service) recheck(ctx context.Context, i int) {
	ticker := time.NewTicker(s.cfg.Decision.RecoveryInterval.Std())
	defer ticker.Stop()
	last := ""
	for {
		unsafe, err := s.check(ctx, i)
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
		case <-ticker.C:
		}
	}
}

// status answers the control socket.
func (s *service) status() recovery.Status {
	st := recovery.Status{
		Version: version(), PID: os.Getpid(), Started: s.started, Listen: s.cfg.Server.Listen,
		Coord: s.store.log.Coord(), Epoch: s.store.log.Epoch(),
		Sessions: s.proxy.Sessions(), InFlight: s.coordinator.Running(),
		Unfinished: len(s.store.decisions.Unfinished()),
	}
	st.Heuristics, st.Uncounted = s.store.heuristics()
	for i, swept := range s.janitor.States() {
		b, pool := s.backends[i], s.backends[i].Stats()
		one := recovery.BackendStatus{
			Name: b.Name(), Kind: b.Config.Kind, Version: b.Facts().Version, Reachable: swept.Err == nil,
			Open: pool.Open, Busy: pool.Open - pool.Free, Ours: swept.Ours, NotOurs: swept.NotOurs,
			OldestAgeSeconds: swept.OldestAge.Seconds(),
		}
		if swept.Err != nil {
			one.Error = swept.Err.Error()
		}
		st.Backends = append(st.Backends, one)
	}
	return st
}

// newLogger writes to stderr, in the format of log_format.
func newLogger(c config.Server, stderr io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(c.LogLevel)
	if err != nil { // config has checked it
		level = zerolog.InfoLevel
	}
	if c.LogFormat == "console" || c.LogFormat == "auto" && isTerminal(stderr) {
		stderr = zerolog.ConsoleWriter{Out: stderr, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(stderr).Level(level).With().Timestamp().Logger()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// closing closes c at the end of a function and reports the error unless there is another.
func closing(err *error, c io.Closer) {
	if closed := c.Close(); *err == nil {
		*err = closed
	}
}
