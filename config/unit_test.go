package config

import (
	"math"
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	good := map[string]Size{
		"0B": 0, "1B": 1, "16KiB": 16 * KiB, "64MiB": 64 * MiB, "1GiB": GiB, "1 MiB": MiB, "1024KiB": MiB,
		"9223372036854775807B": math.MaxInt64, "8589934591GiB": 8589934591 * GiB,
	}
	for text, want := range good {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
	}
	bad := []string{
		"", "B", "64", "64MB", "64mib", "-1KiB", "+1KiB", "1.5MiB", "1e3KiB", "0x10KiB", "KiB1", "1KiBKiB",
		"9223372036854775808B", "8589934592GiB", "99999999999999999999B",
	}
	for _, text := range bad {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

// What is printed can be written into the file again.
func TestUnitsPrintAsTheyAreWritten(t *testing.T) {
	for want, size := range map[string]Size{"0B": 0, "1B": 1, "1023B": 1023, "1KiB": KiB, "1025B": 1025, "64MiB": 64 * MiB, "1536MiB": 1536 * MiB, "2GiB": 2 * GiB} {
		back, err := parseSize(size.String())
		if size.String() != want || err != nil || back != size {
			t.Errorf("%d: printed %q and read back as %d, %v; want %q", size, size, back, err, want)
		}
	}
	durations := map[string]time.Duration{
		"0s": 0, "250ms": 250 * time.Millisecond, "5s": 5 * time.Second, "1m": time.Minute, "10m": 10 * time.Minute, "1m10s": 70 * time.Second,
		"8h": 8 * time.Hour, "1h30m": 90 * time.Minute, "1h0m5s": time.Hour + 5*time.Second, "10h": 10 * time.Hour, "-1h": -time.Hour,
	}
	for want, std := range durations {
		back, err := parseDuration(Duration(std).String())
		if Duration(std).String() != want || err != nil || back.Std() != std {
			t.Errorf("%v: printed %q and read back as %v, %v; want %q", std, Duration(std), back, err, want)
		}
	}
}
