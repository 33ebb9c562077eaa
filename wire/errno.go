package wire

import "fmt"

// Code names one of the errors that xaproxy itself sends; what a backend says is relayed as it is.
type Code uint8

// The errors that xaproxy itself sends. Numbers and states are in the table below.
const (
	CodeUnknown Code = iota
	CodeTooManyConnections
	CodeHandshake
	CodeDBAccessDenied
	CodeAccessDenied
	CodeNoDB
	CodeUnknownCommand
	CodeUnknownDatabase
	CodeServerShutdown
	CodeParse
	CodeTooBigSelect
	CodeNoTable
	CodePacketTooLarge
	CodePacketOrder
	CodeSafeUpdate
	CodeRolledBack
	CodeUserLimit
	CodeLockWait
	CodeDeadlock
	CodePrivilege
	CodeNotSupported
	CodeUnknownStatement
	CodeAuthProtocol
	CodeReadOnly
	CodeQueryInterrupted
	CodeXANota
	CodeXAInval
	CodeXARMFail
	CodeXAOutside
	CodeXARMErr
	CodeXARBRollback
	CodeBackendDown
	CodeXADupID
	CodeSequence
	CodeXARBTimeout
	CodeXARBDeadlock
	CodeMalformed
	CodeTLSRequired
	CodeInDoubt
	CodeKeyCommitted
	CodeKeyRunning
)

// errnoEntry is one row of the errno table.
type errnoEntry struct {
	name      string // symbol in the MySQL error reference, or XAPROXY_... for our own
	errno     uint16
	state     string // SQLSTATE
	retriable bool   // the same transaction, tried again from its start, may succeed
}

// errnos is the one table of the errors that xaproxy itself sends.
//
// Source: MySQL "Server Error Message Reference". Two entries differ on purpose: ER_ERROR_DURING_COMMIT carries class 40
// (transaction rollback), because here it always means that the transaction is rolled back everywhere; those from 20041 on are outside
// of the servers' ranges. 20041 carries 08007 (transaction resolution unknown) of the SQL standard, 20042 a state of our own, because
// what a client does about it is like nothing else: it goes on.
var errnos = [...]errnoEntry{
	CodeUnknown:            {"ER_UNKNOWN_ERROR", 1105, "HY000", false},
	CodeTooManyConnections: {"ER_CON_COUNT_ERROR", 1040, "08004", true},
	CodeHandshake:          {"ER_HANDSHAKE_ERROR", 1043, "08S01", false},
	CodeDBAccessDenied:     {"ER_DBACCESS_DENIED_ERROR", 1044, "42000", false},
	CodeAccessDenied:       {"ER_ACCESS_DENIED_ERROR", 1045, "28000", false},
	CodeNoDB:               {"ER_NO_DB_ERROR", 1046, "3D000", false},
	CodeUnknownCommand:     {"ER_UNKNOWN_COM_ERROR", 1047, "08S01", false},
	CodeUnknownDatabase:    {"ER_BAD_DB_ERROR", 1049, "42000", false},
	CodeServerShutdown:     {"ER_SERVER_SHUTDOWN", 1053, "08S01", true},
	CodeParse:              {"ER_PARSE_ERROR", 1064, "42000", false},
	CodeTooBigSelect:       {"ER_TOO_BIG_SELECT", 1104, "42000", false},
	CodeNoTable:            {"ER_NO_SUCH_TABLE", 1146, "42S02", false},
	CodePacketTooLarge:     {"ER_NET_PACKET_TOO_LARGE", 1153, "08S01", false},
	CodePacketOrder:        {"ER_NET_PACKETS_OUT_OF_ORDER", 1156, "08S01", false},
	CodeSafeUpdate:         {"ER_UPDATE_WITHOUT_KEY_IN_SAFE_MODE", 1175, "HY000", false},
	CodeRolledBack:         {"ER_ERROR_DURING_COMMIT", 1180, "40000", true},
	CodeUserLimit:          {"ER_TOO_MANY_USER_CONNECTIONS", 1203, "42000", true},
	CodeLockWait:           {"ER_LOCK_WAIT_TIMEOUT", 1205, "HY000", true},
	CodeDeadlock:           {"ER_LOCK_DEADLOCK", 1213, "40001", true},
	CodePrivilege:          {"ER_SPECIFIC_ACCESS_DENIED_ERROR", 1227, "42000", false},
	CodeNotSupported:       {"ER_NOT_SUPPORTED_YET", 1235, "42000", false},
	CodeUnknownStatement:   {"ER_UNKNOWN_STMT_HANDLER", 1243, "HY000", false},
	CodeAuthProtocol:       {"ER_NOT_SUPPORTED_AUTH_MODE", 1251, "08004", false},
	CodeReadOnly:           {"ER_OPTION_PREVENTS_STATEMENT", 1290, "HY000", false},
	CodeQueryInterrupted:   {"ER_QUERY_INTERRUPTED", 1317, "70100", false},
	CodeXANota:             {"ER_XAER_NOTA", 1397, "XAE04", false},
	CodeXAInval:            {"ER_XAER_INVAL", 1398, "XAE05", false},
	CodeXARMFail:           {"ER_XAER_RMFAIL", 1399, "XAE07", false},
	CodeXAOutside:          {"ER_XAER_OUTSIDE", 1400, "XAE09", false},
	CodeXARMErr:            {"ER_XAER_RMERR", 1401, "XAE03", false},
	CodeXARBRollback:       {"ER_XA_RBROLLBACK", 1402, "XA100", true},
	CodeBackendDown:        {"ER_CONNECT_TO_FOREIGN_DATA_SOURCE", 1429, "HY000", true},
	CodeXADupID:            {"ER_XAER_DUPID", 1440, "XAE08", false},
	CodeSequence:           {"ER_AUTOINC_READ_FAILED", 1467, "HY000", true},
	CodeXARBTimeout:        {"ER_XA_RBTIMEOUT", 1613, "XA106", true},
	CodeXARBDeadlock:       {"ER_XA_RBDEADLOCK", 1614, "XA102", true},
	CodeMalformed:          {"ER_MALFORMED_PACKET", 1835, "HY000", false},
	CodeTLSRequired:        {"ER_SECURE_TRANSPORT_REQUIRED", 3159, "HY000", false},
	CodeInDoubt:            {"XAPROXY_IN_DOUBT", 20041, "08007", false},
	CodeKeyCommitted:       {"XAPROXY_KEY_COMMITTED", 20042, "XP001", false},
	CodeKeyRunning:         {"XAPROXY_KEY_RUNNING", 20043, "40001", true},
}

// Errno returns the error number.
func (c Code) Errno() uint16 { return errnos[c].errno }

// State returns the SQLSTATE.
func (c Code) State() string { return errnos[c].state }

// Retriable reports whether the same transaction, tried again from its start, may succeed.
func (c Code) Retriable() bool { return errnos[c].retriable }

// String returns the symbol of the MySQL error reference.
func (c Code) String() string { return errnos[c].name }

// NewError returns the error of the code with a text of its own.
func NewError(code Code, format string, args ...any) *Error {
	e := errnos[code]
	return &Error{Errno: e.errno, State: e.state, Message: fmt.Sprintf(format, args...)}
}
