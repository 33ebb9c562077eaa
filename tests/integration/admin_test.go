package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

const adminToken = "a-secret-of-the-admin-listener"

// watched is a proxy with an admin listener.
type watched struct {
	*reloaded
	base   string // URL
	client *http.Client
}

func newWatched(t *testing.T, on []*servers.Server, change func(*proxytest.Options)) *watched {
	t.Helper()
	w := &watched{client: &http.Client{Timeout: 20 * time.Second}}
	w.reloaded = newReloaded(t, config.FileStore, on, func(o *proxytest.Options) {
		o.Admin = []string{`listen = "127.0.0.1:0"`, fmt.Sprintf("token = %q", adminToken)}
		o.Users = []string{"name = \"root\"\npassword = \"pw\"\nadmin = true"}
		if change != nil {
			change(o)
		}
	})
	w.base = "http://" + w.adminAddr()
	return w
}

// adminAddr is where the admin listener is, as the log says.
func (w *watched) adminAddr() string {
	w.t.Helper()
	line, err := w.Log.Wait(w.t.Context(), 0, `"message":"admin listener"`)
	check(w.t, err)
	var said struct{ Listen string }
	check(w.t, json.Unmarshal([]byte(line), &said))
	return said.Listen
}

// get asks the admin listener, with the token unless it is "".
func (w *watched) get(path, token string) (status int, text string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.base+path, nil)
	check(w.t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := w.client.Do(r)
	check(w.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	check(w.t, err)
	return answer.StatusCode, string(body)
}

// readiness waits until /readyz answers so with the texts in it.
func (w *watched) readiness(path string, status int, texts ...string) {
	w.t.Helper()
	waitFor(w.t, fmt.Sprintf("%s is %d with %q", path, status, texts), func() bool {
		got, text := w.get(path, adminToken)
		return got == status && !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(text, s) })
	})
}

// A backend that goes away, and comes back, is seen by who asks whether the proxy is ready; so is its end.
func TestReadiness(t *testing.T) {
	t.Parallel()
	away := ownServer(t, servers.MariaDB)
	w := newWatched(t, []*servers.Server{servertest.Get(t, servers.MySQL), away}, func(o *proxytest.Options) { o.Server = []string{`drain_timeout = "1m"`} })
	if status, text := w.get("/healthz", ""); status != 200 || text != "ok\n" {
		t.Errorf("/healthz: %d %q", status, text)
	}
	w.readiness("/readyz?backends=all", 200, "ready\n")
	check(t, away.Kill())
	w.readiness("/readyz?backends=all", 503, "not ready\n", "backend b1: ")
	w.readiness("/readyz", 200, "ready\n", "backend b1: ")
	if status, text := w.get("/readyz?backends=all", ""); status != 503 || text != "not ready\n" {
		t.Errorf("without the token: %d %q", status, text)
	}
	check(t, away.Restart(t.Context()))
	w.readiness("/readyz?backends=all", 200, "ready\n")

	open := w.conn(proxytest.User, proxytest.Password)
	open.exec("BEGIN", "INSERT INTO accounts VALUES (2, 1)")
	check(t, w.Signal(syscall.SIGTERM))
	w.readiness("/readyz", 503, "not ready\n", "stopping")
	open.exec("COMMIT")
}

// Whatever an administrator does is written down with who it was, and so is what was refused; with log_level = "error" too. The token is nowhere.
func TestAudit(t *testing.T) {
	t.Parallel()
	w := newWatched(t, []*servers.Server{servertest.Get(t, servers.MySQL), servertest.Get(t, servers.MariaDB)}, nil)
	check(t, w.Rewrite(func(o *proxytest.Options) { o.LogLevel = "error" }))
	root := w.conn("root", "pw")
	command := func(args ...string) {
		t.Helper()
		_, _, err := w.Command(t.Context(), args...)
		check(t, err)
	}
	audited := func(texts ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := w.Log.Wait(ctx, 0, append(texts, `"message":"admin action"`)...); err != nil {
			t.Error(err)
		}
	}
	command("reload")
	audited(`"audit":"reload"`, `"by":"control socket"`, `"done":true`)
	command("reload", "--dry-run")
	audited(`"audit":"reload --dry-run"`, `"by":"control socket"`)
	check(t, w.Signal(syscall.SIGHUP))
	audited(`"audit":"reload"`, `"by":"SIGHUP"`)
	root.exec("XAPROXY RELOAD")
	audited(`"audit":"reload"`, `"by":"root@127.0.0.1:`, `"done":true`)
	check(t, w.Rewrite(func(o *proxytest.Options) { o.Decision = append(o.Decision, `commit_wait = "1s"`) }))
	command("reload")
	audited(`"audit":"reload"`, `"done":false`, "decision.commit_wait")
	command("recover", "--dry-run")
	audited(`"audit":"recover --dry-run"`, `"by":"control socket"`)
	command("recover")
	audited(`"audit":"recover"`, `"done":true`)
	command("recover", "resolve", "xp1.00000000.1.1", "--commit", "--force", "--yes")
	command("ddl", "abandon", "4711", "--force")
	audited(`"audit":"ddl abandon 4711"`, `"by":"control socket (`, `"done":false`, `"refused":"`)
	command("ddl", "resume", "4711")
	audited(`"audit":"ddl resume 4711"`, `"done":false`)
	const wrong = "not-the-token-but-as-long"
	if status, text := w.get("/readyz", wrong); status != 200 || text != "ready\n" {
		t.Errorf("with a wrong token: %d %q", status, text)
	}
	if status, text := w.get("/live", adminToken); status != 200 || !strings.Contains(text, "/readyz\n") {
		t.Errorf("/live: %d %q", status, text)
	}
	if status, text := w.get("/live", wrong); status != 401 || strings.Contains(text, "/readyz") {
		t.Errorf("/live with a wrong token: %d %q", status, text)
	}
	audited(`"audit":"refused"`, `"by":"127.0.0.1:`)
	for _, line := range w.Log.Grep(adminToken, wrong) {
		t.Errorf("a token is in the log: %s", line)
	}
}

// The admin listener speaks TLS, takes a certificate of its authority in place of the token, and shows a new certificate without a restart.
func TestAdminTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	old := ca.issue("127.0.0.1", time.Time{})
	w := newWatched(t, []*servers.Server{servertest.Get(t, servers.MySQL), servertest.Get(t, servers.MariaDB)}, func(o *proxytest.Options) {
		o.Admin = []string{
			`listen = "127.0.0.1:0"`, fmt.Sprintf("tls_cert = %q", old.cert), fmt.Sprintf("tls_key = %q", old.key), fmt.Sprintf("tls_client_ca = %q", ca.file),
		}
	})
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	t1 := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	w.base = "https://" + w.adminAddr()
	w.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: t1, DisableKeepAlives: true}}
	if status, _ := w.get("/healthz", ""); status != 200 {
		t.Errorf("/healthz: %d", status)
	}
	with := t1.Clone()
	with.Certificates = []tls.Certificate{ca.issue("prometheus", time.Time{}).pair}
	w.client.Transport = &http.Transport{TLSClientConfig: with, DisableKeepAlives: true}
	w.readiness("/readyz", 200, "ready\n")

	fresh := ca.issue("127.0.0.1", time.Now().Add(2*time.Hour))
	for from, to := range map[string]string{fresh.cert: old.cert, fresh.key: old.key} {
		text, err := os.ReadFile(from)
		check(t, err)
		check(t, os.WriteFile(to, text, 0o600))
	}
	waitFor(t, "the new certificate is shown", func() bool {
		c, err := tls.Dial("tcp", strings.TrimPrefix(w.base, "https://"), t1)
		if err != nil {
			return false // in between the files do not belong together
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].NotAfter.After(time.Now().Add(90 * time.Minute))
	})
}
