package gather

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/big"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// fold makes one value of those that a column has in a group of rows.
type fold struct {
	column     int
	function   router.FoldFunc
	key        key // of FoldMin and FoldMax
	sum, count int // columns, of FoldAvg
	scale      int // digits behind the point

	null  bool
	best  []byte  // FoldMin, FoldMax: the key of value
	value []byte  // the best value
	total big.Int // the sum, without its point; of counts and bits the number
	n     big.Int // FoldAvg: the count
}

// group is the rows that become one. Its first row is kept.
type group struct {
	key    []byte
	ends   []int // of each key in key
	rows   int
	row    []byte
	end    int
	values []wire.Value
}

// fold makes the i-th of keys and folds.
func (m *Merge) fold(f router.Fold, i int, columns [][]wire.Column) (fold, error) {
	one := fold{column: m.at(f.Column), function: f.Func, sum: m.at(f.Sum), count: m.at(f.Count)}
	if one.column >= m.visible {
		return one, &Unfit{i, router.Impossible}
	}
	for _, c := range [...]int{one.column, one.sum, one.count} {
		if alike(columns, c) != nil {
			return one, &Unfit{i, router.Impossible}
		}
	}
	column := &m.columns[one.column]
	integer := column.Type == wire.TypeLongLong
	exact := integer || column.Type == wire.TypeNewDecimal
	switch f.Func {
	case router.FoldMin, router.FoldMax:
		var err error
		one.key, err = m.key(f.Key, i, columns)
		var unfit *Unfit
		if errors.As(err, &unfit) && unfit.Form == router.Number { // as strings they are in another order
			unfit.Form = router.Impossible
		}
		return one, err
	case router.FoldSum:
		one.scale = int(column.Decimals)
		if integer {
			one.scale = 0
		}
	case router.FoldAvg:
		one.scale = int(m.columns[one.sum].Decimals)
		sum := m.columns[one.sum].Type
		exact = exact && sum == wire.TypeNewDecimal && m.columns[one.count].Type == wire.TypeLongLong && int(column.Decimals) >= one.scale
	default:
		exact = integer
	}
	if !exact { // sums of floating point depend on the order of the rows
		return one, &Unfit{i, router.Impossible}
	}
	return one, nil
}

// start begins a group with the lane's row.
func (m *Merge) start(l *lane) {
	g := &m.group
	g.rows = 1
	g.key, g.ends = append(g.key[:0], l.key...), append(g.ends[:0], l.ends...)
	g.row = append(g.row[:0], l.row...)
	g.values = append(g.values[:0], l.values...)
	g.end = m.end(l)
}

// add adds the lane's row to the group. A group of one row is left as its backend has made it.
func (m *Merge) add(l *lane) error {
	g := &m.group
	for i := range m.folds {
		f := &m.folds[i]
		if g.rows == 1 {
			f.null = true
			f.total.SetInt64(0)
			f.n.SetInt64(0)
			if err := m.put(f, g.row, g.values); err != nil {
				return err
			}
		}
		if err := m.put(f, l.row, l.values); err != nil {
			return err
		}
	}
	g.rows++
	return nil
}

// put adds a row's value to the fold.
func (m *Merge) put(f *fold, row []byte, values []wire.Value) error {
	v := values[f.column]
	if v.Null {
		return nil
	}
	raw := row[v.From:v.To]
	first := f.null
	f.null = false
	switch f.function {
	case router.FoldMin, router.FoldMax:
		return m.better(f, first, row, values, raw)
	case router.FoldAvg:
		s, c := values[f.sum], values[f.count]
		if err := f.plus(m, &f.total, f.sum, row[s.From:s.To]); err != nil {
			return err
		}
		return f.plus(m, &f.n, f.count, row[c.From:c.To])
	case router.FoldSum:
		return f.plus(m, &f.total, f.column, raw)
	}
	var n big.Int
	if err := f.plus(m, &n, f.column, raw); err != nil {
		return err
	}
	switch {
	case first:
		f.total.Set(&n)
	case f.function == router.FoldAnd:
		f.total.And(&f.total, &n)
	case f.function == router.FoldOr:
		f.total.Or(&f.total, &n)
	default:
		f.total.Xor(&f.total, &n)
	}
	return nil
}

// better keeps the value if it is less, or more, than those before it.
func (m *Merge) better(f *fold, first bool, row []byte, values []wire.Value, raw []byte) error {
	key, err := m.appendKey(m.out[:0], &f.key, row, values)
	m.out = key
	if err != nil {
		return err
	}
	c := bytes.Compare(key, f.best)
	if first || f.function == router.FoldMin && c < 0 || f.function == router.FoldMax && c > 0 {
		f.best, f.value = append(f.best[:0], key...), append(f.value[:0], raw...)
	}
	return nil
}

// plus adds a number, whose point is left out.
func (f *fold) plus(m *Merge, to *big.Int, column int, raw []byte) error {
	var n big.Int
	c := &m.columns[column]
	switch {
	case c.Type == wire.TypeNewDecimal:
		whole, fraction, _ := bytes.Cut(raw, point)
		if len(fraction) != int(c.Decimals) {
			return errValue
		}
		if _, ok := n.SetString(string(whole)+string(fraction), 10); !ok {
			return errValue
		}
	case c.Flags&wire.FlagUnsigned != 0:
		u, err := unsigned(m.inBinary, raw)
		if err != nil {
			return err
		}
		n.SetUint64(u)
	default:
		i, err := signed(m.inBinary, raw)
		if err != nil {
			return err
		}
		n.SetInt64(i)
	}
	to.Add(to, &n)
	return nil
}

// flush writes the group, if there is one.
func (m *Merge) flush(emit func(row []byte, end int) error) error {
	g := &m.group
	rows := g.rows
	g.rows = 0
	switch {
	case rows == 0:
		return nil
	case rows == 1 || len(m.folds) == 0:
		return m.groupDone(g.row, g.end, g.values, emit)
	}
	values := make([][]byte, len(m.columns))
	for i := range m.visible { // hidden ones stay NULL
		if v := g.values[i]; !v.Null {
			values[i] = g.row[v.From:v.To]
		}
	}
	for i := range m.folds {
		f := &m.folds[i]
		values[f.column] = m.result(f)
	}
	m.out = wire.AppendRow(m.out[:0], m.inBinary, m.columns, values)
	all := make([]wire.Value, len(m.columns))
	if _, err := wire.CutRow(m.out, m.inBinary, m.columns, len(all), all); err != nil {
		return err
	}
	return m.groupDone(m.out, all[m.visible-1].To, all, emit)
}

// result is the fold's value as it is in a row.
func (m *Merge) result(f *fold) []byte {
	switch {
	case f.null:
		return nil
	case f.function == router.FoldMin || f.function == router.FoldMax:
		return append([]byte{}, f.value...)
	case f.function == router.FoldAvg:
		return f.average(int(m.columns[f.column].Decimals))
	case m.columns[f.column].Type == wire.TypeNewDecimal:
		return decimal(&f.total, f.scale)
	case m.inBinary:
		bits := f.total.Uint64()
		if f.total.Sign() < 0 {
			bits = uint64(f.total.Int64())
		}
		return binary.LittleEndian.AppendUint64(nil, bits)
	}
	return f.total.Append(nil, 10)
}

// wordDigits is how many digits the servers' decimal arithmetic has in a word.
const wordDigits = 9

// average divides the sum by the count as decimal_div of both servers does: to whole words behind the point, the digits
// behind them are cut off; then it is rounded to the digits of the column.
//
// Source: MySQL strings/decimal.cc, do_div_mod; Item_sum_avg::val_decimal.
func (f *fold) average(digits int) []byte {
	if f.n.Sign() == 0 {
		return nil
	}
	words := (f.scale + wordDigits - 1) / wordDigits
	more := max(0, digits-f.scale-(words*wordDigits-f.scale))
	exact := (words*wordDigits + more + wordDigits - 1) / wordDigits * wordDigits
	var q big.Int
	q.Mul(&f.total, power(exact-f.scale)).Quo(&q, &f.n)
	if exact > digits {
		half := power(exact - digits - 1)
		half.Mul(half, big.NewInt(5))
		if q.Sign() < 0 {
			half.Neg(half)
		}
		q.Add(&q, half).Quo(&q, power(exact-digits))
	}
	return decimal(&q, digits)
}

func power(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// decimal writes a number with so many digits behind the point.
func decimal(n *big.Int, scale int) []byte {
	if scale == 0 {
		return n.Append(nil, 10)
	}
	text := new(big.Int).Abs(n).String()
	for len(text) <= scale {
		text = "0" + text
	}
	if n.Sign() < 0 {
		text = "-" + text
	}
	at := len(text) - scale
	return []byte(text[:at] + "." + text[at:])
}
