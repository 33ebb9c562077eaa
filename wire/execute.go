package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Cursor flags of COM_STMT_EXECUTE.
//
// Source: MySQL "enum_cursor_type".
const (
	CursorReadOnly   = 1 << 0
	CursorForUpdate  = 1 << 1
	CursorScrollable = 1 << 2
)

// Execute is the argument of a COM_STMT_EXECUTE, cut into its parts. Its slices are parts of the packet and of what Parse
// was given. It can be used again and again without allocation.
type Execute struct {
	ID    uint32
	Flags byte // cursor type

	Nulls  []byte // bitmap, one bit for each parameter
	Types  []byte // two bytes for each parameter: type and flags (0x80: unsigned)
	Values []byte // of all parameters that are not NULL and not sent as long data

	Attributes Attributes

	ends  []int  // of each parameter's value in Values
	named []byte // Types, taken out of a packet where each has a name
}

const (
	executeHead  = 9    // id, cursor type, iteration count
	unsignedFlag = 0x80 // of a parameter's type
)

// Unsigned reports whether parameter i was bound as an unsigned number.
func (e *Execute) Unsigned(i int) bool { return e.Types[2*i+1]&unsignedFlag != 0 }

// ErrUntyped is returned by Execute.Parse when the client leaves out types that nobody knows.
var ErrUntyped = errors.New("the types of the parameters were never bound")

// ParseExecuteID returns the statement id of a COM_STMT_EXECUTE, which tells how many parameters to expect.
func ParseExecuteID(arg []byte) (uint32, error) {
	if len(arg) < executeHead {
		return 0, malformed("COM_STMT_EXECUTE")
	}
	return binary.LittleEndian.Uint32(arg), nil
}

// Parse cuts the argument of a COM_STMT_EXECUTE of a statement with so many parameters. A client may leave out the types
// of parameters when they are those of its last execution: they are then taken from types. long tells whether a
// parameter was sent as long data, so that it has no value here; nil: none was.
//
// QueryAttributes among the client's capabilities changes the packet in three places: the flag 0x08 beside the cursor type says
// that a count follows even if the statement has no parameters; the length-encoded count, of the statement's parameters and then
// the attributes, goes before the null bitmap, which has bits for all of them; each type is followed by a length-encoded name.
// The attributes' values come last.
//
// Source: MySQL page_protocol_com_stmt_execute.
func (e *Execute) Parse(arg []byte, params int, types []byte, long func(param int) bool, caps Capability) error {
	if len(arg) < executeHead {
		return malformed("COM_STMT_EXECUTE")
	}
	e.ID, e.Flags = binary.LittleEndian.Uint32(arg), arg[4]
	e.Nulls, e.Types, e.Values, e.Attributes, e.ends, e.named = nil, nil, nil, Attributes{}, e.ends[:0], e.named[:0]
	c, n := cursor{rest: arg[executeHead:]}, uint64(params)
	counted := false
	if caps.Has(QueryAttributes) {
		if counted = params > 0 || e.Flags&executeCounted != 0; counted {
			n = c.lenenc()
		}
		e.Flags &^= executeCounted
	}
	if c.bad || n < uint64(params) || n > maxParameters {
		return malformed("parameter count of a COM_STMT_EXECUTE")
	}
	if n == 0 {
		return nil
	}
	e.Nulls = c.bytes(int(n+7) / 8)
	bound := c.uint8() == 1
	switch {
	case !bound:
		e.Types = types
	case !counted:
		e.Types = c.bytes(2 * params)
	default:
		for range params {
			e.named = append(e.named, c.bytes(2)...)
			c.lenencBytes() // name
		}
		e.Types = e.named
		e.Attributes = Attributes{n: int(n) - params, first: params, nulls: e.Nulls, types: c.rest}
		for range e.Attributes.n {
			c.bytes(2)
			c.lenencBytes()
		}
		e.Attributes.types = e.Attributes.types[:len(e.Attributes.types)-len(c.rest)]
	}
	switch {
	case !c.bad && !bound && len(types) != 2*params:
		return ErrUntyped
	case c.bad || len(e.Types) != 2*params:
		return malformed("parameter types of a COM_STMT_EXECUTE")
	}
	e.Values = c.rest
	at := 0
	e.ends = slices.Grow(e.ends, params)
	for i := range params {
		if !e.Null(i) && (long == nil || !long(i)) {
			n := valueLength(Type(e.Types[2*i]), e.Values[at:])
			if n < 0 {
				return malformed("parameter of a COM_STMT_EXECUTE")
			}
			at += n
		}
		e.ends = append(e.ends, at)
	}
	if err := e.Attributes.parse(e.Values[at:]); err != nil {
		return err
	}
	e.Values = e.Values[:at]
	return nil
}

// Rebound returns an execution with other parameters: the i-th is the parameter from[i] of e, or the number that number gives for
// it; nil is all of e's in their order. Parameters that were sent as long data have no value in it either.
func (e *Execute) Rebound(from []int, number func(param int) (uint64, bool)) Execute {
	n := len(from)
	if from == nil {
		n = len(e.Types) / 2
	}
	r := Execute{ID: e.ID, Flags: e.Flags, Nulls: make([]byte, (n+7)/8), Types: make([]byte, 0, 2*n), ends: make([]int, 0, n)}
	for i := range n {
		if v, ok := number(i); ok {
			r.Types = append(r.Types, byte(TypeLongLong), unsignedFlag)
			r.Values = binary.LittleEndian.AppendUint64(r.Values, v)
		} else {
			of := i
			if from != nil {
				of = from[i]
			}
			if e.Null(of) {
				r.Nulls[i/8] |= 1 << (i % 8)
			}
			r.Types = append(r.Types, e.Types[2*of], e.Types[2*of+1])
			r.Values = append(r.Values, e.Raw(of)...)
		}
		r.ends = append(r.ends, len(r.Values))
	}
	return r
}

// Row reads a row of the binary protocol as if its values were bound to parameters. The row is kept.
//
// Source: MySQL page_protocol_binary_resultset.
func (e *Execute) Row(row []byte, columns []Column) error {
	n := len(columns)
	at := 1 + BitmapLength(n)
	if len(row) < at {
		return malformed("row")
	}
	e.Nulls, e.Types, e.Values, e.ends = append(e.Nulls[:0], make([]byte, (n+7)/8)...), e.Types[:0], row[at:], e.ends[:0]
	end := 0
	for i, c := range columns {
		e.Types = append(e.Types, byte(c.Type), 0)
		if c.Flags&FlagUnsigned != 0 {
			e.Types[2*i+1] = unsignedFlag
		}
		if bit := i + nullOffset; row[1+bit/8]&(1<<(bit%8)) != 0 {
			e.Nulls[i/8] |= 1 << (i % 8)
		} else {
			length := valueLength(c.Type, e.Values[end:])
			if length < 0 {
				return malformed("row")
			}
			end += length
		}
		e.ends = append(e.ends, end)
	}
	return nil
}

// Forget drops what Parse was given, so that it can be freed. It keeps a little memory for the next Parse.
func (e *Execute) Forget() {
	ends, named := e.ends[:0], e.named[:0]
	if cap(ends) > maxKept {
		ends, named = nil, nil
	}
	*e = Execute{ends: ends, named: named}
}

// maxKept is the number of parameters for which Forget keeps memory.
const maxKept = 512

// Null reports whether parameter i is NULL.
func (e *Execute) Null(i int) bool {
	return e.Nulls[i/8]&(1<<(i%8)) != 0 || Type(e.Types[2*i]) == TypeNull
}

// Raw returns the bytes of parameter i as they are on the wire, with their length in front for types that have one. It is
// empty for NULL and long data.
func (e *Execute) Raw(i int) []byte {
	start := 0
	if i > 0 {
		start = e.ends[i-1]
	}
	return e.Values[start:e.ends[i]]
}

// Value is Raw without the length.
func (e *Execute) Value(i int) []byte {
	raw := e.Raw(i)
	switch t := Type(e.Types[2*i]); {
	case fixedLength[t] > 0, len(raw) == 0:
		return raw
	case t == TypeDate || t == TypeTime || t == TypeDatetime || t == TypeTimestamp:
		return raw[1:]
	}
	_, n := ReadInt(raw)
	return raw[n:]
}

// Integer returns the value of an integer parameter as the bits of a 64-bit number, sign-extended unless it is Unsigned.
// ok is false for other types.
func (e *Execute) Integer(i int) (bits uint64, ok bool) {
	raw := e.Raw(i)
	signed := !e.Unsigned(i)
	switch Type(e.Types[2*i]) {
	case TypeTiny:
		bits = uint64(raw[0])
		if signed {
			bits = uint64(int64(int8(raw[0])))
		}
	case TypeShort, TypeYear:
		v := binary.LittleEndian.Uint16(raw)
		bits = uint64(v)
		if signed {
			bits = uint64(int64(int16(v)))
		}
	case TypeLong, TypeInt24:
		v := binary.LittleEndian.Uint32(raw)
		bits = uint64(v)
		if signed {
			bits = uint64(int64(int32(v)))
		}
	case TypeLongLong:
		bits = binary.LittleEndian.Uint64(raw)
	default:
		return 0, false
	}
	return bits, true
}

// Double returns the value of a DOUBLE parameter. ok is false for other types.
func (e *Execute) Double(i int) (value float64, ok bool) {
	if Type(e.Types[2*i]) != TypeDouble {
		return 0, false
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(e.Raw(i))), true
}

// Text returns the value of a parameter that is sent as text or bytes, without its length. ok is false for other types.
func (e *Execute) Text(i int) (text []byte, ok bool) {
	switch Type(e.Types[2*i]) {
	case TypeVarchar, TypeVarString, TypeString, TypeTinyBlob, TypeMediumBlob, TypeLongBlob, TypeBlob, TypeEnum, TypeSet:
		raw := e.Raw(i)
		_, n := ReadInt(raw)
		return raw[n:], true
	}
	return nil, false
}

// AppendMoment appends a DATE, DATETIME or TIMESTAMP parameter to buf as servers write it: 2026-01-31, or 2026-01-31
// 23:59:59.5 with a time of day. ok is false for other types.
//
// Source: MySQL page_protocol_binary_resultset, "ProtocolBinary::MYSQL_TYPE_DATETIME".
func (e *Execute) AppendMoment(buf []byte, i int) (text []byte, ok bool) {
	switch Type(e.Types[2*i]) {
	case TypeDate, TypeDatetime, TypeTimestamp:
	default:
		return buf, false
	}
	var raw [12]byte // what is not sent is zero
	copy(raw[:], e.Raw(i))
	buf = fmt.Appendf(buf, "%04d-%02d-%02d", binary.LittleEndian.Uint16(raw[1:3]), raw[3], raw[4])
	micros := binary.LittleEndian.Uint32(raw[8:])
	if raw[5]|raw[6]|raw[7] != 0 || micros != 0 {
		buf = fmt.Appendf(buf, " %02d:%02d:%02d", raw[5], raw[6], raw[7])
	}
	if micros != 0 {
		buf = fmt.Appendf(buf, ".%06d", micros)
	}
	return buf, true
}

// Float returns the value of a FLOAT parameter. ok is false for other types.
func (e *Execute) Float(i int) (value float32, ok bool) {
	if Type(e.Types[2*i]) != TypeFloat {
		return 0, false
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(e.Raw(i))), true
}

// Written returns a TIME parameter as servers write it, or a DECIMAL one, which is a number. Of other types it returns the bytes.
//
// Source: MySQL page_protocol_binary_resultset, "ProtocolBinary::MYSQL_TYPE_TIME".
func (e *Execute) Written(i int) (text []byte, number bool) {
	switch Type(e.Types[2*i]) {
	case TypeTime:
		var raw [13]byte // what is not sent is zero
		copy(raw[:], e.Raw(i))
		if raw[1] != 0 {
			text = append(text, '-')
		}
		hours := uint64(binary.LittleEndian.Uint32(raw[2:6]))*24 + uint64(raw[6])
		text = fmt.Appendf(text, "%02d:%02d:%02d", hours, raw[7], raw[8])
		if micros := binary.LittleEndian.Uint32(raw[9:]); micros != 0 {
			text = fmt.Appendf(text, ".%06d", micros)
		}
		return text, false
	case TypeDecimal, TypeNewDecimal:
		raw := e.Raw(i)
		_, n := ReadInt(raw)
		text = raw[n:]
		for _, c := range text {
			if (c < '0' || c > '9') && c != '-' && c != '.' {
				return text, false
			}
		}
		return text, len(text) > 0
	}
	return e.Raw(i), false
}

// valueLength returns how many bytes the value at the start of p takes, or -1 if p is too short or the type unknown.
//
// Source: MySQL page_protocol_binary_resultset, "Binary Protocol Value".
func valueLength(t Type, p []byte) int {
	n := 0
	switch t {
	case TypeNull:
		return 0
	case TypeTiny:
		n = 1
	case TypeShort, TypeYear:
		n = 2
	case TypeLong, TypeInt24, TypeFloat:
		n = 4
	case TypeLongLong, TypeDouble:
		n = 8
	case TypeDate, TypeTime, TypeDatetime, TypeTimestamp:
		if len(p) == 0 {
			return -1
		}
		n = 1 + int(p[0])
	case TypeDecimal, TypeNewDecimal, TypeVarchar, TypeVarString, TypeString, TypeTinyBlob, TypeMediumBlob, TypeLongBlob,
		TypeBlob, TypeBit, TypeEnum, TypeSet, TypeGeometry, TypeJSON, TypeVector:
		length, head := ReadInt(p)
		if head == 0 || length > uint64(len(p)-head) {
			return -1
		}
		n = head + int(length)
	default:
		return -1
	}
	if n > len(p) {
		return -1
	}
	return n
}

// SendExecute sends a COM_STMT_EXECUTE for the server's statement id with parts that Parse found. The types are always
// sent, because this connection may not have seen them. To a server with QueryAttributes it goes in the form that they ask
// for: see Execute.Parse.
func (c *Conn) SendExecute(id uint32, flags byte, nulls, types []byte, values ...[]byte) error {
	return c.SendExecuteWith(Attributes{}, id, flags, nulls, types, values...)
}

// SendExecuteWith is SendExecute with query attributes. To a server without QueryAttributes they do not go.
func (c *Conn) SendExecuteWith(attrs Attributes, id uint32, flags byte, nulls, types []byte, values ...[]byte) error {
	c.scratch = binary.LittleEndian.AppendUint32(append(c.scratch[:0], 0), id) // SendCommand uses the first byte
	c.scratch = append(c.scratch, flags, 1, 0, 0, 0)                           // one iteration
	nulls = nulls[:(len(types)/2+7)/8]
	if n := len(types)/2 + attrs.n; c.caps.Has(QueryAttributes) && n > 0 {
		c.scratch[5] |= executeCounted
		c.scratch = AppendInt(c.scratch, uint64(n))
		c.scratch = append(attrs.appendNulls(c.scratch, nulls, len(types)/2), 1)
		for i := 0; i < len(types); i += 2 {
			c.scratch = append(c.scratch, types[i], types[i+1], 0) // no name
		}
		c.scratch = append(c.scratch, attrs.types...)
		nulls, types = nil, nil
	} else {
		attrs.values = nil
	}
	var parts [maxExecuteParts][]byte
	all := append(parts[:0], c.scratch[1:], nulls)
	if len(types) > 0 {
		all = append(all, typesFollow, types)
	}
	return c.SendCommand(ComStmtExecute, append(append(all, values...), attrs.values)...)
}

// maxExecuteParts is how many pieces of an EXECUTE fit without allocating.
const maxExecuteParts = 8

var typesFollow = []byte{1}
