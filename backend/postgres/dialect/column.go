package dialect

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// check writes the limits that the type in PostgreSQL does not have by itself.
func (n *newTable) check(c *Column) {
	q := quoteName(c.Name)
	limits := map[Kind][4]string{ // signed and unsigned, with the borders of the type in PostgreSQL left out
		TinyInt: {"-128", "127", "0", "255"}, SmallInt: {"", "", "0", "65535"}, MediumInt: {"-8388608", "8388607", "0", "16777215"}, Int: {"", "", "0", "4294967295"},
		BigInt: {"", "", "0", "18446744073709551615"},
	}
	add := func(kind, condition string) {
		n.constraints = append(n.constraints, "CONSTRAINT "+n.name(c.Name+" "+kind)+" CHECK ("+condition+")")
	}
	t := c.Type
	switch k := t.Kind; {
	case limits[k] != [4]string{}:
		l := limits[k]
		from, to := l[0], l[1]
		if t.Unsigned {
			from, to = l[2], l[3]
		}
		if from != "" {
			add("range", q+" BETWEEN "+from+" AND "+to)
		}
	case (k == Decimal || k.approx()) && t.Unsigned:
		add("range", q+" >= 0")
	case k == Year:
		add("range", q+" = 0 OR "+q+" BETWEEN 1901 AND 2155")
	case k == Bit && t.Length < 63:
		add("range", fmt.Sprintf("%s BETWEEN 0 AND %d", q, int64(1)<<t.Length-1))
	case k == Bit && t.Length == 64:
		add("range", q+" BETWEEN 0 AND 18446744073709551615")
	case k == Bit:
		add("range", q+" >= 0")
	case k == Date:
		add("range", q+" BETWEEN '0001-01-01' AND '9999-12-31'")
	case k == Datetime, k == Timestamp:
		add("range", q+" >= '0001-01-01' AND "+q+" < '10000-01-01'")
	case k == Enum:
		add("value", q+` COLLATE "C" = ANY (`+textArray(t.Elements)+")")
	case k == Set:
		add("value", fmt.Sprintf(`%s = '' OR string_to_array(%[1]s COLLATE "C", ',') <@ %s`, q, textArray(t.Elements)))
	case k == TinyText, k == TinyBlob:
		add("length", "octet_length("+q+") <= 255")
	case k == Text, k == Blob:
		add("length", "octet_length("+q+") <= 65535")
	case k == MediumText, k == MediumBlob:
		add("length", "octet_length("+q+") <= 16777215")
	case k == Varbinary, k == Binary:
		add("length", fmt.Sprintf("octet_length(%s) <= %d", q, t.Length))
	}
}

var kindByName = map[string]Kind{
	"bool": TinyInt, "boolean": TinyInt, "integer": Int, "int1": TinyInt, "int2": SmallInt, "int3": MediumInt, "int4": Int, "int8": BigInt, "dec": Decimal,
	"numeric": Decimal, "fixed": Decimal, "real": Double, "double precision": Double, "character": Char, "nchar": Char, "nvarchar": Varchar,
	"character varying": Varchar, "long": MediumText, "long varchar": MediumText,
}

func init() {
	for k, name := range typeNames {
		if Kind(k) > Null {
			kindByName[name] = Kind(k)
		}
	}
}

// columnType reads the type of a column.
func (t *translator) columnType(c *sqlparser.ColumnType, collate string) (Type, error) {
	name := strings.ToLower(c.Type)
	kind, ok := kindByName[name]
	if !ok {
		return Type{}, t.refuse(c.Type, "use another type", "the type %s is not translated", strings.ToUpper(c.Type))
	}
	length, err := t.size(c.Length)
	if err != nil {
		return Type{}, err
	}
	scale, err := t.size(c.Scale)
	if err != nil {
		return Type{}, err
	}
	r := Type{Kind: kind, Unsigned: bool(c.Unsigned)}
	if c.Zerofill {
		return r, t.refuse("ZEROFILL", "pad it in the query", "ZEROFILL is not translated")
	}
	switch {
	case kind == TinyInt && (length == 1 || strings.HasPrefix(name, "bool")):
		r.Length = 1
	case kind == Decimal:
		if length == 0 {
			length = 10
		}
		r.Length, r.Scale = length, scale
	case kind == Float && length > 24:
		r.Kind = Double
	case kind.approx() && c.Scale != nil:
		return r, t.refuse(c.Type, "use DECIMAL", "%s with a number of digits is not translated", strings.ToUpper(c.Type))
	case kind.temporal():
		r.Scale = length
	case kind == Bit, kind == Char, kind == Binary:
		r.Length = max(length, 1)
	case kind == Varchar, kind == Varbinary:
		r.Length = length
	case kind == Text && length > 0, kind == Blob && length > 0:
		return r, t.refuse(c.Type, "leave the length out", "%s with a length is not translated", strings.ToUpper(c.Type))
	case kind == Enum, kind == Set:
		for _, e := range c.EnumValues {
			text, err := t.src.markedText(e)
			if err != nil {
				return r, err
			}
			r.Elements = append(r.Elements, strings.TrimRight(text, " "))
		}
	}
	if r.Kind.text() {
		if c.Charset != "" && !strings.EqualFold(c.Charset, "utf8mb4") {
			return r, t.refuse(c.Charset, "use utf8mb4", "the character set %s is not translated", c.Charset)
		}
		r.Collation = defaultCollation
		if collate != "" {
			r.Collation = strings.ToLower(collate)
		}
		if c.Collate != "" {
			r.Collation = strings.ToLower(c.Collate)
		}
		if bool(c.BinaryCollate) || r.Collation == "utf8mb4_bin" {
			return r, t.refuse("utf8mb4_bin", "use utf8mb4_0900_bin", "utf8mb4_bin ignores trailing spaces, which no collation of PostgreSQL does")
		}
	}
	return r, nil
}

// defaultOf is the default of a column.
func (t *translator) defaultOf(c *Column, e sqlparser.Expr) (string, error) {
	if _, ok := e.(*sqlparser.NullVal); ok {
		return "", nil
	}
	t.clause = "default"
	v, err := t.expr(e)
	if err != nil {
		return "", err
	}
	if b, ok := e.(sqlparser.BoolVal); ok && c.Type.Kind.integer() && c.PG != "boolean" { // MySQL keeps a number
		return map[bool]string{true: "1", false: "0"}[bool(b)], nil
	}
	s, err := t.assign(c, v)
	if n, ok := new(big.Rat).SetString(strings.Trim(s, "()")); ok && err == nil && c.Type.Kind == Decimal && v.isConst() { // with the digits that MySQL shows
		s = n.FloatString(c.Type.Scale)
	}
	return s, err
}
