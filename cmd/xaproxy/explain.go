package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/router"
)

// explainCommand is "xaproxy explain": what would become of a statement, by the configuration alone.
func explainCommand() *cobra.Command {
	var path, schema string
	cmd := &cobra.Command{
		Use:   "explain STATEMENT",
		Short: "Say which backends would get a statement, and why one is refused",
		Long: "Plans the statement as serve would and writes the plan to standard output: the shards, the text that each backend\n" +
			"gets, how their answers become one, how it is committed. Opens no connections; EXPLAIN XAPROXY says the same to\n" +
			"clients. Exit status 0: it is planned; 1: it would be refused, or the configuration has mistakes.",
		Args:          cobra.ExactArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.Load(path)
			if err != nil {
				return err
			}
			r, err := router.New(cfg)
			if err != nil {
				return err
			}
			lines, planned := r.Explain([]byte(args[0]), schema, 0)
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), strings.Join(lines, "\n")); err != nil {
				return fmt.Errorf("write the plan: %w", err)
			}
			if !planned {
				return &exitError{code: exitFailure}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "config.toml", "configuration file")
	cmd.Flags().StringVarP(&schema, "schema", "s", "", "current schema of the statement")
	return cmd
}
