package router

import (
	"fmt"

	"github.com/xaproxy/xaproxy/config"
)

// Router makes plans for one configuration. Safe for concurrent use.
type Router struct {
	catalog *catalog
	cache   *cache // nil: analyse every statement
	plans   planSets
}

// New returns a Router for a valid configuration. The configuration is not kept.
func New(cfg *config.Config) (*Router, error) {
	c, err := newCatalog(cfg)
	if err != nil {
		return nil, fmt.Errorf("build router: %w", err)
	}
	return &Router{catalog: c, cache: newCache()}, nil
}

var emptyPlan = &Plan{Verb: Empty}

// Plan analyses one statement; schema is the current one, or empty. The only error is *Refusal.
//
// The Plan is shared: nobody may change it. Its parts without SQL mean the statement as it is; sql itself is not kept, but
// must not change while the Plan's parts are being sent. A lone semicolon at the end is allowed, a second statement is not.
func (r *Router) Plan(sql []byte, schema string, mode Mode) (*Plan, error) {
	s := scans.Get().(*scan)
	defer s.release()
	p, sharded, why := r.plan(s, sql, schema, mode, false)
	if why == nil && s.uncertain > 0 {
		p, why = r.certain(p, sharded, s, sql, schema, mode)
	}
	if why != nil {
		return nil, why
	}
	return p, nil
}

// certain checks that a statement with executable comments that only some servers run has one plan, whether they run or not.
// Of several in a statement about a sharded table some may run and others not, in ways that are not tried here.
func (r *Router) certain(with *Plan, sharded bool, s *scan, sql []byte, schema string, mode Mode) (*Plan, *Refusal) {
	without, _, why := r.plan(s, sql, schema, mode, true)
	switch {
	case why != nil:
		return nil, why
	case sharded && s.uncertain > 1:
	case without.Verb == Empty && with.Verb == Route, equal(with, without):
		return with, nil
	}
	u := unsupported(-1, "write it without the comment, or with a version up to 50699", "an executable comment that only some servers run changes where the statement goes")
	return nil, u.refusal(-1)
}

// plan reads the statement into s and plans it. sharded tells that the shard keys in it were looked at.
func (r *Router) plan(s *scan, sql []byte, schema string, mode Mode, skip bool) (p *Plan, sharded bool, _ *Refusal) {
	s.trace = false
	s.read(sql, schema, mode, skip)
	switch {
	case s.fault >= 0:
		return nil, false, s.unreadable().refusal(s.fault)
	case len(s.text()) == 0:
		return emptyPlan, false, nil
	case s.first.kind == kWord && is(sql[s.first.start:s.first.end], "SET"):
		p, why := r.set(sql, mode, skip)
		if why != nil {
			return nil, false, why.refusal(why.at)
		}
		return p, false, nil
	}
	sh := r.shapeOf(s, schema, mode)
	if sh.plan != nil {
		return sh.plan, false, nil
	}
	p, why, at := sh.choose(s)
	if why != nil {
		return nil, true, why.refusal(at)
	}
	return p, true, nil
}

// unreadable says what is wrong at s.fault.
func (s *scan) unreadable() *reason {
	switch {
	case s.second:
		return &reason{errno: 1064, text: "you have an error in your SQL syntax: a second statement begins", do: "send one statement at a time"}
	case s.fault < len(s.sql):
		for _, c := range s.sql[s.fault:s.pos] {
			if c == 0xa0 {
				return &reason{errno: 1064, text: "you have an error in your SQL syntax: byte 0xA0 outside of quotes", do: "quote the identifier with backticks"}
			}
		}
	}
	return syntax(0, "you have an error in your SQL syntax: unterminated or unknown text")
}

// Split cuts a text into its statements at the semicolons between them, which are left out, as are statements of nothing but
// white space and comments. The slices are parts of sql. Text that cannot be cut into tokens goes to the last statement.
func Split(sql []byte, mode Mode) [][]byte {
	l := lexer{src: sql, mode: mode}
	var all [][]byte
	start, empty := 0, true
	for {
		t := l.next()
		switch {
		case t.kind == kBad:
			return append(all, sql[start:])
		case t.kind == kEnd || t.kind == kSemi && !l.inExec:
			if !empty {
				all = append(all, sql[start:t.start])
			}
			if t.kind == kEnd {
				return all
			}
			start, empty = t.end, true
		case t.kind == kSpace || t.kind == kComment:
		default:
			empty = false
		}
	}
}
