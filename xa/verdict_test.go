package xa_test

// judge is what recovery does with a listed branch of ours: package recovery's Judge, in short.
func (m *model) judge(inFlight, decided, named bool) verdict {
	switch {
	case m.bug.judge != nil:
		return m.bug.judge(inFlight, decided)
	case inFlight:
		return leave
	case decided && named:
		return commit
	default:
		return rollback
	}
}
