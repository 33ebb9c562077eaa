package postgres_test

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/lib/pq"
)

// BenchmarkGuard is what the savepoint in front of each statement costs: transactions of ten statements, as PostgreSQL gets them with it
// and without.
func BenchmarkGuard(b *testing.B) {
	f := newFace(b, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL)", "INSERT INTO t SELECT i, 0 FROM generate_series(1, 1000) AS i")
	connector, err := pq.NewConnectorConfig(pq.Config{
		Host: f.server.Host, Port: uint16(f.server.Port), User: f.server.User, Password: f.server.Password, Database: f.database, SSLMode: pq.SSLModeDisable,
	})
	if err != nil {
		b.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	c, err := db.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for name, statement := range map[string]string{"select": "SELECT n FROM shop.t WHERE id = %d", "update": "UPDATE shop.t SET n = n + 1 WHERE id = %d"} {
		for kind, guard := range map[string]string{"with": "RELEASE SAVEPOINT s; SAVEPOINT s; ", "without": ""} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					for j := range 10 {
						text := guard + fmt.Sprintf(statement, (i*10+j)%1000+1)
						if j == 0 {
							text = "BEGIN; SAVEPOINT s; " + fmt.Sprintf(statement, (i*10)%1000+1)
						}
						if j == 9 {
							text += "; COMMIT"
						}
						if _, err := c.ExecContext(b.Context(), text); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}
