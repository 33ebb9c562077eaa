package ddl

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
)

// State is how far a statement has come on one backend.
type State string

// The states.
const (
	Pending State = "pending" // it was not sent
	Running State = "running" // it was sent, and no answer is known
	Done    State = "done"
	Failed  State = "failed" // the server refused it
)

// Outcome is how a record ended.
type Outcome string

// The outcomes.
const (
	Open         Outcome = ""
	Complete     Outcome = "done"
	NothingDone  Outcome = "failed"    // on every backend
	AbandonedNow Outcome = "abandoned" // by the operator
)

// Record is one statement.
type Record struct {
	ID        uint64          `json:"id"`
	Created   time.Time       `json:"created"`
	Account   string          `json:"account"`
	Statement []byte          `json:"-"`
	Text      string          `json:"statement"`
	Session   backend.Session `json:"-"`
	Of        router.DDL      `json:"-"`
	Objects   []string        `json:"objects"`
	Outcome   Outcome         `json:"outcome"`
	Ended     time.Time       `json:"ended,omitzero"`
	Held      bool            `json:"held"` // somebody works on it
	Parts     []Part          `json:"parts"`
}

// Part is the share of one backend.
type Part struct {
	Backend    string    `json:"backend"`
	State      State     `json:"state"`
	SQL        []byte    `json:"-"` // nil: the statement as it is
	Before     []string  `json:"-"` // of Snapshot
	Connection uint64    `json:"connection,omitempty"`
	Started    time.Time `json:"started,omitzero"`
	Ended      time.Time `json:"ended,omitzero"`
	Errno      uint16    `json:"errno,omitempty"`
	SQLState   string    `json:"sqlstate,omitempty"`
	Message    string    `json:"message,omitempty"`
}

// text of the part's statement.
func (r *Record) text(i int) []byte {
	if sql := r.Parts[i].SQL; sql != nil {
		return sql
	}
	return r.Statement
}

// on are the backends whose part is in one of the states, for people.
func (r *Record) on(states ...State) string {
	var names []string
	for _, p := range r.Parts {
		for _, s := range states {
			if p.State == s {
				names = append(names, p.Backend)
			}
		}
	}
	return strings.Join(names, ", ")
}

// all reports whether all parts are in this state.
func (r *Record) all(s State) bool {
	for _, p := range r.Parts {
		if p.State != s {
			return false
		}
	}
	return true
}

// Records returns those that are open, and with also so many of the last ones, newest first.
func (j *Journal) Records(ctx context.Context, also int) (all []*Record, err error) {
	missing, err := j.Missing(ctx)
	if err != nil || missing {
		return nil, err
	}
	err = j.Home().Apart(ctx, func(c *backend.Conn) error {
		where := "outcome = ''"
		if also > 0 {
			where += fmt.Sprintf(" OR id + %d > (SELECT MAX(id) FROM `xaproxy`.`xaproxy_ddl`)", also)
		}
		if all, err = read(c, where); err != nil {
			return err
		}
		for _, r := range all {
			if r.Outcome == Open {
				if r.Held, err = locked(c, r.Of.Objects); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return all, err
}

// read returns the records that a condition leaves.
func read(c *backend.Conn, where string) (all []*Record, err error) {
	answers, err := c.Batch(maxRecord,
		"SELECT id, created, account, statement, session, `plan`, outcome, ended FROM `xaproxy`.`xaproxy_ddl` WHERE "+where+" ORDER BY id DESC",
		"SELECT id, backend, state, statement, before_it, connection, started, ended, errno, sql_state, message FROM `xaproxy`.`xaproxy_ddl_part` "+
			"WHERE id IN (SELECT id FROM `xaproxy`.`xaproxy_ddl` WHERE "+where+") ORDER BY id, backend")
	if err != nil {
		return nil, err
	}
	byID := map[uint64]*Record{}
	for _, v := range answers[0].Values {
		r := &Record{ID: number(v[0]), Created: moment(v[1]), Account: string(v[2]), Statement: v[3], Text: string(v[3]), Outcome: Outcome(v[6]), Ended: moment(v[7])}
		if err := json.Unmarshal(v[4], &r.Session); err != nil {
			return nil, fmt.Errorf("DDL %d: session: %w", r.ID, err)
		}
		if err := json.Unmarshal(v[5], &r.Of); err != nil {
			return nil, fmt.Errorf("DDL %d: plan: %w", r.ID, err)
		}
		for _, o := range r.Of.Objects {
			r.Objects = append(r.Objects, Name(o))
		}
		all, byID[r.ID] = append(all, r), r
	}
	for _, v := range answers[1].Values {
		p := Part{
			Backend: string(v[1]), State: State(v[2]), SQL: v[3], Connection: number(v[5]), Started: moment(v[6]), Ended: moment(v[7]),
			Errno: uint16(number(v[8])), SQLState: string(v[9]), Message: string(v[10]),
		}
		if err := json.Unmarshal(v[4], &p.Before); err != nil {
			return nil, fmt.Errorf("DDL %d: definitions before: %w", number(v[0]), err)
		}
		if r := byID[number(v[0])]; r != nil {
			r.Parts = append(r.Parts, p)
		}
	}
	return all, nil
}

// insert writes a new record, whose ID it sets.
func (r *Record) insert(c *backend.Conn) error {
	if err := c.Exec("START TRANSACTION"); err != nil {
		return err
	}
	rows, err := c.Query(fmt.Sprintf("INSERT INTO `xaproxy`.`xaproxy_ddl` (created, account, what, statement, session, `plan`) VALUES (%s, %s, %s, %s, %s, %s)",
		stamp(r.Created), text(r.Account), text(r.Of.What), bytesOf(r.Statement), encoded(r.Session), encoded(r.Of)))
	if err != nil {
		return err
	}
	r.ID = rows.OK.InsertID
	values := make([]string, len(r.Parts))
	for i, p := range r.Parts {
		values[i] = fmt.Sprintf("(%d, %s, '%s', %s, %s)", r.ID, text(p.Backend), p.State, bytesOf(p.SQL), encoded(p.Before))
	}
	for _, sql := range []string{
		"INSERT INTO `xaproxy`.`xaproxy_ddl_part` (id, backend, state, statement, before_it) VALUES " + strings.Join(values, ", "),
		fmt.Sprintf("DELETE FROM `xaproxy`.`xaproxy_ddl` WHERE outcome <> '' AND ended < UTC_TIMESTAMP() - INTERVAL %d DAY", keepDays),
		"COMMIT",
	} {
		if err := c.Exec(sql); err != nil {
			return err
		}
	}
	return nil
}

// update writes a part.
func (r *Record) update(i int) string {
	p := &r.Parts[i]
	return fmt.Sprintf("UPDATE `xaproxy`.`xaproxy_ddl_part` SET state = '%s', connection = %d, started = %s, ended = %s, errno = %d, sql_state = %s, message = %s WHERE id = %d AND backend = %s",
		p.State, p.Connection, stamp(p.Started), stamp(p.Ended), p.Errno, text(p.SQLState), text(p.Message), r.ID, text(p.Backend))
}

// close writes how the record ended.
func (r *Record) close() string {
	return fmt.Sprintf("UPDATE `xaproxy`.`xaproxy_ddl` SET outcome = '%s', ended = %s WHERE id = %d AND outcome = ''", r.Outcome, stamp(r.Ended), r.ID)
}

const layout = "2006-01-02 15:04:05.000000"

func stamp(t time.Time) string {
	if t.IsZero() {
		return "NULL"
	}
	return "'" + t.UTC().Format(layout) + "'"
}

// moment reads what stamp wrote; zero for NULL.
func moment(b []byte) time.Time {
	t, err := time.Parse(layout, string(b))
	if err != nil {
		return time.Time{}
	}
	return t
}

// number reads a column of digits.
func number(b []byte) uint64 {
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		panic("ddl: a column of digits has " + strconv.Quote(string(b)))
	}
	return n
}
