package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// reloadBase is what the tests change; each replaces one text by another.
const reloadBase = `
[server]
listen = "127.0.0.1:3300"
[decision]
store = "participant"
deciders = ["a", "b"]
[[users]]
name = "app"
password = "first-secret"
schemas = ["shop"]
[[users]]
name = "old"
password = "old-secret"
[[backends]]
name = "a"
kind = "mysql"
port = 3301
user = "x"
password = "backend-secret"
[[backends]]
name = "b"
kind = "mariadb"
port = 3302
user = "x"
password = "backend-secret"
[[schemas]]
name = "shop"
backend = "a"
[[shard_maps]]
name = "m"
function = "modulo"
[[shard_maps.shards]]
name = "one"
backend = "a"
[[shard_maps.shards]]
name = "two"
backend = "b"
[[sequences]]
name = "s"
block = 10
[[tables]]
schema = "shop"
name = "Orders"
column = "id"
shard_map = "m"
auto_increment = "id"
sequence = "s"
[[tables]]
schema = "shop"
name = "words"
broadcast = true
`

const reloadThird = `[[backends]]
name = "c"
kind = "mysql"
port = 3303
user = "x"
password = "third-secret"
`

// changed is reloadBase with texts replaced.
func changed(t *testing.T, pairs ...string) (before, after *Config) {
	t.Helper()
	text := reloadBase
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("there is no %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return mustParse(t, "a.toml", reloadBase), mustParse(t, "a.toml", text)
}

func TestDiff(t *testing.T) {
	for name, c := range map[string]struct {
		pairs []string
		want  []string
	}{
		"nothing":           {nil, nil},
		"another form":      {[]string{"3300\"", "3300\"\nidle_timeout = \"480m\"\nmax_packet = 67108864"}, nil},
		"names in capitals": {[]string{`"Orders"`, `"orders"`}, []string{`~ tables[shop.orders].name: "Orders" -> "orders"`}},
		"values":            {[]string{"3300\"", "3300\"\nidle_timeout = \"1h\"\nmax_packet = \"1MiB\"\nmax_connections = 5\nlog_level = \"warn\""}, []string{`~ server.max_connections: 1000 -> 5`, `~ server.max_packet: "64MiB" -> "1MiB"`, `~ server.idle_timeout: "8h" -> "1h"`, `~ server.log_level: "info" -> "warn"`}},
		"lists":             {[]string{`schemas = ["shop"]`, `read_only = true`}, []string{`~ users[app].schemas: ["shop"] -> []`, `~ users[app].read_only: false -> true`}},
		"password":          {[]string{"first-secret", "new-secret"}, []string{"~ users[app].password: changed"}},
		"password in a hash": {[]string{`password = "first-secret"`, `password_hash = "*6BB4837EB74329105EE4568DDA7DC67ED2CA2AD9"`}, []string{
			"~ users[app].password: changed", "~ users[app].password_hash: changed",
		}},
		"backend's password": {[]string{"backend-secret", "new-secret"}, []string{"~ backends[a].password: changed"}},
		"user gone":          {[]string{"[[users]]\nname = \"old\"\npassword = \"old-secret\"\n", ""}, []string{`- users[old]: { name = "old", password = *** }`}},
		"backend comes":      {[]string{"[[schemas]]", reloadThird + "[[schemas]]"}, []string{`+ backends[c]: { name = "c", kind = "mysql", port = 3303, user = "x", password = *** }`}},
		"order":              {[]string{"name = \"app\"\npassword = \"first-secret\"\nschemas = [\"shop\"]\n[[users]]\nname = \"old\"\npassword = \"old-secret\"", "name = \"old\"\npassword = \"old-secret\"\n[[users]]\nname = \"app\"\npassword = \"first-secret\"\nschemas = [\"shop\"]"}, []string{`~ users: ["app", "old"] -> ["old", "app"]`}},
		"shard": {[]string{"name = \"two\"\nbackend = \"b\"", "name = \"two\"\nbackend = \"a\"\n[[shard_maps.shards]]\nname = \"three\"\nbackend = \"b\""}, []string{
			`~ shard_maps[m].shards[two].backend: "b" -> "a"`, `+ shard_maps[m].shards[three]: { name = "three", backend = "b" }`,
		}},
	} {
		before, after := changed(t, c.pairs...)
		var got []string
		for _, d := range Diff(before.Sealed([]byte("k")), after.Sealed([]byte("k"))) {
			got = append(got, d.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
		for _, secret := range []string{"secret", "6BB4837EB74329105EE4568DDA7DC67ED2CA2AD9"} {
			if strings.Contains(strings.Join(got, ""), secret) {
				t.Errorf("%s: a password is shown: %q", name, got)
			}
		}
	}
}

// Sealed passwords can be compared with the same key only, and are not there any more.
func TestSealed(t *testing.T) {
	before, after := changed(t)
	sealed := before.Sealed([]byte("one"))
	if sealed.Users[0].Password == before.Users[0].Password || sealed.Users[0].Password == sealed.Users[1].Password {
		t.Error("a password is not sealed")
	}
	if before.Users[0].Password != "first-secret" {
		t.Error("the configuration has changed")
	}
	if len(Diff(sealed, after.Sealed([]byte("one")))) != 0 || len(Diff(sealed, after.Sealed([]byte("two")))) != 2 {
		t.Error("the key does not matter")
	}
}

func TestObjections(t *testing.T) {
	const orders = "name = \"Orders\"\ncolumn = \"id\"\nshard_map = \"m\""
	for name, c := range map[string]struct {
		pairs []string
		want  string // the beginnings, one behind the other
	}{
		"nothing":                     {nil, ""},
		"limits":                      {[]string{"3300\"", "3300\"\nmax_connections = 7\nidle_timeout = \"1h\"\nlog_level = \"debug\""}, ""},
		"listen":                      {[]string{"3300", "3399"}, `server.listen: cannot change while xaproxy runs ("127.0.0.1:3300" -> "127.0.0.1:3399")`},
		"store":                       {[]string{"store = \"participant\"\ndeciders = [\"a\", \"b\"]", ""}, `decision.store: cannot change while xaproxy runs ("participant" -> "file")`},
		"two at once":                 {[]string{"3300", "3399", "deciders", "retain = \"1h\"\ndeciders"}, "server.listen: cannot|decision.retain: cannot"},
		"deciders":                    {[]string{`["a", "b"]`, `["a"]`}, `decision.deciders: cannot change while xaproxy runs: commit keys would be looked for elsewhere than they are; name those that there are now, ["a", "b"]`},
		"the same deciders":           {[]string{"deciders = [\"a\", \"b\"]", ""}, ""},
		"another decider, by default": {[]string{"deciders = [\"a\", \"b\"]", "", "[[schemas]]", reloadThird + "[[schemas]]"}, `decision.deciders: `},
		"another backend":             {[]string{"[[schemas]]", reloadThird + "[[schemas]]"}, ""},
		"kind":                        {[]string{`"mysql"`, `"mariadb"`}, `backends[a].kind: cannot change`},
		"first backend":               {[]string{"[[backends]]", reloadThird + "[[backends]]"}, `backends: the first one has the records of DDL and cannot change while xaproxy runs: keep a first, and not c`},
		"counter":                     {[]string{"block = 10", "block = 10\nbackend = \"b\""}, `tables[shop.orders].sequence: the values of its AUTO_INCREMENT column would come from table xaproxy_sequence of backend b and not from table xaproxy_sequence of backend a`},
		"counter of another map":      {[]string{"name = \"one\"\nbackend = \"a\"", "name = \"one\"\nbackend = \"b\""}, `tables[shop.orders].sequence: `},
		"counter, kept":               {[]string{"name = \"one\"\nbackend = \"a\"", "name = \"one\"\nbackend = \"b\"", "block = 10", "block = 10\nbackend = \"a\""}, ""},
		"block":                       {[]string{"block = 10", "block = 20"}, ""},
		"snowflake":                   {[]string{"block = 10", "kind = \"snowflake\"\nnode = 1"}, `tables[shop.orders].sequence: the values of its AUTO_INCREMENT column would come from snowflake`},
		"shard key":                   {[]string{orders, strings.Replace(orders, `"id"`, `"v"`, 1)}, ""},
	} {
		before, after := changed(t, c.pairs...)
		var got, want []string
		for _, o := range Objections(before, after) {
			got = append(got, o.String())
		}
		if c.want != "" {
			want = strings.Split(c.want, "|")
		}
		if !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, want)
		}
	}
}

func TestRemarks(t *testing.T) {
	const moved = "tables[shop.orders]: rows are looked for elsewhere from now on; those that are there stay where they are"
	for name, c := range map[string]struct {
		pairs []string
		want  []string
	}{
		"nothing":       {nil, nil},
		"shard key":     {[]string{`column = "id"`, `column = "v"`}, []string{moved}},
		"shard moves":   {[]string{"name = \"two\"\nbackend = \"b\"", "name = \"two\"\nbackend = \"a\""}, []string{moved}},
		"name of a map": {[]string{"name = \"m\"", "name = \"n\"", "shard_map = \"m\"", "shard_map = \"n\""}, nil},
		"schema":        {[]string{"name = \"shop\"\nbackend = \"a\"", "name = \"shop\"\nbackend = \"b\""}, []string{"schemas[shop]: its tables are looked for on b from now on; what is on a stays there"}},
		"copy":          {[]string{"[[schemas]]", reloadThird + "[[schemas]]"}, []string{"tables[shop.words]: has a copy on c from now on, which lacks what transactions still write that began before"}},
		"no copies":     {[]string{"broadcast = true", `backend = "a"`}, []string{strings.Replace(moved, "orders", "words", 1)}},
	} {
		before, after := changed(t, c.pairs...)
		if got := Remarks(before, after); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
	}
}

// What only a start reads is a key or a section of the file, with the words for what to do.
func TestAtStart(t *testing.T) {
	for path := range atStart {
		section, key, one := strings.Cut(path, ".")
		field := slices.Index(keysOf(reflect.TypeFor[Config]()), section)
		if field < 0 {
			t.Errorf("%s: there is no section %s", path, section)
			continue
		}
		typ := reflect.TypeFor[Config]().Field(field).Type
		if typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if one && !slices.Contains(keysOf(typ), key) {
			t.Errorf("%s: there is no such key", path)
		}
	}
	for path, at := range map[string]bool{"backends[a.b].kind": true, "backends[a].port": false, "decision.retain": true, "users[kind].name": false, "server.listen": true, "tables[server.listen].name": false} {
		if (AtStart(path) != "") != at {
			t.Errorf("AtStart(%q) is %q", path, AtStart(path))
		}
	}
}
