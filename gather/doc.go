// Package gather makes one result of what several backends have for a statement.
//
// Scratch execution brings rows of several backends together: table.go reads a table's definition and writes that of a temporary
// table like it, row.go writes the rows that its backends send as the INSERTs that load them. The package knows nothing of
// transactions, and has no connections of its own.
package gather
