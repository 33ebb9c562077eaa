package proxy

import "testing"

func TestKindOf(t *testing.T) {
	for sql, want := range map[string]string{
		"select 1": "select", "  (SELECT 1)": "select", "/* a */ -- b\n# c\nInsert INTO t": "insert", "WITH x AS (SELECT 1) SELECT 2": "select",
		"SAVEPOINT s": "savepoint", "START TRANSACTION": "begin", "selected": "other", "": "other", "/* open": "other", "SET@x=1": "set", "TRUNCATE t": "ddl",
		"/*!50000 SELECT */ 1": "other", "12": "other",
	} {
		if got := kindNames[kindOf([]byte(sql))]; got != want {
			t.Errorf("%q is of kind %s, want %s", sql, got, want)
		}
	}
}

func TestKindOfAllocatesNothing(t *testing.T) {
	sql := []byte("/* hint */ SAVEPOINT s")
	if n := testing.AllocsPerRun(100, func() { kindOf(sql) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
