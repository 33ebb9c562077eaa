package wire

import "errors"

// Relay passes the answers of a server on to a client: whole buffers, as they are, but for sequence ids and status flags.
// A zero Relay changes nothing else. It may be used again and again, by one goroutine at a time. The two sides must agree
// on DeprecateEOF: nothing is translated.
//
// Memory is flat: the read buffer of the server's connection, and while rows stream one larger buffer of a pool. In
// steady state nothing is allocated. Each read becomes at most one write, so a slow client slows the server down and
// nothing piles up between them.
type Relay struct {
	SetStatus   Status  // set in every status on the way to the client; StatusMoreResults: the caller sends more results
	ClearStatus Status  // cleared in every status on the way to the client, before SetStatus is set
	Tracker     Tracker // has its say about the session state on the way to a client with SessionTrack; nil: it stays as it is
	Infile      bool    // Response: pass the server's request for a LOCAL INFILE on to a client that has LocalFiles
	AddWarnings uint16  // added to the count at the end of the answer
	// Cursor: the statement was executed with the wish for a cursor. Only then StatusCursorExists means that no rows follow:
	// servers also set it in results of a procedure that has a cursor of its own open.
	Cursor bool

	columns  int    // Concat: columns of the first result
	warnings uint16 // Concat: warnings of the results whose end was dropped
}

// Result is what an answer held that was relayed. OK.Info and OK.SessionState are not filled in.
type Result struct {
	Err     *Error // the server's ERR, which the client has; nil without one
	OK      OK     // the last OK or EOF as the server sent it
	Rows    uint64 // data rows of all results
	Columns int    // of the last result set
	HadRows bool   // there was a result set, maybe an empty one
}

// SideError says on which side a relay failed.
type SideError struct {
	Backend bool // the server's side; otherwise the client's
	// Torn: what the client has received ends where no ERR can stand, within a packet or among column definitions; its
	// connection must be closed. Otherwise an ERR may be sent next, and the client's session goes on.
	Torn bool
	Err  error
}

// Error names the side and the cause.
func (e *SideError) Error() string {
	if e.Backend {
		return "relay: server: " + e.Err.Error()
	}
	return "relay: client: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *SideError) Unwrap() error { return e.Err }

// ErrShape is the cause when a server's answer cannot follow the earlier ones in Relay.Concat.
var ErrShape = errors.New("the answers of the servers differ in shape")

// Response relays the whole answer to one COM_QUERY or COM_STMT_EXECUTE, all its results, and flushes. Sequence ids
// continue the client's. A session state for a client without SessionTrack is left out.
// An ERR, also one amid the rows, is relayed and ends the answer normally: see Result.Err.
//
// A LOCAL INFILE request of the server is passed on if Infile is set and the client has LocalFiles: the client's file then
// goes to the server, and the final answer back; the deadline of reading from the client is gone then. Otherwise the request is answered with an empty file.
//
// An error is a *SideError. The server's connection must then be closed: its answer has not been read to the end.
//
// Source: MySQL page_protocol_com_query_response, page_protocol_com_stmt_execute_response.
func (r *Relay) Response(client, backend *Conn) (Result, error) {
	s := stream{relay: r, client: client, backend: backend, multi: true, head: true, tail: true}
	return s.run()
}

// Concat relays one of several results of identical shape, so that the client receives one result set: without the column
// definitions unless first, without the end of the rows unless last. Warnings of dropped ends are added up in the last
// one. An ERR is relayed and ends the answer normally; no further Concat may follow then.
//
// A result with another number of columns than the first, or one of several results, is a *SideError of the server's side
// with cause ErrShape.
func (r *Relay) Concat(client, backend *Conn, first, last bool) (Result, error) {
	if first {
		r.columns, r.warnings = 0, 0
	}
	s := stream{relay: r, client: client, backend: backend, concat: true, head: first, tail: last}
	return s.run()
}

// Rows relays what answers COM_STMT_FETCH: rows and their end, without column definitions before them. Otherwise it is as
// Response.
//
// Source: MySQL page_protocol_com_stmt_fetch.
func (r *Relay) Rows(client, backend *Conn) (Result, error) {
	s := stream{relay: r, client: client, backend: backend, phase: phaseRows, head: true, tail: true}
	return s.run()
}

// Fields relays the answer to one COM_FIELD_LIST: column definitions, which have their defaults behind them, and their end.
// Result.Columns counts them. Otherwise it is as Response.
//
// Source: MySQL page_protocol_com_field_list.
func (r *Relay) Fields(client, backend *Conn) (Result, error) {
	result, err := r.Rows(client, backend)
	result.Columns, result.Rows = int(result.Rows), 0
	return result, err
}
