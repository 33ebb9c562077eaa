// Package fidelity compares, byte for byte, what clients get through xaproxy with what they get from the server behind it.
//
// The stories of testdata are told twice, to a server and to a proxy in front of the same server, with the same content of
// the schema at the beginning. Every packet of every reply must be equal, with its sequence id, except for what the table
// of differences says.
package fidelity

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// schema is named in error messages and metadata, so it has the same name for both sides.
const schema = "fidelity"

// manners are the kinds of clients that each story is told by.
var manners = map[string][]string{
	"new": {"+MultiStatements"},
	"old": {"-DeprecateEOF"},
}

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
			server := servertest.Get(t, kind)
			prepareServer(t, server)
			proxy := proxytest.Run(t, proxytest.Options{
				Backends: []proxytest.Backend{proxytest.On("b", server)}, Schemas: []config.Schema{{Name: schema, Backend: "b"}}, LogLevel: "info",
			})
			c := &comparison{
				t: t, kind: kind, server: server, occurred: make([]int, len(differences)),
				direct:  endpoint{server.Addr(), server.User, server.Password, schema},
				proxied: endpoint{proxy.Addr, proxytest.User, proxytest.Password, schema},
			}
			for _, s := range stories {
				for manner, options := range manners {
					if s.only != "" && s.only != manner {
						continue
					}
					c.compare(manner, s, options)
				}
			}
			c.report()
		})
	}
}

// prepareServer lets packets of more than 16 MB through. The proxy asks for the limit when it starts.
func prepareServer(t *testing.T, s *servers.Server) {
	t.Helper()
	db, err := s.DB()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "SET GLOBAL max_allowed_packet = 67108864"); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// comparison is the state of the test on one server.
type comparison struct {
	t               *testing.T
	kind            servers.Kind
	server          *servers.Server
	direct, proxied endpoint

	cases, identical int
	occurred         []int // by index of differences
}

// compare tells a story to both sides.
func (c *comparison) compare(manner string, s story, options []string) {
	want, got := c.tell(s, c.direct, options), c.tell(s, c.proxied, options)
	for i, st := range s.steps {
		if want[i] == nil {
			continue
		}
		c.cases++
		what, same := c.explained(s.name+": "+st.text, want[i], got[i])
		switch {
		case !same:
			c.t.Errorf("%s, %s client, %s.txt:%d: %s\n%s", c.kind, manner, s.name, st.line, short(st.text), diff(want[i], got[i]))
		case len(what) == 0:
			c.identical++
		}
		for _, d := range what {
			c.occurred[d]++
		}
	}
}

// tell tells a story to one side in a fresh schema and returns the replies.
func (c *comparison) tell(s story, to endpoint, options []string) []*exchange {
	db, err := c.server.DB()
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			c.t.Error(err)
		}
	}()
	for _, q := range []string{"DROP DATABASE IF EXISTS " + schema, "CREATE DATABASE " + schema + " CHARACTER SET utf8mb4"} {
		if _, err := db.ExecContext(c.t.Context(), q); err != nil {
			c.t.Fatalf("%s: %v", q, err)
		}
	}
	t := &teller{at: to, usual: options, clients: map[string]*client{}}
	defer t.close()
	if x := t.connect(c.t.Context(), nil); x.end != "" {
		c.t.Fatalf("%s: %s", to.addr, x.end)
	}
	replies := make([]*exchange, len(s.steps))
	for i, st := range s.steps {
		if replies[i], err = t.take(c.t.Context(), st); err != nil {
			c.t.Fatalf("%s.txt: %v", s.name, err)
		}
	}
	return replies
}

// explained says whether two replies are equal but for listed differences, and for which of them.
func (c *comparison) explained(step string, direct, proxied *exchange) (needed []int, same bool) {
	if equal(direct, proxied) {
		return nil, true
	}
	var concerned []int
	for i := range differences {
		if differences[i].concerns(c.kind, step) {
			concerned = append(concerned, i)
		}
	}
	without := func(omitted int) bool {
		d, p := direct.clone(), proxied.clone()
		for _, i := range concerned {
			if i != omitted {
				differences[i].hide(d, p)
			}
		}
		return equal(d, p)
	}
	if !without(-1) {
		return nil, false
	}
	for _, i := range concerned {
		if !without(i) {
			needed = append(needed, i)
		}
	}
	return needed, true
}

func equal(a, b *exchange) bool {
	if a.end != b.end || a.agreed != b.agreed || len(a.packets) != len(b.packets) {
		return false
	}
	for i := range a.packets {
		if a.packets[i].seq != b.packets[i].seq || !bytes.Equal(a.packets[i].payload, b.packets[i].payload) {
			return false
		}
	}
	return true
}

// report prints the counts and fails for differences that did not occur.
func (c *comparison) report() {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d replies compared, %d identical, %d with listed differences", c.kind, c.server.Version, c.cases, c.identical, c.cases-c.identical)
	var lines []string
	for i, d := range differences {
		switch {
		case c.occurred[i] > 0:
			lines = append(lines, fmt.Sprintf("\n%4d  %s", c.occurred[i], d.reason))
		case len(d.kinds) == 0 || slices.Contains(d.kinds, c.kind):
			c.t.Errorf("%s: a listed difference did not occur: %s (%s): take it off the list", c.kind, d.reason, d.step)
		}
	}
	slices.Sort(lines)
	c.t.Log(b.String() + strings.Join(lines, ""))
}

// diff shows the first packet that differs.
func diff(direct, proxied *exchange) string {
	n := min(len(direct.packets), len(proxied.packets))
	for i := range n {
		a, b := direct.packets[i], proxied.packets[i]
		if a.seq != b.seq || !bytes.Equal(a.payload, b.payload) {
			return fmt.Sprintf("packet %d of %d and %d\n  direct  %s\n  proxied %s", i+1, len(direct.packets), len(proxied.packets), show(a), show(b))
		}
	}
	tail := func(x *exchange) string {
		if len(x.packets) == n {
			return fmt.Sprintf("ends here %q, capabilities %#x", x.end, x.agreed)
		}
		return show(x.packets[n])
	}
	return fmt.Sprintf("after %d packets\n  direct  %s\n  proxied %s", n, tail(direct), tail(proxied))
}

func show(p packet) string {
	const most = 300
	text := fmt.Sprintf("#%d %q", p.seq, p.payload[:min(len(p.payload), most)])
	if len(p.payload) > most {
		text += fmt.Sprintf("... (%d bytes)", len(p.payload))
	}
	return text
}

func short(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
