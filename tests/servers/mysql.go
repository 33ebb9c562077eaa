package servers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	driver "github.com/go-sql-driver/mysql"
)

// mysqlSettings keep MySQL and MariaDB small and durable: what is acknowledged has been synced.
var mysqlSettings = []string{
	"--innodb-flush-log-at-trx-commit=1",
	"--sync-binlog=1",
	"--innodb-buffer-pool-size=64M",
	"--performance-schema=OFF",
}

// grants makes the accounts. One statement a line: servers read these files that way.
func grants(authentication string) string {
	const everything = "ALL ON *.*"
	var b strings.Builder
	account := func(user, host, password, privileges string) {
		fmt.Fprintf(&b, "CREATE USER IF NOT EXISTS '%s'@'%s';\n", user, host)
		fmt.Fprintf(&b, "ALTER USER '%s'@'%s' IDENTIFIED %s;\n", user, host, fmt.Sprintf(authentication, password))
		fmt.Fprintf(&b, "GRANT %s TO '%s'@'%s' WITH GRANT OPTION;\n", privileges, user, host)
	}
	account(AdminUser, "localhost", AdminPassword, everything)
	account(AdminUser, "%", AdminPassword, everything)
	account(AppUser, "%", AppPassword, everything)
	account(LimitedUser, "%", LimitedPassword, "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON *.*")
	return b.String()
}

// asRoot is the argument without which the servers refuse to run as root.
func asRoot() []string {
	if os.Geteuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}

// mysqlCommon is what MySQL and MariaDB share.
type mysqlCommon struct{}

func (mysqlCommon) own(...string) error       { return nil }
func (mysqlCommon) socket(dir string) string  { return filepath.Join(dir, "s.sock") }
func (mysqlCommon) shutdownSignal() os.Signal { return syscall.SIGTERM }

// answers asks by the socket, which is this server's own whoever has the port. The server opens it after the port.
func (mysqlCommon) answers(ctx context.Context, s *Server) error {
	connector, err := driver.NewConnector(s.config("unix", s.Socket, AdminUser, AdminPassword, ""))
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	return errors.Join(db.PingContext(ctx), db.Close())
}

// prepared reads XA RECOVER, whose data column is the gtrid followed by the bqual.
// https://dev.mysql.com/doc/refman/9.7/en/xa-statements.html
func (mysqlCommon) prepared(ctx context.Context, s *Server) ([]string, error) {
	db, err := s.DB()
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(ctx, "XA RECOVER")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var xids []string
	for rows.Next() {
		var format, gtrid, bqual int
		var data []byte
		if err := rows.Scan(&format, &gtrid, &bqual, &data); err != nil {
			return nil, err
		}
		if gtrid+bqual != len(data) {
			return nil, fmt.Errorf("XA RECOVER gave %d bytes for lengths %d and %d: %q", len(data), gtrid, bqual, data)
		}
		xids = append(xids, string(data[:gtrid])+"|"+string(data[gtrid:]))
	}
	return xids, rows.Err()
}

// mysqlCommand boots either server.
func mysqlCommand(s *Server, settings ...string) *exec.Cmd {
	args := []string{
		"--no-defaults", "--datadir=" + s.dataDir(), "--bind-address=" + s.Host, "--port=" + strconv.Itoa(s.Port),
		"--socket=" + s.Socket, "--pid-file=" + filepath.Join(s.Dir, "server.pid"), "--tmpdir=" + s.Dir, "--skip-name-resolve", "--max-connections=500",
	}
	args = append(args, asRoot()...)
	args = append(args, mysqlSettings...)
	args = append(args, settings...)
	return exec.Command(s.path, append(args, s.args...)...)
}

// mariadb is MariaDB as the distribution has it.
type mariadb struct {
	mysqlCommon
	binlog bool
}

func (mariadb) find() (version, path string, err error) {
	path, err = findProgram("mariadbd", "/usr/sbin/mariadbd", "/usr/local/sbin/mariadbd", "/opt/homebrew/bin/mariadbd")
	if err != nil {
		return "", "", err
	}
	version, err = programVersion(path)
	return version, path, err
}

func (mariadb) family() string { return "mariadb" }

// initSettings are those that the files of a new data directory depend on.
func (mariadb) initSettings() []string {
	return append([]string{
		"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=16M",
	}, mysqlSettings...)
}

func (mariadb) sql() string {
	// The installer adds accounts without password for the host names it finds, which would win over those for '%'.
	return "DELETE FROM mysql.global_priv WHERE User IN ('', 'root') AND Host <> 'localhost';\nFLUSH PRIVILEGES;\n" +
		grants("VIA mysql_native_password USING PASSWORD('%s')")
}

func (m mariadb) recipe() string { return strings.Join(m.initSettings(), " ") + "\n" + m.sql() }

func (m mariadb) initialise(ctx context.Context, path, work string) error {
	installer, err := findProgram("mariadb-install-db", filepath.Join(filepath.Dir(path), "mariadb-install-db"), "/usr/bin/mariadb-install-db")
	if err != nil {
		return err
	}
	script := filepath.Join(work, "accounts.sql")
	if err := os.WriteFile(script, []byte(m.sql()), 0o600); err != nil {
		return err
	}
	args := append([]string{"--no-defaults", "--datadir=" + filepath.Join(work, "data"), "--extra-file=" + script}, asRoot()...)
	return run(exec.CommandContext(ctx, installer, append(args, m.initSettings()...)...))
}

func (m mariadb) command(s *Server) (*exec.Cmd, error) {
	settings := []string{"--innodb-log-file-size=16M"}
	if m.binlog {
		settings = append(settings, "--log-bin=binlog", "--server-id=1")
	}
	return mysqlCommand(s, settings...), nil
}

// mysql is MySQL as tests/setup.sh unpacks it.
type mysql struct{ mysqlCommon }

func (mysql) find() (version, path string, err error) {
	cache, err := CacheDir()
	if err != nil {
		return "", "", err
	}
	path, err = findProgram(filepath.Join(cache, "mysql-9.7", "bin", "mysqld"))
	if err != nil {
		return "", "", err
	}
	version, err = programVersion(path)
	return version, path, err
}

func (mysql) family() string { return "mysql" }

func (mysql) initSettings() []string {
	return append([]string{"--initialize-insecure", "--innodb-redo-log-capacity=32M", "--skip-log-bin"}, mysqlSettings...)
}

func (mysql) sql() string {
	return grants("WITH caching_sha2_password BY '%s'")
}

func (m mysql) recipe() string { return strings.Join(m.initSettings(), " ") + "\n" + m.sql() }

func (m mysql) initialise(ctx context.Context, path, work string) error {
	script := filepath.Join(work, "accounts.sql")
	if err := os.WriteFile(script, []byte(m.sql()), 0o600); err != nil {
		return err
	}
	data := filepath.Join(work, "data")
	args := append([]string{"--no-defaults", "--datadir=" + data, "--init-file=" + script, "--secure-file-priv=NULL"}, asRoot()...)
	if err := run(exec.CommandContext(ctx, path, append(args, m.initSettings()...)...)); err != nil {
		return err
	}
	// The server's identity: without the file every copy makes a new one.
	return os.Remove(filepath.Join(data, "auto.cnf"))
}

func (mysql) command(s *Server) (*exec.Cmd, error) {
	return mysqlCommand(s, "--innodb-redo-log-capacity=32M", "--secure-file-priv=NULL", "--mysqlx=OFF", "--server-id=1"), nil
}

// DSN is a data source name of the Go driver for a MySQL or MariaDB server, over TCP. database may be empty.
func (s *Server) DSN(user, password, database string) string {
	return s.config("tcp", s.Addr(), user, password, database).FormatDSN()
}

func (s *Server) config(network, address, user, password, database string) *driver.Config {
	c := driver.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName = network, address, user, password, database
	// A server that is being started or killed is no news; what matters comes back as an error.
	c.Logger = &driver.NopLogger{}
	return c
}

// DB opens a pool of AdminUser's connections to a MySQL or MariaDB server. The caller may close it; Stop does so, too.
func (s *Server) DB() (*sql.DB, error) {
	if s.Kind == Postgres {
		return nil, fmt.Errorf("open %s: there is no Go driver for it here: use PSQL", s)
	}
	connector, err := driver.NewConnector(s.config("tcp", s.Addr(), AdminUser, AdminPassword, ""))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", s, err)
	}
	db := sql.OpenDB(connector)
	s.pools.add(db)
	return db, nil
}

// pools are the open pools of a server.
type pools struct {
	mu  sync.Mutex // protects all
	all []*sql.DB
}

func (p *pools) add(db *sql.DB) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, db)
}

// close closes every pool; closing one twice does nothing.
func (p *pools) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, db := range p.all {
		errs = append(errs, db.Close())
	}
	p.all = nil
	return errors.Join(errs...)
}
