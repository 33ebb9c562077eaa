package doctor

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/ddl"
	"github.com/xaproxy/xaproxy/router"
)

// shownKeys is how many keys of misplaced rows a finding names.
const shownKeys = 5

// rows looks at rows that a backend has of a sharded table, whether their keys belong there.
func (x *examination) rows(t *config.Table, d *ddl.Table, b *backend.Backend) {
	about := t.Schema + "." + t.Name
	if x.Rows == 0 || d.View {
		return
	}
	var names, conditions []string
	for _, name := range t.Key() {
		if column(d, name) == nil {
			return // as key has found
		}
		names = append(names, backend.Quote(name))
		conditions = append(conditions, backend.Quote(name)+" = ?")
	}
	st, err := x.router.Prepare(fmt.Appendf(nil, "SELECT 1 FROM %s.%s WHERE %s", backend.Quote(t.Schema), backend.Quote(t.Name), strings.Join(conditions, " AND ")), "", 0)
	if err != nil {
		x.add(Unseen, about, "%v", err)
		return
	}
	misplaced, lost := &keys{}, &keys{}
	err = b.Sample(x.ctx, t.Schema, t.Name, names, nil, x.Rows, func(row [][]byte) error {
		missing := false
		p, err := st.Plan(func(i int) router.Value {
			v := value(row[i])
			missing = missing || v.Kind == router.ValueNull
			return v
		})
		switch {
		case err != nil:
			return err
		case missing, len(p.Parts) > 1 && len(x.on(t)) > 1:
			lost.add(row)
		case p.Parts[0].Backend != b.Index:
			misplaced.add(row)
		}
		return nil
	})
	if err != nil {
		x.add(Unseen, about, "look at rows on %s: %v", b.Name(), err)
	}
	if misplaced.n > 0 {
		x.add(Error, about, "of %d rows or less that were looked at on %s, %d belong on another backend, where they would be looked for: %s is %s", x.Rows, b.Name(), misplaced.n, strings.Join(t.Key(), ", "), misplaced)
	}
	if lost.n > 0 {
		x.add(Error, about, "of %d rows or less that were looked at on %s, %d have a key that belongs on no shard: %s is %s", x.Rows, b.Name(), lost.n, strings.Join(t.Key(), ", "), lost)
	}
}

// value is what a column of a shard key has, as a client would bind it.
func value(b []byte) router.Value {
	switch n, err := strconv.ParseInt(string(b), 10, 64); {
	case b == nil:
		return router.Value{Kind: router.ValueNull}
	case err == nil && strconv.FormatInt(n, 10) == string(b):
		return router.Value{Kind: router.ValueInt, Int: n}
	}
	return router.Value{Kind: router.ValueBytes, Bytes: b}
}

// keys are some of the keys of rows.
type keys struct {
	n     int
	shown []string
}

func (k *keys) add(row [][]byte) {
	if k.n++; len(k.shown) == shownKeys {
		return
	}
	parts := make([]string, len(row))
	for i, v := range row {
		if parts[i] = strconv.Quote(string(v)); v == nil {
			parts[i] = "NULL"
		}
	}
	k.shown = append(k.shown, strings.Join(parts, "/"))
}

func (k *keys) String() string {
	if k.n > len(k.shown) {
		return strings.Join(k.shown, ", ") + ", ..."
	}
	return strings.Join(k.shown, ", ")
}
