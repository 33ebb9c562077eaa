package backend

import (
	"strings"

	"github.com/xaproxy/xaproxy/wire"
)

// Session is the part of a client's session that a connection must have before it runs the client's statements. The
// zero value is that of a connection without a schema and with the server's defaults.
type Session struct {
	// Caps and Collation can only be chosen in the handshake, so they tell which connections can serve at all.
	Caps      wire.Capability // of HandshakeCaps
	Collation uint16          // id in the client's login
	Schema    string          // current schema; "" for none
	Set       [2]Set          // for MySQL and for MariaDB, which do not have the same variables
}

// Set is the SET statements that bring a fresh connection to the client's variables, each followed by a semicolon; "" when it
// changed none. N is their number.
type Set struct {
	SQL string
	N   int
}

// HandshakeCaps are the capabilities of a client that a connection must have been opened with to answer alike. A relay
// needs those that change the form of answers (DeprecateEOF, SessionTrack) to be the same on both sides.
const HandshakeCaps = wire.FoundRows | wire.IgnoreSpace | wire.LocalFiles | wire.MultiResults | wire.PSMultiResults |
	wire.SessionTrack | wire.DeprecateEOF | wire.QueryAttributes

// canBecome reports whether a connection in state s can be brought to t. A schema cannot be unselected.
func (s *Session) canBecome(t *Session) bool {
	return s.Caps == t.Caps && s.Collation == t.Collation && (s.Schema == "" || t.Schema != "")
}

// Quote returns name as a quoted identifier.
func Quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
