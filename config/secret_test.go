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

// A mistake about a password, or beside one, does not repeat it.
func TestMistakesDoNotShowSecrets(t *testing.T) {
	for _, text := range []string{
		`password = "hunter2"
password_hash = "hunter2"`,
		`password_hash = "hunter2"`,
		`password = ["hunter2"]`,
		`password = {hunter2 = 1}`,
		`password = hunter2`,
		`password = "hunter2`,
		`password = 'hunter2`,
		`password = "hunter2" hunter2`,
		`password = "hunter2\q"`,
		`password = "hunter2"
password = "hunter2"`,
		`password = 0xhunter2`,
		`pasword = "hunter2"`,
		`password_env = "XAPROXY_TEST_HUNTER"`,
	} {
		_, err := Parse("c.toml", []byte("[[users]]\nname = \"a\"\n"+text+"\n[[backends]]\nname = \"one\"\n"+text+"\n"))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: want mistakes without the password, got %v", text, err)
		}
	}
}
