package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/xaproxy/xaproxy/recovery"
)

// unanswered reports whether the error says that no proxy has answered, as against an answer that is an error.
func unanswered(err error) bool {
	var refused *recovery.RefusedError
	return err != nil && !errors.As(err, &refused)
}

// recoverListCommand is "xaproxy recover list".
func recoverListCommand() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show what is prepared on the backends, and what recovery would do; change nothing",
		Long:  "As xaproxy recover --dry-run, but the exit status is 0 if everything could be looked at, and 2 otherwise.",
		Args:  cobra.NoArgs,
	}
	return recoverySays(cmd, &path, &asJSON, func(ctx context.Context, _ []string) error {
		report, err := recoverOnce(ctx, path, true, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		if err := writeReport(cmd.OutOrStdout(), report, asJSON); err != nil {
			return err
		}
		if report.Unreachable > 0 {
			return &exitError{code: exitUnseen}
		}
		return nil
	})
}

// recoverExplainCommand is "xaproxy recover explain".
func recoverExplainCommand() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain <gtrid>",
		Short: "Show all that is known of one transaction; change nothing",
		Long: "Shows what the store of decisions has recorded of it, in the words of docs/protocol.md and with times, which of its branches are\n" +
			"prepared, and what recovery would do with them and why. Times are those of the machines that wrote them, in UTC.",
		Args: cobra.ExactArgs(1),
	}
	return recoverySays(cmd, &path, &asJSON, func(ctx context.Context, args []string) error {
		e, err := ask(ctx, path, true, teller(cmd.ErrOrStderr()), func(ctx context.Context, dir string) (recovery.Explanation, error) {
			return recovery.AskExplain(ctx, dir, args[0])
		}, func(j *recovery.Janitor) (recovery.Explanation, error) { return j.Explain(ctx, args[0]) })
		switch {
		case err != nil:
			return err
		case asJSON:
			return writeJSON(cmd.OutOrStdout(), e)
		}
		return e.WriteText(cmd.OutOrStdout())
	})
}

// recoverResolveCommand is "xaproxy recover resolve".
func recoverResolveCommand() *cobra.Command {
	var path string
	var asJSON, commit, rollback, force, yes bool
	cmd := &cobra.Command{
		Use:   "resolve <gtrid> --commit|--rollback --force",
		Short: "Commit or roll back by hand what is prepared of one transaction, without its decision",
		Long: "For transactions whose decision is lost: with the disk of a decision log, or with a decider that is gone for good. What is decided\n" +
			"otherwise, or running, is refused; what xaproxy has not made is never touched. Other branches of the transaction may have ended\n" +
			"otherwise: look at them first. What was done is written into the store of decisions, with your name, and is kept for ever.\n" +
			"Exit status 0: every branch that was found is finished; 1: one is not; 2: a backend could not be looked at.",
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&commit, "commit", false, "commit the branches")
	cmd.Flags().BoolVar(&rollback, "rollback", false, "roll the branches back")
	cmd.Flags().BoolVar(&force, "force", false, "required: you know that nobody can undo this")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask on the terminal")
	return recoverySays(cmd, &path, &asJSON, func(ctx context.Context, args []string) error {
		verdict := recovery.Rollback
		switch {
		case commit == rollback:
			return errors.New("write either --commit or --rollback")
		case !force:
			return fmt.Errorf("this acts without a decision, and nobody can undo it: look with xaproxy recover explain %s, and add --force", args[0])
		case commit:
			verdict = recovery.Commit
		}
		if !yes && !confirmed(cmd.InOrStdin(), cmd.ErrOrStderr(), fmt.Sprintf("%s every prepared branch of %s? Type the last part of its name: ", verdict, args[0]), args[0]) {
			return errors.New("not confirmed: nothing was done (--yes does not ask)")
		}
		by := whoami()
		r, err := ask(ctx, path, false, teller(cmd.ErrOrStderr()), func(ctx context.Context, dir string) (recovery.Resolution, error) {
			return recovery.AskResolve(ctx, dir, args[0], verdict, by)
		}, func(j *recovery.Janitor) (recovery.Resolution, error) { return j.Resolve(ctx, args[0], verdict, by) })
		if err != nil {
			return err
		}
		if asJSON {
			err = writeJSON(cmd.OutOrStdout(), r)
		} else {
			err = r.WriteText(cmd.OutOrStdout())
		}
		switch {
		case err != nil:
			return err
		case len(r.Unseen) > 0:
			return &exitError{code: exitUnseen}
		case !r.Done():
			return &exitError{code: exitLeft}
		}
		return nil
	})
}

// confirmed has a person type the last part of a name.
func confirmed(in io.Reader, out io.Writer, question, gtrid string) bool {
	fmt.Fprint(out, question)
	line, err := bufio.NewReader(in).ReadString('\n')
	return err == nil && strings.TrimSpace(line) == gtrid[strings.LastIndexByte(gtrid, '.')+1:]
}

// whoami is the person at the keyboard, for the record.
func whoami() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if by := os.Getenv("SUDO_USER"); by != "" {
		name = by + " as " + name
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + " on " + host
}

// recoverySays gives recover, or a subcommand of it, the common flags; an error without a status of its own means that it could not look.
func recoverySays(cmd *cobra.Command, path *string, asJSON *bool, run func(context.Context, []string) error) *cobra.Command {
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.Flags().StringVarP(path, "config", "c", "config.toml", "configuration file")
	cmd.Flags().BoolVar(asJSON, "json", false, "write the answer as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		err := run(ctx, args)
		var exit *exitError
		if err != nil && !errors.As(err, &exit) {
			return &exitError{code: exitUnseen, err: err}
		}
		return err
	}
	return cmd
}
