package doctor

import (
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/ddl"
	"github.com/xaproxy/xaproxy/router"
)

// on are the backends that have something of a table, without those that are down.
func (x *examination) on(t *config.Table) (all []*backend.Backend) {
	names := []string{t.Backend}
	switch {
	case t.Broadcast:
		names = t.Copies(x.Config)
	case t.Sharded():
		names = nil
		for _, s := range t.Map(x.Config).Shards {
			names = append(names, s.Backend)
		}
	}
	for _, b := range x.Backends {
		if slices.Contains(names, b.Name()) && !x.down[b] {
			all = append(all, b)
		}
	}
	return all
}

// table looks at what the backends have of a table of the configuration.
func (x *examination) table(t *config.Table) {
	o := router.Object{Schema: t.Schema, Name: t.Name}
	about := ddl.Name(o)
	var there []*backend.Backend
	var first *ddl.Table
	var defined []*ddl.Table // there
	var missing []string
	on := x.on(t)
	for _, b := range on {
		d, err := ddl.Describe(x.ctx, b, o)
		switch {
		case err != nil:
			x.add(Unseen, about, "on %s: %v", b.Name(), err)
			continue
		case d.Missing:
			missing = append(missing, b.Name())
			continue
		}
		defined = append(defined, d)
		if there = append(there, b); first == nil {
			first = d
		}
		if d.Engine != "InnoDB" && !d.View {
			x.add(Error, about, "its engine on %s is %s, which has no XA transactions; use InnoDB", b.Name(), d.Engine)
		}
	}
	switch {
	case len(missing) > 0 && first == nil:
		x.add(Error, about, "it is missing on all its backends; CREATE it through xaproxy")
	case len(missing) > 0:
		x.add(Error, about, "it is missing on %s; run CREATE TABLE IF NOT EXISTS through xaproxy", strings.Join(missing, ", "))
	}
	if first == nil {
		return
	}
	differences, err := ddl.Differences(x.ctx, []router.Object{o}, there)
	if err != nil {
		x.add(Unseen, about, "%v", err)
	}
	for _, d := range differences {
		x.add(Error, about, "%s", d.What)
	}
	if t.Broadcast {
		x.copies(t, defined, there)
	}
	if !t.Sharded() {
		return
	}
	x.key(t, first)
	x.numbers(t, first)
	for _, b := range there {
		x.rows(t, first, b)
	}
}

// kind is a column's type without length and attributes.
func kind(c ddl.Column) string {
	return strings.FieldsFunc(c.Type, func(r rune) bool { return r == ' ' || r == '(' })[0]
}

func column(d *ddl.Table, name string) *ddl.Column {
	i := slices.IndexFunc(d.Columns, func(c ddl.Column) bool { return strings.EqualFold(c.Name, name) })
	if i < 0 {
		return nil
	}
	return &d.Columns[i]
}

// key looks at the shard key, and at unique keys that lack it.
func (x *examination) key(t *config.Table, d *ddl.Table) {
	about := t.Schema + "." + t.Name
	function := t.Map(x.Config).Function
	for _, name := range t.Key() {
		c := column(d, name)
		switch {
		case c == nil:
			x.add(Error, about, "it has no column %s, its shard key", name)
			continue
		case c.Generated != "":
			x.add(Error, about, "column %s, its shard key, is generated, so that no INSERT can name it", name)
		}
		if wants := router.Unfit(function, kind(*c)); wants != "" {
			x.add(Error, about, "column %s, its shard key, is %s, and function %s takes %s", name, c.Type, function, wants)
		}
	}
	for _, k := range d.Keys {
		lacks := func(name string) bool {
			return !slices.ContainsFunc(k.Parts, func(p string) bool {
				column, _, _ := strings.Cut(strings.TrimSuffix(p, " desc"), "(")
				return strings.EqualFold(column, name)
			})
		}
		if k.Unique && slices.ContainsFunc(t.Key(), lacks) {
			x.add(Warning, about, "unique key %s (%s) lacks the shard key (%s): each backend enforces it for its own rows only", k.Name, strings.Join(k.Parts, ", "), strings.Join(t.Key(), ", "))
		}
	}
}

// numbers looks at the AUTO_INCREMENT column and its sequence.
func (x *examination) numbers(t *config.Table, d *ddl.Table) {
	about := t.Schema + "." + t.Name
	for _, c := range d.Columns {
		if strings.Contains(c.Extra, "auto_increment") && !strings.EqualFold(c.Name, t.AutoIncrement) {
			x.add(Warning, about, "column %s is AUTO_INCREMENT without a sequence: each backend numbers its own rows; set auto_increment in its [[tables]] entry", c.Name)
		}
	}
	if t.AutoIncrement == "" {
		return
	}
	of := t.Numbering(x.Config)
	switch c := column(d, t.AutoIncrement); {
	case c == nil:
		x.add(Error, about, "it has no column %s, whose numbers come from a sequence", t.AutoIncrement)
	case !router.Integer(kind(*c)), of.Kind == config.Snowflake && kind(*c) != "bigint":
		x.add(Error, about, "column %s, whose numbers come from a sequence of kind %s, is %s; make it BIGINT", t.AutoIncrement, of.Kind, c.Type)
	}
	if of.Kind == config.Snowflake {
		return
	}
	name := of.Backend
	if name == "" {
		name = t.Map(x.Config).Shards[0].Backend
	}
	home := x.Backends[x.Config.BackendIndex(name)]
	if x.down[home] {
		return
	}
	switch s, err := ddl.Describe(x.ctx, home, router.Object{Schema: t.Schema, Name: of.Table}); {
	case err != nil:
		x.add(Unseen, about, "the table of its sequence on %s: %v", name, err)
	case s.Missing && x.Fix:
		if err := (&backend.Counter{Backend: home, Schema: t.Schema, Table: of.Table}).Create(x.ctx); err != nil {
			x.add(Error, about, "the table of its sequence, %s.%s on %s, cannot be made: %v", t.Schema, of.Table, name, err)
			return
		}
		x.add(Fixed, about, "the table of its sequence, %s.%s on %s, is made", t.Schema, of.Table, name)
	case s.Missing:
		x.add(Warning, about, "the table of its sequence, %s.%s on %s, is missing; it is made with the first number, if the account may, or by --fix", t.Schema, of.Table, name)
	}
}
