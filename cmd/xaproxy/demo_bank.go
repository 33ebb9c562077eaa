package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/backend/postgres"
	"github.com/xaproxy/xaproxy/tests/servers"
)

const (
	schema       = "shop"
	accounts     = 200 // in all, half of them on each shard
	startBalance = 100
	startMoney   = int64(accounts * startBalance)
	largest      = 30 // amount of a transfer
	clients      = 8

	disconnectTimeout = 20 * time.Second // until the servers have noticed that the proxy is dead
	recoveryTimeout   = 30 * time.Second // until nothing is in doubt
	stallTime         = 200 * time.Millisecond
	stallAttempts     = 10
)

// shardNames are the names of the backends, in the order of the shard function: even ids are on the first.
var shardNames = []string{"north", "south"}

// shard is one database server, as the demo looks at it past the proxy.
type shard struct {
	name   string
	server *servers.Server
	db     *sql.DB
}

// open makes the tables of the shard.
func (s *shard) open(ctx context.Context) (err error) {
	if s.db, err = s.connect(ctx); err != nil {
		return err
	}
	for _, statement := range []string{
		"CREATE DATABASE " + schema,
		"CREATE TABLE " + schema + ".accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL) ENGINE=InnoDB",
		"CREATE TABLE " + schema + ".transfers (account BIGINT, id BIGINT, amount BIGINT NOT NULL, PRIMARY KEY (account, id)) ENGINE=InnoDB",
	} {
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("make the tables on %s: %w", s.name, err)
		}
	}
	return nil
}

// connect opens connections to the server. PostgreSQL appears as a MySQL server, with what translated statements use.
func (s *shard) connect(ctx context.Context) (*sql.DB, error) {
	if s.server.Kind != servers.Postgres {
		return s.server.DB()
	}
	d := &postgres.Dialer{
		Network: "tcp", Addr: s.server.Addr(), User: s.server.User, Password: s.server.Password, Database: "postgres", Timeout: serveTimeout,
	}
	if err := d.SetUp(ctx); err != nil {
		return nil, err
	}
	c := driver.NewConfig()
	c.User, c.Net, c.Addr = s.server.User, "tcp", s.server.Addr()
	c.Logger = &driver.NopLogger{} // a server that is being killed is no news
	c.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return d.Dial(ctx) }
	connector, err := driver.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// label is the server's product and version.
func (s *shard) label() string {
	product := map[servers.Kind]string{servers.MySQL: "MySQL ", servers.Postgres: "PostgreSQL "}[s.server.Kind]
	return cmp.Or(product, "MariaDB ") + s.server.Version
}

// money is the sum of the balances that a reader sees now.
func (s *shard) money(ctx context.Context) (sum int64, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT COALESCE(SUM(balance), 0) FROM "+schema+".accounts").Scan(&sum)
	return sum, err
}

// lockedRows counts the accounts that somebody else has locked.
func (s *shard) lockedRows(ctx context.Context) (locked int, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	rows, err := tx.QueryContext(ctx, "SELECT id FROM "+schema+".accounts FOR UPDATE SKIP LOCKED")
	if err != nil {
		return 0, err
	}
	free := 0
	for rows.Next() {
		free++
	}
	return accounts/len(shardNames) - free, errors.Join(rows.Err(), rows.Close())
}

// voting counts the sessions of the proxy that may still come to hold a prepared branch. Those that wait for a lock do
// not: they notice that the proxy is dead when they get it, at the latest after recovery, and roll back.
func (s *shard) voting(ctx context.Context) (n int, err error) {
	if s.server.Kind == servers.Postgres {
		const voting = "/* xaproxy: dialect=postgres */ SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%PREPARE TRANSACTION%' AND pid <> pg_backend_pid()"
		err = s.db.QueryRowContext(ctx, voting).Scan(&n)
		return n, err
	}
	err = s.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.processlist WHERE user = ? AND (command <> 'Query' OR info LIKE 'XA %')",
		s.server.User).Scan(&n)
	return n, err
}

// outcome is what a client was told of its transfer.
type outcome uint8

const (
	untried outcome = iota // it did not begin
	committed
	rolledBack // or the proxy died before COMMIT was sent
	unknown    // the answer to COMMIT was lost
)

type counts struct{ committed, rolledBack, unknown int }

// bank moves money between the shards and remembers what it was told. It is safe for concurrent use.
type bank struct {
	shards []*shard

	next     atomic.Int64 // id of the last transfer
	mu       sync.Mutex   // protects following fields
	outcomes map[int64]outcome
	count    counts
}

func newBank() *bank { return &bank{outcomes: make(map[int64]outcome)} }

func (b *bank) counts() counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count
}

// fill opens the accounts through the proxy, all with one statement that goes to both shards.
func (b *bank) fill(ctx context.Context, proxy *driver.Config) error {
	db, err := openPool(proxy)
	if err != nil {
		return err
	}
	rows := make([]string, 0, accounts)
	for id := range accounts {
		rows = append(rows, fmt.Sprintf("(%d,%d)", id, startBalance))
	}
	_, err = db.ExecContext(ctx, "INSERT INTO accounts (id, balance) VALUES "+strings.Join(rows, ","))
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("open the accounts: %w", err)
	}
	return nil
}

func openPool(c *driver.Config) (*sql.DB, error) {
	connector, err := driver.NewConnector(c)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(clients)
	return db, nil
}

// load starts the clients. They transfer until stop is called or the proxy is gone. stop waits for them; killed says
// whether the proxy was killed, so that its end is no fault.
func (b *bank) load(proxy *driver.Config) (stop func(killed bool) error) {
	db, err := openPool(proxy)
	if err != nil {
		return func(bool) error { return err }
	}
	ctx, cancel := context.WithCancel(context.Background())
	errs := make([]error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for ctx.Err() == nil && errs[i] == nil {
				id := b.next.Add(1)
				var told outcome
				told, errs[i] = transfer(db, id)
				b.note(id, told)
			}
		})
	}
	return func(killed bool) error {
		cancel()
		wg.Wait()
		for i, err := range errs {
			if killed && errors.Is(err, errGone) {
				errs[i] = nil
			}
		}
		return errors.Join(append(errs, db.Close())...)
	}
}

func (b *bank) note(id int64, told outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if told != untried {
		b.outcomes[id] = told
	}
	switch told {
	case committed:
		b.count.committed++
	case rolledBack:
		b.count.rolledBack++
	case unknown:
		b.count.unknown++
	}
}

// transfer moves a random amount between a random account of each shard, in either direction, and rolls back when there
// is not enough money. Accounts are always touched in the same order, so that transfers wait for each other and never in
// a circle. An error ends the client.
func transfer(db *sql.DB, id int64) (outcome, error) {
	even, odd := int64(2*rand.IntN(accounts/2)), int64(2*rand.IntN(accounts/2)+1)
	amount := int64(1 + rand.IntN(largest))
	if rand.IntN(2) == 0 {
		amount = -amount
	}
	tx, err := db.Begin()
	if err != nil {
		return untried, unexpected(err)
	}
	enough, err := book(tx, even, amount)
	if err == nil && enough {
		enough, err = book(tx, odd, -amount)
	}
	if err == nil && enough {
		_, err = tx.Exec("INSERT INTO transfers (account, id, amount) VALUES (?, ?, ?), (?, ?, ?)", even, id, amount, odd, id, -amount)
	}
	if err != nil || !enough {
		return rolledBack, errors.Join(unexpected(err), unexpected(tx.Rollback()))
	}
	if err = tx.Commit(); err == nil {
		return committed, nil
	}
	if retriable(err) {
		return rolledBack, nil
	}
	return unknown, unexpected(err)
}

// errGone says that the connection to the proxy broke, or could not be made.
var errGone = errors.New("no connection to the proxy")

// unexpected returns the error unless it only says that the transaction was rolled back and can be tried again.
func unexpected(err error) error {
	var said *driver.MySQLError
	switch {
	case err == nil || retriable(err):
		return nil
	case errors.As(err, &said):
		return err
	}
	return fmt.Errorf("%w: %w", errGone, err)
}

// retriable tells the errors of SQLSTATE class 40, transaction rollback.
func retriable(err error) bool {
	var said *driver.MySQLError
	return errors.As(err, &said) && strings.HasPrefix(string(said.SQLState[:]), "40")
}

// book changes a balance unless the account would be overdrawn.
func book(tx *sql.Tx, account, amount int64) (enough bool, err error) {
	r, err := tx.Exec("UPDATE accounts SET balance = balance + ? WHERE id = ? AND balance + ? >= 0", amount, account, amount)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

// doubt is a branch that a server holds prepared.
type doubt struct{ shard, gtrid string }

// inDoubt lists what is prepared once the servers have noticed that the proxy is dead.
func (b *bank) inDoubt(ctx context.Context) (left []doubt, err error) {
	err = wait(ctx, disconnectTimeout, "the servers notice that the proxy is gone", func() (bool, error) {
		for _, s := range b.shards {
			if n, err := s.voting(ctx); n > 0 || err != nil {
				return false, err
			}
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return b.prepared(ctx)
}

func (b *bank) prepared(ctx context.Context) (all []doubt, err error) {
	for _, s := range b.shards {
		xids, err := s.server.Prepared(ctx)
		if err != nil {
			return nil, err
		}
		for _, x := range xids {
			gtrid, _, _ := strings.Cut(x, "|")
			all = append(all, doubt{s.name, gtrid})
		}
	}
	return all, nil
}

// awaitNone waits until nothing is prepared any more.
func (b *bank) awaitNone(ctx context.Context) error {
	return wait(ctx, recoveryTimeout, "recovery finishes what is in doubt", func() (bool, error) {
		now, err := b.prepared(ctx)
		return len(now) == 0, err
	})
}

// stall freezes the second shard at a moment at which commits are in both phases: on the first shard one is prepared, and
// one is committed of which the client does not know yet. Such moments are short, so it tries a few times; that none is
// met is no error.
func (b *bank) stall(ctx context.Context) error {
	first, frozen := b.shards[0], b.shards[1].server
	for attempt := 1; ; attempt++ {
		if err := frozen.Freeze(); err != nil {
			return err
		}
		pause(ctx, stallTime)
		xids, err := first.server.Prepared(ctx)
		if err != nil {
			return err
		}
		ids, err := first.transfers(ctx)
		if err != nil || attempt == stallAttempts || len(xids) > 0 && b.half(ids) {
			return err
		}
		if err := frozen.Thaw(); err != nil {
			return err
		}
		pause(ctx, stallTime)
	}
}

// half reports whether a transfer that a shard has is one whose client has not heard of it.
func (b *bank) half(there map[int64]int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range there {
		if b.outcomes[id] == untried {
			return true
		}
	}
	return false
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// ledger is what the tables of one shard say.
type ledger struct {
	shard     string
	money     int64
	transfers map[int64]int64 // amount by id
	wrong     int             // accounts whose balance is not the sum of their transfers
	prepared  int
}

// books reads both shards, directly.
func (b *bank) books(ctx context.Context) ([]ledger, error) {
	var books []ledger
	for _, s := range b.shards {
		l, err := s.ledger(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the books of %s: %w", s.name, err)
		}
		books = append(books, l)
	}
	return books, nil
}

func (s *shard) ledger(ctx context.Context) (l ledger, err error) {
	l = ledger{shard: s.name}
	if l.money, err = s.money(ctx); err != nil {
		return l, err
	}
	err = s.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+schema+".accounts a WHERE balance <> ? + "+
		"(SELECT COALESCE(SUM(amount), 0) FROM "+schema+".transfers t WHERE t.account = a.id)", startBalance).Scan(&l.wrong)
	if err != nil {
		return l, err
	}
	if l.transfers, err = s.transfers(ctx); err != nil {
		return l, err
	}
	xids, err := s.server.Prepared(ctx)
	l.prepared = len(xids)
	return l, err
}

// transfers reads the amounts of all transfers on the shard, by id.
func (s *shard) transfers(ctx context.Context) (all map[int64]int64, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT id, amount FROM "+schema+".transfers")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	all = make(map[int64]int64)
	for rows.Next() {
		var id, amount int64
		if err := rows.Scan(&id, &amount); err != nil {
			return nil, err
		}
		all[id] = amount
	}
	return all, rows.Err()
}

// audit compares what the clients were told with the books of both shards and returns what is wrong.
func (b *bank) audit(books []ledger) (faults []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	north, south := books[0], books[1]
	if sum := north.money + south.money; sum != startMoney {
		fault("%s of %s is there", number(sum), number(startMoney))
	}
	for _, l := range books {
		if l.prepared > 0 {
			fault("%s is still prepared on %s", plural(l.prepared, "branch", "branches"), l.shard)
		}
		if l.wrong > 0 {
			fault("%s on %s not the sum of its transfers", plural(l.wrong, "balance", "balances"), l.shard)
		}
	}
	torn, lost, undead, strange := 0, 0, 0, 0
	for id, told := range b.outcomes {
		amount, onNorth := north.transfers[id]
		opposite, onSouth := south.transfers[id]
		switch {
		case onNorth != onSouth || amount != -opposite:
			torn++
		case told == committed && !onNorth:
			lost++
		case told == rolledBack && onNorth:
			undead++
		}
	}
	for _, l := range books {
		for id := range l.transfers {
			if b.outcomes[id] == untried {
				strange++
			}
		}
	}
	for _, f := range []struct {
		n    int
		text string
	}{
		{torn, "on one server only, or with different amounts"},
		{lost, "acknowledged, but not there"},
		{undead, "reported as rolled back, but there"},
		{strange, "there, but made by nobody"},
	} {
		if f.n > 0 {
			fault("%s %s", plural(f.n, "transfer", "transfers"), f.text)
		}
	}
	return faults
}
