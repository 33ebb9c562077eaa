package config

import "time"

// Decision says where commit decisions are kept and how long the steps of a commit may take: section [decision].
type Decision struct {
	// Store is the kind of store; file: a log on the local disk. Default file.
	Store string `toml:"store"`
	// Dir is the folder of the log; it must outlive the machine's restarts and belong to one xaproxy. Default "xaproxy-log".
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
	// RecoveryInterval is the pause between two searches for branches to finish, 10ms to 1h. Default 2s.
	RecoveryInterval Duration `toml:"recovery_interval"`
}

func defaultDecision() Decision {
	return Decision{
		Store:            "file",
		Dir:              "xaproxy-log",
		SegmentSize:      16 * MiB,
		Retain:           Duration(168 * time.Hour),
		PrepareTimeout:   Duration(10 * time.Second),
		CommitWait:       Duration(5 * time.Second),
		RecoveryInterval: Duration(2 * time.Second),
	}
}

func (d *Decision) complete(at section) {
	d.Dir = at.path(d.Dir)
}

func (d *Decision) validate(at section) {
	at.oneOf("store", d.Store, "file")
	if d.Dir == "" {
		at.wrong("dir", `is empty; write the folder for the decision log, such as "xaproxy-log"`)
	}
	within(at, "segment_size", d.SegmentSize, 64*KiB, GiB)
	within(at, "retain", d.Retain, Duration(time.Second), Duration(10*year))
	within(at, "prepare_timeout", d.PrepareTimeout, Duration(10*time.Millisecond), Duration(10*time.Minute))
	within(at, "commit_wait", d.CommitWait, Duration(time.Millisecond), Duration(10*time.Minute))
	within(at, "recovery_interval", d.RecoveryInterval, Duration(10*time.Millisecond), Duration(time.Hour))
}
