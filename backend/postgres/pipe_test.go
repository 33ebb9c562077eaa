package postgres

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestPipe(t *testing.T) {
	closed := 0
	near, far := newPipe("p", nil, func() { closed++ })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = near.Write(make([]byte, 3*maxBuffered)) // more than it holds
		_ = near.Close()
		_ = near.Close()
	}()
	all, err := io.ReadAll(far)
	if len(all) != 3*maxBuffered || err != nil {
		t.Errorf("%d bytes, %v", len(all), err)
	}
	<-ended
	if closed != 1 {
		t.Errorf("told %d times that it is closed", closed)
	}
	if _, err := far.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write to nobody: %v", err)
	}
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
}

func TestPipeDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe("p", nil, nil)
		for _, what := range []func() (int, error){
			func() (int, error) { return near.Read(make([]byte, 1)) },
			func() (int, error) { return near.Write(make([]byte, 2*maxBuffered)) },
		} {
			since := time.Now()
			near.SetDeadline(since.Add(time.Second))
			if _, err := what(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(since) != time.Second {
				t.Errorf("%v after %v", err, time.Since(since))
			}
			near.SetDeadline(time.Time{})
		}
		near.SetDeadline(time.Now().Add(-time.Second))
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("past deadline: %v", err)
		}
		near.SetDeadline(time.Time{})
		go far.Write([]byte("x"))
		if n, err := near.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}
