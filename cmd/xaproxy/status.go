package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/recovery"
)

// exitNotRunning is the status of "xaproxy status" when nobody answers.
const exitNotRunning = 2

// statusCommand is "xaproxy status".
func statusCommand() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:           "status",
		Short:         "Show how the running xaproxy and its backends are",
		Long:          "Asks the running xaproxy over its control socket. Exit status 0: it answered; 2: none is running, or it does not answer.",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := askStatus(cmd.Context(), path)
			if err != nil {
				return &exitError{code: exitNotRunning, err: err}
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), status)
			} else {
				err = writeStatus(cmd.OutOrStdout(), status, time.Now())
			}
			if err != nil {
				return fmt.Errorf("write status: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "config.toml", "configuration file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the status as JSON")
	return cmd
}

func askStatus(ctx context.Context, path string) (recovery.Status, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return recovery.Status{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	status, err := recovery.AskStatus(ctx, cfg.Decision.Dir)
	if errors.Is(err, recovery.ErrNotRunning) {
		return status, fmt.Errorf("%w for the decision log in %s: start it with xaproxy serve --config %s", err, cfg.Decision.Dir, path)
	}
	return status, err
}

// writeStatus writes the status for people; now is what ages are counted to.
func writeStatus(w io.Writer, s recovery.Status, now time.Time) error {
	uncounted := ""
	if len(s.Uncounted) > 0 {
		uncounted = " (not counted: " + strings.Join(s.Uncounted, ", ") + ")"
	}
	if _, err := fmt.Fprintf(w, "xaproxy %s, process %d, listening on %s, up %s\nlog %s epoch %d: %d in flight, %d unfinished, %d heuristic%s; %d clients\n\n",
		s.Version, s.PID, s.Listen, now.Sub(s.Started).Round(time.Second), s.Coord, s.Epoch, s.InFlight, s.Unfinished, s.Heuristics, uncounted, s.Sessions); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...any) { // errors come back from Flush
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, c)
		}
		fmt.Fprintln(t)
	}
	row("BACKEND", "KIND", "VERSION", "CONNECTIONS", "BUSY", "OURS", "OTHERS", "OLDEST", "STATE")
	for _, b := range s.Backends {
		state := "up"
		if !b.Reachable {
			state = b.Error
		}
		if b.Leaving {
			state = "leaving, " + state
		}
		row(b.Name, b.Kind, b.Version, b.Open, b.Busy, b.Ours, b.NotOurs, time.Duration(b.OldestAgeSeconds)*time.Second, state)
	}
	return t.Flush()
}
