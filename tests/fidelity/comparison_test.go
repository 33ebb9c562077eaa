package fidelity

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// comparison is the state of the test on one server.
type comparison struct {
	t               *testing.T
	kind            servers.Kind
	server          *servers.Server
	db              *sql.DB // of the server's administrator
	direct, proxied endpoint

	steps                       map[string]bool // of stories, that had a reply
	replies, identical, unequal int
	listed                      []difference
	occurred                    map[int]int // by index of listed
}

// compare tells a story to both sides.
func (c *comparison) compare(who string, s story) {
	want, got := c.tell(s, c.direct, tellers[who]), c.tell(s, c.proxied, tellers[who])
	for i, st := range s.steps {
		switch {
		case want[i] == nil && got[i] == nil:
			continue
		case want[i] == nil:
			want[i] = &exchange{end: "no connection"}
		case got[i] == nil:
			got[i] = &exchange{end: "no connection"}
		}
		c.steps[fmt.Sprint(s.name, i)] = true
		c.replies++
		what, rest := c.explained(s.name+": "+st.text, want[i], got[i])
		switch {
		case rest != "":
			c.unequal++
			c.t.Errorf("%s, %s client, %s.txt:%d: %s\n%s", c.kind, who, s.name, st.line, short(st.text), rest)
		case len(what) == 0:
			c.identical++
		}
		for _, d := range what {
			c.occurred[d]++
			if *explain != "" && strings.Contains(c.listed[d].reason, *explain) {
				c.t.Logf("%s, %s client, %s.txt:%d: %s\n%s\n  %s", c.kind, who, s.name, st.line, short(st.text), diff(want[i], got[i]), c.listed[d].reason)
			}
		}
	}
}

// tell tells a story to one side in a fresh schema and returns the replies.
func (c *comparison) tell(s story, to endpoint, options []string) []*exchange {
	for _, q := range []string{"DROP DATABASE IF EXISTS " + schema, "CREATE DATABASE " + schema + " CHARACTER SET utf8mb4"} {
		if _, err := c.db.ExecContext(c.t.Context(), q); err != nil {
			c.t.Fatalf("%s: %v", q, err)
		}
	}
	t := &teller{at: to, server: c.db, usual: options, clients: map[string]*client{}}
	defer t.close()
	if x, err := t.login(nil); err != nil || t.clients[""] == nil {
		c.t.Fatalf("%s: %v, %+v", to.addr, err, x)
	}
	replies := make([]*exchange, len(s.steps))
	for i, st := range s.steps {
		var err error
		if replies[i], err = t.take(c.t.Context(), st); err != nil {
			c.t.Fatalf("%s.txt: %v", s.name, err)
		}
	}
	return replies
}

// explained says which listed differences explain the difference of two replies, and what they leave.
func (c *comparison) explained(step string, direct, proxied *exchange) (needed []int, rest string) {
	if equal(direct, proxied) {
		return nil, ""
	}
	var concerned []int
	for i := range c.listed {
		if c.listed[i].concerns(c.kind, step) {
			concerned = append(concerned, i)
		}
	}
	without := func(omitted int) (d, p *exchange, same bool) {
		d, p = direct.clone(), proxied.clone()
		for _, i := range concerned {
			if i != omitted {
				c.listed[i].hide(d, p)
			}
		}
		return d, p, equal(d, p)
	}
	if d, p, same := without(-1); !same {
		return nil, diff(d, p)
	}
	for _, i := range concerned {
		if _, _, same := without(i); !same {
			needed = append(needed, i)
		}
	}
	return needed, ""
}

// report prints the counts and fails for differences that did not occur.
func (c *comparison) report() {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d commands and statements, %d replies compared, %d identical, %d with listed differences, %d with others",
		c.kind, c.server.Version, len(c.steps), c.replies, c.identical, c.replies-c.identical-c.unequal, c.unequal)
	var lines []string
	for i, d := range c.listed {
		switch {
		case c.occurred[i] > 0:
			lines = append(lines, fmt.Sprintf("\n%4d  %s", c.occurred[i], d.reason))
		case *only != "" || i >= len(differences):
		case len(d.kinds) == 0 || slices.Contains(d.kinds, c.kind):
			c.t.Errorf("%s: a listed difference did not occur: %s (%s): take it off the list", c.kind, d.reason, d.step)
		}
	}
	slices.Sort(lines)
	c.t.Log(b.String() + strings.Join(lines, ""))
}

func short(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
