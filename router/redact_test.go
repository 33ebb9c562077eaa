package router

import (
	"strings"
	"testing"
)

// Nothing that a client has written as a value, or into a comment, is in what is shown of its statement.
func TestRedact(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT * FROM t WHERE a = 'secret' AND b = 12 AND c = 1.5": "SELECT * FROM t WHERE a = ? AND b = ? AND c = ?",
		"select /* secret */ x'41', 0x41, b'1', 1e3, N'secret'":     "select ?, ?, ?, ?, ?",
		"INSERT INTO t VALUES (1, 'secret'), (2, 'secret')":         "INSERT INTO t VALUES (?, ?)",
		"SET PASSWORD = 'secret' -- secret":                         "SET PASSWORD = ?",
		"SELECT \"secret\" # secret":                                "SELECT ?",
		"/* xaproxy: scatter=allow */ DELETE FROM t":                "DELETE FROM t",
		"SELECT ? FROM t":                  "SELECT ? FROM t",
		"SELECT a, b FROM t WHERE a = 'se": "SELECT a, b FROM t WHERE a = ...",
		"SELECT `a b`.`c` FROM `a b`":      "SELECT `a b`.`c` FROM `a b`",
		"":                                 "",
		"'":                                " ...",
		"SELECT /*! 'secret', */ 2":        "SELECT ?, ?",
	} {
		if got := Redact([]byte(sql), 0); got != want {
			t.Errorf("%s\n\tis shown as %q\n\twant        %q", sql, got, want)
		}
	}
	if got := Redact([]byte(`SELECT "a" FROM t WHERE "a" = 'secret'`), AnsiQuotes); got != `SELECT "a" FROM t WHERE "a" = ?` {
		t.Error(got)
	}
}

// FuzzRedact: a string literal is never shown, wherever a text is cut off.
func FuzzRedact(f *testing.F) {
	f.Add("SELECT * FROM t WHERE a = ", " AND b IN ('x', 2)", 60, uint8(0))
	f.Add("INSERT INTO t VALUES (", ", 3), (2, 3)", 30, uint8(1))
	f.Add("/*!50000 SELECT ", " */", 20, uint8(2))
	f.Fuzz(func(t *testing.T, before, after string, cut int, mode uint8) {
		const secret = "hunter2hunter2"
		if strings.Contains(before+after, "hunter2") || Redact([]byte(before), Mode(mode&3)) == "..." {
			return
		}
		if strings.ContainsAny(before, "'\"`/*-#\\@") { // whatever this opens, the literal may be inside of it, or be the name of a variable
			return
		}
		sql := before + "'" + secret + "'" + after
		if cut >= 0 && cut < len(sql) {
			sql = sql[:cut]
		}
		if got := Redact([]byte(sql), Mode(mode&3)); strings.Contains(got, "hunter2") {
			t.Errorf("%q is shown as %q", sql, got)
		}
	})
}
