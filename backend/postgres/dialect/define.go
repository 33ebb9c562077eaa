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
	n, err := t.newTable(d)
	if err != nil {
		return err
	}
	if d.IfNotExists {
		if _, ok := t.lookUp(n.Schema, n.Name); ok { // its comments say what it is, not what this one would be
			t.step(Step{Kind: Session})
			return nil
		}
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
	case d.OptLike != nil, d.OptSelect != nil:
		return nil, t.refuse("CREATE", "name the columns", "CREATE TABLE LIKE and CREATE TABLE AS SELECT are not translated")
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
		case "ENGINE", "AUTO_INCREMENT", "ROW_FORMAT", "KEY_BLOCK_SIZE", "STATS_PERSISTENT", "STATS_AUTO_RECALC", "STATS_SAMPLE_PAGES", "AVG_ROW_LENGTH", "MAX_ROWS", "MIN_ROWS", "CHECKSUM", "PACK_KEYS":
		default:
			return n.t.refuse(o.Name, "leave it out", "the table option %s is not translated", o.Name)
		}
	}
	_, err := n.t.collation(n.collate)
	return err
}

func (n *newTable) name(suffix string) string { return quoteName(n.Name + "." + suffix) }

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

// check writes the limits that the type in PostgreSQL does not have by itself.
func (n *newTable) check(c *Column) {
	q := quoteName(c.Name)
	limits := map[Kind][4]string{ // signed and unsigned, with the borders of the type in PostgreSQL left out
		TinyInt: {"-128", "127", "0", "255"}, SmallInt: {"", "", "0", "65535"}, MediumInt: {"-8388608", "8388607", "0", "16777215"}, Int: {"", "", "0", "4294967295"},
		BigInt: {"", "", "0", "18446744073709551615"},
	}
	add := func(kind, condition string) {
		n.constraints = append(n.constraints, "CONSTRAINT "+n.name(c.Name+" "+kind)+" CHECK ("+condition+")")
	}
	t := c.Type
	switch k := t.Kind; {
	case limits[k] != [4]string{}:
		l := limits[k]
		from, to := l[0], l[1]
		if t.Unsigned {
			from, to = l[2], l[3]
		}
		if from != "" {
			add("range", q+" BETWEEN "+from+" AND "+to)
		}
	case (k == Decimal || k.approx()) && t.Unsigned:
		add("range", q+" >= 0")
	case k == Year:
		add("range", q+" = 0 OR "+q+" BETWEEN 1901 AND 2155")
	case k == Bit && t.Length < 63:
		add("range", fmt.Sprintf("%s BETWEEN 0 AND %d", q, int64(1)<<t.Length-1))
	case k == Bit && t.Length == 64:
		add("range", q+" BETWEEN 0 AND 18446744073709551615")
	case k == Bit:
		add("range", q+" >= 0")
	case k == Date:
		add("range", q+" BETWEEN '0001-01-01' AND '9999-12-31'")
	case k == Datetime, k == Timestamp:
		add("range", q+" >= '0001-01-01' AND "+q+" < '10000-01-01'")
	case k == Enum:
		add("value", q+` COLLATE "C" = ANY (`+textArray(t.Elements)+")")
	case k == Set:
		add("value", fmt.Sprintf(`%s = '' OR string_to_array(%[1]s COLLATE "C", ',') <@ %s`, q, textArray(t.Elements)))
	case k == TinyText, k == TinyBlob:
		add("length", "octet_length("+q+") <= 255")
	case k == Text, k == Blob:
		add("length", "octet_length("+q+") <= 65535")
	case k == MediumText, k == MediumBlob:
		add("length", "octet_length("+q+") <= 16777215")
	case k == Varbinary, k == Binary:
		add("length", fmt.Sprintf("octet_length(%s) <= %d", q, t.Length))
	}
}

var kindByName = map[string]Kind{
	"bool": TinyInt, "boolean": TinyInt, "integer": Int, "int1": TinyInt, "int2": SmallInt, "int3": MediumInt, "int4": Int, "int8": BigInt, "dec": Decimal,
	"numeric": Decimal, "fixed": Decimal, "real": Double, "double precision": Double, "character": Char, "nchar": Char, "nvarchar": Varchar,
	"character varying": Varchar, "long": MediumText, "long varchar": MediumText,
}

func init() {
	for k, name := range typeNames {
		if Kind(k) > Null {
			kindByName[name] = Kind(k)
		}
	}
}

// columnType reads the type of a column.
func (t *translator) columnType(c *sqlparser.ColumnType, collate string) (Type, error) {
	name := strings.ToLower(c.Type)
	kind, ok := kindByName[name]
	if !ok {
		return Type{}, t.refuse(c.Type, "use another type", "the type %s is not translated", strings.ToUpper(c.Type))
	}
	length, err := t.size(c.Length)
	if err != nil {
		return Type{}, err
	}
	scale, err := t.size(c.Scale)
	if err != nil {
		return Type{}, err
	}
	r := Type{Kind: kind, Unsigned: bool(c.Unsigned)}
	if c.Zerofill {
		return r, t.refuse("ZEROFILL", "pad it in the query", "ZEROFILL is not translated")
	}
	switch {
	case kind == TinyInt && (length == 1 || strings.HasPrefix(name, "bool")):
		r.Length = 1
	case kind == Decimal:
		if length == 0 {
			length = 10
		}
		r.Length, r.Scale = length, scale
	case kind == Float && length > 24:
		r.Kind = Double
	case kind.approx() && c.Scale != nil:
		return r, t.refuse(c.Type, "use DECIMAL", "%s with a number of digits is not translated", strings.ToUpper(c.Type))
	case kind.temporal():
		r.Scale = length
	case kind == Bit, kind == Char, kind == Binary:
		r.Length = max(length, 1)
	case kind == Varchar, kind == Varbinary:
		r.Length = length
	case kind == Text && length > 0, kind == Blob && length > 0:
		return r, t.refuse(c.Type, "leave the length out", "%s with a length is not translated", strings.ToUpper(c.Type))
	case kind == Enum, kind == Set:
		for _, e := range c.EnumValues {
			text, err := t.src.markedText(e)
			if err != nil {
				return r, err
			}
			r.Elements = append(r.Elements, strings.TrimRight(text, " "))
		}
	}
	if r.Kind.text() {
		if c.Charset != "" && !strings.EqualFold(c.Charset, "utf8mb4") {
			return r, t.refuse(c.Charset, "use utf8mb4", "the character set %s is not translated", c.Charset)
		}
		r.Collation = defaultCollation
		if collate != "" {
			r.Collation = strings.ToLower(collate)
		}
		if c.Collate != "" {
			r.Collation = strings.ToLower(c.Collate)
		}
		if bool(c.BinaryCollate) || r.Collation == "utf8mb4_bin" {
			return r, t.refuse("utf8mb4_bin", "use utf8mb4_0900_bin", "utf8mb4_bin ignores trailing spaces, which no collation of PostgreSQL does")
		}
	}
	return r, nil
}

// defaultOf is the default of a column.
func (t *translator) defaultOf(c *Column, e sqlparser.Expr) (string, error) {
	if _, ok := e.(*sqlparser.NullVal); ok {
		return "", nil
	}
	t.clause = "default"
	v, err := t.expr(e)
	if err != nil {
		return "", err
	}
	return t.assign(c, v)
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
