// Package backend owns the connections to the databases, and the branch verbs that are sent on them.
//
// There are two kinds of connection. Statements of clients travel on raw connections (Conn), which are pooled per
// backend and whose answers are relayed untouched. Recovery, start checks and health look at a server through Admin,
// an ordinary database/sql pool that never carries a client's statement.
//
// A raw connection is lent by Get and comes back by exactly one of Put and Close. Between the two it has one user.
// The rule is clean or closed: Put keeps a connection only if its last answer was read to the end, no transaction is
// open on it and everything that the client changed in its session is known (Session); otherwise Put closes it.
// A connection with an XA branch is never reset while the branch exists, because MariaDB corrupts a prepared branch
// whose session is reset.
package backend
