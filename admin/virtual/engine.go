//go:build gms_pure_go

package virtual

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	gms "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/analyzer"
	"github.com/dolthub/go-mysql-server/sql/types"
	"github.com/dolthub/go-mysql-server/sql/variables"
	"github.com/sirupsen/logrus"

	"github.com/xaproxy/xaproxy/admin/live"
	"github.com/xaproxy/xaproxy/wire"
)

// Engine says whether statements are answered.
const Engine = true

const (
	// patience bounds how long one statement may take.
	patience = 10 * time.Second
	// maxRows bounds its answer.
	maxRows = 100_000
	// maxAsking is how many run at a time; others wait.
	maxAsking = 2
)

// Schema answers statements. It is safe for concurrent use.
type Schema struct {
	source live.Source
	start  sync.Once
	gms    *gms.Engine
	asking chan struct{}
}

// nowhere is the only folder that LOAD_FILE and INTO OUTFILE may use: it cannot exist.
const nowhere = "/dev/null/nowhere"

func (s *Schema) started() *gms.Engine {
	s.start.Do(func() {
		logrus.SetLevel(logrus.PanicLevel) // what it has to say, its errors say
		variables.InitSystemVariables()
		if err := sql.SystemVariables.AssignValues(map[string]any{"secure_file_priv": nowhere}); err != nil {
			panic(fmt.Sprintf("virtual: %v", err)) // it has no such variable any more
		}
		s.asking = make(chan struct{}, maxAsking)
		a := analyzer.NewBuilder(provider{database{newTables(s.source)}}).Build()
		s.gms = gms.New(a, &gms.Config{IsReadOnly: true})
	})
	return s.gms
}

// reads are the words that the statements begin with that are answered.
var reads = []string{"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "VALUES", "TABLE"}

var onlyRead = &wire.Error{Errno: 1142, State: "42000", Message: "the schema xaproxy can only be read; what it shows is changed by statements that begin with XAPROXY"}

// Ask answers a statement, of a session with this current schema. An error is a *wire.Error.
func (s *Schema) Ask(ctx context.Context, schema, text string) (r Result, err error) {
	word, _, _ := strings.Cut(strings.TrimLeft(text, " \t\r\n("), " ")
	if !slices.ContainsFunc(reads, func(w string) bool { return len(word) >= len(w) && strings.EqualFold(word[:len(w)], w) }) {
		return Result{}, onlyRead
	}
	e := s.started()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		return Result{}, refusal(ctx, ctx.Err())
	}
	defer func() {
		if p := recover(); p != nil { // the engine's mistake costs no more than the statement
			r, err = Result{}, wire.NewError(wire.CodeUnknown, "the SQL engine of the schema xaproxy failed: %v", p)
		}
	}()
	session := sql.NewBaseSession()
	session.SetCurrentDatabase(schema)
	c := sql.NewContext(context.WithValue(ctx, seenKey{}, &seen{}), sql.WithSession(session), sql.WithProcessList(e.ProcessList))
	columns, rows, _, err := e.Query(c, text)
	if err != nil {
		return Result{}, refusal(ctx, err)
	}
	defer func() { _ = rows.Close(c) }() // there is nothing to lose
	for _, one := range columns {
		r.Columns = append(r.Columns, column(one))
	}
	for {
		row, err := rows.Next(c)
		switch {
		case errors.Is(err, io.EOF):
			return r, nil
		case err != nil:
			return Result{}, refusal(ctx, err)
		case ctx.Err() != nil:
			return Result{}, refusal(ctx, ctx.Err())
		case len(r.Rows) == maxRows:
			return Result{}, wire.NewError(wire.CodeTooBigSelect, "the answer has more than %d rows; add a LIMIT", maxRows)
		case len(row) != len(columns):
			return Result{}, onlyRead
		}
		values := make([][]byte, len(row))
		for i, v := range row {
			if v == nil {
				continue
			}
			text, err := columns[i].Type.SQL(c, nil, v)
			if err != nil {
				return Result{}, refusal(ctx, err)
			}
			values[i] = append([]byte{}, text.Raw()...)
		}
		r.Rows = append(r.Rows, values)
	}
}

// refusal is the client's error.
func refusal(ctx context.Context, err error) *wire.Error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return wire.NewError(wire.CodeQueryInterrupted, "the statement on the schema xaproxy took longer than %s; look at fewer rows", patience)
	case ctx.Err() != nil:
		return wire.NewError(wire.CodeQueryInterrupted, "Query execution was interrupted")
	case sql.ErrReadOnly.Is(err):
		return onlyRead
	case sql.ErrDatabaseNotFound.Is(err):
		return wire.NewError(wire.CodeNotSupported, "%v: a statement on the schema xaproxy can name no other one but information_schema", err)
	}
	said := sql.CastSQLError(err)
	e := &wire.Error{Errno: uint16(said.Num), State: said.State, Message: said.Message}
	for _, k := range kinds {
		if k.kind.Is(err) {
			e.Errno, e.State = k.errno, k.state
		}
	}
	return e
}

// kinds are errors that the engine gives no number, or another state than servers do.
var kinds = []struct {
	kind  interface{ Is(error) bool }
	errno uint16
	state string
}{
	{sql.ErrSyntaxError, 1064, "42000"},
	{sql.ErrTableNotFound, 1146, "42S02"},
	{sql.ErrColumnNotFound, 1054, "42S22"},
	{sql.ErrAmbiguousColumnName, 1052, "23000"},
}

// column is a column as clients are told of it.
func column(c *sql.Column) wire.Column {
	w := wire.Column{Schema: c.DatabaseSource, Table: c.Source, OrgTable: c.Source, Name: c.Name, OrgName: c.Name, Charset: collationBinary, Flags: wire.FlagBinary}
	switch {
	case types.IsInteger(c.Type) || types.IsBoolean(c.Type):
		w.Type, w.Length = wire.TypeLongLong, 20
		if types.IsUnsigned(c.Type) {
			w.Flags |= wire.FlagUnsigned
		}
	case types.IsFloat(c.Type):
		w.Type, w.Length, w.Decimals = wire.TypeDouble, 22, 31
	case types.IsDecimal(c.Type):
		w.Type, w.Length, w.Decimals = wire.TypeNewDecimal, 67, 31
		if d, ok := c.Type.(sql.DecimalType); ok {
			w.Decimals = d.Scale()
		}
	case types.IsTimestampType(c.Type) || types.IsDatetimeType(c.Type):
		w.Type, w.Length, w.Decimals = wire.TypeDatetime, 26, 6
	default:
		w = wire.Column{Schema: w.Schema, Table: w.Table, OrgTable: w.OrgTable, Name: w.Name, OrgName: w.OrgName, Charset: collationText, Type: wire.TypeVarString, Length: 4 * 65535, Decimals: 31}
	}
	if !c.Nullable {
		w.Flags |= wire.FlagNotNull
	}
	return w
}
