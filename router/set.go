package router

import (
	"maps"
	"slices"
	"strings"
)

// set reads SET. It works on the client's text, not on the shape, because the values are wanted.
// https://dev.mysql.com/doc/refman/8.4/en/set-variable.html
func (st *stmt) set() (*Plan, *reason) {
	f := newFinding()
	if why := st.session(&f); why != nil {
		return nil, why
	}
	switch w := st.word(1); w {
	case "STATEMENT", "PASSWORD", "ROLE", "RESOURCE":
		return nil, unsupported(st.at(1), "", "SET %s is not supported", w)
	case "DEFAULT":
		if st.word(2) == "ROLE" {
			return nil, unsupported(st.at(1), "", "SET DEFAULT ROLE is not supported")
		}
	}
	p := &Plan{Verb: Set, LastConn: f.previous, Own: f.own, Variables: slices.Sorted(maps.Keys(f.variables))}
	if i := 1; st.word(i) == "TRANSACTION" || st.word(i+1) == "TRANSACTION" {
		a, why := st.setTransaction(i)
		if why != nil {
			return nil, why
		}
		p.Sets = []Assignment{a}
		return p, nil
	}
	for i := 1; ; i++ {
		a, next, why := st.assignment(i)
		switch {
		case why != nil:
			return nil, why
		case f.previous && a.Scope != ScopeUser:
			return nil, unsupported(st.at(i), "read the value first", "SET to a value of the previous statement is only supported for user variables")
		}
		p.Sets = append(p.Sets, a)
		if i = next; i == len(st.toks) {
			return p, nil
		}
		if !st.op(i, ",") {
			return nil, st.wrong(i)
		}
	}
}

// ignored are variables that only advise the server, and that not all servers know: a SET of them in an executable comment
// may be left out. mysqldump begins and ends its files with such comments.
var ignored = map[string]bool{"note_verbosity": true, "information_schema_stats_expiry": true}

// ignorable tells whether all of the assignments may be left out.
func ignorable(sets []Assignment) bool {
	return !slices.ContainsFunc(sets, func(a Assignment) bool {
		value, _ := strings.CutPrefix(strings.ToLower(a.Expr), "@@")
		return !(ignored[a.Name] && a.Scope == ScopeSession || ignored[value] && a.Scope == ScopeUser)
	})
}

// plainStmt is the client's text as tokens, up to its semicolon.
func (r *Router) plainStmt(sql []byte, schema string, mode Mode, skip bool) *stmt {
	st := &stmt{r: r, schema: schema, mode: mode, text: string(sql)}
	l := lexer{src: sql, mode: mode, skip: skip}
	open := false // an executable comment begins before the next token
	for {
		dotted := l.dot
		t := l.next()
		switch {
		case t.kind == kEnd || t.kind == kSemi:
			return st
		case t.kind == kExecOpen || t.kind == kExecClose:
			open = true
			continue
		case t.kind.blank():
			continue
		}
		k := tok{kind: t.kind, start: t.start, end: t.end, dotted: dotted, space: open}
		open = false
		switch t.kind {
		case kWord:
			k.name = st.text[t.start:t.end]
			if !dotted {
				k.word = strings.ToUpper(k.name)
			}
		case kQuoted:
			k.name = unquote(st.text[t.start:t.end])
		}
		st.toks = append(st.toks, k)
	}
}

// setTransaction reads SET [SESSION | LOCAL | GLOBAL] TRANSACTION characteristics, the i-th token being behind SET.
func (st *stmt) setTransaction(i int) (Assignment, *reason) {
	a := Assignment{Scope: ScopeTransaction, Name: "transaction", Pos: st.at(i)}
	switch st.word(i) {
	case "TRANSACTION":
	case "SESSION", "LOCAL":
		a.Name = "session transaction"
		i++
	default:
		return a, st.wide(i)
	}
	i++
	start := i
	for {
		switch {
		case st.words(i, "READ", "ONLY"), st.words(i, "READ", "WRITE"):
			i += 2
		case st.words(i, "ISOLATION", "LEVEL", "READ", "COMMITTED"), st.words(i, "ISOLATION", "LEVEL", "READ", "UNCOMMITTED"),
			st.words(i, "ISOLATION", "LEVEL", "REPEATABLE", "READ"):
			i += 4
		case st.words(i, "ISOLATION", "LEVEL", "SERIALIZABLE"):
			i += 3
		default:
			return a, st.wrong(i)
		}
		if i == len(st.toks) {
			break
		}
		if !st.op(i, ",") {
			return a, st.wrong(i)
		}
		i++
	}
	var why *reason
	a.Expr, why = st.source(start, i)
	return a, why
}

// source is the client's text from one token up to another.
func (st *stmt) source(i, end int) (string, *reason) {
	for _, t := range st.toks[i+1 : end] {
		if t.space {
			return "", unsupported(t.start, "write it without the comment", "an executable comment begins or ends inside of a value")
		}
	}
	return st.text[st.toks[i].start:st.toks[end-1].end], nil
}

// wide refuses what concerns more than the session.
func (st *stmt) wide(i int) *reason {
	if st.word(i) == "GLOBAL" || st.word(i) == "PERSIST" || st.word(i) == "PERSIST_ONLY" {
		return unsupported(st.at(i), "connect to the backend and run it there", "SET %s is not supported: it concerns one server", st.word(i))
	}
	return st.wrong(i)
}

// unsafeCharsets have characters whose second byte may look like ASCII, so that text in them cannot be cut into tokens.
var unsafeCharsets = map[string]bool{"big5": true, "cp932": true, "gb18030": true, "gbk": true, "sjis": true, "ucs2": true, "utf16": true, "utf16le": true, "utf32": true}

// checkCharset refuses these, and what is not plainly the name of another.
func checkCharset(name string, at int) *reason {
	plain := len(name) > 0 && class[name[0]]&cDigit == 0
	for _, c := range []byte(name) {
		plain = plain && c < 0x80 && class[c]&cIdent != 0
	}
	if !plain || unsafeCharsets[name] {
		return unsupported(at, "use utf8mb4", "the character set %q is not supported for statements", name)
	}
	return nil
}

// assignment reads one assignment, from the i-th token on, and returns the place behind it.
func (st *stmt) assignment(i int) (a Assignment, next int, why *reason) {
	a.Pos = st.at(i)
	if !st.assigns(i + 1) {
		switch {
		case st.word(i) == "NAMES":
			return st.charset(a, "names", i+1)
		case st.words(i, "CHARACTER", "SET"), st.words(i, "CHAR", "SET"):
			return st.charset(a, "character set", i+2)
		case st.word(i) == "CHARSET":
			return st.charset(a, "character set", i+1)
		}
	}
	if i < len(st.toks) && st.toks[i].kind == kUserVar {
		a.Scope, a.Name = ScopeUser, st.variableName(i)
		if a.Name == "" {
			return a, i, st.wrong(i)
		}
		i++
	} else {
		i, a.Name, why = st.variable(i)
	}
	if why != nil {
		return a, i, why
	}
	if !st.assigns(i) {
		return a, i, st.wrong(i)
	}
	i++
	start, depth := i, 0
	for ; i < len(st.toks); i++ {
		if st.op(i, ",") && depth == 0 {
			break
		}
		switch {
		case st.op(i, "("):
			depth++
		case st.op(i, ")"):
			depth--
		}
	}
	if i == start || depth != 0 {
		return a, i, st.wrong(i)
	}
	value := &stmt{r: st.r, text: st.text, toks: st.toks[start:i]}
	f := newFinding()
	if why := value.session(&f); why != nil {
		return a, i, why
	}
	if f.leaves != PinNone || f.home >= 0 {
		return a, i, unsupported(st.at(start), "SELECT the value first", "SET to a value that changes %s is not supported", sessionState)
	}
	if value.has("SELECT") >= 0 && value.has("FROM") >= 0 || value.has("TABLE") >= 0 || value.has("INTO") >= 0 {
		return a, i, unsupported(st.at(start), "read the value first", "SET to the result of a query is not supported")
	}
	if value.runsCode() {
		return a, i, unsupported(st.at(start), "SELECT it INTO the variable", "SET to the result of a stored function or a sequence is not supported")
	}
	a.Expr, why = st.source(start, i)
	if why == nil && a.Name == "character_set_client" && a.Scope == ScopeSession && (len(value.toks) > 1 || value.toks[0].kind != kUserVar) {
		why = checkCharset(bare(a.Expr), st.at(start))
	}
	return a, i, why
}

// runsCode tells whether an expression calls a function that is not built in, which may do anything, or asks a sequence.
func (st *stmt) runsCode() bool {
	for i, t := range st.toks {
		if t.dotted && t.name != "" && st.op(i+1, "(") || st.words(i, "VALUE", "FOR") {
			return true
		}
	}
	return st.calls()
}

// assigns tells whether the i-th token is = or :=.
func (st *stmt) assigns(i int) bool { return st.op(i, "=") || st.op(i, ":=") }

// variable reads [SESSION | LOCAL] name, @@name, @@SESSION.name, and returns the place behind it.
func (st *stmt) variable(i int) (next int, name string, why *reason) {
	if i >= len(st.toks) {
		return i, "", st.wrong(i)
	}
	if st.toks[i].kind == kSysVar {
		name = strings.ToUpper(st.text[st.toks[i].start+2 : st.toks[i].end])
		if st.op(i+1, ".") {
			switch name {
			case "SESSION", "LOCAL":
			case "GLOBAL", "PERSIST", "PERSIST_ONLY":
				return i, "", unsupported(st.at(i), "connect to the backend and run it there", "SET @@%s is not supported: it concerns one server", name)
			default:
				return i, "", st.wrong(i + 1)
			}
			i += 2
			if i >= len(st.toks) || st.toks[i].name == "" {
				return i, "", st.wrong(i)
			}
			name = st.toks[i].name
		}
		name = strings.Trim(name, "`")
		if name == "" {
			return i, "", st.wrong(i)
		}
		return i + 1, strings.ToLower(name), nil
	}
	if w := st.word(i); !st.assigns(i+1) && w != "" {
		if w != "SESSION" && w != "LOCAL" {
			return i, "", st.wide(i)
		}
		i++
	}
	if i >= len(st.toks) || st.toks[i].name == "" {
		return i, "", st.wrong(i)
	}
	return i + 1, strings.ToLower(st.toks[i].name), nil
}

// charset reads what follows SET NAMES or SET CHARACTER SET.
func (st *stmt) charset(a Assignment, name string, i int) (Assignment, int, *reason) {
	a.Scope, a.Name = ScopeNames, name
	if !st.value(i) {
		return a, i, st.wrong(i)
	}
	a.Expr = bare(st.text[st.toks[i].start:st.toks[i].end])
	if why := checkCharset(a.Expr, st.at(i)); why != nil {
		return a, i, why
	}
	i++
	if name == "names" && st.word(i) == "COLLATE" {
		if i++; !st.value(i) {
			return a, i, st.wrong(i)
		}
		a.Collate = bare(st.text[st.toks[i].start:st.toks[i].end])
		i++
	}
	return a, i, nil
}

// value tells whether the i-th token can be the name of a character set or collation.
func (st *stmt) value(i int) bool {
	return i < len(st.toks) && (st.toks[i].name != "" || st.toks[i].kind == kString)
}

// bare is the text without quotes, in lower case.
func bare(s string) string { return strings.ToLower(strings.Trim(s, "'\"`")) }
