package dialect

import (
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// caseExpr translates CASE.
func (t *translator) caseExpr(e *sqlparser.CaseExpr) (value, error) {
	var subject value
	var err error
	if e.Expr != nil {
		if subject, err = t.expr(e.Expr); err != nil {
			return subject, err
		}
	}
	var whens []string
	var results []value
	all := []value{subject}
	for _, w := range e.Whens {
		c, err := t.expr(w.Cond)
		if err != nil {
			return c, err
		}
		var s string
		if e.Expr != nil {
			s, err = t.compare("=", subject, c)
		} else {
			s, err = t.boolean(c)
		}
		if err != nil {
			return c, err
		}
		r, err := t.expr(w.Val)
		if err != nil {
			return r, err
		}
		all = append(all, c, r)
		whens, results = append(whens, s), append(results, r)
	}
	last := value{s: "NULL", t: nullType, rank: ignorable}
	if e.Else != nil {
		if last, err = t.expr(e.Else); err != nil {
			return last, err
		}
	}
	texts, v, err := t.unified(append(results, last)...)
	if err != nil {
		return v, err
	}
	var b strings.Builder
	b.WriteString("(CASE")
	for i, w := range whens {
		b.WriteString(" WHEN " + w + " THEN " + texts[i])
	}
	if e.Else != nil {
		b.WriteString(" ELSE " + texts[len(texts)-1])
	}
	v.s = b.String() + " END)"
	notNull := v.notNull && e.Else != nil
	v = with(v, append(all, last)...)
	v.notNull = notNull
	return v, nil
}

// unified gives values one type, as CASE, IF and COALESCE do.
func (t *translator) unified(vs ...value) ([]string, value, error) {
	mixed, times := false, 0
	for i, v := range vs {
		if v.t.Kind.temporal() {
			times++
		}
		if mixed = mixed || v.mixed; v.spelled {
			vs[i] = t.output(v)
		}
	}
	var like Type
	for _, v := range vs {
		if !v.isParam() && v.t.Kind != Null {
			like = v.t
			break
		}
	}
	if like.Kind == Unknown {
		like = varchar
	}
	r := value{t: nullType, notNull: true, rank: ignorable}
	for i, v := range vs {
		vs[i] = t.bind(v, like)
		r.notNull = r.notNull && vs[i].notNull
	}
	var strings []value
	bytes := false
	for _, v := range vs {
		var ok bool
		if r.t, ok = wider(r.t, v.t); !ok {
			return nil, r, refuse(t.at(v), describe(v.t)+" and "+describe(r.t)+" as one value are not translated", "CAST them to one type")
		}
		bytes = bytes || v.t.Kind.bytes()
	}
	for _, v := range vs {
		r.ragged = r.ragged || r.t.Kind == Decimal && v.t.Kind != Null && (v.t.Scale != r.t.Scale || v.ragged)
	}
	texts := make([]string, len(vs))
	for i, v := range vs {
		var err error
		switch {
		case v.isNull() || v.t.Kind == Null:
			texts[i] = v.s
			continue
		case bytes:
			v, err = t.binary(v)
		case r.t.Kind.text():
			v, err = t.text(v)
			strings = append(strings, v)
		case r.t.Kind.numeric():
			v, err = t.number(v)
			if r.t.Kind == Decimal {
				v.s = numericText(v)
			}
		case r.t.Kind.temporal() && v.t.Kind != r.t.Kind:
			v, err = t.temporal(v, r.t.Kind)
		}
		if err != nil {
			return nil, r, err
		}
		texts[i] = v.s
	}
	if r.t.Kind.text() && !bytes {
		j, err := t.joined(strings...)
		if err != nil {
			return nil, r, err
		}
		r.mixed = mixed || times > 0
		kind, length := r.t.Kind, r.t.Length
		r.t, r.rank, r.plain = j.t, j.rank, j.plain
		r.t.Kind, r.t.Length = kind, length
	}
	return texts, r, nil
}

// whole is the type of integers that has the values of a BIT or YEAR.
func whole(t Type) Type {
	if t.Kind == Year {
		return Type{Kind: SmallInt, Unsigned: true}
	}
	return Type{Kind: BigInt, Unsigned: true, Length: 20}
}

// wider is the type of what may be of either type.
func wider(a, b Type) (Type, bool) {
	ak, bk := a.Kind, b.Kind
	switch {
	case ak == Null:
		return b, true
	case bk == Null:
		return a, true
	case ak == JSON || bk == JSON, ak == Unknown || bk == Unknown:
		return a, ak == bk
	case ak == bk && (ak.temporal() || ak.text()):
		if ak == Enum || ak == Set {
			return varchar, true
		}
		a.Length, a.Scale = max(a.Length, b.Length), max(a.Scale, b.Scale)
		return a, true
	case ak.temporal() && bk.temporal():
		if ak == Time || bk == Time {
			return a, false
		}
		return Type{Kind: Datetime, Scale: max(a.Scale, b.Scale)}, true
	case ak.temporal() && bk.numeric(), ak.numeric() && bk.temporal():
		return a, false
	case ak == Year && bk == Year:
		return a, true
	case ak.bytes() || bk.bytes():
		return Type{Kind: Varbinary, Length: max(a.Length, b.Length)}, true
	case ak.text() || bk.text() || ak.temporal() || bk.temporal():
		return Type{Kind: Varchar, Collation: defaultCollation, Length: max(a.Length, b.Length)}, true
	case ak.approx() || bk.approx():
		return double, true
	case ak == Bit || ak == Year:
		return wider(whole(a), b)
	case bk == Bit || bk == Year:
		return wider(a, whole(b))
	case a.Unsigned != b.Unsigned && ak != Decimal && bk != Decimal && !(a.Unsigned && ak == BigInt) && !(b.Unsigned && bk == BigInt):
		return bigint, true
	case ak == Decimal || bk == Decimal, a.Unsigned != b.Unsigned:
		scale := max(a.Scale, b.Scale)
		return Type{Kind: Decimal, Scale: scale, Length: min(65, max(a.digits()-a.Scale, b.digits()-b.Scale)+scale)}, true
	}
	return Type{Kind: max(ak, bk), Unsigned: a.Unsigned, Length: max(a.Length, b.Length)}, true
}
