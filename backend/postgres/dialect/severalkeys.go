package dialect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// ON CONFLICT of PostgreSQL's is about one unique key, and meets each old row once. What is here is about rows that may be in the table by several,
// and about new rows that meet one another.

// maxSteps is the number of rows of an INSERT that take a step each.
const maxSteps = 1000

// as is a value of VALUES as the column will have it, but for its length.
func (c *Column) as(text string) string {
	if !c.Type.Kind.text() {
		return "(" + text + ")::" + storedAs(c)
	}
	s := "(" + text + ")::text"
	if c.PGCollation != "" {
		s += " COLLATE " + c.PGCollation
	}
	return "(" + s + ")"
}

// value is what a new row has in a column, "" if it is a number that PostgreSQL makes.
func (in *newRows) value(row []string, c *Column) string {
	text := "DEFAULT"
	if i := slices.Index(in.columns, c); i >= 0 {
		text = row[i]
	}
	switch {
	case text != "DEFAULT":
		return c.as(text)
	case c.Identity:
		return ""
	case c.Default == "":
		return "NULL::" + storedAs(c)
	}
	return c.as(c.Default)
}

// meets is the condition that an old row has one of the keys of a new one.
func (in *newRows) meets(keys []*Key, old string, value func(*Column) string) string {
	var any []string
	for _, k := range keys {
		var all []string
		for _, name := range k.Columns {
			c := in.r.table.Columns[in.r.index(name)]
			v := value(c)
			if v == "" {
				all = nil
				break
			}
			all = append(all, old+quoteName(name)+" = "+v)
		}
		if len(all) > 0 {
			any = append(any, strings.Join(all, " AND "))
		}
	}
	if len(any) == 0 {
		return "FALSE"
	}
	return "(" + strings.Join(any, " OR ") + ")"
}

// replaceRows is REPLACE as MySQL has it: rows with one of the keys are deleted, and count, and then the new ones are inserted. New rows that
// meet one another are error 1062.
func (t *translator) replaceRows(in *newRows, keys []*Key, with string) error {
	table := in.r.table
	switch {
	case table.Referenced: // versions of MySQL differ in whether the rows that refer to it go
		return t.refuse("REPLACE", "use INSERT … ON DUPLICATE KEY UPDATE", "REPLACE of rows that foreign keys refer to is not translated")
	case !table.Keys[0].Primary && len(keys) > 1:
		return t.refuse("REPLACE", "give the table a primary key", "REPLACE by several unique keys needs a primary key")
	}
	if in.rows == 0 {
		return t.replaceQuery(in, keys, with)
	}
	if in.free || len(in.columns) == 0 {
		return t.refuse("REPLACE", "compute the value before", "REPLACE of a value that is another one each time is not translated")
	}
	batch := len(in.values)
	if in.repeats(keys) {
		batch = 1
	}
	for rows := range slices.Chunk(in.values, batch) {
		gone, texts := make([]string, len(rows)), make([]string, len(rows))
		for i, row := range rows {
			gone[i] = in.meets(keys, "", func(c *Column) string { return in.value(row, c) })
			texts[i] = "(" + strings.Join(row, ", ") + ")"
		}
		s := Step{Kind: Count, Text: "DELETE FROM " + tableName(table) + " WHERE " + strings.Join(gone, " OR "), InsertID: -1, Affected: -1, InsertIDGiven: -1}
		if len(keys) == 1 && batch == 1 { // a row that becomes what it was does not count
			s.Affected = 0
			s.Text += " RETURNING CASE WHEN " + in.differs(func(c *Column) string { return in.value(rows[0], c) }) + " THEN 1 ELSE 0 END"
		}
		t.step(s)
		s = Step{Kind: Count, InsertID: -1, Affected: -1, InsertIDGiven: -1}
		s.Text = "INSERT INTO " + tableName(table) + " (" + in.names() + ") VALUES " + strings.Join(texts, ", ")
		if id := table.identity(); id != nil && (in.given || in.makes) {
			ref, given := in.numbers(id)
			s.InsertID, s.InsertIDGiven = 0, 1
			s.Text += " RETURNING " + ref + ", " + given
		}
		t.step(s)
	}
	return nil
}

// names are the columns of the INSERT.
func (in *newRows) names() string {
	names := make([]string, len(in.columns))
	for i, c := range in.columns {
		names[i] = quoteName(c.Name)
	}
	return strings.Join(names, ", ")
}

// repeats tells whether two new rows may have the same key, as far as their texts show it.
func (in *newRows) repeats(keys []*Key) bool {
	for _, k := range keys {
		seen := map[string]bool{}
		for _, row := range in.values {
			key := ""
			for _, name := range k.Columns {
				key += "\x00" + strings.ToLower(in.value(row, in.r.table.Columns[in.r.index(name)]))
			}
			if seen[key] {
				return true
			}
			seen[key] = true
		}
	}
	return false
}

// replaceQuery is REPLACE … SELECT, in one statement, since its query may read the table.
func (t *translator) replaceQuery(in *newRows, keys []*Key, with string) error {
	table := in.r.table
	columns := in.names()
	value := func(c *Column) string {
		if slices.Contains(in.columns, c) {
			return c.as("new." + quoteName(c.Name))
		}
		return in.value(nil, c)
	}
	count := "1" // of a row that is deleted
	if len(keys) == 1 {
		count = "CASE WHEN " + in.differs(func(c *Column) string { return "new." + quoteName(c.Name) }) + " THEN 1 ELSE 0 END"
	}
	number := "NULL::bigint"
	if id := table.identity(); id != nil {
		number, _ = in.numbers(id)
	}
	if with == "" {
		with = "WITH "
	} else {
		with = strings.TrimSuffix(with, " ") + ", "
	}
	s := Step{Kind: Count, Affected: 0, InsertID: 1, InsertIDGiven: -1}
	s.Text = with + "new (" + columns + ") AS MATERIALIZED (" + in.query + "), gone AS (DELETE FROM " + named(in.r) + " USING new WHERE " + in.meets(keys, quoteName(in.r.alias)+".", value) +
		" RETURNING " + count + " AS n), added AS (INSERT INTO " + tableName(table) + " (" + columns + ") SELECT * FROM new WHERE (SELECT count(*) FROM gone) >= 0 RETURNING " + number +
		" AS id) SELECT (SELECT COALESCE(sum(n), 0) FROM gone) + (SELECT count(*) FROM added), (SELECT min(id) FROM added)"
	t.step(s)
	return nil
}

// onDuplicates is ON DUPLICATE KEY UPDATE with a step for each row. Where the new row meets several old ones MySQL would change
// the one of the first key in an order of its own.
func (t *translator) onDuplicates(n *sqlparser.Insert, in *newRows, keys []*Key) error {
	table := in.r.table
	switch {
	case in.rows == 0:
		return t.refuse("DUPLICATE", "insert the rows one by one", "INSERT … SELECT … ON DUPLICATE KEY UPDATE by several unique keys is not translated")
	case in.rows > maxSteps || len(in.columns) == 0:
		return t.refuse("DUPLICATE", "insert fewer rows at once", "ON DUPLICATE KEY UPDATE of this kind is not translated for %d rows", in.rows)
	case !table.Keys[0].Primary:
		return t.refuse("DUPLICATE", "give the table a primary key", "ON DUPLICATE KEY UPDATE of this kind needs a primary key")
	}
	t.newRow(n, in, "new")
	list, seeks := t.withoutSeek(sqlparser.AssignmentExprs(n.OnDup), in)
	all, err := t.assignments(in.r, list)
	if err != nil {
		return err
	}
	set, differs := t.sets(in.r, all, false)
	alias := quoteName(in.r.alias) + "."
	var pk, same []string
	for i, c := range table.Keys[0].Columns {
		pk = append(pk, fmt.Sprintf("%s%s AS k%d", alias, quoteName(c), i))
		same = append(same, fmt.Sprintf("%s%s = found.k%d", alias, quoteName(c), i))
	}
	id := table.identity()
	number, given, found := "NULL", "FALSE", "NULL"
	if id != nil {
		if number, given = in.numbers(id); !in.given && !seeks {
			given = "NOT EXISTS (SELECT FROM added)"
		}
		found = alias + quoteName(id.Name)
	}
	unchanged := 0
	if t.o.FoundRows {
		unchanged = 1
	}
	for _, row := range in.values {
		var news, names, values []string
		for _, c := range table.Columns {
			if v := in.value(row, c); v != "" && !c.Generated {
				news = append(news, v+" AS "+quoteName(c.Name))
			}
		}
		for i, c := range in.columns {
			if row[i] != "DEFAULT" {
				names, values = append(names, quoteName(c.Name)), append(values, "new."+quoteName(c.Name))
			}
		}
		meets := in.meets(keys, alias, func(c *Column) string {
			if in.value(row, c) == "" {
				return ""
			}
			return "new." + quoteName(c.Name)
		})
		changed := ""
		if set != "" {
			changed = fmt.Sprintf(", changed AS (UPDATE %s SET %s FROM found, new WHERE %s AND (%s) RETURNING %s AS id)", named(in.r), set, strings.Join(same, " AND "), differs, found)
		} else {
			changed = ", changed AS (SELECT NULL::bigint AS id WHERE FALSE)"
		}
		ids := "(SELECT id FROM added), (SELECT id FROM changed)"
		if seeks {
			ids += ", (SELECT id FROM found)"
		}
		s := Step{Kind: Count, InsertID: -1, InsertIDGiven: -1, Affected: 0}
		s.Text = "WITH new AS (SELECT " + strings.Join(news, ", ") + "), added AS (INSERT INTO " + tableName(table) + " (" + strings.Join(names, ", ") +
			") SELECT " + strings.Join(values, ", ") + " FROM new ON CONFLICT DO NOTHING RETURNING " + number + " AS id), found AS (SELECT " + strings.Join(pk, ", ") + ", " + found +
			" AS id FROM " + named(in.r) + ", new WHERE " + meets + " AND NOT EXISTS (SELECT FROM added) FOR UPDATE OF " + quoteName(in.r.alias) + ")" + changed +
			fmt.Sprintf(" SELECT CASE WHEN EXISTS (SELECT FROM added) THEN 1 WHEN (SELECT count(*) FROM found) = 1 THEN CASE WHEN EXISTS (SELECT FROM changed) THEN 2 ELSE %d END", unchanged) +
			" WHEN EXISTS (SELECT FROM found) THEN xaproxy.fail('0A000', 'the new row is there already as several, by several unique keys: UPDATE them one by one')::int" +
			" ELSE xaproxy.fail('40001', 'another transaction has inserted the row')::int END"
		if id != nil {
			s.InsertID, s.InsertIDGiven = 1, 2
			s.Text += ", COALESCE(" + ids + "), " + given
		}
		t.step(s)
	}
	return nil
}
