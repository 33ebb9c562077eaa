// Package integration tests packages of xaproxy against real servers and real clients.
//
// Its tests run beside each other, on the same servers, each in a schema of its own: they mostly wait. A test without t.Parallel runs
// alone, before all others: it measures memory, counts what a server does, changes a setting of a shared server or of this process, or
// asks for the records of DDL, which all proxies of a server keep in one place.
package integration

import (
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }
