package router

import (
	"errors"
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
	case "STATEMENT":
		return st.setStatement()
	case "PASSWORD", "ROLE", "RESOURCE":
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
	for i, asks := 1, []string(nil); ; i++ {
		a, next, ask, why := st.assignment(i)
		if ask != "" {
			asks = append(asks, ask)
		}
		switch {
		case why != nil:
			return nil, why
		case f.previous && a.Scope != ScopeUser:
			return nil, unsupported(st.at(i), "read the value first", "SET to a value of the previous statement is only supported for user variables")
		}
		p.Sets = append(p.Sets, a)
		if i = next; i == len(st.toks) {
			if asks != nil {
				return st.setOnServer(p, asks)
			}
			return p, nil
		}
		if !st.op(i, ",") {
			return nil, st.wrong(i)
		}
	}
}

// setOnServer is the plan of SET to the result of queries or stored functions: it goes to where they go, as SELECT ... INTO does.
func (st *stmt) setOnServer(p *Plan, asks []string) (*Plan, *reason) {
	variables := slices.Clone(p.Variables)
	for _, a := range p.Sets {
		if a.Scope != ScopeUser {
			return nil, unsupported(a.Pos, "SELECT it INTO a user variable first", "SET of %s in a statement with a query or a stored function is not supported", a.Name)
		}
		variables = append(variables, a.Name)
	}
	asked, err := st.r.Plan([]byte("SELECT "+strings.Join(asks, ", ")), st.schema, st.mode)
	if err != nil {
		var why *Refusal
		errors.As(err, &why)
		return nil, &reason{errno: why.Errno, text: "in the value of a SET: " + why.Text, at: -1}
	}
	if asked.Merge == MergeScratch && asked.Pin == PinNone {
		return st.selectInto(p, asks)
	}
	if len(asked.Parts) != 1 || asked.Pin != PinNone || asked.Merge != MergeNone {
		return nil, unsupported(-1, "SELECT it INTO the variable", "SET to the result of a query on several backends is not supported")
	}
	set := *asked
	slices.Sort(variables)
	set.Pin, set.Variables, set.LastConn, set.Own = PinUserVariable, slices.Compact(variables), p.LastConn, p.Own
	set.Parts = []Part{{Backend: asked.Parts[0].Backend}}
	return &set, nil
}

// selectInto is the plan of a SET of user variables as SELECT ... INTO.
func (st *stmt) selectInto(p *Plan, asks []string) (*Plan, *reason) {
	text, later := "SELECT "+strings.Join(asks, ", ")+" INTO ", false
	for i, a := range p.Sets {
		later = later || i > 0 && strings.Contains(a.Expr, "@") // it may mean one that is assigned before it
		if i > 0 {
			text += ", "
		}
		text += "@`" + strings.ReplaceAll(a.Name, "`", "``") + "`"
	}
	planned, err := st.r.Plan([]byte(text), st.schema, st.mode)
	if err != nil || later || len(asks) != len(p.Sets) {
		return nil, unsupported(-1, "read the values one by one", "SET to the result of a query on several backends is not supported here")
	}
	into := *planned
	scratch := *planned.Scratch
	into.Scratch, into.LastConn, into.Own = &scratch, p.LastConn, p.Own
	scratch.Text = []byte(text)
	return &into, nil
}

// setStatement plans SET STATEMENT assignments FOR statement, of MariaDB: it goes to where the statement goes.
// https://mariadb.com/docs/server/reference/sql-statements/administrative-sql-statements/set-commands/set-statement
func (st *stmt) setStatement() (*Plan, *reason) {
	i := 2
	for ; ; i++ {
		a, next, ask, why := st.assignment(i)
		switch {
		case why != nil:
			return nil, why
		case ask != "" || a.Scope != ScopeSession || changesReading[a.Name]:
			return nil, unsupported(st.at(i), "SET it before", "SET STATEMENT of %s is not supported", a.Name)
		}
		if i = next; !st.op(i, ",") {
			break
		}
	}
	if st.word(i) != "FOR" || i+1 == len(st.toks) {
		return nil, st.wrong(i)
	}
	at := st.at(i + 1)
	inner, err := st.r.Plan([]byte(st.text[at:]), st.schema, st.mode)
	if err != nil {
		var why *Refusal
		errors.As(err, &why)
		return nil, &reason{errno: why.Errno, text: "behind FOR: " + why.Text, at: -1}
	}
	if inner.Verb != Route || inner.Own || inner.Load != nil || inner.Merge == MergeScratch || inner.Merge == MergeListing {
		return nil, unsupported(at, "run it without SET STATEMENT", "this statement is not supported behind SET STATEMENT")
	}
	p := *inner
	p.Scratch = nil
	p.Parts = slices.Clone(inner.Parts)
	for n := range p.Parts {
		if p.Parts[n].SQL != nil {
			p.Parts[n].SQL = append([]byte(st.text[:at]), p.Parts[n].SQL...)
		}
	}
	return &p, nil
}

// changesReading are variables that change how the rest of a statement is read, or what the proxy itself keeps.
var changesReading = map[string]bool{
	"sql_mode": true, "character_set_client": true, "character_set_connection": true, "character_set_results": true, "collation_connection": true,
	"autocommit": true, "completion_type": true, "transaction_isolation": true, "tx_isolation": true, "transaction_read_only": true, "tx_read_only": true,
	"sql_log_bin": true, "insert_id": true, "last_insert_id": true, "identity": true, "pseudo_thread_id": true, "pseudo_slave_mode": true,
	"gtid_domain_id": true, "gtid_seq_no": true, "server_id": true, "skip_replication": true, "sql_select_limit": true,
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

// assignment reads one assignment, from the i-th token on, and returns the place behind it. ask is its value if that is for a server
// with its tables and functions to find out.
func (st *stmt) assignment(i int) (a Assignment, next int, ask string, why *reason) {
	a.Pos = st.at(i)
	if !st.assigns(i + 1) {
		name := "character set"
		switch {
		case st.word(i) == "NAMES":
			name = "names"
			next = i + 1
		case st.words(i, "CHARACTER", "SET"), st.words(i, "CHAR", "SET"):
			next = i + 2
		case st.word(i) == "CHARSET":
			next = i + 1
		}
		if next > 0 {
			a, next, why = st.charset(a, name, next)
			return a, next, "", why
		}
	}
	if i < len(st.toks) && st.toks[i].kind == kUserVar {
		a.Scope, a.Name = ScopeUser, st.variableName(i)
		if a.Name == "" {
			return a, i, "", st.wrong(i)
		}
		i++
	} else {
		i, a.Name, why = st.variable(i)
	}
	if why != nil {
		return a, i, "", why
	}
	if !st.assigns(i) {
		return a, i, "", st.wrong(i)
	}
	i++
	start, depth := i, 0
	for ; i < len(st.toks); i++ {
		if depth == 0 && (st.op(i, ",") || st.word(1) == "STATEMENT" && st.word(i) == "FOR") {
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
		return a, i, "", st.wrong(i)
	}
	value := &stmt{r: st.r, text: st.text, toks: st.toks[start:i]}
	f := newFinding()
	if why := value.session(&f); why != nil {
		return a, i, "", why
	}
	if f.leaves != PinNone || f.home >= 0 {
		return a, i, "", unsupported(st.at(start), "SELECT the value first", "SET to a value that changes %s is not supported", sessionState)
	}
	if value.has("INTO") >= 0 {
		return a, i, "", unsupported(st.at(start), "read the value first", "SET to a query with INTO is not supported")
	}
	a.Expr, why = st.source(start, i)
	if why == nil && a.Name == "character_set_client" && a.Scope == ScopeSession && (len(value.toks) > 1 || value.toks[0].kind != kUserVar) {
		why = checkCharset(bare(a.Expr), st.at(start))
	}
	if value.has("SELECT") >= 0 && value.has("FROM") >= 0 || value.has("TABLE") >= 0 || value.runsCode() {
		ask = a.Expr
	}
	return a, i, ask, why
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
