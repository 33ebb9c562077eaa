package postgres_test

import (
	"database/sql"
	"fmt"
	"strconv"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// BenchmarkPoint selects one row by its key, as text and prepared, in a transaction and without.
func BenchmarkPoint(b *testing.B) {
	f := newFace(b)
	if err := f.dialer.SetUp(b.Context()); err != nil {
		b.Fatal(err)
	}
	c := f.conn()
	c.exec("CREATE TABLE items (id INT PRIMARY KEY, c VARCHAR(100) NOT NULL)")
	c.exec("INSERT INTO items VALUES (1, 'one'), (2, 'two'), (3, 'three')")
	for _, prepared := range []bool{false, true} {
		for _, transaction := range []bool{false, true} {
			b.Run(fmt.Sprintf("prepared=%v/transaction=%v", prepared, transaction), func(b *testing.B) {
				c := f.conn(func(c *mysql.Config) { c.InterpolateParams = !prepared })
				if transaction {
					c.exec("BEGIN")
				}
				const query = "SELECT c FROM items WHERE id = "
				var stmt *sql.Stmt
				if prepared {
					var err error
					if stmt, err = c.PrepareContext(b.Context(), query+"?"); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportAllocs()
				for i := range b.N {
					var got string
					var err error
					if prepared {
						err = stmt.QueryRow(1 + i%3).Scan(&got)
					} else {
						err = c.QueryRowContext(b.Context(), query+strconv.Itoa(1+i%3)).Scan(&got)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
