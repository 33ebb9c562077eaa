package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/admin/live"
	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/metric"
)

// crowded is a live.Source with more transactions than are shown, of which some are in each of two states.
type crowded struct{ live.Source }

func (crowded) Backends() []live.Backend             { return []live.Backend{{Name: "a", State: "up"}} }
func (crowded) Pools() []live.Pool                   { return nil }
func (crowded) SlowStatements() []live.SlowStatement { return nil }
func (crowded) Events() []live.Event                 { return nil }

func (crowded) Transactions() (all []live.Transaction) {
	for i := range 3 * shownRows {
		all = append(all, live.Transaction{State: []string{"active", "active", "committing"}[i%3]})
	}
	return all
}

func (crowded) Branches() []live.Branch {
	return []live.Branch{{GTRID: "running"}, {GTRID: "stuck", InDoubt: true}}
}

const secret = "0123456789abcdef"

func startDashboard(t *testing.T, act Actor) *Server {
	t.Helper()
	return listenWith(t, Options{Config: config.Admin{Token: secret}, Source: &busy{fixed{backends: []Backend{{Name: "a"}}}}, Live: crowded{}, Act: act})
}

// send asks with these headers, given as name and value by turns.
func (s *Server) send(t *testing.T, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.addr.String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w, string(text)
}

// The page is for everybody and loads nothing from elsewhere; what it shows is not, and is bounded, with true numbers.
func TestDashboard(t *testing.T) {
	s := startDashboard(t, nil)
	for _, name := range pages() {
		path := "/" + strings.TrimSuffix(name, "{$}")
		w, text := s.send(t, http.MethodGet, path, "")
		if w.StatusCode != http.StatusOK || w.Header.Get("Content-Security-Policy") != policy || w.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s %v", path, w.Status, w.Header)
		}
		for _, word := range []string{"//", "onclick=", "style=", "innerHTML", "eval("} {
			text := strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "") // a name, which nobody loads
			if kind := w.Header.Get("Content-Type"); strings.Contains(text, word) && (word != "//" || !strings.HasPrefix(kind, "text/javascript")) {
				t.Errorf("%s has %s in it", path, word)
			}
		}
	}
	if w, _ := s.send(t, http.MethodGet, "/dashboard.json", ""); w.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %s", w.Status)
	}
	w, text := s.send(t, http.MethodGet, "/dashboard.json", "", "Authorization", "Bearer "+secret)
	var got dashboard
	if err := json.Unmarshal([]byte(text), &got); err != nil || w.StatusCode != http.StatusOK {
		t.Fatal(w.Status, err)
	}
	kinds := int64(8)
	if !got.Ready || got.InDoubt != 1 || got.States["active"] != 2*shownRows || got.States["committing"] != shownRows || got.Statements != 24e9 ||
		len(got.Took) != 79 || got.Took[0] != [2]int64{metric.First + 41, kinds * 1000} {
		t.Errorf("%+v", got)
	}
	if x := got.Tables["transactions"]; x.All != 3*shownRows || len(x.Rows) != shownRows {
		t.Errorf("%d of %d transactions", len(x.Rows), x.All)
	}
	if x := got.Tables["branches"]; len(x.Rows) != 1 || x.Rows[0]["gtrid"] != "stuck" {
		t.Errorf("in doubt: %v", x.Rows)
	}
	if x := got.Tables["backends"]; len(x.Rows) != 1 || x.Rows[0]["state"] != "up" {
		t.Errorf("backends: %v", x.Rows)
	}
}

// An action is carried out for who may have it done, asks for it in the right form, and is not the page of somebody else.
func TestAct(t *testing.T) {
	var done []Action
	s := startDashboard(t, func(_ context.Context, a Action, by string) (string, error) {
		if !strings.HasPrefix(by, "dashboard@127.0.0.1:") {
			t.Errorf("by %s", by)
		}
		switch a.Name {
		case "fail":
			return "", errors.New("in vain")
		case "recover":
			done = append(done, a)
			return "looked", nil
		}
		return "", ErrAction
	})
	token, form := []string{"Authorization", "Bearer " + secret}, []string{"Content-Type", "application/json"}
	for _, c := range []struct {
		name, method, body string
		headers            [][]string
		status             int
		said               string
	}{
		{"as it should be", "POST", `{"action":"recover"}`, [][]string{token, form}, 200, `"said":"looked"`},
		{"from the page itself", "POST", `{"action":"recover"}`, [][]string{token, form, {"Sec-Fetch-Site", "same-origin"}}, 200, ""},
		{"in vain", "POST", `{"action":"fail"}`, [][]string{token, form}, 409, "in vain"},
		{"unknown", "POST", `{"action":"dance"}`, [][]string{token, form}, 400, "no action"},
		{"without the token", "POST", `{"action":"recover"}`, [][]string{form}, 401, ""},
		{"by a form", "POST", `{"action":"recover"}`, [][]string{token, {"Content-Type", "text/plain"}}, 415, ""},
		{"of nothing", "POST", `{"action":"recover"}`, [][]string{token}, 415, ""},
		{"from another site", "POST", `{"action":"recover"}`, [][]string{token, form, {"Sec-Fetch-Site", "cross-site"}}, 403, ""},
		{"from another origin", "POST", `{"action":"recover"}`, [][]string{token, form, {"Origin", "http://elsewhere.example"}}, 403, ""},
		{"with more", "POST", `{"action":"recover","force":true}`, [][]string{token, form}, 400, "force"},
		{"twice", "POST", `{"action":"recover"}{"action":"recover"}`, [][]string{token, form}, 400, "follows"},
		{"too long", "POST", `{"action":"` + strings.Repeat("x", maxAction) + `"}`, [][]string{token, form}, 400, "large"},
		{"by a link", "GET", "", [][]string{token, form}, 405, ""},
	} {
		var headers []string
		for _, h := range c.headers {
			headers = append(headers, h...)
		}
		before := len(done)
		w, text := s.send(t, c.method, "/do", c.body, headers...)
		if w.StatusCode != c.status || !strings.Contains(text, c.said) || (len(done) > before) != (c.status == 200) {
			t.Errorf("%s: %s %q, %d were done", c.name, w.Status, text, len(done)-before)
		}
	}
}

// Who shows a certificate is named by it in what is written down.
func TestAsker(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/do", nil)
	of := &x509.Certificate{Subject: pkix.Name{CommonName: "ada"}}
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{of}}
	if by := asker(r); strings.Contains(by, "ada") {
		t.Errorf("a certificate that nobody has verified counts: %s", by)
	}
	r.TLS.VerifiedChains = [][]*x509.Certificate{{of}}
	if by := asker(r); !strings.HasPrefix(by, "ada (dashboard@") {
		t.Error(by)
	}
}
