package backend

import (
	"container/list"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/wire"
)

// maxPrepared bounds the statements that a connection keeps prepared. A server has a limit for all its connections
// together (max_prepared_stmt_count, 16382 by default), so 128 on each of 128 connections fit.
const maxPrepared = 128

// statements are those that a connection has prepared, by what the server's answer depends on. The one that was used
// longest ago is closed when there are too many.
type statements struct {
	byKey map[statementKey]*list.Element
	order list.List // of *Statement, the last one was used last
}

// take takes a statement out.
func (s *statements) take(id uint32) *Statement {
	for e := s.order.Back(); e != nil; e = e.Prev() {
		if one := e.Value.(*Statement); one.id == id {
			s.remove(one.key)
			return one
		}
	}
	return nil
}

// statementKey holds everything that a server looks at when it prepares a statement.
type statementKey struct{ schema, set, text string }

// Statement is one that a connection has prepared.
type Statement struct {
	key statementKey
	id  uint32 // the server's
}

// ID is the server's number of the statement.
func (s *Statement) ID() uint32 { return s.id }

func (s *statements) clear() { *s = statements{} }

func (s *statements) get(k statementKey) (uint32, bool) {
	e, ok := s.byKey[k]
	if !ok {
		return 0, false
	}
	s.order.MoveToBack(e)
	return e.Value.(*Statement).id, true
}

// put adds a statement and returns the one that has to make room, if there are too many.
func (s *statements) put(k statementKey, id uint32) (victim uint32, evicted bool) {
	if s.byKey == nil {
		s.byKey = make(map[statementKey]*list.Element)
	}
	s.byKey[k] = s.order.PushBack(&Statement{k, id})
	if s.order.Len() <= maxPrepared {
		return 0, false
	}
	oldest := s.order.Remove(s.order.Front()).(*Statement)
	delete(s.byKey, oldest.key)
	return oldest.id, true
}

func (s *statements) remove(k statementKey) {
	if e, ok := s.byKey[k]; ok {
		s.order.Remove(e)
		delete(s.byKey, k)
	}
}

// Prepared returns the server's id of a statement, preparing it if this connection has not yet done so in its present
// state, to which Ready brought it. A *wire.Error is the server's refusal; the connection stays usable then.
func (c *Conn) Prepared(text string) (uint32, error) {
	k := statementKey{c.state.Schema, c.state.Set[c.b.Flavour()].SQL, text}
	if id, ok := c.prepared.get(k); ok {
		return id, nil
	}
	if err := c.SendCommand(wire.ComStmtPrepare, []byte(text)); err != nil {
		return 0, c.Lost(err)
	}
	p, err := c.ReadPrepared()
	if err := c.classify(err); err != nil {
		return 0, err
	}
	return p.ID, c.keep(k, p.ID)
}

// Keep notes a statement whose preparation was relayed to the client.
func (c *Conn) Keep(text string, id uint32) error {
	k := statementKey{c.state.Schema, c.state.Set[c.b.Flavour()].SQL, text}
	if old, ok := c.prepared.get(k); ok { // it was prepared anew to be shown to a client
		c.prepared.remove(k)
		if err := c.closeStatement(old); err != nil {
			return err
		}
	}
	return c.keep(k, id)
}

// Named returns the name under which the connection has prepared a text within SQL, preparing it if it has not yet done so in
// its present state. escapes says that backslashes escape in its sql_mode. Errors are as those of Prepared.
//
// Source: MySQL manual, "PREPARE Statement".
func (c *Conn) Named(text string, escapes bool) (string, error) {
	k := statementKey{c.state.Schema, c.state.Set[c.b.Flavour()].SQL, text}
	if id, ok := c.named.get(k); ok {
		return statementName(id), nil
	}
	c.lastName++
	name := statementName(c.lastName)
	quoted := strings.ReplaceAll(text, "'", "''")
	if escapes {
		quoted = strings.ReplaceAll(quoted, "\\", "\\\\")
	}
	if err := c.Exec("PREPARE " + name + " FROM '" + quoted + "'"); err != nil {
		return "", err
	}
	if victim, evicted := c.named.put(k, c.lastName); evicted {
		if err := c.Exec("DEALLOCATE PREPARE " + statementName(victim)); err != nil {
			return "", err
		}
	}
	return name, nil
}

// statementName is a name that no client can mean: clients' names never get to a server.
func statementName(id uint32) string { return "xaproxy_" + strconv.FormatUint(uint64(id), 10) }

func (c *Conn) keep(k statementKey, id uint32) error {
	if victim, evicted := c.prepared.put(k, id); evicted {
		return c.closeStatement(victim)
	}
	return nil
}

// Take hands over the statement with the server's id, which has a cursor: nobody else may execute or close it until Return or
// Forget.
func (c *Conn) Take(id uint32) *Statement { return c.prepared.take(id) }

// Return gives back a statement whose cursor has come to its end.
func (c *Conn) Return(s *Statement) error {
	if _, ok := c.prepared.get(s.key); ok { // it was prepared anew meanwhile
		return c.Forget(s)
	}
	return c.keep(s.key, s.id)
}

// Forget closes a statement, and with it its cursor.
func (c *Conn) Forget(s *Statement) error { return c.closeStatement(s.id) }

// closeStatement tells the server that a statement is not needed any more. There is no answer.
//
// Source: MySQL page_protocol_com_stmt_close.
func (c *Conn) closeStatement(id uint32) error {
	var arg [4]byte
	binary.LittleEndian.PutUint32(arg[:], id)
	if err := c.SendCommand(wire.ComStmtClose, arg[:]); err != nil {
		return c.Lost(err)
	}
	return nil
}
