package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// The account that the demo's clients log in with.
const (
	clientUser     = "demo"
	clientPassword = "demo"
)

const serveTimeout = 20 * time.Second // until the proxy serves

// child is the proxy as a process of its own, in a folder that goes with the first server's.
type child struct {
	addr string
	port int
	dir  string
	tls  *tls.Config // for clients: trusts the certificate that was made for the demo

	process *exec.Cmd
	ended   chan struct{} // closed when the process is gone and its log is read

	mu  sync.Mutex // protects following fields
	log []logLine  // of the present process
}

// logLine is a line of the proxy's log, as far as the demo looks at it.
type logLine struct {
	Message string `json:"message"`
	GTRID   string `json:"gtrid"`
	raw     string
}

// newChild writes the certificate and the configuration. The proxy is not running yet.
func newChild(shards []*shard) (*child, error) {
	c := &child{dir: filepath.Join(shards[0].server.Dir, "proxy")}
	err := os.Mkdir(c.dir, 0o700)
	if err == nil {
		c.port, err = servers.FreePort()
	}
	if err == nil {
		c.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port))
		c.tls, err = writeCertificate(c.dir)
	}
	if err == nil {
		err = os.WriteFile(c.config(), []byte(demoConfig(c.addr, shards)), 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("set the proxy up: %w", err)
	}
	return c, nil
}

func (c *child) config() string { return filepath.Join(c.dir, "config.toml") }

// demoConfig is the configuration of the proxy: the whole of it.
func demoConfig(addr string, shards []*shard) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[server]\nlisten = %q\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\nlog_format = \"json\"\n", addr)
	fmt.Fprintf(&b, "\n[[users]]\nname = %q\npassword = %q\n", clientUser, clientPassword)
	names := make([]string, 0, len(shards))
	for _, s := range shards {
		names = append(names, strconv.Quote(s.name))
		fmt.Fprintf(&b, "\n[[backends]]\nname = %q\nkind = %q\nhost = %q\nport = %d\nuser = %q\npassword = %q\n",
			s.name, s.server.Kind, s.server.Host, s.server.Port, s.server.User, s.server.Password)
		if s.server.Kind == servers.Postgres {
			b.WriteString("database = \"postgres\"\n")
		}
	}
	fmt.Fprintf(&b, "\n[[schemas]]\nname = %q\nbackend = %q\n", schema, shards[0].name)
	for _, table := range [][2]string{{"accounts", "id"}, {"transfers", "account"}} {
		fmt.Fprintf(&b, "\n[[tables]]\nschema = %q\nname = %q\ncolumn = %q\nfunction = \"modulo\"\nbackends = [%s]\n",
			schema, table[0], table[1], strings.Join(names, ", "))
	}
	return b.String()
}

// writeCertificate makes a self-signed certificate for the loopback address and returns what clients need to trust it.
func writeCertificate(dir string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "xaproxy demo"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(7 * 24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name, kind string
		der        []byte
	}{{"cert.pem", "CERTIFICATE", der}, {"key.pem", "PRIVATE KEY", secret}} {
		text := pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der})
		if err := os.WriteFile(filepath.Join(dir, f.name), text, 0o600); err != nil {
			return nil, err
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(cert)
	return &tls.Config{RootCAs: trusted, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}, nil
}

// client is how the demo's clients connect: as any Go program would.
func (c *child) client() *driver.Config {
	d := driver.NewConfig()
	d.Net, d.Addr, d.User, d.Passwd, d.DBName = "tcp", c.addr, clientUser, clientPassword, schema
	d.InterpolateParams, d.TLS = true, c.tls
	d.Logger = &driver.NopLogger{} // that the proxy dies is the point
	return d
}

// start runs the proxy and returns when it serves.
func (c *child) start(ctx context.Context) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program, "serve", "--config", c.config())
	cmd.SysProcAttr = childAttr()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.log = nil
	c.mu.Unlock()
	started, ended, serving := make(chan error), make(chan struct{}), make(chan struct{})
	go func() {
		// The kernel sends the parent-death signal when the thread that forked ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		c.read(stderr, serving)
		_ = cmd.Wait() // a killed process has no other exit status
		close(ended)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start the proxy: %w", err)
	}
	c.process, c.ended = cmd, ended
	limit := time.NewTimer(serveTimeout)
	defer limit.Stop()
	select {
	case <-serving:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-ended:
		return fmt.Errorf("the proxy ended before it served; its log:\n%s", c.text())
	case <-limit.C:
		return fmt.Errorf("the proxy does not serve after %s; its log:\n%s", serveTimeout, c.text())
	}
}

// read keeps the log until the process ends, and closes serving when it says so.
func (c *child) read(stderr io.Reader, serving chan struct{}) {
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		l := logLine{raw: lines.Text()}
		// What is no JSON, such as a panic, is kept as text.
		_ = json.Unmarshal(bytes.TrimSpace(lines.Bytes()), &l)
		c.mu.Lock()
		c.log = append(c.log, l)
		c.mu.Unlock()
		if l.Message == "serving" {
			close(serving)
		}
	}
}

// text is the end of the log.
func (c *child) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, l := range c.log[max(0, len(c.log)-20):] {
		b.WriteString(l.raw + "\n")
	}
	return b.String()
}

// finished waits until the log tells of n branches that recovery has finished, and returns for each transaction what was
// done and why.
func (c *child) finished(ctx context.Context, n int) (byGTRID map[string]string, err error) {
	err = wait(ctx, recoveryTimeout, "the log tells of all branches", func() (bool, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		byGTRID = make(map[string]string)
		branches := 0
		for _, l := range c.log {
			switch l.Message {
			case "branch committed":
				byGTRID[l.GTRID] = "committed: the log has the decision"
			case "branch rolled back":
				byGTRID[l.GTRID] = "rolled back: no decision in the log"
			default:
				continue
			}
			branches++
		}
		return branches >= n, nil
	})
	return byGTRID, err
}

// kill ends the process with SIGKILL and waits until it is gone. It is no error when it is not running.
func (c *child) kill() error {
	if c.process == nil {
		return nil
	}
	if err := c.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill the proxy: %w", err)
	}
	<-c.ended
	return nil
}
