// Package servers boots real database servers for tests and for the demo: MariaDB, MySQL and PostgreSQL, each as a
// child process with a data directory of its own, on a free loopback port.
//
// Start makes the data directory and returns when the server answers; Stop ends the server and removes what Start
// made. In between a test may Kill, Freeze, Thaw and Restart it: port and data stay the same. A server never outlives
// its parent: on Linux the kernel kills it when the parent dies in whatever way.
//
// The programs come from tests/setup.sh. A server that is not installed is an error that says so, never a skip.
// Nothing here is for production: the passwords are public and memory is small. Durability is not reduced: what a
// server acknowledges is on the disk, as in production.
package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kind says which server, and which of its settings that change how it commits.
type Kind string

// The kinds of servers.
const (
	// MariaDB without its binary log, as it comes.
	MariaDB Kind = "mariadb"
	// MariaDBBinlog is MariaDB with its binary log: it commits in another way than without.
	MariaDBBinlog Kind = "mariadb-binlog"
	// MySQL with its binary log, as it comes.
	MySQL Kind = "mysql"
	// Postgres is PostgreSQL with prepared transactions enabled.
	Postgres Kind = "postgres"
)

// The accounts that every server has. All of them may connect from anywhere, which is the loopback interface.
const (
	// AdminUser may do everything. On MySQL and MariaDB it is reachable over TCP and by the socket.
	AdminUser     = "root"
	AdminPassword = "root-secret"
	// AppUser has all privileges too: XA_RECOVER_ADMIN and CONNECTION_ADMIN on MySQL, superuser on PostgreSQL.
	AppUser     = "app"
	AppPassword = "app-secret"
	// LimitedUser reads and writes every table but has no administrative privilege, so no XA_RECOVER_ADMIN on MySQL.
	LimitedUser     = "limited"
	LimitedPassword = "limited-secret"
)

const (
	bootTimeout     = 60 * time.Second // how long Start and Restart wait for the first answer
	shutdownTimeout = 60 * time.Second // how long a clean shutdown may take before it is made an unclean one
	pollInterval    = 10 * time.Millisecond
	bootAttempts    = 4    // with another port each, when the port was taken in between
	maxSocketPath   = 100  // sun_path has 108 bytes, and servers append to it (.lock)
	tailSize        = 4096 // bytes of the server's log that an error carries
)

// Options says what to start.
type Options struct {
	Kind Kind
	// Dir keeps the server's data, log and socket, and stays after Stop. It is created when it does not exist and
	// reused when it already has data. Empty: a temporary folder that Stop removes.
	Dir string
	// Args are further arguments of the server. They come last, so they win.
	Args []string
	// Clock gives the server a clock of its own, MariaDB only: SetClock.
	Clock bool
	// Log also gets what the server writes to its log. It is always kept in Dir/server.log.
	Log io.Writer
}

// Server is a running, or just now not running, database server. Its methods may be called from several goroutines;
// Restart must not run beside another Restart or Stop.
type Server struct {
	Kind    Kind
	Version string // as the program reports it: "10.11.19"
	Host    string // always 127.0.0.1
	Port    int
	// Socket is the path of the unix socket. For PostgreSQL it is the folder of the socket, as its clients want it.
	Socket string
	Dir    string
	// User and Password are those of AppUser.
	User, Password string

	engine engine
	path   string // the server's program
	args   []string
	clock  bool
	log    io.Writer
	temp   []*tempDir // removed by Stop
	pools  pools

	mu    sync.Mutex // protects child
	child *process   // nil before the first boot
}

// Start makes a data directory, or takes the one in o.Dir, boots the server on a free loopback port and returns when it
// answers. ctx bounds the boot only; the server runs until Stop. An error carries the last lines of the server's log.
func Start(ctx context.Context, o Options) (*Server, error) {
	e, err := engineOf(o.Kind)
	if err != nil {
		return nil, err
	}
	version, path, err := e.find()
	if err != nil {
		return nil, err
	}
	s := &Server{
		Kind: o.Kind, Version: version, Host: "127.0.0.1", Dir: o.Dir, User: AppUser, Password: AppPassword,
		engine: e, path: path, args: o.Args, clock: o.Clock, log: o.Log,
	}
	if err := s.prepareDir(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", o.Kind, err), s.removeTemp())
	}
	for attempt := 1; ; attempt++ {
		if s.Port, err = FreePort(); err != nil {
			break
		}
		if err = s.boot(ctx); err == nil {
			return s, nil
		}
		if attempt == bootAttempts || !strings.Contains(strings.ToLower(err.Error()), "already in use") {
			break
		}
	}
	return nil, errors.Join(fmt.Errorf("start %s: %w", o.Kind, err), s.removeTemp())
}

// Addr is the server's host:port.
func (s *Server) Addr() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// Pid is the process id of the server, 0 when it is not running.
func (s *Server) Pid() int {
	if p := s.running(); p != nil {
		return p.pid()
	}
	return 0
}

// Running says whether the server's process exists, frozen or not.
func (s *Server) Running() bool { return s.running() != nil }

// Shutdown ends the server cleanly and waits for it, thawing it first. The data stays, for Restart. It is no error when
// the server is not running. A server that does not end within a minute is killed, which is an error.
func (s *Server) Shutdown() error {
	p := s.running()
	if p == nil {
		return nil
	}
	if err := errors.Join(p.thaw(), p.signal(s.engine.shutdownSignal())); err != nil {
		return fmt.Errorf("shut down %s: %w", s, err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(shutdownTimeout):
		return errors.Join(fmt.Errorf("shut down %s: still there after %s, killed\n%s", s, shutdownTimeout, s.logTail()), p.kill())
	}
}

// Stop is Shutdown, and removes the temporary folder if the server has one. After that it cannot be restarted. It is
// safe to call more than once.
func (s *Server) Stop() error {
	return errors.Join(s.Shutdown(), s.pools.close(), s.removeTemp())
}

// Kill ends the server with SIGKILL, with its worker processes where it has some, and waits until they are gone. The
// data stays as the crash left it, for Restart. It is no error when the server is not running.
func (s *Server) Kill() error {
	p := s.running()
	if p == nil {
		return nil
	}
	if err := p.kill(); err != nil {
		return fmt.Errorf("kill %s: %w", s, err)
	}
	return nil
}

// Freeze stops every thread of the server with SIGSTOP: connections stay open and nothing answers. It returns when all
// of them stand still.
func (s *Server) Freeze() error {
	p := s.running()
	if p == nil {
		return fmt.Errorf("freeze %s: not running", s)
	}
	if err := p.freeze(); err != nil {
		return fmt.Errorf("freeze %s: %w", s, err)
	}
	return nil
}

// Thaw lets a frozen server go on. It is no error when the server is not frozen.
func (s *Server) Thaw() error {
	p := s.running()
	if p == nil {
		return fmt.Errorf("thaw %s: not running", s)
	}
	if err := p.thaw(); err != nil {
		return fmt.Errorf("thaw %s: %w", s, err)
	}
	return nil
}

// Restart boots the server again, on the same port and data, after Kill or Shutdown, and returns when it answers. ctx
// bounds the boot only.
func (s *Server) Restart(ctx context.Context) error {
	if s.running() != nil {
		return fmt.Errorf("restart %s: still running: kill or shut it down first", s)
	}
	if err := s.boot(ctx); err != nil {
		return fmt.Errorf("restart %s: %w", s, err)
	}
	return nil
}

// Prepared lists the branches that the server holds prepared, sorted: "gtrid|bqual" of XA RECOVER, or the gid of
// pg_prepared_xacts.
func (s *Server) Prepared(ctx context.Context) ([]string, error) {
	xids, err := s.engine.prepared(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("list the prepared branches of %s: %w", s, err)
	}
	slices.Sort(xids)
	return xids, nil
}

// String names the server in errors: its kind and address.
func (s *Server) String() string { return fmt.Sprintf("%s at %s", s.Kind, s.Addr()) }

// running returns the server's process, or nil when there is none.
func (s *Server) running() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child == nil || s.child.gone() {
		return nil
	}
	return s.child
}

func (s *Server) dataDir() string { return filepath.Join(s.Dir, "data") }
func (s *Server) logPath() string { return filepath.Join(s.Dir, "server.log") }

// prepareDir makes Dir with a data directory in it and settles where the socket is.
func (s *Server) prepareDir(ctx context.Context) error {
	if s.Dir == "" {
		temp, err := newTempDir()
		if err != nil {
			return err
		}
		s.temp = append(s.temp, temp)
		s.Dir = temp.path
	}
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		return err
	}
	s.Dir = dir
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	socketDir := s.Dir
	if len(s.engine.socket(socketDir)) > maxSocketPath {
		temp, err := newTempDir()
		if err != nil {
			return err
		}
		s.temp = append(s.temp, temp)
		socketDir = temp.path
	}
	s.Socket = s.engine.socket(socketDir)
	if _, err := os.Stat(s.dataDir()); errors.Is(err, os.ErrNotExist) {
		if err := copyTemplate(ctx, s.engine, s.Version, s.path, s.dataDir()); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	return s.engine.own(s.Dir, socketDir)
}

// boot starts the process and waits until it answers. On error no process is left.
func (s *Server) boot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	logFile, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd, err := s.engine.command(s)
	if err != nil {
		return errors.Join(err, logFile.Close())
	}
	if s.clock {
		if err := s.lendClock(cmd); err != nil {
			return errors.Join(err, logFile.Close())
		}
	}
	var log io.Writer = logFile
	if s.log != nil {
		log = io.MultiWriter(logFile, s.log)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Dir, log, log
	p, err := spawn(cmd, logFile)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.child = p
	s.mu.Unlock()

	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		answer := s.engine.answers(ctx, s)
		if answer == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s on port %d ended before it answered: %w\n%s", s.path, s.Port, p.exit(), s.logTail())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s on port %d does not answer: %w (%w)\n%s", s.path, s.Port, answer, ctx.Err(), s.logTail()), p.kill())
		case <-tick.C:
		}
	}
}

func (s *Server) removeTemp() error {
	var errs []error
	for _, t := range s.temp {
		errs = append(errs, t.remove())
	}
	return errors.Join(errs...)
}

// logTail is the end of the server's log, for errors.
func (s *Server) logTail() string {
	return tail(s.logPath())
}

// tail returns the last lines of a file, or why it cannot.
func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(data) > tailSize {
		data = data[len(data)-tailSize:]
		if _, whole, ok := strings.Cut(string(data), "\n"); ok {
			data = []byte(whole)
		}
	}
	return fmt.Sprintf("last lines of %s:\n%s", path, data)
}
