package router

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// plainRow says which bytes a row shape may have besides its literals, so that the same bytes are the same tokens again.
var plainRow = func() (t [256]bool) {
	for _, c := range "(), \t\n\v\f\r+-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" {
		t[c] = true
	}
	return t
}()

// rowStep is a piece of a row shape: up to eight plain bytes, and the literal behind them, whose placeholder is 0 if there is none.
type rowStep struct {
	plain, mask uint64 // as word reads them
	n           int
	place       byte
}

// rowSteps cuts what goes between two rows and a row shape into steps; there are none if these bytes need not be the same tokens again.
func rowSteps(to []rowStep, form []byte) []rowStep {
	var s rowStep
	for _, c := range form {
		switch {
		case placeInt <= c && c <= placeParam && c != placeOther:
			s.place = c
		case !plainRow[c]:
			return to[:0]
		default:
			s.plain |= uint64(c) << (8 * s.n)
			s.mask |= 0xff << (8 * s.n)
			s.n++
		}
		if s.place != 0 || s.n == 8 {
			to = append(to, s)
			s = rowStep{}
		}
	}
	return append(to, s)
}

// word is the eight bytes at src[at:], with 0 behind the end.
func word(src []byte, at int) (w uint64) {
	if at+8 <= len(src) {
		return binary.LittleEndian.Uint64(src[at : at+8])
	}
	src = src[at:]
	for i := len(src) - 1; i >= 0; i-- {
		w = w<<8 | uint64(src[i])
	}
	return w
}

// repeat takes the rows that follow, as long as they and what is between them look like the one before to the byte but for literals. These
// need no lexer: the longest statements there are have nothing but such rows. What it does not take is read as if it had not looked.
func (s *scan) repeat() {
	like := s.rows[len(s.rows)-1].like
	if like >= maxRowShapes {
		return
	}
	at, commas := s.pos, 0
	for ; at < len(s.src) && (class[s.src[at]]&cSpace != 0 || s.src[at] == ','); at++ {
		if s.src[at] == ',' {
			commas++
		}
	}
	if commas != 1 {
		return
	}
	between, form := s.src[s.pos:at], s.buf[s.base+s.likes[like].start:s.base+s.likes[like].end]
	if len(s.stepped) != len(between)+len(form) || !bytes.HasPrefix(s.stepped, between) || !bytes.HasSuffix(s.stepped, form) {
		s.stepped = append(append(s.stepped[:0], between...), form...)
		s.steps = rowSteps(s.steps[:0], s.stepped)
	}
	if len(s.steps) == 0 {
		return
	}
	n, lits, rows, at := literals(s.steps), s.lits, s.rows, s.pos
	for {
		lits = slices.Grow(lits, n)
		these := lits[len(lits) : len(lits)+n]
		end := match(s.steps, s.src, at, these)
		if end < 0 {
			break
		}
		rows = append(rows, row{at + len(between), end, like, len(lits)})
		if s.params > 0 {
			s.number(these)
		}
		lits, at = lits[:len(lits)+n], end
	}
	s.lits, s.rows, s.pos = lits, rows, at
}

// literals is how many literals the steps have.
func literals(steps []rowStep) (n int) {
	for i := range steps {
		if steps[i].place != 0 {
			n++
		}
	}
	return n
}

// number counts the parameters among literals.
func (s *scan) number(lits []literal) {
	for i := range lits {
		if lits[i].kind == kParam {
			lits[i].param = uint16(s.params)
			s.params++
		}
	}
}

// match reads the steps with these literals at src[at:] and returns their end, -1 if there is something else, or may be.
func match(steps []rowStep, src []byte, at int, lits []literal) int {
	n := 0
	for i := range steps {
		step := &steps[i]
		if word(src, at)&step.mask != step.plain {
			return -1
		}
		at += step.n
		start := at
		switch step.place {
		case 0:
			continue
		case placeInt:
			if at = digitsEnd(src, at); at == start {
				return -1
			}
		case placeDecimal:
			point := digitsEnd(src, at)
			if point == at || point == len(src) || src[point] != '.' {
				return -1
			}
			if at = digitsEnd(src, point+1); at == point+1 {
				return -1
			}
		case placeString: // in single quotes, without quotes and backslashes in it
			if at == len(src) || src[at] != '\'' {
				return -1
			}
			at++
			found := special(word(src, at))
			for found == 0 && at+8 < len(src) {
				at += 8
				found = special(word(src, at))
			}
			at += bits.TrailingZeros64(found) / 8
			if at >= len(src) || src[at] != '\'' || at+1 < len(src) && src[at+1] == '\'' { // the first quote of two
				return -1
			}
			at++
		case placeParam:
			if at == len(src) || src[at] != '?' {
				return -1
			}
			at++
		}
		lits[n] = literal{kind: kInt + kind(step.place-placeInt), start: start, end: at}
		n++
	}
	return at
}

// special marks quotes and backslashes among eight bytes: the lowest bit that is set is the highest one of the first of them.
func special(w uint64) uint64 {
	const each, tops = 0x0101010101010101, 0x8080808080808080
	quote, backslash := w^'\''*each, w^'\\'*each
	return ((quote-each)&^quote | (backslash-each)&^backslash) & tops
}

// digitsEnd is the end of the digits at src[at:].
func digitsEnd(src []byte, at int) int {
	for at < len(src) && src[at]-'0' < 10 {
		at++
	}
	return at
}
