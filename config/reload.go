package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Objection is why a configuration cannot take the place of the one that is in effect.
type Objection struct {
	// Path is that of the key or the entry, as in Mistake.Key.
	Path string `json:"path"`
	Why  string `json:"why"`
}

func (o Objection) String() string { return o.Path + ": " + o.Why }

// atStart are the keys that only a start reads. A path without a dot stands for a whole section.
var atStart = map[string]string{
	"server.listen":       "clients connect there: restart xaproxy",
	"server.version":      "clients have been told it: restart xaproxy",
	"server.max_packet":   "open connections have agreed on it: restart xaproxy",
	"server.log_format":   "the log is open: restart xaproxy",
	"admin.listen":        "the listener is open: restart xaproxy",
	"admin.tls_cert":      "the listener is open; another certificate in the same file is taken at once: restart xaproxy",
	"admin.tls_key":       "the listener is open; another key in the same file is taken at once: restart xaproxy",
	"admin.tls_client_ca": "the listener is open; other authorities in the same file are taken at once: restart xaproxy",
	"trace":               "the connection to the collector is open: restart xaproxy",
	"decision":            "transactions in flight rely on it: restart xaproxy",
	"backends.kind":       "it would be another server: give that another name",
	"backends.database":   "branches are prepared there: give the other database another name",
}

// AtStart says why a key that has changed counts only from the next start on; "" if it counts at once.
func AtStart(path string) string {
	var plain strings.Builder // without the names of entries
	for depth, i := 0, 0; i < len(path); i++ {
		switch {
		case path[i] == '[':
			depth++
		case path[i] == ']':
			depth--
		case depth == 0:
			plain.WriteByte(path[i])
		}
	}
	section, _, _ := strings.Cut(plain.String(), ".")
	if why, whole := atStart[section]; whole {
		return why
	}
	return atStart[plain.String()]
}

// Objections says what keeps after from taking the place of before, as far as the two configurations tell: keys that only a start reads, and
// what proxies and backends must agree on for as long as transactions run.
func Objections(before, after *Config) []Objection {
	var all []Objection
	object := func(path, format string, args ...any) {
		all = append(all, Objection{path, fmt.Sprintf(format, args...)})
	}
	for _, c := range Diff(before, after) {
		if c.Path == "decision.deciders" || c.Before == "" || c.After == "" {
			continue
		}
		if why := AtStart(c.Path); why != "" {
			object(c.Path, "cannot change while xaproxy runs (%s -> %s): %s", c.Before, c.After, why)
		}
	}
	if b, a := before.KeyDeciders(), after.KeyDeciders(); after.Decision.Store == ParticipantStore && !slices.Equal(b, a) {
		object("decision.deciders", "cannot change while xaproxy runs: commit keys would be looked for elsewhere than they are; name those that there are now, %s", literal(reflect.ValueOf(b)))
	}
	if b, a := before.Backends[0].Name, after.Backends[0].Name; b != a {
		object("backends", "the first one has the records of DDL and cannot change while xaproxy runs: keep %s first, and not %s", b, a)
	}
	for i := range after.Tables {
		t := &after.Tables[i]
		was := before.table(t.key())
		if was == nil || t.AutoIncrement == "" || was.AutoIncrement == "" {
			continue
		}
		if b, a := was.counter(before), t.counter(after); b != a {
			object("tables["+t.key()+"].sequence", "the values of its AUTO_INCREMENT column would come from %s and not from %s, while transactions still use those of the latter: "+
				"keep it where it is, with the backend of a [[sequences]] entry", a, b)
		}
	}
	return all
}

// table returns the [[tables]] entry with this key, nil if there is none.
func (c *Config) table(key string) *Table {
	for i := range c.Tables {
		if c.Tables[i].key() == key {
			return &c.Tables[i]
		}
	}
	return nil
}

// counter says where the values of the AUTO_INCREMENT column come from.
func (t *Table) counter(c *Config) string {
	of := t.Numbering(c)
	if of.Kind == Snowflake {
		return Snowflake
	}
	backend := of.Backend
	if backend == "" {
		backend = t.Map(c).Shards[0].Backend
	}
	return fmt.Sprintf("table %s of backend %s", of.Table, backend)
}

// Remarks are what an administrator should know who has after take the place of before, beside the changes themselves: xaproxy moves no rows.
func Remarks(before, after *Config) []string {
	var all []string
	for _, s := range after.Schemas {
		for _, was := range before.Schemas {
			if fold(s.Name) == fold(was.Name) && s.Backend != was.Backend {
				all = append(all, fmt.Sprintf("schemas[%s]: its tables are looked for on %s from now on; what is on %s stays there", s.Name, s.Backend, was.Backend))
			}
		}
	}
	for i := range after.Tables {
		t := &after.Tables[i]
		was := before.table(t.key())
		if was == nil {
			continue
		}
		at := "tables[" + t.key() + "]"
		switch {
		case t.Broadcast && was.Broadcast:
			for _, name := range t.Copies(after) {
				if !slices.Contains(was.Copies(before), name) {
					all = append(all, fmt.Sprintf("%s: has a copy on %s from now on, which lacks what transactions still write that began before", at, name))
				}
			}
		case t.place(after) != was.place(before):
			all = append(all, at+": rows are looked for elsewhere from now on; those that are there stay where they are")
		}
	}
	return all
}

// place tells whether rows are looked for at the same place.
func (t *Table) place(c *Config) string {
	if t.Sharded() {
		m := *t.Map(c)
		m.Name = ""
		return strings.ToLower(fmt.Sprint(t.Key())) + fmt.Sprintf("%+v", m)
	}
	return fmt.Sprint(t.Backend, t.Broadcast)
}

// Sealed returns the configuration without the passwords of its users, the token and the authorization, in whose places are texts that tell only, to who has the same key, whether
// they have changed.
func (c *Config) Sealed(key []byte) *Config {
	sealed := *c
	seal := func(s *Secret) {
		if *s != "" {
			h := hmac.New(sha256.New, key)
			h.Write([]byte(s.Reveal()))
			*s = Secret(h.Sum(nil))
		}
	}
	sealed.Users = slices.Clone(c.Users)
	for i := range sealed.Users {
		seal(&sealed.Users[i].Password)
		seal(&sealed.Users[i].PasswordHash)
	}
	seal(&sealed.Admin.Token)
	seal(&sealed.Trace.Authorization)
	return &sealed
}
