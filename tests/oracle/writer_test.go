package oracle

import (
	"fmt"
	"strings"
)

// writer makes random writes on the tables of one session, and the statements around them. What a server would do in an order of its own
// does not occur: LIMIT comes with a total order, and no assignment reads a column that the statement changes before it.
type writer struct {
	generator
	own  []*table
	open bool     // a transaction is open, as far as the writer knows
	auto bool     // autocommit is on
	save []string // savepoints
}

func (w *writer) table() from {
	t := w.own[w.n(len(w.own))]
	return from{t, t.name}
}

// next is the session's next statement.
func (w *writer) next() string {
	switch w.n(16) {
	case 0:
		if w.chance(3) {
			w.auto, w.open, w.save = !w.auto, false, nil
			return fmt.Sprint("SET autocommit = ", or(w.auto, "1", "0"))
		}
		w.open, w.save = true, nil
		return w.one("BEGIN", "START TRANSACTION")
	case 1, 2:
		w.open, w.save = false, nil
		return w.one("COMMIT", "COMMIT", "ROLLBACK")
	case 3:
		return w.savepoint()
	case 4:
		f := w.table()
		return "SELECT * FROM " + f.name + " WHERE " + w.condition([]from{f}, 1) + w.one("", " FOR UPDATE")
	case 5, 6, 7, 8:
		return w.insert()
	case 9, 10, 11:
		return w.update()
	case 12:
		return w.joined()
	case 13:
		return w.copied()
	}
	return w.delete()
}

func (w *writer) savepoint() string {
	if len(w.save) == 0 || w.chance(2) {
		name := w.one("a", "B", "c c")
		w.save = append(w.save, name)
		return "SAVEPOINT `" + name + "`"
	}
	return w.one("ROLLBACK TO SAVEPOINT", "ROLLBACK TO", "RELEASE SAVEPOINT") + " `" + w.save[w.n(len(w.save))] + "`"
}

// insert is INSERT or REPLACE of one row or several, of which some are in the table and some in the statement twice.
func (w *writer) insert() string {
	f := w.table()
	verb := w.one("INSERT", "INSERT", "INSERT", "INSERT IGNORE", "REPLACE")
	var names, rows []string
	for _, c := range f.columns {
		names = append(names, c.name)
	}
	list := " (" + strings.Join(names, ", ") + ")"
	if w.chance(4) {
		list = ""
	}
	for range 1 + w.n(1+w.n(6)) {
		row := f.rows(w.n(f.count + f.count/2))
		if f.name == members.name && w.chance(2) { // it meets one row by its id, and another one by what the lookup table has
			_, rest, _ := strings.Cut(row, ",")
			row = fmt.Sprint(w.n(f.count+f.count/2), ",", rest)
		}
		rows = append(rows, "("+row+")")
	}
	sql := verb + " INTO " + f.name + list + " VALUES " + strings.Join(rows, ", ")
	if verb == "INSERT" && w.chance(2) {
		sql += " ON DUPLICATE KEY UPDATE " + w.assignment(f, true)
	}
	return sql
}

// assignment is one of a column that is in no key.
func (w *writer) assignment(f from, inserted bool) string {
	for {
		c := f.columns[w.n(len(f.columns))]
		if contains(f.key, c.name) || c.name == f.shardBy || c.kind == other || f.name == "products" && c.name == "name" ||
			c.name == "state" { // a row whose ENUM has no value cannot be moved
			continue
		}
		name := f.as + "." + c.name
		switch {
		case inserted && w.chance(2):
			return name + " = VALUES(" + c.name + ")"
		case c.kind == number && w.chance(2):
			return fmt.Sprintf("%s = %s %s %d", name, name, w.one("+", "-", "*"), w.n(60)) // may leave the column's range
		case c.kind == text && w.chance(3):
			return fmt.Sprintf("%s = CONCAT(%s, 'x')", name, name) // may become too long
		case w.chance(6):
			return name + " = NULL" // may be refused
		}
		return name + " = " + w.constant(c.kind)
	}
}

func (w *writer) update() string {
	f := w.table()
	sql := w.one("UPDATE ", "UPDATE ", "UPDATE ", "UPDATE IGNORE ") + f.name + " SET " + w.assignment(f, false)
	if f.moves && f.name != "products" && w.chance(5) {
		sql = fmt.Sprintf("UPDATE %s SET %s = %s", f.name, f.shardBy, or(w.chance(2), fmt.Sprint(w.n(60)), fmt.Sprint(f.shardBy, " + ", 1000+w.n(1000000))))
	}
	return sql + " WHERE " + w.condition([]from{f}, 2) + w.limit(f)
}

func (w *writer) delete() string {
	f := w.table()
	return "DELETE FROM " + f.name + " WHERE " + w.condition([]from{f}, 1) + " AND " + w.condition([]from{f}, 1) + w.limit(f)
}

func (w *writer) limit(f from) string {
	if !w.chance(6) {
		return ""
	}
	return " ORDER BY " + w.total([]from{f}) + fmt.Sprintf(" LIMIT %d", 1+w.n(5))
}

// joined changes rows by those of the session's other table.
func (w *writer) joined() string {
	f, other := w.table(), w.table()
	if f.table == other.table {
		return w.update()
	}
	on := f.name + " JOIN " + other.name + " ON " + w.join(f, other)
	where := " WHERE " + w.condition([]from{f, other}, 2)
	if w.chance(2) {
		return "DELETE " + f.name + " FROM " + on + where
	}
	return "UPDATE " + on + " SET " + w.assignment(f, false) + where
}

// copied inserts rows that are in the table under new keys.
func (w *writer) copied() string {
	f := w.table()
	if f.name == "products" { // whose names are unique on each shard only
		return w.update()
	}
	var names, values []string
	for _, c := range f.columns {
		value := c.name
		if last := f.key[len(f.key)-1]; c.name == last && c.kind == number {
			value += fmt.Sprintf(" + %d", 1+w.n(50))
		}
		names, values = append(names, c.name), append(values, value)
	}
	list := strings.Join(names, ", ")
	return w.one("INSERT", "INSERT IGNORE") + " INTO " + f.name + " (" + list + ") SELECT " + strings.Join(values, ", ") + " FROM " + f.name + " WHERE " + w.condition([]from{f}, 2)
}
