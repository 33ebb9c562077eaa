// Package gather makes one result of the results that several backends have for a statement, as router.Stream says: it merges
// sorted rows, folds groups and aggregates, and counts LIMIT off.
//
// Rows pass by one at a time; nothing is kept but each backend's current row and the group that is being made. The values
// that rows are compared by become keys (key.go): bytes whose order is the server's order. What has no such key, or none
// that is known for certain, is an *Unfit, before the client has seen anything.
//
// The package knows nothing of transactions, and leaves connections whose answer was not read to its end to its caller.
package gather
