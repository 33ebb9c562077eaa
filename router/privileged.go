package router

import "strings"

// privileged tells whether the statement shows or takes what belongs to the server as a whole: accounts, what other sessions
// do, the values in all columns, files. Stored code runs with the rights of its maker, which is the account of all clients, and may
// hide anything. A user who is limited to schemas would get around the limit that way.
func (st *stmt) privileged() bool {
	if st.word(0) == "SHOW" && st.any(st.shown(), showPrivileged) || st.storesCode() {
		return true
	}
	for i, t := range st.toks {
		switch name := strings.ToUpper(t.name); {
		case name == "LOAD_FILE" && st.op(i+1, "("), st.words(i, "INTO", "OUTFILE"), st.words(i, "INTO", "DUMPFILE"):
			return true
		case !serverTables[name]:
		case st.op(i-1, ".") && i >= 2 && strings.EqualFold(st.toks[i-2].name, informationSchema), strings.EqualFold(st.schema, informationSchema):
			return true
		}
	}
	return false
}

// storesCode tells whether the statement makes or changes a stored program.
func (st *stmt) storesCode() bool {
	if w := st.word(0); w != "CREATE" && w != "ALTER" {
		return false
	}
	for i := 1; i < len(st.toks); i++ {
		switch st.word(i) {
		case "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE":
			return true
		case "TABLE", "VIEW", "INDEX", "DATABASE", "SCHEMA", "SEQUENCE":
			return false
		}
	}
	return false
}

const informationSchema = "information_schema"

// showPrivileged are the SHOW statements about the whole server, by the words behind SHOW and its modifiers.
var showPrivileged = [][]string{
	{"GRANTS"},
	{"CREATE", "USER"},
	{"ENGINE"},
	{"BINLOG"},
	{"BINARY"},
	{"RELAYLOG"},
	{"MASTER"},
	{"SLAVE"},
	{"REPLICA"},
	{"REPLICAS"},
	{"EXPLAIN"},
	{"ANALYZE"},
	{"FORMAT"},
	{"CLIENT_STATISTICS"},
	{"USER_STATISTICS"},
	{"QUERY_RESPONSE_TIME"},
}

// public are the tables of performance_schema that show nothing of what sessions do and who they are: they are as if they were in
// information_schema. mysqldump asks for the first; the others are what SHOW VARIABLES and SHOW STATUS show.
// https://dev.mysql.com/doc/refman/9.4/en/performance-schema-table-descriptions.html
var public = map[string]bool{
	"column_masking_policy": true, "global_variables": true, "session_variables": true, "global_status": true, "session_status": true,
}

// serverTables are the tables of information_schema that show more than names and definitions.
// https://dev.mysql.com/doc/refman/9.4/en/information-schema.html
// https://mariadb.com/docs/server/reference/system-tables/information-schema/information-schema-tables
var serverTables = map[string]bool{
	"PROCESSLIST": true, "INNODB_TRX": true, "INNODB_LOCKS": true, "INNODB_LOCK_WAITS": true, "METADATA_LOCK_INFO": true,
	"QUERY_CACHE_INFO": true, "CLIENT_STATISTICS": true, "USER_STATISTICS": true, "USER_VARIABLES": true, "COLUMN_STATISTICS": true,
	"USER_PRIVILEGES": true, "USER_ATTRIBUTES": true, "SCHEMA_PRIVILEGES": true, "TABLE_PRIVILEGES": true, "COLUMN_PRIVILEGES": true,
	"INNODB_FT_INDEX_CACHE": true, "INNODB_FT_INDEX_TABLE": true, "INNODB_FT_BEING_DELETED": true, "INNODB_FT_DELETED": true,
}
