package postgres

import (
	"strings"

	"github.com/xaproxy/xaproxy/wire"
)

// form says how a value is written.
type form uint8

const (
	asText     form = iota // as PostgreSQL writes it
	asBool                 // 0 or 1
	asInteger              // of 64 bits, or fewer
	asFloat                // of 32 bits
	asDouble               // of 64 bits
	asDecimal              // digits, with a point
	asDate                 // a day
	asTime                 // a time of day
	asMoment               // a day with a time of day
	asZoneTime             // a time of day with its distance from UTC
	asBytes                // any bytes
	asArray                // JSON, made of PostgreSQL's text
	asUnsigned             // an integer of 64 bits without sign
	asBit                  // a number, as so many bytes
	asNull                 // nothing
)

// dataType is a row of the table of types.
type dataType struct {
	names    string // PostgreSQL's, as in pg_type, separated by spaces
	mysql    string // what a client takes it for
	typ      wire.Type
	length   uint32 // in bytes; of strings in characters
	decimals byte
	flags    uint16
	form     form
	note     string
}

// flagBlob is BLOB_FLAG, for which package wire has no name.
//
// Source: MySQL "Column Definition Flags".
const flagBlob = 1 << 4

const (
	binaryCharset = 63
	notFixed      = 31 // decimals of floating point
	longest       = 1<<32 - 1
)

// types is the table of PostgreSQL's types: docs/postgres.md shows it. Types that it does not have, such as enums, composites and those of
// extensions, are text.
var types = []dataType{
	{"bool", "TINYINT(1)", wire.TypeTiny, 1, 0, 0, asBool, "`1` and `0`"},
	{"int2", "SMALLINT", wire.TypeShort, 6, 0, 0, asInteger, ""},
	{"int4", "INT", wire.TypeLong, 11, 0, 0, asInteger, ""},
	{"int8", "BIGINT", wire.TypeLongLong, 20, 0, 0, asInteger, ""},
	{"oid xid cid", "BIGINT", wire.TypeLongLong, 20, 0, 0, asInteger, ""},
	{"float4", "FLOAT", wire.TypeFloat, 12, notFixed, 0, asFloat, "`NaN` and the infinities are error 1367"},
	{"float8", "DOUBLE", wire.TypeDouble, 22, notFixed, 0, asDouble, "`NaN` and the infinities are error 1367"},
	{"numeric", "DECIMAL(p,s)", wire.TypeNewDecimal, 67, 30, 0, asDecimal, "every digit, also beyond the 65 of MySQL; without precision DECIMAL(65,30), each value with its own digits behind the point; `NaN` and the infinities are error 1367"},
	{"date", "DATE", wire.TypeDate, 10, 0, 0, asDate, "infinity and years outside of 1 to 9999 are error 1292"},
	{"time", "TIME(6)", wire.TypeTime, 15, 6, 0, asTime, "fractions of a second only where there are some"},
	{"timetz", "VARCHAR", wire.TypeVarString, 21, 0, 0, asZoneTime, "`12:30:00+02:00`"},
	{"timestamp", "DATETIME(6)", wire.TypeDatetime, 26, 6, 0, asMoment, "as `date`, and as `time`"},
	{"timestamptz", "TIMESTAMP(6)", wire.TypeTimestamp, 26, 6, 0, asMoment, "in the session's `time_zone`; as `timestamp`"},
	{"bytea", "LONGBLOB", wire.TypeBlob, longest, 0, flagBlob, asBytes, ""},
	{"text unknown xml", "LONGTEXT", wire.TypeBlob, longest, 0, flagBlob, asText, ""},
	{"varchar", "VARCHAR(n)", wire.TypeVarString, 0, 0, 0, asText, "without a length as `text`"},
	{"bpchar", "CHAR(n)", wire.TypeString, 0, 0, 0, asText, "padded with spaces, as PostgreSQL sends it"},
	{"char name", "VARCHAR(64)", wire.TypeVarString, 64, 0, 0, asText, ""},
	{"uuid", "CHAR(36)", wire.TypeString, 36, 0, 0, asText, ""},
	{"json jsonb", "JSON", wire.TypeJSON, longest, 0, flagBlob, asBytes, "PostgreSQL's own spelling"},
	{"inet cidr macaddr", "VARCHAR(43)", wire.TypeVarString, 43, 0, 0, asText, ""},
	{"interval", "VARCHAR(64)", wire.TypeVarString, 64, 0, 0, asText, "`1 year 2 mons 3 days 04:05:06`: MySQL has no such type"},
	{"bit varbit", "VARCHAR", wire.TypeVarString, 64, 0, 0, asText, "digits `0` and `1`"},
	{"void", "VARCHAR(0)", wire.TypeVarString, 0, 0, 0, asText, "empty"},
}

// arrayType is that of all arrays.
var arrayType = dataType{"any array", "JSON", wire.TypeJSON, longest, 0, flagBlob, asArray, "numbers and booleans as such, all else as strings; a lower bound other than 1 is error 1235"}

// otherType is that of all types that are not in the table.
var otherType = dataType{"anything else: enums, ranges, composites, types of extensions", "LONGTEXT", wire.TypeBlob, longest, 0, flagBlob, asText, "PostgreSQL's own text"}

var typeByName = func() map[string]*dataType {
	byName := make(map[string]*dataType)
	for i := range types {
		for _, n := range strings.Fields(types[i].names) {
			byName[n] = &types[i]
		}
	}
	return byName
}()

// column is one of a result.
type column struct {
	wire.Column
	form   form
	number bool // the elements of an array are written without quotes
	fixed  bool // a fraction of a second has as many digits as Decimals says; otherwise six, or none if it is zero
}

// maxWidth is the largest number of bytes of a character.
const maxWidth = 4

// columnsOf describes the columns of a result to a client whose strings have the collation.
func columnsOf(rows *rows, collation uint16) []column {
	all := make([]column, len(rows.fields))
	for i, f := range rows.fields {
		n, of := f.name, f.typeName()
		t, known := typeByName[of]
		element, array := strings.CutPrefix(of, "_")
		switch {
		case known:
		case array:
			t = &arrayType
		default:
			t = &otherType
		}
		c := column{Column: wire.Column{Name: n, OrgName: n, Charset: binaryCharset, Length: t.length, Type: t.typ, Flags: t.flags, Decimals: t.decimals}, form: t.form}
		switch t.form {
		case asText, asZoneTime:
			c.Charset = collation
			c.sized(f.length(), of)
		case asArray:
			e := typeByName[element]
			c.number = e != nil && (e.form == asBool || e.form >= asInteger && e.form <= asDecimal)
			c.Flags |= wire.FlagBinary
		case asDecimal:
			if precision, scale, ok := f.precision(); ok && precision <= maxPrecision && scale <= precision {
				c.Length, c.Decimals = uint32(precision)+1, byte(scale)
				if scale > 0 {
					c.Length++
				}
			}
			c.Flags |= wire.FlagBinary
		case asBool, asInteger, asFloat, asDouble:
			c.Flags |= wire.FlagBinary
		default:
			c.Flags |= wire.FlagBinary
		}
		all[i] = c
	}
	return all
}

// maxPrecision is that of numeric.
const maxPrecision = 1000

// sized gives a column of strings its length in bytes.
func (c *column) sized(n int64, of string) {
	if of == "varchar" || of == "bpchar" {
		switch {
		case n > 0 && n < longest/maxWidth:
			c.Length = uint32(n)
		case of == "varchar": // without a length
			c.Type, c.Length, c.Flags = otherType.typ, longest, flagBlob
		default: // character of no length: one that PostgreSQL computed
			c.Type, c.Length = wire.TypeVarString, longest/maxWidth
		}
	}
	if c.Length != longest {
		c.Length *= maxWidth
	}
}

// definitions are the packets that describe columns.
func definitions(columns []column) [][]byte {
	all := make([][]byte, len(columns))
	for i := range columns {
		all[i] = columns[i].Append(nil)
	}
	return all
}
