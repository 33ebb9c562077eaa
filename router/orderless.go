package router

import (
	"slices"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// Orderless says on what it depends that a SELECT has the same rows, themselves in any order, whatever the order in which the server reads
// those of its tables: what the columns with these names, in lower case, hold.
type Orderless struct {
	Exact []string // integers or DECIMAL, of at most MaxExact digits
	Alike []string // values that are the same if they are equal
}

// MaxExact is how many digits a number may have that is added up, or is one of two factors of what is. That leaves as many of the 65 digits of
// DECIMAL for the count of rows, so that no sum is cut, whatever is added first.
const MaxExact = 20

// ordering are words of what may depend on the order of rows, or is not looked at.
var ordering = []string{
	"DISTINCTROW", "EXCEPT", "FETCH", "FOR", "INTERSECT", "INTO", "JSON_TABLE", "LATERAL", "LIMIT", "LOCK", "OFFSET", "OVER", "PROCEDURE", "ROWNUM",
	"SQL_CALC_FOUND_ROWS", "TABLE", "UNION", "VALUES", "WINDOW", "WITH",
}

// orderless is the Orderless of the statement, nil if its answer may depend on the order.
func (v *resolver) orderless() *Orderless {
	st := v.st
	tree, plain := v.tree.(*sqlparser.Select)
	if !plain || len(st.blanks) > 0 || v.derived || v.subquery || len(v.routines) > 0 || v.leaves != PinNone || st.mode&SelectLimit != 0 || st.has(ordering...) >= 0 {
		return nil
	}
	queries := 0
	for i, t := range st.toks {
		name := strings.ToLower(t.name)
		switch {
		case t.word == "SELECT":
			queries++
		case t.word == "DISTINCT" && st.word(i-2) != "COUNT":
			return nil
		case t.kind == kUserVar, unstable[name] && name != "now" && name != "curdate" && st.op(i+1, "("):
			return nil
		}
	}
	switch {
	case queries > 1:
		return nil
	case v.aggregate || len(tree.GroupBy) > 0 || tree.Having != nil:
		return v.groupsOrderless(tree)
	case len(tree.OrderBy) > 0: // rows that are equal to it come in any order, and servers keep the one they have read
		return nil
	}
	return &Orderless{}
}

// groupsOrderless is orderless for groups, of which there is no more than one without GROUP BY.
func (v *resolver) groupsOrderless(tree *sqlparser.Select) *Orderless {
	g := &orderlessGroups{st: v.st, aliases: map[string]bool{}}
	known := v.st.identifiers()
	if known == nil { // some are not ASCII, whose case is not folded here
		return nil
	}
	for _, e := range tree.GroupBy {
		name := columnName(e)
		if name == "" {
			return nil
		}
		g.columns, g.Alike = append(g.columns, asWritten(e)), append(g.Alike, strings.ToLower(name))
	}
	named := slices.Clone(g.Alike)
	for _, e := range tree.SelectExprs {
		one, ok := e.(*sqlparser.AliasedExpr)
		if !ok || !g.same(one.Expr) {
			return nil
		}
		if one.As.IsEmpty() {
			continue
		}
		alias := one.As.Lowered()
		// GROUP BY may mean the alias, and a string is not in the shape.
		if slices.Contains(named, alias) || !slices.Contains(known, alias) {
			return nil
		}
		g.aliases[alias] = true
	}
	if tree.Having != nil { // which knows no columns besides those of the groups and of the select list
		g.inHaving = true
		if !g.same(tree.Having.Expr) {
			return nil
		}
		g.inHaving = false
	}
	var sorted []string
	for _, o := range tree.OrderBy {
		if c, ok := o.Expr.(*sqlparser.ColName); ok && c.Qualifier.IsEmpty() && g.aliases[c.Name.Lowered()] {
			continue
		}
		if !g.same(o.Expr) {
			return nil
		}
		sorted = append(sorted, asWritten(o.Expr))
	}
	for _, column := range g.columns {
		if len(tree.OrderBy) > 0 && !slices.Contains(sorted, column) { // some groups may be equal to it
			return nil
		}
	}
	return &g.Orderless
}

// asWritten is a column as it is written: tables of an outer join may have different values in columns of one name.
func asWritten(e sqlparser.Expr) string {
	c, ok := e.(*sqlparser.ColName)
	if !ok {
		return ""
	}
	return sqlparser.String(c.Qualifier) + "." + c.Name.Lowered()
}

// orderlessGroups collects what must hold.
type orderlessGroups struct {
	Orderless
	st       *stmt
	columns  []string // of GROUP BY, as they are written
	aliases  map[string]bool
	inHaving bool
}

// same tells whether all rows of a group give the expression the same value, or an aggregate that no order changes.
func (g *orderlessGroups) same(e sqlparser.Expr) bool {
	ok := true
	each(e, func(n any) bool {
		switch n := n.(type) {
		case *sqlparser.FuncExpr:
			if !aggregates[n.Name.Lowered()] {
				return ok
			}
			ok = ok && g.aggregate(n)
			return false
		case *sqlparser.GroupConcatExpr, *sqlparser.Subquery, *sqlparser.StarExpr:
			ok = false
		case *sqlparser.ColName:
			ok = ok && n.StoredProcVal == nil && (slices.Contains(g.columns, asWritten(n)) || g.inHaving && n.Qualifier.IsEmpty() && g.aliases[n.Name.Lowered()])
			return false
		}
		return ok
	})
	return ok
}

// aggregate tells whether the value of the function depends on its rows, but not on their order.
func (g *orderlessGroups) aggregate(f *sqlparser.FuncExpr) bool {
	name := f.Name.Lowered()
	if name == "count" {
		return true
	}
	if len(f.Exprs) != 1 {
		return false
	}
	of, ok := f.Exprs[0].(*sqlparser.AliasedExpr)
	if !ok {
		return false
	}
	switch name {
	case "sum", "avg":
		factors, ok := g.exact(of.Expr)
		return ok && factors <= 2
	case "min", "max":
		column := strings.ToLower(columnName(of.Expr))
		g.Alike = append(g.Alike, column)
		return column != ""
	}
	return false
}

// exact tells whether the expression is a number that is not rounded, and how many numbers it multiplies at most.
func (g *orderlessGroups) exact(e sqlparser.Expr) (factors int, ok bool) {
	most := func(all ...sqlparser.Expr) (factors int, ok bool) {
		for _, e := range all {
			n, ok := g.exact(e)
			if !ok {
				return 0, false
			}
			factors = max(factors, n)
		}
		return factors, true
	}
	switch e := e.(type) {
	case *sqlparser.ColName:
		g.Exact = append(g.Exact, strings.ToLower(columnName(e)))
		return 1, columnName(e) != ""
	case *sqlparser.SQLVal:
		slot, err := strconv.Atoi(string(e.Val))
		integer := slices.ContainsFunc(g.st.toks, func(t tok) bool { return t.kind == kInt && t.slot == slot-marker })
		return 1, err == nil && e.Type == sqlparser.IntVal && integer
	case *sqlparser.NullVal:
		return 0, true
	case *sqlparser.ParenExpr:
		return g.exact(e.Expr)
	case *sqlparser.UnaryExpr:
		n, ok := g.exact(e.Expr)
		return n, ok && e.Operator == sqlparser.UMinusStr
	case *sqlparser.BinaryExpr:
		l, lok := g.exact(e.Left)
		r, rok := g.exact(e.Right)
		switch e.Operator {
		case sqlparser.PlusStr, sqlparser.MinusStr:
			return max(l, r), lok && rok
		case sqlparser.MultStr:
			return l + r, lok && rok
		}
	case *sqlparser.CaseExpr:
		var all []sqlparser.Expr
		for _, w := range e.Whens {
			all = append(all, w.Val)
		}
		if e.Else != nil {
			all = append(all, e.Else)
		}
		return most(all...)
	case *sqlparser.FuncExpr:
		var all []sqlparser.Expr
		for _, a := range e.Exprs {
			one, ok := a.(*sqlparser.AliasedExpr)
			if !ok {
				return 0, false
			}
			all = append(all, one.Expr)
		}
		switch name := e.Name.Lowered(); {
		case name == "if" && len(all) == 3:
			return most(all[1:]...)
		case name == "ifnull", name == "coalesce":
			return most(all...)
		}
	}
	return 0, false
}

// holds tells whether that is so for the text that was read into s: no integer is longer than MaxExact, and all servers read the same.
func (o *Orderless) holds(s *scan) bool {
	return o != nil && !s.exec && !slices.ContainsFunc(s.lits, func(l literal) bool { return l.kind == kInt && l.end-l.start > MaxExact })
}
