package servers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// The ports that FreePort chooses from lie below those that systems give to outgoing connections (32768 and up on
// Linux): a port of that range could be taken by any client while a server is down for a restart, by its own even.
const (
	firstPort = 15000
	lastPort  = 32000
)

// FreePort returns a loopback TCP port that nobody listens on just now. Somebody else may take it before the caller
// does: be ready to try again.
func FreePort() (int, error) {
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("look for a free port: %w", err)
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("look for a free port: 100 ports between %d and %d are all in use", firstPort, lastPort)
}
