//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// commitOptions are the flags of the subcommand commit.
type commitOptions struct {
	length  time.Duration // of one measurement
	rounds  int
	clients []int
	kinds   []servers.Kind
	stores  []string
	program string
	against map[string]string
	report  string // file
}

// parseCommit reads the flags.
func parseCommit(args []string) (o commitOptions, err error) {
	o.against = make(map[string]string)
	flags := flag.NewFlagSet("bench commit", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "few short rounds: less than 3 minutes in all")
	flags.DurationVar(&o.length, "length", time.Second, "of one measurement")
	flags.IntVar(&o.rounds, "rounds", 15, "rounds over all ways to commit")
	clients := flags.String("clients", "1,16,64", "how many clients there are at a time")
	kinds := flags.String("servers", "mariadb,mysql", "of which kind the two servers are")
	stores := flags.String("stores", "file,participant", "where decisions are kept")
	flags.StringVar(&o.program, "program", "", "the xaproxy to measure, instead of this checkout's")
	flags.StringVar(&o.report, "report", "", "file to write the tables to as well, in Markdown")
	against(flags, o.against)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if *quick {
		o.rounds, o.length = min(o.rounds, quickRounds), min(o.length, 400*time.Millisecond)
	}
	for text := range strings.SplitSeq(*clients, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxClients {
			return o, fmt.Errorf("--clients %s: want numbers from 1 to %d, with commas between them", *clients, maxClients)
		}
		o.clients = append(o.clients, n)
	}
	for text := range strings.SplitSeq(*kinds, ",") {
		o.kinds = append(o.kinds, servers.Kind(text))
	}
	if o.stores = strings.Split(*stores, ","); slices.ContainsFunc(o.stores, func(s string) bool { return floors[s].name == "" }) {
		return o, errors.New("--stores are file, participant, or both with a comma between them")
	}
	if flags.NArg() > 0 || o.length <= 0 || o.rounds < 1 {
		flags.Usage()
		return o, errors.New("length and rounds are positive, and there are no further arguments")
	}
	return o, nil
}

// runCommit measures on one pair of servers after the other.
func runCommit(ctx context.Context, o commitOptions) error {
	r := newCommitReport(os.Args[1:])
	for _, kind := range o.kinds {
		if err := r.pair(ctx, o, kind); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	progress("")
	return r.write(o.report)
}

// pair boots two servers, measures on them, and looks whether the money is all there.
func (r *commitReport) pair(ctx context.Context, o commitOptions, kind servers.Kind) (err error) {
	w, err := bootPair(ctx, o, kind)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	r.about(w, o)
	if err := w.measure(ctx, o, &r.transactions); err != nil {
		return err
	}
	return w.audit(ctx)
}

// measure has each number of clients take all ways in turn, and writes tables of that.
func (w *pairWorld) measure(ctx context.Context, o commitOptions, to *transactions) error {
	for _, clients := range o.clients {
		samples := make([][]commitSample, len(w.ways))
		for round := range o.rounds + 1 {
			length := o.length
			if round == 0 { // it warms up: a proxy connects
				length = max(length, time.Second)
			}
			for i := range w.ways {
				at := (round + i) % len(w.ways)
				progress("%s, clients: %d, round %d of %d: %s", w.kinds(), clients, round, o.rounds, w.ways[at].name)
				s, err := w.transfers(ctx, w.ways[at], clients, length)
				if err != nil {
					return errors.Join(fmt.Errorf("%s: %w", w.ways[at].name, err), w.ended())
				}
				if round > 0 {
					samples[at] = append(samples[at], s)
				}
			}
		}
		to.measured(w, clients, samples)
	}
	return nil
}

// commitSample is one measurement.
type commitSample struct {
	rate     float64         // transactions in a second
	took     []time.Duration // by each transaction, sorted
	between  float64         // µs of CPU time for a transaction, of the process between clients and servers
	client   float64         // the same of the process that has the clients
	database float64         // the same of both servers
}

func (s commitSample) percentile(p float64) float64 {
	return micros(s.took[int(p*float64(len(s.took)-1))]) / 1000
}

// transfers has so many clients transfer money over a way for a while, after a moment that does not count.
func (w *pairWorld) transfers(ctx context.Context, one *way, clients int, length time.Duration) (s commitSample, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var counts atomic.Bool
	took, errs := make([][]time.Duration, clients), make([]error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for ctx.Err() == nil && errs[i] == nil {
				from := time.Now()
				errs[i] = one.tellers[i].transfer(accounts(i))
				if counts.Load() {
					took[i] = append(took[i], time.Since(from))
				}
			}
		})
	}
	databases, err := w.pids()
	if err != nil {
		cancel()
		wg.Wait()
		return s, err
	}
	began, ended := make(map[int]time.Duration), make(map[int]time.Duration) // by process
	spend := func(at map[int]time.Duration) error {
		for _, pid := range slices.Concat(one.between, []int{os.Getpid()}, databases) {
			switch spent, err := cpuTime(pid); {
			case err == nil:
				at[pid] = spent
			case !slices.Contains(databases, pid): // one of a database's children may have ended
				return err
			}
		}
		return nil
	}
	sleep(ctx, length/10)
	start := time.Now()
	err = spend(began)
	counts.Store(true)
	sleep(ctx, length)
	counts.Store(false)
	elapsed := time.Since(start)
	err = errors.Join(err, spend(ended), ctx.Err())
	cancel()
	wg.Wait()
	if err = errors.Join(append(errs, err)...); err != nil {
		return s, err
	}
	s.took = slices.Concat(took...)
	if len(s.took) == 0 {
		return s, fmt.Errorf("no transaction in %s", length)
	}
	slices.Sort(s.took)
	s.rate = float64(len(s.took)) / elapsed.Seconds()
	for pid, now := range ended {
		of := &s.database
		switch {
		case slices.Contains(one.between, pid):
			of = &s.between
		case pid == os.Getpid():
			of = &s.client
		}
		*of += micros(now-began[pid]) / float64(len(s.took))
	}
	return s, nil
}
