// Command sqldriver uses go-sql-driver: "text" puts parameters into the statements, "prepared" prepares them on the server.
package main

import (
	"database/sql"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/tests/clients/go/check"
)

func main() {
	params := "interpolateParams=true"
	if os.Args[1] == "prepared" {
		params = "interpolateParams=false"
	}
	plain := open(os.Getenv("DB_PLAIN"), params)
	kinds(plain)
	notes(plain)
	accounts(open(os.Getenv("DB_SHARDED"), params))
	check.Done()
}

func open(schema, params string) *sql.DB {
	db, err := sql.Open("mysql", check.DSN(schema, params))
	check.OK("open", err)
	check.OK("ping", db.Ping())
	return db
}

func kinds(db *sql.DB) {
	var (
		i8                        int8
		i16                       int16
		i32                       int32
		i64                       int64
		u64                       uint64
		d, span, word, words, doc string
		f                         float32
		r                         float64
		day, moment               time.Time
		y                         int
		bin, bits                 []byte
		choice, several           string
		nothing                   sql.NullInt64
	)
	row := db.QueryRow("SELECT i8, i16, i32, i64, u64, d, f, r, day, moment, span, y, word, words, bin, bits, choice, several, doc, nothing FROM kinds WHERE id = ?", 1)
	check.OK("kinds", row.Scan(&i8, &i16, &i32, &i64, &u64, &d, &f, &r, &day, &moment, &span, &y, &word, &words, &bin, &bits, &choice, &several, &doc, &nothing))
	check.Equal("i8", i8, int8(-128))
	check.Equal("i16", i16, int16(32767))
	check.Equal("i32", i32, int32(-2147483648))
	check.Equal("i64", i64, int64(9223372036854775807))
	check.Equal("u64", u64, uint64(18446744073709551615))
	check.Equal("d", d, "1234567890.1234")
	check.Equal("f", f, float32(1.5))
	check.Equal("r", r, 0.1)
	check.Equal("day", day, time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC))
	check.Equal("moment", moment, time.Date(2024, 2, 29, 23, 59, 58, 123456000, time.UTC))
	check.Equal("span", span, "-12:34:56.789")
	check.Equal("y", y, 2024)
	check.Equal("word", word, "Grüße")
	check.Equal("words", words, "naïve 日本 🐬")
	check.Equal("bin", bin, []byte{0, 0xff, 0x80})
	check.Equal("bits", bits, []byte{0xa5})
	check.Equal("choice", choice, "green")
	check.Equal("several", several, "a,c")
	check.Equal("doc", doc, `{"k": [1, 2]}`)
	check.Equal("nothing", nothing.Valid, false)
}

func notes(db *sql.DB) {
	result, err := db.Exec("INSERT INTO notes (title, body, n) VALUES (?, ?, ?)", "größe 🐬", "it's \\ \"quoted\"\n", 1)
	check.OK("insert", err)
	id, err := result.LastInsertId()
	check.OK("insert id", err)
	check.Equal("insert id", id > 0, true)

	var title, body string
	check.OK("select", db.QueryRow("SELECT title, body FROM notes WHERE id = ?", id).Scan(&title, &body))
	check.Equal("title", title, "größe 🐬")
	check.Equal("body", body, "it's \\ \"quoted\"\n")

	_, err = db.Exec("INSERT INTO notes (title) VALUES (?)", "größe 🐬")
	var failed *mysql.MySQLError
	check.Equal("duplicate", errors.As(err, &failed), true)
	check.Equal("duplicate", failed.Number, uint16(1062))
	check.Equal("duplicate", string(failed.SQLState[:]), "23000")

	result, err = db.Exec("UPDATE notes SET n = n + ? WHERE id = ?", 41, id)
	check.OK("update", err)
	affected, err := result.RowsAffected()
	check.OK("update", err)
	check.Equal("updated", affected, int64(1))

	large := strings.Repeat("0123456789ä", 500_000)
	_, err = db.Exec("UPDATE notes SET body = ? WHERE id = ?", large, id)
	check.OK("large", err)
	check.OK("large", db.QueryRow("SELECT body FROM notes WHERE id = ?", id).Scan(&body))
	check.Equal("large", body == large, true)

	result, err = db.Exec("DELETE FROM notes WHERE id = ?", id)
	check.OK("delete", err)
	affected, err = result.RowsAffected()
	check.OK("delete", err)
	check.Equal("deleted", affected, int64(1))
}

func accounts(db *sql.DB) {
	base := check.Base()
	for i, finish := range []func(*sql.Tx) error{(*sql.Tx).Commit, (*sql.Tx).Rollback} {
		tx, err := db.Begin()
		check.OK("begin", err)
		first := base + 2*int64(i)
		for j, v := range []int{10, 19} {
			_, err = tx.Exec("INSERT INTO accounts (id, v, owner) VALUES (?, ?, ?)", first+int64(j), v, "go")
			check.OK("insert", err)
		}
		_, err = tx.Exec("UPDATE accounts SET v = v + ? WHERE id = ?", 1, first+1)
		check.OK("update", err)
		check.Equal("in transaction", sum(tx, first), 30)
		check.OK("finish", finish(tx))
		check.Equal("after transaction", sum(db, first), 30*(1-i))
	}
}

func sum(q interface {
	Query(string, ...any) (*sql.Rows, error)
}, first int64,
) (total int) {
	rows, err := q.Query("SELECT v FROM accounts WHERE id IN (?, ?)", first, first+1)
	check.OK("sum", err)
	for rows.Next() {
		var v int
		check.OK("sum", rows.Scan(&v))
		total += v
	}
	check.OK("sum", rows.Err())
	return total
}
