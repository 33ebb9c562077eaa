package dialect

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

const (
	realClock = "statement_timestamp()"
	ownClock  = "xaproxy.now()"
)

// clock is the moment of the statement's beginning. Only a session that has set its own one, and what is stored, ask for that: it takes
// longer for each row.
func (t *translator) clock() string {
	if t.o.Clock {
		return ownClock
	}
	return realClock
}

var otherClock = regexp.MustCompile(`\b(now|(clock|statement|transaction)_timestamp|timeofday)\(\)|\b(CURRENT|LOCAL)_?TIME|\bCURRENT_DATE`)

// ownDefault refuses a default that would be by another clock than that of the session.
func (t *translator) ownDefault(c *Column) error {
	d := strings.ReplaceAll(c.Default, ownClock, "")
	if !t.o.Clock || quotedDefault.MatchString(d) || !otherClock.MatchString(d) {
		return nil
	}
	return refuse(t.src.find(c.Name), "the default of column "+c.Name+" is by PostgreSQL's clock, and the session has set another time", "ALTER the column through xaproxy, write the value, or SET timestamp = DEFAULT")
}

// now is the current time, of the statement's beginning, cut to the digits that are asked for.
func now(t *translator, c *call) (value, error) {
	digits := 0
	if len(c.args) == 1 && c.args[0].isConst() {
		n, err := strconv.Atoi(c.args[0].lit.text)
		if err != nil || n > 6 {
			return value{}, t.wrongCount(c)
		}
		digits = n
	} else if len(c.args) > 0 {
		return value{}, t.wrongCount(c)
	}
	s := t.clock()
	if c.name == "SYSDATE" {
		s = "clock_timestamp()"
	}
	if strings.HasPrefix(c.name, "UTC") {
		s = "(" + s + " AT TIME ZONE 'UTC')"
	}
	kind := Datetime
	if strings.HasSuffix(c.name, "TIME") && c.name != "LOCALTIME" {
		kind = Time
	}
	unit := map[int]string{0: "second", 3: "milliseconds", 6: "microseconds"}[digits]
	if unit == "" {
		return value{}, t.refuse(c.name, "ask for 0, 3 or 6", "%s of %d digits is not translated", c.name, digits)
	}
	v := value{s: fmt.Sprintf("date_trunc('%s', %s)::timestamp", unit, s), t: Type{Kind: kind, Scale: digits}, notNull: true}
	if kind == Time {
		v.s = "(" + v.s + ")::time"
	}
	return v, nil
}

func dateAdd(t *translator, c *call) (value, error) {
	if len(c.args) != 2 {
		return value{}, t.wrongCount(c)
	}
	minus := strings.Contains(c.name, "SUB")
	i, ok := c.exprs[1].(*sqlparser.IntervalExpr)
	if !ok {
		return t.shifted(c.args[0], c.args[1], "DAY", minus)
	}
	n, err := t.expr(i.Expr)
	if err != nil {
		return n, err
	}
	return t.shifted(c.args[0], n, i.Unit, minus)
}

func unixTimestamp(t *translator, c *call) (value, error) {
	if len(c.args) == 0 {
		return value{s: "floor(extract(epoch FROM " + t.clock() + "))::bigint", t: bigint, notNull: true}, nil
	}
	if len(c.args) > 1 {
		return value{}, t.wrongCount(c)
	}
	v, kind := c.args[0], Datetime
	if v.t.Kind == Timestamp {
		return with(epoch(v.s, v.t.Scale), v), nil
	}
	v, err := t.temporal(v, kind)
	return with(epoch(v.s+"::timestamptz", v.t.Scale), v), err
}

func epoch(s string, scale int) value {
	if scale == 0 {
		return value{s: "xaproxy.epoch(" + s + ")::bigint", t: bigint}
	}
	return value{s: fmt.Sprintf("round(xaproxy.epoch(%s), %d)", s, scale), t: Type{Kind: Decimal, Length: 18, Scale: scale}}
}

func convertTZ(t *translator, c *call) (value, error) {
	if len(c.args) != 3 {
		return value{}, t.wrongCount(c)
	}
	v, err := t.temporal(c.args[0], Datetime)
	if err != nil {
		return v, err
	}
	zones := [2]string{}
	for i, z := range c.args[1:] {
		if !z.isConst() || z.t.Kind != Varchar {
			return z, refuse(t.at(z), "a time zone that is computed is not translated", "write it down")
		}
		name := z.lit.text
		if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
			// A bare offset is POSIX in PostgreSQL, with the other sign.
			zones[i] = "interval " + quoteText(name)
			continue
		}
		if strings.EqualFold(name, "SYSTEM") {
			return z, refuse(t.at(z), "the server's time zone is not known", "name it")
		}
		zones[i] = quoteText(name)
	}
	return with(value{s: fmt.Sprintf("((%s AT TIME ZONE %s) AT TIME ZONE %s)", v.s, zones[0], zones[1]), t: v.t}, v), nil
}

// formats are the letters of DATE_FORMAT as to_char has them.
var formats = map[byte]string{
	'Y': "YYYY", 'y': "YY", 'm': "MM", 'c': "FMMM", 'd': "DD", 'e': "FMDD", 'D': "FMDDth", 'H': "HH24", 'k': "FMHH24", 'h': "HH12", 'I': "HH12", 'l': "FMHH12",
	'i': "MI", 's': "SS", 'S': "SS", 'f': "US", 'p': "AM", 'T': "HH24:MI:SS", 'r': "HH12:MI:SS AM", 'M': "FMMonth", 'b': "Mon", 'W': "FMDay", 'a': "Dy",
	'j': "DDD", 'v': "IW", 'x': "IYYY",
}

func dateFormat(t *translator, c *call) (value, error) {
	if len(c.args) != 2 {
		return value{}, t.wrongCount(c)
	}
	f := c.args[1]
	if !f.isConst() || f.t.Kind != Varchar {
		return f, refuse(t.at(f), "a format that is computed is not translated", "write it down")
	}
	kind := Datetime
	if c.name == "TIME_FORMAT" {
		kind = Time
	}
	v, err := t.temporal(c.args[0], kind)
	if err != nil {
		return v, err
	}
	if kind == Time {
		v.s = "('2000-01-01'::date + " + v.s + ")"
		if strings.ContainsAny(strings.ReplaceAll(f.lit.text, "%%", ""), "YymcdeDMbWajvx") {
			return f, refuse(t.at(f), "a date in TIME_FORMAT is not translated", "ask for hours, minutes and seconds")
		}
	}
	var b strings.Builder
	plain := ""
	flush := func() {
		if plain != "" {
			b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(plain) + `"`)
			plain = ""
		}
	}
	for text := f.lit.text; text != ""; {
		if text[0] != '%' || len(text) == 1 {
			plain += text[:1]
			text = text[1:]
			continue
		}
		letter := text[1]
		text = text[2:]
		p, ok := formats[letter]
		switch {
		case letter == '%':
			plain += "%"
		case ok:
			flush()
			b.WriteString(p)
		case strings.IndexByte("wUuVX", letter) >= 0:
			return f, refuse(t.at(f), "%"+string(letter)+" of DATE_FORMAT is not translated", "use WEEK(), YEARWEEK() or DAYOFWEEK()")
		default:
			plain += string(letter)
		}
	}
	flush()
	return with(value{s: "to_char(" + v.s + ", " + quoteText(b.String()) + ")", t: varchar, rank: coercible}, v), nil
}

func fromUnixtime(t *translator, c *call) (value, error) {
	if len(c.args) != 1 && len(c.args) != 2 {
		return value{}, t.wrongCount(c)
	}
	n, err := t.number(c.args[0])
	if err != nil {
		return n, err
	}
	if !n.t.Kind.integer() {
		return n, refuse(t.at(n), "FROM_UNIXTIME of a number that is not whole is not translated", "ROUND and CAST it")
	}
	v := with(value{s: "xaproxy.from_unixtime(" + wide(n) + ")", t: Type{Kind: Datetime}}, n)
	v.notNull = false
	if len(c.args) == 2 {
		return dateFormat(t, &call{name: "DATE_FORMAT", args: []value{v, c.args[1]}, exprs: c.exprs})
	}
	return v, nil
}

func timeDiff(t *translator, c *call) (value, error) {
	if len(c.args) != 2 {
		return value{}, t.wrongCount(c)
	}
	kind := Datetime
	if c.args[0].t.Kind == Time || c.args[0].isConst() && timeText.MatchString(c.args[0].lit.text) {
		kind = Time
	}
	a, err := t.temporal(c.args[0], kind)
	if err != nil {
		return a, err
	}
	b, err := t.temporal(c.args[1], kind)
	v := with(value{s: fmt.Sprintf("xaproxy.time_of(%s - %s)", a.s, b.s), t: Type{Kind: Time, Scale: max(a.t.Scale, b.t.Scale)}}, a, b)
	return v, err
}

// strToDate reads a string by a format of digits.
func strToDate(t *translator, c *call) (value, error) {
	if len(c.args) != 2 {
		return value{}, t.wrongCount(c)
	}
	f := c.args[1]
	if !f.isConst() || f.t.Kind != Varchar {
		return f, refuse(t.at(f), "a format that is computed is not translated", "write it down")
	}
	if t.writes {
		return f, refuse(t.src.find(c.name), "STR_TO_DATE fails in a statement that writes, if the string is none", "read it in the application")
	}
	s, err := t.text(c.args[0])
	if err != nil {
		return s, err
	}
	pattern, order := "^\\s*", ""
	for text := f.lit.text; text != ""; text = text[1:] {
		if text[0] != '%' || len(text) == 1 {
			if strings.IndexByte(`\.*+?()[]{}|^$`, text[0]) >= 0 {
				pattern += `\`
			}
			if text[0] == ' ' {
				pattern += `\s*`
			} else {
				pattern += text[:1]
			}
			continue
		}
		text = text[1:]
		switch text[0] {
		case 'Y':
			pattern += `(\d{4})`
		case 'm', 'd', 'H', 'i', 's', 'S', 'c', 'e', 'k':
			pattern += `(\d{1,2})`
		default:
			return f, refuse(t.at(f), "%"+text[:1]+" of STR_TO_DATE is not translated", "use %Y, %m, %d, %H, %i and %s")
		}
		order += map[byte]string{'Y': "Y", 'm': "m", 'c': "m", 'd': "d", 'e': "d", 'H': "H", 'k': "H", 'i': "i", 's': "s", 'S': "s"}[text[0]]
	}
	date, clock := strings.ContainsAny(order, "Ymd"), strings.ContainsAny(order, "His")
	for _, letter := range "Ymd" {
		if strings.Count(order, string(letter)) != 1 {
			return f, refuse(t.at(f), "STR_TO_DATE without a whole date is not translated", "name year, month and day")
		}
	}
	v := value{s: fmt.Sprintf("xaproxy.str_to_date(%s, %s, '%s')", s.s, quoteText(pattern), order), t: Type{Kind: Datetime}}
	if date && !clock {
		v.s, v.t = v.s+"::date", Type{Kind: Date}
	}
	v = with(v, s)
	v.notNull = false
	return v, nil
}
