package once

import "testing"

// Goal: the audit sees each way to break the promise. Method: histories that are good, and the same with one mistake.
func TestAudit(t *testing.T) {
	legs := []leg{{3, -5}, {2, 5}}
	done := []leg{{2, 5}, {3, -5}}
	o := func(tellings []telling, ends ...ending) *operation {
		op := &operation{number: 1, legs: legs, tellings: tellings}
		for i, e := range ends {
			op.attempts = append(op.attempts, attempt{end: e, of: i + 1})
		}
		return op
	}
	rivals := o(nil, already, acknowledged)
	rivals.attempts[0].of = 2
	for _, c := range []struct {
		name string
		op   *operation
		is   applied
		bad  int
	}{
		{"at once", o(nil, acknowledged), applied{0: done}, 0},
		{"first answer lost", o([]telling{{outcomeCommitted, 0, 1}}, unknown, already), applied{0: done}, 0},
		{"first attempt lost", o([]telling{{outcomeRolledBack, 0, 1}}, unknown, running, acknowledged), applied{2: done}, 0},
		{"two at once", rivals, applied{1: done}, 0},
		{"not applied", o(nil, acknowledged), applied{}, 1},
		{"applied twice", o(nil, unknown, acknowledged), applied{0: done, 1: done}, 1},
		{"half applied", o(nil, acknowledged), applied{0: done[:1]}, 1},
		{"rolled back is applied", o(nil, rolledBack, already), applied{0: done}, 1},
		{"20042 is applied", o(nil, unknown, already), applied{1: done}, 1},
		{"OK is not applied", o(nil, unknown, acknowledged), applied{0: done}, 1},
		{"20042 too early", o(nil, already, acknowledged), applied{1: done}, 1},
		{"told too early", o([]telling{{outcomeCommitted, 0, 1}}, unknown, acknowledged), applied{1: done}, 1},
		{"told wrong", o([]telling{{outcomeRolledBack, 0, 1}}, unknown, already), applied{0: done}, 1},
	} {
		if got := audit(c.op, c.is); len(got) != c.bad {
			t.Errorf("%s: %d violations, want %d: %q", c.name, len(got), c.bad, got)
		}
	}
}
