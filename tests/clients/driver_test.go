package clients

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// The tests of go-sql-driver/mysql pass through xaproxy, but for those of leftOuts, which fail for the reason that is given.
func TestDriversOwnTests(t *testing.T) {
	own := driverTests{path: filepath.Join(clientCache(t), "go", "driver.test")}
	needing := own.needServer(t)
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			server, proxy := driverPlace(t, kind)
			directly, proxied := login{server.Addr(), server.User, server.Password}, login{proxy.Addr, proxytest.User, proxytest.Password}
			to, skip := proxied, leftOutOn(kind)
			if *direct {
				to, skip = directly, leftOutOn(kind, unfit, theServer)
			}
			run := own.run(t, to, "^("+strings.Join(needing, "|")+")$", patterns(skip)...)
			if run.err != nil || len(run.failed) > 0 {
				t.Fatalf("%v, failed: %q\n%s", run.err, run.failed, run.out)
			}
			for _, test := range needing {
				if !slices.Contains(run.passed, test) && !slices.Contains(names(skip), test) {
					t.Errorf("%s did not run", test)
				}
			}
			for _, part := range run.skipped {
				if !slices.Contains(partsThatEnd, part) {
					t.Errorf("%s was skipped, and nothing says why", part)
				}
			}
			tests := slices.DeleteFunc(slices.Clone(run.passed), func(name string) bool { return strings.Contains(name, "/") })
			countSuite(fmt.Sprintf("%s's own tests on %s: of %d that need a server %d passed, with %d parts; left out, in whole or part: %d",
				own.version(t), kind, len(needing), len(tests), len(run.passed)-len(tests), len(skip)))

			for _, l := range leftOutOn(kind, theServer, theProxy) {
				if run := own.run(t, directly, l.pattern()); (run.err == nil) == (l.as == theServer) {
					t.Errorf("%s is left out because %s, but directly %s:\n%s", l.test, l.as, run.ending(), run.out)
				}
				if l.as == theServer {
					continue
				}
				if run := own.run(t, proxied, l.pattern()); run.err == nil {
					t.Errorf("%s is left out because %s, but through xaproxy %s: take it out of leftOuts, and of docs/compatibility.md", l.test, l.as, run.ending())
				}
			}
		})
	}
}

// The page for users names all that is left out.
func TestLeftOutsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names(leftOuts) {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/compatibility.md does not name %s", name)
		}
	}
}

const driverSchema = "gotest"

// driverPlace boots a server on which nothing is switched off that the tests look for, with a proxy in front of it alone.
func driverPlace(t *testing.T, kind servers.Kind) (*servers.Server, *proxytest.Proxy) {
	t.Helper()
	cert, key := proxytest.Certificate(t)
	args := []string{"--performance-schema=ON", "--local-infile=ON"}
	if kind == servers.MariaDB {
		args = append(args, "--ssl-cert="+cert, "--ssl-key="+key)
	}
	server, err := servers.Start(t.Context(), servers.Options{Kind: kind, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	execute(t, server, "", "CREATE DATABASE "+driverSchema+" CHARSET utf8mb4")
	return server, proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{proxytest.On("one", server)},
		Schemas:  []config.Schema{{Name: driverSchema, Backend: "one"}},
		Server:   []string{fmt.Sprintf("tls_cert = %q\ntls_key = %q", cert, key)},
		LogLevel: "info",
	})
}

// driverTests is the test binary of go-sql-driver/mysql.
type driverTests struct{ path string }

func (d driverTests) version(t *testing.T) string {
	t.Helper()
	info, err := buildinfo.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Main.Path + " " + info.Main.Version
}

// needServer lists the tests that need a server: those that skip themselves without one.
func (d driverTests) needServer(t *testing.T) []string {
	t.Helper()
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	run := d.run(t, login{net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), "nobody", "none"}, "^Test", patterns(leftOutOn("", unfit))...)
	if run.err != nil || len(run.skipped) < 50 {
		t.Fatalf("without a server, %v, and only %d tests were skipped:\n%s", run.err, len(run.skipped), run.out)
	}
	return run.skipped
}

// driverRun is what came of some tests. Names with a slash are those of parts.
type driverRun struct {
	passed, failed, skipped []string
	out                     string
	err                     error // not all went well
}

func (r driverRun) ending() string {
	if r.err != nil {
		return "it fails"
	}
	return "it passes"
}

const driverTimeout = 4 * time.Minute

var driverResult = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): (\S+)`)

// run runs the tests that match, but for those to be skipped.
func (d driverTests) run(t *testing.T, to login, matching string, skip ...string) driverRun {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), driverTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.path, "-test.v", "-test.run="+matching, "-test.skip="+strings.Join(skip, "|"))
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "MYSQL_TEST_ADDR="+to.addr, "MYSQL_TEST_USER="+to.user, "MYSQL_TEST_PASS="+to.password,
		"MYSQL_TEST_DBNAME="+driverSchema, "MYSQL_TEST_CONCURRENT=1")
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%v: run tests/clients/setup.sh", err)
	}
	r := driverRun{out: string(out), err: err}
	for _, m := range driverResult.FindAllStringSubmatch(r.out, -1) {
		list := map[string]*[]string{"PASS": &r.passed, "FAIL": &r.failed, "SKIP": &r.skipped}[m[1]]
		*list = append(*list, m[2])
	}
	if err == nil && len(r.passed) == 0 && len(r.skipped) == 0 {
		r.err = errors.New("no test ran")
	}
	return r
}
