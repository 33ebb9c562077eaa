package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xaproxy/xaproxy/backend/postgres"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// Backend is one configured database with its pool of raw connections. It is safe for concurrent use. A configuration that is loaded later
// has a Backend of its own for the same server, made by Again, which shares the pool.
type Backend struct {
	Config config.Backend
	Index  int // position in the configuration, which plans refer to

	// Warn is told what an administrator should see to, and may be called by several goroutines at once. It must not change
	// once the backend is used; nil: nobody wants to know.
	Warn func(error)
	// Records has the records of decisions that are rows on deciders. It must not change once the backend is used; nil: no transaction has
	// a decider.
	Records Records
	// Replaced is called when another server than the one that was checked answers at the address, or the same one with other settings that
	// the commit protocol rests on: clients are refused until the next Ready. It must not block. It must not change once the backend is used;
	// nil: nobody checks.
	Replaced func(error)

	schemas   map[string]bool // lower case: those that the configuration puts there
	maxPacket int
	tls       *tls.Config
	postgres  *postgres.Dialer // nil for the other kinds
	*server
}

// server is what all configurations have of a backend.
type server struct {
	facts    atomic.Pointer[Facts] // nil until the start checks have passed
	outdated atomic.Pointer[Facts] // those of a server that is not there any more
	pool     pool
	health   atomic.Pointer[Health] // nil before the first look
	prober   *Conn                  // that Probe keeps, and nobody else uses
	paused   atomic.Pointer[pause]  // nil: it is not

	mu    sync.Mutex        // protects following fields
	names map[uint16]string // per collation id, the SET NAMES that a handshake with it amounts to
	conns map[uint64]*Conn  // open connections by the server's id
}

// Records are those of the participant store.
type Records interface {
	// Insert returns the statements that write the record of a decision.
	Insert(xa.Decision) []string
	// Fence says what was decided on a transaction, and makes sure that it cannot change any more.
	Fence(context.Context, xa.GTRID) (committed bool, err error)
	// FindKey says what became of a commit key.
	FindKey(ctx context.Context, key string) (xa.KeyRecord, error)
}

// Open prepares the pool of one backend. It connects to nothing yet.
func Open(cfg *config.Config, index int) (*Backend, error) {
	b, err := configured(cfg, index)
	if err != nil {
		return nil, err
	}
	b.server = &server{names: make(map[uint16]string), conns: make(map[uint64]*Conn)}
	b.pool.size = b.Config.PoolSize
	return b, nil
}

// Again returns the backend as another configuration has it, with the same pool, whose size stays as it is until Resize.
func (b *Backend) Again(cfg *config.Config, index int) (*Backend, error) {
	again, err := configured(cfg, index)
	if err != nil {
		return nil, err
	}
	again.Warn, again.Records, again.Replaced, again.server = b.Warn, b.Records, b.Replaced, b.server
	return again, nil
}

// Shares reports whether two are the same backend, of whichever configurations.
func (b *Backend) Shares(o *Backend) bool { return b.server == o.server }

func configured(cfg *config.Config, index int) (*Backend, error) {
	c := cfg.Backends[index]
	b := &Backend{Config: c, Index: index, maxPacket: int(cfg.Server.MaxPacket), schemas: cfg.SchemasOn(c.Name)}
	var err error
	if b.tls, err = tlsConfig(c, b.warn); err != nil {
		return nil, err
	}
	if c.Kind == config.Postgres {
		b.postgres = postgresDialer(c, b.tls, b.maxPacket)
		b.postgres.Warn = b.warn
	}
	return b, nil
}

// Resize gives the pool the size that the configuration of b has.
func (b *Backend) Resize() { b.pool.resize(b.Config.PoolSize) }

// Retire keeps no connection any longer than it is lent: the backend is not in the configuration any more, and only transactions that began
// before still use it.
func (b *Backend) Retire() { b.pool.retire() }

func (b *Backend) warn(err error) {
	if b.Warn != nil {
		b.Warn(err)
	}
}

// Flavour is the index of the backend's kind in Session.Set.
func (b *Backend) Flavour() int {
	if b.Config.Kind == config.MariaDB {
		return flavourMariaDB
	}
	return 0
}

// MariaDB cuts fractions of a second that a column has no digits for, where MySQL and PostgreSQL round. RoundFractions has a session do as these do,
// CutFractions undoes it.
const (
	RoundFractions = "SET sql_mode = CONCAT_WS(',', NULLIF(@@sql_mode, ''), '" + roundMode + "')"
	CutFractions   = "SET sql_mode = TRIM(BOTH ',' FROM REPLACE(@@sql_mode, '" + roundMode + "', ''))"

	roundMode = "TIME_ROUND_FRACTIONAL"
)

// Cuts tells whether a session cuts fractions on this backend alone of those that must do the same; mode is its sql_mode, "" for the server's.
func (b *Backend) Cuts(all []*Backend, mode string) bool {
	if mode == "" {
		mode = b.Facts().SQLMode
	}
	return b.Flavour() == flavourMariaDB && !strings.Contains(strings.ToUpper(mode), roundMode) &&
		slices.ContainsFunc(all, func(o *Backend) bool { return o.Flavour() != flavourMariaDB })
}

const flavourMariaDB = 1

// Has reports whether a schema is there.
func (b *Backend) Has(schema string) bool { return b.has(schema) }

// has reports whether a schema can be the current one there. The statements of a session whose schema is elsewhere name
// their own.
func (b *Backend) has(schema string) bool {
	lower := strings.ToLower(schema)
	return b.schemas[lower] || config.SystemSchema(lower)
}

// Name is the backend's name in the configuration and the bqual of its branches.
func (b *Backend) Name() string { return b.Config.Name }

// Get lends a connection that can be brought to the state s; Conn.Begin does that when the first statement is sent.
// It waits at most pool_wait for a free connection and connect_timeout for a new one. An error is a *wire.Error that
// can be sent to the client; nothing was changed anywhere then.
//
// owner tells borrowers apart: what one may still ask about its statements on a connection (Debt) is asked for it before
// another one gets that.
func (b *Backend) Get(ctx context.Context, s *Session, owner any) (*Conn, error) {
	if b.facts.Load() == nil {
		return nil, wire.NewError(wire.CodeBackendDown,
			"backend %s has not passed its start checks yet: it cannot be reached; see the log of xaproxy", b.Config.Name)
	}
	if b.paused.Load() != nil {
		if e := b.passes(ctx); e != nil {
			return nil, e
		}
	}
	if h := b.health.Load(); h != nil && h.Cause != nil {
		return nil, b.down(h)
	}
	c, err := b.pool.get(ctx, b, s, owner)
	if err != nil {
		return nil, err
	}
	c.b = b
	return c, nil
}

// Ready opens the backend for clients, with what the start checks found. Connections from before are not lent any more.
func (b *Backend) Ready(f Facts) {
	b.facts.Store(&f)
	b.pool.breaker.done(time.Now(), nil)
}

// meets finds out whether a new connection leads to the server that was checked.
func (b *Backend) meets(c *Conn) error {
	c.facts = b.facts.Load()
	if c.facts == nil || c.facts.Identity == "" {
		return nil
	}
	question := "SELECT @@GLOBAL.server_uuid, @@GLOBAL.log_bin"
	switch {
	case b.postgres != nil:
		question = askPostgresIdentity
	case c.facts.MariaDB:
		question = "SELECT CONCAT(@@GLOBAL.server_id, '@', @@GLOBAL.hostname, ':', @@GLOBAL.port, @@GLOBAL.datadir), @@GLOBAL.log_bin, " + startedColumn
	}
	var rows wire.Rows
	err := c.within(func() (err error) {
		rows, err = c.Query(question)
		return err
	})
	var said *wire.Error
	switch {
	case errors.As(err, &said): // a server of the other kind does not know the variables
		err = said
	case err != nil:
		return err
	case len(rows.Values) == 1 && string(rows.Values[0][0]) == c.facts.Identity && (string(rows.Values[0][1]) == "1") == c.facts.LogBin:
		if len(rows.Values[0]) > 2 {
			c.started = string(rows.Values[0][2])
		}
		return nil
	default:
		err = fmt.Errorf("it was %s, with log_bin %t, and is %q now", c.facts.Identity, c.facts.LogBin, rows.Values)
	}
	err = fmt.Errorf("another server answers at its address than the one that was checked: %w", err)
	if b.Replaced != nil && b.outdated.Swap(c.facts) != c.facts {
		b.Replaced(err)
	}
	return err
}

// Facts returns what the start checks found; zero before they have passed.
func (b *Backend) Facts() Facts {
	if f := b.facts.Load(); f != nil {
		return *f
	}
	return Facts{}
}

// Broken returns why statements are refused at once, for connecting has failed and has not succeeded since; nil if they are not.
func (b *Backend) Broken() error { return b.pool.breaker.open() }

// Address is where the server is, as the configuration says.
func (b *Backend) Address() string {
	if b.Config.Socket != "" {
		return b.Config.Socket
	}
	return net.JoinHostPort(b.Config.Host, strconv.Itoa(b.Config.Port))
}

// Stats returns the pool's counters.
func (b *Backend) Stats() PoolStats { return b.pool.snapshot() }

// Alive reports whether the server's connection id belongs to an open connection of this pool.
func (b *Backend) Alive(id uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.conns[id]
	return ok
}

// Close closes the free connections and those that are lent as they come back.
func (b *Backend) Close() { b.pool.close() }

// KillQuery ends the statement that the server's session id runs, by a connection of its own, within connect_timeout
// for connecting and as much for the answer.
func (b *Backend) KillQuery(ctx context.Context, id uint64) error {
	c, err := b.connect(ctx, &Session{})
	if err != nil {
		return err
	}
	defer c.close()
	return c.within(func() error { return c.Exec("KILL QUERY " + strconv.FormatUint(id, 10)) })
}

// Abort closes all connections, under the hands of those who use them.
func (b *Backend) Abort() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns {
		_ = c.Conn.Close() // its user finds out
	}
}

// Greets returns the collation in the server's greeting, which is its own, within connect_timeout.
func (b *Backend) Greets(ctx context.Context) (collation byte, err error) {
	c, err := b.dial(ctx, &Session{})
	if err != nil {
		return 0, err
	}
	c.close()
	return c.greeted, nil
}

// connect is dial to the server that was checked.
func (b *Backend) connect(ctx context.Context, s *Session) (*Conn, error) {
	c, err := b.dial(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := b.meets(c); err != nil {
		c.close()
		return nil, b.unavailable(err)
	}
	return c, nil
}

// dial opens a connection for sessions like s.
func (b *Backend) dial(ctx context.Context, s *Session) (*Conn, error) {
	d := wire.Dialer{
		Network: "tcp", Addr: b.Address(),
		User: b.Config.User, Password: b.Config.Password.Reveal(),
		TLS: b.tls, Collation: s.Collation, Caps: s.Caps, Omit: HandshakeCaps &^ s.Caps, MaxPacket: b.maxPacket,
		Attrs:   map[string]string{"program_name": "xaproxy"},
		Timeout: b.Config.ConnectTimeout.Std(),
	}
	if b.has(s.Schema) {
		d.Schema = s.Schema
	}
	if b.Config.Socket != "" {
		d.Network = "unix"
	}
	if b.postgres != nil {
		d.Connect, d.TLS, d.Password = b.postgres.Dial, nil, "" // it logs in itself
	}
	w, hello, err := d.Dial(ctx)
	if err != nil {
		return nil, b.unavailable(err)
	}
	if (s.Caps &^ w.Caps()).Has(wire.DeprecateEOF) {
		w.Close()
		return nil, b.unavailable(errors.New("what is at its address lacks CLIENT_DEPRECATE_EOF, which MySQL and MariaDB have"))
	}
	c := &Conn{Conn: w, ID: uint64(hello.ConnID), greeted: hello.Collation, b: b, pool: &b.pool, born: time.Now()}
	c.state = Session{Caps: s.Caps, Collation: s.Collation, Schema: s.Schema}
	if err := c.begin(); err != nil {
		c.Conn.Close()
		return nil, b.unavailable(err)
	}
	b.mu.Lock()
	b.conns[c.ID] = c
	b.mu.Unlock()
	return c, nil
}

// unavailable turns the failure to open a connection into the client's error. What the server itself said about a
// schema goes through; what it said about our own account does not, since it is not the client's login that failed.
func (b *Backend) unavailable(err error) *wire.Error {
	var e *wire.Error
	switch {
	case errors.As(err, &e) && e.Errno == wire.CodeUnknownDatabase.Errno():
		return e
	case errors.Is(err, context.Canceled):
		return wire.NewError(wire.CodeQueryInterrupted, "interrupted while connecting to backend %s", b.Config.Name)
	}
	return wire.NewError(wire.CodeBackendDown, "backend %s cannot be reached: %v", b.Config.Name, err)
}
