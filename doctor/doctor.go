package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/ddl"
	"github.com/xaproxy/xaproxy/participant"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// Level is how much a finding matters.
type Level string

// The levels.
const (
	Error   Level = "error"   // something does not work, or will give wrong answers
	Warning Level = "warning" // something to know
	Unseen  Level = "unseen"  // it could not be looked at
	Fixed   Level = "fixed"   // it was missing and has been made
)

// Finding is one thing that is not as it should be.
type Finding struct {
	Level Level  `json:"level"`
	About string `json:"about"` // a backend, schema or table
	Text  string `json:"text"`
}

// Options say what to look at.
type Options struct {
	Config   *config.Config
	Backends []*backend.Backend // in the order of the configuration
	Fix      bool               // make what is missing of xaproxy's own tables
	Rows     int                // of each sharded table on each backend so many rows are looked at, whether they belong there, and of each broadcast table whether they are the same
	Timeout  time.Duration      // of the start checks of a backend
}

// examination is under way.
type examination struct {
	Options
	ctx    context.Context
	router *router.Router
	found  []Finding
	down   map[*backend.Backend]bool
	facts  map[*backend.Backend]backend.Facts // of those that are not down
}

// Examine looks at everything. The error says that nothing could be looked at.
func Examine(ctx context.Context, o Options) ([]Finding, error) {
	r, err := router.New(o.Config)
	if err != nil {
		return nil, err
	}
	x := &examination{Options: o, ctx: ctx, router: r, down: map[*backend.Backend]bool{}, facts: map[*backend.Backend]backend.Facts{}}
	for _, b := range o.Backends {
		x.server(b)
	}
	x.settings()
	x.journal()
	for i := range o.Config.Tables {
		x.table(&o.Config.Tables[i])
	}
	return x.found, nil
}

func (x *examination) add(level Level, about, format string, args ...any) {
	f := Finding{level, about, fmt.Sprintf(format, args...)}
	if !slices.Contains(x.found, f) {
		x.found = append(x.found, f)
	}
}

// server does the start checks of a backend, and looks for its schemas.
func (x *examination) server(b *backend.Backend) {
	about := "backend " + b.Name()
	unseen := func(err error) {
		x.down[b] = true
		x.add(Unseen, about, "%v", err)
	}
	a, err := backend.NewAdmin(b.Config)
	if err != nil {
		unseen(err)
		return
	}
	ctx, cancel := context.WithTimeout(x.ctx, x.Timeout)
	defer cancel()
	if err = x.functions(ctx, a); err != nil {
		x.add(Error, about, "%v", err)
	}
	facts, problems, err := a.Check(ctx)
	if err == nil && x.Config.Decision.Store == config.ParticipantStore {
		err = x.decisions(ctx, a)
	}
	if err = errors.Join(err, a.Close()); err != nil {
		unseen(err)
		return
	}
	x.facts[b] = facts
	for _, p := range problems {
		level := Warning
		if p.Fatal {
			level = Error
		}
		x.add(level, about, "%s", p)
	}
	schemas := x.Config.SchemasOn(b.Name())
	for _, in := range x.schemas() {
		if !schemas[strings.ToLower(in)] {
			continue
		}
		there, err := b.HasDatabase(x.ctx, in)
		switch {
		case err != nil:
			unseen(err)
			return
		case !there:
			x.add(Error, about, "schema %s is missing; run CREATE DATABASE IF NOT EXISTS %s through xaproxy", in, backend.Quote(in))
		default:
			x.temporary(b, in)
		}
	}
}

// functions makes what translated statements use in a PostgreSQL database, if that is missing.
func (x *examination) functions(ctx context.Context, a *backend.Admin) error {
	if !x.Fix || !a.Translates() {
		return nil
	}
	there, err := a.IsSetUp(ctx)
	if err != nil || there {
		return nil // the check says what is wrong
	}
	if err := a.SetUp(ctx); err != nil {
		return err
	}
	x.add(Fixed, "backend "+a.Name(), "the functions that translated statements use are made")
	return nil
}

// decisions looks for the tables of the participant store on a backend. The error says that it could not be asked.
func (x *examination) decisions(ctx context.Context, a *backend.Admin) error {
	about := "decisions on backend " + a.Name()
	wrong, err := participant.Check(ctx, a)
	if wrong == nil || err != nil {
		return err
	}
	if !x.Fix {
		x.add(Error, about, "%v; --fix makes its tables, if the account may; docs/operating.md has the SQL", wrong)
		return nil
	}
	if err := participant.Create(ctx, a); err != nil {
		x.add(Error, about, "%v; docs/operating.md has the SQL", err)
		return nil
	}
	if wrong, err = participant.Check(ctx, a); err != nil {
		return err
	}
	if wrong != nil {
		x.add(Error, about, "%v; docs/operating.md has the SQL", wrong)
	} else {
		x.add(Fixed, about, "the tables of the participant store are made")
	}
	return nil
}

// settings compares those with which servers understand the same statement in another way.
func (x *examination) settings() {
	var first *backend.Backend
	for _, b := range x.Backends {
		facts, known := x.facts[b]
		if first == nil && known {
			first = b
		}
		if !known || b == first {
			continue
		}
		for _, s := range x.facts[first].Differ(facts) {
			x.add(Error, "backend "+b.Name(), "%s is '%s', and '%s' on %s: of a statement on both each makes something else, unless clients SET it; make them the same", s.Name, s.Other, s.One, first.Name())
		}
	}
}

// schemas are those of the configuration, as it spells them.
func (x *examination) schemas() (all []string) {
	add := func(name string) {
		if !slices.ContainsFunc(all, func(s string) bool { return strings.EqualFold(s, name) }) {
			all = append(all, name)
		}
	}
	for _, s := range x.Config.Schemas {
		add(s.Name)
	}
	for _, t := range x.Config.Tables {
		add(t.Schema)
	}
	return all
}

// temporary looks whether the account may make temporary tables in the schema, which SELECTs over several backends need.
func (x *examination) temporary(b *backend.Backend, schema string) {
	if len(x.Backends) == 1 || b.Config.Kind == config.Postgres { // which has no scratch tables
		return
	}
	err := b.Apart(x.ctx, func(c *backend.Conn) error {
		return c.Exec("CREATE TEMPORARY TABLE " + backend.Quote(schema) + ".`xaproxy doctor` (x INT)")
	})
	var said *wire.Error
	if errors.As(err, &said) && said.Errno == wire.CodeDBAccessDenied.Errno() {
		x.add(Error, "backend "+b.Name(), "its account may not make temporary tables in schema %s, so that SELECTs over several backends fail there; GRANT CREATE TEMPORARY TABLES ON %s.* to it", schema, backend.Quote(schema))
	} else if err != nil {
		x.add(Unseen, "backend "+b.Name(), "try to make a temporary table: %v", err)
	}
}

// journal looks at the records of DDL.
func (x *examination) journal() {
	j := ddl.New(x.Backends, zerolog.Nop())
	about := "schema " + ddl.Schema + " of backend " + j.Home().Name()
	if len(x.Backends) == 1 || x.down[j.Home()] {
		return
	}
	missing, err := j.Missing(x.ctx)
	switch {
	case err != nil:
		x.add(Unseen, about, "%v", err)
		return
	case missing && x.Fix:
		if err := j.Create(x.ctx); err != nil {
			x.add(Error, about, "%v", err)
			return
		}
		x.add(Fixed, about, "the tables of DDL records are made")
	case missing:
		x.add(Warning, about, "the tables of DDL records are missing; they are made with the first DDL statement on several backends, if the account may, or by --fix")
	}
	open, err := j.Records(x.ctx, 0)
	if err != nil {
		x.add(Unseen, about, "%v", err)
	}
	for _, r := range open {
		if !r.Held {
			x.add(Error, strings.Join(r.Objects, ", "), "DDL %d (%s) is unfinished; run xaproxy ddl resume %d", r.ID, r.Of.What, r.ID)
		}
	}
}
