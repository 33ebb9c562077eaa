package postgres

import (
	"testing"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
)

// What is asked of the session itself is answered without PostgreSQL, under the names that MySQL gives to the columns.
func TestOwnValues(t *testing.T) {
	s := &session{dialer: &Dialer{User: "u"}, id: 7, version: "15.1 (x)", schema: "shop", insertID: 5}
	s.vars.reset(s, "READ-COMMITTED")
	s.vars.user["a"] = dialect.UserValue{Text: "ä"}
	for text, want := range map[string]string{
		"SELECT @@version, @@session.sql_notes AS n":                "@@version=8.0.36-PostgreSQL-15.1 n=1 ",
		"select _utf8mb4 x'75407368' `USER()`":                      "USER()=u@sh ",
		"select _utf8mb4 x'75' COLLATE utf8mb4_bin AS `a b`, 'x' y": "-",
		"select IF(1,_utf8mb4 x'75407368',USER()) AS `USER()`":      "USER()=u@sh ",
		"SELECT IF(1,CAST(3 AS UNSIGNED),ROW_COUNT()) AS `r`":       "r=3 ",
		"SELECT LAST_INSERT_ID(), LAST_INSERT_ID(0)":                "LAST_INSERT_ID()=5 LAST_INSERT_ID(0)=0 ",
		"SELECT @`a`, HEX(@a), CHARSET(@a), @b":                     "@`a`=ä HEX(@a)=C3A4 CHARSET(@a)=utf8mb4 @b=NULL ",
		"select database() limit 1":                                 "database()=shop ",
		"SELECT n FROM t":                                           "-",
		"SELECT 1 + 1":                                              "-",
	} {
		list, err := split([]byte(text), true)
		if err != nil {
			t.Fatal(err)
		}
		columns, row, failed := s.values(&list[0])
		got := ""
		for i, c := range columns {
			value := string(row[i])
			if row[i] == nil {
				value = "NULL"
			}
			got += c.Name + "=" + value + " "
		}
		if columns == nil {
			got = "-"
		}
		if failed != nil || got != want {
			t.Errorf("%s: got %s (%v), want %s", text, got, failed, want)
		}
	}
}
