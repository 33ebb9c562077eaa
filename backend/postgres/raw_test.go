package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/lib/pq/oid"

	"github.com/xaproxy/xaproxy/wire"
)

// A value that is copied is what a value of Go's would have become.
func TestRaw(t *testing.T) {
	moments := []string{
		"2026-01-02 03:04:05", "2026-01-02 03:04:05.6", "2026-01-02 03:04:05.654321", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999",
		"10000-01-01 00:00:00", "2026-01-02 03:04:05 BC", "infinity", "-infinity",
	}
	zoned := []string{"2026-01-02 03:04:05+00", "2026-01-02 03:04:05.6-03:30", "2026-01-02 03:04:05.000001+05", "0044-03-15 12:00:00+00:53:28 BC", "infinity"}
	integers := []string{"0", "-1", "7", "9223372036854775807", "-9223372036854775808"}
	numbers := []string{"0", "-0.50", "12345678901234567890.123", "NaN", "Infinity", "-Infinity"}
	texts := []string{"", "x", "ä'\\", `\x`, `{"a": [1, 2]}`}
	of := map[oid.Oid][]string{
		oid.T_int2: integers[:3], oid.T_int4: integers[:3], oid.T_int8: integers, oid.T_numeric: numbers, oid.T_text: texts, oid.T_varchar: texts, oid.T_bpchar: texts,
		oid.T_json: texts, oid.T_jsonb: texts, oid.T_uuid: texts[1:2], oid.T_bytea: {`\x`, `\x00ff27`}, oid.T_date: {"2026-01-02", "0001-01-01", "10000-01-01", "0044-03-15 BC", "infinity"},
		oid.T_timestamp: moments, oid.T_timestamptz: zoned, oid.T_bool: {"t", "f"}, oid.T_float8: {"1.5", "NaN", "1e+20"}, oid.T_time: {"03:04:05", "03:04:05.5", "24:00:00"},
		oid.T_timetz: {"03:04:05+02", "03:04:05.25-03:30", "24:00:00+00", "03:04:05+02:12:13"}, oid.T_interval: {"1 day"}, 0: texts,
	}
	compared := 0
	for typ, values := range of {
		for form := asText; form <= asNull; form++ {
			for _, c := range []column{{}, {fixed: true}, {fixed: true, Column: wire.Column{Decimals: 3}}, {fixed: true, Column: wire.Column{Decimals: 6}}} {
				c.form, c.Name, c.Length = form, "c", 64
				for _, inBinary := range []bool{false, true} {
					for _, v := range values {
						got, gotErr := c.appendRaw([]byte("before"), []byte(v), typ, inBinary)
						value, wantErr := decode([]byte(v), typ)
						want := []byte("before")
						if wantErr == nil {
							want, wantErr = c.appendValue(want, value, inBinary)
						}
						if (gotErr == nil) != (wantErr == nil) || gotErr == nil && !bytes.Equal(got, want) {
							t.Errorf("%q of type %s as form %d with %d decimals (%v), binary %v: got %q (%v), want %q (%v)", v, oid.TypeName[typ], form, c.Decimals, c.fixed, inBinary, got, gotErr, want, wantErr)
						}
						compared++
					}
				}
			}
		}
	}
	if compared < 5000 {
		t.Errorf("only %d values were compared", compared)
	}
}

// A row of any length is read as it was written; what is cut, or says that it is larger than any, is an error and takes no memory before it comes.
func TestMessages(t *testing.T) {
	message := func(kind byte, body []byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))), body...)
	}
	var stream []byte
	lengths := []int{0, 1, readBuffer - messageHead, readBuffer - messageHead + 1, 3 * readBuffer, 10}
	for i, n := range lengths {
		stream = append(stream, message(byte('a'+i), bytes.Repeat([]byte{byte(i)}, n))...)
	}
	m := newMessages(bytes.NewReader(stream))
	for i, n := range lengths {
		kind, body, err := m.next()
		if err != nil || kind != byte('a'+i) || !bytes.Equal(body, bytes.Repeat([]byte{byte(i)}, n)) {
			t.Fatalf("message %d: kind %q, %d bytes, %v", i, kind, len(body), err)
		}
	}
	if _, _, err := m.next(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the last message: %v", err)
	}
	for _, cut := range [][]byte{message('D', make([]byte, 100))[:50], message('D', make([]byte, 3*readBuffer))[:readBuffer], {'D', 0x3f, 0xff, 0xff, 0xff, 1}, {'D', 0xff, 0xff, 0xff, 0xff}, {'D', 0, 0, 0, 3}} {
		if kind, _, err := newMessages(bytes.NewReader(cut)).next(); err == nil {
			t.Errorf("%d bytes that are no message were read as one of kind %q", len(cut), kind)
		}
	}
	// lib/pq gets one message at a time.
	l := &loginConn{in: newMessages(bytes.NewReader(stream))}
	if n, err := l.Read(make([]byte, 100)); n != messageHead || err != nil {
		t.Errorf("%d bytes of the first message, %v", n, err)
	}
	if n, err := l.Read(make([]byte, 100)); n != messageHead+1 || err != nil {
		t.Errorf("%d bytes of the second message, %v", n, err)
	}
	for _, body := range [][]byte{{0, 2, 0, 0, 0, 1, 'x', 0xff, 0xff, 0xff, 0xff}, {0, 1, 0, 0, 0, 9, 'x'}, {0, 2, 0, 0}, {0, 3}, {}} {
		r := &rows{s: &session{}, first: body, values: make([][]byte, 2)}
		values, err := r.next()
		if whole := len(body) == 11; whole != (err == nil) {
			t.Errorf("%v is read as %q, %v", body, values, err)
		}
	}
}

// NULL and an empty string are two things, and lengths have one byte or more.
func TestRowMaker(t *testing.T) {
	for _, inBinary := range []bool{false, true} {
		r := newRowMaker([]column{{form: asText, Column: wire.Column{Type: wire.TypeVarString}}}, nil, inBinary)
		for _, n := range []int{-1, 0, 1, shortValue - 1, shortValue, 70_000} {
			var value []byte
			if n >= 0 {
				value = bytes.Repeat([]byte("x"), n)
			}
			want := wire.AppendRow(nil, inBinary, []wire.Column{{Type: wire.TypeVarString}}, [][]byte{value})
			if got, err := r.row([][]byte{value}); err != nil || !bytes.Equal(got, want) {
				t.Errorf("binary %v: %d bytes become %.20q, %v, want %.20q", inBinary, n, got, err, want)
			}
		}
	}
}
