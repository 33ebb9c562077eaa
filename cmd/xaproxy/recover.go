package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/signal"
	"syscall"
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
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			report, err := recoverOnce(ctx, path, dryRun, cmd.ErrOrStderr())
			if err != nil {
				return &exitError{code: exitUnseen, err: err}
			}
			if err := writeReport(cmd.OutOrStdout(), report, asJSON); err != nil {
				return &exitError{code: exitUnseen, err: fmt.Errorf("write report: %w", err)}
			}
			switch {
			case report.Unreachable > 0:
				return &exitError{code: exitUnseen}
			case !report.Clean():
				return &exitError{code: exitLeft}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "config.toml", "configuration file")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "change nothing, only report what would be done")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the report as JSON")
	return cmd
}

// recoverOnce has one forced pass done, by the running proxy if there is one.
func recoverOnce(ctx context.Context, path string, dryRun bool, stderr io.Writer) (recovery.Report, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return recovery.Report{}, err
	}
	say := func(string, ...any) {}
	if isTerminal(stderr) {
		say = func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }
	}
	askCtx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	say("asking the running xaproxy")
	report, asked := recovery.Ask(askCtx, cfg.Decision.Dir, dryRun)
	if asked == nil {
		return report, nil
	}
	say("%v: looking from here", asked)
	report, err = recoverOffline(ctx, cfg, dryRun, func(b recovery.BackendReport) {
		if b.Reachable {
			say("%s: looked at, %d prepared", b.Name, len(b.Branches))
		} else {
			say("%s: %s", b.Name, b.Error)
		}
	})
	if errors.Is(err, decision.ErrLocked) {
		return report, fmt.Errorf("%w, which does not answer: %w", err, asked)
	}
	return report, err
}

// recoverOffline does one pass with the store of decisions opened here.
func recoverOffline(ctx context.Context, cfg *config.Config, dryRun bool, progress func(recovery.BackendReport)) (r recovery.Report, err error) {
	var servers []recovery.Server
	var admins []*backend.Admin
	for _, c := range cfg.Backends {
		admin, err := backend.NewAdmin(c)
		if err != nil {
			return r, err
		}
		defer closing(&err, admin)
		servers, admins = append(servers, admin), append(admins, admin)
	}
	s, err := openStore(cfg, admins, zerolog.Nop(), dryRun)
	if errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("%w; without a decision log no branch can be told to be ours", err)
	} else if err != nil {
		return r, err
	}
	defer closing(&err, s)
	janitor := recovery.New(recovery.Options{
		Servers: servers, Decisions: s.decisions, InFlight: recovery.Idle{},
		Interval: cfg.Decision.RecoveryInterval.Std(), Timeout: adminTimeout, Logger: zerolog.Nop(),
	})
	return janitor.Pass(ctx, dryRun, progress), nil
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
