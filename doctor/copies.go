package doctor

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/ddl"
)

// copies looks at rows of a broadcast table, whether they are the same on its backends. Statements that run meanwhile are on some of them first, so
// what differs is looked at once more.
func (x *examination) copies(t *config.Table, defined []*ddl.Table, on []*backend.Backend) {
	about := t.Schema + "." + t.Name
	i := slices.IndexFunc(defined[0].Keys, func(k ddl.Key) bool { return k.Name == "PRIMARY" })
	if x.Rows == 0 || len(on) < 2 || i < 0 || defined[0].View {
		return
	}
	c := copyColumns{}
	for _, column := range defined[0].Columns {
		unlike := slices.ContainsFunc(defined, func(d *ddl.Table) bool { // JSON has another spelling
			i := slices.IndexFunc(d.Columns, func(o ddl.Column) bool { return strings.EqualFold(o.Name, column.Name) })
			return i < 0 || kind(d.Columns[i]) == "json"
		})
		if !unlike {
			c.names, c.kinds = append(c.names, backend.Quote(column.Name)), append(c.kinds, kind(column))
		}
	}
	for _, part := range defined[0].Keys[i].Parts {
		name, _, _ := strings.Cut(strings.TrimSuffix(part, " desc"), "(")
		c.key = append(c.key, backend.Quote(name))
	}
	for _, b := range on[1:] {
		differ, err := x.differ(t, c, on[0], b)
		if err == nil && len(differ) > 0 {
			var again map[string]string
			again, err = x.differ(t, c, on[0], b)
			for key, how := range differ {
				if again[key] != how {
					delete(differ, key)
				}
			}
		}
		if err != nil {
			x.add(Unseen, about, "look at rows of the copies: %v", err)
			return
		}
		found := &keys{}
		for _, key := range slices.Sorted(maps.Keys(differ)) {
			found.add([][]byte{[]byte(key)})
		}
		if found.n > 0 {
			x.add(Error, about, "of %d rows or less that were looked at, %d are not the same on %s and %s: %s is %s", x.Rows, found.n, on[0].Name(), b.Name(), strings.ReplaceAll(strings.Join(c.key, ", "), "`", ""), found)
		}
	}
}

// copyColumns are the columns of a broadcast table that are compared, and its primary key, quoted.
type copyColumns struct{ names, kinds, key []string }

// differ has the keys of rows that are another one on two backends, each with what was seen there. A row that only one of them has counts if all rows
// of the other one were looked at.
func (x *examination) differ(t *config.Table, c copyColumns, one, other *backend.Backend) (map[string]string, error) {
	var rows [2]map[string]string
	for i, b := range []*backend.Backend{one, other} {
		rows[i] = map[string]string{}
		err := b.Sample(x.ctx, t.Schema, t.Name, slices.Concat(c.key, c.names), c.key, x.Rows, func(row [][]byte) error {
			key := string(bytes.Join(row[:len(c.key)], []byte("/")))
			rows[i][key] = c.text(row[len(c.key):])
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	differ := map[string]string{}
	for i := range rows {
		for key, row := range rows[i] {
			if same, there := rows[1-i][key]; there && same != row || !there && len(rows[1-i]) < x.Rows {
				differ[key] += row + "\x00" + same
			}
		}
	}
	return differ, nil
}

// text is a row as it can be compared: each kind of server writes floating-point numbers in its own way.
func (c copyColumns) text(row [][]byte) string {
	var b strings.Builder
	for i, v := range row {
		switch f, err := strconv.ParseFloat(string(v), 64); {
		case v == nil:
			b.WriteString("NULL")
		case err == nil && (c.kinds[i] == "double" || c.kinds[i] == "float"):
			b.WriteString(strconv.FormatFloat(f, 'g', -1, 64))
		default:
			b.WriteString(strconv.Quote(string(v)))
		}
		b.WriteByte(',')
	}
	return b.String()
}
