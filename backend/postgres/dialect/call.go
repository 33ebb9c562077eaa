package dialect

import (
	"fmt"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// call is a call of a function.
type call struct {
	name     string
	args     []value
	exprs    []sqlparser.Expr // not of COUNT(*)
	star     bool
	distinct bool
	over     *sqlparser.Over
}

// byName are the functions by their names.
var byName = map[string][]*function{}

func init() { // the table's functions call functions themselves
	for i := range functions {
		byName[functions[i].name] = append(byName[functions[i].name], &functions[i])
	}
}

var aggregates = map[string]bool{
	"COUNT": true, "SUM": true, "STD": true, "STDDEV": true, "STDDEV_POP": true, "STDDEV_SAMP": true, "VARIANCE": true, "VAR_POP": true, "VAR_SAMP": true, "AVG": true, "MIN": true, "MAX": true, "ANY_VALUE": true, "BIT_AND": true, "BIT_OR": true, "BIT_XOR": true,
	"JSON_ARRAYAGG": true, "JSON_OBJECTAGG": true,
}

// call translates what has brackets.
func (t *translator) call(e sqlparser.Expr) (value, error) {
	switch e := e.(type) {
	case *sqlparser.FuncExpr:
		return t.function(e)
	case *sqlparser.GroupConcatExpr:
		return t.groupConcat(e)
	case *sqlparser.SubstrExpr:
		args := []sqlparser.Expr{e.StrVal, e.From, e.To}
		if e.StrVal == nil {
			args[0] = e.Name
		}
		return t.named("SUBSTRING", args...)
	case *sqlparser.TrimExpr:
		return t.trim(e)
	case *sqlparser.ConvertExpr:
		return t.cast(e)
	case *sqlparser.ConvertUsingExpr:
		v, err := t.expr(e.Expr)
		if err != nil {
			return v, err
		}
		if !strings.EqualFold(e.Type, "utf8mb4") && !strings.EqualFold(e.Type, "binary") {
			return v, t.refuse(e.Type, "use utf8mb4", "the character set %s is not translated", e.Type)
		}
		if strings.EqualFold(e.Type, "binary") {
			return t.binary(v)
		}
		if v.t.Kind.bytes() {
			return with(value{s: "convert_from(" + v.s + ", 'UTF8')", t: varchar, rank: implicit}, v), nil
		}
		return t.text(v)
	case *sqlparser.TimestampFuncExpr:
		if strings.EqualFold(e.Name, "timestampadd") {
			n, v, err := t.both(e.Expr1, e.Expr2)
			if err != nil {
				return v, err
			}
			return t.shifted(v, n, e.Unit, false)
		}
		return t.timestampDiff(e)
	case *sqlparser.ExtractFuncExpr:
		name := strings.ToUpper(e.Unit)
		if compound[name] != nil {
			v, err := t.expr(e.Expr)
			if err != nil {
				return v, err
			}
			return t.extractCompound(v, name)
		}
		if name == "WEEK" || units[name].argument == "" {
			return value{}, t.refuse(e.Unit, "use a unit of one number", "EXTRACT(%s) is not translated", e.Unit)
		}
		v, err := t.named(name, e.Expr)
		if v.t.Kind == Year {
			v.t = integer
		}
		return v, err
	case *sqlparser.ValuesFuncExpr:
		return t.inserted(e.Name)
	case *sqlparser.Default:
		return value{}, t.refuse("DEFAULT", "write the value", "DEFAULT is only translated as a whole value of INSERT and UPDATE")
	case *sqlparser.MatchExpr:
		return value{}, t.refuse("MATCH", "use LIKE, or PostgreSQL's text search behind /* xaproxy: dialect=postgres */", "full-text search has other words and other ranks in PostgreSQL")
	case *sqlparser.IntervalExpr:
		return value{}, t.refuse("INTERVAL", raw, "INTERVAL is only translated behind + and -, and in DATE_ADD and DATE_SUB")
	}
	return value{}, refuse(-1, fmt.Sprintf("the expression %s is not translated", sqlparser.String(e)), raw)
}

// named calls a function of the table.
func (t *translator) named(name string, args ...sqlparser.Expr) (value, error) {
	c := &call{name: name, exprs: args}
	for _, a := range args {
		v, err := t.expr(a)
		if err != nil {
			return v, err
		}
		c.args = append(c.args, v)
	}
	return t.run(c)
}

func (t *translator) function(e *sqlparser.FuncExpr) (value, error) {
	c := &call{name: strings.ToUpper(e.Name.String()), distinct: e.Distinct, over: e.Over}
	if !e.Qualifier.IsEmpty() {
		return value{}, t.refuse(e.Name.String(), raw, "stored functions are not translated")
	}
	if aggregates[c.name] { // it is of columns, not of what has been made of them
		defer func(aliases map[string]value) { t.aliases = aliases }(t.aliases)
		t.aliases = nil
	}
	for _, a := range e.Exprs {
		switch a := a.(type) {
		case *sqlparser.StarExpr:
			c.star = true
		case *sqlparser.AliasedExpr:
			if a.Expr == nil {
				continue
			}
			if i, ok := a.Expr.(*sqlparser.IntervalExpr); ok { // of DATE_ADD
				c.exprs = append(c.exprs, i)
				c.args = append(c.args, value{})
				continue
			}
			v, err := t.expr(a.Expr)
			if err != nil {
				return v, err
			}
			c.exprs, c.args = append(c.exprs, a.Expr), append(c.args, v)
		}
	}
	return t.run(c)
}

// run writes a call.
func (t *translator) run(c *call) (value, error) {
	forms := byName[c.name]
	if len(forms) == 0 {
		return value{}, &Error{Errno: 1305, State: "42000", At: t.src.find(c.name), What: "the function " + c.name + " is not translated to PostgreSQL", Do: raw}
	}
	for _, f := range forms {
		switch {
		case f.special != nil:
			return f.special(t, c)
		case c.over != nil || c.distinct || c.star:
			return value{}, t.refuse(c.name, "leave it out", "%s has no OVER, DISTINCT or *", c.name)
		case strings.HasSuffix(f.args, "*") && len(c.args) >= len(f.args)-1, len(f.args) == len(c.args):
			return t.template(f, c)
		}
	}
	return value{}, t.wrongCount(c)
}

func (t *translator) wrongCount(c *call) error {
	return &Error{Errno: 1582, State: "42000", At: t.src.find(c.name), What: fmt.Sprintf("Incorrect parameter count in the call to native function '%s'", c.name), Do: "or one that is not translated to PostgreSQL; " + raw}
}

// template writes a call with the table's text.
func (t *translator) template(f *function, c *call) (value, error) {
	if pad := len(c.args) - 1; (f.name == "LPAD" || f.name == "RPAD") && c.args[pad].isConst() && c.args[pad].lit.text == "" {
		return value{}, refuse(t.at(c.args[pad]), f.name+" with nothing is not translated", "write what it is to be filled with")
	}
	letters := strings.TrimSuffix(f.args, "*")
	args := make([]value, len(c.args))
	texts := make([]string, len(c.args))
	var strs []value
	for i, a := range c.args {
		letter := letters[min(i, len(letters)-1)]
		v, err := t.argument(letter, a)
		if err != nil {
			return v, err
		}
		args[i], texts[i] = v, v.s
		if v.t.Kind.text() {
			strs = append(strs, v)
		}
	}
	j, err := t.joined(strs...)
	if err != nil {
		return j, err
	}
	var pairs []string
	for i, s := range texts {
		pairs = append(pairs, fmt.Sprintf("{%d}", i+1), s)
	}
	pairs = append(pairs, "{*}", strings.Join(texts, ", "), "{||}", strings.Join(texts, " || "))
	if len(args) == 0 {
		pairs = append(pairs, "{now}", t.clock())
	}
	if strings.Contains(f.text, "{array}") {
		pairs = append(pairs, "{array}", "ARRAY["+strings.Join(texts[1:], ", ")+"]")
	}
	if strings.Contains(f.text, "{C}") {
		in := j.t.Collation
		if haystack := map[string]int{"INSTR": 0, "LOCATE": 1}; strings.Contains(f.text, "locate_") { // only its collation counts
			in = args[haystack[f.name]].t.Collation
		}
		name, err := t.collation(in)
		if err != nil {
			return j, err
		}
		pairs = append(pairs, "{C}", strings.Trim(strings.TrimPrefix(name, "xaproxy."), `"`))
	}
	v := value{s: strings.NewReplacer(pairs...).Replace(f.text), free: volatile[f.name]}
	switch f.result {
	case "text":
		v.t, v.rank, v.plain = j.t, j.rank, j.plain && !strings.Contains(f.text, "COLLATE") && j.t.Collation != "citext"
		if len(strs) == 0 {
			v.t, v.rank = varchar, coercible
		}
	case "=1":
		v.t = args[0].t
		switch {
		case args[0].cond:
			v.t = bigint
		case v.t.Kind == Year, v.t.Kind == Bit:
			v.t = Type{Kind: BigInt, Unsigned: true, Length: 20}
		}
	default:
		v.t = resultTypes[f.result]
		v.cond = f.result == "cond"
	}
	free := v.free
	v = with(v, args...)
	v.free = v.free || free
	v.notNull = v.notNull && len(args) > 0 && simple[f.name]
	return v, nil
}

// volatile are functions whose value is another one each time, or that do something.
var volatile = map[string]bool{
	"RAND": true, "UUID": true, "SLEEP": true, "GET_LOCK": true, "RELEASE_LOCK": true, "RELEASE_ALL_LOCKS": true, "IS_FREE_LOCK": true, "IS_USED_LOCK": true,
}

// simple are functions that make NULL of NULL only.
var simple = map[string]bool{"CONCAT": true, "LENGTH": true, "CHAR_LENGTH": true, "LOWER": true, "UPPER": true, "ABS": true}

var resultTypes = map[string]Type{
	"int": integer, "bigint": bigint, "unsigned": {Kind: BigInt, Unsigned: true, Length: 20}, "double": double, "bytes": {Kind: Varbinary}, "date": {Kind: Date}, "time": {Kind: Time}, "datetime": {Kind: Datetime},
	"json": {Kind: JSON}, "cond": {Kind: BigInt, Length: 1}, "year": {Kind: Year},
}

// argument hands a value over as its letter says.
func (t *translator) argument(letter byte, v value) (value, error) {
	var err error
	switch letter {
	case 's':
		return t.text(v)
	case 'n':
		return t.number(v)
	case 'i', 'x', 'e':
		if v, err = t.number(v); err != nil {
			return v, err
		}
		switch {
		case letter == 'x':
			v.s += "::double precision"
		case letter == 'e' && v.t.Kind.approx():
			return v, refuse(t.at(v), "this function of a DOUBLE is not translated", "CAST it to DECIMAL")
		case letter == 'e':
			v.s += "::numeric"
		case v.t.Kind.integer() || v.t.Kind == Null:
			v.s = wide(v)
		default: // MySQL rounds
			v.s = "round(" + v.s + "::numeric)::bigint"
		}
		return v, nil
	case 'b':
		if !v.t.Kind.bytes() && v.t.Kind != Null && !v.isParam() {
			return v, refuse(t.at(v), "this function of a string of characters is not translated", "hand a binary string over")
		}
		return t.binary(v)
	case 'y':
		return t.binary(v)
	case 'd':
		return t.temporal(v, Date)
	case 'm':
		return t.temporal(v, Datetime)
	case 't':
		if v.spelled {
			return v, refuse(t.at(v), "a string plus an interval as a TIME is not translated", "write TIMESTAMP in front of the string")
		}
		return t.temporal(v, Time)
	case 'c': // a clock
		if v.spelled {
			return v, refuse(t.at(v), "a string plus an interval as a TIME is not translated", "write TIMESTAMP in front of the string")
		}
		if v.isConst() && v.t.Kind == Varchar && !strings.Contains(v.lit.text, ":") {
			return v, refuse(t.at(v), "a date without a time of day as a TIME is not translated", "write DATE in front of it")
		}
		if v.t.Kind == Time || v.isConst() && timeText.MatchString(v.lit.text) {
			return t.temporal(v, Time)
		}
		return t.temporal(v, Datetime)
	case 'j':
		return t.document(v)
	}
	v = t.bind(v, varchar)
	return v, nil
}

// trim translates TRIM, LTRIM and RTRIM with what is to go.
func (t *translator) trim(e *sqlparser.TrimExpr) (value, error) {
	s, p, err := t.both(e.Str, e.Pattern)
	if err != nil {
		return s, err
	}
	if s, err = t.text(s); err != nil {
		return s, err
	}
	if p, err = t.text(p); err != nil {
		return p, err
	}
	v := with(value{t: Type{Kind: Varchar, Collation: s.t.Collation}, rank: s.rank, plain: s.plain}, s, p)
	if p.isConst() && len([]rune(p.lit.text)) == 1 {
		name := map[string]string{sqlparser.Leading: "ltrim", sqlparser.Trailing: "rtrim", sqlparser.Both: "btrim"}[e.Dir]
		v.s = name + "(" + s.s + ", " + quoteText(p.lit.text) + ")"
		return v, nil
	}
	v.s = fmt.Sprintf("xaproxy.trim(%s, %s, '%s')", s.s, p.s, e.Dir)
	return v, nil
}
