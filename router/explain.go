package router

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// explains tells whether the statement is EXPLAIN XAPROXY statement, and not about a table of that name.
func (s *scan) explains() bool {
	words := bytes.SplitN(s.text(), []byte(" "), 4)
	if len(words) < 3 || !is(words[1], "XAPROXY") {
		return false
	}
	verb := words[2]
	if i := bytes.IndexFunc(verb, func(c rune) bool { return c < 'A' || c > 'z' }); i >= 0 {
		verb = verb[:i]
	}
	return len(verb) == 0 || statements[strings.ToUpper(string(verb))] || refusedVerbs[strings.ToUpper(string(verb))] != ""
}

// statements are the words that begin one.
var statements = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`SELECT WITH VALUES TABLE INSERT REPLACE UPDATE DELETE DO SHOW DESCRIBE DESC EXPLAIN CALL LOCK UNLOCK
		HANDLER HELP CREATE ALTER DROP TRUNCATE RENAME ANALYZE OPTIMIZE CHECK REPAIR CHECKSUM BEGIN START COMMIT ROLLBACK SAVEPOINT
		RELEASE SET USE LOAD KILL PREPARE EXECUTE DEALLOCATE`) {
		m[w] = true
	}
	return m
}()

// explainPlan reads EXPLAIN XAPROXY statement. It works on the client's text, because the statement is wanted.
func (st *stmt) explainPlan() (*Plan, *reason) {
	p := &Plan{Verb: Explain, Text: []byte(st.text[:st.toks[0].start] + strings.TrimLeft(st.text[st.toks[1].end:], " \t\r\n"))}
	if of, err := st.r.Plan(p.Text, st.schema, st.mode); err == nil { // whoever may not use what it names is not told of it
		p.Schemas, p.Privileged = of.Schemas, of.Privileged
	}
	return p, nil
}

// node is a line of an explanation, with the lines under it.
type node struct {
	text  string
	under []*node
}

func (n *node) add(format string, args ...any) *node {
	one := &node{text: fmt.Sprintf(format, args...)}
	n.under = append(n.under, one)
	return one
}

// lines writes the tree, two blanks deeper for each level.
func (n *node) lines(to []string, indent string) []string {
	to = append(to, indent+n.text)
	for _, u := range n.under {
		to = u.lines(to, indent+"  ")
	}
	return to
}

// maxExplained is how much of a text an explanation shows, in bytes.
const maxExplained = 2 << 10

// quote adds a statement's text, line by line.
func (n *node) quote(text []byte) {
	shown := bytes.TrimRight(bytes.TrimSpace(text[:min(len(text), maxExplained)]), ";")
	for line := range bytes.Lines(shown) {
		n.add("%s", bytes.TrimRight(line, " \t\r\n"))
	}
	if len(text) > maxExplained {
		n.add("... %d bytes in all", len(text))
	}
}

// explanation is a statement that is being explained.
type explanation struct {
	*Router
	sql    []byte
	schema string
	plan   *Plan
	s      *scan
	of     *shape // nil if the plan does not depend on shard keys
	top    *node
}

// Explain says what would become of a statement: a tree in lines, each level two blanks deeper. A statement that would be refused
// is no error: the lines say why, and planned is false.
func (r *Router) Explain(sql []byte, schema string, mode Mode) (lines []string, planned bool) {
	p, err := r.Plan(sql, schema, mode)
	if err != nil {
		return refusedLines(sql, err.(*Refusal)), false
	}
	x := explanation{Router: r, sql: sql, schema: schema, plan: p, s: new(scan), top: &node{}}
	if plan, of, why := r.look(x.s, sql, schema, mode, false); why == nil && plan == nil {
		x.of = of
	}
	for _, section := range []func(*explanation){(*explanation).head, (*explanation).shards, (*explanation).parts, (*explanation).merge, (*explanation).commit, (*explanation).remarks} {
		section(&x)
	}
	return x.top.lines(nil, ""), true
}

// refusedLines explain a refusal.
func refusedLines(sql []byte, e *Refusal) []string {
	top := &node{text: fmt.Sprintf("refused: %d (%s)", e.Errno, e.State)}
	top.add("%s", e.Text)
	if e.Pos >= 0 && e.Pos <= len(sql) {
		from := max(bytes.LastIndexByte(sql[:e.Pos], '\n')+1, e.Pos-60)
		line, _, _ := bytes.Cut(sql[from:], []byte("\n"))
		top.add("%s", line[:min(len(line), e.Pos-from+40)])
		top.add("%s^", strings.Repeat(" ", e.Pos-from))
	}
	return top.lines(nil, "")
}

// head says where the statement goes, in short.
func (x *explanation) head() {
	p := x.plan
	switch {
	case p.Verb != Route:
		x.top.text = "carried out by xaproxy itself: " + p.Verb.String()
	case p.Lookup != nil:
		x.top.text = "the backends of the rows that lookup table " + p.Lookup.Table + " finds"
	case p.Parts[0].Backend == AnyBackend:
		x.top.text = "any backend: it reads no tables of the configuration"
	case p.Parts[0].Backend == OneCopy:
		x.top.text = "one backend that has all of it, where the session is anyway: " + x.names(p.Copies)
	case len(p.Parts) == 1:
		x.top.text = "one backend: " + x.catalog.backends[p.Parts[0].Backend]
	case p.Scatter != ScatterNone:
		x.top.text = fmt.Sprintf("%d backends, those of all shards: no condition says which", len(p.Parts))
	default:
		x.top.text = fmt.Sprintf("%d backends", len(p.Parts))
	}
}

func (x *explanation) names(backends []int) string {
	var names []string
	for _, b := range backends {
		names = append(names, x.catalog.backends[b])
	}
	return strings.Join(names, ", ")
}

// shards says which shards the keys of the sharded tables leave.
func (x *explanation) shards() {
	if x.of == nil {
		return
	}
	pl := placing{s: x.s, at: -1}
	for _, root := range x.of.roots {
		var set shardSet
		pl.shards(root.table, root.pick, &set)
		x.table(root.table, &set, "")
	}
	if in := x.of.insert; in != nil && in.rows && in.computed == nil {
		var set shardSet
		pl.stores = true
		for _, r := range x.s.rows {
			keys := in.keysOf(x.s, r, make([]keyRef, len(in.table.columns)))
			if shard, fault := pl.shard(in.table, keys); fault == keyGood {
				set.add(shard)
			}
		}
		what := ""
		if n := len(x.s.rows); n > 1 {
			what = fmt.Sprintf(" for %d rows", n)
		}
		x.table(in.table, &set, what)
	}
}

// table says which shards of a table are meant.
func (x *explanation) table(t *table, set *shardSet, what string) {
	var names []string
	for i, name := range t.sharding.shards {
		if set.has(i) {
			names = append(names, name)
		}
	}
	line := fmt.Sprintf("table %s by %s: shards %s of %d%s", t.name, t.key(), strings.Join(names, ", "), len(t.sharding.shards), what)
	if !slices.ContainsFunc(x.top.under, func(n *node) bool { return n.text == line }) {
		x.top.add("%s", line)
	}
}

// parts says what each backend gets.
func (x *explanation) parts() {
	if x.plan.Steps != nil {
		x.steps()
		return
	}
	if l := x.plan.Lookup; l != nil {
		for _, part := range l.Ask {
			x.top.add("first, on backend %s", x.catalog.backends[part.Backend]).quote(part.SQL)
		}
		x.top.add("then, on the shards of the rows found").quote(x.sql)
		return
	}
	if c := x.plan.Change; c != nil && len(c.Read) > 0 {
		x.top.add("first, on each backend").quote(c.Read[0].SQL)
	}
	defer x.entries()
	for i, part := range x.plan.Parts {
		n := x.top
		if len(x.plan.Parts) > 1 {
			n = x.top.add("backend %s", x.catalog.backends[part.Backend])
		}
		switch {
		case part.SQL != nil:
			n.quote(part.SQL)
		case i == 0:
			n.quote(x.sql)
		default:
			n.add("the same text")
		}
	}
}

// steps says what is read first and what is written then.
func (x *explanation) steps() {
	s := x.plan.Steps
	if s.Change != nil {
		x.top.add("the rows one after the other: those on any shard that have unique values of a row are locked, and say where it is written")
		for _, r := range s.Rows {
			x.top.add("backend %s", x.catalog.backends[r.Backend]).quote(r.SQL)
		}
		for _, l := range s.Change.Lookups {
			x.top.add("then lookup table %s.%s gets the entries of the row", l.Schema, l.Table)
		}
		return
	}
	lines, _ := x.Explain(s.Query, x.schema, x.s.mode)
	read := x.top.add("first, in the same transaction: %s", lines[0])
	for _, line := range lines[1:] {
		if line = strings.TrimPrefix(line, "  "); !strings.HasPrefix(line, "commit: ") {
			read.add("%s", line)
		}
	}
	if s.Table != nil {
		x.top.add("then, in batches, each row to the backends that it belongs to").quote(slices.Concat(s.Head, []byte("VALUES (...)"), s.Tail))
		return
	}
	for _, t := range s.Targets {
		n := x.top.add("then, in batches, the rows found of %s by their primary key, each on its backend: %s", t.Name, x.names(t.Backends))
		for _, a := range t.Set {
			if a.Expr == nil {
				n.add("SET %swhat was read", a.Text)
			} else {
				n.add("SET %s%s", a.Text, a.Expr)
			}
		}
	}
}

// entries says what is written into lookup tables.
func (x *explanation) entries() {
	if x.plan.Change == nil {
		return
	}
	for _, l := range x.plan.Change.Lookups {
		n := x.top.add("then lookup table %s.%s gets the entries of the rows", l.Schema, l.Table)
		for _, part := range l.Insert {
			n.add("backend %s", x.catalog.backends[part.Backend]).quote(part.SQL)
		}
	}
}

// mergeLines say how several answers become one.
var mergeLines = [...]string{
	MergeChange:    "the counts of all backends are added up",
	MergeOK:        "the counts of all backends are added up",
	MergeRows:      "the rows of one backend behind those of another, in no order",
	MergeOne:       "the first backend's answer, before the others have their turn; they must do the same",
	MergeScratch:   "these backends' rows are loaded into temporary tables of one of them, where the text runs",
	MergeStream:    "the sorted rows of all backends are merged",
	MergeDDL:       "each backend does it for itself; where it fails, xaproxy ddl resume goes on",
	MergeReturning: "the rows that the backends return, of an INSERT in its order",
	MergeSteps:     "the counts of all statements are added up",
	MergeListing:   "each row of the backend that has what it is about, sorted",
}

func (x *explanation) merge() {
	line := mergeLines[x.plan.Merge]
	if c := x.plan.Change; c != nil && !c.Gone && len(c.Read) > 0 && c.of.moves {
		x.top.add("then rows whose shard key is of another backend move there")
	}
	if s := x.plan.Stream; s != nil && s.Group {
		line += ", and those of a group become one"
	}
	if line != "" {
		x.top.add("answer: %s", line)
	}
}

// commit says how the changes are committed.
func (x *explanation) commit() {
	switch p := x.plan; {
	case p.ImplicitCommit:
		x.top.add("commit: by itself, and what is open before it")
	case p.Verb != Route || !p.Write:
	case p.Change != nil || p.Lookup != nil:
		x.top.add("commit: in two phases (XA), if more than one backend is written")
	case len(p.Parts) > 1:
		var on []int
		for _, part := range p.Parts {
			on = append(on, part.Backend)
		}
		x.top.add("commit: in two phases (XA), prepared on %s and decided on disk", x.names(on))
	default:
		x.top.add("commit: in one phase, unless the transaction writes on another backend too")
	}
}

// remarks say what else becomes of the statement and its connection.
func (x *explanation) remarks() {
	p := x.plan
	if p.Own {
		x.top.add("values of the session are written into the text first")
	}
	if p.Compute != nil {
		x.top.add("the values of the shard key are computed first, and say then where the rows go")
	}
	if p.Pin != PinNone && !p.Unpin {
		x.top.add("leaves on its connection: %s", p.Pin)
	}
	if p.sums() && p.Scatter == ScatterAll && !p.MayScatter {
		x.top.add("refused with 1175 unless scatter_writes of the user is allow")
	} else if p.sums() && p.Scatter != ScatterNone {
		x.top.add("refused with 1175 if scatter_writes of the user is deny")
	}
	if p.Timeout > 0 {
		x.top.add("ended after %v", p.Timeout)
	}
	if p.DDL != nil {
		for _, text := range p.DDL.Notes {
			x.top.add("warning: %s", text)
		}
	}
	for _, text := range p.Complaints {
		x.top.add("warning: %s", text)
	}
}
