package proxy

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/xaproxy/xaproxy/wire"
)

// style is how the columns of the proxy's own results look: as those of the server whose version clients are told.
type style struct{ mariadb bool }

// The collations of the proxy's own columns.
const (
	collationBinary = 63
	collationNames  = 33 // utf8mb3_general_ci
)

// unreadableArguments is the error of an execution whose parameters cannot be read, because of err.
func (s style) unreadableArguments(err error) *wire.Error {
	if s.mariadb || errors.Is(err, wire.ErrUntyped) {
		return wrongArguments("mysqld_stmt_execute")
	}
	return unreadablePacket
}

// unreadablePacket is MySQL's error of what it cannot read.
var unreadablePacket = wire.NewError(wire.CodeMalformed, "Malformed communication packet.")

// badSchema says why no schema can have this name, or nothing.
func (s style) badSchema(name string) *wire.Error {
	upTo, _, null := strings.Cut(name, "\x00")
	const most = 64 // characters
	switch long := utf8.RuneCountInString(name) > most; {
	case name == "":
		return wire.NewError(wire.CodeNoDB, "No database selected")
	case long && !s.mariadb && len(name) <= 3*most:
		return &wire.Error{Errno: 1059, State: "42000", Message: "Identifier name '" + name + "' is too long"}
	case long, strings.HasSuffix(name, " "), null && s.mariadb:
		return &wire.Error{Errno: 1102, State: "42000", Message: "Incorrect database name '" + upTo + "'"}
	}
	return nil
}

// noTable is the error of a COM_FIELD_LIST that names no table, in a text that has an end or not.
func (s style) noTable(ends bool) *wire.Error {
	if s.mariadb || ends {
		return &wire.Error{Errno: 1103, State: "42000", Message: "Incorrect table name ''"}
	}
	return unreadablePacket
}

// text is a column for text of at most so many characters.
func (s style) text(name string, characters uint32) wire.Column {
	c := wire.Column{Name: name, Charset: collationNames, Length: 3 * characters, Type: wire.TypeVarString, Flags: wire.FlagNotNull, Decimals: 31}
	if s.mariadb {
		c.Decimals = 39
	}
	return c
}

// nullable is text that may be NULL.
func (s style) nullable(name string, characters uint32) wire.Column {
	c := s.text(name, characters)
	c.Flags = 0
	return c
}

// number is a column for integers of so many digits.
func (s style) number(name string, t wire.Type, digits uint32, flags uint16) wire.Column {
	if !s.mariadb {
		digits++ // for a sign
	}
	return wire.Column{Name: name, Charset: collationBinary, Length: digits, Type: t, Flags: flags | wire.FlagNotNull | wire.FlagBinary}
}
