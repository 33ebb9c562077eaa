package dialect

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Text is what MySQL's text protocol has for a value of the type that lib/pq read: nil is NULL.
func (t Type) Text(v any) (text []byte, null bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case bool:
		if v {
			return []byte("1"), false
		}
		return []byte("0"), false
	case int64:
		return t.number(strconv.FormatInt(v, 10)), false
	case float64:
		if t.Kind == Decimal {
			return t.number(strconv.FormatFloat(v, 'f', -1, 64)), false
		}
		if t.Kind == Float { // MySQL shows six digits
			v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 6, 64), 64)
		}
		return []byte(formatFloat(v)), false
	case time.Time:
		return []byte(t.moment(v)), false
	case string:
		return t.number(v), false
	case []byte:
		return t.number(string(v)), false
	}
	return fmt.Append(nil, v), false
}

// number is a number as the type has it; of other types it is the text itself.
func (t Type) number(s string) []byte {
	switch t.Kind {
	case Year:
		return []byte(fmt.Sprintf("%04s", s))
	case Bit:
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return []byte(s)
		}
		b := make([]byte, (t.Length+7)/8)
		for i := range b {
			b[len(b)-1-i] = byte(n >> (8 * i))
		}
		return b
	}
	return []byte(s)
}

// moment is a time. lib/pq gives those without a time zone as if in UTC.
func (t Type) moment(v time.Time) string {
	layout := time.DateTime
	switch t.Kind {
	case Date:
		return v.Format(time.DateOnly)
	case Time:
		layout = time.TimeOnly
	}
	s := v.Format(layout)
	if t.Scale > 0 {
		s += fmt.Sprintf(".%06d", v.Nanosecond()/1000)[:1+t.Scale]
	}
	return s
}

// formatFloat writes a DOUBLE with the shortest digits that are it, as MySQL's my_gcvt does.
func formatFloat(f float64) string {
	if a := math.Abs(f); a != 0 && (a >= 1e15 || a < 1e-14) {
		s := strconv.FormatFloat(f, 'e', -1, 64)
		mantissa, exponent, _ := strings.Cut(s, "e")
		sign := ""
		if exponent[0] == '-' {
			sign = "-"
		}
		return mantissa + "e" + sign + strings.TrimLeft(exponent[1:], "0")
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
