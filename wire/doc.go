// Package wire speaks the MySQL client/server protocol, in both roles, and nothing above it: packets, handshakes,
// authentication, compression, OK, ERR, EOF, column and row packets, and the relay of one answer from a server to a client. It knows
// no SQL, no routing and no transactions.
//
// A server role begins with Server.Accept and then loops over Conn.ReadCommand; a client role begins with Dialer.Dial
// and then repeats Conn.SendCommand followed by Conn.ReadResult, or by Relay.Response when the answer belongs to
// somebody else:
//
//	front, login, err := server.Accept(ctx, nc, id)  // checked password, the OK is still to be sent
//	front.WriteOK(wire.OK{Status: wire.StatusAutocommit})
//	back, _, err := dialer.Dial(ctx)
//	for {
//		cmd, arg, err := front.ReadCommand()
//		back.SendCommand(cmd, arg)
//		result, err := relay.Response(front, back)   // whole buffers, no allocation
//	}
//
// Both sides follow the documents of the protocol: https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html
// (named "MySQL page_protocol_..." below) and https://mariadb.com/kb/en/clientserver-protocol/ ("MariaDB KB ...").
//
// # Sequence ids
//
// Every packet carries a one-byte id. A command starts at 0 and each further packet of the exchange, in either
// direction, takes the next id, wrapping at 256; so an answer starts at the id after the last packet of the request, which
// is not 1 when the request was longer than 16 MB. Conn counts in one place, for both directions: Conn.Seq.
//
// # Trust
//
// Peers are not trusted: a length in a packet never makes the package allocate before the bytes have arrived, malformed
// packets are errors and never panics. Passwords and hashes never appear in an error.
package wire
