package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// A PostgreSQL that stands still, with all its connections open: what waits for it gets an error in answer_timeout, or when its client kills it, what comes
// later gets one at once, nobody else notices, and when it goes on, so does everything.
func TestFrozen(t *testing.T) {
	t.Parallel()
	s, err := servers.Start(t.Context(), servers.Options{Kind: servers.Postgres})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	f := newFaceOn(t, s, "CREATE TABLE account (id int PRIMARY KEY, n int NOT NULL)", "INSERT INTO account VALUES (1, 100), (3, 100)")
	pg := proxytest.On("pg", s)
	pg.Lines = []string{fmt.Sprintf("database = %q", f.database), `probe_interval = "100ms"`, `connect_timeout = "300ms"`, `answer_timeout = "2s"`}
	proxy := proxytest.Run(t, proxytest.Options{Backends: []proxytest.Backend{pg}, Schemas: []config.Schema{{Name: "shop", Backend: "pg"}}, RecoveryInterval: time.Hour})
	db := proxy.DB(t, "shop")
	conn := func() *sql.Conn {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	reads := func(c *sql.Conn) error {
		var n int
		return c.QueryRowContext(context.Background(), "SELECT COUNT(*) FROM account").Scan(&n)
	}
	waits, late, killed, killer := conn(), conn(), conn(), conn()
	var id int64
	if err := killed.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*sql.Conn{waits, late, killed} { // and there are connections
		if err := reads(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Thaw() }) // it may be thawed
	frozen := time.Now()
	answers := map[string]chan error{"waits": make(chan error, 1), "killed": make(chan error, 1)}
	go func() { answers["waits"] <- reads(waits) }()
	go func() { answers["killed"] <- reads(killed) }()
	for { // until it is known
		err := reads(late)
		var said *mysql.MySQLError
		if errors.As(err, &said) && said.Number == 1429 {
			break
		}
		if time.Since(frozen) > 20*time.Second {
			t.Fatalf("a statement for a frozen server: %v", err)
		}
	}
	began := time.Now()
	if err := reads(late); err == nil || time.Since(began) > time.Second {
		t.Errorf("a statement that is to be refused at once: %v after %s", err, time.Since(began))
	}
	if _, err := killer.ExecContext(t.Context(), fmt.Sprintf("KILL %d", id)); err != nil {
		t.Error(err)
	}
	for name, answer := range answers {
		select {
		case err := <-answer:
			if err == nil {
				t.Errorf("%s: an answer of a frozen server", name)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%s: no answer", name)
		}
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	for began = time.Now(); ; {
		if err = reads(late); err == nil {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("the server goes on, and the statement fails: %v", err)
		}
	}
}
