package xa_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/xaproxy/xaproxy/xa"
)

// TestStories plays the scripts in testdata against Step. Each file is one story; a line is an event, the text below it
// what the transaction becomes and what is to be done. Commands:
//
//	begin b1=writes b2=reads [record-one-phase]
//	commit | rollback | late
//	lost b1                      the connection broke under a statement
//	reply b1 ok|refused|lost
//	log ok|refused|lost
//
// -rewrite writes what Step does now into the files. A diff that it makes changes the protocol: it may be committed
// only together with the row of docs/protocol.md that it changes.
func TestStories(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt") // not below it, where the fuzzer keeps its finds
	if err != nil || len(paths) == 0 {
		t.Fatalf("stories %v: %v", paths, err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			var current xa.Txn
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
				if d.Cmd == "begin" {
					current = beginStory(t, d)
					return show(current) + "\n"
				}
				var out strings.Builder
				if p := tell(&out, &current, storyEvent(t, d)); p != nil {
					return fmt.Sprintf("panic: %v\n", p)
				}
				return out.String()
			})
		})
	}
}

// tell applies e and writes what came of it; it returns what Step panicked with.
func tell(out *strings.Builder, t *xa.Txn, e xa.Event) (panicked any) {
	defer func() { panicked = recover() }()
	next, actions := t.Step(e)
	*t = next
	fmt.Fprintln(out, show(next))
	for _, a := range actions {
		fmt.Fprintf(out, "  %s\n", showAction(a))
	}
	return nil
}

func beginStory(t *testing.T, d *datadriven.TestData) xa.Txn {
	var begun xa.Txn
	for _, a := range d.CmdArgs {
		switch {
		case a.Key == "record-one-phase":
			begun.RecordOnePhase = true
		case len(a.Vals) == 1 && a.Key == fmt.Sprintf("b%d", len(begun.Branches)+1) && (a.Vals[0] == "writes" || a.Vals[0] == "reads"):
			begun.Branches = append(begun.Branches, xa.Branch{Wrote: a.Vals[0] == "writes"})
		default:
			d.Fatalf(t, "begin: %s", a)
		}
	}
	return begun
}

func storyEvent(t *testing.T, d *datadriven.TestData) xa.Event {
	results := map[string]xa.Result{"ok": xa.OK, "refused": xa.Refused, "lost": xa.Lost}
	arg := func(i int) string {
		if i >= len(d.CmdArgs) {
			d.Fatalf(t, "%s: too few arguments", d.Cmd)
		}
		return d.CmdArgs[i].Key
	}
	result := func(i int) xa.Result {
		r, ok := results[arg(i)]
		if !ok {
			d.Fatalf(t, "%s: unknown result %s", d.Cmd, arg(i))
		}
		return r
	}
	branch := func(i int) int {
		var n int
		if _, err := fmt.Sscanf(arg(i), "b%d", &n); err != nil {
			d.Fatalf(t, "%s: branch %s: %v", d.Cmd, arg(i), err)
		}
		return n
	}
	switch d.Cmd {
	case "commit":
		return commitAsked
	case "rollback":
		return rollbackAsked
	case "late":
		return late
	case "lost":
		return lost(branch(0))
	case "reply":
		return reply(branch(0), result(1))
	case "log":
		return logged(result(0))
	}
	d.Fatalf(t, "unknown command %s", d.Cmd)
	return xa.Event{}
}
