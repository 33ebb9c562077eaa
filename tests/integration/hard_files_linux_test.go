package integration

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// TestFileDescriptorsRunOut takes all file descriptors that the program may have. Clients that are in go on, and others get in
// as soon as there are some again.
func TestFileDescriptorsRunOut(t *testing.T) {
	t.Parallel()
	p, in := startProxy(t, servertest.Get(t, servers.MariaDB))
	in.exec("DO 1")
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid()))
	check(t, err)
	limit := uint64(len(open)) + 10
	check(t, unix.Prlimit(p.Pid(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}, nil))
	var strangers []net.Conn
	for range 30 { // the system takes them, the program cannot
		c, err := net.Dial("tcp", p.Addr)
		check(t, err)
		strangers = append(strangers, c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err = p.Log.Wait(ctx, 0, "cannot accept clients for now")
	check(t, err)
	in.exec("DO 1")
	for _, c := range strangers {
		check(t, c.Close())
	}
	c, _, err := (&wire.Dialer{Addr: p.Addr, User: proxytest.User, Password: proxytest.Password, Timeout: 20 * time.Second}).Dial(t.Context())
	check(t, err)
	check(t, c.Close())
}
