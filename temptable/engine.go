package temptable

import (
	"slices"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/router"
)

// Engine is where a temporary table has its rows.
type Engine uint8

// The engines. Disk reads rows in the order of the primary key, as the table does. Memory takes rows more than twice as fast, and gives them in
// the order in which they came. It has a limit (max_heap_table_size), and keeps the rows before the one at which an INSERT fails.
const (
	Disk Engine = iota
	Memory
)

func (e Engine) String() string { return [...]string{"InnoDB", "MEMORY"}[e] }

// maxMemoryRow is the longest row for Memory, where strings take all the bytes that they may have.
const maxMemoryRow = 1 << 10

// Orderless tells whether columns of the table are as o has it.
func (t *Table) Orderless(o *router.Orderless) bool {
	for i := range t.Columns {
		c, name := &t.Columns[i], strings.ToLower(t.Columns[i].Name)
		if slices.Contains(o.Exact, name) && !c.exact(router.MaxExact) || slices.Contains(o.Alike, name) && !c.alike() {
			return false
		}
	}
	return true
}

// exact tells whether the column has numbers of at most so many digits, without rounding.
func (c *Column) exact(digits int) bool {
	_, size := c.typed()
	return c.form == formNumber && size <= digits
}

// alike tells whether values of the column that are equal cannot be told from each other.
func (c *Column) alike() bool {
	name, _ := c.typed()
	switch c.form {
	case formNumber, formTimestamp:
		return true
	case formText:
		return name == "date" || name == "datetime" || name == "time"
	}
	return false
}

// typed is the type of the column, and the first number in its bracket.
func (c *Column) typed() (name string, size int) {
	name, list, _ := strings.Cut(strings.ToLower(c.def[0]), "(")
	first, _, _ := strings.Cut(strings.TrimSuffix(list, ")"), ",")
	size, _ = strconv.Atoi(first)
	return name, size
}

// Fit is the engine for a temporary table with these columns whose rows may be read in any order.
func (t *Table) Fit(columns []Column) Engine {
	row := 0
	for i := range columns {
		width := columns[i].width()
		if row += width; width < 0 || row > maxMemoryRow {
			return Disk
		}
	}
	for _, k := range t.keys {
		inexact := func(name string) bool {
			return slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Name == name && c.form == formFloat })
		}
		descends := func(part string) bool { return strings.HasSuffix(strings.ToUpper(part), " DESC") }
		// A hash of bytes tells 0 from -0.
		if slices.ContainsFunc(k.columns, inexact) || slices.ContainsFunc(k.parts, descends) || k.spatial {
			return Disk
		}
	}
	return Memory
}

// width is how many bytes of a row in memory the column takes at most, -1 if it cannot be there.
func (c *Column) width() int {
	name, size := c.typed()
	switch {
	case slices.ContainsFunc(c.def, func(w string) bool { return strings.Contains(w, "COMPRESSED") }):
		return -1
	case name == "char" || name == "varchar" || name == "binary" || name == "varbinary":
		return 4*max(size, 1) + 2
	case c.form == formBytes, c.form == formJSON, c.form == formRaw:
		return -1
	}
	return 32
}
