package router

import (
	"fmt"
	"strings"
)

// Pin is what a statement leaves on its backend connection and cannot be brought to another one. A session keeps the
// connection for as long as it lasts, and sends the statements that need it there. Of several the one that lasts longest
// counts: the constants are in that order.
type Pin uint8

// The pins.
const (
	PinNone Pin = iota
	// PinFoundRows is the count that SQL_CALC_FOUND_ROWS left for FOUND_ROWS(): until the next statement.
	PinFoundRows
	// PinLastInsertID is the value that LAST_INSERT_ID(expr) left for LAST_INSERT_ID(): until the next one that sets it.
	PinLastInsertID
	// PinUserVariable is the value of a user variable that a statement other than SET has assigned; Plan.Variables has it.
	PinUserVariable
	// PinHandler is a table opened by HANDLER, until HANDLER ... CLOSE. Plan.Name has the name of the handler.
	PinHandler
	// PinNamedLock is a lock of GET_LOCK(), until RELEASE_LOCK() has undone each.
	PinNamedLock
	// PinLockTables is what LOCK TABLES locked, until UNLOCK TABLES. The next LOCK TABLES or BEGIN ends it too.
	PinLockTables
	// PinTemporaryTable is a temporary table, until it is dropped: see Router.After.
	PinTemporaryTable
)

var pinNames = [...]string{
	"none", "found rows", "last insert id", "user variable", "open handler", "named lock", "table lock", "temporary table",
}

func (p Pin) String() string {
	if int(p) < len(pinNames) {
		return pinNames[p]
	}
	return fmt.Sprintf("pin %d", uint8(p))
}

// lockFunctions are those of named locks. A lock is known to one server only, so that all clients must ask the same: the
// first one of the configuration.
var lockFunctions = map[string]bool{
	"GET_LOCK": true, "RELEASE_LOCK": true, "RELEASE_ALL_LOCKS": true, "IS_FREE_LOCK": true, "IS_USED_LOCK": true,
}

// lockHome is the backend of named locks.
const lockHome = 0

// sessionFunctions are refused: the locks of the plug-in locking_service.
var sessionFunctions = map[string]bool{
	"SERVICE_GET_READ_LOCKS": true, "SERVICE_GET_WRITE_LOCKS": true, "SERVICE_RELEASE_LOCKS": true,
}

// previousVariables tell about the connection's statement before this one. Others that do are of the session's own: see Own.
var previousVariables = map[string]bool{"INSERT_ID": true, "RAND_SEED1": true, "RAND_SEED2": true, "LAST_GTID": true}

const sessionState = "state that must stay on one backend connection"

// session finds what ties the statement to a connection: what it needs of the statement before it, what it leaves for the
// next, the user variables, and named locks.
func (st *stmt) session(f *finding) *reason {
	into := false
	for i, t := range st.toks {
		name := strings.ToUpper(t.name)
		if ownVerbs[st.word(0)] || st.op(0, "(") {
			o, _ := st.own(i)
			f.own = f.own || o != 0
		}
		// SELECT ... INTO @a, @b
		into = t.kind == kUserVar && (st.word(i-1) == "INTO" || into) || into && st.op(i, ",")
		switch {
		case t.kind == kUserVar:
			f.variables[st.variableName(i)] = true
			if into || st.op(i+1, ":=") || st.word(0) == "CALL" {
				f.keep(PinUserVariable)
			}
		case t.kind == kSysVar:
			f.server = true
			name = strings.ToUpper(strings.Trim(st.text[t.start+2:t.end], "`"))
			if st.op(i+1, ".") && i+2 < len(st.toks) {
				name = strings.ToUpper(st.toks[i+2].name)
			}
			f.previous = f.previous || previousVariables[name]
		case t.word == "SQL_CALC_FOUND_ROWS":
			f.keep(PinFoundRows)
		case name != "" && st.op(i+1, "("):
			switch {
			case sessionFunctions[name]:
				return unsupported(t.start, "use GET_LOCK() or lock a row instead", "%s() is not supported: its lock is %s", name, sessionState)
			case lockFunctions[name]:
				if why := f.settle(st.r.catalog, lockHome, name+"()", t.start); why != nil {
					return why
				}
				if name == "GET_LOCK" {
					f.keep(PinNamedLock)
				}
				f.unpin = name == "RELEASE_ALL_LOCKS" && i == 1 && st.op(3, ")") && (len(st.toks) == 4 || st.word(4) == "AS" && len(st.toks) == 6)
			case name == "VERSION":
				f.server = true
			case name == "DATABASE", name == "SCHEMA":
				f.here = true
			case name == "LAST_INSERT_ID" && !st.op(i+2, ")"):
				f.keep(PinLastInsertID)
			}
		}
	}
	if f.unpin {
		f.keep(PinNamedLock)
	}
	f.privileged = st.privileged()
	return nil
}

// keep notes a pin.
func (f *finding) keep(p Pin) { f.leaves = max(f.leaves, p) }

// variableName is the name of the user variable that the i-th token is: without @ and quotes, in lower case.
func (st *stmt) variableName(i int) string {
	name := st.text[st.toks[i].start+1 : st.toks[i].end]
	if name != "" && strings.Contains("`'\"", name[:1]) {
		name = unquote(name)
	}
	return strings.ToLower(name)
}

// variableList reads @a, @b, ... from the i-th token on, and returns the place behind it; nil if there is none.
func (st *stmt) variableList(i int) (names []string, next int) {
	for i < len(st.toks) && st.toks[i].kind == kUserVar {
		names = append(names, st.variableName(i))
		i++
		if !st.op(i, ",") {
			return names, i
		}
		i++
	}
	return nil, i
}

// lock plans LOCK TABLES. https://dev.mysql.com/doc/refman/8.4/en/lock-tables.html
func (st *stmt) lock(f finding) (*shape, *reason) {
	f.write, f.commit = true, true
	f.keep(PinLockTables)
	if w := st.word(1); w != "TABLES" && w != "TABLE" {
		return nil, unsupported(st.at(0), "run it on the backend itself if it is needed", "LOCK %s is not supported: %s", w, oneServer)
	}
	var names []object
	for i := 1; i == 1 || st.op(i, ","); {
		o, next, ok := st.object(i + 1)
		if !ok {
			return nil, st.wrong(next)
		}
		names = append(names, o)
		if i = st.lockType(next); i == 0 {
			if st.word(next) == "AS" {
				next++
			}
			if i = st.lockType(next + 1); i == 0 || st.toks[next].name == "" {
				return nil, st.wrong(next)
			}
		}
		if i == len(st.toks) {
			return st.defined(f, "TABLES", names)
		}
	}
	return nil, st.wrong(len(st.toks))
}

// lockType is the place behind READ [LOCAL] or [LOW_PRIORITY] WRITE, 0 if there is none.
func (st *stmt) lockType(i int) int {
	switch {
	case st.words(i, "READ", "LOCAL"), st.words(i, "LOW_PRIORITY", "WRITE"):
		return i + 2
	case st.word(i) == "READ", st.word(i) == "WRITE":
		return i + 1
	}
	return 0
}

// unlock plans UNLOCK TABLES.
func (st *stmt) unlock(f finding) (*shape, *reason) {
	if w := st.word(1); w != "TABLES" && w != "TABLE" || len(st.toks) > 2 {
		return nil, st.wrong(1)
	}
	f.unpin = true
	f.keep(PinLockTables)
	return f.shape(st.r, AnyBackend), nil
}

// handler plans HANDLER table OPEN, and HANDLER name READ and CLOSE, the name being the table's or the alias that it was opened
// under. https://dev.mysql.com/doc/refman/8.4/en/handler.html
func (st *stmt) handler(f finding) (*shape, *reason) {
	o, i, ok := st.object(1)
	if !ok {
		return nil, st.wrong(1)
	}
	p, name := Plan{}, o.name
	switch st.word(i) {
	case "OPEN":
		if i++; st.word(i) == "AS" {
			i++
		}
		if i < len(st.toks) {
			if name = st.toks[i].name; name == "" || i+1 < len(st.toks) {
				return nil, st.wrong(i)
			}
		}
		f.keep(PinHandler)
		sh, why := st.defined(f, "TABLE", []object{o})
		if why != nil {
			return nil, why
		}
		p = *sh.plan
	case "READ":
		f.write = true // its WHERE may call anything
		p = *f.shape(st.r, AnyBackend).plan
		p.Verb = Handler
	case "CLOSE":
		if i+1 < len(st.toks) {
			return nil, st.wrong(i + 1)
		}
		f.keep(PinHandler)
		f.unpin = true
		p = *f.shape(st.r, AnyBackend).plan
		p.Verb = Handler
	default:
		return nil, st.wrong(i)
	}
	p.Name = strings.ToLower(name)
	return &shape{plan: &p}, nil
}
