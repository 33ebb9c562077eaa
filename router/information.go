package router

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/xaproxy/xaproxy/config"
)

// Tables of information_schema show what their server has. A SELECT about a schema that is whole on one backend, and about nothing else, goes there
// as it is. Any other one runs on scratch tables: of each schema each backend gives the rows about those tables that it is the first one of. Beside
// them are the rows of the other tables that the statement reads.

// informs says how a table of information_schema tells what its rows are about.
type informs struct {
	schemas []string // columns with the name of the schema, lower case; no row has another one in the first
	table   string   // that with the name of the table; "": its rows are about what is no part of a table
	sums    bool     // it counts rows and bytes
}

// informing are the tables that are about schemas. Those that are not here tell of the server.
//
// https://dev.mysql.com/doc/refman/9.4/en/information-schema.html
// https://mariadb.com/docs/server/reference/system-tables/information-schema/information-schema-tables
var informing = map[string]informs{
	"check_constraints":            {schemas: []string{"constraint_schema"}, table: "table_name"},
	"columns":                      {schemas: []string{"table_schema"}, table: "table_name"},
	"columns_extensions":           {schemas: []string{"table_schema"}, table: "table_name"},
	"events":                       {schemas: []string{"event_schema"}},
	"geometry_columns":             {schemas: []string{"g_table_schema", "f_table_schema"}, table: "g_table_name"},
	"key_column_usage":             {schemas: []string{"table_schema", "constraint_schema"}, table: "table_name"},
	"key_period_usage":             {schemas: []string{"table_schema", "constraint_schema"}, table: "table_name"},
	"parameters":                   {schemas: []string{"specific_schema"}},
	"partitions":                   {schemas: []string{"table_schema"}, table: "table_name"},
	"periods":                      {schemas: []string{"table_schema"}, table: "table_name"},
	"referential_constraints":      {schemas: []string{"constraint_schema"}, table: "table_name"},
	"routines":                     {schemas: []string{"routine_schema"}},
	"schemata":                     {schemas: []string{"schema_name"}},
	"schemata_extensions":          {schemas: []string{"schema_name"}},
	"sequences":                    {schemas: []string{"sequence_schema"}, table: "sequence_name"},
	"statistics":                   {schemas: []string{"table_schema", "index_schema"}, table: "table_name"},
	"st_geometry_columns":          {schemas: []string{"table_schema"}, table: "table_name"},
	"table_constraints":            {schemas: []string{"table_schema", "constraint_schema"}, table: "table_name"},
	"table_constraints_extensions": {schemas: []string{"constraint_schema"}, table: "table_name"},
	"tables":                       {schemas: []string{"table_schema"}, table: "table_name", sums: true},
	"tables_extensions":            {schemas: []string{"table_schema"}, table: "table_name"},
	"triggers":                     {schemas: []string{"event_object_schema", "trigger_schema"}, table: "event_object_table"},
	"view_routine_usage":           {schemas: []string{"table_schema"}, table: "table_name"},
	"view_table_usage":             {schemas: []string{"view_schema", "table_schema"}, table: "view_name"},
	"views":                        {schemas: []string{"table_schema"}, table: "table_name"},
}

// Summed are the columns of information_schema.TABLES, in lower case, that are added up over the backends of a sharded table.
var Summed = []string{"table_rows", "data_length", "index_length", "data_free"}

// ScratchShare is what one backend tells of a schema in a table of information_schema.
type ScratchShare struct {
	Backend int    // AnyBackend: each would say the same
	Schema  string // lower case
	// Where is the condition on its rows. Of CHECK_CONSTRAINTS it is MariaDB's; MySQL's, which does not name the table there, is WhereMySQL.
	Where, WhereMySQL string
	// Sum: its rows are only added up with those of the share of the same tables.
	Sum bool
}

// limit is a comparison of the name of a schema with literals, or with the current schema.
type limit struct {
	slots []int
	like  bool // they are patterns
	here  bool
}

// limits is what a condition says of the schemas that the tables of information_schema in sc are about, as far as the rows of the tables in of go.
func (v *resolver) limits(e sqlparser.Expr, of []*ref, sc *scope) map[*ref]*limit {
	switch e := e.(type) {
	case *sqlparser.ParenExpr:
		return v.limits(e.Expr, of, sc)
	case *sqlparser.AndExpr:
		all := v.limits(e.Left, of, sc)
		for r, l := range v.limits(e.Right, of, sc) {
			if all == nil {
				all = map[*ref]*limit{}
			}
			all[r] = l
		}
		return all
	case *sqlparser.OrExpr:
		all := map[*ref]*limit{}
		right := v.limits(e.Right, nil, sc)
		for r, l := range v.limits(e.Left, nil, sc) {
			if other := right[r]; other != nil && l.like == other.like {
				all[r] = &limit{slices.Concat(l.slots, other.slots), l.like, l.here || other.here}
			}
		}
		return all
	case *sqlparser.ComparisonExpr:
		left, right := e.Left, e.Right
		a, b := sc.informed(left), sc.informed(right)
		if a == nil && e.Operator == sqlparser.EqualStr {
			a, b, right = b, a, left
		}
		if a != nil && b != nil && e.Operator == sqlparser.EqualStr {
			a.follow(b, of)
			b.follow(a, of)
			return nil
		}
		if l := v.limit(right, e.Operator); a != nil && l != nil {
			return map[*ref]*limit{a: l}
		}
	}
	return nil
}

// follow notes that the table is about no other schemas than another one, as far as the rows of the tables in of go.
func (r *ref) follow(other *ref, of []*ref) {
	if slices.Contains(of, r) {
		r.follows = append(r.follows, other)
	}
}

// limit reads what a name is compared with; nil if that is something else.
func (v *resolver) limit(e sqlparser.Expr, operator string) *limit {
	l := &limit{like: operator == sqlparser.LikeStr}
	switch operator {
	case sqlparser.EqualStr, sqlparser.NullSafeEqualStr, sqlparser.LikeStr, sqlparser.InStr:
	default:
		return nil
	}
	if c, ok := e.(*sqlparser.CollateExpr); ok {
		e = c.Expr
	}
	list, ok := e.(sqlparser.ValTuple)
	if !ok {
		list = sqlparser.ValTuple{e}
	}
	for _, x := range list {
		if f, ok := x.(*sqlparser.FuncExpr); ok && (f.Name.EqualString("database") || f.Name.EqualString("schema")) && len(f.Exprs) == 0 && f.Qualifier.IsEmpty() && !l.like {
			l.here = true
			continue
		}
		k, ok := v.st.literal(x)
		if !ok || k.minus {
			return nil
		}
		l.slots = append(l.slots, k.slot)
	}
	return l
}

// informed is the table of information_schema whose schema the column names, nil if it does not.
func (sc *scope) informed(e sqlparser.Expr) (found *ref) {
	if c, ok := e.(*sqlparser.CollateExpr); ok {
		e = c.Expr
	}
	column, ok := e.(*sqlparser.ColName)
	if !ok {
		return nil
	}
	name, alias := column.Name.Lowered(), strings.ToLower(column.Qualifier.Name.String())
	for in := sc; in != nil; in = in.outer {
		for _, r := range in.refs {
			if alias != "" && r.alias != alias || !slices.Contains(informing[r.informs].schemas, name) {
				continue
			}
			if found != nil {
				return nil
			}
			found = r
		}
		if found != nil || alias == "" {
			return found
		}
	}
	return nil
}

// names are the schemas that a limit leaves, in lower case; ok tells whether it leaves no others.
func (l *limit) names(pl *placing, current string) (all []string, ok bool) {
	if l.here && current != "" {
		all = append(all, strings.ToLower(current))
	}
	for _, slot := range l.slots {
		var name string
		switch lit := pl.s.lits[slot]; {
		case lit.kind == kString:
			name = string(Unescape(pl.s.sql[lit.start:lit.end], pl.s.mode))
		case lit.kind == kParam && pl.value != nil:
			v := pl.value(int(lit.param))
			if v.Kind == ValueNull {
				continue
			}
			if v.Kind != ValueBytes {
				return nil, false
			}
			name = string(v.Bytes)
		default:
			return nil, false
		}
		if l.like {
			if name, ok = withoutWildcards(name); !ok {
				return nil, false
			}
		}
		all = append(all, strings.ToLower(name))
	}
	return all, true
}

// withoutWildcards is the only text that the pattern of LIKE matches.
func withoutWildcards(pattern string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '%', c == '_':
			return "", false
		case c == '\\' && i+1 < len(pattern):
			i++
			b.WriteByte(pattern[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

// information is what a scratch has of a statement about tables of information_schema.
type information struct {
	current string // schema
	catalog *catalog
	refs    []*ref // the tables of information_schema that are about schemas
	cuts    []span // Scratch.Cuts
	alone   bool   // the statement reads no others than those of system schemas
}

// informed is the shape of a SELECT that reads tables of information_schema, nil if it is none.
func (v *resolver) informed() *shape {
	c := v.st.r.catalog
	in := &information{current: v.st.schema, catalog: c, cuts: v.st.informationOf(), alone: true}
	for _, s := range v.sources {
		if s.informs != "" {
			in.refs = append(in.refs, s.ref)
		}
		in.alone = in.alone && (s.cte != "" || s.place.system)
	}
	if in.refs == nil {
		return nil
	}
	sc := v.scratch()
	if sc != nil && !in.alone {
		sc.only = unsupported(v.st.find(in.refs[0].name), "", "the statement reads tables of %s beside others", informationSchema)
	}
	for range v.sources { // as far as chains of joins go
		for _, s := range v.sources {
			for _, other := range s.follows {
				if s.limit == nil {
					s.limit = other.limit
				}
			}
		}
	}
	return &shape{set: v.st.r.plans.get(v.plan(), len(c.backends)), fixed: v.home, fixedOf: v.homeOf, about: v.about, catalog: c, scratch: sc, information: in, steps: v.steps()}
}

// only plans a statement about tables of information_schema that does not run on scratch tables: where all that it may be about is.
func (in *information) only(sh *shape, pl *placing) (*Plan, *reason) {
	about, limited := map[string]bool{}, true
	for _, r := range in.refs {
		limited = r.about(pl, in.current, about) && limited
	}
	b, ok := in.catalog.direct(slices.Sorted(maps.Keys(about)), limited)
	switch {
	case ok && (b < 0 || sh.fixed < 0 || b == sh.fixed):
		return sh.set.on(max(b, sh.fixed)), nil
	case sh.fixed >= 0:
		return nil, unsupported(-1, "read it first, or with a condition on a schema that is on that backend", "the statement uses %s, and %s shows what several backends have only to SELECTs", sh.fixedOf, informationSchema)
	}
	return nil, unsupported(-1, "write a plain SELECT, or a condition on a schema that is on one backend", "%s shows what several backends have only to SELECTs", informationSchema)
}

// informationOf are the places of "information_schema." before the name of a table that is before that of a column.
func (st *stmt) informationOf() (all []span) {
	for i := range st.toks {
		if strings.EqualFold(st.toks[i].name, informationSchema) && st.op(i+1, ".") && st.op(i+3, ".") {
			all = append(all, st.span(i, i+1))
		}
	}
	return all
}

// inform plans a statement that reads tables of information_schema; with literals that are not known (nil) for a description only.
func (sh *shape) inform(s *scan, pl *placing) *Plan {
	sc := sh.scratch
	in := sh.information
	about, limited := map[string]bool{}, true
	scr := &Scratch{Names: sc.names, Informs: true, Beside: !in.alone, InsertID: sc.leaves}
	traced := &scan{trace: true}
	traced.read(s.sql, "", s.mode, s.skip)
	scr.With = sc.with.of(traced)
	for _, cut := range in.cuts {
		start, end := cut.of(traced)
		scr.Cuts = append(scr.Cuts, ScratchPlace{Start: start, End: end})
	}
	p := sh.set.base
	p.Merge, p.Scratch = MergeScratch, scr
	sc.bring(&p, pl, s, traced)
	for i := range scr.Tables {
		if t := &scr.Tables[i]; t.Informs && pl != nil {
			limited = in.shares(t, &sc.tables[i], pl, about) && limited
		}
	}
	if limited {
		scr.About = slices.Sorted(maps.Keys(about))
	}
	b, direct := in.catalog.direct(scr.About, limited)
	switch {
	case len(p.Parts) == 0: // they are alone
		p.Parts = sh.set.on(b).Parts
	case len(p.Parts) > 1 || b >= 0 && b != p.Parts[0].Backend || pl == nil:
		direct = false
	}
	if scr.Direct = direct; direct {
		p.Merge = MergeNone
	}
	return &p
}

// shares notes what backends tell for a table of information_schema, and the schemas that it is asked about; it tells whether there are no others.
func (in *information) shares(t *ScratchTable, from *scratchTable, pl *placing, about map[string]bool) (limited bool) {
	names, limited := map[string]bool{}, true
	for _, r := range from.refs {
		limited = r.about(pl, in.current, names) && limited
	}
	maps.Copy(about, names)
	t.Lock, t.Limit = "", 0
	if t.Shares = in.catalog.shares(informing[from.informs], from.informs, names, limited); informing[from.informs].sums {
		t.Filters = slices.DeleteFunc(t.Filters, func(f ScratchFilter) bool { return slices.ContainsFunc(Summed, f.Mentions) })
	}
	return limited
}

// Mentions tells whether the condition may be about a column, whose name is in lower case.
func (f *ScratchFilter) Mentions(column string) bool {
	return bytes.Contains(bytes.ToLower(f.SQL), []byte(column))
}

// about notes the schemas that the table is asked about, and tells whether there are no others.
func (r *ref) about(pl *placing, current string, names map[string]bool) bool {
	if r.limit == nil {
		return false
	}
	some, ok := r.limit.names(pl, current)
	for _, name := range some {
		names[name] = true
	}
	return ok
}

// direct is a backend that knows all about these schemas and shows nothing that must not be shown; ok tells whether there is one.
func (c *catalog) direct(about []string, limited bool) (b int, ok bool) {
	if len(c.backends) == 1 {
		return AnyBackend, true
	}
	b = AnyBackend
	for _, name := range about {
		if config.SystemSchema(name) {
			continue
		}
		if c.schemas[name] == nil {
			return AnyBackend, false
		}
		at := c.verbatim(name)
		if at < 0 || b >= 0 && b != at {
			return AnyBackend, false
		}
		b = at
	}
	return b, limited
}

// systemSchemas are the server's own.
var systemSchemas = []string{"information_schema", "mysql", "performance_schema", "sys"}

// shares are what backends tell of these schemas, or of all if the limit is not known.
func (c *catalog) shares(in informs, name string, about map[string]bool, limited bool) (all []ScratchShare) {
	for _, schema := range systemSchemas {
		if !limited || about[schema] {
			all = append(all, ScratchShare{Backend: AnyBackend, Schema: schema, Where: in.schemas[0] + " = " + literalOf(schema)})
		}
	}
	for _, schema := range slices.Sorted(maps.Keys(c.schemas)) {
		if limited && !about[schema] {
			continue
		}
		where := in.schemas[0] + " = " + literalOf(c.schemas[schema].name)
		if in.table == "" {
			all = append(all, ScratchShare{Backend: c.first(schema), Schema: schema, Where: where})
			continue
		}
		for _, b := range c.on(schema) {
			if of := c.schemas[schema].shownBy(b); of != "" {
				share := ScratchShare{Backend: b, Schema: schema, Where: where + " AND LOWER(" + in.table + ") " + of}
				if name == "check_constraints" {
					share.WhereMySQL = fmt.Sprintf("%s AND CONSTRAINT_NAME IN (SELECT CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS WHERE %[1]s AND LOWER(TABLE_NAME) %s)", where, of)
				}
				all = append(all, share)
			}
			if of := c.schemas[schema].summedBy(b); of != "" && in.sums {
				all = append(all, ScratchShare{Backend: b, Schema: schema, Where: where + " AND LOWER(" + in.table + ") " + of, Sum: true})
			}
		}
	}
	return all
}

// shownBy is the condition behind the name of a table that the backend is the first one of, "" if there is none.
func (s *schema) shownBy(b int) string {
	var mine []string
	others := []string{literalOf(sequenceTable)}
	for _, name := range s.names {
		if s.tables[name].first() == b {
			mine = append(mine, literalOf(name))
		} else {
			others = append(others, literalOf(name))
		}
	}
	switch {
	case s.backend == b:
		return "NOT IN (" + strings.Join(others, ", ") + ")"
	case mine == nil:
		return ""
	}
	return "IN (" + strings.Join(mine, ", ") + ")"
}

// summedBy is the condition behind the name of a sharded table of which the backend has a part and is not the first one.
func (s *schema) summedBy(b int) string {
	var all []string
	for _, name := range s.names {
		if t := s.tables[name]; t.sharded() && t.first() != b && slices.Contains(t.sharding.backends, b) {
			all = append(all, literalOf(name))
		}
	}
	if all == nil {
		return ""
	}
	return "IN (" + strings.Join(all, ", ") + ")"
}

// literalOf is a name as a literal in whatever character set and sql_mode.
func literalOf(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' || r == '\'' || r == '\\' }) {
		return fmt.Sprintf("_utf8mb4 x'%x'", name)
	}
	return "'" + name + "'"
}
