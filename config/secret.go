package config

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
)

// Secret is a password, or the hash of one. Printed, logged or encoded as JSON, it comes out as ***.
//
// NB: two ways past that are left. go-toml does not ask string types for MarshalText, so a Config must not be encoded
// with it; and fmt asks no method for the verb %p, which go vet refuses for a string.
type Secret string

const masked = "***"

// Reveal returns the password itself.
func (s Secret) Reveal() string { return string(s) }

// String returns ***.
func (s Secret) String() string { return masked }

// GoString returns ***.
func (s Secret) GoString() string { return masked }

// MarshalText returns ***; encoding/json uses it, as value and as key.
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// Format writes *** for every verb, also for those that do not fit a string, which fmt would report with the value.
func (s Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, masked) // fmt.State keeps its own errors
}

// maxSecretFile is far above any password and keeps a wrong path from filling the memory.
const maxSecretFile = 64 << 10

// password returns the password of a section in whichever of the forms it is given, and reports when there is not
// exactly one form or it cannot be read.
func (at section) password(written Secret, env, file string, forms ...string) Secret {
	var given []string
	for _, f := range forms {
		if at.has(f) {
			given = append(given, f)
		}
	}
	switch {
	case len(given) == 0:
		at.missing(forms[0], "give exactly one of %s (no password at all is password = \"\")", strings.Join(forms, ", "))
	case len(given) > 1:
		at.wrong(given[1], "%s are given together; keep one of them", strings.Join(given, " and "))
	case strings.HasSuffix(given[0], "_env") && env == "":
		at.wrong(given[0], "is empty; name an environment variable of the xaproxy process")
	case strings.HasSuffix(given[0], "_file") && file == "":
		at.wrong(given[0], "is empty; name the file that holds the %s", forms[0])
	case strings.HasSuffix(given[0], "_env"):
		value, ok := os.LookupEnv(env)
		if !ok || value == "" {
			at.wrong(given[0], "environment variable %q is not set or empty; set it for the xaproxy process", env)
		}
		return Secret(value)
	case strings.HasSuffix(given[0], "_file"):
		s, err := readSecret(file)
		if err != nil {
			at.wrong(given[0], "%v", err)
		}
		return s
	}
	return written
}

// readSecret returns the content of a regular file without one newline at its end.
func readSecret(path string) (Secret, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxSecretFile {
		return "", fmt.Errorf("%s is not a password file; name a regular file of at most %d bytes", path, maxSecretFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	defer clear(data)
	text := bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	if len(text) == 0 {
		return "", fmt.Errorf("%s is empty; write the password into it", path)
	}
	return Secret(text), nil
}
