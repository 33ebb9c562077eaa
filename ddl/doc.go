// Package ddl runs statements that change what several backends have of a table or a schema, and remembers how far they have come:
// no backend can undo another one's DDL, so what failed on some of them is finished later instead.
//
// A Journal is two tables in the schema xaproxy on the first backend of the configuration. Each statement is a record there, with a
// part for each backend, written before anything runs:
//
//	pending ──▶ running ──▶ done
//	               │  └───▶ failed     the server said why
//	               └ the proxy or the server died: nobody knows
//
// Begin locks the tables of the statement (GET_LOCK on the journal's backend, so that two proxies exclude each other), notes their
// definitions, and writes the record; Execute runs the parts at once; Finish closes the record if all are done, or if all have
// failed, which is as if nothing had been asked for. While a record is open, Begin refuses other statements about its tables.
//
// Resume runs what is missing. Of a part that was running it looks at the definitions: as they were before, it runs again; as on a
// backend that is done, it is done. What that does not tell is left to the operator.
//
// Describe and Differences compare what backends have of a table, of MariaDB and MySQL too.
package ddl
