package router

import (
	"math"
	"math/bits"
	"strconv"

	"github.com/xaproxy/xaproxy/config"
)

// # Canonical keys
//
// The proxy does not know the column's type, so keys that MySQL may call equal must have the same canonical form:
//
//   - an integer literal, a decimal literal without a fraction (5.0) and a string that is exactly a canonical integer ('5',
//     '-5') are the integer: its decimal digits without leading zeros or plus sign, -0 being 0, from -2^63 to 2^64-1;
//   - any other string is its bytes after unescaping, with A-Z folded to a-z and trailing spaces taken off, because the
//     default collations ignore case and may pad.
//
// The value of a parameter is read by its type in the same way: an integer of either sign, or the bytes of a string.
//
// Not placed are strings that are a number in another form or begin like one ('05', ' 5', '5.0', '5abc'), unless they have the
// form of a UUID (8-4-4-4-12 hexadecimal digits); non-ASCII and control characters, some of which collations ignore or
// equate; strings of more than 256 bytes or of nothing but spaces; and every other kind of literal or expression.
//
// The column must be an integer column, or a character column with a collation that does not equate different ASCII
// characters other than by case (so not utf8mb4_roman_ci), and its statements must compare it with literals of its own kind:
// WHERE name = 0 on a character column matches all names in MySQL. Once Learn has told what the column holds, literals of another kind are
// no keys, and such a statement goes to all shards.
//
// Functions of dates (dates, day, month, year) take strings in the form 2026-01-31 or 2026-01-31 23:59:59.999999 and nothing else.

// maxKeyText is the length of the longest string that can be a shard key.
const maxKeyText = 256

// keyFault is why a literal cannot be a shard key.
type keyFault uint8

const (
	keyGood keyFault = iota
	keyClass
	keyNull
	keyFraction
	keyRange
	keyNumeric
	keyByte
	keyEscape
	keyLong
	keySign
	keyInteger
	keyEmpty
	keyFolded
	keyMoment
	keyNowhere
	keyText
	keyOutside
	keyNumber
	keyWide
	keyRounded
	keyMember
	keyYear
	keyZoned
)

var keyFaults = [...]string{
	keyGood:     "",
	keyClass:    "is not an integer or a plain string",
	keyNull:     "is NULL",
	keyFraction: "has a fraction, and shard keys are integers or strings",
	keyRange:    "is outside of -9223372036854775808 to 18446744073709551615",
	keyNumeric:  "is a string that MySQL may also read as a number, but not in its plain decimal form",
	keyByte:     "has a character that is not printable ASCII, which collations may ignore or equate with others",
	keyEscape:   "has an escape sequence whose meaning depends on its use",
	keyLong:     "is longer than 256 bytes",
	keySign:     "is a string with a minus sign before it",
	keyEmpty:    "is an empty string, which MySQL may also read as 0 or NULL",
	keyInteger:  "is not an integer, which the function of the shard map needs",
	keyFolded:   "has capital letters or trailing spaces, which collations ignore and crc32 does not",
	keyMoment:   "is not a date in the form '2026-01-31' or '2026-01-31 23:59:59'",
	keyNowhere:  "is held by no shard",
	keyText:     "is text, and the column holds numbers",
	keyOutside:  "is out of the range of the column",
	keyNumber:   "is a number, and the column holds text",
	keyWide:     "is too long for the column",
	keyRounded:  "has a fraction of a second that the column may round to another shard",
	keyMember:   "is not one of the column's values as its definition has them",
	keyYear:     "is not a year from 1901 to 2155, and the column may turn it into one",
	keyZoned:    "is for a TIMESTAMP, which is another moment in each time zone",
}

// key is a canonical key.
type key struct {
	date     bool // it is to be read as a date: moment
	text     bool // a string: bytes[:n]
	folded   bool // the string was in another form
	negative bool // of an integer
	size     uint64
	moment   config.Point
	n        int
	bytes    [maxKeyText]byte
}

func (k *key) clear() { k.text, k.folded, k.negative, k.size, k.n = false, false, false, 0, 0 }

// parse reads a literal, minus telling that a minus sign goes before it.
func (k *key) parse(src []byte, kd kind, minus bool, mode Mode) keyFault {
	k.clear()
	switch {
	case k.date && kd != kString:
		return keyMoment
	case kd == kInt:
		return k.integer(src, minus)
	case kd == kDecimal:
		whole := src
		for i, c := range src {
			if c != '.' {
				continue
			}
			whole = src[:i]
			for _, d := range src[i+1:] {
				if d != '0' {
					return keyFraction
				}
			}
		}
		return k.integer(whole, minus)
	case kd == kString:
		if minus {
			return keySign
		}
		return k.string(src, mode)
	}
	return keyClass
}

// value reads what was bound to a parameter. The same value is the same key whether it is bound or written.
func (k *key) value(v Value, minus bool) keyFault {
	k.clear()
	switch v.Kind {
	case ValueUint:
		k.size = v.Uint
	case ValueInt:
		k.size, k.negative = uint64(v.Int), v.Int < 0
		if k.negative {
			k.size = -k.size
		}
	case ValueBytes:
		if minus {
			return keySign
		}
		for n, c := range v.Bytes {
			if fault := k.put(n, c); fault != keyGood {
				return fault
			}
		}
		return k.content(len(v.Bytes))
	case ValueNull:
		return keyNull
	default:
		return keyClass
	}
	if k.date {
		return keyMoment
	}
	if minus { // of an integer parameter: the sign turns it round
		k.negative = !k.negative && k.size != 0
	}
	if k.negative && k.size > -math.MinInt64 {
		return keyRange
	}
	return keyGood
}

// integer reads decimal digits, perhaps none.
func (k *key) integer(digits []byte, minus bool) keyFault {
	var v uint64
	if len(digits) < 19 { // cannot overflow
		for _, c := range digits {
			v = v*10 + uint64(c-'0')
		}
		k.size, k.negative = v, minus && v != 0
		return keyGood
	}
	for _, c := range digits {
		hi, lo := bits.Mul64(v, 10)
		sum, carry := bits.Add64(lo, uint64(c-'0'), 0)
		if hi != 0 || carry != 0 {
			return keyRange
		}
		v = sum
	}
	if minus && v > -math.MinInt64 {
		return keyRange
	}
	k.size, k.negative = v, minus && v != 0
	return keyGood
}

// string reads a quoted string.
func (k *key) string(src []byte, mode Mode) keyFault {
	quote, n := src[0], 0
	for i := 1; i < len(src)-1; i++ {
		c := src[i]
		switch {
		case c == quote: // the first of two
			i++
		case c == '\\' && mode&NoBackslashEscapes == 0:
			i++
			switch c = src[i]; c {
			case '0', 'b', 'n', 'r', 't', 'Z':
				return keyByte
			case '%', '_':
				return keyEscape
			}
		}
		if fault := k.put(n, c); fault != keyGood {
			return fault
		}
		n++
	}
	return k.content(n)
}

// put takes the n-th byte of a string.
func (k *key) put(n int, c byte) keyFault {
	if c < ' ' || c > '~' {
		return keyByte
	}
	if n == len(k.bytes) {
		return keyLong
	}
	if c >= 'A' && c <= 'Z' {
		c |= 0x20
		k.folded = true
	}
	k.bytes[n] = c
	return keyGood
}

// content decides what a string of n bytes that were put is.
func (k *key) content(n int) keyFault {
	all := k.bytes[:n]
	if k.date {
		var good bool
		if k.moment, good = config.Moment(string(all)); !good {
			return keyMoment
		}
		return keyGood
	}
	for n > 0 && k.bytes[n-1] == ' ' {
		n--
	}
	if n == 0 {
		return keyEmpty
	}
	k.text, k.n, k.folded = true, n, k.folded || n < len(all)
	text := k.bytes[:n]
	if !numeric(text) || uuid(text) {
		return keyGood
	}
	minus := text[0] == '-'
	digits := text
	if minus {
		digits = text[1:]
	}
	for _, c := range digits {
		if class[c]&cDigit == 0 {
			return keyNumeric
		}
	}
	if len(all) != n || digits[0] == '0' && (minus || len(digits) > 1) {
		return keyNumeric
	}
	k.text = false
	return k.integer(digits, minus)
}

// numeric tells whether MySQL could take the text, or the beginning of it, for a number.
func numeric(s []byte) bool {
	for len(s) > 0 && s[0] == ' ' {
		s = s[1:]
	}
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		s = s[1:]
	}
	if len(s) > 1 && s[0] == '.' {
		s = s[1:]
	}
	return len(s) > 0 && class[s[0]]&cDigit != 0
}

// uuid tells whether the text has the form of a UUID.
func uuid(s []byte) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range s {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if class[c]&cHex == 0 {
				return false
			}
		}
	}
	return true
}

// point is the place of an integer.
func (k *key) point() config.Point {
	if k.negative {
		return config.Point{Negative: true, Low: -k.size}
	}
	return config.Point{Low: k.size}
}

// canonical is the canonical form; an integer's is appended to buf.
func (k *key) canonical(buf []byte) []byte {
	if k.text {
		return k.bytes[:k.n]
	}
	if k.negative {
		buf = append(buf, '-')
	}
	return strconv.AppendUint(buf, k.size, 10)
}

func (k *key) hash() uint64 {
	var digits [24]byte
	return mix(fnv(offset, k.canonical(digits[:0])))
}

// offset is where FNV-1a begins.
const offset = 0xcbf29ce484222325

// fnv goes on with FNV-1a of 64 bits.
func fnv(h uint64, bytes []byte) uint64 {
	for _, c := range bytes {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	return h
}

// mix spreads what is in the high bits of a hash over all of them.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h
}
