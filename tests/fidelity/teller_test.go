package fidelity

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xaproxy/xaproxy/wire"
)

// teller tells a story to one endpoint.
type teller struct {
	at      endpoint
	server  *sql.DB  // the server that the endpoint is, or is in front of, for :await
	usual   []string // options of every login
	clients map[string]*client
	current string // client
}

// close ends all connections.
func (t *teller) close() {
	for _, c := range t.clients {
		_ = c.Close() // the story is over
	}
}

// plain are the verbs that are a command without an argument.
var plain = map[string]struct {
	how     reply
	command wire.Command
}{
	"ping": {onePacket, wire.ComPing}, "statistics": {onePacket, wire.ComStatistics}, "debug": {onePacket, wire.ComDebug},
	"resetconnection": {onePacket, wire.ComResetConnection}, "quit": {everything, wire.ComQuit},
}

// take takes a step. The exchange is nil when the command has no reply or there is no connection to send it on. An error is
// one of the script.
func (t *teller) take(ctx context.Context, s step) (*exchange, error) {
	x, err := t.try(ctx, s)
	if err != nil {
		err = fmt.Errorf("line %d: %w", s.line, err)
	}
	return x, err
}

func (t *teller) try(ctx context.Context, s step) (*exchange, error) {
	arg := t.ids(s.arg)
	switch s.verb {
	case "as":
		t.current = arg
		if t.clients[t.current] != nil {
			return nil, nil
		}
		return t.connect(nil)
	case "connect":
		return t.connect(strings.Fields(arg))
	case "login":
		return t.login(strings.Fields(arg))
	case "await":
		return nil, t.await(ctx, arg)
	}
	c := t.clients[t.current]
	if c == nil {
		return nil, nil
	}
	if p, ok := plain[s.verb]; ok {
		return c.ask(p.how, p.command, nil), nil
	}
	return c.take(s.verb, arg)
}

// ids fills in the numbers of connections, which differ between the two tellings.
func (t *teller) ids(text string) string {
	for name, c := range t.clients {
		text = strings.ReplaceAll(text, strings.TrimSpace("{id "+name)+"}", strconv.FormatUint(uint64(c.id), 10))
	}
	return text
}

// login replaces the current connection.
func (t *teller) login(options []string) (*exchange, error) {
	if c := t.clients[t.current]; c != nil {
		_ = c.Close() // it is not needed any more
	}
	delete(t.clients, t.current)
	l, err := parseLogin(t.at, append(slices.Clone(t.usual), options...))
	if err != nil {
		return nil, err
	}
	c, x := dial(t.at, l)
	if c != nil {
		t.clients[t.current] = c
	}
	return x, nil
}

// connect is login, of which only the last packet is looked at.
func (t *teller) connect(options []string) (*exchange, error) {
	x, err := t.login(options)
	if err == nil && len(x.packets) > 0 {
		x.packets = x.packets[len(x.packets)-1:]
		x.packets[0].seq = 0
	}
	return x, err
}

// await waits until the server runs a statement that begins with text, or has come to where that sleeps.
func (t *teller) await(ctx context.Context, text string) error {
	text, sleeping := strings.CutPrefix(text, "sleeping ")
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	for tick := time.NewTicker(2 * time.Millisecond); ; {
		var n int
		err := t.server.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE CONCAT(?, '%') AND (state = 'User sleep' OR NOT ?)", text, sleeping).Scan(&n)
		if err != nil || n > 0 {
			tick.Stop()
			return err
		}
		<-tick.C
	}
}

// take takes a step that is a command with an argument.
func (c *client) take(verb, arg string) (x *exchange, err error) {
	name, rest, _ := strings.Cut(arg, " ")
	id := c.statement(name)
	var wrong error
	number := func(text string, bits int) uint64 {
		n, err := strconv.ParseUint(text, 10, bits)
		wrong = errors.Join(wrong, err)
		return n
	}
	defer func() { err = errors.Join(err, wrong) }()
	switch verb {
	case "query":
		return c.ask(results, wire.ComQuery, c.queryArg(arg)), nil
	case "send":
		return nil, c.send(wire.ComQuery, c.queryArg(arg))
	case "receive":
		return c.exchange(results, nil), nil
	case "listen":
		return c.exchange(everything, nil), nil
	case "prepare":
		x := c.ask(prepare, wire.ComStmtPrepare, []byte(rest))
		if len(x.packets) > 0 && len(x.packets[0].payload) >= 5 && x.packets[0].payload[0] == isOK {
			c.ids[name] = binary.LittleEndian.Uint32(x.packets[0].payload[1:])
		}
		return x, nil
	case "execute":
		e, err := parseExecute(binary.LittleEndian.Uint32(id), rest)
		if err != nil {
			return nil, err
		}
		how := results
		if e.flags != 0 {
			how = opened
		}
		return c.ask(how, wire.ComStmtExecute, e.append(nil, c.caps, c.attributes)), nil
	case "long":
		param, text, _ := strings.Cut(rest, " ")
		arg := binary.LittleEndian.AppendUint16(id, uint16(number(param, 16)))
		return nil, c.send(wire.ComStmtSendLongData, append(arg, text...))
	case "fetch":
		return c.ask(rows, wire.ComStmtFetch, binary.LittleEndian.AppendUint32(id, uint32(number(rest, 32)))), nil
	case "reset":
		return c.ask(onePacket, wire.ComStmtReset, id), nil
	case "close":
		return nil, c.send(wire.ComStmtClose, id)
	case "initdb":
		return c.ask(onePacket, wire.ComInitDB, []byte(arg)), nil
	case "fieldlist":
		return c.ask(rows, wire.ComFieldList, []byte(name+"\x00"+rest)), nil
	case "setoption":
		return c.ask(onePacket, wire.ComSetOption, binary.LittleEndian.AppendUint16(nil, uint16(number(arg, 16)))), nil
	case "kill":
		return c.ask(onePacket, wire.ComProcessKill, binary.LittleEndian.AppendUint32(nil, uint32(number(arg, 32)))), nil
	case "changeuser":
		return c.changeUser(strings.Fields(arg)), nil
	case "raw":
		b, err := hex.DecodeString(strings.ReplaceAll(arg, " ", ""))
		if err != nil || len(b) == 0 {
			return nil, fmt.Errorf("no bytes: %w", err)
		}
		return c.ask(onePacket, wire.Command(b[0]), b[1:]), nil
	case "packet", "say":
		b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
		c.restart()
		c.seq = byte(number(name, 8))
		if verb == "say" {
			_ = c.write(b) // that it cannot be sent is found out by the next step
			return nil, err
		}
		return c.exchange(onePacket, append([]byte{}, b...)), err
	case "file":
		c.file = strings.Split(arg, "|")
		return nil, nil
	case "attributes":
		var err error
		c.attributes, err = parseAttributes(arg)
		return nil, err
	}
	return nil, fmt.Errorf("unknown verb %q", verb)
}

// send sends a command whose reply is read later or does not come. That it cannot be sent is found out then.
func (c *client) send(command wire.Command, arg []byte) error {
	c.restart()
	_ = c.write(append([]byte{byte(command)}, arg...))
	return nil
}

// statement is the number of a prepared statement.
func (c *client) statement(name string) []byte {
	id := c.ids[name]
	if digits, given := strings.CutPrefix(name, "#"); given {
		n, _ := strconv.ParseUint(digits, 10, 32) // what is no number is statement 0, which does not exist either
		id = uint32(n)
	}
	return binary.LittleEndian.AppendUint32(nil, id)
}

// changeUser sends COM_CHANGE_USER without a proof, so that the server asks for one.
//
// Source: MySQL page_protocol_com_change_user.
func (c *client) changeUser(words []string) *exchange {
	user, schema, password := c.at.user, c.at.schema, c.at.password
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "user":
			user = value
		case "password":
			password = value
		case "schema":
			schema = value
		}
	}
	arg := append([]byte(user), 0, 0)
	arg = append(append(arg, schema...), 0)
	arg = append(arg, 45, 0) // utf8mb4_general_ci
	arg = append(append(arg, c.plugin...), 0)
	if c.caps.Has(wire.ConnectAttrs) {
		arg = append(arg, 0)
	}
	c.changing = password
	return c.ask(changed, wire.ComChangeUser, arg)
}
