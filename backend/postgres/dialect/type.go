package dialect

import (
	"fmt"
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
