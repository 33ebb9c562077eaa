package main

import (
	"fmt"
	"net"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// listen returns the socket for clients: the one that a service manager has opened and handed over, or else one at the address. With the
// former nobody is refused while xaproxy is started again: the manager keeps the socket open, and who connects waits.
//
// Source: sd_listen_fds(3).
func listen(address string) (net.Listener, error) {
	handed, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("take over the socket of the service manager: %w", err)
	}
	switch len(handed) {
	case 0:
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, fmt.Errorf("server.listen: %w", err)
		}
		return l, nil
	case 1:
		if handed[0] == nil {
			return nil, fmt.Errorf("the service manager has handed over something else than a listening socket; give it one ListenStream")
		}
		return handed[0], nil
	}
	return nil, fmt.Errorf("the service manager has handed over %d sockets; give it one ListenStream", len(handed))
}

// stopping is how long the end may take after the last transaction: what is on its way to the backends.
const stopping = 30 * time.Second

// tellManager tells the service manager how it goes, if there is one that wants to know.
//
// Source: sd_notify(3).
func (s *service) tellManager(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.log.Warn().Err(err).Msg("the service manager cannot be told")
	}
}
