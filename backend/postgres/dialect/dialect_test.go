package dialect

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/dolthub/vitess/go/vt/sqlparser"
)

// tables is a catalog of tables that MySQL's CREATE TABLE defines.
type tables map[string]*Table

func (c tables) Table(schema, name string) (*Table, bool) {
	t, ok := c[schema+"."+name]
	return t, ok
}

// define adds a table, or changes it.
func (c tables) define(sql string) error {
	t, err := newTranslator(sql, Options{Schema: "shop", Catalog: c})
	if err != nil {
		return err
	}
	tree, err := t.src.parse()
	if err != nil {
		return err
	}
	switch d := tree.(type) {
	case *sqlparser.DDL:
		if d.Action == sqlparser.RenameStr {
			for i, from := range d.FromTables {
				table := c["shop."+from.Name.String()]
				delete(c, "shop."+from.Name.String())
				table.Name = d.ToTables[i].Name.String()
				c["shop."+table.Name] = table
			}
			return nil
		}
		n, err := t.newTable(d)
		if err != nil {
			return err
		}
		c[n.Schema+"."+n.Name] = n.Table
	case *sqlparser.AlterTable:
		if err := t.alter(d); err != nil {
			return err
		}
		c[t.altered.Schema+"."+t.altered.Name] = t.altered
	}
	return nil
}

var changes = regexp.MustCompile(`^(ALTER|CREATE( UNIQUE)? INDEX|DROP INDEX|RENAME TABLE|CREATE TABLE [a-z]+ \()`)

// TestGolden translates the statements of testdata. A difference may be committed when tests/dialect has compared the new text's answer
// with MySQL's. With "table" statements define the tables that those behind them are about.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		catalog := tables{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			o := Options{Schema: "shop", Catalog: catalog, Version: "9.7.0-xaproxy", User: "app@%", ConnectionID: 7, LastInsertID: 42}
			for _, arg := range d.CmdArgs {
				switch arg.Key {
				case "ansi":
					o.ANSIQuotes = true
				case "nobackslash":
					o.NoBackslashEscapes = true
				case "pipes":
					o.PipesAsConcat = true
				case "lenient":
					o.Lenient = true
				case "clock":
					o.Clock = true
				case "found":
					o.FoundRows = true
				case "strings": // all parameters are
					o.Params = []Class{}
				}
			}
			var b strings.Builder
			for _, sql := range strings.Split(d.Input, ";\n") {
				if sql = strings.TrimSuffix(strings.TrimSpace(sql), ";"); sql == "" {
					continue
				}
				if d.Cmd != "table" {
					b.WriteString(show(sql, o))
				}
				if changes.MatchString(sql) && d.Cmd != "translate" {
					if err := catalog.define(sql); err != nil && d.Cmd == "table" {
						fmt.Fprintln(&b, err)
					}
				}
			}
			return b.String()
		})
	})
}

// show writes a translation down.
func show(sql string, o Options) string {
	if o.Params != nil {
		o.Params = slices.Repeat([]Class{StringClass}, strings.Count(sql, "?"))
	}
	s, err := Translate(sql, o)
	if err != nil {
		e, ok := err.(*Error)
		if !ok {
			return err.Error() + "\n"
		}
		return fmt.Sprintf("%d (%s) %s\n", e.Errno, e.State, e)
	}
	var b strings.Builder
	if s.Passed != nil {
		s.Steps = []Step{s.Passed.Choose, s.Passed.Change([]string{"(0,1)", "(0,2)"})}
	}
	for _, step := range s.Steps {
		fmt.Fprintf(&b, "%s: %s\n", step.Kind, step.Text)
		for i, p := range step.Params {
			fmt.Fprintf(&b, "  $%d: ?%d as %s, %s\n", i+1, p.From+1, p.Cast, p.Class)
		}
		for _, c := range step.Columns {
			fmt.Fprintf(&b, "  %q %s", c.Name, c.Type)
			if c.OrgName != "" {
				fmt.Fprintf(&b, " of %s.%s.%s", c.Schema, c.OrgTable, c.OrgName)
			}
			b.WriteByte('\n')
		}
		if step.InsertID >= 0 {
			fmt.Fprintf(&b, "  insert id: column %d", step.InsertID)
			if step.InsertIDGiven >= 0 {
				fmt.Fprintf(&b, ", given if column %d", step.InsertIDGiven)
			}
			b.WriteByte('\n')
		}
		if step.Affected >= 0 {
			fmt.Fprintf(&b, "  affected: sum of column %d", step.Affected)
			if step.AffectedPlus > 0 {
				fmt.Fprintf(&b, " + %d", step.AffectedPlus)
			}
			b.WriteByte('\n')
		}
		if step.Use != "" {
			fmt.Fprintf(&b, "  use: %s\n", step.Use)
		}
	}
	return b.String()
}
