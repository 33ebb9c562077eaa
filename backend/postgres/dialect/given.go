package dialect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Given is a value that a statement gives a column. PostgreSQL's errors about values seldom say which it is: whoever has one runs Test for each.
type Given struct {
	Column string
	// Param is the client's parameter that it is, counted from 0; -1: it is in the text, as Shown.
	Param int
	Shown string
	// Test reads nothing, and fails as the value does.
	Test Step
}

// given is a Given that nobody may ask for.
type given struct {
	c    *Column
	text string
	lit  *literal
}

// maxGiven is how many values of a statement are kept for Given.
const maxGiven = 1000

// give notes a value.
func (t *translator) give(c *Column, text string, v value) {
	if (v.isConst() || v.isParam()) && len(t.gives) < maxGiven {
		t.gives = append(t.gives, given{c, text, v.lit})
	}
}

// Given are the values that the statement gives to columns by themselves.
func (t *translator) given() (all []Given) {
	for _, g := range t.gives {
		text := "SELECT (" + g.text + ")::" + storedAs(g.c)
		if k := g.c.Type.Kind; (k == Char || k == Varchar) && g.c.Type.Length > 0 { // a cast would cut it
			text = fmt.Sprintf("SELECT CASE WHEN char_length((%s)::text) > %d THEN xaproxy.fail('22001', '') END", g.text, g.c.Type.Length)
		}
		one := Given{Column: g.c.Name, Param: -1, Shown: g.lit.text, Test: t.numbered(Step{Kind: Rows, Text: text})}
		if g.lit.minus {
			one.Shown = "-" + one.Shown
		}
		if g.lit.param {
			one.Param = t.src.paramIndex(g.lit.tok)
		}
		all = append(all, one)
	}
	return all
}

// ofValues are the errors of values that say for which column they are.
var ofValues = []uint16{1264, 1265, 1292, 1366, 1406}

// about says which column a value was for.
func about(c *Column, err error) error {
	var e *Error
	if !errors.As(err, &e) || strings.Contains(e.What, "'"+c.Name+"'") {
		return err
	}
	if e.What == notText {
		e.Errno, e.State = 1366, "HY000"
	}
	if slices.Contains(ofValues, e.Errno) {
		e.What += " for column '" + c.Name + "'"
	}
	return err
}
