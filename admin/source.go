package admin

// Source is the running proxy. Its methods may be called at any time, by several goroutines at once, and wait for no backend and no client.
type Source interface {
	// Stopping reports whether no new clients are taken any more.
	Stopping() bool
	// Backends are those of the configuration in effect, in its order, and then those that are leaving it.
	Backends() []Backend
}

// Backend is the state of one backend.
type Backend struct {
	Name string
	Down string // why its statements are refused, or may be; "" if it is usable
}
