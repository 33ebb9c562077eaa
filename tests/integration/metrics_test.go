package integration

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/xa"
)

// scraped are metrics by their names with labels, as the text format has them.
type scraped map[string]float64

func (w *watched) scrape() scraped {
	w.t.Helper()
	status, text := w.get("/metrics", adminToken)
	if status != http.StatusOK {
		w.t.Fatalf("/metrics: %d %s", status, text)
	}
	if strings.Contains(text, adminToken) || strings.Contains(text, proxytest.Password) {
		w.t.Error("a secret is among the metrics")
	}
	all := make(scraped)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "} "); ok && !strings.HasPrefix(name, "#") {
			all[name+"}"], _ = strconv.ParseFloat(value, 64)
		} else if name, value, ok := strings.Cut(lines.Text(), " "); ok && name != "#" {
			all[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	return all
}

// grew waits until the metrics have grown by exactly so much since before; what is counted after the answer is there a moment later.
func (w *watched) grew(before scraped, want scraped) {
	w.t.Helper()
	var wrong []string
	differs := func() bool {
		now := w.scrape()
		wrong = wrong[:0]
		for name, by := range want {
			if got := now[name] - before[name]; got != by {
				wrong = append(wrong, fmt.Sprintf("%s has grown by %v, want %v", name, got, by))
			}
		}
		return len(wrong) > 0
	}
	for end := time.Now().Add(5 * time.Second); differs(); {
		if time.Now().After(end) {
			w.t.Error(strings.Join(wrong, "\n"))
			return
		}
	}
}

// Known work is in the metrics, with exactly these numbers.
func TestMetrics(t *testing.T) {
	t.Parallel()
	my := ownServer(t, servers.MySQL)
	w := newWatched(t, []*servers.Server{my, servertest.Get(t, servers.MariaDB)}, func(o *proxytest.Options) {
		o.RecoveryInterval = time.Hour // recovery comes when it is told to
	})
	c := w.conn(proxytest.User, proxytest.Password)
	c.exec("SELECT v FROM accounts WHERE id = 1")
	before := w.scrape()
	if before[`xaproxy_backend_up{backend="b0"}`] != 1 || before["xaproxy_ready"] != 1 || before["xaproxy_clients"] != 1 || before[`xaproxy_pool_size{backend="b0"}`] == 0 {
		t.Errorf("what is at rest: %v", before)
	}
	statement := func(kind, plan string) string {
		return fmt.Sprintf("xaproxy_statements_total{kind=%q,plan=%q}", kind, plan)
	}
	ended := func(outcome string, branches int) string {
		return fmt.Sprintf("xaproxy_transactions_total{branches=\"%d\",outcome=%q}", branches, outcome)
	}
	phase := func(name string) string {
		return fmt.Sprintf("xaproxy_transaction_phase_duration_seconds_count{phase=%q}", name)
	}

	c.exec("SELECT v FROM accounts WHERE id = 2", "SELECT v FROM accounts WHERE id = 3") // of a known shape
	c.exec("SELECT v FROM accounts ORDER BY id")
	w.grew(before, scraped{
		statement("select", "one_backend"): 2, statement("select", "stream"): 1, `xaproxy_statement_duration_seconds_count{kind="select"}`: 3,
		`xaproxy_plan_cache_lookups_total{result="hit"}`: 2, `xaproxy_plan_cache_lookups_total{result="miss"}`: 1,
	})
	before = w.scrape()
	c.exec("BEGIN", "INSERT INTO accounts VALUES (2, 1)", "COMMIT")
	c.exec("BEGIN", "INSERT INTO accounts VALUES (4, 1)", "INSERT INTO accounts VALUES (5, 1)", "COMMIT")
	c.exec("BEGIN", "INSERT INTO accounts VALUES (6, 1)", "INSERT INTO accounts VALUES (7, 1)", "ROLLBACK")
	w.grew(before, scraped{
		statement("insert", "one_backend"): 5, statement("begin", "session"): 3, statement("commit", "session"): 2, statement("rollback", "session"): 1,
		ended("committed", 1): 1, ended("committed", 2): 1, ended("rolled_back", 2): 1, ended("in_doubt", 2): 0,
		phase("prepare"): 1, phase("decision"): 1, phase("commit"): 1, phase("one_phase"): 1, phase("rollback"): 1,
		"xaproxy_decision_log_sync_duration_seconds_count": 1,
	})

	before = w.scrape()
	for q, errno := range map[string]uint16{
		"CREATE USER x": 1235, "SELEC 1 +": 1064, "SELECT * FROM absent.t": 1049, "UPDATE accounts SET v = 2": 1175, "INSERT INTO accounts VALUES (2, 1)": 1062,
	} {
		c.fails(errno, q)
	}
	w.grew(before, scraped{
		`xaproxy_errors_total{side="backend"}`: 1, `xaproxy_errors_total{side="proxy"}`: 4, `xaproxy_errors_total{side="client"}`: 0,
		`xaproxy_statements_refused_total{reason="unsupported"}`: 1, `xaproxy_statements_refused_total{reason="scatter_writes"}`: 1,
		`xaproxy_statements_refused_total{reason="backend_down"}`: 0,
	})

	long := strings.Repeat("x", 100_000)
	before = w.scrape()
	c.exec("SELECT '" + long + "' FROM accounts WHERE id = 2")
	after := w.scrape()
	for _, name := range []string{
		`xaproxy_client_bytes_total{direction="received"}`, `xaproxy_client_bytes_total{direction="sent"}`,
		`xaproxy_backend_bytes_total{backend="b0",direction="sent"}`, `xaproxy_backend_bytes_total{backend="b0",direction="received"}`,
	} {
		if got := after[name] - before[name]; got < 100_000 || got > 110_000 {
			t.Errorf("%s has grown by %v with 100 kB", name, got)
		}
	}

	// A branch of ours that nobody decides, and that cannot be finished because its server lets nothing commit.
	held := pool(t, my)
	session, err := held.Conn(t.Context())
	check(t, err)
	defer session.Close()
	xid := fmt.Sprintf("'xp1.%s.%x.ffff','b0',%d", w.Coord(), w.Epoch(), xa.FormatID)
	for _, q := range []string{"USE " + w.schema, "XA START " + xid, "INSERT INTO accounts VALUES (100, 1)", "XA END " + xid, "XA PREPARE " + xid, "FLUSH TABLES WITH READ LOCK"} {
		if _, err := session.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	_, _, err = w.Command(t.Context(), "recover")
	check(t, err)
	now := w.scrape()
	if now[`xaproxy_backend_in_doubt_branches{backend="b0"}`] != 1 || now[`xaproxy_backend_prepared_branches{backend="b0"}`] != 1 || now[`xaproxy_backend_in_doubt_branches{backend="b1"}`] != 0 {
		t.Errorf("a branch in doubt: %v on b0, %v on b1", now[`xaproxy_backend_in_doubt_branches{backend="b0"}`], now[`xaproxy_backend_in_doubt_branches{backend="b1"}`])
	}
	_, err = session.ExecContext(t.Context(), "UNLOCK TABLES")
	check(t, err)
	_, _, err = w.Command(t.Context(), "recover")
	check(t, err)
	w.grew(scraped{}, scraped{`xaproxy_backend_in_doubt_branches{backend="b0"}`: 0})
}
