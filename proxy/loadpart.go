package proxy

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// loadPart is one backend's share of a LOAD DATA LOCAL: its branch waits for the file, gets lines of it, and answers.
type loadPart struct {
	*txBranch
	request request

	readTimeout time.Duration // net_read_timeout as it was; 0 before it is known
	buf         []byte        // lines that wait for being sent
	lines       uint64        // that were sent
	numbers     *lineNumbers  // of these, for PostgreSQL
	err         error         // why the statement fails here
	ok          wire.OK       // the answer

	answered chan struct{} // closed when there is an answer; nil while the backend does not wait for the file

	mu          sync.Mutex // protects following fields
	sending     bool       // the file has not ended
	interrupted bool       // the answer came too early and ended a write
}

// loadBuffer is how many bytes of the file are sent to a backend at a time.
const loadBuffer = 32 << 10

// loadQuestion asks what the session must know before it can send a file.
const loadQuestion = "SELECT @@character_set_database, @@net_read_timeout"

// Between two lines for one backend there may be any time: the lines may all be for others, or another backend may wait
// for a lock. So a backend gets as much patience as it has with a session that sends no statements.
const loadPatience = "SET SESSION net_read_timeout = GREATEST(@@net_read_timeout, @@wait_timeout)"

// start begins the statement, after lead, up to where the backend waits for the file.
func (p *loadPart) start(tx *transaction, s *backend.Session, load *router.Load, lead []string) {
	conn := p.Conn()
	conn.Soil() // of patience, and of user variables that fields go to
	if p.err = tx.begin(p.txBranch, s, &request{sql: []byte(loadQuestion)}, false, lead...); p.err != nil {
		return
	}
	var charset string
	if charset, p.readTimeout, p.err = p.answer(); p.err != nil {
		return
	}
	if load.Charset == "" {
		if p.err = load.ReadsAs(charset); p.err != nil {
			p.err = clientError(p.err, false)
			return
		}
	}
	if p.err = tx.begin(p.txBranch, s, &p.request, false, loadPatience); p.err != nil {
		return
	}
	if _, err := conn.ReadFileRequest(); err != nil {
		p.err = p.lost(err)
		return
	}
	p.answered, p.sending = make(chan struct{}), true
	go p.listen()
}

// answer reads the answer to loadQuestion.
func (p *loadPart) answer() (charset string, readTimeout time.Duration, err error) {
	rows, err := p.Conn().ReadResult(1 << 10)
	if err != nil {
		return "", 0, p.lost(err)
	}
	if len(rows.Values) == 1 && len(rows.Values[0]) == 2 {
		seconds, err := strconv.Atoi(string(rows.Values[0][1]))
		if err == nil && seconds > 0 {
			return string(rows.Values[0][0]), time.Duration(seconds) * time.Second, nil
		}
	}
	return "", 0, p.Conn().Lost(errors.New("no value came back for net_read_timeout"))
}

// lost marks the connection as broken unless err is what the server said.
func (p *loadPart) lost(err error) error {
	var said *wire.Error
	if errors.As(err, &said) {
		return err
	}
	return p.Conn().Lost(err)
}

// listen waits for the backend's answer. Before the end of the file it means that nobody will read the rest: a write that is
// under way must not wait for it. It is the part's one goroutine, and finish and abort wait for it.
func (p *loadPart) listen() {
	defer close(p.answered)
	_ = p.Conn().Await() // reading the answer fails in the same way
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sending {
		p.interrupted = true
		_ = p.Conn().NetConn().SetWriteDeadline(time.Unix(1, 0)) // a connection without deadlines is closed
	}
}

// write sends bytes of the file. After an error it does nothing.
func (p *loadPart) write(text []byte) {
	for len(text) > 0 && p.err == nil {
		if p.buf == nil {
			p.buf = make([]byte, 0, loadBuffer)
		}
		n := min(len(text), loadBuffer-len(p.buf))
		p.buf = append(p.buf, text[:n]...)
		if text = text[n:]; len(p.buf) == loadBuffer {
			p.flush()
		}
	}
}

// flush sends what waits.
func (p *loadPart) flush() {
	select {
	case <-p.answered:
		p.err = p.early()
	default:
		if len(p.buf) > 0 {
			p.sent(p.Conn().WriteFileChunk(p.buf))
			p.buf = p.buf[:0]
		}
	}
}

// sent looks at how a write ended. Where it failed there is an answer, or none will come.
func (p *loadPart) sent(err error) {
	if err == nil {
		return
	}
	_ = p.Conn().NetConn().SetReadDeadline(time.Now().Add(p.Conn().Backend().Config.ConnectTimeout.Std())) // on a closed one reading fails anyway
	<-p.answered
	p.err = p.early()
}

// early reads an answer that came before the end of the file. The connection cannot be used any more.
func (p *loadPart) early() error {
	p.Conn().Break()
	return p.lost(p.Conn().ReadEarly())
}

// finish ends the file, without what waits for being sent unless whole is set, and reads the answer. It may be called again.
func (p *loadPart) finish(whole bool) {
	if p.answered == nil {
		return
	}
	if whole && p.err == nil {
		p.flush()
	}
	if p.err == nil {
		p.sent(p.Conn().WriteFileChunk(nil))
	}
	if p.err != nil {
		p.abort()
		return
	}
	p.mu.Lock()
	p.sending = false
	p.mu.Unlock()
	<-p.answered
	p.answered = nil
	if p.interrupted { // the answer came right behind the last write
		if p.err = p.Conn().NetConn().SetWriteDeadline(time.Time{}); p.err != nil {
			p.err = p.Conn().Lost(p.err)
			return
		}
	}
	p.ok, p.err = p.Conn().Result()
}

// abort closes the connection of a backend that waits for the rest of the file: it rolls back then.
func (p *loadPart) abort() {
	if p.answered == nil {
		return
	}
	p.Conn().Break()
	p.Conn().Abort()
	<-p.answered
	p.answered = nil
}

// records is how many rows the backend says that it has read: the first number of the info, which may be in any language; 0
// without one.
func (p *loadPart) records() (n uint64) {
	text := p.ok.Info
	if i := strings.IndexAny(text, "0123456789"); i >= 0 {
		for _, c := range text[i:] {
			if c < '0' || c > '9' {
				break
			}
			n = n*10 + uint64(c-'0')
		}
	}
	return n
}

// restore takes back the patience, and the statement's changes if it failed.
func (p *loadPart) restore(failed bool) error {
	if p.readTimeout > 0 {
		if err := p.Conn().Exec("SET SESSION net_read_timeout = " + strconv.Itoa(int(p.readTimeout.Seconds()))); err != nil {
			return err
		}
	}
	if failed {
		return p.Conn().Exec("ROLLBACK TO SAVEPOINT " + statementSavepoint)
	}
	return nil
}
