package dialect

import (
	"fmt"
	"slices"
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
	for _, a := range c.args {
		if a.t.Kind.temporal() {
			return a, refuse(t.at(a), "STRCMP of a time is not translated", "compare it with < and >")
		}
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
	case v.t.Kind == Null:
		r.s, r.t = "NULL::double precision", double
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

// extreme is GREATEST, and LEAST, which are NULL if any argument is.
func extreme(t *translator, c *call) (value, error) {
	if len(c.args) < 2 {
		return value{}, t.wrongCount(c)
	}
	for _, a := range c.args {
		for _, b := range c.args {
			if a.spelled || a.t.Kind.text() != b.t.Kind.text() || a.t.Kind.temporal() != b.t.Kind.temporal() {
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
	if c.name == "GREATEST" { // of equal ones MySQL takes the last, PostgreSQL the first
		slices.Reverse(texts)
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
	if err != nil {
		return v, err
	}
	v.s = fmt.Sprintf("(CASE WHEN %s THEN %s ELSE %s END)", s, texts[0], texts[1])
	notNull := v.notNull
	v = with(v, c.args...)
	v.notNull = notNull
	return v, nil
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
	if a, b := c.args[0], c.args[1]; a.spelled || a.t.Kind.temporal() != b.t.Kind.temporal() && !b.isConst() || a.isNull() {
		return value{}, refuse(t.at(a), "NULLIF of values of several types is not translated", "CAST them to one type")
	}
	if a, b := c.args[0].t, c.args[1].t; a.Kind.temporal() && b.Kind.temporal() && a.Scale != b.Scale {
		return value{}, refuse(t.at(c.args[0]), "NULLIF of times with different digits of a second is not translated", "CAST them to one type")
	}
	if a, b := c.args[0], c.args[1]; a.t.Kind.text() && b.t.Kind.text() && !strings.EqualFold(a.t.Collation, b.t.Collation) { // MySQL joins them
		return value{}, refuse(t.at(a), "NULLIF of strings of several collations is not translated", "COLLATE one of them")
	}
	if a, b := c.args[0], c.args[1]; a.t.Kind.approx() && b.t.Kind.exact() { // its type is the other one's
		return value{}, refuse(t.at(a), "NULLIF of a DOUBLE and another number is not translated", "CAST the other one to DOUBLE")
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
