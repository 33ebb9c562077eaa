//go:build !gms_pure_go

package virtual

import (
	"context"

	"github.com/xaproxy/xaproxy/admin/live"
	"github.com/xaproxy/xaproxy/wire"
)

// Engine says whether statements are answered.
const Engine = false

// Schema lists tables. It is safe for concurrent use.
type Schema struct{ source live.Source }

// Ask refuses.
func (*Schema) Ask(context.Context, string, string) (Result, error) {
	return Result{}, wire.NewError(wire.CodeNotSupported,
		"this xaproxy was built without the SQL engine for its schema xaproxy: use SHOW XAPROXY and the name of a table, or a release, or build it with -tags gms_pure_go")
}
