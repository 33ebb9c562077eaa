package admin

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/config"
)

// fixed is a Source that a test sets up.
type fixed struct {
	stopping bool
	backends []Backend
}

func (f *fixed) Stopping() bool      { return f.stopping }
func (f *fixed) Snapshot() Snapshot  { return Snapshot{} }
func (f *fixed) Backends() []Backend { return f.backends }

func listen(t *testing.T, c config.Admin, source Source) *Server {
	t.Helper()
	return listenWith(t, Options{Config: c, Source: source})
}

func listenWith(t *testing.T, o Options) *Server {
	t.Helper()
	o.Config.Listen, o.Logger = "127.0.0.1:0", zerolog.Nop()
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask returns the status and the text of an answer.
func (s *Server) ask(t *testing.T, path, host, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr.String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Host = host; token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
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
	return w.StatusCode, string(text)
}

// Readiness is about whether clients should come here; the reasons are for who may know them.
func TestReady(t *testing.T) {
	up, down := Backend{Name: "up"}, Backend{Name: "low", Down: "refused"}
	const token = "0123456789abcdef"
	for _, c := range []struct {
		name, path string
		source     fixed
		token      string
		status     int
		text       string
	}{
		{"all up", "/readyz", fixed{backends: []Backend{up, up}}, token, 200, "ready\n"},
		{"one down", "/readyz", fixed{backends: []Backend{up, down}}, token, 200, "ready\nbackend low: refused\n"},
		{"one down where all count", "/readyz?backends=all", fixed{backends: []Backend{up, down}}, token, 503, "not ready\nbackend low: refused\n"},
		{"all down", "/readyz", fixed{backends: []Backend{down}}, token, 503, "not ready\nbackend low: refused\n"},
		{"stopping", "/readyz", fixed{stopping: true, backends: []Backend{up}}, token, 503, "not ready\nstopping: no new clients are taken\n"},
		{"without a token", "/readyz", fixed{backends: []Backend{down}}, "", 503, "not ready\n"},
		{"with another token", "/readyz", fixed{backends: []Backend{down}}, token + "x", 503, "not ready\n"},
		{"health", "/healthz", fixed{stopping: true}, "", 200, "ok\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := listen(t, config.Admin{Token: token}, &c.source)
			if status, text := s.ask(t, c.path, "", c.token); status != c.status || text != c.text {
				t.Errorf("%d %q, want %d %q", status, text, c.status, c.text)
			}
		})
	}
}

// Who may know everything: with a token who says it, with authorities who shows a certificate, with neither who asks for an address.
func TestAccess(t *testing.T) {
	request := func(host, authorization string, certificate bool) *http.Request {
		r := &http.Request{Host: host, Header: http.Header{}}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if certificate {
			r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
		}
		return r
	}
	open, token, authority := config.Admin{}, config.Admin{Token: "0123456789abcdef"}, config.Admin{TLSClientCA: "ca.pem"}
	for _, c := range []struct {
		name   string
		config config.Admin
		r      *http.Request
		want   bool
	}{
		{"open, by address", open, request("127.0.0.1:9307", "", false), true},
		{"open, by address of IPv6", open, request("[::1]:9307", "", false), true},
		{"open, by localhost", open, request("localhost", "", false), true},
		{"open, by a name that leads here", open, request("rebound.example:9307", "", false), false},
		{"token", token, request("x", "Bearer 0123456789abcdef", false), true},
		{"wrong token", token, request("127.0.0.1", "Bearer 0123456789abcdeg", false), false},
		{"no token", token, request("127.0.0.1", "", false), false},
		{"another scheme", token, request("127.0.0.1", "Basic 0123456789abcdef", false), false},
		{"certificate in place of the token", token, request("x", "", true), true},
		{"certificate", authority, request("x", "", true), true},
		{"no certificate", authority, request("127.0.0.1", "", false), false},
		{"no certificate, and an empty token", authority, request("127.0.0.1", "Bearer ", false), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Server{}
			s.Configure(c.config)
			if got := s.admits(c.r); got != c.want {
				t.Errorf("admitted: %t", got)
			}
		})
	}
}

// Those who connect and say nothing, as many as like, are closed, and others are answered.
func TestSilentCallers(t *testing.T) {
	s := listen(t, config.Admin{}, &fixed{backends: []Backend{{Name: "b"}}})
	silent := make([]net.Conn, 2*maxConns)
	for i := range silent {
		var err error
		if silent[i], err = net.Dial("tcp", s.addr.String()); err != nil {
			t.Fatal(err)
		}
		defer silent[i].Close()
	}
	closed := 0
	for _, c := range slices.Backward(silent) { // the last ones first, which are closed by now or soon
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == io.EOF || err != nil && strings.Contains(err.Error(), "reset") {
			closed++
		}
	}
	if closed < maxConns/2 || closed > maxConns {
		t.Errorf("%d of %d connections were closed at once, want those beyond %d", closed, len(silent), maxConns)
	}
	for end := time.Now().Add(3 * patience); ; {
		w, err := http.Get("http://" + s.addr.String() + "/healthz")
		if err == nil {
			_ = w.Body.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
