package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/admin/live"
	"github.com/xaproxy/xaproxy/config"
)

// Options of a Server. All fields but TLS are required.
type Options struct {
	Config config.Admin
	TLS    *tls.Config // nil: plain
	Source Source
	Live   live.Source
	Act    Actor
	Logger zerolog.Logger
}

// Server is a listener with those who ask. Its methods are safe for concurrent use.
type Server struct {
	source Source
	live   live.Source
	actor  Actor
	logger zerolog.Logger
	access atomic.Pointer[access]
	http   *http.Server
	addr   net.Addr
	served chan struct{} // closed when its goroutine has ended
	err    error         // why it has; set before served is closed

	mu     sync.Mutex // protects following fields
	told   time.Time  // when the last refusal was logged
	untold int        // those since
}

// access is who may ask for everything.
type access struct {
	open  bool     // everybody who reaches the listener
	token [32]byte // hash of the token
	keyed bool     // there is one
}

const (
	// patience bounds how long a conversation may take to ask, and to take the answer.
	patience = 10 * time.Second
	// greeting bounds how long who has connected may take to say what it wants.
	greeting = 2 * time.Second
	// maxConns is how many conversations there may be.
	maxConns = 64
	// tellInterval is how often refusals are logged.
	tellInterval = time.Second
)

// Listen serves until Close.
func Listen(o Options) (*Server, error) {
	s := &Server{source: o.Source, live: o.Live, actor: o.Act, logger: o.Logger, served: make(chan struct{})}
	s.Configure(o.Config)
	ln, err := net.Listen("tcp", o.Config.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin.listen: %w", err)
	}
	s.addr = ln.Addr()
	ln = &limited{Listener: ln, free: make(chan struct{}, maxConns)}
	if o.TLS != nil {
		ln = tls.NewListener(ln, o.TLS)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthy)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.guard(metrics(o.Source)))
	mux.Handle(TablePattern, s.guard(Tables(o.Live)))
	mux.Handle("GET /live", s.guard(http.HandlerFunc(index)))
	mux.Handle("GET /dashboard.json", s.guard(http.HandlerFunc(s.overview)))
	mux.Handle("POST /do", http.NewCrossOriginProtection().Handler(s.guard(http.HandlerFunc(s.act))))
	for _, name := range pages() {
		mux.Handle("GET /"+name, page())
	}
	s.http = &http.Server{
		Handler: mux, ReadHeaderTimeout: greeting, ReadTimeout: patience, WriteTimeout: patience, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: log.New(complaints{o.Logger}, "", 0),
	}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			s.err = err
		}
	}()
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.addr }

// Configure lets those ask from now on whom the configuration names. The address stays what it was.
func (s *Server) Configure(c config.Admin) {
	s.access.Store(&access{open: c.Open(), token: sha256.Sum256([]byte(c.Token.Reveal())), keyed: c.Token != ""})
}

// Close ends all conversations and returns when the last one has ended.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.served
	return errors.Join(err, s.err)
}

// guard lets only those ask who may.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.admits(r) {
			next.ServeHTTP(w, r)
			return
		}
		s.refused(r)
		w.Header().Set("WWW-Authenticate", "Bearer")
		say(w, http.StatusUnauthorized, "not without the token (admin.token), or a certificate of admin.tls_client_ca\n")
	})
}

// admits reports whether who asks may know everything.
func (s *Server) admits(r *http.Request) bool {
	a := s.access.Load()
	if a.open {
		return local(r.Host)
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return true
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	said := sha256.Sum256([]byte(token))
	return ok && a.keyed && subtle.ConstantTimeCompare(said[:], a.token[:]) == 1
}

// local reports whether a request was meant for an address and not for a name: a page of somebody else's, in a browser on this machine, can
// only ask by a name that leads here.
func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || host == "localhost"
}

// refused logs that somebody was not let in, though not each time.
func (s *Server) refused(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.told) < tellInterval {
		s.untold++
	} else {
		s.logger.Log().Str("audit", "refused").Str("by", r.RemoteAddr).Str("path", r.URL.Path).Int("since_last_line", s.untold).Msg("admin action")
		s.told, s.untold = now, 0
	}
}

// limited closes connections that are too many.
type limited struct {
	net.Listener
	free chan struct{} // a token for each connection
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.free <- struct{}{}:
			return &counted{Conn: c, l: l}, nil
		default:
			_ = c.Close() // who asks too often learns it so
		}
	}
}

// counted gives its token back when it is closed.
type counted struct {
	net.Conn
	l    *limited
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { <-c.l.free })
	return c.Conn.Close()
}

// complaints logs what net/http has to say, which is about those who ask.
type complaints struct{ zerolog.Logger }

func (c complaints) Write(p []byte) (int, error) {
	c.Debug().Str("reason", strings.TrimSpace(string(p))).Msg("admin listener")
	return len(p), nil
}
