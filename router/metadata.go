package router

import (
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// Statements on system schemas are answered by any backend, but each of them only knows its own part of the schemas. When the
// statement compares a column of schema names with a literal, a backend that has that schema is asked.

// schemaColumns are the columns of information_schema and performance_schema with the name of the schema that a row is about.
var schemaColumns = set(`table_schema schema_name constraint_schema index_schema routine_schema specific_schema trigger_schema
	event_object_schema event_schema object_schema`)

// schemaNames notes the literals in schema column = literal, LIKE literal and IN (literals).
func (v *resolver) schemaNames(e *sqlparser.ComparisonExpr) {
	left, right := e.Left, e.Right
	switch e.Operator {
	case sqlparser.EqualStr, sqlparser.NullSafeEqualStr, sqlparser.LikeStr, sqlparser.InStr:
	default:
		return
	}
	if c, ok := left.(*sqlparser.CollateExpr); ok {
		left = c.Expr
	}
	column, ok := left.(*sqlparser.ColName)
	if !ok || !schemaColumns[column.Name.Lowered()] {
		return
	}
	list, ok := right.(sqlparser.ValTuple)
	if !ok {
		list = sqlparser.ValTuple{right}
	}
	for _, x := range list {
		if k, ok := v.st.literal(x); ok && !k.minus {
			v.about = append(v.about, k.slot)
		}
	}
}

// asked is the backend of the first of these literals that is a schema, AnyBackend if there is none.
func (c *catalog) asked(about []int, s *scan, value func(int) Value) int {
	for _, slot := range about {
		var name []byte
		switch lit := s.lits[slot]; lit.kind {
		case kString:
			name = Unescape(s.sql[lit.start:lit.end], s.mode)
		case kParam:
			name = value(int(lit.param)).Bytes
		}
		// A pattern with \_ means the name with _.
		schema := strings.ToLower(strings.ReplaceAll(string(name), `\_`, "_"))
		if c.schemas[schema] != nil {
			return c.first(schema)
		}
	}
	return AnyBackend
}
