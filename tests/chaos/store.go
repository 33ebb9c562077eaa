package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/participant"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// Store is where the proxies keep their decisions, as decision.store says it.
type Store string

// The stores.
const (
	File        Store = config.FileStore
	Participant Store = config.ParticipantStore
)

// inDoubtGrace is how long a proxy of the participant store may be silent: the shortest that can be configured.
const inDoubtGrace = 2 * time.Second

// maxInDoubt is how long a branch may be in doubt after everything runs again, or may be recovered by another proxy.
func (s Store) maxInDoubt() time.Duration {
	if s == Participant {
		return inDoubtGrace + 10*time.Second
	}
	return 10 * time.Second
}

// segmentSize is that of the file store's log: the smallest that can be configured, so that there are many segments.
const segmentSize = 64 << 10

// Lines are those of section [decision].
func (s Store) Lines() []string {
	return []string{fmt.Sprintf("store = %q", s), fmt.Sprintf("in_doubt_grace = %q", inDoubtGrace), fmt.Sprintf("segment_size = %d", segmentSize)}
}

// Prepare makes on a server what the store needs there.
func (s Store) Prepare(ctx context.Context, on *servers.Server) (err error) {
	if s != Participant {
		return nil
	}
	admin, err := backend.NewAdmin(adminOf(on))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, admin.Close()) }()
	return participant.Create(ctx, admin)
}

// adminOf is the configuration of a backend that is only administered.
func adminOf(s *servers.Server) config.Backend {
	b, database := proxytest.On("any", s), ""
	if s.Kind == servers.Postgres {
		database = "postgres"
	}
	return config.Backend{
		Name: b.Name, Kind: b.Kind, Host: s.Host, Port: s.Port, User: b.User, Password: config.Secret(b.Password),
		TLS: "off", ConnectTimeout: config.Duration(callTimeout), MaxLifetime: config.Duration(time.Hour), Database: database,
	}
}
