package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
)

// lookedUp adds a table of users with lookup tables by e-mail address, and by country and number.
func lookedUp(c *config.Config) {
	schema, names := c.Tables[0].Schema, c.Tables[0].Backends
	c.Tables = append(c.Tables,
		config.Table{Schema: schema, Name: "users", Column: "id", Function: "modulo", Backends: names},
		config.Table{Schema: schema, Name: "users_by_email", Column: "email", Function: "hash", Backends: names, LookupOf: "users"},
		config.Table{Schema: schema, Name: "events", Column: "id", Function: "modulo", Backends: names, AutoIncrement: "id"},
		config.Table{Schema: schema, Name: "members", Column: "id", Function: "modulo", Backends: names, AutoIncrement: "id"},
		config.Table{Schema: schema, Name: "members_by_name", Column: "name", Function: "crc32", Backends: names, LookupOf: "members"},
		config.Table{Schema: schema, Name: "people", Column: "id", Function: "modulo", Backends: names, AutoIncrement: "id"},
		config.Table{Schema: schema, Name: "people_by_mail", Column: "mail", Function: "hash", Backends: names, LookupOf: "people"},
		config.Table{Schema: schema, Name: "users_by_phone", Columns: []string{"country", "phone"}, Function: "hash", Backends: names, LookupOf: "users"})
	moving(c)
}

// forLookups runs a test over each pair of servers.
func forLookups(t *testing.T, test func(t *testing.T, s *stack)) {
	forMixesWith(t, lookedUp, func(t *testing.T, s *stack) {
		for _, server := range s.servers {
			in := s.schema + "."
			admin(t, server,
				"CREATE TABLE "+in+"users (id INT PRIMARY KEY, email VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, country INT, phone BIGINT, v INT, UNIQUE KEY mail (email))",
				"CREATE TABLE "+in+"users_by_email (email VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL PRIMARY KEY, id INT NOT NULL)",
				"CREATE TABLE "+in+"members (id BIGINT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40) NOT NULL)",
				"CREATE TABLE "+in+"members_by_name (id BIGINT NOT NULL, name VARCHAR(40) NOT NULL PRIMARY KEY)",
				"CREATE TABLE "+in+"events"+numberedTable,
				"CREATE TABLE "+in+"people"+people,
				"CREATE TABLE "+in+"people_by_mail (mail VARCHAR(40) NOT NULL PRIMARY KEY, id BIGINT NOT NULL)",
				"CREATE TABLE "+in+"users_by_phone (id INT NOT NULL, country INT NOT NULL, phone BIGINT NOT NULL, UNIQUE KEY (phone, country))")
		}
		test(t, s)
		s.consistent()
		s.nothingPrepared()
	})
}

// consistent checks that the lookup tables say what the users do.
func (s *stack) consistent() {
	s.t.Helper()
	c := s.connAs("u")
	for _, one := range []struct{ rows, entries string }{
		{"SELECT id, LOWER(email) FROM users WHERE email IS NOT NULL ORDER BY id", "SELECT id, LOWER(email) FROM users_by_email ORDER BY id"},
		{"SELECT id, LOWER(mail) FROM people WHERE mail IS NOT NULL ORDER BY id", "SELECT id, LOWER(mail) FROM people_by_mail ORDER BY id"},
		{"SELECT id, country, phone FROM users WHERE country IS NOT NULL AND phone IS NOT NULL ORDER BY id", "SELECT id, country, phone FROM users_by_phone ORDER BY id"},
	} {
		if rows, entries := c.rows(one.rows), c.rows(one.entries); rows != entries {
			s.t.Errorf("%s\n%s\n%s\n%s", one.rows, rows, one.entries, entries)
		}
	}
	for b := range s.servers {
		if got := s.on(b, fmt.Sprintf("SELECT COUNT(*) FROM SCHEMA.users WHERE id %% 2 <> %d", b)); got != "0" {
			s.t.Errorf("%s users are on backend %d and belong elsewhere", got, b)
		}
	}
}

// TestLookup: rows are found by a lookup table, and it follows them.
func TestLookup(t *testing.T) {
	t.Parallel()
	forLookups(t, func(t *testing.T, s *stack) {
		c, b := s.conn(), s.binary()
		for _, in := range [][2]string{{"DO 0", "DO 0"}, {"BEGIN", "COMMIT"}, {"SET autocommit = 0", "SET autocommit = 1"}} {
			c.exec(in[0])
			for _, one := range []struct {
				q    string
				n    int64
				rows string
			}{
				{"INSERT INTO users (id, email, country, phone, v) VALUES (1, 'a@x', 49, -1, 0), (2, 'B@x', 49, 2, 0), (3, NULL, 49, NULL, 0), (4, 'd@x', NULL, 1, 0)", 4, "1,a@x 2,B@x 3,NULL 4,d@x"},
				{"INSERT INTO users SET email = 'e@x', id = 5, country = 43, phone = 2", 1, "1,a@x 2,B@x 3,NULL 4,d@x 5,e@x"},
				{"UPDATE users SET v = v + 1 WHERE email = 'A@X '", 1, ""},
				{"UPDATE users SET v = v + 1 WHERE email IN ('b@x', 'd@x', 'nobody@x')", 2, ""},
				{"UPDATE users SET v = v + 1 WHERE country = 49 AND phone IN (2, -1)", 2, ""},
				{"UPDATE users SET v = v + 1 WHERE email = 'nobody@x'", 0, ""},
				{"UPDATE users SET email = 'e@x' WHERE email = 'e@x'", 0, ""},
				{"UPDATE users SET email = CONCAT('n', id, '@x') WHERE id > 2", 3, "1,a@x 2,B@x 3,n3@x 4,n4@x 5,n5@x"},
				{"UPDATE users SET email = CASE id WHEN 1 THEN 'B@x' ELSE NULL END WHERE id IN (1, 3)", 2, "1,B@x 2,B@x"},
			} {
				if one.n == 2 && strings.Contains(one.q, "CASE") { // two rows would have it
					c.fails(1062, one.q)
					continue
				}
				if n, err := c.exec(one.q).RowsAffected(); err != nil || n != one.n {
					t.Errorf("%s: %d rows, %v", one.q, n, err)
				}
				if got := c.rows("SELECT id, email FROM users ORDER BY id"); one.rows != "" && got != one.rows {
					t.Errorf("%s: %s", one.q, got)
				}
			}
			for q, want := range map[string]string{
				"SELECT id, v FROM users WHERE email = 'A@x'":                               "1,2",
				"SELECT id FROM users WHERE email IN ('a@x', 'n5@x', 'b@x') ORDER BY id":    "1 2 5",
				"SELECT id FROM users WHERE (country, phone) IN ((49, 2), (43, 2))":         "2 5",
				"SELECT COUNT(*), SUM(id) FROM users WHERE email IN ('a@x', 'b@x', 'n5@x')": "3,8",
				"SELECT id FROM users WHERE email = 'nobody@x'":                             "",
				"SELECT id FROM users WHERE email = 'ä@x'":                                  "1", // equal to 'a@x' in its collation
				"SELECT id FROM users WHERE email = 'b@x' FOR UPDATE":                       "2",
			} {
				if got := c.rows(q); got != want {
					t.Errorf("%s: %s, want %s", q, got, want)
				}
			}
			c.exec("UPDATE users SET id = id + 11 WHERE email = 'a@x'", "UPDATE users SET id = 21, email = 'new@x', phone = NULL WHERE id = 2")
			if got := c.rows("SELECT id, email, phone FROM users WHERE email IN ('a@x', 'new@x') ORDER BY id"); got != "12,a@x,-1 21,new@x,NULL" {
				t.Errorf("after rows have moved: %s", got)
			}
			if n, err := c.exec("DELETE FROM users WHERE email IN ('a@x', 'new@x')").RowsAffected(); err != nil || n != 2 {
				t.Errorf("%d rows are deleted, %v", n, err)
			}
			c.exec(in[1])
			s.consistent()
			if n, err := c.exec("DELETE FROM users").RowsAffected(); err != nil || n != 3 {
				t.Errorf("%d rows are deleted, %v", n, err)
			}
			s.consistent()
		}
		for range 2 {
			for _, one := range []struct {
				q    string
				args []any
			}{
				{"INSERT INTO users (phone, id, email, country, v) VALUES (?, ?, ?, 49, 0), (?, ?, ?, 43, 0)", []any{5, 1, "a@x", nil, 2, nil}},
				{"UPDATE users SET v = ? WHERE email = ?", []any{7, "a@x"}},
				{"UPDATE users SET email = ?, phone = phone + ? WHERE id = ? AND v = ?", []any{"b@x", 3, 1, 7}},
				{"UPDATE users SET id = ? WHERE email = ?", []any{4, "b@x"}},
			} {
				if _, err := b.ExecContext(context.Background(), one.q, one.args...); err != nil {
					t.Errorf("%s: %v", one.q, err)
				}
			}
			var id, v, phone int
			if err := b.QueryRowContext(context.Background(), "SELECT id, v, phone FROM users WHERE email = ?", "B@x").Scan(&id, &v, &phone); err != nil || id != 4 || v != 7 || phone != 8 {
				t.Errorf("row %d with %d and %d, %v", id, v, phone, err)
			}
			s.consistent()
			c.exec("PREPARE p FROM 'DELETE FROM users WHERE email = ?'", "SET @e = 'b@x'", "EXECUTE p USING @e", "DELETE FROM users WHERE id = 2")
			if got := c.rows("SELECT COUNT(*) FROM users"); got != "0" {
				t.Errorf("%s rows are left", got)
			}
		}
	})
}

// TestLookupNumbered: numbers of a sequence are in the entries, too.
func TestLookupNumbered(t *testing.T) {
	t.Parallel()
	forLookups(t, func(t *testing.T, s *stack) {
		c := s.conn()
		if id, err := c.exec("INSERT INTO members (name) VALUES ('ann'), ('ben'), ('cid')").LastInsertId(); err != nil || id != 1 {
			t.Errorf("the first number is %d, %v", id, err)
		}
		c.exec("INSERT INTO members SET name = 'dan'")
		c.fails(1062, "INSERT INTO members (name) VALUES ('eva'), ('ben')")
		for name, want := range map[string]string{"ann": "1", "ben": "2", "cid": "3", "dan": "4", "eva": ""} {
			if got := c.rows("SELECT id FROM members WHERE name = '" + name + "'"); got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
		if got := c.rows("SELECT LAST_INSERT_ID()"); got != "4" {
			t.Errorf("LAST_INSERT_ID() is %s", got)
		}
		if got := c.rows("SELECT id, name FROM members_by_name ORDER BY id"); got != "1,ann 2,ben 3,cid 4,dan" {
			t.Errorf("the entries are %s", got)
		}
		if got := c.fails(1235, "TRUNCATE TABLE users"); !strings.Contains(got, "lookup table") {
			t.Error(got)
		}
	})
}

// TestLookupUnique: no two rows of all shards have the same value, and what fails is undone.
func TestLookupUnique(t *testing.T) {
	t.Parallel()
	forLookups(t, func(t *testing.T, s *stack) {
		c := s.conn()
		c.exec("INSERT INTO users (id, email, country, phone) VALUES (1, 'a@x', 49, 1), (2, 'b@x', 49, 2)")
		mail := "'users.mail'"
		if strings.Contains(c.rows("SELECT VERSION()"), "MariaDB") {
			mail = "'mail'"
		}
		before := c.rows("SELECT * FROM users ORDER BY id")
		for _, one := range []struct {
			q     string
			errno uint16
			said  string
		}{
			{"INSERT INTO users (id, email, country, phone) VALUES (4, 'A@x', 49, 4)", 1062, "Duplicate entry 'A@x' for key " + mail},
			{"INSERT INTO users (id, email, country, phone) VALUES (3, 'c@x', 49, 3), (4, 'd@x', 49, 1)", 1062, "Duplicate entry '"},
			{"INSERT INTO users (id, email, country, phone) VALUES (1, 'd@x', 49, 5)", 1062, "Duplicate entry '1' for key"},
			{"UPDATE users SET email = 'a@x' WHERE id = 2", 1062, "Duplicate entry 'a@x' for key " + mail},
			{"UPDATE users SET phone = 1 WHERE email = 'b@x'", 1062, "for key"},
			{"UPDATE users SET id = 1 WHERE email = 'b@x'", 1062, "Duplicate entry '1' for key"},
			{"UPDATE users SET email = 'ä@x' WHERE id = 2", 1235, "not printable ASCII"},
			{"INSERT INTO users (id, email, country, phone) VALUES (3, 'ä@x', 49, 3)", 1235, "not printable ASCII"},
			{"INSERT IGNORE INTO users (id, email, country, phone) VALUES (3, 'c@x', 49, 3)", 1235, "no unique key of country, phone"},
		} {
			for _, in := range [][2]string{{"DO 0", "DO 0"}, {"BEGIN", "COMMIT"}} {
				c.exec(in[0])
				if got := c.fails(one.errno, one.q); !strings.Contains(got, one.said) {
					t.Errorf("%s: %s", one.q, got)
				}
				c.exec(in[1])
				if got := c.rows("SELECT * FROM users ORDER BY id"); got != before {
					t.Fatalf("%s behind %s: %s, there was %s", one.q, in[0], got, before)
				}
				s.consistent()
			}
		}
		lax := s.conn()
		lax.exec("SET sql_mode = ''")
		long := strings.Repeat("x", 50)
		for _, q := range []string{"INSERT INTO users (id, email, country, phone) VALUES (3, '" + long + "', 49, 3)", "UPDATE users SET email = '" + long + "' WHERE id = 1"} {
			_, err := lax.ExecContext(t.Context(), q)
			if e, ok := err.(*mysql.MySQLError); !ok || e.Number != 1235 && e.Number != 1406 { // it depends on whether the length of the column is known yet
				t.Errorf("%s: %v", q, err)
			}
		}
	})
}

// TestLookupKeys: a lookup table without its unique key, or with a trigger on the table, takes no writes.
func TestLookupKeys(t *testing.T) {
	t.Parallel()
	forLookups(t, func(t *testing.T, s *stack) {
		for _, server := range s.servers {
			admin(t, server, "ALTER TABLE "+s.schema+".users_by_phone DROP KEY phone, ADD UNIQUE KEY (phone, country, id)")
		}
		if got := s.conn().fails(1235, "INSERT INTO users (id, email, country, phone) VALUES (1, 'a@x', 49, 1)"); !strings.Contains(got, "no unique key of country, phone") {
			t.Error(got)
		}
	})
	forLookups(t, func(t *testing.T, s *stack) {
		admin(t, s.servers[0], "CREATE TRIGGER "+s.schema+".mails BEFORE INSERT ON "+s.schema+".users FOR EACH ROW SET NEW.email = UPPER(NEW.email)")
		if got := s.conn().fails(1235, "INSERT INTO users (id, email, country, phone) VALUES (1, 'a@x', 49, 1)"); !strings.Contains(got, "trigger mails") {
			t.Error(got)
		}
	})
}

// TestLookupFilled: the statements of docs/sharding.md fill a lookup table, and find what is wrong with one.
func TestLookupFilled(t *testing.T) {
	t.Parallel()
	forMixesWith(t, func(c *config.Config) {
		lookedUp(c)
		for i := range c.Tables {
			c.Tables[i].LookupOf = ""
		}
	}, func(t *testing.T, s *stack) {
		for _, server := range s.servers {
			admin(t, server, "CREATE TABLE "+s.schema+".users (id BIGINT PRIMARY KEY, email VARCHAR(40))", "CREATE TABLE "+s.schema+".users_by_email (email VARCHAR(40) NOT NULL PRIMARY KEY, id BIGINT NOT NULL)")
		}
		const (
			fill    = "INSERT INTO users_by_email (email, id) SELECT email, id FROM users WHERE email IS NOT NULL"
			rows    = "SELECT u.id, u.email FROM users u LEFT JOIN users_by_email l ON l.email = u.email AND l.id = u.id WHERE u.email IS NOT NULL AND l.id IS NULL"
			entries = "SELECT l.email, l.id FROM users_by_email l LEFT JOIN users u ON u.email = l.email AND u.id = l.id WHERE u.id IS NULL"
		)
		c := s.conn()
		c.exec("INSERT INTO users (id, email) VALUES (1, 'a@x'), (2, 'b@x'), (3, NULL), (4, 'd@x'), (5, 'e@x')")
		if got := c.rows(rows + " ORDER BY u.id"); got != "1,a@x 2,b@x 4,d@x 5,e@x" {
			t.Errorf("rows without an entry: %s", got)
		}
		c.exec(fill)
		if got := c.rows(rows) + c.rows(entries); got != "" {
			t.Errorf("after it was filled: %s", got)
		}
		c.exec("INSERT INTO users (id, email) VALUES (6, 'f@x')", "DELETE FROM users WHERE id = 2", "UPDATE users SET email = 'n@x' WHERE id = 4")
		if got := c.rows(rows+" ORDER BY u.id") + "; " + c.rows(entries+" ORDER BY l.id"); got != "4,n@x 6,f@x; b@x,2 d@x,4" {
			t.Errorf("what is wrong: %s", got)
		}
		c.exec("DELETE FROM users_by_email WHERE id > 0", "INSERT INTO users (id, email) VALUES (8, 'a@x')")
		c.fails(1062, fill)
	})
}

// TestLookupAtOnce: of clients that want the same value at once exactly one gets it, and rows that move and change keep their entries.
func TestLookupAtOnce(t *testing.T) {
	t.Parallel()
	forLookups(t, func(t *testing.T, s *stack) {
		const clients, rounds = 5, 12
		var conns []*conn
		for range clients {
			c := s.conn()
			c.exec("SET innodb_lock_wait_timeout = 2")
			conns = append(conns, c)
		}
		for round := range rounds {
			var mu sync.Mutex
			won := 0
			var all sync.WaitGroup
			for i, c := range conns {
				all.Go(func() {
					id := round*clients + i + 1
					_, err := c.ExecContext(context.Background(), fmt.Sprintf("INSERT INTO users (id, email, country, phone, v) VALUES (%d, 'r%d@x', 49, %d, 0)", id, round, id))
					var e *mysql.MySQLError
					switch {
					case err == nil:
						mu.Lock()
						won++
						mu.Unlock()
					case errors.As(err, &e) && (e.Number == 1062 || e.Number == 1205 || e.Number == 1213):
					default:
						t.Errorf("round %d: %v", round, err)
					}
				})
			}
			all.Wait()
			if won != 1 {
				t.Errorf("round %d: %d clients have the same value", round, won)
			}
		}
		s.consistent()
		var all sync.WaitGroup
		done := 0
		var mu sync.Mutex
		for i, c := range conns {
			all.Go(func() {
				for n := range rounds {
					mail := fmt.Sprintf("r%d@x", (n*7+i)%rounds)
					q := []string{
						fmt.Sprintf("UPDATE users SET id = id + 1001 WHERE email = '%s'", mail),
						fmt.Sprintf("UPDATE users SET phone = phone + 1000, v = v + 1 WHERE email = '%s'", mail),
						fmt.Sprintf("UPDATE users SET email = 's%d@x' WHERE email = '%s'", n, mail),
						fmt.Sprintf("DELETE FROM users WHERE email = 's%d@x'", n),
					}[(n+i)%4]
					_, err := c.ExecContext(context.Background(), q)
					var e *mysql.MySQLError
					switch {
					case err == nil:
						mu.Lock()
						done++
						mu.Unlock()
					case errors.As(err, &e) && (e.Number == 1062 || e.Number == 1205 || e.Number == 1213 || e.Number == 1020):
					default:
						t.Errorf("%s: %v", q, err)
					}
				}
			})
		}
		all.Wait()
		if done == 0 {
			t.Error("nothing was done")
		}
	})
}
