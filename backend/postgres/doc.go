// Package postgres makes a PostgreSQL database appear as a MySQL server, so that the rest of xaproxy has one kind of backend.
//
// Dialer.Dial logs in to PostgreSQL with lib/pq and returns a net.Conn behind which a coroutine speaks the server's side of the MySQL
// protocol (link.go, session.go), and reads PostgreSQL's messages itself (messages.go, rows.go, extended.go). Each such connection stands for one PostgreSQL session:
//
//   - Statements come with MySQL's words. What xaproxy itself sends (SET, USE, XA, SAVEPOINT, KILL, questions about variables) is carried
//     out here (own.go, transaction.go, xa.go, variable.go, show.go, ask.go). Everything else is the client's: package dialect translates it (foreign.go), or it runs as it is behind the comment
//     /* xaproxy: dialect=postgres */.
//   - XA verbs become BEGIN, PREPARE TRANSACTION, COMMIT PREPARED and ROLLBACK PREPARED (xa.go).
//   - Errors become MySQL's (errors.go), types and values too (types.go, resulttype.go, value.go). A value that MySQL cannot express is an error, never
//     another value.
//
// The session ends with either of its two connections: Close of the returned net.Conn closes the one to PostgreSQL.
package postgres
