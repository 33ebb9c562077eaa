package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/doctor"
)

// doctorCommand is "xaproxy doctor".
func doctorCommand() *cobra.Command {
	var path string
	var fix, asJSON bool
	var rows int
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether the backends are as the configuration says",
		Long: "Connects to every backend and looks at its settings and privileges, at schemas, tables and their definitions, and at unfinished\n" +
			"DDL, with or without a running proxy. Changes nothing without --fix.\n" +
			"Exit status 0: nothing is wrong, but there may be warnings; 1: something is; 2: something could not be looked at.",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			found, err := examine(ctx, path, doctor.Options{Fix: fix, Rows: rows, Timeout: adminTimeout})
			if err != nil {
				return &exitError{code: exitUnseen, err: err}
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), found)
			} else {
				err = writeFindings(cmd.OutOrStdout(), found)
			}
			is := func(l doctor.Level) bool {
				return slices.ContainsFunc(found, func(f doctor.Finding) bool { return f.Level == l })
			}
			switch {
			case err != nil:
				return fmt.Errorf("write findings: %w", err)
			case is(doctor.Unseen):
				return &exitError{code: exitUnseen}
			case is(doctor.Error):
				return &exitError{code: exitFailure}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "config.toml", "configuration file")
	cmd.Flags().BoolVar(&fix, "fix", false, "make tables of xaproxy's own that are missing")
	cmd.Flags().IntVar(&rows, "rows", 0, "of each sharded table on each backend, look at so many rows, whether they belong there; of each broadcast table, whether they are the same")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the findings as JSON")
	return cmd
}

func examine(ctx context.Context, path string, o doctor.Options) ([]doctor.Finding, error) {
	var err error
	if o.Config, err = config.Load(path); err != nil {
		return nil, err
	}
	if o.Backends, err = openBackends(o.Config); err != nil {
		return nil, err
	}
	return doctor.Examine(ctx, o)
}

// writeFindings writes findings for people, a line for each.
func writeFindings(w io.Writer, found []doctor.Finding) error {
	for _, f := range found {
		if _, err := fmt.Fprintf(w, "%-8s %s: %s\n", f.Level, f.About, f.Text); err != nil {
			return err
		}
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(w, "everything is as the configuration says")
		return err
	}
	return nil
}
