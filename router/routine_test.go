package router

import (
	"errors"
	"strings"
	"testing"
)

// TestRoutineBodies: only a body that computes its value from its parameters and variables alone is one.
func TestRoutineBodies(t *testing.T) {
	r := newRouter(t, parseConfig(t, "backend a\nbackend b\nbackend c\nschema shop a\ntable shop.orders by id hash a b c\n"))
	for body, want := range map[string]string{
		"RETURN a * 2": "",
		"RETURN IF(a IN (1, 2), CONVERT(b, CHAR(3)), TRIM(LEADING 'x' FROM REPLACE(b, 'SELECT', '@x')))":                                          "",
		"BEGIN DECLARE x, y DECIMAL(5,2) DEFAULT 1; SET x = GREATEST(a, b), y = x + 1; RETURN x + y; END":                                         "",
		"BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION RETURN NULL; IF a < 0 THEN SIGNAL SQLSTATE '45000'; END IF; RETURN INSERT(b, 1, 1, ''); END": "",
		"BEGIN l: LOOP SET a := a + 1; IF a > 9 THEN LEAVE l; END IF; END LOOP; RETURN CASE WHEN a THEN 'x' ELSE RAND() END; END":                 "",
		"":                              "has no body in SQL that xaproxy's account may see",
		"RETURN (SELECT 1)":             "has SELECT in its body",
		"RETURN (TABLE t)":              "has TABLE in its body",
		"RETURN EXISTS (VALUES ROW(1))": "calls EXISTS in its body",
		"BEGIN INSERT INTO t (a) VALUES (1); RETURN 1; END":  "has INSERT in its body",
		"BEGIN REPLACE t (a) SELECT 1; RETURN 1; END":        "has REPLACE in its body",
		"BEGIN CALL p(); RETURN 1; END":                      "has CALL in its body",
		"RETURN other(a)":                                    "calls other in its body",
		"RETURN `abs`(a)":                                    "calls abs in its body",
		"RETURN shop.other(a)":                               "has a name with a point in its body",
		"RETURN GET_LOCK(b, 1)":                              "calls GET_LOCK in its body",
		"RETURN LAST_INSERT_ID(a)":                           "calls LAST_INSERT_ID in its body",
		"RETURN @x":                                          "has variables of the session in its body",
		"RETURN @@sql_mode":                                  "has variables of the session in its body",
		"RETURN NEXT VALUE FOR s":                            "has NEXT in its body",
		"RETURN NEXTVAL(s)":                                  "calls NEXTVAL in its body",
		"RETURN /*!50000 (SELECT 1) */ + 1":                  "has a comment in its body",
		"BEGIN SET sql_mode = ''; RETURN 1; END":             "sets something else than its own variables in its body",
		"BEGIN SET a = 1, sql_mode = ''; RETURN 1; END":      "sets something else than its own variables in its body",
		"BEGIN SET SESSION sql_mode = ''; RETURN 1; END":     "sets something else than its own variables in its body",
		"BEGIN SET a = (1 + 2), NAMES utf8; RETURN 1; END":   "sets something else than its own variables in its body",
		"RETURN CURRENT_USER":                                "has CURRENT_USER in its body",
		"BEGIN GET DIAGNOSTICS a = ROW_COUNT; RETURN a; END": "has GET in its body",
	} {
		if got := r.keeps(Routine{Schema: "shop", Name: "f", Parameters: []string{"A", "b"}, Body: body}); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	if got := r.keeps(Routine{Body: `RETURN "@" + a`, Parameters: []string{"a"}, SQLMode: "ANSI_QUOTES"}); got != "" {
		t.Errorf("a quoted name: %q", got)
	}
}

// TestRoutinesOfBackends: a function runs where rows are only if the same one is there.
func TestRoutinesOfBackends(t *testing.T) {
	one := func(b int, body string) Routine {
		return Routine{Backend: b, Schema: "Shop", Name: "F", Parameters: []string{"n"}, Body: body, Rest: "int"}
	}
	for _, test := range []struct {
		all  []Routine
		want string
	}{
		{nil, "function f is not built in; "},
		{[]Routine{one(0, "RETURN n"), one(1, "RETURN n")}, "is not on backend c"},
		{[]Routine{one(0, "RETURN n"), one(1, "RETURN n"), one(2, "RETURN n + 1")}, "is another one on backend c than on a"},
		{[]Routine{one(0, "RETURN n"), one(1, "RETURN n"), one(2, "RETURN n")}, ""},
	} {
		r := newRouter(t, parseConfig(t, "backend a\nbackend b\nbackend c\nschema shop a\ntable shop.orders by id hash a b c\n"))
		r.LearnRoutines(test.all)
		p, err := r.Plan([]byte("SELECT id, f(id) FROM orders"), "shop", 0)
		var why *Refusal
		switch {
		case errors.As(err, &why):
			if test.want == "" || !strings.Contains(why.Text, test.want) {
				t.Errorf("%v: %s", test.all, why.Text)
			}
		case test.want != "" || p.Merge != MergeRows || p.Write || p.Program:
			t.Errorf("%v: %+v", test.all, p)
		}
	}
}
