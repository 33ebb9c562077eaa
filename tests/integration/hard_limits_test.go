package integration

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// reaching are statements that name a schema, each in another way. SECRET is a schema that is not the user's, MINE one that is.
var reaching = []string{
	"SELECT v FROM SECRET.single",
	"SELECT v FROM `SECRET` . `single`",
	"SELECT v FROM SECRET/* */./* */single",
	"SELECT v FROM /*!50000 SECRET.*/ single",
	"SELECT /*!40000 v FROM SECRET.single */",
	"/*! SELECT v FROM SECRET.single */",
	"SELECT 1 FROM mine JOIN SECRET.single ON 1 = 1",
	"SELECT (SELECT MAX(v) FROM SECRET.single)",
	"SELECT 1 WHERE EXISTS (SELECT 1 FROM SECRET.single)",
	"SELECT n FROM mine UNION SELECT v FROM SECRET.single",
	"WITH x AS (SELECT v FROM SECRET.single) SELECT * FROM x",
	"SELECT * FROM (SELECT v FROM SECRET.single) x",
	"SELECT n FROM mine ORDER BY (SELECT MAX(v) FROM SECRET.single)",
	"INSERT INTO mine (n) SELECT v FROM SECRET.single",
	"INSERT INTO SECRET.single (v) VALUES (1)",
	"INSERT INTO mine (n) VALUES ((SELECT MAX(v) FROM SECRET.single))",
	"INSERT INTO mine (n) VALUES (1) ON DUPLICATE KEY UPDATE n = (SELECT MAX(v) FROM SECRET.single)",
	"REPLACE INTO SECRET.single (id, v) VALUES (1, 1)",
	"UPDATE SECRET.single SET v = 1",
	"UPDATE mine, SECRET.single SET v = 1",
	"UPDATE mine SET n = (SELECT MAX(v) FROM SECRET.single)",
	"DELETE FROM SECRET.single",
	"DELETE mine FROM mine JOIN SECRET.single ON 1 = 1",
	"DELETE FROM SECRET.single USING SECRET.single JOIN mine ON 1 = 1",
	"TRUNCATE TABLE SECRET.single",
	"TRUNCATE SECRET.single",
	"DROP TABLE SECRET.single",
	"DROP TABLE IF EXISTS mine2, SECRET.single",
	"DROP VIEW IF EXISTS SECRET.single",
	"DROP DATABASE SECRET",
	"ALTER TABLE SECRET.single ADD COLUMN x INT",
	"ALTER TABLE mine RENAME TO SECRET.stolen",
	"ALTER DATABASE SECRET CHARACTER SET latin1",
	"RENAME TABLE SECRET.single TO mine2",
	"RENAME TABLE mine TO SECRET.stolen",
	"CREATE TABLE mine2 AS SELECT * FROM SECRET.single",
	"CREATE TABLE mine2 LIKE SECRET.single",
	"CREATE TABLE mine2 (n INT, FOREIGN KEY (n) REFERENCES SECRET.single (id))",
	"CREATE TEMPORARY TABLE mine2 AS SELECT * FROM SECRET.single",
	"CREATE TABLE SECRET.stolen (n INT)",
	"CREATE DATABASE SECRET",
	"CREATE VIEW mine2 AS SELECT * FROM SECRET.single",
	"CREATE INDEX x ON SECRET.single (v)",
	"CREATE PROCEDURE mine2() SELECT * FROM SECRET.single",
	"CREATE PROCEDURE mine2() BEGIN SELECT * FROM SECRET.single; END",
	"CREATE PROCEDURE mine2() SHOW GRANTS",
	"CREATE DEFINER = root@localhost PROCEDURE mine2() GRANT ALL ON *.* TO x",
	"CREATE TRIGGER mine2 BEFORE INSERT ON mine FOR EACH ROW SET GLOBAL max_connections = 10",
	"CREATE PROCEDURE mine2(q TEXT) BEGIN SET @s = q; PREPARE s FROM @s; EXECUTE s; END",
	"CREATE PROCEDURE mine2(q TEXT) BEGIN SET @s = CONCAT('SELECT * FROM ', q, '.single'); PREPARE `s` FROM @s; EXECUTE `s`; END",
	"CREATE OR REPLACE PROCEDURE mine2(q TEXT) EXECUTE IMMEDIATE CONCAT('SELECT * FROM ', q, '.single')",
	"CREATE EVENT mine2 ON SCHEDULE EVERY 1 SECOND DO BEGIN PREPARE s FROM 'SELECT 1'; EXECUTE s; END",
	"CREATE FUNCTION mine2() RETURNS INT READS SQL DATA RETURN (SELECT MAX(v) FROM SECRET.single)",
	"CREATE TRIGGER mine2 BEFORE INSERT ON mine FOR EACH ROW SET NEW.n = (SELECT MAX(v) FROM SECRET.single)",
	"CREATE EVENT mine2 ON SCHEDULE EVERY 1 SECOND DO DELETE FROM SECRET.single",
	"CREATE TRIGGER SECRET.x BEFORE INSERT ON SECRET.single FOR EACH ROW SET NEW.v = 1",
	"LOCK TABLES SECRET.single READ",
	"HANDLER SECRET.single OPEN",
	"DESCRIBE SECRET.single",
	"DESC SECRET.single v",
	"EXPLAIN SECRET.single",
	"EXPLAIN SELECT * FROM SECRET.single",
	"EXPLAIN FORMAT=JSON SELECT * FROM SECRET.single",
	"ANALYZE TABLE SECRET.single",
	"CHECK TABLE SECRET.single",
	"OPTIMIZE TABLE SECRET.single",
	"REPAIR TABLE SECRET.single",
	"CHECKSUM TABLE SECRET.single",
	"SHOW TABLES FROM SECRET",
	"SHOW TABLES IN `SECRET` LIKE '%'",
	"SHOW FULL TABLES FROM SECRET",
	"SHOW TABLE STATUS FROM SECRET",
	"SHOW OPEN TABLES FROM SECRET",
	"SHOW TRIGGERS FROM SECRET",
	"SHOW EVENTS FROM SECRET",
	"SHOW COLUMNS FROM single FROM SECRET",
	"SHOW COLUMNS FROM SECRET.single",
	"SHOW FULL FIELDS IN single IN SECRET",
	"SHOW INDEX FROM SECRET.single",
	"SHOW KEYS FROM single FROM SECRET",
	"SHOW CREATE TABLE SECRET.single",
	"SHOW CREATE DATABASE SECRET",
	"SHOW CREATE PROCEDURE SECRET.p",
	"SHOW CREATE FUNCTION SECRET.f",
	"CALL SECRET.p()",
	"SELECT SECRET.f()",
	"DO SECRET.f()",
	"SET @x = (SELECT MAX(v) FROM SECRET.single)",
	"SET @x = SECRET.f()",
	"SELECT MAX(v) INTO @x FROM SECRET.single",
	"DO (SELECT MAX(v) FROM SECRET.single)",
	"VALUES ROW((SELECT MAX(v) FROM SECRET.single))",
	"TABLE SECRET.single",
	"USE SECRET",
	"LOAD DATA LOCAL INFILE 'x' INTO TABLE SECRET.single (v)",
	"LOAD DATA LOCAL INFILE 'x' INTO TABLE mine (n) SET n = (SELECT MAX(v) FROM SECRET.single)",
	"LOAD DATA INFILE 'x' INTO TABLE SECRET.single (v)",
	"SELECT id FROM SECRET.accounts WHERE id = 1",
	"SELECT user FROM mysql.user",
	"SELECT * FROM performance_schema.threads",
	"SELECT * FROM sys.session",
	"UPDATE mysql.user SET user = 'x'",
	"SHOW TABLES FROM mysql",
	"BEGIN NOT ATOMIC SELECT * FROM SECRET.single; END",
	"EXECUTE IMMEDIATE 'SELECT * FROM SECRET.single'",
	"IMPORT TABLE FROM 'SECRET/single.sdi'",
	"CACHE INDEX SECRET.single IN x",
	"FLUSH TABLES SECRET.single WITH READ LOCK",
	"GRANT SELECT ON SECRET.* TO somebody",
	"SHOW CREATE VIEW SECRET.w",
	"SHOW INDEXES IN SECRET.single",
	"SHOW PACKAGE STATUS WHERE Db = 'SECRET' AND (SELECT 1 FROM SECRET.single)",
	"SHOW TABLES WHERE (SELECT MAX(v) FROM SECRET.single) = 42",
	"SHOW VARIABLES WHERE Value = (SELECT MAX(v) FROM SECRET.single)",
	"PREPARE x FROM 'SELECT v FROM SECRET.single'",
	"EXECUTE x",
	"SHOW CREATE USER root",
	"SHOW GRANTS FOR root",
	"SHOW GRANTS",
	"SELECT * FROM information_schema.processlist",
	"SELECT * FROM information_schema.user_privileges",
	"SELECT * FROM information_schema.innodb_trx",
	"SELECT LOAD_FILE('/etc/passwd')",
	"SELECT 1 INTO OUTFILE '/tmp/x'",
	"SELECT 1 INTO DUMPFILE '/tmp/x'",
	"SHOW ENGINE INNODB STATUS",
	"SHOW BINARY LOGS",
	"SHOW BINLOG EVENTS",
	"SHOW MASTER STATUS",
	"SHOW REPLICA STATUS",
	"SHUTDOWN",
	"CREATE USER x",
	"SET GLOBAL max_connections = 1",
	"SET PASSWORD = 'x'",
	"INSTALL PLUGIN x SONAME 'y'",
	"CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'x')",
	"SHOW EXPLAIN FOR 1",
	"EXPLAIN FOR CONNECTION 1",
	"SELECT SECRET.single.v FROM mine",
	"SELECT * FROM SECRET.accounts WHERE id = 1",
}

// refused tries a statement as text, behind another one in the same packet, and prepared. Each time it must be refused with one
// of the numbers.
func (c *raw) refused(q string, errnos ...uint16) {
	c.t.Helper()
	wrong := func(how string, err error) {
		c.t.Helper()
		if !slices.Contains(errnos, errno(err)) {
			c.t.Errorf("%s, %s: %v", q, how, err)
		}
	}
	_, err := c.ask(q)
	wrong("as text", err)
	if _, err = c.ask("DO 1; " + q); err == nil {
		_, err = c.answer()
	}
	wrong("as the second statement", err)
	_, err = c.execute(q)
	wrong("prepared", err)
}

// TestUserLimitedToSchemas: a user who has a list of schemas does not get at others, whatever the statement and the command, nor
// at what belongs to the server as a whole.
func TestUserLimitedToSchemas(t *testing.T) {
	t.Parallel()
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			mine := ""
			s := newStack(t, []servers.Kind{kind}, func(c *config.Config) {
				mine = c.Schemas[0].Name + "_mine"
				c.Schemas = append(c.Schemas, config.Schema{Name: mine, Backend: "b0"})
				c.Users = append(c.Users, config.User{Name: "limited", Password: "pw", Schemas: []string{mine}})
			})
			admin(t, s.servers[0], "CREATE DATABASE "+mine, "CREATE TABLE "+mine+".mine (n INT)", "INSERT INTO "+s.schema+".single (v) VALUES (42)",
				"CREATE PROCEDURE "+s.schema+".p() SELECT 1", "CREATE VIEW "+s.schema+".w AS SELECT 1")
			t.Cleanup(func() { admin(t, s.servers[0], "DROP DATABASE "+mine) })
			as := func(schema string) wire.Dialer {
				return wire.Dialer{Addr: s.addr, User: "limited", Password: "pw", Schema: schema, Caps: wire.LocalFiles, Timeout: time.Minute}
			}
			d := as(s.schema)
			if _, _, err := d.Dial(t.Context()); errno(err) != 1044 {
				t.Errorf("login with another schema: %v", err)
			}
			c := s.rawAs(as(mine))
			for _, q := range reaching {
				// 1044 and 1227: may not; 1235: nobody may; 1064 and others: no such statement here
				c.refused(strings.ReplaceAll(q, "SECRET", s.schema), 1044, 1227, 1235, 1064, 1243, 1054, 1295)
			}
			for _, in := range []string{s.schema, "mysql", "sys", "performance_schema"} {
				check(t, c.SendCommand(wire.ComInitDB, []byte(in)))
				if _, err := c.answer(); errno(err) != 1044 {
					t.Errorf("COM_INIT_DB %s: %v", in, err)
				}
			}
			for _, table := range []string{s.schema + ".single", "`" + s.schema + "`.`single`", "single"} {
				check(t, c.SendCommand(wire.ComFieldList, []byte(table+"\x00")))
				if _, err := c.answer(); errno(err) == 0 {
					t.Errorf("COM_FIELD_LIST %s: %v", table, err)
				}
			}
			c.exec("SET SESSION sql_mode = 'ANSI_QUOTES'")
			c.refused(`SELECT v FROM "`+s.schema+`"."single"`, 1044)
			c.exec("INSERT INTO mine VALUES (1)", "SELECT * FROM mine")
			if got := c.mustAsk("SHOW PROCESSLIST"); strings.Contains(got, ",u,") {
				t.Errorf("another user's session is shown: %s", got)
			}
			if err := c.changeUser("limited", "pw", s.schema); errno(err) != 1044 {
				t.Errorf("COM_CHANGE_USER with another schema: %v", err)
			}
			if got := s.on(0, "SELECT v FROM SCHEMA.single") + "/" + s.on(0, "SHOW TABLES FROM SCHEMA"); got != "42/accounts single w" {
				t.Errorf("the schema afterwards: %s", got)
			}
		})
	}
}

// writing are statements that a user who may only read must not get through, each another way to change something.
var writing = []string{
	"INSERT INTO single (v) VALUES (7)",
	"INSERT INTO single (v) SELECT 7",
	"INSERT IGNORE INTO single (v) VALUES (7)",
	"REPLACE INTO single (id, v) VALUES (1, 7)",
	"UPDATE single SET v = 7",
	"UPDATE accounts SET v = 7 WHERE id IN (1, 2)",
	"DELETE FROM single",
	"WITH x AS (SELECT 1) UPDATE single SET v = 7",
	"WITH x AS (SELECT 1) DELETE FROM single",
	"/*!40000 UPDATE single SET v = 7 */",
	"/*! DELETE FROM single */",
	"/* */ UPDATE single SET v = 7",
	"-- \nUPDATE single SET v = 7",
	"# x\nUPDATE single SET v = 7",
	"SELECT /*!40000 1 INTO OUTFILE '/tmp/no_such_folder/x' */",
	"/*!40000 TRUNCATE TABLE single */",
	"(SELECT v FROM single FOR UPDATE)",
	"SELECT v FROM single FOR UPDATE",
	"SELECT v FROM single FOR UPDATE NOWAIT",
	"SELECT v FROM single LOCK IN SHARE MODE",
	"SELECT v FROM single WHERE id IN (SELECT id FROM single FOR UPDATE)",
	"SELECT * FROM (SELECT v FROM single FOR UPDATE) x",
	"SELECT v FROM single UNION (SELECT v FROM single FOR UPDATE)",
	"SELECT v FROM accounts WHERE id = 1 FOR UPDATE",
	"SELECT v FROM single INTO OUTFILE '/tmp/no_such_folder/x'",
	"SELECT v FROM single INTO DUMPFILE '/tmp/no_such_folder/x'",
	"SELECT v INTO OUTFILE '/tmp/no_such_folder/x' FROM single",
	"SELECT writes()",
	"SELECT v FROM single WHERE writes() = 1",
	"DO writes()",
	"SET @x = writes()",
	"CALL change()",
	"CREATE TABLE more (n INT)",
	"CREATE TABLE more AS SELECT 1",
	"CREATE TEMPORARY TABLE more (n INT)",
	"CREATE VIEW more AS SELECT 1",
	"CREATE PROCEDURE more() SELECT 1",
	"CREATE TRIGGER more BEFORE INSERT ON single FOR EACH ROW SET NEW.v = 1",
	"CREATE EVENT more ON SCHEDULE EVERY 1 SECOND DO DELETE FROM single",
	"CREATE INDEX more ON single (v)",
	"ALTER TABLE single ADD COLUMN more INT",
	"DROP TABLE single",
	"DROP TABLE IF EXISTS single",
	"DROP VIEW IF EXISTS single",
	"DROP PROCEDURE change",
	"TRUNCATE single",
	"TRUNCATE TABLE single",
	"RENAME TABLE single TO more",
	"OPTIMIZE TABLE single",
	"ANALYZE TABLE single",
	"REPAIR TABLE single",
	"LOCK TABLES single WRITE",
	"LOCK TABLES single READ",
	"LOAD DATA LOCAL INFILE 'x' INTO TABLE single (v)",
	"LOAD DATA LOCAL INFILE 'x' INTO TABLE accounts (id, v)",
	"LOAD DATA INFILE '/etc/passwd' INTO TABLE single (t)",
	"LOAD XML LOCAL INFILE 'x' INTO TABLE single",
	"EXPLAIN ANALYZE DELETE FROM single",
	"ANALYZE DELETE FROM single",
	"ANALYZE UPDATE single SET v = 7",
	"ANALYZE FORMAT=JSON UPDATE single SET v = 7",
	"DELETE FROM single RETURNING v",
	"INSERT INTO single (v) VALUES (7) RETURNING v",
	"SELECT NEXTVAL(numbers)",
	"SELECT NEXT VALUE FOR numbers",
	"SELECT SETVAL(numbers, 100)",
	"PREPARE x FROM 'UPDATE single SET v = 7'",
	"EXECUTE x",
	"EXECUTE IMMEDIATE 'UPDATE single SET v = 7'",
	"BEGIN NOT ATOMIC UPDATE single SET v = 7; END",
	"XA START 'x'",
	"FLUSH TABLES",
	"SET GLOBAL read_only = 1",
	"GRANT ALL ON *.* TO x",
	"CREATE USER x",
	"SET STATEMENT max_statement_time = 1 FOR UPDATE single SET v = 7",
	"IMPORT TABLE FROM 'x'",
	"INSERT INTO single SET v = 7",
	"TABLE single INTO OUTFILE '/tmp/no_such_folder/x'",
	"VALUES ROW(1) INTO OUTFILE '/tmp/no_such_folder/x'",
}

// TestReadOnlyUser: a user who may only read changes nothing, whatever the statement and the way it comes, by what the text
// shows and by what it does not show.
func TestReadOnlyUser(t *testing.T) {
	t.Parallel()
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			s := newStack(t, []servers.Kind{kind}, func(c *config.Config) {
				c.Users = append(c.Users, config.User{Name: "reader", Password: "pw", ReadOnly: true})
			})
			admin(t, s.servers[0], "SET GLOBAL log_bin_trust_function_creators = 1",
				"INSERT INTO "+s.schema+".single (v) VALUES (42)", "INSERT INTO "+s.schema+".accounts (id, v) VALUES (1, 1), (2, 2)",
				"CREATE PROCEDURE "+s.schema+".change() UPDATE single SET v = 7",
				"CREATE FUNCTION "+s.schema+".writes() RETURNS INT DETERMINISTIC BEGIN UPDATE single SET v = 7; RETURN 1; END",
				"CREATE VIEW "+s.schema+".innocent AS SELECT "+s.schema+".writes() AS w")
			unchanged := func(after string) {
				t.Helper()
				if got := s.on(0, "SELECT GROUP_CONCAT(v) FROM SCHEMA.single") + "/" + s.on(0, "SELECT GROUP_CONCAT(v ORDER BY id) FROM SCHEMA.accounts"); got != "42/1,2" {
					t.Fatalf("%s: rows are %s", after, got)
				}
			}
			c := s.rawAs(wire.Dialer{User: "reader", Password: "pw", Schema: s.schema, Caps: wire.LocalFiles})
			for _, q := range writing {
				c.refused(q, 1290, 1235, 1064, 1243, 1295)
				unchanged(q)
			}
			for _, open := range []string{"DO 1", "START TRANSACTION READ WRITE", "BEGIN"} {
				for _, q := range []string{"SELECT w FROM innocent", "SELECT COUNT(*) FROM single WHERE v = (SELECT w FROM innocent)"} {
					c.exec(open)
					c.refused(q, 1792)
					c.exec("ROLLBACK")
					unchanged(open + ", " + q)
				}
			}
			for _, q := range []string{
				"SET SESSION TRANSACTION READ WRITE", "SET TRANSACTION READ WRITE", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
				"SET @@session.transaction_read_only = 0", "SET transaction_read_only = @x", "SET tx_read_only = OFF", "SET LOCAL tx_read_only = DEFAULT",
			} {
				if _, err := c.ask(q); errno(err) != 1290 {
					t.Errorf("%s: %v", q, err)
				}
			}
			c.exec("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET SESSION TRANSACTION READ ONLY", "SET @x = 1")
			check(t, c.SendCommand(wire.ComResetConnection))
			if _, err := c.answer(); err != nil {
				t.Error(err)
			}
			if _, err := c.ask("SELECT w FROM innocent"); errno(err) != 1792 {
				t.Errorf("after COM_RESET_CONNECTION: %v", err)
			}
			for q, want := range map[string]string{
				"SELECT v FROM single": "42", "SELECT id, v FROM accounts WHERE id IN (1, 2)": "1,1 2,2", "SELECT @@autocommit": "1",
				"WITH x AS (SELECT v FROM single) SELECT v + 1 FROM x": "43", "SHOW TABLES LIKE 'single'": "single",
			} {
				if got := c.mustAsk(q); got != want {
					t.Errorf("%s: %s, want %s", q, got, want)
				}
			}
			writer := s.raw() // the connection that the reader had
			writer.exec("UPDATE single SET v = 8", "SELECT w FROM innocent")
			s.atRest()
		})
	}
}
