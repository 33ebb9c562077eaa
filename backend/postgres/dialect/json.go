package dialect

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// document is the value as JSON: a string is parsed.
func (t *translator) document(v value) (value, error) {
	if v.isParam() && v.t.Kind == Unknown || v.isParam() && v.t.Kind == Varchar {
		n := t.src.paramIndex(v.lit.tok)
		return value{s: t.parameter(n, "jsonb", StringClass), t: Type{Kind: JSON}}, nil
	}
	switch {
	case v.t.Kind == JSON:
		return v, nil
	case v.t.Kind == Null:
		v.s, v.t = "NULL::jsonb", Type{Kind: JSON}
		return v, nil
	case v.t.Kind.text():
		r := with(value{s: "(" + v.s + ")::jsonb", t: Type{Kind: JSON}}, v)
		return r, nil
	}
	return v, refuse(t.at(v), describe(v.t)+" as JSON is not translated", "hand a JSON column or a string over")
}

// element is a value as part of a JSON document: a string is a string.
func (t *translator) element(v value) (value, error) {
	v = t.bind(v, varchar)
	r := with(value{t: Type{Kind: JSON}}, v)
	switch {
	case v.t.Kind == JSON:
		return v, nil
	case v.isNull() || v.t.Kind == Null:
		r.s = "'null'::jsonb"
		return r, nil
	case v.cond:
		// TRUE and FALSE are booleans, and so is a comparison.
		r.s = "xaproxy.json_value(to_jsonb(" + v.s + "))"
	case v.t.Kind.integer(), v.t.Kind == Double:
		r.s = "xaproxy.json_value(to_jsonb(" + v.s + "))"
	case v.t.Kind == Decimal:
		r.s = "xaproxy.json_value(to_jsonb(" + v.s + "))"
	case v.t.Kind.text():
		r.s = "xaproxy.json_value(to_jsonb(" + v.s + "::text))"
	default:
		return v, refuse(t.at(v), describe(v.t)+" as part of JSON is not translated", "CAST it to CHAR")
	}
	return r, nil
}

// step of a JSON path: a member or an index.
type step struct {
	member  string
	index   int
	isIndex bool
}

// path reads a JSON path of members and indices.
func (t *translator) path(v value) ([]step, error) {
	bad := func() error {
		return refuse(t.at(v), "this JSON path is not translated", "write one of members and indices, as '$.a.b[0]'")
	}
	if !v.isConst() || v.t.Kind != Varchar || !strings.HasPrefix(v.lit.text, "$") {
		return nil, bad()
	}
	var steps []step
	for rest := v.lit.text[1:]; rest != ""; {
		switch {
		case strings.HasPrefix(rest, `."`):
			end := strings.IndexByte(rest[2:], '"')
			if end < 0 || strings.IndexByte(rest[2:2+end], '\\') >= 0 {
				return nil, bad()
			}
			steps = append(steps, step{member: rest[2 : 2+end]})
			rest = rest[end+3:]
		case rest[0] == '.':
			end := 1
			for end < len(rest) && (rest[end] == '_' || rest[end] == '$' || rest[end] >= 0x80 || rest[end]|0x20 >= 'a' && rest[end]|0x20 <= 'z' || rest[end] >= '0' && rest[end] <= '9' && end > 1) {
				end++
			}
			if end == 1 {
				return nil, bad()
			}
			steps = append(steps, step{member: rest[1:end]})
			rest = rest[end:]
		case rest[0] == '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, bad()
			}
			n, err := strconv.Atoi(strings.TrimSpace(rest[1:end]))
			if err != nil || n < 0 {
				return nil, bad()
			}
			steps = append(steps, step{index: n, isIndex: true})
			rest = rest[end+1:]
		default:
			return nil, bad()
		}
	}
	return steps, nil
}

// extract is the part of a document at a path.
func (t *translator) extract(doc, path value) (value, error) {
	doc, err := t.document(doc)
	if err != nil {
		return doc, err
	}
	steps, err := t.path(path)
	if err != nil {
		return doc, err
	}
	s := doc.s
	for _, p := range steps {
		if p.isIndex {
			s = fmt.Sprintf("xaproxy.json_at(%s, %d)", s, p.index)
		} else {
			s = "(" + s + " -> " + quoteText(p.member) + ")"
		}
	}
	v := with(value{s: s, t: Type{Kind: JSON}}, doc)
	v.notNull = false
	return v, nil
}

func unquoted(v value) value {
	r := with(value{s: "xaproxy.json_unquote(" + v.s + ")", t: Type{Kind: LongText, Collation: "utf8mb4_bin"}, rank: implicit}, v)
	return r
}

// jsonOperator is column->path, and column->>path.
func (t *translator) jsonOperator(left, right sqlparser.Expr, op string) (value, error) {
	l, r, err := t.both(left, right)
	if err != nil {
		return l, err
	}
	v, err := t.extract(l, r)
	if err == nil && op == sqlparser.JSONUnquoteExtractOp {
		v = unquoted(v)
	}
	return v, err
}

func jsonExtract(t *translator, c *call) (value, error) {
	if len(c.args) != 2 {
		return value{}, t.refuse(c.name, "extract one by one", "JSON_EXTRACT of several paths is not translated")
	}
	return t.extract(c.args[0], c.args[1])
}

func jsonUnquote(t *translator, c *call) (value, error) {
	if len(c.args) != 1 {
		return value{}, t.wrongCount(c)
	}
	if c.args[0].t.Kind != JSON {
		return value{}, t.refuse(c.name, "unquote a JSON value", "JSON_UNQUOTE of a string is not translated")
	}
	return unquoted(c.args[0]), nil
}

func jsonValue(t *translator, c *call) (value, error) {
	return value{}, t.refuse(c.name, "use ->>", "JSON_VALUE is not translated")
}

// jsonBuild is JSON_OBJECT, and JSON_ARRAY.
func jsonBuild(t *translator, c *call) (value, error) {
	var texts []string
	for i, a := range c.args {
		if c.name == "JSON_OBJECT" && i%2 == 0 {
			k, err := t.text(a)
			if err != nil {
				return k, err
			}
			texts = append(texts, k.s)
			continue
		}
		e, err := t.element(a)
		if err != nil {
			return e, err
		}
		texts = append(texts, e.s)
	}
	if c.name == "JSON_OBJECT" && len(c.args)%2 == 1 {
		return value{}, t.wrongCount(c)
	}
	v := with(value{s: strings.Replace(strings.ToLower(c.name), "json_", "jsonb_build_", 1) + "(" + strings.Join(texts, ", ") + ")", t: Type{Kind: JSON}}, c.args...)
	v.notNull = true
	return v, nil
}

// jsonSet is JSON_SET, JSON_INSERT and JSON_REPLACE of members.
func jsonSet(t *translator, c *call) (value, error) {
	if len(c.args) < 3 || len(c.args)%2 == 0 {
		return value{}, t.wrongCount(c)
	}
	doc, err := t.document(c.args[0])
	if err != nil {
		return doc, err
	}
	s := doc.s
	for i := 1; i < len(c.args); i += 2 {
		members, err := t.members(c.args[i])
		if err != nil {
			return doc, err
		}
		e, err := t.element(c.args[i+1])
		if err != nil {
			return e, err
		}
		s = fmt.Sprintf("xaproxy.%s(%s, %s, %s)", strings.ToLower(c.name), s, members, e.s)
	}
	v := with(value{s: s, t: Type{Kind: JSON}}, c.args...)
	v.notNull = doc.notNull
	return v, nil
}

func jsonRemove(t *translator, c *call) (value, error) {
	if len(c.args) < 2 {
		return value{}, t.wrongCount(c)
	}
	doc, err := t.document(c.args[0])
	if err != nil {
		return doc, err
	}
	s := doc.s
	for _, p := range c.args[1:] {
		members, err := t.members(p)
		if err != nil {
			return doc, err
		}
		s = fmt.Sprintf("xaproxy.json_remove(%s, %s)", s, members)
	}
	return with(value{s: s, t: Type{Kind: JSON}}, doc), nil
}

// jsonContainsPath is JSON_CONTAINS_PATH.
func jsonContainsPath(t *translator, c *call) (value, error) {
	if len(c.args) < 3 || !c.args[1].isConst() {
		return value{}, t.wrongCount(c)
	}
	op, ok := map[string]string{"one": " OR ", "all": " AND "}[strings.ToLower(c.args[1].lit.text)]
	if !ok {
		return value{}, &Error{Errno: 3154, State: "42000", At: t.at(c.args[1]), What: "The oneOrAll argument to json_contains_path may take these values: 'one' or 'all'."}
	}
	doc, err := t.document(c.args[0])
	if err != nil {
		return doc, err
	}
	var parts []string
	for _, path := range c.args[2:] {
		v, err := t.extract(doc, path)
		if err != nil {
			return v, err
		}
		parts = append(parts, v.s+" IS NOT NULL")
	}
	return with(condition("(CASE WHEN "+doc.s+" IS NOT NULL THEN "+strings.Join(parts, op)+" END)"), doc), nil
}

// members is a path of members only, as an array.
func (t *translator) members(v value) (string, error) {
	steps, err := t.path(v)
	if err != nil {
		return "", err
	}
	var names []string
	for _, p := range steps {
		if p.isIndex {
			return "", refuse(t.at(v), "a change at an index of a JSON array is not translated", "name members only, as '$.a.b'")
		}
		names = append(names, p.member)
	}
	if len(names) == 0 {
		return "", refuse(t.at(v), "a change of a whole JSON document is not translated", "assign the document")
	}
	return textArray(names), nil
}

// memberOf is value MEMBER OF (document).
func (t *translator) memberOf(left sqlparser.Expr, f *sqlparser.FuncExpr) (value, error) {
	a, ok := f.Exprs[0].(*sqlparser.AliasedExpr)
	if !ok {
		return value{}, t.refuse("MEMBER", raw, "MEMBER OF this is not translated")
	}
	l, r, err := t.both(left, a.Expr)
	if err != nil {
		return l, err
	}
	d, err := t.document(r)
	if err != nil {
		return d, err
	}
	if l.t.Kind == Null || l.isNull() {
		return value{s: "NULL::boolean", t: bigint, cond: true}, nil
	}
	l = t.bind(l, varchar)
	e, err := t.element(l)
	if err != nil {
		return e, err
	}
	if !l.notNull { // NULL is not the null of JSON
		e.s = "CASE WHEN " + l.s + " IS NOT NULL THEN " + e.s + " END"
	}
	v := with(condition("xaproxy.json_member("+e.s+", "+d.s+")"), l, r)
	v.notNull = l.notNull && r.notNull
	return v, nil
}
