package config

import "net/url"

// Trace says where spans of statements and transactions go, by OpenTelemetry's protocol over HTTP: section [trace].
type Trace struct {
	// Endpoint is the URL of the collector, such as http://127.0.0.1:4318; without a path it is /v1/traces. Default "": nothing is traced.
	Endpoint string `toml:"endpoint"`
	// OneIn is of how many statements outside of transactions, and of how many transactions, one is traced, 0 to 1000000, where the client does not decide that with a
	// traceparent. 0 is none of them. Default 100.
	OneIn int `toml:"one_in"`
	// Authorization is the value of that header after Load, such as "Bearer ...", whether it was written as authorization, authorization_env or
	// authorization_file; at most one of the three is given. Default "": the header is not sent.
	Authorization Secret `toml:"authorization"`
	// AuthorizationEnv names the environment variable with it.
	AuthorizationEnv string `toml:"authorization_env"`
	// AuthorizationFile is the file with it; one newline at its end does not count.
	AuthorizationFile string `toml:"authorization_file"`
}

func defaultTrace() Trace { return Trace{OneIn: 100} }

func (t *Trace) complete(at section) {
	t.AuthorizationFile = at.path(t.AuthorizationFile)
	if at.has("authorization") || at.has("authorization_env") || at.has("authorization_file") {
		t.Authorization = at.password(t.Authorization, t.AuthorizationEnv, t.AuthorizationFile, "authorization", "authorization_env", "authorization_file")
	}
}

const maxOneIn = 1_000_000

func (t *Trace) validate(at section) {
	within(at, "one_in", t.OneIn, 0, maxOneIn)
	if t.Endpoint == "" {
		return
	}
	u, err := url.Parse(t.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		at.wrong("endpoint", `%q is not the address of a collector; write a URL such as "http://127.0.0.1:4318"`, t.Endpoint)
	}
	if err == nil && u.Scheme == "http" && t.Authorization != "" && !isLoopback(u.Hostname()) {
		at.wrong("endpoint", "authorization could be read on the way; write https://")
	}
}
