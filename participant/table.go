package participant

import (
	"context"
	"errors"
	"fmt"

	"github.com/xaproxy/xaproxy/xa"
)

// Schema is where the tables are, on every backend.
const Schema = "xaproxy"

// tables make on MySQL and MariaDB what is missing; they change nothing that is there.
var tables = []string{
	"CREATE DATABASE IF NOT EXISTS `" + Schema + "`",
	"CREATE TABLE IF NOT EXISTS " + mysqlWords.decision + " (" +
		"gtrid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY COMMENT 'the transaction', " +
		"verdict VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'commit or abort', " +
		"branches TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'that are to be committed: backend:session:server:voted; of abort by whom', " +
		"commit_key VARBINARY(128) NULL UNIQUE COMMENT 'of the client', " +
		"created_at DATETIME NOT NULL COMMENT 'in UTC', INDEX (created_at)) ENGINE = InnoDB",
	"CREATE TABLE IF NOT EXISTS " + mysqlWords.proxy + " (" +
		"coord CHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY COMMENT 'the run of a proxy, as in the gtrid', " +
		"host VARCHAR(255) NOT NULL, pid BIGINT UNSIGNED NOT NULL, " +
		"beat_at DATETIME(6) NOT NULL COMMENT 'in UTC') ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4",
	"CREATE TABLE IF NOT EXISTS " + mysqlWords.incident + " (" +
		"id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, " +
		"gtrid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, backend VARCHAR(64) NOT NULL, what TEXT NOT NULL, " +
		"created_at DATETIME NOT NULL COMMENT 'in UTC') ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4",
}

// postgresTables do it on PostgreSQL. Names are compared byte by byte, as the proxies order them.
var postgresTables = []string{
	"CREATE SCHEMA IF NOT EXISTS " + Schema,
	"CREATE TABLE IF NOT EXISTS " + postgresWords.decision + " (" +
		`gtrid varchar(64) COLLATE "C" PRIMARY KEY, verdict varchar(8) COLLATE "C" NOT NULL, branches text COLLATE "C" NOT NULL, ` +
		"commit_key bytea UNIQUE CHECK (octet_length(commit_key) <= 128), created_at timestamp NOT NULL)",
	"CREATE INDEX IF NOT EXISTS xaproxy_decision_created_at ON " + postgresWords.decision + " (created_at)",
	"CREATE TABLE IF NOT EXISTS " + postgresWords.proxy + " (" +
		`coord varchar(8) COLLATE "C" PRIMARY KEY, host varchar(255) NOT NULL, pid bigint NOT NULL, beat_at timestamp NOT NULL)`,
	"CREATE TABLE IF NOT EXISTS " + postgresWords.incident + " (" +
		`id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gtrid varchar(64) COLLATE "C" NOT NULL, backend varchar(64) NOT NULL, ` +
		"what text NOT NULL, created_at timestamp NOT NULL)",
}

// probes fail where the tables are missing, are not as they are made here, or the account may not use them. They change nothing.
var probes = []string{
	"SELECT gtrid, verdict, branches, commit_key, created_at FROM " + mysqlWords.decision + " LIMIT 0",
	"INSERT INTO " + mysqlWords.decision + " (gtrid, verdict, branches, commit_key, created_at) SELECT '', '', '', NULL, UTC_TIMESTAMP() FROM DUAL WHERE 1 = 0",
	"UPDATE " + mysqlWords.decision + " SET created_at = created_at WHERE gtrid = ''",
	"DELETE FROM " + mysqlWords.decision + " WHERE gtrid = ''",
	"SELECT coord, host, pid, beat_at FROM " + mysqlWords.proxy + " LIMIT 0",
	"INSERT INTO " + mysqlWords.proxy + " (coord, host, pid, beat_at) SELECT '', '', 0, UTC_TIMESTAMP(6) FROM DUAL WHERE 1 = 0 ON DUPLICATE KEY UPDATE beat_at = UTC_TIMESTAMP(6)",
	"DELETE FROM " + mysqlWords.proxy + " WHERE coord = ''",
	"SELECT id, gtrid, backend, what, created_at FROM " + mysqlWords.incident + " LIMIT 0",
	"INSERT INTO " + mysqlWords.incident + " (gtrid, backend, what, created_at) SELECT '', '', '', UTC_TIMESTAMP() FROM DUAL WHERE 1 = 0",
}

// postgresProbes are those of PostgreSQL. The keys must be there by which a fence and a record exclude each other.
var postgresProbes = []string{
	"SELECT gtrid, verdict, branches, commit_key, created_at FROM " + postgresWords.decision + " LIMIT 0",
	"INSERT INTO " + postgresWords.decision + " (gtrid, verdict, branches, commit_key, created_at) SELECT '', '', '', NULL, " + postgresWords.now + " WHERE false ON CONFLICT (gtrid) DO NOTHING",
	"INSERT INTO " + postgresWords.decision + " (gtrid, verdict, branches, commit_key, created_at) SELECT '', '', '', NULL, " + postgresWords.now + " WHERE false ON CONFLICT (commit_key) DO NOTHING",
	"UPDATE " + postgresWords.decision + " SET created_at = created_at WHERE gtrid = ''",
	"DELETE FROM " + postgresWords.decision + " WHERE gtrid = ''",
	"SELECT coord, host, pid, beat_at FROM " + postgresWords.proxy + " LIMIT 0",
	"INSERT INTO " + postgresWords.proxy + " (coord, host, pid, beat_at) SELECT '', '', 0, " + postgresWords.now + " WHERE false" + postgresWords.orBeat(),
	"DELETE FROM " + postgresWords.proxy + " WHERE coord = ''",
	"SELECT id, gtrid, backend, what, created_at FROM " + postgresWords.incident + " LIMIT 0",
	"INSERT INTO " + postgresWords.incident + " (gtrid, backend, what, created_at) SELECT '', '', '', " + postgresWords.now + " WHERE false",
}

// unlogged are the tables that a crash of PostgreSQL would empty.
const unlogged = "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = '" + Schema + "' AND relname LIKE 'xaproxy\\_%' AND relkind = 'r' AND relpersistence <> 'p'"

// Check looks whether the tables are on a server and the account may use them. wrong says what is not so; err that the server could not
// be asked.
func Check(ctx context.Context, s Server) (wrong, err error) {
	w, all := wordsOf(s), probes
	if w.postgres {
		all = postgresProbes
		err := s.Each(ctx, w.hint+unlogged, func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			wrong = fmt.Errorf("the table %s.%s is UNLOGGED, so that a crash empties it; run ALTER TABLE %[1]s.%[2]s SET LOGGED", Schema, name)
			return err
		})
		if wrong != nil || err != nil {
			return wrong, err
		}
	}
	for _, probe := range all {
		_, err := s.Exec(ctx, w.hint+probe)
		var said *xa.ServerError
		switch {
		case errors.As(err, &said):
			return err, nil
		case err != nil:
			return nil, err
		}
	}
	return nil, nil
}

// Create makes on a server what is missing.
func Create(ctx context.Context, s Server) error {
	w, all := wordsOf(s), tables
	if w.postgres {
		all = postgresTables
	}
	for _, statement := range all {
		if _, err := s.Exec(ctx, w.hint+statement); err != nil {
			return err
		}
	}
	return nil
}
