package router

// Class is what a token of Tokens is.
type Class uint8

// The classes of tokens.
const (
	Bad     Class = iota // not a token: unterminated, NUL, control character
	Word                 // unquoted identifier or keyword
	Quoted               // quoted identifier
	UserVar              // @name
	SysVar               // @@name
	Op                   // operator or punctuation
	Semi                 // ;
	Int                  // digits
	Decimal              // digits with a point
	String               // '...' or "..."
	Other                // 1e3, 0x1F, x'1F', 0b1, b'1', N'...'
	Param                // ?
)

// Token is a piece of a statement, sql[Start:End].
type Token struct {
	Class      Class
	Start, End int
	// Dotted says that the token follows a point, so that it is an identifier whatever it says.
	Dotted bool
	// Spaced says that there is a blank or a comment before it.
	Spaced bool
}

var classes = map[kind]Class{
	kBad: Bad, kWord: Word, kQuoted: Quoted, kUserVar: UserVar, kSysVar: SysVar, kOp: Op, kSemi: Semi,
	kInt: Int, kDecimal: Decimal, kString: String, kOther: Other, kParam: Param,
}

// Tokens cuts a statement as Plan does, for readers of other packages. Blanks and comments are left out, and the code in executable
// comments is code.
func Tokens(sql []byte, mode Mode) []Token {
	l := lexer{src: sql, mode: mode}
	var all []Token
	spaced := false
	for {
		dotted := l.dot
		t := l.next()
		switch {
		case t.kind == kEnd:
			return all
		case t.kind.blank():
			spaced = true
			continue
		}
		all = append(all, Token{classes[t.kind], t.start, t.end, dotted, spaced})
		spaced = false
	}
}
