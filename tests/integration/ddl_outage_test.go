package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/ddl"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// TestDDLOutage: a backend dies while it runs its part, and that of the journal before and while others run theirs.
func TestDDLOutage(t *testing.T) {
	t.Parallel()
	home, other := ownServer(t, servers.MariaDB), ownServer(t, servers.MySQL)
	s := newStackOn(t, []*servers.Server{home, other}, func(c *config.Config) {
		c.Tables = append(c.Tables, config.Table{Schema: c.Tables[0].Schema, Name: "orders", Column: "customer", Function: "hash", Backends: c.Tables[0].Backends})
	})
	c := s.conn()
	c.exec("CREATE TABLE orders (customer INT PRIMARY KEY) COLLATE utf8mb4_bin")
	half := func() (release func(), done chan error) {
		t.Helper()
		release = holdUp(t, s, 1)
		t.Cleanup(release)
		done = make(chan error, 1)
		go func() {
			_, err := c.ExecContext(context.Background(), "ALTER TABLE orders ADD x INT")
			done <- err
		}()
		waitFor(t, "the statement", func() bool {
			states := s.states()
			return strings.Contains(states, "done") && strings.Contains(states, "running")
		})
		return release, done
	}
	_, answer := half()
	check(t, other.Kill())
	var said *mysql.MySQLError
	if err := <-answer; !errors.As(err, &said) || said.Number != 20041 || !strings.Contains(said.Message, "has run on b1, done on b0; run xaproxy ddl resume") {
		t.Errorf("the answer is %v", err)
	}
	check(t, other.Restart(t.Context()))
	resume := func() {
		t.Helper()
		r := s.record()
		if _, left, err := s.journal().Resume(t.Context(), r.ID, ddl.Orders{}); err != nil || len(left) > 0 {
			t.Errorf("resumed: %v, %v", left, err)
		}
	}
	resume()
	s.everywhere("customer x", fmt.Sprintf(nameOfColumns, "orders"))

	waitFor(t, "the backend again", func() bool {
		_, err := c.ExecContext(t.Context(), "ALTER TABLE orders DROP x")
		return err == nil
	})
	release, answer := half()
	check(t, home.Kill()) // with the journal and its locks
	release()
	if err := <-answer; err != nil {
		t.Errorf("a statement that is done: %v", err)
	}
	if !strings.Contains(s.log.String(), "its record does not say so") {
		t.Error("the log does not say that the record could not be written")
	}
	c.fails(1429, "ALTER TABLE orders ADD y INT")
	check(t, home.Restart(t.Context()))
	resume()
	s.everywhere("customer x", fmt.Sprintf(nameOfColumns, "orders"))
}

// TestDDLTruncateCopies empties a broadcast table while others write to it: its copies stay the same.
func TestDDLTruncateCopies(t *testing.T) {
	s := newDDLStack(t, []servers.Kind{servers.MariaDB, servers.MySQL})
	c := s.conn()
	c.exec("CREATE TABLE country (id INT PRIMARY KEY) COLLATE utf8mb4_bin")
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 4 {
		own := s.conn()
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := own.ExecContext(context.Background(), fmt.Sprintf("INSERT INTO country VALUES (%d)", 4*i+w)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 10 {
		waitFor(t, "rows", func() bool { return c.rows("SELECT COUNT(*) > 20 FROM country") == "1" })
		c.exec("TRUNCATE country")
	}
	close(stop)
	writers.Wait()
	s.everywhere(s.on(0, "SELECT id FROM SCHEMA.country ORDER BY id"), "SELECT id FROM SCHEMA.country ORDER BY id")
}

// TestDDLJournalRights: an account that may not keep records is told what it needs, and nothing runs; what the documentation grants is
// enough.
func TestDDLJournalRights(t *testing.T) {
	s := newDDLStack(t, []servers.Kind{servers.MySQL, servers.MariaDB})
	check(t, s.journal().Create(t.Context()))
	home := servertest.Get(t, servers.MySQL)
	admin(t, home, "DROP USER IF EXISTS few", "CREATE USER few IDENTIFIED BY 'few'", "GRANT ALL ON "+s.schema+".* TO few", "GRANT XA_RECOVER_ADMIN ON *.* TO few")
	t.Cleanup(func() { admin(t, home, "DROP USER few") })
	few := newStackOn(t, s.servers, func(c *config.Config) {
		c.Backends[0].User, c.Backends[0].Password = "few", "few"
		for i := range c.Schemas {
			c.Schemas[i].Name = s.schema
		}
		c.Schemas = c.Schemas[:1]
		c.Tables = []config.Table{{Schema: s.schema, Name: "orders", Column: "customer", Function: "hash", Backends: []string{"b0", "b1"}}}
	})
	few.schema = s.schema
	c := few.conn()
	text := c.fails(1235, "CREATE TABLE orders (customer INT PRIMARY KEY)")
	if !strings.Contains(text, "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE, REFERENCES ON xaproxy.*") {
		t.Errorf("the error says %s", text)
	}
	s.everywhere("", fmt.Sprintf(nameOfColumns, "orders"))
	admin(t, home, "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE, REFERENCES ON xaproxy.* TO few")
	c.exec("CREATE TABLE orders (customer INT PRIMARY KEY)")
	s.everywhere("customer", fmt.Sprintf(nameOfColumns, "orders"))
}
