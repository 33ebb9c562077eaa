package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/participant"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// eachStore runs a test with each store of decisions on both kinds of servers, each first.
func eachStore(t *testing.T, test func(*testing.T, *stack)) {
	for _, store := range []string{config.FileStore, config.ParticipantStore} {
		for _, kinds := range [][]servers.Kind{{servers.MariaDBBinlog, servers.MySQL}, {servers.MySQL, servers.MariaDB}} {
			t.Run(fmt.Sprint(store, kinds), func(t *testing.T) {
				t.Parallel()
				test(t, newStack(t, kinds, func(cfg *config.Config) { cfg.Decision.Store = store }))
			})
		}
	}
}

// key is a commit key of this test's own: tests share servers, and on them the table of keys.
func (s *stack) key(name string) string { return s.schema + "-" + name }

func (c *conn) outcome(key string) string {
	c.t.Helper()
	return c.rows("SELECT xaproxy_outcome('" + key + "')")
}

// TestCommitKeys: a key commits once, whatever its transaction touches, and every way to try it again says so.
func TestCommitKeys(t *testing.T) {
	eachStore(t, func(t *testing.T, s *stack) {
		c, other := s.conn(), s.conn()
		c.exec("INSERT INTO accounts (id, v) VALUES (1, 0), (2, 0), (3, 0)")
		for name, statements := range map[string][]string{
			"nothing":      nil,
			"one-backend":  {"UPDATE accounts SET v = v + 1 WHERE id = 2"},
			"other":        {"UPDATE accounts SET v = v + 1 WHERE id = 1"},
			"two-backends": {"UPDATE accounts SET v = v + 1 WHERE id = 2", "UPDATE accounts SET v = v + 1 WHERE id = 1"},
			"reads":        {"SELECT * FROM accounts WHERE id IN (1, 2)"},
			"reads-one":    {"SELECT * FROM accounts WHERE id = 2", "UPDATE accounts SET v = v + 1 WHERE id = 1"},
		} {
			name = s.key(name)
			before := c.rows("SELECT SUM(v) FROM accounts")
			c.exec("SET @@xaproxy_commit_key = '" + name + "'")
			if got := c.rows("SELECT @@xaproxy_commit_key"); got != name {
				t.Errorf("the key is %q", got)
			}
			c.exec("BEGIN")
			c.exec(statements...)
			c.exec("COMMIT")
			if got := c.rows("SELECT @@xaproxy_commit_key"); got != "NULL" {
				t.Errorf("%s: the key is still %q", name, got)
			}
			if got := other.outcome(name); got != "committed" {
				t.Errorf("%s: outcome %q", name, got)
			}
			if strings.Contains(strings.Join(statements, " "), "UPDATE") == (before == c.rows("SELECT SUM(v) FROM accounts")) {
				t.Errorf("%s: the sum was %s", name, before)
			}
			for _, q := range []string{
				"SET @@xaproxy_commit_key = '" + name + "'", "SET SESSION xaproxy_commit_key = \"" + name + "\"",
				"/* xaproxy: commit_key=" + name + " */ BEGIN", "START TRANSACTION /* xaproxy: commit_key='" + name + "' */",
			} {
				if e := other.fails(20042, q); !strings.Contains(e, "commit key '"+name+"' is already committed") {
					t.Errorf("%s: %s", q, e)
				}
			}
			other.exec("UPDATE accounts SET v = v WHERE id = 3") // no transaction is open
		}
		// The first of two wins, wherever they meet.
		race := s.key("race")
		c.exec("SET xaproxy_commit_key = '"+race+"'", "BEGIN", "UPDATE accounts SET v = 100 WHERE id = 1", "UPDATE accounts SET v = 100 WHERE id = 2")
		other.fails(20043, "SET @@xaproxy_commit_key = '"+race+"'")
		if got := other.outcome(race); got != "in progress" {
			t.Errorf("outcome of what runs: %q", got)
		}
		c.exec("ROLLBACK")
		if got := other.outcome(race); got != "rolled back" {
			t.Errorf("outcome of what was rolled back: %q", got)
		}
		if got := other.outcome(race); got != "rolled back" {
			t.Errorf("asked again: %q", got)
		}
		c.exec("SET xaproxy_commit_key = '"+race+"'", "BEGIN") // no statement yet
		other.exec("SET xaproxy_commit_key = '"+race+"'", "BEGIN", "UPDATE accounts SET v = 200 WHERE id = 1", "UPDATE accounts SET v = 200 WHERE id = 2", "COMMIT")
		c.exec("UPDATE accounts SET v = 300 WHERE id = 1", "UPDATE accounts SET v = 300 WHERE id = 2")
		c.fails(20042, "COMMIT")
		if got := c.rows("SELECT v FROM accounts WHERE id IN (1, 2) ORDER BY id"); got != "200 200" {
			t.Errorf("values %s", got)
		}
	})
}

// TestCommitKeyMisuse: nothing is written without the key that was set for it.
func TestCommitKeyMisuse(t *testing.T) {
	eachStore(t, func(t *testing.T, s *stack) {
		c := s.conn()
		k, l, m := s.key("k"), s.key("l"), s.key("m")
		c.exec("SET @@xaproxy_commit_key = '" + k + "'")
		if e := c.fails(1235, "INSERT INTO accounts (id, v) VALUES (1, 0)"); !strings.Contains(e, "BEGIN one") {
			t.Error(e)
		}
		c.rows("SELECT * FROM accounts")
		c.exec("SET autocommit = 0", "INSERT INTO accounts (id, v) VALUES (1, 0)", "COMMIT", "SET autocommit = 1")
		if got := c.outcome(k); got != "committed" {
			t.Errorf("outcome %q", got)
		}
		c.exec("SET @@xaproxy_commit_key = '"+l+"'", "SET @@xaproxy_commit_key = NULL", "INSERT INTO accounts (id, v) VALUES (2, 0)")
		c.exec("BEGIN", "INSERT INTO accounts (id, v) VALUES (4, 0)")
		c.fails(1568, "SET @@xaproxy_commit_key = '"+m+"'")
		c.exec("ROLLBACK", "BEGIN", "SET @@xaproxy_commit_key = '"+m+"'", "INSERT INTO accounts (id, v) VALUES (4, 0)", "COMMIT")
		if got := c.outcome(m); got != "committed" {
			t.Errorf("a key that is set behind BEGIN: outcome %q", got)
		}
		c.fails(1231, "SET @@xaproxy_commit_key = 5")
		c.fails(1235, "SET @@xaproxy_commit_key = 'x', @a = 1")
		c.fails(1235, "SET @@xaproxy_commit_key = '"+strings.Repeat("x", 129)+"'")
		c.fails(1235, "SELECT xaproxy_outcome(1)")
		odd := s.key(`ä'';\\ "x"`)
		c.exec("SET @@xaproxy_commit_key = '"+odd+"'", "BEGIN", "UPDATE accounts SET v = 1 WHERE id = 1", "COMMIT")
		if got := c.outcome(odd); got != "committed" {
			t.Errorf("an odd key: outcome %q", got)
		}
		if got := c.outcome(s.key("never")); got != "rolled back" {
			t.Errorf("a key that nobody used: outcome %q", got)
		}
		if got := c.rows("SELECT xaproxy_outcome('" + k + "') = 'committed' AND 1 AS yes"); got != "1" {
			t.Errorf("in an expression: %s", got)
		}
	})
}

// TestCommitKeyFence: who asks another proxy is told the truth for ever, while the one that runs the transaction goes on.
func TestCommitKeyFence(t *testing.T) {
	for _, kinds := range [][]servers.Kind{{servers.MariaDB, servers.MySQL}, {servers.MySQL, servers.MariaDB}} {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			t.Parallel()
			s := newStack(t, kinds, participants)
			c, ctx := s.conn(), t.Context()
			k, other := s.key("k"), newRows(t, time.Hour, s)
			c.exec("INSERT INTO accounts (id, v) VALUES (1, 0), (2, 0)")
			attempt := func(v int) {
				c.exec("SET @@xaproxy_commit_key = '"+k+"'", "BEGIN", fmt.Sprintf("UPDATE accounts SET v = %d WHERE id = 1", v), fmt.Sprintf("UPDATE accounts SET v = %d WHERE id = 2", v))
			}
			for i := range 3 { // the second and third time there is a fence already
				attempt(7)
				r, err := other.FenceKey(ctx, k)
				if err != nil || r.Committed {
					t.Fatalf("%d: %+v, %v", i, r, err)
				}
				if e := c.fails(1180, "COMMIT"); !strings.Contains(e, "was fenced") {
					t.Errorf("%d: %s", i, e)
				}
			}
			attempt(8)
			c.exec("COMMIT")
			r, err := other.FenceKey(ctx, k)
			if err != nil || !r.Committed || r.GTRID.Coord != s.rows.Coord() {
				t.Errorf("%+v, %v", r, err)
			}
			if got := c.rows("SELECT v FROM accounts ORDER BY id"); got != "8 8" {
				t.Errorf("values %s", got)
			}
			if s.coordinator.RunsKey(k) {
				t.Error("the key still counts as running")
			}
		})
	}
}

// TestCommitKeyPrepared: clients that prepare every statement on the server can use keys.
func TestCommitKeyPrepared(t *testing.T) {
	eachStore(t, func(t *testing.T, s *stack) {
		c := s.conn()
		k := s.key("k")
		c.exec("BEGIN")
		set, err := c.PrepareContext(t.Context(), "SET @@xaproxy_commit_key = ?")
		check(t, err)
		_, err = set.ExecContext(t.Context(), k)
		check(t, err)
		c.exec("INSERT INTO accounts (id, v) VALUES (1, 0), (2, 0)", "COMMIT")
		if got := c.outcome(k); got != "committed" {
			t.Errorf("outcome %q", got)
		}
		if _, err := set.ExecContext(t.Context(), k); err == nil || !strings.Contains(err.Error(), "20042") {
			t.Errorf("the key again: %v", err)
		}
	})
}

// TestCommitKeyRefused: whoever is told that a key is taken has no transaction any more. Drivers read that from the SQLSTATE, and would
// write without a key into one that is still open.
func TestCommitKeyRefused(t *testing.T) {
	eachStore(t, func(t *testing.T, s *stack) {
		first, c, probe := s.conn(), s.conn(), s.conn()
		k, done := s.key("k"), s.key("done")
		first.exec("SET @@xaproxy_commit_key = '"+done+"'", "BEGIN", "INSERT INTO accounts (id, v) VALUES (1, 0), (2, 0)", "COMMIT")
		ended := func(what string) {
			t.Helper()
			c.exec("UPDATE accounts SET v = v + 1 WHERE id = 1")
			probe.exec("SET innodb_lock_wait_timeout = 1", "UPDATE accounts SET v = 0 WHERE id = 1") // nobody holds the row
			if got := c.rows("SELECT @@autocommit, @@xaproxy_commit_key"); got != "1,NULL" {
				t.Errorf("%s: %s", what, got)
			}
		}
		c.exec("SET @@xaproxy_commit_key = '"+k+"'", "BEGIN")
		first.exec("SET @@xaproxy_commit_key = '"+k+"'", "BEGIN", "UPDATE accounts SET v = 5 WHERE id = 2")
		if e := c.fails(20043, "UPDATE accounts SET v = 6 WHERE id = 2"); !strings.Contains(e, "this one is rolled back") {
			t.Error(e)
		}
		ended("the first statement")
		for what, q := range map[string]string{
			"one on several backends": "UPDATE accounts SET v = 6 WHERE id IN (1, 2)",
			"a scatter":               "SELECT * FROM accounts",
			"a join of all":           "SELECT * FROM accounts a JOIN accounts b ON a.v = b.id",
		} {
			first.exec("ROLLBACK")
			c.exec("SET @@xaproxy_commit_key = '"+k+"'", "BEGIN")
			first.exec("SET @@xaproxy_commit_key = '"+k+"'", "BEGIN", "UPDATE accounts SET v = 5 WHERE id = 2")
			c.fails(20043, q)
			ended(what)
		}
		c.exec("BEGIN")
		c.fails(20043, "SET @@xaproxy_commit_key = '"+k+"'")
		ended("SET")
		c.fails(20043, "BEGIN /* xaproxy: commit_key="+k+" */")
		ended("BEGIN")
		c.exec("BEGIN")
		c.fails(20042, "SET @@xaproxy_commit_key = '"+done+"'")
		ended("SET of what is done")
		first.exec("COMMIT")
	})
}

// TestOutcomePrepared: what became of a key can be asked with prepared statements. They ask when they are executed, each time.
func TestOutcomePrepared(t *testing.T) {
	eachStore(t, func(t *testing.T, s *stack) {
		c, other := s.conn(), s.conn()
		k, l := s.key("k"), s.key(`l'"\`)
		c.exec("SET @@xaproxy_commit_key = '"+k+"'", "BEGIN", "INSERT INTO accounts (id, v) VALUES (1, 0), (2, 0)")
		bound, err := other.PrepareContext(t.Context(), "SELECT xaproxy_outcome(?), ?, xaproxy_outcome(?) AS second")
		check(t, err)
		written, err := other.PrepareContext(t.Context(), "SELECT xaproxy_outcome('"+k+"')")
		check(t, err)
		other.exec("PREPARE p FROM 'SELECT xaproxy_outcome(?)'", "SET @k = '"+k+"'")
		ask := func(want string) {
			t.Helper()
			var first, second, only string
			var n int
			check(t, bound.QueryRowContext(t.Context(), k, 7, l).Scan(&first, &n, &second))
			if first != want || second != "rolled back" || n != 7 {
				t.Errorf("bound: %q, %d, %q; want %q", first, n, second, want)
			}
			check(t, written.QueryRowContext(t.Context()).Scan(&only))
			if only != want {
				t.Errorf("in the text: %q, want %q", only, want)
			}
			if got := other.rows("EXECUTE p USING @k"); got != want {
				t.Errorf("EXECUTE: %q, want %q", got, want)
			}
			if got := other.rows("SELECT xaproxy_outcome('" + k + "')"); got != want {
				t.Errorf("text: %q, want %q", got, want)
			}
		}
		ask("in progress")
		c.exec("COMMIT")
		ask("committed")
		if err := bound.QueryRowContext(t.Context(), nil, 7, l).Err(); err == nil || !strings.Contains(err.Error(), "the commit key must be a string") {
			t.Errorf("NULL: %v", err)
		}
	})
}

// TestOutcomePreparedAsksNobody: preparing a question ends no transaction of another proxy, asking it does.
func TestOutcomePreparedAsksNobody(t *testing.T) {
	s := newStack(t, []servers.Kind{servers.MariaDB, servers.MySQL}, participants)
	k := s.key("k")
	fences := func() (n string) {
		for i := range s.servers {
			n += s.on(i, "SELECT COUNT(*) FROM xaproxy.xaproxy_decision WHERE commit_key = '"+k+"'")
		}
		return n
	}
	ask, err := s.conn().PrepareContext(t.Context(), "SELECT xaproxy_outcome('"+k+"')")
	check(t, err)
	if got := fences(); got != "00" {
		t.Errorf("fences after PREPARE: %s", got)
	}
	var told string
	check(t, ask.QueryRowContext(t.Context()).Scan(&told))
	if got := fences(); told != "rolled back" || got == "00" {
		t.Errorf("%s, fences after EXECUTE: %s", told, got)
	}
}

// TestCommitKeyAsked: who is told that a key is rolled back is told the truth, whatever has begun by then.
func TestCommitKeyAsked(t *testing.T) {
	eachStore(t, func(t *testing.T, s *stack) {
		c, other := s.conn(), s.conn()
		k := s.key("k")
		c.exec("SET @@xaproxy_commit_key = '"+k+"'", "BEGIN")
		told := other.outcome(k)
		c.exec("INSERT INTO accounts (id, v) VALUES (1, 0), (2, 0)")
		_, err := c.ExecContext(t.Context(), "COMMIT")
		if told == "rolled back" && err == nil {
			t.Error("it committed after its outcome was told to be a rollback")
		}
		if told := other.outcome(k); told != "committed" && err == nil {
			t.Errorf("outcome %s", told)
		}
	})
}

// TestKeyDeciders: keys are spread over the deciders, and a further one takes over its share only.
func TestKeyDeciders(t *testing.T) {
	p := func(deciders ...string) []string {
		s := newDeciders(t, deciders...)
		var all []string
		for i := range 3000 {
			all = append(all, s.KeyDecider(fmt.Sprintf("order-%d", i)))
		}
		return all
	}
	two, three := p("a", "b"), p("b", "a", "c")
	count := map[string]int{}
	for i, d := range three {
		count[d]++
		if d != "c" && d != two[i] {
			t.Fatalf("order-%d moves from %s to %s", i, two[i], d)
		}
	}
	for _, name := range []string{"a", "b", "c"} {
		if count[name] < 850 || count[name] > 1150 {
			t.Errorf("%s has %d of 3000 keys", name, count[name])
		}
	}
	if want := []string{two[0], two[1], two[2]}; !slices.Equal(p("a", "b")[:3], want) {
		t.Error("not stable")
	}
}

func newDeciders(t *testing.T, deciders ...string) *participant.Store {
	t.Helper()
	s, err := participant.New(participant.Options{Deciders: deciders})
	check(t, err)
	return s
}
