//go:build linux

package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"slices"

	"github.com/lib/pq"

	"github.com/xaproxy/xaproxy/xa"
)

// mixedHand is byHand for MySQL and PostgreSQL: what belongs together goes in one packet to the one, and in one message to the other.
type mixedHand struct{ byHand }

// branchVerbs are what a branch on a server is begun and ended with.
type branchVerbs struct{ begin, prepare, commit string }

// verbs are those of a branch on MySQL, the first server, or on PostgreSQL.
func verbs(server int, gtrid string) branchVerbs {
	if server == 0 {
		xid := "'" + gtrid + "','" + branchNames[0] + "',1"
		return branchVerbs{"XA START " + xid + ";", "XA END " + xid + ";XA PREPARE " + xid, "XA COMMIT " + xid}
	}
	gid := "'" + gtrid + "|" + branchNames[1] + "'"
	return branchVerbs{"BEGIN;", "PREPARE TRANSACTION " + gid, "COMMIT PREPARED " + gid}
}

// mixedFloor is a protocol with its connections.
type mixedFloor struct {
	run  func(*mixedHand, int, int) error
	hand *mixedHand
}

func (f mixedFloor) transfer(from, to int) error { return f.run(f.hand, from, to) }

// mixedFloors are by the store of xaproxy that does the same.
var mixedFloors = map[string]func(*mixedHand, int, int) error{"file": (*mixedHand).withLog, "participant": (*mixedHand).withDecider}

// withLog is protocol c: see byHand.withLog.
func (b *mixedHand) withLog(from, to int) error {
	g := xa.GTRID{Coord: b.log.Coord(), Epoch: b.log.Epoch(), Seq: b.seq.Add(1)}
	branches := [2]branchVerbs{verbs(0, g.String()), verbs(1, g.String())}
	for i, account := range []int{from, to} {
		if err := changes(b.conns[account&1], branches[account&1].begin+update(account, 2*i-1)); err != nil {
			return err
		}
	}
	if err := b.both(func(i int) string { return branches[i].prepare }); err != nil {
		return err
	}
	d := xa.Decision{GTRID: g}
	for _, name := range branchNames {
		d.Branches = append(d.Branches, xa.BranchRef{Backend: name})
	}
	if err := b.log.Append(d); err != nil {
		return err
	}
	if err := b.both(func(i int) string { return branches[i].commit }); err != nil {
		return err
	}
	b.log.Done(g)
	return nil
}

// withDecider is protocol e: see byHand.withDecider.
func (b *mixedHand) withDecider(from, to int) error {
	g := fmt.Sprintf("bench.%x", b.seq.Add(1))
	decider, branch, v := b.conns[from&1], b.conns[to&1], verbs(to&1, g)
	if err := changes(decider, "BEGIN;"+update(from, -1)); err != nil {
		return err
	}
	if err := changes(branch, v.begin+update(to, 1)); err != nil {
		return err
	}
	if err := execute(branch, v.prepare); err != nil {
		return err
	}
	if err := execute(decider, "INSERT INTO decisions VALUES ('"+g+"', now());COMMIT"); err != nil {
		return err
	}
	return execute(branch, v.commit)
}

// floor adds the floor of a store.
func (w *mixedWorld) floor(ctx context.Context, store, over string, addrs []string, between ...int) error {
	one := &way{name: floors[store].name + over, store: store, floor: true, between: between}
	for range slices.Max(w.o.clients) {
		mysql, err := w.connect(ctx, addrs[0], w.servers[0].User, w.servers[0].Password)
		if err != nil {
			return err
		}
		postgres, err := w.connectPostgres(ctx, addrs[1])
		if err != nil {
			return err
		}
		one.tellers = append(one.tellers, mixedFloor{mixedFloors[store], &mixedHand{byHand{conns: [2]*sql.Conn{mysql, postgres}, log: w.log, seq: &w.seq}}})
	}
	w.ways = append(w.ways, one)
	return nil
}

// connectPostgres opens one connection that stays. Statements without arguments are one message of lib/pq.
func (w *mixedWorld) connectPostgres(ctx context.Context, addr string) (*sql.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	s := w.servers[1]
	c, err := pq.NewConnectorConfig(pq.Config{
		Host: to.Addr().String(), Port: to.Port(), User: s.User, Password: s.Password, Database: "postgres", SSLMode: pq.SSLModeDisable,
		Runtime: map[string]string{"search_path": schema},
	})
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	w.later(func() error {
		_ = db.Close() // what it is connected to may have ended
		return nil
	})
	return db.Conn(ctx)
}
