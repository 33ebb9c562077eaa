package wire

import (
	"errors"
	"fmt"
)

// ErrResultTooLarge is returned by ReadResult when a result set is larger than the caller allowed. The rest of it is
// unread: the connection must be closed.
var ErrResultTooLarge = errors.New("result set larger than expected")

// Rows is one answer held in memory: an OK without columns, or a small result set.
type Rows struct {
	OK      OK // the OK; of a result set, what ended it
	Columns []Column
	Values  [][][]byte // rows of text values; nil is NULL
}

// ReadResult reads one result of an answer that is not for the client. An ERR comes back as an *Error, and the connection
// stays usable. A result set whose packets are longer than maxBytes in all is ErrResultTooLarge. Only one result is read:
// OK.Status&StatusMoreResults says whether another follows. A LOCAL INFILE request is refused with an empty file.
//
// Source: MySQL page_protocol_com_query_response.
func (c *Conn) ReadResult(maxBytes int) (Rows, error) {
	for {
		p, err := c.ReadPacket()
		if err != nil {
			return Rows{}, unexpected(err)
		}
		if len(p) == 0 {
			return Rows{}, malformed("answer")
		}
		switch p[0] {
		case headerOK, headerEOF:
			return c.readOK(p)
		case headerErr:
			return Rows{}, c.readErr(p)
		case headerInfile:
			if err := c.refuseFile(); err != nil {
				return Rows{}, err
			}
		default:
			n, err := columnCount(p)
			if err != nil {
				return Rows{}, err
			}
			return c.readRows(n, maxBytes-len(p))
		}
	}
}

// columnCount reads the packet that opens a result set.
func columnCount(p []byte) (int, error) {
	v, n := ReadInt(p)
	if n != len(p) || v == 0 || v > 0xffff {
		return 0, malformed("column count")
	}
	return int(v), nil
}

func (c *Conn) readOK(p []byte) (Rows, error) {
	o, err := ParseOK(p, c.caps)
	if err == nil {
		c.open, c.inTrans = o.Status&StatusMoreResults != 0, o.Status&StatusInTrans != 0
	}
	return Rows{OK: o}, err
}

// readErr returns the ERR packet, or why it is none.
func (c *Conn) readErr(p []byte) error {
	e, err := ParseErr(p, c.caps)
	if err != nil {
		return err
	}
	c.open, c.inTrans = false, false // nothing runs behind an error
	return e
}

// readRows reads a result set of n columns after its column count.
func (c *Conn) readRows(n, maxBytes int) (Rows, error) {
	var out Rows
	take := func(p []byte) error {
		if maxBytes -= len(p); maxBytes < 0 {
			return fmt.Errorf("%w: %d rows read", ErrResultTooLarge, len(out.Values))
		}
		return nil
	}
	for range n {
		p, err := c.resultPacket()
		if err != nil {
			return Rows{}, err
		}
		if err := take(p); err != nil {
			return Rows{}, err
		}
		col, err := ParseColumn(p)
		if err != nil {
			return Rows{}, err
		}
		out.Columns = append(out.Columns, col)
	}
	if !c.caps.Has(DeprecateEOF) {
		p, err := c.resultPacket()
		if err != nil {
			return Rows{}, err
		}
		if _, err := ParseOK(p, c.caps); err != nil {
			return Rows{}, err
		}
	}
	for {
		p, err := c.resultPacket()
		if err != nil {
			return Rows{}, err
		}
		if endsRows(p[0], len(p), c.caps) {
			end, err := c.readOK(p)
			out.OK = end.OK
			return out, err
		}
		if err := take(p); err != nil {
			return Rows{}, err
		}
		row, err := ParseTextRow(p, n)
		if err != nil {
			return Rows{}, err
		}
		out.Values = append(out.Values, row)
	}
}

// resultPacket reads a packet within a result set: never empty, and an ERR comes back as an error.
func (c *Conn) resultPacket() ([]byte, error) {
	p, err := c.ReadPacket()
	if err != nil {
		return nil, unexpected(err)
	}
	if len(p) == 0 {
		return nil, malformed("result set packet")
	}
	if p[0] == headerErr {
		return nil, c.readErr(p)
	}
	return p, nil
}

// endsRows reports whether a packet with this first byte and length, where a row could stand, is the EOF or OK packet that
// ends the rows. A row that starts with 0xFE starts with a string of 16 MB or more.
//
// Source: MySQL page_protocol_com_query_response_text_resultset, page_protocol_basic_eof_packet.
func endsRows(first byte, length int, caps Capability) bool {
	if first != headerEOF {
		return false
	}
	if caps.Has(DeprecateEOF) {
		return length < maxChunk
	}
	return length < maxEOFLength
}

// ParseTextRow reads a row of n text values; nil is NULL. The values are copies, in one allocation for all of them.
//
// Source: MySQL page_protocol_com_query_response_text_resultset_row.
func ParseTextRow(p []byte, n int) ([][]byte, error) {
	if n < 0 || n > len(p) {
		return nil, malformed("text row") // each value takes a byte at least
	}
	c := cursor{rest: append(make([]byte, 0, len(p)), p...)}
	row := make([][]byte, n)
	for i := range row {
		if len(c.rest) > 0 && c.rest[0] == headerInfile {
			c.rest = c.rest[1:]
			continue
		}
		row[i] = c.lenencBytes()
	}
	if c.bad || len(c.rest) > 0 {
		return nil, malformed("text row")
	}
	return row, nil
}

// AppendTextRow appends the payload of a row of text values; nil is NULL.
//
// Source: MySQL page_protocol_com_query_response_text_resultset_row.
func AppendTextRow(dst []byte, row [][]byte) []byte {
	for _, v := range row {
		if v == nil {
			dst = append(dst, headerInfile)
			continue
		}
		dst = AppendString(dst, v)
	}
	return dst
}

// WriteTextResult writes a whole result set and flushes; in rows, nil is NULL. Every row has as many values as there are
// columns, and there is at least one column. Of end only the status counts, and with DeprecateEOF the session state.
//
// Source: MySQL page_protocol_com_query_response_text_resultset.
func (c *Conn) WriteTextResult(cols []Column, rows [][][]byte, end OK) error {
	return c.writeResult(cols, rows, end, false)
}

// WriteBinaryResult is WriteTextResult in the binary protocol, with values as it has them.
func (c *Conn) WriteBinaryResult(cols []Column, rows [][][]byte, end OK) error {
	return c.writeResult(cols, rows, end, true)
}

func (c *Conn) writeResult(cols []Column, rows [][][]byte, end OK, inBinary bool) error {
	write := func(p []byte) error {
		c.scratch = p
		return c.WritePacket(p)
	}
	if err := write(AppendInt(c.scratch[:0], uint64(len(cols)))); err != nil {
		return err
	}
	for _, col := range cols {
		if err := write(col.Append(c.scratch[:0])); err != nil {
			return err
		}
	}
	end.Header = headerEOF
	if !c.caps.Has(DeprecateEOF) {
		if err := write(end.Append(c.scratch[:0], c.caps)); err != nil {
			return err
		}
	}
	for _, row := range rows {
		if err := write(AppendRow(c.scratch[:0], inBinary, cols, row)); err != nil {
			return err
		}
	}
	if err := write(end.Append(c.scratch[:0], c.caps)); err != nil {
		return err
	}
	return c.Flush()
}
