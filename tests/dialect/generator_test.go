package dialect

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// kind is what an expression is meant to be. The generator mixes them now and then, because servers convert values.
type kind int

const (
	number kind = iota
	text
	moment
	clock
	logic
	kinds
)

// generator makes random statements about the tables x and y. What they say does not depend on the order in which rows are read: floating point
// numbers are multiples of 1/4, so that their sums are exact, and LIMIT comes with a total order.
type generator struct {
	r *rand.Rand
	// aliases of x and y in the query at hand
	from []string
	pure bool // no kind stands for another one, and there are no strings: of those that are equal one or the other is in a DISTINCT
}

// columns of both tables, by kind.
var columns = map[kind][]string{
	number: {"id", "i", "u", "b", "ub", "t", "dc", "f", "y"},
	text:   {"s", "sb", "c", "tx", "en"},
	moment: {"day", "at", "ts"},
	clock:  {"tm"},
}

// definition is that of x and y.
const definition = `id INT NOT NULL PRIMARY KEY, i INT, u INT UNSIGNED NOT NULL DEFAULT 7, b BIGINT, ub BIGINT UNSIGNED, t TINYINT, dc DECIMAL(8,3), f DOUBLE, y YEAR NOT NULL,
	s VARCHAR(20), sb VARCHAR(20) COLLATE utf8mb4_0900_bin NOT NULL, c CHAR(5), tx TEXT, en ENUM('red','green','blue'), day DATE, at DATETIME(3), ts TIMESTAMP NULL, tm TIME(2),
	vb VARBINARY(8), js JSON, bt BIT(5), st SET('a','b','c'), KEY (s), UNIQUE KEY (i)`

func (g *generator) n(n int) int             { return g.r.IntN(n) }
func (g *generator) chance(n int) bool       { return g.r.IntN(n) == 0 }
func (g *generator) one(of ...string) string { return of[g.n(len(of))] }

// or is the value, or now and then NULL.
func (g *generator) or(value string) string {
	if g.chance(6) {
		return "NULL"
	}
	return value
}

// row is a row of x or y.
func (g *generator) row(id int) string {
	return fmt.Sprintf("(%d, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", id,
		g.or(fmt.Sprint(id*7%50-9)), g.one("0", "1", "5", "4294967295", fmt.Sprint(id)), g.or(g.one("0", "-1", "9223372036854775807", "-9223372036854775808", fmt.Sprint(id*1000))),
		g.or(g.one("0", "18446744073709551615", "9223372036854775808", fmt.Sprint(id))), g.or(g.one("-128", "127", "0", fmt.Sprint(id))),
		g.or(g.one("0", "-0.001", "99999.999", "12.5", "1.005", fmt.Sprintf("%d.%03d", id, id*37%1000))), g.or(g.one("0", "0.25", "-3.75", "1e10", fmt.Sprintf("%d.5", id))), g.one("1901", "2000", "2024", "2155"),
		g.or(g.word()), g.word(), g.or(g.one("'a'", "'Ab'", "'ä'", "''", "'12345'")), g.or(g.word()), g.or(g.one("'red'", "'green'", "'blue'")),
		g.or(g.day()), g.or(g.at()), g.or(fmt.Sprintf("'20%02d-%02d-%02d %02d:%02d:%02d'", 1+g.n(30), 1+g.n(12), 1+g.n(28), g.n(24), g.n(60), g.n(60))), g.or(fmt.Sprintf("'%02d:%02d:%02d.%02d'", g.n(24), g.n(60), g.n(60), g.n(100))),
		g.or(g.one("x''", "x'00ff'", "'abc'", "x'e282ac'")), g.or(g.one(`'{"a": 1, "b": [1, "x"]}'`, `'[]'`, `'5'`, `'"str"'`, `'null'`)), g.or(g.one("b'0'", "b'101'", "31")), g.or(g.one("''", "'a'", "'a,c'", "'b,c'")))
}

func (g *generator) word() string {
	return g.one("'a'", "'A'", "'abc'", "'ABC'", "'ä'", "'é'", "'Zoë'", "''", "' x '", "'12'", "'1.5'", "'a_b'", "'a%b'", "'日本'", "'it''s'", `'a\\b'`, "'straße'", "'x '", "'-7'")
}

func (g *generator) day() string {
	return g.one("'2024-02-29'", "'2023-12-31'", "'2000-01-01'", "'1969-07-20'", "'9999-12-31'", fmt.Sprintf("'20%02d-%02d-%02d'", g.n(40), 1+g.n(12), 1+g.n(28)))
}

func (g *generator) at() string {
	return g.one("'2024-02-29 23:59:59.999'", "'2000-01-01 00:00:00'", "'1969-07-20 20:17:40.5'", fmt.Sprintf("'20%02d-%02d-%02d %02d:%02d:%02d.%03d'", g.n(40), 1+g.n(12), 1+g.n(28), g.n(24), g.n(60), g.n(60), g.n(1000)))
}

// column is a column of the kind.
func (g *generator) column(k kind) string {
	list := columns[k]
	return g.from[g.n(len(g.from))] + "." + list[g.n(len(list))]
}

func (g *generator) constant(k kind) string {
	switch k {
	case number:
		return g.one("0", "1", "2", "-1", "7", "100", "1.5", "-0.25", "2.50", "1e2", "3000000000", "NULL", "'5'")
	case text:
		return g.word()
	case moment:
		return g.one("DATE "+g.day(), "TIMESTAMP "+g.at(), g.day(), g.at())
	case clock:
		return g.one("TIME '10:20:30'", "'01:02:03'", "TIME '23:59:59.5'")
	}
	return g.one("TRUE", "FALSE", "NULL")
}

// expression is of the kind, or now and then of another one.
func (g *generator) expression(k kind, depth int) string {
	if g.chance(25) && !g.pure {
		k = kind(g.n(int(kinds)))
	}
	if depth == 0 || g.chance(4) {
		if k == logic || g.chance(4) {
			return g.constant(k)
		}
		return g.column(k)
	}
	e := func(k kind) string { return g.expression(k, depth-1) }
	switch k {
	case number:
		switch g.n(16) {
		case 0, 1, 2:
			return fmt.Sprintf("(%s %s %s)", e(number), g.one("+", "-", "*", "/", "%", "DIV", "MOD", "+", "-", "*"), e(number))
		case 3:
			return fmt.Sprintf("%s(%s)", g.one("ABS", "SIGN", "FLOOR", "CEIL", "ROUND", "-"), e(number))
		case 4:
			return fmt.Sprintf("ROUND(%s, %s)", e(number), g.one("0", "1", "2", "-1"))
		case 5:
			return fmt.Sprintf("%s(%s)", g.one("LENGTH", "CHAR_LENGTH", "ASCII", "CRC32", "BIT_LENGTH"), e(text))
		case 6:
			return fmt.Sprintf("%s(%s)", g.one("YEAR", "MONTH", "DAY", "DAYOFWEEK", "WEEKDAY", "DAYOFYEAR", "QUARTER", "TO_DAYS", "WEEK", "HOUR", "SECOND", "MICROSECOND", "UNIX_TIMESTAMP"), e(moment))
		case 7:
			return fmt.Sprintf("DATEDIFF(%s, %s)", e(moment), e(moment))
		case 8:
			return fmt.Sprintf("CAST(%s AS %s)", e(number), g.one("SIGNED", "UNSIGNED", "DECIMAL(10,2)", "DECIMAL(20)", "DOUBLE"))
		case 9:
			return fmt.Sprintf("(%s %s %s)", e(number), g.one("&", "|", "^", "<<", ">>"), e(number))
		case 10:
			return fmt.Sprintf("TIMESTAMPDIFF(%s, %s, %s)", g.one("DAY", "MONTH", "YEAR", "HOUR", "SECOND"), e(moment), e(moment))
		case 11:
			return fmt.Sprintf("%s(%s, %s)", g.one("LOCATE", "INSTR", "STRCMP", "FIND_IN_SET"), e(text), e(text))
		case 12:
			return fmt.Sprintf("EXTRACT(%s FROM %s)", g.one("YEAR", "MONTH", "DAY", "YEAR_MONTH", "DAY_HOUR"), e(moment))
		case 13:
			return fmt.Sprintf("TIME_TO_SEC(%s)", e(clock))
		}
	case text:
		switch g.n(16) {
		case 0, 1:
			return fmt.Sprintf("CONCAT(%s, %s)", e(text), e(kind(g.n(int(kinds)))))
		case 2:
			return fmt.Sprintf("%s(%s)", g.one("LOWER", "UPPER", "REVERSE", "TRIM", "LTRIM", "RTRIM", "HEX", "TO_BASE64", "QUOTE"), e(text))
		case 3:
			return fmt.Sprintf("%s(%s, %d)", g.one("LEFT", "RIGHT", "REPEAT"), e(text), g.n(4))
		case 4:
			return fmt.Sprintf("SUBSTRING(%s, %d, %d)", e(text), g.n(5)-2, g.n(4))
		case 5:
			return fmt.Sprintf("REPLACE(%s, %s, %s)", e(text), g.constant(text), g.constant(text))
		case 6:
			return fmt.Sprintf("%s(%s, %d, %s)", g.one("LPAD", "RPAD"), e(text), g.n(8), g.constant(text))
		case 7:
			return fmt.Sprintf("CAST(%s AS CHAR)", e(kind(g.n(int(kinds)))))
		case 8:
			return fmt.Sprintf("DATE_FORMAT(%s, %s)", e(moment), g.one("'%Y-%m-%d'", "'%H:%i:%s'", "'%d.%m.%y'", "'%W %M %e'", "'%j %U'"))
		case 9:
			return fmt.Sprintf("CONCAT_WS(%s, %s, %s)", g.constant(text), e(text), e(text))
		case 10:
			return fmt.Sprintf("SUBSTRING_INDEX(%s, %s, %d)", e(text), g.one("'a'", "' '", "'b'"), g.n(4)-2)
		case 11:
			return fmt.Sprintf("FORMAT(%s, %d)", e(number), g.n(4))
		case 12:
			return fmt.Sprintf("%s(%s)", g.one("DAYNAME", "MONTHNAME"), e(moment))
		}
	case moment:
		switch g.n(7) {
		case 0, 1:
			return fmt.Sprintf("(%s %s INTERVAL %s)", e(moment), g.one("+", "-"), g.one("1 DAY", "3 MONTH", "-1 YEAR", "90 MINUTE", "'1 2' DAY_HOUR", "1.5 SECOND", "1 WEEK", "2 QUARTER", "'1:30' MINUTE_SECOND"))
		case 2:
			return fmt.Sprintf("%s(%s)", g.one("DATE", "LAST_DAY", "TIMESTAMP"), e(moment))
		case 3:
			return fmt.Sprintf("CAST(%s AS %s)", e(moment), g.one("DATE", "DATETIME", "DATETIME(3)"))
		case 4:
			return fmt.Sprintf("DATE_ADD(%s, INTERVAL %d %s)", e(moment), g.n(40)-10, g.one("DAY", "HOUR", "MONTH"))
		}
	case clock:
		switch g.n(4) {
		case 0:
			return fmt.Sprintf("TIME(%s)", e(moment))
		case 1:
			return fmt.Sprintf("CAST(%s AS TIME(3))", e(moment))
		}
	case logic:
		return g.condition(depth - 1)
	}
	switch g.n(6) { // of every kind
	case 0:
		return fmt.Sprintf("IF(%s, %s, %s)", g.condition(depth-1), e(k), e(k))
	case 1:
		return fmt.Sprintf("COALESCE(%s, %s)", e(k), e(k))
	case 2:
		return fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", g.condition(depth-1), e(k), e(k))
	case 3:
		return fmt.Sprintf("NULLIF(%s, %s)", e(k), e(k))
	case 4:
		return fmt.Sprintf("%s(%s, %s)", g.one("GREATEST", "LEAST"), e(k), e(k))
	}
	return e(k)
}

func (g *generator) condition(depth int) string {
	if depth > 0 && g.chance(3) {
		return fmt.Sprintf("(%s %s %s)", g.condition(depth-1), g.one("AND", "OR", "XOR"), g.condition(depth-1))
	}
	k := kind(g.n(4))
	depth = max(depth, 0)
	l := g.expression(k, depth)
	switch g.n(10) {
	case 0:
		return fmt.Sprintf("(%s IS %sNULL)", l, g.one("", "NOT "))
	case 1:
		return fmt.Sprintf("(%s %sBETWEEN %s AND %s)", l, g.one("", "NOT "), g.expression(k, 0), g.expression(k, 0))
	case 2:
		return fmt.Sprintf("(%s %sIN (%s, %s, %s))", l, g.one("", "NOT "), g.constant(k), g.expression(k, 0), g.constant(k))
	case 3:
		if k == text {
			return fmt.Sprintf("(%s %sLIKE %s)", l, g.one("", "NOT "), g.one("'a%'", "'%b%'", "'_'", "'%é%'", `'a\\_b'`, "''", "'%'"))
		}
	case 4:
		return fmt.Sprintf("(NOT %s)", g.condition(depth-1))
	case 5:
		return fmt.Sprintf("(%s %s %s)", l, g.one("=", "<", ">="), g.expression(kind(g.n(4)), 0))
	case 6: // a number and a string that begins with one, or does not
		if k == number {
			return fmt.Sprintf("(%s %s %s)", l, g.one("=", "<", ">=", "<>"), g.one("'3abc'", "'abc'", "''", "' 7 '", "'-2.5x'", "'1e1e'", "'.5.'"))
		}
		return fmt.Sprintf("(%s MEMBER OF ('[1, \"a\", 7, 2.50, \"abc\", [3], null]'))", g.expression(g.one2(text, number), 0))
	}
	return fmt.Sprintf("(%s %s %s)", l, g.one("=", "<", ">", "<>", "<=", ">=", "<=>"), g.expression(k, depth))
}

// statement is a SELECT, or a change. A SELECT in a certain order says so.
func (g *generator) statement() (sql string, ordered bool) {
	switch g.n(12) {
	case 0, 1:
		return g.change(), false
	case 2, 3:
		return g.grouped(), false
	case 4:
		return g.union(), false
	case 5:
		return g.windowed(), false
	case 6:
		return g.nested(), false
	}
	return g.selection()
}

func (g *generator) anyKind() kind {
	for {
		if k := kind(g.n(int(kinds))); k != text || !g.pure {
			return k
		}
	}
}

// list is a select list.
func (g *generator) list(depth int) string {
	items := make([]string, 1+g.n(3))
	for i := range items {
		items[i] = g.expression(g.anyKind(), depth)
	}
	return strings.Join(items, ", ")
}

func (g *generator) where(depth int) string {
	if g.chance(3) {
		return ""
	}
	return " WHERE " + g.condition(depth)
}

// tables is a FROM clause.
func (g *generator) tables() string {
	g.from = []string{"p"}
	if g.chance(3) {
		g.from = []string{"p", "q"}
		return fmt.Sprintf("x p %s y q ON p.%s = q.%[2]s", g.one("JOIN", "LEFT JOIN", "RIGHT JOIN"), g.one("id", "i", "en"))
	}
	return g.one("x", "y") + " p"
}

func (g *generator) selection() (sql string, ordered bool) {
	from := g.tables()
	distinct := g.one("", "", "", "DISTINCT ")
	g.pure = distinct != ""
	sql = "SELECT " + distinct + g.list(3) + " FROM " + from
	g.pure = false
	sql += g.where(2)
	if len(g.from) == 1 && !strings.Contains(sql, "DISTINCT") && g.chance(2) {
		sql += " ORDER BY " + g.expression(g.anyKind(), 1) + g.one("", " DESC") + ", p.id"
		if g.chance(2) {
			sql += fmt.Sprintf(" LIMIT %d", 1+g.n(10))
		}
		return sql, true
	}
	return sql, false
}

func (g *generator) aggregate() string {
	switch g.n(8) {
	case 0:
		return "COUNT(*)"
	case 1:
		return fmt.Sprintf("COUNT(DISTINCT %s)", g.expression(g.anyKind(), 1))
	case 2:
		return fmt.Sprintf("%s(%s)", g.one("SUM", "AVG"), g.one("p.i", "p.u", "p.t", "p.dc", "p.i + p.t", "p.dc * 2", "p.f"))
	case 3:
		return fmt.Sprintf("%s(%s)", g.one("BIT_AND", "BIT_OR", "BIT_XOR"), g.one("p.i", "p.u", "p.t"))
	case 4:
		if len(g.from) > 1 { // p.id is not unique there
			return "COUNT(p.id)"
		}
		return fmt.Sprintf("GROUP_CONCAT(%s ORDER BY p.id)", g.expression(g.one2(text, number), 1))
	case 5:
		return fmt.Sprintf("GROUP_CONCAT(DISTINCT %s ORDER BY %[1]s%s)", g.one("p.i", "p.t", "p.u", "p.dc", "p.sb", "p.dc * 2", "p.i + p.t"), g.one("", " DESC"))
	}
	g.pure = true
	defer func() { g.pure = false }()
	return fmt.Sprintf("%s(%s)", g.one("MIN", "MAX"), g.expression(g.one2(number, moment), 1))
}

func (g *generator) one2(a, b kind) kind {
	if g.chance(2) {
		return a
	}
	return b
}

func (g *generator) grouped() string {
	from := g.tables()
	if g.chance(3) {
		return "SELECT " + g.aggregate() + ", " + g.aggregate() + " FROM " + from + g.where(1)
	}
	key := g.one("p.en", "p.t", "p.day", "p.sb", "p.y", "MONTH(p.at)", "p.s IS NULL", "p.i % 3")
	sql := "SELECT " + key + " AS k, " + g.aggregate() + ", " + g.aggregate() + " FROM " + from + g.where(1) + " GROUP BY " + key
	if g.chance(3) {
		sql += " HAVING COUNT(*) > 1"
	}
	return sql
}

func (g *generator) union() string {
	g.pure = true
	defer func() { g.pure = false }()
	k, l := g.anyKind(), g.anyKind()
	part := func() string {
		g.from = []string{"p"}
		return "SELECT " + g.expression(k, 1) + ", " + g.expression(l, 1) + " FROM " + g.one("x", "y") + " p" + g.where(1)
	}
	if g.chance(5) {
		row := func() string { return "ROW(" + g.constant(k) + ", " + g.constant(l) + ")" }
		return part() + g.one(" UNION ALL ", " UNION ") + "VALUES " + row() + ", " + row()
	}
	return part() + g.one(" UNION ALL ", " UNION ", " EXCEPT ", " INTERSECT ") + part()
}

func (g *generator) windowed() string {
	g.from = []string{"p"}
	over := fmt.Sprintf(" OVER (%sORDER BY p.id%s)", g.one("", "PARTITION BY p.en ", "PARTITION BY p.t "), g.one("", " DESC", " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING"))
	function := g.one("ROW_NUMBER()", "RANK()", "SUM(p.i)", "COUNT(p.s)", "MIN(p.day)", "AVG(p.dc)", "LAG(p.i)", "LEAD(p.s)", "FIRST_VALUE(p.at)", "NTILE(3)", "LAST_VALUE(p.dc)", "STDDEV(p.t)")
	return "SELECT p.id, " + function + over + " FROM " + g.one("x", "y") + " p" + g.where(1)
}

func (g *generator) nested() string {
	g.from = []string{"p"}
	switch g.n(4) {
	case 0:
		outer := g.list(1)
		where := g.condition(1)
		g.from = []string{"q"}
		return "SELECT " + outer + " FROM x p WHERE " + where + " AND " + g.one("EXISTS", "NOT EXISTS") + " (SELECT 1 FROM y q WHERE q.i = p.i AND " + g.condition(1) + ")"
	case 1:
		k := g.anyKind()
		l := g.expression(k, 1)
		g.from = []string{"q"}
		return fmt.Sprintf("SELECT p.id FROM x p WHERE %s %s (SELECT %s FROM y q%s)", l, g.one("IN", "NOT IN", "> ALL", "<= ANY"), g.expression(k, 1), g.where(1))
	case 2:
		inner := fmt.Sprintf("SELECT %s AS a, %s AS b FROM x p%s", g.expression(number, 2), g.expression(text, 2), g.where(1))
		return g.one("SELECT a, b FROM (%s) d WHERE a > 1 OR b < 'c'", "WITH d AS (%s) SELECT COUNT(*), MAX(a), COUNT(DISTINCT b) FROM d", "SELECT DISTINCT a FROM (%s) d") + "\x00" + inner
	}
	inner := g.expression(g.one2(number, moment), 1)
	return "SELECT p.id, (SELECT MAX(" + strings.ReplaceAll(inner, "p.", "q.") + ") FROM y q WHERE q.en = p.en) FROM x p"
}

// change is an INSERT, UPDATE, DELETE or REPLACE.
func (g *generator) change() string {
	g.from = []string{"x"}
	switch g.n(7) {
	case 0:
		return "DELETE FROM x" + g.where(2)
	case 1:
		return "INSERT INTO x VALUES " + g.row(100) + ", " + g.row(101)
	case 2:
		return g.one("REPLACE INTO x VALUES ", "INSERT IGNORE INTO x VALUES ") + g.row(1+g.n(20))
	case 3:
		return "INSERT INTO x VALUES " + g.row(1+g.n(45)) + " ON DUPLICATE KEY UPDATE u = VALUES(u) % 10, s = " + g.one("VALUES(s)", "x.sb", "CONCAT(x.sb, 'z')")
	case 4:
		g.from = []string{"p", "q"}
		return "UPDATE x p " + g.one("JOIN", "LEFT JOIN") + " y q ON q.id = p.id + 2 SET p.i = NULL, p.dc = " + g.one("q.dc", "1.5", "q.t") + ", p.s = " + g.one("q.s", "'new'", "q.c") + g.where(1)
	case 5:
		return "UPDATE x SET u = id % 5, b = NULL, s = LEFT(CONCAT(sb, 'y'), 20)" + g.where(1) + g.one("", " ORDER BY id LIMIT 3")
	}
	column := g.one("b", "t", "dc", "f", "s", "c", "day", "at", "tm", "en", "sb", "y", "ub")
	k := map[string]kind{"s": text, "sb": text, "c": text, "en": text, "day": moment, "at": moment, "tm": clock}[column]
	return "UPDATE x SET " + column + " = " + g.expression(k, 2) + g.where(1)
}
