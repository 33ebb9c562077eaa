package dialect

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// newRows are the rows of an INSERT being written.
type newRows struct {
	r        *relation
	columns  []*Column
	implicit []*Column // the last ones of these, which the client does not name
	rows     int       // of VALUES, 0 if they come from a query
	values   [][]string
	query    string
	selected Step // the query alone
	text     string
	free     bool   // a value is another one each time it is computed
	maybe    string // the condition that the one row's number is given
	given    bool   // the client gives the numbers of the AUTO_INCREMENT column itself
	makes    bool   // PostgreSQL makes them
	seeks    bool   // ON DUPLICATE KEY UPDATE asks for the number of the row that was there
}

// insert translates INSERT and REPLACE.
func (t *translator) insert(n *sqlparser.Insert) error {
	if err := t.strict(); err != nil {
		return err
	}
	if len(n.Returning) > 0 || len(n.Partitions) > 0 {
		return refuse(0, "RETURNING and PARTITION of INSERT are not translated", "read the rows")
	}
	r, err := t.table(n.Table, "")
	if err != nil {
		return err
	}
	if r.table.View {
		return refuse(t.src.find(r.table.Name), "an INSERT into a view is not translated", "insert into its table")
	}
	t.scope = &scope{queries: map[string][]field{}}
	w, err := t.with(n.With)
	if err != nil {
		return err
	}
	in := &newRows{r: r}
	if _, query := n.Rows.(sqlparser.SelectStatement); n.Ignore != "" && len(n.OnDup) == 0 && !query {
		t.ignored = &Ignored{}
	}
	if err := t.insertColumns(n, in); err != nil {
		return err
	}
	if err := t.insertRows(n, in); err != nil {
		return err
	}
	return t.insertStep(n, in, w)
}

// insertStep adds the steps of an INSERT of these rows, which begin with with.
func (t *translator) insertStep(n *sqlparser.Insert, in *newRows, w string) (err error) {
	r := in.r
	t.targets = []*Table{r.table}
	if id := r.table.identity(); id != nil && (in.makes || in.maybe != "") {
		t.numbersFrom = sequence(r.table, id)
	}
	s := Step{Kind: Count, InsertID: -1, Affected: -1, InsertIDGiven: -1}
	conflict, weight := "", ""
	switch keys := in.conflicting(); {
	case strings.EqualFold(n.Action, sqlparser.ReplaceStr):
		switch {
		case len(keys) == 0:
		case len(keys) == 1 && in.rows > 0 && !r.table.Referenced && !in.repeats(keys):
			conflict, weight = t.replaces(in, keys[0], &s)
		default:
			return t.replaceRows(in, keys, w)
		}
	case len(n.OnDup) > 0 && (len(keys) > 1 || in.repeats(keys)):
		return t.onDuplicates(n, in, keys)
	case len(n.OnDup) > 0 && len(keys) == 1:
		if conflict, weight, err = t.onDuplicate(n, in, keys[0], &s); err != nil {
			return err
		}
	case n.Ignore != "":
		conflict = " ON CONFLICT DO NOTHING"
	}
	text := w + "INSERT INTO " + tableName(r.table) + in.text + conflict
	var returning []string
	if id := r.table.identity(); id != nil {
		ref, given := in.numbers(id)
		if len(n.OnDup) > 0 && in.rows != 1 && !in.given && conflict != "" { // of new rows alone
			ref = fmt.Sprintf("CASE WHEN %s.xmax = 0 THEN %s END", quoteName(r.alias), ref)
		}
		if in.given || in.makes {
			s.InsertID = 0
			returning = append(returning, ref)
		}
		switch {
		case in.given:
		case len(n.OnDup) > 0 && in.rows == 1 && conflict != "" && !in.seeks: // of a row that was there LAST_INSERT_ID() does not tell
			given = quoteName(r.alias) + ".xmax <> 0"
		default:
			given = ""
		}
		if given != "" {
			s.InsertIDGiven = len(returning)
			returning = append(returning, given)
		}
	}
	if weight != "" {
		s.Affected = len(returning)
		returning = append(returning, weight)
	}
	behind := ""
	if len(returning) > 0 {
		behind = " RETURNING " + strings.Join(returning, ", ")
	}
	s.Text = text + behind
	t.step(s)
	if t.ignored != nil && len(in.values) > 0 {
		t.ignored.Step = func(from, to int, pass bool) Step {
			some := s
			some.Text = w + "INSERT INTO " + tableName(r.table) + " (" + in.names() + ") VALUES " + rowsText(in.values[from:to])
			if pass {
				some.Text += conflict
			}
			some.Text += behind
			return t.numbered(some)
		}
		return nil
	}
	if t.ignored = nil; n.Ignore != "" && in.query != "" && len(n.OnDup) == 0 && w == "" {
		t.ignored = &Ignored{Query: in.selected, Into: t.insertInto(in)}
	}
	return nil
}

// insertInto begins an INSERT IGNORE of MySQL's into the same columns.
func (t *translator) insertInto(in *newRows) string {
	quote := "`"
	if t.o.ANSIQuotes {
		quote = `"`
	}
	name := func(s string) string { return quote + strings.ReplaceAll(s, quote, quote+quote) + quote }
	names := make([]string, len(in.columns))
	for i, c := range in.columns {
		names[i] = name(c.Name)
	}
	return "INSERT IGNORE INTO " + name(in.r.table.Schema) + "." + name(in.r.table.Name) + " (" + strings.Join(names, ", ") + ") VALUES "
}

// rowsText is the rows of VALUES.
func rowsText(rows [][]string) string {
	texts := make([]string, len(rows))
	for i, row := range rows {
		texts[i] = "(" + strings.Join(row, ", ") + ")"
	}
	return strings.Join(texts, ", ")
}

// numbers are the number of a new row for RETURNING, and whether the client gave it.
func (in *newRows) numbers(id *Column) (ref, given string) {
	ref = quoteName(in.r.alias) + "." + quoteName(id.Name)
	if !in.given {
		return ref, "FALSE"
	}
	given = in.maybe
	if in.rows != 1 || given == "" {
		given = "TRUE"
	}
	return fmt.Sprintf("xaproxy.advance(%s, %s)", sequence(in.r.table, id), ref), given
}

func (t *Table) identity() *Column {
	for _, c := range t.Columns {
		if c.Identity {
			return c
		}
	}
	return nil
}

// sequence is the counter of an AUTO_INCREMENT column.
func sequence(t *Table, c *Column) string {
	return fmt.Sprintf("pg_get_serial_sequence(%s, %s)", quoteText(tableName(t)), quoteText(c.Name))
}

// insertColumns finds the columns of an INSERT, and those that must be among them.
func (t *translator) insertColumns(n *sqlparser.Insert, in *newRows) error {
	t.clause = "field list"
	table := in.r.table
	named := map[*Column]bool{}
	for _, c := range n.Columns {
		i := in.r.index(c.String())
		if i < 0 {
			return t.unknown(&sqlparser.ColName{Name: c})
		}
		column := table.Columns[i]
		if named[column] {
			return &Error{Errno: 1110, State: "42000", At: t.src.find(c.String()), What: "Column '" + c.String() + "' specified twice"}
		}
		if column.Generated {
			return &Error{Errno: 3105, State: "HY000", At: t.src.find(c.String()), What: fmt.Sprintf("The value specified for generated column '%s' in table '%s' is not allowed.", c.String(), table.Name)}
		}
		named[column] = true
		in.columns = append(in.columns, column)
	}
	if len(n.Columns) == 0 {
		if rows, ok := n.Rows.(*sqlparser.AliasedValues); ok && len(rows.Values) == 1 && len(rows.Values[0]) == 0 {
			in.columns = nil
		} else {
			in.columns = append(in.columns, table.Columns...)
			for _, c := range in.columns {
				named[c] = true
			}
		}
	}
	for _, c := range table.Columns {
		if !named[c] && c.NotNull && c.Default == "" && !c.Identity && !c.Generated {
			if c.Type.Kind == Enum {
				return refuse(t.src.find(table.Name), "the first value of the ENUM "+c.Name+" as its default is not translated", "name the column")
			}
			if _, ok := c.implicitDefault(); ok && t.ignored != nil {
				in.implicit = append(in.implicit, c)
				continue
			}
			return unfitIf(t.ignored != nil, &Error{Errno: 1364, State: "HY000", At: t.src.find(table.Name), What: "Field '" + c.Name + "' doesn't have a default value"})
		}
		if !named[c] {
			if err := t.ownDefault(c); err != nil {
				return err
			}
		}
	}
	in.columns = append(in.columns, in.implicit...)
	if id := table.identity(); id != nil && !named[id] {
		in.makes = true
	}
	return nil
}

// insertRows translates the rows.
func (t *translator) insertRows(n *sqlparser.Insert, in *newRows) error {
	in.text = " (" + in.names() + ") "
	var rows sqlparser.Values
	switch v := n.Rows.(type) {
	case *sqlparser.AliasedValues:
		rows = v.Values
	case sqlparser.Values:
		rows = v
	case *sqlparser.ParenSelect:
		return t.insertQuery(v.Select, in)
	case sqlparser.SelectStatement:
		return t.insertQuery(v, in)
	default:
		return refuse(0, "this INSERT is not translated", raw)
	}
	in.rows = len(rows)
	if len(in.columns) == 0 {
		if len(rows) != 1 {
			return refuse(0, "several rows of defaults are not translated", "name a column, with DEFAULT as its value")
		}
		in.text = " DEFAULT VALUES"
		return nil
	}
	t.targets = []*Table{in.r.table}
	for i, row := range rows {
		if len(row)+len(in.implicit) != len(in.columns) {
			return &Error{Errno: 1136, State: "21S01", At: t.src.find("VALUES"), What: fmt.Sprintf("Column count doesn't match value count at row %d", i+1)}
		}
		values := make([]string, len(row))
		for j, e := range row {
			s, err := t.insertValue(in, in.columns[j], e)
			if err != nil {
				if e, ok := err.(*Error); ok {
					e.What = strings.Replace(e.What, "at row 1", fmt.Sprintf("at row %d", i+1), 1)
				}
				return err
			}
			values[j] = s
		}
		for _, c := range in.implicit {
			l, _ := c.implicitDefault() // there is one
			v, err := t.literalValue(l)
			if err != nil {
				return err
			}
			s, err := t.assign(c, v)
			if err != nil {
				return err
			}
			values = append(values, s)
			if i == 0 {
				t.ignored.Warnings = append(t.ignored.Warnings, Warning{Errno: 1364, Text: "Field '" + c.Name + "' doesn't have a default value"})
			}
		}
		if t.ignored != nil {
			t.ignored.Rows++
		}
		in.values = append(in.values, values)
	}
	if in.given && in.makes {
		return refuse(t.src.find("VALUES"), "rows with numbers for the AUTO_INCREMENT column and rows without are not translated in one INSERT", "insert them one after the other")
	}
	in.text += "VALUES " + rowsText(in.values)
	return nil
}

func (t *translator) insertValue(in *newRows, c *Column, e sqlparser.Expr) (string, error) {
	if d, ok := e.(*sqlparser.Default); ok && d.ColName == "" {
		in.makes = in.makes || c.Identity
		return "DEFAULT", t.ownDefault(c)
	}
	v, err := t.expr(e)
	if err != nil {
		return "", about(c, err)
	}
	if t.ignored != nil {
		if v, err = t.fit(c, v); err != nil {
			return "", about(c, err)
		}
	}
	s, err := t.insertedValue(in, c, v)
	return s, unfitIf(t.ignored != nil, err)
}

// insertedValue is a value as an INSERT gives it to a column.
func (t *translator) insertedValue(in *newRows, c *Column, v value) (string, error) {
	in.free = in.free || v.free
	if !c.Identity {
		return t.assign(c, v)
	}
	if v.isNull() || v.isParam() && v.t.Kind == Null || v.isZero() && !t.o.NoAutoValueOnZero {
		in.makes = true
		return "DEFAULT", nil
	}
	s, err := t.assign(&Column{Name: c.Name, Type: c.Type, PG: c.PG}, v)
	in.given = true
	if err == nil && !v.isConst() && !t.o.NoAutoValueOnZero {
		in.maybe = "NULLIF(" + s + ", 0) IS NOT NULL"
		s = fmt.Sprintf("COALESCE(NULLIF(%s, 0), nextval(%s))", s, sequence(in.r.table, c))
	}
	return s, err
}

// isZero tells literals that become 0 in a column of integers.
func (v value) isZero() bool {
	if !v.isConst() {
		return false
	}
	if v.lit.kind == Varbinary {
		return v.lit.hex && strings.Trim(v.lit.text, "\x00") == ""
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(v.lit.text), 64)
	return err == nil && (math.Abs(f) < 0.5 || f == 0.5 && v.lit.kind == Double)
}

// insertQuery translates INSERT … SELECT.
func (t *translator) insertQuery(n sqlparser.SelectStatement, in *newRows) error {
	q, err := t.subquery(n)
	if err != nil {
		return err
	}
	if len(q.fields) != len(in.columns) {
		return &Error{Errno: 1136, State: "21S01", At: t.src.find("SELECT"), What: "Column count doesn't match value count at row 1"}
	}
	names, texts := make([]string, len(q.fields)), make([]string, len(q.fields))
	for i, f := range q.fields {
		names[i] = fmt.Sprintf("c%d", i)
		v := f.v
		v.s, v.lit, v.cond, v.col = "q."+names[i], nil, false, nil
		if v.t.Kind == Null {
			v = value{s: "NULL", t: nullType}
		}
		if in.columns[i].Identity {
			in.given = true
		}
		if texts[i], err = t.assign(in.columns[i], v); err != nil {
			return err
		}
	}
	in.selected = t.numbered(Step{Kind: Rows, Text: q.s, Columns: resultColumns(q.fields), InsertID: -1, Affected: -1, InsertIDGiven: -1})
	in.query = "SELECT " + strings.Join(texts, ", ") + " FROM (" + q.s + ") AS q(" + strings.Join(names, ", ") + ")"
	in.text += in.query
	return nil
}
