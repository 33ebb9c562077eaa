package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/decision"
	"github.com/xaproxy/xaproxy/recovery"
)

const (
	exitLeft   = 1 // something of ours is left
	exitUnseen = 2 // it could not be looked everywhere

	// askTimeout bounds a conversation with the running proxy: a pass in which backends do not answer takes several
	// times adminTimeout.
	askTimeout = time.Minute
)

// recoverCommand is "xaproxy recover".
func recoverCommand() *cobra.Command {
	var path string
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Finish now what is in doubt, and report",
		Long: "Looks for prepared branches on every backend and finishes those of this xaproxy as its decision log says. Branches of\n" +
			"others are listed and not touched. A running xaproxy is asked to do it; without one the decision log is opened here.\n" +
			"Exit status 0: nothing of ours is left; 1: something is; 2: a backend or the decision log could not be looked at.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "change nothing, only report what would be done")
	cmd.AddCommand(recoverListCommand(), recoverExplainCommand(), recoverResolveCommand())
	return recoverySays(cmd, &path, &asJSON, func(ctx context.Context, _ []string) error {
		report, err := recoverOnce(ctx, path, dryRun, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		if err := writeReport(cmd.OutOrStdout(), report, asJSON); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		switch {
		case report.Unreachable > 0:
			return &exitError{code: exitUnseen}
		case !report.Clean():
			return &exitError{code: exitLeft}
		}
		return nil
	})
}

// recoverOnce has one forced pass done, by the running proxy if there is one.
func recoverOnce(ctx context.Context, path string, dryRun bool, stderr io.Writer) (recovery.Report, error) {
	say := teller(stderr)
	return ask(ctx, path, dryRun, say, func(ctx context.Context, dir string) (recovery.Report, error) {
		return recovery.Ask(ctx, dir, dryRun)
	}, func(j *recovery.Janitor) (recovery.Report, error) {
		return j.Pass(ctx, dryRun, func(b recovery.BackendReport) {
			if b.Reachable {
				say("%s: looked at, %d prepared", b.Name, len(b.Branches))
			} else {
				say("%s: %s", b.Name, b.Error)
			}
		}), nil
	})
}

// teller returns what shows progress, on a terminal.
func teller(stderr io.Writer) func(string, ...any) {
	if !isTerminal(stderr) {
		return func(string, ...any) {}
	}
	return func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }
}

// ask asks the running proxy, and where there is none recovery with the store of decisions opened here; only to be read if inspect is set.
func ask[T any](ctx context.Context, path string, inspect bool, say func(string, ...any),
	running func(context.Context, string) (T, error), here func(*recovery.Janitor) (T, error),
) (answer T, err error) {
	cfg, err := config.Load(path)
	if err != nil {
		return answer, err
	}
	askCtx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	say("asking the running xaproxy")
	answer, asked := running(askCtx, cfg.Decision.Dir)
	if !unanswered(asked) {
		return answer, asked
	}
	say("%v: looking from here", asked)
	answer, err = offline(cfg, inspect, here)
	if errors.Is(err, decision.ErrLocked) {
		return answer, fmt.Errorf("%w, which does not answer: %w", err, asked)
	}
	return answer, err
}

// offline gives a use of recovery with the store of decisions opened here.
func offline[T any](cfg *config.Config, inspect bool, use func(*recovery.Janitor) (T, error)) (answer T, err error) {
	var servers []recovery.Server
	var admins []*backend.Admin
	for _, c := range cfg.Backends {
		admin, err := backend.NewAdmin(c)
		if err != nil {
			return answer, err
		}
		defer closing(&err, admin)
		servers, admins = append(servers, admin), append(admins, admin)
	}
	s, err := openStore(cfg, admins, zerolog.Nop(), inspect, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return answer, fmt.Errorf("%w; without a decision log no branch can be told to be ours", err)
	} else if err != nil {
		return answer, err
	}
	defer closing(&err, s)
	return use(recovery.New(recovery.Options{
		Servers: servers, Decisions: s.decisions, InFlight: recovery.Idle{},
		Interval: cfg.Decision.RecoveryInterval.Std(), Timeout: adminTimeout, Logger: zerolog.Nop(),
	}))
}

func writeReport(w io.Writer, r recovery.Report, asJSON bool) error {
	if asJSON {
		return writeJSON(w, r)
	}
	return r.WriteText(w)
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
