package dialect

import (
	"fmt"
	"strings"
)

// regexpSafe are the characters that mean the same in both dialects of regular expressions, or are escaped ones of them.
const regexpSafe = `ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _-,:;@#%&=<>/!"'~` + "`"

// regexp translates REGEXP with a pattern of what both know.
func (t *translator) regexp(l, r value, not bool) (string, error) {
	if !r.isConst() || r.t.Kind != Varchar {
		return "", refuse(t.at(r), "a regular expression that is computed is not translated", "write it down, or use LIKE")
	}
	l, err := t.text(l)
	if err != nil {
		return "", err
	}
	j, err := t.joined(l, r)
	if err != nil {
		return "", err
	}
	pattern := r.lit.text
	bad := func(what string) error {
		return refuse(t.at(r), what+" of this regular expression may mean another thing in PostgreSQL", "use LIKE, or characters, classes in [], ., *, +, ?, |, (), ^ and $")
	}
	dot, negated := false, false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
			if i == len(pattern) || strings.IndexByte(`\.*+?()[]{}|^$-/`, pattern[i]) < 0 {
				return "", bad("the escape")
			}
		case c == '[':
			end := strings.IndexByte(pattern[i+1:], ']')
			if end < 1 {
				return "", bad("the class")
			}
			class := pattern[i+1 : i+1+end]
			if class[0] == '^' {
				negated = true
				class = class[1:]
			}
			if class == "" || strings.Trim(class, regexpSafe+".") != "" || strings.ContainsAny(class, `[\&~`) || strings.Contains(class, "--") {
				return "", bad("the class")
			}
			i += end + 1
		case c == '.':
			dot = true
		case c == '$':
			if i != len(pattern)-1 {
				return "", bad("the $")
			}
			pattern = pattern[:i] + `\n?$`
			i = len(pattern)
		case c == '(' && i+1 < len(pattern) && pattern[i+1] == '?', c == '{' || c == '}':
			return "", bad("a part")
		case strings.IndexByte("*+?|()^", c) >= 0:
			if i+1 < len(pattern) && strings.IndexByte("*+?", c) >= 0 && strings.IndexByte("*+?", pattern[i+1]) >= 0 {
				return "", bad("a part")
			}
		case strings.IndexByte(regexpSafe, c) < 0:
			return "", bad("a character")
		}
	}
	if dot && negated {
		return "", bad("a . beside [^]")
	}
	if dot {
		pattern = "(?p)" + pattern
	}
	op := "~"
	if j.t.folds() {
		op = "~*"
	}
	if not {
		op = "!" + op
	}
	return fmt.Sprintf(`((%s COLLATE "und-x-icu") %s %s)`, l.s, op, quoteText(pattern)), nil
}

// regexpLike is REGEXP_LIKE without a match type.
func regexpLike(t *translator, c *call) (value, error) {
	if len(c.args) != 2 {
		return value{}, t.refuse(c.name, "leave it out", "REGEXP_LIKE with a match type is not translated")
	}
	s, err := t.regexp(c.args[0], c.args[1], false)
	return with(condition(s), c.args...), err
}

// regexpReplace is REGEXP_REPLACE of all matches by a string.
func regexpReplace(t *translator, c *call) (value, error) {
	if len(c.args) != 3 {
		return value{}, t.refuse(c.name, "leave them out", "REGEXP_REPLACE with more than three arguments is not translated")
	}
	by := c.args[2]
	if !by.isConst() || by.t.Kind != Varchar || strings.ContainsAny(by.lit.text, `$\`) {
		return by, refuse(t.at(by), "what stands for a match must be written down, without groups", "write a string without $ and \\")
	}
	s, err := t.text(c.args[0])
	if err != nil {
		return s, err
	}
	matches, err := t.regexp(s, c.args[1], false)
	if err != nil {
		return s, err
	}
	flags := "g"
	left, pattern, found := strings.Cut(matches, " ~* ")
	if found {
		flags = "gi"
	} else {
		left, pattern, _ = strings.Cut(matches, " ~ ")
	}
	if strings.Contains(s.s, " ~") {
		return s, refuse(t.at(s), "this REGEXP_REPLACE is not translated", raw)
	}
	v := value{s: fmt.Sprintf("regexp_replace(%s, %s, %s, '%s')", strings.TrimPrefix(left, "("), strings.TrimSuffix(pattern, ")"), by.s, flags), t: s.t, rank: s.rank}
	return with(v, s), nil
}
