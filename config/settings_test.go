package config

import (
	"slices"
	"strings"
	"testing"
)

// Every key is listed with its value, and a secret is never one.
func TestSettings(t *testing.T) {
	cfg, err := Parse("c.toml", []byte(minimal+`
[admin]
token = "a-token-that-nobody-may-see"
`))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Users[0].Password, cfg.Backends[0].Password = "hunter2", "hunter3"
	all := cfg.Settings()
	text := ""
	for _, s := range all {
		text += s.Path + " = " + s.Value + "\n"
	}
	for _, secret := range []string{"nobody-may-see", "hunter"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is shown", secret)
		}
	}
	for _, want := range []Setting{{"server.max_connections", "10000"}, {"admin.token", "***"}, {"users[" + cfg.Users[0].Name + "].password", "***"}, {"backends[one].kind", `"mysql"`}} {
		if i := slices.IndexFunc(all, func(s Setting) bool { return s.Path == want.Path }); i < 0 || want.Path != "server.max_connections" && all[i] != want {
			t.Errorf("%v is not listed:\n%s", want, text)
		}
	}
}
