package integration

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// mixes are the pairs of servers that a transaction spans.
var mixes = map[string][]servers.Kind{
	"mariadb": {servers.MariaDB, servers.MariaDBBinlog},
	"mysql":   {servers.MySQL, servers.MySQL},
	"mixed":   {servers.MariaDBBinlog, servers.MySQL},
}

// forMixes runs a test over each pair. Two backends on one server share its tables, which XIDs must keep apart.
func forMixes(t *testing.T, test func(t *testing.T, s *stack)) {
	forMixesWith(t, nil, test)
}

func forMixesWith(t *testing.T, change func(*config.Config), test func(t *testing.T, s *stack)) {
	for name, kinds := range mixes {
		if kinds[0] == kinds[1] {
			continue
		}
		t.Run(name, func(t *testing.T) { test(t, newStack(t, kinds, change)) })
	}
}

func TestTransactionOverTwoBackends(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		c := s.conn()
		if n, err := c.exec("INSERT INTO accounts (id, v) VALUES (1, 100), (2, 100), (3, 100)").RowsAffected(); err != nil || n != 3 {
			t.Errorf("a split INSERT affected %d rows, %v", n, err)
		}
		if got := s.on(0, "SELECT id FROM SCHEMA.accounts ORDER BY id"); got != "2" {
			t.Errorf("rows on the first backend: %s", got)
		}
		if got := s.on(1, "SELECT id FROM SCHEMA.accounts ORDER BY id"); got != "1 3" {
			t.Errorf("rows on the second backend: %s", got)
		}

		c.exec("BEGIN", "UPDATE accounts SET v = v - 10 WHERE id = 1", "UPDATE accounts SET v = v + 10 WHERE id = 2")
		if got := s.on(0, "SELECT v FROM SCHEMA.accounts WHERE id = 2"); got != "100" {
			t.Errorf("an uncommitted change is visible to others: %s", got)
		}
		c.exec("COMMIT")
		if got := s.on(0, "SELECT v FROM SCHEMA.accounts WHERE id = 2") + " " + s.on(1, "SELECT v FROM SCHEMA.accounts WHERE id = 1"); got != "110 90" {
			t.Errorf("after COMMIT: %s", got)
		}

		c.exec("START TRANSACTION", "UPDATE accounts SET v = 0 WHERE id = 1", "UPDATE accounts SET v = 0 WHERE id = 2", "ROLLBACK")
		if got := c.rows("SELECT id, v FROM accounts WHERE id IN (1, 2)"); got != "2,110 1,90" {
			t.Errorf("after ROLLBACK: %s", got)
		}
		s.nothingPrepared()
	})
}

// nothingPrepared checks that no server holds a branch of ours. The janitor may still be at it.
func (s *stack) nothingPrepared() {
	s.t.Helper()
	waitFor(s.t, "no transaction is in flight", func() bool { return s.coordinator.Running() == 0 })
	for i, server := range s.servers {
		waitFor(s.t, "recovery has finished what was lost", func() bool { return len(s.coordinator.Orphans(s.backends[i].Name())) == 0 })
		waitFor(s.t, "nothing is prepared", func() bool {
			prepared, err := server.Prepared(context.Background())
			if err != nil {
				s.t.Fatal(err)
			}
			return !strings.Contains(strings.Join(prepared, " "), "xp1."+s.coord+".")
		})
	}
}

func TestFailedStatementUndoesItselfOnEveryBackend(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		c := s.conn()
		c.exec("INSERT INTO accounts (id, v) VALUES (4, 0)")
		c.fails(1062, "INSERT INTO accounts (id, v) VALUES (5, 1), (4, 1)") // in a transaction of its own
		if got := c.rows("SELECT id FROM accounts WHERE id IN (4, 5)"); got != "4" {
			t.Errorf("half of a failed INSERT stayed: %s", got)
		}
		c.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (6, 1), (7, 1)")
		c.fails(1062, "INSERT INTO accounts (id, v) VALUES (8, 1), (9, 1), (7, 1)")
		if got := c.rows("SELECT id FROM accounts WHERE id IN (6, 7, 8, 9)"); got != "6 7" {
			t.Errorf("inside the transaction, after the failed INSERT: %s", got)
		}
		c.exec("COMMIT")
		if got := c.rows("SELECT id FROM accounts WHERE id IN (6, 7, 8, 9)"); got != "6 7" {
			t.Errorf("after COMMIT: %s", got)
		}
		s.nothingPrepared()
	})
}

func TestSavepointsReachBranchesThatOpenLater(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		c := s.conn()
		c.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (2, 1)", "SAVEPOINT one",
			"INSERT INTO accounts (id, v) VALUES (1, 1)", // opens the other branch after the savepoint
			"SAVEPOINT two", "INSERT INTO accounts (id, v) VALUES (3, 1), (4, 1)", "ROLLBACK TO two")
		if got := c.rows("SELECT id FROM accounts WHERE id IN (1, 2, 3, 4)"); got != "2 1" {
			t.Errorf("after ROLLBACK TO two: %s", got)
		}
		c.exec("ROLLBACK TO SAVEPOINT one")
		c.fails(1305, "ROLLBACK TO two")
		c.exec("RELEASE SAVEPOINT one")
		c.fails(1305, "ROLLBACK TO one")
		c.exec("COMMIT")
		if got := c.rows("SELECT id FROM accounts WHERE id IN (1, 2, 3, 4)"); got != "2" {
			t.Errorf("after COMMIT: %s", got)
		}
		s.nothingPrepared()
	})
}

// TestDeadlockEndsTheWholeTransaction makes two transactions wait for each other on one backend, after both have
// written on the other one.
func TestDeadlockEndsTheWholeTransaction(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		a, b := s.conn(), s.conn()
		a.exec("INSERT INTO accounts (id, v) VALUES (1, 0), (2, 0), (4, 0), (3, 0)")
		a.exec("BEGIN", "UPDATE accounts SET v = 1 WHERE id = 1", "UPDATE accounts SET v = 1 WHERE id = 2")
		b.exec("BEGIN", "UPDATE accounts SET v = 2 WHERE id = 3", "UPDATE accounts SET v = 2 WHERE id = 4")
		waiting := make(chan error, 1)
		go func() {
			_, err := a.ExecContext(context.Background(), "UPDATE accounts SET v = 1 WHERE id = 4")
			waiting <- err
		}()
		waitFor(t, "a waits for b", func() bool {
			return s.lockWaits(0) == "1"
		})
		_, errB := b.ExecContext(context.Background(), "UPDATE accounts SET v = 2 WHERE id = 2")
		errA := <-waiting
		if (errA == nil) == (errB == nil) {
			t.Fatalf("one of the two must be the victim: %v and %v", errA, errB)
		}
		victim, winner, lost := a, b, errA
		if errB != nil {
			victim, winner, lost = b, a, errB
		}
		if !strings.Contains(lost.Error(), "1213") {
			t.Errorf("the victim's error is %v", lost)
		}
		if got := victim.rows("SELECT v FROM accounts WHERE id = 9"); got != "" { // the session goes on
			t.Errorf("unexpected rows %s", got)
		}
		victim.exec("ROLLBACK")
		winner.exec("COMMIT")
		want := map[*conn]string{a: "2,1 4,1 1,1 3,0", b: "2,2 4,2 1,0 3,2"}[winner]
		if got := a.rows("SELECT id, v FROM accounts WHERE id IN (1, 2, 3, 4)"); got != want {
			t.Errorf("after the winner's COMMIT: %s, want %s", got, want)
		}
		s.nothingPrepared()
	})
}

// TestClientThatVanishesIsRolledBack closes the socket of a client in mid-transaction.
func TestClientThatVanishesIsRolledBack(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		c := s.conn()
		c.exec("INSERT INTO accounts (id, v) VALUES (1, 0), (2, 0)")
		c.exec("BEGIN", "UPDATE accounts SET v = 1 WHERE id = 1", "UPDATE accounts SET v = 1 WHERE id = 2")
		c.hangUp()
		other := s.conn()
		waitFor(t, "the locks are free", func() bool {
			_, err := other.ExecContext(context.Background(), "SELECT v FROM accounts WHERE id = 1 FOR UPDATE NOWAIT")
			_, err2 := other.ExecContext(context.Background(), "SELECT v FROM accounts WHERE id = 2 FOR UPDATE NOWAIT")
			return err == nil && err2 == nil
		})
		if got := other.rows("SELECT id, v FROM accounts WHERE id IN (1, 2)"); got != "2,0 1,0" {
			t.Errorf("rows after the client vanished: %s", got)
		}
		s.nothingPrepared()
	})
}

// TestLostBackendConnection kills the session of a branch on its server.
func TestLostBackendConnection(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		c := s.conn()
		c.exec("INSERT INTO accounts (id, v) VALUES (1, 0), (2, 0)")
		c.exec("BEGIN", "UPDATE accounts SET v = 1 WHERE id = 1", "UPDATE accounts SET v = 1 WHERE id = 2")
		id := c.rows("SELECT @@pseudo_thread_id") // the server's, not the proxy's
		admin(t, s.servers[0], "KILL "+id)
		waitFor(t, "the session is gone", func() bool {
			return s.on(0, "SELECT COUNT(*) FROM information_schema.processlist WHERE id = "+id) == "0"
		})
		text := c.fails(1180, "UPDATE accounts SET v = 2 WHERE id = 2")
		if !strings.Contains(text, "b0") || !strings.Contains(text, "rolled back") {
			t.Errorf("the error names neither the backend nor the consequence: %s", text)
		}
		if got := c.rows("SELECT id, v FROM accounts WHERE id IN (1, 2)"); got != "2,0 1,0" {
			t.Errorf("rows after the loss: %s", got)
		}
		c.exec("BEGIN", "UPDATE accounts SET v = 3 WHERE id = 2", "COMMIT") // the session goes on
		s.nothingPrepared()
	})
}

func TestAutocommitOff(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		c, other := s.conn(), s.conn()
		c.exec("SET autocommit = 0", "INSERT INTO accounts (id, v) VALUES (1, 1)", "INSERT INTO accounts (id, v) VALUES (2, 2)")
		if got := other.rows("SELECT id FROM accounts WHERE id IN (1, 2)"); got != "" {
			t.Errorf("visible before COMMIT: %s", got)
		}
		c.exec("SET autocommit = 1") // commits
		if got := other.rows("SELECT id FROM accounts WHERE id IN (1, 2)"); got != "2 1" {
			t.Errorf("after SET autocommit = 1: %s", got)
		}
		s.nothingPrepared()
	})
}

// TestImplicitCommit runs DDL in a transaction.
func TestImplicitCommit(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		c := s.conn()
		c.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (1, 1)", "INSERT INTO accounts (id, v) VALUES (2, 2)",
			"ALTER TABLE single ADD COLUMN extra INT", "ROLLBACK")
		if got := c.rows("SELECT id FROM accounts WHERE id IN (1, 2)"); got != "2 1" {
			t.Errorf("DDL commits what was open: %s", got)
		}
		s.nothingPrepared()
	})
}

// TestConcurrentTransfers moves money back and forth under the race detector and checks that none is made or lost.
func TestConcurrentTransfers(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		db := s.db()
		const accounts, clients, transfers = 8, 6, 40
		for id := range accounts {
			if _, err := db.Exec("INSERT INTO accounts (id, v) VALUES (?, 100)", id); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for client := range clients {
			wg.Go(func() {
				for i := range transfers {
					from, to := (client+i)%accounts, (client+i*3+1)%accounts
					if err := transfer(db, from, to); err != nil && !retriable(err) {
						t.Errorf("transfer: %v", err)
					}
				}
			})
		}
		wg.Wait()
		var sum int
		for server := range s.servers {
			var n int
			if _, err := fmt.Sscan(s.on(server, "SELECT SUM(v) FROM SCHEMA.accounts"), &n); err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		if sum != accounts*100 {
			t.Errorf("the sum over both backends is %d", sum)
		}
		s.nothingPrepared()
	})
}

// TestPoolLimits takes all connections of a backend.
func TestPoolLimits(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], func(c *config.Config) {
		for i := range c.Backends {
			c.Backends[i].PoolSize = 1
			c.Backends[i].PoolWait = config.Duration(50e6)
		}
	})
	a, b := s.conn(), s.conn()
	a.exec("BEGIN", "INSERT INTO single (v) VALUES (1)")
	if text := b.fails(1040, "INSERT INTO single (v) VALUES (2)"); !strings.Contains(text, "pool_size") {
		t.Errorf("the error does not say what to do: %s", text)
	}
	a.exec("COMMIT")
	b.exec("INSERT INTO single (v) VALUES (2)")
}

// TestCharacteristicsOfOneStatement looks at what SET TRANSACTION says of a statement that is a transaction of its own, and whether
// it is spent when it would be on one server. tests/fidelity compares that for statements on one backend.
func TestCharacteristicsOfOneStatement(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		c := s.conn()
		c.exec("INSERT INTO accounts (id, v) VALUES (1, 100), (2, 100)", "SET TRANSACTION READ ONLY")
		for range 2 { // nothing has been read: it is still to come
			c.fails(1792, "UPDATE accounts SET v = 0 WHERE id IN (1, 2)")
			c.fails(1792, "INSERT INTO accounts (id, v) VALUES (3, 1), (4, 1)")
		}
		c.fails(1792, "UPDATE accounts SET v = 0 WHERE id = 1")
		if got := c.rows("SELECT v FROM accounts WHERE id IN (1, 2)"); got != "100 100" {
			t.Errorf("rows of both backends: %s", got)
		}
		c.exec("UPDATE accounts SET v = 1 WHERE id IN (1, 2)", "SET TRANSACTION READ ONLY", "BEGIN")
		c.fails(1792, "UPDATE accounts SET v = 0 WHERE id IN (1, 2)")
		c.exec("ROLLBACK", "UPDATE accounts SET v = 2 WHERE id IN (1, 2)")

		// What is SERIALIZABLE waits for the writer of another transaction, once.
		writer := s.conn()
		writer.exec("BEGIN", "UPDATE accounts SET v = 3 WHERE id IN (1, 2)")
		c.exec("SET SESSION innodb_lock_wait_timeout = 1", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
		if got := c.rows("SELECT v FROM accounts WHERE id IN (1, 2)"); got != "2 2" {
			t.Errorf("a SERIALIZABLE SELECT of autocommit locks nothing, but read %s", got)
		}
		c.exec("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
		for _, want := range []string{"3 3", "2 2"} {
			if got := c.rows("SELECT v FROM accounts WHERE id IN (1, 2)"); got != want {
				t.Errorf("read %s, want %s", got, want)
			}
		}
		writer.exec("ROLLBACK")
		s.nothingPrepared()
	})
}

// TestTransactionUnderTableLocks looks at the transaction of a session that has locked tables while autocommit is off: it is
// the server's own. tests/fidelity compares it with a server's; here are what a server has none of, other backends, and who uses the
// connection next.
func TestTransactionUnderTableLocks(t *testing.T) {
	t.Parallel()
	forMixes(t, func(t *testing.T, s *stack) {
		c, other := s.conn(), s.conn()
		c.exec("INSERT INTO accounts (id, v) VALUES (1, 100), (2, 100)", "SET autocommit = 0", "LOCK TABLES single WRITE",
			"INSERT INTO single (id, v) VALUES (1, 1)")
		c.fails(1100, "UPDATE accounts SET v = 0 WHERE id = 1")
		c.fails(1100, "SELECT v FROM accounts WHERE id IN (1, 2)")
		c.exec("COMMIT", "INSERT INTO single (id, v) VALUES (2, 2)", "ROLLBACK", "UNLOCK TABLES")
		if got := other.rows("SELECT id FROM single"); got != "1" {
			t.Errorf("after COMMIT and ROLLBACK: %s", got)
		}

		// The session has branches again, and whoever uses the connection has autocommit.
		c.exec("UPDATE accounts SET v = 1 WHERE id IN (1, 2)", "ROLLBACK")
		for range 4 {
			other.exec("UPDATE single SET v = v + 1")
		}
		if got := s.on(0, "SELECT v FROM SCHEMA.single") + " " + c.rows("SELECT v FROM accounts WHERE id IN (1, 2)"); got != "5 100 100" {
			t.Errorf("afterwards: %s", got)
		}
		c.exec("ROLLBACK")
		s.nothingPrepared()

		// A connection that is kept for something else has the session's autocommit too.
		c.exec("DO GET_LOCK('"+s.schema+"', 0)", "LOCK TABLES single WRITE", "UNLOCK TABLES", "SET autocommit = 1", "UPDATE single SET v = 9")
		if got := s.on(0, "SELECT v FROM SCHEMA.single"); got != "9" {
			t.Errorf("after an UPDATE of autocommit: %s", got)
		}
	})
}
