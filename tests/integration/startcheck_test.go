package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// checked runs the start checks and returns the problems as lines, fatal ones marked.
func checked(t *testing.T, c config.Backend) (backend.Facts, string) {
	t.Helper()
	a, err := backend.NewAdmin(c)
	check(t, err)
	defer func() { check(t, a.Close()) }()
	facts, problems, err := a.Check(t.Context())
	check(t, err)
	var lines []string
	for _, p := range problems {
		line := p.String()
		if p.Fatal {
			line = "FATAL " + line
		}
		lines = append(lines, line)
	}
	return facts, strings.Join(lines, "\n")
}

// Every setting that could lose a branch is found, and the text says what to do.
func TestStartChecks(t *testing.T) {
	t.Parallel()
	for _, k := range recoveryKinds {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel() // its servers are its own
			b := newBench(t, "b1", k)
			mysql, binlog := k == servers.MySQL, k != servers.MariaDB
			facts, problems := checked(t, b.config)
			if problems != "" {
				t.Errorf("a server as it should be has problems:\n%s", problems)
			}
			want := backend.Facts{
				Version: facts.Version, MariaDB: !mysql, LogBin: binlog, DetachOnPrepare: mysql, Identity: b.identity(), WaitTimeout: 8 * time.Hour,
				SQLMode: facts.SQLMode, TimeZone: "00:00:00, 00:00:00",
				Tracking: backend.Tracking{Schema: true, Variables: facts.Tracking.Variables, Transactions: "OFF"},
			}
			if facts != want || !strings.HasPrefix(facts.Version, b.server.Version) || facts.Identity == "" || !strings.Contains(facts.Tracking.Variables, "autocommit") {
				t.Errorf("got %+v, want %+v of version %s", facts, want, b.server.Version)
			}

			wrong := b.config
			wrong.Kind = map[bool]string{true: config.MariaDB, false: config.MySQL}[mysql]
			product := map[bool]string{true: "MySQL", false: "MariaDB"}[mysql]
			right := b.config.Kind
			limited := b.config
			limited.User, limited.Password = servers.LimitedUser, servers.LimitedPassword
			for _, c := range []struct {
				name    string
				config  config.Backend
				set     string // and back
				restore string
				want    string
				applies bool
			}{
				{
					"kind", wrong, "", "",
					"FATAL the server is " + product + " (version " + facts.Version + "), but backend b1 is configured as " + wrong.Kind +
						"; write kind = \"" + right + "\" in its [[backends]] entry, or correct the address",
					true,
				},
				{
					"flush", b.config, "SET GLOBAL innodb_flush_log_at_trx_commit = 2", "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
					"FATAL innodb_flush_log_at_trx_commit is 2: a crash of the server loses branches that it has prepared or committed; " +
						"run SET GLOBAL innodb_flush_log_at_trx_commit = 1 and write innodb_flush_log_at_trx_commit = 1 under [mysqld] in my.cnf",
					true,
				},
				{
					"binlog", b.config, "SET GLOBAL sync_binlog = 0", "SET GLOBAL sync_binlog = 1",
					"FATAL sync_binlog is 0 with the binary log on: a crash of the server loses branches that it has prepared or committed; " +
						"run SET GLOBAL sync_binlog = 1 and write sync_binlog = 1 under [mysqld] in my.cnf",
					binlog,
				},
				{"no binlog", b.config, "SET GLOBAL sync_binlog = 0", "SET GLOBAL sync_binlog = 1", "", !binlog},
				{
					"read only", b.config, "SET GLOBAL read_only = ON", "SET GLOBAL read_only = OFF",
					"FATAL read_only is ON: a branch can be prepared but perhaps not committed; run SET GLOBAL read_only = OFF, or configure the primary's address",
					true,
				},
				{
					"super read only", b.config, "SET GLOBAL super_read_only = ON", "SET GLOBAL super_read_only = OFF, GLOBAL read_only = OFF",
					"FATAL super_read_only is ON: nothing can be committed; run SET GLOBAL super_read_only = OFF, SET GLOBAL read_only = OFF, or configure the primary's address",
					mysql,
				},
				{
					"wait_timeout", b.config, "SET GLOBAL wait_timeout = 30", "SET GLOBAL wait_timeout = 28800",
					"wait_timeout is 30 s: the server closes idle connections before xaproxy checks them, after idle_check = 30s; " +
						"run SET GLOBAL wait_timeout = 28800 and write wait_timeout = 28800 under [mysqld] in my.cnf, or lower idle_check of backend b1",
					true,
				},
				{
					"XA_RECOVER_ADMIN", limited, "", "",
					"FATAL user limited may not list prepared branches (XA RECOVER), so nothing could be recovered; " +
						"run GRANT XA_RECOVER_ADMIN ON *.* TO 'limited'@'%'",
					mysql,
				},
				{"no such privilege", limited, "", "", "", !mysql},
			} {
				if !c.applies {
					continue
				}
				if c.set != "" {
					b.exec(c.set)
				}
				if _, got := checked(t, c.config); got != c.want {
					t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
				}
				if c.restore != "" {
					b.exec(c.restore)
				}
			}

			b.exec("SET GLOBAL innodb_flush_log_at_trx_commit = 0", "SET GLOBAL wait_timeout = 1")
			if _, got := checked(t, wrong); strings.Count(got, "\n") != 2 || strings.Count(got, "FATAL") != 2 {
				t.Errorf("all at once: %s", got)
			}
			if mysql { // the advice helps
				b.exec("GRANT XA_RECOVER_ADMIN ON *.* TO 'limited'@'%'")
				b.exec("SET GLOBAL innodb_flush_log_at_trx_commit = 1", "SET GLOBAL wait_timeout = 28800")
				if _, got := checked(t, limited); got != "" {
					t.Errorf("after the advice: %s", got)
				}
			}
		})
	}
}

// A server that does not answer, or does not let us in, is not judged; the password stays out of the error.
func TestStartCheckOfAnUnreachableServer(t *testing.T) {
	t.Parallel()
	for _, k := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(k), func(t *testing.T) {
			b := newBench(t, "b1", k)
			c := b.config
			c.Password = "never-to-be-shown"
			a, err := backend.NewAdmin(c)
			check(t, err)
			defer func() { check(t, a.Close()) }()
			_, problems, err := a.Check(t.Context())
			if err == nil || len(problems) > 0 || !strings.HasPrefix(err.Error(), "backend b1: read the settings: 1045 (28000): Access denied") {
				t.Errorf("wrong password: %v, %v", problems, err)
			}
			if err != nil && strings.Contains(err.Error(), "never-to-be-shown") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}
