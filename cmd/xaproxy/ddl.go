package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/ddl"
	"github.com/xaproxy/xaproxy/recovery"
)

const (
	// ddlShown is how many of the last records status shows with --all.
	ddlShown = 50
	// ddlInterval is the time between two looks of status --watch.
	ddlInterval = time.Second
	// shownStatement is how much of a statement status shows, in bytes.
	shownStatement = 200
)

// ddlCommand is "xaproxy ddl".
func ddlCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ddl",
		Short: "Show and finish DDL statements that are not done on all of their backends",
		Long: "Each DDL statement on several backends has a record in schema xaproxy of the first backend. These commands read and\n" +
			"change the records there, with or without a running proxy.",
	}
	cmd.AddCommand(ddlStatusCommand(), ddlResumeCommand(), ddlAbandonCommand())
	return cmd
}

// journalCommand makes a subcommand that works on the journal of a configuration. What it does is written down as action, unless that is "".
func journalCommand(cmd *cobra.Command, action string, run func(ctx context.Context, j *ddl.Journal, args []string) error) *cobra.Command {
	var path string
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.Flags().StringVarP(&path, "config", "c", "config.toml", "configuration file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		cfg, err := config.Load(path)
		if err != nil {
			return &exitError{code: exitUnseen, err: err}
		}
		backends, err := openBackends(cfg)
		if err != nil {
			return &exitError{code: exitUnseen, err: err}
		}
		err = run(ctx, ddl.New(backends, zerolog.Nop()), args)
		if action != "" {
			noteDown(cfg, fmt.Sprintf("%s %s", action, args[0]), err, cmd.ErrOrStderr())
		}
		return err
	}
	return cmd
}

// noteTimeout bounds how long the running proxy may take to write down what was done.
const noteTimeout = 5 * time.Second

// noteDown has an action written into the log of the running proxy; without one it is written here, in the same form. Where the action itself was
// interrupted it is written down all the same.
func noteDown(cfg *config.Config, action string, err error, stderr io.Writer) {
	ctx, cancel := context.WithTimeout(context.Background(), noteTimeout)
	defer cancel()
	var exit *exitError
	if errors.As(err, &exit) && exit.err == nil {
		err = errors.New("it is not done on all backends")
	}
	refused := ""
	if err != nil {
		refused = err.Error()
	}
	if recovery.AskNote(ctx, cfg.Decision.Dir, action, whoami(), refused) != nil {
		log := newLogger(cfg.Server, stderr, new(logLevel), new(events))
		audit(&log, action, whoami(), err)
	}
}

// openBackends are all backends of a configuration. None is connected to.
func openBackends(cfg *config.Config) (all []*backend.Backend, err error) {
	for i := range cfg.Backends {
		b, err := backend.Open(cfg, i)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

func ddlStatusCommand() *cobra.Command {
	var all, watch, asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the DDL statements that run or are unfinished",
		Long: "Shows the DDL statements that run or are unfinished, and how far they have come on each backend.\n" +
			"Exit status 0: there are none; 1: there are; 2: the records could not be read.",
		Args: cobra.NoArgs,
	}
	journalCommand(cmd, "", func(ctx context.Context, j *ddl.Journal, _ []string) error {
		also := 0
		if all {
			also = ddlShown
		}
		for {
			records, err := j.Records(ctx, also)
			if err != nil {
				return &exitError{code: exitUnseen, err: err}
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), records)
			} else {
				err = writeRecords(cmd.OutOrStdout(), records, time.Now())
			}
			if err != nil {
				return fmt.Errorf("write status: %w", err)
			}
			open := slices.ContainsFunc(records, func(r *ddl.Record) bool { return r.Outcome == ddl.Open })
			switch {
			case !open:
				return nil
			case !watch:
				return &exitError{code: exitFailure}
			}
			select {
			case <-ctx.Done():
				return &exitError{code: exitFailure}
			case <-time.After(ddlInterval):
			}
		}
	})
	cmd.Flags().BoolVar(&all, "all", false, fmt.Sprintf("also the last %d that have ended", ddlShown))
	cmd.Flags().BoolVar(&watch, "watch", false, "look every second until there are none")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the records as JSON")
	return cmd
}

func ddlResumeCommand() *cobra.Command {
	var o ddl.Orders
	cmd := &cobra.Command{
		Use:   "resume ID",
		Short: "Run a DDL statement where it is missing",
		Long: "Runs a DDL statement on the backends where it has failed or was never sent. Where it was running when the proxy or the\n" +
			"server died, the definitions of its tables decide; what they do not tell, --done and --run do, each for one backend.\n" +
			"Exit status 0: it is done everywhere; 1: it is not; 2: nothing was tried.",
		Args: cobra.ExactArgs(1),
	}
	journalCommand(cmd, "ddl resume", func(ctx context.Context, j *ddl.Journal, args []string) error {
		id, err := recordID(args[0])
		if err != nil {
			return err
		}
		r, left, err := j.Resume(ctx, id, o)
		if r == nil {
			return &exitError{code: exitUnseen, err: err}
		}
		if err := writeRecords(cmd.OutOrStdout(), []*ddl.Record{r}, time.Now()); err != nil {
			return fmt.Errorf("write the record: %w", err)
		}
		for _, p := range r.Parts {
			if why := left[p.Backend]; why != "" && p.State != ddl.Failed {
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", p.Backend, why); err != nil {
					return err
				}
			}
		}
		if err == nil && r.Outcome == ddl.Open {
			return &exitError{code: exitFailure}
		}
		return err
	})
	cmd.Flags().StringArrayVar(&o.Done, "done", nil, "a backend on which the statement has run, whatever the record says")
	cmd.Flags().StringArrayVar(&o.Run, "run", nil, "a backend on which it has not")
	return cmd
}

func ddlAbandonCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "abandon ID",
		Short: "Leave a DDL statement as it is, done on some backends and not on others",
		Long:  "Closes the record of a DDL statement. Nothing is undone: afterwards the backends differ until somebody makes them alike.",
		Args:  cobra.ExactArgs(1),
	}
	journalCommand(cmd, "ddl abandon", func(ctx context.Context, j *ddl.Journal, args []string) error {
		id, err := recordID(args[0])
		if err != nil {
			return err
		}
		if !force {
			return &exitError{code: exitUnseen, err: fmt.Errorf("DDL %d would stay half done, and nothing would remind of it; say --force if that is wanted", id)}
		}
		r, err := j.Abandon(ctx, id)
		if err != nil {
			return &exitError{code: exitUnseen, err: err}
		}
		return writeRecords(cmd.OutOrStdout(), []*ddl.Record{r}, time.Now())
	})
	cmd.Flags().BoolVar(&force, "force", false, "do it")
	return cmd
}

func recordID(arg string) (uint64, error) {
	id, err := strconv.ParseUint(arg, 10, 64)
	if err != nil {
		return 0, &exitError{code: exitUnseen, err: fmt.Errorf("%q is not the number of a DDL statement; xaproxy ddl status has them", arg)}
	}
	return id, nil
}

// writeRecords writes records for people; now is what ages are counted to.
func writeRecords(w io.Writer, records []*ddl.Record, now time.Time) error {
	if len(records) == 0 {
		_, err := fmt.Fprintln(w, "no DDL statement runs or is unfinished")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range records { // errors come back from Flush
		state := string(r.Outcome)
		switch {
		case r.Outcome != ddl.Open:
		case r.Held:
			state = "runs"
		default:
			state = fmt.Sprintf("unfinished: xaproxy ddl resume %d", r.ID)
		}
		fmt.Fprintf(t, "DDL %d of %s, %s ago, %s\n", r.ID, r.Account, now.Sub(r.Created).Round(time.Second), state)
		statement := strings.Join(strings.Fields(r.Text), " ")
		fmt.Fprintf(t, "  %s\n", statement[:min(len(statement), shownStatement)])
		for _, p := range r.Parts {
			took, why := "", ""
			switch {
			case p.Started.IsZero():
			case p.Ended.IsZero():
				took = now.Sub(p.Started).Round(time.Second).String()
			default:
				took = p.Ended.Sub(p.Started).Round(time.Millisecond).String()
			}
			if p.Errno != 0 {
				why = fmt.Sprintf("%d (%s): %s", p.Errno, p.SQLState, p.Message)
			}
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", p.Backend, p.State, took, why)
		}
	}
	return t.Flush()
}
