//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// postgresOptions are the flags of the subcommand postgres.
type postgresOptions struct {
	commitOptions     // program, against, report; length, rounds and clients of transfers
	rows          int // of the streamed result
	connections   int // of point selects
}

// streamedRows is how many rows the streamed result has by default.
const streamedRows = 1_000_000

// parsePostgres reads the flags.
func parsePostgres(args []string) (o postgresOptions, err error) {
	o.against = make(map[string]string)
	flags := flag.NewFlagSet("bench postgres", flag.ContinueOnError)
	flags.DurationVar(&o.length, "length", 500*time.Millisecond, "of one measurement")
	flags.IntVar(&o.rounds, "rounds", 7, "rounds over all ways")
	flags.IntVar(&o.rows, "rows", streamedRows, "rows of the streamed result, 0 for none")
	flags.IntVar(&o.connections, "connections", 16, "client connections of point selects, 0 for none")
	clients := flags.String("clients", "1,16,64", "how many clients make transfers at a time; none for no transfers")
	flags.StringVar(&o.program, "program", "", "the xaproxy to measure, instead of this checkout's")
	flags.StringVar(&o.report, "report", "", "file to write the tables to as well, in Markdown")
	against(flags, o.against)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for text := range strings.SplitSeq(*clients, ",") {
		if *clients == "none" {
			break
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxClients {
			return o, fmt.Errorf("--clients %s: want numbers from 1 to %d, with commas between them, or none", *clients, maxClients)
		}
		o.clients = append(o.clients, n)
	}
	if flags.NArg() > 0 || o.length <= 0 || o.rounds < 1 || o.rows < 0 || o.connections < 0 {
		flags.Usage()
		return o, errors.New("length and rounds are positive, and there are no further arguments")
	}
	o.stores = []string{"file", "participant"}
	return o, nil
}

// runPostgres measures rows and transactions of a PostgreSQL backend beside those of a MySQL backend of the same proxy.
func runPostgres(ctx context.Context, o postgresOptions) (err error) {
	w, err := bootMixed(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	r := newPostgresReport(os.Args[1:])
	r.about(w)
	if o.connections > 0 {
		for _, l := range loads[:2] {
			if err := r.beside(ctx, w, l.name, "statement", func(s *source) (sideSample, error) { return w.statements(ctx, s, l) }); err != nil {
				return err
			}
		}
	}
	if o.rows > 0 {
		name := fmt.Sprintf("SELECT of %d rows", o.rows)
		if err := r.beside(ctx, w, name, "row", func(s *source) (sideSample, error) { return w.stream(s) }); err != nil {
			return err
		}
	}
	if err := w.measure(ctx, o.commitOptions, &r.commits); err != nil {
		return err
	}
	progress("")
	if err := w.audit(ctx); err != nil {
		return err
	}
	return r.write(o.report)
}

// source is one backend behind one xaproxy.
type source struct {
	name    string // of the xaproxy
	kind    servers.Kind
	pid     int // of the xaproxy
	server  *servers.Server
	clients []*client
}

// sideSample is one measurement.
type sideSample struct {
	rate           float64 // statements or rows in a second
	proxy, backend float64 // µs of CPU time for each
}

func (s sideSample) both() float64 { return s.proxy + s.backend }

// during measures while f runs, which returns how many statements or rows there were.
func (s *source) during(f func() (float64, error)) (m sideSample, err error) {
	spend := func() (proxy, backend time.Duration, err error) {
		if proxy, err = cpuTime(s.pid); err != nil {
			return 0, 0, err
		}
		all, err := family(s.server.Pid())
		if err != nil {
			return 0, 0, err
		}
		backend, err = cpuTime(all...)
		return proxy, backend, err
	}
	proxy, backend, err := spend()
	if err != nil {
		return m, err
	}
	began := time.Now()
	n, err := f()
	if err != nil {
		return m, err
	}
	took := time.Since(began)
	proxyNow, backendNow, err := spend()
	return sideSample{rate: n / took.Seconds(), proxy: micros(proxyNow-proxy) / n, backend: micros(backendNow-backend) / n}, err
}

// statements sends statements on all connections for a while.
func (w *mixedWorld) statements(ctx context.Context, s *source, l load) (sideSample, error) {
	return s.during(func() (float64, error) {
		ctx, cancel := context.WithTimeout(ctx, w.o.length)
		defer cancel()
		counts, errs := make([]float64, len(s.clients)), make([]error, len(s.clients))
		var wg sync.WaitGroup
		for i, c := range s.clients {
			wg.Go(func() {
				for ctx.Err() == nil && errs[i] == nil {
					errs[i] = l.run(c)
					counts[i]++
				}
			})
		}
		wg.Wait()
		sum := 0.0
		for _, n := range counts {
			sum += n
		}
		return sum, errors.Join(errs...)
	})
}

// stream reads all rows of the large table on one connection.
func (w *mixedWorld) stream(s *source) (sideSample, error) {
	return s.during(func() (float64, error) {
		return float64(w.rows), s.clients[0].query([]byte("SELECT id, k, amount, at, c FROM big"))
	})
}

// beside measures every source in turn and writes a table.
func (r *postgresReport) beside(ctx context.Context, w *mixedWorld, name, unit string, measure func(*source) (sideSample, error)) error {
	samples := make([][]sideSample, len(w.sources))
	for round := range w.o.rounds + 1 {
		for i := range w.sources {
			at := (round + i) % len(w.sources)
			s := w.sources[at]
			progress("%s: round %d of %d, %s over %s", name, round, w.o.rounds, s.kind, s.name)
			m, err := measure(s)
			if err != nil {
				return fmt.Errorf("%s of %s over %s: %w", name, s.kind, s.name, err)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if round > 0 { // the first one warms up
				samples[at] = append(samples[at], m)
			}
		}
	}
	r.compare(name, unit, w.sources, samples)
	return nil
}
