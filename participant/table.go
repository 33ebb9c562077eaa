package participant

import (
	"context"
	"errors"

	"github.com/xaproxy/xaproxy/xa"
)

// Schema is where the tables are, on every backend.
const Schema = "xaproxy"

const (
	decisionTable = "`xaproxy`.`xaproxy_decision`"
	proxyTable    = "`xaproxy`.`xaproxy_proxy`"
	incidentTable = "`xaproxy`.`xaproxy_incident`"
)

// tables make what is missing; they change nothing that is there.
var tables = []string{
	"CREATE DATABASE IF NOT EXISTS `" + Schema + "`",
	"CREATE TABLE IF NOT EXISTS " + decisionTable + " (" +
		"gtrid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY COMMENT 'the transaction', " +
		"verdict VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'commit or abort', " +
		"branches TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'that are to be committed: backend:session:server:voted; of abort by whom', " +
		"commit_key VARBINARY(128) NULL UNIQUE COMMENT 'of the client', " +
		"created_at DATETIME NOT NULL COMMENT 'in UTC', INDEX (created_at)) ENGINE = InnoDB",
	"CREATE TABLE IF NOT EXISTS " + proxyTable + " (" +
		"coord CHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY COMMENT 'the run of a proxy, as in the gtrid', " +
		"host VARCHAR(255) NOT NULL, pid BIGINT UNSIGNED NOT NULL, " +
		"beat_at DATETIME(6) NOT NULL COMMENT 'in UTC') ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4",
	"CREATE TABLE IF NOT EXISTS " + incidentTable + " (" +
		"id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, " +
		"gtrid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, backend VARCHAR(64) NOT NULL, what TEXT NOT NULL, " +
		"created_at DATETIME NOT NULL COMMENT 'in UTC') ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4",
}

// probes fail where the tables are missing, are not as they are made here, or the account may not use them. They change nothing.
var probes = []string{
	"SELECT gtrid, verdict, branches, commit_key, created_at FROM " + decisionTable + " LIMIT 0",
	"INSERT INTO " + decisionTable + " (gtrid, verdict, branches, commit_key, created_at) SELECT '', '', '', NULL, UTC_TIMESTAMP() FROM DUAL WHERE 1 = 0",
	"UPDATE " + decisionTable + " SET created_at = created_at WHERE gtrid = ''",
	"DELETE FROM " + decisionTable + " WHERE gtrid = ''",
	"SELECT coord, host, pid, beat_at FROM " + proxyTable + " LIMIT 0",
	"INSERT INTO " + proxyTable + " (coord, host, pid, beat_at) SELECT '', '', 0, UTC_TIMESTAMP(6) FROM DUAL WHERE 1 = 0 ON DUPLICATE KEY UPDATE beat_at = UTC_TIMESTAMP(6)",
	"DELETE FROM " + proxyTable + " WHERE coord = ''",
	"SELECT id, gtrid, backend, what, created_at FROM " + incidentTable + " LIMIT 0",
	"INSERT INTO " + incidentTable + " (gtrid, backend, what, created_at) SELECT '', '', '', UTC_TIMESTAMP() FROM DUAL WHERE 1 = 0",
}

// Check looks whether the tables are on a server and the account may use them. wrong says what is not so; err that the server could not
// be asked.
func Check(ctx context.Context, s Server) (wrong, err error) {
	for _, probe := range probes {
		_, err := s.Exec(ctx, probe)
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
	for _, statement := range tables {
		if _, err := s.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
