package xatest

import (
	"errors"
	"os"
	"time"

	"github.com/xaproxy/xaproxy/xa"
)

// Reply is what a fake answers to a verb. It may block; deadline is the caller's.
type Reply func(deadline time.Time) error

// ErrLost is the answer of Lose: no usable one.
var ErrLost = errors.New("connection reset by peer")

// OK answers success.
func OK(time.Time) error { return nil }

// Lose answers that the connection broke.
func Lose(time.Time) error { return ErrLost }

// Hang does not answer before the deadline.
func Hang(deadline time.Time) error {
	<-time.After(time.Until(deadline))
	return os.ErrDeadlineExceeded
}

// Refuse answers with a server's error.
func Refuse(errno uint16) Reply {
	return func(time.Time) error {
		return &xa.ServerError{Errno: errno, State: "HY000", Message: "refused by the test"}
	}
}

// After answers as reply does, d later, or like Hang if the deadline comes first.
func After(d time.Duration, reply Reply) Reply {
	return func(deadline time.Time) error {
		if time.Now().Add(d).After(deadline) {
			return Hang(deadline)
		}
		<-time.After(d)
		return reply(deadline)
	}
}

// Wait answers as reply does once signal is closed. It does not heed the deadline, so a test decides the order of
// events alone.
func Wait(signal <-chan struct{}, reply Reply) Reply {
	return func(deadline time.Time) error {
		<-signal
		return reply(deadline)
	}
}
