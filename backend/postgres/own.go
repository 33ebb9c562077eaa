package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
	"github.com/xaproxy/xaproxy/wire"
)

// keepsWarnings tells whether the warnings of the statement before stay.
func (st *statement) keepsWarnings() bool { return st.is("SHOW", "WARNINGS") || st.is("SHOW", "COUNT") }

// own carries out what does not depend on tables: transactions, the session's settings, questions about them. done says that it was that,
// and was answered.
func (s *session) own(st *statement, a *answer) (done bool, err error) {
	verb := s.verb(st)
	if verb == nil {
		return s.value(st, a)
	}
	return true, verb(st.words(!s.vars.noEscapes), a)
}

// verb is what carries out a statement; nil if it is none of our own.
func (s *session) verb(st *statement) func([]part, *answer) error {
	switch {
	case st.is("XA"):
		return s.xa
	case st.is("BEGIN"), st.is("START", "TRANSACTION"):
		return s.start
	case st.is("COMMIT"):
		return func(w []part, a *answer) error { return s.finishPlain(w, a, true) }
	case st.is("ROLLBACK", "TO"), st.is("ROLLBACK", "WORK", "TO"):
		return s.rollbackTo
	case st.is("ROLLBACK"):
		return func(w []part, a *answer) error { return s.finishPlain(w, a, false) }
	case st.is("SAVEPOINT"):
		return func(w []part, a *answer) error { return s.savepoint(w, a, s.setSavepoint) }
	case st.is("RELEASE", "SAVEPOINT"):
		return func(w []part, a *answer) error {
			return s.savepoint(w[1:], a, func(name string) error { return s.toSavepoint(name, true) })
		}
	case st.is("SET"):
		return s.set
	case st.is("USE"):
		return func(w []part, a *answer) error { return s.savepoint(w, a, s.enter) }
	case st.is("KILL"):
		return s.kill
	case st.is("SHOW", "WARNINGS"):
		return s.showWarnings
	case st.is("SHOW", "COUNT", "("):
		return func(_ []part, a *answer) error {
			a.small([]wire.Column{numberColumn("@@session.warning_count")}, [][]byte{strconv.AppendInt(nil, int64(len(s.warnings)+s.unlisted), 10)})
			return nil
		}
	case st.is("SHOW", "VARIABLES"), st.is("SHOW", "SESSION", "VARIABLES"), st.is("SHOW", "LOCAL", "VARIABLES"), st.is("SHOW", "GLOBAL", "VARIABLES"),
		st.is("SHOW", "STATUS"), st.is("SHOW", "SESSION", "STATUS"), st.is("SHOW", "LOCAL", "STATUS"):
		return s.showVariables
	case st.is("DO", "("): // backend.ForgetWarnings
		return func(_ []part, a *answer) error {
			a.ok(wire.OK{})
			return nil
		}
	case st.is("DO"):
		return func(_ []part, a *answer) error { return s.do(st, a) }
	}
	return nil
}

// do carries out DO: a SELECT whose row nobody wants.
func (s *session) do(st *statement, a *answer) error {
	if st.copied != noCopy && s.tx.open() { // it holds for nobody else
		s.tx.next.copied = st.copied
	}
	list, err := split(append([]byte("SELECT "), st.text[st.head[0].to:]...), !s.vars.noEscapes)
	if err != nil {
		return err
	}
	query := &list[0]
	columns, _, failed := s.values(query)
	if columns == nil && failed == nil {
		failed = s.unseen(query)
	}
	if failed != nil {
		return failed
	}
	a.ok(wire.OK{})
	return nil
}

// unseen runs a SELECT and reads its rows for nobody.
func (s *session) unseen(query *statement) error {
	t, err := s.translate(query, nil)
	if err != nil {
		return err
	}
	if len(t.Steps) != 1 {
		return wire.NewError(wire.CodeNotSupported, "DO of what takes several statements in PostgreSQL is not translated; write a SELECT")
	}
	return s.guarded(true, func(lead front) error {
		_, err := s.ask(lead.text() + t.Steps[0].Text)
		return err
	})
}

// savepoint carries out a verb with a name.
func (s *session) savepoint(words []part, a *answer, do func(string) error) error {
	if len(words) != 2 || words[1].kind != word && words[1].kind != name {
		return syntaxError(words)
	}
	name := words[1].is
	if words[1].kind == word {
		name = words[1].raw
	}
	if err := do(name); err != nil {
		return err
	}
	a.ok(wire.OK{})
	return nil
}

func (s *session) rollbackTo(words []part, a *answer) error {
	for len(words) > 2 && words[0].is != "TO" {
		words = words[1:]
	}
	if len(words) > 2 && words[1].is == "SAVEPOINT" {
		words = words[1:]
	}
	return s.savepoint(words, a, func(name string) error { return s.toSavepoint(name, false) })
}

// start begins a plain transaction. One that is open is committed before, as in MySQL.
func (s *session) start(words []part, a *answer) error {
	if s.tx.xid != "" && s.tx.open() {
		return errXAState
	}
	if err := s.end(true); err != nil {
		return err
	}
	characteristics := ""
	for i := 0; i+1 < len(words); i++ {
		switch words[i].is + " " + words[i+1].is {
		case "READ ONLY", "READ WRITE":
			characteristics = " READ " + words[i+1].is
		case "CONSISTENT SNAPSHOT":
			characteristics += "" // REPEATABLE READ takes its snapshot with the first statement, which ends this one's packet
		}
	}
	s.begin("", characteristics)
	a.ok(wire.OK{})
	return nil
}

// finishPlain carries out COMMIT and ROLLBACK.
func (s *session) finishPlain(words []part, a *answer, commit bool) error {
	if len(words) > 2 || len(words) == 2 && words[1].is != "WORK" {
		return wire.NewError(wire.CodeNotSupported, "AND CHAIN and RELEASE are not known to a PostgreSQL backend; send COMMIT or ROLLBACK alone")
	}
	if s.tx.xid != "" && s.tx.open() {
		return errXAState
	}
	if s.tx.phase == prepared {
		return s.ready()
	}
	if err := s.end(commit); err != nil {
		return err
	}
	a.ok(wire.OK{})
	return nil
}

// enter makes a schema the current one.
func (s *session) enter(schema string) error {
	if schema == "" {
		return nil
	}
	found, err := s.ask(s.unlimited().text() + "SELECT set_config('search_path', quote_ident(nspname), false) FROM pg_namespace WHERE nspname = " + quote(schema))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return wire.NewError(wire.CodeUnknownDatabase, "Unknown database '%s'", schema)
	}
	path := fmt.Sprint(found[0][0])
	s.schema = schema
	if s.tx.phase == active || s.tx.phase == ended {
		s.tx.sets = append(s.tx.sets, "SET search_path TO "+path)
	}
	return nil
}

// kill ends the statement of another session, or that session.
func (s *session) kill(words []part, a *answer) error {
	function := "pg_terminate_backend"
	if len(words) > 1 && words[1].is == "QUERY" {
		function = "pg_cancel_backend"
	}
	id, err := strconv.ParseUint(words[len(words)-1].is, 10, 32)
	if err != nil {
		return syntaxError(words)
	}
	found, err := s.ask("SELECT " + function + "(pid) FROM pg_stat_activity WHERE " + isSession(id))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return &wire.Error{Errno: 1094, State: "HY000", Message: "Unknown thread id: " + strconv.FormatUint(id, 10)}
	}
	a.ok(wire.OK{})
	return nil
}

// isSession is the condition on a row of pg_stat_activity to be the session with this id.
func isSession(id uint64) string {
	return "pid = " + strconv.FormatUint(id&(1<<pidBits-1), 10) + " AND (extract(epoch FROM backend_start)::bigint & 1023) = " + strconv.FormatUint(id>>pidBits, 10)
}

func (s *session) showWarnings(_ []part, a *answer) error {
	var rows [][][]byte
	for _, w := range s.warnings {
		rows = append(rows, [][]byte{[]byte(w.level), strconv.AppendUint(nil, uint64(w.errno), 10), []byte(w.text)})
	}
	a.small([]wire.Column{s.textColumn("Level", 7), numberColumn("Code"), s.textColumn("Message", 512)}, rows...)
	return nil
}

// value answers a SELECT of the session's own values, such as @@sql_mode and LAST_INSERT_ID().
func (s *session) value(st *statement, a *answer) (done bool, err error) {
	columns, row, err := s.values(st)
	if columns == nil || err != nil {
		return false, err
	}
	a.small(columns, row)
	return true, nil
}

// values are the columns and the row of a SELECT of the session's own values; nil if it is none.
func (s *session) values(st *statement) (columns []wire.Column, row [][]byte, err error) {
	if !st.is("SELECT") || len(st.text) > maxQuestion {
		return nil, nil, nil
	}
	words := st.words(!s.vars.noEscapes)[1:]
	if n := len(words); n > 2 && words[n-2].is == "LIMIT" && words[n-1].is == "1" {
		words = words[:n-2]
	}
	for _, item := range items(words) {
		item, alias := aliased(item)
		v, ok, err := s.evaluate(item)
		if err != nil || !ok {
			return nil, nil, err
		}
		name := string(st.text[item[0].from : item[len(item)-1].from+len(item[len(item)-1].raw)])
		if alias != "" {
			name = alias
		}
		value := []byte(v.text)
		if v.null {
			value = nil
		} else if value == nil {
			value = []byte{}
		}
		columns, row = append(columns, v.column(s, name)), append(row, value)
	}
	return columns, row, nil
}

// aliased cuts the alias off an item of a select list.
func aliased(item []part) ([]part, string) {
	if n := len(item); n > 2 && item[n-2].is == "AS" && item[n-2].kind == word && item[n-1].kind != mark {
		return item[:n-2], unquoted(item[n-1])
	} else if n > 1 && item[n-1].kind == name && item[n-2].kind != mark {
		return item[:n-1], item[n-1].is
	}
	return item, ""
}

// maxQuestion is the length of the longest statement that is looked at as one of our own questions.
const maxQuestion = 4 << 10

// items cuts a list at its commas, outside of parentheses.
func items(words []part) (list [][]part) {
	depth, from := 0, 0
	for i, w := range words {
		switch {
		case w.kind == mark && w.is == "(":
			depth++
		case w.kind == mark && w.is == ")":
			depth--
		case w.kind == mark && w.is == "," && depth == 0:
			list, from = append(list, words[from:i]), i+1
		}
	}
	return append(list, words[from:])
}

// join writes words without spaces.
func join(words []part) string {
	var b strings.Builder
	for _, w := range words {
		b.WriteString(w.is)
	}
	return b.String()
}

// evaluate is the value of an item of a select list; false if it is none that the session knows.
func (s *session) evaluate(item []part) (variable, bool, error) {
	if len(item) == 0 {
		return variable{}, false, nil
	}
	if v, ok := s.userValue(item); ok {
		return v, true, nil
	}
	if item[0].is == "@" {
		name, ok := systemName(item)
		if !ok {
			return variable{}, false, nil
		}
		v, err := s.vars.get(name)
		return v, true, err
	}
	if n := len(item); n > 5 && join(item[:4]) == "IF(1," { // as the proxy writes a value of its own, with what it stands for behind it
		if inner := items(item[2 : n-1]); len(inner) == 3 {
			return s.evaluate(inner[1])
		}
	}
	if n := len(item); n == 6 && join(item[:2])+join(item[3:]) == "CAST(ASUNSIGNED)" {
		v, ok, err := s.evaluate(item[2:3])
		v.unsigned = true
		return v, ok, err
	}
	switch join(item) {
	case "LAST_INSERT_ID()":
		return variable{text: strconv.FormatUint(s.insertID, 10), number: true, unsigned: true}, true, nil
	case "LAST_INSERT_ID(0)":
		s.insertID = 0
		return number(0), true, nil
	case "CONNECTION_ID()":
		return variable{text: strconv.FormatUint(uint64(s.id), 10), number: true, unsigned: true}, true, nil
	case "DATABASE()", "SCHEMA()":
		return variable{text: s.schema, null: s.schema == ""}, true, nil
	case "USER()", "CURRENT_USER()", "CURRENT_USER":
		return variable{text: s.dialer.User + "@%"}, true, nil
	case "VERSION()":
		v, err := s.vars.get("version")
		return v, true, err
	case "ROW_COUNT()":
		return number(0), true, nil
	case "FOUND_ROWS()": // of SQL_CALC_FOUND_ROWS: the proxy counts the rows of others
		found, err := s.ask("SELECT current_setting('" + dialect.FoundRows + "', true)")
		if err != nil {
			return variable{}, true, err
		}
		return number(int64(unsigned(found[0][0]))), true, nil
	}
	if written, ok := writtenString(item); ok {
		return variable{text: written}, true, nil
	}
	if len(item) == 1 && item[0].kind == word && strings.Trim(item[0].is, "0123456789") == "" {
		return variable{text: item[0].raw, number: true}, true, nil
	}
	return variable{}, false, nil
}

// systemName is the name of a system variable, in lower case.
func systemName(words []part) (string, bool) {
	if len(words) < 3 || words[0].is != "@" || words[1].is != "@" {
		return "", false
	}
	words = words[2:]
	if len(words) == 3 && words[1].is == "." {
		switch words[0].is {
		case "SESSION", "LOCAL", "GLOBAL":
			words = words[2:]
		}
	}
	if len(words) != 1 {
		return "", false
	}
	return strings.ToLower(words[0].is), true
}
