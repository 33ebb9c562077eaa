package postgres

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/lib/pq/oid"
)

// appendRaw appends a value as PostgreSQL has written it. What both servers write alike is copied; all else goes by a value of Go's, as
// appendValue has it.
func (c *column) appendRaw(dst, raw []byte, typ oid.Oid, inBinary bool) ([]byte, error) {
	switch typ {
	case oid.T_int2, oid.T_int4, oid.T_int8:
		if !inBinary && (c.form == asInteger || c.form == asText || c.form == asDecimal || c.form == asUnsigned && raw[0] != '-') {
			return append(dst, raw...), nil
		}
	case oid.T_numeric:
		if c.form == asDecimal && isDecimal(raw) || c.form == asText {
			return append(dst, raw...), nil
		}
	case oid.T_text, oid.T_varchar, oid.T_bpchar, oid.T_json, oid.T_jsonb, oid.T_uuid:
		if c.form == asText || c.form == asBytes {
			return append(dst, raw...), nil
		}
	case oid.T_bytea:
		if c.form == asBytes || c.form == asText {
			return appendHex(dst, raw)
		}
	case oid.T_date:
		if !inBinary && c.form == asDate && isDay(raw) && len(raw) == len(day) {
			return append(dst, raw...), nil
		}
	case oid.T_timestamp, oid.T_timestamptz:
		if !inBinary && c.form == asMoment {
			if to, ok := c.appendMoment(dst, raw); ok {
				return to, nil
			}
		}
	}
	v, err := decode(raw, typ)
	if err != nil {
		return nil, c.refuse(1105, "HY000", "the value '%s' cannot be read (%v)", raw, err)
	}
	return c.appendValue(dst, v, inBinary)
}

// isDecimal tells digits from NaN and the infinities.
func isDecimal(raw []byte) bool {
	for _, d := range raw {
		if (d < '0' || d > '9') && d != '.' && d != '-' {
			return false
		}
	}
	return true
}

// Forms of moments.
const (
	day    = "2006-01-02"
	moment = "2006-01-02 15:04:05"
)

// isDay tells whether a moment begins with a year of four digits, month and day.
func isDay(raw []byte) bool {
	if len(raw) < len(day) || raw[4] != '-' || raw[7] != '-' {
		return false
	}
	for i, d := range raw[:len(day)] {
		if i != 4 && i != 7 && (d < '0' || d > '9') {
			return false
		}
	}
	return true
}

// appendMoment appends a moment such as 2026-01-02 03:04:05.6+02 without its distance from UTC, which is that of the session. ok is false for
// moments that MySQL does not have, or that are written in another way.
func (c *column) appendMoment(dst, raw []byte) (_ []byte, ok bool) {
	if !isDay(raw) || len(raw) < len(moment) || raw[len(raw)-1] == 'C' { // BC
		return dst, false
	}
	fraction := raw[len(moment):]
	if sign := bytes.IndexAny(fraction, "+-"); sign >= 0 {
		fraction = fraction[:sign]
	}
	if len(fraction) > 0 && (fraction[0] != '.' || len(fraction) > 7) {
		return dst, false
	}
	dst = append(dst, raw[:len(moment)]...)
	digits := len(fraction) - 1 // that PostgreSQL has written: no zeros at the end
	switch {
	case c.fixed && c.Decimals == 0, !c.fixed && digits <= 0:
		return dst, true
	case c.fixed:
		digits = min(max(digits, 0), int(c.Decimals))
	}
	dst = append(append(dst, '.'), fraction[min(1, len(fraction)):][:digits]...)
	wanted := 6
	if c.fixed {
		wanted = int(c.Decimals)
	}
	for ; digits < wanted; digits++ {
		dst = append(dst, '0')
	}
	return dst, true
}

// parseTimeOfDay reads a time, perhaps with its distance from UTC. 24:00:00 becomes midnight of the next day.
func parseTimeOfDay(text string) (time.Time, error) {
	layout := "15:04:05"
	if zone := strings.LastIndexAny(text, "+-"); zone >= 0 { // of one to three parts
		layout += [...]string{"-07", "-07:00", "-07:00:00"}[min(strings.Count(text[zone:], ":"), 2)]
	}
	rest, late := strings.CutPrefix(text, "24:")
	if late {
		text = "00:" + rest
	}
	t, err := time.Parse(layout, text)
	if err != nil {
		return t, fmt.Errorf("read a time: %w", err)
	}
	if late {
		t = t.AddDate(0, 0, 1)
	}
	return t, nil
}
