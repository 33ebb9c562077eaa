package fidelity

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/wire"
)

// story is a file of testdata: steps that one client takes in order, in a fresh schema.
type story struct {
	name  string
	only  string // kind of client that tells it; "" is all
	steps []step
}

// step is one command. Its text is that of the file.
type step struct {
	line int
	text string
	verb string // without its colon; "query" for a line without a verb
	arg  string // with {...} filled in
}

// readStories reads testdata/*.txt. A step begins in the first column; indented lines continue it. Lines that begin with #
// are comments; "# clients: KIND" says that only such clients tell the story. A step is an SQL statement, or a verb with a colon:
//
//	:query SQL                     as a line without a verb
//	:connect [+Cap] [-Cap] [noschema] [collation=N]    closes the connection and opens a new one
//	:as NAME                       goes on with another connection, which is opened when first named
//	:prepare NAME SQL
//	:execute NAME [cursor] [same] TYPE:VALUE ...    "same" sends no types; TYPE is that of parseBound
//	:long NAME PARAM TEXT          COM_STMT_SEND_LONG_DATA
//	:fetch NAME ROWS | :reset NAME | :close NAME
//	:ping | :statistics | :resetconnection | :debug
//	:initdb SCHEMA | :fieldlist TABLE [WILDCARD] | :setoption N
//	:changeuser [bad] [schema=S]
//	:raw HEX                       a command byte with its argument; one packet comes back
//
// NAME may be #N, a statement id that nobody has given. {schema} is the schema's name, {x*1000} a thousand x, {hex:00ff}
// bytes, {nl} a line break.
func readStories(schema string) ([]story, error) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		return nil, err
	}
	var all []story
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		s := story{name: strings.TrimSuffix(filepath.Base(path), ".txt")}
		for i, line := range strings.Split(string(text), "\n") {
			switch {
			case strings.HasPrefix(line, "# clients: "):
				s.only = strings.TrimPrefix(line, "# clients: ")
			case strings.TrimSpace(line) == "", line[0] == '#':
			case line[0] == ' ' || line[0] == '\t':
				last := &s.steps[len(s.steps)-1]
				last.text += "\n" + strings.TrimSpace(line)
			default:
				s.steps = append(s.steps, step{line: i + 1, text: line})
			}
		}
		for i := range s.steps {
			st := &s.steps[i]
			st.verb, st.arg = "query", st.text
			if verb, isVerb := strings.CutPrefix(st.text, ":"); isVerb {
				st.verb, st.arg, _ = strings.Cut(verb, " ")
			}
			if st.arg, err = fill(st.arg, schema); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, st.line, err)
			}
		}
		all = append(all, s)
	}
	return all, nil
}

var hole = regexp.MustCompile(`\{(schema|nl|hex:[0-9a-f]+|[^{}]\*[0-9]+)\}`)

// fill puts values into the holes of a text.
func fill(text, schema string) (filled string, err error) {
	filled = hole.ReplaceAllStringFunc(text, func(h string) string {
		h = h[1 : len(h)-1]
		if digits, isHex := strings.CutPrefix(h, "hex:"); isHex {
			b, e := hex.DecodeString(digits)
			if e != nil {
				err = e
			}
			return string(b)
		}
		switch h {
		case "schema":
			return schema
		case "nl":
			return "\n"
		}
		what, times, _ := strings.Cut(h, "*")
		n, e := strconv.Atoi(times)
		if e != nil {
			err = e
		}
		return strings.Repeat(what, n)
	})
	return filled, err
}

// teller tells a story to one endpoint.
type teller struct {
	at      endpoint
	usual   []string // options of every connection
	clients map[string]*client
	current string // client
}

// close ends all connections.
func (t *teller) close() {
	for _, c := range t.clients {
		_ = c.Close() // the story is over
	}
}

// take takes a step. The exchange is nil when the command has no reply. An error is one of the script.
func (t *teller) take(ctx context.Context, s step) (*exchange, error) {
	words := strings.Fields(s.arg)
	switch s.verb {
	case "as":
		t.current = s.arg
		if t.clients[t.current] != nil {
			return nil, nil
		}
		return t.connect(ctx, nil), nil
	case "connect":
		return t.connect(ctx, words), nil
	}
	c := t.clients[t.current]
	if c == nil {
		return nil, fmt.Errorf("line %d: not connected", s.line)
	}
	name, rest, _ := strings.Cut(s.arg, " ")
	id := c.id(name)
	switch s.verb {
	case "query":
		return c.ask(results, wire.ComQuery, []byte(s.arg)), nil
	case "prepare":
		x := c.ask(prepare, wire.ComStmtPrepare, []byte(rest))
		if len(x.packets) > 0 && len(x.packets[0].payload) >= 5 && x.packets[0].payload[0] == isOK {
			c.ids[name] = binary.LittleEndian.Uint32(x.packets[0].payload[1:])
		}
		return x, nil
	case "execute":
		arg, err := executeArg(binary.LittleEndian.Uint32(id), rest)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", s.line, err)
		}
		return c.ask(results, wire.ComStmtExecute, arg), nil
	case "long":
		param, text, _ := strings.Cut(rest, " ")
		n, err := strconv.ParseUint(param, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", s.line, err)
		}
		arg := binary.LittleEndian.AppendUint16(id, uint16(n))
		c.ask(noReply, wire.ComStmtSendLongData, append(arg, text...))
		return nil, nil
	case "fetch":
		n, err := strconv.ParseUint(rest, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", s.line, err)
		}
		return c.ask(rows, wire.ComStmtFetch, binary.LittleEndian.AppendUint32(id, uint32(n))), nil
	case "reset":
		return c.ask(onePacket, wire.ComStmtReset, id), nil
	case "close":
		c.ask(noReply, wire.ComStmtClose, id)
		return nil, nil
	case "ping":
		return c.ask(onePacket, wire.ComPing, nil), nil
	case "statistics":
		return c.ask(onePacket, wire.ComStatistics, nil), nil
	case "debug":
		return c.ask(onePacket, wire.ComDebug, nil), nil
	case "resetconnection":
		return c.ask(onePacket, wire.ComResetConnection, nil), nil
	case "initdb":
		return c.ask(onePacket, wire.ComInitDB, []byte(s.arg)), nil
	case "fieldlist":
		return c.ask(rows, wire.ComFieldList, []byte(name+"\x00"+rest)), nil
	case "setoption":
		n, err := strconv.ParseUint(s.arg, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", s.line, err)
		}
		return c.ask(onePacket, wire.ComSetOption, binary.LittleEndian.AppendUint16(nil, uint16(n))), nil
	case "changeuser":
		return c.ask(login, wire.ComChangeUser, c.changeUserArg(words)), nil
	case "raw":
		b, err := hex.DecodeString(strings.ReplaceAll(s.arg, " ", ""))
		if err != nil || len(b) == 0 {
			return nil, fmt.Errorf("line %d: no bytes: %v", s.line, err)
		}
		return c.ask(onePacket, wire.Command(b[0]), b[1:]), nil
	}
	return nil, fmt.Errorf("line %d: unknown verb %q", s.line, s.verb)
}

// connect replaces the current connection. The exchange has no packets: it tells what was agreed on, or why nothing was.
func (t *teller) connect(ctx context.Context, options []string) *exchange {
	if c := t.clients[t.current]; c != nil {
		_ = c.Close() // it is not needed any more
	}
	delete(t.clients, t.current)
	c, err := dial(ctx, t.at, append(slices.Clone(t.usual), options...))
	if err != nil {
		return &exchange{end: err.Error()}
	}
	t.clients[t.current] = c
	return &exchange{agreed: c.Caps()}
}

// id is the number of a prepared statement.
func (c *client) id(name string) []byte {
	id := c.ids[name]
	if digits, given := strings.CutPrefix(name, "#"); given {
		n, _ := strconv.ParseUint(digits, 10, 32) // what is no number is statement 0, which does not exist either
		id = uint32(n)
	}
	return binary.LittleEndian.AppendUint32(nil, id)
}

// executeArg reads the words of :execute.
func executeArg(id uint32, text string) ([]byte, error) {
	var flags byte
	withTypes := true
	var params []bound
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		end := strings.IndexAny(text+" ", " \n")
		if i := strings.IndexByte(text, '"'); i >= 0 && i < end {
			quoted, err := strconv.QuotedPrefix(text[i:])
			if err != nil {
				return nil, fmt.Errorf("%q: %w", text, err)
			}
			end = i + len(quoted)
		}
		word := text[:end]
		text = text[end:]
		switch word {
		case "cursor":
			flags = 1
		case "same":
			withTypes = false
		default:
			p, err := parseBound(word)
			if err != nil {
				return nil, err
			}
			params = append(params, p)
		}
	}
	return appendExecute(nil, id, flags, withTypes, params), nil
}

// changeUserArg is the argument of COM_CHANGE_USER for the same account, or for one that does not exist. It sends no proof,
// so the server asks for one.
//
// Source: MySQL page_protocol_com_change_user.
func (c *client) changeUserArg(words []string) []byte {
	user, schema := c.at.user, c.at.schema
	for _, w := range words {
		if w == "bad" {
			user = "nobody"
		}
		if s, given := strings.CutPrefix(w, "schema="); given {
			schema = s
		}
	}
	arg := append([]byte(user), 0, 0)
	arg = append(append(arg, schema...), 0)
	arg = append(arg, 45, 0) // utf8mb4_general_ci
	return append(arg, "mysql_native_password\x00"...)
}
