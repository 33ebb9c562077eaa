// Package trace tells a collector, by OpenTelemetry's protocol (OTLP over HTTP), how statements and transactions went.
//
//	statement                          the client's span is its parent, if its text names one (sqlcommenter's traceparent)
//	  backend                          for each that it has waited for
//	transaction                        from its first branch to its end; statements without a parent of their own are its children
//	  branch                           from its start to its end
//	    prepare, commit, rollback      from the question to the answer
//	  preparing, deciding, committing  the states of the transaction: docs/protocol.md
//
// What a span says is known when it has ended, so statements that run carry nothing along. Values of statements are never in one.
//
// Sources: W3C Trace Context (traceparent), the sqlcommenter specification, and OpenTelemetry's semantic conventions for database spans.
package trace
