package postgres

import (
	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
	"github.com/xaproxy/xaproxy/wire"
)

// resultType is what a column of a type of MySQL's is on the wire.
type resultType struct {
	typ      wire.Type
	length   uint32 // of numbers and times: characters; 0: the type's own length
	flags    uint16
	decimals byte
	form     form
	text     bool // in the session's character set, whose characters the length counts
}

// resultTypes are those of a translation's columns. Values of another type of PostgreSQL's are made into them.
//
// Source: MySQL sql/field.h and sql/protocol_classic.cc, what Field::make_send_field sends.
var resultTypes = map[dialect.Kind]resultType{
	dialect.Null:       {typ: wire.TypeNull, flags: wire.FlagBinary, form: asNull},
	dialect.TinyInt:    {typ: wire.TypeTiny, length: 4, form: asInteger},
	dialect.SmallInt:   {typ: wire.TypeShort, length: 6, form: asInteger},
	dialect.MediumInt:  {typ: wire.TypeInt24, length: 9, form: asInteger},
	dialect.Int:        {typ: wire.TypeLong, length: 11, form: asInteger},
	dialect.BigInt:     {typ: wire.TypeLongLong, length: 20, form: asInteger},
	dialect.Decimal:    {typ: wire.TypeNewDecimal, form: asDecimal},
	dialect.Float:      {typ: wire.TypeFloat, length: 12, decimals: notFixed, form: asFloat},
	dialect.Double:     {typ: wire.TypeDouble, length: 22, decimals: notFixed, form: asDouble},
	dialect.Bit:        {typ: wire.TypeBit, flags: wire.FlagUnsigned, form: asBit},
	dialect.Year:       {typ: wire.TypeYear, length: 4, flags: wire.FlagUnsigned | wire.FlagZerofill, form: asInteger},
	dialect.Date:       {typ: wire.TypeDate, length: 10, flags: wire.FlagBinary, form: asDate},
	dialect.Time:       {typ: wire.TypeTime, length: 10, flags: wire.FlagBinary, form: asTime},
	dialect.Datetime:   {typ: wire.TypeDatetime, length: 19, flags: wire.FlagBinary, form: asMoment},
	dialect.Timestamp:  {typ: wire.TypeTimestamp, length: 19, flags: wire.FlagBinary, form: asMoment},
	dialect.Char:       {typ: wire.TypeString, form: asText, text: true},
	dialect.Varchar:    {typ: wire.TypeVarString, form: asText, text: true},
	dialect.TinyText:   {typ: wire.TypeBlob, length: 255, flags: flagBlob, form: asText, text: true},
	dialect.Text:       {typ: wire.TypeBlob, length: 65535, flags: flagBlob, form: asText, text: true},
	dialect.MediumText: {typ: wire.TypeBlob, length: 1<<24 - 1, flags: flagBlob, form: asText, text: true},
	dialect.LongText:   {typ: wire.TypeBlob, length: longest, flags: flagBlob, form: asText, text: true},
	dialect.Binary:     {typ: wire.TypeString, flags: wire.FlagBinary, form: asBytes},
	dialect.Varbinary:  {typ: wire.TypeVarString, flags: wire.FlagBinary, form: asBytes},
	dialect.TinyBlob:   {typ: wire.TypeBlob, length: 255, flags: flagBlob | wire.FlagBinary, form: asBytes},
	dialect.Blob:       {typ: wire.TypeBlob, length: 65535, flags: flagBlob | wire.FlagBinary, form: asBytes},
	dialect.MediumBlob: {typ: wire.TypeBlob, length: 1<<24 - 1, flags: flagBlob | wire.FlagBinary, form: asBytes},
	dialect.LongBlob:   {typ: wire.TypeBlob, length: longest, flags: flagBlob | wire.FlagBinary, form: asBytes},
	dialect.Enum:       {typ: wire.TypeString, flags: wire.FlagEnum, form: asText, text: true},
	dialect.Set:        {typ: wire.TypeString, flags: wire.FlagSet, form: asText, text: true},
	dialect.JSON:       {typ: wire.TypeJSON, length: longest, flags: flagBlob | wire.FlagBinary, form: asBytes},
}

// resultColumns describes the columns of a translation. Nil says that one of them has a type that only PostgreSQL knows: then all are as
// its answer says.
func (s *session) resultColumns(of []dialect.ResultColumn) []column {
	all := make([]column, len(of))
	for i, r := range of {
		t, known := resultTypes[r.Type.Kind]
		if !known {
			return nil
		}
		c := column{Column: wire.Column{
			Schema: r.Schema, Table: r.Table, OrgTable: r.OrgTable, Name: r.Name, OrgName: r.OrgName,
			Charset: binaryCharset, Length: t.length, Type: t.typ, Flags: t.flags, Decimals: t.decimals,
		}, form: t.form, fixed: true}
		c.measure(r.Type)
		if t.text {
			if r.OrgName == "" {
				c.Decimals = notFixed
			}
			c.Charset = s.vars.collation
			if c.Length < longest/maxWidth {
				c.Length *= maxWidth
			}
		}
		if r.NotNull {
			c.Flags |= wire.FlagNotNull
		}
		all[i] = c
	}
	return all
}

// measure sets what depends on the length and the scale of the type.
func (c *column) measure(t dialect.Type) {
	if t.Unsigned {
		c.Flags |= wire.FlagUnsigned
	}
	switch c.form {
	case asInteger:
		if t.Length == 1 && c.Type == wire.TypeTiny {
			c.Length = 1
		} else if t.Unsigned && c.Type != wire.TypeYear && c.Type != wire.TypeLongLong {
			c.Length-- // there is no sign
		}
		if t.Unsigned && c.Type == wire.TypeLongLong {
			c.form = asUnsigned
		}
	case asDecimal:
		c.Flags |= wire.FlagBinary
		c.Length, c.Decimals = uint32(t.Length), byte(t.Scale)
		if t.Scale > 0 {
			c.Length++
		}
		if !t.Unsigned {
			c.Length++
		}
	case asFloat, asDouble:
		c.Flags |= wire.FlagBinary
	case asTime, asMoment:
		if c.Decimals = byte(t.Scale); t.Scale > 0 {
			c.Length += uint32(t.Scale) + 1
		}
	case asBit:
		c.Length = uint32(max(t.Length, 1))
	case asText, asBytes:
		if c.Length == 0 {
			c.Length = uint32(t.Length)
			for _, e := range t.Elements {
				c.Length = max(c.Length, uint32(len(e)))
			}
		}
	}
}
