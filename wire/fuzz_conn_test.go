package wire

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// FuzzPackets reads packets out of any bytes, in pieces of any size, in the plainest way and by Conn, with a limit.
func FuzzPackets(f *testing.F) {
	f.Add(pack(0, []byte("one"), nil, bytes.Repeat([]byte("x"), 5000)), []byte{3, 200}, uint16(60000))
	f.Add(pack(0, bytes.Repeat([]byte("x"), 300)), []byte{1}, uint16(100))
	f.Add([]byte{0xff, 0xff, 0xff, 0, 1}, []byte{}, uint16(100))
	f.Add(append(pack(0, []byte("one")), pack(0, []byte("again"))...), []byte{}, uint16(100))
	f.Add(append(pack(0, []byte("one")), pack(2, []byte("late"))...), []byte{}, uint16(100))
	f.Fuzz(func(t *testing.T, in, cuts []byte, limit uint16) {
		c := NewConn(&cutConn{in: bytes.Clone(in), cuts: cuts}, int(limit))
		max := int(limit)
		if max == 0 {
			max = DefaultMaxPacket
		}
		slow := twin{in: in}
		for {
			var got []byte
			var err error
			command := slow.seq == 0 && len(cuts)%2 == 1
			if command {
				var cmd Command
				cmd, got, err = c.ReadCommand()
				if err == nil {
					got = append([]byte{byte(cmd)}, got...)
				}
			} else {
				got, err = c.ReadPacket()
			}
			want, wantErr := slow.any()
			if command && wantErr == nil && len(want) == 0 {
				want = []byte{byte(ComSleep)}
			}
			if len(want) > max {
				wantErr = ErrTooLarge
			}
			if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
				t.Fatalf("got %d bytes, %v; want %d, %v", len(got), err, len(want), wantErr)
			}
			if err != nil {
				return
			}
		}
	})
}

// slowPrepare is what a client must see of the answer to a COM_STMT_PREPARE, relayed packet by packet.
func slowPrepare(in []byte, caps Capability, id uint32) (out []byte, answer Prepared, err error) {
	t := twin{in: in, seq: 1, clientSeq: 1, server: caps, client: caps}
	p, err := t.next()
	if err != nil {
		return nil, answer, err
	}
	if p[0] == headerErr {
		answer.Err, err = ParseErr(p, caps)
		t.emit(p)
		return t.out, answer, err
	}
	if answer, err = parsePrepared(p); err != nil {
		return nil, answer, err
	}
	p = bytes.Clone(p)
	if id != 0 {
		copy(p[1:], []byte{byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)})
	}
	t.emit(p)
	for _, n := range []int{answer.Params, answer.Columns} {
		if n > 0 && !caps.Has(DeprecateEOF) {
			n++
		}
		for i := range n {
			if p, err = t.any(); err != nil {
				return nil, answer, err
			}
			if !caps.Has(DeprecateEOF) && i == n-1 && (len(p) < 5 || p[0] != headerEOF) {
				return nil, answer, errTwin
			}
			t.emit(p)
		}
	}
	return t.out, answer, nil
}

// any is next for packets that may be empty.
func (t *twin) any() ([]byte, error) {
	if len(t.in) >= headerSize && bytes.Equal(t.in[:headerSize], []byte{0, 0, 0, t.seq}) {
		t.in, t.seq = t.in[headerSize:], t.seq+1
		return nil, nil
	}
	return t.next()
}

// FuzzRelayPrepare relays what a server may answer to a COM_STMT_PREPARE, and reads the same answer without a client.
func FuzzRelayPrepare(f *testing.F) {
	column := Column{Name: "c", Type: TypeLong}.Append(nil)
	eof := OK{Header: headerEOF, Status: StatusAutocommit}.Append(nil, 0)
	ok := func(params, columns byte) []byte { return []byte{0, 7, 0, 0, 0, columns, 0, params, 0, 0, 0, 0} }
	f.Add(pack(1, ok(0, 0)), byte(3), uint32(0x12345678), []byte{})
	f.Add(pack(1, ok(1, 2), column, column, column), byte(3), uint32(9), []byte{1})
	f.Add(pack(1, ok(1, 2), column, eof, column, column, eof), byte(0), uint32(0), []byte{7, 2})
	f.Add(pack(1, (&Error{1064, "42000", "no"}).Append(nil, Protocol41)), byte(1), uint32(9), []byte{})
	f.Fuzz(func(t *testing.T, in []byte, mode byte, id uint32, cuts []byte) {
		caps := testCaps &^ (DeprecateEOF | SessionTrack)
		if mode&1 != 0 {
			caps |= DeprecateEOF
		}
		want, answer, wantErr := slowPrepare(in, caps, id)

		var out bytes.Buffer
		to, from := NewConn(bufferConn{Buffer: &out}, 0), NewConn(&cutConn{in: bytes.Clone(in), cuts: cuts}, 0)
		to.caps, from.caps, to.seq, from.seq, from.open = caps, caps, 1, 1, true
		got, err := (&Relay{}).Prepare(to, from, id)
		if (err == nil) != (wantErr == nil) || err == nil && (!reflect.DeepEqual(got, answer) || !bytes.Equal(out.Bytes(), want)) {
			t.Fatalf("relay: %+v, %v, wrote\n%x\ntwin: %+v, %v\n%x", got, err, out.Bytes(), answer, wantErr, want)
		}
		if err == nil && !from.Answered() {
			t.Fatal("not answered")
		}
		var side *SideError
		if err != nil && (!errors.As(err, &side) || !side.Backend || from.Answered()) {
			t.Fatalf("error %v, answered %v", err, from.Answered())
		}

		alone := NewConn(&cutConn{in: bytes.Clone(in), cuts: cuts}, 0)
		alone.caps, alone.seq = caps, 1
		read, err := alone.ReadPrepared()
		again := NewConn(&cutConn{in: bytes.Clone(in), cuts: cuts}, 0)
		again.caps, again.seq = caps, 1
		described, definitions, failed := again.ReadDescription()
		if !reflect.DeepEqual(read, described) || (err == nil) != (failed == nil) || err == nil && len(definitions) != read.Columns {
			t.Fatalf("read: %+v, %v, described: %+v with %d definitions, %v", read, err, described, len(definitions), failed)
		}
		var said *Error
		switch {
		case errors.As(err, &said):
			if !reflect.DeepEqual(said, answer.Err) {
				t.Fatalf("read: %v, relay: %v", said, answer.Err)
			}
		case wantErr == nil && (err != nil || !reflect.DeepEqual(read, answer)):
			t.Fatalf("read: %+v, %v, relay: %+v", read, err, answer)
		}
	})
}

// FuzzRelayRows relays what a server may answer to a COM_STMT_FETCH and to a COM_FIELD_LIST: rows or definitions, and their end.
func FuzzRelayRows(f *testing.F) {
	row := []byte{0, 0, 42}
	end := OK{Header: headerEOF, Status: StatusLastRowSent}
	for _, caps := range []Capability{testCaps, testCaps &^ DeprecateEOF} {
		f.Add(pack(1, row, row, end.Append(nil, caps)), byte(3), []byte{})
		f.Add(pack(1, end.Append(nil, caps)), byte(0), []byte{1})
		f.Add(pack(1, row, (&Error{1317, "70100", "no"}).Append(nil, caps)), byte(1), []byte{2})
	}
	f.Fuzz(func(t *testing.T, in []byte, mode byte, cuts []byte) {
		caps := testCaps &^ (DeprecateEOF | SessionTrack)
		if mode&1 != 0 {
			caps |= DeprecateEOF
		}
		slow := twin{in: in, seq: 1, clientSeq: 1, server: caps, client: caps, tail: true, columns: -1}
		var wantErr error
		for done := false; !done && wantErr == nil; {
			var p []byte
			if p, wantErr = slow.next(); wantErr != nil {
				break
			}
			switch {
			case p[0] == headerErr:
				wantErr, done = slow.emitErr(p), true
			case endsRows(p[0], len(p), slow.server):
				_, wantErr = slow.finish(p, false)
				done = true
			default:
				slow.result.Rows++
				slow.emit(p)
			}
		}
		for name, relay := range map[string]func(*Relay, *Conn, *Conn) (Result, error){"rows": (*Relay).Rows, "fields": (*Relay).Fields} {
			var out bytes.Buffer
			to, from := NewConn(bufferConn{Buffer: &out}, 0), NewConn(&cutConn{in: bytes.Clone(in), cuts: cuts}, 0)
			to.caps, from.caps, to.seq, from.seq, from.open = caps, caps, 1, 1, true
			got, err := relay(&Relay{}, to, from)
			if (err == nil) != (wantErr == nil) || !bytes.HasPrefix(out.Bytes(), slow.out) && err == nil {
				t.Fatalf("%s: %v, twin: %v; wrote\n%x\nnot\n%x", name, err, wantErr, out.Bytes(), slow.out)
			}
			if err == nil && (!bytes.Equal(out.Bytes(), slow.out) || got.Rows+uint64(got.Columns) != slow.result.Rows || !reflect.DeepEqual(got.Err, slow.result.Err)) {
				t.Fatalf("%s: %+v, twin: %+v; wrote\n%x\nnot\n%x", name, got, slow.result, out.Bytes(), slow.out)
			}
			if from.Answered() != (err == nil) {
				t.Fatalf("%s: answered %v, %v", name, from.Answered(), err)
			}
		}
	})
}

// FuzzAccountHash: what is taken for a stored hash can be verified against, and what is not is not shown.
func FuzzAccountHash(f *testing.F) {
	f.Add(testCrypt, "x")
	f.Add("*6BB4837EB74329105EE4568DDA7DC67ED2CA2AD9", "root")
	f.Add("0x24412430303524", "")
	f.Add("$A$FFF$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "x")
	f.Fuzz(func(t *testing.T, hash, password string) {
		a, err := NewAccountHash(hash)
		if err != nil {
			if len(hash) > 12 && strings.Contains(err.Error(), hash) {
				t.Fatalf("the error shows the hash: %v", err)
			}
			return
		}
		if a.stored != nil && a.stored.rounds > 20_000 {
			return // it takes its time, which is what rounds are for
		}
		salt := newSalt()
		for _, p := range []string{password, ""} {
			if a.verifyNative(nativeScramble(p, salt), salt) && nativeHash(p) != *a.native {
				t.Fatalf("%q is taken for the password of %q", p, hash)
			}
			if a.stored != nil && a.verifyPassword([]byte(p), true) && crypt256(p, a.stored.salt, a.stored.rounds) != a.stored.digest {
				t.Fatalf("%q is taken for the password of %q", p, hash)
			}
		}
	})
}

// FuzzSealed: keys that a server shows, and passwords that a client seals.
func FuzzSealed(f *testing.F) {
	s := &Server{}
	s.makeKey()
	salt := bytes.Repeat([]byte{7}, saltLength)
	sealed, err := encryptPassword(testPassword, salt, s.publicKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.publicKey, sealed)
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK\n-----END PUBLIC KEY-----\n"), []byte{})
	f.Fuzz(func(t *testing.T, key, sealed []byte) {
		if out, err := encryptPassword(testPassword, salt, key); err == nil && bytes.Contains(out, []byte(testPassword)) {
			t.Fatal("the password is not sealed")
		}
		if plain, err := decryptPassword(sealed, salt, s.key); err == nil && len(plain) >= len(sealed) {
			t.Fatalf("%d bytes out of %d", len(plain), len(sealed))
		}
		_, _ = cString(sealed) // must not panic
	})
}

// FuzzServerChangeUser: a logged-in client sends a COM_CHANGE_USER and what it likes behind it. It gets nowhere without a password.
func FuzzServerChangeUser(f *testing.F) {
	f.Add((&changeUser{user: "plain", plugin: cachingSHA2}).append(nil, testCaps), []byte{}, byte(0))
	f.Add((&changeUser{user: "sha2", plugin: cachingSHA2, schema: "s"}).append(nil, testCaps), append(pack(2, make([]byte, 32)), pack(4, []byte{sha2RequestKey})...), byte(0))
	f.Add((&changeUser{user: "native", plugin: nativePassword}).append(nil, testCaps), pack(2, make([]byte, 20)), byte(1))
	f.Add((&changeUser{user: "nobody", plugin: cachingSHA2}).append(nil, testCaps), pack(2, make([]byte, 32)), byte(0))
	server := &Server{Accounts: testAccounts(f)}
	f.Fuzz(func(t *testing.T, arg, in []byte, mode byte) {
		c := NewConn(&scriptConn{cutConn{in: in}}, maxLoginPacket)
		c.caps, c.seq = usualCaps|ConnectAttrs, 1
		if mode&1 != 0 {
			c.caps &^= PluginAuth
		}
		before := &Login{User: "before", salt: bytes.Repeat([]byte{7}, saltLength)}
		after, err := server.ChangeUser(c, before, arg)
		if err == nil && after.User != "empty" {
			t.Fatalf("%q without a password", after.User)
		}
		if before.User != "before" {
			t.Fatal("the former login was changed")
		}
	})
}

// FuzzReader: a result that is read row by row is the one that is read at once, and its rows can be cut and put together again.
func FuzzReader(f *testing.F) {
	f.Add(byte(0), pack(0, resultSet(testCaps, 3, 10)...))
	f.Add(byte(1), pack(0, resultSet(testCaps|DeprecateEOF, 2, 1)...))
	f.Add(byte(0), pack(0, []byte{headerOK, 0, 0, 2, 0, 0, 0}))
	f.Fuzz(func(t *testing.T, deprecate byte, in []byte) {
		caps := testCaps
		if deprecate&1 > 0 {
			caps |= DeprecateEOF
		}
		whole, pieces := NewConn(&cutConn{in: in}, 0), NewConn(&cutConn{in: in}, 0)
		whole.caps, pieces.caps = caps, caps
		want, wantErr := whole.ReadResult(1 << 30)
		r, err := pieces.ReadColumns()
		var rows [][][]byte
		for err == nil && len(r.Columns) > 0 {
			var row []byte
			if row, err = r.Next(); row == nil {
				break
			}
			values := make([]Value, len(r.Columns))
			var end int
			if end, err = CutRow(row, false, r.Columns, len(values), values); err != nil || end < len(row) {
				err = malformed("row")
				break
			}
			one := make([][]byte, len(values))
			for i, v := range values {
				if !v.Null {
					one[i] = append([]byte{}, row[v.From:v.To]...)
				}
			}
			rows = append(rows, one)
			if k := len(values) - 1; k > 0 {
				if cut := TrimRow(row, false, len(values), k, values[k-1].To); len(AppendTextRow(nil, one[:k])) > len(cut) {
					t.Fatalf("%q cut to %q", one, cut)
				}
			}
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%v, and at once %v", err, wantErr)
		}
		if err != nil {
			return
		}
		if !reflect.DeepEqual(rows, want.Values) || !reflect.DeepEqual(r.Columns, want.Columns) || !reflect.DeepEqual(r.End, want.OK) {
			t.Fatalf("%q %+v, and at once %+v", rows, r, want)
		}
	})
}

// FuzzSmall: what is too small for a target of its own.
func FuzzSmall(f *testing.F) {
	f.Add([]byte{0, 0})
	f.Add(append([]byte{headerInfile}, "name"...))
	f.Fuzz(func(t *testing.T, p []byte) {
		if on, err := ParseSetOption(p); err == nil && (len(p) != 2 || on != (p[0] == 0)) {
			t.Fatalf("%x is %v", p, on)
		}
		if id, err := ParseExecuteID(p); err == nil && len(p) < executeHead {
			t.Fatalf("id %d of %x", id, p)
		}
		if len(p) > maxReadBuffer {
			return
		}
		c := NewConn(&cutConn{in: pack(0, p)}, 0)
		if name, err := c.ReadFileRequest(); err == nil && (p[0] != headerInfile || name != string(p[1:])) {
			t.Fatalf("%x asks for %q", p, name)
		}
		c = NewConn(&cutConn{in: pack(byte(len(p)), p)}, 0)
		var said *Error
		if err := c.ReadEarly(); errors.As(err, &said) && p[0] != headerErr {
			t.Fatalf("%x says %v", p, said)
		}
	})
}

// decoders are the exported functions that read what a peer sent, by their names.
var decoders = regexp.MustCompile(`^(Parse|Read|Next|Split|Plain)|^(NewAccountHash|ChangeUser|Response|Concat|Rows|Fields|Prepare)$`)

// TestEveryDecoderIsFuzzed: each exported function that reads what a peer sent is reached from a fuzz target.
func TestEveryDecoderIsFuzzed(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]map[string]bool{} // by the name of a function, or of functions that share it
	exported := map[string]bool{}
	var reached []string
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			name, test := f.Name.Name, strings.HasSuffix(file.Name(), "_test.go")
			if calls[name] == nil {
				calls[name] = map[string]bool{}
			}
			ast.Inspect(f.Body, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok {
					calls[name][id.Name] = true
				}
				return true
			})
			switch {
			case test && strings.HasPrefix(name, "Fuzz"):
				reached = append(reached, name)
			case !test && decoders.MatchString(name) && name != "ReadByte": // that is io.ByteReader
				exported[name] = true
			}
		}
	}
	seen := map[string]bool{}
	for len(reached) > 0 {
		name := reached[0]
		reached = reached[1:]
		for callee := range calls[name] {
			if !seen[callee] && calls[callee] != nil {
				seen[callee] = true
				reached = append(reached, callee)
			}
		}
	}
	if len(exported) < 20 {
		t.Errorf("only %d decoders are known: %v", len(exported), exported)
	}
	for name := range exported {
		if !seen[name] {
			t.Errorf("%s is reached from no fuzz target", name)
		}
	}
}
