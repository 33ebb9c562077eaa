package postgres

import (
	"bytes"
	"strings"

	"github.com/xaproxy/xaproxy/wire"
)

// tokenKind says what a token is.
type tokenKind uint8

const (
	endOfText tokenKind = iota
	word                // a keyword, a name, or a number
	name                // quoted
	text                // a string
	mark                // one character of punctuation
)

// token is a part of a statement: text[from:to].
type token struct {
	kind     tokenKind
	from, to int
}

// lexer cuts statements into tokens: with MySQL's rules, or PostgreSQL's in a statement that says so. It knows just enough to find
// where strings, names and statements end.
type lexer struct {
	text    []byte
	at      int
	native  bool     // PostgreSQL's rules
	decides bool     // decisionHint was there
	escapes bool     // backslashes escape in strings; only with MySQL's rules
	matched bool     // there was MatchedHint
	copied  copyRole // there was CopyHint or FirstCopyHint
}

// dialectHint is the comment in front of a statement in PostgreSQL's own words.
const dialectHint = "dialect=postgres"

// decisionHint is that in front of the records of a decision, which go in one message with the COMMIT behind them.
const decisionHint = dialectHint + " decision"

// MatchedHint is the comment in front of an UPDATE of which the answer is to say how many rows it has found, beside those that it has changed,
// as MySQL's info string does. It takes PostgreSQL longer.
const MatchedHint = "/* xaproxy: matched */ "

// next returns the next token. Comments are skipped; one with dialectHint changes the rules until the end of the statement.
func (l *lexer) next() token {
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case c <= ' ':
			l.at++
		case c == '/' && l.has("/*"):
			l.comment()
		case c == '-' && l.has("--") && (l.native || l.at+2 == len(l.text) || l.text[l.at+2] <= ' '), c == '#' && !l.native:
			l.line()
		default:
			return l.token(c)
		}
	}
	return token{endOfText, l.at, l.at}
}

func (l *lexer) token(c byte) token {
	from, kind := l.at, mark
	switch {
	case c == '\'' || c == '"' && !l.native:
		kind = text
		l.quoted(c, l.escapes && !l.native)
	case c == '"' || c == '`' && !l.native:
		kind = name
		l.quoted(c, false)
	case c == '$' && l.native && l.dollar():
		kind = text
	case inWord(c):
		kind = word
		for l.at < len(l.text) && inWord(l.text[l.at]) {
			l.at++
		}
		if l.native && l.at == from+1 && (c == 'e' || c == 'E') && l.at < len(l.text) && l.text[l.at] == '\'' {
			kind = text
			l.quoted('\'', true)
		}
	default:
		l.at++
	}
	return token{kind, from, l.at}
}

func (l *lexer) has(s string) bool { return bytes.HasPrefix(l.text[l.at:], []byte(s)) }

func inWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// quoted passes over what is between quotes. A doubled quote is part of it.
func (l *lexer) quoted(quote byte, escapes bool) {
	for l.at++; l.at < len(l.text); l.at++ {
		switch c := l.text[l.at]; {
		case c == '\\' && escapes:
			l.at++
		case c == quote && l.at+1 < len(l.text) && l.text[l.at+1] == quote:
			l.at++
		case c == quote:
			l.at++
			return
		}
	}
	l.at = len(l.text)
}

// dollar passes over a string between dollar quotes, if there is one.
func (l *lexer) dollar() bool {
	end := bytes.IndexByte(l.text[l.at+1:], '$')
	if end < 0 {
		return false
	}
	tag := l.text[l.at : l.at+end+2]
	if inside := tag[1 : len(tag)-1]; len(inside) > 0 && (inside[0] >= '0' && inside[0] <= '9' || bytes.ContainsFunc(inside, func(c rune) bool { return c < 0x80 && !inWord(byte(c)) })) {
		return false
	}
	l.at += len(tag)
	if end = bytes.Index(l.text[l.at:], tag); end < 0 {
		l.at = len(l.text)
	} else {
		l.at += end + len(tag)
	}
	return true
}

// comment passes over a comment between slashes and stars. PostgreSQL's nest.
func (l *lexer) comment() {
	from, depth := l.at, 1
	for l.at += 2; l.at < len(l.text) && depth > 0; l.at++ {
		switch {
		case l.has("*/"):
			depth--
			l.at++
		case l.native && l.has("/*"):
			depth++
			l.at++
		}
	}
	inside := strings.ToLower(string(l.text[from:min(l.at, from+100)]))
	if said, hints, found := strings.Cut(inside, "xaproxy:"); found && strings.Trim(said, "/* \t\r\n") == "" && strings.Contains(hints, dialectHint) {
		l.native, l.decides = true, strings.Contains(hints, decisionHint)
	}
	switch string(l.text[from:l.at]) + " " {
	case MatchedHint:
		l.matched = true
	case CopyHint:
		l.copied = laterCopy
	case FirstCopyHint:
		l.copied = firstCopy
	}
}

func (l *lexer) line() {
	if end := bytes.IndexByte(l.text[l.at:], '\n'); end >= 0 {
		l.at += end + 1
	} else {
		l.at = len(l.text)
	}
}

// maxName is the length of PostgreSQL's names in bytes (NAMEDATALEN - 1). It would cut longer ones, with a notice.
const maxName = 63

// statement is one of the statements of a COM_QUERY.
type statement struct {
	text     []byte
	native   bool // in PostgreSQL's words
	decision bool // a record of a decision
	matched  bool // behind MatchedHint
	copied   copyRole
	head     []token // the first tokens
}

// headTokens is how many tokens of a statement are kept to tell what it is.
const headTokens = 4

// split cuts the text of a COM_QUERY into statements.
func split(all []byte, escapes bool) (list []statement, err *wire.Error) {
	if bytes.IndexByte(all, 0) >= 0 {
		at := bytes.IndexByte(all, 0)
		return nil, wire.NewError(wire.CodeParse, "the statement has a NUL byte at position %d, which no text of PostgreSQL can have; write binary values as parameters or as x'...'", at)
	}
	l := lexer{text: all, escapes: escapes}
	for from := 0; ; {
		one := statement{}
		t := l.next()
		for ; t.kind != endOfText && !(t.kind == mark && all[t.from] == ';'); t = l.next() {
			if one.head == nil {
				one.head = make([]token, 0, headTokens)
			}
			if len(one.head) < headTokens {
				one.head = append(one.head, t)
			}
			if err == nil {
				err = checkName(all, t, l.native)
			}
		}
		if len(one.head) > 0 {
			one.text, one.native, one.decision, one.matched, one.copied = all[from:t.from], l.native, l.decides, l.matched, l.copied
			for i := range one.head {
				one.head[i].from -= from
				one.head[i].to -= from
			}
			list = append(list, one)
		}
		if t.kind == endOfText {
			return list, err
		}
		from, l.native, l.decides, l.matched, l.copied = t.to, false, false, false, noCopy
	}
}

// checkName refuses a name that PostgreSQL would cut.
func checkName(all []byte, t token, native bool) *wire.Error {
	length := t.to - t.from
	if t.kind == name {
		length -= 2
	}
	if length <= maxName || t.kind != name && t.kind != word || t.kind == word && all[t.from] >= '0' && all[t.from] <= '9' {
		return nil
	}
	return &wire.Error{Errno: 1059, State: "42000", Message: "Identifier name '" + string(all[t.from:t.to]) + "' is too long: PostgreSQL has names of at most 63 bytes"}
}

// is tells whether the statement begins with these words, in capitals.
func (s *statement) is(words ...string) bool {
	if len(words) > len(s.head) {
		return false
	}
	for i, w := range words {
		t := s.head[i]
		if t.kind != word && t.kind != mark || !strings.EqualFold(string(s.text[t.from:t.to]), w) {
			return false
		}
	}
	return true
}

// usualWords is how many those have that begin and end branches.
const usualWords = 10

// words are the tokens of a short statement of xaproxy's own: words and marks in capitals, names and strings without their quotes.
func (s *statement) words(escapes bool) []part {
	l := lexer{text: s.text, escapes: escapes}
	whole := string(s.text)
	all := make([]part, 0, usualWords)
	for t := l.next(); t.kind != endOfText; t = l.next() {
		raw := whole[t.from:t.to]
		p := part{kind: t.kind, raw: raw, is: strings.ToUpper(raw), from: t.from}
		if t.kind == name || t.kind == text {
			p.is = unquote(raw, t.kind == text && escapes)
		}
		all = append(all, p)
	}
	return all
}

// part is a token of a statement that is read as a whole.
type part struct {
	kind tokenKind
	is   string // in capitals, or what is between quotes
	raw  string
	from int
}

// unquote returns what is between the quotes of a string or a name.
//
// Source: MySQL manual, "String Literals".
func unquote(raw string, escapes bool) string {
	if len(raw) < 2 {
		return raw
	}
	quote := raw[0]
	raw = raw[1 : len(raw)-1]
	if strings.IndexByte(raw, quote) < 0 && (!escapes || strings.IndexByte(raw, '\\') < 0) {
		return raw
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == quote:
			i++ // doubled
		case c == '\\' && escapes && i+1 < len(raw):
			i++
			c = raw[i]
			if j := strings.IndexByte("0bnrtZ", c); j >= 0 {
				c = "\x00\b\n\r\t\x1a"[j]
			} else if c == '%' || c == '_' {
				b.WriteByte('\\')
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}
