package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/xaproxy/xaproxy/backend/postgres/dialect"
)

// setupMark is the comment of the schema xaproxy, which says that everything is there that translated statements use.
func setupMark() string {
	sum := sha256.Sum256([]byte(dialect.Setup))
	return "xaproxy " + hex.EncodeToString(sum[:8])
}

// IsSetUp reports whether the database has the functions and collations that translated statements use.
func (d *Dialer) IsSetUp(ctx context.Context) (there bool, err error) {
	err = d.alone(ctx, func(s *session) error {
		found, err := s.ask("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'xaproxy'")
		there = err == nil && len(found) == 1 && fmt.Sprintf("%s", found[0][0]) == setupMark()
		return err
	})
	return there, err
}

// SetUp makes what translated statements use, or replaces what an older version has made.
func (d *Dialer) SetUp(ctx context.Context) error {
	return d.alone(ctx, func(s *session) error {
		return s.run("BEGIN; " + dialect.Setup + "; COMMENT ON SCHEMA xaproxy IS " + quote(setupMark()) + "; COMMIT")
	})
}

// alone runs f on a session of its own, without a client.
func (d *Dialer) alone(ctx context.Context, f func(*session) error) error {
	s, _, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer s.goodbye()
	if err := f(s); err != nil {
		return mysqlError(err)
	}
	return nil
}
