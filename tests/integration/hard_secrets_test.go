package integration

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/proxytest"
	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// heardConn is a connection that keeps what it has read.
type heardConn struct {
	net.Conn
	heard bytes.Buffer
}

func (c *heardConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.heard.Write(p[:n])
	return n, err
}

// refusedLogin tries a password that is wrong, and returns the shape of what the proxy answered, and how long it took.
func refusedLogin(t *testing.T, addr, user, password string) (shape string, took time.Duration) {
	t.Helper()
	var c *heardConn
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Logger = user, password, &mysql.NopLogger{}
	cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		nc, err := net.Dial("tcp", addr)
		c = &heardConn{Conn: nc}
		return c, err
	}
	connector, err := mysql.NewConnector(cfg)
	check(t, err)
	begun := time.Now()
	_, err = connector.Connect(t.Context())
	took = time.Since(begun)
	var said *mysql.MySQLError
	if !errors.As(err, &said) || said.Number != 1045 {
		t.Fatalf("login of %s: %v", user, err)
	}
	for heard := c.heard.Bytes(); len(heard) > 4; {
		n := int(heard[0]) | int(heard[1])<<8
		p := heard[4 : 4+n]
		if heard[3] > 0 { // behind the greeting
			if p[0] == 0xfe { // a switch: its salt differs each time
				p = bytes.SplitAfter(p, []byte{0})[0]
			}
			if p[0] == 1 && n > 10 {
				p = p[:20] // a key
			}
			shape += fmt.Sprintf("%d %q; ", n, strings.ReplaceAll(string(p), user, "USER"))
		}
		heard = heard[4+n:]
	}
	return shape, took
}

// TestUsersCannotBeGuessed: a login with a user that does not exist looks like one of a user that does, whose password is wrong:
// the same steps, the same error, the same time. That holds for each kind of account, each time, and after a restart.
func TestUsersCannotBeGuessed(t *testing.T) {
	t.Parallel()
	const password = "p4ss-w0rd"
	my := servertest.Get(t, servers.MySQL)
	known := []string{"plain1", "sha2_1", "oldone", "sha2_2"}
	sha2, other, native := storedHash(t, my, password), storedHash(t, my, "other"), nativeHash(t, password)
	start := func() *stack {
		return newStack(t, []servers.Kind{servers.MySQL}, func(c *config.Config) { // its greeting tells all kinds apart
			c.Server.LoginFailures = 0
			c.Users = []config.User{
				{Name: "plain1", Password: password},
				{Name: "sha2_1", PasswordHash: config.Secret(sha2)},
				{Name: "oldone", PasswordHash: config.Secret(native)},
				{Name: "sha2_2", PasswordHash: config.Secret(other)},
			}
			for i := range c.Users {
				if digits, ok := strings.CutPrefix(c.Users[i].PasswordHash.Reveal(), "0x"); ok {
					raw, err := hex.DecodeString(digits)
					check(t, err)
					c.Users[i].PasswordHash = config.Secret(raw)
				}
			}
		})
	}
	s := start()
	shapes := map[string][]string{} // users by shape
	for _, user := range known {
		shape, _ := refusedLogin(t, s.addr, user, "wrong")
		shapes[shape] = append(shapes[shape], user)
	}
	if len(shapes) != 3 {
		t.Fatalf("three kinds of accounts have %d shapes: %q", len(shapes), shapes)
	}
	strangers := map[string][]string{}
	for i := range 24 {
		name := fmt.Sprintf("nobd%02d", i)
		shape, _ := refusedLogin(t, s.addr, name, "wrong")
		if shapes[shape] == nil {
			t.Errorf("%s, who does not exist: %s", name, shape)
		}
		strangers[shape] = append(strangers[shape], name)
		for _, tried := range []string{"wrong", password, "other"} { // the password of whose account stands in does not help
			if again, _ := refusedLogin(t, s.addr, name, tried); again != shape {
				t.Errorf("%s: first %s, then %s", name, shape, again)
			}
		}
	}
	if len(strangers) != len(shapes) {
		t.Errorf("strangers have %d of %d shapes: a kind that only users have tells them", len(strangers), len(shapes))
	}
	for shape, users := range shapes { // in turns, so that a busy machine slows both
		const tries = 40
		var real, unreal []time.Duration
		for range tries {
			_, a := refusedLogin(t, s.addr, users[0], "wrong")
			_, b := refusedLogin(t, s.addr, strangers[shape][0], "wrong")
			real, unreal = append(real, a), append(unreal, b)
		}
		slices.Sort(real)
		slices.Sort(unreal)
		if a, b := real[tries/8], unreal[tries/8]; 2*a > 3*b || 2*b > 3*a {
			t.Errorf("%s: %s for user %s, %s for one who does not exist", shape, a, users[0], b)
		}
	}
	restarted := start()
	for shape, of := range strangers {
		for _, name := range of {
			if after, _ := refusedLogin(t, restarted.addr, name, "wrong"); after != shape {
				t.Errorf("%s: %s, after a restart %s", name, shape, after)
			}
		}
	}
}

// TestSecretsStayOut: no password, and no hash of one, is in what the program writes, at the level debug, whatever goes wrong.
func TestSecretsStayOut(t *testing.T) {
	server, my := servertest.Get(t, servers.MariaDB), servertest.Get(t, servers.MySQL)
	schema := servertest.Database(t, server)
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "filed"), []byte("filed-secret\n"), 0o600))
	t.Setenv("XAPROXY_TEST_SECRET", "environment-secret")
	hash := storedHash(t, my, "hashed-secret")
	secrets := []string{
		proxytest.Password, "filed-secret", "environment-secret", "hashed-secret", hash[2:], nativeHash(t, "hashed-secret"), "typed-secret", "backend-secret",
		"statement-secret", server.Password,
	}
	good, bad := proxytest.On("good", server), proxytest.On("bad", my)
	bad.Addr, bad.Password = "127.0.0.1:1", "backend-secret" // not reached at the start, or the proxy would not start
	p := proxytest.Run(t, proxytest.Options{
		Backends: []proxytest.Backend{good, bad}, Schemas: []config.Schema{{Name: schema, Backend: "good"}, {Name: "elsewhere", Backend: "bad"}},
		Users: []string{
			fmt.Sprintf("name = \"filed\"\npassword_file = %q", filepath.Join(dir, "filed")), "name = \"env\"\npassword_env = \"XAPROXY_TEST_SECRET\"",
			fmt.Sprintf("name = \"sha2\"\npassword_hash = %q", hash), fmt.Sprintf("name = \"native\"\npassword_hash = %q", nativeHash(t, "hashed-secret")),
		},
	})
	for user, password := range map[string]string{
		proxytest.User: proxytest.Password, "filed": "filed-secret", "env": "environment-secret", "sha2": "hashed-secret", "native": "hashed-secret",
	} {
		for range 2 {
			c, _, err := (&wire.Dialer{Addr: p.Addr, User: user, Password: password, Schema: schema, Timeout: time.Minute}).Dial(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", user, err)
			}
			client := &raw{t, c, 0}
			for _, q := range []string{
				"SELECT 'statement-secret' FROM absent", "SELEC 'statement-secret'", "SET PASSWORD = 'statement-secret'", "CREATE USER x IDENTIFIED BY 'statement-secret'",
				"SET @x = 'statement-secret'", "SELECT 'statement-secret' FROM elsewhere.t", "SELECT 'statement-secret', SLEEP(0)", "BEGIN", "SELECT @x",
			} {
				_, err := client.ask(q)
				if err != nil && errno(err) == 0 {
					t.Fatal(err)
				}
			}
			check(t, c.Close()) // in mid-transaction
		}
		for _, wrong := range []string{"typed-secret", ""} {
			_, _, err := (&wire.Dialer{Addr: p.Addr, User: user, Password: wrong, Timeout: time.Minute}).Dial(t.Context())
			if errno(err) != 1045 || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s with %q: %v", user, wrong, err)
			}
		}
	}
	run := func(args ...string) string {
		cmd := exec.Command(p.Binary(), args...)
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput() // whether it succeeds does not matter here
		return string(out)
	}
	outputs := map[string]string{
		"check": run("check", "--config", p.ConfigPath()), "status": run("status", "--config", p.ConfigPath()), "status as JSON": run("status", "--json", "--config", p.ConfigPath()),
		"recover": run("recover", "--config", p.ConfigPath()),
	}
	text, err := os.ReadFile(p.ConfigPath())
	check(t, err)
	for name, broken := range map[string]string{
		"an unknown key":   strings.ReplaceAll(string(text), "password", "pasword"),
		"no quotes":        strings.ReplaceAll(string(text), `"`, ``),
		"a wrong kind":     strings.ReplaceAll(string(text), "kind", "password"),
		"a broken string":  strings.Replace(string(text), "secret\"", "secret", 1),
		"a wrong hash":     strings.ReplaceAll(string(text), "password = ", "password_hash = "),
		"one in its place": strings.ReplaceAll(string(text), "listen", "password"),
	} {
		path := filepath.Join(dir, "broken.toml")
		check(t, os.WriteFile(path, []byte(broken), 0o600))
		outputs["check of "+name] = run("check", "--config", path)
		outputs["serve with "+name] = run("serve", "--config", path)
		if !strings.Contains(outputs["check of "+name], "mistake") {
			t.Errorf("%s is no mistake: %s", name, outputs["check of "+name])
		}
	}
	check(t, p.Stop())
	outputs["log"] = strings.Join(p.Log.Grep(), "\n")
	if !strings.Contains(outputs["log"], "session ended") || !strings.Contains(outputs["log"], "backend cannot be checked") {
		t.Error("the log has not what it must have for this test to show anything")
	}
	for name, out := range outputs {
		for _, secret := range secrets {
			for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))} {
				if i := strings.Index(strings.ToLower(out), strings.ToLower(form)); i >= 0 {
					t.Errorf("%s shows a secret: %s", name, out[max(0, i-200):min(len(out), i+100)])
				}
			}
		}
	}
}
