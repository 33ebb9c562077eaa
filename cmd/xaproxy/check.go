package main

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/router"
)

// checkCommand is "xaproxy check": it reads the configuration as serve would and reports every mistake in it. It opens no
// connections and changes nothing.
func checkCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Report every mistake in the configuration file",
		Long: "Reads the configuration file as serve would, with its password and TLS files, and writes every mistake to standard\n" +
			"error as file:line:column: key: text. Opens no connections. Exit status 0: no mistakes; 1: mistakes, or no such file.",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return check(path, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "config.toml", "configuration file")
	return cmd
}

// check writes the summary of a good file to stdout, or the mistakes of a bad one and their count to stderr.
func check(path string, stdout, stderr io.Writer) error {
	cfg, err := config.Load(path)
	mistakes := config.AsMistakes(err)
	switch {
	case mistakes != nil:
		noun := "mistakes"
		if len(mistakes) == 1 {
			noun = "mistake"
		}
		if _, err := fmt.Fprintf(stderr, "%v\n%d %s in %s\n", mistakes, len(mistakes), noun, path); err != nil {
			return fmt.Errorf("write mistakes: %w", err)
		}
		return &exitError{code: exitFailure}
	case err != nil:
		return err
	}
	if _, err := router.New(cfg); err != nil {
		return err
	}
	if _, err := io.WriteString(stdout, summary(path, cfg)); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

// summary says in a few lines what the configuration amounts to.
func summary(path string, cfg *config.Config) string {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s%s\n", label, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "%s is fine\n", path)
	line("listen", "%s", cfg.Server.Listen)
	line("decisions", "%s %s", cfg.Decision.Store, cfg.Decision.Dir)
	for _, u := range cfg.Users {
		schemas := "all schemas"
		if len(u.Schemas) > 0 {
			schemas = strings.Join(u.Schemas, ", ")
		}
		line("user", "%s: %s", u.Name, schemas)
	}
	for i := range cfg.Backends {
		backend := &cfg.Backends[i]
		line("backend", "%s: %s at %s", backend.Name, backend.Kind, address(backend))
	}
	for _, s := range cfg.Schemas {
		line("schema", "%s: %s", s.Name, s.Backend)
	}
	for i := range cfg.Tables {
		t := &cfg.Tables[i]
		if t.Sharded() {
			m := t.Map(cfg)
			var on []string
			for _, s := range m.Shards {
				if !slices.Contains(on, s.Backend) {
					on = append(on, s.Backend)
				}
			}
			line("table", "%s.%s: %s(%s) over %s", t.Schema, t.Name, m.Function, strings.Join(t.Key(), ", "), strings.Join(on, ", "))
			continue
		}
		if t.Broadcast {
			line("table", "%s.%s: whole on %s", t.Schema, t.Name, strings.Join(t.Copies(cfg), ", "))
			continue
		}
		line("table", "%s.%s: %s", t.Schema, t.Name, t.Backend)
	}
	return b.String()
}

func address(b *config.Backend) string {
	if b.Socket != "" {
		return b.Socket
	}
	return net.JoinHostPort(b.Host, strconv.Itoa(b.Port))
}
