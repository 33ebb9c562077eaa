package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTestsInDocs: the documents name no test that is not there. docs/compatibility.md names those of others.
func TestTestsInDocs(t *testing.T) {
	declared := regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(`)
	named := regexp.MustCompile("`(Test[A-Za-z0-9_]+)(…?)`")
	have := make(map[string]bool)
	var pages []string
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(path, "_test.go"):
			text, err := os.ReadFile(path)
			for _, m := range declared.FindAllSubmatch(text, -1) {
				have[string(m[1])] = true
			}
			return err
		case strings.HasSuffix(path, ".md") && filepath.Base(path) != "compatibility.md":
			pages = append(pages, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	there := func(name string, begins bool) bool {
		for test := range have {
			if test == name || begins && strings.HasPrefix(test, name) {
				return true
			}
		}
		return false
	}
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllSubmatch(text, -1) {
			found++
			if name := string(m[1]); !there(name, len(m[2]) > 0) {
				t.Errorf("%s names %s, which is not there", page, name)
			}
		}
	}
	if found == 0 {
		t.Error("no document names a test")
	}
}
