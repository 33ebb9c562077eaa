// Package virtual is the schema xaproxy: SQL over the tables of package live.
//
// The SQL is go-mysql-server's, which a program has that is built with the tag gms_pure_go: releases are. Without that tag, as "go install" builds it, the
// tables can be listed with SHOW XAPROXY, which needs no SQL engine, and Ask says so. The reason is in docs/dependencies.md.
//
// The engine is made when somebody asks first. Each statement sees every table as it was at one moment, when the statement first looked at it.
package virtual
