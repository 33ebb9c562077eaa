package wire

// Reader reads a result set of any size row by row.
type Reader struct {
	conn *Conn
	// Columns are described by Definitions, packets as they came. Without columns the answer was an OK.
	Columns     []Column
	Definitions [][]byte
	End         OK // the OK, or what ended the rows

	wide wideRead
}

// ReadColumns reads an answer up to its first row. An ERR comes back as an *Error, and the connection stays usable. A LOCAL
// INFILE request is refused with an empty file.
//
// Source: MySQL page_protocol_com_query_response.
func (c *Conn) ReadColumns() (*Reader, error) {
	r := &Reader{conn: c}
	p, err := c.resultPacket()
	if err != nil {
		return nil, err
	}
	if p[0] == headerInfile {
		if err := c.refuseFile(); err != nil {
			return nil, err
		}
		return c.ReadColumns()
	}
	if p[0] == headerOK || p[0] == headerEOF {
		end, err := c.readOK(p)
		r.End = end.OK
		return r, err
	}
	n, err := columnCount(p)
	if err != nil {
		return nil, err
	}
	for range n {
		if p, err = c.resultPacket(); err != nil {
			return nil, err
		}
		col, err := ParseColumn(p)
		if err != nil {
			return nil, err
		}
		r.Columns, r.Definitions = append(r.Columns, col), append(r.Definitions, append([]byte(nil), p...))
	}
	if c.caps.Has(DeprecateEOF) {
		return r, nil
	}
	if p, err = c.resultPacket(); err != nil {
		return nil, err
	}
	_, err = ParseOK(p, c.caps)
	return r, err
}

// Next returns the next row, valid until the next read and to be changed at will; nil at the end, which is then in End. An
// ERR comes back as an *Error, and the connection stays usable.
func (r *Reader) Next() ([]byte, error) {
	c := r.conn
	if row := c.plainRow(); row != nil {
		return row, nil
	}
	r.wide.borrow(c)
	p, err := c.resultPacket()
	if err != nil {
		r.wide.giveBack(c)
		return nil, err
	}
	if endsRows(p[0], len(p), c.caps) {
		end, err := c.readOK(p)
		r.End = end.OK
		r.wide.giveBack(c)
		return nil, err
	}
	return p, nil
}

// plainRow takes the next row if all of it has been received, in one chunk and in order, and it cannot be anything else; or else nil.
func (c *Conn) plainRow() []byte {
	b := c.rbuf[c.r:c.w]
	if len(b) <= headerSize {
		return nil
	}
	end := headerSize + chunkLength(b)
	if end == headerSize || end > len(b) || b[headerSize] >= headerEOF || b[3] != c.seq {
		return nil
	}
	c.seq++
	c.r += end
	return b[headerSize:end:end]
}

// RowWriter writes rows to a client: a large buffer at a time, which it takes from a pool.
type RowWriter struct {
	conn *Conn
	buf  []byte
	lent *[streamBuffer]byte
}

// WriteRows returns what writes the rows behind column definitions. It must be ended.
func (c *Conn) WriteRows() RowWriter {
	lent := streamBuffers.Get().(*[streamBuffer]byte)
	return RowWriter{c, lent[:0], lent}
}

// Write writes a row, or keeps it until the next one.
func (w *RowWriter) Write(row []byte) error {
	c := w.conn
	if headerSize+len(row) > rowsAtOnce-len(w.buf) {
		if err := w.flush(); err != nil {
			return err
		}
		if headerSize+len(row) > rowsAtOnce {
			return c.WritePacket(row)
		}
	}
	w.buf = append(append(w.buf, byte(len(row)), byte(len(row)>>8), byte(len(row)>>16), c.seq), row...)
	c.seq++
	return nil
}

// rowsAtOnce is how many bytes of rows are written at once, at most the size of a buffer of streamBuffers.
const rowsAtOnce = 64 << 10

func (w *RowWriter) flush() error {
	err := w.conn.passOn(w.buf)
	w.buf = w.buf[:0]
	return err
}

// End gives the buffer back. What was kept waits for Flush, or is written if it is much.
func (w *RowWriter) End() error {
	c, err := w.conn, error(nil)
	if len(c.wbuf)+len(w.buf) <= writeBuffer {
		c.borrowWrite(len(w.buf))
		c.wbuf = append(c.wbuf, w.buf...)
	} else {
		err = w.flush()
	}
	streamBuffers.Put(w.lent)
	*w = RowWriter{}
	return err
}

// WriteColumns writes what goes before the rows of a result set, to wait for Flush: the definitions as they came.
//
// Source: MySQL page_protocol_com_query_response_text_resultset.
func (c *Conn) WriteColumns(definitions [][]byte, st Status) error {
	c.scratch = AppendInt(c.scratch[:0], uint64(len(definitions)))
	if err := c.WritePacket(c.scratch); err != nil {
		return err
	}
	for _, d := range definitions {
		if err := c.WritePacket(d); err != nil {
			return err
		}
	}
	if c.caps.Has(DeprecateEOF) {
		return nil
	}
	c.scratch = OK{Header: headerEOF, Status: st}.Append(c.scratch[:0], c.caps)
	return c.WritePacket(c.scratch)
}

// Value is a value of a row: row[From:To], as text or as its type is in binary rows, without the length in front of it.
type Value struct {
	Start    int // where it begins with the length
	From, To int
	Null     bool
}

// nullOffset is the place of the first column in the bitmap of a binary row.
const nullOffset = 2

// BitmapLength is the length of the bitmap of a binary row with n columns.
func BitmapLength(n int) int { return (n + 7 + nullOffset) / 8 }

// CutRow finds the first n values of a row of the text protocol, or of the binary one, and writes them into out. It returns where they
// end.
//
// Source: MySQL page_protocol_com_query_response_text_resultset_row, page_protocol_binary_resultset.
func CutRow(row []byte, inBinary bool, columns []Column, n int, out []Value) (int, error) {
	at := 0
	var nulls []byte
	if inBinary {
		at = 1 + BitmapLength(len(columns))
		if len(row) < at {
			return 0, malformed("row")
		}
		nulls = row[1:at]
	}
	for i := range n {
		v := Value{Start: at, From: at, To: at}
		bit := i + nullOffset
		switch {
		case inBinary && nulls[bit/8]&(1<<(bit%8)) != 0:
			v.Null = true
		case inBinary && fixedLength[columns[i].Type] > 0:
			v.To += int(fixedLength[columns[i].Type])
		case !inBinary && at < len(row) && row[at] == headerInfile:
			v.Null, at = true, at+1
			v.From, v.To = at, at
		default:
			length, head := ReadInt(row[at:])
			if head == 0 || length > uint64(len(row)-at-head) {
				return 0, malformed("row")
			}
			v.From += head
			v.To = v.From + int(length)
		}
		if at = v.To; at > len(row) {
			return 0, malformed("row")
		}
		out[i] = v
	}
	return at, nil
}

// fixedLength is the length of the types that have one in binary rows. All others have it in front of their values.
var fixedLength = [256]byte{
	TypeTiny: 1, TypeShort: 2, TypeYear: 2, TypeLong: 4, TypeInt24: 4, TypeFloat: 4, TypeLongLong: 8, TypeDouble: 8,
}

// SameBinary tells whether binary rows of the one kind can be read as those of the other.
func SameBinary(a, b []Column) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if fixedLength[a[i].Type] != fixedLength[b[i].Type] || fixedLength[a[i].Type] > 0 && a[i].Type != b[i].Type {
			return false
		}
	}
	return true
}

// TrimRow takes all but the first keep columns out of a row, in place; end is where these end, as CutRow said.
func TrimRow(row []byte, inBinary bool, columns, keep, end int) []byte {
	if !inBinary {
		return row[:end]
	}
	was, is := BitmapLength(columns), BitmapLength(keep)
	copy(row[1+was-is:], row[1:1+is])
	row = row[was-is : end]
	row[0] = headerOK
	if used := (keep + nullOffset) % 8; used > 0 {
		row[is] &= 1<<used - 1
	}
	return row
}

// AppendRow appends a row of values as they are in one of the two protocols, without lengths; nil is NULL.
func AppendRow(dst []byte, inBinary bool, columns []Column, values [][]byte) []byte {
	if !inBinary {
		return AppendTextRow(dst, values)
	}
	dst = append(dst, headerOK)
	nulls := len(dst)
	dst = append(dst, make([]byte, BitmapLength(len(values)))...)
	for i, v := range values {
		switch bit := i + nullOffset; {
		case v == nil:
			dst[nulls+bit/8] |= 1 << (bit % 8)
		case fixedLength[columns[i].Type] > 0:
			dst = append(dst, v...)
		default:
			dst = AppendString(dst, v)
		}
	}
	return dst
}
