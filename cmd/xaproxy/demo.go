package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/xaproxy/xaproxy/tests/servers"
)

const (
	demoKills = 3
	// demoExtraKills follow when none of the kills left a branch in doubt.
	demoExtraKills = 5
	exitInterrupt  = 130 // what a shell reports for Ctrl-C
)

// demoCommand is "xaproxy demo".
func demoCommand() *cobra.Command {
	var exit bool
	var seconds int
	var backends string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show what a killed proxy does to transfers between two real databases",
		Long: "Boots two database servers in a temporary folder with a proxy in front, moves money between them, kills the proxy in\n" +
			"mid-commit, lets recovery finish, and counts the money. Then it stays up to be looked at until Ctrl-C.\n" +
			"Exit status 0: nothing was lost or torn; 1: something was, or the demo could not run.",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if seconds < 1 || seconds > 3600 {
				return fmt.Errorf("--seconds %d: give 1 to 3600", seconds)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			context.AfterFunc(ctx, stop) // a second Ctrl-C ends the demo at once, and the kernel its children
			kinds, err := demoKinds(backends)
			if err != nil {
				return err
			}
			d := &demo{kinds: kinds, screen: newScreen(cmd.OutOrStdout()), load: time.Duration(seconds) * time.Second}
			err = d.run(ctx, exit || os.Getenv("CI") == "true")
			if err != nil && ctx.Err() != nil {
				return &exitError{code: exitInterrupt, err: errors.New("interrupted; everything is stopped and removed")}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&exit, "exit", false, "end after the verdict (also when CI=true)")
	cmd.Flags().StringVar(&backends, "backends", "", "the two servers: mariadb, mysql or postgres, with a comma between them (default mariadb,mysql where MySQL is there)")
	cmd.Flags().IntVar(&seconds, "seconds", 20, "how long transfers run, all rounds together")
	return cmd
}

// demoKinds reads --backends.
func demoKinds(text string) ([]servers.Kind, error) {
	if text == "" {
		return nil, nil
	}
	var kinds []servers.Kind
	for _, k := range strings.Split(text, ",") {
		if k := servers.Kind(k); k == servers.MariaDB || k == servers.MySQL || k == servers.Postgres {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) != len(shardNames) || len(kinds) != strings.Count(text, ",")+1 {
		return nil, fmt.Errorf("--backends %s: give two of mariadb, mysql and postgres, with a comma between them", text)
	}
	return kinds, nil
}

// demo is the story: two servers, a proxy, a bank whose accounts are on both servers, and what happened so far.
type demo struct {
	kinds  []servers.Kind // of the servers; nil: those that can be had
	screen *screen
	load   time.Duration
	bank   *bank
	proxy  *child

	kills, doubtful int           // kills of the proxy; branches that they left in doubt
	recovering      time.Duration // the longest time from a restart to the end of doubt
}

// run tells the story and takes everything down again.
func (d *demo) run(ctx context.Context, exit bool) (err error) {
	d.screen.title("Transfers between two databases while the proxy is killed")
	d.bank = newBank()
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.boot(ctx); err != nil {
		return err
	}
	if err := d.front(ctx); err != nil {
		return err
	}
	if err := d.rounds(ctx); err != nil {
		return err
	}
	if err := d.verdict(ctx); err != nil {
		return err
	}
	if !exit {
		d.stay(ctx)
	}
	return nil
}

func (d *demo) close() error {
	d.screen.endLive()
	var errs []error
	if d.proxy != nil {
		errs = append(errs, d.proxy.kill())
	}
	for _, s := range d.bank.shards {
		errs = append(errs, s.server.Kill(), s.server.Stop()) // nobody needs the data, so it need not be tidied up
	}
	return errors.Join(errs...)
}

// boot starts the servers, MySQL beside MariaDB where it can be had, and makes the tables on each.
func (d *demo) boot(ctx context.Context) error {
	d.screen.step("Two database servers, in a temporary folder")
	kinds, second := d.kinds, servers.MySQL
	if _, _, err := servers.Find(second); kinds == nil && err != nil {
		d.screen.say("no MySQL on this machine, so both are MariaDB")
		second = servers.MariaDB
	}
	if kinds == nil {
		kinds = []servers.Kind{servers.MariaDB, second}
	}
	for _, k := range kinds {
		if _, _, err := servers.Find(k); err != nil {
			return fmt.Errorf("the demo needs a database server: %w (it installs the package mariadb-server-core)", err)
		}
	}
	d.screen.live("booting ...")
	booted := make([]*servers.Server, len(kinds))
	took := make([]time.Duration, len(kinds))
	errs := make([]error, len(kinds))
	var wg sync.WaitGroup
	for i, k := range kinds {
		wg.Go(func() {
			began := time.Now()
			booted[i], errs[i] = servers.Start(ctx, servers.Options{Kind: k})
			took[i] = time.Since(began)
		})
	}
	wg.Wait()
	for i, s := range booted {
		if s != nil {
			d.bank.shards = append(d.bank.shards, &shard{name: shardNames[i], server: s})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i, s := range d.bank.shards {
		if err := s.open(ctx); err != nil {
			return err
		}
		d.screen.say("%-6s %-20s %-16s %s", s.name, s.label(), s.server.Addr(), d.screen.dim(seconds(took[i])))
	}
	return nil
}

// front starts the proxy and opens the accounts through it.
func (d *demo) front(ctx context.Context) error {
	d.screen.step("One proxy in front, with TLS and a decision log")
	var err error
	if d.proxy, err = newChild(d.bank.shards); err != nil {
		return err
	}
	took, err := d.start(ctx)
	if err != nil {
		return err
	}
	d.screen.say("%-6s %-20s %-16s %s", "proxy", "xaproxy serve", d.proxy.addr, d.screen.dim(seconds(took)))
	d.screen.say("shop.accounts: even ids on %s, odd ids on %s", shardNames[0], shardNames[1])
	if err := d.bank.fill(ctx, d.proxy.client()); err != nil {
		return err
	}
	d.screen.say("%d accounts with %d each: %s in all", accounts, startBalance, number(startMoney))
	return nil
}

// start runs the proxy until it serves and returns how long that took.
func (d *demo) start(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	err := d.proxy.start(ctx)
	return time.Since(began), err
}

// rounds kills the proxy again and again under load.
func (d *demo) rounds(ctx context.Context) error {
	for round := 1; round <= demoKills || d.doubtful == 0 && round <= demoKills+demoExtraKills; round++ {
		if err := d.round(ctx, round); err != nil {
			return err
		}
	}
	d.screen.step("The rest of the load, undisturbed")
	return d.transfers(ctx, d.load/(demoKills+1), nil)
}

// round loads the proxy, kills it, shows what that left behind, restarts it and shows how it is finished. The first
// kills come at a random moment; from the last one on a server is killed with it, which is frozen just before, so that
// commits are caught half-way.
func (d *demo) round(ctx context.Context, n int) error {
	load, disturb := d.load/(demoKills+1), d.proxy.kill
	if n < demoKills {
		d.screen.step("Kill %d: kill -9 of the proxy at a random moment", n)
		load = load*3/4 + rand.N(load/2)
	} else {
		d.screen.step("Kill %d: kill -9 of %s and of the proxy, as if their machine had died", n, shardNames[1])
		disturb = func() error { return errors.Join(d.bank.stall(ctx), d.proxy.kill(), d.bank.shards[1].server.Kill()) }
	}
	if err := d.transfers(ctx, load, disturb); err != nil {
		return err
	}
	d.kills++
	if crashed := d.bank.shards[1]; !crashed.server.Running() {
		began := time.Now()
		if err := crashed.server.Restart(ctx); err != nil {
			return err
		}
		d.screen.say("%s is back after %s", crashed.name, seconds(time.Since(began)))
	}
	left, err := d.inDoubt(ctx)
	if err != nil {
		return err
	}
	d.doubtful += len(left)
	return d.recover(ctx, left)
}

// transfers loads the proxy for a while, with a line that moves. At the end it calls disturb, with the load still on.
func (d *demo) transfers(ctx context.Context, load time.Duration, disturb func() error) error {
	began, before := time.Now(), d.bank.counts()
	show := func() {
		c := d.bank.counts()
		rate := float64(c.committed-before.committed) / max(time.Since(began).Seconds(), 0.001)
		d.screen.live("%5.0f transfers/s   %s committed   %s rolled back   %s unknown",
			rate, number(c.committed), number(c.rolledBack), number(c.unknown))
	}
	stop := d.bank.load(d.proxy.client())
	end, tick := time.NewTimer(load), time.NewTicker(100*time.Millisecond)
	defer end.Stop()
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-ctx.Done():
			running = false
		case <-end.C:
			running = false
		case <-tick.C:
			show()
		}
	}
	var err error
	if ctx.Err() == nil && disturb != nil {
		err = disturb()
	}
	err = errors.Join(err, ctx.Err())
	if err != nil {
		err = errors.Join(err, d.proxy.kill()) // nothing may keep the clients waiting
	}
	err = errors.Join(err, stop(disturb != nil || err != nil))
	show()
	d.screen.endLive()
	return err
}

// inDoubt shows what the killed proxy left behind.
func (d *demo) inDoubt(ctx context.Context) ([]doubt, error) {
	left, err := d.bank.inDoubt(ctx)
	if err != nil {
		return nil, err
	}
	if len(left) == 0 {
		d.screen.say("nothing was between prepare and commit, so nothing is in doubt")
		return nil, nil
	}
	d.screen.say("%s, as XA RECOVER on the servers lists %s:", d.screen.warn(plural(len(left), "branch", "branches")+" in doubt"), them(len(left)))
	d.list(left, func(string) string { return "" })
	var money int64
	for _, s := range d.bank.shards {
		locked, err := s.lockedRows(ctx)
		if err != nil {
			return nil, err
		}
		there, err := s.money(ctx)
		if err != nil {
			return nil, err
		}
		money += there
		d.screen.say("%s: %d of %d accounts locked, money %s", s.name, locked, accounts/len(d.bank.shards), number(there))
	}
	if money != startMoney {
		d.screen.say("together %s of %s: %s, some transfers are half done", number(money), number(startMoney),
			d.screen.warn("off by "+number(money-startMoney)))
	}
	return left, nil
}

// list shows the branches, a transaction a line, with what there is to say about each.
func (d *demo) list(branches []doubt, say func(gtrid string) string) {
	const most = 5
	var gtrids []string
	where := make(map[string]string)
	for _, b := range branches {
		if where[b.gtrid] == "" {
			gtrids = append(gtrids, b.gtrid)
			where[b.gtrid] = b.shard
		} else {
			where[b.gtrid] += ", " + b.shard
		}
	}
	for i, g := range gtrids {
		if i == most-1 && len(gtrids) > most {
			d.screen.say("  ... and %d more transactions", len(gtrids)-i)
			break
		}
		d.screen.say("  %-22s %-13s %s", g, where[g], say(g))
	}
}

// recover restarts the proxy and shows how it finishes what is in doubt.
func (d *demo) recover(ctx context.Context, left []doubt) error {
	began := time.Now()
	if _, err := d.start(ctx); err != nil {
		return err
	}
	if err := d.bank.awaitNone(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	if len(left) == 0 {
		d.screen.say("proxy restarted in %s", seconds(took))
		return nil
	}
	d.recovering = max(d.recovering, took)
	finished, err := d.proxy.finished(ctx, len(left))
	if err != nil {
		return err
	}
	d.screen.say("proxy restarted; %s later everything is finished:", d.screen.good(seconds(took)))
	d.list(left, func(gtrid string) string { return finished[gtrid] })
	return nil
}

// verdict counts the money.
func (d *demo) verdict(ctx context.Context) error {
	d.screen.step("The verdict, from the tables of both servers")
	books, err := d.bank.books(ctx)
	if err != nil {
		return err
	}
	c := d.bank.counts()
	d.screen.say("%s + %s = %s of %s", number(books[0].money), number(books[1].money), number(books[0].money+books[1].money), number(startMoney))
	d.screen.say("%s transfers acknowledged, %s rolled back, %s answers lost with the proxy",
		number(c.committed), number(c.rolledBack), number(c.unknown))
	if faults := d.bank.audit(books); len(faults) > 0 {
		d.screen.line("")
		for _, f := range faults {
			d.screen.line("%s", d.screen.bad(f))
		}
		return fmt.Errorf("%s: this must not happen; please report it with what is above", plural(len(faults), "violation", "violations"))
	}
	d.screen.say("each is on both servers or on none, every acknowledged one is there, and")
	d.screen.say("no server holds anything prepared")
	if d.doubtful == 0 {
		return errors.New("no kill left a branch in doubt, so recovery was not shown: try again with --seconds 60")
	}
	d.screen.line("")
	d.screen.line("%s", d.screen.good(fmt.Sprintf("Nothing lost, nothing torn: %s transfers, %s, %s in doubt,",
		number(c.committed), plural(d.kills, "kill", "kills"), plural(d.doubtful, "branch", "branches"))))
	d.screen.line("%s", d.screen.good("all finished without a command, at most "+seconds(d.recovering)+" after the start of the proxy."))
	return nil
}

// stay keeps everything up until ctx ends, to be looked at.
func (d *demo) stay(ctx context.Context) {
	port := strconv.Itoa(d.proxy.port)
	d.screen.step("Have a look; Ctrl-C ends and removes everything")
	d.screen.say("mysql   -h 127.0.0.1 -P %s -u %s -p%s %s", port, clientUser, clientPassword, schema)
	d.screen.say("mariadb -h 127.0.0.1 -P %s -u %s -p%s --skip-ssl %s", port, clientUser, clientPassword, schema)
	d.screen.say("SELECT * FROM accounts WHERE id IN (2, 3);            -- rows of both servers")
	d.screen.say("BEGIN; UPDATE accounts SET balance = balance - 1 WHERE id = 2;")
	d.screen.say("       UPDATE accounts SET balance = balance + 1 WHERE id = 3; COMMIT;")
	d.screen.say("servers: %s on port %d, %s on port %d, user %s, password %s", d.bank.shards[0].name, d.bank.shards[0].server.Port,
		d.bank.shards[1].name, d.bank.shards[1].server.Port, servers.AdminUser, servers.AdminPassword)
	<-ctx.Done()
	d.screen.line("")
}

// wait waits until done says yes, asking every few milliseconds.
func wait(ctx context.Context, limit time.Duration, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s: not within %s", what, limit))
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if yes, err := done(); yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
