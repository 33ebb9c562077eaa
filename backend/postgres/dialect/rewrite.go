package dialect

import "fmt"

// rewrite notes the tokens in place of which the parser is shown others: VALUES ROW(…), … is the same as SELECT … UNION ALL SELECT …, MEMBER OF
// stands where REGEXP may, and IGNORE of DELETE is unknown to it.
func (s *source) rewrite() {
	s.replaced = map[int]string{}
	for i := 1; s.word(0) == "DELETE" && (s.word(i) == "IGNORE" || s.word(i) == "LOW_PRIORITY" || s.word(i) == "QUICK"); i++ {
		s.replaced[i], s.ignore = "", s.ignore || s.word(i) == "IGNORE"
	}
	for i := range s.toks {
		switch {
		case s.word(i) == "VALUES" && s.word(i+1) == "ROW" && s.op(i+2, "("):
			s.rewriteRows(i)
		case s.word(i) == "MEMBER" && s.word(i+1) == "OF" && s.op(i+2, "("):
			s.replaced[i], s.replaced[i+1] = "REGEXP", memberOf
		}
	}
}

// memberOf is what the parser is shown for OF in MEMBER OF.
const memberOf = "__xaproxy_member"

// rewriteRows is rewrite of the VALUES at i. In an INSERT only the word ROW goes. MySQL does not order rows that are so few as it is told to: that
// stays as it is, and is refused.
func (s *source) rewriteRows(i int) {
	insert := s.word(0) == "INSERT" || s.word(0) == "REPLACE"
	for j := 0; j < i && insert; j++ {
		insert = !s.op(j, "(") || s.match(j) < i
	}
	before, row, last := s.word(i-1), i+1, s.lastRow(i)
	after := s.word(last + 1)
	if after == "ORDER" && !insert {
		return
	}
	combined := before == "UNION" || before == "ALL" || before == "DISTINCT" || before == "EXCEPT" || before == "INTERSECT"
	for n := 0; s.word(row) == "ROW" && s.op(row+1, "("); n++ {
		end := s.match(row + 1)
		if insert {
			s.replaced[row] = ""
		} else {
			s.replaced[row], s.replaced[row+1] = "", ""
			if n > 0 {
				s.replaced[row-1] = "UNION ALL SELECT" // the comma
			}
			s.rewriteRow(row+2, end, n == 0)
		}
		row = end + 2
	}
	if insert {
		return
	}
	combined = combined || after == "UNION" || after == "EXCEPT" || after == "INTERSECT"
	s.replaced[i] = "SELECT"
	if combined {
		s.replaced[i] = "(SELECT"
		s.replaced[last] += ")"
	}
}

// rewriteRow names the columns of the first row, whose bracket is left out as those of all are.
func (s *source) rewriteRow(from, end int, first bool) {
	column, depth := 0, 0
	name := func() string {
		if !first {
			return ""
		}
		column++
		return fmt.Sprintf("AS column_%d", column-1)
	}
	for i := from; i < end; i++ {
		switch {
		case s.op(i, "("):
			depth++
		case s.op(i, ")"):
			depth--
		case s.op(i, ",") && depth == 0 && first:
			s.replaced[i] = name() + ","
		}
	}
	s.replaced[end] = name()
}

// lastRow is the bracket that closes the rows of the VALUES at i.
func (s *source) lastRow(i int) (last int) {
	for row := i + 1; s.word(row) == "ROW" && s.op(row+1, "("); row = last + 2 {
		if last = s.match(row + 1); !s.op(last+1, ",") {
			break
		}
	}
	return last
}
