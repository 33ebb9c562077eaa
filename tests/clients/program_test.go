package clients

import (
	"cmp"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	clientTimeout = 2 * time.Minute // bounds one run of a program
	leastChecks   = 10              // fewer mean that a program stopped half-way and did not notice
)

// program is one client program with its arguments. The path of an interpreter or of a built program may be relative to
// the cache folder of the clients, after "@".
type program struct {
	name    string
	command []string
	sharded string // the schema of the sharded table; "": shop
	not     []exclusion
}

// exclusion is a proxy that a program cannot work with, named by its plain schema. It must end with an error that has
// this text: when it does not any more, the exclusion has to go.
type exclusion struct{ plain, says string }

// known is the text of the error that the program is known to end with through a proxy, "" if none.
func (p program) known(plain string) string {
	for _, x := range p.not {
		if x.plain == plain {
			return x.says
		}
	}
	return ""
}

// run runs the program and returns what it wrote, both outputs in one.
func (p program) run(t *testing.T, to login, plain string, base int) (string, error) {
	t.Helper()
	cache := clientCache(t)
	args := make([]string, len(p.command))
	for i, a := range p.command {
		args[i] = strings.Replace(a, "@", cache, 1)
	}
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "DB_HOST="+to.host(t), "DB_PORT="+to.port(t), "DB_USER="+to.user, "DB_PASSWORD="+to.password,
		"DB_PLAIN="+plain, "DB_SHARDED="+cmp.Or(p.sharded, "shop"), "DB_BASE="+strconv.Itoa(base),
		"NODE_PATH="+filepath.Join(cache, "node", "node_modules"), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%v: run tests/clients/setup.sh", err)
	}
	return string(out), err
}

var okPattern = regexp.MustCompile(`(?m)^ok (\d+) checks$`)

// checks returns how many checks a program made that says that all is well.
func checks(t *testing.T, out string) int {
	t.Helper()
	m := okPattern.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("it does not say that all is well:\n%s", out)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	if n < leastChecks {
		t.Errorf("it made %d checks, fewer than %d", n, leastChecks)
	}
	return n
}

// login is where and as whom a program logs in.
type login struct{ addr, user, password string }

func (l login) host(t *testing.T) string {
	t.Helper()
	host, _, err := net.SplitHostPort(l.addr)
	if err != nil {
		t.Fatal(err)
	}
	return host
}

func (l login) port(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(l.addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
