package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// No verb and no JSON of a whole Config shows a password.
func TestSecretNeverPrints(t *testing.T) {
	c := mustParse(t, "c.toml", strings.ReplaceAll(minimal, `password = "x"`, `password = "hunter2"`))
	if c.Users[0].Password.Reveal() != "hunter2" {
		t.Fatal("the password is not hunter2")
	}
	secret := c.Users[0].Password
	var outputs []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%t", "%c", "%U", "%e", "%T"} {
		outputs = append(outputs, fmt.Sprintf(verb, secret), fmt.Sprintf(verb, *c), fmt.Sprintf(verb, c), fmt.Sprintf(verb, c.Users))
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	outputs = append(outputs, string(asJSON), fmt.Sprint(secret), secret.String(), secret.GoString())
	for _, out := range outputs {
		low := strings.ToLower(strings.ReplaceAll(out, " ", ""))
		if strings.Contains(low, "hunter2") || strings.Contains(low, fmt.Sprintf("%x", "hunter2")) || strings.Contains(low, "104117110") {
			t.Errorf("the password is in %s", out)
		}
	}
	if got := fmt.Sprintf("%s", secret); got != "***" {
		t.Errorf("got %q, want ***", got)
	}
}

// A mistake about a password does not repeat it.
func TestMistakesDoNotShowSecrets(t *testing.T) {
	_, err := Parse("c.toml", []byte(`
[[users]]
name = "a"
password = "hunter2"
password_hash = "hunter2"
[[users]]
name = "b"
password_hash = "hunter2"
[[backends]]
name = "one"
password = ["hunter2"]
`))
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("want mistakes without the password, got %v", err)
	}
}
