package router

// Statements that are prepared by name, within SQL. https://dev.mysql.com/doc/refman/8.4/en/sql-prepared-statements.html

// prepareText reads PREPARE name FROM 'text' or @variable. It works on the client's text, because the value is wanted.
func (st *stmt) prepareText() (*Plan, *reason) {
	if len(st.toks) < 2 || st.toks[1].name == "" {
		return nil, st.wrong(1)
	}
	p := &Plan{Verb: PrepareSQL, Name: st.toks[1].name}
	if st.word(2) != "FROM" || len(st.toks) < 4 {
		return nil, st.wrong(2)
	}
	switch t := st.toks[3]; t.kind {
	case kUserVar:
		p.Var = st.variableName(3)
		p.Variables = []string{p.Var}
	case kString:
		p.Text = unescape([]byte(st.text[t.start:t.end]), st.mode)
	default:
		return nil, st.wrong(3)
	}
	return st.done(4, p)
}

// execute reads EXECUTE name [USING @a, @b].
func (st *stmt) execute() (*Plan, *reason) {
	if st.word(1) == "IMMEDIATE" {
		return nil, unsupported(st.at(1), "PREPARE and EXECUTE it", "EXECUTE IMMEDIATE is not supported")
	}
	if len(st.toks) < 2 || st.toks[1].name == "" {
		return nil, st.wrong(1)
	}
	p := &Plan{Verb: ExecuteSQL, Name: st.toks[1].name}
	if st.word(2) != "USING" {
		return st.done(2, p)
	}
	var next int
	if p.Using, next = st.variableList(3); p.Using == nil {
		return nil, unsupported(st.at(next), "assign the value to a user variable", "EXECUTE USING takes user variables only")
	}
	p.Variables = p.Using
	return st.done(next, p)
}

// unescape is the value of a quoted string. https://dev.mysql.com/doc/refman/8.4/en/string-literals.html
func unescape(src []byte, mode Mode) []byte {
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
