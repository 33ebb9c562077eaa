package dialect

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

func fieldOf(t *translator, c *call) (value, error) {
	if len(c.args) < 2 {
		return value{}, t.wrongCount(c)
	}
	var b strings.Builder
	b.WriteString("(CASE")
	texts := true
	for _, a := range c.args {
		texts = texts && a.t.Kind.text()
	}
	for i, a := range c.args[1:] {
		l := c.args[0]
		if !texts && (l.t.Kind.text() || a.t.Kind.text()) {
			return l, refuse(t.at(a), "FIELD of strings and numbers together is not translated", "CAST them to one type")
		}
		s, err := t.compare("=", l, a)
		if err != nil {
			return l, err
		}
		fmt.Fprintf(&b, " WHEN %s THEN %d", s, i+1)
	}
	v := with(value{s: b.String() + " ELSE 0 END)", t: integer}, c.args...)
	v.notNull = true
	return v, nil
}

// findInSet is FIND_IN_SET. In a column of type SET it is the number of the element in the type, not in the value.
func findInSet(t *translator, c *call) (value, error) {
	if len(c.args) != 2 {
		return value{}, t.wrongCount(c)
	}
	s, set := c.args[0], c.args[1]
	if set.t.Kind != Set {
		return t.template(byName[c.name][0], c)
	}
	if !s.isConst() || s.t.Kind != Varchar {
		return s, refuse(t.at(s), "FIND_IN_SET of an element that is computed, in a SET, is not translated", "write it down")
	}
	for i, e := range set.t.Elements {
		if strings.EqualFold(e, s.lit.text) {
			return with(value{s: fmt.Sprintf(`(CASE WHEN %[1]s IS NULL THEN NULL WHEN %[2]s = ANY (string_to_array(%[1]s COLLATE "C", ',')) THEN %[3]d ELSE 0 END)`, set.s, quoteText(e), i+1), t: integer}, set), nil
		}
	}
	return with(value{s: "(CASE WHEN " + set.s + " IS NULL THEN NULL ELSE 0 END)", t: integer}, set), nil
}

func strcmp(t *translator, c *call) (value, error) {
	if len(c.args) != 2 {
		return value{}, t.wrongCount(c)
	}
	l, err := t.text(c.args[0])
	if err != nil {
		return l, err
	}
	r, err := t.text(c.args[1])
	if err != nil {
		return r, err
	}
	a, b, err := t.pairText(l, r)
	return with(value{s: fmt.Sprintf("(CASE WHEN %s = %s THEN 0 WHEN %[1]s < %[2]s THEN -1 WHEN %[1]s > %[2]s THEN 1 END)", a, b), t: integer}, l, r), err
}

func hexadecimal(t *translator, c *call) (value, error) {
	if len(c.args) != 1 {
		return value{}, t.wrongCount(c)
	}
	v := t.bind(c.args[0], varchar)
	r := with(value{t: varchar, rank: coercible}, v)
	switch {
	case v.t.Kind.integer() || v.cond:
		n, err := t.bits(v)
		r.s = "upper(to_hex(" + n + "))"
		return r, err
	case v.t.Kind.numeric():
		return v, refuse(t.at(v), "HEX of a number that is not whole is not translated", "CAST it to SIGNED")
	}
	b, err := t.binary(v)
	r.s = "upper(encode(" + b.s + ", 'hex'))"
	return r, err
}

func sha2(t *translator, c *call) (value, error) {
	if len(c.args) != 2 || !c.args[1].isConst() {
		return value{}, t.refuse("SHA2", "write 224, 256, 384 or 512", "SHA2 of a length that is not written down is not translated")
	}
	bits := c.args[1].lit.text
	if bits == "0" {
		bits = "256"
	}
	switch bits {
	case "224", "256", "384", "512":
	default:
		return value{}, t.refuse("SHA2", "write 224, 256, 384 or 512", "SHA2 has no length %s", bits)
	}
	b, err := t.binary(c.args[0])
	return with(value{s: "encode(sha" + bits + "(" + b.s + "), 'hex')", t: varchar, rank: coercible}, c.args[0]), err
}

// roundUp is CEIL, and FLOOR.
func roundUp(t *translator, c *call) (value, error) {
	if len(c.args) != 1 {
		return value{}, t.wrongCount(c)
	}
	v, err := t.number(c.args[0])
	if err != nil {
		return v, err
	}
	name := "ceil"
	if c.name == "FLOOR" {
		name = "floor"
	}
	r := with(value{s: name + "(" + v.s + ")", t: v.t}, v)
	switch {
	case v.t.Kind.integer():
		r.s, r.t = v.s, Type{Kind: BigInt, Length: 20, Unsigned: v.t.Unsigned}
	case v.t.Kind == Decimal:
		r.t = Type{Kind: Decimal, Length: max(1, v.t.Length-v.t.Scale+1)}
		if r.t.Length < 18 {
			r.t = bigint
		}
	}
	return r, nil
}

// round is ROUND, and TRUNCATE.
func round(t *translator, c *call) (value, error) {
	digits := 0
	switch {
	case len(c.args) == 2 && c.args[1].isConst() && c.args[1].t.Kind == BigInt:
		n, err := strconv.Atoi(strings.Trim(c.args[1].s, "()"))
		if err != nil {
			return value{}, t.wrongCount(c)
		}
		digits = n
	case len(c.args) == 2:
		return value{}, t.refuse(c.name, "write the number of digits down", "%s to a number of digits that is computed is not translated", c.name)
	case len(c.args) != 1 || c.name == "TRUNCATE":
		return value{}, t.wrongCount(c)
	}
	v, err := t.number(c.args[0])
	if err != nil {
		return v, err
	}
	name := "round"
	if c.name == "TRUNCATE" {
		name = "trunc"
	}
	r := with(value{t: v.t}, v)
	switch {
	case v.t.Kind.approx() && digits != 0:
		return v, refuse(t.at(v), c.name+" of a DOUBLE to digits behind the point is not translated", "CAST it to DECIMAL")
	case v.t.Kind.approx():
		r.s, r.t = name+"("+v.s+")", double
	case v.t.Kind.integer() && digits >= 0:
		r.s, r.t = v.s, Type{Kind: BigInt, Length: 20, Unsigned: v.t.Unsigned}
	case v.t.Kind.integer():
		r.s, r.t = fmt.Sprintf("%s(%s::numeric, %d)::bigint", name, v.s, digits), Type{Kind: BigInt, Length: 20}
		if v.t.Unsigned {
			r.s, r.t.Unsigned = fmt.Sprintf("xaproxy.in_range(%s(%s::numeric, %d))", name, v.s, digits), true
		}
	default:
		// MySQL leaves the digits that there are.
		r.t.Scale = max(0, min(digits, v.t.Scale))
		r.s = fmt.Sprintf("%s(%s, %d)", name, numericText(v), digits)
		if digits > v.t.Scale {
			r.s = fmt.Sprintf("%s(%s, %d)", name, numericText(v), v.t.Scale)
		}
	}
	return r, nil
}

func mod(t *translator, c *call) (value, error) {
	if len(c.args) != 2 {
		return value{}, t.wrongCount(c)
	}
	return t.arithmetic(sqlparser.ModStr, c.args[0], c.args[1])
}

// pi is 3.141593 where it is shown and exact where it is computed with; only the latter is translated, in a function of DOUBLEs.
func pi(t *translator, c *call) (value, error) {
	return value{}, t.refuse("PI", "write the number", "PI() has more digits than MySQL shows")
}

// extreme is GREATEST, and LEAST, which are NULL if any argument is.
func extreme(t *translator, c *call) (value, error) {
	if len(c.args) < 2 {
		return value{}, t.wrongCount(c)
	}
	for _, a := range c.args {
		for _, b := range c.args {
			if a.t.Kind.text() != b.t.Kind.text() || a.t.Kind.temporal() != b.t.Kind.temporal() {
				return a, refuse(t.at(b), c.name+" of values of several types is not translated", "CAST them to one type")
			}
		}
	}
	texts, v, err := t.unified(c.args...)
	if err != nil {
		return v, err
	}
	nulls := make([]string, len(texts))
	for i, s := range texts {
		if v.t.Kind.text() {
			if s, err = t.collated(value{s: s, t: v.t}); err != nil {
				return v, err
			}
			texts[i] = s
		}
		nulls[i] = s + " IS NULL"
	}
	v.s = strings.ToLower(c.name) + "(" + strings.Join(texts, ", ") + ")"
	v = even(v)
	v.s = fmt.Sprintf("(CASE WHEN %s THEN NULL ELSE %s END)", strings.Join(nulls, " OR "), v.s)
	return with(v, c.args...), nil
}

func ifFunction(t *translator, c *call) (value, error) {
	if len(c.args) != 3 {
		return value{}, t.wrongCount(c)
	}
	s, err := t.boolean(c.args[0])
	if err != nil {
		return value{}, err
	}
	texts, v, err := t.unified(c.args[1], c.args[2])
	v.s = fmt.Sprintf("(CASE WHEN %s THEN %s ELSE %s END)", s, texts0(texts, 0), texts0(texts, 1))
	notNull := v.notNull
	v = with(v, c.args...)
	v.notNull = notNull
	return v, err
}

func texts0(texts []string, i int) string {
	if i < len(texts) {
		return texts[i]
	}
	return ""
}

func coalesce(t *translator, c *call) (value, error) {
	if len(c.args) == 0 || c.name != "COALESCE" && len(c.args) != 2 {
		return value{}, t.wrongCount(c)
	}
	texts, v, err := t.unified(c.args...)
	if err != nil {
		return v, err
	}
	v = with(v, c.args...)
	for _, a := range c.args {
		v.notNull = v.notNull || a.notNull
	}
	v.s = "COALESCE(" + strings.Join(texts, ", ") + ")"
	return even(v), nil
}

func nullIf(t *translator, c *call) (value, error) {
	if len(c.args) != 2 {
		return value{}, t.wrongCount(c)
	}
	s, err := t.compare("=", c.args[0], c.args[1])
	if err != nil {
		return value{}, err
	}
	first := t.output(c.args[0])
	v := with(value{s: "(CASE WHEN " + s + " THEN NULL ELSE " + first.s + " END)", t: first.t, rank: first.rank, plain: first.plain}, c.args...)
	v.notNull = false
	return v, nil
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
	s := "statement_timestamp()"
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
		return value{s: "floor(extract(epoch FROM statement_timestamp()))::bigint", t: bigint, notNull: true}, nil
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

// session is what the session knows of itself.
func session(t *translator, c *call) (value, error) {
	if len(c.args) > 0 {
		return value{}, t.refuse(c.name, "only id = LAST_INSERT_ID(id) in ON DUPLICATE KEY UPDATE is", "%s with a value is not translated", c.name)
	}
	text := func(s string) (value, error) {
		return value{s: quoteText(s) + "::text", t: varchar, rank: coercible, notNull: true}, nil
	}
	switch c.name {
	case "DATABASE", "SCHEMA":
		if t.o.Schema == "" {
			return value{s: "NULL::text", t: varchar, rank: ignorable}, nil
		}
		return text(t.o.Schema)
	case "VERSION":
		return text(t.o.Version)
	case "CONNECTION_ID":
		return value{s: strconv.FormatUint(t.o.ConnectionID, 10), t: Type{Kind: BigInt, Unsigned: true, Length: 20}, notNull: true}, nil
	case "LAST_INSERT_ID":
		return value{s: strconv.FormatUint(t.o.LastInsertID, 10), t: Type{Kind: BigInt, Unsigned: true, Length: 20}, notNull: true}, nil
	case "ROW_COUNT":
		return value{s: fmt.Sprintf("(%d)", t.o.RowCount), t: bigint, notNull: true}, nil
	}
	return text(t.o.User)
}

// regexpSafe are the characters that mean the same in both dialects of regular expressions, or are escaped ones of them.
const regexpSafe = `ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _-,:;@#%&=<>/!"'~` + "`"

// regexp translates REGEXP with a pattern of what both know.
func (t *translator) regexp(l, r value, not bool) (string, error) {
	if !r.isConst() || r.t.Kind != Varchar {
		return "", refuse(t.at(r), "a regular expression that is computed is not translated", "write it down, or use LIKE")
	}
	l, err := t.text(l)
	if err != nil {
		return "", err
	}
	j, err := t.joined(l, r)
	if err != nil {
		return "", err
	}
	pattern := r.lit.text
	bad := func(what string) error {
		return refuse(t.at(r), what+" of this regular expression may mean another thing in PostgreSQL", "use LIKE, or characters, classes in [], ., *, +, ?, |, (), ^ and $")
	}
	dot, negated := false, false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
			if i == len(pattern) || strings.IndexByte(`\.*+?()[]{}|^$-/`, pattern[i]) < 0 {
				return "", bad("the escape")
			}
		case c == '[':
			end := strings.IndexByte(pattern[i+1:], ']')
			if end < 1 {
				return "", bad("the class")
			}
			class := pattern[i+1 : i+1+end]
			if class[0] == '^' {
				negated = true
				class = class[1:]
			}
			if class == "" || strings.Trim(class, regexpSafe+".") != "" || strings.ContainsAny(class, `[\&~`) || strings.Contains(class, "--") {
				return "", bad("the class")
			}
			i += end + 1
		case c == '.':
			dot = true
		case c == '$':
			if i != len(pattern)-1 {
				return "", bad("the $")
			}
			pattern = pattern[:i] + `\n?$`
			i = len(pattern)
		case c == '(' && i+1 < len(pattern) && pattern[i+1] == '?', c == '{' || c == '}':
			return "", bad("a part")
		case strings.IndexByte("*+?|()^", c) >= 0:
			if i+1 < len(pattern) && strings.IndexByte("*+?", c) >= 0 && strings.IndexByte("*+?", pattern[i+1]) >= 0 {
				return "", bad("a part")
			}
		case strings.IndexByte(regexpSafe, c) < 0:
			return "", bad("a character")
		}
	}
	if dot && negated {
		return "", bad("a . beside [^]")
	}
	if dot {
		pattern = "(?p)" + pattern
	}
	op := "~"
	if j.t.folds() {
		op = "~*"
	}
	if not {
		op = "!" + op
	}
	return fmt.Sprintf(`((%s COLLATE "und-x-icu") %s %s)`, l.s, op, quoteText(pattern)), nil
}

// regexpLike is REGEXP_LIKE without a match type.
func regexpLike(t *translator, c *call) (value, error) {
	if len(c.args) != 2 {
		return value{}, t.refuse(c.name, "leave it out", "REGEXP_LIKE with a match type is not translated")
	}
	s, err := t.regexp(c.args[0], c.args[1], false)
	return with(condition(s), c.args...), err
}

// regexpReplace is REGEXP_REPLACE of all matches by a string.
func regexpReplace(t *translator, c *call) (value, error) {
	if len(c.args) != 3 {
		return value{}, t.refuse(c.name, "leave them out", "REGEXP_REPLACE with more than three arguments is not translated")
	}
	by := c.args[2]
	if !by.isConst() || by.t.Kind != Varchar || strings.ContainsAny(by.lit.text, `$\`) {
		return by, refuse(t.at(by), "what stands for a match must be written down, without groups", "write a string without $ and \\")
	}
	s, err := t.text(c.args[0])
	if err != nil {
		return s, err
	}
	matches, err := t.regexp(s, c.args[1], false)
	if err != nil {
		return s, err
	}
	flags := "g"
	left, pattern, found := strings.Cut(matches, " ~* ")
	if found {
		flags = "gi"
	} else {
		left, pattern, _ = strings.Cut(matches, " ~ ")
	}
	if strings.Contains(s.s, " ~") {
		return s, refuse(t.at(s), "this REGEXP_REPLACE is not translated", raw)
	}
	v := value{s: fmt.Sprintf("regexp_replace(%s, %s, %s, '%s')", strings.TrimPrefix(left, "("), strings.TrimSuffix(pattern, ")"), by.s, flags), t: s.t, rank: s.rank}
	return with(v, s), nil
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
