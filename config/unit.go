package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes. In TOML it is an integer, or a string with a unit of 1024: "512B", "16KiB", "64MiB", "1GiB".
type Size int64

// Units of Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

var sizeUnits = []struct {
	name  string
	bytes Size
}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"B", 1}}

// String writes the size in the largest unit that divides it, in the form that the file accepts.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return "0B"
}

func parseSize(text string) (Size, error) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 63)
		if errors.Is(err, strconv.ErrRange) || err == nil && Size(n) > math.MaxInt64/u.bytes {
			return 0, fmt.Errorf("%q is too large; no size is more than %d bytes", text, int64(math.MaxInt64))
		}
		if err == nil {
			return Size(n) * u.bytes, nil
		}
	}
	return 0, fmt.Errorf(`%q is not a size; write a number with B, KiB, MiB or GiB such as "64MiB", or an integer in bytes`, text)
}

// Duration is a time.Duration. In TOML it is a string with units: "250ms", "5s", "1h30m".
type Duration time.Duration

// Std returns d as a time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String writes the duration in the form that the file accepts, without zero parts: 8h, not 8h0m0s.
func (d Duration) String() string {
	s := d.Std().String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func parseDuration(text string) (Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf(`%q is not a duration; write numbers with ms, s, m or h such as "250ms", "5s" or "1h30m"`, text)
	}
	return Duration(d), nil
}
