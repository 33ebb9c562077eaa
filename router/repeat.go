package router

import "bytes"

// plainRow says which bytes a row shape may have besides its literals, so that the same bytes are the same tokens again.
var plainRow = func() (t [256]bool) {
	for _, c := range "(), +-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" {
		t[c] = true
	}
	return t
}()

// repeat takes the rows that follow, as long as they look like the one before them to the byte but for their literals. These
// need no lexer: the longest statements there are have nothing but such rows. What it does not take is read as if it had not looked.
func (s *scan) repeat() {
	like := s.rows[len(s.rows)-1].like
	if like >= maxRowShapes {
		return
	}
	form := s.buf[s.base+s.likes[like].start : s.base+s.likes[like].end]
	for _, c := range form {
		if c >= ' ' && !plainRow[c] || c == placeOther {
			return
		}
	}
	for {
		start := s.pos
		for start < len(s.src) && s.src[start] == ' ' {
			start++
		}
		if start == len(s.src) || s.src[start] != ',' {
			return
		}
		for start++; start < len(s.src) && s.src[start] == ' '; {
			start++
		}
		lits, params := len(s.lits), s.params
		end := s.match(form, start)
		if end < 0 {
			s.lits, s.params = s.lits[:lits], params
			return
		}
		s.rows = append(s.rows, row{start, end, like, lits})
		s.pos = end
	}
}

// match reads a row of a known shape at src[at:] and returns its end, -1 if it is another one, or may be.
func (s *scan) match(form []byte, at int) int {
	src := s.src
	for _, c := range form {
		if at >= len(src) {
			return -1
		}
		if c >= ' ' {
			if src[at] != c {
				return -1
			}
			at++
			continue
		}
		start := at
		lit := literal{start: start}
		switch c {
		case placeInt, placeDecimal:
			lit.kind = kInt
			for at < len(src) && src[at]-'0' < 10 {
				at++
			}
			if at == start || at == len(src) {
				return -1
			}
			if c == placeDecimal {
				lit.kind = kDecimal
				if src[at] != '.' {
					return -1
				}
				point := at
				for at++; at < len(src) && src[at]-'0' < 10; {
					at++
				}
				if at == point+1 {
					return -1
				}
			}
		case placeString:
			lit.kind = kString
			if src[at] != '\'' {
				return -1
			}
			n := bytes.IndexByte(src[at+1:], '\'')
			if n < 0 || bytes.IndexByte(src[at+1:at+1+n], '\\') >= 0 {
				return -1
			}
			if at += n + 2; at < len(src) && src[at] == '\'' { // one quote of the string
				return -1
			}
		case placeParam:
			lit.kind, lit.param = kParam, uint16(s.params)
			if src[at] != '?' {
				return -1
			}
			s.params++
			at++
		default:
			return -1
		}
		lit.end = at
		s.lits = append(s.lits, lit)
	}
	return at
}
