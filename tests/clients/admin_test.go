package clients

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// mysqladmin and mariadb-admin get their answers through xaproxy: whether it lives, how it is, what runs on the backend, and
// the end of a client by the id that the client has.
func TestAdministration(t *testing.T) {
	asked := []struct {
		words string
		says  *regexp.Regexp
	}{
		{"ping", regexp.MustCompile(`^mysqld is alive`)},
		{"status", regexp.MustCompile(`^Uptime: \d+ +Threads: \d+ +Questions: \d+`)},
		{"version", regexp.MustCompile(`Server version\s+(5\.5\.5-10\.11|10\.11|9\.7)`)},
		{"processlist", regexp.MustCompile(`\| Id +\| User +\|`)},
		{"extended-status", regexp.MustCompile(`\| Threads_connected +\| \d+`)},
		{"variables", regexp.MustCompile(`\| max_allowed_packet +\| \d+`)},
	}
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		p := newPlace(t, kind)
		for _, m := range makers(t) {
			admin := func(words ...string) (string, error) {
				countTool()
				return output(tool(t, m.admin, p.proxied(), slices.Concat(m.plain, words)...))
			}
			for _, a := range asked {
				out, err := admin(a.words)
				if err != nil || !a.says.MatchString(out) {
					t.Errorf("%s's administrator on %s, %s, says (%v):\n%s", m.name, kind, a.words, err, out)
				}
			}
			id, gone := p.idle(t)
			if _, err := admin("kill", id); err != nil {
				t.Error(err)
			}
			if err := gone(); err != nil {
				t.Errorf("%s's administrator on %s killed client %s, which is still there: %v", m.name, kind, id, err)
			}
			if _, err := admin("kill", id); err == nil || !strings.Contains(err.Error(), "Unknown thread id: "+id) {
				t.Errorf("%s's administrator on %s killed client %s once more: %v", m.name, kind, id, err)
			}
		}
	}
}

// goneTimeout bounds the wait for the end of a connection that was killed.
const goneTimeout = 10 * time.Second

// idle logs a client in and returns its id, and what waits for the end of its connection.
func (p place) idle(t *testing.T) (id string, gone func() error) {
	t.Helper()
	to := p.proxied()
	d := wire.Dialer{Addr: to.addr, User: to.user, Password: to.password, Schema: p.schema}
	client, greeting, err := d.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() }) // it may have been closed already
	return strconv.FormatUint(uint64(greeting.ConnID), 10), func() error {
		if err := client.SetDeadline(time.Now().Add(goneTimeout)); err != nil {
			return err
		}
		for {
			if _, err := client.ReadPacket(); errors.Is(err, os.ErrDeadlineExceeded) {
				return err
			} else if err != nil {
				return nil
			}
		}
	}
}

// A client is known by one number, whichever way it asks for it.
func TestConnectionID(t *testing.T) {
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		p := newPlace(t, kind)
		for _, m := range makers(t) {
			cmd := tool(t, m.console, p.proxied(), slices.Concat(m.plain, m.commands, []string{"-N"})...)
			cmd.Stdin = strings.NewReader("status\nSELECT CONCAT('it is ', CONNECTION_ID());\n")
			out, err := output(cmd)
			greeting := regexp.MustCompile(`Connection id:\s+(\d+)`).FindStringSubmatch(out)
			function := regexp.MustCompile(`it is (\d+)`).FindStringSubmatch(out)
			if err != nil || greeting == nil || function == nil {
				t.Fatalf("%s's console says (%v):\n%s", m.name, err, out)
			}
			failure := ""
			if greeting[1] != function[1] {
				failure = fmt.Sprintf("%s's console on %s is client %s, but CONNECTION_ID() is %s", m.name, kind, greeting[1], function[1])
			}
			judge(t, failure, "")
			countTool()
		}
	}
}
