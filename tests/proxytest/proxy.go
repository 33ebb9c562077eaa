package proxytest

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/xa"
)

const (
	bootTimeout  = 60 * time.Second // until it serves
	stopTimeout  = 60 * time.Second // until it has ended after SIGTERM
	bootAttempts = 4                // with another port each, when the port was taken in between
)

// Options says what to run. Backends and at least one of Schemas and Tables are required.
type Options struct {
	Binary    string // path of the program; tests leave it empty: it is built once per test binary
	Dir       string // for configuration and decision log; it must exist. Tests leave it empty
	Backends  []Backend
	Users     []string // the lines of [[users]] entries besides that of User
	Schemas   []config.Schema
	Tables    []config.Table
	ShardMaps []string // the lines of [[shard_maps]] entries
	Sequences []string // the lines of [[sequences]] entries
	// Zero means the program's own default.
	PrepareTimeout, CommitWait, RecoveryInterval time.Duration
	Server, Decision                             []string // further lines of [server] and [decision]
	Admin                                        []string // the lines of [admin]; none: it is off
	Trace                                        []string // the lines of [trace]
	LogLevel                                     string   // of [server]; "" is debug
	// Manager starts the program as a service manager does, which keeps the socket for clients open; nil: none.
	Manager *Manager
}

// Proxy is a running, or just now not running, xaproxy. Its methods may be called from several goroutines; Start and
// Restart must not run beside another.
type Proxy struct {
	Dir  string // of the configuration
	Addr string // host:port for clients
	Log  *Log

	options Options
	mu      sync.Mutex // protects the following
	child   *process
	coords  []string // of all starts, the last one's last
	epoch   uint32

	interesting []string // what to print of the log when the test fails
}

// Start writes the configuration, runs the program and returns when it serves clients. ctx bounds the start only. An
// error carries the last lines of the log.
func Start(ctx context.Context, o Options) (*Proxy, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	p := &Proxy{Dir: dir, Log: &Log{}, options: o}
	for attempt := 1; ; attempt++ {
		port, err := servers.FreePort()
		if err == nil && o.Manager != nil {
			err = o.Manager.listen(port)
		}
		if err != nil {
			return nil, err
		}
		text, err := o.toml(port)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(p.ConfigPath(), []byte(text), 0o600); err != nil {
			return nil, err
		}
		p.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		err = p.Restart(ctx)
		if err == nil || attempt == bootAttempts || !strings.Contains(err.Error(), "address already in use") {
			return p, err
		}
	}
}

// Rewrite changes the configuration file. What runs goes on with what it has read.
func (p *Proxy) Rewrite(change func(*Options)) error {
	_, port, err := net.SplitHostPort(p.Addr)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	change(&p.options)
	text, err := p.options.toml(n)
	if err != nil {
		return err
	}
	return os.WriteFile(p.ConfigPath(), []byte(text), 0o600)
}

// Signal sends the process a signal.
func (p *Proxy) Signal(s syscall.Signal) error {
	c := p.running()
	if c == nil {
		return errors.New("signal xaproxy: not running")
	}
	return c.signal(s)
}

// ConfigPath is the path of the configuration file.
func (p *Proxy) ConfigPath() string { return filepath.Join(p.Dir, "xaproxy.toml") }

// Binary is the path of the program.
func (p *Proxy) Binary() string { return p.options.Binary }

// LogDir is the folder of the decision log.
func (p *Proxy) LogDir() string { return filepath.Join(p.Dir, "log") }

// Restart runs the program again, on the same port and decision log, and returns when it serves clients.
func (p *Proxy) Restart(ctx context.Context) error {
	if p.running() != nil {
		return errors.New("start xaproxy: it is still running: kill or stop it first")
	}
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	from := p.Log.Len()
	cmd := exec.Command(p.options.Binary, "serve", "--config", p.ConfigPath())
	if m := p.options.Manager; m != nil {
		m.hand(cmd)
	}
	cmd.Dir, cmd.Stderr = p.Dir, p.Log
	child, err := spawn(cmd)
	if err != nil {
		return fmt.Errorf("start xaproxy: %w", err)
	}
	p.mu.Lock()
	p.child = child
	p.mu.Unlock()
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-child.done:
			stop()
		case <-waiting.Done():
		}
	}()
	line, err := p.Log.Wait(waiting, from, `"message":"serving"`)
	switch {
	case err == nil:
	case child.gone():
		return fmt.Errorf("start xaproxy: it ended with status %d before it served\n%s", child.status(), p.Log.tail())
	default:
		return errors.Join(fmt.Errorf("start xaproxy: %w\n%s", err, p.Log.tail()), p.Kill())
	}
	var said struct {
		Coord string `json:"coord"`
		Epoch uint32 `json:"epoch"`
	}
	if err := json.Unmarshal([]byte(line), &said); err != nil {
		return errors.Join(fmt.Errorf("start xaproxy: log line %q: %w", line, err), p.Kill())
	}
	p.mu.Lock()
	p.coords, p.epoch = append(p.coords, said.Coord), said.Epoch
	p.mu.Unlock()
	return nil
}

// Coord is that of the last start, as the program said when it began to serve. A decision log has one for all of them.
func (p *Proxy) Coord() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.coords) == 0 {
		return ""
	}
	return p.coords[len(p.coords)-1]
}

// Epoch is that of the last start.
func (p *Proxy) Epoch() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.epoch
}

// Owns reports whether a branch, as servers.Server.Prepared lists it, is one of this proxy's, from whichever start.
func (p *Proxy) Owns(branch string) bool {
	name, _, _ := strings.Cut(branch, "|")
	g, err := xa.ParseGTRID(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	return err == nil && slices.Contains(p.coords, g.Coord)
}

// Pid is the process id, 0 when it is not running.
func (p *Proxy) Pid() int {
	if c := p.running(); c != nil {
		return c.pid()
	}
	return 0
}

// Running says whether the process exists, frozen or not.
func (p *Proxy) Running() bool { return p.running() != nil }

// Kill ends the process with SIGKILL and waits until it is gone. It is no error when it is not running.
func (p *Proxy) Kill() error {
	c := p.running()
	if c == nil {
		return nil
	}
	if err := c.signal(syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill xaproxy: %w", err)
	}
	<-c.done
	return nil
}

// Stop asks the process to end with SIGTERM, thawing it first, and waits. Another exit status than 0 is an error. It is
// no error when it is not running.
func (p *Proxy) Stop() error {
	c := p.running()
	if c == nil {
		return nil
	}
	if err := errors.Join(c.signal(syscall.SIGCONT), c.signal(syscall.SIGTERM)); err != nil {
		return fmt.Errorf("stop xaproxy: %w", err)
	}
	select {
	case <-c.done:
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("stop xaproxy: still there after %s, killed\n%s", stopTimeout, p.Log.tail()), p.Kill())
	}
	if status := c.status(); status != 0 {
		return fmt.Errorf("stop xaproxy: it ended with status %d\n%s", status, p.Log.tail())
	}
	return nil
}

// Freeze stops every thread of the process with SIGSTOP and returns when all of them stand still.
func (p *Proxy) Freeze() error {
	c := p.running()
	if c == nil {
		return errors.New("freeze xaproxy: not running")
	}
	if err := c.freeze(); err != nil {
		return fmt.Errorf("freeze xaproxy: %w", err)
	}
	return nil
}

// Thaw lets a frozen process go on.
func (p *Proxy) Thaw() error {
	c := p.running()
	if c == nil {
		return errors.New("thaw xaproxy: not running")
	}
	if err := c.signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("thaw xaproxy: %w", err)
	}
	return nil
}

// Unlimited is no limit.
const Unlimited = 1<<64 - 1

// LimitFiles sets the size in bytes up to which the process may write its files, for as long as it runs. Above it writing fails as on a full
// disk; unlike there also in what a file has room for already.
func (p *Proxy) LimitFiles(size uint64) error {
	c := p.running()
	if c == nil {
		return errors.New("limit the files of xaproxy: not running")
	}
	if err := limitFiles(c.pid(), size); err != nil {
		return fmt.Errorf("limit the files of xaproxy: %w", err)
	}
	return nil
}

// DSN is a data source name of the Go driver for clients. schema may be empty. Parameters are written into the text.
func (p *Proxy) DSN(schema string) string { return DSN(p.Addr, schema) }

// DSN is Proxy.DSN for an address in front of the proxy.
func DSN(addr, schema string) string { return clientConfig(addr, schema).FormatDSN() }

func clientConfig(addr, schema string) *mysql.Config {
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName = "tcp", addr, User, Password, schema
	c.InterpolateParams = true
	// A proxy that is being killed is no news; what matters comes back as an error.
	c.Logger = &mysql.NopLogger{}
	return c
}

// Open opens a pool of clients at an address: that of a proxy, or of something in front of it.
func Open(addr, schema string) (*sql.DB, error) {
	connector, err := mysql.NewConnector(clientConfig(addr, schema))
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// Recover runs the recover command with this proxy's configuration and returns what it wrote to standard output and its
// exit status. err says that it could not be run.
func (p *Proxy) Recover(ctx context.Context, args ...string) (out string, status int, err error) {
	return p.Command(ctx, append([]string{"recover"}, args...)...)
}

// Command is Recover for any command.
func (p *Proxy) Command(ctx context.Context, args ...string) (out string, status int, err error) {
	var stdout bytes.Buffer
	cmd := exec.CommandContext(ctx, p.options.Binary, append(slices.Clone(args), "--config", p.ConfigPath())...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.Dir, &stdout, p.Log
	err = cmd.Run()
	var exited *exec.ExitError
	if errors.As(err, &exited) && exited.Exited() {
		err = nil
	}
	if err != nil {
		return stdout.String(), -1, fmt.Errorf("run xaproxy %s: %w", args[0], err)
	}
	return stdout.String(), cmd.ProcessState.ExitCode(), nil
}

// running returns the process, or nil when there is none.
func (p *Proxy) running() *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil || p.child.gone() {
		return nil
	}
	return p.child
}
