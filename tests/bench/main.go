//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	kb = 1 << 10
	mb = 1 << 20
)

// quickRounds is how many rounds --quick does at most.
const quickRounds = 5

// options are the flags.
type options struct {
	length      time.Duration // of one measurement
	connections int
	rounds      int
	stream      int    // MB
	big         int    // MB
	idle        int    // clients
	only        string // part of the names of what is measured
	program     string // xaproxy; "" builds this checkout's
	against     map[string]string
	report      string // file
}

// parse reads the flags.
func parse(args []string) (o options, err error) {
	o.against = make(map[string]string)
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "few rounds: less than 90 s in all")
	flags.DurationVar(&o.length, "length", 500*time.Millisecond, "of one measurement; many short rounds are better than few long ones")
	flags.IntVar(&o.rounds, "rounds", 25, "rounds over all paths")
	flags.IntVar(&o.connections, "connections", 16, "client connections")
	flags.IntVar(&o.stream, "stream", 200, "MB of the streamed result, 0 for none")
	flags.IntVar(&o.big, "big", 17, "MB of the long literal, 0 for none")
	flags.IntVar(&o.idle, "idle", 5000, "idle clients, 0 for none")
	flags.StringVar(&o.only, "only", "", "measure only what has this in its name, such as prepared, idle or TLS")
	flags.Func("program", "the xaproxy to measure, instead of this checkout's", func(s string) (err error) {
		o.program, err = filepath.Abs(s)
		return err
	})
	flags.StringVar(&o.report, "report", "", "file to write the tables to as well, in Markdown")
	against(flags, o.against)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if *quick {
		o.rounds = min(o.rounds, quickRounds)
	}
	if flags.NArg() > 0 || o.length <= 0 || o.connections < 1 || o.rounds < 1 || o.stream < 0 || o.big < 0 || o.idle < 0 {
		flags.Usage()
		return o, errors.New("length, connections and rounds are positive, sizes are not negative, and there are no further arguments")
	}
	return o, nil
}

// against adds the flag for other builds of xaproxy, which go into the map by their names.
func against(flags *flag.FlagSet, programs map[string]string) {
	flags.Func("against", "NAME=PROGRAM, another xaproxy to take part; may be repeated", func(s string) error {
		name, program, ok := strings.Cut(s, "=")
		if !ok || name == "xaproxy" {
			return errors.New("want NAME=PROGRAM, NAME not being xaproxy")
		}
		program, err := filepath.Abs(program)
		programs[name] = program
		return err
	})
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// command reads the flags and does what they say.
func command(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "commit" {
		o, err := parseCommit(args[1:])
		if err != nil {
			return err
		}
		return runCommit(ctx, o)
	}
	if len(args) > 0 && args[0] == "postgres" {
		o, err := parsePostgres(args[1:])
		if err != nil {
			return err
		}
		return runPostgres(ctx, o)
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	return run(ctx, o)
}

// run boots everything, measures, writes the report and takes everything down.
func run(ctx context.Context, o options) (err error) {
	r := newReport(os.Args[1:])
	w, err := boot(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	r.about(w, o)
	wanted := func(name string) bool { return strings.Contains(name, o.only) }
	for _, l := range loads {
		if !wanted(l.name) {
			continue
		}
		samples, err := w.rounds(ctx, l.name, func(p *path) (sample, error) { return w.load(ctx, p, l) })
		if err != nil {
			return err
		}
		r.load(l.name, w.paths, samples)
	}
	if o.stream > 0 && wanted("stream") {
		samples, err := w.rounds(ctx, "stream", func(p *path) (sample, error) { return w.once(p, streamed(o.stream)) })
		if err != nil {
			return err
		}
		r.stream(o.stream, w.paths, samples)
	}
	if o.big > 0 && wanted("long literal") {
		literal := long(o.big)
		samples, err := w.rounds(ctx, "long literal", func(p *path) (sample, error) { return w.once(p, literal) })
		if err != nil {
			return err
		}
		r.long(o.big, w.paths, samples)
	}
	if o.idle > 0 {
		for _, k := range idleKinds {
			if !wanted("idle " + k.name) {
				continue
			}
			progress("%d idle clients: %s", o.idle, k.name)
			each, err := k.measure(ctx, w, o.idle)
			if err != nil {
				return fmt.Errorf("%d idle clients, %s: %w", o.idle, k.name, err)
			}
			r.idle(k.name, each)
		}
	}
	progress("")
	return r.write(o)
}

// progress writes over the line on standard error, if that is a terminal. An error of it changes nothing.
func progress(format string, args ...any) {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		_, _ = fmt.Fprintf(os.Stderr, "\r\x1b[K"+format, args...)
	}
}
