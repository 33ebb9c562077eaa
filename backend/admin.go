package backend

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/backend/postgres"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/xa"
)

const (
	// adminConns is how many connections Admin has at most: recovery's finishers, and one each to list and to check.
	adminConns = 10
	// adminTimeout bounds every read and write, whatever the caller's context says.
	adminTimeout = 15 * time.Second
	// adminLockWait bounds in seconds how long XA COMMIT waits behind FLUSH TABLES WITH READ LOCK: it fails then, the
	// branch stays prepared, and the next sweep tries again.
	// The same goes for a row that a transaction holds which is being decided.
	adminLockWait = "3"
	// killPoll is the pause between two looks whether a session that was killed has gone.
	killPoll = 20 * time.Millisecond
)

// Admin is the administrative side of one backend: a small database/sql pool in autocommit that never
// carries a client's statement. It is the recovery.Server of the backend. It is safe for concurrent use; every call
// ends soon after its context, also when the server is frozen. Errors never contain the password.
type Admin struct {
	name    string
	current atomic.Pointer[login]

	mu   sync.Mutex // protects past
	past []*sql.DB  // before Follow: they keep no connection that is at rest
}

// login is how an Admin reaches its server.
type login struct {
	config   config.Backend
	db       *sql.DB
	postgres *postgres.Dialer // nil for the other kinds
}

func (a *Admin) config() *config.Backend { return &a.current.Load().config }

func (a *Admin) db() *sql.DB { return a.current.Load().db }

func (a *Admin) postgres() *postgres.Dialer { return a.current.Load().postgres }

// listed is recovery.Listed, an alias there too, so that neither package imports the other.
type listed = struct {
	FormatID              int64
	GTRID, BQUAL, Session string
}

// startedColumn tells one run of a server from the next: ids of sessions are given again after a start. Both are of the moment at which the
// query began, so their difference stays the same, whatever clocks do.
const startedColumn = "(SELECT HEX(UNIX_TIMESTAMP() - VARIABLE_VALUE) FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME')"

// NewAdmin returns the Admin of a backend. It connects to nothing yet.
func NewAdmin(b config.Backend) (*Admin, error) {
	encryption, err := tlsConfig(b, func(error) {}) // Backend tells of it
	if err != nil {
		return nil, err
	}
	c := mysql.NewConfig()
	c.User, c.Passwd = b.User, b.Password.Reveal()
	c.Net, c.Addr = "tcp", net.JoinHostPort(b.Host, strconv.Itoa(b.Port))
	if b.Socket != "" {
		c.Net, c.Addr = "unix", b.Socket
	}
	c.TLS = encryption
	var d *postgres.Dialer
	if b.Kind == config.Postgres {
		d = postgresDialer(b, encryption, 0)
		c.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return d.Dial(ctx) }
		c.TLS, c.Passwd = nil, "" // it logs in itself
	}
	c.Timeout, c.ReadTimeout, c.WriteTimeout = b.ConnectTimeout.Std(), adminTimeout, adminTimeout
	c.ConnectionAttributes = "program_name:xaproxy"
	// The driver would write to standard error. What it writes there comes back as an error too.
	c.Logger = &mysql.NopLogger{}
	c.Params = map[string]string{"autocommit": "1", "lock_wait_timeout": adminLockWait, "innodb_lock_wait_timeout": adminLockWait}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", b.Name, err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(adminConns)
	db.SetMaxIdleConns(adminConns)
	db.SetConnMaxIdleTime(time.Minute)
	db.SetConnMaxLifetime(b.MaxLifetime.Std())
	a := &Admin{name: b.Name}
	a.current.Store(&login{b, db, d})
	return a, nil
}

// Follow makes a reach its server as by does, whose connections it takes over: by must not be used any more. What is under way ends as it
// began.
func (a *Admin) Follow(by *Admin) {
	before := a.current.Swap(by.current.Load())
	before.db.SetMaxIdleConns(-1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.past = append(a.past, before.db)
}

// Name is the backend's name in the configuration and the bqual of its branches.
func (a *Admin) Name() string { return a.name }

// Reconnect closes the connections that nobody uses: another server may answer at the address by now.
func (a *Admin) Reconnect() {
	a.db().SetMaxIdleConns(-1)
	a.db().SetMaxIdleConns(adminConns)
}

// Close closes the connections.
func (a *Admin) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.db().Close()
	for _, db := range a.past {
		err = errors.Join(err, db.Close())
	}
	if a.past = nil; err != nil {
		return fmt.Errorf("close backend %s: %w", a.name, err)
	}
	return nil
}

// Prepared lists the prepared branches of the whole server.
//
// Source: MySQL manual, "XA Transaction SQL Statements": data is the gtrid followed by the bqual.
func (a *Admin) Prepared(ctx context.Context) ([]listed, error) {
	var all []listed
	err := a.each(ctx, "XA RECOVER", func(scan func(...any) error) error {
		var gtrid, bqual int
		var l listed
		var data []byte
		if err := scan(&l.FormatID, &gtrid, &bqual, &data); err != nil {
			return err
		}
		if gtrid < 0 || bqual < 0 || gtrid+bqual != len(data) {
			return fmt.Errorf("%d bytes of data for a gtrid of %d and a bqual of %d", len(data), gtrid, bqual)
		}
		l.GTRID, l.BQUAL = string(data[:gtrid]), string(data[gtrid:])
		if l.FormatID == xa.FormatID {
			l.BQUAL, l.Session = xa.CutSession(l.BQUAL)
		}
		all = append(all, l)
		return nil
	})
	return all, a.explain("list the prepared branches", err)
}

// Commit commits a prepared branch.
func (a *Admin) Commit(ctx context.Context, x xa.XID) error {
	return a.explain("commit "+x.String(), a.exec(ctx, "XA COMMIT "+x.SQL()))
}

// Rollback rolls a prepared branch back.
func (a *Admin) Rollback(ctx context.Context, x xa.XID) error {
	return a.explain("roll back "+x.String(), a.exec(ctx, "XA ROLLBACK "+x.SQL()))
}

// Exec runs a statement of the participant store, in a transaction of its own, and returns how many rows it changed.
func (a *Admin) Exec(ctx context.Context, statement string) (int64, error) {
	result, err := a.db().ExecContext(ctx, statement)
	if err != nil {
		return 0, a.explain("write to the decisions", err)
	}
	n, err := result.RowsAffected()
	return n, a.explain("write to the decisions", err)
}

// Each runs a query of the participant store and calls row for every row.
func (a *Admin) Each(ctx context.Context, query string, row func(scan func(...any) error) error) error {
	return a.explain("read the decisions", a.each(ctx, query, row))
}

// KillConn ends the session with this id if it is one of the user that xaproxy logs in as, and waits until it has gone.
// It returns nil also when there is no such session of that user. Whether the id is still that of the session that is
// meant is the caller's to know: see Started.
func (a *Admin) KillConn(ctx context.Context, id uint64) error {
	return a.explain(fmt.Sprintf("end session %d", id), a.kill(ctx, id))
}

func (a *Admin) kill(ctx context.Context, id uint64) error {
	// The account may see other users' sessions too; these must not be touched.
	const find = "SELECT COUNT(*) FROM information_schema.processlist WHERE id = %d AND user = SUBSTRING_INDEX(USER(), '@', 1)"
	for killed := false; ; {
		var sessions int
		if err := a.db().QueryRowContext(ctx, fmt.Sprintf(find, id)).Scan(&sessions); err != nil {
			return err
		}
		if sessions == 0 {
			return nil
		}
		if !killed {
			if err := a.exec(ctx, fmt.Sprintf("KILL CONNECTION %d", id)); err != nil && !xa.IsErrno(serverSaid(err), errnoNoSuchThread) {
				return err
			}
			killed = true
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it was killed but has not ended: %w", ctx.Err())
		case <-time.After(killPoll):
		}
	}
}

// Holder returns the session that has prepared a branch, where it keeps others from finishing it as long as it is there; 0 if there is
// none, or if the server was started since: its ids may be those of others by now.
func (a *Admin) Holder(ctx context.Context, x xa.XID) (uint64, error) {
	text, started, _ := strings.Cut(x.Session, ".")
	id, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		return 0, nil // it names none
	}
	var now string
	err = a.db().QueryRowContext(ctx, "SELECT "+startedColumn).Scan(&now)
	if err != nil || now != started {
		return 0, a.explain("find the session of "+x.String(), err)
	}
	return id, nil
}

// Identity tells this server from any other that may come to answer at its address, for instance after a failover. It
// stays the same over restarts.
func (a *Admin) Identity(ctx context.Context) (string, error) {
	if a.config().Kind == config.Postgres {
		return a.postgresIdentity(ctx)
	}
	v, err := a.variables(ctx)
	return v.identity(), a.explain("read the identity", err)
}

// Started returns a time on this machine's clock that is not after the server's start, and two seconds before it at
// most: the server counts whole seconds.
func (a *Admin) Started(ctx context.Context) (time.Time, error) {
	asked := time.Now()
	var name string
	var seconds int64
	err := a.db().QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Uptime'").Scan(&name, &seconds)
	return asked.Add(-time.Duration(seconds+1) * time.Second), a.explain("read the uptime", err)
}

// variables are global variables of the server by lower-case name; one that the server does not have is absent.
type variables map[string]string

// variables reads the variables that identity and checks need.
func (a *Admin) variables(ctx context.Context) (variables, error) {
	v := make(variables)
	err := a.each(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('datadir', 'hostname', 'innodb_flush_log_at_trx_commit', "+
		"'innodb_rollback_on_timeout', 'log_bin', 'port', 'read_only', 'server_id', 'server_uuid', 'session_track_schema', 'session_track_state_change', "+
		"'session_track_system_variables', 'session_track_transaction_info', 'super_read_only', 'sql_mode', 'sync_binlog', 'version', 'version_comment', 'wait_timeout', 'wsrep_on', 'xa_detach_on_prepare')",
		func(scan func(...any) error) error {
			var name, value string
			if err := scan(&name, &value); err != nil {
				return err
			}
			v[name] = value
			return nil
		})
	return v, err
}

// identity makes one text of what names the server. MySQL draws a UUID for each data directory. MariaDB has nothing like
// it that outlives a restart, so there it is the place where its data is.
func (v variables) identity() string {
	if uuid := v["server_uuid"]; uuid != "" {
		return uuid
	}
	if v["datadir"] == "" {
		return ""
	}
	return fmt.Sprintf("%s@%s:%s%s", v["server_id"], v["hostname"], v["port"], v["datadir"])
}

// on reports whether a boolean variable is set. Some versions write 1, some ON, and super_read_only can be more.
func (v variables) on(name string) bool {
	switch v[name] {
	case "", "0", "OFF", "NO":
		return false
	}
	return true
}

func (a *Admin) exec(ctx context.Context, statement string) error {
	_, err := a.db().ExecContext(ctx, statement)
	return err
}

// each runs a query and calls row for every row.
func (a *Admin) each(ctx context.Context, query string, row func(scan func(...any) error) error) (err error) {
	rows, err := a.db().QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// explain says what failed and where. The server's own answer is a *xa.ServerError in it.
func (a *Admin) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("backend %s: %s: %w", a.name, what, serverSaid(err))
}

// serverSaid returns the server's answer in err as a *xa.ServerError, or err itself if there is none.
func serverSaid(err error) error {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return &xa.ServerError{Errno: e.Number, State: string(e.SQLState[:]), Message: e.Message}
	}
	return err
}

// errnoNoSuchThread is ER_NO_SUCH_THREAD: the session ended in between.
const errnoNoSuchThread = 1094
