package dialect

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// show translates SHOW and DESCRIBE. What is in the catalog is answered from there, as rows written down.
func (t *translator) show(n *sqlparser.Show) error {
	schema := t.o.Schema
	filter := n.Filter
	if o := n.ShowTablesOpt; o != nil {
		filter = o.Filter
		if o.DbName != "" {
			schema = o.DbName
		}
	}
	var rows showRows
	var err error
	switch strings.ToUpper(n.Type) {
	case "DATABASES", "SCHEMAS":
		name := "Database"
		if filter != nil && filter.Like != "" {
			pattern, err := t.src.markedText(filter.Like)
			if err != nil {
				return err
			}
			name += " (" + pattern + ")"
		}
		rows = showRows{columns: []string{name}, from: `SELECT "SCHEMA_NAME" AS c0 FROM xaproxy.schemata`, names: true}
	case "TABLES":
		if schema == "" {
			return &Error{Errno: 1046, State: "3D000", At: -1, What: "No database selected"}
		}
		rows = showRows{columns: []string{"Tables_in_" + schema, "Table_type"}, names: true}
		rows.from = `SELECT "TABLE_NAME" AS c0, "TABLE_TYPE" AS c1 FROM xaproxy.tables WHERE "TABLE_SCHEMA" = ` + quoteText(schema)
		if filter != nil && filter.Like != "" {
			pattern, err := t.src.markedText(filter.Like)
			if err != nil {
				return err
			}
			rows.columns[0] += " (" + pattern + ")"
		}
		if !n.Full {
			rows.columns = rows.columns[:1]
		}
	case "COLUMNS", "FIELDS":
		rows, err = t.showColumns(n, schema)
	case "INDEX", "INDEXES", "KEYS":
		rows, err = t.showKeys(n, schema)
	case "CREATE TABLE":
		rows, err = t.showCreate(n, schema)
	default:
		var ok bool
		if rows, ok, err = t.showMore(n, schema); ok {
			break
		}
		return refuse(0, "SHOW "+strings.ToUpper(n.Type)+" is not translated", "ask information_schema, or PostgreSQL's catalog behind /* xaproxy: dialect=postgres */")
	}
	if err != nil {
		return err
	}
	return t.showStep(rows, filter)
}

// showRows is the answer to a SHOW: rows of strings, or a query whose columns are c0, c1 and so on.
type showRows struct {
	columns  []string
	kinds    map[string]Kind // of those that are no strings
	unsigned string          // one of them
	names    bool            // the first column has names of schemas or tables, whose case counts
	rows     [][]string      // of terms of PostgreSQL's
	from     string
}

// showStep writes the rows, and filters them by LIKE, of the first column, or WHERE.
func (t *translator) showStep(r showRows, filter *sqlparser.ShowFilter) error {
	names := make([]string, len(r.columns))
	rel := &relation{alias: "rows"}
	for i, c := range r.columns {
		names[i] = fmt.Sprintf("rows.c%d", i)
		typ := varchar
		if k, ok := r.kinds[c]; ok {
			typ = Type{Kind: k, Unsigned: c == r.unsigned}
		}
		if r.names && i == 0 {
			typ.Collation = "utf8mb4_0900_bin"
		}
		shown, _, _ := strings.Cut(c, " (")
		rel.fields = append(rel.fields, field{shown, value{s: names[i], t: typ, rank: implicit, plain: false}})
	}
	from := "(" + r.from + ") AS rows"
	if r.from == "" {
		lines := make([]string, len(r.rows))
		for i, row := range r.rows {
			lines[i] = "(" + strings.Join(row, ", ") + ")"
		}
		bare := make([]string, len(names))
		for i := range names {
			bare[i] = fmt.Sprintf("c%d", i)
		}
		from = "(VALUES " + strings.Join(lines, ", ") + ") AS rows(" + strings.Join(bare, ", ") + ")"
	}
	s := "SELECT " + strings.Join(names, ", ") + " FROM " + from
	if filter != nil {
		t.scope, t.clause = &scope{relations: []*relation{rel}}, "where clause"
		var condition string
		var err error
		if filter.Like != "" {
			l, _, merr := t.src.marked(&sqlparser.SQLVal{Type: sqlparser.StrVal, Val: []byte(filter.Like)})
			if merr != nil {
				return merr
			}
			pattern, merr := t.literalValue(l)
			if merr != nil {
				return merr
			}
			condition, err = t.like(rel.fields[0].v, pattern, value{}, false, false)
		} else {
			condition, err = t.condition(filter.Filter)
		}
		if err != nil {
			return err
		}
		s += " WHERE " + condition
	}
	if r.names {
		s += ` ORDER BY rows.c0 COLLATE "C"`
	}
	columns := make([]ResultColumn, len(r.columns))
	for i, c := range r.columns {
		columns[i] = ResultColumn{Name: c, Type: rel.fields[i].v.t}
	}
	t.step(Step{Kind: Show, Text: s, Columns: columns})
	return nil
}

func (t *translator) shown(n *sqlparser.Show, schema string) (*Table, error) {
	name := n.Table
	if name.DbQualifier.IsEmpty() && schema != "" {
		name.DbQualifier = sqlparser.NewTableIdent(schema)
	}
	r, err := t.table(name, "")
	if err != nil {
		return nil, err
	}
	return r.table, nil
}

func (t *translator) showColumns(n *sqlparser.Show, schema string) (showRows, error) {
	table, err := t.shown(n, schema)
	if err != nil {
		return showRows{}, err
	}
	r := showRows{columns: []string{"Field", "Type", "Null", "Key", "Default", "Extra"}}
	if n.Full {
		r.columns = []string{"Field", "Type", "Collation", "Null", "Key", "Default", "Extra", "Privileges", "Comment"}
	}
	for _, c := range table.Columns {
		null := "YES"
		if c.NotNull {
			null = "NO"
		}
		row := []string{text(c.Name), text(c.Type.String()), text(null), text(table.keyOf(c)), defaultShown(c), text(extra(c))}
		if n.Full {
			collation := "NULL"
			if c.Type.Kind.text() {
				collation = text(c.Type.Collation)
			}
			row = []string{row[0], row[1], collation, row[2], row[3], row[4], row[5], text("select,insert,update,references"), text(c.Comment)}
		}
		r.rows = append(r.rows, row)
	}
	return r, nil
}

func text(s string) string { return quoteText(s) + "::text" }

// keyOf is PRI, UNI or MUL, as SHOW COLUMNS has it.
func (t *Table) keyOf(c *Column) string {
	best := ""
	for _, k := range t.Keys {
		for i, name := range k.Columns {
			switch {
			case name != c.Name:
			case k.Primary:
				return "PRI"
			case i > 0:
			case k.Unique && len(k.Columns) == 1 && best == "":
				best = "UNI"
			case best == "":
				best = "MUL"
			}
		}
	}
	return best
}

func extra(c *Column) string {
	var all []string
	d, generated := mysqlDefault(c)
	switch {
	case c.Identity:
		return "auto_increment"
	case c.Generated:
		return storage(c) + " GENERATED"
	case generated && d != nil:
		all = append(all, "DEFAULT_GENERATED")
	}
	if c.OnUpdate {
		all = append(all, "on update "+now0(c.Type.Scale))
	}
	return strings.Join(all, " ")
}

func storage(c *Column) string {
	if c.Virtual {
		return "VIRTUAL"
	}
	return "STORED"
}

func now0(scale int) string {
	if scale > 0 {
		return "CURRENT_TIMESTAMP(" + strconv.Itoa(scale) + ")"
	}
	return "CURRENT_TIMESTAMP"
}

var quotedDefault = regexp.MustCompile(`(?s)^'(.*)'(?:::[a-z ]+(?:\(\d+\))?)?$`)

// mysqlDefault is a default as MySQL would show it, and whether it is computed.
func mysqlDefault(c *Column) (*string, bool) {
	d := c.Default
	switch m := quotedDefault.FindStringSubmatch(d); {
	case d == "" || c.Identity || c.Generated:
		return nil, false
	case m != nil:
		s := strings.ReplaceAll(m[1], "''", "'")
		return &s, false
	case strings.Contains(d, realClock), strings.Contains(d, ownClock):
		s := now0(c.Type.Scale)
		return &s, true
	case c.PG == "boolean":
		s := map[string]string{"true": "1", "false": "0"}[d]
		return &s, false
	}
	d = strings.Trim(strings.TrimSuffix(d, "::numeric"), "()")
	if n, err := strconv.ParseUint(d, 10, 64); err == nil && c.Type.Kind == Bit {
		d = "b'" + strconv.FormatUint(n, 2) + "'"
	}
	if frac := len(d) - strings.IndexByte(d+".", '.') - 1; c.Type.Kind == Decimal && c.Type.Scale > 0 && frac < c.Type.Scale {
		if frac < 0 {
			d, frac = d+".", 0
		}
		d += strings.Repeat("0", c.Type.Scale-frac)
	}
	return &d, false
}

func defaultShown(c *Column) string {
	d, _ := mysqlDefault(c)
	if d == nil {
		return "NULL"
	}
	return text(*d)
}

func (t *translator) showKeys(n *sqlparser.Show, schema string) (showRows, error) {
	table, err := t.shown(n, schema)
	if err != nil {
		return showRows{}, err
	}
	r := showRows{
		columns: []string{"Table", "Non_unique", "Key_name", "Seq_in_index", "Column_name", "Collation", "Cardinality", "Sub_part", "Packed", "Null", "Index_type", "Comment", "Index_comment", "Visible", "Expression"},
		kinds:   map[string]Kind{"Non_unique": Int, "Seq_in_index": Int, "Cardinality": BigInt, "Sub_part": BigInt},
	}
	for _, k := range table.Keys {
		for i, name := range k.Columns {
			unique, null := "1", "YES"
			if k.Unique {
				unique = "0"
			}
			for _, c := range table.Columns {
				if c.Name == name && c.NotNull {
					null = ""
				}
			}
			r.rows = append(r.rows, []string{
				text(table.Name), unique, text(k.Name), strconv.Itoa(i + 1), text(name), text("A"), "NULL::bigint", "NULL::bigint", "NULL::text", text(null), text("BTREE"), text(""), text(""), text("YES"), "NULL::text",
			})
		}
	}
	if len(r.rows) == 0 {
		r.from = "SELECT " + strings.Repeat("NULL, ", len(r.columns)-1) + "NULL WHERE false"
		for i := range r.columns {
			r.from = strings.Replace(r.from, "NULL", fmt.Sprintf("''::text AS c%d", i), 1)
		}
	}
	return r, nil
}

func (t *translator) showCreate(n *sqlparser.Show, schema string) (showRows, error) {
	table, err := t.shown(n, schema)
	if err != nil {
		return showRows{}, err
	}
	if table.View {
		return showRows{}, refuse(t.src.find(table.Name), "the definition of a view is in PostgreSQL's words", "ask pg_get_viewdef behind /* xaproxy: dialect=postgres */")
	}
	return showRows{columns: []string{"Table", "Create Table"}, rows: [][]string{{text(table.Name), text(table.create())}}}, nil
}

func backtick(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// create is the table as SHOW CREATE TABLE has it, but for its foreign keys and CHECKs.
func (t *Table) create() string {
	var lines []string
	for _, c := range t.Columns {
		s := "  " + backtick(c.Name) + " " + c.Type.String()
		if c.Type.Kind.text() && c.Type.Collation != defaultCollation && c.Type.Collation != "" {
			s += " CHARACTER SET utf8mb4 COLLATE " + c.Type.Collation
		}
		if c.NotNull {
			s += " NOT NULL"
		} else if c.Type.Kind == Timestamp {
			s += " NULL"
		}
		d, generated := mysqlDefault(c)
		lob := c.Type.Kind == JSON || c.Type.Kind >= TinyText && c.Type.Kind <= LongText || c.Type.Kind >= TinyBlob && c.Type.Kind <= LongBlob
		switch {
		case c.Identity:
			s += " AUTO_INCREMENT"
		case c.Generated: // in PostgreSQL's words
			s += " GENERATED ALWAYS AS (" + c.Default + ") " + storage(c)
		case d != nil && generated:
			s += " DEFAULT " + *d
		case d != nil:
			s += " DEFAULT '" + strings.ReplaceAll(*d, "'", "''") + "'"
		case !c.NotNull && !lob:
			s += " DEFAULT NULL"
		}
		if c.OnUpdate {
			s += " ON UPDATE " + now0(c.Type.Scale)
		}
		if c.Comment != "" {
			s += " COMMENT '" + strings.ReplaceAll(c.Comment, "'", "''") + "'"
		}
		lines = append(lines, s)
	}
	for _, k := range t.Keys {
		columns := make([]string, len(k.Columns))
		for i, c := range k.Columns {
			columns[i] = backtick(c)
		}
		list := "(" + strings.Join(columns, ",") + ")"
		switch {
		case k.Primary:
			lines = append(lines, "  PRIMARY KEY "+list)
		case k.Unique:
			lines = append(lines, "  UNIQUE KEY "+backtick(k.Name)+" "+list)
		default:
			lines = append(lines, "  KEY "+backtick(k.Name)+" "+list)
		}
	}
	s := "CREATE TABLE " + backtick(t.Name) + " (\n" + strings.Join(lines, ",\n") + "\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci"
	if t.Comment != "" {
		s += " COMMENT='" + strings.ReplaceAll(t.Comment, "'", "''") + "'"
	}
	return s
}
