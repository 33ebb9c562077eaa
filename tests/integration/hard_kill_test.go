package integration

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/wire"
)

// situation is something that a client is in the middle of when it is interrupted.
type situation struct {
	name    string
	enter   func(k *killing)                 // brings the victim into it; run returns when the statement has been answered
	run     func(k *killing) (string, error) // sends the statement
	reached func(k *killing)                 // waits until the statement is in the middle
	// after KILL QUERY: what the answer must be, and what else must hold in the victim's session, which goes on.
	goesOn func(k *killing)
	quiet  bool // the client takes no answer, so KILL QUERY ends nothing
}

// killing is one try.
type killing struct {
	*stack
	victim, killer, holder *raw
	others                 []*raw
}

func ask(q string) func(*killing) (string, error) {
	return func(k *killing) (string, error) { return k.victim.ask(q) }
}

// lockWait waits until the victim's statement waits for the holder's lock on the first server. That it runs there is not enough: a
// statement that is still on its way into the wait may miss a KILL. InnoDB's tables of lock waits will not do either: they are up to
// 100 ms old, and may be about the try before. Its status is of now.
func lockWait(k *killing) {
	k.t.Helper()
	var kind, name, status string
	waits := regexp.MustCompile("`" + k.schema + "`.`accounts` .* waiting\n")
	until(k.t, "the victim waits for a row", func() bool {
		check(k.t, pool(k.t, k.servers[0]).QueryRow("SHOW ENGINE INNODB STATUS").Scan(&kind, &name, &status))
		_, transactions, _ := strings.Cut(status, "LIST OF TRANSACTIONS") // before it is the last deadlock
		return waits.MatchString(transactions)
	})
}

var situations = []situation{
	{
		name:    "one backend",
		run:     ask("UPDATE single SET v = SLEEP(100)"),
		reached: func(k *killing) { k.runs(0, 1, "SLEEP") },
	},
	{
		name:    "one backend, prepared",
		run:     func(k *killing) (string, error) { return k.victim.execute("UPDATE single SET v = SLEEP(100)") },
		reached: func(k *killing) { k.runs(0, 1, "SLEEP") },
	},
	{
		name:    "rows of several backends",
		run:     ask("SELECT id, SLEEP(100) FROM accounts WHERE id IN (1, 2)"),
		reached: func(k *killing) { k.runs(0, 1, "SLEEP"); k.runs(1, 1, "SLEEP") },
	},
	{
		name:    "writes on several backends",
		run:     ask("UPDATE accounts SET v = SLEEP(100) + 5 WHERE id IN (1, 2)"),
		reached: func(k *killing) { k.runs(0, 1, "SLEEP") }, // the others come behind the first one
	},
	{
		name:    "transaction",
		enter:   func(k *killing) { k.victim.exec("BEGIN", "UPDATE accounts SET v = 7 WHERE id IN (1, 2)") },
		run:     ask("UPDATE accounts SET v = SLEEP(100) WHERE id IN (1, 2)"),
		reached: func(k *killing) { k.runs(0, 1, "SLEEP") },
		goesOn: func(k *killing) { // the statement has failed, the transaction has not
			if got := k.victim.mustAsk("SELECT v FROM accounts WHERE id IN (1, 2)"); got != "7 7" {
				k.t.Errorf("rows of the transaction: %s", got)
			}
			k.victim.exec("ROLLBACK")
		},
	},
	{
		name:    "read before it is written",
		run:     ask("INSERT INTO accounts (id, v) SELECT id + 10, SLEEP(100) FROM accounts WHERE id IN (1, 2)"),
		reached: func(k *killing) { k.runs(0, 1, "SLEEP") },
	},
	{
		name:    "read before it is written, in a transaction",
		enter:   func(k *killing) { k.victim.exec("BEGIN", "UPDATE accounts SET v = 7 WHERE id IN (1, 2)") },
		run:     ask("UPDATE accounts SET v = SLEEP(100) WHERE id IN (1, 2) ORDER BY id LIMIT 2"),
		reached: func(k *killing) { k.runs(0, 1, "SLEEP") },
		goesOn: func(k *killing) {
			if got := k.victim.mustAsk("SELECT v FROM accounts WHERE id IN (1, 2)"); got != "7 7" {
				k.t.Errorf("rows of the transaction: %s", got)
			}
			k.victim.exec("ROLLBACK")
		},
	},
	{
		name:    "setting a variable",
		run:     ask("SET @x = SLEEP(100)"),
		reached: func(k *killing) { k.runs(0, 1, "SLEEP") },
	},
	{
		name: "queue for a connection",
		enter: func(k *killing) {
			k.holder.exec("BEGIN", "SELECT COUNT(*) FROM single")
			for range poolOfKills - 1 {
				c := k.raw()
				c.exec("BEGIN", "SELECT COUNT(*) FROM single")
				k.others = append(k.others, c)
			}
		},
		run:     ask("SELECT COUNT(*) FROM single"),
		reached: func(k *killing) { k.waiting(0, 1) },
	},
	{
		name:    "row lock",
		enter:   func(k *killing) { k.holder.exec("BEGIN", "UPDATE accounts SET v = 1 WHERE id = 2") },
		run:     ask("UPDATE accounts SET v = 2 WHERE id IN (1, 2)"),
		reached: lockWait,
	},
	{
		name: "row lock in a transaction",
		enter: func(k *killing) {
			k.holder.exec("BEGIN", "UPDATE accounts SET v = 1 WHERE id = 2")
			k.victim.exec("BEGIN", "UPDATE accounts SET v = 9 WHERE id = 1")
		},
		run:     ask("UPDATE accounts SET v = 9 WHERE id = 2"),
		reached: lockWait,
		goesOn: func(k *killing) {
			if got := k.victim.mustAsk("SELECT v FROM accounts WHERE id = 1"); got != "9" {
				k.t.Errorf("rows of the transaction: %s", got)
			}
			k.victim.exec("ROLLBACK")
		},
	},
	{
		name:    "metadata lock",
		enter:   func(k *killing) { k.holder.exec("BEGIN", "SELECT COUNT(*) FROM single") },
		run:     ask("ALTER TABLE single ADD COLUMN more INT"),
		reached: func(k *killing) { k.runs(0, 1, "ALTER") },
	},
	{
		name:  "client that does not read",
		quiet: true,
		run: func(k *killing) (string, error) {
			check(k.t, k.victim.SendQuery(nil, []byte(endless)))
			return "", nil
		},
		reached: func(k *killing) { k.runs(0, 1, "REPEAT") },
	},
	{
		name:  "client that does not read, in a transaction",
		enter: func(k *killing) { k.victim.exec("BEGIN", "UPDATE accounts SET v = 7 WHERE id IN (1, 2)") },
		quiet: true,
		run: func(k *killing) (string, error) {
			check(k.t, k.victim.SendQuery(nil, []byte(endless)))
			return "", nil
		},
		reached: func(k *killing) { k.runs(0, 1, "REPEAT") },
	},
}

const poolOfKills = 3

// endless is a result of some gigabytes.
var endless = "SELECT REPEAT('x', 1000000) FROM single JOIN " + strings.Join([]string{digits("a"), digits("b"), digits("c"), digits("d")}, " JOIN ")

// execute prepares and executes a statement without parameters.
func (c *raw) execute(q string) (string, error) {
	if err := c.SendCommand(wire.ComStmtPrepare, []byte(q)); err != nil {
		return "", err
	}
	p, err := c.ReadPrepared()
	if err != nil {
		return "", err
	}
	if err := c.SendCommand(wire.ComStmtExecute, binary.LittleEndian.AppendUint32(nil, p.ID), []byte{0, 1, 0, 0, 0}); err != nil {
		return "", err
	}
	return c.answer()
}

// TestInterruptions interrupts a client in every situation and in every way: KILL QUERY, KILL and COM_PROCESS_KILL from another
// session, and the end of its connection. It is over soon, nothing is left running, held or locked on any server, and after KILL
// QUERY the session goes on.
func TestInterruptions(t *testing.T) {
	t.Parallel()
	s := newStack(t, mixes["mixed"], func(c *config.Config) {
		for i := range c.Backends {
			c.Backends[i].PoolSize, c.Backends[i].PoolWait = poolOfKills, config.Duration(time.Minute)
		}
	})
	setUp := s.raw()
	setUp.exec("INSERT INTO single (v) VALUES (1)", "INSERT INTO accounts (id, v) VALUES (1, 0), (2, 0)")
	const soonEnough = 4 * time.Second // a watcher's round, a connection to each backend, and a machine that is busy
	for _, x := range situations {
		for how, interrupt := range map[string]func(k *killing){
			"KILL QUERY":       func(k *killing) { k.killer.exec(fmt.Sprintf("KILL QUERY %d", k.victim.id)) },
			"KILL":             func(k *killing) { k.killer.exec(fmt.Sprintf("KILL CONNECTION %d", k.victim.id)) },
			"COM_PROCESS_KILL": func(k *killing) { k.killer.processKill(k.victim.id) },
			"hang up":          func(k *killing) { k.victim.Close() },
		} {
			if how == "COM_PROCESS_KILL" && x.name != "one backend" {
				continue // it is KILL in another form
			}
			t.Run(x.name+"/"+how, func(t *testing.T) {
				k := &killing{stack: s.within(t)}
				k.victim, k.killer, k.holder = k.raw(), k.raw(), k.raw()
				if x.enter != nil {
					x.enter(k)
				}
				answer := later(func() error { _, err := x.run(k); return err })
				x.reached(k)
				begun := time.Now()
				interrupt(k)
				if !x.quiet || how == "KILL" {
					err := soon(t, how, soonEnough, answer)
					if x.quiet { // what it held is free before it reads, and then it reads that the connection is gone
						until(t, "the connection is free", func() bool { return k.busy(0) == 0 })
						_, err = k.victim.answer()
					}
					if how == "KILL QUERY" && errno(err) != 1317 || how != "KILL QUERY" && (err == nil || errno(err) != 0 && errno(err) != 1317) {
						t.Errorf("the statement was answered with %v", err)
					}
				}
				if how == "KILL QUERY" && x.quiet {
					k.victim.Close() // who does not read cannot hear of it either
				}
				k.stopped(soonEnough - time.Since(begun))
				if how == "KILL QUERY" && !x.quiet {
					if x.goesOn != nil {
						x.goesOn(k)
					}
					k.victim.exec("SELECT v FROM accounts WHERE id = 1")
				} else {
					k.victim.Close()
				}
				k.rest()
			})
		}
	}
	s.nothingPrepared()
}

// within is the stack for a part of its test.
func (s *stack) within(t testing.TB) *stack {
	part := *s
	part.t = t
	return &part
}

func (c *raw) processKill(id uint32) {
	c.t.Helper()
	check(c.t, c.SendCommand(wire.ComProcessKill, binary.LittleEndian.AppendUint32(nil, id)))
	_, err := c.answer()
	check(c.t, err)
}

// stopped waits until no server runs the victim's statement any more.
func (k *killing) stopped(limit time.Duration) {
	k.t.Helper()
	deadline := time.Now().Add(max(limit, time.Second))
	for {
		left := ""
		for i := range k.servers {
			left += k.on(i, "SELECT info FROM information_schema.processlist WHERE db = 'SCHEMA' AND command NOT IN ('Sleep', 'Killed') AND id <> CONNECTION_ID()")
		}
		if left == "" && k.backends[0].Stats().Waiting == 0 {
			return
		}
		if time.Now().After(deadline) {
			k.t.Fatalf("still there: %s, waiting for connections: %d", left, k.backends[0].Stats().Waiting)
		}
	}
}

// rest ends the other clients of a try and checks that nothing is left: no connection is lent, no row is locked, and no row was
// changed.
func (k *killing) rest() {
	k.t.Helper()
	k.holder.Close()
	k.killer.Close()
	for _, c := range k.others {
		c.Close()
	}
	k.atRest()
	begun := time.Now() // a server rolls back after a connection was closed when it comes to it
	for i, q := range []string{"SELECT v FROM SCHEMA.accounts WHERE id = 2 FOR UPDATE", "SELECT v FROM SCHEMA.accounts WHERE id = 1 FOR UPDATE"} {
		if got := k.on(i, q); got != "0" {
			k.t.Errorf("server %d: v = %s", i, got)
		}
	}
	if took := time.Since(begun); took > 20*time.Second {
		k.t.Errorf("rows were locked for %s", took)
	}
	if got := k.on(0, "SELECT GROUP_CONCAT(v) FROM SCHEMA.single FOR UPDATE"); got != "1" {
		k.t.Errorf("single: %s", got)
	}
}
