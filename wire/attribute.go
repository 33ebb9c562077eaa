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

// PlainExecute turns the argument of a COM_STMT_EXECUTE, from a client with the capabilities and of a statement with so many
// parameters, into the plain form that Execute.Parse reads, without query attributes. It works in place: the result is a
// part of arg, and arg is spoilt. Without QueryAttributes it returns arg.
//
// QueryAttributes changes the packet in three places: the flag 0x08 beside the cursor type says that a count follows even if
// the statement has no parameters; the length-encoded count, of the statement's parameters and then the attributes, goes
// before the null bitmap, which has bits for all of them; each type is followed by a length-encoded name. The attributes'
// values come last.
//
// Source: MySQL page_protocol_com_stmt_execute.
func PlainExecute(arg []byte, params int, caps Capability) ([]byte, error) {
	if !caps.Has(QueryAttributes) {
		return arg, nil
	}
	if len(arg) < executeHead {
		return nil, malformed("COM_STMT_EXECUTE")
	}
	counted := arg[4]&executeCounted != 0
	arg[4] &^= executeCounted
	if params == 0 && !counted {
		return arg, nil
	}
	c := cursor{rest: arg[executeHead:]}
	n := c.lenenc()
	if c.bad || n < uint64(params) || n > maxParameters {
		return nil, malformed("parameter count of a COM_STMT_EXECUTE")
	}
	if params == 0 {
		return arg[:executeHead], nil
	}
	nulls := c.bytes((int(n) + 7) / 8)
	if c.bad {
		return nil, malformed("null bitmap of a COM_STMT_EXECUTE")
	}
	head := append(arg[:executeHead], nulls[:(params+7)/8]...)
	if unused := -params & 7; unused > 0 {
		head[len(head)-1] &= 0xff >> unused
	}
	typed := c.uint8()
	head = append(head, typed)
	if typed == 1 {
		for i := range int(n) {
			t := c.bytes(2)
			c.lenencBytes() // name
			if i < params {
				head = append(head, t...)
			}
		}
	}
	if c.bad {
		return nil, malformed("parameters of a COM_STMT_EXECUTE")
	}
	start := len(arg) - len(c.rest) - len(head)
	copy(arg[start:], head) // now it stands right before the values
	return arg[start:], nil
}

// executeCounted is PARAMETER_COUNT_AVAILABLE among the cursor flags.
const executeCounted = 1 << 3

// maxParameters is the largest number of parameters of a statement, or of attributes, that a server allows.
const maxParameters = 0xffff
