package xa_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const protocolPage = "../docs/protocol.md"

// TestTableRows keeps docs/protocol.md true: the rows of its table, those that the comments of txn.go name, and those
// that have a test are the same.
func TestTableRows(t *testing.T) {
	// X or K and a digit is an invariant.
	table := matches(t, protocolPage, `(?m)^\| ([A-JL-WYZ]\d) \| .*\|$`)
	if len(table) == 0 || len(table) != len(unique(table)) {
		t.Errorf("rows of the table: %v, want some, each once", table)
	}
	table = unique(table)
	rows := regexp.MustCompile(`\b[A-JL-WYZ]\d\b`)
	var code []string
	for _, c := range comments(t, "txn.go") {
		code = append(code, rows.FindAllString(c, -1)...)
	}
	if code = unique(code); !slices.Equal(code, table) {
		t.Errorf("the comments of txn.go name the rows\n%v, the table has\n%v", code, table)
	}
	if tests := unique(matches(t, "rows_test.go", `(?m)^func TestRow([A-Z]\d)\(`)); !slices.Equal(tests, table) {
		t.Errorf("there are tests of the rows\n%v, the table has\n%v", tests, table)
	}
}

// TestInvariantsInDocs compares the wording of the invariants on the page and in the package comment.
func TestInvariantsInDocs(t *testing.T) {
	inComment := make(map[string]string)
	item := regexp.MustCompile(`^\t([XK]\d)  (.*)$`)
	for _, c := range comments(t, "doc.go") {
		name := ""
		for line := range strings.Lines(c) {
			line = strings.TrimRight(line, "\n")
			if m := item.FindStringSubmatch(line); m != nil {
				name = m[1]
				inComment[name] = m[2]
			} else if text, ok := strings.CutPrefix(line, "\t"); ok && name != "" {
				inComment[name] += " " + strings.TrimSpace(text)
			} else {
				name = ""
			}
		}
	}
	page := read(t, protocolPage)
	onPage := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^\| ([XK]\d) \| ([^|]*) \|$`).FindAllStringSubmatch(page, -1) {
		onPage[m[1]] = m[2]
	}
	for _, name := range []string{"X1", "X2", "X3", "X4", "X5", "X6", "X7", "X8", "K1", "K2", "K3", "K4"} {
		if inComment[name] == "" || inComment[name] != onPage[name] {
			t.Errorf("%s\nin doc.go: %q\non the page: %q", name, inComment[name], onPage[name])
		}
	}
}

// TestBugCountInDocs keeps the number of planted bugs on the page true.
func TestBugCountInDocs(t *testing.T) {
	if want := fmt.Sprintf("plants %d bugs,", len(mutants)); !strings.Contains(read(t, protocolPage), want) {
		t.Errorf("the page does not say %q", want)
	}
}

// comments returns the text of the comments of a file.
func comments(t *testing.T, name string) []string {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, group := range file.Comments {
		texts = append(texts, group.Text())
	}
	return texts
}

// matches returns the first group of every match of pattern in a file.
func matches(t *testing.T, name, pattern string) []string {
	var found []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(read(t, name), -1) {
		found = append(found, m[1])
	}
	return found
}

func read(t *testing.T, name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// unique returns the names sorted and each once.
func unique(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}
