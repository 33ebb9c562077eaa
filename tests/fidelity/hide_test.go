package fidelity

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/wire"
)

// hide takes out of both replies what may differ; what is left must be equal.
type hide func(direct, proxied *exchange)

// both takes the same out of each reply.
func both(f func(x *exchange)) hide {
	return func(direct, proxied *exchange) {
		f(direct)
		f(proxied)
	}
}

// where takes out everything if the two replies are a certain pair.
func where(f func(direct, proxied *exchange) bool) hide {
	return func(direct, proxied *exchange) {
		if f(direct, proxied) {
			*direct, *proxied = exchange{}, exchange{}
		}
	}
}

// all hides several things.
func all(hides ...hide) hide {
	return func(direct, proxied *exchange) {
		for _, h := range hides {
			h(direct, proxied)
		}
	}
}

// Replies of different kinds.
var (
	// onlyProxied: the proxy answers, the server refuses or is not connected.
	onlyProxied = where(func(d, p *exchange) bool { return p.err() == nil && p.end == "" && (d.err() != nil || d.end != "") })
	// lost: the server answers, the proxy is not connected any more.
	lost = where(func(d, p *exchange) bool { return d.end == "" && p.end != "" })
	// whatever: nothing is compared.
	whatever = where(func(d, p *exchange) bool { return true })
)

// refused: the proxy answers with this error alone, whatever the server says.
func refused(errno uint16) hide {
	return where(func(d, p *exchange) bool { return len(p.packets) == 1 && p.err() != nil && p.err().Errno == errno })
}

// turnedAway: the proxy ends its answer, maybe a login, with this error, whatever the server says.
func turnedAway(errno uint16) hide {
	return where(func(d, p *exchange) bool { return p.err() != nil && p.err().Errno == errno })
}

// Errors.
var (
	// wording: both answer with an error of the same number and SQLSTATE, in other words.
	wording hide = func(direct, proxied *exchange) {
		if d, p := direct.err(), proxied.err(); d != nil && p != nil && d.Errno == p.Errno && d.State == p.State {
			direct.last().payload, proxied.last().payload = nil, nil
		}
	}
	// anyError: both answer with an error.
	anyError hide = func(direct, proxied *exchange) {
		if direct.err() != nil && proxied.err() != nil {
			direct.last().payload, proxied.last().payload = nil, nil
		}
	}
)

// otherError: both answer with an error, the proxy with this number.
func otherError(errno uint16) hide {
	return func(direct, proxied *exchange) {
		if p := proxied.err(); p != nil && p.Errno == errno {
			anyError(direct, proxied)
		}
	}
}

// Results.
var (
	// values: the rows have other values, but there are as many of them.
	values = both(func(x *exchange) {
		for i, p := range x.packets {
			if p.row {
				x.packets[i].payload = nil
			}
		}
	})
	// definitions: the definitions of columns differ.
	definitions = both(func(x *exchange) {
		for i, p := range x.packets {
			if !p.ok && !p.row && strings.HasPrefix(string(p.payload), "\x03def") {
				x.packets[i].payload = nil
			}
		}
	})
	// rowsOf: there are other rows, more or fewer, with other definitions.
	rowsOf = all(definitions, both(func(x *exchange) {
		x.packets = slices.DeleteFunc(x.packets, func(p packet) bool { return p.row })
		if len(x.packets) > 0 {
			x.last().seq = 0
		}
	}))
	// charset: the character sets of columns differ. They stand twelve bytes before the end of a definition.
	charset = both(func(x *exchange) {
		for _, p := range x.packets {
			if n := len(p.payload); !p.ok && !p.row && n > 13 && string(p.payload[:4]) == "\x03def" {
				clear(p.payload[n-12 : n-10])
			}
		}
	})
	// definer: the rows name the account of the proxy instead of the client's.
	definer hide = func(direct, proxied *exchange) {
		for i := range min(len(direct.packets), len(proxied.packets)) {
			d, p := &direct.packets[i], &proxied.packets[i]
			if d.row && strings.Contains(string(d.payload), "`app`@`%`") && strings.Contains(string(p.payload), "`"+backendUser+"`@`%`") {
				d.payload, p.payload = nil, nil
			}
		}
	}
	// grants: the column and the rows name the account of the proxy instead of the client's.
	grants = both(func(x *exchange) {
		for i, p := range x.packets {
			if p.row || strings.Contains(string(p.payload), "Grants for ") {
				x.packets[i].payload = nil
			}
		}
	})
	// text: the reply is another text.
	text = both(func(x *exchange) {
		if len(x.packets) == 1 {
			x.packets[0].payload = nil
		}
	})
	// statementID: the number of the statement differs in the reply to COM_STMT_PREPARE.
	statementID = both(func(x *exchange) {
		if len(x.packets) > 0 && x.packets[0].first() == isOK {
			clear(x.packets[0].payload[1:5])
		}
	})
	// columnCount: the server says behind the number of columns that their definitions follow.
	columnCount hide = func(direct, proxied *exchange) {
		if len(direct.packets) > 0 && len(direct.packets[0].payload) == 2 {
			direct.packets[0].payload = direct.packets[0].payload[:1]
		}
	}
)

// OK and EOF packets.
var (
	// warnings: the number of warnings differs.
	warnings = both(func(x *exchange) {
		for _, p := range x.packets {
			if at := x.statusAt(p); at == 3 && p.first() == isEOF && !x.caps.Has(wire.DeprecateEOF) {
				clear(p.payload[1:3])
			} else if at > 0 {
				clear(p.payload[at+2 : at+4])
			}
		}
	})
	// states: the session state differs, or there is none.
	states = all(status(wire.StatusSessionStateChanged), both(func(x *exchange) {
		x.tracks(func([]string) []string { return nil })
	}))
	// numbers: statement ids and GTIDs in the session state are others in every telling.
	numbers = both(func(x *exchange) {
		x.tracks(func(entries []string) []string {
			return slices.DeleteFunc(entries, func(entry string) bool {
				t, _, _ := wire.NextTrack([]byte(entry)) // it was read before
				return t.Type == wire.TrackGTIDs || string(t.Name) == "statement_id"
			})
		})
	})
	// sorted: the entries of the session state come in another order.
	sorted = both(func(x *exchange) {
		x.tracks(func(entries []string) []string {
			slices.Sort(entries)
			return entries
		})
	})
)

// status: these flags differ.
func status(flags wire.Status) hide {
	return both(func(x *exchange) {
		for _, p := range x.packets {
			if at := x.statusAt(p); at > 0 {
				bits := binary.LittleEndian.Uint16(p.payload[at:])
				binary.LittleEndian.PutUint16(p.payload[at:], bits&^uint16(flags))
			}
		}
	})
}

// Logins.
var (
	// extended: the greeting offers extended capabilities of MariaDB, or not.
	extended = both(func(x *exchange) {
		if p, g, ok := x.greets(); ok {
			clear(p[g.at+27 : g.at+31])
		}
	})
	// authentication: the greeting names another plugin, and other packets go to and fro between the login and the last one.
	authentication = both(func(x *exchange) {
		var greeting []packet
		if p, g, ok := x.greets(); ok {
			greeting = []packet{{payload: p[:g.at+44]}}
		}
		if n := len(x.packets); n > len(greeting) {
			x.last().seq = 0
			x.packets = append(greeting, *x.last())
		}
	})
	// letIn: the proxy lets in whom the server does not.
	letIn hide = func(direct, proxied *exchange) {
		if direct.err() != nil && len(proxied.packets) > 0 && proxied.last().ok {
			direct.packets, proxied.packets = direct.packets[:1], proxied.packets[:1]
		}
	}
)

// offers: the greeting offers these capabilities, or not.
func offers(flags wire.Capability) hide {
	return both(func(x *exchange) {
		if p, g, ok := x.greets(); ok {
			low, high := p[g.at+13:], p[g.at+18:]
			binary.LittleEndian.PutUint16(low, binary.LittleEndian.Uint16(low)&^uint16(flags))
			binary.LittleEndian.PutUint16(high, binary.LittleEndian.Uint16(high)&^uint16(flags>>16))
		}
	})
}
