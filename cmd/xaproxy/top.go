package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/xaproxy/xaproxy/admin"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/recovery"
)

// topCommand is "xaproxy top".
func topCommand() *cobra.Command {
	var path, view string
	var every time.Duration
	var once bool
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch the running xaproxy on the terminal",
		Long: "Shows what xaproxy is doing, anew each second, as its control socket tells. The tables are those of docs/schema.md.\n\n" +
			topKeys() + "\nWithout a terminal, or with --once, it is written once.\n" +
			"Exit status 0: it was shown; 2: none is running, or it does not answer.",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path)
			if err != nil {
				return &exitError{code: exitNotRunning, err: err}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			t := &top{dir: cfg.Decision.Dir, every: max(every, 100*time.Millisecond), view: &topViews[0]}
			t.press((view + "\x00")[0])
			if once || !isTerminal(cmd.OutOrStdout()) {
				text, err := t.frame(ctx, 0, 0)
				if err != nil {
					return &exitError{code: exitNotRunning, err: err}
				}
				_, err = io.WriteString(cmd.OutOrStdout(), text)
				return err
			}
			if err := t.run(ctx, os.Stdin, os.Stdout); err != nil {
				return &exitError{code: exitNotRunning, err: err}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "config.toml", "configuration file")
	cmd.Flags().StringVar(&view, "view", "s", "the key of the table to begin with")
	cmd.Flags().DurationVar(&every, "every", time.Second, "how often")
	cmd.Flags().BoolVar(&once, "once", false, "write it once, without a terminal's controls")
	return cmd
}

// top is what the terminal shows.
type top struct {
	dir    string // of the decision log, which names the control socket
	every  time.Duration
	view   *topView
	paused bool
}

// run shows frames until somebody has enough of it.
func (t *top) run(ctx context.Context, in, out *os.File) error {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("read keys: %w (try --once)", err)
	}
	const clear, alternate, normal = "\x1b[H\x1b[J", "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
	fmt.Fprint(out, alternate)
	defer func() {
		fmt.Fprint(out, normal)
		_ = term.Restore(int(in.Fd()), before) // there is nobody else to tell
	}()
	keys := make(chan byte)
	go func() { // it waits for a key until the process ends
		defer close(keys)
		for b := make([]byte, 1); ; {
			if _, err := in.Read(b); err != nil {
				return
			}
			keys <- b[0]
		}
	}()
	for {
		if !t.paused {
			width, height, err := term.GetSize(int(out.Fd()))
			if err != nil {
				width, height = screenWidth, 24
			}
			text, err := t.frame(ctx, width, height)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			fmt.Fprint(out, clear, text)
		}
		timer := time.NewTimer(t.every)
		select {
		case key, ok := <-keys:
			if timer.Stop(); !ok || t.press(key) {
				return nil
			}
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// press does what a key stands for, and reports whether that is the end.
func (t *top) press(key byte) bool {
	const interrupt = 3 // Ctrl-C
	switch key {
	case 'q', interrupt:
		return true
	case ' ':
		t.paused = !t.paused
		return false
	}
	for i := range topViews {
		if topViews[i].key == key {
			t.view, t.paused = &topViews[i], false
		}
	}
	return false
}

// frame asks the proxy and writes what it says, for a terminal of this size; 0: of any size.
func (t *top) frame(ctx context.Context, width, height int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	status, err := recovery.AskStatus(ctx, t.dir)
	if errors.Is(err, recovery.ErrNotRunning) {
		return "", fmt.Errorf("%w for the decision log in %s", err, t.dir)
	} else if err != nil {
		return "", err
	}
	var tables []admin.Table
	for _, name := range []string{"backends", "pools", "transactions", t.view.table} {
		var table admin.Table
		if err := recovery.AskJSON(ctx, t.dir, "/live/"+name, &table); err != nil {
			return "", err
		}
		tables = append(tables, table)
	}
	return cut(topFrame(status, tables, t.view, time.Now()), width, height), nil
}
