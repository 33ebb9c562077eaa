package router

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// prepared prints what Prepare makes of the first line, and what becomes of its executions: the lines "bind VALUE, ..." behind
// it. Each is compared with its twin.
func prepared(t *testing.T, r *Router, text, schema string, mode Mode) string {
	t.Helper()
	sql, binds, _ := strings.Cut(text, "\nbind")
	st, err := r.Prepare([]byte(sql), schema, mode)
	if err != nil {
		return describe(r.catalog, sql)(nil, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "params %d keys %v any: %s", st.Params, st.Keys, describe(r.catalog, sql)(st.Any(), nil))
	if st.Text != nil {
		fmt.Fprintf(&b, "%s\n", st.Text)
	}
	if binds == "" {
		return b.String()
	}
	for bind := range strings.SplitSeq(binds, "\nbind") {
		var values []Value
		for lit := range strings.SplitSeq(bind, ", ") {
			values = append(values, bound(t, strings.TrimSpace(lit)))
		}
		if st.Numbered() {
			b.WriteString(executed(r, st, sql, bind, values))
			continue
		}
		p, err := st.Plan(func(i int) Value { return values[i] })
		fmt.Fprintf(&b, "%s: %s", strings.TrimSpace(bind), describe(r.catalog, sql)(p, err))
		twins(t, r, st, sql, schema, mode, values)
	}
	return b.String()
}

// executed plans an execution, with numbers from 1001 on where it needs them.
func executed(r *Router, st *Statement, sql, bind string, values []Value) string {
	sent := make([]Value, len(st.From))
	for i, from := range st.From {
		if from >= 0 {
			sent[i] = values[from]
		}
	}
	if st.From == nil {
		sent = slices.Clone(values)
	}
	lacks, highest := st.Lacks(func(i int) Value { return values[i] })
	for i, param := range lacks {
		sent[param] = Value{Kind: ValueUint, Uint: uint64(1001 + i)}
	}
	p, err := st.Plan(func(i int) Value { return sent[i] })
	got := fmt.Sprintf("%s: above %d, %v %s", strings.TrimSpace(bind), highest, sent, describe(r.catalog, sql)(p, err))
	if err == nil {
		for _, part := range p.Parts {
			got += fmt.Sprintf("  params %v\n", part.Params)
		}
	}
	return got
}

// bound reads a value as the golden files have it: a literal, or u and an unsigned integer.
func bound(t *testing.T, lit string) Value {
	t.Helper()
	if n, err := strconv.ParseInt(lit, 10, 64); err == nil {
		return Value{Kind: ValueInt, Int: n}
	}
	if n, err := strconv.ParseUint(strings.TrimPrefix(lit, "u"), 10, 64); err == nil {
		return Value{Kind: ValueUint, Uint: n}
	}
	switch {
	case lit == "NULL":
		return Value{}
	case lit[0] == '\'':
		return Value{Kind: ValueBytes, Bytes: []byte(lit[1 : len(lit)-1])}
	case lit == "1e3":
		return Value{Kind: ValueOther}
	}
	t.Fatalf("what is %q?", lit)
	return Value{}
}

// literal writes a value as a client would, after a space that keeps it apart from a minus sign.
func (v Value) literal(mode Mode) string {
	switch v.Kind {
	case ValueInt:
		return " " + strconv.FormatInt(v.Int, 10)
	case ValueUint:
		return " " + strconv.FormatUint(v.Uint, 10)
	case ValueBytes:
		s := strings.ReplaceAll(string(v.Bytes), "'", "''")
		if mode&NoBackslashEscapes == 0 {
			s = strings.ReplaceAll(s, `\`, `\\`)
		}
		return "'" + s + "'"
	case ValueNull:
		return "NULL"
	}
	return "1e3"
}

// written is the text with the values in the places of its parameters, which are taken from params in their order.
func written(sql string, mode Mode, values []Value, params []int) string {
	l := lexer{src: []byte(sql), mode: mode}
	var b strings.Builder
	for n := 0; ; {
		switch k := l.next(); k.kind {
		case kEnd:
			return b.String()
		case kParam:
			if params != nil {
				b.WriteString(values[params[n]].literal(mode))
			} else {
				b.WriteString(values[n].literal(mode))
			}
			n++
		default:
			b.WriteString(sql[k.start:k.end])
		}
	}
}

// twins compares an execution with the plan of the text that has the values written in place: when both are planned they say
// the same, and the parts of the one with their values in place are those of the other. It returns whether they were planned.
func twins(t *testing.T, r *Router, st *Statement, sql, schema string, mode Mode, values []Value) bool {
	t.Helper()
	text := written(sql, mode, values, nil)
	asked := []int{}
	got, err1 := st.Plan(func(i int) Value {
		asked = append(asked, i)
		return values[i]
	})
	want, err2 := r.Plan([]byte(text), schema, mode)
	if err1 == nil && (got.Verb == Set || got.Merge == MergeSteps || got.Compute != nil) && st.Params > 0 { // its values are written into the text
		bound := string(st.Written(func(i int) []byte { return []byte(values[i].literal(mode)) }))
		if got, err1 = r.Plan([]byte(bound), schema, mode); bound != text {
			t.Errorf("%q with its values is %q, want %q", sql, bound, text)
		}
	}
	for _, i := range asked {
		if !slices.Contains(st.Keys, i) {
			t.Errorf("%s: parameter %d was asked for, the keys are %v", sql, i, st.Keys)
		}
	}
	if err1 != nil || err2 != nil || want.Compute != nil && got.Compute == nil { // a bound value is looked at when another one is not known yet
		return false
	}
	if got.Merge == MergeScratch && want.Merge == MergeStream { // a parameter where only a literal can be merged by
		return true
	}
	mine := *got
	mine.Parts = writtenParts(got.Parts, mode, values)
	mine.Change, mine.Lookup = got.Change.written(mode, values), got.Lookup.written(mode, values)
	mine.Scratch, want = mine.Scratch.written(mode, values), withoutPlaces(want)
	if !reflect.DeepEqual(&mine, want) {
		t.Errorf("%s\n  bound   %+v\n  written %+v", text, &mine, want)
	}
	return true
}

// written is the Change with the values in place, and without blanks: there may be one more before a value.
func (c *Change) written(mode Mode, values []Value) *Change {
	if c == nil {
		return nil
	}
	mine := *c
	mine.Read, mine.Lookups = unblanked(writtenParts(c.Read, mode, values)), nil
	for _, l := range c.Lookups {
		l.Insert = unblanked(writtenParts(l.Insert, mode, values))
		mine.Lookups = append(mine.Lookups, l)
	}
	return &mine
}

// written is the Lookup with the values in place.
func (l *Lookup) written(mode Mode, values []Value) *Lookup {
	if l == nil {
		return nil
	}
	return &Lookup{Table: l.Table, Key: l.Key, Changes: l.Changes, Ask: unblanked(writtenParts(l.Ask, mode, values))}
}

func unblanked(parts []Part) []Part {
	for i, part := range parts {
		parts[i].SQL = bytes.ReplaceAll(part.SQL, []byte(" "), nil)
	}
	return parts
}

// writtenParts is the parts with the values in place.
func writtenParts(parts []Part, mode Mode, values []Value) (all []Part) {
	for _, part := range parts {
		if part.SQL != nil {
			part.SQL = []byte(written(string(part.SQL), mode, values, part.Params))
		}
		part.Params = nil
		all = append(all, part)
	}
	return all
}

// written is the Scratch with the values in place, and without the places of tables, which differ.
func (sc *Scratch) written(mode Mode, values []Value) *Scratch {
	if sc == nil {
		return nil
	}
	mine := &Scratch{} // without Names, which literals such as NULL are among
	for _, t := range sc.Tables {
		var filters []ScratchFilter
		for _, f := range t.Filters {
			if f.Params != nil {
				f.SQL, f.Params = []byte(written(string(f.SQL), mode, values, f.Params)), nil
			}
			filters = append(filters, f)
		}
		t.Filters, t.Places = filters, nil
		t.Limit = 0
		mine.Tables = append(mine.Tables, t)
	}
	return mine
}

func withoutPlaces(p *Plan) *Plan {
	mine := *p
	mine.Scratch, mine.Change, mine.Lookup = p.Scratch.written(0, nil), p.Change.written(0, nil), p.Lookup.written(0, nil)
	return &mine
}

// TestBoundLikeWritten: an execution goes where the text with the values in place goes, and is refused when that is.
func TestBoundLikeWritten(t *testing.T) {
	r := newRouter(t, parseConfig(t, testConfig))
	values := []Value{{Kind: ValueNull}, {Kind: ValueOther}}
	for _, n := range []int64{0, 1, 5, -5, 1<<63 - 1, -1 << 63} {
		values = append(values, Value{Kind: ValueInt, Int: n})
	}
	for _, n := range []uint64{0, 7, 1 << 63, 1<<64 - 1} {
		values = append(values, Value{Kind: ValueUint, Uint: n})
	}
	for _, s := range []string{"7", "-7", "07", "Anna", "anna  ", "O'Neill", `back\slash`, "", "7x", "ä", strings.Repeat("x", 300)} {
		values = append(values, Value{Kind: ValueBytes, Bytes: []byte(s)})
	}
	planned, refused := 0, 0
	for _, sql := range []string{
		"SELECT * FROM orders WHERE customer = ?",
		"SELECT * FROM orders WHERE customer = -?",
		"SELECT * FROM events WHERE id IN (?, 4, ?)",
		"SELECT * FROM orders o JOIN items i ON i.x = o.x WHERE o.customer = ? AND i.customer = ?",
		"UPDATE orders SET v = v + ? WHERE customer = ? AND w LIKE ?",
		"INSERT INTO orders (v, customer) VALUES (?, ?), (7, ?), (?, 11) ON DUPLICATE KEY UPDATE v = ?",
		"INSERT INTO orders SET v = ?, customer = ?",
		"INSERT /* ? */ INTO events (id, v) VALUES (?, '?'), (?, ?), (3, 3)",
	} {
		st, err := r.Prepare([]byte(sql), "shop", 0)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		for first := range values {
			var bind []Value
			for i := range st.Params {
				bind = append(bind, values[(first+5*i)%len(values)])
			}
			if twins(t, r, st, sql, "shop", 0, bind) {
				planned++
				continue
			}
			refused++
			_, err1 := st.Plan(func(i int) Value { return bind[i] })
			_, err2 := r.Plan([]byte(written(sql, 0, bind, nil)), "shop", 0)
			if (err1 == nil) != (err2 == nil) && !(err2 == nil && asks(r, sql, bind)) {
				t.Errorf("%s %v: bound %v, written %v", sql, bind, err1, err2)
			}
		}
	}
	if planned < 60 || refused < 30 {
		t.Errorf("%d executions were planned and %d refused: the values are of no use", planned, refused)
	}
}

// asks tells whether the text with the values in place has a key that must be computed before others are looked at.
func asks(r *Router, sql string, bind []Value) bool {
	p, err := r.Plan([]byte(written(sql, 0, bind, nil)), "shop", 0)
	return err == nil && p.Compute != nil
}

// FuzzPrepare: no text makes Prepare panic, and executions go where the text with the values in place goes.
func FuzzPrepare(f *testing.F) {
	for _, sql := range seeds(f) {
		f.Add([]byte(sql), byte(0), uint64(5), "7")
	}
	r := newRouter(f, parseConfig(f, testConfig))
	f.Fuzz(func(t *testing.T, sql []byte, how byte, n uint64, s string) {
		mode := Mode(how & 3)
		sql = parameters(sql, mode, how>>2)
		st, err := r.Prepare(sql, "shop", mode)
		if err != nil {
			check(t, nil, err, sql)
			return
		}
		check(t, st.Any(), nil, sql)
		values := make([]Value, st.Params)
		for i := range values {
			values[i] = [...]Value{{Kind: ValueUint, Uint: n + uint64(i)}, {Kind: ValueBytes, Bytes: []byte(s)}, {Kind: ValueInt, Int: int64(n >> 1)}}[(i+int(how>>2))%3]
		}
		twins(t, r, st, string(sql), "shop", mode, values)
	})
}

// parameters is the text with some of its literals replaced by parameters.
func parameters(sql []byte, mode Mode, which byte) (out []byte) {
	l := lexer{src: sql, mode: mode}
	for n := byte(0); ; n++ {
		switch t := l.next(); {
		case t.kind == kEnd:
			return out
		case (t.kind == kInt || t.kind == kString) && (n^which)&1 == 0:
			out = append(out, " ? "...)
		default:
			out = append(out, sql[t.start:t.end]...)
		}
	}
}

// TestManyParameters: more parameters than the protocol can count are refused.
func TestManyParameters(t *testing.T) {
	r := newRouter(t, parseConfig(t, testConfig))
	for n, fits := range map[int]bool{maxParams: true, maxParams + 1: false} {
		sql := "INSERT INTO audit (a) VALUES (?)" + strings.Repeat(", (?)", n-1)
		if _, err := r.Prepare([]byte(sql), "shop", 0); (err == nil) != fits {
			t.Errorf("%d: %v", n, err)
		}
	}
}
