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
	commas := []string{",", ", ", " , ", ",\n", " /* a */,", ",  ", " ,,", ";", ""}
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
		slow, fast := &scan{trace: true}, &scan{}
		slow.read([]byte(b.String()), "s", mode, false)
		fast.read([]byte(b.String()), "s", mode, false)
		for _, s := range []*scan{slow, fast} {
			s.trace, s.origins, s.mark, s.rowAt, s.rowStart, s.rowLit, s.rowSlot, s.steps, s.stepped = false, nil, 0, 0, 0, 0, 0, nil, nil
			s.lits = append([]literal{}, s.lits...)
		}
		repeated += len(fast.rows) - len(fast.likes)
		if !reflect.DeepEqual(slow, fast) {
			t.Fatalf("%q, mode %d:\nby lexer %+v\n repeated %+v", b.String(), mode, slow, fast)
		}
	}
	if repeated < 10_000 {
		t.Errorf("only %d rows were like another", repeated)
	}
}
