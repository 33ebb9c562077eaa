package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/ddl"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// generation is what comes of one configuration. A command of a client sees one of them only: the newest when it began, or that with which the
// open transaction, or what else keeps the session on a connection, has begun. But for what is learnt of backends it does not change.
type generation struct {
	cfg       *config.Config     // without users
	backends  []*backend.Backend // in the order of the configuration
	router    *router.Router
	sequences map[string]numbered // by table
	columns   map[string]*columns // by table
	journal   *ddl.Journal
	wire      *wire.Server
	users     map[string]*user
	decoys    decoys
	mode      router.Mode // of a session that has not changed sql_mode
	mixed     bool        // there are backends of both kinds
	logger    zerolog.Logger

	defined copyDefinitions

	learning sync.Mutex         // protects following fields
	views    [][]router.View    // by backend, as they were last
	routines [][]router.Routine // the same
}

// generation makes what comes of a configuration, which nobody sees before takeOver.
func (s *Server) generation(cfg *config.Config, backends []*backend.Backend, t *tls.Config) (*generation, error) {
	r, err := router.New(cfg)
	if err != nil {
		return nil, err
	}
	g := &generation{
		backends: backends, router: r, logger: s.logger, journal: ddl.New(backends, s.logger),
		sequences: s.newSequences(cfg, backends), columns: newColumns(cfg, backends),
		views: make([][]router.View, len(backends)), routines: make([][]router.Routine, len(backends)),
	}
	if err := g.addUsers(cfg.Users, s.newest.Load()); err != nil {
		return nil, err
	}
	bare := *cfg
	bare.Users = nil
	g.cfg = &bare
	g.mixed = slices.ContainsFunc(backends, func(b *backend.Backend) bool { return b.Flavour() != backends[0].Flavour() })
	collation := backends[0].Facts().Collation
	if _, bad := unsafeCollation(uint16(collation)); bad {
		collation = 0 // a client that takes it over could not log in
	}
	g.mode = sqlMode(backends[0].Facts().SQLMode)
	g.wire = &wire.Server{
		Version: s.version, Collation: collation, TLS: t, RequireTLS: cfg.Server.TLSRequired || cfg.Server.TLSClientRequired, Accounts: g,
		Native: s.style.mariadb, Offer: wire.QueryAttributes | wire.Compress | wire.ZstdCompression, MaxPacket: int(cfg.Server.MaxPacket), Handshake: cfg.Server.HandshakeTimeout.Std(),
	}
	return g, nil
}

// addUsers makes the accounts. Sessions of those that before has, too, count together.
func (g *generation) addUsers(users []config.User, before *generation) error {
	g.users = make(map[string]*user, len(users))
	g.decoys = newDecoys(users)
	for _, u := range users {
		account := wire.NewAccount(u.Password.Reveal())
		if u.PasswordHash != "" {
			var err error
			if account, err = wire.NewAccountHash(u.PasswordHash.Reveal()); err != nil {
				return fmt.Errorf("user %s: password_hash: %w", u.Name, err)
			}
		}
		added := &user{
			account: account, readOnly: u.ReadOnly, scatter: scatters[u.ScatterWrites], sessions: u.MaxConnections, limit: u.MaxExecutionTime.Std(),
			rows: int64(u.MaxScratchRows), bytes: int64(u.MaxScratchBytes), admin: u.Admin, open: new(int),
		}
		for _, schema := range u.Schemas {
			added.schemas = append(added.schemas, strings.ToLower(schema))
		}
		if before != nil && before.users[u.Name] != nil {
			added.open = before.users[u.Name].open
		}
		g.users[u.Name] = added
		g.decoys.add(account)
	}
	return nil
}

// Account gives the wire package what it checks passwords against.
func (g *generation) Account(name string) (*wire.Account, bool) {
	decoy := g.decoys.of(name) // also where none is needed, so that it takes as long
	if u, ok := g.users[name]; ok {
		return u.account, true
	}
	return decoy, false
}

// home is the backend for statements that every backend answers alike: that of the current schema, else the first.
func (g *generation) home(schema string) *backend.Backend {
	for _, c := range g.cfg.Schemas {
		if strings.EqualFold(c.Name, schema) {
			return g.backends[g.cfg.BackendIndex(c.Backend)]
		}
	}
	return g.backends[0]
}

// byName returns the backend of this name.
func (g *generation) byName(name string) *backend.Backend {
	return g.backends[slices.IndexFunc(g.backends, func(b *backend.Backend) bool { return b.Name() == name })]
}

// hasMySQL says whether a backend is MySQL.
func (g *generation) hasMySQL() bool {
	return slices.ContainsFunc(g.backends, func(b *backend.Backend) bool { return b.Config.Kind == config.MySQL })
}

// Reload lets the statements of all sessions begin with another configuration from now on: those within a transaction, and of a session that
// is pinned to a connection, when that has ended. backends are in the order of the configuration; those that there were before come from
// Backend.Again. The passwords of users are not needed any more when it returns.
func (s *Server) Reload(ctx context.Context, cfg *config.Config, backends []*backend.Backend, t *tls.Config) error {
	g, err := s.generation(cfg, backends, t)
	if err != nil {
		return err
	}
	patient, enough := context.WithTimeout(ctx, keysPatient)
	defer enough()
	g.learnOnce(patient)
	s.takeOver(g)
	g.learnOnce(patient) // DDL that ended in between has told the former generation only
	return nil
}

// takeOver makes g the newest generation.
func (s *Server) takeOver(g *generation) {
	s.gate.limit(g.cfg.Server.LoginFailures, g.cfg.Server.LoginBlock.Std())
	s.newest.Store(g)
}

// Uses reports whether a statement that runs, or an open transaction, may still use a backend that is not in the configuration any more.
func (s *Server) Uses(b *backend.Backend) bool {
	return slices.ContainsFunc(s.generations(), func(g *generation) bool { return slices.ContainsFunc(g.backends, b.Shares) })
}

// generations are the newest one and those that sessions hold on to.
func (s *Server) generations() []*generation {
	all := []*generation{s.newest.Load()}
	for _, one := range s.sessions() {
		if g := one.work.holds(); g != nil && !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	return all
}

// renew brings the session to what the newest generation says, unless a transaction is open. Where its statements run only held says, which
// is an older one while the session is pinned to a connection. An error ends the session.
func (s *session) renew(held, newest *generation) error {
	if s.tx != nil || s.open {
		return nil
	}
	u := newest.users[s.login.User]
	if u == nil {
		return s.turnAway(wire.NewError(wire.CodeAccessDenied, "Access denied for user '%s': the account was taken out of the configuration of xaproxy", s.login.User))
	}
	if u != s.user {
		s.become(u)
	}
	if held != s.gen {
		s.gen, s.router, s.last = held, held.router, lastStatement{}
		s.conn.SetPatience(s.patience())
		s.armed = time.Time{} // idle_timeout may be another one
	}
	return nil
}

// become gives the session the rights and limits that its user has now.
func (s *session) become(u *user) {
	before := s.user
	s.srv.mu.Lock()
	s.user = u
	s.srv.mu.Unlock()
	s.work.limited(u)
	if u.readOnly == before.readOnly {
		return
	}
	if u.readOnly {
		s.note(forReading)
	} else {
		s.variables = slices.DeleteFunc(s.variables, func(v variable) bool { return v == forReading })
	}
	s.compose()
}
