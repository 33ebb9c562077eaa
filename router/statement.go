package router

// Value is what a client bound to a parameter, as far as it can be a shard key.
type Value struct {
	Kind  ValueKind
	Int   int64  // of ValueInt
	Uint  uint64 // of ValueUint
	Bytes []byte // of ValueBytes; not kept
}

// ValueKind is the kind of a Value.
type ValueKind uint8

// The kinds.
const (
	ValueNull  ValueKind = iota
	ValueInt             // a signed integer
	ValueUint            // an unsigned integer
	ValueBytes           // a string or bytes
	ValueOther           // anything that cannot be a shard key: a float, a date
)

// Statement is a statement with parameters, to be planned for each execution. Its methods may be called concurrently.
type Statement struct {
	Params int // number of ? in the text

	r      *Router
	sql    []byte
	schema string
	mode   Mode
	any    *Plan
	fixed  bool // every execution has the plan any
}

// Prepare analyses a statement in which ? stands for a value that each execution binds. schema and mode are those of the
// moment, and stay. sql is not kept. The only error is *Refusal.
func (r *Router) Prepare(sql []byte, schema string, mode Mode) (*Statement, error) {
	st := &Statement{r: r, sql: append([]byte(nil), sql...), schema: schema, mode: mode}
	s := scans.Get().(*scan)
	defer s.release()
	s.bind = true
	s.read(st.sql, schema, mode, false)
	st.Params = s.params
	if st.Params == 0 {
		s.bind = false
		plan, err := r.Plan(st.sql, schema, mode)
		if err != nil {
			return nil, err
		}
		st.any, st.fixed = plan, true
		return st, nil
	}
	switch {
	case s.fault >= 0:
		return nil, s.unreadable().refusal(s.fault)
	case s.uncertain > 0:
		return nil, unsupported(-1, "write it without the comment", "a statement with parameters has an executable comment that only some servers run").refusal(-1)
	}
	if s.first.kind == kWord && is(st.sql[s.first.start:s.first.end], "SET") {
		return nil, unsupported(-1, "write the value into the text", "parameters in SET are not supported").refusal(-1)
	}
	sh := r.shapeOf(s, schema, mode)
	st.any, st.fixed = sh.sample()
	if st.any == nil {
		return nil, sh.refused.refusal(s.retrace(sh.refused.at))
	}
	return st, nil
}

// Any is a plan for preparing the statement: a backend that can describe its parameters and columns. What it says of the
// statement besides its place (verb, Write, Schemas) is true of every execution.
func (st *Statement) Any() *Plan { return st.any }

// Plan plans one execution; value tells what is bound to a parameter, and is asked only for those that are shard keys. The
// Plan is as that of Router.Plan. The only error is *Refusal.
func (st *Statement) Plan(value func(param int) Value) (*Plan, error) {
	if st.fixed {
		return st.any, nil
	}
	s := scans.Get().(*scan)
	defer s.release()
	s.bind, s.values = true, value
	s.read(st.sql, st.schema, st.mode, false)
	p, why, at := st.r.shapeOf(s, st.schema, st.mode).choose(s)
	if why != nil {
		return nil, why.refusal(at)
	}
	return p, nil
}

// shapeOf looks the shape of what was read into s up, or makes it.
func (r *Router) shapeOf(s *scan, schema string, mode Mode) *shape {
	if r.cache != nil {
		if sh := r.cache.get(s.buf); sh != nil {
			return sh
		}
	}
	sh := r.analyse(string(s.text()), schema, mode)
	if r.cache != nil {
		r.cache.put(s.buf, sh)
	}
	return sh
}

// sample is a plan of the shape for some values, nil if there is none; fixed tells that it is the plan for all.
func (sh *shape) sample() (p *Plan, fixed bool) {
	switch {
	case sh.plan != nil:
		return sh.plan, true
	case sh.refused != nil:
		return nil, true
	case sh.insert != nil:
		return sh.set.on(sh.insert.table.first()), false
	case sh.fixed >= 0 || len(sh.roots) == 0:
		return sh.set.on(sh.fixed), len(sh.roots) == 0
	}
	return sh.set.on(sh.roots[0].table.first()), false
}
