package backend

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/wire"
)

// Counter is a number in a table of a backend, which several proxies may use at once: each step is a transaction of its own, on
// a connection that no client's transaction is on.
type Counter struct {
	Backend *Backend
	Schema  string
	Table   string // in Schema; it is made when it is missing
	Name    string // of the number in Table
	// First is what the number is at first. It is asked when Table does not have the number yet.
	First func(context.Context) (uint64, error)
}

// errnoNoSuchTable is ER_NO_SUCH_TABLE.
const errnoNoSuchTable = 1146

// Take adds n and returns what the number was before.
func (c *Counter) Take(ctx context.Context, n uint64) (before uint64, err error) {
	if c.Backend.Translates() {
		return c.step(ctx, fmt.Sprintf("next + %d", n), fmt.Sprintf("next - %d", n))
	}
	return c.step(ctx, fmt.Sprintf("LAST_INSERT_ID(`next`) + %d", n), "")
}

// Raise makes the number at least as large as least, and returns what it is then.
func (c *Counter) Raise(ctx context.Context, least uint64) (now uint64, err error) {
	if c.Backend.Translates() {
		return c.step(ctx, fmt.Sprintf("GREATEST(next, %d)", least), "next")
	}
	return c.step(ctx, fmt.Sprintf("LAST_INSERT_ID(GREATEST(`next`, %d))", least), "")
}

// step sets the number and returns the argument of LAST_INSERT_ID, or in PostgreSQL's words what is returned of the row.
func (c *Counter) step(ctx context.Context, to, returning string) (id uint64, err error) {
	err = c.Backend.Apart(ctx, func(conn *Conn) error {
		id, err = c.update(conn, to, returning)
		var said *wire.Error
		switch {
		case errors.Is(err, errNoNumber):
		case errors.As(err, &said) && said.Errno == errnoNoSuchTable:
			if err := c.create(conn); err != nil {
				return err
			}
		default:
			return err
		}
		first, err := c.First(ctx)
		if err != nil {
			return err
		}
		if err := conn.Exec(fmt.Sprintf("INSERT IGNORE INTO %s VALUES (%s, %d)", c.table(), c.name(), first)); err != nil {
			return err
		}
		id, err = c.update(conn, to, returning)
		return err
	})
	return id, err
}

// Create makes the table where it is missing.
func (c *Counter) Create(ctx context.Context) error { return c.Backend.Apart(ctx, c.create) }

func (c *Counter) create(conn *Conn) error {
	return conn.Exec("CREATE TABLE IF NOT EXISTS " + c.table() +
		" (name VARCHAR(129) CHARACTER SET utf8mb4 NOT NULL PRIMARY KEY, `next` BIGINT UNSIGNED NOT NULL) ENGINE = InnoDB")
}

func (c *Counter) table() string { return Quote(c.Schema) + "." + Quote(c.Table) }

// name is the number's name as a string. The names of a configuration have no control characters.
func (c *Counter) name() string {
	return "'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(c.Name) + "'"
}

var errNoNumber = errors.New("the number is not there")

func (c *Counter) update(conn *Conn, to, returning string) (id uint64, err error) {
	if returning != "" {
		names := strings.NewReplacer("`", `"`, `"`, `""`)
		rows, err := conn.Query(inPostgres + fmt.Sprintf("UPDATE %s SET next = %s WHERE name = '%s' RETURNING %s", names.Replace(c.table()), to, strings.ReplaceAll(c.Name, "'", "''"), returning))
		if err == nil && len(rows.Values) == 0 {
			return 0, errNoNumber
		}
		if err == nil {
			id, err = strconv.ParseUint(string(rows.Values[0][0]), 10, 64)
		}
		return id, err
	}
	rows, err := conn.Query(fmt.Sprintf("UPDATE %s SET `next` = %s WHERE name = %s", c.table(), to, c.name()))
	if err == nil && rows.OK.InsertID == 0 {
		err = errNoNumber
	}
	return rows.OK.InsertID, err
}

// Highest returns the highest value of a column, 0 if there is none or it is negative.
func (b *Backend) Highest(ctx context.Context, schema, table, column string) (highest uint64, err error) {
	err = b.Apart(ctx, func(conn *Conn) error {
		var rows wire.Rows
		if rows, err = conn.Query(fmt.Sprintf("SELECT GREATEST(COALESCE(MAX(%s), 0), 0) FROM %s.%s", Quote(column), Quote(schema), Quote(table))); err != nil {
			return err
		}
		highest, err = strconv.ParseUint(string(rows.Values[0][0]), 10, 64)
		return err
	})
	return highest, err
}

// Columns returns the names of the columns that an INSERT means which names none.
func (b *Backend) Columns(ctx context.Context, schema, table string) (names []string, err error) {
	err = b.Apart(ctx, func(conn *Conn) error {
		rows, err := conn.query("SHOW COLUMNS FROM "+Quote(schema)+"."+Quote(table), maxAnswer)
		if err != nil {
			return err
		}
		for _, r := range rows.Values {
			if name, extra := string(r[0]), string(r[len(r)-1]); !strings.Contains(strings.ToUpper(extra), "INVISIBLE") {
				names = append(names, name)
			}
		}
		return nil
	})
	return names, err
}
