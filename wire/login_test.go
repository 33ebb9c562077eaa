package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

const testPassword = "correct horse"

// testCrypt is a stored hash of testPassword; TestCrypt256 has some that a server made.
var testCrypt = "$A$005$" + "abcdefghijklmnopqrst" + crypt256(testPassword, "abcdefghijklmnopqrst", 5000)

// accountMap finds accounts by name.
type accountMap map[string]*Account

func (m accountMap) Account(user string) (*Account, bool) {
	a, ok := m[user]
	return a, ok
}

func mustHash(t testing.TB, h string) *Account {
	t.Helper()
	a, err := NewAccountHash(h)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func testAccounts(t testing.TB) accountMap {
	native := nativeHash(testPassword)
	return accountMap{
		"plain":  NewAccount(testPassword),
		"empty":  NewAccount(""),
		"native": mustHash(t, fmt.Sprintf("*%X", native)),
		"sha2":   mustHash(t, testCrypt),
	}
}

var testTLS = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})

// clientTLS trusts the certificate of testTLS.
func clientTLS(t testing.TB) *tls.Config {
	cert, err := x509.ParseCertificate(testTLS().Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{RootCAs: pool}
}

// serve runs a server that answers every login with OK and every command with its own bytes as the info of an OK. It
// returns its address, and what Accept returned, one login after the other.
func serve(t testing.TB, network, addr string, s *Server) (string, <-chan accepted) {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan accepted, 16)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { echo(t.Context(), s, nc, results) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return ln.Addr().String(), results
}

type accepted struct {
	login *Login
	err   error
}

func echo(ctx context.Context, s *Server, nc net.Conn, results chan<- accepted) {
	c, l, err := s.Accept(ctx, nc, 7)
	results <- accepted{l, err}
	if err != nil {
		return
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	err = c.WriteOK(OK{Status: StatusAutocommit})
	for err == nil {
		var cmd Command
		var arg []byte
		if cmd, arg, err = c.ReadCommand(); err == nil {
			if cmd == ComChangeUser {
				var next *Login
				if next, err = s.ChangeUser(c, l, arg); err == nil {
					l = next
				}
				results <- accepted{next, err}
				if err != nil {
					return
				}
			}
			err = c.WriteOK(OK{Info: cmd.String() + " " + string(arg), Status: StatusAutocommit})
		}
	}
}

// TestLogins runs both roles against each other: every kind of account, first and second login, plain, TLS and unix.
func TestLogins(t *testing.T) {
	for _, transport := range []string{"plain", "tls", "unix"} {
		for _, user := range []string{"plain", "empty", "native", "sha2"} {
			t.Run(transport+"/"+user, func(t *testing.T) {
				s := &Server{Version: "9.7.0-test", Accounts: testAccounts(t), TLS: testTLS(), RequireTLS: transport == "tls"}
				network, addr := "tcp", "127.0.0.1:0"
				if transport == "unix" {
					network, addr = "unix", t.TempDir()+"/s"
				}
				addr, results := serve(t, network, addr, s)
				d := &Dialer{
					Network: network, Addr: addr, User: user, Password: testPassword, Schema: "shop",
					Attrs: map[string]string{"program_name": "test"}, Caps: FoundRows, Collation: 255, Timeout: time.Minute,
				}
				if user == "empty" {
					d.Password = ""
				}
				if transport == "tls" {
					d.TLS = clientTLS(t)
				}
				for range 2 {
					c, g, err := d.Dial(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					a := <-results
					if a.err != nil {
						t.Fatal(a.err)
					}
					l := a.login
					if l.User != user || l.Schema != "shop" || l.Collation != 255 || l.Attrs["program_name"] != "test" ||
						!l.Caps.Has(FoundRows|MultiStatements|DeprecateEOF) || l.TLS != (transport == "tls") || l.ConnID != 7 {
						t.Errorf("login %+v", l)
					}
					if l.Caps != c.Caps() || g.Version != "9.7.0-test" || g.ConnID != 7 || g.Status != StatusAutocommit {
						t.Errorf("capabilities %b and %b, greeting %+v", l.Caps, c.Caps(), g)
					}
					if err := c.SendCommand(ComQuery, []byte("SELECT "), []byte("1")); err != nil {
						t.Fatal(err)
					}
					r, err := c.ReadResult(0)
					if err != nil || r.OK.Info != "COM_QUERY SELECT 1" {
						t.Errorf("answer %+v, %v", r, err)
					}
					c.Close()
				}
				d.Password = "wrong"
				_, _, err := d.Dial(t.Context())
				var refused *Error
				if !errors.As(err, &refused) || refused.Errno != 1045 || refused.State != "28000" {
					t.Fatalf("wrong password: %v", err)
				}
				if err := (<-results).err; err == nil || strings.Contains(err.Error(), "wrong") {
					t.Errorf("the server's error: %v", err)
				}
			})
		}
	}
}
