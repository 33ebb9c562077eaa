package temptable

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/xaproxy/xaproxy/router"
)

// TestTables reads what SHOW CREATE TABLE says. Commands:
//
//	table names=(a,b) [all] [loose]   what is fetched of it for a statement with these names, and the temporary table, if it may be in any order
//	orderless                         the columns of it that are exact, and those that are alike
func TestTables(t *testing.T) {
	datadriven.RunTest(t, "testdata/tables.txt", func(t *testing.T, d *datadriven.TestData) string {
		table, err := ParseTable(d.Input)
		if err != nil {
			return err.Error() + "\n"
		}
		if d.Cmd == "orderless" {
			var exact, alike []string
			for _, c := range table.Columns {
				if table.Orderless(&router.Orderless{Exact: []string{strings.ToLower(c.Name)}}) {
					exact = append(exact, c.Name)
				}
				if table.Orderless(&router.Orderless{Alike: []string{strings.ToLower(c.Name)}}) {
					alike = append(alike, c.Name)
				}
			}
			return fmt.Sprintf("exact %v\nalike %v\n", exact, alike)
		}
		names := []string{}
		if d.HasArg("names") {
			var all string
			d.ScanArgs(t, "names", &all)
			names = strings.Split(all, "+")
		}
		needed := table.Needed(names, d.HasArg("all"))
		fetch, _ := Fetch(&router.ScratchTable{Schema: "s", Name: "t", Alias: "x"}, needed, nil, false)
		return fmt.Sprintf("%s\n%s\n", fetch, strings.ReplaceAll(table.Create("`s`.`t`", needed, !d.HasArg("loose"), table.Fit(needed)), ", ", ",\n  "))
	})
}

// TestBatch: the values of a row become literals, in either protocol.
func TestBatch(t *testing.T) {
	table, err := ParseTable("CREATE TABLE `t` (`a` int, `b` varchar(9), `c` timestamp(3), `d` json, `e` double)")
	if err != nil {
		t.Fatal(err)
	}
	b := NewBatch("`t`", table.Columns)
	for _, row := range []string{"\x02-7\x03it'\x0b1234567.500\x02{}\x02-0", "\xfb\xfb\xfb\xfb\xfb"} {
		if err := b.Add([]byte(row), false); err != nil {
			t.Error(err)
		}
	}
	for _, row := range []string{"\x00\x00\x02-7\x00\x010\x02{}\x041e30", "\x00\x7c"} {
		if err := b.Add([]byte(row), true); err != nil {
			t.Error(err)
		}
	}
	want := "INSERT INTO `t` (`a`,`b`,`c`,`d`,`e`) VALUES (-7,_binary'it''','1970-01-15 06:56:07.500',_utf8mb4'{}','-0'),(NULL,NULL,NULL,NULL,NULL)," +
		"(-7,_binary'','0000-00-00 00:00:00',_utf8mb4'{}','1e30'),(NULL,NULL,NULL,NULL,NULL)"
	if got := string(b.SQL()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b.Skip(1)
	b.Skip(2)
	if got, want := string(b.SQL()), "INSERT INTO `t` (`a`,`b`,`c`,`d`,`e`) VALUES (NULL,NULL,NULL,NULL,NULL)"; got != want || b.Rows != 1 {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, row := range []string{"", "\x02-7", "\x01x\xfb\xfb\xfb\xfb", "\xfb\xfb\x01x\xfb\xfb", "\xfb\xfb\xfb\xfb\xfb\xfb"} {
		if b.Add([]byte(row), false) == nil {
			t.Errorf("%q is taken for a row", row)
		}
	}
}

// FuzzParseTable: whatever a server answers, it is read or refused.
func FuzzParseTable(f *testing.F) {
	for _, seed := range []string{"CREATE TABLE `t` (`a` int)", "CREATE (", "CREATE (`", "CREATE (`a`", "CREATE (`a` enum('x', KEY (`a` (3) DESC))", "CREATE (`a` b'0'/*"} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, create string) {
		if table, err := ParseTable(create); err == nil {
			all := table.Needed(nil, true)
			table.Create("t", all, true, table.Fit(all))
		}
	})
}
