package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator makes random statements that both kinds of servers take, and whose results do not depend on the order in which rows are
// looked at: floating point numbers are multiples of 1/4, so their sums are exact; LIMIT comes with a total order.
type generator struct {
	r     *rand.Rand
	names int
}

// from is a table in a FROM clause.
type from struct {
	*table
	as string
}

func (g *generator) n(n int) int             { return g.r.IntN(n) }
func (g *generator) chance(n int) bool       { return g.r.IntN(n) == 0 }
func (g *generator) one(of ...string) string { return of[g.n(len(of))] }

func (g *generator) statement() statement {
	switch g.n(14) {
	case 0, 1:
		return g.change()
	case 2:
		return statement{sql: g.union()}
	case 3:
		return statement{sql: g.nested()}
	case 4:
		return statement{sql: g.twice()}
	case 5:
		return g.bracketed()
	}
	return g.selection()
}

// bracketed is a selection in brackets, perhaps with a smaller part of it wanted.
func (g *generator) bracketed() statement {
	s := g.selection()
	s.sql = "(" + s.sql + ")"
	switch g.n(4) {
	case 0:
		s.sql = "(" + s.sql + ")"
	case 1:
		s.sql, s.ordered = s.sql+" LIMIT 1000", false
	case 2:
		s.sql, s.ordered = s.sql+" UNION ALL "+s.sql, false
	}
	return s
}

// twice reads a common table expression more than once.
func (g *generator) twice() string {
	of, clause := g.tables()
	key := g.expression(of, number, 0)
	inner := g.one(
		fmt.Sprintf("SELECT %s AS a, %s AS b FROM %s%s", g.expression(of, number, 1), g.expression(of, number, 1), clause, g.where(of)),
		fmt.Sprintf("SELECT %s AS a, COUNT(*) AS b FROM %s%s GROUP BY %s", key, clause, g.where(of), key),
		fmt.Sprintf("SELECT DISTINCT %s AS a, 3 AS b FROM %s%s", key, clause, g.where(of)),
		fmt.Sprintf("SELECT %s AS a, ROW_NUMBER() OVER (ORDER BY %s) AS b FROM %s%s", key, g.total(of), clause, g.where(of)))
	outer := g.one("SELECT x.a, y.b FROM d x JOIN d y ON x.a = y.b", "SELECT COUNT(*), MAX(a) FROM d WHERE a > (SELECT AVG(b) FROM d)", "SELECT a FROM d UNION ALL SELECT b FROM d WHERE b > 2",
		"SELECT x.a FROM d x LEFT JOIN d y ON y.a = x.b WHERE y.a IS NULL")
	if g.chance(3) {
		return "WITH d AS (" + inner + "), e AS (SELECT a, b FROM d WHERE a IS NOT NULL) " + strings.Replace(outer, "FROM d", "FROM e", 1)
	}
	return "WITH d AS (" + inner + ") " + outer
}

// table is a random table under a new name; with a chance of the tables that are on one shard map.
func (g *generator) table() from {
	g.names++
	return from{&tables[g.n(len(tables))], fmt.Sprint("t", g.names)}
}

// tables are one to three tables, and the FROM clause that joins them.
func (g *generator) tables() (all []from, clause string) {
	all = []from{g.table()}
	clause = all[0].name + " " + all[0].as
	for len(all) < 3 && g.chance(3) {
		f := g.table()
		kind := g.one("JOIN", "JOIN", "LEFT JOIN", "INNER JOIN")
		clause += fmt.Sprintf(" %s %s %s ON %s", kind, f.name, f.as, g.join(all[g.n(len(all))], f))
		all = append(all, f)
	}
	return all, clause
}

// joined is the column of a table that others are joined by: a number, because what a string and a BIT have in common depends on the plan.
var joined = map[string]string{"customers": "id", "orders": "customer", "lines_": "customer", "audit": "customer", "products": "id", "settings": "v", "members": "id"}

// join is a condition between two tables: mostly on what belongs together.
func (g *generator) join(a, b from) string {
	cond := fmt.Sprintf("%s.%s = %s.%s", a.as, joined[a.name], b.as, joined[b.name])
	if a.name == "orders" && b.name == "lines_" || a.name == "lines_" && b.name == "orders" {
		order := map[string]string{"orders": "id", "lines_": "ord"}
		cond += fmt.Sprintf(" AND %s.%s = %s.%s", a.as, order[a.name], b.as, order[b.name])
	}
	if g.chance(4) {
		cond += " AND " + g.condition([]from{a, b}, 1)
	}
	return cond
}

// pick is a random column of a kind, qualified.
func (g *generator) pick(of []from, k kind) (string, bool) {
	for range 20 {
		f := of[g.n(len(of))]
		if c := f.columns[g.n(len(f.columns))]; c.kind == k {
			return f.as + "." + c.name, true
		}
	}
	return "", false
}

// expression is of the kind; columns of other kinds do not occur in it.
func (g *generator) expression(of []from, k kind, depth int) string {
	if depth > 0 && g.chance(2) {
		e := func(k kind) string { return g.expression(of, k, depth-1) }
		switch k {
		case number:
			switch g.n(14) {
			case 0:
				return fmt.Sprintf("(%s + %s)", g.expression(of, number, 0), g.constant(number))
			case 1:
				return fmt.Sprintf("(%s %% 7)", g.expression(of, number, 0))
			case 2:
				return fmt.Sprintf("ABS(%s)", e(number))
			case 3:
				return fmt.Sprintf("CHAR_LENGTH(%s)", e(text))
			case 4:
				return fmt.Sprintf("IFNULL(%s, %s)", e(number), g.constant(number))
			case 5:
				return fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", g.condition(of, 0), g.constant(number), g.constant(number))
			case 6:
				return fmt.Sprintf("%s(%s)", g.one("YEAR", "MONTH", "DAYOFWEEK"), e(date))
			case 7:
				return fmt.Sprintf("GREATEST(%s, %s)", g.expression(of, number, 0), g.constant(number))
			case 8:
				return fmt.Sprintf("%s(%s)", g.one("BIT_LENGTH", "ASCII", "CRC32", "LENGTH"), e(text))
			case 9:
				return fmt.Sprintf("(%s DIV 3)", g.expression(of, number, 0))
			case 10:
				return fmt.Sprintf("DATEDIFF('2024-01-01', %s)", e(date))
			case 11:
				return fmt.Sprintf("ROUND(%s, 1)", g.expression(of, number, 0))
			case 12:
				return fmt.Sprintf("NULLIF(%s, %s)", g.expression(of, number, 0), g.constant(number))
			}
			return fmt.Sprintf("(%s > %s)", g.expression(of, number, 0), g.constant(number))
		case text:
			switch g.n(8) {
			case 6:
				return fmt.Sprintf("LPAD(%s, 5, '*')", e(text))
			case 7:
				return fmt.Sprintf("IF(%s, %s, %s)", g.condition(of, 0), e(text), g.constant(text))
			case 0:
				return fmt.Sprintf("CONCAT(%s, %s)", e(text), g.constant(text))
			case 1:
				return fmt.Sprintf("%s(%s)", g.one("LOWER", "UPPER", "REVERSE", "TRIM"), e(text))
			case 2:
				return fmt.Sprintf("COALESCE(%s, %s)", e(text), g.constant(text))
			case 3:
				return fmt.Sprintf("LEFT(%s, %d)", e(text), 1+g.n(3))
			case 4:
				return fmt.Sprintf("HEX(%s)", e(text))
			}
			return fmt.Sprintf("REPLACE(%s, 'e', 'x')", e(text))
		case date:
			return fmt.Sprintf("DATE_ADD(%s, INTERVAL %s)", e(date), g.one(fmt.Sprintf("%d DAY", g.n(40)), "'1 2' DAY_HOUR", "1 MONTH"))
		}
	}
	if g.chance(6) && k != inexact {
		return g.constant(k)
	}
	if c, ok := g.pick(of, k); ok {
		return c
	}
	return g.constant(k)
}

func (g *generator) constant(k kind) string {
	switch k {
	case text:
		return quote(g.one("a", "Anna", "de", "red", "x_%", "", "paid", "Blue"))
	case date:
		return fmt.Sprintf("'20%02d-%02d-%02d'", 20+g.n(7), 1+g.n(12), 1+g.n(28))
	case inexact:
		return fmt.Sprintf("%d.25", g.n(20))
	}
	return fmt.Sprint(g.n(45) - 3)
}

func (g *generator) condition(of []from, depth int) string {
	if depth > 0 && g.chance(2) {
		l, r := g.condition(of, depth-1), g.condition(of, depth-1)
		return "(" + l + " " + g.one("AND", "AND", "OR") + " " + r + ")"
	}
	if g.chance(3) { // the shard key, so that statements differ in how many shards they need
		f := of[g.n(len(of))]
		if f.shardBy != "" {
			key := f.as + "." + f.shardBy
			switch g.n(4) {
			case 0:
				return fmt.Sprintf("%s IN (%d, %d)", key, g.n(45), g.n(45))
			case 1:
				return fmt.Sprintf("%s BETWEEN %d AND %d", key, g.n(20), 20+g.n(20))
			}
			return fmt.Sprintf("%s = %d", key, g.n(45))
		}
	}
	k := []kind{number, number, text, date, inexact}[g.n(5)]
	l := g.expression(of, k, 1)
	switch g.n(6) {
	case 0:
		return fmt.Sprintf("%s IS %sNULL", l, g.one("", "NOT "))
	case 1:
		return fmt.Sprintf("%s BETWEEN %s AND %s", l, g.constant(k), g.constant(k))
	case 2:
		return fmt.Sprintf("%s IN (%s, %s)", l, g.constant(k), g.constant(k))
	case 3:
		if k == text {
			return fmt.Sprintf("%s LIKE %s", l, quote(g.one("a%", "%e%", "_r%", "%")))
		}
	}
	return fmt.Sprintf("%s %s %s", l, g.one("=", "<", ">", "<>", "<=", ">="), g.constant(k))
}

func (g *generator) where(of []from) string {
	if g.chance(3) {
		return ""
	}
	c := g.condition(of, 2)
	if g.chance(6) {
		c += " AND " + g.subquery(of)
	}
	return " WHERE " + c
}

// subquery is a condition with a subquery.
func (g *generator) subquery(of []from) string {
	f := g.table()
	c, ok := g.pick(of, number)
	d, found := g.pick([]from{f}, number)
	if !ok || !found {
		return "1 = 1"
	}
	switch g.n(4) {
	case 0:
		return fmt.Sprintf("%s %sIN (SELECT %s FROM %s %s%s)", c, g.one("", "NOT "), d, f.name, f.as, or(g.chance(2), "", " WHERE "+d+" IS NOT NULL"))
	case 1:
		return fmt.Sprintf("%sEXISTS (SELECT 1 FROM %s %s WHERE %s = %s)", g.one("", "NOT "), f.name, f.as, c, d)
	case 2:
		return fmt.Sprintf("%s > (SELECT %s(%s) FROM %s %s)", c, g.one("MIN", "AVG", "COUNT"), d, f.name, f.as)
	}
	return fmt.Sprintf("(SELECT COUNT(*) FROM %s %s WHERE %s) > %d", f.name, f.as, g.join(of[0], f), g.n(4))
}

// total orders by the keys of all tables.
func (g *generator) total(of []from) string {
	var keys []string
	for _, f := range of {
		for _, k := range f.key {
			keys = append(keys, f.as+"."+k+g.one("", "", " DESC"))
		}
	}
	return strings.Join(keys, ", ")
}

func (g *generator) selection() statement {
	of, clause := g.tables()
	where := g.where(of)
	if g.chance(3) {
		return g.grouped(of, clause, where)
	}
	var list []string
	for range 1 + g.n(4) {
		e := g.expression(of, []kind{number, text, date, inexact, number}[g.n(5)], 2)
		if g.chance(4) {
			e += fmt.Sprintf(" AS c%d", len(list))
		}
		list = append(list, e)
	}
	if g.chance(6) {
		list = []string{"*"}
	}
	if g.chance(6) {
		return statement{sql: "SELECT DISTINCT " + strings.Join(list, ", ") + " FROM " + clause + where, equals: true}
	}
	if g.chance(12) && len(of) == 1 {
		f := of[0]
		list = append(list, fmt.Sprintf("ROW_NUMBER() OVER (PARTITION BY %s ORDER BY %s)", g.expression(of, number, 0), g.total(of)), fmt.Sprintf("COUNT(*) OVER (PARTITION BY %s.%s)", f.as, f.columns[0].name))
	}
	sql := "SELECT " + strings.Join(list, ", ") + " FROM " + clause + where
	if !g.chance(2) {
		return statement{sql: sql}
	}
	sql += " ORDER BY "
	if g.chance(2) {
		sql += g.expression(of, []kind{number, text, date, inexact}[g.n(4)], 1) + g.one("", " DESC") + ", "
	}
	sql += g.total(of)
	if strings.Contains(clause, "LEFT") {
		return statement{sql: sql}
	}
	if g.chance(2) {
		sql += fmt.Sprintf(" LIMIT %d", g.n(15))
		if g.chance(2) {
			sql += fmt.Sprintf(" OFFSET %d", g.n(10))
		}
	}
	return statement{sql: sql, ordered: true}
}

// aggregate is one whose value does not depend on the order of rows.
func (g *generator) aggregate(of []from) string {
	switch g.n(9) {
	case 0:
		return "COUNT(*)"
	case 1:
		return fmt.Sprintf("COUNT(%s)", g.expression(of, []kind{number, text, date}[g.n(3)], 1))
	case 2:
		return fmt.Sprintf("COUNT(DISTINCT %s)", g.expression(of, []kind{number, text}[g.n(2)], 1))
	case 3:
		return fmt.Sprintf("SUM(%s)", g.expression(of, number, 1))
	case 4:
		return fmt.Sprintf("AVG(%s)", g.expression(of, number, 1))
	case 5:
		return fmt.Sprintf("MIN(%s)", g.expression(of, []kind{number, date, inexact}[g.n(3)], 1))
	case 6:
		return fmt.Sprintf("MAX(%s)", g.expression(of, []kind{number, date}[g.n(2)], 1))
	case 7:
		if c, ok := g.pick(of, inexact); ok {
			return fmt.Sprintf("SUM(%s)", c)
		}
		return "COUNT(*)"
	}
	e := g.expression(of, number, 0)
	return fmt.Sprintf("GROUP_CONCAT(DISTINCT %s ORDER BY %s)", e, e)
}

func (g *generator) grouped(of []from, clause, where string) statement {
	var aggregates []string
	for range 1 + g.n(3) {
		aggregates = append(aggregates, g.aggregate(of))
	}
	if g.chance(3) {
		return statement{sql: "SELECT " + strings.Join(aggregates, ", ") + " FROM " + clause + where}
	}
	key := g.expression(of, []kind{number, number, date}[g.n(3)], 1)
	if f := of[0]; f.shardBy != "" && g.chance(3) {
		key = f.as + "." + f.shardBy
	}
	sql := "SELECT " + key + " AS g, " + strings.Join(aggregates, ", ") + " FROM " + clause + where + " GROUP BY " + key
	if g.chance(4) {
		sql += fmt.Sprintf(" HAVING COUNT(*) > %d", g.n(3))
	}
	if g.chance(2) {
		return statement{sql: sql + " ORDER BY g", ordered: true}
	}
	return statement{sql: sql}
}

func (g *generator) union() string {
	part := func() string {
		of, clause := g.tables()
		return "SELECT " + g.expression(of, number, 1) + " AS a, " + g.expression(of, number, 1) + " AS b FROM " + clause + g.where(of)
	}
	return part() + g.one(" UNION ", " UNION ALL ") + part()
}

// nested has a derived table or a common table expression.
func (g *generator) nested() string {
	of, clause := g.tables()
	inner := fmt.Sprintf("SELECT %s AS a, %s AS b FROM %s%s", g.expression(of, number, 1), g.expression(of, number, 1), clause, g.where(of))
	if g.chance(2) {
		key := g.expression(of, number, 0)
		inner = fmt.Sprintf("SELECT %s AS a, COUNT(*) AS b FROM %s%s GROUP BY %s", key, clause, g.where(of), key)
	}
	other := g.table()
	outer := g.one("SELECT a, b FROM d WHERE b > 1", "SELECT COUNT(*), SUM(a) FROM d", "SELECT DISTINCT b FROM d",
		fmt.Sprintf("SELECT d.b, %s FROM d JOIN %s %s ON %s.%s = d.a", g.expression([]from{other}, text, 0), other.name, other.as, other.as, joined[other.name]))
	if g.chance(2) {
		return "WITH d AS (" + inner + ") " + outer
	}
	return strings.Replace(outer, "FROM d", "FROM ("+inner+") d", 1)
}

// change is an UPDATE, DELETE or INSERT.
func (g *generator) change() statement {
	f := from{&tables[g.n(len(tables))], ""}
	f.as = f.name
	of := []from{f}
	switch g.n(4) {
	case 0:
		return statement{sql: "DELETE FROM " + f.name + " WHERE " + g.condition(of, 2)}
	case 1:
		i := f.count + 1 + g.n(20)
		sql := "INSERT INTO " + f.name + strings.TrimPrefix(f.fill()[:strings.Index(f.fill(), " VALUES")], "INSERT INTO "+f.name) + " VALUES "
		for n := range 1 + g.n(4) {
			sql += or(n > 0, ", ", "") + "(" + f.rows(i+n) + ")"
		}
		return statement{sql: sql}
	}
	for range 20 {
		c := f.columns[g.n(len(f.columns))]
		if c.name == f.shardBy || contains(f.key, c.name) || c.kind != number && c.kind != date || c.name == "bits" {
			continue
		}
		value := g.constant(c.kind)
		if c.kind == number {
			value = fmt.Sprintf("%d", g.n(90))
		}
		return statement{sql: fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s", f.name, c.name, value, g.condition(of, 2))}
	}
	return statement{sql: "DELETE FROM " + f.name + " WHERE " + g.condition(of, 1)}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
