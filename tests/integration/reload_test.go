package integration

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/participant"
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/xa"
)

// reloaded is a proxy whose configuration changes while it runs. Each of its backends has the tables accounts and orders.
type reloaded struct {
	*proxytest.Proxy
	t       *testing.T
	schema  string
	servers []*servers.Server
}

const (
	accounts  = 20
	balance   = 100
	firstPaid = 1000 // the first of the orders that clients make
)

// newReloaded runs a proxy on the first two of the servers: accounts is sharded over both, orders is on the first one. The backends are b0, b1
// and so on.
func newReloaded(t *testing.T, store string, on []*servers.Server, change func(*proxytest.Options)) *reloaded {
	t.Helper()
	r := &reloaded{t: t, servers: on, schema: servertest.Database(t, on[0])}
	for i, s := range on {
		if i > 0 {
			admin(t, s, "CREATE DATABASE "+r.schema)
			t.Cleanup(func() { // a branch that a test has left in doubt would be in the way for ever
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				_, err := pool(t, s).ExecContext(ctx, "DROP DATABASE IF EXISTS "+r.schema)
				check(t, err)
			})
		}
		admin(t, s, "CREATE TABLE "+r.schema+".accounts (id INT PRIMARY KEY, v INT NOT NULL)", "CREATE TABLE "+r.schema+".orders (id INT PRIMARY KEY, v INT)")
		if store == config.ParticipantStore {
			a := backendAdmin(t, s)
			check(t, participant.Create(t.Context(), a))
		}
	}
	o := proxytest.Options{
		Backends: []proxytest.Backend{proxytest.On("b0", on[0]), proxytest.On("b1", on[1])},
		Schemas:  []config.Schema{{Name: r.schema, Backend: "b0"}},
		Tables:   []config.Table{{Schema: r.schema, Name: "accounts", Column: "id", Function: "modulo", Backends: []string{"b0", "b1"}}},
		LogLevel: "info", Decision: []string{fmt.Sprintf("store = %q", store)}, RecoveryInterval: 100 * time.Millisecond,
	}
	if store == config.ParticipantStore {
		o.Decision = append(o.Decision, `deciders = ["b0", "b1"]`)
	}
	if change != nil {
		change(&o)
	}
	r.Proxy = proxytest.Run(t, o)
	return r
}

// reload changes the configuration and has it loaded, which must end with the exit status. It returns what the command wrote.
func (r *reloaded) reload(status int, change func(*proxytest.Options), args ...string) string {
	r.t.Helper()
	check(r.t, r.Rewrite(change))
	from := r.Log.Len()
	out, got, err := r.Command(r.t.Context(), append([]string{"reload"}, args...)...)
	check(r.t, err)
	if status != 0 { // refusals go to standard error, which the log has
		out = strings.Join(r.Log.Grep(), "\n")[from:]
	}
	if got != status {
		r.t.Fatalf("reload %q ended with status %d, want %d:\n%s", args, got, status, out)
	}
	return out
}

// as opens a pool of clients of a user.
func (r *reloaded) as(user, password string) *sql.DB {
	r.t.Helper()
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)/%s?interpolateParams=true", user, password, r.Addr, r.schema))
	check(r.t, err)
	r.t.Cleanup(func() { check(r.t, db.Close()) })
	return db
}

func (r *reloaded) conn(user, password string) *conn {
	r.t.Helper()
	c, err := r.as(user, password).Conn(r.t.Context())
	check(r.t, err)
	return &conn{r.t, c}
}

// refuses says with which error a login of a user fails, 0: it does not.
func (r *reloaded) refuses(user, password string) uint16 {
	r.t.Helper()
	err := r.as(user, password).PingContext(r.t.Context())
	if e, ok := err.(*mysql.MySQLError); ok {
		return e.Number
	}
	check(r.t, err)
	return 0
}

// has are the ids of the orders that a server has itself, without those of clients.
func (r *reloaded) has(server int) string {
	r.t.Helper()
	return rowsOf(r.t, pool(r.t, r.servers[server]), "SELECT id FROM "+r.schema+".orders WHERE id < "+strconv.Itoa(firstPaid)+" ORDER BY id")
}

// left waits until a backend that is not in the configuration any more has left, and its connections are closed.
func (r *reloaded) left(name string, server int) {
	r.t.Helper()
	waitFor(r.t, name+" has left", func() bool {
		out, _, err := r.Command(r.t.Context(), "status", "--json")
		check(r.t, err)
		var s recovery.Status
		check(r.t, json.Unmarshal([]byte(out), &s))
		for _, b := range s.Backends {
			if b.Name == name {
				return false
			}
		}
		return true
	})
	waitFor(r.t, "the connections to "+name+" are closed", func() bool {
		return rowsOf(r.t, pool(r.t, r.servers[server]), "SELECT COUNT(*) FROM information_schema.processlist WHERE db = '"+r.schema+"'") == "0"
	})
}

// clients pay for orders until stop is called, which reports what they saw: no statement may fail, and each order is somewhere once.
func (r *reloaded) clients(n int) (stop func()) {
	db := r.DB(r.t, r.schema)
	db.SetMaxIdleConns(n)
	ended := make(chan struct{})
	var running sync.WaitGroup
	var commits, last atomic.Int64
	last.Store(firstPaid - 1)
	for range n {
		running.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				if err := pay(db, last.Add(1)); err != nil {
					r.t.Errorf("beside a reload: %v", err)
					return
				}
				commits.Add(1)
			}
		})
	}
	waitFor(r.t, "clients commit", func() bool { return commits.Load() > int64(n) })
	return func() {
		r.t.Helper()
		before := commits.Load()
		waitFor(r.t, "clients commit after the reload", func() bool { return r.t.Failed() || commits.Load() > before+int64(n) })
		close(ended)
		running.Wait()
		if sum := rowsOf(r.t, db, "SELECT SUM(v), COUNT(*) FROM accounts"); sum != fmt.Sprintf("%d,%d", accounts*balance, accounts) {
			r.t.Errorf("sum and number of accounts are %s", sum)
		}
		made := 0
		for _, s := range r.servers {
			n, err := strconv.Atoi(rowsOf(r.t, pool(r.t, s), "SELECT COUNT(*) FROM "+r.schema+".orders WHERE id >= "+strconv.Itoa(firstPaid)))
			check(r.t, err)
			made += n
		}
		if int64(made) != commits.Load() {
			r.t.Errorf("%d orders were paid for, and there are %d", commits.Load(), made)
		}
	}
}

// pay makes an order and moves money between two accounts on different shards, in the order of their ids, so that there are no deadlocks.
func pay(db *sql.DB, order int64) error {
	from := rand.IntN(accounts - 1)
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	for i, by := range []int{-1, 1} {
		if err == nil {
			_, err = tx.Exec("UPDATE accounts SET v = v + ? WHERE id = ?", by, from+i)
		}
	}
	if err == nil {
		_, err = tx.Exec("INSERT INTO orders VALUES (?, 1)", order)
	}
	if err != nil {
		_ = tx.Rollback() // err says more
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	var n int
	prepared, err := db.Prepare("SELECT COUNT(*) FROM accounts WHERE id >= ?")
	if err != nil {
		return err
	}
	defer prepared.Close()
	if err := prepared.QueryRow(0).Scan(&n); err == nil && n != accounts {
		return fmt.Errorf("there are %d accounts", n)
	} else if err != nil {
		return err
	}
	return nil
}

// backendAdmin is the administrative side of a server.
func backendAdmin(t *testing.T, s *servers.Server) *backend.Admin {
	t.Helper()
	c := config.DefaultBackend(config.MySQL)
	c.Name, c.Port, c.User, c.Password = "x", s.Port, s.User, config.Secret(s.Password)
	a, err := backend.NewAdmin(c)
	check(t, err)
	t.Cleanup(func() { check(t, a.Close()) })
	return a
}

// sharded adds a third backend and lets orders be sharded over all of them.
func (r *reloaded) sharded(o *proxytest.Options) {
	o.Backends = append(o.Backends, proxytest.On("b2", r.servers[2]))
	o.Tables = append(o.Tables, config.Table{Schema: r.schema, Name: "orders", Column: "id", Function: "modulo", Backends: []string{"b0", "b1", "b2"}})
}

// unsharded takes it back.
func unsharded(o *proxytest.Options) {
	o.Backends, o.Tables = o.Backends[:2], o.Tables[:1]
}

func three(t *testing.T) []*servers.Server {
	return []*servers.Server{servertest.Get(t, servers.MariaDB), servertest.Get(t, servers.MySQL), servertest.Get(t, servers.MariaDBBinlog)}
}

// stores runs a test with each store.
func stores(t *testing.T, test func(t *testing.T, store string)) {
	for _, store := range []string{config.FileStore, config.ParticipantStore} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			test(t, store)
		})
	}
}

// Beside clients that commit all the time, a backend with a sharded table comes and goes, and users change. No statement fails, and an open
// transaction ends as it began.
func TestReload(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, store string) {
		const secret, newSecret = "first-secret", "second-secret"
		user := func(name, password string, lines ...string) string {
			return fmt.Sprintf("name = %q\npassword = %q\n%s", name, password, strings.Join(lines, "\n"))
		}
		r := newReloaded(t, store, three(t), func(o *proxytest.Options) {
			o.Users = []string{user("changes", secret), user("leaves", secret), user("limited", secret)}
		})
		db := r.DB(t, r.schema)
		for id := range accounts {
			_, err := db.Exec("INSERT INTO accounts VALUES (?, ?)", id, balance)
			check(t, err)
		}
		changes, leaves, limited := r.conn("changes", secret), r.conn("leaves", secret), r.conn("limited", secret)
		open := r.conn("changes", secret)
		open.exec("BEGIN", "UPDATE accounts SET v = v WHERE id IN (0, 1)", "INSERT INTO orders VALUES (1, 0)")
		leaves.exec("BEGIN", "INSERT INTO orders VALUES (2, 0)")
		limited.exec("SELECT 1")
		prepared, err := changes.PrepareContext(t.Context(), "INSERT INTO orders VALUES (?, 0)")
		check(t, err)
		defer prepared.Close()
		_, err = prepared.Exec(100)
		check(t, err)
		if got := rowsOf(t, r.DB(t, r.schema), "SELECT id FROM orders WHERE id < 1000"); got != "100" {
			t.Errorf("orders are %s", got)
		}
		stop := r.clients(8)

		out := r.reload(0, func(o *proxytest.Options) {
			r.sharded(o)
			o.Users = []string{user("changes", newSecret), user("limited", secret, "max_connections = 1", "read_only = true", `max_execution_time = "1s"`)}
			o.Server = []string{`idle_timeout = "1h"`}
		})
		for _, want := range []string{
			"~ server.idle_timeout: \"8h\" -> \"1h\"\n", "~ users[changes].password: changed\n", "- users[leaves]: { name = \"leaves\", password = *** }\n",
			"~ users[limited].max_connections: 0 -> 1\n", "+ backends[b2]: { name = \"b2\"", "+ tables[" + r.schema + ".orders]: { ",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("the changes lack %q:\n%s", want, out)
			}
		}
		for _, s := range []string{secret, newSecret, r.servers[2].Password} {
			if s != "" && strings.Contains(out+strings.Join(r.Log.Grep("configuration loaded"), ""), s) {
				t.Errorf("a password is shown:\n%s", out)
			}
		}

		// A statement that begins now sees all of it: also the one that was prepared, and planned, before.
		for id := 101; id <= 103; id++ {
			_, err = prepared.Exec(id)
			check(t, err)
		}
		changes.exec("INSERT INTO orders VALUES (104, 0)", "INSERT INTO orders VALUES (107, 0)")
		if got := []string{r.has(0), r.has(1), r.has(2)}; got[0] != "100 102" || got[1] != "103" || got[2] != "101 104 107" {
			t.Errorf("orders are %q on the three servers", got)
		}
		if got := changes.rows("SELECT COUNT(*), MAX(id) FROM orders WHERE id < 1000"); got != "6,107" {
			t.Errorf("orders: %s", got)
		}
		// The open transaction does not, and commits.
		if got := open.rows("SELECT id FROM orders WHERE id < 1000"); got != "1 100 102" {
			t.Errorf("the open transaction sees the orders %s", got)
		}
		open.exec("INSERT INTO orders VALUES (4, 0)", "COMMIT")
		open.exec("INSERT INTO orders VALUES (5, 0)")
		if got := []string{r.has(0), r.has(2)}; got[0] != "1 4 100 102" || got[1] != "5 101 104 107" {
			t.Errorf("orders are %q on the first and the third server", got)
		}
		// Who is not there any more may end the transaction, and no more.
		leaves.exec("INSERT INTO orders VALUES (8, 0)", "COMMIT")
		if text := leaves.fails(1045, "SELECT 1"); !strings.Contains(text, "taken out of the configuration") {
			t.Errorf("a user that was taken out is told %q", text)
		}
		if got := []uint16{r.refuses("changes", secret), r.refuses("changes", newSecret), r.refuses("leaves", secret), r.refuses("limited", secret)}; fmt.Sprint(got) != "[1045 0 1045 1203]" {
			t.Errorf("logins are answered with %d", got)
		}
		limited.fails(1290, "UPDATE accounts SET v = 0 WHERE id = 0")
		limited.fails(1317, "SELECT * FROM accounts WHERE id IN (1, 3, 5, 7) AND SLEEP(60) = 0")

		out = r.reload(0, unsharded)
		if !strings.Contains(out, "- backends[b2]: {") {
			t.Errorf("the changes lack a backend:\n%s", out)
		}
		r.left("b2", 2)
		changes.exec("INSERT INTO orders VALUES (9, 0)")
		if got := r.has(0); got != "1 2 4 8 9 100 102" {
			t.Errorf("orders on the first server are %s", got)
		}
		r.reload(0, r.sharded) // it may come back
		changes.exec("INSERT INTO orders VALUES (11, 0)")
		stop()
	})
}

// A transaction that has begun before a backend was taken out may still open a branch there, and commits on it.
func TestReloadWhileABackendIsUsed(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, store string) {
		r := newReloaded(t, store, three(t), nil)
		r.reload(0, r.sharded)
		uses, comes, pinned := r.conn(proxytest.User, proxytest.Password), r.conn(proxytest.User, proxytest.Password), r.conn(proxytest.User, proxytest.Password)
		uses.exec("BEGIN", "INSERT INTO orders VALUES (2, 0)")
		comes.exec("BEGIN", "INSERT INTO orders VALUES (3, 0)")
		pinned.exec("CREATE TEMPORARY TABLE tmp (id INT)", "SELECT * FROM orders WHERE id = 2")
		r.reload(0, unsharded)
		uses.exec("INSERT INTO orders VALUES (4, 0)", "COMMIT")
		comes.exec("INSERT INTO orders VALUES (5, 0)")
		out, _, err := r.Command(t.Context(), "status")
		check(t, err)
		if !strings.Contains(out, "leaving, up") {
			t.Errorf("a backend leaves, and the status is\n%s", out)
		}
		if out := r.reload(1, r.sharded); !strings.Contains(out, "backends[b2]: the backend that had this name has not left yet") {
			t.Errorf("a backend that has not left comes back: %s", out)
		}
		check(t, r.Rewrite(unsharded))
		comes.exec("COMMIT")
		pinned.exec("INSERT INTO orders VALUES (8, 0)") // keeps its connection, and what it began with
		if got := []string{r.has(0), r.has(1), r.has(2)}; got[0] != "3" || got[1] != "4" || got[2] != "2 5 8" {
			t.Errorf("orders are %q on the three servers", got)
		}
		pinned.exec("DROP TEMPORARY TABLE tmp", "INSERT INTO orders VALUES (11, 0)")
		if got := r.has(0); got != "3 11" {
			t.Errorf("orders on the first server are %s", got)
		}
		r.left("b2", 2)
	})
}

// Nothing changes if anything may not, whoever asks for it.
func TestReloadRefused(t *testing.T) {
	t.Parallel()
	const boss = "name = \"boss\"\npassword = \"pw\"\nadmin = true"
	own := ownServer(t, servers.MariaDB)
	r := newReloaded(t, config.FileStore, []*servers.Server{own, servertest.Get(t, servers.MySQL), servertest.Get(t, servers.MariaDB)}, func(o *proxytest.Options) {
		o.Users = []string{boss}
	})
	c, chief := r.conn(proxytest.User, proxytest.Password), r.conn("boss", "pw")
	newcomer := "name = \"newcomer\"\npassword = \"pw\""
	plain := func(o *proxytest.Options) {
		o.Users, o.Server, o.Decision = []string{boss}, nil, []string{`store = "file"`}
		o.Backends, o.Tables = o.Backends[:2], o.Tables[:1]
		o.Backends[0], o.Backends[1] = proxytest.On("b0", r.servers[0]), proxytest.On("b1", r.servers[1])
	}
	for want, change := range map[string]func(*proxytest.Options){
		"xaproxy.toml:6:8: server.color: unknown key":                           func(o *proxytest.Options) { o.Server = []string{`color = "red"`} },
		`server.max_packet: cannot change while xaproxy runs ("64MiB" -> "32`:   func(o *proxytest.Options) { o.Server = []string{`max_packet = "32MiB"`} },
		`decision.retain: cannot change while xaproxy runs ("168h" -> "2h")`:    func(o *proxytest.Options) { o.Decision = append(o.Decision, `retain = "2h"`) },
		"backends[b1]: is another server there (":                               func(o *proxytest.Options) { o.Backends[1] = proxytest.On("b1", r.servers[2]) },
		"backends[b1]: cannot be used so: ":                                     func(o *proxytest.Options) { o.Backends[1].Password = "wrong" },
		"backends[b2]: is not taken in: ":                                       func(o *proxytest.Options) { r.sharded(o); o.Backends[2].Addr = "127.0.0.1:1" },
		"backends: the first one has the records of DDL":                        func(o *proxytest.Options) { o.Backends[0], o.Backends[1] = o.Backends[1], o.Backends[0] },
		"backends[b1].kind: cannot change while xaproxy runs (\"mysql\" -> \"m": func(o *proxytest.Options) { o.Backends[1].Kind = "mariadb" },
	} {
		r.reload(0, plain)
		out := r.reload(1, func(o *proxytest.Options) {
			change(o)
			o.Users = append(o.Users, newcomer)
		})
		if strings.HasPrefix(want, "xaproxy.toml") && !strings.Contains(out, "server.color: unknown key") || !strings.HasPrefix(want, "xaproxy.toml") && !strings.Contains(out, want) {
			t.Errorf("want a refusal with %q, got\n%s", want, out)
		}
		if e := r.refuses("newcomer", "pw"); e != 1045 {
			t.Errorf("after a refusal with %q a login of the new user is answered with %d", want, e)
		}
		c.exec("UPDATE accounts SET v = 1 WHERE id IN (1, 2)")
	}

	// A server that is silent may have anything.
	check(t, r.Rewrite(plain))
	r.reload(0, func(o *proxytest.Options) {
		o.Backends = append(o.Backends, proxytest.On("b2", r.servers[2]))
	})
	t.Cleanup(func() { check(t, own.Thaw()) })
	check(t, own.Freeze())
	out := r.reload(0, plain) // only the one that leaves is asked, with the file store
	check(t, own.Thaw())
	if !strings.Contains(out, "- backends[b2]") {
		t.Errorf("the changes lack a backend:\n%s", out)
	}
	r.left("b2", 2)

	// By statement, and by signal.
	c.fails(1227, "XAPROXY RELOAD")
	check(t, r.Rewrite(func(o *proxytest.Options) { o.Users = append(o.Users, newcomer) }))
	want := `+ users[newcomer]: { name = "newcomer", password = *** }`
	if got := chief.rows("xaproxy reload dry run"); got != want || r.refuses("newcomer", "pw") != 1045 {
		t.Errorf("a dry run says %s", got)
	}
	if got := chief.rows("XAPROXY RELOAD"); got != want || r.refuses("newcomer", "pw") != 0 {
		t.Errorf("a reload says %s", got)
	}
	if got := chief.rows("XAPROXY RELOAD"); got != "nothing is different" {
		t.Errorf("a second reload says %s", got)
	}
	for done, change := range map[string]func(*proxytest.Options){
		`"done":false`: func(o *proxytest.Options) { o.Decision = append(o.Decision, `early_answer = true`) },
		`"done":true`:  plain,
	} {
		from := r.Log.Len()
		check(t, r.Rewrite(change))
		check(t, r.Signal(syscall.SIGHUP))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := r.Log.Wait(ctx, from, `"by":"SIGHUP"`, done); err != nil {
			t.Errorf("after SIGHUP: %v", err)
		}
		check(t, r.Rewrite(plain))
	}
	if out, status, err := r.Command(t.Context(), "reload", "--dry-run"); err != nil || status != 0 || out != "nothing is different\n" {
		t.Errorf("status %d, %v: %s", status, err, out)
	}
	check(t, r.Stop())
	if _, status, err := r.Command(t.Context(), "reload"); err != nil || status != 2 {
		t.Errorf("without a running proxy the status is %d, %v", status, err)
	}
}

// A backend with a branch in doubt stays until that is finished, whoever decides on it.
func TestReloadInDoubt(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, store string) {
		third := ownServer(t, servers.MariaDB)
		on := []*servers.Server{servertest.Get(t, servers.MariaDB), servertest.Get(t, servers.MySQL), third}
		r := newReloaded(t, store, on, func(o *proxytest.Options) { o.PrepareTimeout = time.Second })
		r.reload(0, r.sharded)
		refused := func(want string) {
			t.Helper()
			if out := r.reload(1, unsharded); !strings.Contains(out, "backends[b2]: cannot be taken out: "+want) {
				t.Errorf("want a refusal with %q, got\n%s", want, out)
			}
		}

		// Its server freezes while a transaction commits.
		c := r.conn(proxytest.User, proxytest.Password)
		c.exec("BEGIN", "INSERT INTO orders VALUES (1, 0)", "INSERT INTO orders VALUES (2, 0)")
		t.Cleanup(func() { check(t, third.Thaw()) })
		check(t, third.Freeze())
		if _, err := c.ExecContext(t.Context(), "COMMIT"); err == nil {
			t.Error("committed on a frozen server")
		}
		refused("branches of transactions may be prepared there, and b2 cannot be looked at: ")
		check(t, third.Thaw())

		// MariaDB lets nobody finish a branch while the session lives that has prepared it.
		g := xa.GTRID{Coord: r.Coord(), Epoch: r.Epoch(), Seq: 1 << 40}
		if store == config.ParticipantStore {
			g.Decider = "b2"
		}
		type held struct{ server, branch int }
		for _, h := range []held{{2, 2}, {0, 0}} { // the second one's decision is on b2, if it is on a backend
			if h.branch == 0 && store == config.FileStore {
				continue
			}
			g.Seq++
			x := xa.XID{GTRID: g, BQUAL: fmt.Sprintf("b%d", h.branch)}
			session, err := pool(t, on[h.server]).Conn(t.Context())
			check(t, err)
			holder := &conn{t, session}
			t.Cleanup(func() { _, _ = session.ExecContext(context.Background(), "XA ROLLBACK "+x.SQL()) }) // if the test has not come to its end
			holder.exec("XA START "+x.SQL(), "INSERT INTO "+r.schema+".orders VALUES (50, 0)", "XA END "+x.SQL(), "XA PREPARE "+x.SQL())
			if h.branch == 0 {
				refused(g.String() + ": a branch is prepared on b0, and its decision is here")
			} else {
				refused(g.String() + ": a branch is prepared")
			}
			holder.hangUp()
			check(t, session.Close())
		}
		waitFor(t, "the backend may be taken out", func() bool {
			_, status, err := r.Command(t.Context(), "reload")
			check(t, err)
			return status == 0
		})
		r.left("b2", 2)
		if got := []string{r.has(0), r.has(1), r.has(2)}; fmt.Sprint(got) != "[  ]" {
			t.Errorf("orders are %q on the three servers", got)
		}
	})
}

// More connections to a backend help those that wait for one already.
func TestReloadPoolSize(t *testing.T) {
	t.Parallel()
	r := newReloaded(t, config.FileStore, three(t), func(o *proxytest.Options) {
		o.Backends[0].PoolSize, o.Backends[0].Lines = 1, []string{`pool_wait = "1m"`}
	})
	one, two := r.conn(proxytest.User, proxytest.Password), r.conn(proxytest.User, proxytest.Password)
	one.exec("BEGIN", "INSERT INTO orders VALUES (1, 0)")
	answered := make(chan error)
	go func() {
		_, err := two.ExecContext(t.Context(), "INSERT INTO orders VALUES (2, 0)")
		answered <- err
	}()
	waitFor(t, "the second client waits", func() bool {
		return strings.Contains(one.rows("SHOW PROCESSLIST"), "INSERT INTO orders VALUES (2, 0)")
	})
	r.reload(0, func(o *proxytest.Options) { o.Backends[0].PoolSize = 2 })
	check(t, <-answered)
	one.exec("COMMIT")
	r.reload(0, func(o *proxytest.Options) { o.Backends[0].PoolSize = 1 })
	waitFor(t, "one connection is left", func() bool {
		return rowsOf(t, pool(t, r.servers[0]), "SELECT COUNT(*) FROM information_schema.processlist WHERE db = '"+r.schema+"'") == "1"
	})
	if got := two.rows("SELECT id FROM orders WHERE id < 1000"); got != "1 2" {
		t.Errorf("orders are %s", got)
	}
}
