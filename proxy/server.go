package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/sequence"
	"github.com/xaproxy/xaproxy/trace"
	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// Options of a Server. All fields are required but TLS, Console and Tracer.
type Options struct {
	Config      *config.Config
	Backends    []*backend.Backend // in the order of the configuration
	Coordinator *xa.Coordinator
	Keys        xa.Keys
	TLS         *tls.Config // nil: clients cannot encrypt
	Console     Console
	Tracer      *trace.Tracer
	Logger      zerolog.Logger
}

// Server accepts clients. Its methods are safe for concurrent use.
type Server struct {
	newest    atomic.Pointer[generation] // that statements begin with
	flakes    map[int]sequence.Sequence  // by node: all generations share them. Only New and Reload use it
	xa        *xa.Coordinator
	keys      xa.Keys
	decides   bool // the first backend of a transaction decides: the participant store
	version   string
	style     style
	console   Console // nil: there is none
	logger    zerolog.Logger
	started   time.Time
	lastID    atomic.Uint32
	questions atomic.Uint64 // commands of all clients
	counters  []*counters
	gate      gate
	slow      slowStatements
	tracer    *trace.Tracer // nil: nothing is traced

	keysDoubted atomic.Bool // a statement may have changed the columns of shard keys

	running sync.WaitGroup // sessions
	mu      sync.Mutex     // protects following fields
	open    map[*session]struct{}
	strange int  // how many of them have not logged in yet
	deaf    bool // no client is accepted any more
	closing bool // all sessions are to end

	listeners []net.Listener // of all Serves; protected by mu
	accepting sync.WaitGroup // on these
}

// fallbackVersion is what clients are told when no backend could be asked for its version yet.
const fallbackVersion = "8.4.0-xaproxy"

// scatters are the values of scatter_writes.
var scatters = map[string]router.Scatter{"deny": router.ScatterNone, "where": router.ScatterWhere, "allow": router.ScatterAll}

// user is an account of [[users]].
type user struct {
	account  *wire.Account
	schemas  []string       // lower case; empty: all
	readOnly bool           // may run no statement that writes or locks
	scatter  router.Scatter // how far UPDATE and DELETE may scatter
	sessions int            // that may be open at one time; 0: any number
	limit    time.Duration  // of a statement's running time; 0: none
	rows     int64          // that one statement may bring together on a backend; 0: any number
	bytes    int64          // of these
	admin    bool           // may have the configuration loaded again

	open *int // sessions; protected by Server.mu
}

// New makes a server. It opens nothing. The users of the configuration, and with them their passwords, are not needed any more
// when it returns: the server has hashes.
func New(o Options) (*Server, error) {
	s := &Server{
		xa: o.Coordinator, keys: o.Keys, decides: o.Config.Decision.Store == config.ParticipantStore, console: o.Console, flakes: make(map[int]sequence.Sequence),
		started: time.Now(), tracer: o.Tracer, logger: o.Logger, counters: newCounters(), open: make(map[*session]struct{}), gate: gate{hosts: make(map[string]*visitor)},
	}
	s.version = o.Config.Server.Version
	for _, b := range o.Backends {
		if s.version == "" {
			s.version = b.Facts().Greeting()
		}
	}
	if s.version == "" {
		s.version = fallbackVersion
	}
	s.style.mariadb = strings.Contains(s.version, "MariaDB")
	g, err := s.generation(o.Config, o.Backends, o.TLS)
	if err != nil {
		return nil, err
	}
	s.takeOver(g)
	return s, nil
}

// Serve accepts clients on ln until Close is called, ln is closed or accepting fails. It returns when the last session has ended.
func (s *Server) Serve(ln net.Listener) error {
	watching, stop := context.WithCancel(background)
	var watcher sync.WaitGroup
	watcher.Go(func() { s.watch(watching) })
	patient, enough := context.WithTimeout(watching, keysPatient)
	s.newest.Load().learnOnce(patient)
	enough()
	watcher.Go(func() { s.learn(watching) })
	defer func() {
		s.running.Wait() // the last statements are watched, too
		stop()
		watcher.Wait()
	}()
	if !s.listens(ln) {
		return nil
	}
	defer s.accepting.Done()
	pause := time.Duration(0)
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
		case errors.Is(err, net.ErrClosed):
			return nil
		case passing(err):
			if pause == 0 {
				s.logger.Warn().Err(err).Msg("cannot accept clients for now")
			}
			pause = min(2*pause+acceptPause, maxAcceptPause)
			time.Sleep(pause)
			continue
		default:
			return fmt.Errorf("accept clients on %s: %w", ln.Addr(), err)
		}
		id := s.lastID.Add(1)
		session := &session{srv: s, gen: s.newest.Load(), id: id, net: nc, came: time.Now(), counters: s.counters[int(id)%len(s.counters)]}
		if s.tracer != nil {
			session.traced = &traced{tracer: s.tracer}
		}
		if refusal := s.admit(session); refusal != nil {
			s.running.Go(func() { refuse(nc, refusal) })
			continue
		}
		s.running.Go(func() {
			defer s.dismiss(session)
			session.serve()
		})
	}
}

// listens notes that clients are accepted on ln, unless Close was called.
func (s *Server) listens(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deaf {
		return false
	}
	s.listeners = append(s.listeners, ln)
	s.accepting.Add(1)
	return true
}

// passing reports whether accepting may succeed again when others have closed their connections, or at once. Too many
// clients must not be able to end the proxy.
func passing(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR, syscall.EAGAIN,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

const (
	acceptPause    = 5 * time.Millisecond // after the first error of a row; each further one takes twice as long
	maxAcceptPause = time.Second
)

// Close ends all sessions: each after its next statement, for which it has lastWord, or after the present one, and those in a transaction
// when that has ended. Abort ends them sooner. Its listeners are closed first; who came in before that is a session like others.
func (s *Server) Close() {
	s.mu.Lock()
	s.deaf = true
	for _, ln := range s.listeners {
		_ = ln.Close() // Serve says what matters
	}
	s.mu.Unlock()
	s.accepting.Wait()
	s.mu.Lock()
	s.closing = true
	for session := range s.open {
		if session.work.finish() {
			session.linger()
		}
	}
	s.mu.Unlock()
}

// lastWord is how long a session may do nothing before it ends, when all are to end. Clients look whether a connection was closed before
// they use it again, so one that is closed with an answer is no loss to them; one that is closed when their next statement is on its way is.
const lastWord = time.Second

// Abort closes the connections of all clients, under the hands of the sessions, which end soon after unless they wait for a
// backend.
func (s *Server) Abort() {
	for _, one := range s.sessions() {
		_ = one.net.Close() // its session finds out
	}
}

// Sessions is the number of clients that are connected.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// admit registers a session, or says why not.
func (s *Server) admit(session *session) *wire.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if refusal := s.gate.closed(session.net, time.Now()); refusal != nil {
		return refusal
	}
	if len(s.open)-s.strange >= s.maxConnections() {
		return s.full()
	}
	if s.strange >= s.maxConnections() && !s.evict(session.came) {
		return s.full()
	}
	s.open[session] = struct{}{}
	s.strange++
	return nil
}

func (s *Server) maxConnections() int { return s.newest.Load().cfg.Server.MaxConnections }

// full is the refusal of one client too many. s.mu is held.
func (s *Server) full() *wire.Error {
	return wire.NewError(wire.CodeTooManyConnections, "too many connections: max_connections = %d of xaproxy is reached", s.maxConnections())
}

// evict makes room for a client by closing the connection of the one that has taken longest to log in, if it has had its
// chance. Clients that say nothing must not keep others out. s.mu is held.
func (s *Server) evict(now time.Time) bool {
	var oldest *session
	for one := range s.open {
		if !one.known && (oldest == nil || one.id < oldest.id) {
			oldest = one
		}
	}
	if oldest == nil || now.Sub(oldest.came) < chance {
		return false
	}
	s.logger.Debug().Uint32("conn", oldest.id).Msg("closed, because it has not logged in and others wait")
	oldest.known = true // counted among those who are in until it ends, which is soon
	s.strange--
	_ = oldest.net.Close() // its session finds out
	return true
}

// chance is how long a client may take to log in while there are too many others who have not.
const chance = time.Second

func (s *Server) dismiss(session *session) {
	s.mu.Lock()
	delete(s.open, session)
	if !session.known {
		s.strange--
	}
	s.mu.Unlock()
	s.leave(session)
}

// leave takes a session off its user's count.
func (s *Server) leave(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session.user != nil {
		*session.user.open--
		session.user = nil
	}
}

// enter counts a session for its user, or says why it may not have another one.
func (s *Server) enter(session *session, u *user) *wire.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !session.known && len(s.open)-s.strange >= s.maxConnections() {
		return s.full()
	}
	if u.sessions > 0 && *u.open >= u.sessions {
		return wire.NewError(wire.CodeUserLimit, "User '%s' already has %d active connections, its max_connections", session.login.User, u.sessions)
	}
	if !session.known {
		session.known = true
		s.strange--
	}
	session.user = u
	*u.open++
	return nil
}

// refuse tells a client that it cannot be served, in place of a greeting.
func refuse(nc net.Conn, refusal *wire.Error) {
	_ = nc.SetDeadline(time.Now().Add(time.Second)) // if it fails, so does the write
	_ = wire.NewConn(nc, 1<<16).WriteErr(refusal)   // the client is turned away in any case
	_ = nc.Close()
}

// mayUse says whether the user may use a schema. The server's own schemas show more than one user's data, so they
// must be named in the user's list, except for information_schema, which drivers cannot do without.
func (u *user) mayUse(schema string) bool {
	if schema == "information_schema" {
		return true
	}
	if len(u.schemas) > 0 {
		return slices.Contains(u.schemas, schema)
	}
	return !config.SystemSchema(schema)
}

// sees says whether lists of schemas, and of what is in them, show the user those of a schema: all that are configured or the server's own, unless
// the user is limited to some.
func (u *user) sees(schema string) bool {
	return len(u.schemas) == 0 || schema == "information_schema" || slices.Contains(u.schemas, schema)
}

// background is the context of waits that end by themselves.
var background = context.Background()
