package router

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// numbering is what an INSERT gives to the AUTO_INCREMENT column of a sharded table that has a sequence. Where it leaves the value
// to the server, a number is written into the text before the statement is placed: the column may be the shard key.
type numbering struct {
	listed int      // place of the column among those that the INSERT names, -1: it does not name it
	given  []keyRef // for each row shape the value; slot -1: NULL or DEFAULT
}

// always tells whether the statement needs numbers whatever its literals are.
func (n *numbering) always() bool {
	return n.listed < 0 || slices.ContainsFunc(n.given, func(k keyRef) bool { return k.slot < 0 })
}

// numbers finds the values of the table's AUTO_INCREMENT column.
func (v *resolver) numbers(t *table, columns sqlparser.Columns, values sqlparser.Values, at int) *numbering {
	n := &numbering{listed: slices.IndexFunc(columns, func(c sqlparser.ColIdent) bool { return c.Lowered() == t.auto })}
	if n.listed < 0 {
		return n
	}
	for _, r := range values {
		if n.listed >= len(r) {
			v.refuse(fewer(at))
			return nil
		}
		k := keyRef{slot: -1}
		switch e := r[n.listed].(type) {
		case *sqlparser.NullVal:
		case *sqlparser.Default:
			if e.ColName != "" {
				v.refuse(t.unnumbered(at))
			}
		default:
			var ok bool
			if k, ok = v.st.literal(e); !ok {
				v.refuse(t.unnumbered(at))
				return nil
			}
		}
		n.given = append(n.given, k)
	}
	return n
}

// fewer is the refusal of a row that is too short.
func fewer(at int) *reason {
	return &reason{errno: 1235, text: "a row of the INSERT has fewer values than there are columns", at: at}
}

// unnumbered is the refusal of a value of which it is not certain whether the server would choose one in its place.
func (t *table) unnumbered(at int) *reason {
	return unsupported(at, "write an integer, NULL or DEFAULT, or leave the column out",
		"the value of %s, the AUTO_INCREMENT column of %s, is not a plain number", t.auto, t.name)
}

// of is the value in a row, and its literal; nil if there is none.
func (n *numbering) of(s *scan, r row) (keyRef, *literal) {
	if n.listed < 0 || n.given[r.like].slot < 0 {
		return keyRef{}, nil
	}
	k := n.given[r.like]
	if len(s.likes) > 0 {
		k.slot += r.lit - s.likes[r.like].slot
	}
	return k, &s.lits[k.slot]
}

// rowsOf are the rows of the statement; that of SET is one too.
func (in *insert) rowsOf(s *scan) []row {
	if in.rows {
		return s.rows
	}
	return []row{{}}
}

// lacking counts the rows whose number the client leaves to the server, and finds the highest number that it gives itself.
func (in *insert) lacking(pl *placing) (count int, highest uint64, why *reason, at int) {
	for _, r := range in.rowsOf(pl.s) {
		k, lit := in.numbers.of(pl.s, r)
		if lit == nil {
			count++
			continue
		}
		number, lacks, ok := pl.number(k, lit)
		switch {
		case !ok:
			return 0, 0, in.table.unnumbered(-1), lit.start
		case lacks:
			count++
		case !k.minus:
			highest = max(highest, number)
		}
	}
	return count, highest, nil, -1
}

// number reads a literal or parameter as a number. lacks tells that the server would choose another one in its place.
func (pl *placing) number(k keyRef, lit *literal) (number uint64, lacks, ok bool) {
	onZero := pl.s.mode&NoAutoValueOnZero == 0
	if lit.kind == kParam {
		v := pl.value(int(lit.param))
		switch v.Kind {
		case ValueNull:
			return 0, true, true
		case ValueUint:
			return v.Uint, onZero && v.Uint == 0, true
		case ValueInt:
			return uint64(max(v.Int, 0)), onZero && v.Int == 0, true
		case ValueBytes:
			return digits(v.Bytes, onZero)
		}
		return 0, false, false
	}
	text := pl.s.sql[lit.start:lit.end]
	switch lit.kind {
	case kInt:
		return digits(text, onZero)
	case kString:
		return digits(text[1:len(text)-1], onZero)
	}
	return 0, false, false
}

// digits is number for digits.
func digits(text []byte, onZero bool) (number uint64, lacks, ok bool) {
	n, err := strconv.ParseUint(string(text), 10, 64)
	return n, onZero && n == 0 && err == nil, err == nil
}

// Number writes numbers into a statement whose Plan asks for them: first, and those that follow it. sql is not changed.
func (r *Router) Number(sql []byte, schema string, mode Mode, first uint64) ([]byte, error) {
	s := scans.Get().(*scan)
	defer s.release()
	_, sh, why := r.look(s, sql, schema, mode, false)
	if why != nil {
		return nil, why
	}
	text, _ := sh.insert.numbered(s, func(to []byte) []byte {
		first++
		return strconv.AppendUint(to, first-1, 10)
	})
	return text, nil
}

// numbered is the statement with what number appends in the place of each value that is left to the server. from are, for a
// statement with parameters, those of the new text: which of the old one's each is, -1 for a number.
func (in *insert) numbered(s *scan, number func([]byte) []byte) (out []byte, from []int) {
	params := paramReader{lits: s.lits}
	done := 0
	until := func(end int) {
		out = append(out, s.sql[done:end]...)
		from = params.until(from, end)
		done = end
	}
	column := "`" + in.table.auto + "`"
	begin, _ := s.list()
	switch {
	case in.numbers.listed >= 0:
	case in.rows:
		until(begin)
		out = append(out, column...)
		out = s.comma(out, begin, s.rows[0].start)
	default:
		until(begin)
		out = append(append(append(out, ' '), column...), " = "...)
	}
	pl := placing{s: s, value: func(int) Value { return Value{Kind: ValueInt, Int: 1} }} // what is bound is looked at when it is
	for _, r := range in.rowsOf(s) {
		k, lit := in.numbers.of(s, r)
		if lit != nil {
			if _, lacks, _ := pl.number(k, lit); !lacks {
				continue
			}
		}
		switch {
		case in.numbers.listed >= 0:
			first, last := begin, len(s.sql)
			if in.rows {
				first, last = r.start+1, r.end
			}
			start, end := s.item(first, last, in.numbers.listed, !in.rows)
			until(start)
			out, done = number(out), end
		case in.rows:
			until(r.start + 1)
			out = s.comma(number(out), r.start+1, r.end)
		default:
			out = append(number(out), ',')
		}
		from = append(from, -1)
	}
	until(len(s.sql))
	return out, from
}

// comma appends a comma unless nothing but a closing bracket follows at sql[at:end].
func (s *scan) comma(out []byte, at, end int) []byte {
	l := lexer{src: s.sql[:end], pos: at, mode: s.mode}
	for {
		if t := l.next(); !t.kind.blank() {
			if t.kind == kOp && s.sql[t.start] == ')' {
				return out
			}
			return append(out, ", "...)
		}
	}
}

// List writes the names of all columns into an INSERT whose Plan asks for them. sql is not changed.
func (r *Router) List(sql []byte, mode Mode, columns []string) []byte {
	l := lexer{src: sql, mode: mode}
	end := 0 // of what stands before the rows
	for {
		t := l.next()
		word := sql[t.start:t.end]
		if t.kind == kEnd || t.kind == kBad || t.kind == kWord && (is(word, "VALUES") || is(word, "VALUE")) {
			break
		}
		if !t.kind.blank() {
			end = t.end
		}
	}
	out := append(slices.Clone(sql[:end]), " ("...)
	for i, c := range columns {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = append(append(append(out, '`'), strings.ReplaceAll(c, "`", "``")...), '`')
	}
	return append(append(out, ") "...), bytes.TrimLeft(sql[end:], " ")...)
}

// list is the place behind the bracket that begins the list of columns, or behind SET; ok tells whether there is one of them.
func (s *scan) list() (at int, ok bool) {
	l := lexer{src: s.sql, mode: s.mode}
	partition := false
	for {
		t := l.next()
		word := s.sql[t.start:t.end]
		switch {
		case t.kind == kEnd || t.kind == kBad, t.kind == kWord && (is(word, "VALUES") || is(word, "VALUE") || is(word, "SELECT")):
			return 0, false
		case t.kind == kWord && is(word, "SET"):
			return t.end, true
		case t.kind == kWord:
			partition = is(word, "PARTITION")
		case t.kind != kOp || word[0] != '(':
		case !partition:
			return t.end, true
		default:
			for t = l.next(); t.kind != kEnd && t.kind != kBad && s.sql[t.start] != ')'; {
				t = l.next()
			}
			partition = false
		}
	}
}

// item is where the n-th expression of a list is, in sql[from:to]; of assignments what is assigned, if that is one token or a
// number with a sign.
func (s *scan) item(from, to, n int, assigned bool) (start, end int) {
	l := lexer{src: s.sql[:to], pos: from, mode: s.mode}
	depth, named := 0, assigned // named: the column's name is still to come
	for start = -1; ; {
		t := l.next()
		c := byte(0)
		if t.kind == kOp {
			c = s.sql[t.start]
		}
		switch {
		case t.kind == kEnd || t.kind == kBad, depth == 0 && c == ')', assigned && start >= 0 && t.kind == kWord:
			return start, end
		case t.kind.blank():
		case depth == 0 && c == ',':
			if n--; n < 0 {
				return start, end
			}
		case n == 0 && named:
			named = c != '=' && c != ':'
		case n == 0 && start < 0:
			start, end = t.start, t.end
		case n == 0:
			end = t.end
		}
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		}
	}
}
