package servers_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

func TestMain(m *testing.M) {
	if os.Getenv(ownerVariable) != "" {
		own()
	}
	servertest.Main(m)
}

var kinds = []servers.Kind{servers.MariaDB, servers.MariaDBBinlog, servers.MySQL, servers.Postgres}

// eachKind runs a test once for every kind of server.
func eachKind(t *testing.T, test func(*testing.T, servers.Kind)) {
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) { test(t, k) })
	}
}

// start boots a server for one test alone.
func start(t *testing.T, o servers.Options) *servers.Server {
	t.Helper()
	s, err := servers.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// query returns the first column of a query's first row, on any kind of server, as the administrator.
func query(t *testing.T, s *servers.Server, statement string) string {
	t.Helper()
	if s.Kind == servers.Postgres {
		out, err := s.PSQL(t.Context(), statement)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	db, err := s.DB()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var value string
	if err := db.QueryRowContext(t.Context(), statement).Scan(&value); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return value
}

// execute runs statements, one after the other on one session, and returns when the server has ended the session: as long
// as it lives nobody else can finish a branch that it prepared on MariaDB.
func execute(t *testing.T, s *servers.Server, statements ...string) {
	t.Helper()
	if s.Kind == servers.Postgres {
		if _, err := s.PSQL(t.Context(), strings.Join(statements, ";\n")+";\n"); err != nil {
			t.Fatal(err)
		}
		return
	}
	db, err := s.DB()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var session string
	if err := conn.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&session); err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	db.SetMaxIdleConns(-1) // so that Close ends the session
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for query(t, s, "SELECT COUNT(*) FROM information_schema.processlist WHERE id = "+session) != "0" {
		if time.Now().After(deadline) {
			t.Fatalf("session %s of %s does not end", session, s)
		}
	}
}

// openDir makes a folder that goes when the test ends. Unlike t.TempDir its path is short, as sockets need it, and other
// users may pass through: PostgreSQL runs as one of them when the tests run as root.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "servers-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// ownTempDir gives the test temporary folders that no other process uses: what it finds there it has made, and what it
// wrongly removes is nobody else's.
func ownTempDir(t *testing.T) string {
	t.Helper()
	dir := openDir(t)
	t.Setenv("TMPDIR", dir)
	return dir
}

// prepared checks which branches the server holds.
func prepared(t *testing.T, s *servers.Server, want ...string) {
	t.Helper()
	got, err := s.Prepared(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("prepared on %s: %q, want %q", s, got, want)
	}
}

// Every kind boots, has the version that Find says, and is set to lose nothing that it acknowledged.
func TestBoot(t *testing.T) {
	durable := map[servers.Kind]map[string]string{
		servers.MariaDB: {
			"SELECT @@innodb_flush_log_at_trx_commit": "1", "SELECT @@log_bin": "0", "SELECT @@max_connections": "500",
		},
		servers.MariaDBBinlog: {
			"SELECT @@innodb_flush_log_at_trx_commit": "1", "SELECT @@log_bin": "1", "SELECT @@sync_binlog": "1", "SELECT @@max_connections": "500",
		},
		servers.MySQL: {
			"SELECT @@innodb_flush_log_at_trx_commit": "1", "SELECT @@log_bin": "1", "SELECT @@sync_binlog": "1", "SELECT @@max_connections": "500",
		},
		servers.Postgres: {
			"SHOW fsync": "on", "SHOW synchronous_commit": "on", "SHOW max_prepared_transactions": "200", "SHOW max_connections": "500",
		},
	}
	families := map[servers.Kind]string{servers.MariaDB: "MariaDB", servers.MariaDBBinlog: "MariaDB", servers.MySQL: "9.7", servers.Postgres: "PostgreSQL"}
	eachKind(t, func(t *testing.T, k servers.Kind) {
		s := servertest.Get(t, k)
		version, _, err := servers.Find(k)
		if err != nil {
			t.Fatal(err)
		}
		if got := query(t, s, "SELECT version()"); !strings.Contains(got, version) || !strings.Contains(got, families[k]) {
			t.Errorf("version() is %q, want %s %s in it", got, families[k], version)
		}
		for statement, want := range durable[k] {
			if got := query(t, s, statement); got != want {
				t.Errorf("%s: %s, want %s", statement, got, want)
			}
		}
		if len(s.Socket) > 100 {
			t.Errorf("socket path is too long for some clients: %s", s.Socket)
		}
		prepared(t, s)
	})
}

// The accounts are there, over TCP, with the authentication that the servers' own defaults have; only limited may not
// see the prepared branches of MySQL.
func TestAccounts(t *testing.T) {
	for _, k := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(k), func(t *testing.T) {
			s := servertest.Get(t, k)
			database := servertest.Database(t, s)
			for user, password := range map[string]string{
				servers.AdminUser: servers.AdminPassword, s.User: s.Password, servers.LimitedUser: servers.LimitedPassword,
			} {
				db, err := sql.Open("mysql", s.DSN(user, password, database))
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				for _, statement := range []string{"CREATE TABLE a (n INT PRIMARY KEY)", "INSERT INTO a VALUES (1)", "DROP TABLE a"} {
					if _, err := db.Exec(statement); err != nil {
						t.Errorf("%s: %s: %v", user, statement, err)
					}
				}
				_, err = db.Exec("XA RECOVER")
				if refused := err != nil; refused != (user == servers.LimitedUser && k == servers.MySQL) {
					t.Errorf("%s: XA RECOVER: %v", user, err)
				}
				wrong, err := sql.Open("mysql", s.DSN(user, "wrong", ""))
				if err != nil {
					t.Fatal(err)
				}
				defer wrong.Close()
				if err := wrong.Ping(); err == nil {
					t.Errorf("%s: let in with a wrong password", user)
				}
			}
			plugin := "SELECT plugin FROM mysql.user WHERE user = 'app'"
			want := map[servers.Kind]string{servers.MariaDB: "mysql_native_password", servers.MySQL: "caching_sha2_password"}[k]
			if got := query(t, s, plugin); got != want {
				t.Errorf("app authenticates with %s, want %s", got, want)
			}
			if got := query(t, s, "SELECT COUNT(*) FROM mysql.user WHERE user = ''"); got != "0" {
				t.Errorf("%s anonymous accounts, want none", got)
			}
		})
	}
}

// XIDs are bytes, not text, and gtrid and bqual have lengths of their own.
func TestPreparedBytes(t *testing.T) {
	for _, k := range []servers.Kind{servers.MariaDB, servers.MariaDBBinlog, servers.MySQL} {
		t.Run(string(k), func(t *testing.T) {
			s := servertest.Get(t, k)
			xid := "X'00ff80',X'7cfe'"
			database := servertest.Database(t, s)
			// With a row: MariaDB rolls back a branch without any when its session ends, and only then says so.
			execute(t, s, "CREATE TABLE "+database+".a (n INT PRIMARY KEY)",
				"XA START "+xid, "INSERT INTO "+database+".a VALUES (1)", "XA END "+xid, "XA PREPARE "+xid)
			prepared(t, s, "\x00\xff\x80|\x7c\xfe")
			execute(t, s, "XA ROLLBACK "+xid)
			prepared(t, s)
		})
	}
}

// xa prepares a branch with one inserted row on a session that is closed afterwards, and returns what Prepared says of it.
func xa(t *testing.T, s *servers.Server, database string) (xid string) {
	t.Helper()
	if s.Kind == servers.Postgres {
		execute(t, s, "\\connect "+database+"\nBEGIN", "INSERT INTO a VALUES (2)", "PREPARE TRANSACTION 'g1|b1'")
	} else {
		execute(t, s, "XA START 'g1','b1'", "INSERT INTO "+database+".a VALUES (2)", "XA END 'g1','b1'", "XA PREPARE 'g1','b1'")
	}
	return "g1|b1"
}

// The point of the whole package: what was acknowledged before kill -9, a row and a prepared branch, is there after the
// restart, at the same address; and the branch can be finished then.
func TestKillAndRestart(t *testing.T) {
	eachKind(t, func(t *testing.T, k servers.Kind) {
		t.Parallel()
		s := start(t, servers.Options{Kind: k})
		table, count := "a", "SELECT COUNT(*) FROM a"
		if k != servers.Postgres {
			execute(t, s, "CREATE DATABASE d")
			table, count = "d.a", "SELECT COUNT(*) FROM d.a"
		}
		execute(t, s, "CREATE TABLE "+table+" (n INT PRIMARY KEY)", "INSERT INTO "+table+" VALUES (1)")
		xid := xa(t, s, map[bool]string{true: "postgres", false: "d"}[k == servers.Postgres])
		prepared(t, s, xid)
		address, pid := s.Addr(), s.Pid()

		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		if s.Running() || s.Pid() != 0 {
			t.Error("running after Kill")
		}
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			t.Error("somebody listens after Kill")
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.Addr() != address || s.Pid() == pid {
			t.Errorf("restarted at %s with pid %d, was %s with %d", s.Addr(), s.Pid(), address, pid)
		}
		prepared(t, s, xid)
		if got := query(t, s, count); got != "1" {
			t.Errorf("%s rows after the crash, want the committed one", got)
		}
		if k == servers.Postgres {
			execute(t, s, "COMMIT PREPARED 'g1|b1'")
		} else {
			execute(t, s, "XA COMMIT 'g1','b1'")
		}
		prepared(t, s)
		if got := query(t, s, count); got != "2" {
			t.Errorf("%s rows after the commit, want 2", got)
		}
	})
}

// A frozen server keeps its connections and answers nothing; thawed, it answers what it was asked meanwhile.
func TestFreezeAndThaw(t *testing.T) {
	eachKind(t, func(t *testing.T, k servers.Kind) {
		t.Parallel()
		s := start(t, servers.Options{Kind: k})
		if err := s.Freeze(); err != nil {
			t.Fatal(err)
		}
		// Frozen, it still accepts: the kernel does. It does not even greet.
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if k == servers.Postgres {
			// The client speaks first: an SSLRequest, which is answered by one byte.
			// https://www.postgresql.org/docs/15/protocol-message-formats.html
			if _, err := conn.Write([]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}); err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 1)
		if _, err := io.ReadFull(conn, first); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a frozen server said %v (%v)", first, err)
		}
		if err := s.Thaw(); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, first); err != nil {
			t.Errorf("a thawed server does not answer: %v", err)
		}
		// Stop has to end a frozen server, too.
		if err := s.Freeze(); err != nil {
			t.Fatal(err)
		}
	})
}

// A port that somebody else has taken is an error in the words that Start looks for when it tries another port.
func TestPortTaken(t *testing.T) {
	eachKind(t, func(t *testing.T, k servers.Kind) {
		t.Parallel()
		s := start(t, servers.Options{Kind: k})
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		err = s.Restart(t.Context())
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), "already in use") {
			t.Errorf("restart on a taken port: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// ownerVariable makes the test binary boot a server, say its pid and folder, and wait to be killed.
const ownerVariable = "SERVERS_TEST_OWNER"

func own() {
	s, err := servers.Start(context.Background(), servers.Options{Kind: servers.MariaDB})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Pid(), s.Dir)
	select {}
}

// A server does not outlive its parent, however that dies, and the next Start removes the folder.
func TestOwnerKilled(t *testing.T) {
	ownTempDir(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownerVariable+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // for a test that fails before it does so itself
	var pid int
	var dir string
	if _, err := fmt.Fscan(out, &pid, &dir); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("no server with pid %d: %v", pid, err)
	}
	// While its owner lives, nobody removes the folder.
	start(t, servers.Options{Kind: servers.MariaDB})
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("the folder of a living owner: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for syscall.Kill(pid, 0) == nil {
		if ctx.Err() != nil {
			t.Fatalf("the server with pid %d has outlived its parent: %v", pid, syscall.Kill(pid, syscall.SIGKILL))
		}
		runtime.Gosched()
	}
	start(t, servers.Options{Kind: servers.MariaDB})
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s of a dead owner is still there: %v", dir, err)
	}
}

// A folder that the caller gave stays, with its data, and the next Start takes it as it is; a temporary one goes.
func TestDir(t *testing.T) {
	eachKind(t, func(t *testing.T, k servers.Kind) {
		t.Parallel()
		// The path is too long for a socket, which then has to be elsewhere.
		dir := filepath.Join(openDir(t), strings.Repeat("long", 25))
		s := start(t, servers.Options{Kind: k, Dir: dir})
		execute(t, s, "CREATE DATABASE kept")
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		s = start(t, servers.Options{Kind: k, Dir: dir})
		list := "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'kept'"
		if k == servers.Postgres {
			list = "SELECT COUNT(*) FROM pg_database WHERE datname = 'kept'"
		}
		if got := query(t, s, list); got != "1" {
			t.Errorf("%s databases of that name after the second start, want 1", got)
		}

		temporary := start(t, servers.Options{Kind: k})
		if err := temporary.Stop(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(temporary.Dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there after Stop: %v", temporary.Dir, err)
		}
	})
}

// Two servers made from one template are two servers: replication and clients tell them apart by their identity.
func TestIdentity(t *testing.T) {
	a := servertest.Get(t, servers.MySQL)
	b := start(t, servers.Options{Kind: servers.MySQL})
	if x, y := query(t, a, "SELECT @@server_uuid"), query(t, b, "SELECT @@server_uuid"); x == y {
		t.Errorf("both have server_uuid %s", x)
	}
}

// A server that does not boot says why, in its own words, and leaves nothing behind.
func TestBootFailure(t *testing.T) {
	eachKind(t, func(t *testing.T, k servers.Kind) {
		argument := "--no-such-setting=1"
		temp := ownTempDir(t)
		s, err := servers.Start(t.Context(), servers.Options{Kind: k, Args: []string{argument}})
		if err == nil {
			t.Error(s.Stop())
			t.Fatal("booted with an unknown argument")
		}
		if !strings.Contains(err.Error(), "no-such-setting") && !strings.Contains(err.Error(), "no_such_setting") {
			t.Errorf("the error does not quote the server: %v", err)
		}
		left, err := os.ReadDir(temp)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	_, err := servers.Start(t.Context(), servers.Options{Kind: "oracle"})
	if err == nil || !strings.Contains(err.Error(), `"oracle"`) {
		t.Errorf("unknown kind: %v", err)
	}
}

// A missing program is an error that says what to do.
func TestFindMissing(t *testing.T) {
	t.Setenv("XAPROXY_CACHE", t.TempDir())
	_, _, err := servers.Find(servers.MySQL)
	if err == nil || !strings.Contains(err.Error(), "tests/setup.sh") {
		t.Errorf("error %v, want one that names tests/setup.sh", err)
	}
	t.Setenv("XAPROXY_POSTGRES", "99")
	_, _, err = servers.Find(servers.Postgres)
	if err == nil || !strings.Contains(err.Error(), "tests/setup.sh postgres 99") {
		t.Errorf("error %v, want one that names tests/setup.sh postgres 99", err)
	}
}

// Log gets what the server writes.
func TestLog(t *testing.T) {
	var log strings.Builder
	s, err := servers.Start(context.Background(), servers.Options{Kind: servers.MariaDB, Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ready for connections", "Shutdown complete"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log:\n%s", want, log.String())
		}
	}
}

// Databases are distinct and gone after their test.
func TestDatabase(t *testing.T) {
	eachKind(t, func(t *testing.T, k servers.Kind) {
		s := servertest.Get(t, k)
		var names []string
		t.Run("use", func(t *testing.T) {
			names = []string{servertest.Database(t, s), servertest.Database(t, s)}
			if names[0] == names[1] {
				t.Errorf("twice the same database %s", names[0])
			}
		})
		for _, name := range names {
			list := fmt.Sprintf("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = '%s'", name)
			if k == servers.Postgres {
				list = fmt.Sprintf("SELECT COUNT(*) FROM pg_database WHERE datname = '%s'", name)
			}
			if got := query(t, s, list); got != "0" {
				t.Errorf("database %s is still there", name)
			}
		}
	})
}
