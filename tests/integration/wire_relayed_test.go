package integration

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// relayed is a proxy that does nothing but relay: each client has a connection of its own to one server.
type relayed struct {
	wire     wire.Server
	backend  wire.Dialer
	relay    wire.Relay
	preamble string // sent before each COM_QUERY; its result is not for the client

	mu     sync.Mutex
	logins []*wire.Login // protected by mu
	errs   []error       // protected by mu: failures that no client caused
}

// start listens until the test ends and returns the address.
func (p *relayed) start(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() {
				if err := p.session(nc); err != nil {
					p.mu.Lock()
					p.errs = append(p.errs, err)
					p.mu.Unlock()
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		sessions.Wait()
		if err := errors.Join(p.errs...); err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

func (p *relayed) session(nc net.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, login, err := p.wire.Accept(ctx, nc, 1)
	if err != nil {
		return nil // the client reports it
	}
	defer client.Close()
	p.mu.Lock()
	p.logins = append(p.logins, login)
	p.mu.Unlock()
	d := p.backend
	if login.Schema != "" {
		d.Schema = login.Schema
	}
	d.Collation = login.Collation
	d.Caps |= login.Caps & (wire.FoundRows | wire.MultiStatements | wire.LocalFiles)
	d.Omit = wire.DeprecateEOF &^ login.Caps
	backend, _, err := d.Dial(ctx)
	if err != nil {
		return errors.Join(err, client.WriteErr(wire.NewError(wire.CodeBackendDown, "%v", err)))
	}
	defer backend.Close()
	if err := client.WriteOK(wire.OK{Status: wire.StatusAutocommit}); err != nil {
		return err
	}
	relay := p.relay
	for {
		cmd, arg, err := client.ReadCommand()
		if err != nil || cmd == wire.ComQuit {
			return nil
		}
		if cmd == wire.ComQuery {
			attrs, statement, err := wire.SplitQueryAttributes(arg, client.Caps())
			if err != nil {
				return err
			}
			preamble := p.preamble
			if bytes.EqualFold(statement, []byte("show warnings")) { // of the statement before
				preamble = ""
			}
			if err := backend.SendQuery(attrs, []byte(preamble), statement); err != nil {
				return err
			}
			if preamble != "" {
				if _, err := backend.ReadResult(0); err != nil {
					return err
				}
			}
		} else if err := backend.SendCommand(cmd, arg); err != nil {
			return err
		}
		if answer := p.answer(cmd, client, backend, &relay); answer != nil {
			err = answer()
		} else {
			err = client.WriteErr(wire.NewError(wire.CodeUnknownCommand, "unknown command %s", cmd))
			return errors.Join(err, backend.Close())
		}
		if err != nil {
			return err
		}
	}
}

// answer returns what passes the answer to a command on, or nil for a command that is not relayed.
func (p *relayed) answer(cmd wire.Command, client, backend *wire.Conn, relay *wire.Relay) func() error {
	with := func(f func(client, backend *wire.Conn) (wire.Result, error)) func() error {
		return func() error {
			_, err := f(client, backend)
			return err
		}
	}
	switch cmd {
	case wire.ComQuery, wire.ComPing, wire.ComInitDB, wire.ComStmtExecute, wire.ComStmtReset, wire.ComSetOption:
		return with(relay.Response)
	case wire.ComStmtFetch:
		return with(relay.Rows)
	case wire.ComFieldList:
		return with(relay.Fields)
	case wire.ComStmtClose:
		return func() error { return nil }
	case wire.ComStmtPrepare:
		return func() error {
			_, err := relay.Prepare(client, backend, 0)
			return err
		}
	case wire.ComStatistics:
		return func() error {
			text, err := backend.ReadPacket()
			if err != nil {
				return err
			}
			return client.WriteString(string(text))
		}
	}
	return nil
}

// commandLine is a client program.
type commandLine struct {
	name, path string
	plain, tls []string // arguments for a login in clear, in TLS
}

func commandLines(t *testing.T) []commandLine {
	t.Helper()
	cache, err := servers.CacheDir()
	check(t, err)
	return []commandLine{
		{"mysql", filepath.Join(cache, "mysql-9.7", "bin", "mysql"), []string{"--ssl-mode=DISABLED", "--get-server-public-key"}, []string{"--ssl-mode=REQUIRED"}},
		{"mariadb", "mariadb", []string{"--skip-ssl"}, []string{"--ssl", "--skip-ssl-verify-server-cert"}},
	}
}

// run executes a script and returns what the client printed, without what is unstable.
func (cl commandLine) run(t *testing.T, script, addr, user, password, schema string, args ...string) (string, error) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	check(t, err)
	all := append([]string{"--no-defaults", "--protocol=tcp", "-h" + host, "-P" + port, "-u" + user, "--password=" + password, "-D" + schema}, args...)
	cmd := exec.CommandContext(t.Context(), cl.path, all...)
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	return unstable.ReplaceAllString(string(out), ""), err
}

// unstable is what a client prints that may differ: times, and the column formats that MariaDB sends to clients which speak
// its extended protocol, as the relay does not.
var unstable = regexp.MustCompile(`\([0-9.]+ sec\)| \(format=\w+\)`)
