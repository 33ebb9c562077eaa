package clients

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

// maker is who makes a set of command line tools: their programs, with the options that make them connect without TLS,
// with it, and compressed, and those without which they could not connect to a server directly.
type maker struct {
	name                 string
	console, dump, admin string
	plain, tls, direct   []string
	compressed           [][]string // one way of compression each
	commands             []string   // without which the console does not know its own commands in a script
}

func makers(t *testing.T) []maker {
	t.Helper()
	cache, err := servers.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	mysql := filepath.Join(cache, "mysql-9.7")
	return []maker{
		{
			name:    "MySQL",
			console: filepath.Join(mysql, "bin", "mysql"),
			dump:    filepath.Join(cache, "clients", "mysql", "mysqldump"),
			admin:   filepath.Join(cache, "clients", "mysql", "mysqladmin"),
			plain:   []string{"--ssl-mode=DISABLED", "--get-server-public-key"},
			tls:     []string{"--ssl-mode=REQUIRED"},
			// MariaDB wants mysql_native_password, which these load from a file; xaproxy does not.
			direct:     []string{"--plugin-dir=" + filepath.Join(mysql, "usr", "lib", "mysql", "plugin")},
			compressed: [][]string{{"--compression-algorithms=zlib"}, {"--compression-algorithms=zstd"}},
			commands:   []string{"--commands=ON"},
		},
		{
			name: "MariaDB", console: "mariadb", dump: "mariadb-dump", admin: "mariadb-admin",
			plain:      []string{"--skip-ssl"},
			tls:        []string{"--ssl", "--skip-ssl-verify-server-cert"},
			compressed: [][]string{{"--compress"}},
		},
	}
}

// tool is the command that runs one of a maker's programs.
func tool(t *testing.T, program string, to login, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v: run tests/setup.sh and tests/clients/setup.sh", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, append([]string{"--no-defaults", "-h", to.host(t), "-P", to.port(t), "-u", to.user}, args...)...)
	cmd.Env = append(os.Environ(), "MYSQL_PWD="+to.password, "MYSQL_HISTFILE=/dev/null")
	return cmd
}

// output runs a command and returns what it wrote to its standard output. An error has what it wrote to the other one.
func output(cmd *exec.Cmd) (string, error) {
	out, _, err := outputs(cmd)
	return out, err
}

// outputs is output, with what the command wrote to its standard error.
func outputs(cmd *exec.Cmd) (out, said string, err error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err = cmd.Run(); err != nil {
		err = fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, stderr.String())
	}
	return stdout.String(), stderr.String(), err
}

// place is a server with a proxy in front of it alone. Both of its schemas are on it, and empty at first.
type place struct {
	kind         servers.Kind
	server       *servers.Server
	proxy        *proxytest.Proxy
	schema, copy string
}

func newPlace(t *testing.T, kind servers.Kind) place {
	t.Helper()
	server := servertest.Get(t, kind)
	p := place{kind: kind, server: server, schema: servertest.Database(t, server), copy: servertest.Database(t, server)}
	cert, key := proxytest.Certificate(t)
	p.proxy = proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{proxytest.On("one", server)},
		Schemas:  []config.Schema{{Name: p.schema, Backend: "one"}, {Name: p.copy, Backend: "one"}},
		Server:   []string{fmt.Sprintf("tls_cert = %q\ntls_key = %q", cert, key)},
	})
	return p
}

// directly is the login to the server itself.
func (p place) directly() login { return login{p.server.Addr(), p.server.User, p.server.Password} }

// proxied is the login to the proxy.
func (p place) proxied() login { return login{p.proxy.Addr, proxytest.User, proxytest.Password} }
