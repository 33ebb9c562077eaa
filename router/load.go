package router

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Load is how the lines of a client's file are spread over the backends of a sharded table by LOAD DATA LOCAL. A Cutter cuts
// the file; the first Ignore lines go to every part and each of the others to the part that Place names: all parts run the
// client's text, so each of them skips as many lines.
// https://dev.mysql.com/doc/refman/8.4/en/load-data.html
type Load struct {
	// File is the name of the client's file.
	File string
	// Columns is how many fields of a line are read, KeyColumn the shard key among them, counted from 0.
	Columns, KeyColumn int
	// Whole: the values of all fields are wanted.
	Whole bool
	// FieldsTerminated, LinesTerminated: not empty. Enclosed and Escaped: one byte, or none. LinesStarting: of each line, what
	// is up to its first occurrence does not count, and a line without it is skipped; it may be empty.
	FieldsTerminated, Enclosed, Escaped []byte
	LinesStarting, LinesTerminated      []byte
	// OptionallyEnclosed tells that only strings are enclosed when such a file is written; a reader need not know.
	OptionallyEnclosed bool
	// Ignore is how many lines to skip.
	Ignore uint64
	// Charset is the file's character set as the statement says, and one that the cutter can read. If it is empty, it is the
	// backend's character_set_database, and ReadsAs must be asked.
	Charset string
	// Assigns are the user variables that fields go to, named as in Plan.Variables: afterwards they have the values of the last
	// line. Plan.Variables has only those that are read as well.
	Assigns []string

	table *table
}

// Place is the backend for a piece that is ForKey. The only error is *Refusal, without a position. Safe for concurrent use.
func (l *Load) Place(p Piece) (backend int, err error) {
	if p.Missing {
		return 0, l.refuse(p, unsupported(-1, "", "the line ends before the shard key %s of %s", l.table.key(), l.table.name))
	}
	v := Value{Kind: ValueBytes, Bytes: p.Key}
	if p.Key == nil {
		v.Kind = ValueNull
	}
	shard, _, fault := l.table.shard([]Value{v})
	if fault != keyGood {
		return 0, l.refuse(p, misplaced(l.table, 0, fault, false))
	}
	return l.table.sharding.backends[shard], nil
}

// refuse says where in the file the reason is.
func (l *Load) refuse(p Piece, why *reason) *Refusal {
	why.text = fmt.Sprintf("line %d of the file, field %d: %s", p.Line, l.KeyColumn+1, why.text)
	why.do = "nothing was loaded; correct the file"
	return why.refusal(-1)
}

// separators are those of the five clauses, some of them empty.
func (l *Load) separators() [][]byte {
	return [][]byte{l.FieldsTerminated, l.Enclosed, l.Escaped, l.LinesStarting, l.LinesTerminated}
}

// maxSeparator is how long one of them may be, in bytes: there must be letters and digits that are in none of them.
const maxSeparator = 16

// ReadsAs says why a file in this character set, named as by the server, cannot be cut. The only error is *Refusal.
func (l *Load) ReadsAs(charset string) error {
	if why := l.readable(charset, -1); why != nil {
		return why.refusal(-1)
	}
	return nil
}

// readable refuses the character sets with characters whose second byte may look like a separator.
func (l *Load) readable(charset string, at int) *reason {
	letters := func(s []byte) bool {
		return bytes.ContainsFunc(s, func(c rune) bool { return class[byte(c)]&cIdent != 0 && class[byte(c)]&cDigit == 0 })
	}
	switch {
	case checkCharset(charset, at) != nil:
		return unsupported(at, "write CHARACTER SET utf8mb4, or that of the file", "LOAD DATA into the sharded table %s in the character set %q is not supported", l.table.name, charset)
	case charset == "euckr" && slices.ContainsFunc(l.separators(), letters):
		return unsupported(at, "use other separators", "LOAD DATA into the sharded table %s in the character set euckr with letters as separators is not supported", l.table.name)
	}
	return nil
}

// load reads LOAD DATA LOCAL INFILE, strictly: its clauses in their order and nothing else. It works on the client's text,
// because the separators are wanted.
func (st *stmt) load() (*Plan, *reason) {
	f := newFinding()
	if why := st.session(&f); why != nil {
		return nil, why
	}
	h, why := st.loadHead()
	if why != nil {
		return nil, why
	}
	o := h.into
	p, schema, why := st.r.catalog.resolve(o.schema, o.name, st.schema, o.at)
	switch {
	case why != nil:
		return nil, why
	case p.system:
		return nil, unsupported(o.at, "run it on the backend itself", "writing to system schemas is not supported")
	case p.copied != nil:
		return nil, unsupported(o.at, "INSERT the rows", "LOAD DATA into the broadcast table %s is not supported yet", p.copied.name)
	}
	l := st.loading(h, p.table)
	l.clauses()
	if l.why != nil {
		return nil, l.why
	}
	f.write, f.program, f.schemas[schema] = true, l.program, true
	carries := f.leaves != PinNone // from line to line, or to the next statement
	if len(l.Assigns) > 0 {
		f.keep(PinUserVariable)
	}
	if p.table != nil && len(p.table.lookups) > 0 {
		return nil, unsupported(o.at, "INSERT the rows", "LOAD DATA into %s, which has lookup table %s, is not supported", p.table.name, p.table.lookups[0].name)
	}
	if p.table != nil {
		if f.home >= 0 || f.previous || carries {
			return nil, unsupported(o.at, "compute it in the client", "LOAD DATA into the sharded table %s needs %s", p.table.name, sessionState)
		}
		for _, name := range l.Assigns {
			delete(f.variables, name) // each line gives it a value before it is read
		}
		return l.spread(f.plan(), o.at)
	}
	if why := f.settle(st.r.catalog, p.backend, "table "+schema+"."+strings.ToLower(o.name), o.at); why != nil {
		return nil, why
	}
	sh := &shape{plan: &Plan{}}
	if st.from(h.next).has(queries...) >= 0 {
		if sh, why = st.mentioning(f); why != nil {
			return nil, why
		}
	} else {
		sh = f.shape(st.r, f.home)
	}
	one := *sh.plan
	one.Local = true
	return &one, nil
}

// loadHead is what stands in front of the clauses.
type loadHead struct {
	file    string
	into    object
	replace bool
	next    int // token behind it
}

func (st *stmt) loadHead() (h loadHead, _ *reason) {
	i := 1
	if st.word(i) != "DATA" {
		return h, unsupported(st.at(i), "use LOAD DATA LOCAL INFILE", "LOAD %s is not supported", st.word(i))
	}
	if i++; st.word(i) == "LOW_PRIORITY" || st.word(i) == "CONCURRENT" {
		i++
	}
	if !st.words(i, "LOCAL", "INFILE") {
		return h, unsupported(st.at(i), "write LOAD DATA LOCAL INFILE", "LOAD DATA is only supported with a file of the client")
	}
	if i += 2; i >= len(st.toks) || st.toks[i].kind != kString {
		return h, st.wrong(i)
	}
	h.file = string(Unescape([]byte(st.text[st.toks[i].start:st.toks[i].end]), st.mode))
	if i++; st.word(i) == "REPLACE" || st.word(i) == "IGNORE" {
		h.replace = st.word(i) == "REPLACE"
		i++
	}
	if !st.words(i, "INTO", "TABLE") {
		return h, st.wrong(i)
	}
	var ok bool
	if h.into, h.next, ok = st.object(i + 2); !ok {
		return h, st.wrong(i)
	}
	return h, nil
}

// loading begins to read the clauses, with what holds without them.
func (st *stmt) loading(h loadHead, t *table) *loading {
	return &loading{stmt: st, i: h.next, table: t, Load: Load{
		table: t, File: h.file, FieldsTerminated: []byte("\t"), Escaped: []byte(`\`), LinesTerminated: []byte("\n"), KeyColumn: -1,
	}}
}

// spread is the plan for a sharded table.
func (l *loading) spread(p Plan, at int) (*Plan, *reason) {
	t := l.table
	switch {
	case l.KeyColumn < 0:
		return nil, unsupported(at, "name the columns in the order of the file, with "+t.key(), "LOAD DATA does not say which field is %s, the shard key of %s", t.key(), t.name)
	case t.auto != "" && !l.numbered:
		return nil, unsupported(at, "name it among the fields, and give it a number in each line", "LOAD DATA does not say which field is %s, the AUTO_INCREMENT column of %s, and no sequence gives values to lines", t.auto, t.name)
	}
	if why := l.cuttable(at, "into the sharded table "+t.name); why != nil {
		return nil, why
	}
	if l.Charset != "" {
		if why := l.readable(l.Charset, l.charsetAt); why != nil {
			return nil, why
		}
	}
	slices.Sort(l.Assigns)
	l.Assigns = slices.Compact(l.Assigns)
	p.Local, p.Load, p.Merge = true, &l.Load, MergeOK
	backends := slices.Clone(t.sharding.backends)
	slices.Sort(backends)
	for _, b := range slices.Compact(backends) {
		p.Parts = append(p.Parts, Part{Backend: b})
	}
	if len(p.Parts) == 1 {
		p.Merge = MergeNone
	}
	return &p, nil
}

// cuttable refuses the forms of files that a Cutter does not read.
func (l *loading) cuttable(at int, where string) *reason {
	switch {
	case len(l.FieldsTerminated) > 0 && bytes.Equal(l.FieldsTerminated, l.LinesTerminated):
		return unsupported(at, "let lines end in another way than fields", "LOAD DATA without line ends %s is not supported", where)
	case len(l.FieldsTerminated) == 0 || len(l.LinesTerminated) == 0:
		return unsupported(at, "separate fields and lines", "LOAD DATA of fixed lengths %s is not supported", where)
	case len(l.Enclosed) > 1 || len(l.Escaped) > 1:
		return syntax(at, "you have an error in your SQL syntax: ENCLOSED BY and ESCAPED BY take one character")
	case l.mode&NoBackslashEscapes != 0 && !l.escapes:
		return unsupported(at, "write FIELDS ESCAPED BY", "LOAD DATA %s with sql_mode NO_BACKSLASH_ESCAPES must say how the file is escaped", where)
	}
	for _, s := range l.separators() {
		if len(s) > maxSeparator || slices.ContainsFunc(s, func(c byte) bool { return c >= 0x80 }) {
			return unsupported(at, "use a few ASCII characters", "a separator in LOAD DATA %s is longer than %d bytes or not ASCII, which is not supported", where, maxSeparator)
		}
	}
	return nil
}

// loading reads the clauses behind the table. The first reason to refuse the statement stays.
type loading struct {
	*stmt
	Load
	i          int    // next token
	table      *table // sharded, or nil
	numbered   bool   // its AUTO_INCREMENT column is among the fields
	escapes    bool   // ESCAPED BY was there
	charsetAt  int
	program    bool     // a function that is not built in is called
	names      []string // of columns, and @ before those of variables
	sets       []LoadSet
	forBackend bool // a backend reads the file: every separator counts
	why        *reason
}

func (l *loading) refuse(why *reason) {
	if l.why == nil {
		l.why = why
	}
}

// skip goes over the words if they come next.
func (l *loading) skip(words ...string) bool {
	if !l.words(l.i, words...) {
		return false
	}
	l.i += len(words)
	return true
}

func (l *loading) clauses() {
	if l.skip("PARTITION") {
		l.brackets()
	}
	if l.skip("CHARACTER", "SET") || l.skip("CHARSET") {
		if !l.value(l.i) {
			l.refuse(l.wrong(l.i))
			return
		}
		l.Charset = bare(l.stmt.text[l.toks[l.i].start:l.toks[l.i].end])
		l.charsetAt = l.at(l.i)
		l.i++
	}
	if l.skip("FIELDS") || l.skip("COLUMNS") {
		l.fields()
	}
	if l.skip("LINES") {
		l.lines()
	}
	if l.skip("IGNORE") {
		n, ok := l.number(l.i)
		l.i++
		if !ok || !l.skip("LINES") && !l.skip("ROWS") {
			l.refuse(l.wrong(l.i))
		}
		l.Ignore = n
	}
	if l.op(l.i, "(") {
		l.columns()
	}
	if l.skip("SET") {
		l.assignments()
	}
	if l.i < len(l.toks) {
		l.refuse(l.wrong(l.i))
	}
}

func (l *loading) fields() {
	start := l.i
	for {
		switch {
		case l.skip("TERMINATED", "BY"):
			l.FieldsTerminated = l.separator()
		case l.skip("OPTIONALLY", "ENCLOSED", "BY"):
			l.Enclosed, l.OptionallyEnclosed = l.separator(), true
		case l.skip("ENCLOSED", "BY"):
			l.Enclosed = l.separator()
		case l.skip("ESCAPED", "BY"):
			l.Escaped, l.escapes = l.separator(), true
		default:
			if l.i == start {
				l.refuse(l.wrong(l.i))
			}
			return
		}
	}
}

func (l *loading) lines() {
	start := l.i
	for {
		switch {
		case l.skip("STARTING", "BY"):
			l.LinesStarting = l.separator()
		case l.skip("TERMINATED", "BY"):
			l.LinesTerminated = l.separator()
		default:
			if l.i == start {
				l.refuse(l.wrong(l.i))
			}
			return
		}
	}
}

// separator reads a string.
func (l *loading) separator() []byte {
	i := l.i
	l.i++
	switch {
	case i < len(l.toks) && l.toks[i].kind == kString:
		return Unescape([]byte(l.stmt.text[l.toks[i].start:l.toks[i].end]), l.mode)
	case i < len(l.toks) && l.toks[i].kind == kOther && l.forBackend:
		l.refuse(unsupported(l.at(i), "write it as a string", "this form of a separator is not supported on PostgreSQL"))
	case i < len(l.toks) && l.toks[i].kind == kOther && l.table == nil:
		return nil // nobody asks
	case i < len(l.toks) && l.toks[i].kind == kOther:
		l.refuse(unsupported(l.at(i), "write it as a string", "this form of a separator is not supported for sharded tables"))
	default:
		l.refuse(l.wrong(i))
	}
	return nil
}

// columns reads (column or @variable, ...).
func (l *loading) columns() {
	for n := 0; ; n++ {
		l.Columns = n + 1
		l.i++ // bracket or comma
		switch {
		case l.i < len(l.toks) && l.toks[l.i].kind == kUserVar:
			l.Assigns = append(l.Assigns, l.variableName(l.i))
			l.names = append(l.names, "@"+l.variableName(l.i))
		case l.i < len(l.toks) && l.toks[l.i].name != "":
			l.names = append(l.names, l.toks[l.i].name)
			l.numbered = l.numbered || l.table != nil && strings.EqualFold(l.toks[l.i].name, l.table.auto)
			if l.table != nil && strings.EqualFold(l.toks[l.i].name, l.table.columns[0]) {
				if l.KeyColumn >= 0 {
					l.refuse(syntax(l.at(l.i), "you have an error in your SQL syntax: column %s is named twice", l.table.columns[0]))
				}
				l.KeyColumn = n
			}
		case n == 0 && l.op(l.i, ")"):
			l.Columns = 0
			l.i++
			return
		default:
			l.refuse(l.wrong(l.i))
			return
		}
		l.i++
		switch {
		case l.op(l.i, ")"):
			l.i++
			return
		case !l.op(l.i, ","):
			l.refuse(l.wrong(l.i))
			return
		}
	}
}

// assignments reads column = expression, ... up to the end.
func (l *loading) assignments() {
	rest := l.from(l.i)
	l.program = rest.calls()
	if l.table != nil {
		if i := rest.has(queries...); i >= 0 {
			l.refuse(unsupported(rest.at(i), "compute it in the client", "a query in LOAD DATA into the sharded table %s is not supported", l.table.name))
		}
		if rest.calls() {
			l.refuse(unsupported(rest.at(0), "compute it in the client", "a function that is not built in is not supported in LOAD DATA into the sharded table %s", l.table.name))
		}
	}
	for {
		o, next, ok := l.object(l.i)
		if !ok || !l.stmt.assigns(next) {
			l.refuse(l.wrong(next))
			return
		}
		if l.table != nil && strings.EqualFold(o.name, l.table.columns[0]) {
			l.refuse(unsupported(o.at, "have the file say it", "computing %s, the shard key of %s, is not supported", l.table.columns[0], l.table.name))
		}
		depth := 0
		for l.i = next + 1; l.i < len(l.toks) && (depth > 0 || !l.op(l.i, ",")); l.i++ {
			switch {
			case l.op(l.i, "("):
				depth++
			case l.op(l.i, ")"):
				depth--
			}
		}
		if l.i == next+1 || depth != 0 {
			l.refuse(l.wrong(l.i))
			return
		}
		l.sets = append(l.sets, LoadSet{Column: o.name, Expr: l.stmt.text[l.at(next+1):l.toks[l.i-1].end]})
		if l.i == len(l.toks) {
			return
		}
		l.i++
	}
}

// brackets goes over (name, ...).
func (l *loading) brackets() {
	if !l.op(l.i, "(") {
		l.refuse(l.wrong(l.i))
		return
	}
	for l.i < len(l.toks) && !l.op(l.i, ")") {
		l.i++
	}
	l.i++
}
