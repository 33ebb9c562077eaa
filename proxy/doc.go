// Package proxy owns the client's side: the listener, one session per client connection, what of its state must be
// replayed on backend connections, and which transaction it is in.
//
// A session is one goroutine: it reads a command, asks the router for a plan, sends the statement to the backends that
// the plan names and relays the answer. Outside of a transaction it borrows a connection for the length of one
// statement; inside, each backend that it touches has a branch of the transaction on a connection of its own until
// COMMIT or ROLLBACK, which package xa runs.
//
// The client's text is what the backends get. Whatever must run before it (the schema, session variables, XA START,
// savepoints) travels in front of it in the same packet.
package proxy
