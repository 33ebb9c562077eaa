package wire

import "encoding/binary"

// OK is an OK packet, or an EOF packet read as one: then only Status and Warnings are set.
type OK struct {
	Affected     uint64
	InsertID     uint64
	Status       Status
	Warnings     uint16
	Info         string // human-readable, such as "Rows matched: 1  Changed: 1  Warnings: 0"
	Header       byte   // 0x00, or 0xFE at the end of rows
	SessionState []byte // the raw session state block; only under SessionTrack
}

// ParseOK reads an OK packet (header 0x00, or 0xFE under DeprecateEOF) or an EOF packet (0xFE without DeprecateEOF). The
// result keeps nothing of p.
//
// The documents call the info of a connection without SessionTrack a string up to the end of the packet; servers send a
// length-encoded one in both cases. Both forms are read.
//
// Source: MySQL page_protocol_basic_ok_packet, page_protocol_basic_eof_packet.
func ParseOK(p []byte, caps Capability) (OK, error) {
	o, at, err := fixedOK(p, caps)
	if err != nil {
		return OK{}, err
	}
	info, state, err := o.texts(p, at, caps)
	if err != nil {
		return OK{}, err
	}
	o.Info = string(info)
	if state != nil {
		o.SessionState = append([]byte(nil), state...)
	}
	return o, nil
}

// texts returns the info and the session state of the OK packet p, of which fixedOK has read o, as parts of p.
func (o *OK) texts(p []byte, at okFields, caps Capability) (info, state []byte, err error) {
	c := cursor{rest: p[max(at.status, at.warnings)+2:]}
	if len(c.rest) == 0 || o.Header == headerEOF && !caps.Has(DeprecateEOF) {
		return nil, nil, nil
	}
	raw := c.rest
	info = c.lenencBytes()
	if !caps.Has(SessionTrack) {
		if c.bad || len(c.rest) > 0 {
			info = raw
		}
		return info, nil, nil
	}
	if o.Status&StatusSessionStateChanged != 0 && len(c.rest) > 0 {
		state = c.lenencBytes()
	}
	if c.bad {
		return nil, nil, malformed("OK packet")
	}
	return info, state, nil
}

// okFields says where in an OK or EOF packet the fields are that a relay changes.
type okFields struct{ status, warnings int }

// fixedOK reads the numbers of an OK or EOF packet without allocating, and where they stand.
//
// Source: MySQL page_protocol_basic_ok_packet, page_protocol_basic_eof_packet.
func fixedOK(p []byte, caps Capability) (OK, okFields, error) {
	c := cursor{rest: p}
	o := OK{Header: c.uint8()}
	if c.bad || o.Header != headerOK && o.Header != headerEOF {
		return OK{}, okFields{}, malformed("OK packet")
	}
	at := okFields{warnings: 1, status: 3}
	if o.Header == headerEOF && !caps.Has(DeprecateEOF) {
		o.Warnings = c.uint16()
		o.Status = Status(c.uint16())
	} else {
		o.Affected = c.lenenc()
		o.InsertID = c.lenenc()
		at.status = len(p) - len(c.rest)
		at.warnings = at.status + 2
		o.Status = Status(c.uint16())
		o.Warnings = c.uint16()
	}
	if c.bad {
		return OK{}, okFields{}, malformed("OK packet")
	}
	return o, at, nil
}

// Append appends the payload of an OK packet, or of an EOF packet when the header is 0xFE and caps lacks DeprecateEOF.
// Without SessionTrack the session state is left out and its status flag cleared; with it the flag alone says that there is a
// state, be it an empty one.
//
// Source: MySQL page_protocol_basic_ok_packet, page_protocol_basic_eof_packet.
func (o OK) Append(dst []byte, caps Capability) []byte {
	return appendOK(dst, &o, o.Info, o.SessionState, caps)
}

// appendOK is OK.Append with texts that are not those of o.
func appendOK[S ~string | ~[]byte](dst []byte, o *OK, info S, state []byte, caps Capability) []byte {
	status := o.Status
	if !caps.Has(SessionTrack) {
		status &^= StatusSessionStateChanged
	}
	dst = append(dst, o.Header)
	if o.Header == headerEOF && !caps.Has(DeprecateEOF) {
		dst = binary.LittleEndian.AppendUint16(dst, o.Warnings)
		return binary.LittleEndian.AppendUint16(dst, uint16(status))
	}
	dst = AppendInt(dst, o.Affected)
	dst = AppendInt(dst, o.InsertID)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(status))
	dst = binary.LittleEndian.AppendUint16(dst, o.Warnings)
	if len(info) > 0 || status&StatusSessionStateChanged != 0 {
		dst = AppendString(dst, info)
	}
	if status&StatusSessionStateChanged != 0 {
		dst = AppendString(dst, state)
	}
	return dst
}

// WriteOK writes an OK packet and flushes. The one that ends a login also begins compression, if that was negotiated.
func (c *Conn) WriteOK(o OK) error {
	c.scratch = o.Append(c.scratch[:0], c.caps)
	if err := c.send(c.scratch); err != nil {
		return err
	}
	c.startCompression()
	return nil
}

// WriteEOF writes the packet that answers COM_SET_OPTION and ends column definitions and rows, an EOF or an OK in its place
// by what the client understands, and flushes.
func (c *Conn) WriteEOF(o OK) error {
	o.Header = headerEOF
	return c.WriteOK(o)
}

// WriteString writes a packet that is nothing but a text, as COM_STATISTICS is answered, and flushes.
//
// Source: MySQL page_protocol_com_statistics.
func (c *Conn) WriteString(s string) error {
	c.scratch = append(c.scratch[:0], s...)
	return c.send(c.scratch)
}

// WriteErr writes an ERR packet and flushes. Before the handshake it is of the form without SQLSTATE.
func (c *Conn) WriteErr(e *Error) error {
	c.scratch = e.Append(c.scratch[:0], c.caps)
	if err := c.WritePacket(c.scratch); err != nil {
		return err
	}
	return c.Flush()
}
