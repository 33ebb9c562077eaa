package postgres

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
	"github.com/xaproxy/xaproxy/wire"
)

// variable is the value of a system variable.
type variable struct {
	text                   string
	number, unsigned, null bool
	of                     dialect.Type // of a user variable
}

func number(n int64) variable { return variable{text: strconv.FormatInt(n, 10), number: true} }

// variables are the session's settings. Those that mean something to PostgreSQL are fields, too.
type variables struct {
	autocommit bool
	noEscapes  bool   // sql_mode has NO_BACKSLASH_ESCAPES
	collation  uint16 // of the metadata of strings
	isolation  string // such as READ-COMMITTED
	readOnly   bool
	next       next // of the next transaction only
	standard   string
	values     map[string]variable
	user       map[string]dialect.UserValue // by name in lower case
	limit      string                       // of the time of a SELECT, in milliseconds; "" is none
	clock      string                       // the session's time as it has set it, "" if the time goes by
}

// next is what SET TRANSACTION says of the next transaction.
type next struct {
	isolation string
	access    *bool
}

// defaultLockWait is innodb_lock_wait_timeout in seconds, as MySQL has it by default: without a bound, a deadlock across backends would never
// end.
const defaultLockWait = 50

// boundWaiting is an expression that sets PostgreSQL's bound to that, unless the server has one of its own, and is the bound in milliseconds.
var boundWaiting = fmt.Sprintf("(SELECT (extract(epoch FROM set_config('lock_timeout', CASE setting WHEN '0' THEN '%d' ELSE setting END, false)::interval) * 1000)::bigint FROM pg_settings WHERE name = 'lock_timeout')", defaultLockWait*1000)

// settings are the variables that there are, with their defaults. A session may set each of them; what does something is in apply.
var settings = map[string]variable{
	"auto_increment_increment": number(1), "auto_increment_offset": number(1), "autocommit": number(1),
	"character_set_client": {text: "utf8mb4"}, "character_set_connection": {text: "utf8mb4"}, "character_set_results": {text: "utf8mb4"},
	"character_set_server": {text: "utf8mb4"}, "character_set_database": {text: "utf8mb4"}, "character_set_system": {text: "utf8mb3"},
	"collation_connection": {text: "utf8mb4_general_ci"}, "collation_server": {text: "utf8mb4_general_ci"}, "collation_database": {text: "utf8mb4_general_ci"},
	"default_storage_engine": {text: "InnoDB"}, "foreign_key_checks": number(1), "group_concat_max_len": number(1 << 20),
	"init_connect": {text: ""}, "innodb_lock_wait_timeout": number(defaultLockWait), "interactive_timeout": number(28800),
	"license": {text: "PostgreSQL"}, "lock_wait_timeout": number(31536000), "lower_case_table_names": number(0), "max_allowed_packet": number(wire.DefaultMaxPacket),
	"max_execution_time": number(0), "net_buffer_length": number(16384), "net_read_timeout": number(30), "net_write_timeout": number(60),
	"optimizer_switch": {text: ""}, "performance_schema": number(0), "session_track_schema": number(0), "session_track_system_variables": {text: ""}, "session_track_state_change": number(0),
	"session_track_transaction_info": {text: "OFF"}, "session_track_gtids": {text: "OFF"}, "sql_auto_is_null": number(0),
	"sql_mode": {text: defaultMode}, "sql_notes": number(1), "sql_quote_show_create": number(1), "sql_safe_updates": number(0),
	"sql_select_limit": {text: "18446744073709551615", number: true}, "sql_warnings": number(0), "system_time_zone": {text: "UTC"},
	"time_zone": {text: "SYSTEM"}, "timestamp": number(0), "transaction_isolation": {text: "READ-COMMITTED"}, "transaction_read_only": number(0),
	"tx_isolation": {text: "READ-COMMITTED"}, "tx_read_only": number(0), "unique_checks": number(1), "wait_timeout": number(28800),
	"version": {text: mysqlVersion}, "version_comment": {text: "PostgreSQL"}, "version_compile_os": {text: "Linux"}, "version_compile_machine": {text: ""},
	"query_cache_size": number(0), "query_cache_type": {text: "OFF"}, "have_query_cache": {text: "NO"}, "have_profiling": {text: "NO"}, "profiling": number(0),
	"insert_id": number(0), "last_insert_id": number(0), "warning_count": number(0), "error_count": number(0), "pseudo_thread_id": number(0),
	"explicit_defaults_for_timestamp": number(1), "div_precision_increment": number(4), "cte_max_recursion_depth": number(1000), "max_sp_recursion_depth": number(0),
	"default_week_format": number(0), "low_priority_updates": number(0), "sql_big_selects": number(1), "sql_buffer_result": number(0), "max_join_size": {text: "18446744073709551615", number: true},
	"updatable_views_with_limit": {text: "YES"}, "information_schema_stats_expiry": number(86400), "sort_buffer_size": number(262144), "join_buffer_size": number(262144),
	"lc_time_names": {text: "en_US"}, "max_error_count": number(maxWarnings), "tmp_table_size": number(16 << 20), "max_heap_table_size": number(16 << 20),
}

// fixed are variables that a session cannot set to anything but what they are.
var fixed = []string{"sql_auto_is_null", "default_week_format", "lc_time_names", "sql_select_limit", "sql_safe_updates", "auto_increment_increment", "auto_increment_offset", "div_precision_increment"}

// otherModes are modes with which statements have other results than the translation's.
var otherModes = []string{
	"HIGH_NOT_PRECEDENCE", "NO_UNSIGNED_SUBTRACTION", "TIME_TRUNCATE_FRACTIONAL", "PAD_CHAR_TO_FULL_LENGTH", "ORACLE", "MSSQL", "EMPTY_STRING_IS_NULL",
	"SIMULTANEOUS_ASSIGNMENT",
}

const defaultMode = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"

// reset goes back to the defaults.
func (v *variables) reset(s *session, isolation string) {
	*v = variables{autocommit: true, collation: utf8mb4Collation, isolation: isolation, standard: isolation, values: make(map[string]variable), user: make(map[string]dialect.UserValue)}
	v.values["transaction_isolation"], v.values["tx_isolation"] = variable{text: isolation}, variable{text: isolation}
	v.values["innodb_lock_wait_timeout"] = number(s.lockWait)
	v.values["version"] = variable{text: Version(s.version)}
}

// login takes the collation that the client logs in with. Those of other character sets than utf8mb4 are taken for the default one.
func (v *variables) login(l *wire.Login) {
	if c := l.Collation; c == 46 || c >= 224 && c <= 247 || c >= 255 && c <= 323 {
		v.collation = c
	}
}

// reset is COM_RESET_CONNECTION: what was prepared, set and begun is gone.
func (s *session) reset() error {
	if err := s.end(false); err != nil {
		return err
	}
	collation := s.vars.collation
	s.vars.reset(s, s.vars.standard)
	s.vars.collation = collation
	s.prepared.forget()
	s.warnings, s.insertID = nil, 0
	if err := s.run("DISCARD ALL"); err != nil {
		return err
	}
	s.named.forget()
	if err := s.run("SELECT " + boundWaiting); err != nil {
		return err
	}
	return s.enter(s.schema)
}

func (v *variables) get(name string) (variable, error) {
	if value, ok := v.values[name]; ok {
		return value, nil
	}
	if value, ok := settings[name]; ok {
		return value, nil
	}
	return variable{}, &wire.Error{Errno: 1193, State: "HY000", Message: "Unknown system variable '" + name + "'"}
}

// set carries out a SET statement.
func (s *session) set(words []part, a *answer) error {
	if len(words) > 1 && words[1].is == "TRANSACTION" || len(words) > 2 && words[2].is == "TRANSACTION" {
		if err := s.setTransaction(words); err != nil {
			return err
		}
		a.ok(wire.OK{})
		return nil
	}
	for _, item := range items(words[1:]) {
		if err := s.assign(item); err != nil {
			return err
		}
	}
	a.ok(wire.OK{})
	return nil
}

// setTransaction carries out SET [SESSION] TRANSACTION.
func (s *session) setTransaction(words []part) error {
	session := words[1].is != "TRANSACTION"
	if session && words[1].is != "SESSION" && words[1].is != "LOCAL" {
		return wire.NewError(wire.CodeNotSupported, "SET %s TRANSACTION is not for sessions: set it on the PostgreSQL server", words[1].is)
	}
	if s.tx.open() && !session {
		return &wire.Error{Errno: 1568, State: "25001", Message: "Transaction characteristics can't be changed while a transaction is in progress"}
	}
	said := " " + strings.Join(isWords(words), " ") + " "
	isolation, access := "", (*bool)(nil)
	for _, level := range []string{"READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"} {
		if strings.Contains(said, " ISOLATION LEVEL "+level+" ") {
			isolation = strings.ReplaceAll(level, " ", "-")
		}
	}
	for i, mode := range []string{" READ WRITE ", " READ ONLY "} {
		if only := i == 1; strings.Contains(said, mode) {
			access = &only
		}
	}
	if isolation == "" && access == nil {
		return syntaxError(words)
	}
	if !session {
		s.vars.next = next{isolation, access}
		return nil
	}
	if isolation != "" {
		if err := s.isolate(isolation); err != nil {
			return err
		}
	}
	if access != nil {
		return s.only(*access)
	}
	return nil
}

func isWords(words []part) (all []string) {
	for _, w := range words {
		all = append(all, w.is)
	}
	return all
}

// isolate sets the isolation of the transactions to come, those of single statements too.
func (s *session) isolate(level string) error {
	v := &s.vars
	v.isolation = level
	v.values["transaction_isolation"], v.values["tx_isolation"] = variable{text: level}, variable{text: level}
	return s.configure("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL " + strings.ReplaceAll(level, "-", " "))
}

// only says whether the transactions to come may only read.
func (s *session) only(read bool) error {
	v, value, mode := &s.vars, number(0), "READ WRITE"
	if v.readOnly = read; read {
		value, mode = number(1), "READ ONLY"
	}
	v.values["transaction_read_only"], v.values["tx_read_only"] = value, value
	return s.configure("SET SESSION CHARACTERISTICS AS TRANSACTION " + mode)
}

// assign carries out one assignment.
func (s *session) assign(item []part) error {
	if len(item) >= 2 && item[0].is == "NAMES" && item[0].kind == word {
		return s.names(item[1:])
	}
	at := slices.IndexFunc(item, func(w part) bool { return w.kind == mark && w.is == "=" })
	if at < 1 || at == len(item)-1 {
		return syntaxError(item)
	}
	left, right := item[:at], item[at+1:]
	if left[len(left)-1].is == ":" {
		left = left[:len(left)-1]
	}
	switch {
	case left[0].is == "@" && (len(left) < 2 || left[1].is != "@"):
		if len(left) != 2 {
			return syntaxError(item)
		}
		return s.assignUser(strings.ToLower(unquoted(left[1])), right)
	case left[0].is == "@":
		name, ok := systemName(left)
		if !ok {
			return syntaxError(item)
		}
		left = []part{{is: name}}
	case len(left) == 2 && (left[0].is == "SESSION" || left[0].is == "LOCAL"):
		left = left[1:]
	}
	if len(left) != 1 {
		return wire.NewError(wire.CodeNotSupported, "SET %s … is not for sessions: set it on the PostgreSQL server", left[0].raw)
	}
	name := strings.ToLower(left[0].is)
	before, known := settings[name]
	if !known {
		return &wire.Error{Errno: 1193, State: "HY000", Message: "Unknown system variable '" + name + "'"}
	}
	value, err := s.literal(name, right)
	if err != nil {
		return err
	}
	value.number = value.number && before.number || before.number && !value.null
	return s.apply(name, value)
}

// literal reads the value of an assignment.
func (s *session) literal(name string, words []part) (variable, error) {
	if words[0].is == "@" {
		if of, ok := systemName(words); ok {
			return s.vars.get(of)
		}
		if v, ok := s.userValue(words); ok {
			return v, nil
		}
	}
	sign := ""
	if len(words) == 2 && words[0].is == "-" {
		sign, words = "-", words[1:]
	}
	if written, ok := writtenString(words); ok {
		return variable{text: written}, nil
	}
	if len(words) != 1 {
		u, err := s.computed(name, words)
		return variable{text: u.Text, null: u.Null, number: u.Type.Kind == dialect.BigInt}, err
	}
	w := words[0]
	switch {
	case w.kind == quotedName:
		return variable{text: w.is}, nil
	case w.is == "DEFAULT":
		if name == "transaction_isolation" || name == "tx_isolation" {
			return variable{text: s.vars.standard}, nil
		}
		return settings[name], nil
	case w.is == "NULL":
		return variable{null: true}, nil
	case w.is == "ON" || w.is == "TRUE":
		return number(1), nil
	case w.is == "OFF" || w.is == "FALSE":
		return number(0), nil
	case strings.Trim(w.is, "0123456789.") == "":
		return variable{text: sign + w.raw, number: true}, nil
	}
	return variable{text: w.raw}, nil
}

// writtenString reads a string that is written in one of MySQL's ways, such as _utf8mb4 X'41' COLLATE utf8mb4_bin.
//
// Source: MySQL manual, "Character Set Introducers".
func writtenString(words []part) (string, bool) {
	if n := len(words); n > 2 && words[n-2].kind == word && words[n-2].is == "COLLATE" {
		words = words[:n-2]
	}
	if len(words) > 1 && words[0].kind == word && (strings.HasPrefix(words[0].is, "_UTF8") || words[0].is == "_BINARY") {
		words = words[1:]
	}
	switch {
	case len(words) == 1 && words[0].kind == text:
		return words[0].is, true
	case len(words) == 2 && words[0].kind == word && words[0].is == "X" && words[1].kind == text:
		b, err := hex.DecodeString(words[1].is)
		return string(b), err == nil
	}
	return "", false
}

// quotedName is the token kind of quoted names, where a parameter hides it.
const quotedName = name

// apply sets a variable, also in PostgreSQL where it means something there.
func (s *session) apply(name string, value variable) error {
	wrong := &wire.Error{Errno: 1231, State: "42000", Message: "Variable '" + name + "' can't be set to the value of '" + value.text + "'"}
	on := strings.EqualFold(value.text, "ON") || value.text == "1"
	if slices.Contains(fixed, name) && value.text != settings[name].text && !(settings[name].number && on && settings[name].text == "1") {
		return wire.NewError(wire.CodeNotSupported, "%s is %s for a PostgreSQL backend and cannot be set to %s", name, settings[name].text, value.text)
	}
	switch name {
	case "autocommit":
		if on && !s.vars.autocommit {
			if err := s.end(true); err != nil {
				return err
			}
		}
		s.vars.autocommit = on
		value = number(0)
		if on {
			value = number(1)
		}
	case "sql_mode":
		value.text = strings.ToUpper(value.text)
		for _, mode := range strings.Split(value.text, ",") {
			if slices.Contains(otherModes, mode) {
				return wire.NewError(wire.CodeNotSupported, "with %s in sql_mode statements mean something that a PostgreSQL backend does not do; SET sql_mode without it", mode)
			}
		}
		s.vars.noEscapes = strings.Contains(value.text, "NO_BACKSLASH_ESCAPES")
	case "transaction_isolation", "tx_isolation":
		level := strings.ToUpper(value.text)
		if !slices.Contains([]string{"READ-UNCOMMITTED", "READ-COMMITTED", "REPEATABLE-READ", "SERIALIZABLE"}, level) {
			return wrong
		}
		return s.isolate(level)
	case "transaction_read_only", "tx_read_only":
		return s.only(on)
	case "time_zone":
		if err := s.configure(timeZone(value.text)); err != nil {
			return &wire.Error{Errno: 1298, State: "HY000", Message: "Unknown or incorrect time zone: '" + value.text + "'"}
		}
	case "timestamp":
		clock, ok := clockAt(value.text)
		if !ok {
			return wrong
		}
		s.vars.clock, value.of.Kind = clock, dialect.Decimal
	case "insert_id":
		id, err := strconv.ParseUint(value.text, 10, 63)
		if err != nil {
			return wrong
		}
		s.tx.next.insertID = id
		return nil
	case "innodb_lock_wait_timeout":
		seconds, err := strconv.ParseUint(value.text, 10, 31)
		if err != nil {
			return wrong
		}
		if err := s.configure("SET lock_timeout = " + strconv.Quote(strconv.FormatUint(max(seconds, 1), 10)+"s")); err != nil {
			return err
		}
	case "max_execution_time":
		ms, err := strconv.ParseUint(value.text, 10, 31)
		if err != nil {
			return wrong
		}
		s.vars.limit = ""
		if ms > 0 {
			s.vars.limit = strconv.FormatUint(ms, 10)
		}
	case "character_set_client", "character_set_connection", "character_set_results", "collation_connection":
		if !value.null && !unicode(value.text) {
			return s.otherCharset(value.text)
		}
	}
	s.vars.values[name] = value
	return nil
}

// maxTimestamp is the largest value of timestamp, in seconds.
const maxTimestamp = 32536771199

// clockAt is the time of a value of timestamp, "" for 0.
func clockAt(value string) (clock string, ok bool) {
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil || seconds < 0 || seconds >= maxTimestamp+1 {
		return "", false
	}
	if seconds == 0 {
		return "", true
	}
	return time.UnixMicro(int64(math.Round(seconds * 1e6))).UTC().Format("2006-01-02 15:04:05.000000+00"), true
}

// timeZone is the statement that sets a time zone as MySQL names it.
func timeZone(zone string) string {
	switch {
	case strings.EqualFold(zone, "SYSTEM"):
		return "SET TIME ZONE DEFAULT"
	case strings.HasPrefix(zone, "+") || strings.HasPrefix(zone, "-"):
		return "SET TIME ZONE INTERVAL " + quote(zone) + " HOUR TO MINUTE"
	}
	return "SET TIME ZONE " + quote(zone)
}

// names carries out SET NAMES.
func (s *session) names(words []part) error {
	charset := strings.ToLower(words[0].is)
	if words[0].is == "DEFAULT" && words[0].kind == word {
		charset = "utf8mb4"
	}
	if !unicode(charset) {
		return s.otherCharset(charset)
	}
	collation := charset + "_general_ci"
	if len(words) == 3 && words[1].is == "COLLATE" {
		collation = strings.ToLower(words[2].is)
	} else if len(words) != 1 {
		return syntaxError(words)
	}
	for _, v := range []string{"character_set_client", "character_set_connection", "character_set_results"} {
		s.vars.values[v] = variable{text: charset}
	}
	s.vars.values["collation_connection"] = variable{text: collation}
	return nil
}

// unicode tells whether a character set or a collation is that of PostgreSQL's texts.
func unicode(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "utf8") || name == "binary"
}

func (s *session) otherCharset(name string) error {
	return wire.NewError(wire.CodeNotSupported, "character set %s is not known to a PostgreSQL backend, which speaks utf8mb4; set that", name)
}

// SQLMode is that of a new session.
const SQLMode = defaultMode

// Version is what clients are told of a server's version, without what a distribution adds to it.
func Version(of string) string {
	number, _, _ := strings.Cut(of, " ")
	return mysqlVersion + "-PostgreSQL-" + number
}
