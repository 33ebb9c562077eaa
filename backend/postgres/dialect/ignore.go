package dialect

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// Warning is what MySQL says of a value that INSERT IGNORE has made to fit.
type Warning struct {
	Row   int // counted from 0
	Note  bool
	Errno uint16
	Text  string
}

// Ignored are the rows of an INSERT IGNORE, which go in one by one, in MySQL's order: whoever runs them warns of those that cannot.
type Ignored struct {
	Rows int
	// Step inserts the rows from, from+1 … to-1. Those that are there already it passes over if pass is set, and fails otherwise.
	Step     func(from, to int, pass bool) Step
	Warnings []Warning
	// Query is set for rows of a query, whose values are known when it was asked: Into, with them behind it, is an INSERT IGNORE of MySQL's. Rows and
	// Step are not set.
	Query Step
	Into  string
}

// implicitDefault is what MySQL makes of NULL in a column that has none; false where PostgreSQL cannot have it.
func (c *Column) implicitDefault() (literal, bool) {
	switch k := c.Type.Kind; {
	case k.integer() && k != Year, k == Decimal, k.approx():
		return literal{kind: BigInt, text: "0"}, true
	case k.text() && k != Enum, k.bytes():
		return literal{kind: Varchar}, true
	}
	return literal{}, false
}

// fit makes a value fit the column as IGNORE has it, with a warning, where it is written down. Others are errors, as are those that PostgreSQL
// cannot have instead: zero dates, and the empty element of an ENUM.
func (t *translator) fit(c *Column, v value) (value, error) {
	row := t.ignored.Rows
	warn := func(errno uint16, format string, args ...any) {
		t.ignored.Warnings = append(t.ignored.Warnings, Warning{Row: row, Errno: errno, Text: fmt.Sprintf(format, args...)})
	}
	if v.isNull() {
		l, ok := c.implicitDefault()
		if !c.NotNull || c.Identity || !ok {
			return v, nil
		}
		warn(1048, "Column '%s' cannot be null", c.Name)
		return t.literalValue(l)
	}
	if !v.isConst() || v.lit.prefix != "" {
		return v, nil
	}
	l := *v.lit
	k := c.Type.Kind
	cut := func(text string) (value, error) {
		warn(1265, "Data truncated for column '%s' at row %d", c.Name, row+1)
		l.text = text
		return t.literalValue(l)
	}
	switch {
	case k == Set && l.kind == Varchar:
		var kept []string
		all := strings.Split(l.text, ",")
		for _, one := range all {
			for _, e := range c.Type.Elements {
				if strings.EqualFold(e, strings.TrimRight(one, " ")) {
					kept = append(kept, e)
				}
			}
		}
		if len(kept) < len(all) && strings.Trim(l.text, "0123456789") != "" {
			return cut(strings.Join(kept, ","))
		}
	case (k == Char || k == Varchar) && c.Type.Length > 0 && l.kind == Varchar:
		if runes := []rune(l.text); len([]rune(strings.TrimRight(l.text, " "))) > c.Type.Length {
			return cut(string(runes[:c.Type.Length]))
		}
	case (k == Binary || k == Varbinary) && c.Type.Length > 0 && (l.kind == Varbinary || l.kind == Varchar):
		if len(l.text) > c.Type.Length {
			l.kind = Varbinary
			return cut(l.text[:c.Type.Length])
		}
	case (k.integer() && k != Year && k != Bit || k == Decimal) && c.PG != "boolean":
		return t.fitNumber(c, v, warn)
	}
	return v, nil
}

var numberAhead = regexp.MustCompile(`^\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?`)

// fitNumber is fit of a number, or of a string that is to be one.
func (t *translator) fitNumber(c *Column, v value, warn func(uint16, string, ...any)) (value, error) {
	l, row := *v.lit, t.ignored.Rows+1
	text := l.text
	switch l.kind {
	case Varchar:
		number := numberAhead.FindString(text)
		switch {
		case number == "":
			name := "integer"
			if c.Type.Kind == Decimal {
				name = "decimal"
			}
			warn(1366, "Incorrect %s value: '%s' for column '%s' at row %d", name, text, c.Name, row)
			return t.literalValue(literal{tok: l.tok, kind: BigInt, text: "0"})
		case strings.TrimSpace(text) != strings.TrimSpace(number):
			warn(1265, "Data truncated for column '%s' at row %d", c.Name, row)
			t.ignored.Warnings[len(t.ignored.Warnings)-1].Note = c.Type.Kind == Decimal
		}
		text = strings.TrimSpace(number)
	case BigInt, Decimal, Double:
		if l.minus {
			text = "-" + text
		}
	default:
		return v, nil
	}
	n, ok := new(big.Rat).SetString(strings.TrimPrefix(text, "+"))
	if !ok || len(text) > maxShown {
		return v, nil
	}
	low, high := c.Type.bounds()
	n.SetString(n.FloatString(c.Type.Scale)) // as it will be rounded
	bound := new(big.Rat)
	switch {
	case n.Cmp(low) < 0:
		bound = low
	case n.Cmp(high) > 0:
		bound = high
	case text == strings.TrimSpace(v.lit.text) || l.kind != Varchar:
		return v, nil
	default: // a string with something behind its number
		return t.literalValue(literal{tok: l.tok, kind: Varchar, text: text})
	}
	warn(1264, "Out of range value for column '%s' at row %d", c.Name, row)
	fits := literal{tok: l.tok, kind: Decimal, text: new(big.Rat).Abs(bound).FloatString(c.Type.Scale), minus: bound.Sign() < 0}
	if c.Type.Kind.integer() {
		fits.kind = BigInt
	}
	return t.literalValue(fits)
}

// bounds are the least and the greatest number that a column has.
func (t Type) bounds() (low, high *big.Rat) {
	if t.Kind == Decimal {
		high = new(big.Rat).SetFrac(new(big.Int).Sub(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Length)), nil), big.NewInt(1)), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Scale)), nil))
		if low = new(big.Rat).Neg(high); t.Unsigned {
			low = new(big.Rat)
		}
		return low, high
	}
	bits := map[Kind]uint{TinyInt: 8, SmallInt: 16, MediumInt: 24, Int: 32, BigInt: 64}[t.Kind]
	if t.Unsigned {
		return new(big.Rat), new(big.Rat).SetInt(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), bits), big.NewInt(1)))
	}
	half := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return new(big.Rat).SetInt(new(big.Int).Neg(half)), new(big.Rat).SetInt(new(big.Int).Sub(half, big.NewInt(1)))
}

// unfitIf is, with IGNORE, an error of a value that IGNORE would have made to fit.
func unfitIf(ignore bool, err error) error {
	var e *Error
	if !ignore {
		return err
	}
	if errors.As(err, &e) && slices.Contains(ofValues, e.Errno) || e != nil && (e.Errno == 1048 || e.Errno == 1364) {
		e.What, e.Do = e.What+", and what IGNORE makes of it is not there on PostgreSQL", "write a value that fits"
	}
	return err
}
