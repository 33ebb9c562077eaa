package dialect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// Keys and CHECKs have the names of their tables and columns, so functions of the schema xaproxy rename them along.

// rename translates RENAME TABLE.
func (t *translator) rename(d *sqlparser.DDL) error {
	for i, from := range d.FromTables {
		if err := t.renameTable(from, d.ToTables[i]); err != nil {
			return err
		}
	}
	return nil
}

func (t *translator) renameTable(from, to sqlparser.TableName) error {
	schema, err := t.schemaOf(from)
	if err != nil {
		return err
	}
	into := to.DbQualifier.String()
	if into == "" {
		into = t.o.Schema
	}
	t.ddl(fmt.Sprintf("SELECT xaproxy.rename_table(%s, %s, %s, %s)", quoteText(schema), quoteText(from.Name.String()), quoteText(into), quoteText(to.Name.String())))
	return nil
}

// renameColumn renames a column, here and in the table's keys.
func (t *translator) renameColumn(n *newTable, c *Column, to string) error {
	if other := n.find(to); other != nil && other != c {
		return &Error{Errno: 1060, State: "42S21", At: t.src.find(to), What: "Duplicate column name '" + to + "'"}
	}
	if c.Name == to {
		return nil
	}
	t.ddl(fmt.Sprintf("SELECT xaproxy.rename_column(%s, %s, %s, %s)", quoteText(n.Schema), quoteText(n.Name), quoteText(c.Name), quoteText(to)))
	for _, k := range n.Keys {
		if i := slices.Index(k.Columns, c.Name); i >= 0 {
			k.Columns[i] = to
		}
	}
	renamed := *c
	renamed.Name = to
	n.Columns[slices.Index(n.Columns, c)] = &renamed
	return nil
}

func (t *translator) renameKey(n *newTable, spec *sqlparser.IndexSpec) error {
	from, to := spec.FromName.String(), spec.ToName.String()
	at := slices.IndexFunc(n.Keys, func(k Key) bool { return strings.EqualFold(k.Name, from) && !k.Primary })
	if at < 0 {
		return &Error{Errno: 1176, State: "42000", At: t.src.find(from), What: "Key '" + from + "' doesn't exist in table '" + n.Name + "'"}
	}
	if slices.ContainsFunc(n.Keys, func(k Key) bool { return strings.EqualFold(k.Name, to) && !strings.EqualFold(k.Name, from) }) {
		return &Error{Errno: 1061, State: "42000", At: t.src.find(to), What: "Duplicate key name '" + to + "'"}
	}
	t.ddl("ALTER INDEX " + quoteName(n.Schema) + "." + n.name(n.Keys[at].Name) + " RENAME TO " + n.name(to)) // its constraint is renamed along
	n.Keys[at].Name = to
	return nil
}
