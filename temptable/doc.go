// Package temptable makes temporary tables like the tables of backends, and the statements that load them with the rows that a
// statement needs of them: table.go reads a table's definition and writes that of a temporary table like it, row.go writes the
// rows that backends send as INSERTs. It knows nothing of transactions, and has no connections of its own.
package temptable
