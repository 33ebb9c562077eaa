package fidelity

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// packet is one packet of a reply: the payload, joined when it was split, and the sequence id of its last piece.
type packet struct {
	seq             byte
	payload         []byte
	ok, row, middle bool // it is an OK or EOF; a row; an EOF between columns and rows
}

// exchange is everything that came back for one command. end says how it ended otherwise than by the protocol: "" or
// that the connection was closed or the reply could not be read.
type exchange struct {
	packets []packet
	caps    wire.Capability
	agreed  wire.Capability // caps, in the reply to a login
	end     string
}

// endpoint is where a client logs in: the server itself or the proxy.
type endpoint struct {
	addr, user, password, schema string
}

// client is one raw connection. What it knows of the protocol is where a reply ends.
type client struct {
	*wire.Conn
	at  endpoint
	ids map[string]uint32 // of prepared statements, by the script's names
}

// stepTimeout bounds one exchange. It is long because it only ends a test that has failed.
const stepTimeout = 30 * time.Second

// dial logs in. Words of options: "+Cap" and "-Cap" for capabilities, "noschema", "collation=N".
func dial(ctx context.Context, at endpoint, options []string) (*client, error) {
	d := wire.Dialer{Addr: at.addr, User: at.user, Password: at.password, Schema: at.schema, Timeout: stepTimeout}
	for _, o := range options {
		switch name := strings.TrimLeft(o, "+-"); {
		case o == "noschema":
			d.Schema = ""
		case strings.HasPrefix(o, "collation="):
			if _, err := fmt.Sscanf(o, "collation=%d", &d.Collation); err != nil {
				return nil, fmt.Errorf("option %s: %w", o, err)
			}
		case capabilities[name] != 0 && o[0] == '+':
			d.Caps |= capabilities[name]
		case capabilities[name] != 0:
			d.Omit |= capabilities[name]
			d.Caps &^= capabilities[name]
		default:
			return nil, fmt.Errorf("unknown option %q", o)
		}
	}
	c, _, err := d.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return &client{Conn: c, at: at, ids: map[string]uint32{}}, nil
}

// capabilities are those that scripts may ask for or leave out.
var capabilities = map[string]wire.Capability{
	"DeprecateEOF":    wire.DeprecateEOF,
	"MultiStatements": wire.MultiStatements,
	"FoundRows":       wire.FoundRows,
	"IgnoreSpace":     wire.IgnoreSpace,
	"LocalFiles":      wire.LocalFiles,
	"SessionTrack":    wire.SessionTrack,
}

// replies say how the reply to a command ends.
type reply int

const (
	noReply   reply = iota
	onePacket       // OK, EOF, ERR, or a string
	results         // of COM_QUERY and COM_STMT_EXECUTE
	rows            // of COM_STMT_FETCH and COM_FIELD_LIST
	prepare         // of COM_STMT_PREPARE
	login           // of COM_CHANGE_USER
)

// ask sends a command and reads all of the reply.
func (c *client) ask(how reply, command wire.Command, arg []byte) *exchange {
	x := &exchange{caps: c.Caps()}
	err := c.SetDeadline(time.Now().Add(stepTimeout))
	if err == nil {
		err = c.SendCommand(command, arg)
	}
	// A peer that closed while the command was on its way may still have said why.
	if err == nil || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		err = c.read(how, x)
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		x.end = "closed"
	default:
		x.end = err.Error()
	}
	return x
}

// next reads one packet into x.
func (c *client) next(x *exchange) ([]byte, error) {
	p, err := c.ReadPacket()
	if err != nil {
		return nil, err
	}
	x.packets = append(x.packets, packet{seq: c.Seq() - 1, payload: append([]byte(nil), p...)})
	if len(p) == 0 {
		return nil, errors.New("empty packet")
	}
	return p, nil
}

// last is the packet that was read last.
func (x *exchange) last() *packet { return &x.packets[len(x.packets)-1] }

func (c *client) read(how reply, x *exchange) error {
	switch how {
	case onePacket:
		p, err := c.next(x)
		if err == nil && (p[0] == isOK || p[0] == isEOF) {
			x.last().ok = true
		}
		return err
	case results:
		for {
			if more, err := c.result(x); err != nil || !more {
				return err
			}
		}
	case rows:
		_, err := c.rows(x)
		return err
	case prepare:
		return c.prepared(x)
	case login:
		return c.login(x)
	}
	return nil
}

// The first bytes of packets that are no rows.
const (
	isOK     = 0x00
	isInfile = 0xfb
	isEOF    = 0xfe
	isErr    = 0xff
)

// result reads one result and says whether another follows.
//
// Source: MySQL page_protocol_com_query_response.
func (c *client) result(x *exchange) (more bool, err error) {
	p, err := c.next(x)
	if err != nil {
		return false, err
	}
	switch p[0] {
	case isErr:
		return false, nil
	case isOK:
		return c.more(x)
	case isInfile:
		for _, line := range []string{"1\tone\n2\ttwo\n", "3\tthree\textra\n", ""} {
			if err := c.WritePacket([]byte(line)); err != nil {
				return false, err
			}
		}
		if err := c.Flush(); err != nil {
			return false, err
		}
		if p, err = c.next(x); err != nil || p[0] == isErr {
			return false, err
		}
		return c.more(x)
	}
	columns, _ := wire.ReadInt(p)
	for range columns {
		if p, err = c.next(x); err != nil || p[0] == isErr {
			return false, err
		}
	}
	if !c.Caps().Has(wire.DeprecateEOF) {
		if p, err = c.next(x); err != nil || p[0] == isErr {
			return false, err
		}
		x.last().ok, x.last().middle = true, true
		if ok, err := wire.ParseOK(p, c.Caps()); err != nil || ok.Status&wire.StatusCursorExists != 0 {
			return false, err
		}
	}
	if p, err = c.rows(x); err != nil || p[0] == isErr {
		return false, err
	}
	return c.more(x)
}

// more reads the OK or EOF that has just come.
func (c *client) more(x *exchange) (bool, error) {
	x.last().ok = true
	ok, err := wire.ParseOK(x.last().payload, c.Caps())
	return ok.Status&wire.StatusMoreResults != 0, err
}

// rows reads up to the packet that ends rows, and returns that.
func (c *client) rows(x *exchange) ([]byte, error) {
	longest := 1<<24 - 1
	if !c.Caps().Has(wire.DeprecateEOF) {
		longest = 9
	}
	for {
		p, err := c.next(x)
		switch {
		case err != nil || p[0] == isErr:
			return p, err
		case p[0] == isEOF && len(p) < longest:
			x.last().ok = true
			return p, nil
		}
		x.last().row = true
	}
}

// prepared reads the definitions behind a COM_STMT_PREPARE_OK.
//
// Source: MySQL page_protocol_com_stmt_prepare.
func (c *client) prepared(x *exchange) error {
	p, err := c.next(x)
	if err != nil || p[0] == isErr {
		return err
	}
	for _, at := range []int{7, 5} { // parameters, then columns
		n := int(binary.LittleEndian.Uint16(x.packets[0].payload[at:]))
		if n > 0 && !c.Caps().Has(wire.DeprecateEOF) {
			n++
		}
		for range n {
			p, err := c.next(x)
			if err != nil {
				return err
			}
			x.last().middle = p[0] == isEOF
		}
	}
	return nil
}

// login answers what the server asks after COM_CHANGE_USER until it says OK or ERR. Only that packet is kept: what is
// before it is made of random numbers.
//
// Source: MySQL page_protocol_connection_phase_packets_protocol_auth_switch_request, page_caching_sha2_authentication_exchanges.
func (c *client) login(x *exchange) error {
	for {
		p, err := c.next(x)
		if err != nil {
			return err
		}
		var answer []byte
		switch {
		case p[0] == isOK || p[0] == isErr:
			x.packets = []packet{*x.last()} // without its sequence id, which depends on them
			x.packets[0].seq, x.packets[0].ok = 0, p[0] == isOK
			return nil
		case p[0] == isEOF:
			plugin, salt, _ := strings.Cut(string(p[1:]), "\x00")
			answer = scramble(plugin, c.at.password, strings.TrimSuffix(salt, "\x00"))
		case len(p) == 2 && p[1] == 3: // caching_sha2_password: the password was right
			continue
		default:
			return fmt.Errorf("full authentication is not spoken here: %x", p)
		}
		if err := errors.Join(c.WritePacket(answer), c.Flush()); err != nil {
			return err
		}
	}
}

// scramble proves the password.
//
// Source: MySQL page_protocol_connection_phase_authentication_methods_native_password_authentication,
// page_caching_sha2_authentication_exchanges.
func scramble(plugin, password, salt string) []byte {
	var first, proof []byte
	if plugin == "mysql_native_password" {
		a := sha1.Sum([]byte(password))
		b := sha1.Sum(a[:])
		m := sha1.Sum(append([]byte(salt), b[:]...))
		first, proof = a[:], m[:]
	} else {
		a := sha256.Sum256([]byte(password))
		b := sha256.Sum256(a[:])
		m := sha256.Sum256(append(b[:], salt...))
		first, proof = a[:], m[:]
	}
	for i := range proof {
		proof[i] ^= first[i]
	}
	return proof
}
