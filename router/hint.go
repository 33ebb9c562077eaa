package router

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/config"
)

// hints are what a client asks of xaproxy in comments, /* xaproxy: name=value, ... */. What is not understood in them is a
// warning and changes nothing.
type hints struct {
	text       string // of shard or backend
	shard      string // a name in lower case
	backend    string // a name
	deny       bool   // scatter=deny
	allow      bool   // scatter=allow
	timeout    time.Duration
	commitKey  string
	aimed      bool // shard or backend has done its work
	only       int  // the backend that the plan must be on, -1: any
	complaints []string
}

// appendHint appends the hints of a comment, if it has any.
func appendHint(hint, comment []byte) []byte {
	if len(comment) < len("/*xaproxy:*/") || comment[0] != '/' {
		return hint
	}
	text := comment[2 : len(comment)-2]
	for len(text) > 0 && class[text[0]]&cSpace != 0 {
		text = text[1:]
	}
	const name = "XAPROXY:"
	if len(text) < len(name) || !is(text[:len(name)], name) {
		return hint
	}
	return append(append(hint, text[len(name):]...), ',')
}

// readHints reads what appendHint has gathered, nil if that is nothing.
func readHints(text []byte) *hints {
	if len(text) == 0 {
		return nil
	}
	h := &hints{only: -1}
	for _, one := range bytes.FieldsFunc(text, func(c rune) bool { return c == ',' || c < 0x80 && class[c]&cSpace != 0 }) {
		one = one[:min(len(one), maxHint)]
		name, value, given := strings.Cut(string(one), "=")
		name, value = strings.ToLower(name), strings.Trim(value, "'\"`")
		switch {
		case !given || value == "":
			h.complain("'%s' is not understood; write name=value", one)
		case name == "shard", name == "backend":
			if h.text != "" {
				h.complain("%s is ignored behind %s", one, h.text)
				continue
			}
			h.text = string(one)
			if name == "shard" {
				h.shard = strings.ToLower(value)
			} else {
				h.backend = value
			}
		case name == "scatter":
			h.allow, h.deny = strings.EqualFold(value, "allow"), strings.EqualFold(value, "deny")
			if !h.allow && !h.deny {
				h.complain("'%s' is not understood; write scatter=allow or scatter=deny", one)
			}
		case name == "timeout":
			d, err := time.ParseDuration(value)
			if err != nil || d <= 0 {
				h.complain("'%s' is not understood; write a time such as timeout=500ms or timeout=5s", one)
				continue
			}
			h.timeout = d
		case name == "commit_key":
			h.commitKey = value
		case name == "dialect" && strings.EqualFold(value, "postgres"): // package postgres heeds it
		default:
			h.complain("there is no hint '%s'; known are shard, backend, scatter, timeout, commit_key and dialect", name)
		}
	}
	return h
}

// maxHint is how much is read of one hint, in bytes: no name is longer.
const maxHint = 300

// maxComplaints is how many warnings one statement may cause.
const maxComplaints = 10

func (h *hints) complain(format string, args ...any) {
	if len(h.complaints) == maxComplaints {
		return
	}
	h.complaints = append(h.complaints, fmt.Sprintf("hint: "+format, args...))
}

// ignored is called where shard or backend is no use.
func (h *hints) ignored(why string) {
	h.aimed = true
	h.complain("%s is ignored: %s", h.text, why)
}

// told is the plan with what the hints say of it as a whole.
func (h *hints) told(p Plan) Plan {
	if p.Verb == Begin {
		p.CommitKey = h.commitKey
	} else if h.commitKey != "" {
		h.complain("commit_key is ignored: it belongs to the statement that begins the transaction")
	}
	p.Timeout, p.MayScatter, p.Complaints = h.timeout, h.allow, h.complaints
	return p
}

// beside is told for a plan that the hints cannot change.
func (h *hints) beside(p *Plan) *Plan {
	if h.text != "" {
		h.ignored("it does not choose where the statement goes")
	}
	told := h.told(*p)
	return &told
}

// check says what a plan does that the hints exclude.
func (h *hints) check(p *Plan) *reason {
	switch {
	case h.only >= 0 && (len(p.Parts) != 1 || p.Parts[0].Backend != h.only):
		return unsupported(-1, "leave it out, or correct the statement", "the rows that the statement writes are not all where the hint %s sends them", h.text)
	case h.deny && p.Scatter != ScatterNone:
		return unsupported(-1, "compare the shard key with values", "the statement would run on all shards, and its hint says scatter=deny")
	}
	return nil
}

// heed lets the hints change a shape, as far as they have not.
func (st *stmt) heed(sh *shape) {
	h, n := st.hints, len(st.r.catalog.backends)
	if h.text != "" && !h.aimed {
		b := slices.Index(st.r.catalog.backends, h.backend)
		switch p := sh.plan; {
		case h.shard != "":
			h.ignored("the statement reads no sharded table")
		case b < 0:
			h.ignored("there is no such backend")
		case p == nil || p.Verb != Route || p.Unpin || p.Parts[0].Backend != AnyBackend:
			h.ignored("it does not choose where the statement goes")
		default:
			sh.plan = newPlanSet(*p, n).on(b)
		}
	}
	if sh.plan != nil {
		told := h.told(*sh.plan)
		sh.plan = &told
		return
	}
	sh.set = newPlanSet(h.told(sh.set.base), n)
	if h.only >= 0 || h.deny {
		sh.hints = h
	}
	if sh.all != nil {
		sh.everywhere()
	}
}

// aimed is the shape of a resolved statement that a hint sends to a backend; nil, if there is none or it is of no use.
//
// A query goes there, whatever else its conditions say. So do UPDATE and DELETE with a shard's name. All other rows that are written must
// belong there anyway: they would not be found again.
func (v *resolver) aimed(in *insert) (*shape, *reason) {
	h := v.st.hints
	if h == nil || h.text == "" || v.real == 0 && in == nil {
		return nil, nil
	}
	b, why := v.hinted(in)
	if why != "" {
		h.ignored(why)
		return nil, nil
	}
	if b < 0 {
		return nil, nil
	}
	h.aimed = true
	if v.change != nil {
		return nil, unsupported(-1, "leave it out", "the hint %s does not say where rows go whose shard key changes", h.text)
	}
	free := !v.changes || h.shard != "" && in == nil && len(v.written) == 0
	if !free {
		sh, why := v.unaimed(in)
		h.only = b
		if why == nil && sh.plan != nil {
			why = h.check(sh.plan)
		}
		return sh, why
	}
	if lacks := v.lacks(); lacks != nil && lacks[b] != nil {
		return nil, unsupported(v.st.find(base(lacks[b].name)), "give it a copy there", "the broadcast table %s is not on backend %s, where the hint %s sends the statement", lacks[b].name, v.st.r.catalog.backends[b], h.text)
	}
	if h.shard != "" || strings.HasSuffix(v.homeOf, "()") { // named locks are on one backend for all
		if why := v.settle(v.st.r.catalog, b, h.text, -1); why != nil {
			return nil, why
		}
	}
	return v.shape(v.st.r, b), nil
}

// hinted is the backend that the hints name, -1 if no table can be there; why says why the hint is of no use.
func (v *resolver) hinted(in *insert) (backend int, why string) {
	c, h := v.st.r.catalog, v.st.hints
	if h.shard != "" {
		return v.shardNamed(in, h.shard)
	}
	b := slices.Index(c.backends, h.backend)
	if b < 0 {
		return -1, "there is no such backend"
	}
	for schema := range v.schemas {
		if !config.SystemSchema(schema) && !c.holds(schema, b) {
			return -1, "the configuration has nothing of schema " + schema + " there"
		}
	}
	return b, ""
}

// shardNamed is the backend of a shard of the statement's tables.
func (v *resolver) shardNamed(in *insert, name string) (backend int, why string) {
	backend = -1
	tables := []*table{}
	if in != nil {
		tables = append(tables, in.table)
	}
	for _, r := range v.sharded {
		tables = append(tables, r.table)
	}
	for _, t := range tables {
		i := slices.IndexFunc(t.sharding.shards, func(s string) bool { return strings.EqualFold(s, name) })
		switch {
		case i < 0:
			return -1, t.name + " has no such shard"
		case backend >= 0 && backend != t.sharding.backends[i]:
			return -1, "it is on several backends for the tables of the statement"
		}
		backend = t.sharding.backends[i]
	}
	if backend < 0 {
		return -1, "the statement reads no sharded table"
	}
	return backend, ""
}

// holds tells whether the configuration has anything of the schema on the backend.
func (c *catalog) holds(name string, backend int) bool {
	s := c.schemas[name]
	if s == nil || s.backend == backend {
		return s != nil
	}
	for _, t := range s.tables {
		if t.whole(backend) || t.sharding != nil && slices.Contains(t.sharding.backends, backend) {
			return true
		}
	}
	return false
}
