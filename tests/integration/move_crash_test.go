package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// TestMoveCrash: a proxy that is killed while rows move leaves each of them on one backend, whole: where it was, or where it went,
// and there if the client was told so.
func TestMoveCrash(t *testing.T) {
	t.Parallel()
	for name, kinds := range mixes {
		if kinds[0] == kinds[1] {
			continue
		}
		t.Run(name, func(t *testing.T) {
			options := proxytest.Options{}
			schema := ""
			for i, k := range kinds {
				server := servertest.Get(t, k)
				if i == 0 {
					schema = servertest.Database(t, server)
				} else {
					admin(t, server, "CREATE DATABASE "+schema)
					t.Cleanup(func() { admin(t, server, "DROP DATABASE "+schema) })
				}
				admin(t, server, "CREATE TABLE "+schema+".rows_ (id INT PRIMARY KEY, owner INT NOT NULL, moves INT NOT NULL)")
				admin(t, server, "CREATE TABLE "+schema+".rows_by_owner (owner INT PRIMARY KEY, id INT NOT NULL)")
				options.Backends = append(options.Backends, proxytest.On(fmt.Sprint("b", i), server))
			}
			options.Schemas = []config.Schema{{Name: schema, Backend: "b0"}}
			options.Tables = []config.Table{
				{Schema: schema, Name: "rows_", Column: "id", Function: "modulo", Backends: []string{"b0", "b1"}, KeyChanges: config.KeyChangesMove},
				{Schema: schema, Name: "rows_by_owner", Column: "owner", Function: "hash", Backends: []string{"b0", "b1"}, LookupOf: "rows_"},
			}
			p := proxytest.Run(t, options)

			const clients = 6
			type client struct{ told, tried int } // the moves of its row
			var all [clients]client
			place := func(i, moves int) int { return 2*(i+1) + moves%2 + 100*(moves/2) }
			db := p.DB(t, schema)
			for i := range all {
				if _, err := db.Exec(fmt.Sprintf("INSERT INTO rows_ (id, owner, moves) VALUES (%d, %d, 0)", place(i, 0), i)); err != nil {
					t.Fatal(err)
				}
			}
			ctx := context.Background()
			for range 4 {
				var told atomic.Int64
				var moving sync.WaitGroup
				for i := range all {
					conn, err := db.Conn(ctx)
					if err != nil {
						t.Fatal(err)
					}
					moving.Go(func() {
						c := &all[i]
						_, err := conn.ExecContext(ctx, "SET innodb_lock_wait_timeout = 1") // gaps between rows of two clients can be a deadlock over both servers
						for err == nil {
							next := c.told + 1
							q := fmt.Sprintf("UPDATE rows_ SET id = %d, moves = %d WHERE id = %d", place(i, next), next, place(i, c.told))
							var r sql.Result
							r, err = conn.ExecContext(ctx, q)
							if said := (*mysql.MySQLError)(nil); errors.As(err, &said) && said.Number != wire.CodeInDoubt.Errno() {
								err = nil // it was undone
								continue
							} else if err != nil {
								c.tried = next
								return
							}
							n, err := r.RowsAffected()
							if err != nil || n != 1 {
								t.Errorf("%s: %d rows, %v", q, n, err)
								return
							}
							c.told, c.tried = next, next
							told.Add(1)
						}
					})
				}
				waitFor(t, "rows have moved", func() bool { return told.Load() > 100 })
				if err := p.Kill(); err != nil {
					t.Fatal(err)
				}
				moving.Wait()
				if err := p.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, k := range kinds {
					waitFor(t, "nothing is prepared", func() bool {
						prepared, err := servertest.Get(t, k).Prepared(t.Context())
						if err != nil {
							t.Fatal(err)
						}
						return !slices.ContainsFunc(prepared, func(b string) bool { return strings.Contains(b, p.Coord()) })
					})
				}
				db = p.DB(t, schema)
				for i := range all {
					where := rowsOf(t, db, fmt.Sprintf("SELECT id, moves FROM rows_ WHERE owner + 0 = %d", i)) // on all shards
					var id, moves int
					if _, err := fmt.Sscanf(where, "%d,%d", &id, &moves); err != nil || strings.Count(where, ",") != 1 || id != place(i, moves) || moves < all[i].told || moves > all[i].tried {
						t.Errorf("row %d is %s, told %d, tried %d", i, where, all[i].told, all[i].tried)
					}
					if entry := rowsOf(t, db, fmt.Sprintf("SELECT id FROM rows_by_owner WHERE owner = %d", i)); entry != fmt.Sprint(id) {
						t.Errorf("row %d is %s, its entry %s", i, where, entry)
					}
					all[i] = client{moves, moves}
				}
			}
		})
	}
}
