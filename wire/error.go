package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Header bytes that tell the packets of an answer apart.
const (
	headerOK       = 0x00
	headerMore     = 0x01 // authentication: more data
	headerInfile   = 0xfb // LOCAL INFILE request; in a text row NULL
	headerEOF      = 0xfe // EOF, OK at the end of rows, authentication switch
	headerErr      = 0xff
	maxEOFLength   = 9 // an EOF packet is shorter; a row that starts with 0xFE is longer
	generalState   = "HY000"
	sqlStateMarker = '#'
)

// ErrSequence is returned, wrapped, when a packet's sequence id is not the next one. The connection must be closed.
var ErrSequence = errors.New("packets out of order")

// ErrTooLarge is returned, wrapped, when a packet is larger than the limit of its connection, which must be closed. It is not an
// *Error, which would be the word of a server.
var ErrTooLarge = errors.New("packet too large")

// errMalformed is wrapped by the errors of all decoders.
var errMalformed = errors.New("malformed packet")

// malformed names the packet that could not be decoded.
func malformed(what string) error { return fmt.Errorf("%s: %w", what, errMalformed) }

// Error is an ERR packet: what a server answered, or what xaproxy answers. It is an error.
type Error struct {
	Errno   uint16
	State   string // SQLSTATE, five characters
	Message string
}

// Error returns "1062 (23000): Duplicate entry ...".
func (e *Error) Error() string { return fmt.Sprintf("%d (%s): %s", e.Errno, e.State, e.Message) }

// ParseErr reads an ERR packet. Before the handshake (caps without Protocol41) most servers leave the SQLSTATE out; the
// state is then HY000.
//
// Source: MySQL page_protocol_basic_err_packet.
func ParseErr(p []byte, _ Capability) (*Error, error) {
	if len(p) < 3 || p[0] != headerErr {
		return nil, malformed("ERR packet")
	}
	e := &Error{Errno: binary.LittleEndian.Uint16(p[1:]), State: generalState}
	text := p[3:]
	if len(text) >= 6 && text[0] == sqlStateMarker {
		e.State, text = string(text[1:6]), text[6:]
	}
	e.Message = string(text)
	return e, nil
}

// Append appends the ERR packet's payload. Without Protocol41 in caps the SQLSTATE is left out.
//
// Source: MySQL page_protocol_basic_err_packet.
func (e *Error) Append(dst []byte, caps Capability) []byte {
	dst = append(dst, headerErr, byte(e.Errno), byte(e.Errno>>8))
	if caps.Has(Protocol41) {
		state := e.State
		if len(state) != len(generalState) {
			state = generalState
		}
		dst = append(dst, sqlStateMarker)
		dst = append(dst, state...)
	}
	return append(dst, e.Message...)
}
