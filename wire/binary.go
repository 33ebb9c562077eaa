package wire

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"
)

// Binary is a value of the text protocol as AppendRow takes it for the binary one: of a column of whole numbers, which must be a LONGLONG, a DOUBLE, a
// DATETIME, or anything that has the same form in both. It is nil if v is nil, or is no such value.
//
// Source: MySQL page_protocol_binary_resultset.
func Binary(c *Column, v []byte) []byte {
	switch {
	case v == nil:
		return nil
	case c.Type == TypeLongLong && c.Flags&FlagUnsigned != 0:
		if n, err := strconv.ParseUint(string(v), 10, 64); err == nil {
			return binary.LittleEndian.AppendUint64(nil, n)
		}
		return nil
	case c.Type == TypeLongLong:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return binary.LittleEndian.AppendUint64(nil, uint64(n))
		}
		return nil
	case c.Type == TypeDouble:
		if f, err := strconv.ParseFloat(string(v), 64); err == nil {
			return binary.LittleEndian.AppendUint64(nil, math.Float64bits(f))
		}
		return nil
	case c.Type == TypeDatetime:
		at, err := time.Parse("2006-01-02 15:04:05", string(v)) // takes a fraction, too
		if err != nil {
			return nil
		}
		b := binary.LittleEndian.AppendUint16(nil, uint16(at.Year()))
		b = append(b, byte(at.Month()), byte(at.Day()), byte(at.Hour()), byte(at.Minute()), byte(at.Second()))
		return binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()/1000))
	}
	return v
}
