package dialect

import (
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// selects translates a query.
func (t *translator) selects(n sqlparser.SelectStatement) error {
	s, ok := n.(*sqlparser.Select)
	if !ok || len(s.From) > 0 && sqlparser.String(s.From) != "dual" || s.Where != nil || s.GroupBy != nil || s.Having != nil {
		return refuse(0, "this query is not translated to PostgreSQL yet", raw)
	}
	var texts []string
	var columns []ResultColumn
	for _, e := range s.SelectExprs {
		a, ok := e.(*sqlparser.AliasedExpr)
		if !ok {
			return refuse(0, "this query is not translated to PostgreSQL yet", raw)
		}
		v, ok := a.Expr.(*sqlparser.SQLVal)
		if !ok {
			return refuse(0, "this query is not translated to PostgreSQL yet", raw)
		}
		l, _, err := t.src.marked(v)
		if err != nil {
			return err
		}
		texts = append(texts, quoteText(l.text))
		columns = append(columns, ResultColumn{Name: l.text, Type: Type{Kind: l.kind}})
	}
	t.step(Step{Kind: Rows, Text: "SELECT " + strings.Join(texts, ", "), Columns: columns})
	return nil
}
