package config

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// Parse never panics; it returns either a Config or mistakes that are inside the text and sorted; and what it accepts,
// the full TOML decoder accepts too.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(regexp.MustCompile(`(?m)^(#.*)?\n`).ReplaceAll(example, nil)) // comments only slow the fuzzer down
	f.Add([]byte(minimal))
	f.Add([]byte("[[tables]]\nbackends = [\n\"a\",\n\"b\"\ncolumn = 1\n[x\n"))
	f.Add([]byte("a.b = 1\n[a]\n[a.b]\n[[a.b]]\n[[a]]\n[a.c]\nd = {e = {f = []}, e.g = 1}\n"))
	f.Add([]byte("[server]\nlisten = '''\n\n'''\nlog_level = \"\"\"\\\n   \"\"\"\n\"\" = 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("c.toml", text)
		if err == nil {
			var all map[string]any
			if err := toml.Unmarshal(text, &all); err != nil {
				t.Fatalf("accepted %q, which is no TOML: %v", text, err)
			}
			if c.BackendIndex(c.Backends[0].Name) != 0 {
				t.Fatal("the first backend cannot be found")
			}
			return
		}
		mistakes := AsMistakes(err)
		if c != nil || len(mistakes) == 0 {
			t.Fatalf("got %v and error %v, want mistakes alone", c, err)
		}
		lines := strings.Split(string(text), "\n")
		for i, m := range mistakes {
			if m.Line < 1 || m.Line > len(lines) || m.Column < 1 || m.Column > len(lines[m.Line-1])+1 {
				t.Fatalf("%v is outside of the text", m)
			}
			if i > 0 && (m.Line < mistakes[i-1].Line || m.Line == mistakes[i-1].Line && m.Column < mistakes[i-1].Column) {
				t.Fatalf("%v comes before %v", mistakes[i-1], m)
			}
			if m.Text == "" || strings.ContainsAny(m.Key+m.Text, "\n\r") {
				t.Fatalf("%q is not one line", m.String())
			}
		}
	})
}
