// Package fidelity compares, byte for byte, what clients get through xaproxy with what they get from the server behind it.
//
// The stories of testdata are told twice, to a server and to a proxy in front of the same server, with the same content of
// the schema at the beginning. Every packet of every reply must be equal, with its sequence id, except for what the table
// of differences says.
package fidelity

import (
	"flag"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// schema is named in error messages and metadata, so it has the same name for both sides.
const schema = "fidelity"

var (
	only    = flag.String("story", "", "tell only the stories with this in their names; listed differences need not occur then")
	explain = flag.String("explain", "", "show the replies behind the listed differences with this in their reasons, such as \"not yet\"")
)

// tellers are the kinds of clients that tell stories, with the options of their logins.
var tellers = map[string][]string{
	"new":  {},
	"old":  {"-DeprecateEOF", "+MultiStatements"},
	"full": {"+MultiStatements", "+FoundRows", "+LocalFiles", "+SessionTrack", "+QueryAttributes", "attrs"},
	"bare": {"-DeprecateEOF", "-MultiResults", "-PSMultiResults", "-LongFlag", "-Transactions", "-LenencAuth"},
	"zlib": {"+MultiStatements", "+Compress"},
	"zstd": {"+SessionTrack", "+Compress", "+Zstd"},
	"tls":  {"+MultiStatements", "tls"},
}

// usualTellers tell the stories that do not say by whom they are told.
var usualTellers = []string{"new", "old", "full"}

// TestFidelity tells all stories on MariaDB and on MySQL. A reply that differs in a way that is not listed fails, and so
// does a listed difference that does not occur any more.
func TestFidelity(t *testing.T) {
	stories, err := readStories(schema)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			c := begin(t, kind)
			for _, s := range stories {
				if !strings.Contains(s.name, *only) {
					continue
				}
				for _, who := range s.tellers {
					c.compare(who, s)
				}
			}
			c.report()
		})
	}
}
