package clients

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

const (
	sysbenchEvents = 200
	sysbenchRows   = 1000
)

// sbtest is the table of sysbench, for the servers of a sharded one.
const sbtest = "CREATE TABLE sbtest1 (id INT NOT NULL PRIMARY KEY, k INT NOT NULL DEFAULT 0, c CHAR(120) NOT NULL DEFAULT '', " +
	"pad CHAR(60) NOT NULL DEFAULT '', KEY k_1 (k))"

// sysbench, which is on libmariadb, runs its transactions through xaproxy, as text and as prepared statements, COMMIT
// included: each on one server, and each over two of them.
func TestSysbench(t *testing.T) {
	maria, mysql := servertest.Get(t, servers.MariaDB), servertest.Get(t, servers.MySQL)
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		p := newPlace(t, kind)
		b := bench{p.proxied(), p.schema, []string{"--tables=2"}}
		b.do(t, "prepare")
		b.transactions(t, string(kind))
		b.do(t, "cleanup")
		leavesNothing(t, p.proxy, p.server)
	}
	schema := servertest.Database(t, maria)
	execute(t, mysql, "", "CREATE DATABASE "+schema)
	t.Cleanup(func() { execute(t, mysql, "", "DROP DATABASE "+schema) })
	for i, s := range []*servers.Server{maria, mysql} {
		execute(t, s, schema, sbtest)
		var rows []string
		for id := 1; id <= sysbenchRows; id++ {
			if id%2 == i {
				rows = append(rows, fmt.Sprintf("(%d, %d, 'c', 'pad')", id, id))
			}
		}
		execute(t, s, schema, "INSERT INTO sbtest1 VALUES "+strings.Join(rows, ", "))
	}
	proxy := proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{proxytest.On("even", maria), proxytest.On("odd", mysql)},
		Tables:   []config.Table{{Schema: schema, Name: "sbtest1", Column: "id", Function: "modulo", Backends: []string{"even", "odd"}}},
	})
	sharded := bench{login{proxy.Addr, proxytest.User, proxytest.Password}, schema, []string{"--rand-type=uniform"}}
	sharded.transactions(t, "both servers")
	leavesNothing(t, proxy, maria)
	leavesNothing(t, proxy, mysql)
}

// bench is oltp_read_write on a schema.
type bench struct {
	to      login
	schema  string
	options []string
}

func (b bench) try(t *testing.T, what string, more ...string) (string, error) {
	t.Helper()
	program, err := exec.LookPath("sysbench")
	if err != nil {
		t.Fatalf("%v: run tests/clients/setup.sh", err)
	}
	args := slices.Concat([]string{
		"oltp_read_write", "--mysql-host=" + b.to.host(t), "--mysql-port=" + b.to.port(t), "--mysql-user=" + b.to.user,
		"--mysql-password=" + b.to.password, "--mysql-db=" + b.schema, fmt.Sprintf("--table-size=%d", sysbenchRows),
		"--threads=4", "--time=0", fmt.Sprintf("--events=%d", sysbenchEvents),
	}, b.options, more, []string{what})
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err == nil && strings.Contains(string(out), "FATAL") {
		err = fmt.Errorf("it said so")
	}
	if err != nil {
		return "", fmt.Errorf("sysbench %s: %w\n%s", what, err, out)
	}
	countTool()
	return string(out), nil
}

func (b bench) do(t *testing.T, what string, more ...string) string {
	t.Helper()
	out, err := b.try(t, what, more...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// transactions runs all events in each mode.
func (b bench) transactions(t *testing.T, where string) {
	t.Helper()
	for _, mode := range []string{"--db-ps-mode=disable", "--db-ps-mode=auto"} {
		out := b.do(t, "run", mode)
		m := regexp.MustCompile(`transactions:\s+(\d+)`).FindStringSubmatch(out)
		if m == nil || m[1] != fmt.Sprint(sysbenchEvents) {
			t.Errorf("on %s with %s not all of %d transactions were done:\n%s", where, mode, sysbenchEvents, out)
		}
	}
}

// leavesNothing looks for branches that a proxy has left.
func leavesNothing(t *testing.T, proxy *proxytest.Proxy, s *servers.Server) {
	t.Helper()
	left, err := s.Prepared(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, branch := range left {
		if proxy.Owns(branch) {
			t.Errorf("on %s branch %s is left", s.Kind, branch)
		}
	}
}
