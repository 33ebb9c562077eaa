package oracle

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// statement is a statement to compare.
type statement struct {
	sql     string
	ordered bool // the order of its rows is certain
	equals  bool // it folds strings that are equal in their collation, any of which may stand for them
	note    func(kind servers.Kind, o outcome)
}

func (c *statement) reads() bool {
	switch word, _, _ := strings.Cut(strings.TrimLeft(c.sql, "( "), " "); strings.ToUpper(word) {
	case "WITH":
		return !strings.Contains(c.sql, ") DELETE ") && !strings.Contains(c.sql, ") UPDATE ")
	case "SELECT", "TABLE", "VALUES", "SHOW", "DESCRIBE", "EXPLAIN":
		return true
	}
	return false
}

// file is a story of statements.
type file struct {
	title, text string
	statements  []statement
	outcomes    []map[servers.Kind]outcome // by statement
}

var stories []*file

// files reads testdata: in each file a title behind "# ", text behind it, and statements with empty lines between them. A
// statement behind "= " has a certain order of its rows.
func files(t *testing.T) []*file {
	t.Helper()
	if stories != nil {
		return stories
	}
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no statements", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f := &file{}
		for _, part := range strings.Split(strings.TrimSpace(string(data)), "\n\n") {
			if title, ok := strings.CutPrefix(part, "# "); ok {
				f.title, f.text, _ = strings.Cut(title, "\n")
				continue
			}
			sql, ordered := strings.CutPrefix(part, "= ")
			i := len(f.outcomes)
			f.outcomes = append(f.outcomes, map[servers.Kind]outcome{})
			f.statements = append(f.statements, statement{sql: sql, ordered: ordered, note: func(kind servers.Kind, o outcome) { f.outcomes[i][kind] = o }})
		}
		stories = append(stories, f)
	}
	return stories
}

// numbers are what a reason says of one statement only.
var (
	position = regexp.MustCompile(` \(at position \d+\)`)
	naming   = regexp.MustCompile(`(table|function|near|column) ('[^']*'|[\w.]+)`)
)

// reason is a refusal without what it says of one statement only.
func reason(message string) string {
	message, _, _ = strings.Cut(message, "; ")
	message = position.ReplaceAllString(message, "")
	return naming.ReplaceAllString(message, "$1 …")
}

const page = "../../docs/sql-support.md"

// document compares docs/sql-support.md with the outcomes, or writes it.
func document(t *testing.T) {
	t.Helper()
	var b strings.Builder
	total, exact := 0, 0
	for _, f := range stories {
		for _, o := range f.outcomes {
			total++
			if refusedBy(o) == "" {
				exact++
			}
		}
	}
	fmt.Fprintf(&b, "# What of SQL runs over several shards\n\nMade by `go test ./tests/oracle -rewrite`, which runs each statement over three shards and on one server that holds all the data, on\n"+
		"MariaDB and on MySQL. *Exact*: rows, column definitions, counts and errors are those of the one server. Statements on tables of one\nbackend are not here: they are that server's.\n\n"+
		"%d statements: %d exact, %d refused.\n", total, exact, total-exact)
	for _, f := range stories {
		fmt.Fprintf(&b, "\n## %s\n", f.title)
		if f.text != "" {
			fmt.Fprintf(&b, "\n%s\n", f.text)
		}
		fmt.Fprintf(&b, "\n| statement | |\n|---|---|\n")
		for i, c := range f.statements {
			what := "exact"
			if why := refusedBy(f.outcomes[i]); why != "" {
				what = "refused: " + why
			}
			cell := strings.NewReplacer("|", `\|`, "\n", " ").Replace(c.sql)
			fmt.Fprintf(&b, "| `%s` | %s |\n", cell, strings.ReplaceAll(what, "|", `\|`))
		}
	}
	if *rewrite {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Errorf("docs/sql-support.md is not what came out (go test ./tests/oracle -run Statements -rewrite writes it)")
	}
}

// refusedBy says why a statement is refused, "" if it is not on any kind of server.
func refusedBy(o map[servers.Kind]outcome) string {
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		if o[kind].refused != "" {
			return o[kind].refused
		}
	}
	return ""
}
