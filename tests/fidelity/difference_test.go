package fidelity

import (
	"regexp"
	"slices"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// difference is something that a client gets otherwise from the proxy than from the server, on purpose.
type difference struct {
	reason string
	kinds  []servers.Kind // of servers where it occurs; empty: all
	step   *regexp.Regexp // matches "story: text of the step"
	hide   hide
}

func (d *difference) concerns(kind servers.Kind, step string) bool {
	return (len(d.kinds) == 0 || slices.Contains(d.kinds, kind)) && d.step.MatchString(step)
}

// at matches steps: a story and the text of the step from its beginning, as a regular expression.
func at(story, text string) *regexp.Regexp { return regexp.MustCompile(`(?s)^` + story + `: ` + text) }

// differences are all that there are. A reason that begins with "not yet" is no reason: the proxy is to be changed.
var differences = []difference{
	{"capabilities that say nothing on the wire", nil, at("logins", ":login"), offers(wire.NoSchema | wire.IgnoreSigpipe | wire.Reserved | wire.SSLVerifyServerCert | wire.RememberOptions)},
	{"accounts of the proxy do not expire and have one password; metadata of results is never left out", mysql, at("logins", ":login"), offers(wire.CanHandleExpiredPasswords | wire.MultiFactorAuthentication | wire.OptionalResultsetMetadata)},
	{"what a client gets that asks to choose whether metadata is sent", mysql, at("logins", "SELECT 'with optional metadata'"), columnCount},
	{"accounts of the proxy do not expire", mariadb, at("logins", ":login"), offers(wire.CanHandleExpiredPasswords)},
	{"MariaDB leaves out LongPassword, with which its clients look for its extended capabilities; the proxy has none of those", mariadb, at("logins", ":login"), offers(wire.LongPassword)},
	{"extended capabilities of MariaDB", mariadb, at("logins", ":login"), extended},
	{"zstd and query attributes are the proxy's own", mariadb, at("logins", ":login"), offers(wire.ZstdCompression | wire.QueryAttributes)},
	{"accounts of the proxy authenticate by caching_sha2_password first", mariadb, at("[a-z]+", ":(login|changeuser)"), authentication},
	{"accounts of the proxy can authenticate by mysql_native_password too", mysql, at("logins", ":login plugin=mysql_native_password"), authentication},
	{"clients before plugins can log in", mysql, at("logins", ":login -PluginAuth"), letIn},
	{"clients before plugins can log in: what follows", mysql, at("logins", "SELECT 'without plugins'"), onlyProxied},
	{"a wrong password or name is refused at once: nobody can make the proxy decrypt by guessing", mysql, at("[a-z]+", ":(login|changeuser) .*(password=wrong|user=)"), authentication},
	{"unknown schemas: where to configure them", nil, at("logins", ":login .*schema=nope"), wording},
	{"character sets whose characters can hide quotes are refused", nil, at("logins", ":login collation=(28|250)"), turnedAway(1235)},
	{"character sets whose characters can hide quotes are refused: what follows", nil, at("logins", "SELECT '(gbk|gb18030)'"), lost},
	{"clients before 4.1", nil, at("logins", ":login raw=0500"), anyError},

	{"syntax errors that the router finds: its own words", nil, at("[a-z]+", "(:prepare bad )?(SELEC( |$)|SELECT ['`]unterminated|SELECT 1 /. unterminated|SELECT 1; SELE|START TRANSACTION (READ ONLY, READ WRITE|NOPE)|SAVEPOINT( 'quoted')?$|BEGIN WORK AND|BEGIN NOT ATOMIC SELECT 1; $|COMMIT AND$|ROLLBACK TO$|RELEASE a|USE$|DELIMITER|SET TRANSACTION ISOLATION LEVEL NOPE|SET( x| @a( =)?| NAMES)?$|(PREPARE|EXECUTE|RETURN 1|GET DIAGNOSTICS|DECLARE x INT)$)"), wording},
	{"syntax errors that the router finds: its own words", nil, at("[a-z]+", "(:prepare bad )?(SELEC( |$)|SELECT ['`]unterminated|SELECT {hex:00} 1|SELECT 1 /. unterminated|SELECT 1; SELE|START TRANSACTION (READ ONLY, READ WRITE|NOPE)|SAVEPOINT( 'quoted')?$|BEGIN WORK AND|COMMIT AND$|ROLLBACK TO$|RELEASE a|USE$|DELIMITER|SET TRANSACTION ISOLATION LEVEL NOPE|SET( x| @a( =)?| NAMES)?$|(PREPARE|EXECUTE|RETURN 1|IF 1 THEN.*|DECLARE x INT)$)"), wording},
	{"a second statement where only one may be: its own words", nil, at("(multi|packets)", "(:prepare y )?([^;]*;)+ *(/.!40000 )?[A-Z]"), wording},
	{"unknown schemas: where to configure them", nil, at("[a-z]+", "(:initdb nope|:raw 02 00|USE nope|SHOW TABLES FROM nope|:changeuser schema=nope)"), wording},
	{"unknown schemas are refused before the table is looked for", mariadb, at("errors", "SELECT .* FROM nope.nope"), otherError(1049)},
	{"unknown schemas: where to configure them", mysql, at("errors", "SELECT .* FROM nope.nope"), wording},
	{"unknown schemas are refused", nil, at("(show|statements)", "(SHOW OPEN TABLES FROM nope|DROP DATABASE other_fidelity)"), refused(1049)},
	{"no schema selected: what to do", nil, at("(found_rows|changeuser)", "SELECT . FROM (f|ch)"), wording},
	{"errors name the proxy's number of the statement and the function's name in the other server", nil, at("[a-z_]+", ":(execute|fetch|reset) "), wording},

	{"refused: concerns one server, its accounts or its settings", nil, at("[a-z]+", "(FLUSH|PURGE|CHANGE|GRANT|REVOKE|BINLOG|CACHE|LOAD INDEX|RESET|INSTALL|UNINSTALL|SHUTDOWN|RESTART|CLONE|IMPORT|KILL$|SET (GLOBAL|@@GLOBAL|PERSIST|PASSWORD|ROLE|DEFAULT ROLE|RESOURCE)|((CREATE|ALTER) DATABASE|(CREATE|DROP|ALTER) (USER|ROLE|SERVER|TABLESPACE))|SHOW GRANTS FOR nobody)"), refused(1235)},
	{"refused: rows of files cannot be placed", nil, at("(errors|load)", "LOAD (DATA INFILE|XML)"), refused(1235)},
	{"refused: XA is the proxy's own", nil, at("(transactions|statements)", "XA "), refused(1235)},
	{"what clients create belongs to the account of the proxy", nil, at("[a-z]+", "SHOW CREATE (PROCEDURE p1|FUNCTION f$|TABLE vw|VIEW vw)"), definer},
	{"the rights are those of the account of the proxy", nil, at("(show|session)", "SHOW GRANTS( FOR CURRENT_USER..)?$"), grants},
	{"numbers of the proxy's own", nil, at("(commands|packets)", ":(statistics|raw 09)"), text},
	{"COM_DEBUG needs a right that no client has", nil, at("(commands|packets)", ":(debug|raw 0d)"), refused(1227)},
	{"commands that are not supported are named", nil, at("(commands|packets)", ":(raw (0[0bf]|1[0345d]|[257f])|packet 0 $)"), wording},
	{"COM_SET_OPTION: its own words", nil, at("commands", ":setoption 7"), wording},
	{"commands that concern one server are unknown", nil, at("(commands|packets)", ":raw (0[57a]|06|1[25e]|20)"), refused(1047)},
	{"COM_PROCESS_KILL works, as in older servers", mysql, at("(commands|kill)", ":(raw 0c|kill)"), refused(1094)},
	{"commands that are too short are malformed", nil, at("(commands|packets)", ":raw (0c|17|1a|1b|1c)"), refused(1835)},

	{"statements are numbered by the proxy", nil, at("[a-z_]+", ":prepare "), statementID},
	{"statements that MySQL cannot prepare", mysql, at("prepared", ":prepare (begin BEGIN|use USE)"), onlyProxied},
	{"statements that MySQL cannot prepare: what follows", mysql, at("prepared", ":execute (begin|commit|upd string:tx)"), func(d, p *exchange) {
		if e := d.err(); e != nil && e.Errno == 1243 {
			*d, *p = exchange{}, exchange{}
		}
		all(status(wire.StatusInTrans), states)(d, p)
	}},

	{"nothing between two semicolons is skipped", nil, at("multi", "SELECT 1;; "), onlyProxied},

	{"MySQL counts the warnings of the last statement in answers to commands too", mysql, at("[a-z]+", ":(ping|initdb|setoption)"), warnings},
	{"MySQL forgets the character set of the login with COM_RESET_CONNECTION; the proxy keeps it", mysql, at("(commands|changeuser|locks|set)", "(SELECT (@@sql_mode|DATABASE..|@u|@a|@t)|:prepare g)"), charset},
	{"MariaDB lets a client go on whose COM_CHANGE_USER failed", mariadb, at("refusals", ":ping"), lost},
	{"MariaDB answers an empty COM_CHANGE_USER with a greeting", mariadb, at("refusals", ":raw 11$"), refused(1047)},
	{"query attributes that cannot be read, which MariaDB has none of", mariadb, at("packets", ":packet 0 03"), anyError},
	{"MySQL answers malformed commands that have no answer", mysql, at("packets", ":ping"), onlyProxied},
	{"unknown statements are found before malformed commands", nil, at("packets", ":raw (17|1c) 00000000"), otherError(1243)},

	{"refused: the name of another variable, or of a statement, for the number of a connection", nil, at("kill", "(KILL (QUERY )?([a-zA-Z'@-]|CONNECTION_ID)|:prepare kq)"), refused(1235)},
	{"numbers of connections are cut to 32 bits by MySQL", mysql, at("kill", "KILL 18446744073709551615"), wording},
	{"what ends a connection of one's own: the number of MySQL", mariadb, at("kill", "(KILL|:kill) {id}"), otherError(1317)},
	{"COM_PROCESS_KILL works, as in older servers: what follows", mysql, at("kill", ":(kill|ping)"), whatever},

	{"each assignment of a SET is a statement of its own: a variable has the type of its value", nil, at("set", "SELECT @x1, @x2"), rowsOf},
	{"syntax errors that the router finds: its own words, also in SHOW WARNINGS", nil, at("warnings", "SHOW WARNINGS$"), rowsOf},
	{"syntax errors that the router finds: another number", nil, at("set", "SET @@nope.x"), otherError(1064)},
	{"refused: connections are numbered by each backend", nil, at("session", "EXPLAIN FOR CONNECTION"), refused(1235)},
	{"MariaDB keeps the count of errors over a statement that only asks for it", mariadb, at("warnings", "SELECT @@error_count"), values},

	{"transaction_isolation and tx_isolation are both known, whatever the server calls it", mariadb, at("set", "SET .*transaction_(isolation|read_only) ="), onlyProxied},
	{"transaction_isolation and tx_isolation are both known, whatever the server calls it", mysql, at("set", "SET tx_isolation"), onlyProxied},
	{"WITH CONSISTENT SNAPSHOT at another isolation level than REPEATABLE READ: MySQL warns that it does nothing", mysql, at("(transactions|ends)", "START TRANSACTION.* WITH CONSISTENT SNAPSHOT"), warnings},
	{"character sets whose characters can hide quotes are refused", nil, at("charsets", "SET NAMES (gbk|sjis|ucs2)"), refused(1235)},
	{"refused: variables that hold for one statement or one connection", nil, at("set", "SET (insert_id|last_insert_id|rand_seed1|sql_log_bin)"), refused(1235)},
	{"refused: variables that hold for one statement or one connection: what follows", nil, at("set", "SELECT (LAST_INSERT_ID|RAND)"), values},

	{"MySQL lets no XA branch touch temporary tables: what is told of its end", mysql, at("temporary", "COMMIT$"), states},
	{"MySQL lets no XA branch touch temporary tables", mysql, at("temporary", "(INSERT INTO t .*tx|SELECT . FROM t$|CREATE TEMPORARY TABLE intx|INSERT INTO intx|DROP TEMPORARY TABLE intx)"), whatever},

	{"connections have numbers of the proxy's own", nil, at("(session|queries|locks)", "(SELECT .*(CONNECTION_ID|USER|mine)|:execute c)"), values},
	{"information_schema shows the sessions of the backend", nil, at("session", "SELECT id = [0-9{]+.*processlist"), whatever},
	{"sessions are those of the proxy, and listing them is not deprecated", nil, at("(session|states)", "SHOW (FULL )?PROCESSLIST"), all(rowsOf, warnings)},
	{"@@autocommit is written into the text as a constant, which MariaDB finds wider", mariadb, at("(transactions|session)", "SELECT @@autocommit"), definitions},
	{"variables are those of the backend's connection, whose autocommit is always on", nil, at("session", "SHOW VARIABLES LIKE 'autocommit'"), values},

	{"syntax errors that the router finds: its own words", nil, at("sqlprepare", "PREPARE bad FROM 'SELEC"), wording},
	{"syntax errors that the router finds: its own words", mariadb, at("sqlprepare", "EXECUTE IMMEDIATE ('SELEC'|@nothing)"), wording},
	{"syntax errors of what MySQL does not know: the proxy's own words", mysql, at("sqlprepare", "(EXECUTE IMMEDIATE|EXECUTE i USING 6)"), wording},

	{"to MySQL every write in a branch is unsafe, so that flag is only told of reads", mysql, at("states", "(UPDATE tt SET v = 7|CALL tp|INSERT INTO tt SELECT)"), states},
	{"MySQL keeps information_schema in tables, which are read outside of the transaction's branches", mysql, at("states", "SELECT COUNT... > 1"), states},
	{"numbers of statements and of transactions", mysql, at("tracking", ""), numbers},
	{"each assignment of a SET is a statement of its own: what it tells", mysql, at("tracking", "SET SESSION net_write_timeout = 66"), states},
}

// races are differences that need not occur.
var races = []difference{
	{"whether a query of the data dictionary uses an index depends on what the server has in memory", mysql, at("show", "SHOW PROCEDURE STATUS"), status(wire.StatusNoIndexUsed)},
	{"MariaDB tells of changed variables in the order of a hash table", mariadb, at("[a-z_]+", "SET "), sorted},
}

var (
	mariadb = []servers.Kind{servers.MariaDB}
	mysql   = []servers.Kind{servers.MySQL}
)
