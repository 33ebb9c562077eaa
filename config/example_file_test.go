package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

const exampleFile = "../config.example.toml"

// The example must be a file that works, and what it calls a default must be one: every key that has a default is
// written out there, so an example that equals the defaults also shows them.
func TestExampleShowsDefaults(t *testing.T) {
	c, err := Load(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Decision.Dir = "../" + want.Decision.Dir // resolved against the file's folder
	if c.Server != want.Server {
		t.Errorf("server\n got %+v\nwant %+v", c.Server, want.Server)
	}
	if !reflect.DeepEqual(c.Decision, want.Decision) {
		t.Errorf("decision\n got %+v\nwant %+v", c.Decision, want.Decision)
	}
	backend := DefaultBackend(c.Backends[0].Kind)
	backend.Name, backend.User, backend.Password = c.Backends[0].Name, c.Backends[0].User, c.Backends[0].Password
	if c.Backends[0] != backend {
		t.Errorf("backend\n got %+v\nwant %+v", c.Backends[0], backend)
	}
}

// Every key with a default is really given in the example, and not just filled in by Load: the comparison above would
// be empty otherwise.
func TestExampleGivesEveryDefault(t *testing.T) {
	root := parseExample(t)
	backend := DefaultBackend(MySQL)
	for name, defaults := range map[string]any{"server": defaultServer(), "admin": defaultAdmin(), "trace": defaultTrace(), "decision": defaultDecision(), "backends": backend} {
		section := root.get(name).value.table
		if section == nil {
			section = root.get(name).value.items[0].table
		}
		v := reflect.ValueOf(defaults)
		for i, key := range keysOf(v.Type()) {
			single := name != "backends" // where an empty default is a default too
			if strings.HasSuffix(key, "_env") || strings.HasSuffix(key, "_file") {
				continue // another form of a key that is given
			}
			if (single || !v.Field(i).IsZero()) && section.get(key) == nil {
				t.Errorf("%s.%s has a default, but the example does not give it", name, key)
			}
		}
	}
}

// Every key of the structs occurs in the example as "key =" or "#key =" within its section, and no other key does.
func TestExampleHasEveryKey(t *testing.T) {
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	line := regexp.MustCompile(`(?m)^#?(?:\[+([a-z_.]+)\]+|([a-z_]+) =)`)
	section := ""
	for _, m := range line.FindAllSubmatch(text, -1) {
		if len(m[1]) > 0 {
			section = string(m[1])
			continue
		}
		seen[section+"."+string(m[2])] = true
	}
	root := reflect.TypeFor[Config]()
	for i, name := range keysOf(root) {
		typ := root.Field(i).Type
		if typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		missing(t, seen, name, typ)
	}
	for path := range seen {
		t.Errorf("%s is in the example but not a key", path)
	}
}

// missing reports the keys of a section that were not seen, and takes the others out.
func missing(t *testing.T, seen map[string]bool, section string, typ reflect.Type) {
	t.Helper()
	for i, key := range keysOf(typ) {
		path := section + "." + key
		if f := typ.Field(i).Type; f.Kind() == reflect.Slice && f.Elem().Kind() == reflect.Struct {
			missing(t, seen, path, f.Elem())
			continue
		}
		if !seen[path] {
			t.Errorf("%s is not in the example", path)
		}
		delete(seen, path)
	}
}

// The lines that begin with #key are valid too: each alternative is put in the place of the one that is shown.
func TestExampleAlternatives(t *testing.T) {
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XAPROXY_APP_PASSWORD", "x")
	t.Setenv("XAPROXY_SHOP_1_PASSWORD", "x")
	dir := t.TempDir()
	for _, name := range []string{"app", "shop-1"} {
		if err := os.MkdirAll(dir+"/secrets", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/secrets/"+name, []byte("x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	written := regexp.MustCompile(`(?m)^password = .*\n`)
	for _, form := range []string{"password_env", "password_file", "password_hash"} {
		alternative := regexp.MustCompile(`(?m)^#(` + form + ` = )`)
		changed := text
		for _, loc := range alternative.FindAllIndex(text, -1) {
			// The nearest password line above gives way, by losing its key to a comment of the same length.
			all := written.FindAllIndex(text[:loc[0]], -1)
			above := all[len(all)-1]
			changed = append([]byte(nil), changed...)
			changed[above[0]], changed[loc[0]] = '#', ' '
		}
		if string(changed) == string(text) {
			t.Errorf("%s is not shown", form)
		}
		if _, err := Parse(dir+"/x.toml", changed); err != nil {
			t.Errorf("%s: %v", form, err)
		}
	}
	postgres := regexp.MustCompile(`(?ms)^#\[\[backends\]\]\n.*?\n\n`)
	changed := postgres.ReplaceAllFunc(text, func(block []byte) []byte {
		return regexp.MustCompile(`(?m)^#`).ReplaceAll(block, nil)
	})
	c, err := Parse(dir+"/x.toml", changed)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(c.Backends); n != 3 || c.Backends[2].Port != DefaultBackend(Postgres).Port {
		t.Errorf("got %d backends, the last %+v; want 3, the last with PostgreSQL's port", n, c.Backends[n-1])
	}
}

func parseExample(t *testing.T) *table {
	t.Helper()
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	return parseTree(text, &report{file: exampleFile, data: text})
}
