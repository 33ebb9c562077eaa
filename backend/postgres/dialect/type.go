package dialect

import (
	"fmt"
	"strconv"
	"strings"
)

// Kind is a type of MySQL.
type Kind uint8

// The kinds of types. Null is that of NULL, Unknown that of an expression whose type only PostgreSQL knows.
const (
	Unknown Kind = iota
	Null
	TinyInt
	SmallInt
	MediumInt
	Int
	BigInt
	Decimal
	Float
	Double
	Bit
	Year
	Date
	Time
	Datetime
	Timestamp
	Char
	Varchar
	TinyText
	Text
	MediumText
	LongText
	Binary
	Varbinary
	TinyBlob
	Blob
	MediumBlob
	LongBlob
	Enum
	Set
	JSON
)

var typeNames = [...]string{
	"unknown", "null", "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "bit", "year", "date", "time",
	"datetime", "timestamp", "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "binary", "varbinary", "tinyblob", "blob",
	"mediumblob", "longblob", "enum", "set", "json",
}

// Type is the type of a column or an expression.
type Type struct {
	Kind     Kind
	Unsigned bool
	Length   int // characters or bytes, digits of a DECIMAL, bits of a BIT; 0 if not known
	Scale    int // digits behind the point of a DECIMAL, or of a second
	// Collation is MySQL's, of strings; "" is that of the database, utf8mb4_0900_ai_ci.
	Collation string
	Elements  []string // of ENUM and SET
}

// String is the type as SHOW COLUMNS has it.
func (t Type) String() string {
	s := typeNames[t.Kind]
	switch t.Kind {
	case Decimal:
		s += fmt.Sprintf("(%d,%d)", t.Length, t.Scale)
	case Bit, Char, Varchar, Binary, Varbinary:
		s += fmt.Sprintf("(%d)", t.Length)
	case TinyInt:
		if t.Length == 1 {
			s += "(1)"
		}
	case Time, Datetime, Timestamp:
		if t.Scale > 0 {
			s += fmt.Sprintf("(%d)", t.Scale)
		}
	case Enum, Set:
		quoted := make([]string, len(t.Elements))
		for i, e := range t.Elements {
			quoted[i] = "'" + strings.ReplaceAll(e, "'", "''") + "'"
		}
		s += "(" + strings.Join(quoted, ",") + ")"
	}
	if t.Unsigned {
		s += " unsigned"
	}
	return s
}

// The groups of kinds.

func (k Kind) integer() bool  { return k >= TinyInt && k <= BigInt || k == Bit || k == Year }
func (k Kind) numeric() bool  { return k >= TinyInt && k <= Year }
func (k Kind) exact() bool    { return k.integer() || k == Decimal }
func (k Kind) approx() bool   { return k == Float || k == Double }
func (k Kind) text() bool     { return k >= Char && k <= LongText || k == Enum || k == Set }
func (k Kind) bytes() bool    { return k >= Binary && k <= LongBlob }
func (k Kind) temporal() bool { return k >= Date && k <= Timestamp }

// folds tells whether strings of the type that differ in case are equal.
func (t Type) folds() bool {
	return t.Kind.text() && !strings.HasSuffix(t.Collation, "_bin") && !strings.HasSuffix(t.Collation, "_cs")
}

// defaultCollation is that of literals and of columns that say nothing.
const defaultCollation = "utf8mb4_0900_ai_ci"

// cast is the type that PostgreSQL has for the kind of values, without length: what a literal or a parameter is cast to.
func (t Type) cast() string {
	switch t.Kind {
	case TinyInt, SmallInt, Year:
		return "smallint"
	case MediumInt, Int:
		if t.Unsigned {
			return "bigint"
		}
		return "integer"
	case BigInt, Bit:
		if t.Unsigned || t.Length > 63 {
			return "numeric"
		}
		return "bigint"
	case Decimal:
		return "numeric"
	case Float:
		return "real"
	case Double:
		return "double precision"
	case Date:
		return "date"
	case Time:
		return "time"
	case Datetime:
		return "timestamp"
	case Timestamp:
		return "timestamptz"
	case JSON:
		return "jsonb"
	}
	if t.Kind.bytes() {
		return "bytea"
	}
	return "text"
}

// stored is the type of a column in PostgreSQL: what CREATE TABLE says, and what a value is cast to before it is compared with a stored one.
func (t Type) stored() string {
	switch t.Kind {
	case TinyInt:
		return "smallint"
	case SmallInt:
		if t.Unsigned {
			return "integer"
		}
		return "smallint"
	case BigInt:
		if t.Unsigned {
			return "numeric(20,0)"
		}
	case Decimal:
		return fmt.Sprintf("numeric(%d,%d)", t.Length, t.Scale)
	case Bit:
		if t.Length > 63 {
			return "numeric(20,0)"
		}
	case Char, Varchar:
		return "character varying(" + strconv.Itoa(t.Length) + ")"
	case Time:
		return fmt.Sprintf("time(%d)", t.Scale)
	case Datetime:
		return fmt.Sprintf("timestamp(%d)", t.Scale)
	case Timestamp:
		return fmt.Sprintf("timestamptz(%d)", t.Scale)
	}
	return t.cast()
}
