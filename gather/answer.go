package gather

import (
	"fmt"

	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// BackendError is what went wrong with the answer of the I-th backend: a *wire.Error is what it said.
type BackendError struct {
	I   int
	Err error
}

func (e *BackendError) Error() string { return fmt.Sprintf("part %d: %v", e.I, e.Err) }

// Unwrap returns the cause.
func (e *BackendError) Unwrap() error { return e.Err }

// Answer is one result made of those of several backends.
type Answer struct {
	Rows uint64
	// Readers are those of the backends, nil for those whose answer has not begun.
	Readers []*wire.Reader
	Open    bool // the client has the column definitions, so nothing but rows, their end or an ERR may follow
	Failed  int  // the backend of a BackendError
}

// reader is a Source that says whose it is.
type reader struct {
	*wire.Reader
	i int
}

func (r reader) Next() ([]byte, error) {
	row, err := r.Reader.Next()
	if err != nil {
		err = &BackendError{r.i, err}
	}
	return row, err
}

// Merge reads the answers of backends to one statement, whose parts have been sent, and writes their merge to the client, all but the end
// of the rows; status is for the packet behind the column definitions. Errors are an *Unfit, a *BackendError, a *wire.Error for the client
// or that of the client's connection. Answers may be left unread: wire.Conn.Answered tells.
func (a *Answer) Merge(client *wire.Conn, backends []*wire.Conn, spec *router.Stream, inBinary bool, status wire.Status) error {
	a.Readers = make([]*wire.Reader, len(backends))
	columns := make([][]wire.Column, len(backends))
	sources := make([]Source, len(backends))
	for i, b := range backends {
		r, err := b.ReadColumns()
		if err == nil && len(r.Columns) == 0 {
			err = fmt.Errorf("%w: an answer has no columns", wire.ErrShape)
		}
		if err != nil {
			return &BackendError{i, err}
		}
		a.Readers[i], columns[i], sources[i] = r, r.Columns, reader{r, i}
	}
	m, err := New(spec, inBinary, columns...)
	if err != nil {
		return err
	}
	if err := m.Open(sources); err != nil {
		return err
	}
	rows := client.WriteRows()
	begin := func() error {
		a.Open = true
		return client.WriteColumns(a.Readers[0].Definitions[:m.visible], status)
	}
	a.Rows, err = m.Run(func(row []byte) error {
		if !a.Open { // not before: sorting may turn out to be too much
			if err := begin(); err != nil {
				return err
			}
		}
		return rows.Write(row)
	})
	if err == nil && !a.Open {
		err = begin()
	}
	if e := rows.End(); err == nil {
		err = e
	}
	return err
}

// Drain reads the rest of an answer, up to so many bytes, and tells whether that was all of it. r is nil if the answer has not begun.
func Drain(conn *wire.Conn, r *wire.Reader, bytes int) (err error) {
	if r == nil {
		if r, err = conn.ReadColumns(); err != nil {
			return err
		}
	}
	for !conn.Answered() {
		row, err := r.Next()
		if err != nil {
			return err
		}
		if bytes -= len(row); bytes < 0 {
			return wire.ErrResultTooLarge
		}
	}
	return nil
}
