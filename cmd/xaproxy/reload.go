package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/recovery"
)

// reloadCommand is "xaproxy reload".
func reloadCommand() *cobra.Command {
	var path string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Let the running xaproxy load its configuration again",
		Long: "Checks the file, asks the running xaproxy over its control socket to load it, and prints what has changed. Statements that begin afterwards\n" +
			"see all of it, open transactions end as they began, and no connection is lost. What cannot change while xaproxy runs is refused, and then nothing\n" +
			"has changed. Exit status 0: loaded, or with --dry-run it could be; 1: refused; 2: none is running, or it does not answer.",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			lines, err := askReload(cmd.Context(), path, dryRun)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), strings.Join(lines, "\n")); err != nil {
				return fmt.Errorf("write the changes: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "config.toml", "configuration file, the one that the running xaproxy was started with")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "change nothing, only say what would change")
	return cmd
}

func askReload(ctx context.Context, path string, dryRun bool) ([]string, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	lines, err := recovery.AskReload(ctx, cfg.Decision.Dir, path, dryRun)
	var refused *recovery.RefusedError
	switch {
	case err == nil || errors.As(err, &refused):
		return lines, err
	case errors.Is(err, recovery.ErrNotRunning):
		err = fmt.Errorf("%w for the decision log in %s, which cannot change while xaproxy runs: start it with xaproxy serve --config %s", err, cfg.Decision.Dir, path)
	}
	return nil, &exitError{code: exitNotRunning, err: err}
}
