package router

import (
	"bytes"
	"sync"
)

// limits of what is kept
const (
	maxCachedShape = 16 << 10 // longer shapes are analysed each time
	maxRowShapes   = 8        // rows of an INSERT are compared with so many different ones
	maxKeptScan    = 1 << 20  // buffers that grew beyond this are not pooled
)

// literal is a literal of the client's text, or a parameter: sql[start:end].
type literal struct {
	kind       kind
	param      uint16 // of a parameter: which one, counted from 0
	start, end int
}

// row is one (...) of INSERT ... VALUES: sql[start:end]; like is its row shape, lit its first literal.
type row struct {
	start, end int
	like       int
	lit        int
}

// rowShape is a row as it is kept in the shape: text[start:end], its placeholders counted from slot.
type rowShape struct {
	start, end int
	slot       int
}

// origin says that text[shape:] came from sql[source:].
type origin struct{ shape, source int }

// scan is one pass over a statement. The zero value is ready; a scan is used for one statement at a time.
type scan struct {
	lexer
	// buf is the cache key: mode, with hides hidden and NUL, schema, NUL and the shape, which begins at base; with hints also NUL and
	// these, tail bytes in all.
	buf  []byte
	base int
	tail int
	hint []byte // the text of hints in comments, with a comma behind each
	// lits are all literals of the statement. The shape has as many placeholders ("slots"), except that rows which look like
	// an earlier one are left out: rows and likes say how to find theirs.
	lits  []literal
	slots int
	rows  []row
	likes []rowShape
	// params is how many of lits are parameters.
	params int
	// first is the first token of the statement, kEnd when there is none.
	first token
	// fault is where the text cannot be read, or where a second statement begins; -1 if nowhere.
	fault    int
	second   bool
	trace    bool // fill origins
	origins  []origin
	sql      []byte
	body     body   // of rowsBody
	hidden   string // of hides: Router.hidden
	position rowState
	depth    int
	found    *shardSet // where the rows are that a lookup table was asked for, nil: it was not
	mark     int       // len(buf) before the comma or bracket of the row being read
	rowAt    int       // len(buf) at its bracket
	rowStart int       // the bracket in sql
	rowLit   int       // len(lits) before it
	rowSlot  int       // slots before it
	steps    []rowStep // of repeat: rowSteps of stepped, which may be those of an earlier statement
	stepped  []byte
}

// rowState is where the mask is in INSERT ... VALUES (...), (...), or in CREATE.
type rowState uint8

const (
	rowsNone   rowState = iota // not an INSERT, or past its rows
	rowsBefore                 // VALUES has not come yet
	rowsFirst                  // the next ( begins the first row
	rowsInside
	rowsAfter // a row is complete
	rowsComma // and a comma followed it
	rowsBody  // not an INSERT but what body follows
)

var scans = sync.Pool{New: func() any { return new(scan) }}

// release gives the scan back to the pool.
func (s *scan) release() {
	if cap(s.buf)+cap(s.lits)*24+cap(s.rows)*32+cap(s.steps)*32 > maxKeptScan {
		return
	}
	s.sql, s.src = nil, nil
	scans.Put(s)
}

// hides is set in the mode of a scan that is for a session with temporary tables.
const hides Mode = 1 << 7

// text is the shape.
func (s *scan) text() []byte { return s.buf[s.base : len(s.buf)-s.tail] }

// read masks a statement. skip reads executable comments whose effect depends on the server as plain comments.
func (s *scan) read(sql []byte, schema string, mode Mode, skip bool) {
	s.lexer = lexer{src: sql, mode: mode, skip: skip}
	s.sql = sql
	s.buf = append(s.buf[:0], byte(mode))
	if mode&hides != 0 {
		s.buf = append(s.buf, s.hidden...)
		s.buf = append(s.buf, 0)
	}
	s.buf = append(s.buf, schema...)
	s.buf = append(s.buf, 0)
	s.base, s.tail, s.hint = len(s.buf), 0, s.hint[:0]
	s.lits, s.rows, s.likes, s.origins = s.lits[:0], s.rows[:0], s.likes[:0], s.origins[:0]
	s.slots, s.depth, s.params, s.position = 0, 0, 0, rowsNone
	s.first, s.found = token{}, nil
	s.fault, s.second = -1, false

	// sql[from:to] belongs behind buf as it is: most of a statement is copied in few pieces.
	space, semi, from, to := false, false, 0, 0
	for {
		if s.blank() {
			space = s.first.kind != kEnd
		}
		t := s.next()
		switch {
		case t.kind == kEnd:
			s.buf = append(s.buf, sql[from:to]...)
			s.finish()
			return
		case t.kind.blank():
			space = s.first.kind != kEnd
			if t.kind == kComment {
				s.hint = appendHint(s.hint, sql[t.start:t.end])
			}
			continue
		case semi:
			s.fault, s.second = t.start, true
			return
		case t.kind == kBad:
			s.fault = t.start
			return
		case t.kind == kSemi:
			if s.position != rowsBody || !s.body.inside() {
				semi = true
				continue
			}
		}
		switch s.position {
		case rowsNone:
		case rowsBody:
			s.body.token(t, sql)
		case rowsBefore, rowsInside:
			// Only brackets and VALUES matter.
			if c := sql[t.start]; c == '(' || c == ')' || c|0x20 == 'v' {
				space = s.row(t, space)
			}
		default:
			s.buf = append(s.buf, sql[from:to]...)
			from = to
			space = s.row(t, space)
		}
		literal := t.kind.literal()
		if space && t.start == to+1 && sql[to] == ' ' {
			space, to = false, t.start
		}
		if literal || t.start != to {
			s.buf = append(s.buf, sql[from:to]...)
			from = t.start
			if space {
				s.buf = append(s.buf, ' ')
			}
		}
		space, to = false, t.end
		if s.trace {
			s.origins = append(s.origins, origin{len(s.buf) - s.base + t.start - from, t.start})
		}
		if s.first.kind == kEnd {
			s.begin(t)
		}
		if literal {
			s.literal(t)
			from = to
		}
		if s.position == rowsInside && s.depth == 0 {
			s.buf = append(s.buf, sql[from:to]...)
			from = to
			s.endRow(t.end)
			if !s.trace && !s.inExec {
				s.repeat()
			}
		}
		if !s.trace && (s.position <= rowsBefore || s.position == rowsInside) {
			to = s.plain()
		}
	}
}

// plain moves behind the words and commas that follow with one space between them at most, and returns where it is then. These are in the
// shape as they are in the text, and nothing depends on them but on VALUES: most of a statement need not be looked at token by token.
func (s *scan) plain() int {
	src, end := s.src, s.pos
	for at := end; ; end = at {
		if at < len(src) && src[at] == ' ' {
			at++
		}
		if at == len(src) {
			break
		}
		c := src[at]
		if c == ',' {
			at++
			s.prev, s.dot = kOp, false
			continue
		}
		if class[c]&(cIdent|cDigit) != cIdent || c|0x20 == 'v' && s.position == rowsBefore {
			break
		}
		for at < len(src) && class[src[at]]&cIdent != 0 && src[at] != 0xa0 {
			at++
		}
		if at < len(src) && (src[at] == '\'' || src[at] == 0xa0) { // x'41', or what is no word
			break
		}
		s.prev, s.dot = kWord, false
	}
	s.pos = end
	return end
}

// literal notes a literal, and puts its place into the shape.
func (s *scan) literal(t token) {
	s.buf = append(s.buf, placeholder(t.kind))
	lit := literal{kind: t.kind, start: t.start, end: t.end}
	if t.kind == kParam {
		lit.param = uint16(s.params) // Prepare refuses more than fit
		s.params++
	}
	s.lits = append(s.lits, lit)
	s.slots++
}

func placeholder(k kind) byte { return byte(k-kInt) + placeInt }

// begin notes the first token.
func (s *scan) begin(t token) {
	s.first = t
	w := s.sql[t.start:t.end]
	if is(w, "INSERT") || is(w, "REPLACE") {
		s.position = rowsBefore
	} else if b, ok := newBody(w); ok {
		s.position, s.body = rowsBody, b
	}
}

// finish is called at the end of the text.
func (s *scan) finish() {
	if s.position == rowsBody && s.body.inside() {
		s.fault = len(s.sql)
	}
	if len(s.hint) > 0 {
		s.buf = append(append(s.buf, 0), s.hint...)
		s.tail = 1 + len(s.hint)
	}
}

// row follows the rows of an INSERT: called with each token before it is written. It returns whether a space goes before it.
func (s *scan) row(t token, space bool) bool {
	c := s.sql[t.start]
	switch s.position {
	case rowsBefore:
		if s.depth == 0 && t.kind == kWord && (is(s.sql[t.start:t.end], "VALUES") || is(s.sql[t.start:t.end], "VALUE")) {
			s.position = rowsFirst
			return space
		}
	case rowsFirst, rowsComma:
		if c != '(' {
			s.position = rowsNone
			return space
		}
		if s.position == rowsFirst {
			s.mark = len(s.buf)
		} else {
			space = false
		}
		s.position = rowsInside
		s.rowStart, s.rowLit, s.rowSlot = t.start, len(s.lits), s.slots
		s.rowAt = len(s.buf)
		if space {
			s.rowAt++
		}
	case rowsAfter:
		if c != ',' {
			s.position = rowsNone
			return space
		}
		s.position = rowsComma
		s.mark = len(s.buf)
		return false
	}
	if t.kind == kOp {
		switch c {
		case '(':
			s.depth++
		case ')':
			s.depth--
			if s.depth < 0 {
				s.position = rowsNone
			}
		}
	}
	return space
}

// endRow closes the row being read. When the shape has one like it already, it is taken out again.
func (s *scan) endRow(end int) {
	s.position = rowsAfter
	like := len(s.likes)
	this := s.buf[s.rowAt:]
	for i, r := range s.likes[:min(like, maxRowShapes)] {
		if bytes.Equal(s.buf[s.base+r.start:s.base+r.end], this) {
			like = i
			break
		}
	}
	if like < len(s.likes) {
		s.buf = s.buf[:s.mark]
		s.slots = s.rowSlot
		for n := len(s.origins); n > 0 && s.origins[n-1].shape >= s.mark-s.base; n-- {
			s.origins = s.origins[:n-1]
		}
	} else {
		s.likes = append(s.likes, rowShape{s.rowAt - s.base, len(s.buf) - s.base, s.rowSlot})
	}
	s.rows = append(s.rows, row{s.rowStart, end, like, s.rowLit})
}

// source is the place in sql where the token at text()[shape] came from. It needs trace.
func (s *scan) source(shape int) int {
	at := -1
	for _, o := range s.origins {
		if o.shape > shape {
			break
		}
		at = o.source
	}
	return at
}

// is tells whether the text is the upper-case word, in any case.
func is(text []byte, upper string) bool {
	if len(text) != len(upper) {
		return false
	}
	for i, c := range text {
		if c >= 'a' && c <= 'z' {
			c -= 0x20
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}
