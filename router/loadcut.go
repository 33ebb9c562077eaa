package router

import (
	"bytes"
	"slices"
)

// Cutter cuts a client's file into the pieces that a server reads one after the other, and finds the shard key in each line.
// What it must know of LOAD DATA is more than how fields and lines end:
//
//   - only as many fields are read as there are columns; what is behind them is skipped up to the end of the line, and there an
//     enclosing character means nothing, whereas an escape does;
//   - the lines of IGNORE n LINES end where such a rest ends;
//   - LINES STARTING BY is looked for from the end of one line on, over as many line ends as it takes;
//   - a quote inside of an enclosed field ends it only if the end of a field, of a line or of the file follows; two are one;
//   - an escape goes before everything else. If the same character encloses and escapes, it only escapes itself;
//   - at the end of the file a field without its closing quote has the opening one as its first character, and where a field
//     would begin there is none.
//
// What does not count is not passed on either: ignored lines become empty, and of what is behind the last field one character
// stays, for the warning that there was more. MariaDB takes a line end there for the second byte of a character, after a byte that
// could begin one, and then it would find other lines than the cutter.
//
// A Cutter is for one file.
type Cutter struct {
	load    *Load
	special [256]bool // bytes that may mean something within a field
	filler  byte      // a character that is in no separator
	phase   phase
	lines   uint64   // that have begun
	at      int      // of the bytes that were given last: those before it have been looked at
	field   int      // of the line, from 0
	fields  int      // where they end, if there is more behind the last one
	key     []byte   // of the line, or the field, as far as it was read; at most maxKeyText+1 bytes unless the load is Whole
	values  [][]byte // of a Whole load: the fields that have ended
	escaped bool     // the field has an escaped N
	null    bool     // the key is NULL
	open    bool     // the rest of a line had no end
	text    []byte   // of a piece that is not passed on as it is
}

// phase is what comes next in the file.
type phase uint8

const (
	betweenLines phase = iota // the beginning of a line
	ignoredLine               // the rest of a line that IGNORE n LINES skips
	beforeField               // the beginning of a field
	plainField                // the rest of a field
	quotedField               // the rest of an enclosed field
	behindFields              // what is behind the last field, up to the end of the line
)

// Piece is a part of the file.
type Piece struct {
	Size int // in bytes
	For  Audience
	Text []byte // to be sent; valid until the next call of Next, or as long as b is
	Line uint64 // for ForKey: its number in the file, from 1
	// Key is the field of the shard key without quotes and escapes, nil for NULL; Missing: the line ends before it. A key that is
	// too long is cut, but not so far that Load.Place would take it. Valid until the next call of Next.
	Key     []byte
	Missing bool
	// Values are of a Whole load: the fields of the line, as Key has one, where Missing tells that there are fewer than Columns, and Rest that
	// there is more behind them, which MySQL warns of. They are valid as long as Key.
	Values [][]byte
	Rest   bool
}

// Audience is who gets a piece.
type Audience uint8

// The audiences.
const (
	ForNobody Audience = iota // it has no meaning
	ForAll                    // it belongs to a line that every part skips by itself
	ForKey                    // it is one line
)

// Cutter returns a Cutter at the beginning of a file.
func (l *Load) Cutter() *Cutter {
	c := &Cutter{load: l}
	for _, s := range l.separators() {
		if len(s) > 0 {
			c.special[s[0]] = true
		}
	}
	for _, char := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") {
		if !slices.ContainsFunc(l.separators(), func(s []byte) bool { return bytes.IndexByte(s, char) >= 0 }) {
			c.filler = char
			break
		}
	}
	return c
}

// Lines is how many lines have begun.
func (c *Cutter) Lines() uint64 { return c.lines }

// Next returns the piece that b, the unread bytes of the file, begins with. If there is not yet a whole one, ok is false: the
// next call must bring the same bytes and more behind them. last tells that b ends with the file; then ok is false when nothing
// is left.
func (c *Cutter) Next(b []byte, last bool) (p Piece, ok bool) {
	if c.phase == betweenLines {
		if len(b) == 0 {
			return p, false
		}
		if c.lines < c.load.Ignore {
			c.phase = ignoredLine
			c.lines++
		} else if skip, found := c.start(b, last); !found {
			return Piece{Size: skip}, skip > 0
		} else if skip > 0 {
			return Piece{Size: skip}, true
		}
	}
	if c.phase == ignoredLine {
		ended := c.rest(b, last)
		p.Size, c.at = c.at, 0
		if ended && !c.open {
			c.phase = betweenLines
			p.For, p.Text = ForAll, c.load.LinesTerminated
		}
		return p, p.Size > 0
	}
	if !c.line(b, last) {
		return p, false
	}
	p = Piece{Size: c.at, For: ForKey, Text: b[:c.at], Line: c.lines, Key: c.key, Missing: c.field <= c.load.KeyColumn}
	if c.load.Whole {
		p.Key, p.Values, p.Missing = nil, c.values, c.field < c.load.Columns
		p.Rest = c.phase == behindFields && !c.open && c.fields+len(c.load.LinesTerminated) < c.at
	}
	switch {
	case c.field == 0: // nothing but LinesStarting, at the end of the file
		p = Piece{Size: c.at}
	case c.null:
		p.Key = nil
	case p.Key == nil:
		p.Key = []byte{}
	}
	if c.phase == behindFields {
		p.Text = c.cut(p.Text)
	}
	c.phase, c.at = betweenLines, 0
	return p, true
}

// cut takes what does not count off a line.
func (c *Cutter) cut(line []byte) []byte {
	end := c.load.LinesTerminated
	if c.open {
		end = nil
	}
	if c.fields+len(end) == len(line) {
		return line
	}
	c.text = append(append(c.text[:0], line[:c.fields]...), c.filler)
	c.text = append(c.text, end...)
	return c.text
}

// start begins a line. What is before LinesStarting counts for nothing: skip is how much that is. If LinesStarting is not
// found, that is all but its first bytes, which may be the last ones here.
func (c *Cutter) start(b []byte, last bool) (skip int, found bool) {
	prefix := c.load.LinesStarting
	switch i := bytes.Index(b, prefix); {
	case i > 0:
		return i, true
	case i < 0 && last:
		return len(b), false
	case i < 0:
		return max(0, len(b)-len(prefix)+1), false
	}
	c.phase, c.at, c.field = beforeField, len(prefix), 0
	c.key, c.null, c.values = c.key[:0], false, c.values[:0]
	c.lines++
	return 0, true
}

// line reads on up to the end of the line; false: it needs more of the file.
func (c *Cutter) line(b []byte, last bool) bool {
	for {
		switch c.phase {
		case beforeField:
			if c.at == len(b) {
				return last
			}
			c.escaped = false
			c.phase = plainField
			if c.is(b[c.at], c.load.Enclosed) {
				c.phase = quotedField
				c.at++
			}
		case behindFields:
			return c.rest(b, last)
		default:
			end, ok := c.inField(b, last)
			if !ok {
				return false
			}
			c.ended()
			c.field++
			switch {
			case end == endOfLine:
				return true
			case c.field == c.load.Columns:
				c.phase, c.fields = behindFields, c.at
			default:
				c.phase = beforeField
			}
		}
	}
}

// fieldEnd is what a field ends with.
type fieldEnd uint8

const (
	endOfField fieldEnd = iota
	endOfLine           // or of the file
)

// inField reads on up to the end of the field; ok false: it needs more of the file.
func (c *Cutter) inField(b []byte, last bool) (end fieldEnd, ok bool) {
	l := c.load
	for {
		from := c.at
		for c.at < len(b) && !c.special[b[c.at]] {
			c.at++
		}
		c.take(b[from:c.at])
		if c.at == len(b) {
			if last {
				c.unclosed()
			}
			return endOfLine, last
		}
		char := b[c.at]
		if c.is(char, l.Escaped) {
			switch {
			case c.at+1 < len(b):
			case last:
				c.takeByte(char)
				c.at++
				c.unclosed()
				return endOfLine, true
			default:
				return 0, false
			}
			if next := b[c.at+1]; next == char || !c.is(char, l.Enclosed) {
				c.takeByte(c.unescape(next))
				c.at += 2
				continue
			}
		}
		closing := 0
		if c.phase == quotedField {
			if !c.is(char, l.Enclosed) {
				c.takeByte(char)
				c.at++
				continue
			}
			if c.at+1 == len(b) && !last {
				return 0, false
			}
			if c.at+1 < len(b) && b[c.at+1] == char {
				c.takeByte(char)
				c.at += 2
				continue
			}
			closing = 1
		}
		rest := b[c.at+closing:]
		line, moreLine := begins(rest, l.LinesTerminated, last)
		field, moreField := begins(rest, l.FieldsTerminated, last)
		switch {
		case line:
			c.at += closing + len(l.LinesTerminated)
			c.finish(closing > 0)
			return endOfLine, true
		case moreLine || moreField:
			return 0, false
		case field:
			c.at += closing + len(l.FieldsTerminated)
			c.finish(closing > 0)
			return endOfField, true
		case closing > 0 && len(rest) == 0:
			c.at++
			c.finish(true)
			return endOfLine, true
		}
		c.takeByte(char)
		c.at++
	}
}

// rest reads on up to the end of a line whose content does not count; false: it needs more of the file, but not again what is
// before c.at.
func (c *Cutter) rest(b []byte, last bool) bool {
	l := c.load
	for c.at < len(b) {
		char := b[c.at]
		switch {
		case !c.special[char]:
			c.at++
		case c.is(char, l.Escaped):
			if c.at+1 == len(b) && !last {
				return false
			}
			c.at = min(c.at+2, len(b))
		default:
			ends, more := begins(b[c.at:], l.LinesTerminated, last)
			switch {
			case ends:
				c.at += len(l.LinesTerminated)
				c.open = false
				return true
			case more:
				return false
			}
			c.at++
		}
	}
	c.open = true
	return last
}

// begins tells whether b begins with term, or needs more bytes to.
func begins(b, term []byte, last bool) (yes, more bool) {
	if len(b) < len(term) {
		return false, !last && bytes.HasPrefix(term, b)
	}
	return bytes.HasPrefix(b, term), false
}

// is tells whether char is the one of a clause that may have none.
func (c *Cutter) is(char byte, clause []byte) bool { return len(clause) > 0 && char == clause[0] }

// ended keeps the value of a field.
func (c *Cutter) ended() {
	if !c.load.Whole {
		return
	}
	n := len(c.values)
	c.values = slices.Grow(c.values, 1)[:n+1]
	if c.values[n] = append(c.values[n][:0], c.key...); c.null {
		c.values[n] = nil
	} else if c.values[n] == nil {
		c.values[n] = []byte{}
	}
	c.key, c.null = c.key[:0], false
}

// take adds bytes to the key, if the field is that.
func (c *Cutter) take(b []byte) {
	if c.load.Whole {
		c.key = append(c.key, b...)
	} else if c.field == c.load.KeyColumn {
		c.key = append(c.key, b[:min(len(b), maxKeyText+1-len(c.key))]...)
	}
}

func (c *Cutter) takeByte(char byte) {
	if c.load.Whole || c.field == c.load.KeyColumn && len(c.key) <= maxKeyText {
		c.key = append(c.key, char)
	}
}

// unescape is what the character behind an escape means.
func (c *Cutter) unescape(char byte) byte {
	switch char {
	case '0':
		return 0
	case 'b':
		return '\b'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'Z':
		return 0x1a
	case 'N':
		c.escaped = true
	}
	return char
}

// finish ends a field: \N is NULL, and so is the word where fields can be enclosed and this one is not.
func (c *Cutter) finish(enclosed bool) {
	if !c.load.Whole && c.field != c.load.KeyColumn {
		return
	}
	c.null = c.escaped && len(c.key) == 1 || !enclosed && len(c.load.Enclosed) > 0 && string(c.key) == "NULL"
}

// unclosed ends a field at the end of the file.
func (c *Cutter) unclosed() {
	if c.phase == quotedField && (c.load.Whole || c.field == c.load.KeyColumn) {
		c.key = append(c.key, 0)
		copy(c.key[1:], c.key)
		c.key[0] = c.load.Enclosed[0]
	}
	c.finish(false)
}
