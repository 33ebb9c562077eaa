package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
)

// newProxy is a proxy with PostgreSQL alone behind it.
func newProxy(t *testing.T, script ...string) (*face, *proxytest.Proxy) {
	f := newFace(t, script...)
	if err := f.dialer.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	pg := proxytest.On("pg", f.server)
	pg.Lines = []string{fmt.Sprintf("database = %q", f.database)}
	return f, proxytest.Run(t, proxytest.Options{Backends: []proxytest.Backend{pg}, Schemas: []config.Schema{{Name: "shop", Backend: "pg"}}})
}

// connecting is what client libraries and tools send when they connect.
var connecting = map[string][]string{
	"mysql":   {"select @@version_comment limit 1", "select USER()", "SELECT DATABASE()", "show databases", "show tables"},
	"mariadb": {"select @@version_comment limit 1", "SET NAMES utf8mb4"},
	"Connector/J": {
		"SELECT  @@session.auto_increment_increment AS auto_increment_increment, @@character_set_client AS character_set_client, @@character_set_connection AS character_set_connection, " +
			"@@character_set_results AS character_set_results, @@character_set_server AS character_set_server, @@collation_server AS collation_server, @@collation_connection AS collation_connection, " +
			"@@init_connect AS init_connect, @@interactive_timeout AS interactive_timeout, @@license AS license, @@lower_case_table_names AS lower_case_table_names, @@max_allowed_packet AS max_allowed_packet, " +
			"@@net_write_timeout AS net_write_timeout, @@performance_schema AS performance_schema, @@sql_mode AS sql_mode, @@system_time_zone AS system_time_zone, @@time_zone AS time_zone, " +
			"@@transaction_isolation AS transaction_isolation, @@wait_timeout AS wait_timeout",
		"SET character_set_results = NULL", "SET autocommit=1", "SET sql_mode='STRICT_TRANS_TABLES'", "select @@session.transaction_read_only", "SELECT @@session.transaction_isolation", "SHOW WARNINGS",
		"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "set session transaction read write",
	},
	"MariaDB Connector/J": {
		"set session_track_schema=1,session_track_system_variables='auto_increment_increment', sql_mode=concat(@@sql_mode,',STRICT_TRANS_TABLES')",
		"select @@max_allowed_packet, @@wait_timeout", "SELECT @@system_time_zone, @@time_zone",
	},
	"Python": {"SET NAMES 'utf8mb4' COLLATE 'utf8mb4_0900_ai_ci'", "SET @@session.autocommit = OFF", "SELECT VERSION()", "SHOW VARIABLES LIKE 'sql_mode'", "SHOW VARIABLES LIKE 'lower_case_table_names'", "SELECT @@lower_case_table_names", "SELECT 'test plain returns' AS anon_1", "ROLLBACK"},
	"Django": {
		"SET SQL_AUTO_IS_NULL = 0", "SELECT VERSION(), @@sql_mode, @@default_storage_engine, @@sql_auto_is_null, @@lower_case_table_names, CONVERT_TZ('2001-01-01 01:00:00', 'UTC', 'UTC') IS NOT NULL",
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
	},
	"Rails":  {"SET NAMES utf8mb4, @@SESSION.sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), @@SESSION.sql_auto_is_null = 0, @@SESSION.wait_timeout = 2147483", "SELECT @@max_allowed_packet"},
	"PHP":    {"SET NAMES utf8mb4", "set session sql_mode='ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'", "select database()"},
	"Node":   {"SET SESSION time_zone = '+00:00'", "SELECT 1 + 1 AS solution"},
	"others": {"SET @a = 1, @b = 'x'", "SET innodb_lock_wait_timeout = 10", "SET foreign_key_checks = 1", "SET unique_checks = 0", "SELECT CONNECTION_ID()", "SHOW STATUS LIKE 'Threads_connected'", "SELECT NOW()", "SELECT LAST_INSERT_ID()", "SELECT ROW_COUNT()", "SHOW COUNT(*) WARNINGS", "SELECT 1 FROM DUAL"},
}

// What clients send when they connect is understood, with PostgreSQL alone as with MySQL; what follows works in the same session.
func TestConnecting(t *testing.T) {
	_, p := newProxy(t, "CREATE TABLE t (id int PRIMARY KEY, n int)", "INSERT INTO t VALUES (1, 10)")
	db := p.DB(t, "shop")
	for client, statements := range connecting {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range append(statements, "SELECT n FROM t WHERE id = 1", "BEGIN", "UPDATE t SET n = n + 0 WHERE id = 1", "COMMIT") {
			if strings.HasPrefix(strings.ToUpper(s), "SELECT") || strings.HasPrefix(strings.ToUpper(s), "SHOW") {
				rows, err := c.QueryContext(t.Context(), s)
				if err != nil {
					t.Errorf("%s: %.100s: %v", client, s, err)
					continue
				}
				n := 0
				for rows.Next() {
					n++
				}
				if err := rows.Err(); err != nil || n == 0 && !strings.Contains(strings.ToUpper(s), "WARNINGS") {
					t.Errorf("%s: %.100s: %d rows, %v", client, s, n, err)
				}
				continue
			}
			if _, err := c.ExecContext(t.Context(), s); err != nil {
				t.Errorf("%s: %.100s: %v", client, s, err)
			}
		}
		_ = c.Raw(func(any) error { return fmt.Errorf("not for the next client") }) // closes it
		_ = c.Close()
	}
}
