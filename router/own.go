package router

import (
	"slices"
	"strings"
)

// Own is a value of the client's session that no backend connection knows: the connections serve many clients, and what a
// client asks about its last statement may have been left on another one.
type Own uint8

// The values.
const (
	OwnConnectionID Own = iota + 1 // CONNECTION_ID()
	OwnUser                        // USER(), SESSION_USER(), SYSTEM_USER()
	OwnAccount                     // CURRENT_USER, CURRENT_USER()
	OwnInsertID                    // LAST_INSERT_ID(), @@last_insert_id, @@identity
	OwnRowCount                    // ROW_COUNT()
	OwnFoundRows                   // FOUND_ROWS()
	OwnWarnings                    // @@warning_count
	OwnErrors                      // @@error_count
	OwnAutocommit                  // @@autocommit
	OwnCommitKey                   // @@xaproxy_commit_key
	OwnOutcome                     // xaproxy_outcome('key')
)

// unknown tells that no server knows the name.
func (o Own) unknown() bool { return o >= OwnCommitKey }

// ownFunctions are those with nothing in their brackets.
var ownFunctions = map[string]Own{
	"CONNECTION_ID": OwnConnectionID, "USER": OwnUser, "SESSION_USER": OwnUser, "SYSTEM_USER": OwnUser, "CURRENT_USER": OwnAccount,
	"LAST_INSERT_ID": OwnInsertID, "ROW_COUNT": OwnRowCount, "FOUND_ROWS": OwnFoundRows,
}

var ownVariables = map[string]Own{
	"LAST_INSERT_ID": OwnInsertID, "IDENTITY": OwnInsertID, "WARNING_COUNT": OwnWarnings, "ERROR_COUNT": OwnErrors, "AUTOCOMMIT": OwnAutocommit,
	"XAPROXY_COMMIT_KEY": OwnCommitKey,
}

// outcomeFunction is of xaproxy's own: no backend has it, in any schema.
const outcomeFunction = "xaproxy_outcome"

// ownVerbs begin the statements in which these are values. In others CURRENT_USER is an account, and what is defined would
// keep the value.
var ownVerbs = map[string]bool{
	"SELECT": true, "WITH": true, "VALUES": true, "INSERT": true, "REPLACE": true, "UPDATE": true, "DELETE": true, "DO": true,
	"SET": true, "CALL": true, "LOAD": true,
}

// beforeRows are words that a table's name follows: with empty brackets behind it, it looks like a function.
var beforeRows = []string{"INTO", "INSERT", "REPLACE", "IGNORE", "DELAYED", "LOW_PRIORITY", "HIGH_PRIORITY"}

// own is the value that the i-th token begins, and how many tokens long its name is; 0 if it begins none.
func (st *stmt) own(i int) (Own, int) {
	switch t := st.toks[i]; {
	case t.kind == kSysVar && st.assigned(i):
	case t.kind == kSysVar:
		name, n := strings.ToUpper(strings.Trim(st.text[t.start+2:t.end], "`")), 1
		if (name == "SESSION" || name == "LOCAL") && st.op(i+1, ".") && i+2 < len(st.toks) {
			name, n = strings.ToUpper(st.toks[i+2].name), 3
		}
		return ownVariables[name], n
	case t.word == "" || slices.Contains(beforeRows, st.word(i-1)):
		return 0, 0
	case strings.EqualFold(t.word, outcomeFunction) && st.op(i+1, "(") && st.op(i+3, ")"):
		return OwnOutcome, 4
	case st.op(i+1, "(") && st.op(i+2, ")"):
		return ownFunctions[t.word], 3
	case t.word == "CURRENT_USER":
		return OwnAccount, 1
	}
	return 0, 0
}

// assigned tells whether SET gives the variable that begins at the i-th token a value.
func (st *stmt) assigned(i int) bool {
	return st.word(0) == "SET" && (i == 1 || st.op(i-1, ",")) && (st.assigns(i+1) || st.op(i+1, ".") && st.assigns(i+3))
}

// Own writes values into a statement whose Plan has Own: value returns an expression, or "" to leave the name in place; arg is the text of
// the argument of OwnOutcome, and param which parameter that is, counted from 0, or -1; it stays in the text, so that the statement has as
// many as before. A name that servers know stays in the text, in the branch of an IF() that is not taken, so that the result
// is of the same type; and a column of the result keeps its name. sql is not changed.
func (r *Router) Own(sql []byte, mode Mode, value func(o Own, arg string, param int) string) []byte {
	st := r.plainStmt(sql, "", mode, false)
	var out []byte
	done := 0 // of sql
	until := func(end int) {
		out = append(out, sql[done:end]...)
		done = end
	}
	item, last := st.items()
	changed := false // the present item of the select list
	for i := 0; i < len(st.toks); i++ {
		if item >= 0 && i == item {
			changed = false
		}
		if o, n := st.own(i); o != 0 {
			arg, param := "", -1
			if o == OwnOutcome {
				t := st.toks[i+2]
				arg = string(sql[t.start:t.end])
				if t.kind == kParam {
					param = params(st.toks[:i])
				}
			}
			if expr := value(o, arg, param); expr != "" {
				until(st.toks[i].start)
				name := sql[done:st.toks[i+n-1].end]
				switch {
				case param >= 0:
					out = append(append(append(out, "IF(? IS NULL,NULL,"...), expr...), ')')
				case o.unknown():
					out = append(out, expr...)
				default:
					out = append(append(append(append(append(out, "IF(1,"...), expr...), ','), name...), ')')
				}
				done, changed = st.toks[i+n-1].end, true
			}
			i += n - 1
		}
		if item >= 0 && i == last(item) {
			if name := sql[st.toks[item].start:st.toks[i].end]; changed && !st.aliased(item, i) && len(name) <= maxAlias {
				until(st.toks[i].end)
				out = append(append(out, " AS `"...), strings.ReplaceAll(string(name), "`", "``")...)
				out = append(out, '`')
			}
			if item = i + 2; !st.op(i+1, ",") {
				item = -1
			}
		}
	}
	until(len(sql))
	return out
}

// params counts the parameters among tokens.
func params(toks []tok) (n int) {
	for _, t := range toks {
		if t.kind == kParam {
			n++
		}
	}
	return n
}

// maxAlias is how long the name of a column may be.
const maxAlias = 256

// items finds the select list that gives the result its column names: its first item's first token, -1 if there is none, and
// what returns the last token of the item that begins at a token.
func (st *stmt) items() (first int, last func(int) int) {
	if st.word(0) != "SELECT" {
		return -1, nil
	}
	first = 1
	for slices.Contains([]string{"ALL", "DISTINCT", "DISTINCTROW", "HIGH_PRIORITY", "STRAIGHT_JOIN"}, st.word(first)) || strings.HasPrefix(st.word(first), "SQL_") {
		first++
	}
	return first, func(i int) int {
		depth := 0
		for ; i+1 < len(st.toks); i++ {
			switch {
			case st.op(i, "("):
				depth++
			case st.op(i, ")"):
				depth--
			}
			if depth > 0 {
				continue
			}
			if st.op(i+1, ",") || st.op(i+1, ")") || slices.Contains(behindItems, st.word(i+1)) {
				return i
			}
		}
		return i
	}
}

// behindItems are the words that end a select list.
var behindItems = []string{"FROM", "INTO", "WHERE", "UNION", "EXCEPT", "INTERSECT", "HAVING", "GROUP", "ORDER", "LIMIT", "FOR", "LOCK", "PROCEDURE", "WINDOW"}

// operators are words that a value, and not a column's name, follows or ends with.
var operators = []string{
	"AND", "OR", "XOR", "NOT", "IS", "LIKE", "IN", "BETWEEN", "DIV", "MOD", "REGEXP", "RLIKE", "BINARY", "ESCAPE", "COLLATE", "SOUNDS", "END",
}

// aliased tells whether the item of the select list from token i to token last ends with a name for its column.
func (st *stmt) aliased(i, last int) bool {
	if last == i {
		return false
	}
	end, before := st.toks[last], st.toks[last-1]
	switch {
	case before.word == "AS":
		return true
	case end.dotted || end.kind != kWord && end.kind != kQuoted && end.kind != kString || end.word == "END":
		return false
	case before.kind == kOp:
		return st.op(last-1, ")")
	}
	return !slices.Contains(operators, before.word)
}
