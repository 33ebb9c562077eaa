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

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/chaos"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// mixedWorld is a MySQL and a PostgreSQL server with the same rows, and the ways to commit on both.
type mixedWorld struct {
	pairWorld
	rows, connections int
	faces             [2]*sql.DB // the servers, both as MySQL
	sources           []*source
}

// mixedKinds are the two servers, in the order of branchNames.
var mixedKinds = [2]servers.Kind{servers.MySQL, servers.Postgres}

// schemas have the rows of one backend each. Transfers are in another one, which both have.
var schemas = [2]string{"on_mysql", "on_postgres"}

// bootMixed starts everything.
func bootMixed(ctx context.Context, o postgresOptions) (_ *mixedWorld, err error) {
	w := &mixedWorld{pairWorld: pairWorld{o: o.commitOptions}, rows: o.rows, connections: o.connections}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	progress("booting MySQL, PostgreSQL and xaproxy")
	if err := w.build(ctx); err != nil {
		return nil, err
	}
	for i, kind := range mixedKinds {
		if w.servers[i], err = servers.Start(ctx, servers.Options{Kind: kind}); err != nil {
			return nil, err
		}
		w.later(w.servers[i].Stop)
		if w.faces[i], err = proxytest.Direct(ctx, w.servers[i]); err != nil {
			return nil, err
		}
		if err := w.prepare(ctx, i); err != nil {
			return nil, err
		}
	}
	direct, err := w.between(ctx)
	if err != nil {
		return nil, err
	}
	programs := maps.Clone(o.against)
	programs["xaproxy"] = w.binary
	for _, store := range o.stores {
		if len(o.clients) > 0 {
			if err := w.floor(ctx, store, "", direct); err != nil {
				return nil, err
			}
			if err := w.floor(ctx, store, " over haproxy", w.haproxy.addrs, w.haproxy.pid()); err != nil {
				return nil, err
			}
		}
		for _, name := range append([]string{"xaproxy"}, slices.Sorted(maps.Keys(o.against))...) {
			if err := w.proxy(ctx, store, name, programs[name]); err != nil {
				return nil, err
			}
		}
	}
	return w, nil
}

// prepare fills a server.
func (w *mixedWorld) prepare(ctx context.Context, i int) error {
	own := schemas[i]
	statements := []string{
		"CREATE DATABASE " + own, "CREATE DATABASE " + schema,
		"CREATE TABLE " + own + ".items (id INT PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL)",
		"CREATE TABLE " + own + ".big (id INT PRIMARY KEY, k BIGINT NOT NULL, amount DECIMAL(10,2) NOT NULL, at DATETIME NOT NULL, c VARCHAR(60) NOT NULL)",
		"CREATE TABLE " + schema + ".accounts (id INT PRIMARY KEY, balance BIGINT NOT NULL)",
		"CREATE TABLE " + schema + ".decisions (gtrid VARCHAR(64) PRIMARY KEY, created_at DATETIME NOT NULL)",
		"INSERT INTO " + own + ".items VALUES (1, 7, REPEAT('0123456789abcdef', 6), 'fedcba9876543210')",
		"INSERT INTO " + own + ".big VALUES (1, 7000000001, 1234.56, '2026-01-02 03:04:05', 'the rows are alike on both servers, of some fifty bytes')",
		fmt.Sprintf("INSERT INTO %s.accounts VALUES (%d, 0)", schema, i),
	}
	double := func(table, columns string, step, first, have, limit int) {
		for ; have < limit; have *= 2 {
			statements = append(statements, fmt.Sprintf("INSERT INTO %[1]s SELECT id + %[3]d%[2]s FROM %[1]s WHERE id + %[3]d < %[4]d", table, columns, step*have, step*limit+first))
		}
	}
	double(own+".items", ", k, c, pad", 1, 1, 1, rows)
	double(own+".big", ", k + 1, amount, at, c", 1, 1, 1, w.rows)
	double(schema+".accounts", ", balance", 2, i, 1, maxClients*accountsEach/2)
	for _, statement := range statements {
		if _, err := w.faces[i].ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %s: %w", w.servers[i], statement, err)
		}
	}
	if mixedKinds[i] == servers.Postgres {
		if _, err := w.servers[i].PSQL(ctx, "VACUUM ANALYZE;"); err != nil {
			return err
		}
	}
	return chaos.Participant.Prepare(ctx, w.servers[i])
}

// proxy adds an xaproxy with a store: as a way to commit, and with the file store as the sources of rows.
func (w *mixedWorld) proxy(ctx context.Context, store, name, program string) error {
	o := proxytest.Options{
		Binary: program, Dir: filepath.Join(w.dir, store+"-"+name), LogLevel: "info", Decision: []string{fmt.Sprintf("store = %q", store)},
		Tables: []config.Table{{Schema: schema, Name: "accounts", Column: "id", Function: config.Modulo, Backends: branchNames[:]}},
	}
	if err := os.Mkdir(o.Dir, 0o700); err != nil {
		return err
	}
	for i, s := range w.servers {
		o.Backends = append(o.Backends, proxytest.On(branchNames[i], s))
		o.Schemas = append(o.Schemas, config.Schema{Name: schemas[i], Backend: branchNames[i]})
	}
	p, err := proxytest.Start(ctx, o)
	if err != nil {
		return err
	}
	w.later(p.Stop)
	one := &way{name: name + ", " + store + " store", store: store, between: []int{p.Pid()}}
	for range slices.Max(append(w.o.clients, 0)) {
		conn, err := w.connect(ctx, p.Addr, proxytest.User, proxytest.Password)
		if err != nil {
			return err
		}
		one.tellers = append(one.tellers, plain{conn})
	}
	w.ways = append(w.ways, one)
	for i := range w.servers {
		if store != config.FileStore {
			break
		}
		s := &source{name: name, kind: mixedKinds[i], pid: p.Pid(), server: w.servers[i]}
		for range max(w.connections, 1) {
			d := wire.Dialer{Addr: p.Addr, User: proxytest.User, Password: proxytest.Password, Schema: schemas[i]}
			conn, _, err := d.Dial(ctx)
			if err != nil {
				return err
			}
			s.clients = append(s.clients, &client{conn: conn})
			w.later(func() error {
				_ = conn.Close() // the other side is about to end anyway
				return nil
			})
		}
		w.sources = append(w.sources, s)
	}
	return nil
}

// audit looks whether transfers have changed the sum of all money, or left anything prepared.
func (w *mixedWorld) audit(ctx context.Context) error { return audit(ctx, w.servers, w.faces) }
