// Command once is the example of docs/exactly-once.md for go-sql-driver: it moves 10 from account DB_BASE to DB_BASE+1.
package main

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"os"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/tests/clients/go/check"
)

const alreadyCommitted = 20042

// exactlyOnce commits what work does exactly once for the key. It tries until ctx ends.
func exactlyOnce(ctx context.Context, db *sql.DB, key string, work func(*sql.Tx) error) error {
	for {
		err := attempt(ctx, db, key, work)
		var said *mysql.MySQLError
		if err == nil || errors.As(err, &said) && said.Number == alreadyCommitted {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50*time.Millisecond + rand.N(150*time.Millisecond)):
		}
	}
}

func attempt(ctx context.Context, db *sql.DB, key string, work func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	if _, err := tx.ExecContext(ctx, "SET @@xaproxy_commit_key = ?", key); err != nil {
		return err
	}
	if err := work(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func main() {
	db, err := sql.Open("mysql", check.DSN(os.Getenv("DB_SCHEMA"), ""))
	check.OK("open", err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	check.OK("transfer", exactlyOnce(ctx, db, os.Getenv("DB_KEY"), func(tx *sql.Tx) error {
		for i, n := range []int{-10, 10} {
			if _, err := tx.ExecContext(ctx, "UPDATE accounts SET v = v + ? WHERE id = ?", n, check.Base()+int64(i)); err != nil {
				return err
			}
		}
		return nil
	}))
}
