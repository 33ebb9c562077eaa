package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/decision"
	"github.com/xaproxy/xaproxy/participant"
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/xa"
)

// store is where decisions are kept, as the configuration says. One of file and rows is nil.
type store struct {
	log       xa.Log
	keys      xa.Keys
	decisions recovery.Decisions
	file      *decision.File
	rows      *participant.Store
}

// openStore opens the store of decisions. With inspect nothing is written to a log. onSync, if not nil, is told of its syncs.
func openStore(cfg *config.Config, admins []*backend.Admin, log zerolog.Logger, inspect bool, onSync func(time.Duration, int)) (store, error) {
	d := cfg.Decision
	if d.Store == config.ParticipantStore {
		servers := make([]participant.Server, len(admins))
		for i, a := range admins {
			servers[i] = a
		}
		host, err := os.Hostname()
		if err != nil {
			host = "" // it is only shown
		}
		here := machine(host)
		if here != "" {
			host = here
		}
		rows, err := participant.New(participant.Options{
			Servers: servers, Deciders: cfg.KeyDeciders(), Grace: d.InDoubtGrace.Std(), Retain: d.Retain.Std(), Timeout: adminTimeout, Host: host, PID: os.Getpid(), Logger: log,
			Gone: func(on string, pid int) bool { return here != "" && on == here && (pid == os.Getpid() || gone(pid)) },
		})
		if err != nil {
			return store{}, err
		}
		return store{log: rows, keys: rows, decisions: participant.Decisions{Store: rows}, rows: rows}, nil
	}
	open := decision.OpenFile
	if inspect {
		open = decision.InspectFile
	}
	file, err := open(decision.FileOptions{
		Dir: d.Dir, SegmentSize: int64(d.SegmentSize), Retain: d.Retain.Std(), Logger: log, OnSync: onSync,
	})
	if err != nil {
		return store{}, err
	}
	return store{log: file, keys: file, decisions: recovery.OfLog(file), file: file}, nil
}

// heuristics is how many outcomes were recorded that differ from what was decided. The participant store has them on the backends;
// uncounted are those that could not say.
func (s store) heuristics() (n int, uncounted []string) {
	if s.file != nil {
		return len(s.file.Heuristics()), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout/2) // who asks for the status waits for adminTimeout
	defer cancel()
	return participant.Decisions{Store: s.rows}.Heuristics(ctx)
}

// Close ends the use of the store. No transaction runs any more.
func (s store) Close() error {
	if s.file != nil {
		return s.file.Close()
	}
	return nil
}

// checkTables does the start check of the participant store on one backend. unsafe says that the tables are not there; err that the
// backend could not be asked.
func (s store) checkTables(ctx context.Context, a *backend.Admin) (unsafe, err error) {
	if s.rows == nil {
		return nil, nil
	}
	wrong, err := participant.Check(ctx, a)
	if err == nil && wrong != nil {
		wrong = fmt.Errorf("%w; decision.store = %q needs its tables there: run xaproxy doctor --fix", wrong, config.ParticipantStore)
	}
	return wrong, err
}

// beat tells the other proxies on a backend that this one is alive.
func (s store) beat(ctx context.Context, a *backend.Admin) error {
	if s.rows == nil {
		return nil
	}
	return s.rows.Beat(ctx, a.Name())
}

// add uses another backend from now on, if it can be told that this proxy is alive.
func (s store) add(ctx context.Context, a *backend.Admin) error {
	if s.rows == nil {
		return nil
	}
	s.rows.Add(a)
	err := s.rows.Beat(ctx, a.Name())
	if err != nil {
		s.rows.Remove(a)
	}
	return err
}

// remove ends the use of a backend where nothing is unfinished.
func (s store) remove(a *backend.Admin) {
	if s.rows != nil {
		s.rows.Remove(a)
	}
}
