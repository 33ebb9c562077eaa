package backend

import "context"

// Alone opens a connection that is not of the pool, in the state s and with autocommit. Its user ends it. It does not wait for
// start checks.
func (b *Backend) Alone(ctx context.Context, s *Session) (*Conn, error) {
	fresh := *s
	fresh.Set = [2]Set{}
	c, err := b.dial(ctx, &fresh)
	if err != nil {
		return nil, err
	}
	err = c.within(func() error {
		if err := c.Exec("SET autocommit = 1"); err != nil { // whatever new connections have
			return err
		}
		return c.Ready(s)
	})
	if err != nil {
		c.End()
		return nil, err
	}
	return c, nil
}

// End closes a connection of Alone.
func (c *Conn) End() { c.close() }

// Apart runs f on a connection that is not of the pool, with autocommit and an empty sql_mode, within connect_timeout. Errors are
// *wire.Error or say which backend it was.
func (b *Backend) Apart(ctx context.Context, f func(*Conn) error) error {
	c, err := b.Alone(ctx, &Session{})
	if err != nil {
		return err
	}
	defer c.End()
	return c.within(func() error {
		if err := c.Exec("SET sql_mode = ''"); err != nil {
			return err
		}
		return f(c)
	})
}
