package clients

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/backend/postgres"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// ORMs make their tables on PostgreSQL and work with them through their MySQL drivers, and write to a table with shards on PostgreSQL and MySQL.
func TestMappersOnPostgres(t *testing.T) {
	pg, mysql := servertest.Get(t, servers.Postgres), servertest.Get(t, servers.MySQL)
	database := servertest.Database(t, pg)
	d := &postgres.Dialer{Network: "tcp", Addr: pg.Addr(), User: pg.User, Password: pg.Password, Database: database}
	if err := d.SetUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	psql := func(script string) string {
		t.Helper()
		out, err := pg.PSQL(context.Background(), "\\connect "+database+"\n"+script)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	psql("CREATE SCHEMA plain_postgres; CREATE SCHEMA bank")
	execute(t, mysql, "", "CREATE DATABASE bank CHARSET utf8mb4")
	even := proxytest.On("even", pg)
	even.Lines = []string{fmt.Sprintf("database = %q", database)}
	proxy := proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{even, proxytest.On("odd", mysql)},
		Schemas:  []config.Schema{{Name: "plain_postgres", Backend: "even"}, {Name: "bank", Backend: "even"}},
		Tables:   []config.Table{{Schema: "bank", Name: "accounts", Column: "id", Function: "modulo", Backends: []string{"even", "odd"}}},
		LogLevel: "info",
	})
	db, err := proxytest.Open(proxy.Addr, "bank")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(accounts); err != nil {
		t.Fatal(err)
	}
	base := 1000
	for _, p := range programs {
		if p.name != "GORM" && p.name != "Sequelize" {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			base += idsPerProgram
			p.sharded = "bank"
			out, err := p.run(t, login{proxy.Addr, proxytest.User, proxytest.Password}, "plain_postgres", base)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			countProgram(p.name, checks(t, out))
			for i, got := range []string{
				psql(fmt.Sprintf("SELECT string_agg(id || '=' || v, ',') FROM bank.accounts WHERE id BETWEEN %d AND %d", base, base+idsPerProgram-1)),
				ask(t, mysql, fmt.Sprintf("SELECT GROUP_CONCAT(id, '=', v) FROM bank.accounts WHERE id BETWEEN %d AND %d", base, base+idsPerProgram-1)),
			} {
				if want := fmt.Sprintf("%d=%d", base+i, 10*(i+1)); strings.TrimSpace(got) != want {
					t.Errorf("the %d. shard has %q, want %q", i+1, got, want)
				}
			}
		})
	}
}
