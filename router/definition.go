package router

import (
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/config"
)

// column is a column that CREATE or ALTER TABLE defines.
type column struct {
	name, kind      string // lower case
	at              int
	auto, generated bool
}

// index is a primary or unique key that a statement defines, with its columns in lower case.
type index struct {
	what    string
	columns []string
}

// integers, texts and days are the types that the functions of shard maps can take.
var (
	integers = set("tinyint smallint mediumint int integer bigint bool boolean serial int1 int2 int3 int4 int8 middleint")
	texts    = set("char character varchar varcharacter nchar nvarchar national tinytext text mediumtext longtext long binary varbinary")
	days     = set("date datetime")
)

// Unfit says which types a function of shard maps takes, "" if a column of this type, in lower case and without a length, can be its
// key.
func Unfit(function, kind string) (wants string) {
	fit := integers[kind] || texts[kind]
	wants = "an integer or a character type"
	switch function {
	case config.Dates, config.Day, config.Month, config.Year:
		fit, wants = days[kind], "DATE or DATETIME"
	case config.Modulo, config.Range:
		fit, wants = integers[kind], "an integer"
	}
	if fit {
		return ""
	}
	return wants
}

// Integer reports whether a column of this type, in lower case and without a length, can have the numbers of a sequence.
func Integer(kind string) bool { return integers[kind] }

// elements are the definitions between the brackets that begin at the i-th token; next is behind them.
func (st *stmt) elements(i int) (all [][2]int, next int, ok bool) {
	if !st.op(i, "(") {
		return nil, i, false
	}
	end := st.closing(i)
	if end >= len(st.toks) {
		return nil, i, false
	}
	return st.commas(i+1, end), end + 1, true
}

// element reads a definition: a column, a key, or something else.
func (st *stmt) element(e [2]int) (c *column, keys []index) {
	i := e[0]
	if st.word(i) == "CONSTRAINT" {
		if i++; !constraints[st.word(i)] {
			i++
		}
	}
	switch w := st.word(i); {
	case w == "PRIMARY" || w == "UNIQUE":
		for i < e[1] && !st.op(i, "(") {
			i++
		}
		what := "the unique key"
		if w == "PRIMARY" {
			what = "the primary key"
		}
		return nil, []index{{what, st.keyColumns(i)}}
	case constraints[w], others[w], w == "PERIOD" && st.word(i+1) == "FOR", w == "VECTOR" && (st.word(i+1) == "INDEX" || st.word(i+1) == "KEY"), i >= e[1], st.toks[i].name == "":
		return nil, nil
	}
	c = &column{name: strings.ToLower(st.toks[i].name), kind: strings.ToLower(st.word(i + 1)), at: st.at(i), auto: st.word(i+1) == "SERIAL"}
	depth := 0
	for j := i + 2; j < e[1]; j++ {
		switch w := st.word(j); {
		case st.op(j, "("):
			depth++
		case st.op(j, ")"):
			depth--
		case depth > 0:
		case w == "AUTO_INCREMENT":
			c.auto = true
		case w == "GENERATED", w == "AS" && st.op(j+1, "("):
			c.generated = true
		case w == "UNIQUE":
			keys = append(keys, index{"the unique key", []string{c.name}})
		case (w == "PRIMARY" || w == "KEY") && st.word(j-1) != "UNIQUE" && st.word(j-1) != "PRIMARY" && st.word(j-1) != "COLUMN_FORMAT":
			keys = append(keys, index{"the primary key", []string{c.name}})
		}
	}
	return c, keys
}

var (
	constraints = map[string]bool{"PRIMARY": true, "UNIQUE": true, "FOREIGN": true, "CHECK": true}
	others      = map[string]bool{"KEY": true, "INDEX": true, "FULLTEXT": true, "SPATIAL": true, "LIKE": true}
)

// keyColumns are the columns in the brackets at i; an expression is "".
func (st *stmt) keyColumns(i int) (names []string) {
	parts, _, _ := st.elements(i)
	for _, p := range parts {
		names = append(names, strings.ToLower(st.toks[min(p[0], len(st.toks)-1)].name))
	}
	return names
}

// note adds a warning for each key that a shard cannot enforce for the others.
func (d *DDL) note(t *table, keys []index) {
	if t == nil {
		return
	}
	for _, k := range keys {
		if slices.ContainsFunc(t.columns, func(c string) bool { return !slices.Contains(k.columns, c) }) {
			d.Notes = append(d.Notes, k.what+" ("+strings.Join(k.columns, ", ")+") of "+t.name+" lacks the shard key ("+t.key()+"): each backend enforces it for its own rows only")
		}
	}
}

// notesOfIndex is note for CREATE INDEX.
func (st *stmt) notesOfIndex(d *DDL, p *placed) {
	if st.word(1) == "UNIQUE" || st.words(1, "OR", "REPLACE", "UNIQUE") {
		rest := st.behind(p.object)
		i := 0
		for i < len(rest.toks) && !rest.op(i, "(") {
			i++
		}
		d.note(p.table, []index{{"the unique key", rest.keyColumns(i)}})
	}
}

// creates checks that CREATE TABLE makes what the configuration says of the table.
func (st *stmt) creates(d *DDL, p *placed) *reason {
	rest := st.behind(p.object)
	if i := rest.has("SELECT", "TABLE"); i >= 0 {
		return unsupported(rest.at(i), "create it first, then INSERT ... SELECT", "CREATE TABLE ... SELECT of %s is not supported: its rows belong on several backends", p.kind())
	}
	if rest.word(0) == "LIKE" || rest.op(0, "(") && rest.word(1) == "LIKE" {
		i := 1 + rest.has("LIKE")
		return rest.copiesOf(p, i)
	}
	if why := rest.companions(d, p); why != nil {
		return why
	}
	elements, _, ok := rest.elements(0)
	if !ok {
		return st.wrong(len(st.toks) - len(rest.toks))
	}
	columns := map[string]*column{}
	for _, e := range elements {
		c, keys := rest.element(e)
		if c != nil {
			columns[c.name] = c
		}
		d.note(p.table, keys)
	}
	return p.keyed(d, columns)
}

// keyed says what a sharded table's columns lack.
func (p *placed) keyed(d *DDL, columns map[string]*column) *reason {
	t := p.table
	if t == nil {
		return nil
	}
	for _, name := range t.columns {
		c := columns[name]
		switch {
		case c == nil:
			return unsupported(p.at, "add it, or change the configuration", "%s has no column %s, its shard key", p.kind(), name)
		case c.generated:
			return unsupported(c.at, "make it a plain one", "column %s, the shard key of %s, is generated, so that no INSERT could name it", name, t.name)
		}
		if want := Unfit(t.sharding.function, c.kind); want != "" {
			return unsupported(c.at, "use one, or another shard map", "column %s, the shard key of %s, is %s, and function %s takes %s", name, t.name, strings.ToUpper(c.kind), t.sharding.function, want)
		}
	}
	for _, c := range columns {
		if c.auto && c.name != t.auto {
			d.Notes = append(d.Notes, "column "+c.name+" of "+t.name+" is AUTO_INCREMENT without a sequence: each backend numbers its own rows; set auto_increment in its [[tables]] entry")
		}
	}
	switch c := columns[t.auto]; {
	case t.auto == "":
	case c == nil:
		return unsupported(p.at, "add it, or change auto_increment in its [[tables]] entry", "%s has no column %s, whose numbers come from a sequence", p.kind(), t.auto)
	case !integers[c.kind]:
		return unsupported(c.at, "use an integer type", "column %s of %s, whose numbers come from a sequence, is %s", t.auto, t.name, strings.ToUpper(c.kind))
	}
	return nil
}

// copiesOf checks CREATE TABLE ... LIKE, i being the token of the other table.
func (st *stmt) copiesOf(p *placed, i int) *reason {
	of, why := st.other(i)
	switch {
	case why != nil:
		return why
	case of.likewise(p):
		return nil
	}
	return unsupported(of.at, "write its columns out", "%s would have the columns of %s, which the configuration has elsewhere or with another shard key", p.kind(), of.kind())
}

// other finds the table whose name is at the i-th token.
func (st *stmt) other(i int) (*placed, *reason) {
	o, _, ok := st.object(i)
	if !ok {
		return nil, st.wrong(i)
	}
	at, in, why := st.r.catalog.resolve(o.schema, o.name, st.schema, o.at)
	return &placed{o, at, in}, why
}

// companions checks the other tables that CREATE or ALTER TABLE names, and what would not be the same on all copies.
func (st *stmt) companions(d *DDL, p *placed) *reason {
	for i := range st.toks {
		switch {
		case st.word(i) == "REFERENCES":
			of, why := st.other(i + 1)
			switch {
			case why != nil:
				return why
			case of.table != nil && p.table != nil && of.table.together(p.table):
			case of.copied != nil && len(common(of.copied.copies, p.backends())) == len(p.backends()):
			default:
				return unsupported(of.at, "leave the constraint out", "rows of %s cannot refer to %s: these are not on the same backends", p.kind(), of.kind())
			}
		case st.word(i) == "EXCHANGE":
			w := i
			for w < len(st.toks) && st.word(w) != "TABLE" {
				w++
			}
			of, why := st.other(w + 1)
			switch {
			case why != nil:
				return why
			case !p.likewise(of):
				return unsupported(of.at, "configure both alike", "%s cannot exchange rows with %s, which the configuration has elsewhere", p.kind(), of.kind())
			}
			d.Blind = true
		case st.word(i) == "UNION" && (st.op(i+1, "=") || st.op(i+1, "(")):
			return unsupported(st.at(i), "leave it out", "%s cannot be a MERGE table", p.kind())
		case p.copied != nil && st.toks[i].name != "" && unlike[strings.ToLower(st.toks[i].name)] && st.op(i+1, "("):
			return unsupported(st.at(i), "compute it in the client", "%s() may have another value on each backend of %s", st.toks[i].name, p.kind())
		}
	}
	d.Alike = p.copied != nil
	return nil
}

// alters checks the changes of ALTER TABLE.
func (st *stmt) alters(d *DDL, p *placed) *reason {
	rest := st.behind(p.object)
	if why := rest.companions(d, p); why != nil {
		return why
	}
	i := 0
	for rest.word(i) == "WAIT" || rest.word(i) == "NOWAIT" || i < len(rest.toks) && rest.toks[i].kind.literal() {
		i++
	}
	for _, spec := range rest.commas(i, len(rest.toks)) {
		if why := rest.alteration(d, p, spec); why != nil {
			return why
		}
	}
	if rest.has("TRUNCATE", "ANALYZE", "OPTIMIZE", "CHECK", "REPAIR", "REBUILD") == i && rest.word(i+1) == "PARTITION" {
		d.Again, d.Rows = true, rest.word(i) != "TRUNCATE" && rest.word(i) != "REBUILD"
		d.Exclusive = rest.word(i) == "TRUNCATE" && p.copied != nil
	}
	return nil
}

// alteration checks one change.
func (st *stmt) alteration(d *DDL, p *placed, spec [2]int) *reason {
	i := spec[0]
	verb := st.word(i)
	if i++; verb == "RENAME" {
		switch st.word(i) {
		case "COLUMN":
			return st.keeps(p, i+1, "renamed")
		case "INDEX", "KEY":
			return nil
		}
		if st.word(i) == "TO" || st.word(i) == "AS" || st.op(i, "=") {
			i++
		}
		to, why := st.other(i)
		if why != nil {
			return why
		}
		o := Object{to.schema, to.name}
		if o.Schema == "" {
			o.Schema = st.schema
		}
		d.Objects = append(d.Objects, o)
		return p.becomes(to)
	}
	column := st.word(i) == "COLUMN"
	if column {
		i++
	}
	for st.word(i) == "IF" || st.word(i) == "NOT" || st.word(i) == "EXISTS" {
		i++
	}
	switch verb {
	case "DROP":
		if column || !dropped[st.word(i)] {
			return st.keeps(p, i, "dropped")
		}
	case "CHANGE", "MODIFY":
		return st.keeps(p, i, "changed")
	case "ADD":
		all := [][2]int{{i, spec[1]}}
		if parts, _, ok := st.elements(i); ok {
			all = parts
		}
		for _, e := range all {
			c, keys := st.element(e)
			d.note(p.table, keys)
			switch {
			case c == nil || !c.auto:
			case p.copied != nil:
				return unsupported(c.at, "add it on an empty table", "each backend of %s would number its rows in the order in which it finds them", p.kind())
			case c.name != p.table.auto:
				d.Notes = append(d.Notes, "column "+c.name+" of "+p.table.name+" is AUTO_INCREMENT without a sequence: each backend numbers its own rows; set auto_increment in its [[tables]] entry")
			}
		}
	}
	return nil
}

// dropped are what else than a column may be behind DROP.
var dropped = map[string]bool{
	"INDEX": true, "KEY": true, "PRIMARY": true, "FOREIGN": true, "CHECK": true, "CONSTRAINT": true, "PARTITION": true, "SYSTEM": true, "PERIOD": true,
}

// keeps refuses to change the column at i if the place of rows depends on it.
func (st *stmt) keeps(p *placed, i int, how string) *reason {
	if i >= len(st.toks) || p.table == nil {
		return nil
	}
	switch name := strings.ToLower(st.toks[i].name); {
	case slices.Contains(p.table.columns, name):
		return unsupported(st.at(i), "make a new table and copy the rows", "column %s is the shard key of %s and cannot be %s: rows would not be found again", name, p.kind(), how)
	case name != "" && name == p.table.auto:
		return unsupported(st.at(i), "change auto_increment in its [[tables]] entry first", "the numbers of column %s of %s come from a sequence, so that it cannot be %s", name, p.kind(), how)
	}
	return nil
}
