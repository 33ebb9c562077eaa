package integration

import (
	"bytes"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/decision"
	"github.com/xaproxy/xaproxy/participant"
	"github.com/xaproxy/xaproxy/proxy"
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/xa"
)

// stack is a whole proxy in this process over real servers, so that the race detector sees it.
type stack struct {
	t           testing.TB
	schema      string
	addr        string
	servers     []*servers.Server
	backends    []*backend.Backend
	admins      []*backend.Admin
	proxy       *proxy.Server
	coordinator *xa.Coordinator
	coord       string // of its transactions
	log         *syncBuffer
	rows        *participant.Store // nil with the file store
	stop        func()             // ends the proxy, as SIGTERM does; it is called at the end of the test in any case
}

// storeFlag lets every test run with another store than it is written for: go test ./tests/integration -store participant
var storeFlag = flag.String("store", config.FileStore, "where decisions are kept, unless a test says where")

// newStack serves one schema: table "accounts" sharded by id over the servers, everything else on the first one. The
// configuration can be changed before it starts.
func newStack(t testing.TB, kinds []servers.Kind, change func(*config.Config)) *stack {
	t.Helper()
	var on []*servers.Server
	for _, k := range kinds {
		on = append(on, servertest.Get(t, k))
	}
	return newStackOn(t, on, change)
}

// newStackOn is newStack over servers that the test has started itself.
func newStackOn(t testing.TB, on []*servers.Server, change func(*config.Config)) *stack {
	t.Helper()
	s := &stack{t: t, log: &syncBuffer{}}
	for i, server := range on {
		if i == 0 {
			s.schema = servertest.Database(t, server)
		} else {
			admin(t, server, "CREATE DATABASE IF NOT EXISTS "+s.schema)
			t.Cleanup(func() { admin(t, server, "DROP DATABASE IF EXISTS "+s.schema) })
		}
		s.servers = append(s.servers, server)
		admin(t, server, "CREATE TABLE "+s.schema+".accounts (id INT PRIMARY KEY, v INT NOT NULL, t VARCHAR(100) UNIQUE)")
		admin(t, server, "CREATE TABLE "+s.schema+".single (id INT PRIMARY KEY AUTO_INCREMENT, v INT, t TEXT)")
	}
	cfg := config.Default()
	cfg.Users = []config.User{{Name: "u", Password: "pw"}, {Name: "other", Password: "pw", Schemas: []string{"elsewhere"}}}
	var names []string
	for i, server := range s.servers {
		b := config.DefaultBackend(config.MySQL)
		if server.Kind != servers.MySQL {
			b = config.DefaultBackend(config.MariaDB)
		}
		b.Name, b.Port, b.User, b.Password = fmt.Sprintf("b%d", i), server.Port, server.User, config.Secret(server.Password)
		cfg.Backends = append(cfg.Backends, b)
		names = append(names, b.Name)
	}
	cfg.Schemas = []config.Schema{{Name: s.schema, Backend: names[0]}, {Name: "elsewhere", Backend: names[0]}}
	cfg.Tables = []config.Table{{Schema: s.schema, Name: "accounts", Column: "id", Function: "modulo", Backends: names}}
	cfg.Decision.Dir, cfg.Decision.Store = t.TempDir(), *storeFlag
	if change != nil {
		change(&cfg)
	}
	s.start(&cfg)
	return s
}

// pools are the tests' own connections to the shared servers.
var pools sync.Map // of *sql.DB by *servers.Server

func pool(t testing.TB, s *servers.Server) *sql.DB {
	t.Helper()
	if db, ok := pools.Load(s); ok {
		return db.(*sql.DB)
	}
	db, err := s.DB()
	if err != nil {
		t.Fatal(err)
	}
	first, _ := pools.LoadOrStore(s, db)
	return first.(*sql.DB)
}

// admin runs statements on a server itself.
func admin(t testing.TB, s *servers.Server, statements ...string) {
	t.Helper()
	db := pool(t, s)
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %s: %v", s.Kind, q, err)
		}
	}
}

// drainTimeout is for transactions that tests leave open.
const drainTimeout = 500 * time.Millisecond

func (s *stack) start(cfg *config.Config) {
	t := s.t
	logger := zerolog.New(s.log).Level(zerolog.DebugLevel)
	var listed []recovery.Server
	for _, c := range cfg.Backends {
		a, err := backend.NewAdmin(c)
		if err != nil {
			t.Fatal(err)
		}
		s.admins, listed = append(s.admins, a), append(listed, a)
	}
	log, decisions := s.store(cfg, logger)
	s.coord = log.Coord()
	for i, c := range cfg.Backends {
		b, err := backend.Open(cfg, i)
		if err != nil {
			t.Fatal(err)
		}
		if s.rows != nil {
			b.Records = s.rows
		}
		facts, problems, err := s.admins[i].Check(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			if p.Fatal {
				t.Fatalf("backend %s: %s", c.Name, p)
			}
		}
		b.Ready(facts)
		s.backends = append(s.backends, b)
	}
	var janitor *recovery.Janitor
	s.coordinator = xa.NewCoordinator(xa.Options{
		Log: log, PrepareTimeout: cfg.Decision.PrepareTimeout.Std(), CommitWait: cfg.Decision.CommitWait.Std(), EarlyAnswer: cfg.Decision.EarlyAnswer, Logger: logger,
		Orphaned: func(name string) { janitor.Poke(name) },
		Halt:     func(err error) { t.Errorf("halted: %v", err) },
	})
	janitor = recovery.New(recovery.Options{
		Servers: listed, Decisions: decisions, InFlight: s.coordinator, Interval: 100 * time.Millisecond, Timeout: 5 * time.Second,
		Logger: logger, Fenced: func(err error) { t.Errorf("fenced: %v", err) },
	})
	server, err := proxy.New(proxy.Options{Config: cfg, Backends: s.backends, Coordinator: s.coordinator, Keys: log.(xa.Keys), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr, s.proxy = ln.Addr().String(), server
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { janitor.Run(ctx) })
	if s.rows != nil {
		running.Go(func() { s.rows.Run(ctx) })
	}
	running.Go(func() {
		if err := server.Serve(ln); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	s.stop = sync.OnceFunc(func() {
		_ = ln.Close() // Serve reports what matters
		server.Close()
		time.AfterFunc(drainTimeout, server.Abort)
		cancel()
		running.Wait()
	})
	t.Cleanup(func() {
		s.stop()
		s.coordinator.Close()
		for i, b := range s.backends {
			b.Close()
			if err := s.admins[i].Close(); err != nil {
				t.Error(err)
			}
		}
		if file, ok := log.(*decision.File); ok {
			if err := file.Close(); err != nil {
				t.Error(err)
			}
		}
		if t.Failed() {
			t.Logf("log of the proxy:\n%s", s.log)
		}
	})
}

// store opens the store of decisions that the configuration wants.
func (s *stack) store(cfg *config.Config, logger zerolog.Logger) (xa.Log, recovery.Decisions) {
	t := s.t
	if cfg.Decision.Store == config.FileStore {
		log, err := decision.OpenFile(decision.FileOptions{
			Dir: cfg.Decision.Dir, SegmentSize: int64(cfg.Decision.SegmentSize), Retain: cfg.Decision.Retain.Std(), Logger: logger,
		})
		if err != nil {
			t.Fatal(err)
		}
		return log, recovery.OfLog(log)
	}
	var all []participant.Server
	for _, a := range s.admins {
		if err := participant.Create(context.Background(), a); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	var err error
	s.rows, err = participant.New(participant.Options{
		Servers: all, Deciders: cfg.KeyDeciders(), Grace: cfg.Decision.InDoubtGrace.Std(), Retain: cfg.Decision.Retain.Std(), Timeout: 5 * time.Second, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range s.admins {
		if err := s.rows.Beat(context.Background(), a.Name()); err != nil {
			t.Fatal(err)
		}
	}
	return s.rows, participant.Decisions{Store: s.rows}
}

// db opens a pool of connections through the proxy.
func (s *stack) db(params ...string) *sql.DB {
	s.t.Helper()
	return s.dbAs("u", params...)
}

// dbAs is db for another account.
func (s *stack) dbAs(user string, params ...string) *sql.DB {
	s.t.Helper()
	dsn := fmt.Sprintf("%s:pw@tcp(%s)/%s?interpolateParams=true&", user, s.addr, s.schema) + strings.Join(params, "&")
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return db
}

// conn is one client connection with short names for what tests do on it.
type conn struct {
	t testing.TB
	*sql.Conn
}

func (s *stack) conn(params ...string) *conn {
	s.t.Helper()
	return s.connAs("u", params...)
}

// connAs is conn for another account.
func (s *stack) connAs(user string, params ...string) *conn {
	s.t.Helper()
	c, err := s.dbAs(user, params...).Conn(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return &conn{s.t, c}
}

// hangUp closes the connection itself, which sql.Conn.Close would keep for the next user.
func (c *conn) hangUp() {
	c.t.Helper()
	if err := c.Raw(func(driver any) error { return driver.(interface{ Close() error }).Close() }); err != nil {
		c.t.Fatal(err)
	}
}

// exec runs statements that must succeed and returns the result of the last one.
func (c *conn) exec(statements ...string) sql.Result {
	c.t.Helper()
	var last sql.Result
	for _, q := range statements {
		r, err := c.ExecContext(context.Background(), q)
		if err != nil {
			c.t.Fatalf("%s: %v", q, err)
		}
		last = r
	}
	return last
}

// column is the first column of a result.
func (c *conn) column(q string) (values []string) {
	c.t.Helper()
	rows, err := c.QueryContext(context.Background(), q)
	if err != nil {
		c.t.Fatalf("%s: %v", q, err)
	}
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			c.t.Fatalf("%s: %v", q, err)
		}
		values = append(values, v)
	}
	if err := rows.Err(); err != nil {
		c.t.Fatalf("%s: %v", q, err)
	}
	return values
}

// fails runs a statement that must be answered with this errno, and returns the text.
func (c *conn) fails(errno uint16, q string) string {
	c.t.Helper()
	_, err := c.ExecContext(context.Background(), q)
	e, ok := err.(*mysql.MySQLError)
	if !ok || e.Number != errno {
		c.t.Fatalf("%s: want error %d, got %v", q, errno, err)
	}
	return e.Message
}

// rows returns the result of a query as text, columns separated by commas and rows by blanks.
func (c *conn) rows(q string) string {
	c.t.Helper()
	return rowsOf(c.t, c.Conn, q)
}

type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

func rowsOf(t testing.TB, db querier, q string) string {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), q)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		scan := make([]any, len(columns))
		for i := range values {
			scan[i] = &values[i]
		}
		if err := rows.Scan(scan...); err != nil {
			t.Fatal(err)
		}
		var row []string
		for _, v := range values {
			if !v.Valid {
				v.String = "NULL"
			}
			row = append(row, v.String)
		}
		out = append(out, strings.Join(row, ","))
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return strings.Join(out, " ")
}

// on returns the result of a query on one of the servers itself. SCHEMA in it stands for the test's schema.
func (s *stack) on(server int, q string) string {
	s.t.Helper()
	return rowsOf(s.t, pool(s.t, s.servers[server]), strings.ReplaceAll(q, "SCHEMA", s.schema))
}

// lockWaits counts the transactions of the test's schema that wait for a row on one of the servers.
func (s *stack) lockWaits(server int) string {
	s.t.Helper()
	return s.on(server, "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_mysql_thread_id IN (SELECT id FROM information_schema.processlist WHERE db = 'SCHEMA')")
}

// waitFor waits until a condition holds. It asks seldom enough for InnoDB, whose information_schema tables are only made
// anew when nobody has looked at them for 100 ms.
func waitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(120 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		case <-tick.C:
		}
	}
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
