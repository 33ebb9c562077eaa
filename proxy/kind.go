package proxy

import "bytes"

// statementKind is what a statement begins with, as metrics tell it.
type statementKind uint8

const (
	otherKind statementKind = iota
	selectKind
	insertKind
	replaceKind
	updateKind
	deleteKind
	loadKind
	callKind
	setKind
	showKind
	useKind
	beginKind
	commitKind
	rollbackKind
	savepointKind
	executeKind
	ddlKind
	statementKinds
)

var kindNames = [statementKinds]string{
	"other", "select", "insert", "replace", "update", "delete", "load", "call", "set", "show", "use", "begin", "commit", "rollback", "savepoint",
	"execute", "ddl",
}

// kindOf looks at the first word behind blanks, comments and parentheses.
func kindOf(sql []byte) statementKind {
	for len(sql) > 0 {
		switch c := sql[0]; {
		case c <= ' ' || c == '(':
			sql = sql[1:]
		case bytes.HasPrefix(sql, []byte("/*")):
			_, sql, _ = bytes.Cut(sql, []byte("*/"))
		case c == '#' || bytes.HasPrefix(sql, []byte("--")):
			_, sql, _ = bytes.Cut(sql, []byte{'\n'})
		default:
			return kindOfWord(sql)
		}
	}
	return otherKind
}

// kindOfWord is kindOf of a text that begins with the word.
func kindOfWord(sql []byte) statementKind {
	var word [9]byte // the longest one, SAVEPOINT
	n := 0
	for n < len(word) && n < len(sql) && sql[n]|0x20 >= 'a' && sql[n]|0x20 <= 'z' {
		word[n] = sql[n] | 0x20
		n++
	}
	switch string(word[:n]) {
	case "select", "with", "table", "values":
		return selectKind
	case "insert":
		return insertKind
	case "replace":
		return replaceKind
	case "update":
		return updateKind
	case "delete":
		return deleteKind
	case "load":
		return loadKind
	case "call":
		return callKind
	case "set":
		return setKind
	case "show", "explain", "describe", "desc":
		return showKind
	case "use":
		return useKind
	case "begin", "start":
		return beginKind
	case "commit":
		return commitKind
	case "rollback":
		return rollbackKind
	case "savepoint", "release":
		return savepointKind
	case "execute":
		return executeKind
	case "create", "alter", "drop", "rename", "truncate", "analyze", "optimize", "repair":
		return ddlKind
	}
	return otherKind
}
