package wire

import (
	"encoding/binary"
	"fmt"
)

// Prepared is the answer to a COM_STMT_PREPARE.
type Prepared struct {
	Err      *Error // the server's ERR; nil when the statement is prepared
	ID       uint32 // the server's statement id
	Columns  int
	Params   int
	Warnings uint16
}

const prepareOKLength = 12

// parsePrepared reads the first packet of the answer.
//
// Source: MySQL page_protocol_com_stmt_prepare, COM_STMT_PREPARE_OK.
func parsePrepared(p []byte) (Prepared, error) {
	c := cursor{rest: p}
	if len(p) < prepareOKLength || c.uint8() != headerOK {
		return Prepared{}, malformed("answer to a prepare")
	}
	out := Prepared{ID: c.uint32(), Columns: int(c.uint16()), Params: int(c.uint16())}
	c.bytes(1) // filler
	out.Warnings = c.uint16()
	return out, nil
}

// Prepare relays the answer to one COM_STMT_PREPARE, with the definitions of parameters and columns, and flushes. The
// client sees id as the statement's id, or the server's own when id is 0. Statuses, sequence ids, ERR and errors are as
// those of Response.
//
// Source: MySQL page_protocol_com_stmt_prepare.
func (r *Relay) Prepare(client, backend *Conn, id uint32) (Prepared, error) {
	side := func(onServer, torn bool, err error) error {
		return &SideError{Backend: onServer, Torn: torn || !onServer, Err: err}
	}
	p, err := backend.ReadPacket()
	if err != nil {
		return Prepared{}, side(true, false, unexpected(err))
	}
	if len(p) > 0 && p[0] == headerErr {
		e, err := ParseErr(p, backend.caps)
		if err != nil {
			return Prepared{}, side(true, false, err)
		}
		backend.open = false
		if err := client.send(p); err != nil {
			return Prepared{}, side(false, true, err)
		}
		return Prepared{Err: e}, nil
	}
	out, err := parsePrepared(p)
	if err != nil {
		return Prepared{}, side(true, false, err)
	}
	if id != 0 {
		binary.LittleEndian.PutUint32(p[1:], id)
	}
	if err := client.WritePacket(p); err != nil {
		return Prepared{}, side(false, true, err)
	}
	s := stream{relay: r, client: client, backend: backend}
	for _, n := range []int{out.Params, out.Columns} {
		if onServer, err := s.definitions(n); err != nil {
			return Prepared{}, side(onServer, true, err)
		}
	}
	backend.open = false
	if err := client.Flush(); err != nil {
		return Prepared{}, side(false, true, err)
	}
	return out, nil
}

// definitions passes n column definitions on, one by one, and the EOF after them without DeprecateEOF.
func (s *stream) definitions(n int) (onServer bool, err error) {
	if n == 0 {
		return false, nil
	}
	for range n {
		p, err := s.backend.ReadPacket()
		if err != nil {
			return true, unexpected(err)
		}
		if err := s.client.WritePacket(p); err != nil {
			return false, err
		}
	}
	if s.backend.caps.Has(DeprecateEOF) {
		return false, nil
	}
	p, err := s.backend.ReadPacket()
	if err != nil {
		return true, unexpected(err)
	}
	if len(p) == 0 || p[0] != headerEOF {
		return true, fmt.Errorf("after %d definitions: %w", n, malformed("EOF packet"))
	}
	s.phase = phaseMiddle
	if err := s.end(p); err != nil {
		return true, err
	}
	return false, s.client.WritePacket(p)
}

// WritePrepared answers a COM_STMT_PREPARE of a statement without parameters and columns, and flushes.
func (c *Conn) WritePrepared(p Prepared) error { return c.WriteDescription(p, nil, nil, 0) }

// ReadPrepared reads the answer to a COM_STMT_PREPARE that is not for the client, definitions included. An ERR comes back
// as an *Error, and the connection stays usable.
//
// Source: MySQL page_protocol_com_stmt_prepare.
func (c *Conn) ReadPrepared() (Prepared, error) { return c.readPrepared(nil) }

// ReadDescription is ReadPrepared with the definitions of the result's columns, as they came.
func (c *Conn) ReadDescription() (out Prepared, definitions [][]byte, err error) {
	out, err = c.readPrepared(&definitions)
	return out, definitions, err
}

func (c *Conn) readPrepared(definitions *[][]byte) (Prepared, error) {
	p, err := c.ReadPacket()
	if err != nil {
		return Prepared{}, unexpected(err)
	}
	if len(p) > 0 && p[0] == headerErr {
		return Prepared{}, c.readErr(p)
	}
	out, err := parsePrepared(p)
	if err != nil {
		return Prepared{}, err
	}
	for of, count := range []int{out.Params, out.Columns} {
		n := count
		if n > 0 && !c.caps.Has(DeprecateEOF) {
			n++ // the EOF after the definitions
		}
		for i := range n {
			p, err := c.ReadPacket()
			if err != nil {
				return Prepared{}, unexpected(err)
			}
			if definitions != nil && of == 1 && i < count {
				*definitions = append(*definitions, append([]byte(nil), p...))
			}
		}
	}
	c.open = false
	return out, nil
}

// WriteDescription is WritePrepared with definitions of parameters and columns.
//
// Source: MySQL page_protocol_com_stmt_prepare, COM_STMT_PREPARE_OK.
func (c *Conn) WriteDescription(p Prepared, params, columns [][]byte, st Status) error {
	answer := [prepareOKLength]byte{headerOK}
	binary.LittleEndian.PutUint32(answer[1:], p.ID)
	binary.LittleEndian.PutUint16(answer[5:], uint16(len(columns)))
	binary.LittleEndian.PutUint16(answer[7:], uint16(len(params)))
	binary.LittleEndian.PutUint16(answer[10:], p.Warnings)
	if err := c.WritePacket(answer[:]); err != nil {
		return err
	}
	for _, definitions := range [][][]byte{params, columns} {
		for _, d := range definitions {
			if err := c.WritePacket(d); err != nil {
				return err
			}
		}
		if len(definitions) > 0 && !c.caps.Has(DeprecateEOF) {
			c.scratch = OK{Header: headerEOF, Status: st}.Append(c.scratch[:0], c.caps)
			if err := c.WritePacket(c.scratch); err != nil {
				return err
			}
		}
	}
	return c.Flush()
}
