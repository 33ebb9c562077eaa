package router

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/xaproxy/xaproxy/config"
)

// TestGolden plans the statements of testdata/*.txt, one file for each story. Commands:
//
//	config                  the configuration: "backend NAME [KIND]", "schema NAME BACKEND", "table SCHEMA.NAME BACKEND" or
//	                        "table SCHEMA.NAME by COLUMN FUNCTION BACKEND BACKEND ...", "table SCHEMA.NAME by COLUMN,COLUMN map NAME"
//	                        or "table SCHEMA.NAME on [BACKEND ...]" for a broadcast one,
//	                        or "map NAME FUNCTION SLOTS SHARD=BACKEND=HOLDS,HOLDS SHARD=BACKEND=* ..."
//	                        "auto SCHEMA.NAME COLUMN": that table has a sequence
//	                        "lookup SCHEMA.NAME OTHER": it is a lookup table of the other one
//	                        "moves SCHEMA.NAME": an UPDATE may change its shard key
//	plan [schema=S] [ansi] [noescape] [zero]   a statement, or several with a line "---" between them
//	prepare [schema=S]      the same with parameters; lines "bind VALUE, ..." behind a statement execute it
//	session [schema=S]      the same as plan, each one carried out: temporary tables of one are there for the next
//	explain [schema=S]      the explanations of statements
//	own [ansi] [noescape]   the statements with values of the session written into them, each its number
//	lex [ansi] [noescape]   the tokens
//	split                   the statements
//
// A diff may be committed when the new plan sends each row to the same place as the old one, or when a refusal became a plan
// that is right for every possible content of the tables. A plan that became another plan is a change of where data is.
//
// Every plan is made twice and by a router without a cache too: all three must agree.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var r, slow *Router
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var mode Mode
			if d.HasArg("ansi") {
				mode |= AnsiQuotes
			}
			if d.HasArg("noescape") {
				mode |= NoBackslashEscapes
			}
			if d.HasArg("zero") {
				mode |= NoAutoValueOnZero
			}
			switch d.Cmd {
			case "config":
				cfg := parseConfig(t, d.Input)
				r, slow = newRouter(t, cfg), newRouter(t, cfg)
				slow.cache = nil
				return ""
			case "plan":
				var schema string
				d.MaybeScanArgs(t, "schema", &schema)
				var b strings.Builder
				for sql := range inputs(d, &b) {
					got := planned(r, sql, schema, mode)
					again := planned(r, sql, schema, mode)
					uncached := planned(slow, sql, schema, mode)
					if got != again || got != uncached {
						d.Fatalf(t, "three plans of %q:\n%s%s%s", sql, got, again, uncached)
					}
					b.WriteString(got)
				}
				return b.String()
			case "session":
				var schema string
				d.MaybeScanArgs(t, "schema", &schema)
				var b strings.Builder
				now, nowSlow := r, slow
				for sql := range inputs(d, &b) {
					p, err := now.Plan([]byte(sql), schema, mode)
					got := describe(r.catalog, sql)(p, err)
					if uncached := describe(r.catalog, sql)(nowSlow.Plan([]byte(sql), schema, mode)); got != uncached {
						d.Fatalf(t, "two plans of %q:\n%s%s", sql, got, uncached)
					}
					b.WriteString(got)
					if err == nil {
						now, nowSlow = now.After(p), nowSlow.After(p)
					}
				}
				fmt.Fprintf(&b, "temporary tables on: %s\n", temporary(now))
				return b.String()
			case "prepare":
				var schema string
				d.MaybeScanArgs(t, "schema", &schema)
				var b strings.Builder
				for text := range inputs(d, &b) {
					got := prepared(t, r, text, schema, mode)
					if again := prepared(t, slow, text, schema, mode); got != again {
						d.Fatalf(t, "prepared twice:\n%s%s", got, again)
					}
					b.WriteString(got)
				}
				return b.String()
			case "own":
				var b strings.Builder
				for _, sql := range strings.Split(d.Input, "\n---\n") {
					fmt.Fprintf(&b, "%s\n", r.Own([]byte(sql), mode, func(o Own, _ string, param int) string {
						return strings.TrimSuffix(fmt.Sprintf("%d,%d", o, param), ",-1")
					}))
				}
				return b.String()
			case "explain":
				var schema string
				d.MaybeScanArgs(t, "schema", &schema)
				var b strings.Builder
				for sql := range inputs(d, &b) {
					lines, planned := r.Explain([]byte(sql), schema, mode)
					if _, err := r.Plan([]byte(sql), schema, mode); planned != (err == nil) {
						d.Fatalf(t, "%q is planned: %v, %v", sql, planned, err)
					}
					b.WriteString(strings.Join(lines, "\n") + "\n")
				}
				return b.String()
			case "lex":
				return lexed(d.Input, mode)
			case "split":
				var b strings.Builder
				for _, s := range Split([]byte(d.Input), mode) {
					fmt.Fprintf(&b, "%q\n", s)
				}
				return b.String()
			}
			d.Fatalf(t, "unknown command")
			return ""
		})
	})
}

// inputs are the statements of a command; a line between their answers goes to b.
func inputs(d *datadriven.TestData, b *strings.Builder) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i, input := range strings.Split(d.Input, "\n---\n") {
			if i > 0 {
				b.WriteString("---\n")
			}
			if !yield(input) {
				return
			}
		}
	}
}

// planned plans a statement, with numbers from 1001 on if it needs any.
func planned(r *Router, sql, schema string, mode Mode) string {
	p, err := r.Plan([]byte(sql), schema, mode)
	got := describe(r.catalog, sql)(p, err)
	if err == nil && p.Columns != "" {
		text := r.List([]byte(sql), mode, []string{"id", "customer", "v`"})
		return fmt.Sprintf("%s%s\n%s", got, text, planned(r, string(text), schema, mode))
	}
	if err != nil || p.Numbers == 0 {
		return got
	}
	text, err := r.Number([]byte(sql), schema, mode, 1001)
	if err != nil {
		return fmt.Sprintf("%s%v\n", got, err)
	}
	return fmt.Sprintf("%s%s\n%s", got, text, describe(r.catalog, string(text))(r.Plan(text, schema, mode)))
}

// streamed describes a Stream: its keys and folds by column, with the column of their form, what is hidden, and the limit.
func streamed(s *Stream) string {
	key := func(k SortKey) string {
		text := fmt.Sprint(k.Column)
		if k.Form != Plain {
			text += fmt.Sprintf("/%d@%d", k.Form, k.At)
		}
		if k.Desc {
			text += "desc"
		}
		return text
	}
	var keys, folds []string
	for _, k := range s.Keys {
		keys = append(keys, key(k))
	}
	for _, f := range s.Folds {
		text := fmt.Sprintf("%s(%s)", [...]string{"sum", "min", "max", "avg", "and", "or", "xor"}[f.Func], map[bool]string{true: key(f.Key), false: fmt.Sprint(f.Column)}[f.Func == FoldMin || f.Func == FoldMax])
		if f.Func == FoldAvg {
			text += fmt.Sprintf("=%d/%d", f.Sum, f.Count)
		}
		folds = append(folds, text)
	}
	text := "[" + strings.Join(keys, " ")
	if s.Group {
		text += " group " + strings.Join(folds, " ")
	}
	for _, o := range s.Sort {
		text += fmt.Sprintf(" sort(%d %d %v)", o.Key, o.Fold, o.Desc)
	}
	if s.Ambiguous {
		text += " ambiguous"
	}
	if s.Hidden > 0 {
		text += fmt.Sprintf(" hidden %d", s.Hidden)
	}
	if s.Count != unlimited || s.Offset > 0 {
		text += fmt.Sprintf(" limit %d,%d", s.Offset, s.Count)
	}
	return text + "]"
}

func newRouter(t testing.TB, cfg *config.Config) *Router {
	t.Helper()
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func parseConfig(t testing.TB, text string) *config.Config {
	t.Helper()
	cfg := &config.Config{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch f[0] {
		case "backend":
			cfg.Backends = append(cfg.Backends, config.Backend{Name: f[1], Kind: config.MySQL})
			if len(f) > 2 {
				cfg.Backends[len(cfg.Backends)-1].Kind = f[2]
			}
		case "schema":
			cfg.Schemas = append(cfg.Schemas, config.Schema{Name: f[1], Backend: f[2]})
		case "table":
			schema, name, _ := strings.Cut(f[1], ".")
			table := config.Table{Schema: schema, Name: name}
			switch {
			case f[2] == "on":
				table.Broadcast, table.Backends = true, f[3:]
			case f[2] == "by" && f[4] == "map":
				table.Columns, table.ShardMap = strings.Split(f[3], ","), f[5]
			case f[2] == "by":
				table.Column, table.Function, table.Backends = f[3], f[4], f[5:]
			default:
				table.Backend = f[2]
			}
			cfg.Tables = append(cfg.Tables, table)
		case "auto", "moves", "lookup":
			schema, name, _ := strings.Cut(f[1], ".")
			for i := range cfg.Tables {
				switch t := &cfg.Tables[i]; {
				case t.Schema != schema || t.Name != name:
				case f[0] == "auto":
					t.AutoIncrement = f[2]
				case f[0] == "lookup":
					t.LookupOf = f[2]
				default:
					t.KeyChanges = config.KeyChangesMove
				}
			}
		case "map":
			m := config.ShardMap{Name: f[1], Function: f[2]}
			m.Slots, _ = strconv.Atoi(f[3])
			for _, shard := range f[4:] {
				parts := strings.Split(shard, "=")
				s := config.Shard{Name: parts[0], Backend: parts[1]}
				if len(parts) > 2 && parts[2] == "*" {
					s.Others = true
				} else if len(parts) > 2 {
					s.Holds = strings.Split(parts[2], ",")
				}
				m.Shards = append(m.Shards, s)
			}
			cfg.ShardMaps = append(cfg.ShardMaps, m)
		default:
			t.Fatalf("what is %q?", line)
		}
	}
	return cfg
}

// describe prints what Plan returned.
func describe(c *catalog, sql string) func(*Plan, error) string {
	return func(p *Plan, err error) string {
		if err != nil {
			e := err.(*Refusal)
			if e.Pos >= 0 {
				return fmt.Sprintf("%v\n  pos %d: %q\n", e, e.Pos, cutTo(sql[e.Pos:], 24))
			}
			return fmt.Sprintf("%v\n", e)
		}
		creates, drops := p.Temporary, []string(nil)
		if p.Drops {
			creates, drops = drops, creates
		}
		if p.Renames {
			drops, creates = creates[:1], creates[1:]
		}
		var b strings.Builder
		b.WriteString(p.Verb.String())
		if p.Name != "" {
			fmt.Fprintf(&b, " %q", p.Name)
		}
		for _, flag := range []struct {
			on   bool
			name string
		}{
			{p.Write, "write"},
			{p.ImplicitCommit, "implicit-commit"},
			{p.LastConn, "last-conn"},
			{p.Own, "own"},
			{p.Server, "server"},
			{p.Errors, "errors"},
			{p.Count, "count"},
			{p.Get, "get"},
			{p.Full, "full"},
			{p.Program, "program"},
			{p.Privileged, "privileged"},
			{p.ReadOnly, "read-only"},
			{p.ReadWrite, "read-write"},
			{p.Snapshot, "snapshot"},
			{p.Chain, "chain"},
			{p.NoChain, "no-chain"},
			{p.Disconnect, "release"},
			{p.NoDisconnect, "no-release"},
			{p.Query, "query"},
			{p.Local, "local"},
			{p.Unordered, "unordered"},
			{p.MayScatter, "may-scatter"},
		} {
			if flag.on {
				b.WriteString(" " + flag.name)
			}
		}
		switch {
		case p.Unpin:
			fmt.Fprintf(&b, " unpin=%q", p.Pin)
		case p.Pin != PinNone:
			fmt.Fprintf(&b, " pin=%q", p.Pin)
		}
		for _, list := range []struct {
			name string
			of   []string
		}{{"drops", drops}, {"temporary", creates}, {"variables", p.Variables}, {"using", using(p.Using)}} {
			if len(list.of) > 0 {
				fmt.Fprintf(&b, " %s=%s", list.name, strings.Join(list.of, ","))
			}
		}
		if p.Command != nil {
			fmt.Fprintf(&b, " %s %d", p.Command, p.Command.ID)
		}
		if p.Verb == Kill {
			fmt.Fprintf(&b, " %d", p.ID)
		}
		if p.Verb == Explain {
			fmt.Fprintf(&b, " text=%q", p.Text)
		}
		if p.Verb == PrepareSQL || p.Immediate {
			fmt.Fprintf(&b, " text=%q var=%q", p.Text, p.Var)
		}
		if p.Merge != MergeNone {
			fmt.Fprintf(&b, " merge=%v", p.Merge)
		}
		if p.Stream != nil {
			b.WriteString(streamed(p.Stream))
		}
		if p.DDL != nil {
			fmt.Fprintf(&b, " %+v", *p.DDL)
		}
		if p.Scatter != ScatterNone {
			fmt.Fprintf(&b, " scatter=%v", p.Scatter)
		}
		if p.Columns != "" {
			fmt.Fprintf(&b, " columns=%s", p.Columns)
		}
		if p.Sequence != "" {
			fmt.Fprintf(&b, " sequence=%s highest=%d", p.Sequence, p.Highest)
			if p.Partial {
				b.WriteString(" partial")
			}
			if p.Numbers > 0 {
				fmt.Fprintf(&b, " numbers=%d", p.Numbers)
			} else if len(p.Parts) > 1 {
				fmt.Fprintf(&b, " last=%s", c.backends[p.LastRow])
			}
		}
		if p.Timeout > 0 {
			fmt.Fprintf(&b, " timeout=%v", p.Timeout)
		}
		if len(p.Schemas) > 0 {
			fmt.Fprintf(&b, " schemas=%s", strings.Join(p.Schemas, ","))
		}
		for _, part := range p.Parts {
			name := "any"
			switch {
			case part.Backend >= 0:
				name = c.backends[part.Backend]
			case part.Backend == OneCopy:
				name = "one of"
				for _, b := range p.Copies {
					name += " " + c.backends[b]
				}
			}
			if len(p.Parts) == 1 && part.SQL == nil {
				fmt.Fprintf(&b, " -> %s", name)
				continue
			}
			fmt.Fprintf(&b, "\n  -> %s", name)
			if part.SQL != nil {
				fmt.Fprintf(&b, ": %s", part.SQL)
			}
		}
		for _, one := range p.Compute {
			fmt.Fprintf(&b, "\n  compute %s.%s: %s", one.Table, one.Column, sql[one.Start:one.End])
		}
		if st := p.Steps; st != nil {
			describeSteps(&b, c, st)
		}
		if p.Change != nil {
			parts(&b, c, "read", p.Change.Read)
			for _, l := range p.Change.Lookups {
				fmt.Fprintf(&b, "\n  %s.%s by %v of %v", l.Schema, l.Table, l.Columns, p.Change.Columns)
				parts(&b, c, fmt.Sprint("enter ", l.Rows), l.Insert)
			}
		}
		if p.Lookup != nil {
			parts(&b, c, "look up", p.Lookup.Ask)
		}
		if sc := p.Scratch; sc != nil {
			describeScratch(&b, c, sc, sql)
		}
		if l := p.Load; l != nil {
			fmt.Fprintf(&b, "\n  file %q, field %d of %d is the key; fields end with %q, enclosed by %q, escaped by %q; lines start with %q, end with %q; skip %d",
				l.File, l.KeyColumn, l.Columns, l.FieldsTerminated, l.Enclosed, l.Escaped, l.LinesStarting, l.LinesTerminated, l.Ignore)
			if l.Charset != "" {
				fmt.Fprintf(&b, "; charset %s", l.Charset)
			}
			if len(l.Assigns) > 0 {
				fmt.Fprintf(&b, "; assigns %s", strings.Join(l.Assigns, ","))
			}
		}
		for _, text := range p.Complaints {
			fmt.Fprintf(&b, "\n  warning: %s", text)
		}
		for _, s := range p.Sets {
			fmt.Fprintf(&b, "\n  %v %s = %s", s.Scope, s.Name, s.Expr)
			if s.Collate != "" {
				fmt.Fprintf(&b, " collate %s", s.Collate)
			}
		}
		b.WriteByte('\n')
		return b.String()
	}
}

// describeSteps prints what a statement reads first and writes then.
func describeSteps(b *strings.Builder, c *catalog, st *Steps) {
	for _, r := range st.Rows {
		fmt.Fprintf(b, "\n  row of %s: %s", c.backends[r.Backend], r.SQL)
		for i, v := range r.Values {
			if v == nil {
				v = []byte("?")
			}
			fmt.Fprintf(b, "\n    %s: %s", st.Table.Columns[i], v)
		}
	}
	if st.Change != nil {
		return
	}
	fmt.Fprintf(b, "\n  read %s", st.Query)
	if st.Single {
		b.WriteString("\n  of one table")
	}
	if t := st.Table; t != nil {
		fmt.Fprintf(b, "\n  write %sVALUES ...%s", st.Head, st.Tail)
	}
	for _, t := range st.Targets {
		fmt.Fprintf(b, "\n  write %s.%s as %s by %v", t.Schema, t.Name, t.Alias, t.Key)
		for _, a := range t.Set {
			if a.Expr == nil {
				fmt.Fprintf(b, "; %svalue %d %s", a.Text, a.Value, st.Values[a.Value])
			} else {
				fmt.Fprintf(b, "; %s%s", a.Text, a.Expr)
			}
		}
	}
	if st.Ignore {
		b.WriteString("\n  ignore")
	}
	if st.Common >= 0 {
		fmt.Fprintf(b, "\n  %s has all tables", c.backends[st.Common])
	}
}

// parts prints what each backend gets.
func parts(b *strings.Builder, c *catalog, what string, all []Part) {
	for _, part := range all {
		fmt.Fprintf(b, "\n  %s on %s: %s", what, c.backends[part.Backend], part.SQL)
		if part.Params != nil {
			fmt.Fprintf(b, " %v", part.Params)
		}
	}
}

// describeScratch prints what is brought together for a statement.
func describeScratch(b *strings.Builder, c *catalog, sc *Scratch, sql string) {
	for _, t := range sc.Tables {
		fmt.Fprintf(b, "\n  bring %s.%s from", t.Schema, t.Name)
		for _, at := range t.Backends {
			b.WriteString(" " + c.backends[at])
		}
		for _, flag := range []struct {
			on   bool
			name string
		}{{t.Whole, "whole"}, {t.Temporary, "temporary"}, {t.All, "all columns"}} {
			if flag.on {
				b.WriteString(", " + flag.name)
			}
		}
		for _, f := range t.Filters {
			fmt.Fprintf(b, "; %s: %s", t.Alias, f.SQL)
			if f.Params != nil {
				fmt.Fprintf(b, " %v", f.Params)
			}
			fmt.Fprintf(b, " %v", f.Names)
		}
		if t.Limit > 0 {
			fmt.Fprintf(b, "; %d rows in order of %q %v", t.Limit, t.Order, t.OrderNames)
		}
		if t.Lock != "" {
			fmt.Fprintf(b, ";%s", t.Lock)
		}
		for _, share := range t.Shares {
			at := "any"
			if share.Backend != AnyBackend {
				at = c.backends[share.Backend]
			}
			fmt.Fprintf(b, "\n    %s: %s", at, share.Where)
			if share.WhereMySQL != "" {
				fmt.Fprintf(b, "\n    %s, MySQL: %s", at, share.WhereMySQL)
			}
			if share.Sum {
				b.WriteString(", to be added up")
			}
		}
		if n := t.References; n != len(t.Places) {
			fmt.Fprintf(b, "; %d places", n)
		}
		if t.Reused != "" {
			fmt.Fprintf(b, "; reused by %s", t.Reused)
		}
		for _, p := range t.Places {
			fmt.Fprintf(b, "; %q", sql[p.Start:p.End])
			if p.Alias != "" {
				b.WriteString(" as " + p.Alias)
			}
		}
	}
	if w := sc.With; w != nil {
		fmt.Fprintf(b, "\n  with %q", sql[w.Start:w.End])
		for _, e := range w.Exprs {
			fmt.Fprintf(b, "\n    %s%s recursive %v merged %v %q", e.Name, e.Columns, e.Recursive, e.Merged, sql[e.Query[0]:e.Query[1]])
			for _, u := range e.Uses {
				fmt.Fprintf(b, "; %q as %s", sql[u.Start:u.End], u.Alias)
			}
		}
	}
	fmt.Fprintf(b, "\n  names %v", sc.Names)
	if o := sc.Orderless; o != nil {
		fmt.Fprintf(b, "\n  in any order, if %v are exact and %v alike", o.Exact, o.Alike)
	}
	if sc.Informs {
		fmt.Fprintf(b, "\n  about %q", sc.About)
	}
}

// temporary lists the backends on which the session has temporary tables.
func temporary(r *Router) string {
	on := []string{}
	for i, name := range r.catalog.backends {
		if r.HasTemporary(i) {
			on = append(on, name)
		}
	}
	if len(on) == 0 {
		return "none"
	}
	return strings.Join(on, ", ")
}

func cutTo(s string, n int) string { return s[:min(n, len(s))] }

var kindNames = map[kind]string{
	kSpace: "space", kComment: "comment", kExecOpen: "exec", kExecClose: "end-exec", kWord: "word", kQuoted: "quoted", kUserVar: "user-var",
	kSysVar: "sys-var", kOp: "op", kSemi: "semicolon", kBad: "bad", kInt: "int", kDecimal: "decimal", kString: "string", kOther: "other", kParam: "param",
}

// lexed prints the tokens other than white space.
func lexed(sql string, mode Mode) string {
	var b strings.Builder
	l := lexer{src: []byte(sql), mode: mode}
	for {
		t := l.next()
		if t.kind == kEnd {
			return b.String()
		}
		if t.kind != kSpace {
			fmt.Fprintf(&b, "%-9s %q\n", kindNames[t.kind], sql[t.start:t.end])
		}
	}
}

// using are the values of EXECUTE as a golden file has them.
func using(all []Argument) (texts []string) {
	for _, a := range all {
		if a.Var != "" {
			a.Text = "@" + a.Var
		}
		texts = append(texts, a.Text)
	}
	return texts
}
