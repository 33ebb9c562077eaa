package dialect

import (
	"encoding/hex"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/xaproxy/xaproxy/router"
)

// literal is a literal or parameter of the client's text.
type literal struct {
	tok   int
	minus bool
	param bool
	// of values
	kind   Kind   // BigInt, Decimal, Double, Varchar, Varbinary
	text   string // digits, or the string's bytes
	hex    bool   // of x'..' and b'..', which are numbers where a number is asked for
	prefix string // DATE, TIME or TIMESTAMP before a string
	user   string // the user variable that it is instead
}

// marked finds the literal of a marker.
func (s *source) marked(v *sqlparser.SQLVal) (literal, bool, error) {
	val, minus := strings.CutPrefix(string(v.Val), "-")
	if v.Type == sqlparser.StrVal {
		var ok bool
		if val, ok = strings.CutPrefix(val, "~"); !ok {
			return literal{}, false, nil
		}
		n, err := strconv.Atoi(val)
		if err != nil || n >= len(s.slots) {
			return literal{}, false, nil
		}
		l, err := s.read(s.slots[n])
		return l, true, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(val, ".5"))
	if err != nil || n < marker || n-marker >= len(s.slots) {
		return literal{}, false, nil
	}
	l, err := s.read(s.slots[n-marker])
	l.minus = minus
	return l, true, err
}

// markedText is the string of a marker that the parser kept as text, as it does with those of DDL.
func (s *source) markedText(text string) (string, error) {
	l, ok, err := s.marked(&sqlparser.SQLVal{Type: sqlparser.StrVal, Val: []byte(strings.Trim(text, "'"))})
	if err == nil && !ok {
		return text, nil
	}
	return l.text, err
}

const notText = "the string is not UTF-8 or has a zero byte, which PostgreSQL cannot store as text"

// read reads a literal from the client's text.
func (s *source) read(i int) (literal, error) {
	l := literal{tok: i}
	text := s.text(i)
	switch s.toks[i].Class {
	case router.Param:
		l.param = true
	case router.UserVar:
		l.user = s.variable(i)
	case router.Int:
		l.kind, l.text = BigInt, text
		if len(strings.TrimLeft(text, "0")) > 20 {
			l.kind = Decimal
		}
	case router.Decimal:
		l.kind, l.text = Decimal, text
	case router.String:
		l.kind = Varchar
		for j := i; j < len(s.toks) && s.toks[j].Class == router.String; j++ {
			l.text += s.unquote(s.text(j))
		}
		switch w := s.word(i - 1); w {
		case "DATE", "TIME", "TIMESTAMP":
			l.prefix = w
		}
	case router.Other:
		return s.other(l, text)
	}
	if l.kind == Varchar && (!utf8.ValidString(l.text) || strings.IndexByte(l.text, 0) >= 0) {
		if s.word(i-1) == "_BINARY" {
			l.kind = Varbinary
		} else {
			return l, refuse(s.toks[i].Start, notText, "write it as x'..' for a binary column")
		}
	}
	return l, nil
}

// other reads 1e3, 0x1F, x'1F', 0b1, b'1' and N'..'.
func (s *source) other(l literal, text string) (literal, error) {
	at := s.toks[l.tok].Start
	switch {
	case text[0] == 'n' || text[0] == 'N':
		l.kind, l.text = Varchar, s.unquote(text[1:])
		return l, nil
	case strings.HasPrefix(text, "0x") || text[0] == 'x' || text[0] == 'X':
		digits := strings.Trim(text[1:], "x'")
		if len(digits)%2 == 1 {
			digits = "0" + digits
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			return l, refuse(at, "the hexadecimal literal cannot be read", "write it as x'..' with two digits for each byte")
		}
		l.kind, l.text, l.hex = Varbinary, string(b), true
		return l, nil
	case strings.HasPrefix(text, "0b") || text[0] == 'b' || text[0] == 'B':
		digits := strings.Trim(text[1:], "b'")
		n, ok := new(big.Int).SetString("0"+digits, 2)
		if !ok {
			return l, refuse(at, "the bit literal cannot be read", "write it as b'..'")
		}
		l.kind, l.text, l.hex = Varbinary, string(n.FillBytes(make([]byte, (len(digits)+7)/8))), true
		return l, nil
	}
	l.kind, l.text = Double, text
	return l, nil
}

// unquote reads a string with its quotes.
func (s *source) unquote(text string) string { return string(router.Unescape([]byte(text), s.mode)) }

// first is the first of the strings that the token begins: it alone gives a column its name.
func (s *source) first(tok int) string { return s.unquote(strings.TrimLeft(s.text(tok), "nN")) }
