package proxytest

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// The account that clients log in to the proxy with.
const (
	User     = "app"
	Password = "proxy-secret"
)

// Backend is a [[backends]] entry.
type Backend struct {
	Name, Kind     string
	Addr           string // host:port of the server, or of something in front of it
	User, Password string
	PoolSize       int      // 0: 64
	Lines          []string // further ones of the entry
}

// On is the backend with this name on a server.
func On(name string, s *servers.Server) Backend {
	kind := config.MySQL
	switch s.Kind {
	case servers.MariaDB, servers.MariaDBBinlog:
		kind = config.MariaDB
	case servers.Postgres:
		kind = config.Postgres
	}
	b := Backend{Name: name, Kind: kind, Addr: s.Addr(), User: s.User, Password: s.Password}
	if kind == config.Postgres {
		b.Lines = []string{`database = "postgres"`}
	}
	return b
}

// Via is the same backend behind another address.
func (b Backend) Via(addr string) Backend {
	b.Addr = addr
	return b
}

// toml writes the configuration file of a proxy that listens on port.
func (o Options) toml(port int) (string, error) {
	var b strings.Builder
	section := func(name string, lines ...string) {
		fmt.Fprintf(&b, "%s\n%s\n\n", name, strings.Join(lines, "\n"))
	}
	level := o.LogLevel
	if level == "" {
		level = "debug"
	}
	server := []string{
		fmt.Sprintf("listen = %q", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))),
		fmt.Sprintf("log_level = %q", level), `log_format = "json"`,
	}
	section("[server]", append(server, o.Server...)...)
	admin := o.Admin
	if admin == nil {
		admin = []string{`listen = "off"`}
	}
	section("[admin]", admin...)
	if o.Trace != nil {
		section("[trace]", o.Trace...)
	}
	section("[[users]]", fmt.Sprintf("name = %q\npassword = %q", User, Password))
	for _, u := range o.Users {
		section("[[users]]", u)
	}
	for _, x := range o.Backends {
		host, port, err := net.SplitHostPort(x.Addr)
		if err != nil {
			return "", fmt.Errorf("backend %s: %w", x.Name, err)
		}
		size := x.PoolSize
		if size == 0 {
			size = 64
		}
		section("[[backends]]", append([]string{
			fmt.Sprintf("name = %q\nkind = %q\nhost = %q\nport = %s", x.Name, x.Kind, host, port),
			fmt.Sprintf("user = %q\npassword = %q\npool_size = %d", x.User, x.Password, size),
		}, x.Lines...)...)
	}
	decision := []string{`dir = "log"`}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"prepare_timeout", o.PrepareTimeout}, {"commit_wait", o.CommitWait}, {"recovery_interval", o.RecoveryInterval}} {
		if d.value != 0 {
			decision = append(decision, fmt.Sprintf("%s = %q", d.key, d.value))
		}
	}
	section("[decision]", append(decision, o.Decision...)...)
	for _, s := range o.Schemas {
		section("[[schemas]]", fmt.Sprintf("name = %q\nbackend = %q", s.Name, s.Backend))
	}
	for _, m := range o.ShardMaps {
		section("[[shard_maps]]", m)
	}
	for _, s := range o.Sequences {
		section("[[sequences]]", s)
	}
	for _, t := range o.Tables {
		lines := []string{fmt.Sprintf("schema = %q\nname = %q", t.Schema, t.Name)}
		if t.Sharded() {
			key := fmt.Sprintf("column = %q", t.Column)
			if len(t.Columns) > 0 {
				key = fmt.Sprintf("columns = [%s]", quoteAll(t.Columns))
			}
			of := fmt.Sprintf("shard_map = %q", t.ShardMap)
			if t.ShardMap == "" {
				of = fmt.Sprintf("function = %q\nbackends = [%s]", t.Function, quoteAll(t.Backends))
			}
			lines = append(lines, key, of)
			if t.AutoIncrement != "" {
				lines = append(lines, fmt.Sprintf("auto_increment = %q", t.AutoIncrement))
			}
			if t.KeyChanges != "" {
				lines = append(lines, fmt.Sprintf("key_changes = %q", t.KeyChanges))
			}
			if t.LookupOf != "" {
				lines = append(lines, fmt.Sprintf("lookup_of = %q", t.LookupOf))
			}
			if t.Sequence != "" {
				lines = append(lines, fmt.Sprintf("sequence = %q", t.Sequence))
			}
		} else if t.Broadcast {
			lines = append(lines, "broadcast = true")
			if len(t.Backends) > 0 {
				lines = append(lines, fmt.Sprintf("backends = [%s]", quoteAll(t.Backends)))
			}
		} else {
			lines = append(lines, fmt.Sprintf("backend = %q", t.Backend))
		}
		section("[[tables]]", lines...)
	}
	return b.String(), nil
}

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = strconv.Quote(n)
	}
	return strings.Join(quoted, ", ")
}
