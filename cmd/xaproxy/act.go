package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/xaproxy/xaproxy/admin"
	"github.com/xaproxy/xaproxy/recovery"
)

// act carries out what an administrator asks for on the dashboard.
func (s *service) act(ctx context.Context, a admin.Action, by string) (string, error) {
	switch a.Name {
	case "recover":
		s.audit("recover", by, nil)
		r := s.janitor.Pass(ctx, false, nil)
		return "Recovery has looked at all backends: " + r.Verdict(), nil
	case "resolve":
		verdict := recovery.Verdict(a.Verdict)
		if verdict != recovery.Commit && verdict != recovery.Rollback {
			return "", fmt.Errorf("%w: a transaction is resolved by commit or rollback, not by %q", admin.ErrAction, a.Verdict)
		}
		r, err := s.resolve(ctx, a.GTRID, verdict, by)
		if err != nil {
			return "", err
		}
		var text strings.Builder
		if err := r.WriteText(&text); err != nil {
			return "", err
		}
		if !r.Done() || len(r.Unseen) > 0 {
			return "", errors.New(text.String())
		}
		s.janitor.Pass(ctx, false, nil) // so that it is seen at once that it is gone
		return text.String(), nil
	}
	return "", fmt.Errorf("%w: %q", admin.ErrAction, a.Name)
}

// resolve has the branches of a transaction finished by hand.
func (s *service) resolve(ctx context.Context, gtrid string, verdict recovery.Verdict, by string) (recovery.Resolution, error) {
	r, err := s.janitor.Resolve(ctx, gtrid, verdict, by)
	s.audit(fmt.Sprintf("resolve %s: %s", gtrid, verdict), by, err)
	return r, err
}
