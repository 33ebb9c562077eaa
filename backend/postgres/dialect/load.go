package dialect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/xaproxy/xaproxy/router"
)

// Load is a LOAD DATA LOCAL INFILE: Row translates the lines that its Cutter finds in the file, one by one, and Insert makes a statement of several.
//
// With LOCAL MySQL makes something else of values that do not fit, and warns. That is refused here, with the line.
type Load struct {
	*router.Load
	Replace bool

	t      *translator
	n      *sqlparser.Insert
	in     *newRows
	makes  bool             // PostgreSQL makes the number of the AUTO_INCREMENT column whatever the line says
	fields []loadField      // of a line
	sets   []sqlparser.Expr // of the last columns of the INSERT
	line   map[string]UserValue
}

// loadField is where a field goes: a column or a variable.
type loadField struct {
	c        *Column
	variable string
}

// LoadRow is a line as a row.
type LoadRow struct {
	Line uint64
	// Numbered says that it has a number of its own for the AUTO_INCREMENT column. Rows with and without one go into statements of their own.
	Numbered bool
	values   []string
	gives    []given
	free     bool
}

// Size is about how long the row is in a statement, in bytes.
func (r *LoadRow) Size() (n int) {
	for _, v := range r.values {
		n += len(v) + 2
	}
	return n
}

// NewLoad reads a LOAD DATA. Errors are of type *Error.
func NewLoad(sql string, o Options) (*Load, error) {
	text, err := router.ReadLoad([]byte(sql), o.mode())
	var why *router.Refusal
	switch {
	case errors.As(err, &why):
		return nil, &Error{Errno: why.Errno, State: why.State, At: -1, What: why.Text}
	case text.Charset != "" && text.Charset != "utf8mb4" && text.Charset != "binary":
		return nil, refuse(-1, "LOAD DATA in the character set "+text.Charset+" is not translated", "write CHARACTER SET utf8mb4, and the file in it")
	}
	l := &Load{Load: &text.Load, Replace: text.Replace, line: map[string]UserValue{}}
	if others := o.UserVariable; others != nil {
		o.UserVariable = func(name string) UserValue {
			if u, ok := l.line[name]; ok {
				return u
			}
			return others(name)
		}
	}
	if l.t, err = newTranslator(insertOf(text), o); err == nil {
		err = l.prepare(text)
	}
	if err != nil {
		return nil, unplaced(err)
	}
	return l, nil
}

// insertOf is an INSERT with the expressions of SET.
func insertOf(text *router.LoadText) string {
	var b strings.Builder
	b.WriteString("INSERT INTO ")
	if text.Schema != "" {
		b.WriteString(backquoted(text.Schema) + ".")
	}
	b.WriteString(backquoted(text.Table) + " VALUES (NULL")
	for _, set := range text.Sets {
		b.WriteString(", " + set.Expr)
	}
	return b.String() + ")"
}

func backquoted(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// unplaced is an error without its position, which is one in a text that the client does not know.
func unplaced(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	one := *e
	one.At = -1
	return &one
}

// prepare finds the table and its columns.
func (l *Load) prepare(text *router.LoadText) error {
	t := l.t
	if err := t.strict(); err != nil {
		return err
	}
	tree, err := t.src.parse()
	if err != nil {
		return err
	}
	n, ok := tree.(*sqlparser.Insert)
	rows, values := n.Rows.(*sqlparser.AliasedValues)
	if !ok || !values || len(rows.Values) != 1 || len(rows.Values[0]) != 1+len(text.Sets) {
		return refuse(-1, "SET of this LOAD DATA is not translated", "compute it in the client")
	}
	r, err := t.table(n.Table, "")
	if err != nil {
		return err
	}
	if r.table.View {
		return refuse(-1, "LOAD DATA into a view is not translated", "load into its table")
	}
	names := text.Names
	if len(names) == 0 {
		for _, c := range r.table.Columns {
			names = append(names, c.Name)
		}
		l.Columns = len(names)
	}
	for _, name := range names {
		if variable, ok := strings.CutPrefix(name, "@"); ok {
			l.fields = append(l.fields, loadField{variable: variable})
			continue
		}
		n.Columns = append(n.Columns, sqlparser.NewColIdent(name))
		l.fields = append(l.fields, loadField{})
	}
	for i, set := range text.Sets {
		n.Columns = append(n.Columns, sqlparser.NewColIdent(set.Column))
		l.sets = append(l.sets, rows.Values[0][i+1])
	}
	if text.Charset == "binary" && len(text.Assigns) > 0 {
		return refuse(-1, "LOAD DATA of variables in the character set binary is not translated", "write CHARACTER SET utf8mb4")
	}
	if len(n.Columns) == 0 {
		return refuse(-1, "LOAD DATA of variables alone is not translated", "name a column")
	}
	if n.Action = sqlparser.InsertStr; l.Replace {
		n.Action = sqlparser.ReplaceStr
	}
	l.n, l.in = n, &newRows{r: r}
	t.writes, t.targets, t.scope = true, []*Table{r.table}, &scope{queries: map[string][]field{}}
	if err := t.insertColumns(n, l.in); err != nil {
		return err
	}
	l.makes = l.in.makes
	next := 0
	for i := range l.fields {
		if l.fields[i].variable == "" {
			l.fields[i].c = l.in.columns[next]
			next++
		}
	}
	return nil
}

// Row translates the fields of a line, nil for NULL.
func (l *Load) Row(line uint64, values [][]byte) (LoadRow, error) {
	row := LoadRow{Line: line}
	l.t.gives, l.t.used, l.t.places = nil, nil, nil
	l.in.given, l.in.makes, l.in.free, l.in.maybe = false, l.makes, false, ""
	for i, f := range l.fields {
		if l.Charset != "binary" && !utf8.Valid(values[i]) {
			return row, AtLine(line, fmt.Sprintf("field %d", i+1), &Error{Errno: 1300, State: "HY000", What: "Invalid utf8mb4 character string"})
		}
		if f.c == nil {
			l.line[f.variable] = UserValue{Text: string(values[i]), Null: values[i] == nil, Type: Type{Kind: Varchar}}
			continue
		}
		s, err := l.field(f.c, values[i])
		if err != nil {
			shown := "'" + strings.ToValidUTF8(string(values[i][:min(len(values[i]), maxShown)]), "\uFFFD") + "'"
			if values[i] == nil {
				shown = "NULL"
			}
			return row, AtLine(line, fmt.Sprintf("field %d, %s for column '%s'", i+1, shown, f.c.Name), err)
		}
		row.values = append(row.values, s)
	}
	for _, e := range l.sets {
		c := l.in.columns[len(row.values)]
		s, err := l.t.insertValue(l.in, c, e)
		if err != nil {
			return row, AtLine(line, "SET "+c.Name, err)
		}
		row.values = append(row.values, s)
	}
	row.Numbered, row.gives, row.free = l.in.given, l.t.gives, l.in.free
	return row, nil
}

// maxShown is how many bytes of a value an error shows.
const maxShown = 64

// AtLine is an error about something in a line of the file.
func AtLine(line uint64, what string, err error) error {
	e, ok := unplaced(err).(*Error)
	if !ok {
		return err
	}
	if what != "" {
		what = ", " + what
	}
	e.What = fmt.Sprintf("line %d of the file%s: %s", line, what, strings.TrimSuffix(e.What, " at row 1"))
	if e.Do == "" {
		e.Do = "nothing was loaded; correct the file"
	}
	return e
}

// field is a field as the column gets it: as it gets a string, but for columns of bytes.
func (l *Load) field(c *Column, text []byte) (string, error) {
	if text == nil {
		return l.t.insertValue(l.in, c, &sqlparser.NullVal{})
	}
	one := literal{kind: Varchar, text: string(text)}
	switch {
	case c.Type.Kind.bytes() || c.Type.Kind == Bit:
		one.kind = Varbinary
	case c.Type.Kind == JSON && l.Charset == "binary":
		return "", &Error{Errno: 3144, State: "22032", At: -1, What: "Cannot create a JSON value from a string with CHARACTER SET 'binary'"}
	case !utf8.Valid(text) || slices.Contains(text, 0):
		return "", &Error{Errno: 1366, State: "HY000", At: -1, What: "Incorrect string value", Do: "the string is not UTF-8 or has a zero byte, which PostgreSQL cannot store as text; nothing was loaded"}
	}
	v, err := l.t.literalValue(one)
	if err != nil {
		return "", err
	}
	return l.t.insertedValue(l.in, c, v)
}

// Insert is the statement that inserts rows, of which all or none are Numbered. With ignore those that are there already are passed over.
func (l *Load) Insert(rows []LoadRow, ignore bool) (Statement, error) {
	t, in := l.t, l.in
	t.steps, t.gives = nil, nil
	in.rows, in.values, in.free = len(rows), nil, false
	in.given, in.makes = rows[0].Numbered, !rows[0].Numbered && in.r.table.identity() != nil
	for _, row := range rows {
		in.values, in.free = append(in.values, row.values), in.free || row.free
	}
	in.text = " (" + in.names() + ") VALUES " + rowsText(in.values)
	if l.n.Ignore = ""; ignore {
		l.n.Ignore = sqlparser.IgnoreStr
	}
	if err := t.insertStep(l.n, in, ""); err != nil {
		return Statement{}, unplaced(err)
	}
	s := Statement{Steps: t.steps}
	if len(rows) == 1 {
		t.gives = rows[0].gives
		s.Given = t.given
	}
	return s, nil
}

// Values are the user variables' values after the last line.
func (l *Load) Values() map[string]UserValue { return l.line }
