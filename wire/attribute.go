package wire

// noAttributes is the block of query attributes that has none: no parameters, one set of them.
var noAttributes = []byte{0, 1}

// SplitQueryAttributes splits the argument of a COM_QUERY from a client with the capabilities into the block of query
// attributes and the statement. Without QueryAttributes all of it is the statement, and attrs is nil. Both are parts of
// arg; attrs is what SendQuery takes.
//
// Source: MySQL page_protocol_com_query.
func SplitQueryAttributes(arg []byte, caps Capability) (attrs, sql []byte, err error) {
	if !caps.Has(QueryAttributes) {
		return nil, arg, nil
	}
	c := cursor{rest: arg}
	n := c.lenenc()
	if sets := c.lenenc(); c.bad || sets != 1 || n > maxParameters {
		return nil, nil, malformed("query attributes")
	}
	if n > 0 {
		nulls := c.bytes((int(n) + 7) / 8)
		if c.uint8() != 1 { // types follow
			c.bad = true
		}
		types := c
		for i := 0; i < int(n) && !c.bad; i++ {
			c.bytes(2)
			c.lenencBytes() // name
		}
		for i := 0; i < int(n) && !c.bad; i++ {
			typ := Type(types.uint16())
			types.lenencBytes()
			if nulls[i/8]>>(i%8)&1 == 0 {
				c.bytes(valueLength(typ, c.rest))
			}
		}
	}
	if c.bad {
		return nil, nil, malformed("query attributes")
	}
	at := len(arg) - len(c.rest)
	return arg[:at:at], arg[at:], nil
}

// SendQuery sends a COM_QUERY, as SendCommand does. To a server with QueryAttributes a block of attributes goes before the
// statement: attrs, from SplitQueryAttributes, or one without attributes if attrs is empty. To others attrs do not go.
//
// Source: MySQL page_protocol_com_query.
func (c *Conn) SendQuery(attrs []byte, sql ...[]byte) error {
	switch {
	case !c.caps.Has(QueryAttributes):
		attrs = nil
	case len(attrs) == 0:
		attrs = noAttributes
	}
	n := 1 + len(attrs)
	for _, part := range sql {
		n += len(part)
	}
	c.restart()
	c.open = true
	c.begin(n)
	c.scratch = append(c.scratch[:0], byte(ComQuery))
	c.put(c.scratch)
	c.put(attrs)
	for _, part := range sql {
		c.put(part)
	}
	return c.Flush()
}

// Attributes are the query attributes of a COM_STMT_EXECUTE. Its slices are parts of the packet.
type Attributes struct {
	n, first int    // so many; the first one's bit of nulls
	nulls    []byte // bitmap
	types    []byte // of each two bytes, and the name with its length
	values   []byte // of those that are not NULL
}

// parse cuts the values out of what follows those of the parameters.
func (a *Attributes) parse(values []byte) error {
	types, c := cursor{rest: a.types}, cursor{rest: values}
	for i := a.first; i < a.first+a.n; i++ {
		typ := Type(types.uint16())
		types.lenencBytes() // name
		if a.nulls[i/8]>>(i%8)&1 == 0 {
			c.bytes(valueLength(typ, c.rest))
		}
	}
	if c.bad {
		return malformed("query attributes of a COM_STMT_EXECUTE")
	}
	a.values = values[:len(values)-len(c.rest)]
	return nil
}

// appendNulls appends the bitmap of so many parameters and then the attributes.
func (a *Attributes) appendNulls(dst, nulls []byte, params int) []byte {
	at := len(dst)
	dst = append(dst, nulls...)
	if unused := -params & 7; unused > 0 {
		dst[len(dst)-1] &= 0xff >> unused
	}
	for i := range a.n {
		to, from := params+i, a.first+i
		if at+to/8 == len(dst) {
			dst = append(dst, 0)
		}
		dst[at+to/8] |= a.nulls[from/8] >> (from % 8) & 1 << (to % 8)
	}
	return dst
}

// executeCounted is PARAMETER_COUNT_AVAILABLE among the cursor flags.
const executeCounted = 1 << 3

// maxParameters is the largest number of parameters of a statement, or of attributes, that a server allows.
const maxParameters = 0xffff
