package house

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/router"
)

// tomlBlocks returns the TOML examples of a page.
func tomlBlocks(page string) []string {
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(page, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// The configuration in the README is one that the program takes as it is.
func TestReadmeConfiguration(t *testing.T) {
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := tomlBlocks(string(page))
	if len(blocks) != 1 {
		t.Fatalf("the README has %d TOML examples, want 1", len(blocks))
	}
	c, err := config.Parse("README.md", []byte(blocks[0]))
	if err != nil {
		t.Fatalf("%v\n%s", err, blocks[0])
	}
	if len(c.Backends) != 2 || len(c.Tables) != 1 || !c.Tables[0].Sharded() {
		t.Errorf("the README promises two backends and a sharded table; its example has %d backends and %d tables", len(c.Backends), len(c.Tables))
	}
}

// pageLink is a link of Markdown to something in this repository.
var pageLink = regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)\s]*)?\)`)

// brokenLinks returns the targets of a page's links that do not exist; dir is the page's folder.
func brokenLinks(dir, page string) []string {
	var broken []string
	for _, m := range pageLink.FindAllStringSubmatch(page, -1) {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(m[1]))); err != nil {
			broken = append(broken, m[1])
		}
	}
	return broken
}

// Links between the pages, and from the pages to the source, lead somewhere.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(pages, "../../README.md", "../../CHANGELOG.md") {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range brokenLinks(filepath.Dir(path), string(page)) {
			t.Errorf("%s links to %s, which does not exist", path, target)
		}
	}
}

// The two tests above can fail.
func TestDocsChecksSeeFaults(t *testing.T) {
	if _, err := config.Parse("planted", []byte(tomlBlocks("x\n```toml\n[server]\nlisten = 5\n```\n")[0])); err == nil {
		t.Error("a wrong example was taken")
	}
	page := "[a](docs_test.go) [b](no-such-file.md#part) [c](https://example.com/x) [d](#part)"
	if got := strings.Join(brokenLinks(".", page), " "); got != "no-such-file.md" {
		t.Errorf("broken links are %q, want only no-such-file.md", got)
	}
}

// The configuration in docs/sharding.md is one that the program takes, with the backends and the user that it leaves out.
func TestShardingConfiguration(t *testing.T) {
	page, err := os.ReadFile("../../docs/sharding.md")
	if err != nil {
		t.Fatal(err)
	}
	text := "[[users]]\nname = \"app\"\npassword = \"\"\n"
	for i, name := range []string{"shop-1", "shop-2"} {
		text += fmt.Sprintf("[[backends]]\nname = %q\nkind = \"mysql\"\nhost = \"db%d\"\nuser = \"x\"\npassword = \"\"\n", name, i)
	}
	for _, block := range tomlBlocks(string(page)) {
		text += block
	}
	c, err := config.Parse("sharding.md", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(c.Tables) < 2 {
		t.Errorf("%d tables, want at least 2", len(c.Tables))
	}
}

// What the README shows of xaproxy explain is what it says, with the configuration of the README.
func TestReadmeExplanation(t *testing.T) {
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("README.md", []byte(tomlBlocks(string(page))[0]))
	if err != nil {
		t.Fatal(err)
	}
	r, err := router.New(c)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^    \$ xaproxy explain --config xaproxy.toml --schema shop "(.*)"\n((?:    .*\n)+)`).FindStringSubmatch(string(page))
	if m == nil {
		t.Fatal("the README has no explanation")
	}
	lines, _ := r.Explain([]byte(m[1]), "shop", 0)
	if want := "    " + strings.Join(lines, "\n    ") + "\n"; m[2] != want {
		t.Errorf("the README says\n%s\nwant\n%s", m[2], want)
	}
}

// TestNamedTests: the tests that pages name exist.
func TestNamedTests(t *testing.T) {
	exist := make(map[string]bool)
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
			exist[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, least := range map[string]int{"comparison.md": 20, "protocol.md": 10} {
		page, err := os.ReadFile("../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile("`(Test\\w+)`").FindAllSubmatch(page, -1)
		for _, m := range named {
			if !exist[string(m[1])] {
				t.Errorf("docs/%s names %s, which is no test", name, m[1])
			}
		}
		if len(named) < least {
			t.Errorf("docs/%s names %d tests", name, len(named))
		}
	}
}
