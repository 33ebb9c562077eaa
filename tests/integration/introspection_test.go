package integration

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// introspected is a stack with tables in all ways of spreading them: accounts, single, the broadcast tables ref and rate, and other, each of
// which is on every server. User "some" is limited to the stack's schema.
func introspected(t *testing.T, on []*servers.Server) *stack {
	t.Helper()
	var has string
	s := newBroadcastStackOn(t, on, func(c *config.Config) {
		has, c.Users[0].ScatterWrites = c.Tables[0].Schema, "allow"
		c.Users = append(c.Users, config.User{Name: "some", Password: "pw", Schemas: []string{has}})
	})
	for _, server := range on { // what the configuration does not know
		admin(t, server, "CREATE DATABASE "+s.schema+"_hidden", "CREATE TABLE "+s.schema+"_hidden.accounts (id INT)", "CREATE TABLE "+s.schema+".xaproxy_sequence (id INT)")
		t.Cleanup(func() { admin(t, server, "DROP DATABASE "+s.schema+"_hidden") })
	}
	return s
}

// TestOneSchema: lists show each table once, and nothing else.
func TestOneSchema(t *testing.T) {
	t.Parallel()
	for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MySQL}, {servers.MySQL, servers.MariaDB}} {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			s := introspected(t, []*servers.Server{servertest.Get(t, kinds[0]), servertest.Get(t, kinds[1])})
			const all = "accounts other rate ref single"
			s.conn().exec("INSERT INTO accounts (id, v) VALUES (1, 1), (2, 1), (3, 1)")
			names := "SELECT table_name FROM information_schema.tables WHERE table_schema = "
			for _, c := range []*conn{s.conn(), s.binary(), s.connAs("some"), s.conn("autocommit=0")} {
				if strings.Contains(c.rows("SELECT @@autocommit"), "0") {
					c.exec("INSERT INTO accounts (id, v) VALUES (101, 1), (102, 1)") // branches are open
				}
				for _, q := range []string{
					"SHOW TABLES", names + "DATABASE() ORDER BY 1", names + "'" + s.schema + "' ORDER BY 1",
					"SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = SCHEMA() ORDER BY table_name",
				} {
					if got := c.rows(q); got != all {
						t.Errorf("%s: %s", q, got)
					}
				}
				if got := c.rows(names + "'" + s.schema + "_hidden'"); got != "" {
					t.Errorf("what is not configured: %s", got)
				}
				accounts := c.rows("SELECT COUNT(*) FROM accounts")
				beside := "SELECT GROUP_CONCAT(DISTINCT t.table_name ORDER BY t.table_name SEPARATOR ' '), COUNT(DISTINCT a.id) FROM accounts a JOIN information_schema.tables t ON t.table_schema = "
				for _, schema := range []string{"DATABASE()", "'" + s.schema + "'"} {
					if got := c.rows(beside + schema); got != all+","+accounts {
						t.Errorf("beside %s accounts: %s", accounts, got)
					}
				}
				read, err := c.PrepareContext(context.Background(), beside+"? AND t.table_name LIKE ? WHERE a.id > ?")
				if err != nil {
					t.Fatal(err)
				}
				var found, count string
				if err := read.QueryRow(s.schema, "r%", -1).Scan(&found, &count); err != nil || found != "rate ref" || count != accounts {
					t.Errorf("prepared, beside %s accounts: %s %s, %v", accounts, found, count, err)
				}
			}
			var found string
			read, err := s.binary().PrepareContext(context.Background(), names+"? AND table_name LIKE ? ORDER BY table_rows, 1")
			if err == nil {
				err = read.QueryRow(s.schema, "acc%").Scan(&found)
			}
			if err != nil || found != "accounts" {
				t.Errorf("a prepared statement finds %q, %v", found, err)
			}
			databases := s.conn().column("SHOW DATABASES")
			if !slices.Contains(databases, s.schema) || slices.Contains(databases, s.schema+"_hidden") || !slices.Contains(databases, "mysql") {
				t.Errorf("SHOW DATABASES: %s", databases)
			}
			schemata := s.conn().column("SELECT schema_name FROM information_schema.schemata")
			if slices.Sort(databases); !slices.Equal(slices.Sorted(slices.Values(schemata)), databases) {
				t.Errorf("SHOW DATABASES has %s, information_schema %s", databases, schemata)
			}
			for _, q := range []string{"SHOW DATABASES", "SELECT schema_name FROM information_schema.schemata ORDER BY 1", "SELECT DISTINCT schema_name FROM information_schema.schemata, accounts ORDER BY 1", "SELECT DISTINCT table_schema FROM information_schema.tables ORDER BY 1"} {
				if got := s.connAs("some").rows(q); got != "information_schema "+s.schema && got != s.schema+" information_schema" {
					t.Errorf("%s of a limited user: %s", q, got)
				}
			}
		})
	}
}

// TestSums: of a sharded table the rows and bytes of all backends count, of a broadcast table those of one.
func TestSums(t *testing.T) {
	t.Parallel()
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			s := introspected(t, []*servers.Server{servertest.Get(t, kind), ownServer(t, kind)})
			c := s.conn()
			size := func(on querier, table string) int {
				n, err := strconv.Atoi(rowsOf(t, on, "SELECT index_length FROM information_schema.tables WHERE table_schema = '"+s.schema+"' AND table_name = '"+table+"'"))
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			for table, backends := range map[string]int{"accounts": 2, "ref": 1} {
				one := size(pool(t, s.servers[0]), table)
				rows := rowsOf(t, c.Conn, "SHOW TABLE STATUS LIKE '"+table+"'")
				if one == 0 {
					t.Fatal("a table without an index tests nothing")
				}
				if got := size(c.Conn, table); got != one*backends {
					t.Errorf("index_length of %s is %d, on one backend %d", table, got, one)
				}
				if got := strings.Split(rows, ",")[8]; got != fmt.Sprint(one*backends) {
					t.Errorf("SHOW TABLE STATUS says %s of %s, on one backend it is %d", got, table, one)
				}
				if got := size(s.binary().Conn, table); got != one*backends {
					t.Errorf("prepared, index_length of %s is %d, on one backend %d", table, got, one)
				}
			}
			if got := c.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND index_length > " + fmt.Sprint(size(pool(t, s.servers[0]), "accounts"))); !strings.Contains(got, "accounts") {
				t.Errorf("the sum is not what a condition sees: %q", got)
			}
		})
	}
}

// TestListOutage: a backend that only has parts or copies of tables is not missed.
func TestListOutage(t *testing.T) {
	t.Parallel()
	server := ownServer(t, servers.MariaDB)
	s := newStackOn(t, []*servers.Server{servertest.Get(t, servers.MariaDB), server}, nil)
	c := s.conn()
	check(t, server.Kill())
	waitFor(t, "its connections are gone", func() bool {
		_, err := c.ExecContext(context.Background(), "SELECT * FROM accounts WHERE id = 1")
		return err != nil && strings.Contains(err.Error(), "1429")
	})
	for q, want := range map[string]string{"SHOW TABLES": "accounts single", "SHOW COLUMNS FROM accounts LIKE 'id'": "id,int(11),NO,PRI,NULL,"} {
		if got := c.rows(q); got != want {
			t.Errorf("%s: %s", q, got)
		}
	}
	check(t, server.Restart(t.Context()))
}

// TestDumpOfShards: a dump has each row of each table once, and can be loaded into shards.
func TestDumpOfShards(t *testing.T) {
	t.Parallel()
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			s := introspected(t, []*servers.Server{servertest.Get(t, kind), ownServer(t, kind)})
			c := s.conn()
			for i := range 50 {
				c.exec(fmt.Sprintf("INSERT INTO accounts (id, v, t) VALUES (%d, %d, 'it''s %d')", i, i*i, i))
			}
			c.exec("INSERT INTO single (v, t) VALUES (1, 'x'), (2, NULL)", "INSERT INTO ref (code) VALUES ('a'), ('b')")
			host, port, _ := strings.Cut(s.addr, ":")
			account := []string{"--no-defaults", "-h" + host, "-P" + port, "-uu", "-ppw"}
			run := func(program string, in []byte, args ...string) []byte {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), program, append(slices.Clone(account), args...)...)
				cmd.Stdin = bytes.NewReader(in)
				var said bytes.Buffer
				cmd.Stderr = &said
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%s: %v\n%s", program, err, said.String())
				}
				return out
			}
			state := func() (all []string) {
				for _, table := range []string{"accounts", "single", "ref", "other", "rate"} {
					all = append(all, c.rows("SELECT * FROM "+table+" ORDER BY id"))
				}
				return all
			}
			before := state()
			dump := run("mariadb-dump", nil, "--single-transaction", "--no-create-info", "--skip-add-locks", s.schema)
			if n := bytes.Count(dump, []byte("INSERT INTO `accounts`")); n != 1 {
				t.Errorf("%d INSERTs of accounts:\n%s", n, dump)
			}
			if whole := run("mariadb-dump", nil, "--single-transaction", "--no-data", s.schema); bytes.Count(whole, []byte("CREATE TABLE")) != 5 {
				t.Errorf("tables of the dump:\n%s", whole)
			}
			c.exec("DELETE FROM accounts WHERE id >= 0", "DELETE FROM single", "DELETE FROM ref")
			run("mariadb", dump, s.schema)
			if got := state(); !slices.Equal(got, before) {
				t.Errorf("before\n%s\nand after\n%s", before, got)
			}
			if a, b := s.on(0, "SELECT COUNT(*) FROM SCHEMA.accounts"), s.on(1, "SELECT COUNT(*) FROM SCHEMA.accounts"); a != "25" || b != "25" {
				t.Errorf("rows by backend: %s and %s", a, b)
			}
		})
	}
}
