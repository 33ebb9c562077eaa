package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/wire"
)

// xa carries out a verb of XA.
//
// Source: MySQL manual, "XA Transaction States".
func (s *session) xa(words []part, a *answer) error {
	if len(words) < 2 {
		return syntaxError(words)
	}
	verb := words[1].is
	if verb == "RECOVER" {
		return s.recover(a)
	}
	xid, rest, err := parseXID(words[2:])
	if err != nil {
		return err
	}
	onePhase := len(rest) == 2 && rest[0].is == "ONE" && rest[1].is == "PHASE" && verb == "COMMIT"
	if len(rest) > 0 && !onePhase {
		return syntaxError(rest)
	}
	mine := s.tx.xid == xid && s.tx.phase != idle
	switch verb {
	case "START", "BEGIN":
		err = s.xaStart(xid)
	case "END":
		err = s.xaEnd(mine)
	case "PREPARE":
		err = s.xaPrepare(xid, mine)
	case "COMMIT":
		err = s.xaCommit(xid, mine, onePhase)
	case "ROLLBACK":
		err = s.xaRollback(xid, mine)
	default:
		err = syntaxError(words[1:])
	}
	if err == nil {
		a.ok(wire.OK{})
	}
	return err
}

var (
	errNoXA      = wire.NewError(wire.CodeXANota, "XAER_NOTA: Unknown XID")
	errXAOutside = wire.NewError(wire.CodeXAOutside, "XAER_OUTSIDE: Some work is done outside global transaction")
	errXADouble  = wire.NewError(wire.CodeXADupID, "XAER_DUPID: The XID already exists")
	errXAState   = wire.NewError(wire.CodeXARMFail, "XAER_RMFAIL: The command cannot be executed when global transaction is in this state")
	errXAUndone  = wire.NewError(wire.CodeXARBDeadlock, "XA_RBDEADLOCK: Transaction branch was rolled back: deadlock was detected")
)

func (s *session) xaStart(xid string) error {
	switch {
	case s.tx.phase == prepared: // PostgreSQL's session is free
	case s.tx.phase != idle && s.tx.xid != "":
		return errXAState
	case s.tx.phase != idle:
		return errXAOutside
	}
	s.begin(xid, "")
	return nil
}

func (s *session) xaEnd(mine bool) error {
	switch {
	case !mine:
		return errNoXA
	case s.tx.phase == undone:
		return errXAUndone
	case s.tx.phase != begun && s.tx.phase != active:
		return errXAState
	case s.tx.phase == begun:
		if err := s.run("BEGIN" + s.tx.characteristics); err != nil {
			return err
		}
	}
	s.tx.phase = ended
	return nil
}

// xaPrepare asks for the vote. A failed transaction cannot be prepared, but PREPARE TRANSACTION does not say so: it rolls back, and its answer
// is no error. A savepoint in front of it is one then.
func (s *session) xaPrepare(xid string, mine bool) error {
	switch {
	case !mine:
		return errNoXA
	case s.tx.phase == undone:
		return errXAUndone
	case s.tx.phase != ended:
		return errXAState
	}
	rows, err := s.send(s.unlimited().text() + "SAVEPOINT " + guard + "; PREPARE TRANSACTION " + quote(xid))
	if err == nil {
		err = s.drain(rows)
	}
	if err == nil && rows.Tag() != "PREPARE TRANSACTION" {
		err = wire.NewError(wire.CodeXARBRollback, "XA_RBROLLBACK: PREPARE TRANSACTION was answered with %s: nothing is prepared", rows.Tag())
	}
	if err == nil {
		s.tx.phase = prepared
		return nil
	}
	defer func() { s.tx = transaction{} }()
	if s.lost == nil {
		if undo := s.undone("ROLLBACK"); undo != nil { // a warning where PREPARE TRANSACTION itself has failed
			return undo
		}
		if e := said(err); e != nil && e.Code == "42710" {
			return errXADouble
		}
	}
	return err
}

func (s *session) xaCommit(xid string, mine, onePhase bool) error {
	switch {
	case onePhase && !mine:
		return errNoXA
	case onePhase && s.tx.phase == undone:
		s.tx = transaction{}
		return errXAUndone
	case onePhase && s.tx.phase == ended:
		return s.end(true)
	case onePhase || mine && s.tx.phase != prepared:
		return errXAState
	case s.tx.phase != idle && s.tx.phase != prepared:
		return errXAOutside
	}
	return s.finish("COMMIT PREPARED ", xid, mine)
}

func (s *session) xaRollback(xid string, mine bool) error {
	switch {
	case mine && s.tx.phase == active:
		return errXAState // as MySQL: XA END first
	case mine && s.tx.phase != prepared:
		return s.end(false)
	case s.tx.phase != idle && s.tx.phase != prepared:
		return errXAOutside
	}
	return s.finish("ROLLBACK PREPARED ", xid, mine)
}

// finish ends a prepared transaction.
func (s *session) finish(verb, xid string, mine bool) error {
	err := s.run(verb + quote(xid))
	if e := said(err); e != nil && e.Code == "42704" {
		err = errNoXA
	}
	if mine && (err == nil || err == errNoXA) {
		s.tx = transaction{}
	}
	return err
}

// recover answers XA RECOVER with what is prepared in this database. What xaproxy has not prepared has the format 0.
func (s *session) recover(a *answer) error {
	list, err := s.ask("SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared")
	if err != nil {
		return err
	}
	var rows [][][]byte
	for _, r := range list {
		gid := fmt.Sprint(r[0])
		gtrid, bqual, ours := strings.Cut(gid, "|")
		format := "0"
		if ours {
			format = strconv.Itoa(formatID)
		}
		rows = append(rows, [][]byte{
			[]byte(format), strconv.AppendInt(nil, int64(len(gtrid)), 10), strconv.AppendInt(nil, int64(len(bqual)), 10), []byte(gtrid + bqual),
		})
	}
	a.small([]wire.Column{numberColumn("formatID"), numberColumn("gtrid_length"), numberColumn("bqual_length"), s.textColumn("data", 200)}, rows...)
	return nil
}

// formatID is that of xaproxy's XIDs: xa.FormatID.
const formatID = 20041

// parseXID reads 'gtrid','bqual',format and returns PostgreSQL's name of the transaction.
func parseXID(words []part) (gid string, rest []part, err error) {
	if len(words) < 5 || words[0].kind != text || words[1].is != "," || words[2].kind != text || words[3].is != "," || words[4].is != strconv.Itoa(formatID) {
		return "", nil, wire.NewError(wire.CodeXAInval, "XAER_INVAL: a PostgreSQL backend takes XIDs of the form 'gtrid','bqual',%d", formatID)
	}
	gid = words[0].is + "|" + words[2].is
	if len(gid) >= 200 || words[0].is == "" || strings.Contains(words[0].is, "|") {
		return "", nil, wire.NewError(wire.CodeXAInval, "XAER_INVAL: the XID has a vertical bar, or 200 bytes or more")
	}
	return gid, words[5:], nil
}
