package dialect

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// assign is the value as it is stored in a column, in a strict sql_mode: what does not fit is an error, of the translation or of PostgreSQL.
func (t *translator) assign(c *Column, v value) (string, error) {
	text, err := t.assigned(c, v)
	if err != nil {
		return text, about(c, err)
	}
	t.give(c, text, v)
	return text, nil
}

func (t *translator) assigned(c *Column, v value) (string, error) {
	k := c.Type.Kind
	if v.isParam() && v.t.Kind == Unknown {
		want := c.Type
		if k == Char || k == Enum || k == Set {
			want = varchar
		}
		if k.integer() && k != BigInt {
			want = bigint // so that what is out of range fails at the column
		}
		if k == Date {
			want = Type{Kind: Datetime, Scale: 6}
		}
		v = t.bind(v, want)
	} else {
		v = t.bind(v, c.Type)
	}
	switch {
	case v.t.Kind == Null || v.isNull():
		if c.NotNull && !v.isParam() {
			return "", &Error{Errno: 1048, State: "23000", At: t.at(v), What: "Column '" + c.Name + "' cannot be null"}
		}
		return "NULL::" + c.Type.cast(), nil
	case k == Enum, k == Set:
		return t.assignElement(c, v)
	case k == JSON:
		if v.isConst() && v.t.Kind == Varchar && !json.Valid([]byte(v.lit.text)) {
			return "", &Error{Errno: 3140, State: "22032", At: t.at(v), What: "Invalid JSON text in column '" + c.Name + "'", Do: "write valid JSON"}
		}
		d, err := t.document(v)
		return d.s, err
	case k.text():
		return t.assignText(c, v)
	case k.bytes():
		b, err := t.binary(v)
		if err == nil && k == Binary {
			if c.Type.Length > 0 {
				b.s = fmt.Sprintf("xaproxy.pad(%s, %d)", b.s, c.Type.Length)
			}
		}
		return b.s, err
	case k.temporal():
		return t.assignTemporal(c, v)
	}
	return t.assignNumber(c, v)
}

func (t *translator) assignNumber(c *Column, v value) (string, error) {
	k := c.Type.Kind
	switch v.t.Kind {
	case Enum:
		v = value{s: t.enumIndex(v), t: bigint}
	case Set:
		return "", refuse(t.at(v), "a SET assigned to a number is not translated", "CAST it to CHAR")
	}
	if v.t.Kind.text() {
		if !v.isConst() {
			if v.isParam() {
				return t.read(v, c.Type), nil
			}
			return reader(c.Type) + "(" + v.s + ")", nil // what is no number fails, as on MySQL
		}
		n, err := t.numeral(v)
		if err != nil {
			return "", &Error{Errno: 1366, State: "HY000", At: t.at(v), What: fmt.Sprintf("Incorrect %s value: '%s' for column '%s'", typeNames[k], v.lit.text, c.Name), Do: "write a number"}
		}
		if whole, err := strconv.ParseInt(strings.TrimSpace(v.lit.text), 10, 64); err == nil && k.integer() && (k != Year || whole > 99) && c.PG != "boolean" { // a default is kept as it is written
			return strconv.FormatInt(whole, 10), nil
		}
		if strings.ContainsAny(v.lit.text, "eE") {
			v = n
		} else {
			v = value{s: strings.TrimSpace(v.lit.text), t: Type{Kind: Decimal}, notNull: true}
			v.s = "(" + v.s + ")"
		}
	}
	if k == Bit && v.isConst() && v.t.Kind.bytes() && len(v.lit.text) <= 8 {
		l := *v.lit
		l.hex = true
		var err error
		if v, err = t.literalValue(l); err != nil {
			return "", err
		}
	}
	if k == Year && v.isConst() && len(v.lit.text) < 4 {
		return "", refuse(t.at(v), "a year of two digits is not translated", "write four")
	}
	if k == Year && !v.isConst() && v.t.Kind != Year && !v.isParam() {
		return "", refuse(t.at(v), "a number assigned to a YEAR is not translated, since it may be of two digits", "write the year down")
	}
	n, err := t.number(v)
	if err != nil {
		return "", err
	}
	switch {
	case c.PG == "boolean":
		return t.boolean(v)
	case k.integer() && n.t.Kind.integer(), k.approx():
		return n.s, nil
	case k.integer() && n.t.Kind == Decimal:
		return "round(" + n.s + ")", nil
	case k.integer() && c.Type.cast() == "numeric":
		return "", refuse(t.at(v), "a DOUBLE assigned to a BIGINT UNSIGNED is not translated", "ROUND and CAST it")
	case k.integer(): // both round to the even one of two neighbours
		return n.s + "::double precision", nil
	case k == Decimal && n.t.Kind.approx():
		return n.s + "::text::numeric", nil // by its shortest digits, as MySQL does
	}
	return n.s, nil
}

// assignText checks literals here; of anything else PostgreSQL says that it is too long.
func (t *translator) assignText(c *Column, v value) (string, error) {
	if v.t.Kind.bytes() && v.isConst() { // its bytes are characters, or it is an error
		l := *v.lit
		if !utf8.ValidString(l.text) {
			return "", &Error{Errno: 1366, State: "HY000", At: t.at(v), What: fmt.Sprintf("Incorrect string value: '%s' for column '%s' at row 1", escapedBytes(l.text), c.Name)}
		}
		if strings.Contains(l.text, "\x00") {
			return "", refuse(t.at(v), "a zero byte in a text, which PostgreSQL cannot store, for column '"+c.Name+"'", "store it in a binary column")
		}
		l.kind, l.hex = Varchar, false
		var err error
		if v, err = t.literalValue(l); err != nil {
			return "", err
		}
	}
	if v.t.Kind.approx() {
		return "", refuse(t.at(v), "a DOUBLE assigned to a string is not translated", "CAST it to CHAR")
	}
	s, err := t.text(v)
	if err != nil {
		return "", err
	}
	if v.isConst() && v.t.Kind == Varchar {
		n := len([]rune(strings.TrimRight(v.lit.text, " ")))
		if (c.Type.Kind == Char || c.Type.Kind == Varchar) && n > c.Type.Length && c.Type.Length > 0 {
			return "", t.tooLong(v, c)
		}
		s.s = v.s
	}
	if c.Type.Kind == Char && c.PG != "uuid" {
		if v.isConst() && v.t.Kind == Varchar {
			return quoteText(strings.TrimRight(v.lit.text, " ")), nil
		}
		return "rtrim(" + s.s + ", ' ')", nil
	}
	return s.s, nil
}

// escapedBytes writes a string as MySQL's errors show it: what is not ASCII as \xFF.
func escapedBytes(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			fmt.Fprintf(&b, "\\x%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (t *translator) tooLong(v value, c *Column) error {
	return &Error{Errno: 1406, State: "22001", At: t.at(v), What: "Data too long for column '" + c.Name + "' at row 1"}
}

func (t *translator) assignTemporal(c *Column, v value) (string, error) {
	k := c.Type.Kind
	if v.isParam() && v.t.Kind == Varchar {
		return rounded(value{s: t.read(v, c.Type), t: Type{Kind: k, Scale: 6}}, c.Type.Scale), nil
	}
	if v.isConst() && v.t.Kind == Varchar {
		kind := k
		m, err := t.moment(v, kind)
		if err != nil {
			if e, ok := err.(*Error); ok && e.Errno == 1525 {
				e.Errno, e.State = 1292, "22007"
				e.What = fmt.Sprintf("Incorrect %s value: '%s' for column '%s' at row 1", typeNames[k], v.lit.text, c.Name)
			}
			return "", err
		}
		if k == Date && m.t.Scale > 0 {
			return "(" + rounded(m, 0) + ")::date", nil
		}
		return rounded(m, c.Type.Scale), nil
	}
	switch {
	case v.t.Kind.text(): // what is written in another way fails
		if v.t = (Type{Kind: k, Scale: 6}); k == Date {
			v.t.Kind = Datetime
		}
		v.s = reader(v.t) + "(" + v.s + ")"
	case !v.t.Kind.temporal():
		return "", refuse(t.at(v), describe(v.t)+" assigned to a "+typeNames[k]+" is not translated", "write it as 'YYYY-MM-DD hh:mm:ss'")
	case k == Time && v.t.Kind != Time, k != Time && v.t.Kind == Time:
		return "", refuse(t.at(v), describe(v.t)+" assigned to a "+typeNames[k]+" is not translated", "use TIME() or DATE()")
	}
	if k == Date && v.t.Scale > 0 { // the last half second of a day is the next one
		return "(" + rounded(v, 0) + ")::date", nil
	}
	return rounded(v, c.Type.Scale), nil
}

// assignElement finds the element of an ENUM whatever its case. A SET is only assigned as it will be stored.
func (t *translator) assignElement(c *Column, v value) (string, error) {
	element := func(s string) (string, bool) {
		for _, e := range c.Type.Elements {
			if strings.EqualFold(e, strings.TrimRight(s, " ")) {
				return e, true
			}
		}
		return "", false
	}
	if n, err := strconv.ParseUint(v.s, 10, 64); err == nil && v.isConst() && v.t.Kind.integer() { // the element's number, or bits
		v.lit, v.t = &literal{tok: v.lit.tok}, Type{Kind: Varchar}
		var in []string
		for i, e := range c.Type.Elements {
			if c.Type.Kind == Enum && n == uint64(i)+1 || c.Type.Kind == Set && n>>i&1 == 1 {
				in = append(in, e)
			}
		}
		if c.Type.Kind == Enum && len(in) == 0 || c.Type.Kind == Set && n>>len(c.Type.Elements) != 0 {
			return "", &Error{Errno: 1265, State: "01000", At: t.at(v), What: "Data truncated for column '" + c.Name + "' at row 1"}
		}
		v.lit.text = strings.Join(in, ",")
	}
	truncated := &Error{Errno: 1265, State: "01000", At: t.at(v), What: "Data truncated for column '" + c.Name + "' at row 1"}
	if v.isConst() && v.t.Kind == Varchar {
		if c.Type.Kind == Enum {
			e, ok := element(v.lit.text)
			if n, err := strconv.ParseUint(v.lit.text, 10, 16); !ok && err == nil && n >= 1 && int(n) <= len(c.Type.Elements) { // what is no element may be the number of one
				e, ok = c.Type.Elements[n-1], true
			}
			if !ok {
				return "", truncated
			}
			return quoteText(e), nil
		}
		chosen := map[string]bool{}
		for _, part := range strings.Split(v.lit.text, ",") {
			e, ok := element(part)
			if !ok && v.lit.text != "" {
				return "", truncated
			}
			chosen[e] = true
		}
		var in []string
		for _, e := range c.Type.Elements {
			if chosen[e] {
				in = append(in, e)
			}
		}
		return quoteText(strings.Join(in, ",")), nil
	}
	if !v.t.Kind.text() {
		return "", refuse(t.at(v), describe(v.t)+" assigned to an "+strings.ToUpper(typeNames[c.Type.Kind])+" is not translated", "write the element's name")
	}
	if c.Type.Kind == Set {
		return fmt.Sprintf("xaproxy.set_of(%s, %s)", v.s, textArray(c.Type.Elements)), nil
	}
	return fmt.Sprintf("xaproxy.element_of(%s, %s)", v.s, textArray(c.Type.Elements)), nil
}

// inserted is VALUES(column) in ON DUPLICATE KEY UPDATE.
func (t *translator) inserted(n *sqlparser.ColName) (value, error) {
	if t.excluded == nil {
		return value{}, t.refuse("VALUES", raw, "VALUES() is only of ON DUPLICATE KEY UPDATE")
	}
	for _, f := range t.excluded.fields {
		if strings.EqualFold(f.name, n.Name.String()) {
			return f.v, nil
		}
	}
	return value{}, t.unknown(n)
}
