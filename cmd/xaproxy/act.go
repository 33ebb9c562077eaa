package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/xaproxy/xaproxy/admin"
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/router"
)

// act carries out what an administrator asks for on the dashboard: the commands of the console.
func (s *service) act(ctx context.Context, a admin.Action, by string) (string, error) {
	command := &router.Command{Backend: a.Backend, GTRID: a.GTRID, Commit: a.Verdict == string(recovery.Commit)}
	switch a.Name {
	case "recover":
		command.Verb = router.Recover
	case "drain":
		command.Verb = router.Drain
	case "pause":
		command.Verb = router.Pause
	case "resume":
		command.Verb = router.Resume
	case "resolve":
		if command.Verb = router.Resolve; !command.Commit && a.Verdict != string(recovery.Rollback) {
			return "", fmt.Errorf("%w: a transaction is resolved by commit or rollback, not by %q", admin.ErrAction, a.Verdict)
		}
	default:
		return "", fmt.Errorf("%w: %q", admin.ErrAction, a.Name)
	}
	lines, err := s.console.Do(ctx, by, command)
	said := strings.Join(lines, "\n")
	if err == nil && command.Verb == router.Resolve && (strings.Contains(said, ": failed: ") || strings.Contains(said, "not looked at: ")) {
		err = errors.New(said)
	}
	return said, err
}

// resolve has the branches of a transaction finished by hand.
func (s *service) resolve(ctx context.Context, gtrid string, verdict recovery.Verdict, by string) (recovery.Resolution, error) {
	r, err := s.janitor.Resolve(ctx, gtrid, verdict, by)
	s.audit(fmt.Sprintf("resolve %s: %s", gtrid, verdict), by, err)
	return r, err
}
