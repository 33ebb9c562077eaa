package dialect

import (
	"encoding/json"
	"fmt"
	"strings"
)

// boundAs is the type of a parameter's value, that of a string if it is not known, or NULL.
func (v value) boundAs() Type {
	if v.t.Kind == Unknown || v.t.Kind == Null {
		return varchar
	}
	return v.t
}

// pair makes two values comparable in PostgreSQL as MySQL compares them.
// https://dev.mysql.com/doc/refman/9.7/en/type-conversion.html
func (t *translator) pair(l, r value) (string, string, error) {
	if l.isParam() && r.isParam() {
		l, r = t.bind(l, r.boundAs()), t.bind(r, l.boundAs())
	}
	if l.isParam() && !r.isParam() {
		b, a, err := t.pair(r, l)
		return a, b, err
	}
	r = t.bind(r, l.compared())
	lk, rk := l.t.Kind, r.t.Kind
	switch {
	case lk == Null || rk == Null:
		return t.bare(l), t.bare(r), nil
	case lk == JSON || rk == JSON:
		return t.pairJSON(l, r)
	case lk.temporal() || rk.temporal():
		return t.pairTemporal(l, r)
	case l.cond && r.cond:
		return l.s, r.s, nil
	case lk.text() && rk.text():
		return t.pairText(l, r)
	case lk.bytes() && (rk.bytes() || rk.text()), rk.bytes() && lk.text():
		if l.isConst() && l.lit.hex && rk.text() || r.isConst() && r.lit.hex && lk.text() {
			return "", "", refuse(t.at(r), "a hexadecimal literal compared with a string of characters is not translated", "write the string")
		}
		a, err := t.binary(l)
		if err != nil {
			return "", "", err
		}
		b, err := t.binary(r)
		return a.s, b.s, err
	}
	if lk == Year || rk == Year {
		if err := t.years(l, r); err != nil {
			return "", "", err
		}
	}
	a, err := t.number(l)
	if err != nil {
		return "", "", err
	}
	if lk == Year && r.isParam() {
		s := r.s
		if rk == Varchar {
			s = t.read(r, a.t)
		}
		return a.s, "xaproxy.year((" + s + ")::int)", nil
	}
	if r.isParam() && rk == Varchar { // what is no number fails
		if a.t.Kind.integer() && l.compared().cast() != "numeric" {
			return a.s, t.read(r, a.t) + "::bigint", nil // for the sake of an index
		}
		return a.s, t.read(r, a.t), nil
	}
	b, err := t.number(r)
	return a.s, b.s, err
}

// years refuses a YEAR compared with a number that may be one of two digits.
func (t *translator) years(l, r value) error {
	if l.t.Kind != Year {
		l, r = r, l
	}
	switch {
	case r.t.Kind == Year, r.isParam():
	case r.isConst() && r.lit.kind == BigInt && (len(r.lit.text) > 3 || r.lit.text == "0"), r.isConst() && r.t.Kind == Varchar && len(r.lit.text) == 4 && digits(r.lit.text):
	default:
		return refuse(t.at(l), "a YEAR compared with another number is not translated, since it may be of two digits", "write a year of four digits")
	}
	return nil
}

// compared is the type that a parameter gets which is compared with the value.
func (v value) compared() Type {
	switch {
	case v.cond, v.t.Kind == BigInt && v.col != nil && v.col.PG == "bigint": // for the sake of an index, also of an unsigned AUTO_INCREMENT
		return bigint
	case v.t.Kind == Date, v.t.Kind == Timestamp:
		// A DATETIME bound for a DATE is compared with its time of day.
		return Type{Kind: Datetime, Scale: 6}
	case v.t.Kind == Float:
		return double
	case v.t.Kind == JSON, v.t.Kind == Unknown:
		return varchar
	case v.t.Kind.integer() && v.t.Kind != BigInt:
		return bigint // a number that is too large for the column is equal to none
	case v.t.Kind == Char, v.t.Kind == Enum, v.t.Kind == Set:
		return varchar
	}
	return v.t
}

// bare is a value that is compared with NULL.
func (t *translator) bare(v value) string {
	if v.isNull() {
		return "NULL"
	}
	return v.s
}

// binary is the value as bytes.
func (t *translator) binary(v value) (value, error) {
	v = t.bind(v, Type{Kind: Varbinary})
	r := v
	r.t = Type{Kind: Varbinary, Length: v.t.Length}
	switch {
	case v.t.Kind.bytes():
		return v, nil
	case v.isConst() && v.t.Kind == Varchar:
		r.s = fmt.Sprintf(`'\x%x'::bytea`, v.lit.text)
		return r, nil
	case v.t.Kind.text():
		r.s = "convert_to(" + v.s + ", 'UTF8')"
		return r, nil
	case v.t.Kind == Null:
		r.s = "NULL::bytea"
		return r, nil
	}
	c, err := t.text(v)
	if err != nil {
		return v, err
	}
	r.s = "convert_to(" + c.s + ", 'UTF8')"
	return r, nil
}

// pairText puts the collation that counts on the left side, where PostgreSQL would take another one.
func (t *translator) pairText(l, r value) (string, string, error) {
	j, err := t.joined(l, r)
	if err != nil {
		return "", "", err
	}
	if j.t.Collation == "citext" && j.plain {
		return l.s + "::citext", r.s + "::citext", nil
	}
	if j.plain {
		return l.s, r.s, nil
	}
	c, err := t.collation(j.t.Collation)
	if err != nil {
		return "", "", err
	}
	right := r.s
	if !r.isConst() && !r.plain { // it may have an explicit collation within
		right = "(" + r.s + " COLLATE " + c + ")"
	}
	return "(" + l.s + " COLLATE " + c + ")", right, nil
}

func (t *translator) pairTemporal(l, r value) (string, string, error) {
	if !l.t.Kind.temporal() {
		b, a, err := t.pairTemporal(r, l)
		return a, b, err
	}
	switch {
	case r.isConst() && r.t.Kind == Varchar:
		kind := l.t.Kind
		if l.t.Kind == Timestamp {
			kind = Timestamp
		}
		m, err := t.moment(r, kind)
		return l.s, m.s, err
	case r.isParam() && r.t.Kind == Varchar:
		kind := l.t.Kind
		if kind == Date {
			kind = Datetime
		}
		m, err := t.temporal(r, kind)
		return l.s, m.s, err
	case r.t.Kind == l.t.Kind:
		return l.s, r.s, nil
	case r.t.Kind.temporal() && r.t.Kind != Time && l.t.Kind != Time:
		return l.s, r.s, nil // PostgreSQL compares a date as midnight, and a timestamp in the session's time zone
	case r.t.Kind.exact() && r.isConst():
		return "", "", refuse(t.at(r), "a number as a time is not translated", "write it as 'YYYY-MM-DD hh:mm:ss'")
	}
	return "", "", refuse(t.at(r), fmt.Sprintf("%s compared with a %s is not translated", describe(r.t), typeNames[l.t.Kind]), "CAST it")
}

// pairJSON compares JSON with a scalar as JSON. Only what needs no order between types is exact.
func (t *translator) pairJSON(l, r value) (string, string, error) {
	sides := [2]string{}
	for i, v := range []value{l, r} {
		switch {
		case v.t.Kind == JSON:
			sides[i] = v.s
		case v.isConst() && v.t.Kind == Varchar:
			b, err := json.Marshal(v.lit.text)
			if err != nil {
				return "", "", err
			}
			sides[i] = quoteText(string(b)) + "::jsonb"
		default:
			if v.cond {
				sides[i] = "to_jsonb(" + v.s + ")"
				break
			}
			if v.t.Kind.temporal() || v.t.Kind.bytes() {
				return "", "", refuse(t.at(v), describe(v.t)+" compared with JSON is not translated", "compare with ->>")
			}
			cast := v.t.cast()
			sides[i] = "to_jsonb(" + v.s + "::" + cast + ")"
		}
	}
	return sides[0], sides[1], nil
}

var operators = map[string]string{"=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "<>", "<>": "<>", "<=>": "IS NOT DISTINCT FROM"}

// compare is l op r.
func (t *translator) compare(op string, l, r value) (string, error) {
	pg, ok := operators[op]
	if !ok {
		return "", t.refuse(op, raw, "the operator %s is not translated", op)
	}
	if (l.t.Kind == JSON || r.t.Kind == JSON) && pg != "=" && pg != "<>" && pg != "IS NOT DISTINCT FROM" {
		return "", refuse(t.at(l), "the order of JSON values is not translated", "compare with ->> and CAST")
	}
	if pg != "=" && pg != "<>" && pg != "IS NOT DISTINCT FROM" {
		l.plain, r.plain = l.plain && !l.loose, r.plain && !r.loose
	}
	// The order of ENUMs with each other is that of their strings too, as in PostgreSQL, where they are strings.
	a, b, err := t.pair(l, r)
	if err != nil {
		return "", err
	}
	return "(" + a + " " + pg + " " + b + ")", nil
}

// like is l LIKE r.
func (t *translator) like(l, r, escape value, hasEscape, not bool) (string, error) {
	l, err := t.text(l)
	if err != nil {
		return "", err
	}
	if r, err = t.text(r); err != nil {
		return "", err
	}
	j, err := t.joined(l, r)
	if err != nil {
		return "", err
	}
	esc := `\`
	if t.o.NoBackslashEscapes {
		esc = ""
	}
	if hasEscape {
		if !escape.isConst() || escape.t.Kind != Varchar || len([]rune(escape.lit.text)) > 1 {
			return "", &Error{Errno: 1210, State: "HY000", At: t.at(escape), What: "Incorrect arguments to ESCAPE"}
		}
		esc = escape.lit.text
	}
	if r.isConst() && esc != "" {
		r.s = quoteText(closed(r.lit.text, esc)) + "::text"
	}
	suffix := ""
	if esc != `\` {
		suffix = " ESCAPE " + quoteText(esc)
	}
	no := ""
	if not {
		no = "NOT "
	}
	switch {
	case l.col != nil && l.col.PG == "citext" && j.plain:
		return "(" + l.s + " " + no + "LIKE " + r.s + suffix + ")", nil
	case strings.HasSuffix(j.t.Collation, "_bin"), strings.HasSuffix(j.t.Collation, "_cs"):
		return fmt.Sprintf(`((%s COLLATE "C") %sLIKE %s%s)`, l.s, no, r.s, suffix), nil
	}
	c, err := t.collation(j.t.Collation)
	if err != nil {
		return "", err
	}
	s := fmt.Sprintf("xaproxy.like_%s(%s, %s, %s)", strings.TrimPrefix(c, "xaproxy."), l.s, r.s, quoteText(esc))
	if l.col != nil && r.isConst() && ascii(r.lit.text) && ascii(esc) && strings.HasSuffix(j.t.Collation, "_ci") { // most strings need no function
		s = fmt.Sprintf(`CASE WHEN octet_length(%s) = char_length(%[1]s) THEN (%[1]s COLLATE "C") ILIKE %s%s ELSE %s END`, l.s, r.s, suffix, s)
	}
	return "(" + no + s + ")", nil
}

func ascii(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) }

// closed doubles an escape character at the end of a pattern, which MySQL takes for itself and PostgreSQL for a mistake.
func closed(pattern, esc string) string {
	for rest := pattern; rest != ""; {
		if !strings.HasPrefix(rest, esc) {
			rest = rest[1:]
			continue
		}
		rest = rest[len(esc):]
		if rest == "" {
			return pattern + esc
		}
		rest = rest[1:]
	}
	return pattern
}
