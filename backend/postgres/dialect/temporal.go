package dialect

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// dateText are the ways to write a time that MySQL and we read alike; it knows more, with other separators and without any.
var (
	dateText = regexp.MustCompile(`^(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,6}))?)?)?$`)
	timeText = regexp.MustCompile(`^(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?$`)
)

// typed is a string literal with DATE, TIME or TIMESTAMP before it.
func (t *translator) typed(v value) (value, error) {
	kind := map[string]Kind{"DATE": Date, "TIME": Time, "TIMESTAMP": Datetime}[v.lit.prefix]
	return t.moment(v, kind)
}

// moment reads a string literal as a time of the kind. A DATE with a time of day becomes a DATETIME.
func (t *translator) moment(v value, kind Kind) (value, error) {
	text := v.lit.text
	r := value{t: Type{Kind: kind}, notNull: true, lit: v.lit}
	if kind == Time {
		m := timeText.FindStringSubmatch(text)
		if m == nil {
			return v, t.badMoment(v, "TIME")
		}
		if n, _ := strconv.Atoi(m[1]); n > 23 {
			return v, refuse(t.at(v), "a TIME of more than a day is not in PostgreSQL's range", "store seconds")
		}
		r.t.Scale = len(m[4])
		r.s = quoteText(text) + "::time"
		return r, nil
	}
	m := dateText.FindStringSubmatch(text)
	if m == nil {
		return v, t.badMoment(v, strings.ToUpper(typeNames[kind]))
	}
	n := make([]int, 7)
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1])
	}
	if n[1] == 0 || n[2] == 0 || n[0] == 0 {
		return v, &Error{Errno: 1292, State: "22007", At: t.at(v), What: "PostgreSQL has no date with zeros, such as " + text, Do: "use NULL"}
	}
	d := time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], 0, time.UTC)
	if d.Day() != n[2] || d.Hour() != n[3] || d.Minute() != n[4] || d.Second() != n[5] {
		return v, t.badMoment(v, strings.ToUpper(typeNames[kind]))
	}
	day := fmt.Sprintf("%04d-%02d-%02d", n[0], n[1], n[2])
	clock := fmt.Sprintf(" %02d:%02d:%02d", n[3], n[4], n[5])
	if m[7] != "" {
		clock += "." + m[7]
	}
	if kind == Date {
		if m[4] == "" {
			r.s = quoteText(day) + "::date"
			return r, nil
		}
		r.t.Kind = Datetime
	}
	r.t.Scale = len(m[7])
	cast := "timestamp"
	if r.t.Kind == Timestamp {
		cast = "timestamptz"
	}
	r.s = quoteText(day+clock) + "::" + cast
	return r, nil
}

func (t *translator) badMoment(v value, kind string) error {
	return &Error{Errno: 1525, State: "HY000", At: t.at(v), What: fmt.Sprintf("Incorrect %s value: '%s'", kind, v.lit.text), Do: "write it as YYYY-MM-DD hh:mm:ss"}
}

// temporal is the value as a time of the kind: Date, Time or Datetime.
func (t *translator) temporal(v value, kind Kind) (value, error) {
	v = t.bind(v, Type{Kind: kind, Scale: 6})
	switch k := v.t.Kind; {
	case k == Null:
		v.s = "NULL::" + Type{Kind: kind}.cast()
		v.t = Type{Kind: kind}
		return v, nil
	case v.isConst() && k == Varchar:
		m, err := t.moment(v, kind)
		if kind == Date && m.t.Kind == Datetime {
			m.s, m.t = "("+m.s+")::date", Type{Kind: Date}
		}
		return m, err
	case v.isParam() && k == Varchar:
		n := v
		n.t = Type{Kind: kind, Scale: 6}
		n.s = t.read(v, n.t)
		return n, nil
	case k == kind:
		return v, nil
	case k == Timestamp && kind == Datetime:
		v.s, v.t.Kind, v.col = "("+v.s+")::timestamp", Datetime, nil
		return v, nil
	case k == Date && kind == Datetime, k == Datetime && kind == Date, k == Timestamp && kind == Date:
		v.s, v.t, v.col = "("+v.s+")::"+Type{Kind: kind}.cast(), Type{Kind: kind}, nil
		return v, nil
	case (k == Datetime || k == Timestamp) && kind == Time:
		v.s, v.t, v.col = "("+v.s+")::time", Type{Kind: kind, Scale: v.t.Scale}, nil
		return v, nil
	}
	return v, refuse(t.at(v), fmt.Sprintf("%s as a %s is not translated", describe(v.t), typeNames[kind]), "use a column of that type, or CAST it")
}

// rounded is a DATETIME or TIMESTAMP with so many digits of a second. PostgreSQL rounds a half before the year 2000 to the earlier one.
func rounded(v value, digits int) string {
	if v.t.Kind != Datetime && v.t.Kind != Timestamp || v.t.Scale <= digits {
		return v.s
	}
	unit := "0." + strings.Repeat("0", max(digits-1, 0)) + "1"
	if digits == 0 {
		unit = "1"
	}
	half := "0." + strings.Repeat("0", digits) + "5"
	cast := v.t.cast()
	return fmt.Sprintf("date_bin('%s s', (%s) + interval '%s s', '0001-01-01'::%s)", unit, v.s, half, cast)
}

func describe(t Type) string {
	if t.Kind.text() {
		return "a string"
	}
	return "a value of type " + typeNames[t.Kind]
}

// units of INTERVAL, as PostgreSQL's make_interval names them, with the factor.
var units = map[string]struct {
	argument string
	factor   int
	clock    bool // it makes a DATETIME of a DATE
}{
	"YEAR": {"years", 1, false}, "QUARTER": {"months", 3, false}, "MONTH": {"months", 1, false}, "WEEK": {"weeks", 1, false}, "DAY": {"days", 1, false},
	"HOUR": {"hours", 1, true}, "MINUTE": {"mins", 1, true}, "SECOND": {"secs", 1, true}, "MICROSECOND": {"secs", 0, true},
}

// shifted is a time plus, or minus, an interval.
func (t *translator) shifted(v value, n value, unit string, minus bool) (value, error) {
	unit = strings.ToUpper(unit)
	u, ok := units[unit]
	if compound[unit] != nil {
		interval, clock, err := t.compoundInterval(n, unit)
		if err != nil {
			return v, err
		}
		scale := 0
		if strings.HasSuffix(unit, "MICROSECOND") {
			scale = 6
		}
		return t.moved(v, interval, minus, clock, scale)
	}
	if !ok {
		return v, t.refuse(unit, "use a unit of one number", "the unit %s of INTERVAL is not translated", unit)
	}
	n, err := t.number(n)
	if err != nil {
		return v, err
	}
	if !n.t.Kind.exact() && n.t.Kind != Null || !n.t.Kind.integer() && u.argument != "secs" && n.t.Kind != Null && !n.isConst() {
		return v, refuse(t.at(n), "an interval of a number that is not whole is not translated", "use whole numbers")
	}
	amount := n.s
	switch {
	case u.argument == "secs" && u.factor == 0:
		amount = amount + " / 1000000.0"
	case u.argument == "secs":
	case u.factor > 1:
		amount = fmt.Sprintf("%s * %d", amount, u.factor)
	}
	if u.argument != "secs" {
		amount = "(" + amount + ")::int"
	} else {
		amount = "(" + amount + ")::double precision"
	}
	scale := 0
	switch {
	case u.argument == "secs" && u.factor == 0:
		scale = 6
	case u.argument == "secs" && n.t.Kind == Decimal:
		scale = min(n.t.Scale, 6)
	}
	return t.moved(v, fmt.Sprintf("make_interval(%s => %s)", u.argument, amount), minus, u.clock, scale)
}

// moved is a time plus, or minus, an interval of PostgreSQL's. clock says that it makes a DATETIME of a DATE, scale how many
// digits of a second it has. Beyond the year 9999 it is NULL, or an error in a statement that writes.
func (t *translator) moved(v value, interval string, minus, clock bool, scale int) (value, error) {
	if v.spelled && v.t.Kind == Date { // once more, a string that is not written down has a time of day
		v.s, v.t = v.s+"::timestamp", Type{Kind: Datetime}
	}
	var err error
	if v.isConst() && v.t.Kind == Varchar {
		kind := Datetime
		if m := dateText.FindStringSubmatch(v.lit.text); m != nil && m[4] == "" {
			kind = Date
		}
		if v, err = t.moment(v, kind); err != nil {
			return v, err
		}
	}
	kind := Datetime
	switch v = t.bind(v, Type{Kind: Datetime, Scale: 6}); v.t.Kind {
	case Null:
		if !v.isParam() {
			return v, refuse(t.at(v), "NULL plus an interval is not translated", "write NULL alone")
		}
	case Date:
		kind = Date
	case Time:
		return v, refuse(t.at(v), "a TIME plus an interval is not translated, since it may be more than a day", "use a DATETIME")
	}
	if v, err = t.temporal(v, kind); err != nil {
		return v, err
	}
	sign := "+"
	if minus {
		sign = "-"
	}
	r := value{s: fmt.Sprintf("(%s %s %s)", v.s, sign, interval), t: Type{Kind: Datetime, Scale: v.t.Scale}, agg: v.agg, free: v.free}
	r.t.Scale = max(r.t.Scale, scale)
	r.spelled = v.spelled || v.lit != nil && v.lit.kind == Varchar && v.lit.prefix == ""
	if r.spelled && scale > 0 {
		return v, refuse(t.at(v), "a string plus a fraction of a second is not translated", "write TIMESTAMP in front of the string")
	}
	if r.spelled && r.t.Scale > 0 {
		r.t.Scale = 6
	}
	within := "xaproxy.within"
	if t.writes {
		within = "xaproxy.must_be_within"
	}
	r.s = within + r.s
	if kind == Date && !clock {
		r.s, r.t = r.s+"::date", Type{Kind: Date}
	}
	return r, nil
}
