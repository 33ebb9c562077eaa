package participant

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// words are the statements' parts that MySQL and PostgreSQL spell in their own way. Statements for PostgreSQL are in its own words: what
// decides over money rests on no translation.
type words struct {
	hint     string // in front of every statement
	record   string // in front of one of a decision instead
	decision string // the tables
	proxy    string
	incident string
	now      string // in UTC
	nowExact string // with fractions of a second
	postgres bool
}

var mysqlWords = words{
	decision: "`xaproxy`.`xaproxy_decision`", proxy: "`xaproxy`.`xaproxy_proxy`", incident: "`xaproxy`.`xaproxy_incident`",
	now: "UTC_TIMESTAMP()", nowExact: "UTC_TIMESTAMP(6)",
}

// The time is that of the statement, not of the transaction's begin. What is read as whole seconds is not in the future.
var postgresWords = words{
	hint:     "/* xaproxy: dialect=postgres */ ",
	record:   "/* xaproxy: dialect=postgres decision */ ",
	decision: "xaproxy.xaproxy_decision", proxy: "xaproxy.xaproxy_proxy", incident: "xaproxy.xaproxy_incident",
	now: postgresNow, nowExact: postgresNow,
	postgres: true,
}

const postgresNow = "(clock_timestamp() AT TIME ZONE 'UTC')"

// wordsOf are those of a server.
func wordsOf(s Server) *words {
	if s != nil && s.Translates() {
		return &postgresWords
	}
	return &mysqlWords
}

// ago is the time so long before now, to the second.
func (w *words) ago(seconds int64) string {
	if w.postgres {
		return fmt.Sprintf("%s - INTERVAL '%d seconds'", w.now, seconds)
	}
	return fmt.Sprintf("%s - INTERVAL %d SECOND", w.now, seconds)
}

// exactlyAgo is the time so long before now.
func (w *words) exactlyAgo(d time.Duration) string {
	if w.postgres {
		return fmt.Sprintf("%s - INTERVAL '%d microseconds'", w.nowExact, d.Microseconds())
	}
	return fmt.Sprintf("%s - INTERVAL %d MICROSECOND", w.nowExact, d.Microseconds())
}

// seconds is the Unix time of a column.
func (w *words) seconds(column string) string {
	if w.postgres {
		return "floor(extract(epoch FROM " + column + "))::bigint"
	}
	return "TIMESTAMPDIFF(SECOND, '1970-01-01', " + column + ")"
}

// bytes is a binary string.
func (w *words) bytes(s string) string {
	if w.postgres {
		return `'\x` + hex.EncodeToString([]byte(s)) + "'::bytea"
	}
	return "X'" + hex.EncodeToString([]byte(s)) + "'"
}

// text is a string. PostgreSQL's have no NUL, and no bytes that are not UTF-8.
func (w *words) text(s string) string {
	if w.postgres {
		s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "�")
		return `convert_from('\x` + hex.EncodeToString([]byte(s)) + "'::bytea, 'UTF8')"
	}
	return "CONVERT(X'" + hex.EncodeToString([]byte(s)) + "' USING utf8mb4)"
}

// insertNew inserts rows but those of which a unique key is taken. It waits for whoever is about to take or to free one.
func (w *words) insertNew(columns, values string) string {
	if w.postgres {
		return "INSERT INTO " + w.decision + " " + columns + " VALUES " + values + " ON CONFLICT DO NOTHING"
	}
	return "INSERT IGNORE INTO " + w.decision + " " + columns + " VALUES " + values
}

// orBeat is behind an INSERT of a proxy that may be there.
func (w *words) orBeat() string {
	if w.postgres {
		return " ON CONFLICT (coord) DO UPDATE SET beat_at = " + w.nowExact
	}
	return " ON DUPLICATE KEY UPDATE beat_at = " + w.nowExact
}
