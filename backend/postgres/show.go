package postgres

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/wire"
)

// showVariables answers SHOW VARIABLES and SHOW STATUS.
func (s *session) showVariables(words []part, a *answer) error {
	words = words[1:]
	if words[0].is == "GLOBAL" || words[0].is == "SESSION" || words[0].is == "LOCAL" {
		words = words[1:]
	}
	all := s.counters()
	if words[0].is == "VARIABLES" {
		all = make(map[string]variable)
		maps.Copy(all, settings)
		maps.Copy(all, s.vars.values)
	}
	wanted, err := filter(words[1:])
	if err != nil {
		return err
	}
	var rows [][][]byte
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if wanted(strings.ToLower(name)) {
			rows = append(rows, [][]byte{[]byte(name), []byte(all[name].shown())})
		}
	}
	a.small([]wire.Column{s.textColumn("Variable_name", 64), s.textColumn("Value", 2048)}, rows...)
	return nil
}

// counters are the status variables that there are.
func (s *session) counters() map[string]variable {
	return map[string]variable{"Handler_commit": number(s.commits), "Handler_rollback": number(s.rollbacks), "Threads_connected": number(1)}
}

// shown is the value as SHOW VARIABLES writes it.
func (v variable) shown() string { return v.text }

// filter reads LIKE '…', and WHERE with comparisons of Variable_name.
func filter(words []part) (wanted func(name string) bool, err error) {
	switch {
	case len(words) == 0:
		return func(string) bool { return true }, nil
	case len(words) == 2 && words[0].is == "LIKE" && words[1].kind == text:
		return func(name string) bool { return like(name, strings.ToLower(words[1].is)) }, nil
	}
	var names []string
	if len(words) > 2 && words[0].is == "WHERE" {
		for _, w := range words[1:] {
			switch {
			case w.kind == text:
				names = append(names, strings.ToLower(w.is))
			case !slices.Contains([]string{"VARIABLE_NAME", "IN", "=", "(", ")", ",", "OR", "LIKE"}, strings.ToUpper(w.is)):
				return nil, wire.NewError(wire.CodeNotSupported, "the condition %s of SHOW is not known to a PostgreSQL backend; compare Variable_name with strings", w.raw)
			}
		}
		return func(name string) bool {
			return slices.ContainsFunc(names, func(n string) bool { return like(name, n) })
		}, nil
	}
	return nil, syntaxError(words)
}

// like is LIKE for names of variables, in which _ stands for itself as often as not.
func like(name, pattern string) bool {
	head, rest, more := strings.Cut(pattern, "%")
	if len(name) < len(head) {
		return false
	}
	for i := range len(head) {
		if head[i] != name[i] && head[i] != '_' {
			return false
		}
	}
	if name = name[len(head):]; !more {
		return name == ""
	}
	for i := 0; i <= len(name); i++ {
		if like(name[i:], rest) {
			return true
		}
	}
	return false
}

func hexOf(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString(strings.ToUpper(strconv.FormatUint(uint64(s[i])+0x100, 16)[1:]))
	}
	return b.String()
}

// unquoted is a name as it was written, without quotes.
func unquoted(w part) string {
	if w.kind == word {
		return w.raw
	}
	return w.is
}
