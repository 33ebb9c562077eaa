package temptable

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/router"
)

// Table is a table as SHOW CREATE TABLE describes it, under an sql_mode without ANSI_QUOTES and NO_BACKSLASH_ESCAPES.
type Table struct {
	Columns []Column
	keys    []key
	// computed is the name of a unique key that has expressions; "": there is none.
	computed string
	charset  string // of the table, as its options have it
}

// Column is a column of a Table.
type Column struct {
	Name string
	// Generated tells that the server computes its values.
	Generated bool

	form form
	def  []string // words of its definition behind the name
	null bool
}

type key struct {
	name            string
	unique, primary bool
	spatial         bool
	columns         []string
	parts           []string // as written, with lengths and directions
}

// form is how the values of a column get from one server to another one.
type form uint8

const (
	formNumber    form = iota // digits
	formFloat                 // digits of a double
	formBytes                 // bytes in the column's own character set
	formText                  // ASCII text that the type reads
	formJSON                  // text in utf8mb4
	formIndex                 // the numbers of ENUM and SET
	formTimestamp             // seconds since 1970
	formRaw                   // bytes that no cast may touch
	formAbsent                // none: the table there has no such column
)

// forms are those of the types; all others are formText.
var forms = map[string]form{
	"tinyint": formNumber, "smallint": formNumber, "mediumint": formNumber, "int": formNumber, "bigint": formNumber, "decimal": formNumber,
	"year": formNumber, "float": formFloat, "double": formFloat, "char": formBytes, "varchar": formBytes, "tinytext": formBytes,
	"text": formBytes, "mediumtext": formBytes, "longtext": formBytes, "binary": formBytes, "varbinary": formBytes, "tinyblob": formBytes,
	"blob": formBytes, "mediumblob": formBytes, "longblob": formBytes, "json": formJSON, "enum": formIndex, "set": formIndex, "timestamp": formTimestamp,
	"bit": formRaw, "vector": formRaw, "geometry": formRaw, "point": formRaw, "linestring": formRaw, "polygon": formRaw, "multipoint": formRaw,
	"multilinestring": formRaw, "multipolygon": formRaw, "geometrycollection": formRaw, "geomcollection": formRaw,
}

// ParseTable reads the answer to SHOW CREATE TABLE.
func ParseTable(create string) (*Table, error) {
	open := 0
	for open < len(create) && create[open] != '(' { // also the table's name may have one
		open = skip(create, open)
	}
	if !strings.HasPrefix(create, "CREATE ") || open == len(create) {
		return nil, errors.New("not a CREATE TABLE")
	}
	body, options := inside(create[open:])
	t := &Table{charset: charsetOf(words(options))}
	for _, one := range split(body) {
		w := words(one)
		if len(w) == 0 {
			return nil, errors.New("an empty element of CREATE TABLE")
		}
		if w[0][0] != '`' {
			t.key(w)
			continue
		}
		if len(w) == 1 {
			return nil, errors.New("a column without a type")
		}
		t.column(w)
	}
	if len(t.Columns) == 0 {
		return nil, errors.New("a table without columns")
	}
	return t, nil
}

// inside is the text in the bracket that s begins with, and the text behind it.
func inside(s string) (in, behind string) {
	end := skip(s, 0)
	return strings.TrimSuffix(s[1:end], ")"), s[end:]
}

// skip is the place behind what begins at i: a quoted text, a bracket with all in it, a comment, or one byte.
func skip(s string, i int) int {
	switch c := s[i]; {
	case c == '\'' || c == '"' || c == '`':
		for i++; i < len(s) && s[i] != c; i++ {
			if s[i] == '\\' && c != '`' {
				i++
			}
		}
		return min(i+1, len(s))
	case c == '(':
		for i++; i < len(s) && s[i] != ')'; {
			i = skip(s, i)
		}
		return min(i+1, len(s))
	case strings.HasPrefix(s[i:], "/*"):
		if n := strings.Index(s[i:], "*/"); n >= 0 {
			return i + n + 2
		}
	}
	return i + 1
}

// split cuts a list at its commas.
func split(s string) (all []string) {
	start := 0
	for i := 0; i < len(s); {
		if s[i] == ',' {
			all = append(all, s[start:i])
			start = i + 1
		}
		i = skip(s, i)
	}
	return append(all, s[start:])
}

// words cuts a text at its blanks, and around quotes and brackets that no word is directly before.
func words(s string) (all []string) {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\n' || c == '=':
			i++
			continue
		case strings.IndexByte("'\"`(", c) >= 0, strings.HasPrefix(s[i:], "/*"):
			end := skip(s, i)
			for end < len(s) && s[end] == c && c != '(' && c != '/' { // a doubled quote
				end = skip(s, end)
			}
			all = append(all, s[i:end])
			i = end
			continue
		}
		end := i + 1
		for end < len(s) && strings.IndexByte(" \n=", s[end]) < 0 && !strings.HasPrefix(s[end:], "/*") { // with a bracket or quote directly behind it
			end = skip(s, end)
		}
		all = append(all, s[i:end])
		i = end
	}
	return all
}

// charsetOf is the part of a table's options that its columns depend on.
func charsetOf(options []string) (charset string) {
	for i, w := range options[:max(len(options)-1, 0)] {
		if w == "CHARSET" || w == "COLLATE" {
			charset += " " + w + "=" + options[i+1]
		}
	}
	return charset
}

// unquote is the name in backticks.
func unquote(s string) string { return strings.ReplaceAll(strings.TrimSuffix(s[1:], "`"), "``", "`") }

// Quote returns name as a quoted identifier.
func Quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// column adds a column: its definition less what a copy of the values must not have.
func (t *Table) column(w []string) {
	c := Column{Name: unquote(w[0]), form: formText, null: true}
	w = w[1:]
	name, _, _ := strings.Cut(w[0], "(")
	if f, known := forms[strings.ToLower(name)]; known {
		c.form = f
	}
	for i := 0; i < len(w); i++ {
		next := func(n int) string {
			if i+n < len(w) {
				return w[i+n]
			}
			return ""
		}
		switch {
		case w[i] == "GENERATED":
			c.Generated = true
		case w[i] == "ALWAYS", w[i] == "VIRTUAL", w[i] == "STORED", w[i] == "PERSISTENT", strings.Contains(w[i], "COLUMN_FORMAT"), strings.Contains(w[i], "STORAGE"):
		case w[i] == "AS" && next(1) == "ROW": // START or END
			c.Generated = true
			i += 2
		case w[i] == "AS", w[i] == "COMMENT":
			c.Generated = c.Generated || w[i] == "AS"
			i++
		case w[i] == "CHECK" && !strings.HasPrefix(next(1), "(json_valid("): // which tells MariaDB that it is JSON
			i++
		case w[i] == "WITHOUT" && next(1) == "SYSTEM":
			i += 2
		case w[i] == "DEFAULT" && strings.HasPrefix(next(1), "nextval"):
			c.def = append(c.def, "DEFAULT", "0")
			i += 2
		default:
			if w[i] == "NOT" && next(1) == "NULL" {
				c.null = false
			}
			if w[i] == "CHECK" && slices.Contains(c.def, "utf8mb4") {
				c.form = formJSON
			}
			c.def = append(c.def, w[i])
		}
	}
	t.Columns = append(t.Columns, c)
}

// key adds a key, if w is one.
func (t *Table) key(w []string) {
	i := slices.IndexFunc(w, func(s string) bool { return s[0] == '(' })
	at := slices.Index(w, "KEY")
	if i < 0 || at < 0 || at > 1 || w[0] == "FOREIGN" || w[0] == "CONSTRAINT" {
		return
	}
	k := key{spatial: w[0] == "SPATIAL", primary: w[0] == "PRIMARY", unique: w[0] == "PRIMARY" || w[0] == "UNIQUE"}
	if i > 0 && w[i-1][0] == '`' {
		k.name = unquote(w[i-1])
	}
	list, _ := inside(w[i])
	for _, part := range split(list) {
		p := words(part)
		if len(p) == 0 || p[0][0] != '`' { // an expression
			if k.unique {
				t.computed = k.name
			}
			return
		}
		if slices.Contains(p, "WITHOUT") { // OVERLAPS
			k.unique, k.primary = false, false
			continue
		}
		if w[0] == "FULLTEXT" || w[0] == "VECTOR" { // any key has its flags
			part = p[0] + "(1)"
		}
		k.columns, k.parts = append(k.columns, unquote(p[0])), append(k.parts, strings.TrimSpace(part))
	}
	t.keys = append(t.keys, k)
}

// Named lets the values of ENUM and SET go from server to server by their names: the table there may number others.
func (t *Table) Named() {
	for i := range t.Columns {
		if t.Columns[i].form == formIndex {
			t.Columns[i].form = formBytes
		}
	}
}

// Absent is the column for a Fetch from a table that has none of its name.
func (c Column) Absent() Column {
	c.form = formAbsent
	return c
}

// IsAbsent tells whether the column is that of Absent.
func (c Column) IsAbsent() bool { return c.form == formAbsent }

// Has tells whether all of these are columns of the table.
func (t *Table) Has(names []string) bool {
	for _, name := range names {
		if !slices.ContainsFunc(t.Columns, func(c Column) bool { return strings.EqualFold(c.Name, name) }) {
			return false
		}
	}
	return true
}

// identity is the columns of the primary key, or of the key that servers take for one.
func (t *Table) identity() []string {
	for _, k := range t.keys {
		if k.primary {
			return k.columns
		}
	}
	for _, k := range t.keys {
		null := func(name string) bool {
			return slices.ContainsFunc(t.Columns, func(c Column) bool { return c.null && c.Name == name })
		}
		if k.unique && !slices.ContainsFunc(k.columns, null) {
			return k.columns
		}
	}
	return nil
}

// Needed are the columns that a statement may mean: those with names that it has, in lower case (nil: all), and those that make rows
// unique.
func (t *Table) Needed(names []string, all bool) (needed []Column) {
	identity := t.identity()
	for _, c := range t.Columns {
		_, named := slices.BinarySearch(names, strings.ToLower(c.Name))
		ascii := !strings.ContainsFunc(c.Name, func(r rune) bool { return r >= 0x80 })
		if all || names == nil || named || !ascii || slices.Contains(identity, c.Name) {
			needed = append(needed, c)
		}
	}
	if needed != nil {
		return needed
	}
	// Rows are only counted: any column will do.
	least := slices.IndexFunc(t.Columns, func(c Column) bool { return c.form != formBytes && c.form != formJSON && c.form != formRaw })
	return t.Columns[max(least, 0) : max(least, 0)+1]
}

// Create is the statement that makes a temporary table with the columns; name is quoted. What else a key has is there for the
// flags of its columns. With unique rows must be as unique as in the table.
func (t *Table) Create(name string, columns []Column, unique bool, engine Engine) string {
	loaded := func(name string) bool {
		return slices.ContainsFunc(columns, func(c Column) bool { return c.Name == name })
	}
	var parts, keys, fillers []string
	leading := ""
	for _, k := range t.keys {
		if !slices.ContainsFunc(k.columns, loaded) {
			continue
		}
		whole := true
		list := slices.Clone(k.parts)
		for i, c := range k.columns {
			if loaded(c) {
				continue
			}
			whole = false
			list[i] = Quote(c)
			if !slices.Contains(fillers, c) {
				fillers = append(fillers, c)
			}
		}
		verb := "KEY"
		switch {
		case k.spatial:
			verb = "SPATIAL KEY"
		case k.primary && unique:
			verb = "PRIMARY KEY"
		case k.unique && whole && unique:
			verb = "UNIQUE KEY"
		}
		keys = append(keys, verb+" ("+strings.Join(list, ",")+")")
		leading += Quote(k.columns[0])
	}
	for _, c := range columns {
		def := c.def
		if i := slices.Index(def, "AUTO_INCREMENT"); i >= 0 && !strings.Contains(leading, Quote(c.Name)) {
			def = slices.Delete(slices.Clone(def), i, i+1)
		}
		parts = append(parts, Quote(c.Name)+" "+strings.Join(def, " "))
	}
	for _, c := range fillers {
		parts = append(parts, Quote(c)+" tinyint")
	}
	return "CREATE TEMPORARY TABLE " + name + " (" + strings.Join(append(parts, keys...), ", ") + ") ENGINE=" + engine.String() + t.charset
}

// Fetch is the statement that reads the columns of a table for its loading; columns of filters must be the table's.
// With first only the rows that the statement's LIMIT can mean.
func Fetch(t *router.ScratchTable, columns []Column, filters []router.ScratchFilter, first bool) (sql []byte, params []int) {
	of := ""
	if t.Alias != "" {
		of = Quote(t.Alias) + "."
	}
	sql = append(sql, "SELECT "...)
	for i, c := range columns {
		if i > 0 {
			sql = append(sql, ", "...)
		}
		name := of + Quote(c.Name)
		switch c.form {
		case formFloat:
			name = "CAST(" + name + " * 1e0 AS BINARY)" // + 0e0 would take the sign of -0
		case formIndex:
			name = "CAST(CAST(" + name + " AS UNSIGNED) AS BINARY)"
		case formTimestamp:
			name = "CAST(UNIX_TIMESTAMP(" + name + ") AS BINARY)"
		case formRaw:
		case formAbsent:
			if name = "NULL"; !c.null {
				name = "''"
			}
		default:
			name = "CAST(" + name + " AS BINARY)"
		}
		sql = append(sql, name...)
	}
	sql = fmt.Appendf(sql, " FROM %s.%s", Quote(t.Schema), Quote(t.Name))
	if t.Alias != "" {
		sql = append(append(sql, " AS "...), Quote(t.Alias)...)
	}
	for i, f := range filters {
		sql = append(sql, map[bool]string{true: " WHERE (", false: " AND ("}[i == 0]...)
		sql = append(append(sql, f.SQL...), ')')
		params = append(params, f.Params...)
	}
	limit := uint64(math.MaxUint64) // whatever sql_select_limit is
	if first {
		limit = t.Limit
		if len(t.Order) > 0 {
			sql = append(append(sql, " ORDER BY "...), t.Order...)
		}
	}
	sql = strconv.AppendUint(append(sql, " LIMIT "...), limit, 10)
	return append(sql, t.Lock...), params
}
