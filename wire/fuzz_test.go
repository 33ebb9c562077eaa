package wire

import (
	"bytes"
	"reflect"
	"testing"
)

// The decoders get whatever a peer sends. They must never panic, and what they accept must survive being written and read
// again.

func FuzzLenenc(f *testing.F) {
	for _, v := range []uint64{0, 250, 251, 0xffff, 0x10000, 0xffffff, 0x1000000, 1<<64 - 1} {
		f.Add(AppendInt(nil, v))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		v, n := ReadInt(p)
		if n > len(p) {
			t.Fatalf("%d bytes of %d", n, len(p))
		}
		if got, m := ReadInt(AppendInt(nil, v)); n > 0 && (got != v || m > n) {
			t.Fatalf("%d became %d", v, got)
		}
	})
}

func FuzzOK(f *testing.F) {
	for _, caps := range []Capability{0, DeprecateEOF, SessionTrack, DeprecateEOF | SessionTrack} {
		for _, header := range []byte{headerOK, headerEOF} {
			o := OK{1, 1 << 33, StatusSessionStateChanged, 3, "info", header, []byte("state")}
			f.Add(o.Append(nil, caps), uint64(caps))
		}
	}
	f.Fuzz(func(t *testing.T, p []byte, c uint64) {
		caps := Capability(c) & (DeprecateEOF | SessionTrack)
		o, err := ParseOK(p, caps)
		if err != nil {
			return
		}
		again, err := ParseOK(o.Append(nil, caps), caps)
		if len(o.SessionState)+len(again.SessionState) == 0 {
			o.SessionState = again.SessionState
		}
		if !caps.Has(SessionTrack) {
			o.Status &^= StatusSessionStateChanged
		}
		if err != nil || !reflect.DeepEqual(o, again) {
			t.Fatalf("%+v became %+v (%v)", o, again, err)
		}
	})
}

func FuzzErr(f *testing.F) {
	f.Add((&Error{1062, "23000", "Duplicate"}).Append(nil, Protocol41))
	f.Add((&Error{1040, "08004", "Too many"}).Append(nil, 0))
	f.Fuzz(func(t *testing.T, p []byte) {
		e, err := ParseErr(p, Protocol41)
		if err != nil {
			return
		}
		if again, err := ParseErr(e.Append(nil, Protocol41), Protocol41); err != nil || *again != *e {
			t.Fatalf("%+v became %+v (%v)", e, again, err)
		}
	})
}

func FuzzColumn(f *testing.F) {
	f.Add(Column{Schema: "s", Table: "t", Name: "n", Charset: 45, Type: TypeVarString}.Append(nil))
	f.Fuzz(func(t *testing.T, p []byte) {
		c, err := ParseColumn(p)
		if err != nil {
			return
		}
		if again, err := ParseColumn(c.Append(nil)); err != nil || again != c {
			t.Fatalf("%+v became %+v (%v)", c, again, err)
		}
	})
}

func FuzzTextRow(f *testing.F) {
	f.Add(AppendTextRow(nil, [][]byte{[]byte("a"), nil, {}}), 3)
	f.Add([]byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 1)
	f.Fuzz(func(t *testing.T, p []byte, n int) {
		row, err := ParseTextRow(p, n)
		if err != nil {
			return
		}
		again, err := ParseTextRow(AppendTextRow(nil, row), n)
		if err != nil || !reflect.DeepEqual(row, again) {
			t.Fatalf("%q became %q (%v)", row, again, err)
		}
	})
}

func FuzzGreeting(f *testing.F) {
	f.Add(testGreeting().append(nil))
	f.Add([]byte("\x0a5.5.5-10.11.6-MariaDB\x00\x01\x00\x00\x0012345678\x00\xfe\xf7\x2d\x02\x00\xff\x81\x15\x00\x00\x00\x00\x00\x00\x1d\x00\x00\x00abcdefghijkl\x00mysql_native_password\x00"))
	f.Fuzz(func(t *testing.T, p []byte) {
		g, err := parseGreeting(p)
		if err != nil || len(g.salt) != saltLength || !g.Caps.Has(requiredCaps|PluginAuth) {
			return
		}
		again, err := parseGreeting(g.append(nil))
		if err != nil || !reflect.DeepEqual(g, again) {
			t.Fatalf("%+v became %+v (%v)", g, again, err)
		}
	})
}

func FuzzLogin(f *testing.F) {
	l := &loginPacket{
		caps: usualCaps | ConnectWithDB | ConnectAttrs, user: "u", auth: make([]byte, 32), schema: "s", plugin: cachingSHA2,
		attrs: map[string]string{"_os": "linux"},
	}
	f.Add(l.append(nil))
	f.Add((&loginPacket{caps: Protocol41 | SSL, ssl: true}).append(nil))
	f.Add((&loginPacket{caps: Protocol41 | SecureConnection, user: "old", auth: make([]byte, 20)}).append(nil))
	f.Fuzz(func(t *testing.T, p []byte) {
		l, err := parseLogin(p)
		if err != nil || !l.caps.Has(SecureConnection) && !l.caps.Has(PluginAuthLenencClientData) {
			return
		}
		again, err := parseLogin(l.append(nil))
		if l.attrs == nil && err == nil && len(again.attrs) == 0 {
			l.attrs = again.attrs // a missing block of attributes is written as an empty one
		}
		if err != nil || !reflect.DeepEqual(l, again) {
			t.Fatalf("%+v became %+v (%v)", l, again, err)
		}
	})
}

func FuzzSwitchRequest(f *testing.F) {
	f.Add(switchRequest(nil, cachingSHA2, newSalt()))
	f.Fuzz(func(t *testing.T, p []byte) {
		plugin, salt, err := parseSwitchRequest(p)
		if err != nil {
			return
		}
		p2, s2, err := parseSwitchRequest(switchRequest(nil, plugin, salt))
		if err != nil || plugin != p2 || !bytes.Equal(salt, s2) {
			t.Fatalf("%q %x became %q %x (%v)", plugin, salt, p2, s2, err)
		}
	})
}

// FuzzConversation: the server's side of a login with whatever a client sends, and the client's side with whatever a
// server sends.
func FuzzConversation(f *testing.F) {
	f.Add(pack(0, testGreeting().append(nil)), []byte{0})
	f.Add(append(pack(0, testGreeting().append(nil)), pack(2, switchRequest(nil, nativePassword, newSalt()), OK{}.Append(nil, 0))...), []byte{9})
	login := &loginPacket{caps: usualCaps, user: "sha2", plugin: cachingSHA2, auth: make([]byte, 32)}
	f.Add(append(pack(1, login.append(nil)), pack(3, []byte{sha2RequestKey})...), []byte{1, 2})
	accounts := testAccounts(f)
	server := &Server{Accounts: accounts}
	f.Fuzz(func(t *testing.T, in, cuts []byte) {
		c := NewConn(&scriptConn{cutConn{in: in, cuts: cuts}}, maxLoginPacket)
		if _, err := server.login(t.Context(), c, 1); err == nil {
			if len(in) < 60 {
				t.Fatal("logged in without a password")
			}
		}
		d := Dialer{User: "u", Password: "p"}
		if _, _, err := d.login(t.Context(), &scriptConn{cutConn{in: in, cuts: cuts}}, false); err == nil && !bytes.Contains(in, []byte{headerOK}) {
			t.Fatal("logged in without an OK")
		}
		r := NewConn(&cutConn{in: in, cuts: cuts}, 0)
		r.caps = testCaps
		if _, err := r.ReadResult(1 << 20); err == nil && len(in) < headerSize+1 {
			t.Fatal("a result out of nothing")
		}
	})
}
