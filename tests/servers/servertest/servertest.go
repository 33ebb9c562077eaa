// Package servertest shares real servers among the tests of one test binary: one server of a kind, a database for each
// test. It is the part of package servers that needs package testing.
//
//	func TestMain(m *testing.M) { servertest.Main(m) }
//
//	func TestTransfer(t *testing.T) {
//		s := servertest.Get(t, servers.MySQL)
//		database := servertest.Database(t, s)
//		...
//
// A test that kills, freezes or reconfigures a server starts its own with servers.Start.
package servertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// shared are the servers of this test binary. They are global because their life is that of the binary.
var shared struct {
	mu   sync.Mutex                                       // protects the following
	main bool                                             // Main is running, which will stop the servers
	boot map[servers.Kind]func() (*servers.Server, error) // boots a server when it is called first
}

// databases counts the databases that Database has made, for their names.
var databases atomic.Int64

// dropTimeout bounds the removal of a database. A branch that was left prepared, or a session that was left in a
// transaction, blocks it for ever.
const dropTimeout = 10 * time.Second

// Main runs the tests, then what is to be done last, then stops the shared servers, also when it is interrupted, and
// exits. It is the whole of a TestMain. If the binary panics or is killed the kernel kills the servers, and the next Start
// removes their folders.
func Main(m *testing.M, last ...func()) {
	shared.mu.Lock()
	shared.main = true
	shared.mu.Unlock()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		stopAll()
		os.Exit(130)
	}()
	code := m.Run()
	for _, f := range last {
		f()
	}
	if !stopAll() && code == 0 {
		code = 1
	}
	os.Exit(code)
}

// stopAll stops the shared servers, all at once, and says whether all went well. No further one is booted after it.
func stopAll() bool {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.main = false
	var stopping sync.WaitGroup
	var failed atomic.Bool
	for _, boot := range shared.boot {
		stopping.Go(func() {
			s, err := boot()
			if err != nil {
				return // a test has said so
			}
			if err := s.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				failed.Store(true)
			}
		})
	}
	stopping.Wait()
	shared.boot = nil
	return !failed.Load()
}

// Get returns the server of a kind that the tests of this binary share, and boots it on first use. A server that is not
// installed or does not boot fails the test.
func Get(t testing.TB, k servers.Kind) *servers.Server {
	t.Helper()
	s, err := get(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func get(k servers.Kind) (*servers.Server, error) {
	boot, err := bootOf(k)
	if err != nil {
		return nil, err
	}
	s, err := boot() // who wants another kind does not wait for it
	if err == nil && !s.Running() {
		return nil, fmt.Errorf("the shared server %s has ended: a test that ends servers starts its own", s)
	}
	return s, err
}

func bootOf(k servers.Kind) (func() (*servers.Server, error), error) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.main {
		return nil, errors.New("servertest.Get without servertest.Main: call it from TestMain, so that the servers are stopped")
	}
	if shared.boot == nil {
		shared.boot = map[servers.Kind]func() (*servers.Server, error){}
	}
	if shared.boot[k] == nil {
		shared.boot[k] = sync.OnceValues(func() (*servers.Server, error) {
			return servers.Start(context.Background(), servers.Options{Kind: k})
		})
	}
	return shared.boot[k], nil
}

// Database makes an empty database with a name of its own and drops it when the test ends. A test that leaves a branch
// prepared or a transaction open in it, so that it cannot be dropped, fails.
func Database(t testing.TB, s *servers.Server) string {
	t.Helper()
	name := databaseName(t.Name())
	if err := execute(s, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create database %s: %v", name, err)
	}
	t.Cleanup(func() {
		if !s.Running() {
			return // the test has ended its own server, and the data with it
		}
		drop := "DROP DATABASE " + name
		if s.Kind == servers.Postgres {
			drop += " WITH (FORCE)"
		}
		if err := execute(s, drop); err != nil {
			ctx, cancel := context.WithTimeout(context.Background(), dropTimeout)
			defer cancel()
			prepared, listErr := s.Prepared(ctx)
			t.Errorf("drop database %s: %v; prepared branches: %q (%v)", name, err, prepared, listErr)
		}
	})
	return name
}

// execute runs one statement as the administrator, within dropTimeout.
func execute(s *servers.Server, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), dropTimeout)
	defer cancel()
	if s.Kind == servers.Postgres {
		_, err := s.PSQL(ctx, statement)
		return err
	}
	db, err := s.DB()
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}

// databaseName is short, valid without quotes on every server, and recognisable in a server's log.
func databaseName(test string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(strings.TrimPrefix(test, "Test")))
	return fmt.Sprintf("t%d_%.30s", databases.Add(1), clean)
}
