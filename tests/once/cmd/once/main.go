// Command once carries out operations with commit keys while it breaks what they need, and looks whether each was applied exactly once.
// Its exit status is 1 if not, or if the run has shown nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/xaproxy/xaproxy/tests/chaos"
	"github.com/xaproxy/xaproxy/tests/once"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
)

func main() {
	good, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "once:", err)
	}
	if err != nil || !good {
		os.Exit(1)
	}
}

func run() (good bool, err error) {
	mix := flag.String("mix", "mariadb,mysql", "the two servers: mariadb, mariadb-binlog or mysql, with a comma between them")
	store := flag.String("store", string(chaos.File), "file (one xaproxy) or participant (two)")
	operations := flag.Int("operations", 10000, "how many operations")
	every := flag.Int("fault-every", 50, "how many operations are done between two faults")
	seed := flag.Uint64("seed", 0, "seed of all that is drawn; 0 draws one")
	clients := flag.Int("clients", 8, "how many clients")
	report := flag.String("report", "", "file to write a report to, in Markdown")
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64() >> 32
	}
	first, second, ok := strings.Cut(*mix, ",")
	if !ok || flag.NArg() > 0 || *clients < 1 || *operations < 1 || *every < 1 || chaos.Store(*store) != chaos.File && chaos.Store(*store) != chaos.Participant {
		flag.Usage()
		return false, errors.New("want --mix KIND,KIND, --store file or participant, numbers above 0, and no further arguments")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "xaproxy-once-build-")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Printf("once: %s, %s store, %d operations, %d clients, seed %d\n", *mix, *store, *operations, *clients, *seed)
	path, err := proxytest.Build(ctx, dir)
	if err != nil {
		return false, err
	}
	r, err := once.Run(ctx, once.Options{
		Kinds: [2]servers.Kind{servers.Kind(first), servers.Kind(second)}, Store: chaos.Store(*store), Binary: path,
		Operations: *operations, FaultEvery: *every, Seed: *seed, Clients: *clients, Progress: func(line string) { fmt.Println(line) },
	})
	if err != nil {
		return false, err
	}
	for _, v := range r.Violations {
		fmt.Println("violation:", v)
	}
	fmt.Printf("%s (seed %d)\n", r.Verdict(), r.Seed)
	if *report != "" {
		if err := write(*report, r); err != nil {
			return false, err
		}
	}
	return r.Good(), nil
}

func write(path string, r *once.Report) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return r.WriteMarkdown(f)
}
