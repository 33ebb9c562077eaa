package proxy

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
	"github.com/xaproxy/xaproxy/xa"
)

// past is what the client may ask about statements that it has run. Backend connections serve others in between, so the
// session remembers it, or who knows it.
type past struct {
	rowCount  int64  // ROW_COUNT()
	foundRows uint64 // FOUND_ROWS()

	insertID  uint64        // LAST_INSERT_ID(), if insertion is nil or its answer is that nothing has changed
	insertion *backend.Debt // who knows; it may be that an INSERT has brought a value of its own, which does not count
	told      uint64        // the id in the answer to the statement of insertion
	certain   bool          // whatever insertion knows, unless it is 0, is this client's

	warnings int           // of the last statement, errors included
	errors   int           // of these
	errno    uint16        // of the error that the last statement was answered with
	lines    [][][]byte    // what SHOW WARNINGS says of them, if noted is nil
	noted    *backend.Debt // whose answer that is
	late     bool          // its transaction is committed late, which is a warning beside those of its answer
	at       *backend.Conn // knows all about the last statement, as long as nobody uses it; nil: nobody does
}

// forgetPast gives up all that could still be asked.
func (s *session) forgetPast() {
	s.past.forget()
	s.past.inserted(0)
	s.past = past{}
}

// next forgets what is about the last statement only, because another one begins.
func (p *past) next() {
	p.rowCount, p.at, p.late = 0, nil, false
	p.forget()
}

func (p *past) forget() {
	if p.noted != nil {
		p.noted.Forgive()
	}
	p.warnings, p.errors, p.errno, p.lines, p.noted = 0, 0, 0, nil, nil
}

// failed notes the error that a statement was answered with.
func (p *past) failed(e *wire.Error) {
	p.forget()
	p.rowCount, p.warnings, p.errors, p.errno = -1, 1, 1, e.Errno
	p.lines = [][][]byte{{[]byte("Error"), strconv.AppendUint(nil, uint64(e.Errno), 10), []byte(e.Message)}}
}

// committedLate notes the warning that the transaction is committed and not yet seen everywhere. What servers have noted stays with them:
// their connections may be busy with the commit.
func (s *session) committedLate(g xa.GTRID) {
	p := &s.past
	if p.noted != nil {
		p.forget()
	}
	text := fmt.Sprintf("transaction %s is committed; a branch of it is still to be finished, and until then its changes there are not seen", g)
	p.lines = append(p.lines, [][]byte{[]byte("Warning"), []byte("1105"), []byte(text)})
	p.warnings, p.late = p.warnings+1, true
}

// ended says that the connections of a transaction forget its last statement.
func (p *past) ended() {
	p.at = nil
	if p.noted != nil {
		p.noted.Forgive()
		p.noted = nil
	}
}

// ran notes what a statement of one backend did, as its answer says, before its connection is given back.
func (s *session) ran(p *router.Plan, r *request, conn *backend.Conn, result wire.Result) {
	if s.past.at = conn; (p.Program || p.Pin == router.PinUserVariable && result.Err != nil) && !conn.InBranch() && !s.holds(conn) {
		s.past.at = nil // it is reset
	}
	if p.Verb == router.Diagnostics {
		if !p.Get {
			s.past.rowCount = -1
		}
		return
	}
	switch {
	case result.Err != nil:
		s.past.failed(result.Err)
		s.doubtColumns(result.Err)
		s.past.noted = conn.Owe(s, backend.Warnings) // there may be more than the error
		return
	case result.HadRows:
		s.past.rowCount, s.past.foundRows = -1, result.Rows
	default:
		s.past.rowCount = int64(result.OK.Affected)
	}
	if n := int(result.OK.Warnings); n > 0 && s.past.lines == nil {
		s.past.warnings, s.past.noted = n, conn.Owe(s, backend.Warnings)
	}
	own := p.Pin == router.PinLastInsertID || p.Program && p.Write
	id := result.OK.InsertID
	if p.Returning && result.Rows > 0 && r.numbers.count > 0 {
		id = s.insertID(p, r, 0, conn)
	}
	switch {
	case r.numbers.has(id), p.Sequence != "" && !own:
		s.past.numbered(r.numbers, id)
	case id != 0 || own:
		s.past.changed(result.OK.InsertID, conn, s)
		s.past.certain = s.past.certain || own
	}
	if p.Pin != router.PinFoundRows {
		return
	}
	s.past.ended()                                                       // the question clears the warnings, and their question would be what counts
	if n, err := number(conn.Query("SELECT FOUND_ROWS()")); err == nil { // otherwise the connection breaks, and with it what depends on it
		s.past.foundRows = n
	}
}

// changed notes that a statement may have changed what LAST_INSERT_ID() says; the answer to it had the id told.
func (p *past) changed(told uint64, conn *backend.Conn, owner any) {
	before := p.insertion
	p.certain = before != nil && before.On(conn)
	if before != nil && !p.certain {
		p.insertID = p.told
		before.Forgive()
	}
	p.told, p.insertion = told, conn.Owe(owner, backend.InsertID)
}

// inserted notes what LAST_INSERT_ID() says.
func (p *past) inserted(id uint64) {
	if p.insertion != nil {
		p.insertion.Forgive()
	}
	p.insertID, p.insertion = id, nil
}

// merged notes what a statement of several backends did, whose answers were added up to one.
func (p *past) merged(ok wire.OK) {
	p.rowCount = int64(ok.Affected)
	if ok.InsertID != 0 {
		p.inserted(ok.InsertID)
	}
}

// added notes one of the results that become one for the client.
func (s *session) added(conn *backend.Conn, result wire.Result) {
	if result.Err != nil {
		s.past.failed(result.Err)
		conn.Warned(s)
		return
	}
	if s.past.rowCount != -1 { // the first
		s.past.rowCount, s.past.foundRows = -1, 0
	}
	s.past.foundRows += result.Rows
	s.collect(result.OK.Warnings, conn)
}

// collect asks a connection for the warnings of its last statement, if that had any, because nobody can ask later.
func (s *session) collect(warnings uint16, conn *backend.Conn) {
	if warnings == 0 {
		return
	}
	s.past.warnings += int(warnings)
	rows, err := conn.Ask(backend.Warnings)
	if err != nil { // the connection breaks, and with it what depends on it
		s.log(zerolog.DebugLevel).Err(err).Msg("warnings are lost")
	}
	s.past.lines = append(s.past.lines, rows.Values...)
	conn.Warned(s)
}

// recall asks a connection that the session has borrowed for the warnings of its last statement, because it is about to forget them.
func (s *session) recall(conn *backend.Conn) error {
	if s.past.noted == nil || !s.past.noted.On(conn) {
		return nil
	}
	_, err := s.warningsOf(func(c *backend.Conn) bool { return c == conn })
	return err
}

// mine reports whether the session has a connection in its hands: that of a branch, or one that it is pinned to.
func (s *session) mine(c *backend.Conn) bool {
	if s.tx != nil {
		if br, ok := s.tx.branches[c.Backend().Index]; ok && br.Conn() == c {
			return true
		}
	}
	return s.holds(c)
}

// warnings returns what SHOW WARNINGS says, as rows.
func (s *session) warnings() ([][][]byte, error) { return s.warningsOf(s.mine) }

// warningsOf is warnings, mine being the connections that the session has in its hands.
func (s *session) warningsOf(mine func(*backend.Conn) bool) ([][][]byte, error) {
	p := &s.past
	if p.noted != nil {
		rows, err := p.noted.Answer(mine)
		p.noted = nil
		if err != nil {
			return nil, err
		}
		p.lines = rows.Values
	}
	return p.lines, nil
}

// lastInsertID returns what LAST_INSERT_ID() says, mine being the connections that the session has in its hands.
func (s *session) lastInsertID(mine func(*backend.Conn) bool) (uint64, error) {
	if p := &s.past; p.insertion != nil {
		id, err := number(p.insertion.Answer(mine))
		if err != nil {
			return 0, err
		}
		if id == 0 || id != p.told && !p.certain {
			id = p.insertID
		}
		p.inserted(id)
	}
	return s.past.insertID, nil
}

// number reads the number that a result begins with.
func number(rows wire.Rows, err error) (uint64, error) {
	if err != nil {
		return 0, err
	}
	if len(rows.Values) != 1 {
		return 0, fmt.Errorf("a number was expected, not %d rows", len(rows.Values))
	}
	return strconv.ParseUint(string(rows.Values[0][0]), 10, 64)
}

// own writes values that only the session knows into a statement. outcome says what became of commit keys.
func (s *session) own(sql []byte, mode router.Mode, outcome func(arg string, param int) (string, *wire.Error)) ([]byte, *wire.Error) {
	var failed error
	text := s.router.Own(sql, mode, func(o router.Own, arg string, param int) string {
		p := &s.past
		switch o {
		case router.OwnCommitKey:
			return s.keyText()
		case router.OwnOutcome:
			text, e := outcome(arg, param)
			if e != nil {
				failed = e
			}
			return text
		case router.OwnConnectionID:
			return unsigned(uint64(s.id))
		case router.OwnUser:
			return systemText(s.login.User + "@" + host(s.net))
		case router.OwnAccount:
			return systemText(s.login.User + "@%")
		case router.OwnRowCount:
			return strconv.FormatInt(p.rowCount, 10)
		case router.OwnFoundRows:
			return strconv.FormatUint(p.foundRows, 10)
		case router.OwnWarnings:
			return unsigned(uint64(p.warnings))
		case router.OwnErrors:
			return unsigned(uint64(p.errors))
		case router.OwnAutocommit:
			if s.autocommit {
				return ""
			}
			return "FALSE"
		}
		id, err := s.lastInsertID(s.mine)
		if err != nil {
			failed = err
		}
		return unsigned(id)
	})
	if failed != nil {
		return nil, clientError(failed, false)
	}
	return text, nil
}

// unsigned is a number of the type that a server gives it.
func unsigned(n uint64) string { return fmt.Sprintf("CAST(%d AS UNSIGNED)", n) }

// systemText is a text, whatever the session's character set and sql_mode are.
func systemText(text string) string { return fmt.Sprintf("_utf8mb4 x'%x'", text) }

// diagnostics answers SHOW WARNINGS and its relatives: on the connection that has the warnings, if nobody has used it since.
// What nobody can say any more is said from memory.
func (s *session) diagnostics(p *router.Plan, r *request) error {
	noted := s.past.noted
	switch {
	case p.Get:
		return s.getDiagnostics(p, r)
	case noted == nil && s.past.warnings == 0:
		return s.none(p, r)
	case noted == nil:
	case s.tx != nil && s.tx.last != nil && noted.On(s.tx.last.Conn()):
		return s.onBranch(s.tx.last, p, r)
	default:
		for _, pin := range s.pins {
			if noted.On(pin.conn) {
				return s.singleOn(pin.conn, p, r)
			}
		}
		if conn, free := noted.Reclaim(); free {
			return s.singleOn(conn, p, r)
		}
	}
	if r.bound != nil {
		return s.fail(unpreparable)
	}
	lines, err := s.warnings()
	if err != nil {
		return s.fail(clientError(err, false))
	}
	if p.Errors {
		all := lines
		lines = nil
		for _, l := range all {
			if string(l[0]) == "Error" {
				lines = append(lines, l)
			}
		}
	}
	s.past.rowCount = -1
	if p.Count {
		name, n := "@@session.warning_count", s.past.warnings
		if p.Errors {
			name, n = "@@session.error_count", s.past.errors
		}
		count := wire.Column{Name: name, Charset: collationBinary, Length: 21, Type: wire.TypeLongLong, Flags: wire.FlagUnsigned | wire.FlagBinary}
		return s.table([]wire.Column{count}, [][][]byte{{strconv.AppendInt(nil, int64(n), 10)}})
	}
	columns, err := s.warningColumns(p)
	if err != nil {
		return s.fail(clientError(err, false))
	}
	return s.table(columns, limited(lines, r.sql))
}

// warningColumns are the columns of SHOW WARNINGS, in the client's character set.
func (s *session) warningColumns(p *router.Plan) ([]wire.Column, error) {
	conn, release, err := s.aside(s.backend(p, p.Parts[0]))
	if err != nil {
		return nil, err
	}
	defer release()
	if err := conn.Ready(&s.state); err != nil {
		return nil, err
	}
	rows, err := conn.Ask("SHOW WARNINGS LIMIT 0")
	return rows.Columns, err
}

// getDiagnostics answers GET DIAGNOSTICS.
func (s *session) getDiagnostics(p *router.Plan, r *request) error {
	conn := s.past.at
	if conn != nil && s.tx != nil {
		for _, br := range s.tx.branches {
			if br.Conn() == conn {
				return s.onBranch(br, p, r)
			}
		}
	}
	if conn != nil && conn == s.last.conn && (s.holds(conn) || conn.Reclaim(s.last.lends)) {
		return s.singleOn(conn, p, r)
	}
	return s.fail(wire.NewError(wire.CodeNotSupported,
		"GET DIAGNOSTICS has nothing to ask: xaproxy itself answered the last statement, or several backends did, or its connection serves another client; ask inside a transaction, or read the answer of the statement itself"))
}

// none has a connection say that there are no warnings.
func (s *session) none(p *router.Plan, r *request) error {
	conn, release, err := s.asideFor(p)
	if err != nil {
		return s.fail(clientError(err, false))
	}
	defer release()
	if err := conn.Exec(backend.ForgetWarnings); err != nil { // it may have those of another statement
		return s.fail(clientError(err, false))
	}
	return s.relayOn(conn, p, r)
}

var limitPattern = regexp.MustCompile(`(?i)\bLIMIT\s+(\d+)(?:\s*,\s*(\d+)|\s+OFFSET\s+(\d+))?`)

// limited takes the LIMIT of a SHOW WARNINGS into account.
func limited(lines [][][]byte, sql []byte) [][][]byte {
	m := limitPattern.FindSubmatch(sql)
	if m == nil {
		return lines
	}
	parse := func(digits []byte) int {
		n, err := strconv.Atoi(string(digits))
		if err != nil || n > len(lines) {
			return len(lines)
		}
		return n
	}
	offset, count := 0, parse(m[1])
	switch {
	case m[2] != nil:
		offset, count = parse(m[1]), parse(m[2])
	case m[3] != nil:
		offset = parse(m[3])
	}
	return lines[offset:min(offset+count, len(lines))]
}

// unpreparable is the answer to a statement that servers take as text only, or that the proxy does.
var unpreparable = &wire.Error{Errno: 1295, State: "HY000", Message: "This command is not supported in the prepared statement protocol yet"}
