package clients

import (
	"slices"
	"strings"

	"github.com/xaproxy/xaproxy/tests/servers"
)

// leftOut is a test of go-sql-driver/mysql, or parts of one, that is not run with the others.
type leftOut struct {
	test string       // its name; or that, a slash, and what is in the names of its parts that are left out
	kind servers.Kind // where it is left out; "": everywhere
	as   reason
	why  string
}

// reason says what is proved of what is left out, each time.
type reason string

const (
	unfit     reason = "it cannot be run here"                       // nothing
	past      reason = "it passes, but says nothing about xaproxy"   // nothing
	theServer reason = "it fails on the server itself"               // that it does
	theProxy  reason = "it fails through xaproxy, not on the server" // both
)

// leftOuts is all that is not run; docs/compatibility.md has the same list. What is no longer so has to be taken out: the
// proof fails then.
var leftOuts = []leftOut{
	{
		"TestConnectorReturnsTimeout", "", unfit,
		"it dials an address in the Internet",
	},
	{
		"TestUnixSocketAuthFail", "", past,
		"it asks for the server's Unix socket and logs in there, past xaproxy",
	},
	{
		"TestTLS/#0", "", theProxy,
		"SHOW STATUS LIKE 'Ssl_cipher' is answered by the backend, about xaproxy's connection to it",
	},
	{
		"TestConnectionAttributes", "", theProxy,
		"performance_schema.session_account_connect_attrs is refused (1044), and would list xaproxy's connections, with its attributes",
	},
	{
		"TestLongData/compress", servers.MariaDB, theServer,
		"MariaDB refuses a packet of just max_allowed_packet (1153) when it is compressed",
	},
}

// partsThatEnd are the parts of tests that end early, as skipped, when a statement whose context was cancelled has not been
// carried out: "need to kill the query", they say. xaproxy does kill it. On MySQL a killed SLEEP() gives 1, and the row that the
// tests expect is there.
var partsThatEnd = []string{
	"TestContextCancelExec/default", "TestContextCancelQuery/default", "TestContextCancelStmtExec/default", "TestContextCancelStmtQuery/default",
}

// leftOutOn returns those that are left out on a kind of server, for one of the reasons if some are given.
func leftOutOn(kind servers.Kind, as ...reason) []leftOut {
	var all []leftOut
	for _, l := range leftOuts {
		if (l.kind == "" || l.kind == kind) && (len(as) == 0 || slices.Contains(as, l.as)) {
			all = append(all, l)
		}
	}
	return all
}

// pattern is what go test's -skip and -run take.
func (l leftOut) pattern() string {
	test, part, parts := strings.Cut(l.test, "/")
	if parts {
		return "^" + test + "$/" + part
	}
	return "^" + test + "$"
}

func names(all []leftOut) []string {
	var list []string
	for _, l := range all {
		list = append(list, l.test)
	}
	return list
}

func patterns(all []leftOut) []string {
	var list []string
	for _, l := range all {
		list = append(list, l.pattern())
	}
	return list
}
