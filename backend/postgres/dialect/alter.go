package dialect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// define translates the DDL of one action.
func (t *translator) define(d *sqlparser.DDL) error {
	switch {
	case d.Action == sqlparser.CreateStr && d.TableSpec != nil, d.OptLike != nil, d.OptSelect != nil:
		return t.create(d)
	case d.Action == sqlparser.DropStr && len(d.FromTables) > 0:
		return t.drop("TABLE", d.FromTables, d.IfExists)
	case d.Action == sqlparser.DropStr && len(d.FromViews) > 0:
		return t.drop("VIEW", d.FromViews, d.IfExists)
	case d.Action == sqlparser.TruncateStr:
		schema, err := t.schemaOf(d.Table)
		if err != nil {
			return err
		}
		t.ddl("TRUNCATE " + quoteName(schema) + "." + quoteName(d.Table.Name.String()) + " RESTART IDENTITY")
		return nil
	case d.Action == sqlparser.RenameStr:
		return t.rename(d)
	}
	return refuse(0, t.verb()+" of this kind is not translated", raw)
}

func (t *translator) drop(what string, names sqlparser.TableNames, exists bool) error {
	s := "DROP " + what + " "
	if exists {
		s += "IF EXISTS "
	}
	for i, n := range names {
		schema, err := t.schemaOf(n)
		if err != nil {
			return err
		}
		if i > 0 {
			s += ", "
		}
		s += quoteName(schema) + "." + quoteName(n.Name.String())
	}
	t.ddl(s)
	return nil
}

// alter translates ALTER TABLE, CREATE INDEX and DROP INDEX, each of whose parts is a step.
func (t *translator) alter(n *sqlparser.AlterTable) error {
	r, err := t.table(n.Table, "")
	if err != nil {
		return err
	}
	if len(n.PartitionSpecs) > 0 {
		return t.refuse("PARTITION", "leave it out", "partitions are not translated")
	}
	table := *r.table
	table.Columns, table.Keys = slices.Clone(table.Columns), slices.Clone(table.Keys)
	for i, k := range table.Keys {
		table.Keys[i].Columns = slices.Clone(k.Columns)
	}
	for _, d := range n.Statements {
		if err := t.alteration(&newTable{t: t, Table: &table}, d); err != nil {
			return err
		}
	}
	t.altered = &table
	return nil
}

func (t *translator) alteration(n *newTable, d *sqlparser.DDL) error {
	table := "ALTER TABLE " + tableName(n.Table) + " "
	switch {
	case d.Action == sqlparser.RenameStr && len(d.ToTables) == 1:
		return t.renameTable(sqlparser.TableName{Name: sqlparser.NewTableIdent(n.Name), DbQualifier: sqlparser.NewTableIdent(n.Schema)}, d.ToTables[0])
	case d.ColumnAction == sqlparser.AddStr:
		return t.addColumn(n, d)
	case d.ColumnAction == sqlparser.ModifyStr, d.ColumnAction == sqlparser.ChangeStr:
		return t.modify(n, d)
	case d.ColumnAction == sqlparser.RenameStr:
		c := n.find(d.Column.String())
		if c == nil {
			return t.unknown(&sqlparser.ColName{Name: d.Column})
		}
		return t.renameColumn(n, c, d.ToColumn.String())
	case d.IndexSpec != nil && d.IndexSpec.Action == sqlparser.RenameStr:
		return t.renameKey(n, d.IndexSpec)
	case d.AutoIncSpec != nil && n.identity() != nil:
		next, err := t.expr(d.AutoIncSpec.Value)
		if err != nil {
			return err
		}
		id := n.identity()
		t.ddl(fmt.Sprintf("SELECT setval(%s, GREATEST(%s, (SELECT COALESCE(max(%s), 0) + 1 FROM %s)), false)", sequence(n.Table, id), next.s, quoteName(id.Name), tableName(n.Table)))
		return nil
	case d.AlterCommentSpec != nil:
		s, err := t.src.markedText(d.AlterCommentSpec.Comment)
		if err != nil {
			return err
		}
		t.ddl("COMMENT ON TABLE " + tableName(n.Table) + " IS " + quoteText(s))
		return nil
	case d.IndexSpec != nil && slices.Contains([]string{"disable", "enable"}, strings.ToLower(d.IndexSpec.Action)): // of MyISAM
		t.step(Step{Kind: Session})
		return nil
	case d.ColumnAction == sqlparser.DropStr:
		c := n.find(d.Column.String())
		if c == nil {
			return &Error{Errno: 1091, State: "42000", At: t.src.find(d.Column.String()), What: "Can't DROP '" + d.Column.String() + "'; check that column/key exists"}
		}
		for _, k := range n.Keys {
			if len(k.Columns) > 1 && slices.Contains(k.Columns, c.Name) {
				return refuse(t.src.find(c.Name), "the column is in the key "+k.Name+", which MySQL would shorten and PostgreSQL drop", "drop the key first")
			}
		}
		n.Columns = slices.DeleteFunc(n.Columns, func(o *Column) bool { return o == c })
		n.Keys = slices.DeleteFunc(n.Keys, func(k Key) bool { return slices.Contains(k.Columns, c.Name) })
		t.ddl(table + "DROP COLUMN " + quoteName(c.Name))
		return nil
	case d.IndexSpec != nil && d.IndexSpec.Action == sqlparser.CreateStr:
		return t.addKey(n, d.IndexSpec)
	case d.IndexSpec != nil && d.IndexSpec.Action == sqlparser.DropStr:
		return t.dropKey(n, d.IndexSpec)
	case d.ConstraintAction == sqlparser.AddStr && d.TableSpec != nil:
		for _, c := range d.TableSpec.Constraints {
			if err := n.constraint(c); err != nil {
				return err
			}
		}
		for _, c := range n.constraints {
			t.ddl(table + "ADD " + c)
		}
		return nil
	case d.ConstraintAction == sqlparser.DropStr && d.TableSpec != nil && len(d.TableSpec.Constraints) == 1:
		t.ddl(table + "DROP CONSTRAINT " + n.name(d.TableSpec.Constraints[0].Name))
		return nil
	case d.DefaultSpec != nil:
		c := n.find(d.DefaultSpec.Column.String())
		if c == nil {
			return t.unknown(&sqlparser.ColName{Name: d.DefaultSpec.Column})
		}
		column := table + "ALTER COLUMN " + quoteName(c.Name)
		if d.DefaultSpec.Action == sqlparser.DropStr {
			t.ddl(column + " DROP DEFAULT")
			return nil
		}
		s, err := t.defaultOf(c, d.DefaultSpec.Value)
		if err != nil {
			return err
		}
		t.ddl(column + " SET DEFAULT " + cmp.Or(s, "NULL"))
		return nil
	}
	return refuse(0, "this part of ALTER TABLE is not translated", raw)
}

// addColumn adds a column at the end, where PostgreSQL has them. One that is NOT NULL without a default is filled as MySQL does.
func (t *translator) addColumn(n *newTable, d *sqlparser.DDL) error {
	if o := d.ColumnOrder; o != nil && (o.First || !strings.EqualFold(o.AfterColumn.String(), n.Columns[len(n.Columns)-1].Name)) {
		return t.refuse(d.Column.String(), "leave FIRST or AFTER out, and name columns in queries", "PostgreSQL adds columns at the end")
	}
	before := len(n.Columns)
	for _, c := range d.TableSpec.Columns {
		if n.find(c.Name.String()) != nil {
			return &Error{Errno: 1060, State: "42S21", At: t.src.find(c.Name.String()), What: "Duplicate column name '" + c.Name.String() + "'"}
		}
		if err := n.column(c); err != nil {
			return err
		}
	}
	table := "ALTER TABLE " + tableName(n.Table) + " "
	for i, s := range n.parts {
		c := n.Columns[before+i]
		if c.NotNull && c.Default == "" && !c.Identity {
			fill := map[bool]string{true: "0", false: "''"}[c.Type.Kind.numeric()]
			if c.Type.Kind.temporal() || c.Type.Kind == JSON || c.Type.Kind == Enum {
				return refuse(t.src.find(c.Name), "what MySQL fills a new "+typeNames[c.Type.Kind]+" with is not translated", "give it a default")
			}
			t.ddl(table + "ADD COLUMN " + s + " DEFAULT " + fill)
			t.ddl(table + "ALTER COLUMN " + quoteName(c.Name) + " DROP DEFAULT")
			continue
		}
		t.ddl(table + "ADD COLUMN " + s)
	}
	for _, c := range n.constraints {
		t.ddl(table + "ADD " + c)
	}
	for _, c := range n.comments {
		t.ddl(c)
	}
	return nil
}

func (t *translator) addKey(n *newTable, i *sqlparser.IndexSpec) error {
	kind := strings.ToLower(i.Type)
	info := &sqlparser.IndexInfo{Name: i.ToName, Primary: kind == "primary", Unique: kind == "unique", Fulltext: kind == "fulltext", Spatial: kind == "spatial"}
	for _, k := range n.Keys {
		if strings.EqualFold(k.Name, i.ToName.String()) {
			return &Error{Errno: 1061, State: "42000", At: t.src.find(k.Name), What: "Duplicate key name '" + i.ToName.String() + "'"}
		}
	}
	if err := n.index(info, i.Fields, i.Options); err != nil {
		return err
	}
	for _, c := range n.constraints {
		t.ddl("ALTER TABLE " + tableName(n.Table) + " ADD " + c)
	}
	for _, c := range n.indexes {
		t.ddl(c)
	}
	return nil
}

func (t *translator) dropKey(n *newTable, i *sqlparser.IndexSpec) error {
	name := i.ToName.String()
	if strings.EqualFold(i.Type, "primary") {
		name = "PRIMARY"
	}
	at := slices.IndexFunc(n.Keys, func(k Key) bool { return strings.EqualFold(k.Name, name) })
	if at >= 0 {
		k := n.Keys[at]
		n.Keys = slices.Delete(n.Keys, at, at+1)
		if k.Unique {
			t.ddl("ALTER TABLE " + tableName(n.Table) + " DROP CONSTRAINT " + n.name(k.Name))
		} else {
			t.ddl("DROP INDEX " + quoteName(n.Schema) + "." + n.name(k.Name))
		}
		return nil
	}
	return &Error{Errno: 1091, State: "42000", At: t.src.find(name), What: "Can't DROP '" + name + "'; check that column/key exists"}
}

// schema translates CREATE and DROP DATABASE.
func (t *translator) schema(n *sqlparser.DBDDL) error {
	switch {
	case strings.EqualFold(n.Action, sqlparser.CreateStr):
		s := "CREATE SCHEMA "
		if n.IfNotExists {
			s += "IF NOT EXISTS "
		}
		t.ddl(s + quoteName(n.DBName))
	case strings.EqualFold(n.Action, sqlparser.DropStr):
		s := "DROP SCHEMA "
		if n.IfExists {
			s += "IF EXISTS "
		}
		t.ddl(s + quoteName(n.DBName) + " CASCADE")
	default:
		return refuse(0, "ALTER DATABASE is not translated", raw)
	}
	return nil
}
