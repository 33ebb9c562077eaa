package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/xaproxy/xaproxy/admin"
	"github.com/xaproxy/xaproxy/admin/virtual"
	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/proxy"
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/trace"
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
			"SIGHUP loads the configuration again: see xaproxy reload, and the log for what came of it.\n" +
			"SIGTERM and SIGINT let open transactions end, for server.drain_timeout at most; a second one ends them at once.\n" +
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
	path        string // of the configuration
	listen      string // as it says
	log         zerolog.Logger
	level       *logLevel
	events      events
	started     time.Time
	store       store
	coordinator *xa.Coordinator
	janitor     *recovery.Janitor
	proxy       *proxy.Server
	running     *sync.WaitGroup // goroutines that serve waits for
	listener    net.Listener
	admin       *admin.Server // nil: nobody wants one
	stopping    atomic.Bool   // no new clients are taken
	stop        func()        // as a signal does
	console     console
	ends        ends
	syncs       syncs

	drain   atomic.Int64                  // drain_timeout
	loading sync.Mutex                    // one at a time
	cfg     atomic.Pointer[config.Config] // in effect; sealed
	seal    []byte

	mu      sync.Mutex // protects following fields
	members []*member  // in the order of the configuration
	leaving []*member  // not in the configuration any more, with something left to finish
}

// serve runs the proxy until ctx ends.
func serve(ctx context.Context, path string, stderr io.Writer) (err error) {
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	s := &service{path: path, listen: cfg.Server.Listen, level: &logLevel{}, started: time.Now(), seal: make([]byte, 32)}
	if _, err := rand.Read(s.seal); err != nil {
		return err
	}
	s.log = newLogger(cfg.Server, stderr, s.level, &s.events)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	defer func() { closing(&err, s.store) }() // after the last transaction
	defer s.close()
	var admins []*backend.Admin
	for i, c := range cfg.Backends {
		m, err := newMember(cfg, i, c)
		if err != nil {
			return err
		}
		s.members, admins = append(s.members, m), append(admins, m.admin)
	}
	if s.store, err = openStore(cfg, admins, s.log, false, s.syncs.on); err != nil {
		return err
	}

	var background sync.WaitGroup
	s.running = &background
	signalled, stop := context.WithCancel(ctx)
	defer stop()
	s.stop = stop
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // what transactions need goes on until the last one has ended
	defer background.Wait()                                       // after cancel: deferred calls run in reverse order
	defer cancel()
	starting := context.AfterFunc(signalled, cancel)
	tracer, err := openTracer(cfg.Trace, s.log)
	if err != nil {
		return err
	}
	if tracer != nil {
		defer tracer.Close() // after the last session
	}
	if err := s.open(ctx, cfg, tracer); err != nil {
		return err
	}
	background.Go(func() { s.janitor.Run(ctx) })
	for _, m := range s.members {
		background.Go(func() { s.probe(ctx, m) })
	}
	if s.store.rows != nil {
		background.Go(func() { s.store.rows.Run(ctx) })
	}
	if s.store.file != nil {
		background.Go(func() { haltWhenBroken(ctx, s.store.file.Broken(), s.store.file.Cause, s.halt) })
	}

	if err := os.MkdirAll(cfg.Decision.Dir, 0o700); err != nil { // the log has made it, if there is one
		return fmt.Errorf("decision.dir: %w", err)
	}
	control, err := recovery.Serve(cfg.Decision.Dir, audited{s.janitor, s}, s.status, func(asked context.Context, path string, dryRun bool) ([]string, error) {
		return s.reload(ctx, asked, path, viaSocket, dryRun)
	}, s.note)
	if err != nil {
		return err
	}
	defer closing(&err, control)
	control.Handle(admin.TablePattern, admin.Tables(tables{s}))

	if err := s.serveAdmin(cfg.Admin); err != nil {
		return err
	}
	if s.admin != nil {
		defer closing(&err, s.admin)
	}
	if s.listener, err = listen(cfg.Server.Listen); err != nil {
		return err
	}
	if !starting() {
		return nil // stopped while it started
	}
	background.Go(func() {
		select {
		case <-ctx.Done():
		case <-signalled.Done():
			s.shutDown(ctx)
		}
	})
	background.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				_, _ = s.reload(ctx, ctx, s.path, "SIGHUP", false) // which logs what comes of it
			}
		}
	})
	s.log.Info().Str("listen", s.listener.Addr().String()).Str("coord", s.store.log.Coord()).Uint32("epoch", s.store.log.Epoch()).
		Int("backends", len(cfg.Backends)).Msg("serving")
	s.tellManager(daemon.SdNotifyReady)
	err = s.proxy.Serve(s.listener)
	cancel()
	if err != nil {
		return err
	}
	s.log.Info().Msg("stopped")
	return nil
}

// openTracer returns nil if nothing is to be traced.
func openTracer(c config.Trace, log zerolog.Logger) (*trace.Tracer, error) {
	if c.Endpoint == "" {
		return nil, nil
	}
	return trace.New(trace.Options{Endpoint: c.Endpoint, Authorization: c.Authorization.Reveal(), OneIn: c.OneIn, Version: version(), Logger: log})
}

// open connects the parts. The store of decisions is open.
func (s *service) open(ctx context.Context, cfg *config.Config, tracer *trace.Tracer) error {
	servers := make([]recovery.Server, len(s.members))
	backends := make([]*backend.Backend, len(s.members))
	for i, m := range s.members {
		s.prepare(ctx, m, cfg.Decision.RecoveryInterval.Std(), s.running)
		servers[i], backends[i] = m.admin, m.backend.Load()
	}
	if err := s.checkAll(ctx, cfg.Decision.RecoveryInterval.Std(), s.running); err != nil {
		return err
	}
	s.coordinator = xa.NewCoordinator(xa.Options{
		Log: s.store.log, PrepareTimeout: cfg.Decision.PrepareTimeout.Std(), CommitWait: cfg.Decision.CommitWait.Std(),
		EarlyAnswer: cfg.Decision.EarlyAnswer,
		Logger:      s.log, Observer: &s.ends, Orphaned: func(name string) { s.janitor.Poke(name) }, Halt: s.halt,
	})
	s.janitor = recovery.New(recovery.Options{
		Servers: servers, Decisions: s.store.decisions, InFlight: s.coordinator, Interval: cfg.Decision.RecoveryInterval.Std(),
		Timeout: adminTimeout, Logger: s.log, Fenced: s.halt,
	})
	t, err := serverTLS(cfg.Server, s.log)
	if err != nil {
		return err
	}
	s.console = console{ctx, s, virtual.New(tables{s})}
	s.proxy, err = proxy.New(proxy.Options{
		Config: cfg, Backends: backends, Coordinator: s.coordinator, Keys: s.store.keys, TLS: t, Logger: s.log, Tracer: tracer,
		Console: s.console,
	})
	s.drain.Store(int64(cfg.Server.DrainTimeout))
	s.cfg.Store(cfg.Sealed(s.seal)) // no password of a user stays in memory for longer than it is needed
	return err
}

// shutDown takes no more clients and ends the sessions: those in a transaction when it has ended, for which they have drain_timeout, or until
// another signal comes. It returns when ctx ends, which is when the last one has.
func (s *service) shutDown(ctx context.Context) {
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(again)
	s.stopping.Store(true)
	limit := time.Duration(s.drain.Load())
	s.tellManager(daemon.SdNotifyStopping + fmt.Sprintf("\nEXTEND_TIMEOUT_USEC=%d", (limit+stopping).Microseconds()))
	s.proxy.Close()
	s.log.Info().Int("sessions", s.proxy.Sessions()).Dur("drain_timeout", limit).Msg("stopping: open transactions may end")
	overdue := time.NewTimer(limit)
	defer overdue.Stop()
	select {
	case <-ctx.Done():
		return
	case <-overdue.C:
	case <-again:
	}
	s.log.Warn().Int("sessions", s.proxy.Sessions()).Msg("transactions are still open, or statements run: their connections are closed")
	s.proxy.Abort()
	all, _ := s.all()
	for _, m := range all {
		m.backend.Load().Abort()
	}
	<-ctx.Done()
}

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
	all, _ := s.all()
	for _, m := range all {
		s.discard(m)
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

// status answers the control socket.
func (s *service) status() recovery.Status {
	st := recovery.Status{
		Version: version(), PID: os.Getpid(), Started: s.started, Listen: s.listen,
		Coord: s.store.log.Coord(), Epoch: s.store.log.Epoch(),
		Sessions: s.proxy.Sessions(), InFlight: s.coordinator.Running(),
		Unfinished: len(s.store.decisions.Unfinished()),
	}
	st.Heuristics, st.Uncounted = s.store.heuristics()
	states := s.janitor.States()
	all, leaving := s.all()
	for i, m := range all {
		b := m.backend.Load()
		pool := b.Stats()
		one := recovery.BackendStatus{
			Name: b.Name(), Kind: b.Config.Kind, Version: b.Facts().Version, Open: pool.Open, Busy: pool.Open - pool.Free, Leaving: i >= len(all)-leaving,
		}
		if at := slices.IndexFunc(states, func(s recovery.State) bool { return s.Backend == b.Name() }); at >= 0 {
			swept := states[at]
			one.Reachable, one.Ours, one.NotOurs, one.OldestAgeSeconds = swept.Err == nil, swept.Ours, swept.NotOurs, swept.OldestAge.Seconds()
			if swept.Err != nil {
				one.Error = swept.Err.Error()
			}
		}
		st.Backends = append(st.Backends, one)
	}
	return st
}

// logLevel is the least severe level that is logged, which may change.
type logLevel struct{ atomic.Int32 }

func (l *logLevel) set(name string) {
	level, err := zerolog.ParseLevel(name)
	if err != nil { // config has checked it
		level = zerolog.InfoLevel
	}
	l.Store(int32(level))
}

// Sample implements zerolog.Sampler: what is not logged is not written in the first place.
func (l *logLevel) Sample(level zerolog.Level) bool { return level >= zerolog.Level(l.Load()) }

// newLogger writes to stderr, in the format of log_format, and to what else wants to see the lines.
func newLogger(c config.Server, stderr io.Writer, level *logLevel, too zerolog.LevelWriter) zerolog.Logger {
	level.set(c.LogLevel)
	if c.LogFormat == "console" || c.LogFormat == "auto" && isTerminal(stderr) {
		stderr = zerolog.ConsoleWriter{Out: stderr, TimeFormat: time.TimeOnly}
	}
	plain := zerolog.New(zerolog.MultiLevelWriter(stderr, too)).Sample(level).With().Timestamp().Logger()
	return plain.Hook(&repeats{level: level, out: plain, windows: make(map[string]*window)})
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
