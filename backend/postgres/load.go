package postgres

import (
	"fmt"

	"github.com/lib/pq"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
	"github.com/xaproxy/xaproxy/wire"
)

// rowsPoint is the savepoint in front of rows that may be taken back: one of them is there already, or cannot be.
const rowsPoint = "xaproxy_rows"

// maxLoaded and maxLoadedRows bound what is inserted at a time, in bytes and rows.
const (
	maxLoaded     = 256 << 10
	maxLoadedRows = 500
)

// loading is a LOAD DATA LOCAL INFILE as it runs. All of it is one statement to the transaction. As MySQL has it with LOCAL, rows that are there
// already, or that a foreign key or a CHECK does not let in, are passed over with a warning; a value that does not fit is an error.
type loading struct {
	*dialect.Load
	s    *session
	file wire.File
	c    *catalog
	lead string // what goes in front of the next message
	rows []line
	size int // of rows, in bytes

	run
	records, skipped, replaced uint64
	warnings                   uint64
}

// line is a line as a row.
type line struct {
	dialect.LoadRow
	more bool // there was more in it
}

// load answers LOAD DATA LOCAL INFILE. The client sends all of its file, whatever comes of it.
func (s *session) load(st *statement, a *answer) error {
	if err := s.ready(); err != nil {
		return err
	}
	c := &catalog{s: s, used: &use{}}
	of, err := dialect.NewLoad(string(st.text), s.options(c, false, nil))
	if err = refusedBy(c, err); err != nil {
		return err
	}
	if next := s.tx.next; next != (copyNext{}) {
		s.tx.next = copyNext{}
		return wire.NewError(wire.CodeNotSupported, "LOAD DATA does not go by insert_id on a PostgreSQL backend; have the file say the numbers")
	}
	if of.Replace && s.vars.values["foreign_key_checks"].text == "0" {
		return errUnchecked
	}
	if !s.client.Caps().Has(wire.LocalFiles) {
		return &wire.Error{Errno: 3948, State: "42000", Message: "Loading local data is disabled; this must be enabled on both the client and server sides"}
	}
	l := &loading{Load: of, s: s, c: c, run: run{s: s, answer: a}}
	if l.file, a.broken = s.client.RequestFile(of.File); a.broken != nil {
		return nil
	}
	alone := s.tx.phase == idle && s.vars.autocommit
	if alone {
		s.begin("", "")
	}
	var bad rowError
	err = s.guarded(false, func(lead string) error {
		l.lead = lead
		err := l.read()
		if wrong, ok := err.(rowError); ok {
			bad = wrong
		}
		if broken := l.rest(); broken != nil {
			a.broken = broken
		}
		return err
	})
	if alone {
		if ended := s.end(err == nil && a.broken == nil); err == nil {
			err = ended
		}
	}
	if bad.err != nil && a.broken == nil {
		err = atLine(bad.line, s.explained(bad.err, bad.given, nil))
	}
	if err != nil || a.broken != nil {
		return err
	}
	for name, u := range of.Values() {
		s.vars.user[name] = u
	}
	if l.insertID > 0 && !l.given {
		s.insertID = l.insertID
	}
	s.unlisted = max(int(l.warnings)-len(s.said), 0)
	a.ok(wire.OK{Affected: l.affected, Info: fmt.Sprintf("Records: %d  Deleted: %d  Skipped: %d  Warnings: %d", l.records, l.replaced, l.skipped, l.warnings)})
	return nil
}

// rowError is why a line cannot be loaded.
type rowError struct {
	line  uint64
	given []dialect.Given
	err   error
}

func (e rowError) Error() string { return e.err.Error() }
func (e rowError) Unwrap() error { return e.err }

func atLine(line uint64, err error) error {
	e := *mysqlError(err)
	e.Message = fmt.Sprintf("line %d of the file: %s; nothing was loaded", line, e.Message)
	return &e
}

// read reads the file up to its end, or up to what cannot be loaded.
func (l *loading) read() error {
	cutter := l.Cutter()
	var unread []byte
	for last := false; !last; {
		chunk, err := l.file.Next()
		if err != nil {
			l.answer.broken = err
			return err
		}
		last = len(chunk) == 0
		unread = append(unread, chunk...)
		n := 0
		for {
			piece, ok := cutter.Next(unread[n:], last)
			if !ok {
				break
			}
			n += piece.Size
			if piece.Values == nil {
				continue
			}
			if piece.Missing {
				return l.refuse(piece.Line, 1261, "01000", "Row doesn't contain data for all columns")
			}
			if piece.Rest && l.Replace {
				return l.refuse(piece.Line, 1262, "01000", "Row was truncated; it contained more data than there were input columns")
			}
			row, err := l.Row(piece.Line, piece.Values)
			if err != nil {
				return refusedBy(l.c, err)
			}
			if err := l.add(row, piece.Rest); err != nil {
				return err
			}
		}
		unread = append(unread[:0], unread[n:]...)
		if len(unread) > wire.DefaultMaxPacket {
			return l.refuse(cutter.Lines(), 1153, "08S01", fmt.Sprintf("it is longer than %d bytes", wire.DefaultMaxPacket))
		}
	}
	return l.insert()
}

func (l *loading) refuse(line uint64, errno uint16, state, what string) error {
	return refusedBy(l.c, dialect.AtLine(line, "", &dialect.Error{Errno: errno, State: state, At: -1, What: what}))
}

// add takes a row. more tells that there was more in its line.
func (l *loading) add(row dialect.LoadRow, more bool) error {
	if n := len(l.rows); n >= maxLoadedRows || l.size >= maxLoaded || n > 0 && l.rows[0].Numbered != row.Numbered {
		if err := l.insert(); err != nil {
			return err
		}
	}
	l.rows, l.size = append(l.rows, line{row, more}), l.size+row.Size()
	return nil
}

// count counts rows, and warns of what was left of their lines.
func (l *loading) count(rows []line) {
	for _, r := range rows {
		if l.records++; r.more {
			l.warn(1262, fmt.Sprintf("Row %d was truncated; it contained more data than there were input columns", l.records))
		}
	}
}

func (l *loading) warn(errno uint16, text string) {
	if l.warnings++; len(l.s.said) < maxWarnings {
		l.s.said = append(l.s.said, warning{"Warning", text, errno})
	}
}

// insert inserts the rows that wait.
func (l *loading) insert() error {
	rows := l.rows
	l.rows, l.size = l.rows[:0], 0
	if len(rows) == 0 {
		return nil
	}
	return l.some(rows)
}

// some inserts rows. Where not all go in, it finds out which by trying halves, as long as the warnings about them are wanted.
func (l *loading) some(rows []line) error {
	sure := len(rows) == 1 // PostgreSQL's error is wanted
	plain := make([]dialect.LoadRow, len(rows))
	for i, r := range rows {
		plain[i] = r.LoadRow
	}
	st, err := l.Insert(plain, !sure)
	if err != nil {
		return err
	}
	before := l.run
	err = l.steps(st.Steps, l.lead+"SAVEPOINT "+rowsPoint+"; ")
	if l.s.lost != nil {
		return err
	}
	if err == nil {
		l.lead = "RELEASE SAVEPOINT " + rowsPoint + "; "
		n := l.affected - before.affected
		switch {
		case l.Replace:
			l.replaced += n - uint64(len(rows))
			l.count(rows)
			return nil
		case n == uint64(len(rows)) || len(l.s.said) >= maxWarnings:
			l.skipped, l.warnings = l.skipped+uint64(len(rows))-n, l.warnings+uint64(len(rows))-n
			l.count(rows)
			return nil
		}
	}
	l.run = before
	if _, own := err.(*wire.Error); err != nil && said(err) == nil && !own {
		return err
	}
	if e := said(err); e != nil && (e.Code.Class() == "40" || e.Code.Class() == "57" || e.Code.Class() == "53" || e.Code == "55P03") { // no row's fault
		return err
	}
	if undo := l.s.run("ROLLBACK TO SAVEPOINT " + rowsPoint); undo != nil {
		return undo
	}
	l.lead = "RELEASE SAVEPOINT " + rowsPoint + "; "
	if !sure {
		if err := l.some(rows[:len(rows)/2]); err != nil {
			return err
		}
		return l.some(rows[len(rows)/2:])
	}
	if e := said(err); e != nil && l.passes(e) {
		w := translate(e)
		l.warn(w.Errno, w.Message)
		if e.Code != "23514" { // that is no record to MySQL
			l.skipped++
			l.count(rows)
		}
		return nil
	}
	return rowError{rows[0].LoadRow.Line, st.Given(), err}
}

// passes tells whether the row is passed over because of the error, as IGNORE has it.
func (l *loading) passes(e *pq.Error) bool {
	if l.Replace {
		return false
	}
	switch e.Code {
	case "23505":
		return true
	case "23503":
		return l.s.vars.values["foreign_key_checks"].text != "0" // MySQL would not look
	case "23514":
		_, _, ofType := checkOf(e)
		return !ofType
	}
	return false
}

// rest reads what is left of the file.
func (l *loading) rest() error {
	for l.answer.broken == nil {
		if chunk, err := l.file.Next(); err != nil || len(chunk) == 0 {
			return err
		}
	}
	return nil
}
