module github.com/xaproxy/xaproxy/tests/bench/pgdrivers

go 1.26.2

require (
	github.com/jackc/pgx/v5 v5.7.6
	github.com/lib/pq v1.12.3
	github.com/xaproxy/xaproxy v0.0.0
	golang.org/x/sys v0.32.0
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	github.com/go-sql-driver/mysql v1.10.1 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	golang.org/x/crypto v0.37.0 // indirect
	golang.org/x/text v0.24.0 // indirect
)

replace github.com/xaproxy/xaproxy => ../../..
