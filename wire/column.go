package wire

import "encoding/binary"

// Type is the type of a column or parameter on the wire.
//
// Source: MySQL "field_types.h", page_protocol_com_query_response_text_resultset_column_definition.
type Type byte

// Column types, under the names of the MySQL documentation less the prefix MYSQL_TYPE_.
const (
	TypeDecimal    Type = 0x00
	TypeTiny       Type = 0x01
	TypeShort      Type = 0x02
	TypeLong       Type = 0x03
	TypeFloat      Type = 0x04
	TypeDouble     Type = 0x05
	TypeNull       Type = 0x06
	TypeTimestamp  Type = 0x07
	TypeLongLong   Type = 0x08
	TypeInt24      Type = 0x09
	TypeDate       Type = 0x0a
	TypeTime       Type = 0x0b
	TypeDatetime   Type = 0x0c
	TypeYear       Type = 0x0d
	TypeVarchar    Type = 0x0f
	TypeBit        Type = 0x10
	TypeVector     Type = 0xf2
	TypeJSON       Type = 0xf5
	TypeNewDecimal Type = 0xf6
	TypeEnum       Type = 0xf7
	TypeSet        Type = 0xf8
	TypeTinyBlob   Type = 0xf9
	TypeMediumBlob Type = 0xfa
	TypeLongBlob   Type = 0xfb
	TypeBlob       Type = 0xfc
	TypeVarString  Type = 0xfd
	TypeString     Type = 0xfe
	TypeGeometry   Type = 0xff
)

// Flags of columns.
//
// Source: MySQL "Column Definition Flags".
const (
	FlagNotNull       uint16 = 1 << 0
	FlagUnsigned      uint16 = 1 << 5
	FlagZerofill      uint16 = 1 << 6
	FlagBinary        uint16 = 1 << 7
	FlagEnum          uint16 = 1 << 8
	FlagAutoIncrement uint16 = 1 << 9
	FlagSet           uint16 = 1 << 11
)

// Column describes one column of a result set, or one parameter of a prepared statement.
type Column struct {
	Schema, Table, OrgTable, Name, OrgName string

	Charset  uint16 // collation id; 63 is binary
	Length   uint32 // largest width, in bytes
	Type     Type
	Flags    uint16 // FlagNotNull ...
	Decimals byte   // digits after the point; 31 for floating point, 39 for "not fixed" in MariaDB
}

// fixedFields is the length of the fixed part of a column definition, which the definition itself states.
const fixedFields = 0x0c

// ParseColumn reads a column definition. The result keeps nothing of p.
//
// Source: MySQL page_protocol_com_query_response_text_resultset_column_definition.
func ParseColumn(p []byte) (Column, error) {
	c := cursor{rest: p}
	c.lenencBytes() // catalog, always "def"
	col := Column{
		Schema:   string(c.lenencBytes()),
		Table:    string(c.lenencBytes()),
		OrgTable: string(c.lenencBytes()),
		Name:     string(c.lenencBytes()),
		OrgName:  string(c.lenencBytes()),
	}
	if c.lenenc() < fixedFields {
		c.bad = true
	}
	col.Charset = c.uint16()
	col.Length = c.uint32()
	col.Type = Type(c.uint8())
	col.Flags = c.uint16()
	col.Decimals = c.uint8()
	c.bytes(2) // filler
	if c.bad {
		return Column{}, malformed("column definition")
	}
	return col, nil
}

// Append appends the payload of the column definition.
//
// Source: MySQL page_protocol_com_query_response_text_resultset_column_definition.
func (col Column) Append(dst []byte) []byte {
	dst = AppendString(dst, "def")
	dst = AppendString(dst, col.Schema)
	dst = AppendString(dst, col.Table)
	dst = AppendString(dst, col.OrgTable)
	dst = AppendString(dst, col.Name)
	dst = AppendString(dst, col.OrgName)
	dst = append(dst, fixedFields)
	dst = binary.LittleEndian.AppendUint16(dst, col.Charset)
	dst = binary.LittleEndian.AppendUint32(dst, col.Length)
	dst = append(dst, byte(col.Type))
	dst = binary.LittleEndian.AppendUint16(dst, col.Flags)
	return append(dst, col.Decimals, 0, 0)
}
