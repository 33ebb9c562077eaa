//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
)

const (
	schema = "bench"
	rows   = 20000 // of the table that is selected from
	span   = 100   // rows of a range
	mega   = 1000000
)

// options are the flags.
type options struct {
	length      time.Duration // of one measurement
	connections int
	rounds      int
	stream      int // MB
}

func main() {
	var o options
	seconds := flag.Float64("seconds", 3, "length of one measurement")
	flag.IntVar(&o.connections, "connections", 16, "client connections")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds over all paths")
	flag.IntVar(&o.stream, "stream", 200, "MB of the streamed result, 0 for none")
	flag.Parse()
	o.length = time.Duration(*seconds * float64(time.Second))
	if flag.NArg() > 0 || o.length <= 0 || o.connections < 1 || o.rounds < 1 || o.stream < 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// path is one way to the server.
type path struct {
	name           string
	addr           string
	user, password string
	pid            int // of the proxy; 0 is none
	clients        []*client
}

// run boots everything, measures, writes the report and takes everything down.
func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "xaproxy-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	progress("booting MariaDB, haproxy and xaproxy")
	server, err := servers.Start(ctx, servers.Options{Kind: servers.MariaDB})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	if err := fill(ctx, server); err != nil {
		return err
	}
	forward, err := startHaproxy(ctx, dir, server.Addr(), o.connections)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, forward.kill()) }()
	binary, err := proxytest.Build(ctx, dir)
	if err != nil {
		return err
	}
	proxy, err := proxytest.Start(ctx, proxytest.Options{
		Binary: binary, Dir: dir, LogLevel: "info",
		Backends: []proxytest.Backend{proxytest.On("one", server)},
		Schemas:  []config.Schema{{Name: schema, Backend: "one"}},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, proxy.Stop()) }()

	paths := []*path{
		{name: "direct", addr: server.Addr(), user: server.User, password: server.Password},
		{name: "haproxy", addr: forward.addr, user: server.User, password: server.Password, pid: forward.pid()},
		{name: "xaproxy", addr: proxy.Addr, user: proxytest.User, password: proxytest.Password, pid: proxy.Pid()},
	}
	for _, p := range paths {
		if err := p.connect(ctx, o.connections); err != nil {
			return err
		}
		defer p.close()
	}
	progress("")
	report := newReport(os.Stdout)
	report.line("MariaDB %s, haproxy %s, %d connections, %d rounds of %s, %d CPUs", server.Version, forward.version, o.connections, o.rounds, o.length, runtime.NumCPU())
	for _, c := range []struct {
		name string
		text statement
	}{{"point select", point}, {fmt.Sprintf("%d-row range", span), between}} {
		samples, err := measureAll(ctx, c.name, paths, c.text, o)
		if err != nil {
			return err
		}
		report.queries(c.name, paths, samples)
	}
	if o.stream > 0 {
		samples, err := streamAll(ctx, paths, o)
		if err != nil {
			return err
		}
		report.streams(fmt.Sprintf("%d MB result", o.stream), paths, samples)
	}
	return nil
}

// fill makes the table.
func fill(ctx context.Context, s *servers.Server) error {
	db, err := s.DB()
	if err != nil {
		return err
	}
	for _, statement := range []string{
		"CREATE DATABASE " + schema,
		"CREATE TABLE " + schema + ".items (id INT PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL)",
		fmt.Sprintf("INSERT INTO %[1]s.items SELECT seq, seq * 7, REPEAT(MD5(seq), 3), MD5(seq * 3) FROM %[1]s.seq_1_to_%[2]d", schema, rows),
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// progress writes over the line on standard error, if that is a terminal. An error of it changes nothing.
func progress(format string, args ...any) {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		_, _ = fmt.Fprintf(os.Stderr, "\r\x1b[K"+format, args...)
	}
}
