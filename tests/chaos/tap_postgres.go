package chaos

import (
	"encoding/binary"
	"io"
	"strings"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// NewTapOf is NewTap for a server of this kind.
func NewTapOf(name string, s *servers.Server) (*Tap, error) {
	if s.Kind == servers.Postgres {
		return NewPostgresTap(name, s.Addr())
	}
	return NewTap(name, s.Addr())
}

// NewPostgresTap is NewTap in front of a PostgreSQL server.
func NewPostgresTap(name, target string) (*Tap, error) {
	t, err := listenTap(name, target)
	if err == nil {
		t.postgres = true
		t.running.Go(t.accept)
	}
	return t, err
}

// pgRequests forwards what the client sends: the startup packet, which has no type, and then messages.
//
// https://www.postgresql.org/docs/current/protocol-message-formats.html
func (l *link) pgRequests() {
	var buf []byte
	for first := true; ; first = false {
		message, err := readMessage(l.client, buf, first)
		if err != nil {
			return
		}
		buf = message
		if !first && message[0] == 'Q' && l.pgQuery(strings.TrimSuffix(string(message[5:]), "\x00")) == Cut {
			return
		}
		if err := l.pass(l.server, message); err != nil {
			return
		}
	}
}

// pgQuery looks at a simple query.
func (l *link) pgQuery(text string) Verdict {
	e := Event{Step: pgStepOf(text), Point: Asked, Text: text}
	l.mu.Lock()
	if e.Step == Start {
		l.opening = text
	}
	e.Opening = l.opening
	l.mu.Unlock()
	verdict := l.tap.tell(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = &request{Event: e}
	return verdict
}

// pgAnswers forwards what the server sends. An answer ends with ReadyForQuery.
func (l *link) pgAnswers() {
	var buf []byte
	failed := false
	for {
		message, err := readMessage(l.server, buf, false)
		if err != nil {
			return
		}
		buf = message
		failed = failed || message[0] == 'E'
		var ended *Event
		if message[0] == 'Z' {
			l.mu.Lock()
			if l.pending != nil {
				ended = &l.pending.Event
				ended.Failed = failed
				l.pending = nil
			}
			l.mu.Unlock()
			failed = false
		}
		if ended != nil {
			ended.Point = Answered
			if l.tap.tell(*ended) == Cut {
				return
			}
		}
		if err := l.pass(l.client, message); err != nil {
			return
		}
		if ended != nil {
			ended.Point = Told
			if l.tap.tell(*ended) == Cut {
				return
			}
		}
	}
}

// readMessage reads a message into buf, which it grows as needed.
func readMessage(r io.Reader, buf []byte, startup bool) ([]byte, error) {
	head := 5
	if startup {
		head = 4
	}
	if cap(buf) < head {
		buf = make([]byte, head, 4096)
	}
	buf = buf[:head]
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, err
	}
	n := head - 4 + int(binary.BigEndian.Uint32(buf[head-4:]))
	if n < head {
		return nil, io.ErrUnexpectedEOF
	}
	if cap(buf) < n {
		buf = append(make([]byte, 0, n), buf...)
	}
	buf = buf[:n]
	_, err := io.ReadFull(r, buf[head:])
	return buf, err
}

const pgDecisions = "INSERT INTO xaproxy.xaproxy_decision "

// pgStepOf is stepOf for what PostgreSQL gets.
func pgStepOf(text string) Step {
	has := func(s string) bool { return strings.Contains(text, s) }
	switch {
	case has("ON CONFLICT DO NOTHING") && has(pgDecisions):
		return Fence
	case has(pgDecisions) && strings.HasSuffix(text, "; COMMIT"):
		return Decide
	case has("PREPARE TRANSACTION "):
		return Prepare
	case strings.HasPrefix(text, "COMMIT PREPARED "):
		return Commit
	case strings.HasPrefix(text, "ROLLBACK PREPARED "), text == "ROLLBACK":
		return Rollback
	case strings.HasPrefix(text, "SAVEPOINT ") && strings.HasSuffix(text, "; COMMIT"):
		return OnePhase
	case strings.HasPrefix(text, "BEGIN"):
		return Start
	}
	return Other
}
