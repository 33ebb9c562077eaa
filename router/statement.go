package router

import "slices"

// Value is what a client bound to a parameter, as far as it can be a shard key.
type Value struct {
	Kind  ValueKind
	Int   int64  // of ValueInt
	Uint  uint64 // of ValueUint
	Bytes []byte // of ValueBytes, in the client's character set; not kept
}

// ValueKind is the kind of a Value.
type ValueKind uint8

// The kinds.
const (
	ValueNull  ValueKind = iota
	ValueInt             // a signed integer
	ValueUint            // an unsigned integer
	ValueBytes           // a string or bytes
	ValueOther           // anything that cannot be a shard key: a float, a decimal number, a date
)

// maxParams is how many parameters a statement may have, as with the servers, whose packets count them in two bytes.
const maxParams = 1<<16 - 1

// Statement is a prepared statement: its text with "?" for values that each execution binds. Immutable and safe for
// concurrent use.
type Statement struct {
	Params int   // number of parameters
	Keys   []int // those whose values decide where the statement goes, sorted; counted from 0
	// Text is what servers get in place of the client's text, nil if there is no difference: with a parameter for each value of
	// an AUTO_INCREMENT column that the client leaves to the server. From has for each parameter of Text the client's, -1 for such
	// a number. Keys, and what Plan asks for, are parameters of Text then.
	Text []byte
	From []int

	numbers []int  // parameters that are values of the AUTO_INCREMENT column of a table with a sequence, in the order of the rows
	highest uint64 // of the values that are literals

	any   *Plan
	fixed bool // any is the plan of every execution
	// The statement with the executable comments that only some servers run, and without them where there are any.
	with, without *reading
}

// reading is a statement as the lexer reads it, with what is known about it: a plan, or a shape to choose from.
type reading struct {
	scan
	plan  *Plan
	shape *shape
}

// Prepare analyses a statement that may have parameters; schema and mode are those of the moment and stay with it. A
// parameter can be wherever a literal can be, also as a shard key: its value is read under the same rules. The only error is
// *Refusal. sql is not kept.
func (r *Router) Prepare(sql []byte, schema string, mode Mode) (*Statement, error) {
	sql = slices.Clone(sql)
	with, why := r.reading(sql, schema, mode, false)
	if why != nil {
		return nil, why
	}
	st := &Statement{Params: with.params, with: with}
	if with.shape != nil && with.shape.insert != nil && with.shape.insert.numbers != nil {
		if why := st.number(r, schema, mode); why != nil {
			return nil, why
		}
		with = st.with
	}
	st.Keys = with.keys()
	if with.uncertain > 0 {
		if st.without, why = r.reading(sql, schema, mode, true); why != nil {
			return nil, why
		}
		if with.params != st.without.params {
			return nil, unsupported(-1, "write it without the comment", "an executable comment that only some servers run has a parameter").refusal(-1)
		}
		st.Keys = append(st.Keys, st.without.keys()...)
	}
	slices.Sort(st.Keys)
	st.Keys = slices.Compact(st.Keys)
	st.any = with.any()
	if len(st.Keys) > 0 {
		return st, nil
	}
	// What the statement has of shard keys is in its text: any mistake in it is one now.
	p, err := st.Plan(nil)
	if err != nil {
		return nil, err
	}
	if len(p.Parts) <= 1 {
		st.any = p
		st.fixed = true
	}
	return st, nil
}

// Tally is where executions of the statement are counted, nil if they are not.
func (st *Statement) Tally() *Tally {
	if st.with.shape == nil {
		return nil
	}
	return &st.with.shape.tally
}

// number gives the statement a parameter for each number that its text leaves to the server.
func (st *Statement) number(r *Router, schema string, mode Mode) (why *Refusal) {
	x := st.with
	if x.exec {
		return unsupported(-1, "write it without the comment", "rows of the INSERT may need numbers, and there is an executable comment").refusal(-1)
	}
	if in := x.shape.insert; in.rows && len(x.likes) != in.likes {
		return nil // as Plan will say
	}
	text, from := x.shape.insert.numbered(&x.scan, func(to []byte) []byte { return append(to, '?') })
	if slices.Contains(from, -1) {
		st.Text, st.From = text, from
		if st.with, why = r.reading(text, schema, mode, false); why != nil {
			return why
		}
		x = st.with
	}
	in := x.shape.insert
	pl := placing{s: &x.scan}
	for _, row := range in.rowsOf(&x.scan) {
		switch k, lit := in.numbers.of(&x.scan, row); {
		case lit == nil:
		case lit.kind == kParam:
			st.numbers = append(st.numbers, int(lit.param))
		case !k.minus:
			number, _, _ := pl.number(k, lit)
			st.highest = max(st.highest, number)
		}
	}
	return nil
}

// Lacks are the parameters of one execution that must be numbers of the sequence of the table (Plan.Sequence), in the order in
// which they follow one another, and highest is the highest number that the client gives itself; value tells what it has bound
// to its parameters.
func (st *Statement) Lacks(value func(param int) Value) (all []int, highest uint64) {
	highest = st.highest
	for _, i := range st.numbers {
		client := i
		if st.From != nil {
			client = st.From[i]
		}
		if client < 0 {
			all = append(all, i)
			continue
		}
		pl := placing{s: &st.with.scan, value: func(int) Value { return value(client) }}
		number, lacks, _ := pl.number(keyRef{}, &literal{kind: kParam})
		if lacks {
			all = append(all, i)
		}
		highest = max(highest, number)
	}
	return all, highest
}

// Numbered tells whether Lacks has to be asked.
func (st *Statement) Numbered() bool { return st.highest > 0 || len(st.numbers) > 0 }

// reading reads a statement for Prepare.
func (r *Router) reading(sql []byte, schema string, mode Mode, skip bool) (*reading, *Refusal) {
	x := &reading{}
	var why *Refusal
	x.plan, x.shape, why = r.look(&x.scan, sql, schema, mode, skip)
	x.buf = nil
	switch {
	case why != nil:
		return nil, why
	case x.params > maxParams:
		return nil, (&reason{errno: 1390, text: "the statement has more than 65535 parameters", do: "send fewer rows at a time"}).refusal(-1)
	case x.params > 0 && x.plan != nil && x.plan.Verb != Route && x.plan.Verb != Handler && x.plan.Verb != Set:
		return nil, unsupported(-1, "write the value into the statement", "a parameter is not supported in this statement").refusal(x.param())
	case x.shape != nil && x.shape.refused != nil:
		return nil, x.shape.refused.refusal(x.retrace(x.shape.refused.at))
	}
	return x, nil
}

// Any is a plan that is good enough to have a server describe the statement: one of the backends that its rows may be on, or
// AnyBackend, and the client's text; or all tables' backends, with Scratch or Steps, if no backend has all tables. All else in it is true of every execution, except that Merge and further parts are missing.
func (st *Statement) Any() *Plan { return st.any }

// Plan plans one execution; value tells what is bound to a parameter and is called for Keys only. The Plan is as that of
// Router.Plan, and so is the error.
func (st *Statement) Plan(value func(param int) Value) (*Plan, error) {
	if st.fixed {
		return st.any, nil
	}
	p, why := st.with.choose(value)
	if why == nil && st.without != nil {
		var without *Plan
		if without, why = st.without.choose(value); why == nil {
			p, why = certain(p, without, st.with.plan == nil, st.with.uncertain)
		}
	}
	if why != nil {
		return nil, why
	}
	return p, nil
}

// Written is the statement's text with the values in the places of its parameters, as literals or other expressions.
func (st *Statement) Written(value func(param int) []byte) []byte {
	var text []byte
	at := 0
	for _, lit := range st.with.lits {
		if lit.kind == kParam {
			text = append(append(text, st.with.sql[at:lit.start]...), value(int(lit.param))...)
			at = lit.end
		}
	}
	return append(text, st.with.sql[at:]...)
}

func (x *reading) choose(value func(int) Value) (*Plan, *Refusal) {
	if x.plan != nil {
		return x.plan, nil
	}
	p, why, at := x.shape.choose(&x.scan, value)
	if why != nil {
		return nil, why.refusal(at)
	}
	return p, nil
}

// keys are the parameters that are shard keys.
func (x *reading) keys() (all []int) {
	if x.shape == nil {
		return nil
	}
	note := func(lit literal) {
		if lit.kind == kParam {
			all = append(all, int(lit.param))
		}
	}
	for _, root := range x.shape.roots {
		root.pick.literals(func(slot int) { note(x.lits[slot]) })
	}
	if r := x.shape.asks; r != nil {
		for _, k := range r.found.keys {
			note(x.lits[k.slot])
		}
	}
	if c := x.shape.change; c != nil {
		for _, k := range c.keys {
			note(x.lits[k.slot])
		}
	}
	if sc := x.shape.scratch; sc != nil {
		sc.literals(func(slot int) { note(x.lits[slot]) })
	}
	if in := x.shape.information; in != nil {
		for _, r := range in.refs {
			if r.limit != nil {
				for _, slot := range r.limit.slots {
					note(x.lits[slot])
				}
			}
		}
	}
	for _, slot := range x.shape.about {
		note(x.lits[slot])
	}
	if sm := x.shape.stream; sm != nil {
		for _, slot := range []int{sm.block.offset, sm.block.count} {
			if slot >= 0 {
				note(x.lits[slot])
			}
		}
	}
	in := x.shape.insert
	if in != nil && in.numbers != nil {
		for _, row := range in.rowsOf(&x.scan) {
			if _, lit := in.numbers.of(&x.scan, row); lit != nil {
				note(*lit)
			}
		}
	}
	switch {
	case in == nil || len(in.keys) == 0:
	case !in.rows:
		for _, k := range in.keys {
			note(x.lits[k.slot])
		}
	case len(in.keys) == len(x.likes)*len(in.table.columns):
		keys := make([]keyRef, len(in.table.columns))
		for _, r := range x.rows {
			for _, k := range in.keysOf(&x.scan, r, keys) {
				note(x.lits[k.slot])
			}
		}
	}
	if in != nil {
		for _, e := range in.entries {
			if len(e.keys) < in.likes*len(e.table.columns) { // a column is left out, and the row says nothing of where its entry goes
				continue
			}
			for _, r := range in.rowsOf(&x.scan) {
				for _, k := range e.of(&x.scan, r) {
					if k.slot >= 0 {
						note(x.lits[k.slot])
					}
				}
			}
		}
	}
	return all
}

// any is a plan on one backend that knows the statement's tables.
func (x *reading) any() *Plan {
	switch sh := x.shape; {
	case x.plan != nil:
		return x.plan
	case sh.insert != nil:
		return sh.set.on(sh.insert.table.first())
	case sh.steps != nil:
		if b := sh.steps.common(); b >= 0 {
			return sh.set.on(b)
		}
		if p, why, _ := sh.steps.plan(sh.set, &x.scan); why == nil {
			return p
		}
		return sh.set.on(AnyBackend)
	case sh.information != nil && sh.information.alone: // whose columns are the same everywhere
		return sh.set.on(sh.fixed)
	case sh.scratch != nil:
		if b := sh.scratch.common(); b >= 0 {
			return sh.set.on(b)
		}
		if sh.information != nil {
			return sh.inform(&x.scan, nil)
		}
		return sh.scratch.plan(sh.set, nil, &x.scan)
	case sh.fixed < 0 && len(sh.roots) > 0:
		return sh.set.on(sh.roots[0].table.first())
	default:
		return sh.set.on(sh.fixed)
	}
}

// param is the place of the first parameter, -1 if there is none.
func (s *scan) param() int {
	i := slices.IndexFunc(s.lits, func(l literal) bool { return l.kind == kParam })
	if i < 0 {
		return -1
	}
	return s.lits[i].start
}

// paramReader goes through the parameters of a statement.
type paramReader struct{ lits []literal }

// until adds the parameters that come next and begin before end.
func (r *paramReader) until(all []int, end int) []int {
	for len(r.lits) > 0 && r.lits[0].start < end {
		if r.lits[0].kind == kParam {
			all = append(all, int(r.lits[0].param))
		}
		r.lits = r.lits[1:]
	}
	return all
}
