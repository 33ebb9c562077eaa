// Command chaos runs one or more xaproxies between clients and two real servers, breaks all of them at random, and looks whether a
// transaction was lost, torn or left in doubt. Its exit status is 1 if so, or if the run has shown nothing.
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
	"time"

	"github.com/xaproxy/xaproxy/tests/chaos"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
)

func main() {
	good, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	if err != nil || !good {
		os.Exit(1)
	}
}

func run() (good bool, err error) {
	mix := flag.String("mix", "mariadb,mysql", "the two servers: mariadb, mariadb-binlog, mysql or postgres, with a comma between them")
	duration := flag.Duration("duration", time.Minute, "how long things are broken")
	seed := flag.Uint64("seed", 0, "seed of the faults and of the transfers; 0 draws one")
	clients := flag.Int("clients", 8, "how many clients")
	store := flag.String("store", string(chaos.File), "where decisions are kept: file or participant")
	proxies := flag.Int("proxies", 1, "how many proxies there are on the same servers")
	report := flag.String("report", "", "file to write a report to, in Markdown")
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64() >> 32
	}
	first, second, ok := strings.Cut(*mix, ",")
	if !ok || flag.NArg() > 0 || *clients < 1 || *proxies < 1 || chaos.Store(*store) != chaos.File && chaos.Store(*store) != chaos.Participant {
		flag.Usage()
		return false, errors.New("want --mix KIND,KIND, --store file or participant, at least one client and one proxy, and no further arguments")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "xaproxy-chaos-build-")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Printf("chaos: %s, %s store, proxies: %d, %s, %d clients, seed %d\n", *mix, *store, *proxies, *duration, *clients, *seed)
	path, err := proxytest.Build(ctx, dir)
	if err != nil {
		return false, err
	}
	r, err := chaos.Run(ctx, chaos.Options{
		Kinds: [2]servers.Kind{servers.Kind(first), servers.Kind(second)}, Store: chaos.Store(*store), Proxies: *proxies, Binary: path,
		Duration: *duration, Seed: *seed, Clients: *clients, Progress: progress(),
	})
	if err != nil {
		return false, err
	}
	for _, v := range r.Violations {
		fmt.Println("violation:", v)
	}
	for _, line := range r.Log {
		fmt.Println(line)
	}
	fmt.Printf("%s (seed %d): %d transactions: %d acknowledged, %d rolled back, %d unknown; %d branches seen in doubt, the longest for %s; %d kills of proxies recovered in a median of %s\n",
		r.Verdict(), r.Seed, r.Transactions, r.Acknowledged, r.RolledBack, r.Unknown, r.InDoubt, r.LongestInDoubt.Round(time.Millisecond),
		len(r.Recoveries), r.Median().Round(time.Millisecond))
	if *report != "" {
		if err := write(*report, r); err != nil {
			return false, err
		}
	}
	return r.Good(), nil
}

func write(path string, r *chaos.Report) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return r.WriteMarkdown(f)
}

// progress returns a function that shows a line a second on a terminal, and one every five seconds
// elsewhere.
func progress() func(string) {
	terminal := false
	if info, err := os.Stdout.Stat(); err == nil {
		terminal = info.Mode()&os.ModeCharDevice != 0
	}
	lines := 0
	return func(line string) {
		lines++
		if terminal || lines%5 == 0 {
			fmt.Println(line)
		}
	}
}
