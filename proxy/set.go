package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// variable is a session variable that the client has set, as every backend connection is told before it serves the
// client.
type variable struct {
	name    string
	sql     string // the statement, without semicolon
	literal string // its value, as quoteValue writes it; "" where try makes none
	// absent says which kinds of servers do not have the variable, by backend.Backend.Flavour: for these it does not matter.
	absent [2]bool
	// instead is what such a kind is told instead of sql, "" for the same: it has another name for the collation, or none.
	instead [2]string
	again   bool // the client has just set it, maybe to what it was
}

// on is the statement for a kind of servers, "" if it does not have the variable.
func (v variable) on(flavour int) string {
	switch {
	case v.absent[flavour]:
		return ""
	case v.instead[flavour] != "":
		return v.instead[flavour]
	}
	return v.sql
}

// settings are what SET and USE change.
type settings struct {
	state     backend.Session // what a backend connection must have before it runs this client's statements
	variables []variable      // what state.Set is made of
	mode      router.Mode     // of sql_mode, as far as it changes how statements are read
	nextTx    characteristics // of SET TRANSACTION, for the next transaction
	repeat    bool            // a SET to what is set already is carried out, too: the server tells the client of it
}

// refusedVariables are those that a client may not set through the proxy, each with the reason. The accounts of the
// backends are the proxy's, so what their rights allow is not the client's to use; others hold for one statement only
// and would be set for every later one.
var refusedVariables = map[string]string{
	"binlog_format":              "it needs rights that belong to the backends' administrators",
	"binlog_row_image":           "it needs rights that belong to the backends' administrators",
	"completion_type":            "use COMMIT AND CHAIN or COMMIT RELEASE",
	"gtid_next":                  "it needs rights that belong to the backends' administrators",
	"gtid_domain_id":             "it needs rights that belong to the backends' administrators",
	"gtid_seq_no":                "it needs rights that belong to the backends' administrators",
	"identity":                   "it holds for one statement on one connection",
	"insert_id":                  "it holds for one statement on one connection",
	"last_insert_id":             "it holds for one connection",
	"pseudo_replica_mode":        "it needs rights that belong to the backends' administrators",
	"pseudo_slave_mode":          "it needs rights that belong to the backends' administrators",
	"pseudo_thread_id":           "it belongs to the backend's connection",
	"rand_seed1":                 "it holds for one statement on one connection",
	"rand_seed2":                 "it holds for one statement on one connection",
	"server_id":                  "it needs rights that belong to the backends' administrators",
	"sql_log_bin":                "it needs rights that belong to the backends' administrators",
	"sql_log_off":                "it needs rights that belong to the backends' administrators",
	"transaction_allow_batching": "it belongs to the backend's connection",
	"xa_detach_on_prepare":       "recovery of prepared branches depends on it",
}

// set carries out a SET statement: all of its assignments or, if one is refused, none.
func (s *session) set(assignments []router.Assignment) error {
	next := s.settings
	next.variables = append([]variable(nil), s.variables...)
	autocommit := s.autocommit
	for _, a := range assignments {
		var e *wire.Error
		switch {
		case s.user.readOnly && allowsWrites(a):
			e = s.mayOnlyRead()
		case a.Scope == router.ScopeSession && a.Name == "autocommit":
			autocommit, e = s.parseBool(a)
		case a.Scope == router.ScopeSession && a.Name == commitKey:
			if e = wire.NewError(wire.CodeNotSupported, "SET %s at position %d together with other assignments is not supported; write a SET of its own", commitKey, a.Pos); len(assignments) == 1 {
				e = s.setKey(a)
			}
		case a.Scope == router.ScopeTransaction && a.Name == "transaction":
			if s.tx != nil || s.open {
				e = &wire.Error{Errno: 1568, State: "25001", Message: "Transaction characteristics can't be changed while a transaction is in progress"}
				break
			}
			next.nextTx.set(a.Expr)
		default:
			e = next.assign(a)
		}
		if e != nil {
			return s.fail(e)
		}
	}
	next.compose()
	if len(changedVariables(s.variables, next.variables)) > 0 {
		if err := s.adopt(&next); err != nil {
			return s.fail(err)
		}
	}
	s.nextTx = next.nextTx
	if e := s.setAutocommit(autocommit); e != nil {
		return s.fail(e)
	}
	if conn := s.local(); conn != nil && s.nextTx != (characteristics{}) {
		if e := s.tell(conn, s.nextTx.statement()); e != nil {
			return s.fail(e)
		}
		s.nextTx = characteristics{}
	}
	s.track.set(assignments)
	return s.ok(wire.OK{Warnings: uint16(min(s.past.warnings, 1<<16-1))})
}

// assign notes one assignment as the client wrote it.
func (s *settings) assign(a router.Assignment) *wire.Error {
	v := variable{name: a.Name}
	switch a.Scope {
	case router.ScopeNames:
		if unsafeCharset(a.Expr) {
			return wire.NewError(wire.CodeNotSupported,
				"character set %s at position %d can hide quotes inside its characters and is not supported; use utf8mb4", a.Expr, a.Pos)
		}
		v.name = "names"
		v.sql = "SET " + a.Name + " " + a.Expr
		if a.Collate != "" {
			v.sql += " COLLATE " + a.Collate
		}
	case router.ScopeTransaction:
		s.characterize(a.Expr)
		return nil
	case router.ScopeUser:
		v.name = "@" + a.Name
		v.sql = "SET " + v.place() + " = " + a.Expr
	default:
		if why, refused := refusedVariables[a.Name]; refused {
			return wire.NewError(wire.CodeNotSupported, "variable '%s' at position %d cannot be set through xaproxy: %s", a.Name, a.Pos, why)
		}
		if strings.HasPrefix(a.Name, "character_set_") && unsafeCharset(a.Expr) {
			return wire.NewError(wire.CodeNotSupported,
				"character set %s at position %d can hide quotes inside its characters and is not supported; use utf8mb4", a.Expr, a.Pos)
		}
		v.sql = "SET " + v.place() + " = " + a.Expr
		if words, ok := characteristic(a); ok { // servers have it under different names
			s.characterize(words)
			return nil
		}
	}
	v.again = s.repeat
	s.note(v)
	return nil
}

// characterize notes what SET SESSION TRANSACTION says. It holds for the next transaction too, whatever SET TRANSACTION said before.
func (s *settings) characterize(words string) {
	var c characteristics
	c.set(words)
	if c.level != "" {
		s.note(variable{name: "transaction isolation", sql: "SET SESSION TRANSACTION " + c.level})
		s.nextTx.level = ""
	}
	if c.access != "" {
		s.note(variable{name: "transaction read", sql: "SET SESSION TRANSACTION " + c.access})
		s.nextTx.access = ""
	}
}

// characteristic is what SET SESSION TRANSACTION says instead of an assignment to a variable: MySQL and MariaDB before 11.1
// have different names for these.
func characteristic(a router.Assignment) (words string, ok bool) {
	value := strings.ToUpper(strings.Trim(a.Expr, "'\" "))
	switch a.Name {
	case "transaction_isolation", "tx_isolation":
		switch value {
		case "READ-UNCOMMITTED", "READ-COMMITTED", "REPEATABLE-READ", "SERIALIZABLE":
			return "ISOLATION LEVEL " + strings.ReplaceAll(value, "-", " "), true
		}
	case "transaction_read_only", "tx_read_only":
		switch value {
		case "1", "ON", "TRUE":
			return "READ ONLY", true
		case "0", "OFF", "FALSE":
			return "READ WRITE", true
		}
	}
	return "", false
}

// forReading lets servers refuse what a read_only user cannot be seen to do, such as a view that calls a function that writes.
var forReading = variable{name: "transaction read", sql: "SET SESSION TRANSACTION READ ONLY"}

// allowsWrites reports whether an assignment would undo forReading.
func allowsWrites(a router.Assignment) bool {
	switch {
	case a.Scope == router.ScopeTransaction:
		return strings.Contains(strings.ToUpper(a.Expr), "WRITE")
	case a.Scope == router.ScopeSession && (a.Name == "transaction_read_only" || a.Name == "tx_read_only"):
		mode, ok := characteristic(a)
		return !ok || mode != "READ ONLY"
	}
	return false
}

// note adds or replaces a variable.
func (s *settings) note(v variable) {
	if v.name == "names" || strings.HasPrefix(v.name, "character_set_") || strings.HasPrefix(v.name, "collation_") {
		// Each of them changes others, so the last one comes last; SET NAMES changes them all.
		before := len(s.variables)
		s.variables = slices.DeleteFunc(s.variables, func(w variable) bool {
			return v.name == "names" && (strings.HasPrefix(w.name, "character_set_") || w.name == "collation_connection")
		})
		v.again = v.again || len(s.variables) < before
		s.variables = slices.DeleteFunc(s.variables, func(w variable) bool { return w.name == v.name })
	}
	for i := range s.variables {
		if s.variables[i].name == v.name {
			s.variables[i] = v
			return
		}
	}
	s.variables = append(s.variables, v)
}

// compose writes state.Set from the variables.
func (s *settings) compose() {
	for flavour := range s.state.Set {
		var b strings.Builder
		n := 0
		for _, v := range s.variables {
			if sql := v.on(flavour); sql != "" {
				b.WriteString(sql)
				b.WriteByte(';')
				n++
			}
		}
		s.state.Set[flavour] = backend.Set{SQL: b.String(), N: n}
	}
}

// adopt lets a backend check the new variables and reads back what each has become, because an expression such as
// CONCAT(@@sql_mode, ...) must not be evaluated again on each connection. Branches that are open follow.
func (s *session) adopt(next *settings) *wire.Error {
	changed := changedVariables(s.variables, next.variables)
	conn, release, err := s.settingConn()
	if err != nil {
		return clientError(err, false)
	}
	for _, v := range changed {
		literal, err := s.try(conn, v)
		if err != nil {
			conn.Became(unknownState(&s.state))
			if !answered(err) && s.tx != nil && s.tx.last != nil {
				return s.lose(s.tx.last, err)
			}
			release()
			return clientError(err, false)
		}
		if s.gen.mixed {
			if literal, err = s.tryElsewhere(conn, literal); err != nil {
				conn.Became(unknownState(&s.state))
				release()
				return clientError(err, false)
			}
		}
		next.note(literal)
		if literal.name == "sql_mode" {
			next.mode = sqlMode(literal.sql)
		}
		if next.mode &^= router.SelectLimit; next.selectLimited() {
			next.mode |= router.SelectLimit
		}
	}
	next.compose()
	conn.Became(&next.state)
	release()
	if s.tx != nil {
		for _, br := range s.tx.started() {
			if br.Conn() == conn {
				continue
			}
			s.work.uses(br.Conn())
			for _, v := range changed {
				v = find(next.variables, v.name)
				sql := v.on(br.Conn().Backend().Flavour())
				if sql == "" {
					continue
				}
				if err := br.Conn().Exec(sql); err != nil {
					return s.lose(br, err)
				}
			}
			s.work.leaves(br.Conn())
			br.Conn().Became(&next.state)
		}
	}
	s.state, s.variables, s.mode = next.state, next.variables, next.mode
	for _, v := range changed {
		delete(s.elsewhere, strings.TrimPrefix(v.name, "@")) // every connection gets its value from now on
	}
	s.freeVariables()
	s.conn.SetPatience(s.patience())
	return nil
}

// settingConn returns a connection in the session's present state to try assignments on, as one that the statement uses:
// that of a branch, if there is one.
func (s *session) settingConn() (conn *backend.Conn, release func(), err error) {
	home := s.gen.home(s.state.Schema)
	switch {
	case s.tx != nil && s.tx.last != nil:
		home = s.tx.last.Conn().Backend()
	case s.gen.mixed: // the client was told the version of the first, and knows its variables
		home = s.gen.backends[0]
	}
	return s.settingOn(home)
}

// settingOn is settingConn for a backend.
func (s *session) settingOn(b *backend.Backend) (conn *backend.Conn, release func(), err error) {
	if conn, release, err = s.aside(b); err != nil {
		return nil, nil, err
	}
	if err := conn.Ready(&s.state); err != nil {
		release()
		return nil, nil, err
	}
	return conn, release, nil
}

// unknownState is the state of a connection on which SET was refused halfway: it must be reset before it serves anybody.
func unknownState(s *backend.Session) *backend.Session {
	unknown := backend.Set{SQL: "unknown"}
	return &backend.Session{Caps: s.Caps, Collation: s.Collation, Set: [2]backend.Set{unknown, unknown}}
}

// tryElsewhere sets a variable, which the server of a connection has taken, on a server of the other kind, so that a value
// which that does not take is refused now and not with a later statement. A variable that it does not have is noted.
func (s *session) tryElsewhere(conn *backend.Conn, v variable) (variable, error) {
	for _, b := range s.gen.backends {
		if b.Flavour() == conn.Backend().Flavour() {
			continue
		}
		other, release, err := s.settingOn(b)
		if err != nil {
			return v, err
		}
		defer release()
		other.Became(unknownState(&s.state))
		var said *wire.Error
		err = other.Exec(v.sql)
		if errors.As(err, &said) && said.Errno == errnoUnknownCollation {
			for _, sql := range counterparts(v) {
				if other.Exec(sql) == nil {
					v.instead[b.Flavour()] = sql
					return v, nil
				}
			}
		}
		switch {
		case errors.As(err, &said) && said.Errno == errnoUnknownVariable:
			v.absent[b.Flavour()] = true
		case errors.As(err, &said):
			return v, &wire.Error{Errno: said.Errno, State: said.State, Message: said.Message + " (on backend " + b.Name() + ")"}
		case err != nil:
			return v, err
		}
		return v, nil
	}
	return v, nil
}

// ER_UNKNOWN_SYSTEM_VARIABLE and ER_UNKNOWN_COLLATION.
const (
	errnoUnknownVariable  = 1193
	errnoUnknownCollation = 1273
)

// counterparts are statements for servers that do not know the collation of a variable: what MySQL and MariaDB call their collations of
// the Unicode Collation Algorithm without padding, which are the default of MySQL and of its clients; then, for the value of a user
// variable, no collation.
func counterparts(v variable) (all []string) {
	for _, names := range []*strings.Replacer{
		strings.NewReplacer("utf8mb4_0900_bin", "utf8mb4_nopad_bin", "_0900_", "_uca1400_nopad_"),
		strings.NewReplacer("utf8mb4_nopad_bin", "utf8mb4_0900_bin", "_uca1400_nopad_", "_0900_"),
	} {
		if sql := names.Replace(v.sql); sql != v.sql {
			all = append(all, sql)
		}
	}
	if plain, _, found := strings.Cut(v.sql, "' COLLATE "); found && strings.HasPrefix(v.name, "@") {
		all = append(all, plain+"'")
	}
	return all
}

// evaluate returns the value of an expression in the session's present state.
func (s *session) evaluate(expr string) (wire.Rows, error) {
	conn, release, err := s.settingConn()
	if err != nil {
		return wire.Rows{}, err
	}
	defer release()
	rows, err := conn.Query("SELECT " + expr)
	if err == nil && (len(rows.Values) != 1 || len(rows.Values[0]) != 1) {
		err = wire.NewError(wire.CodeNotSupported, "one value was expected of %s", expr)
	}
	return rows, err
}

// try sets one variable and returns it with a literal for its value.
func (s *session) try(conn *backend.Conn, v variable) (variable, error) {
	v.again = false
	answer, err := conn.Query(v.sql)
	if err != nil {
		return v, err
	}
	s.track.hears(answer.OK)
	s.collect(answer.OK.Warnings, conn)
	if v.name == "names" || strings.HasPrefix(v.name, "transaction ") {
		return v, nil // their words are literals already
	}
	if strings.HasPrefix(v.name, "@") {
		literal, err := userLiteral(conn, v.value())
		v.sql, v.literal = "SET "+v.place()+" = "+literal, literal
		return v, err
	}
	if expr := strings.TrimPrefix(strings.ToUpper(v.sql), "SET SESSION `TIMESTAMP` = "); expr == "DEFAULT" || expr == "0" {
		v.sql = freeTime // what is read back is the time of now, where the clock would stop
		return v, nil
	}
	rows, err := conn.Query("SELECT " + v.value())
	if err != nil {
		return v, err
	}
	if len(rows.Values) != 1 || len(rows.Values[0]) != 1 {
		return v, noValue(conn, v.name)
	}
	if strings.HasPrefix(v.name, "character_set_") && unsafeCharset(string(rows.Values[0][0])) {
		conn.Break()
		return v, wire.NewError(wire.CodeNotSupported, "character set %s can hide quotes inside its characters and is not supported; use utf8mb4", rows.Values[0][0])
	}
	literal := quoteValue(rows.Values[0][0], rows.Columns[0].Type)
	if v.name == "sql_mode" && s.gen.hasMySQL() {
		literal = dropMode(literal, noAutoCreateUser)
	}
	v.sql, v.literal = "SET "+v.place()+" = "+literal, literal
	return v, nil
}

func noValue(conn *backend.Conn, name string) error {
	conn.Break()
	return fmt.Errorf("backend %s: no value came back for variable %s", conn.Backend().Name(), name)
}

// userLiteral writes the value of a user variable as a literal of the same type, character set and collation.
func userLiteral(conn *backend.Conn, variable string) (string, error) {
	rows, err := conn.Ask("SELECT " + variable + ", HEX(" + variable + "), CHARSET(" + variable + "), COLLATION(" + variable + ")")
	if err != nil {
		return "", err
	}
	if len(rows.Values) != 1 || len(rows.Values[0]) != 4 {
		return "", noValue(conn, variable)
	}
	row := rows.Values[0]
	switch c := rows.Columns[0]; {
	case row[0] != nil && numeric(c.Type) && c.Flags&wire.FlagUnsigned != 0:
		return "CAST(" + string(row[0]) + " AS UNSIGNED)", nil
	case row[0] == nil || numeric(c.Type):
		return quoteValue(row[0], c.Type), nil
	}
	literal := "_" + string(row[2]) + " X'" + string(row[1]) + "'"
	if collation := string(row[3]); collation != "binary" {
		literal += " COLLATE " + collation
	}
	return literal, nil
}

// freeTime lets the time go by again.
const freeTime = "SET SESSION `timestamp` = DEFAULT"

// noAutoCreateUser is the only mode that MariaDB has by default and MySQL does not know. It is about GRANT alone, so a
// client goes without it where its statements may run on either.
const noAutoCreateUser = "NO_AUTO_CREATE_USER"

// dropMode removes a mode from a literal of sql_mode.
func dropMode(literal, mode string) string {
	kept := strings.Split(strings.Trim(literal, "'"), ",")
	return "'" + strings.Join(slices.DeleteFunc(kept, func(m string) bool { return m == mode }), ",") + "'"
}

// place is the variable as SET names it, value as an expression.
func (v variable) place() string {
	if user, ok := strings.CutPrefix(v.name, "@"); ok {
		return "@" + backend.Quote(user)
	}
	return "SESSION " + backend.Quote(v.name)
}

func (v variable) value() string {
	if user, ok := strings.CutPrefix(v.name, "@"); ok {
		return "@" + backend.Quote(user)
	}
	return "@@SESSION." + backend.Quote(v.name)
}

// quoteValue writes a variable's value as an expression that means the same under every sql_mode.
func quoteValue(value []byte, t wire.Type) string {
	switch {
	case value == nil:
		return "NULL"
	case t == wire.TypeDouble && !strings.ContainsAny(string(value), "eE"):
		return string(value) + "e0" // without an exponent it would be a DECIMAL
	case numeric(t):
		return string(value)
	}
	quoted := "'" + strings.ReplaceAll(string(value), "'", "''") + "'"
	if strings.Contains(quoted, `\`) {
		return "CONCAT(" + strings.ReplaceAll(quoted, `\`, "', CHAR(92 USING ascii), '") + ")"
	}
	return quoted
}

func numeric(t wire.Type) bool {
	switch t {
	case wire.TypeTiny, wire.TypeShort, wire.TypeLong, wire.TypeInt24, wire.TypeLongLong,
		wire.TypeFloat, wire.TypeDouble, wire.TypeDecimal, wire.TypeNewDecimal:
		return true
	}
	return false
}

// changedVariables returns those of next that are not in before.
func changedVariables(before, next []variable) []variable {
	var changed []variable
	for _, v := range next {
		if find(before, v.name) != v {
			changed = append(changed, v)
		}
	}
	return changed
}

func find(variables []variable, name string) variable {
	for _, v := range variables {
		if v.name == name {
			return v
		}
	}
	return variable{}
}

// sqlMode returns the bits of sql_mode that change how statements are read.
func sqlMode(value string) router.Mode {
	var m router.Mode
	value = strings.ToUpper(value)
	if strings.Contains(value, "ANSI_QUOTES") {
		m |= router.AnsiQuotes
	}
	if strings.Contains(value, "NO_BACKSLASH_ESCAPES") {
		m |= router.NoBackslashEscapes
	}
	if strings.Contains(value, "NO_AUTO_VALUE_ON_ZERO") {
		m |= router.NoAutoValueOnZero
	}
	return m
}

// escapes says whether backslashes escape in strings.
func (s *settings) escapes() bool { return s.mode&router.NoBackslashEscapes == 0 }

// parseBool reads the value of autocommit.
func (s *session) parseBool(a router.Assignment) (bool, *wire.Error) {
	value := strings.Trim(a.Expr, "'\" ")
	if strings.HasPrefix(value, "@") || strings.Contains(value, "(") { // what was saved before is brought back
		rows, err := s.evaluate(a.Expr)
		if err != nil {
			return false, clientError(err, false)
		}
		value = string(rows.Values[0][0])
	}
	switch strings.ToUpper(value) {
	case "1", "ON", "TRUE", "DEFAULT":
		return true, nil
	case "0", "OFF", "FALSE":
		return false, nil
	}
	return false, &wire.Error{Errno: 1231, State: "42000", Message: fmt.Sprintf("Variable 'autocommit' can't be set to the value of '%s'", value)}
}
