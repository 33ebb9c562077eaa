package integration

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/tests/servers/servertest"
	"github.com/xaproxy/xaproxy/wire"
)

// throughRelay calls f with a connection through the relay, for both servers, with DeprecateEOF and without.
func throughRelay(t *testing.T, caps wire.Capability, f func(t *testing.T, c *wire.Conn)) {
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		s := servertest.Get(t, kind)
		for _, omit := range []wire.Capability{0, wire.DeprecateEOF} {
			t.Run(fmt.Sprintf("%s/%v", kind, omit == 0), func(t *testing.T) {
				p := &relayed{
					wire:    wire.Server{Version: s.Version, Accounts: accountMap{s.User: wire.NewAccount(s.Password)}},
					backend: wire.Dialer{Addr: s.Addr(), User: s.User, Password: s.Password, Caps: caps},
					relay:   wire.Relay{Cursor: true},
				}
				d := wire.Dialer{
					Addr: p.start(t), User: s.User, Password: s.Password, Omit: omit, Caps: caps, Timeout: time.Minute,
					Schema: servertest.Database(t, s),
				}
				c, _, err := d.Dial(t.Context())
				check(t, err)
				defer c.Close()
				f(t, c)
			})
		}
	}
}

// TestWireCursor opens a cursor on a prepared statement and fetches its rows, through the relay: the EXECUTE answers without
// rows, each FETCH with as many as asked for, and the connection stays in step.
func TestWireCursor(t *testing.T) {
	t.Parallel()
	throughRelay(t, 0, func(t *testing.T, c *wire.Conn) {
		check(t, c.SendCommand(wire.ComStmtPrepare, []byte("SELECT n, REPEAT('x', 100) FROM "+digits("d")+" ORDER BY n")))
		prepared, err := c.ReadPrepared()
		if err != nil || prepared.Columns != 2 {
			t.Fatal(prepared, err)
		}
		id := binary.LittleEndian.AppendUint32(nil, prepared.ID)
		const readOnlyCursor = 1
		for range 2 {
			check(t, c.SendCommand(wire.ComStmtExecute, id, []byte{readOnlyCursor, 1, 0, 0, 0}))
			names := 0
			for {
				p, err := c.ReadPacket()
				check(t, err)
				if p[0] == 0xfe {
					ok, err := wire.ParseOK(p, c.Caps())
					if err != nil || ok.Status&wire.StatusCursorExists == 0 || names != 3 {
						t.Fatalf("end of the execute: %+v, %v after %d packets", ok, err, names)
					}
					break
				}
				names++
			}
			rows := 0
			for done := false; !done; {
				check(t, c.SendCommand(wire.ComStmtFetch, id, []byte{4, 0, 0, 0}))
				for {
					p, err := c.ReadPacket()
					check(t, err)
					if p[0] == 0xfe {
						ok, err := wire.ParseOK(p, c.Caps())
						check(t, err)
						done = ok.Status&wire.StatusLastRowSent != 0
						break
					}
					rows++
				}
			}
			if rows != 10 {
				t.Errorf("%d rows", rows)
			}
			check(t, c.SendCommand(wire.ComStmtReset, id))
			if _, err := c.ReadResult(0); err != nil {
				t.Error(err)
			}
		}
		check(t, c.SendCommand(wire.ComStmtFetch, id, []byte{1, 0, 0, 0}))
		var refused *wire.Error
		if _, err := c.ReadResult(0); !errors.As(err, &refused) {
			t.Errorf("a fetch without a cursor: %v", err)
		}
		if r := query(t, c, "SELECT 42"); string(r.Values[0][0]) != "42" {
			t.Errorf("%q", r.Values)
		}
	})
}

// TestWireOldCommands: COM_FIELD_LIST, COM_SET_OPTION and COM_STATISTICS through the relay.
func TestWireOldCommands(t *testing.T) {
	t.Parallel()
	throughRelay(t, 0, func(t *testing.T, c *wire.Conn) {
		query(t, c, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9) DEFAULT 'x')")
		check(t, c.SendCommand(wire.ComFieldList, []byte("t\x00")))
		var names []string
		for {
			p, err := c.ReadPacket()
			check(t, err)
			if p[0] == 0xfe {
				break
			}
			col, err := wire.ParseColumn(p)
			check(t, err)
			names = append(names, col.Name)
		}
		if got := strings.Join(names, " "); got != "id v" {
			t.Errorf("fields %q", got)
		}
		check(t, c.SendCommand(wire.ComFieldList, []byte("absent\x00")))
		var refused *wire.Error
		if _, err := c.ReadResult(0); !errors.As(err, &refused) || refused.Errno != 1146 {
			t.Errorf("fields of an absent table: %v", err)
		}
		for option, several := range map[byte]bool{1: false, 0: true} {
			check(t, c.SendCommand(wire.ComSetOption, []byte{option, 0}))
			if r, err := c.ReadResult(0); err != nil || r.OK.Header != 0xfe {
				t.Errorf("option %d: %+v, %v", option, r, err)
			}
			check(t, c.SendCommand(wire.ComQuery, []byte("DO 1; DO 2")))
			_, err := c.ReadResult(0)
			if (err == nil) != several {
				t.Errorf("several statements after option %d: %v", option, err)
			}
			if several {
				_, err = c.ReadResult(0)
				check(t, err)
			}
		}
		check(t, c.SendCommand(wire.ComStatistics))
		if p, err := c.ReadPacket(); err != nil || !strings.HasPrefix(string(p), "Uptime: ") {
			t.Errorf("statistics %q, %v", p, err)
		}
	})
}

// TestWireTracks: what real servers say of the session passes the relay as it is, on OK packets of all kinds, and a client
// that does not know of it gets none.
func TestWireTracks(t *testing.T) {
	t.Parallel()
	for _, caps := range []wire.Capability{wire.SessionTrack, 0} {
		throughRelay(t, caps, func(t *testing.T, c *wire.Conn) {
			if c.Caps().Has(wire.SessionTrack) != (caps != 0) {
				t.Fatalf("capabilities %b", c.Caps())
			}
			states := func(statement string) string {
				var out []string
				for state := query(t, c, statement).OK.SessionState; len(state) > 0; {
					var e wire.Track
					var err error
					e, state, err = wire.NextTrack(state)
					check(t, err)
					out = append(out, fmt.Sprintf("%d:%s=%s", e.Type, e.Name, e.Value))
				}
				return strings.Join(out, " ")
			}
			query(t, c, "SET SESSION session_track_system_variables = 'time_zone'")
			query(t, c, "SET SESSION session_track_transaction_info = 'CHARACTERISTICS'")
			query(t, c, "CREATE TABLE t (id INT PRIMARY KEY)")
			for statement, want := range map[string][]string{
				"SET time_zone = '+03:00'": {"0:time_zone=+03:00"},
				"USE mysql":                {"1:=mysql"},
			} {
				got := states(statement)
				for _, w := range want {
					if strings.Contains(got, w) != (caps != 0) {
						t.Errorf("%s: %q", statement, got)
					}
				}
			}
			if got := states("START TRANSACTION READ ONLY"); (caps != 0) != (strings.Contains(got, "4:=START TRANSACTION READ ONLY;") && strings.Contains(got, "5:=T_______")) {
				t.Errorf("transaction: %q", got)
			}
		})
	}
}
