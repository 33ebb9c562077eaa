package backend

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/xa"
)

// Facts are what the start checks learned of a server.
type Facts struct {
	Version           string // as the server reports it
	MariaDB           bool
	LogBin            bool // the binary log is on
	RollbackOnTimeout bool // a lock wait timeout rolls the whole branch back, not only the statement
	DetachOnPrepare   bool // any session can finish a prepared branch while the session that prepared it lives
	Identity          string
	WaitTimeout       time.Duration // after which the server closes an idle session
	SQLMode           string        // of a new session
	Tracking          Tracking      // of a new session
	Collation         byte          // that the server greets clients with: the lower eight bits of its own; 0 if it was not asked
	TimeZone          string        // of a new session: its distances from UTC in winter and in summer, such as "01:00:00, 02:00:00"
}

// Setting is one that two servers do not have alike.
type Setting struct{ Name, One, Other string }

// Differ returns the settings of new sessions by which two servers do something else with the same statement.
func (f Facts) Differ(other Facts) (differ []Setting) {
	for _, s := range []Setting{{"sql_mode", effective(f.SQLMode), effective(other.SQLMode)}, {"time_zone", f.TimeZone, other.TimeZone}} {
		if s.One != s.Other {
			differ = append(differ, s)
		}
	}
	return differ
}

// harmless are modes after which a server refuses what it would do otherwise, or that concern no rows: with them on one of two
// servers only, a statement fails or does the same on both.
var harmless = []string{
	"", "ONLY_FULL_GROUP_BY", "NO_AUTO_CREATE_USER", "NO_ENGINE_SUBSTITUTION", "NO_ZERO_DATE", "NO_ZERO_IN_DATE", "ERROR_FOR_DIVISION_BY_ZERO",
}

// effective is an sql_mode without what is harmless.
func effective(mode string) string {
	modes := slices.DeleteFunc(strings.Split(strings.ToUpper(mode), ","), func(m string) bool { return slices.Contains(harmless, m) })
	slices.Sort(modes)
	return strings.Join(modes, ",")
}

// Tracking is what a session tells a client with SessionTrack: the session_track_... variables.
type Tracking struct {
	Schema, StateChange bool
	Variables           string // a list of names, or *
	Transactions        string // OFF, STATE or CHARACTERISTICS
}

// Problem is a setting or a privilege with which the promise to clients cannot be kept.
type Problem struct {
	Fatal bool   // the backend must not be served with it
	Text  string // what is wrong and what it would lead to
	Fix   string // the SQL, the line of the server's configuration file, or the edit that mends it
}

// String returns both texts as one line.
func (p Problem) String() string { return p.Text + "; " + p.Fix }

// Oldest versions on which a prepared branch survives the end of its session and a crash: MDEV-742 for MariaDB, and for
// MySQL the oldest series that still gets tests from anybody.
var (
	oldestMariaDB = [2]int{10, 5}
	oldestMySQL   = [2]int{8, 0}
)

// Check looks whether the server can keep the promises of the commit protocol. The error says that it could not be
// looked at; the problems are what was found, the fatal ones first in the order of the checks.
func (a *Admin) Check(ctx context.Context) (Facts, []Problem, error) {
	if a.config().Kind == config.Postgres {
		return a.checkPostgres(ctx)
	}
	v, err := a.variables(ctx)
	if err != nil {
		return Facts{}, nil, a.explain("read the settings", err)
	}
	facts := v.facts()
	if facts.TimeZone, err = a.timeZone(ctx); err != nil {
		return facts, nil, err
	}
	problems := v.problems(*a.config())
	for _, probe := range []func(context.Context, Facts) (*Problem, error){a.probeXA, a.probeRecover} {
		p, err := probe(ctx, facts)
		if err != nil {
			return facts, problems, err
		}
		if p != nil {
			problems = append(problems, *p)
		}
	}
	return facts, fatalFirst(problems), nil
}

// timeZone asks for what two moments of a year are called: zones have many names, and the server's own may have any.
func (a *Admin) timeZone(ctx context.Context) (zone string, err error) {
	const question = "SELECT CONCAT(TIMEDIFF(FROM_UNIXTIME(1704067200), '2024-01-01 00:00:00'), ', ', TIMEDIFF(FROM_UNIXTIME(1719792000), '2024-07-01 00:00:00'))"
	if err := a.db().QueryRowContext(ctx, question).Scan(&zone); err != nil {
		return "", a.explain("ask for the time zone", err)
	}
	return zone, nil
}

func (v variables) facts() Facts {
	f := Facts{
		Version:           v["version"],
		MariaDB:           strings.Contains(v["version"]+v["version_comment"], "MariaDB"),
		LogBin:            v.on("log_bin"),
		RollbackOnTimeout: v.on("innodb_rollback_on_timeout"),
		DetachOnPrepare:   v.on("xa_detach_on_prepare"),
		Identity:          v.identity(),
		SQLMode:           v["sql_mode"],
		Tracking: Tracking{
			Schema: v.on("session_track_schema"), StateChange: v.on("session_track_state_change"),
			Variables: v["session_track_system_variables"], Transactions: v["session_track_transaction_info"],
		},
	}
	if seconds, err := strconv.Atoi(v["wait_timeout"]); err == nil {
		f.WaitTimeout = time.Duration(seconds) * time.Second
	}
	return f
}

// Greeting is the version that the server tells clients when they connect. MariaDB before 11 writes 5.5.5 before its own, for
// replicas that take 10 for older than 5; clients rely on that.
//
// Source: MariaDB sql/mysqld.cc, RPL_VERSION_HACK.
func (f Facts) Greeting() string {
	if f.MariaDB && f.olderThan([2]int{11, 0}) {
		return "5.5.5-" + f.Version
	}
	return f.Version
}

// problems judges the settings. It is a pure function.
func (v variables) problems(b config.Backend) []Problem {
	f := v.facts()
	var found []Problem
	fatal := func(text, fix string) { found = append(found, Problem{Fatal: true, Text: text, Fix: fix}) }
	kind, oldest := config.MySQL, oldestMySQL
	if f.MariaDB {
		kind, oldest = config.MariaDB, oldestMariaDB
	}
	if b.Kind != kind {
		fatal(fmt.Sprintf("the server is %s (version %s), but backend %s is configured as %s", product(kind), f.Version, b.Name, b.Kind),
			fmt.Sprintf("write kind = %q in its [[backends]] entry, or correct the address", kind))
	}
	if f.olderThan(oldest) {
		fatal(fmt.Sprintf("version %s loses prepared branches", f.Version),
			fmt.Sprintf("use %s %d.%d or newer", product(kind), oldest[0], oldest[1]))
	}
	if v.on("wsrep_on") {
		fatal("the server is part of a Galera cluster (wsrep_on=ON), which has no XA", "use a server without wsrep")
	}
	if x := v["innodb_flush_log_at_trx_commit"]; x != "1" {
		fatal("innodb_flush_log_at_trx_commit is "+x+": a crash of the server loses branches that it has prepared or committed",
			persistent("innodb_flush_log_at_trx_commit", "1"))
	}
	if x := v["sync_binlog"]; f.LogBin && x != "1" {
		fatal("sync_binlog is "+x+" with the binary log on: a crash of the server loses branches that it has prepared or committed",
			persistent("sync_binlog", "1"))
	}
	switch {
	case v.on("super_read_only"):
		fatal("super_read_only is "+v["super_read_only"]+": nothing can be committed", "run SET GLOBAL super_read_only = OFF, SET GLOBAL read_only = OFF, or configure the primary's address")
	case v.on("read_only"):
		fatal("read_only is "+v["read_only"]+": a branch can be prepared but perhaps not committed", "run SET GLOBAL read_only = OFF, or configure the primary's address")
	}
	if idle := b.IdleCheck.Std(); f.WaitTimeout > 0 && f.WaitTimeout <= idle {
		found = append(found, Problem{
			Text: fmt.Sprintf("wait_timeout is %d s: the server closes idle connections before xaproxy checks them, after idle_check = %s", int(f.WaitTimeout.Seconds()), idle),
			Fix:  fmt.Sprintf("%s, or lower idle_check of backend %s", persistent("wait_timeout", "28800"), b.Name),
		})
	}
	return found
}

func fatalFirst(problems []Problem) []Problem {
	var ordered []Problem
	for _, fatal := range []bool{true, false} {
		for _, p := range problems {
			if p.Fatal == fatal {
				ordered = append(ordered, p)
			}
		}
	}
	return ordered
}

func product(kind string) string {
	if kind == config.MariaDB {
		return "MariaDB"
	}
	return "MySQL"
}

// persistent says how to change a variable now and for ever.
func persistent(name, value string) string {
	return fmt.Sprintf("run SET GLOBAL %s = %s and write %[1]s = %[2]s under [mysqld] in my.cnf", name, value)
}

var leadingVersion = regexp.MustCompile(`^(\d+)\.(\d+)`)

func (f Facts) olderThan(oldest [2]int) bool {
	m := leadingVersion.FindStringSubmatch(f.Version)
	if m == nil {
		return true
	}
	major, errMajor := strconv.Atoi(m[1])
	minor, errMinor := strconv.Atoi(m[2])
	if errMajor != nil || errMinor != nil {
		return true
	}
	return major < oldest[0] || major == oldest[0] && minor < oldest[1]
}

// probeXA runs an empty branch and rolls it back.
func (a *Admin) probeXA(ctx context.Context, _ Facts) (*Problem, error) {
	conn, err := a.db().Conn(ctx)
	if err != nil {
		return nil, a.explain("connect", err)
	}
	xid := "'xaproxy.check." + rand.Text() + "','probe'," + strconv.Itoa(xa.FormatID)
	for _, verb := range []string{"XA START ", "XA END ", "XA ROLLBACK "} {
		if _, err = conn.ExecContext(ctx, verb+xid); err != nil {
			break
		}
	}
	failed := serverSaid(err)
	if failed != nil {
		// The session may be inside of the branch; this error makes the pool close it, and is not news to us.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	} else if err := conn.Close(); err != nil {
		return nil, a.explain("close the connection", err)
	}
	var said *xa.ServerError
	switch {
	case failed == nil:
		return nil, nil
	case errors.As(failed, &said):
		return &Problem{
			Fatal: true,
			Text:  "the server refuses XA transactions: " + said.Error(),
			Fix:   "use a server that has them: MySQL or MariaDB with InnoDB, without Galera",
		}, nil
	}
	return nil, a.explain("try XA", failed)
}

// probeRecover lists the prepared branches, which MySQL allows only with a privilege.
func (a *Admin) probeRecover(ctx context.Context, f Facts) (*Problem, error) {
	_, err := a.Prepared(ctx)
	switch {
	case err == nil:
		return nil, nil
	case !xa.IsErrno(err, xa.ErrnoRMErr) || f.MariaDB:
		return nil, err
	}
	var account string
	if err := a.db().QueryRowContext(ctx, "SELECT CURRENT_USER()").Scan(&account); err != nil {
		return nil, a.explain("read the account", err)
	}
	return &Problem{
		Fatal: true,
		Text:  fmt.Sprintf("user %s may not list prepared branches (XA RECOVER), so nothing could be recovered", a.config().User),
		Fix:   "run GRANT XA_RECOVER_ADMIN ON *.* TO " + quoteAccount(account),
	}, nil
}

// quoteAccount quotes user@host as CURRENT_USER() returns it; a host has no @, a user may.
func quoteAccount(account string) string {
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + "'" }
	at := strings.LastIndexByte(account, '@')
	if at < 0 {
		return quote(account)
	}
	return quote(account[:at]) + "@" + quote(account[at+1:])
}
