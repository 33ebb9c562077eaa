package router

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Routine is a stored function of one backend. What servers say of a function, such as NO SQL, is only what its author says; so its body is
// looked at. One that computes its value from its parameters alone runs wherever the rows are that it is called for.
type Routine struct {
	Backend      int
	Schema, Name string
	Parameters   []string
	Body         string // "": the account may not see it, or it is not SQL
	SQLMode      string
	Rest         string // all else that tells functions of one name apart
}

// routine is what is known of the functions of one name.
type routine struct {
	on   string // a byte 1 for each backend that has it, 0 for others
	kept string // why it cannot run wherever the rows are; "": it can
}

// LearnRoutines tells the router which stored functions there are. It may be called while others plan, but by one goroutine at a time.
func (r *Router) LearnRoutines(all []Routine) {
	c := r.base.catalog
	known, first := map[string]routine{}, map[string]Routine{}
	for _, f := range all {
		name := strings.ToLower(f.Schema + "." + f.Name)
		one, again := known[name]
		switch of := first[name]; {
		case !again:
			one = routine{strings.Repeat("\x00", len(c.backends)), r.base.keeps(f)}
			first[name] = f
		case one.kept == "" && (f.Body != of.Body || f.SQLMode != of.SQLMode || f.Rest != of.Rest || !slices.Equal(f.Parameters, of.Parameters)):
			one.kept = fmt.Sprintf("is another one on backend %s than on %s", c.backends[f.Backend], c.backends[of.Backend])
		}
		on := []byte(one.on)
		on[f.Backend] = 1
		one.on = string(on)
		known[name] = one
	}
	if old := c.routines.Load(); old != nil && maps.Equal(*old, known) || old == nil && len(known) == 0 {
		return
	}
	c.routines.Store(&known)
	if r.cache != nil {
		r.cache.clear()
	}
}

// stateful are words of a body that reads or changes something else than its parameters and variables, or may. Behind a bracket some of them are
// functions.
var stateful = set(`select insert update delete replace call table values with get show prepare execute deallocate load truncate create drop
	alter analyze optimize check repair lock unlock flush kill reset purge install uninstall grant revoke rename open fetch close cursor change
	start stop commit rollback savepoint release use xa help describe explain next previous binlog cache import clone restart shutdown
	current_user current_role`)

// remembering are functions that read or change something else than their parameters. Lower case.
var remembering = set(`get_lock release_lock release_all_locks is_free_lock is_used_lock last_insert_id row_count found_rows last_value connection_id
	user session_user system_user current_user current_role load_file master_gtid_wait master_pos_wait source_pos_wait
	wait_for_executed_gtid_set roles_graphml can_access_column can_access_database can_access_table ps_current_thread_id ps_thread_id`)

// beforeBracket are words that a bracket follows and that are no functions. Lower case.
var beforeBracket = set(`if elseif case when then else return while until and or not xor in between like rlike regexp div mod binary interval char varchar
	varbinary decimal numeric dec fixed int integer tinyint smallint mediumint bigint float double real bit year datetime timestamp time text blob
	enum set as default escape do national nchar nvarchar character is`)

// keeps is why a function must run on one backend, "" if it need not.
func (r *Router) keeps(f Routine) string {
	if f.Body == "" {
		return "has no body in SQL that xaproxy's account may see"
	}
	if strings.Contains(f.Body, "/*") {
		return "has a comment in its body"
	}
	var mode Mode
	if strings.Contains(f.SQLMode, "ANSI_QUOTES") {
		mode |= AnsiQuotes
	}
	if strings.Contains(f.SQLMode, "NO_BACKSLASH_ESCAPES") {
		mode |= NoBackslashEscapes
	}
	st := r.newStmt(f.Body, f.Schema, mode)
	own := map[string]bool{}
	for _, p := range f.Parameters {
		own[strings.ToLower(p)] = true
	}
	for i, t := range st.toks {
		name, called := strings.ToLower(t.name), st.op(i+1, "(")
		switch {
		case t.kind == kUserVar, t.kind == kSysVar:
			return "has variables of the session in its body"
		case t.dotted:
			return "has a name with a point in its body"
		case called && name != "" && t.kind != kWord, called && name != "" && !builtin[name] && !beforeBracket[name], called && remembering[name]:
			return "calls " + t.name + " in its body"
		case t.word == "HANDLER" && st.word(i-1) != "CONTINUE" && st.word(i-1) != "EXIT" && st.word(i-1) != "UNDO",
			t.kind == kWord && stateful[name] && !(called && builtin[name]):
			return "has " + strings.ToUpper(t.name) + " in its body"
		case t.word == "DECLARE":
			for n := i + 1; n < len(st.toks) && st.toks[n].name != ""; n += 2 {
				own[strings.ToLower(st.toks[n].name)] = true
				if !st.op(n+1, ",") {
					break
				}
			}
		case t.word == "SET" && !st.sets(i+1, own):
			return "sets something else than its own variables in its body"
		}
	}
	return ""
}

// sets tells whether the assignments from token i on are to variables of these names alone.
func (st *stmt) sets(i int, own map[string]bool) bool {
	for i < len(st.toks) {
		if !own[strings.ToLower(st.toks[i].name)] || !st.op(i+1, "=") && !st.op(i+1, ":=") {
			return false
		}
		for i += 2; i < len(st.toks) && st.toks[i].kind != kSemi && !st.op(i, ","); i++ {
			if st.op(i, "(") {
				i = st.closing(i)
			}
		}
		if i >= len(st.toks) || !st.op(i, ",") {
			return true
		}
		i++
	}
	return true
}

// computes tells whether the function, if it is not built in, is known to compute its value from its parameters alone.
func (c *catalog) computes(schema, name string) (f routine, known bool) {
	if all := c.routines.Load(); all != nil {
		f, known = (*all)[strings.ToLower(schema+"."+name)]
	}
	return f, known
}

// routed decides where the stored functions of the statement run: wherever its rows are, or on their schema's backend.
func (v *resolver) routed() {
	for _, f := range v.routines {
		why := f.kept
		own := 0
		for _, s := range v.sources {
			if s.cte != "" || s.place.system {
				continue
			}
			own++
			for _, b := range s.place.backends() {
				if why == "" && f.on[b] == 0 {
					why = "is not on backend " + v.st.r.catalog.backends[b]
				}
			}
		}
		if why == "" && own > 0 {
			continue
		}
		if v.foreign = f.name; why != "" {
			v.foreignWhy = ", and it " + why
		}
		v.foreignSchema, v.write, v.program = f.in, true, true
	}
}

// called is a stored function that the statement calls.
type called struct {
	routine
	in, name string // as written
}
