package live

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// View is one of the tables.
type View struct {
	Name    string
	About   string // its comment
	Columns []Column
	rows    func(Source) any // a slice of structs
}

// Column is a column of a table.
type Column struct {
	Name  string
	About string // its comment, with the unit
	Type  Type
}

// Type is the type of a column.
type Type uint8

const (
	Text    Type = iota // string
	Integer             // int64
	Natural             // uint64
	Real                // float64
	Truth               // bool
	Moment              // time.Time
)

// Views are the tables, in the order in which they are explained.
var Views = []View{
	view("sessions", "Clients that are connected.", func(s Source) any { return s.Sessions() }, Session{}),
	view("transactions", "Transactions that have a branch on a backend and have not ended.", func(s Source) any { return s.Transactions() }, Transaction{}),
	view("branches", "Branches of these transactions, and branches that recovery has found prepared.", func(s Source) any { return s.Branches() }, Branch{}),
	view("backends", "Databases behind xaproxy.", func(s Source) any { return s.Backends() }, Backend{}),
	view("pools", "Connections to backends.", func(s Source) any { return s.Pools() }, Pool{}),
	view("shards", "Shards of tables.", func(s Source) any { return s.Shards() }, Shard{}),
	view("tables", "Tables, and schemas as a whole, with their places.", func(s Source) any { return s.Tables() }, Table{}),
	view("decisions", "Decisions that are not finished, and the last 256 transactions that have ended.", func(s Source) any { return s.Decisions() }, Decision{}),
	view("plans", "Shapes of statements in the plan cache.", func(s Source) any { return s.Plans() }, Plan{}),
	view("slow_statements", "The last statements that took long.", func(s Source) any { return s.SlowStatements() }, SlowStatement{}),
	view("config", "The configuration in effect.", func(s Source) any { return s.Config() }, Setting{}),
	view("events", "The last lines of the log, from level info on.", func(s Source) any { return s.Events() }, Event{}),
}

// Find returns the table of this name, nil if there is none. Case does not matter.
func Find(name string) *View {
	for i := range Views {
		if strings.EqualFold(Views[i].Name, name) {
			return &Views[i]
		}
	}
	return nil
}

// Names are those of the tables.
func Names() []string {
	all := make([]string, len(Views))
	for i, v := range Views {
		all[i] = v.Name
	}
	return all
}

// Rows asks the source. Values are of the types of the columns; nil is NULL.
func (v *View) Rows(s Source) [][]any {
	all := reflect.ValueOf(v.rows(s))
	rows := make([][]any, all.Len())
	for i := range rows {
		one := all.Index(i)
		row := make([]any, one.NumField())
		for j := range row {
			row[j] = value(one.Field(j))
		}
		rows[i] = row
	}
	return rows
}

// unknown is a duration that nobody knows.
const unknown = time.Duration(-1)

// Unknown is the duration that is shown as NULL.
func Unknown() time.Duration { return unknown }

func view(name, about string, rows func(Source) any, one any) View {
	v := View{Name: name, About: about, rows: rows}
	t := reflect.TypeOf(one)
	for i := range t.NumField() {
		f := t.Field(i)
		v.Columns = append(v.Columns, Column{Name: f.Tag.Get("col"), About: f.Tag.Get("about"), Type: typeOf(f.Type)})
	}
	return v
}

func typeOf(t reflect.Type) Type {
	switch reflect.Zero(t).Interface().(type) {
	case string:
		return Text
	case int:
		return Integer
	case uint64:
		return Natural
	case time.Duration:
		return Real
	case bool:
		return Truth
	case time.Time:
		return Moment
	}
	panic(fmt.Sprintf("live: no column has type %s", t))
}

func value(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case int:
		return int64(x)
	case time.Duration:
		if x == unknown {
			return nil
		}
		return x.Seconds()
	case time.Time:
		if x.IsZero() {
			return nil
		}
		return x
	default:
		return x
	}
}
