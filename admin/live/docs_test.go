package live

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the tables of docs/schema.md anew")

// The tables of the documentation are made from the columns and their comments. Commit what -rewrite changes.
func TestDocs(t *testing.T) {
	const path, mark = "../../docs/schema.md", "<!-- The tables below are written by: go test ./admin/live -rewrite -->\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := strings.Cut(string(text), mark)
	if !found {
		t.Fatalf("%s has no line %q", path, mark)
	}
	var b strings.Builder
	b.WriteString(head + mark)
	for _, v := range Views {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n| column | type | what it is |\n|---|---|---|\n", v.Name, v.About)
		for _, c := range v.Columns {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Name, typeNames[c.Type], strings.ReplaceAll(c.About, "|", "\\|"))
		}
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if b.String() != string(text) {
		t.Errorf("%s is not what the columns say: go test ./admin/live -rewrite", path)
	}
}

var typeNames = map[Type]string{Text: "text", Integer: "integer", Natural: "integer", Real: "real", Truth: "0 or 1", Moment: "time, in UTC"}
