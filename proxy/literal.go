package proxy

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// literals writes the values of rows that were read as literals, which a server takes for the same values when it stores them or
// compares columns with them.
type literals struct {
	s       *session
	columns []wire.Column // of the rows
	row     wire.Execute  // the present one
}

// conditions are what the meaning of values in a session depends on.
type conditions struct {
	results string // character_set_results
	strict  bool
	zone    string // time_zone, or what SYSTEM stands for
}

// askConditions is the question for conditions.
const askConditions = "SELECT COALESCE(@@character_set_results, ''), @@sql_mode, IF(@@time_zone = 'SYSTEM', @@system_time_zone, @@time_zone)"

func readConditions(answer wire.Rows) (c conditions, ok bool) {
	if len(answer.Values) != 1 || len(answer.Values[0]) != 3 {
		return c, false
	}
	row := answer.Values[0]
	mode := string(row[1])
	return conditions{string(row[0]), strings.Contains(mode, "STRICT_"), string(row[2])}, true
}

// newLiterals returns what writes rows of the columns from, whose values are for the columns to. The error says which values would
// become others on this way.
func (s *session) newLiterals(from, to []wire.Column, under conditions) (*literals, *wire.Error) {
	for i := range from {
		f, t := &from[i], &to[i]
		inexact := func(why string) *wire.Error {
			return wire.NewError(wire.CodeNotSupported, "the values of %s come from several backends, and %s; convert them with CAST, or read the rows first and write literals", t.Name, why)
		}
		switch {
		case !converts(f, t):
			return nil, inexact("their type is converted in a way that only the table's own server knows")
		case f.Type == wire.TypeTimestamp && under.zone != "UTC" && !strings.HasPrefix(under.zone, "+") && !strings.HasPrefix(under.zone, "-"):
			return nil, wire.NewError(wire.CodeNotSupported, "the values of the TIMESTAMP %s come from several backends, and in the time zone %s some are the same for two moments; SET time_zone = '+00:00'", t.Name, under.zone)
		case isText(f) && f.Charset != binaryCharset && f.Type != wire.TypeJSON && under.results != "utf8mb4":
			return nil, wire.NewError(wire.CodeNotSupported, "the values of %s come from several backends, and character_set_results = '%s' may not have all their characters; SET NAMES utf8mb4", t.Name, under.results)
		}
	}
	return &literals{s: s, columns: from}, nil
}

// binaryCharset is the collation id of bytes.
const binaryCharset = 63

// converts tells whether a literal of one column's value becomes the same in another column as the value itself would.
func converts(from, to *wire.Column) bool {
	var as []wire.Type
	switch {
	case from.Flags&(wire.FlagEnum|wire.FlagSet) != 0:
		return isText(to)
	case from.Type == wire.TypeFloat, from.Flags&wire.FlagZerofill != 0:
		return isNumber(to)
	case from.Type == wire.TypeDouble:
		return from.Decimals >= floatingDecimals || isNumber(to)
	case from.Type == wire.TypeDate:
		as = []wire.Type{wire.TypeDate, wire.TypeDatetime, wire.TypeTimestamp}
	case from.Type == wire.TypeDatetime, from.Type == wire.TypeTimestamp:
		as = []wire.Type{wire.TypeDate, wire.TypeTime, wire.TypeDatetime, wire.TypeTimestamp}
	case from.Type == wire.TypeTime:
		as = []wire.Type{wire.TypeTime}
	default:
		return true
	}
	return slices.Contains(as, to.Type) || isText(to)
}

// floatingDecimals is what columns have as Decimals if their values are written with as many digits as they need.
const floatingDecimals = 31

// isText tells whether a column has strings.
func isText(c *wire.Column) bool {
	switch c.Type {
	case wire.TypeVarchar, wire.TypeVarString, wire.TypeString, wire.TypeTinyBlob, wire.TypeMediumBlob, wire.TypeLongBlob, wire.TypeBlob, wire.TypeJSON, wire.TypeEnum, wire.TypeSet:
		return true
	}
	return false
}

// isNumber tells whether a column has numbers.
func isNumber(c *wire.Column) bool {
	switch c.Type {
	case wire.TypeDecimal, wire.TypeNewDecimal, wire.TypeTiny, wire.TypeShort, wire.TypeLong, wire.TypeInt24, wire.TypeLongLong, wire.TypeYear, wire.TypeFloat, wire.TypeDouble:
		return true
	}
	return false
}

// read takes a row, which is kept until the next one.
func (l *literals) read(row []byte) error { return l.row.Row(row, l.columns) }

// append writes the value of the i-th column.
func (l *literals) append(dst []byte, i int) ([]byte, *wire.Error) {
	if l.row.Null(i) {
		return append(dst, "NULL"...), nil
	}
	c := &l.columns[i]
	if bits, ok := l.row.Integer(i); ok {
		if l.row.Unsigned(i) {
			return strconv.AppendUint(dst, bits, 10), nil
		}
		return strconv.AppendInt(dst, int64(bits), 10), nil
	}
	switch c.Type {
	case wire.TypeDouble:
		f, _ := l.row.Double(i)
		return strconv.AppendFloat(dst, f, 'e', -1, 64), nil
	case wire.TypeFloat:
		f, _ := l.row.Float(i)
		return strconv.AppendFloat(dst, float64(f), 'e', -1, 64), nil
	case wire.TypeDate, wire.TypeDatetime, wire.TypeTimestamp, wire.TypeTime:
		return append(appendTemporal(append(dst, '\''), l.row.Raw(i), c), '\''), nil
	}
	value := l.row.Value(i)
	switch {
	case c.Type == wire.TypeDecimal, c.Type == wire.TypeNewDecimal:
		return append(dst, value...), nil
	case c.Type == wire.TypeBit:
		return fmt.Appendf(dst, "0x%x", value), nil
	case c.Flags&wire.FlagEnum != 0 && len(value) == 0:
		return nil, wire.NewError(wire.CodeNotSupported, "the ENUM %s has the value '', which may be that of a mistake and cannot be written as a literal; name it as %s + 0", c.Name, c.Name)
	case isText(c) && (c.Charset != binaryCharset || c.Type == wire.TypeJSON) && !slices.ContainsFunc(value, func(b byte) bool { return b < ' ' || b > '~' }):
		return append(dst, l.s.quote(value)...), nil
	case isText(c) && (c.Charset != binaryCharset || c.Type == wire.TypeJSON):
		return fmt.Appendf(dst, "_utf8mb4 x'%x'", value), nil
	}
	return fmt.Appendf(dst, "_binary x'%x'", value), nil
}

// appendTemporal writes a DATE, DATETIME, TIMESTAMP or TIME with all the digits of its column.
//
// Source: MySQL page_protocol_binary_resultset, "Binary Protocol Value".
func appendTemporal(dst, value []byte, c *wire.Column) []byte {
	var raw [13]byte // what is not sent is zero
	copy(raw[:], value)
	var micros uint32
	switch c.Type {
	case wire.TypeDate:
		return fmt.Appendf(dst, "%04d-%02d-%02d", binary.LittleEndian.Uint16(raw[1:3]), raw[3], raw[4])
	case wire.TypeTime:
		if raw[1] != 0 {
			dst = append(dst, '-')
		}
		hours := uint64(binary.LittleEndian.Uint32(raw[2:6]))*24 + uint64(raw[6])
		dst = fmt.Appendf(dst, "%02d:%02d:%02d", hours, raw[7], raw[8])
		micros = binary.LittleEndian.Uint32(raw[9:])
	default:
		dst = fmt.Appendf(dst, "%04d-%02d-%02d %02d:%02d:%02d", binary.LittleEndian.Uint16(raw[1:3]), raw[3], raw[4], raw[5], raw[6], raw[7])
		micros = binary.LittleEndian.Uint32(raw[8:])
	}
	digits := int(c.Decimals)
	if digits == 0 || digits > 6 {
		if micros == 0 {
			return dst
		}
		digits = 6
	}
	return fmt.Appendf(dst, ".%0*d", digits, micros/uint32(math.Pow10(6-digits)))
}

// value is the value of the i-th column as the router sees it.
func (l *literals) value(i int) router.Value { return value(&l.row, nil, i) }
