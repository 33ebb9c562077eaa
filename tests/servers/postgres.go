package servers

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// postgres is PostgreSQL as the distribution has it, or of the series that the environment's XAPROXY_POSTGRES names ("18"). It
// refuses to run as root: then it runs as the user postgres, or nobody.
type postgres struct{}

func (postgres) find() (version, path string, err error) {
	if series := os.Getenv("XAPROXY_POSTGRES"); series != "" {
		path, err = findSeries(series)
	} else {
		path, err = findProgram("postgres", "/usr/lib/postgresql/*/bin/postgres", "/opt/homebrew/bin/postgres")
	}
	if err != nil {
		return "", "", err
	}
	version, err = programVersion(path)
	return version, path, err
}

// findSeries returns the server that "tests/setup.sh postgres" has unpacked.
func findSeries(series string) (string, error) {
	dir, err := CacheDir()
	if err != nil {
		return "", err
	}
	if os.Geteuid() == 0 {
		dir = "/var/cache/xaproxy" // as setup.sh says
	}
	path := filepath.Join(dir, "postgres-"+series, "bin", "postgres")
	if _, err := exec.LookPath(path); err != nil {
		return "", fmt.Errorf("no PostgreSQL %s, which XAPROXY_POSTGRES names: run tests/setup.sh postgres %s: %w", series, series, err)
	}
	return path, nil
}

func (postgres) family() string { return "postgres" }

var postgresInit = []string{
	"--username=" + AdminUser, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions", "--wal-segsize=1",
}

func (postgres) sql() string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE ROLE %s LOGIN SUPERUSER PASSWORD '%s';\n", AppUser, AppPassword)
	fmt.Fprintf(&b, "CREATE ROLE %s LOGIN PASSWORD '%s' IN ROLE pg_read_all_data, pg_write_all_data;\n", LimitedUser, LimitedPassword)
	return b.String()
}

func (p postgres) recipe() string { return strings.Join(postgresInit, " ") + "\n" + p.sql() }

func (p postgres) initialise(ctx context.Context, path, work string) error {
	data := filepath.Join(work, "data")
	password := filepath.Join(work, "password")
	if err := os.WriteFile(password, []byte(AdminPassword+"\n"), 0o600); err != nil {
		return err
	}
	if err := p.own(work); err != nil {
		return err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(filepath.Dir(path), "initdb"), append(postgresInit, "--pgdata="+data, "--pwfile="+password)...)
	accounts := exec.CommandContext(ctx, path, "--single", "-D", data, "postgres")
	accounts.Stdin = strings.NewReader(p.sql())
	for _, cmd := range []*exec.Cmd{initdb, accounts} {
		cmd.Dir = work
		if err := unprivileged(cmd); err != nil {
			return err
		}
		if err := run(cmd); err != nil {
			return err
		}
	}
	return nil
}

func (postgres) own(dirs ...string) error {
	uid, gid, other, err := serverUser()
	if err != nil || !other {
		return err
	}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, uid, gid)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (postgres) socket(dir string) string  { return dir }
func (postgres) shutdownSignal() os.Signal { return syscall.SIGINT }

func (postgres) command(s *Server) (*exec.Cmd, error) {
	args := []string{"-D", s.dataDir(), "-p", strconv.Itoa(s.Port), "-k", s.Socket}
	for _, setting := range []string{
		"listen_addresses=" + s.Host, "max_connections=500", "max_prepared_transactions=200", "shared_buffers=64MB",
		"fsync=on", "synchronous_commit=on", "full_page_writes=on", "min_wal_size=32MB", "max_wal_size=128MB",
	} {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(s.path, append(args, s.args...)...)
	return cmd, unprivileged(cmd)
}

func (postgres) answers(ctx context.Context, s *Server) error {
	_, err := s.PSQL(ctx, "SELECT 1")
	return err
}

func (postgres) prepared(ctx context.Context, s *Server) ([]string, error) {
	out, err := s.PSQL(ctx, "SELECT gid FROM pg_prepared_xacts")
	if err != nil {
		return nil, err
	}
	return strings.Fields(out), nil
}

// PSQL executes a script on a PostgreSQL server as AdminUser and returns the rows, a line each, columns separated by
// "|". It is psql that reads the script, so \connect chooses a database; without it this is postgres. The first failing
// statement ends it.
func (s *Server) PSQL(ctx context.Context, script string) (string, error) {
	// Servers that setup.sh has unpacked come without it; that of another series serves as well.
	psql, err := findProgram(filepath.Join(filepath.Dir(s.path), "psql"), "/usr/lib/postgresql/*/bin/psql", "/usr/bin/psql", "/opt/homebrew/bin/psql")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, psql, "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1",
		"--host="+s.Socket, "--port="+strconv.Itoa(s.Port), "--username="+AdminUser, "--dbname=postgres")
	cmd.Env = append(os.Environ(), "PGPASSWORD="+AdminPassword, "PGCONNECT_TIMEOUT=5")
	cmd.Stdin = strings.NewReader(script)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("psql on %s: %w: %s", s, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// serverUser returns whom the server runs as, and whether that is another user than this process.
func serverUser() (uid, gid int, other bool, err error) {
	if os.Geteuid() != 0 {
		return 0, 0, false, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return 0, 0, false, fmt.Errorf("PostgreSQL does not run as root, and there is no user postgres or nobody: %w", err)
		}
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, false, err
	}
	gid, err = strconv.Atoi(u.Gid)
	return uid, gid, true, err
}

// unprivileged makes a command run as serverUser.
func unprivileged(cmd *exec.Cmd) error {
	uid, gid, other, err := serverUser()
	if err == nil && other {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	return err
}
