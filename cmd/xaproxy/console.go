package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/xaproxy/xaproxy/admin/virtual"
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// console is the proxy.Console of the running proxy. ctx lasts as long as the service.
type console struct {
	ctx    context.Context
	s      *service
	schema *virtual.Schema
}

func (c console) Ask(ctx context.Context, current, text string) ([]wire.Column, [][][]byte, error) {
	r, err := c.schema.Ask(ctx, current, text)
	return r.Columns, r.Rows, err
}

func (c console) List(table string) ([]wire.Column, [][][]byte, error) {
	r, err := c.schema.List(table)
	return r.Columns, r.Rows, err
}

func (c console) Done(by string, command *router.Command, err error) {
	c.s.audit(command.String(), by, err)
}

func (c console) Do(ctx context.Context, by string, command *router.Command) (lines []string, err error) {
	if command.Verb == router.Reload {
		return c.s.reload(c.ctx, ctx, c.s.path, by, command.DryRun) // which writes it down
	}
	defer func() { c.s.audit(command.String(), by, err) }()
	switch command.Verb {
	case router.Drain:
		c.s.stop()
		return []string{"draining: no new clients are taken; xaproxy ends when the open transactions have, after " + c.s.cfg.Load().Server.DrainTimeout.String() + " at the latest"}, nil
	case router.Pause, router.Resume:
		return c.pause(command, by)
	case router.Recover:
		report := c.s.janitor.Pass(ctx, command.DryRun, nil)
		return written(report.WriteText)
	case router.Resolve:
		verdict := recovery.Rollback
		if command.Commit {
			verdict = recovery.Commit
		}
		r, err := c.s.janitor.Resolve(ctx, command.GTRID, verdict, by)
		if err != nil {
			return nil, err
		}
		c.s.janitor.Pass(ctx, false, nil) // so that everybody sees at once that it is gone
		return written(r.WriteText)
	}
	return nil, fmt.Errorf("%s is not known here: this is a mistake in xaproxy", command)
}

// pause pauses or resumes a backend.
func (c console) pause(command *router.Command, by string) ([]string, error) {
	all, _ := c.s.all()
	m := named(all, command.Backend)
	if m == nil {
		return nil, fmt.Errorf("there is no backend %q: SHOW XAPROXY BACKENDS lists them", command.Backend)
	}
	b := m.backend.Load()
	switch {
	case command.Verb == router.Resume && !b.Resume():
		return nil, fmt.Errorf("backend %s is not paused", b.Name())
	case command.Verb == router.Resume:
		return []string{"backend " + b.Name() + " is resumed"}, nil
	case !b.Pause(by):
		return nil, fmt.Errorf("backend %s is paused already", b.Name())
	}
	return []string{"backend " + b.Name() + " is " + b.Paused() + "; transactions that have a branch there go on, and recovery does"}, nil
}

// written are the lines that a report has for people.
func written(write func(io.Writer) error) ([]string, error) {
	var b strings.Builder
	if err := write(&b); err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n"), nil
}
