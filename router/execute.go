package router

import "strconv"

// Statements that are prepared by name, within SQL. https://dev.mysql.com/doc/refman/8.4/en/sql-prepared-statements.html

// prepareText reads PREPARE name FROM 'text' or @variable. It works on the client's text, because the value is wanted.
func (st *stmt) prepareText() (*Plan, *reason) {
	if len(st.toks) < 2 || st.toks[1].name == "" {
		return nil, st.wrong(1)
	}
	p := &Plan{Verb: PrepareSQL, Name: st.toks[1].name}
	if st.word(2) != "FROM" {
		return nil, st.wrong(2)
	}
	if !st.prepared(3, p) {
		return nil, st.wrong(3)
	}
	return st.done(4, p)
}

// prepared reads the text of a statement, or the user variable that has it.
func (st *stmt) prepared(i int, p *Plan) bool {
	if i >= len(st.toks) {
		return false
	}
	switch t := st.toks[i]; t.kind {
	case kUserVar:
		p.Var = st.variableName(i)
		p.Variables = []string{p.Var}
	case kString:
		p.Text = Unescape([]byte(st.text[t.start:t.end]), st.mode)
	default:
		return false
	}
	return true
}

// execute reads EXECUTE name [USING values] and EXECUTE IMMEDIATE 'text' or @variable [USING values]. With literals it works on
// the client's text.
func (st *stmt) execute() (*Plan, *reason) {
	if len(st.toks) < 2 || st.toks[1].name == "" {
		return nil, st.wrong(1)
	}
	p, i := &Plan{Verb: ExecuteSQL, Name: st.toks[1].name}, 2
	if st.word(1) == "IMMEDIATE" && len(st.toks) > 2 && st.word(2) != "USING" {
		if p.Name, p.Immediate = "", true; !st.prepared(2, p) {
			return nil, unsupported(st.at(2), "assign the text to a user variable", "EXECUTE IMMEDIATE takes a string or a user variable only")
		}
		i = 3
	}
	if st.word(i) != "USING" {
		return st.done(i, p)
	}
	for i++; ; i++ {
		next, ok := st.argument(i, p)
		if !ok {
			return nil, unsupported(st.at(i), "assign the value to a user variable", "EXECUTE USING takes user variables and literals only")
		}
		if i = next; !st.op(i, ",") {
			return st.done(i, p)
		}
	}
}

// argument reads a value of USING, and returns the place behind it.
func (st *stmt) argument(i int, p *Plan) (next int, ok bool) {
	if i >= len(st.toks) {
		return i, false
	}
	a, start := Argument{}, st.at(i)
	minus := st.op(i, "-")
	if minus {
		i++
	}
	if i >= len(st.toks) {
		return i, false
	}
	switch t := st.toks[i]; {
	case t.kind == kUserVar && !minus:
		a.Var = st.variableName(i)
		p.Variables = append(p.Variables, a.Var)
	case t.word == "NULL" && !minus:
		a.Value.Kind = ValueNull
	case t.kind == kString && !minus:
		a.Value = Value{Kind: ValueBytes, Bytes: Unescape([]byte(st.text[t.start:t.end]), st.mode)}
	case t.kind == kInt, t.kind == kDecimal, t.kind == kOther:
		a.Value.Kind = ValueOther
		if n, err := strconv.ParseInt(st.text[t.start:t.end], 10, 64); err == nil {
			a.Value = Value{Kind: ValueInt, Int: n}
			if minus {
				a.Value.Int = -n
			}
		}
	default:
		return i, false
	}
	if a.Var == "" {
		a.Text = st.text[start:st.toks[i].end]
	}
	p.Using = append(p.Using, a)
	return i + 1, true
}

// Unquote is the value of an expression that is nothing but a quoted string.
func Unquote(expr string, mode Mode) (value string, ok bool) {
	l := lexer{src: []byte(expr), mode: mode}
	t := l.next()
	if t.kind != kString || t.start != 0 || t.end != len(expr) {
		return "", false
	}
	return string(Unescape(l.src, mode)), true
}

// Unescape is the value of a quoted string, with its quotes. https://dev.mysql.com/doc/refman/8.4/en/string-literals.html
func Unescape(src []byte, mode Mode) []byte {
	quote := src[0]
	out := make([]byte, 0, len(src))
	for i := 1; i < len(src)-1; i++ {
		c := src[i]
		switch {
		case c == quote: // the first of two
			i++
		case c == '\\' && mode&NoBackslashEscapes == 0:
			i++
			switch c = src[i]; c {
			case '0':
				c = 0
			case 'b':
				c = '\b'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'Z':
				c = 0x1a
			case '%', '_': // a pattern's escape stays
				out = append(out, '\\')
			}
		}
		out = append(out, c)
	}
	return out
}
