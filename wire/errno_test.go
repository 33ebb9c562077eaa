package wire

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// TestErrnoTable compares the table with its golden file. The numbers and states are part of what clients rely on: a
// difference may be committed for a new error; an old one changes only with a note in the change log.
func TestErrnoTable(t *testing.T) {
	var b strings.Builder
	names, numbers := map[string]bool{}, map[uint16]bool{}
	for i := range errnos {
		c := Code(i)
		if names[c.String()] || numbers[c.Errno()] {
			t.Errorf("%s %d is in the table twice", c, c.Errno())
		}
		names[c.String()], numbers[c.Errno()] = true, true
		if len(c.State()) != 5 || c.Errno() == 0 || c.String() == "" {
			t.Errorf("entry %d is incomplete: %q %d %q", i, c, c.Errno(), c.State())
		}
		retriable := ""
		if c.Retriable() {
			retriable = " retriable"
		}
		fmt.Fprintf(&b, "%5d %s %s%s\n", c.Errno(), c.State(), c, retriable)
	}
	const golden = "testdata/errno.golden"
	if *rewrite {
		if err := os.WriteFile(golden, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the table differs from %s (go test -rewrite writes it):\n%s", golden, b.String())
	}
}

func TestNewError(t *testing.T) {
	e := NewError(CodeInDoubt, "outcome of %s unknown", "x")
	if e.Error() != "20041 (08007): outcome of x unknown" {
		t.Error(e)
	}
}

// docs/troubleshooting.md explains every error that xaproxy itself sends, with its SQLSTATE and whether to try again.
func TestTroubleshooting(t *testing.T) {
	text, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	again := make(map[string]string) // by number and state
	numbers := regexp.MustCompile(`\d{4,}`)
	states := regexp.MustCompile(`\(([^()]*)\)`)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !numbers.MatchString(cells[1]) || strings.Contains(cells[1], "warning") {
			continue
		}
		var all, of []string
		for _, part := range states.Split(cells[1], -1) {
			all = append(all, numbers.FindAllString(part, -1)...)
		}
		for _, m := range states.FindAllStringSubmatch(cells[1], -1) {
			of = append(of, strings.Split(m[1], ", ")...)
		}
		if len(all) != len(of) {
			t.Errorf("%d numbers and %d states in %q", len(all), len(of), cells[1])
			continue
		}
		for i := range all {
			again[all[i]+" "+of[i]] = strings.TrimSpace(cells[2])
		}
	}
	for _, e := range errnos {
		key := fmt.Sprintf("%d %s", e.errno, e.state)
		if want := map[bool]string{true: "yes", false: "no"}[e.retriable]; again[key] != want {
			t.Errorf("%s (%s): again %q, want %q", e.name, key, again[key], want)
		}
		delete(again, key)
	}
	for key := range again {
		t.Errorf("%s is explained and never sent", key)
	}
}
