package router

import (
	"slices"
	"strings"
)

// tok is a token of a shape. Blanks are not kept.
type tok struct {
	kind       kind
	start, end int
	slot       int    // of a literal
	space      bool   // there is a blank before it
	dotted     bool   // it follows a point, so it is an identifier whatever it says
	word       string // of a keyword or unquoted identifier that is not dotted: upper case
	name       string // of an identifier: without quotes
}

// stmt is a statement being analysed: a shape, cut into tokens again.
type stmt struct {
	r      *Router
	schema string // current one, may be empty
	mode   Mode
	text   string
	toks   []tok
	hints  *hints // nil: none
	// blanks are expressions that the parser was not shown, as tokens.
	blanks [][2]int
	wraps  int // brackets before toks
	// literals are the places of literals in toks, in the order of their slots; of says which toks these are.
	literals []int
	of       struct {
		first *tok
		n     int
	}
}

func (r *Router) newStmt(text, schema string, mode Mode) *stmt {
	st := &stmt{r: r, schema: schema, mode: mode, text: text}
	l := lexer{src: []byte(text), mode: mode, shape: true}
	space, slot := false, 0
	for {
		dotted := l.dot
		t := l.next()
		if t.kind == kEnd {
			return st
		}
		if t.kind.blank() {
			space = true
			continue
		}
		k := tok{kind: t.kind, start: t.start, end: t.end, space: space, dotted: dotted}
		switch {
		case t.kind.literal():
			k.slot = slot
			slot++
		case t.kind == kWord:
			k.name = text[t.start:t.end]
			if !dotted {
				k.word = strings.ToUpper(k.name)
			}
		case t.kind == kQuoted:
			k.name = unquote(text[t.start:t.end])
		}
		st.toks = append(st.toks, k)
		space = false
	}
}

// from is the rest of the statement as a statement of its own.
func (st *stmt) from(i int) *stmt {
	rest := *st
	rest.toks = st.toks[i:]
	return &rest
}

// behind is the rest of the statement behind the name.
func (st *stmt) behind(o object) *stmt {
	i := slices.IndexFunc(st.toks, func(t tok) bool { return t.start == o.at })
	_, next, _ := st.object(i)
	return st.from(next)
}

// unquote is the name inside of a quoted identifier.
func unquote(s string) string {
	q := s[:1]
	return strings.ReplaceAll(s[1:len(s)-1], q+q, q)
}

// word is the i-th token's upper-case word, "" when it is none.
func (st *stmt) word(i int) string {
	if i >= 0 && i < len(st.toks) {
		return st.toks[i].word
	}
	return ""
}

// words tells whether the tokens from i on are the words.
func (st *stmt) words(i int, words ...string) bool {
	for n, w := range words {
		if st.word(i+n) != w {
			return false
		}
	}
	return true
}

// op tells whether the i-th token is the operator.
func (st *stmt) op(i int, op string) bool {
	return i >= 0 && i < len(st.toks) && st.toks[i].kind == kOp && st.text[st.toks[i].start:st.toks[i].end] == op
}

// has is the place of the first of the words, or -1.
func (st *stmt) has(words ...string) int {
	return slices.IndexFunc(st.toks, func(t tok) bool { return t.word != "" && slices.Contains(words, t.word) })
}

// at is where the i-th token begins in the shape.
func (st *stmt) at(i int) int {
	switch {
	case i < 0:
		return -1
	case i < len(st.toks):
		return st.toks[i].start
	}
	return len(st.text)
}

// find is where an identifier of this name begins in the shape, -1 if nowhere.
func (st *stmt) find(name string) int {
	for _, t := range st.toks {
		if t.name != "" && strings.EqualFold(t.name, name) {
			return t.start
		}
	}
	return -1
}

// near quotes the shape from the i-th token on for a message.
func (st *stmt) near(i int) string {
	if i >= len(st.toks) {
		return "the end"
	}
	var b strings.Builder
	b.WriteByte('\'')
	for n, t := range st.toks[i:min(i+3, len(st.toks))] {
		if n > 0 && st.toks[i+n-1].end < t.start {
			b.WriteByte(' ')
		}
		if t.kind.literal() {
			b.WriteByte('?')
			continue
		}
		b.WriteString(st.text[t.start:min(t.end, t.start+64)])
	}
	b.WriteByte('\'')
	return b.String()
}

// object is a qualified name in a statement.
type object struct {
	schema, name string
	at           int // in the shape
}

// object reads a name that may be qualified, from the i-th token on, and returns the place behind it; ok tells whether there
// is one.
func (st *stmt) object(i int) (o object, next int, ok bool) {
	if i >= len(st.toks) || st.toks[i].name == "" {
		return o, i, false
	}
	o = object{name: st.toks[i].name, at: st.at(i)}
	i++
	if st.op(i, ".") {
		if i+1 >= len(st.toks) || st.toks[i+1].name == "" {
			return o, i, false
		}
		o.schema, o.name = o.name, st.toks[i+1].name
		i += 2
	}
	return o, i, true
}
