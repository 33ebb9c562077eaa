package dialect

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// value is an expression: its text in PostgreSQL and what it is in MySQL.
type value struct {
	s string // closed: in brackets where it is more than one term
	t Type
	// cond says that s is boolean. The value is 1 or 0 of type BIGINT.
	cond bool
	lit  *literal // the literal or parameter that it is
	// rank says whose collation counts where strings meet: the smaller one. https://dev.mysql.com/doc/refman/9.7/en/charset-collation-coercibility.html
	rank  int
	plain bool // PostgreSQL derives the collation of t for s by itself
	loose bool // but its order is another
	// ragged says that a DECIMAL has as many digits behind the point as the one of several that it is, as IF and CASE show it. In a temporary
	// table it would have those of its type.
	ragged  bool
	notNull bool
	col     *Column
	of      *relation // where col is from
	agg     bool      // an aggregate is in it
	free    bool      // it has another value each time it is computed
	spelled bool      // a time that MySQL has as a string
	mixed   bool      // a string that may be of a time, which MySQL reads as another number than a string
}

// ranks of collations
const (
	explicit  = 0
	noneWins  = 1 // of two different columns
	implicit  = 2
	coercible = 4
	numeric   = 5
	ignorable = 6
)

// The types of results.
var (
	bigint   = Type{Kind: BigInt, Length: 20}
	integer  = Type{Kind: Int}
	double   = Type{Kind: Double}
	varchar  = Type{Kind: Varchar, Collation: defaultCollation}
	nullType = Type{Kind: Null}
)

func condition(s string) value { return value{s: s, t: Type{Kind: BigInt, Length: 1}, cond: true} }

func (v value) isNull() bool { return v.t.Kind == Null && v.lit == nil }

func (v value) isParam() bool { return v.lit != nil && v.lit.param }

// isConst tells literals that are not parameters.
func (v value) isConst() bool { return v.lit != nil && !v.lit.param }

// at is where the value stands in the client's text, -1 if it is not known.
func (t *translator) at(v value) int {
	if v.lit != nil {
		return t.src.toks[v.lit.tok].Start
	}
	if v.col != nil {
		return t.src.find(v.col.Name)
	}
	return -1
}

// literalValue is the value of a literal.
func (t *translator) literalValue(l literal) (value, error) {
	if l.user != "" {
		return t.userValue(l.user)
	}
	v := value{lit: &l, notNull: true, rank: coercible}
	if l.param {
		v.notNull = false
		v.t = Type{Kind: Unknown}
		if t.o.Params != nil {
			v.t = classType(t.o.Params[t.src.paramIndex(l.tok)])
		}
		if l.minus {
			return t.negative(v)
		}
		return v, nil
	}
	digits := l.text
	if l.minus {
		digits = "-" + digits
	}
	switch l.kind {
	case BigInt:
		v.t = Type{Kind: BigInt, Length: len(l.text)}
		if n, ok := new(big.Int).SetString(l.text, 10); ok && n.Cmp(big.NewInt(math.MaxInt64)) > 0 {
			if !n.IsUint64() || l.minus {
				v.t = Type{Kind: Decimal, Length: len(l.text)}
			} else {
				v.t.Unsigned = true
			}
		}
		v.s = strings.TrimLeft(digits, "0")
		if v.s == "" {
			v.s = "0"
		}
	case Decimal:
		whole, frac, _ := strings.Cut(l.text, ".")
		v.t = Type{Kind: Decimal, Length: max(len(whole)+len(frac), 1), Scale: len(frac)}
		if whole == "" {
			whole = "0"
		}
		v.s = whole
		if frac != "" {
			v.s += "." + frac
		}
		if v.t.Scale > 30 || v.t.Length > 65 {
			return v, refuse(t.at(v), "the number has more digits than a DECIMAL", "shorten it")
		}
		if l.minus {
			v.s = "-" + v.s
		}
	case Double:
		v.t = double
		v.s = quoteText(digits) + "::double precision"
	case Varchar:
		v.t = Type{Kind: Varchar, Length: len([]rune(l.text)), Collation: defaultCollation}
		v.s = quoteText(l.text)
		v.plain = false
		if l.prefix != "" {
			return t.typed(v)
		}
	case Varbinary:
		v.t = Type{Kind: Varbinary, Length: len(l.text)}
		v.s = `'\x` + hex.EncodeToString([]byte(l.text)) + `'::bytea`
	}
	if strings.HasPrefix(v.s, "-") {
		v.s = "(" + v.s + ")"
	}
	return v, nil
}

// classType is the type of a bound value of the class.
func classType(c Class) Type {
	switch c {
	case IntClass:
		return bigint
	case DecimalClass:
		return Type{Kind: Decimal, Length: 65, Scale: 30}
	case DoubleClass:
		return double
	case StringClass:
		return varchar
	case BytesClass:
		return Type{Kind: Varbinary}
	case DateClass:
		return Type{Kind: Date}
	case DatetimeClass:
		return Type{Kind: Datetime, Scale: 6}
	case TimeClass:
		return Type{Kind: Time, Scale: 6}
	case NullClass:
		return nullType
	}
	return Type{Kind: Unknown}
}

// class is the class of values that fit a type.
func (t Type) class() Class {
	switch {
	case t.Kind.integer():
		return IntClass
	case t.Kind == Decimal:
		return DecimalClass
	case t.Kind.approx():
		return DoubleClass
	case t.Kind == Date:
		return DateClass
	case t.Kind == Time:
		return TimeClass
	case t.Kind.temporal():
		return DatetimeClass
	case t.Kind.bytes():
		return BytesClass
	}
	return StringClass
}

// bind gives a parameter the type that its place asks for, unless the value that is bound has one.
func (t *translator) bind(v value, want Type) value {
	if !v.isParam() {
		return v
	}
	if v.t.Kind == Unknown {
		v.t = want
		v.t.Collation = defaultCollation
		if want.Kind == Enum || want.Kind == Set || want.Kind == Char || want.Kind == Unknown {
			v.t.Kind = Varchar
		}
	}
	n := t.src.paramIndex(v.lit.tok)
	if v.t.Kind == Null {
		v.s = t.parameter(n, want.cast(), NullClass)
		return v
	}
	v.s = t.parameter(n, v.t.cast(), v.t.class())
	return v
}

// read reads a bound string as another type.
func (t *translator) read(v value, as Type) string {
	return reader(as) + "(" + t.parameter(t.src.paramIndex(v.lit.tok), "text", StringClass) + ")"
}

// reader is the function that reads a string as a number or time. PostgreSQL's own casts know more words than MySQL, such as 'today' and 'NaN'.
func reader(as Type) string {
	name := "numeric"
	switch {
	case as.Kind.approx():
		name = "double"
	case as.Kind.temporal():
		name = as.cast()
	}
	return "xaproxy.read_" + name
}

// number is the value as a number: for arithmetic, and where MySQL compares as numbers.
func (t *translator) number(v value) (value, error) {
	v = t.bind(v, bigint)
	switch {
	case v.mixed:
		return v, refuse(t.at(v), "a string or time as a number is not translated", "CAST it")
	case v.cond:
		v.s, v.cond = v.s+"::int", false
		return v, nil
	case v.t.Kind == Enum || v.t.Kind == Set:
		return value{s: t.elementNumber(v) + "::double precision", t: double, agg: v.agg, free: v.free}, nil
	case v.t.Kind == Year, v.t.Kind == Bit:
		v.t.Unsigned = true
		return v, nil
	case v.t.Kind.numeric(), v.t.Kind == Null:
		return v, nil
	case v.isConst() && v.lit.hex && len(v.lit.text) <= 8:
		n := new(big.Int).SetBytes([]byte(v.lit.text))
		return value{s: n.String(), t: Type{Kind: BigInt, Unsigned: true, Length: 20}, notNull: true}, nil
	case v.isConst() && v.t.Kind == Varchar:
		return t.numeral(v)
	case v.isParam() && v.t.Kind == Varchar: // what is no number fails
		return value{s: t.read(v, double), t: double}, nil
	case v.t.Kind.text() && !t.writes:
		return value{s: "xaproxy.number(" + v.s + ")", t: double, agg: v.agg, free: v.free}, nil
	case v.t.Kind.text():
		return v, refuse(t.at(v), "a string as a number fails in a statement that writes, if it is none", "CAST it, or compare it with a string")
	case v.t.Kind == Unknown:
		return v, nil
	}
	return v, refuse(t.at(v), typeNames[v.t.Kind]+" as a number is not translated", "use a function that says which number, as YEAR() or UNIX_TIMESTAMP() do")
}

// numeral reads a string literal that is a whole number. MySQL makes a DOUBLE of it.
func (t *translator) numeral(v value) (value, error) {
	text := strings.TrimSpace(v.lit.text)
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.ContainsAny(text, "xXpPiInN_") {
		if !t.writes && !v.lit.param && v.lit.user == "" { // where it is a warning, and the number that the string begins with counts
			one := *v.lit
			if one.text = strings.TrimSpace(numberAhead.FindString(text)); one.text == "" {
				one.text = "0"
			}
			v.lit = &one
			return t.numeral(v)
		}
		return v, refuse(t.at(v), "the string "+quoteText(v.lit.text)+" is compared or computed as a number, and is none", "write a number, or CAST the other side to CHAR")
	}
	n := value{s: quoteText(text) + "::double precision", t: double, notNull: true, lit: v.lit}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		n.s = strconv.FormatFloat(f, 'f', 0, 64)
		if f < 0 {
			n.s = "(" + n.s + ")"
		}
	}
	return n, nil
}

// boolean is the value as a condition.
func (t *translator) boolean(v value) (string, error) {
	v = t.bind(v, bigint)
	if v.cond {
		return v.s, nil
	}
	if v.t.Kind == Null {
		return "NULL::boolean", nil
	}
	if v.t.Kind == JSON {
		return "", refuse(t.at(v), "a JSON value as a condition is not translated", "compare it")
	}
	if v.t.Kind.temporal() {
		return "", refuse(t.at(v), "a time as a condition is not translated", "compare it, or ask IS NOT NULL")
	}
	n, err := t.number(v)
	if err != nil {
		return "", err
	}
	return "(" + n.s + " <> 0)", nil
}

// text is the value as a string of characters.
func (t *translator) text(v value) (value, error) {
	v = t.bind(v, varchar)
	r := v
	r.t, r.cond, r.col, r.plain = Type{Kind: Varchar, Collation: defaultCollation}, false, nil, false
	switch k := v.t.Kind; {
	case k.text():
		if v.isConst() {
			v.s += "::text"
		}
		return v, nil
	case v.cond:
		r.s += "::int::text"
	case k == Null:
		r.s = "NULL::text"
		r.rank = ignorable
		return r, nil
	case k == Decimal:
		r.s += "::text"
	case k.integer():
		if k == Bit {
			return v, refuse(t.at(v), "a BIT as a string is not translated", "add 0 to it")
		}
		if v.isConst() {
			r.s = quoteText(strings.Trim(v.s, "()")) + "::text"
			break
		}
		r.s += "::text"
	case k == Float:
		return v, refuse(t.at(v), "a FLOAT as a string is not translated", "CAST it to DECIMAL first")
	case k == Double:
		r.s = "xaproxy.double_text(" + v.s + ")"
	case k.temporal():
		r.s = t.temporalText(v)
	case k == JSON:
		r.s += "::text"
		r.t = Type{Kind: LongText, Collation: "utf8mb4_bin"}
		r.rank = implicit
		return r, nil
	case k.bytes():
		return v, refuse(t.at(v), "a binary string where characters are expected is not translated", "use CONVERT(x USING utf8mb4)")
	default:
		r.s += "::text"
	}
	if r.rank < numeric {
		r.rank = coercible
	}
	return r, nil
}

// temporalText writes a time as MySQL does.
func (t *translator) temporalText(v value) string {
	s := v.s
	if v.t.Kind == Timestamp {
		s = "(" + s + ")::timestamp"
	}
	format := map[Kind]string{Date: "YYYY-MM-DD", Time: "HH24:MI:SS", Datetime: "YYYY-MM-DD HH24:MI:SS", Timestamp: "YYYY-MM-DD HH24:MI:SS"}[v.t.Kind]
	if v.t.Kind != Date && v.t.Scale > 0 {
		format += ".FF" + strconv.Itoa(v.t.Scale)
	}
	if v.t.Kind == Time {
		s = "(" + s + ")::interval"
	}
	return fmt.Sprintf("to_char(%s, '%s')", s, format)
}

// even is a DECIMAL with the digits of its type.
func even(v value) value {
	if v.ragged {
		v.s, v.ragged = fmt.Sprintf("round(%s, %d)", v.s, v.t.Scale), false
	}
	return v
}

// output is the value as a column of a result set.
func (t *translator) output(v value) value {
	v = t.bind(v, varchar)
	switch {
	case v.cond:
		v.s, v.cond = v.s+"::int", false
	case v.spelled:
		v.s, v.t, v.rank, v.plain, v.spelled = t.temporalText(v), varchar, coercible, false, false
	case v.isConst() && v.t.Kind == Varchar:
		v.s += "::text"
	case v.isNull():
		v.s = "NULL"
	}
	return v
}

// elementNumber is the number that an ENUM is, or a SET, of which each element is a bit.
func (t *translator) elementNumber(v value) string {
	if v.t.Kind == Enum {
		return t.enumIndex(v) + "::bigint"
	}
	bits := make([]string, len(v.t.Elements))
	for i, e := range v.t.Elements {
		bits[i] = fmt.Sprintf(`CASE WHEN %s = ANY (string_to_array((%s)::text COLLATE "C", ',')) THEN %s ELSE 0 END`, quoteText(e), v.s, strconv.FormatUint(1<<i, 10))
	}
	return fmt.Sprintf("(CASE WHEN %s IS NULL THEN NULL ELSE (%s)::bigint END)", v.s, strings.Join(bits, " + "))
}

// enumIndex is the number of an ENUM's element.
func (t *translator) enumIndex(v value) string {
	return "array_position(" + textArray(v.t.Elements) + ", " + v.s + "::text)"
}

func textArray(elements []string) string {
	quoted := make([]string, len(elements))
	for i, e := range elements {
		quoted[i] = quoteText(e)
	}
	return "ARRAY[" + strings.Join(quoted, ",") + "]::text[]"
}
