package dialect

import (
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

func (t *translator) rename(d *sqlparser.DDL) error {
	return t.refuse("RENAME", "use PostgreSQL's ALTER TABLE behind /* xaproxy: dialect=postgres */, for its keys too", "renaming a table is not translated, since its keys have its name")
}

// alter translates ALTER TABLE.
func (t *translator) alter(n *sqlparser.AlterTable) error {
	return refuse(0, "ALTER TABLE is not translated", raw)
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
