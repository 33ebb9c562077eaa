package postgres

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// appendValue appends a value that lib/pq has read as a client gets it in a row of text, or of binary values: there without a length,
// which wire.AppendRow adds. What MySQL cannot express is an error that names value and column.
func (c *column) appendValue(dst []byte, v any, inBinary bool) ([]byte, error) {
	switch v := v.(type) {
	case bool:
		n := int64(0)
		if v {
			n = 1
		}
		return c.appendWhole(dst, n, inBinary)
	case int64:
		return c.appendWhole(dst, v, inBinary)
	case float64:
		if c.form == asFloat || c.form == asDouble {
			return c.appendFloat(dst, v, inBinary)
		}
		return c.appendText(dst, strconv.FormatFloat(v, 'f', -1, 64), inBinary)
	case time.Time:
		if c.form == asDate || c.form == asMoment || c.form == asTime || c.form == asZoneTime {
			return c.appendTime(dst, v, inBinary)
		}
	case string:
		return c.appendText(dst, v, inBinary)
	case []byte:
		return c.appendText(dst, v, inBinary)
	}
	return nil, c.refuse(1105, "HY000", "a value of the Go type %T cannot be sent", v)
}

// refuse says what is wrong with a value of the column.
func (c *column) refuse(errno uint16, state, format string, args ...any) error {
	return &wire.Error{Errno: errno, State: state, Message: fmt.Sprintf(format, args...) + " for column '" + c.Name + "'"}
}

// appendWhole appends an integer of a column that may be of another type in MySQL.
func (c *column) appendWhole(dst []byte, n int64, inBinary bool) ([]byte, error) {
	switch c.form {
	case asBool, asInteger:
		return c.appendInteger(dst, n, inBinary), nil
	case asUnsigned, asBit:
		if n < 0 && c.form == asUnsigned {
			return nil, c.refuse(1264, "22003", "Out of range value '%d'", n)
		}
		return c.appendUnsigned(dst, uint64(n), inBinary), nil
	case asFloat, asDouble:
		return c.appendFloat(dst, float64(n), inBinary)
	}
	return c.appendText(dst, strconv.FormatInt(n, 10), inBinary)
}

// appendUnsigned appends a number of a column without sign, or of bits.
//
// Source: MySQL manual, "Bit-Value Type - BIT".
func (c *column) appendUnsigned(dst []byte, n uint64, inBinary bool) []byte {
	switch {
	case c.form == asBit:
		return append(dst, binary.BigEndian.AppendUint64(nil, n)[8-(min(c.Length, 64)+7)/8:]...)
	case inBinary:
		return binary.LittleEndian.AppendUint64(dst, n)
	}
	return strconv.AppendUint(dst, n, 10)
}

func (c *column) appendInteger(dst []byte, n int64, inBinary bool) []byte {
	if !inBinary {
		return strconv.AppendInt(dst, n, 10)
	}
	switch c.Type {
	case wire.TypeTiny:
		return append(dst, byte(n))
	case wire.TypeShort, wire.TypeYear:
		return binary.LittleEndian.AppendUint16(dst, uint16(n))
	case wire.TypeLong, wire.TypeInt24:
		return binary.LittleEndian.AppendUint32(dst, uint32(n))
	}
	return binary.LittleEndian.AppendUint64(dst, uint64(n))
}

func (c *column) appendFloat(dst []byte, f float64, inBinary bool) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, c.refuse(1367, "22007", "Illegal double '%v' value found: MySQL has no such number,", f)
	}
	bits := 64
	if c.form == asFloat {
		bits = 32
	}
	switch {
	case inBinary && bits == 32:
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(f))), nil
	case inBinary:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f)), nil
	}
	return appendNumber(dst, f, bits), nil
}

// appendNumber writes a number as servers do: plain where that is at most 15 digits or so, otherwise 1e20 and 1e-20.
//
// Source: MySQL strings/dtoa.cc, my_gcvt.
func appendNumber(dst []byte, f float64, bits int) []byte {
	if a := math.Abs(f); f == 0 || a >= 1e-15 && a < 1e15 {
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	s := strconv.FormatFloat(f, 'e', -1, bits)
	digits, exponent, _ := strings.Cut(s, "e")
	sign := ""
	if exponent[0] == '-' {
		sign = "-"
	}
	return append(dst, digits+"e"+sign+strings.TrimLeft(exponent[1:], "0")...)
}

// appendText appends what lib/pq has left as text or bytes.
func (c *column) appendText(dst []byte, v any, inBinary bool) ([]byte, error) {
	s, isString := v.(string)
	if b, ok := v.([]byte); ok {
		if c.form == asText || c.form == asBytes {
			return append(dst, b...), nil
		}
		s = string(b)
	}
	switch c.form {
	case asText, asBytes:
		return append(dst, s...), nil
	case asInteger: // lib/pq reads some integers, such as oid, as text
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, c.refuse(1264, "22003", "Out of range value '%s'", s)
		}
		return c.appendInteger(dst, n, inBinary), nil
	case asUnsigned, asBit:
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return nil, c.refuse(1264, "22003", "Out of range value '%s'", s)
		}
		return c.appendUnsigned(dst, n, inBinary), nil
	case asFloat, asDouble:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return nil, c.refuse(1367, "22007", "Illegal double '%s' value found", s)
		}
		return c.appendFloat(dst, f, inBinary)
	case asDecimal:
		if strings.Trim(s, "+-.0123456789") != "" {
			return nil, c.refuse(1367, "22007", "Illegal decimal '%s' value found: MySQL has no such number,", s)
		}
		return append(dst, s...), nil
	case asDate, asMoment, asTime:
		return nil, c.refuse(1292, "22007", "Incorrect %s value: '%s': MySQL has no such moment,", c.temporal(), s)
	case asArray:
		return c.appendArray(dst, s)
	}
	if isString {
		return append(dst, s...), nil
	}
	return nil, c.refuse(1105, "HY000", "the value '%s' cannot be sent", s)
}

func (c *column) temporal() string {
	switch c.form {
	case asDate:
		return "date"
	case asTime:
		return "time"
	}
	return "datetime"
}

func (c *column) appendTime(dst []byte, t time.Time, inBinary bool) ([]byte, error) {
	switch c.form {
	case asTime:
		return c.appendTimeOfDay(dst, t, inBinary), nil
	case asZoneTime:
		return append(c.appendTimeOfDay(dst, t, false), t.Format("-07:00")...), nil
	}
	if y := t.Year(); y < 1 || y > 9999 {
		return nil, c.refuse(1292, "22007", "Incorrect %s value: '%s': MySQL's years are 1 to 9999,", c.temporal(), t.Format("2006-01-02 15:04:05"))
	}
	if inBinary {
		return appendBinaryMoment(dst, t, c.form == asDate), nil
	}
	dst = t.AppendFormat(dst, "2006-01-02")
	if c.form == asMoment {
		dst = t.AppendFormat(dst, " 15:04:05")
		dst = c.appendFraction(dst, t)
	}
	return dst, nil
}

// appendFraction appends the fraction of a second.
func (c *column) appendFraction(dst []byte, t time.Time) []byte {
	if c.fixed {
		if c.Decimals > 0 {
			dst = fmt.Appendf(dst, ".%06d", t.Nanosecond()/1000)[:len(dst)+1+int(c.Decimals)]
		}
		return dst
	}
	if t.Nanosecond() == 0 {
		return dst
	}
	return fmt.Appendf(dst, ".%06d", t.Nanosecond()/1000)
}

// appendBinaryMoment appends a moment without the length in front.
//
// Source: MySQL page_protocol_binary_resultset, "ProtocolBinary::MYSQL_TYPE_DATETIME".
func appendBinaryMoment(dst []byte, t time.Time, day bool) []byte {
	dst = append(binary.LittleEndian.AppendUint16(dst, uint16(t.Year())), byte(t.Month()), byte(t.Day()))
	micros := t.Nanosecond() / 1000
	if day || t.Hour()+t.Minute()+t.Second()+micros == 0 {
		return dst
	}
	dst = append(dst, byte(t.Hour()), byte(t.Minute()), byte(t.Second()))
	if micros == 0 {
		return dst
	}
	return binary.LittleEndian.AppendUint32(dst, uint32(micros))
}

// appendTimeOfDay appends a time of day, of which there is 24:00:00: lib/pq has it as that of the next day.
//
// Source: MySQL page_protocol_binary_resultset, "ProtocolBinary::MYSQL_TYPE_TIME".
func (c *column) appendTimeOfDay(dst []byte, t time.Time, inBinary bool) []byte {
	hour := t.Hour() + 24*(t.YearDay()-1)
	micros := t.Nanosecond() / 1000
	if !inBinary {
		return c.appendFraction(fmt.Appendf(dst, "%02d:%02d:%02d", hour, t.Minute(), t.Second()), t)
	}
	if hour+t.Minute()+t.Second()+micros == 0 {
		return dst
	}
	dst = append(binary.LittleEndian.AppendUint32(append(dst, 0), uint32(hour/24)), byte(hour%24), byte(t.Minute()), byte(t.Second()))
	if micros == 0 {
		return dst
	}
	return binary.LittleEndian.AppendUint32(dst, uint32(micros))
}

// appendArray makes JSON of PostgreSQL's text of an array, such as {1,NULL,"a b",{2}}.
//
// Source: PostgreSQL manual, "Array Input and Output Syntax".
func (c *column) appendArray(dst []byte, s string) ([]byte, error) {
	if strings.HasPrefix(s, "[") {
		return nil, c.refuse(1235, "42000", "the array '%s' has a lower bound of its own, which JSON cannot say,", s)
	}
	for i := 0; i < len(s); {
		switch ch := s[i]; ch {
		case '{':
			dst, i = append(dst, '['), i+1
		case '}':
			dst, i = append(dst, ']'), i+1
		case ',':
			dst, i = append(dst, ", "...), i+1
		case '"':
			var b strings.Builder
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' && i+1 < len(s) {
					i++
				}
				b.WriteByte(s[i])
			}
			dst, i = appendJSONString(dst, b.String()), i+1
		default:
			end := i + max(strings.IndexAny(s[i:], ",}"), 0)
			if end == i {
				return nil, c.refuse(1105, "HY000", "the array '%s' cannot be read", s)
			}
			dst, i = c.appendElement(dst, s[i:end]), end
		}
	}
	return dst, nil
}

func (c *column) appendElement(dst []byte, e string) []byte {
	switch {
	case strings.EqualFold(e, "NULL"):
		return append(dst, "null"...)
	case c.number && e == "t":
		return append(dst, "true"...)
	case c.number && e == "f":
		return append(dst, "false"...)
	case c.number && strings.Trim(e, "+-.0123456789e") == "":
		return append(dst, e...)
	}
	return appendJSONString(dst, e)
}

// appendJSONString quotes a string for JSON.
func appendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			dst = fmt.Appendf(dst, "\\u%04x", r)
		default:
			dst = append(dst, string(r)...)
		}
	}
	return append(dst, '"')
}
