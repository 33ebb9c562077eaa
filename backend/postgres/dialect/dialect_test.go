package dialect_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
)

// Flags of datadriven: -rewrite writes the files again. A difference may be committed when the new text was run on PostgreSQL and its
// answer compared with MySQL's, which tests/dialect does with the same files.
var _ = flag.Lookup("rewrite")

// TestGolden translates the statements of testdata.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			o := dialect.Options{Schema: "shop"}
			for _, arg := range d.CmdArgs {
				switch arg.Key {
				case "ansi":
					o.ANSIQuotes = true
				case "nobackslash":
					o.NoBackslashEscapes = true
				case "pipes":
					o.PipesAsConcat = true
				case "found":
					o.FoundRows = true
				}
			}
			var b strings.Builder
			for _, line := range strings.Split(d.Input, "\n") {
				if strings.TrimSpace(line) != "" {
					b.WriteString(show(line, o))
				}
			}
			return b.String()
		})
	})
}

// show writes a translation down.
func show(sql string, o dialect.Options) string {
	s, err := dialect.Translate(sql, o)
	if err != nil {
		e := err.(*dialect.Error)
		return fmt.Sprintf("%d (%s) %s\n", e.Errno, e.State, e)
	}
	var b strings.Builder
	for _, step := range s.Steps {
		fmt.Fprintf(&b, "%s: %s\n", step.Kind, step.Text)
		for i, p := range step.Params {
			fmt.Fprintf(&b, "  $%d: ?%d as %s, %s\n", i+1, p.From+1, p.Cast, p.Class)
		}
		for _, c := range step.Columns {
			fmt.Fprintf(&b, "  %q %s", c.Name, c.Type)
			if c.OrgName != "" {
				fmt.Fprintf(&b, " of %s.%s.%s", c.Schema, c.OrgTable, c.OrgName)
			}
			b.WriteByte('\n')
		}
		if step.InsertID >= 0 {
			fmt.Fprintf(&b, "  insert id: column %d\n", step.InsertID)
		}
		if step.Affected >= 0 {
			fmt.Fprintf(&b, "  affected: sum of column %d\n", step.Affected)
		}
		if step.Use != "" {
			fmt.Fprintf(&b, "  use: %s\n", step.Use)
		}
	}
	return b.String()
}
