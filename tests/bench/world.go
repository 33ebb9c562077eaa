//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

const (
	schema = "bench"
	rows   = 20000 // of the table that is selected from
	span   = 100   // rows of a range
)

// world is the server and the paths to it.
type world struct {
	o       options
	dir     string // for files, removed at the end
	server  *servers.Server
	haproxy *haproxy
	binary  string // xaproxy
	paths   []*path
	undo
}

// path is one way to the server.
type path struct {
	name           string
	addr           string
	user, password string
	pid            int // of the proxy; 0 is none
	clients        []*client
}

// The first paths, in this order; others are --against.
const (
	direct = iota
	byHaproxy
	byXaproxy
)

// boot starts everything.
func boot(ctx context.Context, o options) (_ *world, err error) {
	w := &world{o: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "xaproxy-bench-"); err != nil {
		return nil, err
	}
	w.later(func() error { return os.RemoveAll(w.dir) })
	progress("booting MariaDB, haproxy and xaproxy")
	w.server, err = servers.Start(ctx, servers.Options{
		Kind: servers.MariaDB, Args: []string{"--max-allowed-packet=64M", fmt.Sprintf("--max-connections=%d", 4*o.connections+200)},
	})
	if err != nil {
		return nil, err
	}
	w.later(w.server.Stop)
	if err := fill(ctx, w.server); err != nil {
		return nil, err
	}
	if w.haproxy, err = startHaproxy(ctx, w.dir, o.connections, w.server.Addr()); err != nil {
		return nil, err
	}
	w.later(w.haproxy.kill)
	if w.binary = o.program; w.binary == "" {
		if w.binary, err = proxytest.Build(ctx, w.dir); err != nil {
			return nil, err
		}
	}
	w.paths = []*path{
		{name: "direct", addr: w.server.Addr(), user: w.server.User, password: w.server.Password},
		{name: "haproxy", addr: w.haproxy.addrs[0], user: w.server.User, password: w.server.Password, pid: w.haproxy.pid()},
	}
	programs := maps.Clone(o.against)
	programs["xaproxy"] = w.binary
	for _, name := range append([]string{"xaproxy"}, slices.Sorted(maps.Keys(o.against))...) {
		p, err := w.proxy(ctx, name, programs[name])
		if err != nil {
			return nil, err
		}
		w.paths = append(w.paths, p)
	}
	for _, p := range w.paths {
		for range o.connections {
			c, err := p.dial(ctx, wire.Dialer{})
			if err != nil {
				return nil, err
			}
			p.clients = append(p.clients, c)
		}
		w.later(func() error {
			for _, c := range p.clients {
				_ = c.conn.Close() // the other side is about to end anyway
			}
			return nil
		})
	}
	return w, nil
}

// proxy starts an xaproxy with further lines of [server].
func (w *world) proxy(ctx context.Context, name, program string, lines ...string) (*path, error) {
	dir := filepath.Join(w.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	p, err := proxytest.Start(ctx, proxytest.Options{
		Binary: program, Dir: dir, LogLevel: "info", Server: lines,
		Backends: []proxytest.Backend{proxytest.On("one", w.server)},
		Schemas:  []config.Schema{{Name: schema, Backend: "one"}},
	})
	if err != nil {
		return nil, err
	}
	w.later(p.Stop)
	return &path{name: name, addr: p.Addr, user: proxytest.User, password: proxytest.Password, pid: p.Pid()}, nil
}

// fill makes the table.
func fill(ctx context.Context, s *servers.Server) error {
	db, err := s.DB()
	if err != nil {
		return err
	}
	for _, statement := range []string{
		"CREATE DATABASE " + schema,
		"CREATE TABLE " + schema + ".items (id INT PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL)",
		fmt.Sprintf("INSERT INTO %[1]s.items SELECT seq, seq * 7, REPEAT(MD5(seq), 3), MD5(seq * 3) FROM %[1]s.seq_1_to_%[2]d", schema, rows),
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// undo is what has to be done at the end.
type undo []func() error

// later notes one thing more.
func (u *undo) later(f func() error) { *u = append(*u, f) }

// close does it all, the last first.
func (u *undo) close() (err error) {
	for _, f := range slices.Backward(*u) {
		err = errors.Join(err, f())
	}
	*u = nil
	return err
}
