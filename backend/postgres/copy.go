package postgres

import (
	"strings"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
	"github.com/xaproxy/xaproxy/wire"
)

// CopyHint and FirstCopyHint are comments in front of a DO, which say that the change behind it is one of copies of rows: other servers make the
// same one, and must come to the same rows. Others that change them come to the first copy before they come to the others.
const (
	CopyHint      = "/* xaproxy: copy */ "
	FirstCopyHint = "/* xaproxy: first copy */ "
)

// copyRole is what a session has of copies of rows.
type copyRole uint8

const (
	noCopy copyRole = iota
	firstCopy
	laterCopy
)

// copyNext is what SET insert_id and the hints say of the next change.
type copyNext struct {
	copied   copyRole
	insertID uint64 // the first number that AUTO_INCREMENT gives; 0: the sequence's next one
}

// asCopy refuses a change of copies that could have another result than on a server of the MySQL family, and returns what waits for transactions
// before it.
//
// An UPDATE of READ COMMITTED looks at the rows that were committed when it began, and at those that it waited for once more: it does not wait for rows that
// others make meet its condition. The first copy therefore has one writer at a time. Another one is changed behind the same transactions as the first,
// but these may be prepared there still.
func (s *session) asCopy(t *dialect.Statement, role copyRole) (wait front, err error) {
	isolation := " ISOLATION LEVEL " + strings.ReplaceAll(s.vars.isolation, "-", " ")
	if s.tx.open() {
		isolation = s.tx.characteristics
	}
	if !strings.HasPrefix(isolation, " ISOLATION LEVEL READ") {
		return nil, wire.NewError(wire.CodeNotSupported, "a transaction of this isolation does not see on PostgreSQL what others have committed meanwhile, and MySQL changes that: broadcast tables with a copy on PostgreSQL are changed in READ COMMITTED; SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
	}
	zone := s.zone
	if set := s.vars.values["time_zone"].text; set != "" && !strings.EqualFold(set, "SYSTEM") {
		zone = set
	}
	for _, table := range t.Changes {
		for _, c := range table.Columns {
			if c.Type.Kind == dialect.Timestamp && !fixedZone(zone) {
				return nil, wire.NewError(wire.CodeNotSupported, "column %s of %s is a TIMESTAMP, and in time zone %s an hour of each year comes twice, of which MySQL and PostgreSQL mean another one: a broadcast table with a copy on PostgreSQL is changed in a zone without summer time; SET time_zone = '+00:00'", c.Name, table.Name, zone)
			}
			if c.Type.Kind == dialect.JSON || c.Type.Kind == dialect.Float {
				return nil, wire.NewError(wire.CodeNotSupported, "column %s of %s is of type %s, of which MySQL and PostgreSQL do not keep the same values: a broadcast table with a copy on PostgreSQL cannot have it; use TEXT or DOUBLE", c.Name, table.Name, strings.ToUpper(c.Type.String()))
			}
		}
		if role == firstCopy {
			wait = append(wait, "LOCK TABLE "+table.Quoted()+" IN SHARE ROW EXCLUSIVE MODE")
		} else {
			wait = append(wait, "CALL xaproxy.settle("+quote(table.Quoted())+")")
		}
	}
	return wait, nil
}

// fixedZone tells whether the clocks of a time zone are never set back.
func fixedZone(zone string) bool {
	switch strings.ToUpper(zone) {
	case "UTC", "ETC/UTC", "UCT", "ETC/UCT", "GMT", "ETC/GMT":
		return true
	}
	return strings.HasPrefix(zone, "+") || strings.HasPrefix(zone, "-")
}

// numbered runs a change whose numbers begin with next.insertID. Those of the sequence go on behind them, or behind those that it has given.
func (s *session) numbered(t *dialect.Statement, next copyNext, run func() error) error {
	if next.insertID == 0 || t.Numbers == "" {
		return run()
	}
	var before uint64
	err := s.guarded(false, func(lead front) error {
		rows, err := s.ask(lead.text() + "SELECT xaproxy.renumber(" + t.Numbers + ", " + number(int64(next.insertID)).text + ")")
		if err == nil {
			before = unsigned(rows[0][0])
		}
		return err
	})
	if err != nil {
		return err
	}
	failed := run()
	if s.lost != nil || s.tx.phase == undone {
		return failed
	}
	err = s.guarded(false, func(lead front) error {
		return s.run(lead.text() + "SELECT xaproxy.advance(" + t.Numbers + ", " + number(int64(before)).text + ")")
	})
	if failed != nil {
		return failed
	}
	return err
}

// consecutive checks the numbers of new rows: as MySQL gives them, and other servers are told, each is the one behind that of the row before.
func (r *run) consecutive(id uint64) error {
	if r.next != 0 && id != r.next {
		return wire.NewError(wire.CodeNotSupported, "the AUTO_INCREMENT values of the new rows do not follow one another on PostgreSQL, which leaves one out for each row that is there already, or for another client; insert the rows one by one")
	}
	r.next = id + 1
	return nil
}
