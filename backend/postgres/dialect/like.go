package dialect

import (
	"fmt"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// createLike translates CREATE TABLE LIKE: columns, defaults, keys and CHECKs are copied, foreign keys are not.
func (t *translator) createLike(d *sqlparser.DDL) error {
	schema, err := t.schemaOf(d.Table)
	if err != nil {
		return err
	}
	if len(d.OptLike.LikeTables) != 1 {
		return t.refuse("LIKE", "name one table", "LIKE several tables is not translated")
	}
	r, err := t.table(d.OptLike.LikeTables[0], "")
	if err != nil {
		return err
	}
	if r.table.View {
		return &Error{Errno: 1347, State: "HY000", At: t.src.find(r.table.Name), What: fmt.Sprintf("'%s.%s' is not BASE TABLE", r.schema, r.table.Name)}
	}
	t.ddl(fmt.Sprintf("SELECT xaproxy.create_like(%s, %s, %s, %s)", quoteText(schema), quoteText(d.Table.Name.String()), quoteText(r.table.Schema), quoteText(r.table.Name)))
	return nil
}

// createAs translates CREATE TABLE AS SELECT where each column of the query is a column of a table, whose type and default the new one has.
func (t *translator) createAs(d *sqlparser.DDL) error {
	schema, err := t.schemaOf(d.Table)
	if err != nil {
		return err
	}
	if d.TableSpec != nil {
		return t.refuse("CREATE", "create the table, and INSERT … SELECT", "CREATE TABLE with columns of its own and AS SELECT is not translated")
	}
	t.writes = true
	t.scope = &scope{queries: map[string][]field{}}
	q, err := t.subquery(d.OptSelect.Select)
	if err != nil {
		return err
	}
	n := &newTable{t: t, Table: &Table{Schema: schema, Name: d.Table.Name.String()}}
	names := make([]string, len(q.fields))
	for i, f := range q.fields {
		from := f.v.col
		if from == nil || f.v.of == nil || f.v.of.table == nil {
			return refuse(t.src.find("SELECT"), "CREATE TABLE AS SELECT of "+f.name+", which is no column of a table, is not translated", "create the table, and INSERT … SELECT")
		}
		if n.find(f.name) != nil {
			return &Error{Errno: 1060, State: "42S21", At: t.src.find(f.name), What: "Duplicate column name '" + f.name + "'"}
		}
		c := &Column{Name: f.name, Type: from.Type, PG: from.PG, PGCollation: from.PGCollation, NotNull: f.v.notNull, Default: from.Default, OnUpdate: from.OnUpdate, Comment: from.Comment}
		if from.Identity { // MySQL makes a plain number of it
			c.Default, c.NotNull = "0", true
		}
		n.Columns = append(n.Columns, c)
		names[i] = quoteName(c.Name)
		s := names[i] + " " + storedAs(c)
		if c.PGCollation != "" {
			s += " COLLATE " + c.PGCollation
		}
		if c.NotNull {
			s += " NOT NULL"
		}
		if c.Default != "" {
			s += " DEFAULT " + c.Default
		}
		n.parts = append(n.parts, s)
		n.check(c)
		n.comments = append(n.comments, "COMMENT ON COLUMN "+tableName(n.Table)+"."+names[i]+" IS "+quoteText(note(c.Comment, c.Type, c.OnUpdate)))
	}
	t.ddl("CREATE TABLE " + tableName(n.Table) + " (\n\t" + strings.Join(append(n.parts, n.constraints...), ",\n\t") + "\n)")
	for _, s := range n.comments {
		t.ddl(s)
	}
	t.step(Step{Kind: Count, Text: "INSERT INTO " + tableName(n.Table) + " (" + strings.Join(names, ", ") + ") " + q.s, InsertID: -1, Affected: -1, InsertIDGiven: -1})
	return nil
}
