package ddl

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/xaproxy/xaproxy/backend"
	"github.com/xaproxy/xaproxy/router"
	"github.com/xaproxy/xaproxy/wire"
)

// Schema has the tables of the journal.
const Schema = "xaproxy"

// tables of the journal, in the order in which they are made. before is the definitions as Snapshot has them.
var tables = []string{
	"CREATE DATABASE IF NOT EXISTS `xaproxy`",
	"CREATE TABLE IF NOT EXISTS `xaproxy`.`xaproxy_ddl` (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, created DATETIME(6) NOT NULL, " +
		"account VARCHAR(255) NOT NULL, what VARCHAR(64) NOT NULL, statement LONGBLOB NOT NULL, session LONGTEXT NOT NULL, `plan` LONGTEXT NOT NULL, " +
		"outcome VARCHAR(16) NOT NULL DEFAULT '', ended DATETIME(6) NULL, KEY (outcome)) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4",
	"CREATE TABLE IF NOT EXISTS `xaproxy`.`xaproxy_ddl_part` (id BIGINT UNSIGNED NOT NULL, backend VARCHAR(255) NOT NULL, state VARCHAR(16) NOT NULL, " +
		"statement LONGBLOB NULL, before_it LONGTEXT NOT NULL, connection BIGINT UNSIGNED NOT NULL DEFAULT 0, started DATETIME(6) NULL, ended DATETIME(6) NULL, " +
		"errno SMALLINT UNSIGNED NOT NULL DEFAULT 0, sql_state CHAR(5) NOT NULL DEFAULT '', message TEXT NULL, PRIMARY KEY (id, backend), " +
		"FOREIGN KEY (id) REFERENCES `xaproxy`.`xaproxy_ddl` (id) ON DELETE CASCADE) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4",
}

// keepDays is how long closed records are kept.
const keepDays = 30

// maxRecord bounds what is read of the journal at once, in bytes.
const maxRecord = 256 << 20

// Journal keeps the records of all proxies with one configuration. It is safe for concurrent use.
type Journal struct {
	backends []*backend.Backend
	log      zerolog.Logger
}

// New returns the journal of these backends, in the order of the configuration. It connects to nothing yet.
func New(backends []*backend.Backend, log zerolog.Logger) *Journal {
	return &Journal{backends, log}
}

// Home is the backend that has the journal.
func (j *Journal) Home() *backend.Backend { return j.backends[0] }

// Backend returns the backend with this name, nil if there is none.
func (j *Journal) Backend(name string) *backend.Backend {
	if i := slices.IndexFunc(j.backends, func(b *backend.Backend) bool { return b.Name() == name }); i >= 0 {
		return j.backends[i]
	}
	return nil
}

// Missing reports whether the tables of the journal are yet to be made.
func (j *Journal) Missing(ctx context.Context) (missing bool, err error) {
	err = j.Home().Apart(ctx, func(c *backend.Conn) error {
		if _, err := c.Query("SELECT 1 FROM `xaproxy`.`xaproxy_ddl_part` LIMIT 0"); !absent(err) {
			return err
		}
		missing = true
		return nil
	})
	return missing, err
}

// Create makes the tables of the journal where they are missing.
func (j *Journal) Create(ctx context.Context) error {
	return j.explain(j.Home().Apart(ctx, j.create))
}

func (j *Journal) create(c *backend.Conn) error {
	for _, sql := range tables {
		if err := c.Exec(sql); err != nil {
			return err
		}
	}
	return nil
}

// explain says what to do if the account may not use the journal or make its tables.
func (j *Journal) explain(err error) error {
	var said *wire.Error
	if !errors.As(err, &said) {
		return err
	}
	switch said.Errno {
	case errnoNoDatabaseRight, errnoNoTableRight, errnoNoColumnRight, errnoNoRight:
		return wire.NewError(wire.CodeNotSupported, "DDL on several backends keeps records in schema %s of backend %s, and its account may not (%d: %s); GRANT CREATE, SELECT, INSERT, UPDATE, DELETE, REFERENCES ON %s.* to it, or make there: %s",
			Schema, j.Home().Name(), said.Errno, said.Message, Schema, strings.Join(tables, "; "))
	}
	return err
}

// open connects to the journal. hold is called with the connection, and what it returns when it is given up.
func (j *Journal) open(ctx context.Context) (*backend.Conn, error) {
	c, err := j.Home().Alone(ctx, &backend.Session{})
	if err != nil {
		return nil, err
	}
	if err := c.Exec("SET NAMES utf8mb4, sql_mode = 'STRICT_TRANS_TABLES', time_zone = '+00:00', wait_timeout = 31536000, lock_wait_timeout = 10"); err != nil {
		c.End()
		return nil, err
	}
	return c, nil
}

// lockName is what GET_LOCK takes for a table: servers bound its length.
func lockName(o router.Object) string {
	sum := sha256.Sum256([]byte(strings.ToLower(o.Schema + "\x00" + o.Name)))
	return "xaproxy.ddl." + hex.EncodeToString(sum[:20])
}

// lock excludes all others who would run a statement about these tables, until the connection is closed. It waits for so many seconds.
func lock(c *backend.Conn, objects []router.Object, seconds int) error {
	names := make([]string, len(objects))
	for i, o := range objects {
		names[i] = lockName(o)
	}
	slices.Sort(names) // everybody in the same order
	for _, name := range slices.Compact(names) {
		rows, err := c.Query(fmt.Sprintf("SELECT GET_LOCK('%s', %d)", name, seconds))
		if err != nil {
			return err
		}
		switch got := string(rows.Values[0][0]); got {
		case "1":
		case "0":
			return wire.NewError(wire.CodeLockWait, "Lock wait timeout exceeded: another DDL statement about the same table runs, perhaps through another proxy; see xaproxy ddl status")
		default:
			return wire.NewError(wire.CodeQueryInterrupted, "Query execution was interrupted while it waited for another DDL statement about the same table")
		}
	}
	return nil
}

// locked reports whether somebody has the lock of one of these tables.
func locked(c *backend.Conn, objects []router.Object) (bool, error) {
	for _, o := range objects {
		rows, err := c.Query("SELECT IS_FREE_LOCK('" + lockName(o) + "')")
		if err != nil {
			return false, err
		}
		if string(rows.Values[0][0]) == "0" {
			return true, nil
		}
	}
	return false, nil
}

// overlap is an object of both lists, or one that contains, or is contained in, another.
func overlap(a, b []router.Object) (o router.Object, found bool) {
	for _, x := range a {
		for _, y := range b {
			if strings.EqualFold(x.Schema, y.Schema) && (x.Name == "" || y.Name == "" || strings.EqualFold(x.Name, y.Name)) {
				return x, true
			}
		}
	}
	return o, false
}

// Name is the object for people.
func Name(o router.Object) string {
	if o.Name == "" {
		return "schema " + o.Schema
	}
	return o.Schema + "." + o.Name
}

// text is a value as a literal that means the same in every session.
func text[T string | []byte](s T) string {
	if len(s) == 0 {
		return "''"
	}
	return "_utf8mb4 x'" + hex.EncodeToString([]byte(s)) + "'"
}

// bytes is text for bytes that need not be of any character set.
func bytesOf(s []byte) string {
	if s == nil {
		return "NULL"
	}
	return "x'" + hex.EncodeToString(s) + "'"
}

func encoded(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("ddl: " + err.Error()) // of structs of texts and numbers
	}
	return text(b)
}

// ER_DBACCESS_DENIED_ERROR, ER_TABLEACCESS_DENIED_ERROR, ER_COLUMNACCESS_DENIED_ERROR, ER_SPECIFIC_ACCESS_DENIED_ERROR.
const (
	errnoNoDatabaseRight = 1044
	errnoNoTableRight    = 1142
	errnoNoColumnRight   = 1143
	errnoNoRight         = 1227
)

// The numbers of errors of what is not there: ER_BAD_DB_ERROR, ER_NO_SUCH_TABLE.
const (
	errnoNoDatabase = 1049
	errnoNoTable    = 1146
)

// absent reports whether a server said that there is no such table or schema.
func absent(err error) bool {
	var said *wire.Error
	return errors.As(err, &said) && (said.Errno == errnoNoDatabase || said.Errno == errnoNoTable)
}
