package virtual

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/admin/live"
	"github.com/xaproxy/xaproxy/wire"
)

// Name is the name of the schema.
const Name = "xaproxy"

// Result is the answer to a statement. Values are as in the text protocol; nil is NULL.
type Result struct {
	Columns []wire.Column
	Rows    [][][]byte
}

// New makes a Schema, which costs nothing before it is asked.
func New(source live.Source) *Schema { return &Schema{source: source} }

// List answers SHOW XAPROXY: the rows of a table as they are. The error is a *wire.Error.
func (s *Schema) List(table string) (Result, error) {
	v := live.Find(table)
	if v == nil {
		return Result{}, wire.NewError(wire.CodeNoTable, "there is no SHOW XAPROXY %s; there are %s", strings.ToUpper(table), strings.ToUpper(strings.Join(live.Names(), ", ")))
	}
	var r Result
	for _, c := range v.Columns {
		r.Columns = append(r.Columns, listed(v, c))
	}
	for _, row := range v.Rows(s.source) {
		values := make([][]byte, len(row))
		for i, x := range row {
			values[i] = text(x)
		}
		r.Rows = append(r.Rows, values)
	}
	return r, nil
}

// collationText is utf8mb4_general_ci, collationBinary that of everything else.
const (
	collationText   = 45
	collationBinary = 63
)

// listed is a column as clients are told of it.
func listed(v *live.View, c live.Column) wire.Column {
	w := wire.Column{Schema: Name, Table: v.Name, OrgTable: v.Name, Name: c.Name, OrgName: c.Name, Charset: collationBinary, Flags: wire.FlagBinary}
	switch c.Type {
	case live.Integer, live.Truth:
		w.Type, w.Length = wire.TypeLongLong, 20
	case live.Natural:
		w.Type, w.Length, w.Flags = wire.TypeLongLong, 20, w.Flags|wire.FlagUnsigned
	case live.Real:
		w.Type, w.Length, w.Decimals = wire.TypeDouble, 22, 31
	case live.Moment:
		w.Type, w.Length, w.Decimals = wire.TypeDatetime, 26, 6
	default:
		w.Type, w.Length, w.Decimals, w.Charset, w.Flags = wire.TypeVarString, 4*65535, 31, collationText, 0
	}
	return w
}

// text is a value of package live as the text protocol has it.
func text(v any) []byte {
	switch x := v.(type) {
	case nil:
		return nil
	case string:
		return []byte(x)
	case int64:
		return strconv.AppendInt(nil, x, 10)
	case uint64:
		return strconv.AppendUint(nil, x, 10)
	case float64:
		return strconv.AppendFloat(nil, x, 'f', -1, 64)
	case bool:
		if x {
			return []byte("1")
		}
		return []byte("0")
	case time.Time:
		return x.UTC().AppendFormat(nil, "2006-01-02 15:04:05.000000")
	}
	panic(fmt.Sprintf("virtual: no column has values of %T", v))
}
