package integration

import (
	"strings"
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// TestWireAttributes sends statements with query attributes, and prepared ones in the form that they ask for, to a MySQL,
// and from a real client through the relay, which passes them on or takes them off.
func TestWireAttributes(t *testing.T) {
	t.Parallel()
	s := servertest.Get(t, servers.MySQL)
	block := append([]byte{2, 1, 0b10, 1}, "\xfe\x00\x05trace\x03\x00\x04none\x03abc"...)
	for _, caps := range []wire.Capability{wire.QueryAttributes, 0} {
		d := wire.Dialer{Addr: s.Addr(), User: s.User, Password: s.Password, Caps: caps, Attrs: map[string]string{"a": "b"}}
		c, _, err := d.Dial(t.Context())
		check(t, err)
		defer c.Close()
		if c.Caps().Has(wire.QueryAttributes) != (caps != 0) {
			t.Fatalf("capabilities %b", c.Caps())
		}
		for _, attrs := range [][]byte{nil, block} {
			check(t, c.SendQuery(attrs, []byte("SELECT "), []byte("41 + 1")))
			if r, err := c.ReadResult(1000); err != nil || string(r.Values[0][0]) != "42" {
				t.Errorf("%q: %+v, %v", attrs, r, err)
			}
		}
		check(t, c.SendCommand(wire.ComStmtPrepare, []byte("SET @a = CONCAT(?, ?, IFNULL(?, 'null'))")))
		p, err := c.ReadPrepared()
		check(t, err)
		types := []byte{byte(wire.TypeVarString), 0, byte(wire.TypeTiny), 0, byte(wire.TypeVarString), 0}
		check(t, c.SendExecute(p.ID, 0, []byte{0b100}, types, []byte("\x02ab\x07")))
		if r, err := c.ReadResult(1000); err != nil {
			t.Errorf("execute: %+v, %v", r, err)
		}
		check(t, c.SendQuery(nil, []byte("SELECT @a")))
		if r, err := c.ReadResult(1000); err != nil || string(r.Values[0][0]) != "ab7null" {
			t.Errorf("the execute had other parameters: %q, %v", r.Values, err)
		}

		relay := &relayed{
			wire:    wire.Server{Version: s.Version, Accounts: accountMap{s.User: wire.NewAccount(s.Password)}, Offer: wire.QueryAttributes},
			backend: wire.Dialer{Addr: s.Addr(), User: s.User, Password: s.Password, Caps: caps},
		}
		addr := relay.start(t)
		cl := commandLines(t)[0]
		out, err := cl.run(t, "SELECT 1;\nSELECT 41 + 1;\n", addr, s.User, s.Password, servertest.Database(t, s), cl.plain...)
		if err != nil || !strings.HasSuffix(out, "1\n1\n41 + 1\n42\n") || !relay.logins[0].Caps.Has(wire.QueryAttributes) {
			t.Errorf("%v: %s", err, out)
		}
	}
}
