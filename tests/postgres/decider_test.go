package postgres_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/participant"
	"github.com/xaproxy/xaproxy/recovery"
	"github.com/xaproxy/xaproxy/tests/chaos"
	"github.com/xaproxy/xaproxy/xa"
)

// rowsOn is the participant store of another proxy over backends, whose owners seem dead to it at once.
func rowsOn(t *testing.T, all ...config.Backend) *participant.Store {
	t.Helper()
	o := participant.Options{Grace: time.Nanosecond, Retain: time.Hour, Timeout: 10 * time.Second, Host: "a'b", Logger: zerolog.Nop()}
	for _, b := range all {
		o.Servers = append(o.Servers, openAdmin(t, b))
		o.Deciders = append(o.Deciders, b.Name)
	}
	s, err := participant.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const opens = "START TRANSACTION;"

// A decision and the changes of its transaction are committed together or not at all, whichever of the two fails; and the client hears which.
func TestDecision(t *testing.T) {
	f := newFace(t, accounts, "CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)", "INSERT INTO accounts VALUES (1, 1), (2, 2)", "INSERT INTO late VALUES (1)")
	on := (&pair{t: t, maria: f.server, face: f}).admins()[1]
	s := rowsOn(t, on)
	if err := participant.Create(t.Context(), openAdmin(t, on)); err != nil {
		t.Fatal(err)
	}
	n := uint64(0)
	record := func() (xa.GTRID, string) {
		n++
		g := xa.GTRID{Coord: s.Coord(), Epoch: s.Epoch(), Seq: n, Decider: "pg"}
		return g, s.Insert(xa.Decision{GTRID: g, Branches: []xa.BranchRef{{Backend: "maria", Server: "1@h:3306/", ConnID: 7}}})[0]
	}
	ruled := func(g xa.GTRID, want bool) {
		t.Helper()
		if r := s.Lookup(t.Context(), []xa.GTRID{g}, false)[0]; r.Err != nil || r.Decided != want {
			t.Errorf("the ruling on %s is %+v, want decided: %v", g, r, want)
		}
	}
	a, b := f.conn(), f.conn()

	g, insert := record()
	a.exec(opens + pg + "UPDATE accounts SET v = 5 WHERE id = 1")
	a.fails(1062, pg+"INSERT INTO accounts VALUES (2, 2)") // undoes itself
	a.exec("SAVEPOINT a;" + pg + "UPDATE accounts SET v = 9 WHERE id = 1;ROLLBACK TO a")
	a.exec(insert + ";COMMIT")
	ruled(g, true)
	a.wantRows("1|5\n2|2", pg+"SELECT id, v FROM accounts ORDER BY id")

	g, insert = record() // no statement has reached the decider
	a.exec(opens + insert + ";COMMIT")
	ruled(g, true)

	// Fenced: nothing is committed, and the session is as good as new.
	g, insert = record()
	ruled(g, false)
	a.exec(opens + pg + "UPDATE accounts SET v = 6 WHERE id = 1")
	if said := a.fails(1062, insert+";COMMIT"); !strings.Contains(said, "xaproxy_decision") {
		t.Error(said)
	}
	a.fails(1399, pg+"SELECT 1")
	a.exec("ROLLBACK")
	a.wantRows("5", pg+"SELECT v FROM accounts WHERE id = 1")
	ruled(g, false)

	// A fence that is younger than the transaction's snapshot counts, too.
	g, insert = record()
	b.exec("SET SESSION transaction_isolation = 'REPEATABLE-READ'")
	b.exec(opens + pg + "UPDATE accounts SET v = 6 WHERE id = 1")
	ruled(g, false)
	b.fails(1062, insert+";COMMIT")
	b.exec("ROLLBACK")

	// What PostgreSQL checks only with COMMIT undoes the record, too.
	g, insert = record()
	a.exec(opens + pg + "INSERT INTO late VALUES (1)")
	if said := a.fails(1062, insert+";COMMIT"); !strings.Contains(said, "'late.late_id_key'") {
		t.Error(said)
	}
	a.exec("ROLLBACK")
	ruled(g, false)

	for _, c := range []*conn{a, b} {
		c.exec("SET SESSION transaction_isolation = 'SERIALIZABLE'")
	}
	g, insert = record()
	_, other := record()
	a.exec(opens + pg + "UPDATE accounts SET v = (SELECT v FROM accounts WHERE id = 2) WHERE id = 1")
	b.exec(opens + pg + "UPDATE accounts SET v = (SELECT v FROM accounts WHERE id = 1) WHERE id = 2")
	b.exec(other + ";COMMIT")
	a.fails(1213, insert+";COMMIT")
	a.exec("ROLLBACK")
	ruled(g, false)
	a.wantRows("1|5\n2|5", pg+"SELECT id, v FROM accounts ORDER BY id")
}

// transfers are the two ways in which a transaction can touch MariaDB and PostgreSQL.
var transfers = map[string][2]string{
	"pg":    {"UPDATE account SET n = n + 10 WHERE id = 1", "UPDATE account SET n = n - 10 WHERE id = 0"},
	"maria": {"UPDATE account SET n = n - 10 WHERE id = 0", "UPDATE account SET n = n + 10 WHERE id = 1"},
}

// begin opens a transaction and makes the changes.
func (p *pair) begin(statements ...string) *sql.Conn {
	p.t.Helper()
	c, err := p.db().Conn(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() }) // a test may have lost it
	for _, s := range append([]string{"BEGIN"}, statements...) {
		if _, err := c.ExecContext(p.t.Context(), s); err != nil {
			p.t.Fatalf("%s: %v", s, err)
		}
	}
	return c
}

// gtrid is the name of the proxy's n-th transaction.
func (p *pair) gtrid(n uint64, decider string) xa.GTRID {
	return xa.GTRID{Coord: p.proxy.Coord(), Epoch: p.proxy.Epoch(), Seq: n, Decider: decider}
}

const (
	untouched = "0:100 2:100 1:100 3:100"
	moved     = "0:90 2:100 1:110 3:100"
)

// Either server decides. Fenced, a transaction is rolled back on both; what PostgreSQL refuses with COMMIT only, the client hears.
func TestDecider(t *testing.T) {
	for decider, statements := range transfers {
		t.Run(decider, func(t *testing.T) {
			p := newPair(t, chaos.Participant)
			account := p.schema + ".account"
			p.face.psql("UPDATE "+account+" SET n = 500 WHERE id = 3", "ALTER TABLE "+account+" ADD UNIQUE (n) DEFERRABLE INITIALLY DEFERRED")
			s := rowsOn(t, p.admins()[0], p.admins()[1])
			n := uint64(0)
			run := func(errno uint16, before func(), statements ...string) {
				t.Helper()
				n++
				c := p.begin(statements...)
				if before != nil {
					before()
				}
				if _, err := c.ExecContext(t.Context(), "COMMIT"); errno == 0 && err != nil {
					t.Errorf("COMMIT: %v", err)
				} else if errno != 0 {
					wants(t, err, errno, "COMMIT")
				}
			}
			ruled := func(want bool) {
				t.Helper()
				if r := s.Lookup(t.Context(), []xa.GTRID{p.gtrid(n, decider)}, false)[0]; r.Err != nil || r.Decided != want {
					t.Errorf("the ruling is %+v, want decided: %v", r, want)
				}
			}
			run(0, nil, statements[:]...)
			ruled(true)
			p.wantAccounts("0:90 2:100 1:110 3:500")
			run(1180, func() { ruled(false) }, statements[:]...)
			p.wantAccounts("0:90 2:100 1:110 3:500")
			doubled := []string{strings.Replace(statements[0], "10 WHERE id = 1", "390 WHERE id = 1", 1), strings.Replace(statements[1], "10 WHERE id = 1", "390 WHERE id = 1", 1)}
			run(1062, nil, doubled...)
			ruled(false)
			p.wantAccounts("0:90 2:100 1:110 3:500")
			if left := p.prepared(); left != "" {
				t.Errorf("still prepared: %s", left)
			}
		})
	}
}

// A decider that has inserted its record and does not end keeps recovery waiting, for no longer than a lock may, and nothing else; what it does in
// the end counts.
func TestZombieDecider(t *testing.T) {
	f := newFace(t, accounts)
	on := (&pair{t: t, maria: f.server, face: f}).admins()[1]
	admin, s := openAdmin(t, on), rowsOn(t, on)
	if err := participant.Create(t.Context(), admin); err != nil {
		t.Fatal(err)
	}
	for i, end := range []string{"COMMIT", "ROLLBACK"} {
		held := xa.GTRID{Coord: "deadbeef", Epoch: 1, Seq: uint64(2*i + 1), Decider: "pg"}
		other := xa.GTRID{Coord: "deadbeef", Epoch: 1, Seq: uint64(2*i + 2), Decider: "pg"}
		c := f.conn()
		c.exec("START TRANSACTION;" + s.Insert(xa.Decision{GTRID: held})[0]) // and no COMMIT in the message
		began := time.Now()
		rulings := s.Lookup(t.Context(), []xa.GTRID{held, other}, false)
		if r := rulings[0]; r.Err == nil || !strings.Contains(r.Err.Error(), "1205") {
			t.Errorf("the ruling on what is being decided is %+v, want that it cannot be known", r)
		}
		if r := rulings[1]; r.Err != nil || r.Decided {
			t.Errorf("the ruling beside it is %+v", r)
		}
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("it was waited for for %s", took)
		}
		c.exec(end)
		if r := s.Lookup(t.Context(), []xa.GTRID{held}, false)[0]; r.Err != nil || r.Decided != (end == "COMMIT") {
			t.Errorf("the ruling after %s is %+v", end, r)
		}
	}
	// One that ends while a fence waits for it: the fence changes nothing that is committed.
	for i, end := range []string{"COMMIT", "ROLLBACK"} {
		g := xa.GTRID{Coord: "deadbeef", Epoch: 2, Seq: uint64(i), Decider: "pg"}
		c := f.conn()
		c.exec("START TRANSACTION;" + s.Insert(xa.Decision{GTRID: g})[0])
		ruling := make(chan xa.Ruling, 1)
		go func() { ruling <- s.Lookup(t.Context(), []xa.GTRID{g}, false)[0] }()
		for f.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%xaproxy_decision%'") == "0" {
		}
		c.exec(end)
		if r := <-ruling; r.Err != nil || r.Decided != (end == "COMMIT") {
			t.Errorf("the ruling of one that waited for %s is %+v", end, r)
		}
	}
}

// anyStatus is that of a command which also looks at other things.
const anyStatus = -1

// elsewhere runs a command on a machine on which no proxy was ever run, with the configuration of this one.
func (p *pair) elsewhere(status int, args ...string) string {
	p.t.Helper()
	text, err := os.ReadFile(p.proxy.ConfigPath())
	if err != nil {
		p.t.Fatal(err)
	}
	path := filepath.Join(p.t.TempDir(), "xaproxy.toml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.proxy.Binary(), append(args, "--config", path)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != status && status != anyStatus {
		p.t.Errorf("%q: status %d, want %d\n%s", args, got, status, out.String())
	}
	return out.String()
}

func says(t *testing.T, out string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !regexp.MustCompile(text).MatchString(out) {
			t.Errorf("%q is not in\n%s", text, out)
		}
	}
}

// A proxy is killed for good, before or after its transaction was decided. Any machine can list, explain and end what it has left.
func TestRecoverElsewhere(t *testing.T) {
	for decider, statements := range transfers {
		for _, decided := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/decided=%v", decider, decided), func(t *testing.T) {
				p := newPair(t, chaos.Participant)
				other := map[string]string{"pg": "maria", "maria": "pg"}[decider]
				taps := map[string]*chaos.Tap{"maria": p.tap, "pg": p.pgTap}
				where, step := taps[decider], chaos.Decide
				if decided {
					where, step = taps[other], chaos.Commit
				}
				held, release := make(chan struct{}), make(chan struct{})
				where.SetHook(func(e chaos.Event) chaos.Verdict {
					if e.Step == step && e.Point == chaos.Asked && e.Opening != "" {
						close(held)
						<-release
						return chaos.Cut
					}
					return chaos.Pass
				})
				c := p.begin(statements[:]...)
				answered := make(chan error, 1)
				go func() {
					_, err := c.ExecContext(context.WithoutCancel(t.Context()), "COMMIT")
					answered <- err
				}()
				<-held
				g := p.gtrid(1, decider).String()
				if err := p.proxy.Kill(); err != nil {
					t.Fatal(err)
				}
				close(release)
				var said *mysql.MySQLError
				if err := <-answered; err == nil || errors.As(err, &said) {
					t.Errorf("the client heard %v", err)
				}
				where.SetHook(nil)
				branch := regexp.QuoteMeta(g+"/"+other) + `[.0-9A-Fa-f]*`
				if decided {
					says(t, p.elsewhere(0, "recover", "list"), branch+` .* commit +would commit`)
					says(t, p.elsewhere(0, "recover", "explain", g), "VOTE: branch "+other+" is prepared", "COMMIT: decided for branch "+other, "commit, because decided")
					p.elsewhere(2, "recover", "resolve", g, "--rollback", "--force", "--yes")
					says(t, p.elsewhere(0, "recover"), branch, "clean: nothing of ours is left")
					p.wantAccounts(moved)
					return
				}
				says(t, p.elsewhere(0, "recover", "list"), branch+` .* rollback +would roll back`)
				says(t, p.elsewhere(0, "recover", "resolve", g, "--rollback", "--force", "--yes"), "branch "+other+".*rollback by hand; recorded")
				says(t, p.elsewhere(0, "recover", "explain", g), "by .* on ")
				p.elsewhere(0, "recover")
				p.wantAccounts(untouched)
			})
		}
	}
}

// xaproxy doctor finds tables that are missing, not as they must be, or not allowed; --fix makes those that are missing.
func TestDoctorOfDecisions(t *testing.T) {
	p := newPair(t, chaos.Participant)
	fine := func() {
		t.Helper()
		if out := p.elsewhere(anyStatus, "doctor"); strings.Contains(out, "decisions on backend") {
			t.Error(out)
		}
	}
	fine()
	for _, broken := range []struct{ breaks, says, mends string }{
		{"ALTER TABLE xaproxy.xaproxy_decision SET UNLOGGED", "the table xaproxy.xaproxy_decision is UNLOGGED", "ALTER TABLE xaproxy.xaproxy_decision SET LOGGED"},
		{"ALTER TABLE xaproxy.xaproxy_decision DROP CONSTRAINT xaproxy_decision_pkey", "no unique or exclusion constraint", "ALTER TABLE xaproxy.xaproxy_decision ADD PRIMARY KEY (gtrid)"},
		{"ALTER TABLE xaproxy.xaproxy_proxy RENAME beat_at TO beats_at", "1054 .*beat_at", "ALTER TABLE xaproxy.xaproxy_proxy RENAME beats_at TO beat_at"},
	} {
		p.face.psql(broken.breaks)
		says(t, p.elsewhere(anyStatus, "doctor"), "error +decisions on backend pg: .*"+broken.says)
		p.face.psql(broken.mends)
		fine()
	}
	p.face.psql("DROP TABLE xaproxy.xaproxy_decision, xaproxy.xaproxy_incident")
	says(t, p.elsewhere(anyStatus, "doctor"), "error +decisions on backend pg: .*--fix makes its tables")
	says(t, p.elsewhere(anyStatus, "doctor", "--fix"), "fixed +decisions on backend pg: the tables of the participant store are made")
	fine()
	p.face.psql("CREATE ROLE decides LOGIN PASSWORD 'pw'; GRANT USAGE ON SCHEMA xaproxy TO decides; GRANT SELECT ON ALL TABLES IN SCHEMA xaproxy TO decides")
	defer p.face.psql("DROP OWNED BY decides; DROP ROLE decides")
	limited := p.admins()[1]
	limited.User, limited.Password = "decides", "pw"
	if wrong, err := participant.Check(t.Context(), openAdmin(t, limited)); err != nil || wrong == nil || !strings.Contains(wrong.Error(), "permission denied for table xaproxy_decision") {
		t.Errorf("an account that may only read: %v, %v", wrong, err)
	}
}

// The SQL of docs/operating.md makes the tables that --fix makes, and its grants suffice.
func TestDecisionsByHand(t *testing.T) {
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "-- participant, on PostgreSQL\n")
	text, _, ok := strings.Cut(text, "```")
	if !ok {
		t.Fatal("docs/operating.md has no SQL for PostgreSQL")
	}
	f := newFace(t)
	role := "by_hand_" + f.database
	f.psql("CREATE ROLE " + role + " LOGIN PASSWORD 'pw'; " + strings.ReplaceAll(text, " TO xaproxy;", " TO "+role+";"))
	t.Cleanup(func() { f.psql("DROP OWNED BY " + role + "; DROP ROLE " + role) })
	limited := (&pair{t: t, maria: f.server, face: f}).admins()[1]
	owner := openAdmin(t, limited)
	limited.User, limited.Password = role, "pw"
	if wrong, err := participant.Check(t.Context(), openAdmin(t, limited)); wrong != nil || err != nil {
		t.Fatal(wrong, err)
	}
	s, g := rowsOn(t, limited), xa.GTRID{Coord: "deadbeef", Decider: "pg"}
	if r := s.Lookup(t.Context(), []xa.GTRID{g}, false)[0]; r.Decided || r.Err != nil {
		t.Errorf("ruling %+v", r)
	}
	d := participant.Decisions{Store: s}
	if err := errors.Join(s.Beat(t.Context(), "pg"), d.Heuristic(t.Context(), g, "b", "it's \"odd\" \x00\xff")); err != nil {
		t.Error(err)
	}
	if n, uncounted := d.Heuristics(t.Context()); n != 1 || len(uncounted) > 0 {
		t.Errorf("%d incidents, without %q", n, uncounted)
	}
	const stored = "SELECT (SELECT string_agg(host, ',' ORDER BY coord) FROM xaproxy.xaproxy_proxy), what FROM xaproxy.xaproxy_incident"
	if got, want := f.psql(stored), "a'b|it's \"odd\" \uFFFD"; got != want {
		t.Errorf("stored is %q, want %q", got, want)
	}
	testKeys(t, f, s)
	testPrune(t, f, limited)
	s.Stopped(t.Context())

	const definition = "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attcollation FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 " +
		"WHERE c.relnamespace = 'xaproxy'::regnamespace UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), true, '', 0 FROM pg_constraint WHERE connamespace = 'xaproxy'::regnamespace ORDER BY 1, 2, 3"
	byHand := f.psql(definition)
	f.psql("DROP SCHEMA xaproxy CASCADE")
	if err := participant.Create(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	if made := f.psql(definition); made != byHand {
		t.Errorf("made by hand:\n%s\nmade by --fix:\n%s", byHand, made)
	}
}

// testKeys: a commit key is taken once, and a fence that was made after an attempt began keeps it out.
func testKeys(t *testing.T, f *face, s *participant.Store) {
	c := f.conn()
	key := xa.Key{Name: "it's a key\x00"}
	attempt := func(n uint64, errno uint16) {
		t.Helper()
		list := s.Insert(xa.Decision{GTRID: xa.GTRID{Coord: s.Coord(), Seq: n, Decider: "pg"}, Key: key})
		statement := opens + pg + "SELECT 1;" + strings.Join(list, ";") + ";COMMIT"
		if errno == 0 {
			c.exec(statement)
		} else {
			c.fails(errno, statement)
			c.exec("ROLLBACK")
		}
	}
	if r, err := s.FenceKey(t.Context(), key.Name); err != nil || r.Committed {
		t.Errorf("the fence of a new key: %+v, %v", r, err)
	}
	attempt(1, 1062)
	r, err := s.FindKey(t.Context(), key.Name)
	if err != nil || r.Committed || r.Over == "" {
		t.Errorf("a fenced key: %+v, %v", r, err)
	}
	if _, err := s.FenceKey(t.Context(), key.Name); err != nil {
		t.Error(err)
	}
	key.Over = r.Over // which has changed since
	attempt(2, 1062)
	if r, err = s.FindKey(t.Context(), key.Name); err != nil {
		t.Error(err)
	}
	key.Over = r.Over
	attempt(3, 0)
	if r, err := s.FenceKey(t.Context(), key.Name); err != nil || !r.Committed || r.GTRID.Seq != 3 {
		t.Errorf("a committed key: %+v, %v", r, err)
	}
	attempt(4, 1062)
}

// testPrune: rows are deleted in batches, when they are old and nothing of theirs may come back.
func testPrune(t *testing.T, f *face, on config.Backend) {
	f.psql("INSERT INTO xaproxy.xaproxy_decision SELECT 'xp2.0000aaaa.1.' || to_hex(i) || '.pg', 'commit', CASE WHEN i = 1 THEN 'gone:1:x:0' ELSE '' END, NULL, (now() AT TIME ZONE 'UTC') - CASE WHEN i = 2 THEN interval '1 minute' ELSE interval '2 hours' END FROM generate_series(1, 1203) i")
	s, err := participant.New(participant.Options{Servers: []participant.Server{openAdmin(t, on)}, Retain: time.Hour, Timeout: 10 * time.Second, ComeBack: time.Nanosecond, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	listed := []recovery.Listed{{FormatID: xa.FormatID, GTRID: "xp2.0000aaaa.1.3.pg", BQUAL: "b"}}
	if n, err := (participant.Decisions{Store: s}).Prune(t.Context(), listed, 0); n != 1200 || err != nil {
		t.Errorf("%d rows are deleted (%v), want 1200", n, err)
	}
	if got := f.psql("SELECT string_agg(gtrid, ' ' ORDER BY gtrid) FROM xaproxy.xaproxy_decision WHERE gtrid LIKE 'xp2.0000aaaa.%'"); got != "xp2.0000aaaa.1.1.pg xp2.0000aaaa.1.2.pg xp2.0000aaaa.1.3.pg" {
		t.Errorf("%s are left: one names a backend that is not configured, one is young, and one prepared", got)
	}
}
