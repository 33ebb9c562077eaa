package config

import "time"

// Decision says where commit decisions are kept and how long the steps of a commit may take: section [decision].
type Decision struct {
	// Store is where decisions are kept; file: in a log on the local disk; participant: in a table on the backend that a transaction
	// touches first, so that nothing on the proxy's machine can be lost and any proxy recovers. Default file.
	Store string `toml:"store"`
	// Dir is the folder of the log, and of the socket by which commands reach a running xaproxy; it belongs to one xaproxy. A log
	// must outlive the machine's restarts. Default "xaproxy-log".
	Dir string `toml:"dir"`
	// SegmentSize is the size in bytes of one file of the log, allocated in advance, 64KiB to 1GiB. Default 16MiB.
	SegmentSize Size `toml:"segment_size"`
	// Retain is how long finished decisions can still be asked for, 1s to 87600h. Default 168h.
	Retain Duration `toml:"retain"`
	// PrepareTimeout is how long all branches together may take to prepare before the transaction is rolled back, 10ms to
	// 10m. Default 10s.
	PrepareTimeout Duration `toml:"prepare_timeout"`
	// CommitWait is how long a client's COMMIT waits for the branches after the decision; later it is answered with a
	// warning and the branches are finished in the background, 1ms to 10m. Default 5s.
	CommitWait Duration `toml:"commit_wait"`
	// Deciders are the backends that decide on transactions with commit keys; only with the participant store. All proxies must have the
	// same. Default: all backends.
	Deciders []string `toml:"deciders"`
	// EarlyAnswer answers COMMIT when it is decided, before the branches have committed: the client may then read old values for a
	// moment. Default false.
	EarlyAnswer bool `toml:"early_answer"`
	// InDoubtGrace is how long another xaproxy on the same backends may be silent before its branches are finished here, 2s to 1h; only
	// with the participant store. Default 5s.
	InDoubtGrace Duration `toml:"in_doubt_grace"`
	// RecoveryInterval is the pause between two searches for branches to finish, 10ms to 1h. Default 2s.
	RecoveryInterval Duration `toml:"recovery_interval"`
}

func defaultDecision() Decision {
	return Decision{
		Store:            FileStore,
		Dir:              "xaproxy-log",
		SegmentSize:      16 * MiB,
		Retain:           Duration(168 * time.Hour),
		PrepareTimeout:   Duration(10 * time.Second),
		CommitWait:       Duration(5 * time.Second),
		InDoubtGrace:     Duration(5 * time.Second),
		RecoveryInterval: Duration(2 * time.Second),
	}
}

// Values of Store.
const (
	FileStore        = "file"
	ParticipantStore = "participant"
)

func (d *Decision) complete(at section) {
	d.Dir = at.path(d.Dir)
}

// KeyDeciders are the names of the backends that decide on transactions with commit keys.
func (c *Config) KeyDeciders() []string {
	if len(c.Decision.Deciders) > 0 {
		return c.Decision.Deciders
	}
	names := make([]string, len(c.Backends))
	for i := range c.Backends {
		names[i] = c.Backends[i].Name
	}
	return names
}

func (d *Decision) validate(at section, c *Config) {
	at.oneOf("store", d.Store, FileStore, ParticipantStore)
	if d.Dir == "" {
		at.wrong("dir", `is empty; write the folder for the decision log, such as "xaproxy-log"`)
	}
	if len(d.Deciders) > 0 && d.Store != ParticipantStore {
		at.wrong("deciders", `has no effect with store = %q; write store = "participant" or take deciders out`, d.Store)
	}
	for i, name := range d.Deciders {
		at.backend("deciders", i, name, c)
	}
	within(at, "in_doubt_grace", d.InDoubtGrace, Duration(2*time.Second), Duration(time.Hour))
	within(at, "segment_size", d.SegmentSize, 64*KiB, GiB)
	within(at, "retain", d.Retain, Duration(time.Second), Duration(10*year))
	within(at, "prepare_timeout", d.PrepareTimeout, Duration(10*time.Millisecond), Duration(10*time.Minute))
	within(at, "commit_wait", d.CommitWait, Duration(time.Millisecond), Duration(10*time.Minute))
	within(at, "recovery_interval", d.RecoveryInterval, Duration(10*time.Millisecond), Duration(time.Hour))
}
