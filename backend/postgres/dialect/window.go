package dialect

import (
	"fmt"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// window translates the functions that need OVER.
func window(t *translator, c *call) (value, error) {
	if c.over == nil {
		return value{}, &Error{Errno: 3579, State: "HY000", At: t.src.find(c.name), What: "Window function '" + c.name + "' needs OVER"}
	}
	over, err := t.over(c.over)
	if err != nil {
		return value{}, err
	}
	var v value
	name := strings.ToLower(c.name)
	switch c.name {
	case "ROW_NUMBER", "RANK", "DENSE_RANK":
		v = value{s: name + "()", t: Type{Kind: BigInt, Unsigned: true, Length: 20}, notNull: true}
	case "PERCENT_RANK", "CUME_DIST":
		v = value{s: name + "()", t: double, notNull: true}
	case "NTILE":
		if len(c.args) != 1 {
			return v, t.wrongCount(c)
		}
		n, err := t.number(c.args[0])
		if err != nil {
			return v, err
		}
		v = value{s: "ntile((" + n.s + ")::int)", t: Type{Kind: BigInt, Unsigned: true, Length: 20}}
	case "FIRST_VALUE", "LAST_VALUE":
		if len(c.args) != 1 {
			return v, t.wrongCount(c)
		}
		v = t.output(c.args[0])
		v.s = name + "(" + v.s + ")"
	default: // LAG, LEAD, NTH_VALUE
		if len(c.args) == 0 || len(c.args) > 3 || c.name == "NTH_VALUE" && len(c.args) != 2 {
			return v, t.wrongCount(c)
		}
		values := []value{c.args[0]}
		if len(c.args) == 3 {
			values = append(values, c.args[2])
		}
		texts, u, err := t.unified(values...)
		if err != nil {
			return u, err
		}
		v = u
		if u.ragged {
			return u, t.refuse(c.name, "CAST the default to the same DECIMAL", "%s of a DECIMAL with a default of another is not translated", c.name)
		}
		v.s = texts[0]
		if len(c.args) > 1 {
			n, err := t.number(c.args[1])
			if err != nil {
				return n, err
			}
			v.s += ", (" + n.s + ")::int"
		}
		if len(texts) > 1 {
			v.s += ", " + texts[1]
		}
		v.s = name + "(" + v.s + ")"
	}
	v.s = "(" + v.s + over + ")"
	v.lit, v.col, v.notNull, v.cond = nil, nil, v.notNull && len(c.args) == 0, false
	return v, nil
}

// over translates OVER.
func (t *translator) over(o *sqlparser.Over) (string, error) {
	d := (*sqlparser.WindowDef)(o)
	if !d.NameRef.IsEmpty() && d.PartitionBy == nil && d.OrderBy == nil && d.Frame == nil {
		return " OVER " + quoteName(strings.ToLower(d.NameRef.String())), nil
	}
	s, err := t.windowDef(d)
	return " OVER (" + s + ")", err
}

func (t *translator) windowDef(d *sqlparser.WindowDef) (string, error) {
	var parts []string
	if !d.NameRef.IsEmpty() {
		parts = append(parts, quoteName(strings.ToLower(d.NameRef.String())))
	}
	for i, e := range d.PartitionBy {
		v, err := t.expr(e)
		if err != nil {
			return "", err
		}
		o := t.output(v)
		if o.t.Kind.text() {
			if o.s, err = t.collated(o); err != nil {
				return "", err
			}
		}
		if i == 0 {
			parts = append(parts, "PARTITION BY "+o.s)
		} else {
			parts[len(parts)-1] += ", " + o.s
		}
	}
	for i, o := range d.OrderBy {
		v, err := t.expr(o.Expr)
		if err != nil {
			return "", err
		}
		key, err := t.sortKey(v, o.Direction)
		if err != nil {
			return "", err
		}
		if i == 0 {
			parts = append(parts, "ORDER BY "+key)
		} else {
			parts[len(parts)-1] += ", " + key
		}
	}
	if f := d.Frame; f != nil {
		s, err := t.frame(f)
		if err != nil {
			return "", err
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " "), nil
}

func (t *translator) frame(f *sqlparser.Frame) (string, error) {
	unit := "ROWS"
	if f.Unit == sqlparser.RangeUnit {
		unit = "RANGE"
	}
	bound := func(b *sqlparser.FrameBound) (string, error) {
		switch b.Type {
		case sqlparser.CurrentRow:
			return "CURRENT ROW", nil
		case sqlparser.UnboundedFollowing:
			return "UNBOUNDED FOLLOWING", nil
		case sqlparser.UnboundedPreceding:
			return "UNBOUNDED PRECEDING", nil
		}
		s, err := t.frameOffset(b.Expr)
		if err != nil {
			return "", err
		}
		if b.Type == sqlparser.ExprPreceding {
			return s + " PRECEDING", nil
		}
		return s + " FOLLOWING", nil
	}
	start, err := bound(f.Extent.Start)
	if err != nil || f.Extent.End == nil {
		return unit + " " + start, err
	}
	end, err := bound(f.Extent.End)
	return unit + " BETWEEN " + start + " AND " + end, err
}

// frameOffset is a number, or an interval.
func (t *translator) frameOffset(e sqlparser.Expr) (string, error) {
	i, ok := e.(*sqlparser.IntervalExpr)
	if ok {
		e = i.Expr
	}
	v, err := t.expr(e)
	if err != nil {
		return "", err
	}
	switch {
	case ok && v.isConst() && v.t.Kind.integer() && units[strings.ToUpper(i.Unit)].factor > 0:
		u := units[strings.ToUpper(i.Unit)]
		return fmt.Sprintf("make_interval(%s => %s * %d)", u.argument, v.s, u.factor), nil
	case !ok && v.isConst() && v.t.Kind.exact():
		return v.s, nil
	}
	return "", t.refuse("OVER", "write a number, or an interval of whole numbers", "this frame of a window is not translated")
}
