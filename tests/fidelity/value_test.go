package fidelity

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// bound is a parameter of COM_STMT_EXECUTE in binary form; a nil value is NULL.
type bound struct {
	typ   wire.Type
	flags byte
	value []byte
	long  bool // its value came before, in COM_STMT_SEND_LONG_DATA
}

const unsigned = 0x80

var integerTypes = map[string]struct {
	typ  wire.Type
	size int
}{
	"tiny": {wire.TypeTiny, 1}, "short": {wire.TypeShort, 2}, "year": {wire.TypeYear, 2}, "int24": {wire.TypeInt24, 4},
	"long": {wire.TypeLong, 4}, "longlong": {wire.TypeLongLong, 8},
}

var stringTypes = map[string]wire.Type{
	"string": wire.TypeVarString, "varchar": wire.TypeVarchar, "char": wire.TypeString, "decimal": wire.TypeNewDecimal,
	"blob": wire.TypeBlob, "bit": wire.TypeBit, "json": wire.TypeJSON, "enum": wire.TypeEnum, "set": wire.TypeSet,
	"geometry": wire.TypeGeometry, "tinyblob": wire.TypeTinyBlob, "longblob": wire.TypeLongBlob,
}

// parseBound reads type:value. The types are those of the protocol in lower case; integers may have a "u" before them. A
// value in double quotes is a Go string. "null" is NULL, "type:long" says that the value was sent as long data.
func parseBound(word string) (bound, error) {
	typ, text, _ := strings.Cut(word, ":")
	if s, err := strconv.Unquote(text); err == nil {
		text = s
	}
	if typ == "null" {
		return bound{typ: wire.TypeNull}, nil
	}
	if i, ok := integerTypes[strings.TrimPrefix(typ, "u")]; ok {
		b := bound{typ: i.typ}
		var bits uint64
		var err error
		if typ[0] == 'u' {
			b.flags = unsigned
			bits, err = strconv.ParseUint(text, 10, 64)
		} else {
			var n int64
			n, err = strconv.ParseInt(text, 10, 64)
			bits = uint64(n)
		}
		b.value = binary.LittleEndian.AppendUint64(nil, bits)[:i.size]
		return b, err
	}
	if t, ok := stringTypes[typ]; ok {
		if text == "long" {
			return bound{typ: t, long: true}, nil
		}
		return bound{typ: t, value: wire.AppendString(nil, []byte(text))}, nil
	}
	switch typ {
	case "float":
		f, err := strconv.ParseFloat(text, 32)
		return bound{typ: wire.TypeFloat, value: binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(f)))}, err
	case "double":
		f, err := strconv.ParseFloat(text, 64)
		return bound{typ: wire.TypeDouble, value: binary.LittleEndian.AppendUint64(nil, math.Float64bits(f))}, err
	case "date", "datetime", "timestamp":
		return parseMoment(typ, text)
	case "time":
		raw, err := hex.DecodeString(text)
		return bound{typ: wire.TypeTime, value: raw}, err
	}
	return bound{}, fmt.Errorf("unknown type of a parameter in %q", word)
}

// parseMoment encodes a date, as short as its value allows.
//
// Source: MySQL page_protocol_binary_resultset, "MYSQL_TYPE_DATETIME".
func parseMoment(typ, text string) (bound, error) {
	types := map[string]wire.Type{"date": wire.TypeDate, "datetime": wire.TypeDatetime, "timestamp": wire.TypeTimestamp}
	b := bound{typ: types[typ]}
	if text == "zero" {
		b.value = []byte{0}
		return b, nil
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04:05", "2006-01-02 15:04:05.999999"} {
		at, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		v := binary.LittleEndian.AppendUint16([]byte{0}, uint16(at.Year()))
		v = append(v, byte(at.Month()), byte(at.Day()))
		if at.Hour()+at.Minute()+at.Second()+at.Nanosecond() > 0 {
			v = append(v, byte(at.Hour()), byte(at.Minute()), byte(at.Second()))
		}
		if at.Nanosecond() > 0 {
			v = binary.LittleEndian.AppendUint32(v, uint32(at.Nanosecond()/1000))
		}
		v[0] = byte(len(v) - 1)
		b.value = v
		return b, nil
	}
	return b, fmt.Errorf("unknown form of a date: %q", text)
}

// attribute is a query attribute.
type attribute struct {
	name string
	bound
}

// words splits a text at spaces that are not within double quotes.
func words(text string) ([]string, error) {
	var all []string
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		end := strings.IndexAny(text+" ", " \n")
		if i := strings.IndexByte(text, '"'); i >= 0 && i < end {
			quoted, err := strconv.QuotedPrefix(text[i:])
			if err != nil {
				return nil, fmt.Errorf("%q: %w", text, err)
			}
			end = i + len(quoted)
		}
		all = append(all, text[:end])
		text = text[end:]
	}
	return all, nil
}

// parseAttributes reads the words of :attributes.
func parseAttributes(text string) ([]attribute, error) {
	all, err := words(text)
	var out []attribute
	for _, w := range all {
		name, value, _ := strings.Cut(w, "=")
		b, e := parseBound(value)
		err = errors.Join(err, e)
		out = append(out, attribute{name, b})
	}
	return out, err
}

// queryArg is the argument of COM_QUERY.
//
// Source: MySQL page_protocol_com_query.
func (c *client) queryArg(sql string) []byte {
	if !c.caps.Has(wire.QueryAttributes) {
		return []byte(sql)
	}
	arg := wire.AppendInt(nil, uint64(len(c.attributes)))
	arg = append(arg, 1)
	if len(c.attributes) > 0 {
		arg = appendParameters(arg, c.attributes, true, true)
	}
	return append(arg, sql...)
}

// execute is a COM_STMT_EXECUTE.
type execute struct {
	id     uint32
	flags  byte
	typed  bool // types are sent; otherwise the server is to use those that were bound last
	params []attribute
}

// parseExecute reads the words of :execute.
func parseExecute(id uint32, text string) (execute, error) {
	e := execute{id: id, typed: true}
	all, err := words(text)
	for _, w := range all {
		switch digits, flags := strings.CutPrefix(w, "flags="); {
		case w == "cursor":
			e.flags = 1
		case w == "same":
			e.typed = false
		case flags:
			n, wrong := strconv.ParseUint(digits, 10, 8)
			err = errors.Join(err, wrong)
			e.flags = byte(n)
		default:
			p, wrong := parseBound(w)
			err = errors.Join(err, wrong)
			e.params = append(e.params, attribute{bound: p})
		}
	}
	return e, err
}

// append appends the argument.
//
// Source: MySQL page_protocol_com_stmt_execute.
func (e execute) append(dst []byte, caps wire.Capability, attributes []attribute) []byte {
	const counted = 8
	params, counts := e.params, caps.Has(wire.QueryAttributes)
	if counts {
		params = append(slices.Clone(params), attributes...)
		if len(attributes) > 0 {
			e.flags |= counted
		}
	}
	dst = binary.LittleEndian.AppendUint32(dst, e.id)
	dst = append(dst, e.flags, 1, 0, 0, 0)
	if len(params) == 0 {
		return dst
	}
	if counts {
		dst = wire.AppendInt(dst, uint64(len(params)))
	}
	return appendParameters(dst, params, e.typed, counts)
}

// appendParameters appends what is bound, from the bitmap of NULLs on.
func appendParameters(dst []byte, params []attribute, typed, named bool) []byte {
	nulls := make([]byte, (len(params)+7)/8)
	for i, p := range params {
		if p.value == nil && !p.long {
			nulls[i/8] |= 1 << (i % 8)
		}
	}
	dst = append(dst, nulls...)
	if !typed {
		dst = append(dst, 0)
	} else {
		dst = append(dst, 1)
		for _, p := range params {
			dst = append(dst, byte(p.typ), p.flags)
			if named {
				dst = wire.AppendString(dst, p.name)
			}
		}
	}
	for _, p := range params {
		dst = append(dst, p.value...)
	}
	return dst
}
