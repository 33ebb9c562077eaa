package dialect

import (
	"fmt"
	"strings"
)

// compound are the units of several numbers, from the largest.
var compound = map[string][]string{
	"YEAR_MONTH": {"YEAR", "MONTH"}, "DAY_HOUR": {"DAY", "HOUR"}, "DAY_MINUTE": {"DAY", "HOUR", "MINUTE"}, "DAY_SECOND": {"DAY", "HOUR", "MINUTE", "SECOND"},
	"DAY_MICROSECOND": {"DAY", "HOUR", "MINUTE", "SECOND", "MICROSECOND"}, "HOUR_MINUTE": {"HOUR", "MINUTE"}, "HOUR_SECOND": {"HOUR", "MINUTE", "SECOND"},
	"HOUR_MICROSECOND": {"HOUR", "MINUTE", "SECOND", "MICROSECOND"}, "MINUTE_SECOND": {"MINUTE", "SECOND"}, "MINUTE_MICROSECOND": {"MINUTE", "SECOND", "MICROSECOND"},
	"SECOND_MICROSECOND": {"SECOND", "MICROSECOND"},
}

// numbers reads the numbers of an interval as MySQL does: whatever is between them separates them, and those that are missing are the first. The
// microseconds are a fraction. It is false if there are more numbers than units, or ones that are too large.
func numbers(text string, units []string) (n []int64, ok bool) {
	text = strings.TrimLeft(text, " \t\n")
	text, minus := strings.CutPrefix(text, "-")
	var last string
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r < '0' || r > '9' }) {
		if len(part) > 9 {
			return nil, false
		}
		var v int64
		for _, digit := range part {
			v = v*10 + int64(digit-'0')
		}
		n, last = append(n, v), part
	}
	if len(n) == 0 || len(n) > len(units) {
		return nil, false
	}
	if units[len(units)-1] == "MICROSECOND" {
		if len(last) > 6 {
			return nil, false
		}
		for range 6 - len(last) {
			n[len(n)-1] *= 10
		}
	}
	n = append(make([]int64, len(units)-len(n)), n...)
	for i := range n {
		if minus {
			n[i] = -n[i]
		}
	}
	return n, true
}

// compoundInterval is an interval of a unit of several numbers; clock tells whether it has a time of day.
func (t *translator) compoundInterval(v value, unit string) (s string, clock bool, err error) {
	parts := compound[unit]
	text := ""
	switch {
	case v.isConst() && v.t.Kind == Varchar:
		text = v.lit.text
	case v.isConst() && v.t.Kind.integer(), v.isConst() && v.t.Kind == Decimal:
		text = strings.Trim(v.s, "()")
	default:
		return "", false, refuse(t.at(v), "an INTERVAL of "+unit+" that is computed is not translated", "write it as a string")
	}
	n, ok := numbers(text, parts)
	if !ok {
		return "", false, refuse(t.at(v), "'"+text+"' is not translated as an INTERVAL of "+unit, "write as many numbers as the unit has")
	}
	var arguments []string
	for i, part := range parts {
		u := units[part]
		clock = clock || u.clock
		switch part {
		case "MICROSECOND":
			arguments[len(arguments)-1] += fmt.Sprintf(" + (%d / 1000000.0)", n[i])
		default:
			arguments = append(arguments, fmt.Sprintf("%s => %d", u.argument, n[i]))
		}
	}
	return "make_interval(" + strings.Join(arguments, ", ") + ")", clock, nil
}

// extractCompound is EXTRACT of a unit of several numbers, which stand one behind the other.
func (t *translator) extractCompound(v value, unit string) (value, error) {
	weights := map[string]string{"YEAR": "year", "MONTH": "month", "DAY": "day", "HOUR": "hour", "MINUTE": "minute", "SECOND": "second"}
	parts := compound[unit]
	if parts[len(parts)-1] == "MICROSECOND" {
		return v, t.refuse(unit, "use a unit of one number", "EXTRACT(%s) is not translated", unit)
	}
	v, err := t.temporal(v, Datetime)
	if err != nil {
		return v, err
	}
	s := ""
	for _, part := range parts {
		n := "floor(extract(" + weights[part] + " FROM " + v.s + "))::int"
		if s != "" {
			n = "(" + s + ") * 100 + " + n
		}
		s = n
	}
	return with(value{s: "(" + s + ")", t: integer}, v), nil
}
