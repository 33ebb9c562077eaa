package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/tests/servers"
)

// goodBooks are those of a bank with one transfer of each outcome, and one of an unknown outcome that is there.
func goodBooks() (*bank, []ledger) {
	b := newBank()
	b.note(1, committed)
	b.note(2, rolledBack)
	b.note(3, unknown)
	b.note(4, unknown)
	return b, []ledger{
		{shard: "north", money: startMoney/2 + 12, transfers: map[int64]int64{1: 5, 3: 7}},
		{shard: "south", money: startMoney/2 - 12, transfers: map[int64]int64{1: -5, 3: -7}},
	}
}

// The demo says that nothing is lost or torn only if the audit would have seen it: each fault is planted and must be
// found, and nothing else.
func TestDemoAudit(t *testing.T) {
	for _, c := range []struct {
		name  string
		plant func(b *bank, books []ledger)
		want  string
	}{
		{"nothing", func(*bank, []ledger) {}, ""},
		{"money is gone", func(_ *bank, l []ledger) { l[0].money-- }, "19,999 of 20,000 is there"},
		{"a branch is left", func(_ *bank, l []ledger) { l[1].prepared = 1 }, "1 branch is still prepared on south"},
		{"a balance is wrong", func(_ *bank, l []ledger) { l[0].wrong = 2 }, "2 balances on north not the sum of its transfers"},
		{"half of an acknowledged one", func(_ *bank, l []ledger) { delete(l[1].transfers, 1) }, "1 transfer on one server only, or with different amounts"},
		{"half of an unknown one", func(_ *bank, l []ledger) { l[0].transfers[4] = 1 }, "1 transfer on one server only, or with different amounts"},
		{"different amounts", func(_ *bank, l []ledger) { l[0].transfers[3] = 8 }, "1 transfer on one server only, or with different amounts"},
		{"an acknowledged one is lost", func(_ *bank, l []ledger) { delete(l[0].transfers, 1); delete(l[1].transfers, 1) }, "1 transfer acknowledged, but not there"},
		{"a rolled back one is there", func(_ *bank, l []ledger) { l[0].transfers[2], l[1].transfers[2] = 1, -1 }, "1 transfer reported as rolled back, but there"},
		{"one that nobody made", func(_ *bank, l []ledger) { l[0].transfers[9] = 1 }, "1 transfer there, but made by nobody"},
	} {
		b, books := goodBooks()
		c.plant(b, books)
		if got := strings.Join(b.audit(books), "; "); got != c.want {
			t.Errorf("%s: audit says %q, want %q", c.name, got, c.want)
		}
	}
}

// A client goes on after "rolled back, try again", ends when the proxy is gone, and takes everything else for a fault.
func TestDemoUnexpected(t *testing.T) {
	again := &driver.MySQLError{Number: 1213, SQLState: [5]byte{'4', '0', '0', '0', '1'}}
	refused := &driver.MySQLError{Number: 1235, SQLState: [5]byte{'4', '2', '0', '0', '0'}}
	if err := unexpected(nil); err != nil {
		t.Errorf("no error became %v", err)
	}
	if err := unexpected(again); err != nil {
		t.Errorf("a deadlock became %v", err)
	}
	if err := unexpected(refused); !errors.Is(err, refused) || errors.Is(err, errGone) {
		t.Errorf("a refusal became %v", err)
	}
	if err := unexpected(driver.ErrInvalidConn); !errors.Is(err, errGone) {
		t.Errorf("a broken connection became %v", err)
	}
}

// The configuration that the demo writes is one that serve accepts, with its certificate.
func TestDemoConfig(t *testing.T) {
	c := &child{addr: "127.0.0.1:3307", dir: t.TempDir()}
	if _, err := writeCertificate(c.dir); err != nil {
		t.Fatal(err)
	}
	text := demoConfig(c.addr, []*shard{
		{name: "north", server: &servers.Server{Kind: servers.MariaDB, Host: "127.0.0.1", Port: 1, User: "app", Password: "x"}},
		{name: "south", server: &servers.Server{Kind: servers.MySQL, Host: "127.0.0.1", Port: 2, User: "app", Password: "x"}},
	})
	if err := os.WriteFile(c.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(c.config())
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if got := fmt.Sprintf("%s %s %d %s", cfg.Backends[0].Kind, cfg.Backends[1].Kind, len(cfg.Tables), cfg.Tables[1].Column); got != "mariadb mysql 2 account" {
		t.Errorf("kinds, tables and shard column are %s", got)
	}
}

// Without a terminal there is neither colour nor a cursor movement, and of a live line only the last state stays.
func TestDemoScreenWithoutTerminal(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out)
	s.step("first")
	s.live("10 %s", "per second")
	s.live("20 %s", "per second")
	s.endLive()
	s.say("%s", s.good("done"))
	if want := "\n1. first\n   20 per second\n   done\n"; out.String() != want {
		t.Errorf("screen has %q, want %q", out.String(), want)
	}
}

// On a terminal the live line is written over, and a line that would wrap is cut.
func TestDemoScreenOnTerminal(t *testing.T) {
	var out bytes.Buffer
	s := &screen{w: &out, terminal: true, colour: true}
	s.live("%s", strings.Repeat("x", 200))
	if out.Len() >= screenWidth {
		t.Errorf("the live line has %d columns", out.Len())
	}
	out.Reset()
	s.say("%s", s.bad("torn"))
	blank := "\r" + strings.Repeat(" ", screenWidth-1) + "\r"
	if want := blank + "   \x1b[1;31mtorn\x1b[0m\n"; out.String() != want {
		t.Errorf("terminal gets %q, want %q", out.String(), want)
	}
}

func TestDemoNumber(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -12: "-12", -1234567: "-1,234,567", 100: "100"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q, want %q", n, got, want)
		}
	}
}
