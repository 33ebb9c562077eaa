package fidelity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"github.com/xaproxy/xaproxy/wire"
)

// exchange is everything that came back for one command. end says how it ended otherwise than by the protocol: "" or
// that the connection was closed or the reply could not be read.
type exchange struct {
	packets []packet
	caps    wire.Capability // of the client
	end     string
}

// The first bytes of packets that are no rows.
const (
	isOK     = 0x00
	isInfile = 0xfb
	isEOF    = 0xfe
	isErr    = 0xff
)

// ended notes what ended the exchange.
func (x *exchange) ended(err error) {
	switch {
	case err == nil:
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		x.end = "closed"
	default:
		x.end = err.Error()
	}
}

// last is the packet that was read last.
func (x *exchange) last() *packet { return &x.packets[len(x.packets)-1] }

// err is the ERR that ends the reply, or nil.
func (x *exchange) err() *wire.Error {
	if len(x.packets) == 0 || x.last().first() != isErr {
		return nil
	}
	e, err := wire.ParseErr(x.last().payload, x.caps)
	if err != nil {
		return nil
	}
	return e
}

// statusAt is the place of the status flags in an OK or EOF packet, 0 in others.
func (x *exchange) statusAt(p packet) int {
	if !p.ok || len(p.payload) == 0 {
		return 0
	}
	if p.first() == isEOF && !x.caps.Has(wire.DeprecateEOF) {
		return 3
	}
	_, n := wire.ReadInt(p.payload[1:])
	_, m := wire.ReadInt(p.payload[1+n:])
	return 1 + n + m
}

// tracks changes the entries of the session states in a reply.
func (x *exchange) tracks(change func(entries []string) []string) {
	for i, p := range x.packets {
		if x.statusAt(p) == 0 || !x.caps.Has(wire.SessionTrack) || p.first() == isEOF && !x.caps.Has(wire.DeprecateEOF) {
			continue
		}
		ok, err := wire.ParseOK(p.payload, x.caps)
		var entries []string
		for state := ok.SessionState; err == nil && len(state) > 0; {
			var rest []byte
			if _, rest, err = wire.NextTrack(state); err == nil {
				entries = append(entries, string(state[:len(state)-len(rest)]))
				state = rest
			}
		}
		if err == nil {
			ok.SessionState = []byte(strings.Join(change(entries), ""))
			x.packets[i].payload = ok.Append(nil, x.caps)
		}
	}
}

// greets returns the greeting that begins the reply to :login, and where its fields are.
func (x *exchange) greets() ([]byte, greeting, bool) {
	if len(x.packets) == 0 || x.packets[0].first() != 10 {
		return nil, greeting{}, false
	}
	g, err := parseGreeting(x.packets[0].payload)
	return x.packets[0].payload, g, err == nil
}

// clone returns a copy that a hide may change.
func (x *exchange) clone() *exchange {
	c := *x
	c.packets = slices.Clone(x.packets)
	for i := range c.packets {
		c.packets[i].payload = slices.Clone(c.packets[i].payload)
	}
	return &c
}

func equal(a, b *exchange) bool {
	if a.end != b.end || len(a.packets) != len(b.packets) {
		return false
	}
	for i := range a.packets {
		if a.packets[i].seq != b.packets[i].seq || !bytes.Equal(a.packets[i].payload, b.packets[i].payload) {
			return false
		}
	}
	return true
}

// diff shows the first packet that differs.
func diff(direct, proxied *exchange) string {
	n := min(len(direct.packets), len(proxied.packets))
	for i := range n {
		a, b := direct.packets[i], proxied.packets[i]
		if a.seq != b.seq || !bytes.Equal(a.payload, b.payload) {
			return fmt.Sprintf("packet %d of %d and %d\n  direct  %s\n  proxied %s", i+1, len(direct.packets), len(proxied.packets), show(a), show(b))
		}
	}
	tail := func(x *exchange) string {
		if len(x.packets) == n {
			return fmt.Sprintf("ends here %q", x.end)
		}
		return show(x.packets[n])
	}
	return fmt.Sprintf("after %d packets\n  direct  %s\n  proxied %s", n, tail(direct), tail(proxied))
}

func show(p packet) string {
	const most = 300
	text := fmt.Sprintf("#%d %q", p.seq, p.payload[:min(len(p.payload), most)])
	if len(p.payload) > most {
		text += fmt.Sprintf("... (%d bytes)", len(p.payload))
	}
	return text
}
