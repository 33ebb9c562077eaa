// Package integration tests packages of xaproxy against real servers and real clients.
package integration

import (
	"testing"

	"github.com/xaproxy/xaproxy/tests/servers/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }
