package dialect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// create translates CREATE TABLE. Each column says in its comment which type it has in MySQL, which ReadTable reads; its range is a CHECK
// whose name ends in " range", its length one in " length", and the values of an ENUM or SET one in " value". Keys are called
// "table.key", since PostgreSQL's names of indexes are those of a schema.
func (t *translator) create(d *sqlparser.DDL) error {
	if d.IfNotExists {
		schema, err := t.schemaOf(d.Table)
		if err != nil {
			return err
		}
		if _, ok := t.lookUp(schema, d.Table.Name.String()); ok { // its comments say what it is, not what this one would be
			t.step(Step{Kind: Session})
			return nil
		}
	}
	switch {
	case d.Temporary:
	case d.OptLike != nil:
		return t.createLike(d)
	case d.OptSelect != nil:
		return t.createAs(d)
	}
	n, err := t.newTable(d)
	if err != nil {
		return err
	}
	t.ddl("CREATE TABLE " + tableName(n.Table) + " (\n\t" + strings.Join(append(n.parts, n.constraints...), ",\n\t") + "\n)")
	for _, s := range append(n.indexes, n.comments...) {
		t.ddl(s)
	}
	return nil
}

// newTable reads a definition and writes its parts.
func (t *translator) newTable(d *sqlparser.DDL) (*newTable, error) {
	switch {
	case d.Temporary:
		return nil, t.refuse("TEMPORARY", raw, "temporary tables are not translated")
	case d.TableSpec == nil:
		return nil, refuse(0, "this CREATE is not translated", raw)
	}
	schema, err := t.schemaOf(d.Table)
	if err != nil {
		return nil, err
	}
	n := &newTable{t: t, Table: &Table{Schema: schema, Name: d.Table.Name.String()}}
	if err := n.options(d.TableSpec); err != nil {
		return nil, err
	}
	for _, c := range d.TableSpec.Columns {
		if err := n.column(c); err != nil {
			return nil, err
		}
	}
	for _, i := range d.TableSpec.Indexes {
		if err := n.index(i.Info, i.Fields, i.Options); err != nil {
			return nil, err
		}
	}
	for _, c := range d.TableSpec.Constraints {
		if err := n.constraint(c); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (t *translator) ddl(text string) { t.step(Step{Kind: DDL, Text: text}) }

func (t *translator) schemaOf(n sqlparser.TableName) (string, error) {
	if s := n.DbQualifier.String(); s != "" {
		return s, nil
	}
	if t.o.Schema == "" {
		return "", &Error{Errno: 1046, State: "3D000", At: t.src.find(n.Name.String()), What: "No database selected"}
	}
	return t.o.Schema, nil
}

// newTable is a table being written.
type newTable struct {
	*Table
	t           *translator
	collate     string // the table's
	start       string // of AUTO_INCREMENT, "" for 1
	parts       []string
	constraints []string
	indexes     []string
	comments    []string
	unnamed     map[string]int
}

// options reads what is behind the columns: the comment and the collation; the engine and its settings have nothing to say in PostgreSQL.
func (n *newTable) options(spec *sqlparser.TableSpec) error {
	if spec.PartitionOpt != nil {
		return n.t.refuse("PARTITION", "leave it out", "partitions are not translated")
	}
	for _, o := range spec.TableOpts {
		switch name := strings.ToUpper(o.Name); name {
		case "COLLATE":
			n.collate = o.Value
		case "CHARACTER SET", "CHARSET", "DEFAULT CHARSET", "DEFAULT CHARACTER SET":
			if !strings.EqualFold(o.Value, "utf8mb4") {
				return n.t.refuse(o.Value, "use utf8mb4", "the character set %s is not translated", o.Value)
			}
		case "COMMENT":
			s, err := n.t.src.markedText(o.Value)
			if err != nil {
				return err
			}
			n.comments = append(n.comments, "COMMENT ON TABLE "+tableName(n.Table)+" IS "+quoteText(s))
		case "AUTO_INCREMENT":
			l, _, err := n.t.src.marked(&sqlparser.SQLVal{Type: sqlparser.IntVal, Val: []byte(o.Value)})
			if err != nil {
				return err
			}
			if n.start = l.text; !digits(n.start) {
				return n.t.refuse(o.Name, "write a number", "this AUTO_INCREMENT is not translated")
			}
		case "ENGINE", "ROW_FORMAT", "KEY_BLOCK_SIZE", "STATS_PERSISTENT", "STATS_AUTO_RECALC", "STATS_SAMPLE_PAGES", "AVG_ROW_LENGTH", "MAX_ROWS", "MIN_ROWS", "CHECKSUM", "PACK_KEYS":
		default:
			return n.t.refuse(o.Name, "leave it out", "the table option %s is not translated", o.Name)
		}
	}
	_, err := n.t.collation(n.collate)
	return err
}

func (n *newTable) name(suffix string) string { return wholeName(n.Name + "." + suffix) }

// column writes a column.
func (n *newTable) column(c *sqlparser.ColumnDefinition) error {
	name := c.Name.String()
	typ, err := n.t.columnType(&c.Type, n.collate)
	if err != nil {
		return err
	}
	column := &Column{Name: name, Type: typ, NotNull: bool(c.Type.NotNull), Identity: bool(c.Type.Autoincrement), OnUpdate: c.Type.OnUpdate != nil}
	n.Columns = append(n.Columns, column)
	s := quoteName(name) + " " + typ.stored()
	if column.Identity {
		switch {
		case !typ.Kind.integer() || typ.Kind == Bit || typ.Kind == Year:
			return &Error{Errno: 1063, State: "42000", At: n.t.src.find(name), What: "Incorrect column specifier for column '" + name + "'"}
		case typ.Kind == BigInt && typ.Unsigned:
			s = quoteName(name) + " bigint"
		}
	}
	if typ.Kind.text() {
		collation, err := n.t.collation(typ.Collation)
		if err != nil {
			return err
		}
		s += " COLLATE " + collation
		column.PGCollation = collation
	}
	key := c.Type.KeyOpt
	if column.NotNull || column.Identity {
		s += " NOT NULL"
	}
	switch {
	case column.Identity:
		s += " GENERATED BY DEFAULT AS IDENTITY"
		if strings.Trim(n.start, "0") != "" {
			s += " (START WITH " + n.start + ")"
		}
	case c.Type.GeneratedExpr != nil:
		return n.t.refuse(name, "compute it in the query", "generated columns are not translated")
	case c.Type.Default != nil:
		d, err := n.t.defaultOf(column, c.Type.Default)
		if err != nil {
			return err
		}
		if column.Default = d; d != "" {
			s += " DEFAULT " + d
		}
	}
	column.PG = typ.stored()
	if column.Identity && typ.Kind == BigInt {
		column.PG = "bigint"
	}
	n.parts = append(n.parts, s)
	n.check(column)
	comment := ""
	if c.Type.Comment != nil {
		l, _, err := n.t.src.marked(c.Type.Comment)
		if err != nil {
			return err
		}
		comment = l.text
	}
	n.comments = append(n.comments, "COMMENT ON COLUMN "+tableName(n.Table)+"."+quoteName(name)+" IS "+quoteText(note(comment, typ, column.OnUpdate)))
	switch fmt.Sprint(int(key)) {
	case "1":
		column.NotNull = true
		n.Keys = append(n.Keys, Key{"PRIMARY", true, true, []string{name}})
		n.constraints = append(n.constraints, "CONSTRAINT "+n.name("PRIMARY")+" PRIMARY KEY ("+quoteName(name)+")")
	case "3", "4":
		n.Keys = append(n.Keys, Key{name, false, true, []string{name}})
		n.constraints = append(n.constraints, "CONSTRAINT "+n.name(name)+" UNIQUE ("+quoteName(name)+")")
	}
	if c.Type.Constraint != nil {
		if err := n.constraint(c.Type.Constraint); err != nil {
			return err
		}
	}
	return nil
}

// index writes a key.
func (n *newTable) index(info *sqlparser.IndexInfo, fields []*sqlparser.IndexField, _ []*sqlparser.IndexOption) error {
	if info.Fulltext || info.Spatial || info.Vector {
		return n.t.refuse("KEY", "leave it out", "FULLTEXT and SPATIAL keys are not translated")
	}
	columns, err := n.keyColumns(fields, info.Primary || info.Unique)
	if err != nil {
		return err
	}
	key := Key{Primary: info.Primary, Unique: info.Unique || info.Primary, Name: "PRIMARY"}
	for _, f := range fields {
		key.Columns = append(key.Columns, f.Column.String())
	}
	if !info.Primary {
		key.Name = n.keyName(info.Name.String(), fields)
	}
	n.Keys = append(n.Keys, key)
	switch {
	case info.Primary:
		for _, f := range fields {
			if c := n.find(f.Column.String()); c != nil {
				c.NotNull = true
			}
		}
		n.constraints = append(n.constraints, "CONSTRAINT "+n.name("PRIMARY")+" PRIMARY KEY ("+columns+")")
	case info.Unique:
		n.constraints = append(n.constraints, "CONSTRAINT "+n.name(key.Name)+" UNIQUE ("+columns+")")
	default:
		n.indexes = append(n.indexes, "CREATE INDEX "+n.name(key.Name)+" ON "+tableName(n.Table)+" ("+columns+")")
	}
	return nil
}

// keyName is the name of a key, as MySQL makes it from its first column if there is none.
func (n *newTable) keyName(name string, fields []*sqlparser.IndexField) string {
	if name != "" {
		return name
	}
	name = fields[0].Column.String()
	if n.unnamed == nil {
		n.unnamed = map[string]int{}
	}
	n.unnamed[name]++
	if k := n.unnamed[name]; k > 1 {
		return name + "_" + strconv.Itoa(k)
	}
	return name
}

func (n *newTable) find(name string) *Column {
	for _, c := range n.Columns {
		if strings.EqualFold(c.Name, name) {
			return c
		}
	}
	return nil
}

// keyColumns writes the columns of a key. A prefix only matters where it is unique.
func (n *newTable) keyColumns(fields []*sqlparser.IndexField, unique bool) (string, error) {
	var columns []string
	for _, f := range fields {
		if f.Expression != nil {
			return "", n.t.refuse("KEY", "use a column", "a key of an expression is not translated")
		}
		name := f.Column.String()
		if f.Length != nil && unique {
			return "", n.t.refuse(name, "make the whole column unique", "a unique key of a part of a column is not translated")
		}
		c := n.find(name)
		if c == nil {
			return "", &Error{Errno: 1072, State: "42000", At: n.t.src.find(name), What: "Key column '" + name + "' doesn't exist in table"}
		}
		s := quoteName(c.Name)
		if f.Length != nil && (c.Type.Kind.text() || c.Type.Kind.bytes()) && !unique {
			return "", n.t.refuse(name, "leave the length out if all values are shorter than 2,700 bytes, or leave the key out", "a key of a part of a column is not translated")
		}
		if strings.EqualFold(f.Order, "desc") && !unique {
			s += " DESC"
		}
		columns = append(columns, s)
	}
	return strings.Join(columns, ", "), nil
}

var actions = map[sqlparser.ReferenceAction]string{
	sqlparser.DefaultAction: "", sqlparser.Restrict: "RESTRICT", sqlparser.Cascade: "CASCADE", sqlparser.NoAction: "NO ACTION", sqlparser.SetNull: "SET NULL",
}

// constraint writes a foreign key or a CHECK.
func (n *newTable) constraint(c *sqlparser.ConstraintDefinition) error {
	switch d := c.Details.(type) {
	case *sqlparser.ForeignKeyDefinition:
		schema := n.Schema
		if q := d.ReferencedTable.DbQualifier.String(); q != "" {
			schema = q
		}
		n.match(d, schema)
		names := func(cs sqlparser.Columns) string {
			var all []string
			for _, c := range cs {
				all = append(all, quoteName(c.String()))
			}
			return strings.Join(all, ", ")
		}
		s := "FOREIGN KEY (" + names(d.Source) + ") REFERENCES " + quoteName(schema) + "." + quoteName(d.ReferencedTable.Name.String()) + " (" + names(d.ReferencedColumns) + ")"
		if a, ok := actions[d.OnDelete]; !ok {
			return n.t.refuse("FOREIGN", raw, "this action of a foreign key is not translated")
		} else if a != "" {
			s += " ON DELETE " + a
		}
		if a, ok := actions[d.OnUpdate]; !ok {
			return n.t.refuse("FOREIGN", raw, "this action of a foreign key is not translated")
		} else if a != "" {
			s += " ON UPDATE " + a
		}
		if c.Name != "" {
			s = "CONSTRAINT " + n.name(c.Name) + " " + s
		}
		n.constraints = append(n.constraints, s)
	case *sqlparser.CheckConstraintDefinition:
		if !d.Enforced {
			return nil
		}
		outer := n.t.scope
		r := &relation{alias: n.Name, table: n.Table}
		for _, col := range n.Columns {
			v := columnValue(r, col)
			v.s, v.plain = quoteName(col.Name), true
			r.fields = append(r.fields, field{col.Name, v})
		}
		n.t.scope, n.t.clause = &scope{relations: []*relation{r}}, "check constraint"
		s, err := n.t.condition(d.Expr)
		n.t.scope = outer
		if err != nil {
			return err
		}
		s = "CHECK (" + s + ")"
		if c.Name != "" {
			s = "CONSTRAINT " + n.name(c.Name) + " " + s
		}
		n.constraints = append(n.constraints, s)
	default:
		return n.t.refuse("CONSTRAINT", raw, "this constraint is not translated")
	}
	return nil
}

// match gives a column of a foreign key the type of the one that it refers to: a BIGINT UNSIGNED is numeric(20,0), but bigint with AUTO_INCREMENT.
func (n *newTable) match(d *sqlparser.ForeignKeyDefinition, schema string) {
	other, ok := n.t.lookUp(schema, d.ReferencedTable.Name.String())
	if !ok || len(d.Source) != len(d.ReferencedColumns) {
		return
	}
	for i, name := range d.Source {
		c := n.find(name.String())
		r := (&newTable{Table: other}).find(d.ReferencedColumns[i].String())
		if c == nil || r == nil || r.PG != "bigint" || c.PG != "numeric(20,0)" {
			continue
		}
		c.PG = "bigint"
		numeric := quoteName(c.Name) + " numeric(20,0)"
		at := slices.IndexFunc(n.parts, func(s string) bool { return strings.HasPrefix(s, numeric) })
		if at >= 0 {
			n.parts[at] = quoteName(c.Name) + " bigint" + n.parts[at][len(numeric):]
			continue
		}
		n.t.ddl("ALTER TABLE " + tableName(n.Table) + " ALTER COLUMN " + quoteName(c.Name) + " TYPE bigint")
	}
}
