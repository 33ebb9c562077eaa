package fidelity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// backendUser is the account of the proxy on the servers. Its name is not that of the clients' account, so that whatever
// shows the one instead of the other is found.
const backendUser = "backend"

// begin boots a server and a proxy in front of it.
func begin(t *testing.T, kind servers.Kind) *comparison {
	t.Helper()
	cert, key := certificate(t)
	args := []string{"--max-allowed-packet=64M", "--local-infile=1"}
	if kind == servers.MariaDB { // MySQL makes itself a certificate
		args = append(args, "--ssl-cert="+cert, "--ssl-key="+key)
	}
	server, err := servers.Start(t.Context(), servers.Options{Kind: kind, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	db, err := server.DB()
	if err != nil {
		t.Fatal(err)
	}
	prepare := []string{
		fmt.Sprintf("CREATE USER %s IDENTIFIED BY '%s'", backendUser, server.Password), "GRANT ALL ON *.* TO " + backendUser + " WITH GRANT OPTION",
	}
	if kind == servers.MySQL { // its functions read query attributes
		prepare = append(prepare, "INSTALL COMPONENT 'file://component_query_attributes'")
	}
	for _, q := range prepare {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	b := proxytest.On("b", server)
	b.User = backendUser
	proxy := proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{b}, Schemas: []config.Schema{{Name: schema, Backend: "b"}}, LogLevel: "info",
		Server: []string{fmt.Sprintf("tls_cert = %q\ntls_key = %q", cert, key)},
	})
	return &comparison{
		t: t, kind: kind, server: server, db: db, steps: map[string]bool{}, listed: slices.Concat(differences, races), occurred: map[int]int{},
		direct:  endpoint{server.Addr(), server.User, server.Password, schema},
		proxied: endpoint{proxy.Addr, proxytest.User, proxytest.Password, schema},
	}
}

// certificate makes a self-signed certificate and writes it and its key to files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}
