package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

const monitoring = "../../docs/grafana/"

// promtool runs Prometheus' own checks.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		cache, err := servers.CacheDir()
		check(t, err)
		program = filepath.Join(cache, "bin", "promtool")
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %q: %v (tests/setup.sh installs it)\n%s", args, err, out)
	}
}

// expressions are the queries of the dashboard.
func expressions(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile(monitoring + "xaproxy.json")
	check(t, err)
	var board struct {
		Title  string
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, W int }
			Targets []struct{ Expr string }
		}
	}
	check(t, json.Unmarshal(text, &board))
	ids := make(map[int]bool)
	for _, p := range board.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d %q cannot be shown", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			all = append(all, strings.NewReplacer("$__rate_interval", "5m", "$job", "xaproxy", "$instance", ".*").Replace(target.Expr))
		}
	}
	return all
}

// The alerts fire when they should, the queries of the dashboard are ones, and both ask for metrics that there are.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	promtool(t, "", "check", "rules", monitoring+"alerts.yml")
	promtool(t, "", "test", "rules", monitoring+"alerts_test.yml")
	asked := expressions(t)
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, e := range asked {
		fmt.Fprintf(&rules, "  - {record: 'panel:%d', expr: %q}\n", i, e)
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	check(t, os.WriteFile(file, []byte(rules.String()), 0o600))
	promtool(t, "", "check", "rules", file)

	ca := newAuthority(t)
	cert := ca.issue("127.0.0.1", ca.cert.NotAfter)
	w := newWatched(t, []*servers.Server{servertest.Get(t, servers.MySQL), servertest.Get(t, servers.MariaDB)}, func(o *proxytest.Options) {
		o.Server = []string{fmt.Sprintf("tls_cert = %q\ntls_key = %q", cert.cert, cert.key)}
	})
	w.conn(proxytest.User, proxytest.Password).exec("BEGIN", "INSERT INTO accounts VALUES (1, 1)", "COMMIT")
	waitFor(t, "the transaction is among the metrics", func() bool { return w.scrape()[`xaproxy_transactions_total{branches="1",outcome="committed"}`] == 1 })
	_, text := w.get("/metrics", adminToken)
	promtool(t, text, "check", "metrics")
	alerts, err := os.ReadFile(monitoring + "alerts.yml")
	check(t, err)
	page, err := os.ReadFile("../../docs/operating.md")
	check(t, err)
	var named []string
	for _, e := range append(asked, string(alerts)) {
		named = append(named, regexp.MustCompile(`\b(?:xaproxy|process)_[a-z_]+`).FindAllString(e, -1)...)
	}
	slices.Sort(named)
	for _, name := range slices.Compact(named) {
		if !strings.Contains(text, "\n"+name+"{") && !strings.Contains(text, "\n"+name+" ") {
			t.Errorf("%s is asked for, and there is no such metric", name)
		}
	}
	for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(alerts), -1) {
		if !strings.Contains(string(page), "`"+m[1]+"`") {
			t.Errorf("docs/operating.md does not say what to do about %s", m[1])
		}
	}
}
