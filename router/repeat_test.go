package router

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// TestRepeatedRows: rows that are read by their likeness to the one before them are what the lexer makes of them.
func TestRepeatedRows(t *testing.T) {
	pieces := []string{
		"1", "23", "0", "18446744073709551616", "1.5", "1.", ".5", "1e3", "0x1F", "0b1", "x'41'", "N'a'", "'a'", "''", "'a''b'", `'a\'b'`, `"a"`, `"a""b"`, "'a' 'b'", `'a'"b"`,
		"NULL", "null", "DEFAULT", "?", "-1", "- 1", "--1", "+1", "1+2", "f(1)", "f(1, 'x')", "`a`", "`a\x01`", "@a", "@@b", "_utf8'a'", "DATE'2026-01-01'", "5a", "'a)'", "'('",
		"1 /* x */", "/*!1*/", "-- x\n1", "# x\n1", "NOW()", "a.b", "5 ", " 5", "'\xa0'", "\xe4",
	}
	commas := []string{",", ", ", " , ", ",\n", "\r\n\t,", " /* a */,", ",  ", " ,,", ";", ""}
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string) string { return from[rnd.IntN(len(from))] }
	repeated := 0
	for range 50_000 {
		var b strings.Builder
		b.WriteString("INSERT INTO t (a, b) VALUES ")
		form := []string{pick(pieces), pick(pieces)}
		for i := range 1 + rnd.IntN(4) {
			if i > 0 {
				if rnd.IntN(4) > 0 {
					b.WriteString(", ")
				} else {
					b.WriteString(pick(commas))
				}
			}
			if rnd.IntN(3) == 0 {
				form[rnd.IntN(2)] = pick(pieces)
			}
			fmt.Fprintf(&b, "(%s, %s)", form[0], form[1])
		}
		b.WriteString(pick([]string{"", " ON DUPLICATE KEY UPDATE a = 1", ")", "(", "'"}))
		mode := Mode(rnd.IntN(4))
		s := sameRead(t, []byte(b.String()), mode)
		repeated += len(s.rows) - len(s.likes)
	}
	if repeated < 10_000 {
		t.Errorf("only %d rows were like another", repeated)
	}
}

// sameRead reads the text with the short cuts that there are, and fails unless that is the same as token by token.
func sameRead(t *testing.T, sql []byte, mode Mode) *scan {
	t.Helper()
	slow, fast := &scan{trace: true}, &scan{}
	slow.read(sql, "s", mode, false)
	fast.read(sql, "s", mode, false)
	for _, s := range []*scan{slow, fast} {
		s.trace, s.origins, s.mark, s.rowAt, s.rowStart, s.rowLit, s.rowSlot, s.steps, s.stepped = false, nil, 0, 0, 0, 0, 0, nil, nil
		s.lits = append([]literal{}, s.lits...)
	}
	if !reflect.DeepEqual(slow, fast) {
		t.Fatalf("%q, mode %d:\nby tokens %+v\n in short %+v", sql, mode, slow, fast)
	}
	return fast
}

// TestRowsApart: whatever white space is around the comma between rows, they are read by their likeness.
func TestRowsApart(t *testing.T) {
	for _, between := range []string{",", ", ", ",\n", ",\r\n\t", " \v,\f"} {
		sql := []byte("INSERT INTO t VALUES (1, 'a')" + between + "(2, 'b')" + between + "(3, 'c')")
		var s scan
		s.read(sql, "", 0, false)
		if len(s.steps) == 0 || len(s.rows) != 3 || len(s.likes) != 1 {
			t.Errorf("%q: %d steps, rows %v", sql, len(s.steps), s.rows)
		}
		sameRead(t, sql, 0)
	}
}

// TestPlainText: words and commas that are passed over together are what they are one by one.
func TestPlainText(t *testing.T) {
	begin := []string{"INSERT", "REPLACE", "SELECT", "CREATE PROCEDURE p() BEGIN", "", " insert", "INSERT INTO t VALUES (", "/*!50000 INSERT"}
	pieces := []string{
		"a", "INTO", "values", "VALUES", "VALUE", "v", "V", ",", "(", ")", ".", " ", " ", " ", "  ", "\n", "x'41'", "x", "b'1'", "n'a'", "'a'", "'", "`a`", "1", "5a", "1.5", "1e3", "_utf8",
		"@", "@a", "@@b", "\xe4", "a\xa0", "\xa0", "\xc3\xa9", "/*!", "/*", "*/", "-- ", "?", ";", "=", "$1", "\x00",
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 50_000 {
		sql := begin[rnd.IntN(len(begin))]
		for range rnd.IntN(12) {
			if rnd.IntN(2) > 0 {
				sql += " "
			}
			sql += pieces[rnd.IntN(len(pieces))]
		}
		sameRead(t, []byte(sql), Mode(rnd.IntN(4)))
	}
}

// FuzzRead: any text is read in short as token by token.
func FuzzRead(f *testing.F) {
	for _, sql := range seeds(f) {
		f.Add([]byte(sql), byte(0))
	}
	f.Fuzz(func(t *testing.T, sql []byte, mode byte) { sameRead(t, sql, Mode(mode&3)) })
}
