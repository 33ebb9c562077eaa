package dialect

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

const document = "../../../docs/postgres.md"

// TestFunctionsAreDocumented holds the table of functions against its copy in docs/postgres.md, which -rewrite writes.
func TestFunctionsAreDocumented(t *testing.T) {
	const begin, end = "<!-- functions -->\n", "<!-- end of functions -->\n"
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the functions", document)
	}
	want := before + begin + functionTable() + end + after
	if want == string(text) {
		return
	}
	if flag.Lookup("rewrite").Value.String() != "true" {
		t.Fatalf("the table of functions in %s is another one: run with -rewrite", document)
	}
	if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// functionTable writes the functions, those of one name and one text together.
func functionTable() string {
	escape := strings.NewReplacer("|", `\|`)
	var lines []string
	for _, f := range functions {
		text := "by its arguments' types"
		if f.special == nil {
			text = "`" + escape.Replace(f.text) + "`"
		}
		arguments := make([]string, 0, len(f.args))
		for _, letter := range strings.TrimSuffix(f.args, "*") {
			arguments = append(arguments, argumentNames[letter])
		}
		if strings.HasSuffix(f.args, "*") {
			arguments = append(arguments, "…")
		}
		lines = append(lines, fmt.Sprintf("| `%s` | %s | %s | %s |\n", f.name, strings.Join(arguments, ", "), text, f.note))
	}
	slices.Sort(lines)
	return "| MySQL | arguments | PostgreSQL | |\n|---|---|---|---|\n" + strings.Join(lines, "")
}

var argumentNames = map[rune]string{
	's': "string", 'n': "number", 'i': "integer", 'x': "DOUBLE", 'e': "exact number", 'b': "binary string", 'y': "bytes of a string", 'd': "DATE", 'm': "DATETIME",
	't': "TIME", 'c': "time of day", 'j': "JSON", 'a': "any",
}

// TestFunctionsAreOnce shows that no form of a function hides another.
func TestFunctionsAreOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range functions {
		key := fmt.Sprint(f.name, len(f.args), f.special != nil)
		if seen[key] {
			t.Errorf("%s is in the table twice with as many arguments", f.name)
		}
		seen[key] = true
	}
}
