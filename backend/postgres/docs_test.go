package postgres

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/oid"
)

var rewrite = flag.Bool("rewrite", false, "write the tables into docs/postgres.md")

// The tables of docs/postgres.md are those of the program; -rewrite makes them so.
func TestTablesAreDocumented(t *testing.T) {
	const path = "../../docs/postgres.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := string(page)
	for name, table := range map[string]string{"types": typesTable(), "errors": errorsTable()} {
		begin := "<!-- " + name + " -->\n"
		before, rest, found := strings.Cut(want, begin)
		_, after, closed := strings.Cut(rest, "<!-- end -->")
		if !found || !closed {
			t.Fatalf("%s has no place for the table of %s", path, name)
		}
		want = before + begin + table + "<!-- end -->" + after
	}
	if want == string(page) {
		return
	}
	if !*rewrite {
		t.Fatal("docs/postgres.md is not what the program does: go test ./backend/postgres -rewrite")
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func typesTable() string {
	var b strings.Builder
	b.WriteString("| PostgreSQL | MySQL | |\n|---|---|---|\n")
	for _, t := range append(append([]dataType{}, types...), arrayType, otherType) {
		names := "`" + strings.Join(strings.Fields(t.names), "`, `") + "`"
		if t == arrayType || t == otherType {
			names = t.names
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", names, t.mysql, t.note)
	}
	return b.String()
}

func errorsTable() string {
	var b strings.Builder
	b.WriteString("| PostgreSQL | error | SQLSTATE | words |\n|---|---|---|---|\n")
	for _, t := range translations {
		fmt.Fprintf(&b, "| %s | %d | %s | %s |\n", t.sqlstate, t.errno, t.state, t.text)
	}
	return b.String()
}

// Each name and each SQLSTATE has one row, and the names are lib/pq's.
func TestTablesHaveNoDoubles(t *testing.T) {
	known := make(map[string]bool)
	for _, n := range oid.TypeName {
		known[strings.ToLower(n)] = true
	}
	seen := make(map[string]bool)
	for _, row := range types {
		for _, n := range strings.Fields(row.names) {
			if seen[n] || !known[n] {
				t.Errorf("type %s: double %v, known to lib/pq %v", n, seen[n], known[n])
			}
			seen[n] = true
		}
	}
	for _, row := range translations {
		if seen[row.sqlstate] {
			t.Errorf("SQLSTATE %s has two rows", row.sqlstate)
		}
		seen[row.sqlstate] = true
		if len(row.state) != 5 {
			t.Errorf("SQLSTATE %s has the state %q", row.sqlstate, row.state)
		}
	}
}

func TestTranslate(t *testing.T) {
	for _, c := range []struct {
		e    pq.Error
		want string
	}{
		{
			pq.Error{Code: "23505", Message: `duplicate key value violates unique constraint "t_pkey"`, Detail: "Key (a, b)=(1, x) already exists.", Table: "t", Constraint: "t_pkey"},
			`1062 (23000): Duplicate entry '1-x' for key 't.t_pkey': duplicate key value violates unique constraint "t_pkey". Key (a, b)=(1, x) already exists (PostgreSQL 23505)`,
		},
		{pq.Error{Code: "23505", Message: "m", Detail: "Key (id)=(7) already exists.", Table: "t", Constraint: "t.PRIMARY"}, "1062 (23000): Duplicate entry '7' for key 't.PRIMARY': m. Key (id)=(7) already exists (PostgreSQL 23505)"},
		{pq.Error{Code: "23514", Message: "m", Table: "t", Constraint: "t.my n range"}, "1264 (22003): Out of range value for column 'my n': m (PostgreSQL 23514)"},
		{pq.Error{Code: "23514", Message: "m", Table: "t", Constraint: "n range"}, "3819 (HY000): Check constraint 'n range' is violated.: m (PostgreSQL 23514)"},
		{pq.Error{Code: "23503", Message: `update or delete on table "p" violates …`, Constraint: "f"}, `1451 (23000): Cannot delete or update a parent row: a foreign key constraint fails (constraint 'f'): update or delete on table "p" violates … (PostgreSQL 23503)`},
		{pq.Error{Code: "23503", Message: `insert or update on table "c" violates …`, Constraint: "f"}, `1452 (23000): Cannot add or update a child row: a foreign key constraint fails (constraint 'f'): insert or update on table "c" violates … (PostgreSQL 23503)`},
		{pq.Error{Code: "23001", Message: "m", Constraint: "f"}, "1451 (23000): Cannot delete or update a parent row: a foreign key constraint fails (constraint 'f'): m (PostgreSQL 23001)"},
		{pq.Error{Code: "57014", Message: "canceling statement due to user request"}, "1317 (70100): Query execution was interrupted: canceling statement due to user request (PostgreSQL 57014)"},
		{pq.Error{Code: "57014", Message: "canceling statement due to statement timeout"}, "3024 (HY000): Query execution was interrupted, maximum statement execution time exceeded: canceling statement due to statement timeout (PostgreSQL 57014)"},
		{pq.Error{Code: "55P03", Message: "canceling statement due to lock timeout"}, "1205 (HY000): Lock wait timeout exceeded; try restarting transaction: canceling statement due to lock timeout (PostgreSQL 55P03)"},
		{pq.Error{Code: "55P03", Message: "could not obtain lock on row"}, "3572 (HY000): Statement aborted because lock(s) could not be acquired immediately and NOWAIT is set: could not obtain lock on row (PostgreSQL 55P03)"},
		{pq.Error{Code: "40003", Message: "m"}, "1213 (40001): The transaction was rolled back; try restarting transaction: m (PostgreSQL 40003)"},
		{pq.Error{Code: "P0001", Message: "raised", Hint: "Do this."}, "1105 (HY000): raised. Do this (PostgreSQL P0001)"},
	} {
		if got := translate(&c.e).Error(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
