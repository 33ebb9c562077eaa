package wire

import (
	"encoding/binary"
	"fmt"
)

// changeUser is the argument of COM_CHANGE_USER. Which fields there are depends on the capabilities of the login.
type changeUser struct {
	user      string
	auth      []byte
	schema    string
	collation uint16 // 0: not said
	plugin    string
	attrs     map[string]string
}

// parseChangeUser reads the argument of COM_CHANGE_USER. What follows the schema may be left out.
//
// Source: MySQL page_protocol_com_change_user, MariaDB KB "COM_CHANGE_USER".
func parseChangeUser(p []byte, caps Capability) (*changeUser, error) {
	c := cursor{rest: p}
	u := &changeUser{user: string(c.nulBytes())}
	if caps.Has(SecureConnection) {
		u.auth = append(u.auth, c.bytes(int(c.uint8()))...)
	} else {
		u.auth = append(u.auth, c.nulBytes()...)
	}
	u.schema = string(c.nulOrRest())
	if len(c.rest) > 0 {
		u.collation = c.uint16()
	}
	if caps.Has(PluginAuth) && len(c.rest) > 0 {
		u.plugin = string(c.nulOrRest())
	}
	if caps.Has(ConnectAttrs) && len(c.rest) > 0 {
		u.attrs = readAttrs(&c)
	}
	if c.bad {
		return nil, malformed("COM_CHANGE_USER")
	}
	return u, nil
}

// append appends the argument; auth has at most 255 bytes.
//
// Source: as of parseChangeUser.
func (u *changeUser) append(dst []byte, caps Capability) []byte {
	dst = append(append(dst, u.user...), 0)
	if caps.Has(SecureConnection) {
		dst = append(append(dst, byte(len(u.auth))), u.auth...)
	} else {
		dst = append(append(dst, u.auth...), 0)
	}
	dst = append(append(dst, u.schema...), 0)
	dst = binary.LittleEndian.AppendUint16(dst, u.collation)
	if caps.Has(PluginAuth) {
		dst = append(append(dst, u.plugin...), 0)
	}
	if caps.Has(ConnectAttrs) {
		dst = appendAttrs(dst, u.attrs)
	}
	return dst
}

// ChangeUser authenticates the client anew for a COM_CHANGE_USER, whose argument is arg, on a connection that Accept made;
// login is the session's present one and is left as it is. As after Accept the final OK is still to be sent: the caller
// checks schema and limits, makes the session as new and calls WriteOK, or calls WriteErr and closes the connection.
//
// A client that knows plugins is always asked to authenticate again, as servers do; what it sent along is not looked at. The
// salt is fresh for caching_sha2_password. For mysql_native_password it is the last one of this connection, as on MariaDB:
// that is what its client library uses here, whatever salt it is sent. So do clients before plugins.
//
// After an error the caller closes the connection, as MySQL does: whoever guesses passwords has to connect again for
// each. The client has been told where it can understand it (1045, 1047, 1251); an *Error in the error is what it was
// told. The deadlines are those of the connection; none is set here.
//
// Source: MySQL page_protocol_com_change_user.
func (s *Server) ChangeUser(c *Conn, login *Login, arg []byte) (*Login, error) {
	u, err := parseChangeUser(arg, c.caps)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", c.refuse(NewError(CodeUnknownCommand, "Unknown command")), err)
	}
	next := *login
	next.User, next.Schema, next.Attrs = u.user, u.schema, u.attrs
	if u.collation != 0 {
		next.Collation = u.collation
	}
	a := serverAuth{server: s, conn: c, user: u.user, plugin: u.plugin, proof: u.auth, salt: login.salt, secure: login.secure}
	a.again = c.caps.Has(PluginAuth)
	if err := a.run(); err != nil {
		return nil, err
	}
	next.salt = a.salt
	return &next, nil
}
