// Package live has what a running proxy tells of itself, as tables: sessions, transactions, branches, backends and so on, down to the plan cache and the last
// lines of the log.
//
// A table is a slice of structs, whose tags have the name and the comment of each column. Whoever shows them (the schema xaproxy, the dashboard, xaproxy top,
// the documentation) reads them here, so that a column has one name, one unit and one comment everywhere.
//
// A Source is asked at the moment at which somebody wants to know. Nothing is prepared before that: who asks pays, and takes no lock for longer than it takes
// to copy a few words.
package live
