package fidelity

import (
	"encoding/binary"
	"regexp"
	"slices"

	"github.com/xaproxy/xaproxy/tests/servers"
	"github.com/xaproxy/xaproxy/wire"
)

// difference is something that a client gets otherwise from the proxy than from the server, on purpose.
type difference struct {
	reason string
	kinds  []servers.Kind // of servers where it occurs; empty: all
	step   *regexp.Regexp // matches "story: text of the step"
	hide   hide
}

// hide takes out of both replies what may differ; what is left must be equal.
type hide func(direct, proxied *exchange)

func (d *difference) concerns(kind servers.Kind, step string) bool {
	return (len(d.kinds) == 0 || slices.Contains(d.kinds, kind)) && d.step.MatchString(step)
}

// at matches steps: a story and the text of the step from its beginning, as a regular expression.
func at(story, text string) *regexp.Regexp { return regexp.MustCompile(`(?s)^` + story + `: ` + text) }

// refused: the proxy answers with this error, whatever the server says.
func refused(errno uint16) hide {
	return func(direct, proxied *exchange) {
		if e := proxied.err(); e != nil && e.Errno == errno && len(proxied.packets) == 1 {
			*direct, *proxied = exchange{}, exchange{}
		}
	}
}

// wording: both answer with an error of the same number and SQLSTATE, in other words.
func wording(direct, proxied *exchange) {
	d, p := direct.err(), proxied.err()
	if d != nil && p != nil && d.Errno == p.Errno && d.State == p.State {
		for _, x := range []*exchange{direct, proxied} {
			last := &x.packets[len(x.packets)-1]
			last.payload = last.payload[:9]
		}
	}
}

// otherError: both answer with an error, the proxy with this number.
func otherError(errno uint16) hide {
	return func(direct, proxied *exchange) {
		if d, p := direct.err(), proxied.err(); d != nil && p != nil && p.Errno == errno {
			for _, x := range []*exchange{direct, proxied} {
				x.packets[len(x.packets)-1].payload = nil
			}
		}
	}
}

// values: the rows have other values, but there are as many of them.
func values(direct, proxied *exchange) {
	for _, x := range []*exchange{direct, proxied} {
		for i := range x.packets {
			if x.packets[i].row {
				x.packets[i].payload = nil
			}
		}
	}
}

// text: the reply is another text.
func text(direct, proxied *exchange) {
	for _, x := range []*exchange{direct, proxied} {
		if len(x.packets) == 1 {
			x.packets[0].payload = nil
		}
	}
}

// status: these flags of OK and EOF packets may differ.
func status(flags wire.Status) hide {
	return func(direct, proxied *exchange) {
		for _, x := range []*exchange{direct, proxied} {
			for _, p := range x.packets {
				if at := x.statusAt(p); at > 0 {
					bits := binary.LittleEndian.Uint16(p.payload[at:])
					binary.LittleEndian.PutUint16(p.payload[at:], bits&^uint16(flags))
				}
			}
		}
	}
}

// statusAt is the place of the status flags in an OK or EOF packet, 0 in others.
func (x *exchange) statusAt(p packet) int {
	if !p.ok {
		return 0
	}
	if p.payload[0] == isEOF && !x.caps.Has(wire.DeprecateEOF) {
		return 3
	}
	_, n := wire.ReadInt(p.payload[1:])
	_, m := wire.ReadInt(p.payload[1+n:])
	return 1 + n + m
}

// err is the ERR that ends the reply, or nil.
func (x *exchange) err() *wire.Error {
	if len(x.packets) == 0 {
		return nil
	}
	p := x.packets[len(x.packets)-1].payload
	if len(p) == 0 || p[0] != isErr {
		return nil
	}
	e, err := wire.ParseErr(p, x.caps)
	if err != nil {
		return nil
	}
	return e
}

// clone returns a copy that a hide may change.
func (x *exchange) clone() *exchange {
	c := *x
	c.packets = slices.Clone(x.packets)
	for i := range c.packets {
		c.packets[i].payload = slices.Clone(c.packets[i].payload)
	}
	return &c
}

// warnings: the count of warnings in OK and EOF packets may differ.
func warnings(direct, proxied *exchange) {
	for _, x := range []*exchange{direct, proxied} {
		for _, p := range x.packets {
			if at := x.statusAt(p); at == 3 && p.payload[0] == isEOF && !x.caps.Has(wire.DeprecateEOF) {
				clear(p.payload[1:3])
			} else if at > 0 {
				clear(p.payload[at+2 : at+4])
			}
		}
	}
}

// charset: the character set of columns may differ. It stands twelve bytes before the end of a definition.
func charset(direct, proxied *exchange) {
	for _, x := range []*exchange{direct, proxied} {
		for _, p := range x.packets {
			if n := len(p.payload); !p.ok && !p.row && n > 13 && string(p.payload[:4]) == "\x03def" {
				clear(p.payload[n-12 : n-10])
			}
		}
	}
}

// width: the width of columns may differ. It stands ten bytes before the end of a definition.
func width(direct, proxied *exchange) {
	for _, x := range []*exchange{direct, proxied} {
		for _, p := range x.packets {
			if n := len(p.payload); !p.ok && !p.row && n > 13 && string(p.payload[:4]) == "\x03def" {
				clear(p.payload[n-10 : n-6])
			}
		}
	}
}

// statementID: the number of the statement may differ in the reply to COM_STMT_PREPARE.
func statementID(direct, proxied *exchange) {
	for _, x := range []*exchange{direct, proxied} {
		if len(x.packets) > 0 && x.packets[0].payload[0] == isOK {
			clear(x.packets[0].payload[1:5])
		}
	}
}

// agreement: the capabilities differ by these.
func agreement(flags wire.Capability) hide {
	return func(direct, proxied *exchange) {
		if direct.agreed^proxied.agreed == flags {
			direct.agreed = proxied.agreed
		}
	}
}

// differences are all that there are.
var differences = []difference{
	{"MariaDB leaves out LongPassword, with which its clients look for its extended capabilities; the proxy has none of those", mariadb, at("[a-z_]+", ":(connect|as)"), agreement(wire.LongPassword)},

	{"syntax errors that the router finds: its own words", nil, at("(errors|commands|multi|transactions|prepared)", "(:prepare bad )?(SELEC( |$)|SELECT ['`]unterminated|SELECT 1 /. unterminated|SELECT 1; SELE)"), wording},
	{"unknown schemas: where to configure them", nil, at("[a-z]+", "(:initdb nope|USE nope|SHOW TABLES FROM nope|:changeuser schema=nope)"), wording},
	{"unknown schemas are refused before the table is looked for", mariadb, at("errors", "SELECT .* FROM nope.nope"), otherError(1049)},
	{"unknown schemas: where to configure them", mysql, at("errors", "SELECT .* FROM nope.nope"), wording},
	{"unknown schemas are refused", nil, at("show", "SHOW OPEN TABLES FROM nope"), refused(1049)},
	{"no schema selected: what to do", nil, at("found_rows", "SELECT . FROM f"), wording},

	{"refused: concerns one server", nil, at("(errors|multi)", "(FLUSH|PURGE|CHANGE|KILL|GRANT|SIGNAL)"), refused(1235)},
	{"refused: rows of files cannot be placed", nil, at("errors", "LOAD DATA"), refused(1235)},
	{"nothing between two semicolons is skipped", nil, at("multi", "SELECT 1;; "), func(d, p *exchange) {
		if e := d.err(); e != nil && e.Errno == 1064 && p.err() == nil && len(p.packets) > len(d.packets) {
			*d, *p = exchange{}, exchange{}
		}
	}},

	{"connections have numbers of the proxy's own", nil, at("queries", "SELECT CONNECTION_ID"), values},
	{"@@autocommit is written into the text as a constant, which MariaDB finds wider", mariadb, at("transactions", "SELECT @@autocommit"), width},
	{"statements are numbered by the proxy", nil, at("(prepared|found_rows|large)", ":prepare "), statementID},
	{"errors name the proxy's number of the statement and the function's name in the other server", nil, at("prepared", ":(execute|fetch|reset) "), wording},
	{"arguments of COM_STMT_EXECUTE that cannot be read: the number of MariaDB", mysql, at("prepared", ":execute one$"), otherError(1210)},
	{"WITH CONSISTENT SNAPSHOT at another isolation level than REPEATABLE READ: MySQL warns that it does nothing", mysql, at("transactions", "START TRANSACTION WITH CONSISTENT SNAPSHOT"), warnings},
	{"statements that MySQL cannot prepare", mysql, at("prepared", ":prepare begin BEGIN"), func(d, p *exchange) {
		if e := d.err(); e != nil && e.Errno == 1295 && p.err() == nil {
			*d, *p = exchange{}, exchange{}
		}
	}},
	{"statements that MySQL cannot prepare: what follows", mysql, at("prepared", ":execute (begin|upd string:tx)"), func(d, p *exchange) {
		if e := d.err(); e != nil && e.Errno == 1243 {
			*d, *p = exchange{}, exchange{}
		}
		status(wire.StatusInTrans)(d, p)
	}},
	{"MySQL counts the warnings of the last statement in answers to commands too", mysql, at("[a-z]+", ":(ping|initdb|setoption)"), warnings},
	{"MySQL forgets the character set of the login with COM_RESET_CONNECTION; the proxy keeps it", mysql, at("commands", "SELECT (@@sql_mode|DATABASE..)$"), charset},

	{"numbers of the proxy's own", nil, at("commands", ":statistics"), text},
	{"COM_DEBUG needs a right that no client has", nil, at("commands", ":debug"), refused(1227)},
	{"commands that are not supported are named", nil, at("commands", ":raw (0|1[0345d]|2|5|f)"), wording},
	{"COM_SET_OPTION: its own words", nil, at("commands", ":setoption 7"), wording},
	{"commands that concern one server are unknown", mariadb, at("commands", ":raw (07|0a|15)"), refused(1047)},
	{"commands that concern one server are unknown", mysql, at("commands", ":raw (15|20)"), refused(1047)},
	{"COM_PROCESS_KILL works, as in older servers", mysql, at("commands", ":raw 0c"), refused(1094)},
	{"malformed commands: its own words", nil, at("commands", ":raw (17|1a|1b|1c)"), wording},
	{"commands that are too short are malformed", mariadb, at("commands", ":raw (1a|1b|1c)"), refused(1835)},
	{"refused: XA is the proxy's own", nil, at("transactions", "XA "), refused(1235)},
}

var (
	mariadb = []servers.Kind{servers.MariaDB}
	mysql   = []servers.Kind{servers.MySQL}
)
