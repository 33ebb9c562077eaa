package router

import (
	"fmt"

	"github.com/xaproxy/xaproxy/config"
)

// Router makes plans for one configuration. Safe for concurrent use.
type Router struct {
	catalog *catalog
	cache   *cache // nil: analyse every statement
	plans   *planSets
	base    *Router // that New returned
	hidden  string  // the temporary tables of catalog, as a part of cache keys
}

// New returns a Router for a valid configuration. The configuration is not kept.
func New(cfg *config.Config) (*Router, error) {
	c, err := newCatalog(cfg)
	if err != nil {
		return nil, fmt.Errorf("build router: %w", err)
	}
	r := &Router{catalog: c, cache: newCache(), plans: &planSets{}}
	r.base = r
	return r, nil
}

var emptyPlan = &Plan{Verb: Empty}

// Plan analyses one statement; schema is the current one, or empty. The only error is *Refusal. Text with parameters is refused
// as a server refuses it outside of prepared statements.
//
// The Plan is shared: nobody may change it. Its parts without SQL mean the statement as it is; sql itself is not kept, but
// must not change while the Plan's parts are being sent. A lone semicolon at the end is allowed, a second statement is not.
func (r *Router) Plan(sql []byte, schema string, mode Mode) (*Plan, error) {
	p, _, err := r.Tallied(sql, schema, mode)
	return p, err
}

// Tallied is Plan, which also returns where executions of the statement are counted, nil for one that the plan cache does not keep.
func (r *Router) Tallied(sql []byte, schema string, mode Mode) (*Plan, *Tally, error) {
	s := scans.Get().(*scan)
	defer s.release()
	p, sh, why := r.plan(s, sql, schema, mode, false)
	if why == nil && s.uncertain > 0 {
		uncertain := s.uncertain
		var without *Plan
		if without, _, why = r.plan(s, sql, schema, mode, true); why == nil {
			p, why = certain(p, without, sh != nil && sh.plan == nil, uncertain)
		}
	}
	if why != nil {
		return nil, nil, why
	}
	if sh == nil {
		return p, nil, nil
	}
	return p, &sh.tally, nil
}

// certain is the one plan of a statement with executable comments that only some servers run, whether they run or not. Of
// several in a statement about a sharded table some may run and others not, in ways that are not tried here.
func certain(with, without *Plan, sharded bool, uncertain int) (*Plan, *Refusal) {
	switch {
	case with.Merge == MergeOne || without.Merge == MergeOne:
		return nil, unsupported(-1, "write it without the comment", "an executable comment that only some servers run would let the copies of a broadcast table differ").refusal(-1)
	case sharded && uncertain > 1:
	case without.Verb == Empty && with.Verb == Route && with.Pin == PinNone && len(with.Temporary) == 0, equal(with, without):
		return with, nil
	case without.Verb == Empty && with.Verb == Set && ignorable(with.Sets):
		return &Plan{Verb: Set}, nil
	}
	u := unsupported(-1, "write it without the comment, or with a version up to 50699", "an executable comment that only some servers run changes where the statement goes")
	return nil, u.refusal(-1)
}

// plan reads a statement without parameters into s and plans it. Of a shape without a plan of its own the shard keys in the statement were looked at.
func (r *Router) plan(s *scan, sql []byte, schema string, mode Mode, skip bool) (*Plan, *shape, *Refusal) {
	p, sh, why := r.look(s, sql, schema, mode, skip)
	switch {
	case why != nil:
		return nil, nil, why
	case s.params > 0:
		return nil, nil, (&reason{errno: 1064, text: "you have an error in your SQL syntax near '?'", do: "prepare the statement to bind a value"}).refusal(s.param())
	case p != nil:
		return p, sh, nil
	}
	p, what, at := sh.choose(s, nil)
	if what != nil {
		return nil, nil, what.refusal(at)
	}
	return p, sh, nil
}

// maxShape bounds what is analysed of a statement, in bytes: its text without comments, with a placeholder for each literal and one row of
// VALUES. A list of 170,000 values is as long; its analysis takes some 100 MB, and a second.
const maxShape = 512 << 10

// look reads a statement into s and returns its plan, or its shape if the plan depends on the shard keys in it.
func (r *Router) look(s *scan, sql []byte, schema string, mode Mode, skip bool) (*Plan, *shape, *Refusal) {
	s.trace = false
	if r.hidden != "" {
		mode |= hides
		s.hidden = r.hidden
	}
	s.read(sql, schema, mode, skip)
	switch {
	case s.fault >= 0:
		return nil, nil, s.unreadable().refusal(s.fault)
	case len(s.text()) == 0:
		return emptyPlan, nil, nil
	}
	var sh *shape
	var cleared uint64
	if r.cache != nil {
		if sh = r.cache.get(s.buf); sh == nil {
			cleared = r.cache.cleared.Load()
		}
	}
	if sh == nil {
		// Statements that are read verbatim are never in the cache.
		if read := s.verbatim(); read != nil {
			p, why := read(r.plainStmt(sql, schema, mode, skip))
			if why != nil {
				return nil, nil, why.refusal(why.at)
			}
			if len(s.hint) > 0 && p.Verb != Explain {
				p = readHints(s.hint).beside(p)
			}
			return p, nil, nil
		}
		if n := len(s.text()); n > maxShape {
			return nil, nil, unsupported(-1, "split it, for instance its longest list", "the statement has %d bytes without its values and the rows of an INSERT, and at most %d are analysed", n, maxShape).refusal(-1)
		}
		sh = r.analyse(string(s.text()), schema, mode, readHints(s.hint))
		if r.cache != nil {
			r.cache.put(s.buf, sh, cleared)
		}
	}
	return sh.plan, sh, nil
}

// verbatim is the reader of the statement, if its plan has values of its text in it; else nil.
func (s *scan) verbatim() func(*stmt) (*Plan, *reason) {
	word := s.sql[s.first.start:s.first.end]
	switch {
	case s.first.kind != kWord:
	case is(word, "SET"):
		return (*stmt).set
	case len(s.hint) > 0 && (is(word, "BEGIN") || is(word, "START")):
		return (*stmt).control // a commit key is another one each time
	case is(word, "KILL"):
		return (*stmt).kill
	case is(word, "XAPROXY"):
		return (*stmt).administer
	case is(word, "LOAD"):
		return (*stmt).load
	case is(word, "PREPARE"):
		return (*stmt).prepareText
	case is(word, "EXECUTE") && len(s.lits) > 0:
		return (*stmt).execute
	case (is(word, "EXPLAIN") || is(word, "DESCRIBE") || is(word, "DESC")) && s.explains():
		return (*stmt).explainPlan
	}
	return nil
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
	start, empty, first := 0, true, true
	var b *body
	for {
		t := l.next()
		if b != nil && !t.kind.blank() && (t.kind != kSemi || b.inside()) {
			b.token(t, sql)
			if t.kind == kSemi {
				continue
			}
		}
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
			start, empty, first, b = t.end, true, true, nil
		case t.kind == kSpace || t.kind == kComment:
		default:
			empty = false
			if first && !t.kind.blank() {
				first = false
				if in, ok := newBody(sql[t.start:t.end]); ok {
					b = &in
				}
			}
		}
	}
}

// CacheStats is how often the shape of a statement was found in the plan cache, how often it was not, and how many shapes are there.
func (r *Router) CacheStats() (hits, misses uint64, shapes int) {
	if r.cache == nil {
		return 0, 0, 0
	}
	hits, misses = r.cache.counts()
	return hits, misses, r.cache.shapes()
}
