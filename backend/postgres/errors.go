package postgres

import (
	"errors"
	"strings"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/xaproxy/xaproxy/wire"
)

// translation is a row of the table of errors.
type translation struct {
	sqlstate string // PostgreSQL's; two characters are a whole class
	errno    uint16
	state    string // MySQL's
	text     string // of MySQL's message: {…} are parts of PostgreSQL's; "" is PostgreSQL's message
}

// translations is the table of errors, most specific rows first within a SQLSTATE: docs/postgres.md shows it. So that a client's code for
// MySQL does the same, a number is chosen for what clients do about it: retry, report a duplicate, create a table.
//
// Source: PostgreSQL manual, "PostgreSQL Error Codes"; MySQL "Server Error Message Reference".
var translations = []translation{
	{"21000", 1242, "21000", "Subquery returns more than 1 row"},
	{"22001", 1406, "22001", "Data too long"},
	{"22003", 1264, "22003", "Out of range value"},
	{"22007", 1292, "22007", "Incorrect datetime value"},
	{"22008", 1292, "22007", "Incorrect datetime value"},
	{"22009", 1298, "HY000", "Unknown or incorrect time zone"},
	{"22012", 1365, "22012", "Division by 0"},
	{"22021", 1366, "HY000", "Incorrect string value"},
	{"22P02", 1366, "HY000", "Incorrect value"},
	{"22P03", 1366, "HY000", "Incorrect value"},
	{"22P05", 1366, "HY000", "Incorrect string value"},
	{"2201B", 1139, "42000", "Got error from regexp"},
	{"2201W", 1210, "HY000", "Incorrect arguments to LIMIT"},
	{"2201X", 1210, "HY000", "Incorrect arguments to OFFSET"},
	{"2200H", 1467, "HY000", "Failed to read auto-increment value from storage engine"},
	{"22023", 1210, "HY000", "Incorrect arguments"},
	{"22032", 3140, "22032", "Invalid JSON text"},
	{"22", 1366, "HY000", "Incorrect value"},
	{"23001", errnoReferenced, "23000", referenced}, // of ON DELETE RESTRICT, from 18 on
	{"23502", 1048, "23000", "Column '{column}' cannot be null"},
	{"23503", 1452, "23000", "Cannot add or update a child row: a foreign key constraint fails (constraint '{constraint}')"},
	{"23505", 1062, "23000", "Duplicate entry '{value}' for key '{table}.{constraint}'"},
	{"23514", 3819, "HY000", "Check constraint '{constraint}' is violated."},
	{"23P01", 1062, "23000", "Duplicate entry '{value}' for key '{table}.{constraint}'"},
	{"25001", 1399, "XAE07", "The command cannot be executed when a transaction is active"},
	{"25006", 1792, "25006", "Cannot execute statement in a READ ONLY transaction"},
	{"25P02", 1399, "XAE07", "The transaction has failed and must be rolled back"},
	{"28000", 1045, "28000", "Access denied"},
	{"28P01", 1045, "28000", "Access denied"},
	{"2BP01", 3730, "HY000", "Cannot drop it: other objects depend on it"},
	{"3B001", 1305, "42000", "SAVEPOINT does not exist"},
	{"3D000", 1049, "42000", "Unknown database"},
	{"3F000", 1049, "42000", "Unknown database"},
	{"40001", 1213, "40001", "Deadlock found when trying to get lock; try restarting transaction"},
	{"40P01", 1213, "40001", "Deadlock found when trying to get lock; try restarting transaction"},
	{"40", 1213, "40001", "The transaction was rolled back; try restarting transaction"},
	{"42501", 1142, "42000", "Command denied"},
	{"42601", 1064, "42000", "You have an error in your SQL syntax"},
	{"42602", 1103, "42000", "Incorrect name"},
	{"42622", 1059, "42000", "Identifier name is too long"},
	{"42701", 1060, "42S21", "Duplicate column name"},
	{"42702", 1052, "23000", "Column is ambiguous"},
	{"42703", 1054, "42S22", "Unknown column"},
	{"42704", 1305, "42000", "It does not exist"},
	{"42710", 1061, "42000", "It exists already"},
	{"42712", 1066, "42000", "Not unique table/alias"},
	{"42723", 1304, "42000", "It exists already"},
	{"42725", 1305, "42000", "Function is not unique"},
	{"42803", 1055, "42000", "Expression is not in GROUP BY"},
	{"42804", 1210, "HY000", "Incorrect arguments: types do not match"},
	{"42830", 1215, "HY000", "Cannot add foreign key constraint"},
	{"42846", 1210, "HY000", "Incorrect arguments: the type cannot be converted"},
	{"42883", 1305, "42000", "FUNCTION or operator does not exist"},
	{"42P01", 1146, "42S02", "Table doesn't exist"},
	{"42P02", 1210, "HY000", "Incorrect arguments: no such parameter"},
	{"42P04", 1007, "HY000", "Can't create database; database exists"},
	{"42P06", 1007, "HY000", "Can't create database; database exists"},
	{"42P07", 1050, "42S01", "Table already exists"},
	{"42P10", 1054, "42S22", "Unknown column"},
	{"42P18", 1210, "HY000", "Incorrect arguments: the type of a parameter is not known"},
	{"42P21", 1267, "HY000", "Illegal mix of collations"},
	{"42P22", 1267, "HY000", "Illegal mix of collations"},
	{"42", 1064, "42000", "You have an error in your SQL syntax"},
	{"53100", 1021, "HY000", "Disk full"},
	{"53200", 1041, "HY000", "Out of memory"},
	{"53300", 1040, "08004", "Too many connections"},
	{"54001", 1436, "HY000", "Thread stack overrun"},
	{"54011", 1117, "HY000", "Too many columns"},
	{"55006", 1399, "XAE07", "It is in use"},
	{"55P03", 1205, "HY000", "Lock wait timeout exceeded; try restarting transaction"},
	{"57014", 1317, "70100", "Query execution was interrupted"},
	{"0A000", 1235, "42000", "This version of PostgreSQL doesn't support it"},
}

// otherError is that of all SQLSTATEs that are not in the table.
var otherError = translation{"", 1105, "HY000", ""}

// Numbers of MySQL's error reference that a SQLSTATE alone does not tell.
const (
	errnoReferenced = 1451 // ER_ROW_IS_REFERENCED_2
	errnoQueryTime  = 3024 // ER_QUERY_TIMEOUT
	errnoNoWait     = 3572 // ER_LOCK_NOWAIT
)

const referenced = "Cannot delete or update a parent row: a foreign key constraint fails (constraint '{constraint}')"

// checks are the CHECK constraints of translated tables, by the last word of their names: what MySQL's type of the column allows.
var checks = map[string]translation{
	"range":  {"23514", 1264, "22003", "Out of range value for column '{column}'"},
	"length": {"23514", 1406, "22001", "Data too long for column '{column}'"},
	"value":  {"23514", 1265, "01000", "Data truncated for column '{column}'"},
}

// checkOf is the row of checks that an error is about, and the column; false if it is about a CHECK of the client's.
func checkOf(e *pq.Error) (t translation, column string, ok bool) {
	constraint := strings.TrimPrefix(e.Constraint, e.Table+".") // the translation of CREATE TABLE names it so
	if e.Code != "23514" || constraint == e.Constraint {
		return t, "", false
	}
	column, kind, _ := cutLast(constraint)
	t, ok = checks[kind]
	return t, column, ok
}

// cutLast cuts the last word off.
func cutLast(s string) (before, last string, found bool) {
	at := strings.LastIndexByte(s, ' ')
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+1:], true
}

// translate makes MySQL's error of PostgreSQL's. PostgreSQL's own words, detail and SQLSTATE stand behind MySQL's.
func translate(e *pq.Error) *wire.Error {
	t := translationOf(string(e.Code))
	constraint := strings.TrimPrefix(e.Constraint, e.Table+".")
	column := e.Column
	if check, of, ok := checkOf(e); ok {
		t, column = check, of
	}
	switch {
	case e.Code == "21000" && strings.HasPrefix(e.Message, "ON CONFLICT"):
		t = translation{"21000", wire.CodeNotSupported.Errno(), "42000", "new rows of one INSERT … ON DUPLICATE KEY UPDATE or REPLACE that meet one another by bound values are not translated; insert them one by one"}
	case e.Code == "42P10" && strings.Contains(e.Message, "matching the ON CONFLICT specification"):
		t = translation{"42P10", wire.CodeNotSupported.Errno(), "42000", "ON DUPLICATE KEY UPDATE and REPLACE are not translated for a key WITHOUT OVERLAPS"}
	case e.Code == "22P02" && strings.Contains(e.Message, "type json"):
		t = translationOf("22032")
	case e.Code == "23503" && (strings.Contains(e.Detail, "still referenced") || strings.HasPrefix(e.Message, "update or delete")):
		t.errno, t.text = errnoReferenced, referenced
	case e.Code == "57014" && strings.Contains(e.Message, "statement timeout"):
		t = translation{"57014", errnoQueryTime, "HY000", "Query execution was interrupted, maximum statement execution time exceeded"}
	case e.Code == "55P03" && strings.HasPrefix(e.Message, "could not obtain lock"):
		t = translation{"55P03", errnoNoWait, "HY000", "Statement aborted because lock(s) could not be acquired immediately and NOWAIT is set"}
	}
	message := strings.NewReplacer("{column}", column, "{constraint}", constraint, "{table}", e.Table, "{value}", keyValue(e.Detail)).Replace(t.text)
	var b strings.Builder
	b.WriteString(message)
	if message != "" {
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	for _, more := range []string{e.Detail, e.Hint} {
		if more != "" {
			b.WriteString(". " + strings.TrimSuffix(more, "."))
		}
	}
	b.WriteString(" (PostgreSQL " + string(e.Code) + ")")
	return &wire.Error{Errno: t.errno, State: t.state, Message: b.String()}
}

func translationOf(sqlstate string) translation {
	for _, t := range translations {
		if t.sqlstate == sqlstate {
			return t
		}
	}
	for _, t := range translations {
		if len(t.sqlstate) == 2 && strings.HasPrefix(sqlstate, t.sqlstate) {
			return t
		}
	}
	return otherError
}

// keyValue finds the value in a detail such as: Key (a, b)=(1, x) already exists. It is written as MySQL does: 1-x.
func keyValue(detail string) string {
	_, value, found := strings.Cut(detail, ")=(")
	if !found {
		return ""
	}
	if end := strings.LastIndex(value, ")"); end >= 0 {
		value = value[:end]
	}
	return strings.ReplaceAll(value, ", ", "-")
}

// fatal tells whether PostgreSQL has ended the session with the error.
func fatal(e *pq.Error) bool {
	return e.Severity == pqerror.SeverityFatal || e.Severity == pqerror.SeverityPanic
}

// said returns PostgreSQL's own error in err, nil if there is none or the session is over with it.
func said(err error) *pq.Error {
	var e *pq.Error
	if errors.As(err, &e) && !fatal(e) {
		return e
	}
	return nil
}
