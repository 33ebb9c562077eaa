package ddl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
)

// Difference is something that two backends do not have alike.
type Difference struct {
	Object router.Object
	What   string
}

func (d Difference) String() string { return Name(d.Object) + ": " + d.What }

// Differences compares the first of the backends with the others.
func Differences(ctx context.Context, objects []router.Object, on []*backend.Backend) (all []Difference, err error) {
	for _, o := range objects {
		found := make([]*Table, len(on))
		errs := make([]error, len(on))
		each(len(on), func(i int) {
			if o.Name == "" {
				found[i], errs[i] = describeSchema(ctx, on[i], o)
			} else {
				found[i], errs[i] = Describe(ctx, on[i], o)
			}
		})
		if err := errors.Join(errs...); err != nil {
			return all, err
		}
		for _, t := range found[1:] {
			for _, what := range found[0].differs(t) {
				if d := (Difference{o, what}); !slices.Contains(all, d) {
					all = append(all, d)
				}
			}
		}
	}
	return all, nil
}

// describeSchema reads what a backend has of a schema itself.
func describeSchema(ctx context.Context, b *backend.Backend, o router.Object) (*Table, error) {
	t := &Table{backend: b.Name(), Missing: true}
	err := b.Apart(ctx, func(c *backend.Conn) error {
		rows, err := c.Query("SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = " + text(o.Schema))
		if err == nil && len(rows.Values) > 0 {
			t.Missing, t.Collation = false, collation(rows.Values[0][0])
		}
		return err
	})
	return t, err
}

// differs says in which ways u is not t.
func (t *Table) differs(u *Table) (all []string) {
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	switch {
	case t.Missing && u.Missing:
		return nil
	case t.Missing:
		add("missing on %s, there on %s", t.backend, u.backend)
		return all
	case u.Missing:
		add("missing on %s, there on %s", u.backend, t.backend)
		return all
	case t.View != u.View:
		view, table := t, u
		if u.View {
			view, table = u, t
		}
		add("a view on %s, a table on %s", view.backend, table.backend)
		return all
	}
	for _, c := range t.Columns {
		i := slices.IndexFunc(u.Columns, func(d Column) bool { return strings.EqualFold(c.Name, d.Name) })
		if i < 0 {
			add("column %s is missing on %s (%s on %s)", c.Name, u.backend, c, t.backend)
		} else if d := u.Columns[i]; !c.same(d) {
			add("column %s is %s on %s, %s on %s", c.Name, c, t.backend, d, u.backend)
		}
	}
	for _, d := range u.Columns {
		if !slices.ContainsFunc(t.Columns, func(c Column) bool { return strings.EqualFold(c.Name, d.Name) }) {
			add("column %s is missing on %s (%s on %s)", d.Name, t.backend, d, u.backend)
		}
	}
	if len(all) == 0 && slices.CompareFunc(t.Columns, u.Columns, func(c, d Column) int { return strings.Compare(strings.ToLower(c.Name), strings.ToLower(d.Name)) }) != 0 {
		add("the columns have another order on %s than on %s", t.backend, u.backend)
	}
	for _, k := range t.Keys {
		i := u.key(k)
		if i < 0 {
			add("key %s is missing on %s (%s on %s)", k.Name, u.backend, k, t.backend)
		} else if l := u.Keys[i]; !strings.EqualFold(k.String(), l.String()) {
			add("key %s is %s on %s, %s on %s", k.Name, k, t.backend, l, u.backend)
		}
	}
	for _, l := range u.Keys {
		if t.key(l) < 0 {
			add("key %s is missing on %s (%s on %s)", l.Name, t.backend, l, u.backend)
		}
	}
	for _, option := range []struct{ name, a, b string }{{"engine", t.Engine, u.Engine}, {"default collation", t.Collation, u.Collation}} {
		if option.a != option.b && !(option.name == "default collation" && (t.postgres() || u.postgres())) { // whose tables have none
			add("%s is %s on %s, %s on %s", option.name, option.a, t.backend, option.b, u.backend)
		}
	}
	if len(all) == 0 && t.version == u.version && t.create != u.create { // only equal servers write the rest in the same way
		a, b := unlike(t.create, u.create)
		add("SHOW CREATE TABLE has %q on %s, %q on %s", a, t.backend, b, u.backend)
	}
	return all
}

func (t *Table) postgres() bool { return strings.Contains(t.version, "PostgreSQL") }

// key is the place of the key with the same name, -1 if there is none.
func (t *Table) key(k Key) int {
	return slices.IndexFunc(t.Keys, func(l Key) bool {
		return strings.EqualFold(k.Name, l.Name) && (k.Kind == "foreign key") == (l.Kind == "foreign key")
	})
}

// same tells whether the columns have the same values. JSON is text in MariaDB.
func (c Column) same(d Column) bool {
	if c.Name = d.Name; c.Type != d.Type && (c.json() && d.Type == "json" || d.json() && c.Type == "json") {
		c.Type, c.Collation = d.Type, d.Collation
	}
	return c == d
}

func (c Column) json() bool { return c.Type == "longtext" && c.Collation == "utf8mb4_bin" }

// unlike are the first lines in which two texts differ.
func unlike(a, b string) (string, string) {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return strings.TrimSpace(as[i]), strings.TrimSpace(bs[i])
		}
	}
	return fmt.Sprintf("%d lines", len(as)), fmt.Sprintf("%d lines", len(bs))
}
