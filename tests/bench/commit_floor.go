//go:build linux

package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"

	"github.com/xaproxy/xaproxy/decision"
	"github.com/xaproxy/xaproxy/xa"
)

// teller moves money from an account on one server to one on the other, in one transaction. Accounts with even ids are on the
// first server, the others on the second.
type teller interface {
	transfer(from, to int) error
}

// background is the context of statements: one that can end costs a goroutine for each of them.
var background = context.Background()

const (
	accountsEach = 2000 // of each client; none is ever locked by another one
	maxClients   = 64
)

// accounts draws two accounts of a client, in either direction.
func accounts(client int) (from, to int) {
	from = (client*accountsEach + rand.IntN(accountsEach)) &^ 1
	to = (client*accountsEach + rand.IntN(accountsEach)) | 1
	if rand.IntN(2) == 0 {
		return to, from
	}
	return from, to
}

func update(account, by int) string {
	return "UPDATE accounts SET balance = balance + " + strconv.Itoa(by) + " WHERE id = " + strconv.Itoa(account)
}

// changes runs statements in one packet, of which the last one changes one row.
func changes(conn *sql.Conn, text string) error {
	result, err := conn.ExecContext(background, text)
	if err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("%s: %d rows changed, %v", text, n, err)
	}
	return nil
}

func execute(conn *sql.Conn, text string) error {
	if _, err := conn.ExecContext(background, text); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}

// plain is a client of xaproxy: it knows of one server only.
type plain struct{ conn *sql.Conn }

func (p plain) transfer(from, to int) error {
	if err := execute(p.conn, "BEGIN"); err != nil {
		return err
	}
	if err := changes(p.conn, update(from, -1)); err != nil {
		return err
	}
	if err := changes(p.conn, update(to, 1)); err != nil {
		return err
	}
	return execute(p.conn, "COMMIT")
}

// byHand is a client that holds a connection to each server and commits by itself: floors. What it would do about errors is not here.
type byHand struct {
	conns [2]*sql.Conn
	log   *decision.File // of floor c
	seq   *atomic.Uint64 // of floor e
}

// floor is a protocol written by hand.
type floor struct {
	name     string
	transfer func(*byHand, int, int) error
}

// floors are by the store of xaproxy that does the same.
var floors = map[string]floor{
	"file":        {"floor c", (*byHand).withLog},
	"participant": {"floor e", (*byHand).withDecider},
}

// both runs a statement for each server at once.
func (b *byHand) both(verbs func(server int) string) error {
	other := make(chan error, 1)
	go func() { other <- execute(b.conns[1], verbs(1)) }()
	if err := execute(b.conns[0], verbs(0)); err != nil {
		return err
	}
	return <-other
}

// branchNames are the second parts of the XIDs.
var branchNames = [2]string{"north", "south"}

// withLog is protocol c: two branches, prepared in parallel, a decision in a local log that groups commits, and phase two in
// parallel.
func (b *byHand) withLog(from, to int) error {
	g := xa.GTRID{Coord: b.log.Coord(), Epoch: b.log.Epoch(), Seq: b.seq.Add(1)}
	var xids [2]string
	for i, name := range branchNames {
		xids[i] = xa.XID{GTRID: g, BQUAL: name}.SQL()
	}
	for i, account := range []int{from, to} {
		server := account & 1
		if err := changes(b.conns[server], "XA START "+xids[server]+";"+update(account, 2*i-1)); err != nil {
			return err
		}
	}
	if err := b.both(func(i int) string { return "XA END " + xids[i] + ";XA PREPARE " + xids[i] }); err != nil {
		return err
	}
	d := xa.Decision{GTRID: g}
	for _, name := range branchNames {
		d.Branches = append(d.Branches, xa.BranchRef{Backend: name})
	}
	if err := b.log.Append(d); err != nil {
		return err
	}
	if err := b.both(func(i int) string { return "XA COMMIT " + xids[i] }); err != nil {
		return err
	}
	b.log.Done(g)
	return nil
}

// withDecider is protocol e: a plain transaction on the first server and a branch on the other, which is prepared first; the
// decision is a row that commits with the plain transaction.
func (b *byHand) withDecider(from, to int) error {
	g := fmt.Sprintf("bench.%x", b.seq.Add(1))
	decider, branch := b.conns[from&1], b.conns[to&1]
	xid := "'" + g + "','" + branchNames[to&1] + "',1"
	if err := changes(decider, "BEGIN;"+update(from, -1)); err != nil {
		return err
	}
	if err := changes(branch, "XA START "+xid+";"+update(to, 1)); err != nil {
		return err
	}
	if err := execute(branch, "XA END "+xid+";XA PREPARE "+xid); err != nil {
		return err
	}
	if err := execute(decider, "INSERT INTO decisions VALUES ('"+g+"', UTC_TIMESTAMP());COMMIT"); err != nil {
		return err
	}
	return execute(branch, "XA COMMIT "+xid)
}
