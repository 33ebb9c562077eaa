package router

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// weave makes the text that the backends get for a Stream out of the client's.
type weave struct {
	sql    []byte
	lits   []literal
	tokens []token // of the client's text, without blanks
	out    []byte
	params []int
	hidden int
}

// cut finds the tokens of the client's text, which are those of the shape one by one, without the brackets around all of it.
func (w *weave) cut(mode Mode, wraps int) {
	l := lexer{src: w.sql, mode: mode}
	for t := l.next(); t.kind != kEnd; t = l.next() {
		if !t.kind.blank() {
			w.tokens = append(w.tokens, t)
		}
	}
	w.tokens = w.tokens[wraps:]
}

// copy appends sql[from:to] and notes the parameters in it.
func (w *weave) copy(from, to int) {
	w.out = append(w.out, w.sql[from:to]...)
	for _, lit := range w.lits {
		if lit.kind == kParam && lit.start >= from && lit.start < to {
			w.params = append(w.params, int(lit.param))
		}
	}
}

// column appends a hidden column.
func (w *weave) column(head string, r [2]int, tail string) {
	w.hidden++
	w.out = append(append(w.out, ", "...), head...)
	w.copy(w.tokens[r[0]].start, w.tokens[r[1]-1].end)
	w.out = fmt.Appendf(w.out, "%s AS `xaproxy %d`", tail, w.hidden)
}

// form appends the columns by which an expression is compared in the form, and returns how many they are. What is grouped by goes
// through MIN, which servers take beside aggregates whatever it is of.
func (w *weave) form(f Form, r [2]int, grouped bool) int {
	one, all := "", ""
	if grouped {
		one, all = "MIN(", ")"
	}
	switch f {
	case Double:
		w.column(one+"(", r, ") + 0e0"+all)
	case Number:
		w.column(one+"(", r, ") + 0"+all)
	case Moment:
		w.column(one+"UNIX_TIMESTAMP(", r, ")"+all)
	case Weight:
		w.column("WEIGHT_STRING("+one, r, ")"+all)
		w.column("COLLATION("+one, r, ")"+all)
		return 2
	default:
		return 0
	}
	return 1
}

// fits tells whether the statement can be merged as far as it is known: its literals are what was taken for granted, and no answer
// has shown that a column cannot be compared.
func (sm *stream) fits(pl *placing) bool {
	if forms := sm.learned.forms.Load(); forms != nil && slices.Contains(*forms, Impossible) {
		return false
	}
	for _, e := range sm.block.equal {
		a, b := pl.s.lits[e[0]], pl.s.lits[e[1]]
		if a.kind == kParam || !bytes.Equal(pl.s.sql[a.start:a.end], pl.s.sql[b.start:b.end]) {
			return false
		}
	}
	for _, p := range sm.block.places {
		if n, ok := pl.count(p[0]); !ok || n != uint64(p[1])+1 {
			return false
		}
	}
	_, ok := sm.sorting(pl)
	return ok
}

// plan fills in a plan whose parts have no text yet.
func (sm *stream) plan(p *Plan, pl *placing) (*reason, int) {
	s, b := pl.s, sm.block
	if s.exec || s.uncertain > 0 {
		return unsupported(-1, "write it without the comment", "the rows are on several backends, and there is an executable comment"), -1
	}
	out := &Stream{Group: sm.group, Ambiguous: sm.ambiguous, Count: unlimited, learn: &sm.learned}
	for _, l := range [...]struct {
		slot int
		to   *uint64
	}{{b.offset, &out.Offset}, {b.count, &out.Count}} {
		if l.slot < 0 {
			continue
		}
		n, ok := pl.count(l.slot)
		if !ok {
			return &reason{errno: 1210, text: "Incorrect arguments to LIMIT", at: -1}, s.lits[l.slot].start
		}
		*l.to = n
	}
	var forms []Form
	if known := sm.learned.forms.Load(); known != nil {
		forms = *known
	}
	w := weave{sql: s.sql, lits: s.lits, out: make([]byte, 0, len(s.sql)+128)}
	w.cut(s.mode, b.st.wraps)
	list := w.tokens[b.list-1].end
	w.copy(0, list)
	if why, at := sm.columns(&w, pl, forms, out); why != nil {
		return why, at
	}
	tail := w.tokens[b.tail-1].end
	if out.Sort, _ = sm.sorting(pl); out.Sort == nil {
		w.copy(list, tail)
	} else {
		w.copy(list, w.tokens[b.orderBy-1].end)
	}
	sm.order(&w, out)
	if out.Sort != nil { // it has no effect, but on the columns' definitions, which depend on how the server sorts
		w.out = append(w.out, ", "...)
		w.copy(w.tokens[b.orderBy+2].start, tail)
	}
	keep := out.Count > 0 && (sm.keep || sm.unique && slices.Contains(forms, Weight)) // weights tell apart what is equal
	switch {
	case b.limit[1] == 0:
		w.copy(tail, len(s.sql))
	case keep:
		w.copy(w.tokens[b.limit[1]-1].end, len(s.sql))
	case b.offset >= 0:
		fetch := out.Offset + out.Count
		switch {
		case out.Count == 0:
			fetch = 0
		case fetch < out.Count:
			fetch = unlimited
		}
		w.out = strconv.AppendUint(append(w.out, " LIMIT "...), fetch, 10)
		w.copy(w.tokens[b.limit[1]-1].end, len(s.sql))
	default:
		w.copy(tail, len(s.sql))
	}
	p.Stream = out
	if w.hidden == 0 && len(sm.own) == 0 && !(b.limit[1] > 0 && (keep || b.offset >= 0)) {
		return nil, -1
	}
	for i := range p.Parts {
		p.Parts[i].SQL = w.out
		if s.params > 0 {
			p.Parts[i].Params = append([]int{}, w.params...) // none is not all
		}
	}
	return nil, -1
}

// columns appends the hidden columns and says which columns the keys and folds are.
func (sm *stream) columns(w *weave, pl *placing, forms []Form, out *Stream) (*reason, int) {
	b := sm.block
	total := sm.hidden(forms)
	form := func(i int) Form {
		if i < len(forms) {
			return forms[i]
		}
		return Plain
	}
	compare := func(k *SortKey, f Form, r [2]int, grouped bool) {
		k.At = w.hidden - total
		if w.form(f, r, grouped) > 0 {
			k.Form = f
		}
	}
	for i, k := range sm.keys {
		one, r := SortKey{Desc: k.desc, Added: slices.Contains(sm.own, i)}, k.tokens
		switch {
		case k.slot >= 0:
			n, ok := pl.count(k.slot)
			if !ok || n == 0 || n > uint64(len(b.items)) && !b.stars() {
				return &reason{errno: 1054, text: fmt.Sprintf("Unknown column '%d' in 'order clause'", n), at: -1}, pl.s.lits[k.slot].start
			}
			one.Column = int(min(n, 1<<16) - 1)
			if _, _, ok := b.place(min(one.Column, len(b.items)-1)); ok && !b.stars() {
				r = b.items[one.Column].tokens
			} else {
				r = [2]int{}
			}
		case k.item < 0:
			one.Column = w.hidden - total
			w.column("", r, "")
		default:
			column, fromEnd, _ := b.place(k.item)
			if one.Column = column; fromEnd {
				one.Column -= total
			}
		}
		if r[1] > 0 {
			compare(&one, form(i), r, sm.group && !sm.unique)
		}
		out.Keys = append(out.Keys, one)
	}
	for i, f := range sm.folds {
		one := Fold{Column: f.item, Func: f.function}
		switch f.function {
		case FoldAvg:
			one.Sum, one.Count = w.hidden-total, w.hidden-total+1
			w.column("SUM(", f.inner, ")")
			w.column("COUNT(", f.inner, ")")
		case FoldMin, FoldMax:
			one.Key.Column = f.item
			compare(&one.Key, form(len(sm.keys)+i), b.items[f.item].tokens, false)
		}
		out.Folds = append(out.Folds, one)
	}
	out.Hidden = total
	return nil, -1
}

// hidden is how many hidden columns there are.
func (sm *stream) hidden(forms []Form) (n int) {
	for _, k := range sm.keys {
		if k.item < 0 && k.slot < 0 {
			n++
		}
	}
	for _, f := range sm.folds {
		if f.function == FoldAvg {
			n += 2
		}
	}
	for i, f := range forms {
		switch {
		case i < len(sm.keys) && sm.keys[i].slot >= 0 && sm.block.stars(): // there is no expression
		case f == Weight:
			n += 2
		case f != Plain && f != Impossible:
			n++
		}
	}
	return n
}

// order appends the keys that the client's text is not ordered by.
func (sm *stream) order(w *weave, out *Stream) {
	for n, i := range sm.own {
		switch {
		case n > 0 || len(sm.block.order) > 0 && len(sm.sort) == 0:
			w.out = append(w.out, ", "...)
		default:
			w.out = append(w.out, " ORDER BY "...)
		}
		if k := sm.keys[i]; k.item >= 0 || k.slot >= 0 {
			w.out = strconv.AppendInt(w.out, int64(out.Keys[i].Column)+1, 10)
		} else {
			w.out = fmt.Appendf(w.out, "`xaproxy %d`", out.Hidden+out.Keys[i].Column+1)
		}
	}
}

// count reads a literal or parameter that is a number of rows or a place in the select list.
func (pl *placing) count(slot int) (uint64, bool) {
	lit := pl.s.lits[slot]
	if lit.kind != kParam {
		n, err := strconv.ParseUint(string(pl.s.sql[lit.start:lit.end]), 10, 64)
		return n, err == nil
	}
	switch v := pl.value(int(lit.param)); {
	case v.Kind == ValueInt && v.Int >= 0:
		return uint64(v.Int), true
	case v.Kind == ValueUint:
		return v.Uint, true
	case v.Kind == ValueBytes:
		n, err := strconv.ParseUint(string(v.Bytes), 10, 64)
		return n, err == nil
	}
	return 0, false
}
