package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// run executes the command as main would and returns what it wrote and its error.
func runCheck(args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	cmd := checkCommand()
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(args)
	err = cmd.Execute()
	return out.String(), errs.String(), err
}

func TestCheckOfTheExample(t *testing.T) {
	stdout, stderr, err := runCheck("--config", "../../config.example.toml")
	want := `../../config.example.toml is fine
listen    127.0.0.1:3307
decisions file ../../xaproxy-log
user      app: all schemas
backend   shop-1: mysql at 127.0.0.1:3306
backend   shop-2: mariadb at /run/mysqld/mysqld.sock
schema    shop: shop-1
table     shop.audit: shop-2
table     shop.countries: whole on shop-1, shop-2
table     shop.orders: hash(customer_id) over shop-1, shop-2
`
	if err != nil || exitCode(err) != 0 || stderr != "" || stdout != want {
		t.Errorf("got error %v, stderr %q, stdout\n%s\nwant\n%s", err, stderr, stdout, want)
	}
}

func TestCheckOfABadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.toml")
	if err := os.WriteFile(path, []byte("[server]\nlisten = 1\ncolour = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, err := runCheck("-c", path)
	want := path + `:1:1: backends: is missing: xaproxy needs at least one database behind it; add a [[backends]] entry
` + path + `:1:1: users: is missing: nobody could log in; add a [[users]] entry
` + path + `:1:1: schemas: is missing: no statement could be routed; add a [[schemas]] entry that gives a schema to a backend
` + path + `:2:10: server.listen: is an integer, must be a string in quotes
` + path + `:3:1: server.colour: unknown key; known here: listen, version, tls_cert, tls_key, tls_required, tls_client_ca, tls_client_required, max_connections, max_packet, handshake_timeout, login_failures, login_block, idle_timeout, stall_timeout, drain_timeout, slow_statement, slow_statements, log_level, log_format
5 mistakes in ` + path + "\n"
	if stdout != "" || stderr != want {
		t.Errorf("got stdout %q, stderr\n%s\nwant\n%s", stdout, stderr, want)
	}
	if exitCode(err) != 1 || err.Error() != "" {
		t.Errorf("got status %d and error %q, want 1 and nothing more to say", exitCode(err), err)
	}
}

func TestCheckCountsOneMistake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.toml")
	if err := os.WriteFile(path, []byte("listen\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, err := runCheck("-c", path)
	want := path + ":1:7: not valid TOML: expected '=' after key\n1 mistake in " + path + "\n"
	if exitCode(err) != 1 || stderr != want {
		t.Errorf("got status %d, stderr %q, want 1, %q", exitCode(err), stderr, want)
	}
}

func TestCheckOfAnAbsentFile(t *testing.T) {
	stdout, stderr, err := runCheck("-c", filepath.Join(t.TempDir(), "absent.toml"))
	if !errors.Is(err, os.ErrNotExist) || exitCode(err) != 1 || stdout+stderr != "" {
		t.Errorf("got %q, %q, %v; want only an error that is os.ErrNotExist", stdout, stderr, err)
	}
}

func TestExitCode(t *testing.T) {
	plain := errors.New("plain")
	for _, c := range []struct {
		err  error
		want int
	}{{nil, 0}, {plain, 1}, {&exitError{code: 3, err: plain}, 3}, {errors.Join(plain, &exitError{code: 4}), 4}} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: got %d, want %d", c.err, got, c.want)
		}
	}
	if err := error(&exitError{code: 3, err: plain}); !errors.Is(err, plain) || err.Error() != "plain" {
		t.Errorf("got %v, want an error that is and reads as the inner one", err)
	}
}
