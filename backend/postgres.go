package backend

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/xaproxy/xaproxy/backend/postgres"
	"github.com/xaproxy/xaproxy/config"
)

// postgresDialer logs in to the database of a backend.
func postgresDialer(c config.Backend, encryption *tls.Config, maxPacket int) *postgres.Dialer {
	d := &postgres.Dialer{
		Network: "tcp", Addr: net.JoinHostPort(c.Host, strconv.Itoa(c.Port)),
		User: c.User, Password: c.Password.Reveal(), Database: c.Database,
		TLS: encryption, MaxPacket: maxPacket, Timeout: c.ConnectTimeout.Std(),
	}
	if c.Socket != "" {
		d.Network, d.Addr = "unix", c.Socket
	}
	return d
}

// inPostgres is in front of statements in PostgreSQL's words.
const inPostgres = "/* xaproxy: dialect=postgres */ "

// Translates reports whether statements are translated there, to PostgreSQL.
func (b *Backend) Translates() bool { return b.postgres != nil }

// Matching returns an UPDATE whose answer says how many rows it has found; servers of the MySQL family always do.
func (b *Backend) Matching(update []byte) []byte {
	if b.postgres == nil {
		return update
	}
	return append([]byte(postgres.MatchedHint), update...)
}

// ChangingCopy is the statement in front of one that changes copies of rows: what LAST_INSERT_ID() is afterwards comes of that statement.
// first says that it is the copy that is changed first.
func (b *Backend) ChangingCopy(first bool) string {
	const forget = "DO LAST_INSERT_ID(0)"
	switch {
	case b.postgres == nil:
		return forget
	case first:
		return postgres.FirstCopyHint + forget
	}
	return postgres.CopyHint + forget
}

// oldestPostgres is the oldest series that has all the functions of the translation (bit_count, bit_xor).
const oldestPostgres = 140000

// askPostgresIdentity has a second column for log_bin, which it has not.
const askPostgresIdentity = inPostgres + "SELECT concat(system_identifier, '/', timeline_id), '0' FROM pg_control_system(), pg_control_checkpoint()"

// postgresIdentity names the database cluster and its timeline, which changes when a replica is promoted.
func (a *Admin) postgresIdentity(ctx context.Context) (string, error) {
	var id, logBin string
	err := a.db().QueryRowContext(ctx, askPostgresIdentity).Scan(&id, &logBin)
	return id, a.explain("read the identity", err)
}

// checkPostgres is Check for PostgreSQL.
func (a *Admin) checkPostgres(ctx context.Context) (Facts, []Problem, error) {
	settings := make(variables)
	err := a.each(ctx, inPostgres+"SELECT name, setting FROM pg_settings WHERE name IN ('server_version', 'server_version_num', 'max_prepared_transactions', 'fsync', "+
		"'full_page_writes', 'synchronous_commit', 'transaction_read_only', 'server_encoding', 'idle_session_timeout') "+
		"UNION ALL SELECT 'recovery', pg_is_in_recovery()::text", func(scan func(...any) error) error {
		var name, value string
		if err := scan(&name, &value); err != nil {
			return err
		}
		settings[name] = value
		return nil
	})
	if err != nil {
		return Facts{}, nil, a.explain("read the settings", err)
	}
	facts := Facts{Version: postgres.Version(settings["server_version"]), DetachOnPrepare: true, SQLMode: postgres.SQLMode, Tracking: Tracking{Transactions: "OFF"}}
	if ms, err := strconv.Atoi(settings["idle_session_timeout"]); err == nil {
		facts.WaitTimeout = time.Duration(ms) * time.Millisecond
	}
	if facts.Identity, err = a.postgresIdentity(ctx); err != nil {
		return facts, nil, err
	}
	const zone = inPostgres + "SELECT concat(to_timestamp(1704067200)::timestamp - '2024-01-01 00:00:00'::timestamp, ', ', to_timestamp(1719792000)::timestamp - '2024-07-01 00:00:00'::timestamp)"
	if err := a.db().QueryRowContext(ctx, zone).Scan(&facts.TimeZone); err != nil {
		return facts, nil, a.explain("ask for the time zone", err)
	}
	problems := postgresProblems(settings, *a.config())
	there, err := a.IsSetUp(ctx)
	if err != nil {
		return facts, problems, err
	}
	if !there {
		problems = append(problems, Problem{
			Text: "the database lacks functions that translated statements use, or has those of another version: such statements fail",
			Fix:  "run xaproxy doctor --fix, as an account that may create a schema there",
		})
	}
	foreign, err := a.foreignPrepared(ctx)
	if err != nil {
		return facts, problems, err
	}
	older, err := a.olderCollations(ctx)
	return facts, slices.Concat(problems, foreign, older), err
}

// olderCollations looks for collations, of those that translated statements use, by which another version of ICU than the server's has ordered
// indexes, as before an upgrade of the operating system.
func (a *Admin) olderCollations(ctx context.Context) (found []Problem, err error) {
	err = a.each(ctx, inPostgres+"SELECT format('%s.%I', collnamespace::regnamespace, collname), collversion, pg_collation_actual_version(oid) FROM pg_collation "+
		"WHERE (collnamespace::regnamespace::text = 'xaproxy' OR collname = 'und-x-icu') AND collversion <> pg_collation_actual_version(oid) ORDER BY 1", func(scan func(...any) error) error {
		var name, before, now string
		if err := scan(&name, &before, &now); err != nil {
			return err
		}
		found = append(found, Problem{
			Text: fmt.Sprintf("the collation %s was made with version %s of its rules, and the server has %s: indexes may be in another order, so that rows are not found, or keys are there twice", name, before, now),
			Fix:  fmt.Sprintf("run REINDEX DATABASE %q and then ALTER COLLATION %s REFRESH VERSION", a.config().Database, name),
		})
		return nil
	})
	return found, a.explain("read the versions of collations", err)
}

// Translates reports whether statements for the backend are translated, with functions that SetUp makes.
func (a *Admin) Translates() bool { return a.postgres() != nil }

// IsSetUp reports whether the database of a PostgreSQL backend has the functions that translated statements use.
func (a *Admin) IsSetUp(ctx context.Context) (bool, error) {
	there, err := a.postgres().IsSetUp(ctx)
	return there, a.explain("look for the functions of the schema xaproxy", err)
}

// SetUp makes these functions.
func (a *Admin) SetUp(ctx context.Context) error {
	return a.explain("make the functions of the schema xaproxy", a.postgres().SetUp(ctx))
}

// postgresProblems judges the settings. It is a pure function.
func postgresProblems(v variables, b config.Backend) []Problem {
	var found []Problem
	fatal := func(text, fix string) { found = append(found, Problem{Fatal: true, Text: text, Fix: fix}) }
	if n, err := strconv.Atoi(v["server_version_num"]); err != nil || n < oldestPostgres {
		fatal(fmt.Sprintf("PostgreSQL %s is older than %d", v["server_version"], oldestPostgres/10000), fmt.Sprintf("use PostgreSQL %d or newer", oldestPostgres/10000))
	}
	prepared, _ := strconv.Atoi(v["max_prepared_transactions"])
	if prepared == 0 {
		fatal("max_prepared_transactions is 0: the server prepares no transactions", fmt.Sprintf("write max_prepared_transactions = %d in postgresql.conf and restart the server", max(b.PoolSize, 64)))
	}
	for name, loss := range map[string]string{"fsync": "everything", "full_page_writes": "pages that were being written", "synchronous_commit": "transactions that it has committed"} {
		if v[name] == "off" {
			fatal(name+" is off: a crash of the server loses "+loss, "write "+name+" = on in postgresql.conf and run SELECT pg_reload_conf(), or ALTER ROLE … SET where it is set for the role")
		}
	}
	switch {
	case v["recovery"] == "true":
		fatal("the server is a standby: nothing can be committed", "promote it, or configure the primary's address")
	case v["transaction_read_only"] == "on":
		fatal("default_transaction_read_only is on: nothing can be committed", "write default_transaction_read_only = off in postgresql.conf and run SELECT pg_reload_conf(), or ALTER ROLE or DATABASE … SET where it is set there")
	}
	if v["server_encoding"] != "UTF8" {
		fatal("the database has the encoding "+v["server_encoding"]+", in which not every text has a place", "use a database with the encoding UTF8")
	}
	if prepared > 0 && prepared < b.PoolSize {
		found = append(found, Problem{
			Text: fmt.Sprintf("max_prepared_transactions is %d, fewer than the %d connections of backend %s that may commit at a time: what is too much is rolled back", prepared, b.PoolSize, b.Name),
			Fix:  fmt.Sprintf("write max_prepared_transactions = %d in postgresql.conf and restart the server, or lower pool_size", b.PoolSize),
		})
	}
	return found
}

// foreignPrepared looks for branches of ours that another role has prepared, and that this one may therefore not finish.
func (a *Admin) foreignPrepared(ctx context.Context) ([]Problem, error) {
	var found []Problem
	err := a.each(ctx, inPostgres+"SELECT owner::text, count(*)::text FROM pg_prepared_xacts WHERE database = current_database() AND gid ~ '^xp[12]\\.' AND owner <> current_user "+
		"AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) GROUP BY owner", func(scan func(...any) error) error {
		var owner, n string
		if err := scan(&owner, &n); err != nil {
			return err
		}
		found = append(found, Problem{
			Text: fmt.Sprintf("%s branches were prepared by the role %s, so that %s cannot finish them", n, owner, a.config().User),
			Fix:  "log in as " + owner + " until recovery has finished them",
		})
		return nil
	})
	return found, a.explain("list the prepared branches", err)
}
