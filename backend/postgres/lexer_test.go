package postgres

import (
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		text string
		want string // statements with " | " between them, N: in front of those in PostgreSQL's words
	}{
		{"", ""},
		{" ;; -- nothing\n;", ""},
		{"SELECT 1;SELECT 2", "SELECT 1 | SELECT 2"},
		{`SELECT 'a;b', "c;d", ` + "`e;f`;SELECT 2", `SELECT 'a;b', "c;d", ` + "`e;f` | SELECT 2"},
		{`SELECT 'it''s; \'; x';SELECT 2`, `SELECT 'it''s; \'; x' | SELECT 2`},
		{"/* a;b */ SELECT 1 # c;d\n;SELECT 2 -- ;\n", "/* a;b */ SELECT 1 # c;d | SELECT 2 -- ;"},
		{`/* xaproxy: dialect=postgres */ SELECT 'a\';SELECT 'b\'';c'`, `N:/* xaproxy: dialect=postgres */ SELECT 'a\' | SELECT 'b\'' | c'`},
		{`SAVEPOINT s;/* xaproxy: backend=b, dialect=postgres */ SELECT $x$;$x$, $1, E'\';', /* ; /* ; */ ; */ 1`, `SAVEPOINT s | N:/* xaproxy: backend=b, dialect=postgres */ SELECT $x$;$x$, $1, E'\';', /* ; /* ; */ ; */ 1`},
		{"/* xaproxy: dialect=postgres */ SELECT 1 --;\n, 2", "N:/* xaproxy: dialect=postgres */ SELECT 1 --;\n, 2"},
		{"/* says xaproxy: dialect=postgres */ SELECT 1", "/* says xaproxy: dialect=postgres */ SELECT 1"},
	} {
		list, err := split([]byte(c.text), true)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		}
		var got []string
		for _, s := range list {
			one := strings.TrimSpace(string(s.text))
			if s.native {
				one = "N:" + one
			}
			got = append(got, one)
		}
		if strings.Join(got, " | ") != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.text, strings.Join(got, " | "), c.want)
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	long := strings.Repeat("x", 64)
	for text, errno := range map[string]uint16{
		"SELECT 'a\x00'":        1064,
		"SELECT " + long:        1059,
		"SELECT `" + long + "`": 1059,
		`/* xaproxy: dialect=postgres */ SELECT "` + long + `"`: 1059,
		"SELECT '" + long + "'":                                 0,
		"SELECT 1" + strings.Repeat("0", 80):                    0,
	} {
		_, err := split([]byte(text), true)
		switch {
		case errno == 0 && err != nil:
			t.Errorf("%s: %v", text, err)
		case errno != 0 && (err == nil || err.Errno != errno):
			t.Errorf("%s: %v, want error %d", text, err, errno)
		}
	}
}

func TestUnquote(t *testing.T) {
	for raw, want := range map[string]string{`'a''b'`: "a'b", `'a\'b\n\%'`: "a'b\n\\%", "`a``b`": "a`b", `""`: ""} {
		if got := unquote(raw, raw[0] == '\''); got != want {
			t.Errorf("%s: got %q, want %q", raw, got, want)
		}
	}
}
