package gather

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// keyKind is how the values of a column become keys.
type keyKind uint8

const (
	keyNone     keyKind = iota // not at all
	keyNull                    // all are NULL
	keySigned                  // integers
	keyUnsigned                // the same
	keyBits                    // BIT
	keyDecimal
	keyFloat  // FLOAT in binary rows
	keyDouble // DOUBLE
	keyMoment // DATE, DATETIME, TIMESTAMP
	keyTime   // TIME
	keyWeight // WEIGHT_STRING(), with the name of the collation in the column behind it
)

// key is one of the values that rows are sorted by.
type key struct {
	i         int // of Unfit
	of        int // the column that the client has it from
	column    int // the one that is compared
	kind      keyKind
	invert    bool   // DESC
	collation string // of keyWeight, once it is known
}

// Flags of columns that are sent as strings and sorted by number.
const (
	flagEnum uint16 = 1 << 8
	flagSet  uint16 = 1 << 11
)

// kindOf is how the values of a column become keys.
func kindOf(c *wire.Column, inBinary bool) keyKind {
	switch c.Type {
	case wire.TypeTiny, wire.TypeShort, wire.TypeLong, wire.TypeLongLong, wire.TypeInt24, wire.TypeYear:
		if c.Flags&wire.FlagUnsigned != 0 {
			return keyUnsigned
		}
		return keySigned
	case wire.TypeDecimal, wire.TypeNewDecimal:
		return keyDecimal
	case wire.TypeFloat:
		if inBinary {
			return keyFloat
		}
	case wire.TypeDouble:
		return keyDouble
	case wire.TypeDate, wire.TypeDatetime:
		return keyMoment
	case wire.TypeTime:
		return keyTime
	case wire.TypeBit:
		return keyBits
	case wire.TypeNull:
		return keyNull
	}
	return keyNone
}

// form is in which form the values of a column can be compared; router.Impossible: in none.
func form(c *wire.Column, inBinary bool) router.Form {
	switch c.Type {
	case wire.TypeFloat:
		if !inBinary {
			return router.Double // in text it has six digits
		}
	case wire.TypeTimestamp:
		return router.Moment // when clocks are put back, local times come twice
	case wire.TypeEnum, wire.TypeSet:
		return router.Number
	case wire.TypeVarchar, wire.TypeVarString, wire.TypeString, wire.TypeTinyBlob, wire.TypeMediumBlob, wire.TypeLongBlob, wire.TypeBlob:
		if c.Flags&(flagEnum|flagSet) != 0 {
			return router.Number
		}
		return router.Weight
	}
	if kindOf(c, inBinary) == keyNone {
		return router.Impossible
	}
	return router.Plain
}

// appendKey appends the key of a value: bytes.Compare orders keys as the server orders the values.
func appendKey(dst []byte, k *key, inBinary bool, v []byte, null bool) ([]byte, error) {
	start := len(dst)
	var err error
	if null {
		dst = append(dst, 0)
	} else {
		dst, err = appendValue(append(dst, 1), k.kind, inBinary, v)
	}
	if k.invert {
		invert(dst[start:])
	}
	return dst, err
}

func invert(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}

func appendValue(dst []byte, kind keyKind, inBinary bool, v []byte) ([]byte, error) {
	switch kind {
	case keySigned:
		n, err := signed(inBinary, v)
		return appendSigned(dst, n), err
	case keyUnsigned:
		n, err := unsigned(inBinary, v)
		return binary.BigEndian.AppendUint64(dst, n), err
	case keyBits:
		if len(v) > 8 {
			return dst, errValue
		}
		var b [8]byte
		copy(b[8-len(v):], v)
		return append(dst, b[:]...), nil
	case keyDecimal:
		return appendDecimal(dst, v)
	case keyFloat:
		if len(v) != 4 {
			return dst, errValue
		}
		return appendDouble(dst, float64(math.Float32frombits(binary.LittleEndian.Uint32(v)))), nil
	case keyDouble:
		f, err := double(inBinary, v)
		return appendDouble(dst, f), err
	case keyMoment:
		return appendMoment(dst, inBinary, v)
	case keyTime:
		micros, err := clock(inBinary, v)
		return appendSigned(dst, micros), err
	}
	return dst, errValue
}

func appendSigned(dst []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(n)^1<<63)
}

func appendDouble(dst []byte, f float64) []byte {
	bits := math.Float64bits(f + 0) // -0 is 0
	if bits>>63 != 0 {
		return binary.BigEndian.AppendUint64(dst, ^bits)
	}
	return binary.BigEndian.AppendUint64(dst, bits|1<<63)
}

// appendBytes appends a string so that no key is the beginning of another one.
func appendBytes(dst, v []byte) []byte {
	for {
		i := bytes.IndexByte(v, 0)
		if i < 0 {
			return append(append(dst, v...), 0, 0)
		}
		dst = append(append(dst, v[:i+1]...), 0xff)
		v = v[i+1:]
	}
}

// appendDecimal appends the sign, how many digits are before the point, and the digits.
func appendDecimal(dst, v []byte) ([]byte, error) {
	negative := len(v) > 0 && v[0] == '-'
	if negative {
		v = v[1:]
	}
	whole, fraction, _ := bytes.Cut(v, point)
	if len(whole)+len(fraction) == 0 {
		return dst, errValue
	}
	for _, digits := range [...][]byte{whole, fraction} {
		for _, c := range digits {
			if c < '0' || c > '9' {
				return dst, errValue
			}
		}
	}
	whole, fraction = bytes.TrimLeft(whole, "0"), bytes.TrimRight(fraction, "0")
	if len(whole)+len(fraction) == 0 {
		return append(dst, 1), nil
	}
	sign := byte(2)
	if negative {
		sign = 0
	}
	dst = append(dst, sign)
	start := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(whole)))
	dst = append(append(append(dst, whole...), fraction...), 0)
	if negative {
		invert(dst[start:])
	}
	return dst, nil
}

var point = []byte{'.'}

// appendMoment appends a date, with a time of day or without: 11 bytes.
func appendMoment(dst []byte, inBinary bool, v []byte) ([]byte, error) {
	var year, micros int
	var rest [5]byte // month, day, hour, minute, second
	if inBinary {
		if len(v) > 11 {
			return dst, errValue
		}
		var raw [11]byte // what is not sent is zero
		copy(raw[:], v)
		year, micros = int(binary.LittleEndian.Uint16(raw[:])), int(binary.LittleEndian.Uint32(raw[7:]))
		copy(rest[:], raw[2:7])
	} else {
		if len(v) < 10 || v[4] != '-' || v[7] != '-' || len(v) > 10 && (len(v) < 19 || v[10] != ' ') {
			return dst, errValue
		}
		ok := true
		number := func(digits []byte) int {
			n, good := digitsOf(digits)
			ok = ok && good
			return n
		}
		year = number(v[:4])
		for i := range rest {
			if at := 5 + 3*i; at+2 <= len(v) {
				rest[i] = byte(number(v[at : at+2]))
			}
		}
		if len(v) > 19 {
			m, good := fraction(v[19:])
			micros, ok = m, ok && good
		}
		if !ok {
			return dst, errValue
		}
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(year))
	return binary.BigEndian.AppendUint32(append(dst, rest[:]...), uint32(micros)), nil
}

// clock is a TIME in microseconds.
func clock(inBinary bool, v []byte) (int64, error) {
	var negative bool
	var hours, minutes, seconds, micros int
	if inBinary {
		if len(v) != 0 && len(v) != 8 && len(v) != 12 {
			return 0, errValue
		}
		var raw [12]byte
		copy(raw[:], v)
		negative = raw[0] != 0
		hours = int(binary.LittleEndian.Uint32(raw[1:]))*24 + int(raw[5])
		minutes, seconds, micros = int(raw[6]), int(raw[7]), int(binary.LittleEndian.Uint32(raw[8:]))
	} else {
		negative = len(v) > 0 && v[0] == '-'
		if negative {
			v = v[1:]
		}
		at := bytes.IndexByte(v, ':')
		if at < 1 || len(v) < at+6 || v[at+3] != ':' {
			return 0, errValue
		}
		var good [4]bool
		hours, good[0] = digitsOf(v[:at])
		minutes, good[1] = digitsOf(v[at+1 : at+3])
		seconds, good[2] = digitsOf(v[at+4 : at+6])
		micros, good[3] = fraction(v[at+6:])
		if good != [4]bool{true, true, true, true} {
			return 0, errValue
		}
	}
	n := (int64(hours)*3600+int64(minutes)*60+int64(seconds))*1e6 + int64(micros)
	if negative {
		n = -n
	}
	return n, nil
}

// fraction reads .digits, or nothing, as microseconds.
func fraction(v []byte) (micros int, ok bool) {
	if len(v) == 0 {
		return 0, true
	}
	n, ok := digitsOf(v[1:])
	if !ok || v[0] != '.' || len(v) > 7 {
		return 0, false
	}
	for range 7 - len(v) {
		n *= 10
	}
	return n, true
}

// digitsOf reads a number of a few digits.
func digitsOf(v []byte) (n int, ok bool) {
	for _, c := range v {
		if c < '0' || c > '9' || n > 1<<40 {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(v) > 0
}

// signed reads an integer.
func signed(inBinary bool, v []byte) (int64, error) {
	if inBinary {
		n, err := little(v)
		shift := 64 - 8*len(v)
		return int64(n<<shift) >> shift, err
	}
	if len(v) > 0 && v[0] == '-' {
		n, err := unsigned(false, v[1:])
		if n > 1<<63 {
			err = errValue
		}
		return -int64(n), err
	}
	n, err := unsigned(false, v)
	if n > math.MaxInt64 {
		err = errValue
	}
	return int64(n), err
}

// unsigned reads an integer that is not negative.
func unsigned(inBinary bool, v []byte) (n uint64, err error) {
	if inBinary {
		return little(v)
	}
	if len(v) == 0 {
		return 0, errValue
	}
	for _, c := range v {
		d := uint64(c - '0')
		if d > 9 || n > (math.MaxUint64-d)/10 {
			return 0, errValue
		}
		n = n*10 + d
	}
	return n, nil
}

// little reads an integer of up to eight bytes.
func little(v []byte) (n uint64, err error) {
	if len(v) == 0 || len(v) > 8 {
		return 0, errValue
	}
	for i, c := range v {
		n |= uint64(c) << (8 * i)
	}
	return n, nil
}

func double(inBinary bool, v []byte) (float64, error) {
	if inBinary {
		if len(v) != 8 {
			return 0, errValue
		}
		return math.Float64frombits(binary.LittleEndian.Uint64(v)), nil
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %q", errValue, v)
	}
	return f, nil
}
