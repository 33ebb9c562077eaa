//go:build linux

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/decision"
	"github.com/xaproxy/xaproxy/tests/chaos"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// pairWorld is two servers of a kind, and the ways to commit on both.
type pairWorld struct {
	o       commitOptions
	dir     string // for files, removed at the end
	servers [2]*servers.Server
	durable string // how each of them is
	haproxy *haproxy
	binary  string // xaproxy
	log     *decision.File
	seq     atomic.Uint64
	ways    []*way
	undo
}

// way is one way to commit.
type way struct {
	name    string
	store   string // of xaproxy, or the one that the floor is for
	floor   bool
	between []int // processes between clients and servers
	tellers []teller
}

// bootPair starts everything.
func bootPair(ctx context.Context, o commitOptions, kind servers.Kind) (_ *pairWorld, err error) {
	w := &pairWorld{o: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	progress("booting two servers of kind %s, haproxy and xaproxy", kind)
	if err := w.build(ctx); err != nil {
		return nil, err
	}
	for i := range w.servers {
		if w.servers[i], err = servers.Start(ctx, servers.Options{Kind: kind, Args: []string{"--max-connections=2000"}}); err != nil {
			return nil, err
		}
		w.later(w.servers[i].Stop)
		if err := w.open(ctx, i); err != nil {
			return nil, err
		}
	}
	direct, err := w.between(ctx)
	if err != nil {
		return nil, err
	}
	for _, store := range o.stores {
		if err := w.byHand(ctx, store, "", direct); err != nil {
			return nil, err
		}
		if err := w.byHand(ctx, store, " over haproxy", w.haproxy.addrs, w.haproxy.pid()); err != nil {
			return nil, err
		}
		if err := w.proxied(ctx, store, "xaproxy", w.binary); err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(o.against)) {
			if err := w.proxied(ctx, store, name, o.against[name]); err != nil {
				return nil, err
			}
		}
	}
	return w, nil
}

// build makes the folder, and the program if none was given.
func (w *pairWorld) build(ctx context.Context) (err error) {
	if w.dir, err = os.MkdirTemp("", "xaproxy-bench-"); err != nil {
		return err
	}
	w.later(func() error { return os.RemoveAll(w.dir) })
	if w.binary = w.o.program; w.binary == "" {
		w.binary, err = proxytest.Build(ctx, w.dir)
	}
	return err
}

// between starts haproxy in front of the servers, and the log of the floors. It returns the servers' own addresses.
func (w *pairWorld) between(ctx context.Context) (direct []string, err error) {
	direct = []string{w.servers[0].Addr(), w.servers[1].Addr()}
	if w.haproxy, err = startHaproxy(ctx, w.dir, 4*maxClients, direct...); err != nil {
		return nil, err
	}
	w.later(w.haproxy.kill)
	if w.log, err = decision.OpenFile(decision.FileOptions{Dir: filepath.Join(w.dir, "floor-log")}); err != nil {
		return nil, err
	}
	w.later(w.log.Close)
	return direct, nil
}

// open gives a server its accounts and the tables of both participant stores, and sees how durable it is.
func (w *pairWorld) open(ctx context.Context, i int) error {
	s := w.servers[i]
	db, err := s.DB()
	if err != nil {
		return err
	}
	for _, statement := range []string{
		"CREATE DATABASE " + schema,
		"CREATE TABLE " + schema + ".accounts (id INT PRIMARY KEY, balance BIGINT NOT NULL)",
		"CREATE TABLE " + schema + ".decisions (gtrid VARCHAR(64) CHARACTER SET ascii PRIMARY KEY, created_at DATETIME NOT NULL)",
		fmt.Sprintf("INSERT INTO %s.accounts VALUES (%d, 0)", schema, i),
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	for have := 1; have < maxClients*accountsEach/2; have *= 2 {
		more := fmt.Sprintf("INSERT INTO %[1]s.accounts SELECT id + %[2]d, 0 FROM %[1]s.accounts WHERE id + %[2]d < %[3]d", schema, 2*have, maxClients*accountsEach)
		if _, err := db.ExecContext(ctx, more); err != nil {
			return err
		}
	}
	var flush, sync, binlog int
	if err := db.QueryRowContext(ctx, "SELECT @@innodb_flush_log_at_trx_commit, @@sync_binlog, @@log_bin").Scan(&flush, &sync, &binlog); err != nil {
		return err
	}
	if flush != 1 || sync != 1 {
		return fmt.Errorf("%s is not durable: innodb_flush_log_at_trx_commit is %d, sync_binlog %d", s, flush, sync)
	}
	w.durable = fmt.Sprintf("innodb_flush_log_at_trx_commit = %d, sync_binlog = %d, log_bin = %d", flush, sync, binlog)
	return chaos.Participant.Prepare(ctx, s)
}

// byHand adds the floor of a store.
func (w *pairWorld) byHand(ctx context.Context, store, over string, addrs []string, between ...int) error {
	f := floors[store]
	one := &way{name: f.name + over, store: store, floor: true, between: between}
	for range slices.Max(w.o.clients) {
		h := &byHand{log: w.log, seq: &w.seq}
		for i, addr := range addrs {
			conn, err := w.connect(ctx, addr, w.servers[i].User, w.servers[i].Password)
			if err != nil {
				return err
			}
			h.conns[i] = conn
		}
		one.tellers = append(one.tellers, protocol{f, h})
	}
	w.ways = append(w.ways, one)
	return nil
}

// protocol is a floor with its connections.
type protocol struct {
	floor floor
	hand  *byHand
}

func (p protocol) transfer(from, to int) error { return p.floor.transfer(p.hand, from, to) }

// proxied adds an xaproxy with a store.
func (w *pairWorld) proxied(ctx context.Context, store, name, program string) error {
	dir := filepath.Join(w.dir, store+"-"+name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	o := proxytest.Options{
		Binary: program, Dir: dir, LogLevel: "info", Decision: []string{fmt.Sprintf("store = %q", store)},
		Tables: []config.Table{{Schema: schema, Name: "accounts", Column: "id", Function: config.Modulo, Backends: branchNames[:]}},
	}
	for i, s := range w.servers {
		o.Backends = append(o.Backends, proxytest.On(branchNames[i], s))
	}
	p, err := proxytest.Start(ctx, o)
	if err != nil {
		return err
	}
	w.later(p.Stop)
	one := &way{name: name + ", " + store + " store", store: store, between: []int{p.Pid()}}
	for range slices.Max(w.o.clients) {
		conn, err := w.connect(ctx, p.Addr, proxytest.User, proxytest.Password)
		if err != nil {
			return err
		}
		one.tellers = append(one.tellers, plain{conn})
	}
	w.ways = append(w.ways, one)
	return nil
}

// connect opens one connection that stays.
func (w *pairWorld) connect(ctx context.Context, addr, user, password string) (*sql.Conn, error) {
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName, c.MultiStatements = "tcp", addr, user, password, schema, true
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	w.later(func() error {
		_ = db.Close() // what it is connected to may have ended
		return nil
	})
	return db.Conn(ctx)
}

// ended says which servers have ended by themselves, and their last words.
func (w *pairWorld) ended() error {
	const lastWords = 8 * kb
	var errs []error
	for _, s := range w.servers {
		if s.Running() {
			continue
		}
		log, err := os.ReadFile(filepath.Join(s.Dir, "server.log"))
		errs = append(errs, fmt.Errorf("%s has ended: %s", s, log[max(0, len(log)-lastWords):]), err)
	}
	return errors.Join(errs...)
}

// pids are those of the servers' processes.
func (w *pairWorld) pids() (all []int, _ error) {
	for _, s := range w.servers {
		own, err := family(s.Pid())
		if err != nil {
			return nil, err
		}
		all = append(all, own...)
	}
	return all, nil
}

// kinds are those of the two servers.
func (w *pairWorld) kinds() string {
	if w.servers[0].Kind == w.servers[1].Kind {
		return string(w.servers[0].Kind) + " twice"
	}
	return string(w.servers[0].Kind) + " and " + string(w.servers[1].Kind)
}

// audit looks whether transfers have changed the sum of all money, or left anything prepared.
func (w *pairWorld) audit(ctx context.Context) error {
	var faces [2]*sql.DB
	for i, s := range w.servers {
		var err error
		if faces[i], err = s.DB(); err != nil {
			return err
		}
	}
	return audit(ctx, w.servers, faces)
}

// audit looks at two servers by connections on which they understand MySQL.
func audit(ctx context.Context, on [2]*servers.Server, faces [2]*sql.DB) error {
	sum := 0
	for i, s := range on {
		here := 0
		if err := faces[i].QueryRowContext(ctx, "SELECT SUM(balance) FROM "+schema+".accounts").Scan(&here); err != nil {
			return err
		}
		sum += here
		switch left, err := s.Prepared(ctx); {
		case err != nil:
			return err
		case len(left) > 0:
			return fmt.Errorf("%s holds branches prepared: %q", s, left)
		}
	}
	if sum != 0 {
		return fmt.Errorf("the money was 0 at first and is %d: some transfers are half done", sum)
	}
	return nil
}
