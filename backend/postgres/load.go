package postgres

import (
	"fmt"

	"github.com/lib/pq"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
	"github.com/xaproxy/xaproxy/wire"
)

// maxLoaded and maxLoadedRows bound what is inserted at a time, in bytes and rows.
const (
	maxLoaded     = 256 << 10
	maxLoadedRows = 500
)

// loading is a LOAD DATA LOCAL INFILE as it runs. All of it is one statement to the transaction. With LOCAL MySQL does as with IGNORE, unless there is
// REPLACE; but a value that does not fit is an error here.
type loading struct {
	*dialect.Load
	file wire.File
	c    *catalog
	rows []line
	size int // of rows, in bytes

	passing
	records, skipped, replaced uint64
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
	l := &loading{Load: of, c: c, passing: passing{run: run{s: s, answer: a}, strict: of.Replace}}
	l.statement, l.went, l.over, l.wrong = l.insertion, l.wentIn, l.passedOver, l.wrongLine
	if l.file, a.broken = s.client.RequestFile(of.File); a.broken != nil {
		return nil
	}
	alone := s.tx.phase == idle && s.vars.autocommit
	if alone {
		s.begin("", "")
	}
	var bad rowError
	err = s.guarded(false, func(lead front) error {
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
	a.ok(wire.OK{Affected: l.affected, Info: fmt.Sprintf("Records: %d  Deleted: %d  Skipped: %d  Warnings: %d", l.records, l.replaced, l.skipped, len(s.said)+s.unlisted)})
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
			l.s.warn(1262, fmt.Sprintf("Row %d was truncated; it contained more data than there were input columns", l.records))
		}
	}
}

// insert inserts the rows that wait.
func (l *loading) insert() error {
	if len(l.rows) == 0 {
		return nil
	}
	err := l.some(0, len(l.rows))
	l.rows, l.size = l.rows[:0], 0
	return err
}

func (l *loading) insertion(from, to int, pass bool) (dialect.Statement, error) {
	rows := make([]dialect.LoadRow, 0, to-from)
	for _, r := range l.rows[from:to] {
		rows = append(rows, r.LoadRow)
	}
	st, err := l.Insert(rows, pass)
	return st, refusedBy(l.c, err)
}

func (l *loading) wentIn(from, to int, affected uint64) {
	rows := uint64(to - from)
	if l.Replace {
		l.replaced += affected - rows
	} else {
		l.skipped += rows - affected
		l.s.unlisted += int(rows - affected)
	}
	l.count(l.rows[from:to])
}

func (l *loading) passedOver(row int, e *pq.Error) {
	w := translate(e)
	l.s.warn(w.Errno, w.Message)
	if e.Code == "23505" { // other rows are no records to MySQL
		l.skipped++
		l.count(l.rows[row : row+1])
	}
}

func (l *loading) wrongLine(row int, st dialect.Statement, err error) error {
	return rowError{l.rows[row].LoadRow.Line, st.Given(), err}
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
