package router

import "strings"

// Mode holds what of the session's variables changes how text is cut into tokens, or where statements run: sql_mode but for SelectLimit.
type Mode uint8

// The modes.
const (
	AnsiQuotes         Mode = 1 << iota // "x" is an identifier
	NoBackslashEscapes                  // \ in a string is an ordinary character
	NoAutoValueOnZero                   // 0 in an AUTO_INCREMENT column is 0
	SelectLimit                         // sql_select_limit is set, so that rows of several backends cannot be passed on as they are
)

// kind is the kind of a token.
type kind uint8

const (
	kEnd       kind = iota // the text is at its end
	kSpace                 // white space
	kComment               // a comment, or an executable one that this reading skips
	kExecOpen              // /*! or /*M! with its version: the text up to kExecClose is code
	kExecClose             // the */ of kExecOpen
	kWord                  // unquoted identifier or keyword
	kQuoted                // `identifier`, or "identifier" with AnsiQuotes
	kUserVar               // @name
	kSysVar                // @@name
	kOp                    // operator or punctuation
	kSemi                  // ;
	kBad                   // not a token: unterminated, NUL, control character
	// Literals. In a shape each is one byte, see the placeholders below.
	kInt     // digits
	kDecimal // digits with a point
	kString  // '...' or "..."
	kOther   // 1e3, 0x1F, x'1F', 0b1, b'1', N'...': never a shard key
	kParam   // ?, which stands for a value that is bound later
)

// placeholder bytes stand for literals in a shape. In a client's text outside of quotes they are kBad.
const (
	placeInt     = '\x01'
	placeDecimal = '\x02'
	placeString  = '\x03'
	placeOther   = '\x04'
	placeParam   = '\x05'
)

func (k kind) literal() bool { return k >= kInt }

// blank tells tokens that separate others and mean nothing themselves.
func (k kind) blank() bool { return k >= kSpace && k <= kExecClose }

// token is a piece of text: src[start:end].
type token struct {
	kind       kind
	start, end int
}

// lexer cuts a statement into tokens as the lexers of MySQL and MariaDB do (sql/sql_lex.cc, lex_one_token). Tokens tile the
// text: each begins where the one before ended. Any bytes are accepted; what the servers would not accept becomes kBad.
//
// Executable comments come in two sorts. Those that every supported server runs (/*! and /*!NNNNN up to 50699) are code.
// Those that depend on the server's name or version count as uncertain and are code, or comments when skip is set.
type lexer struct {
	src  []byte
	pos  int
	mode Mode
	skip bool // read uncertain executable comments as comments
	// shape is set when src is a shape: placeholder bytes are literals.
	shape bool

	inExec    bool // between kExecOpen and kExecClose
	exec      bool // an executable comment was seen
	uncertain int  // how many were seen whose effect depends on the server
	dot       bool // the last token was a '.', so an identifier follows
	prev      kind // kind of the last token
}

// bits of class
const (
	cIdent = 1 << iota // may be part of an unquoted identifier
	cDigit
	cSpace
	cHex
	cCntrl
	cAlone // an operator whatever is around it
)

var class = func() (t [256]uint8) {
	for c := range 256 {
		b := byte(c)
		switch {
		case b >= '0' && b <= '9':
			t[c] = cIdent | cDigit | cHex
		case b|0x20 >= 'a' && b|0x20 <= 'f':
			t[c] = cIdent | cHex
		case b|0x20 >= 'a' && b|0x20 <= 'z', b == '_', b == '$', b >= 0x80:
			t[c] = cIdent
		case b == ' ':
			t[c] = cSpace
		case b >= '\t' && b <= '\r':
			t[c] = cSpace | cCntrl
		case b < ' ', b == 0x7f:
			t[c] = cCntrl
		case strings.IndexByte("!%&()+,<=>[]^{}~", b) >= 0:
			t[c] = cAlone
		}
	}
	return t
}()

// at is the byte i places after the current one, 0 behind the end.
func (l *lexer) at(i int) byte {
	if l.pos+i < len(l.src) {
		return l.src[l.pos+i]
	}
	return 0
}

// next returns the next token, kEnd at the end of the text.
func (l *lexer) next() token {
	start := l.pos
	if start >= len(l.src) {
		if l.inExec {
			l.inExec = false
			return token{kBad, start, start}
		}
		return token{kEnd, start, start}
	}
	var k kind
	switch f := class[l.src[start]]; {
	case f == cAlone:
		l.pos++
		l.dot = false
		k = kOp
	case f&(cIdent|cDigit) == cIdent && l.at(1) != '\'':
		k = l.word()
	default:
		k = l.scan()
	}
	l.prev = k
	if k != kOp {
		l.dot = false
	}
	return token{k, start, l.pos}
}

// blank reads a space, if there is one: the token that most others are behind.
func (l *lexer) blank() bool {
	if l.at(0) != ' ' {
		return false
	}
	l.pos++
	l.prev, l.dot = kSpace, false
	return true
}

// scan moves pos behind the token at pos and says what it is.
func (l *lexer) scan() kind {
	c := l.src[l.pos]
	switch f := class[c]; {
	case f&cSpace != 0:
		l.span(cSpace)
		return kSpace
	case f&cDigit != 0:
		if l.dot {
			return l.word()
		}
		return l.number()
	case f&cIdent != 0:
		if !l.dot && l.at(1) == '\'' {
			switch c {
			case 'x', 'X':
				return l.bits(cHex, 2)
			case 'b', 'B':
				return l.bits(0, 1)
			case 'n', 'N':
				l.pos++
				if l.quoted('\'', l.mode&NoBackslashEscapes == 0) == kBad {
					return kBad
				}
				return kOther
			}
		}
		return l.word()
	}
	switch c {
	case '\'':
		return l.quoted(c, l.mode&NoBackslashEscapes == 0)
	case '"':
		if l.mode&AnsiQuotes != 0 {
			if l.quoted(c, false) == kBad {
				return kBad
			}
			return kQuoted
		}
		return l.quoted(c, l.mode&NoBackslashEscapes == 0)
	case '`':
		if l.quoted(c, false) == kBad {
			return kBad
		}
		return kQuoted
	case '#':
		return l.lineComment()
	case '-':
		// After "--" the servers want white space, a control character or the end of the text.
		if l.at(1) == '-' {
			switch n := l.at(2); {
			case l.shape && n >= placeInt && n <= placeParam: // two minus signs before a literal
			case class[n]&(cSpace|cCntrl) != 0:
				return l.lineComment()
			case n == 0xa0: // a space in latin1
				l.pos += 2
				return kBad
			}
		}
	case '/':
		if l.at(1) == '*' {
			return l.blockComment()
		}
	case '*':
		if l.inExec && l.at(1) == '/' {
			l.pos += 2
			l.inExec = false
			return kExecClose
		}
	case '@':
		return l.variable()
	case ';':
		l.pos++
		return kSemi
	case '.':
		return l.point()
	case ':':
		if l.at(1) == '=' {
			l.pos++
		}
	case '|':
		if l.at(1) == '|' {
			l.pos++
		}
	case placeInt, placeDecimal, placeString, placeOther, placeParam:
		if l.shape {
			l.pos++
			return [...]kind{kInt, kDecimal, kString, kOther, kParam}[c-placeInt]
		}
	case '?': // sql_lex.cc takes it for a parameter unless an identifier's character follows
		l.pos++
		if class[l.at(0)]&cIdent != 0 {
			return kBad
		}
		return kParam
	}
	l.pos++
	if class[c]&cCntrl != 0 {
		return kBad
	}
	l.dot = false
	return kOp
}

// word reads an unquoted identifier or keyword.
func (l *lexer) word() kind {
	k, src, pos := kWord, l.src, l.pos
	for ; pos < len(src); pos++ {
		c := src[pos]
		if class[c]&cIdent == 0 {
			break
		}
		if c == 0xa0 { // white space in latin1, a letter's last byte in utf8: quoted it is certain
			k = kBad
		}
	}
	l.pos = pos
	return k
}

// span reads bytes of a class.
func (l *lexer) span(of uint8) {
	src, pos := l.src, l.pos
	for pos < len(src) && class[src[pos]]&of != 0 {
		pos++
	}
	l.pos = pos
}

// number reads what begins with a digit: a number, or an identifier such as 1a. sql_lex.cc: MY_LEX_NUMBER_IDENT.
func (l *lexer) number() kind {
	start := l.pos
	if l.src[start] == '0' && (l.at(1) == 'x' || l.at(1) == 'b') {
		hex := l.at(1) == 'x'
		l.pos += 2
		if hex {
			l.span(cHex)
		} else {
			for l.at(0) == '0' || l.at(0) == '1' {
				l.pos++
			}
		}
		if l.pos-start >= 3 && class[l.at(0)]&cIdent == 0 {
			return kOther
		}
		return l.word()
	}
	l.span(cDigit)
	switch c := l.at(0); {
	case c == 'e' || c == 'E':
		if l.exponent() {
			return kOther
		}
		return l.word()
	case class[c]&cIdent != 0:
		return l.word()
	case c == '.':
		return l.fraction()
	}
	return kInt
}

// exponent reads e5, e+5 or e-5 and says whether there was one.
func (l *lexer) exponent() bool {
	n := 1
	if l.at(1) == '+' || l.at(1) == '-' {
		n = 2
	}
	if class[l.at(n)]&cDigit == 0 {
		return false
	}
	l.pos += n
	l.span(cDigit)
	return true
}

// fraction reads a number from its point on. sql_lex.cc: MY_LEX_REAL.
func (l *lexer) fraction() kind {
	l.pos++
	l.span(cDigit)
	if c := l.at(0); c == 'e' || c == 'E' {
		if !l.exponent() {
			l.pos++
			return kBad
		}
		return kOther
	}
	return kDecimal
}

// point reads what begins with a point. Directly behind an identifier it is a separator; so it is before anything but a digit.
func (l *lexer) point() kind {
	separator := l.prev == kWord || l.prev == kQuoted || l.prev == kSysVar
	if !separator && class[l.at(1)]&cDigit != 0 {
		return l.fraction()
	}
	l.pos++
	l.dot = true
	return kOp
}

// bits reads x'..' or b'..': only digits up to the quote, and a multiple of so many of them.
func (l *lexer) bits(digit uint8, multiple int) kind {
	l.pos += 2
	start := l.pos
	for l.pos < len(l.src) && l.src[l.pos] != '\'' {
		c := l.src[l.pos]
		if digit != 0 && class[c]&digit == 0 || digit == 0 && c != '0' && c != '1' {
			return kBad
		}
		l.pos++
	}
	if l.pos == len(l.src) || (l.pos-start)%multiple != 0 {
		return kBad
	}
	l.pos++
	return kOther
}

// quoted reads up to the closing quote; a doubled quote stands for itself, as does an escaped one.
func (l *lexer) quoted(quote byte, escapes bool) kind {
	src := l.src
	for pos := l.pos + 1; pos < len(src); pos++ {
		switch c := src[pos]; {
		case c == quote:
			if pos++; pos == len(src) || src[pos] != quote {
				l.pos = pos
				return kString
			}
		case c == '\\' && escapes:
			pos++
		}
	}
	l.pos = len(l.src)
	return kBad
}

// lineComment reads to the end of the line. A NUL would end the comment for the servers too.
func (l *lexer) lineComment() kind {
	for l.pos < len(l.src) && l.src[l.pos] != '\n' {
		if l.src[l.pos] == 0 {
			l.pos++
			return kBad
		}
		l.pos++
	}
	return kComment
}

// blockComment reads /* ... */, or the opening of an executable comment.
func (l *lexer) blockComment() kind {
	n, maria := 2, false
	if l.at(2) == 'M' && l.at(3) == '!' {
		n, maria = 3, true
	}
	if l.at(n) != '!' {
		return l.skipComment(0)
	}
	n++
	digits, version := 0, 0
	for digits < 6 && class[l.at(n+digits)]&cDigit != 0 {
		version = version*10 + int(l.at(n+digits)-'0')
		digits++
	}
	switch {
	case digits < 5:
		digits, version = 0, 0
	case version >= 990000: // no server is that new: a way to write a comment
		return l.skipComment(1)
	}
	// MariaDB skips 50700 to 99999; servers differ in whether a sixth digit belongs to the version.
	if maria || digits == 6 || version >= 50700 {
		l.uncertain++
		if l.skip {
			return l.skipComment(1)
		}
	}
	if l.inExec { // nested: servers disagree about where it ends
		l.pos = len(l.src)
		l.inExec = false
		return kBad
	}
	l.pos += n + digits
	l.inExec, l.exec = true, true
	return kExecOpen
}

// skipComment reads a comment to its end; depth comments inside of it may be closed too.
// sql_lex.cc: consume_comment.
func (l *lexer) skipComment(depth int) kind {
	for l.pos += 2; l.pos < len(l.src); l.pos++ {
		switch {
		case l.src[l.pos] == '*' && l.at(1) == '/':
			l.pos += 2
			return kComment
		case depth > 0 && l.src[l.pos] == '/' && l.at(1) == '*':
			if l.skipComment(depth-1) == kBad {
				return kBad
			}
			l.pos--
		}
	}
	l.pos = len(l.src)
	return kBad
}

// variable reads @name, @'name', @@name, or the @ of an account name such as root@localhost.
func (l *lexer) variable() kind {
	l.pos++
	switch l.prev {
	case kWord, kQuoted, kString:
		return kOp
	}
	k := kUserVar
	if l.at(0) == '@' {
		l.pos++
		k = kSysVar
	}
	switch c := l.at(0); {
	case c == '`', k == kUserVar && (c == '\'' || c == '"'):
		if l.quoted(c, c != '`' && l.mode&NoBackslashEscapes == 0) == kBad {
			return kBad
		}
	case class[c]&cIdent != 0 || k == kUserVar && c == '.':
		for class[l.at(0)]&cIdent != 0 || k == kUserVar && l.at(0) == '.' {
			if l.at(0) == 0xa0 {
				k = kBad
			}
			l.pos++
		}
	}
	return k
}
