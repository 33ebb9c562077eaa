package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// values are expressions of every type, and what a client of the Go driver gets, the same in text and in binary rows unless there is a second one.
var values = []struct{ expression, typ, want, binary string }{
	{"true", "TINYINT", "1", ""},
	{"false", "TINYINT", "0", ""},
	{"NULL::bool", "TINYINT", "NULL", ""},
	{"(-32768)::int2", "SMALLINT", "-32768", ""},
	{"2147483647", "INT", "2147483647", ""},
	{"(-9223372036854775808)::int8", "BIGINT", "-9223372036854775808", ""},
	{"4294967295::oid", "BIGINT", "4294967295", ""},
	{"1.5::float4", "FLOAT", "1.5", ""},
	{"0.1::float4", "FLOAT", "0.1", ""},
	{"0.1::float8", "DOUBLE", "0.1", ""},
	{"1e20::float8", "DOUBLE", "1e+20", ""},
	{"123456789012345::float8", "DOUBLE", "1.23456789012345e+14", ""},
	{"1e-20::float8", "DOUBLE", "1e-20", ""},
	{"12.340::numeric(10,3)", "DECIMAL", "12.340", ""},
	{"12345678901234567890123456789012345678901234567890123456789012345678901234567890.5::numeric", "DECIMAL", "12345678901234567890123456789012345678901234567890123456789012345678901234567890.5", ""},
	{"'2026-01-31'::date", "DATE", "2026-01-31", ""},
	{"'0001-01-01'::date", "DATE", "0001-01-01", ""},
	{"'23:59:59.5'::time", "TIME", "23:59:59.500000", ""},
	{"'24:00:00'::time", "TIME", "24:00:00", "24:00:00.000000"},
	{"'00:00:00'::time", "TIME", "00:00:00", "00:00:00.000000"},
	{"'12:30:00+02'::timetz", "VARCHAR", "12:30:00+02:00", ""},
	{"'2026-01-31 23:59:59.000001'::timestamp", "DATETIME", "2026-01-31 23:59:59.000001", ""},
	{"'2026-01-31'::timestamp", "DATETIME", "2026-01-31 00:00:00", "2026-01-31 00:00:00.000000"},
	{"'2026-07-01 12:00:00+00'::timestamptz", "TIMESTAMP", "2026-07-01 14:00:00", "2026-07-01 14:00:00.000000"},
	{`'\x00ff10'::bytea`, "BLOB", "\x00\xff\x10", ""},
	{`''::bytea`, "BLOB", "", ""},
	{"'ä€😀'::text", "TEXT", "ä€😀", ""},
	{"'ab'::varchar(5)", "VARCHAR", "ab", ""},
	{"'ab'::varchar", "TEXT", "ab", ""},
	{"'ab'::char(4)", "CHAR", "ab  ", ""},
	{"'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid", "CHAR", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", ""},
	{`'{"a":  1}'::json`, "JSON", `{"a":  1}`, ""},
	{`'{"b":1,"a":[1,2]}'::jsonb`, "JSON", `{"a": [1, 2], "b": 1}`, ""},
	{"ARRAY[1,NULL,3]", "JSON", "[1, null, 3]", ""},
	{"ARRAY[1.50,2]::numeric[]", "JSON", "[1.50, 2]", ""},
	{"ARRAY[true,false]", "JSON", "[true, false]", ""},
	{`ARRAY['a','NULL',NULL,'q"\,{}','ä','']`, "JSON", `["a", "NULL", null, "q\"\\,{}", "ä", ""]`, ""},
	{"ARRAY[[1,2],[3,4]]", "JSON", "[[1, 2], [3, 4]]", ""},
	{"'{}'::int[]", "JSON", "[]", ""},
	{"ARRAY['2026-01-31'::date]", "JSON", `["2026-01-31"]`, ""},
	{"'happy'::mood", "TEXT", "happy", ""},
	{"'10.0.0.1/24'::inet", "VARCHAR", "10.0.0.1/24", ""},
	{"'08:00:2b:01:02:03'::macaddr", "VARCHAR", "08:00:2b:01:02:03", ""},
	{"'1 year 2 months 3 days 04:05:06'::interval", "VARCHAR", "1 year 2 mons 3 days 04:05:06", ""},
	{"B'101'", "VARCHAR", "101", ""},
	{"int4range(1, 5)", "TEXT", "[1,5)", ""},
	{"ROW(1, 'a')", "TEXT", "(1,a)", ""},
}

// Each type has its value in both protocols, and its type of MySQL's.
func TestValues(t *testing.T) {
	f := newFace(t, "CREATE TYPE mood AS ENUM ('sad', 'happy')")
	var list []string
	for i, v := range values {
		list = append(list, fmt.Sprintf("%s AS c%d", v.expression, i))
	}
	query := pg + "SELECT " + strings.Join(list, ", ")
	for name, inBinary := range map[string]bool{"text": false, "binary": true} {
		t.Run(name, func(t *testing.T) {
			c := f.conn()
			c.exec("SET time_zone = '+02:00'")
			if inBinary {
				statement, err := c.PrepareContext(context.Background(), query)
				if err != nil {
					t.Fatal(err)
				}
				defer statement.Close()
				rows, err := statement.Query()
				if err != nil {
					t.Fatal(err)
				}
				checkValues(t, rows, true)
				return
			}
			rows, err := c.QueryContext(context.Background(), query)
			if err != nil {
				t.Fatal(err)
			}
			checkValues(t, rows, false)
		})
	}
}

// What MySQL cannot express is an error that names value and column, and the session goes on.
func TestValuesThatMySQLLacks(t *testing.T) {
	f := newFace(t)
	c := f.conn()
	for expression, want := range map[string]string{
		"'NaN'::float8":           "1367 (22007): Illegal double 'NaN' value found: MySQL has no such number, for column 'x'",
		"'-infinity'::float4":     "1367 (22007): Illegal double '-Inf' value found: MySQL has no such number, for column 'x'",
		"'NaN'::numeric":          "1367 (22007): Illegal decimal 'NaN' value found: MySQL has no such number, for column 'x'",
		"'infinity'::timestamptz": "1292 (22007): Incorrect datetime value: 'infinity': MySQL has no such moment, for column 'x'",
		"'10000-01-01'::date":     "1292 (22007): Incorrect date value: '10000-01-01 00:00:00': MySQL's years are 1 to 9999, for column 'x'",
		"'0044-03-15 BC'::date":   "1292 (22007): Incorrect date value: '-0043-03-15 00:00:00': MySQL's years are 1 to 9999, for column 'x'",
		"'[0:1]={1,2}'::int[]":    "1235 (42000): the array '[0:1]={1,2}' has a lower bound of its own, which JSON cannot say, for column 'x'",
	} {
		rows, err := c.QueryContext(context.Background(), pg+"SELECT "+expression+" AS x")
		if err == nil {
			for rows.Next() {
				t.Errorf("%s has a row", expression)
			}
			err = rows.Err()
			_ = rows.Close()
		}
		if e, ok := err.(*mysql.MySQLError); !ok || fmt.Sprintf("%d (%s): %s", e.Number, e.SQLState[:], e.Message) != want {
			t.Errorf("%s: %v\nwant %s", expression, err, want)
		}
	}
}

// Millions of rows pass without being held.
func TestStreaming(t *testing.T) {
	f := newFace(t)
	c := f.conn()
	rows, err := c.QueryContext(t.Context(), pg+"SELECT n, repeat('x', 100) FROM generate_series(1, 300000) AS n")
	if err != nil {
		t.Fatal(err)
	}
	n, most := 0, uint64(0)
	for rows.Next() {
		if n++; n%50000 == 0 {
			most = max(most, heap())
		}
	}
	if err := rows.Err(); err != nil || n != 300000 {
		t.Fatalf("%d rows: %v", n, err)
	}
	if most > 24<<20 {
		t.Errorf("%d bytes are held while 30 MB pass", most)
	}
}

func checkValues(t *testing.T, rows *sql.Rows, inBinary bool) {
	t.Helper()
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	if !rows.Next() {
		t.Fatal(rows.Err())
	}
	got := make([]sql.NullString, len(values))
	into := make([]any, len(values))
	for i := range got {
		into[i] = &got[i]
	}
	if err := rows.Scan(into...); err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		want := v.want
		if inBinary && v.binary != "" {
			want = v.binary
		}
		value := got[i].String
		if !got[i].Valid {
			value = "NULL"
		}
		if value != want || types[i].DatabaseTypeName() != v.typ {
			t.Errorf("%s is %s %q, want %s %q", v.expression, types[i].DatabaseTypeName(), value, v.typ, want)
		}
	}
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}
