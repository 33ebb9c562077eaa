package router

import "fmt"

// Refusal is why a statement is not executed. It is the only error that Plan returns.
type Refusal struct {
	Errno uint16 // of the MySQL error that a server would send, or 1235 for what xaproxy does not support
	State string // SQLSTATE
	Text  string // reason, "at position N" (counted from 1) where there is one, and what to do
	Pos   int    // byte offset of the cause in the statement, -1 when it is the statement as a whole
	// Unknown is the schema, in lower case, that no configuration has and because of which it is not; "" if there is another reason.
	Unknown string
}

func (e *Refusal) Error() string {
	return fmt.Sprintf("%d (%s): %s", e.Errno, e.State, e.Text)
}

// reason is a Refusal whose position still counts in the shape (at < 0: none).
type reason struct {
	errno uint16
	text  string // the reason
	do    string // what to do, may be empty
	at    int
	// unknown is Refusal.Unknown.
	unknown string
}

func (e *reason) Error() string { return e.text }

// states are the SQLSTATEs of the errors that this package sends.
var states = map[uint16]string{
	1054: "42S22", // Unknown column
	1210: "HY000", // Incorrect arguments
	1046: "3D000", // No database selected
	1049: "42000", // Unknown database
	1064: "42000", // You have an error in your SQL syntax
	1146: "42S02", // Table doesn't exist
	1235: "42000", // This version doesn't yet support
	1264: "22003", // Out of range value
	1366: "HY000", // Incorrect integer value
	1406: "22001", // Data too long
	1526: "HY000", // Table has no partition for value
	1110: "42000", // Column specified twice
	1390: "HY000", // Prepared statement contains too many placeholders
}

// refusal turns the reason into an answer about the client's text, pos being the byte offset in it.
func (e *reason) refusal(pos int) *Refusal {
	text := e.text
	if pos >= 0 {
		text += fmt.Sprintf(" (at position %d)", pos+1)
	}
	if e.do != "" {
		text += "; " + e.do
	}
	return &Refusal{Errno: e.errno, State: states[e.errno], Text: text, Pos: pos, Unknown: e.unknown}
}

// unsupported is a reason with errno 1235.
func unsupported(at int, do, format string, args ...any) *reason {
	return &reason{errno: 1235, text: fmt.Sprintf(format, args...), do: do, at: at}
}

// syntax is a reason with errno 1064.
func syntax(at int, format string, args ...any) *reason {
	return &reason{errno: 1064, text: fmt.Sprintf(format, args...), at: at}
}
