package xatest

import "time"

// Asking makes requests of verbs that wait for their answer, for fakes: each verb runs in a goroutine of its own.
type Asking struct {
	deadline time.Time
	answer   chan error
}

// Ask begins a verb, which ends at the deadline at the latest.
func (a *Asking) Ask(deadline time.Time, verb func() error) {
	answer := make(chan error, 1)
	a.deadline, a.answer = deadline, answer
	go func() { answer <- verb() }()
}

// Answer implements xa.BranchConn.
func (a *Asking) Answer(by time.Time) (bool, error) {
	if !by.Before(a.deadline) {
		return true, <-a.answer
	}
	late := time.NewTimer(time.Until(by))
	defer late.Stop()
	select {
	case err := <-a.answer:
		return true, err
	case <-late.C:
		return false, nil
	}
}
