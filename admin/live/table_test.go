package live

import (
	"strings"
	"testing"
	"time"
)

// fixed is a source with one row in each of three tables.
type fixed struct{ Source }

func (fixed) Backends() []Backend {
	return []Backend{{Name: "a", Looked: Unknown(), Oldest: 1500 * time.Millisecond, InDoubt: 2}}
}

func (fixed) Branches() []Branch { return []Branch{{GTRID: "g", InDoubt: true}} }

func (fixed) Sessions() []Session { return []Session{{ID: 7}} }

// Every column has a name of its own and a comment, and one that has a time in it says its unit.
func TestColumns(t *testing.T) {
	for _, v := range Views {
		seen := map[string]bool{}
		for _, c := range v.Columns {
			if c.Name == "" || c.About == "" || seen[c.Name] {
				t.Errorf("%s: column %q, comment %q", v.Name, c.Name, c.About)
			}
			seen[c.Name] = true
			if unit := strings.HasSuffix(c.Name, "_seconds"); unit != (c.Type == Real) || unit && !strings.Contains(c.About, "seconds") {
				t.Errorf("%s.%s: type %d, comment %q", v.Name, c.Name, c.Type, c.About)
			}
		}
		if v.About == "" || Find(strings.ToUpper(v.Name)).Name != v.Name {
			t.Errorf("table %q", v.Name)
		}
	}
}

// Values are of the types of their columns, and what nobody knows is NULL.
func TestRows(t *testing.T) {
	one := func(table, column string) any {
		v := Find(table)
		for i, c := range v.Columns {
			if c.Name == column {
				return v.Rows(fixed{})[0][i]
			}
		}
		t.Fatalf("%s has no column %s", table, column)
		return nil
	}
	for _, c := range []struct {
		table, column string
		want          any
	}{
		{"backends", "name", "a"},
		{"backends", "looked_seconds", nil},
		{"backends", "oldest_seconds", 1.5},
		{"backends", "in_doubt", int64(2)},
		{"branches", "in_doubt", true},
		{"sessions", "id", uint64(7)},
		{"sessions", "since", nil},
	} {
		if got := one(c.table, c.column); got != c.want {
			t.Errorf("%s.%s is %v, want %v", c.table, c.column, got, c.want)
		}
	}
}
