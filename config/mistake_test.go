package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// Each case is a configuration and the mistakes in it. "minimal" puts the smallest valid file in front of the case's
// text, on one line per section, so that the case shows only what it is about. Run with -rewrite after a wording change
// and commit the difference when every line still names the right place, what is allowed and what to do.
func TestMistakes(t *testing.T) {
	t.Setenv("XAPROXY_TEST_SET", "s3cret")
	t.Setenv("XAPROXY_TEST_EMPTY", "")
	datadriven.Walk(t, "testdata/mistakes", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			text := td.Input + "\n"
			switch td.Cmd {
			case "file":
			case "minimal":
				text += minimal
			default:
				td.Fatalf(t, "unknown command %s", td.Cmd)
			}
			_, err := Parse("testdata/files/c.toml", []byte(text))
			if err == nil {
				return "no mistakes\n"
			}
			if AsMistakes(err) == nil {
				td.Fatalf(t, "got %T, want Mistakes", err)
			}
			return strings.ReplaceAll(err.Error(), "testdata/files/", "") + "\n"
		})
	})
}

// minimal is the smallest valid configuration. It is appended to the text of a case.
const minimal = `
[[users]]
name = "app"
password = "x"
[[backends]]
name = "one"
kind = "mysql"
user = "xaproxy"
password = ""
[[backends]]
name = "two"
kind = "mysql"
host = "10.0.0.2"
user = "xaproxy"
password = ""
[[schemas]]
name = "shop"
backend = "one"
`

// Goal: five mistakes of five kinds in one file are all reported, each at its own place. Method: literal positions,
// independent of the golden files.
func TestFiveMistakesAtOnce(t *testing.T) {
	text := `[server]
listen = "nowhere"
max_conections = 10
[[users]]
name = "app"
password = "x"
[[backends]]
name = "one"
kind = "mysql"
user = "xaproxy"
password = ""
	pool_size = "32"
pool_wait = "5"
[[schemas]]
name = "shop"
backend = "tow"
`
	_, err := Parse("five.toml", []byte(text))
	type place struct {
		line, column int
		key          string
	}
	want := []place{
		{2, 10, "server.listen"},
		{3, 1, "server.max_conections"},
		{12, 14, "backends[one].pool_size"},
		{13, 13, "backends[one].pool_wait"},
		{16, 11, "schemas[shop].backend"},
	}
	var got []place
	for _, m := range AsMistakes(err) {
		got = append(got, place{m.Line, m.Column, m.Key})
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v\n%v", got, want, err)
	}
}

func TestMistakeString(t *testing.T) {
	m := Mistake{File: "a.toml", Line: 2, Column: 3, Key: "server.listen", Text: "is wrong"}
	if got, want := m.String(), "a.toml:2:3: server.listen: is wrong"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	m.Key = ""
	if got, want := m.String(), "a.toml:2:3: is wrong"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLoadOfAbsentFileIsNotAMistake(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "absent.toml"))
	if !errors.Is(err, os.ErrNotExist) || AsMistakes(err) != nil {
		t.Errorf("got %v, want an error that is os.ErrNotExist and no mistakes", err)
	}
}
