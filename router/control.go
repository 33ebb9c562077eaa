package router

import (
	"strconv"
	"strings"

	"github.com/xaproxy/xaproxy/config"
)

// control reads the statements that begin, end or mark transactions, and USE.
// https://dev.mysql.com/doc/refman/8.4/en/commit.html, https://mariadb.com/kb/en/transactions/
func (st *stmt) control() (*Plan, *reason) {
	switch st.word(0) {
	case "BEGIN":
		if st.word(1) == "WORK" {
			return st.done(2, &Plan{Verb: Begin})
		}
		return st.done(1, &Plan{Verb: Begin})
	case "START":
		return st.start()
	case "COMMIT":
		return st.finish(1, &Plan{Verb: Commit})
	case "ROLLBACK":
		i := 1
		if st.word(i) == "WORK" {
			i++
		}
		if st.word(i) == "TO" {
			i++
			if st.word(i) == "SAVEPOINT" && i+1 < len(st.toks) {
				i++
			}
			return st.named(i, RollbackTo)
		}
		return st.finish(1, &Plan{Verb: Rollback})
	case "SAVEPOINT":
		return st.named(1, Savepoint)
	case "RELEASE":
		if st.word(1) == "SAVEPOINT" {
			return st.named(2, Release)
		}
		return nil, st.wrong(1)
	case "EXECUTE":
		return st.execute()
	case "DEALLOCATE":
		if st.word(1) == "PREPARE" {
			return st.named(2, Deallocate)
		}
		return nil, st.wrong(1)
	}
	return st.use()
}

// kill reads KILL [HARD | SOFT] [CONNECTION | QUERY] number. It works on the client's text, because the number is wanted.
func (st *stmt) kill() (*Plan, *reason) {
	p := &Plan{Verb: Kill}
	i := 1
	if w := st.word(i); w == "HARD" || w == "SOFT" {
		i++
	}
	if w := st.word(i); w == "CONNECTION" || w == "QUERY" {
		p.Query = w == "QUERY"
		i++
	}
	var ok bool
	if p.ID, ok = st.number(i); ok {
		return st.done(i+1, p)
	}
	return nil, unsupported(st.at(i), "write KILL number or KILL QUERY number", "KILL takes the number of a connection")
}

// wrong is the answer to an unexpected i-th token.
func (st *stmt) wrong(i int) *reason {
	return syntax(st.at(i), "you have an error in your SQL syntax near %s", st.near(i))
}

// done returns the plan if the statement has only so many tokens.
func (st *stmt) done(tokens int, p *Plan) (*Plan, *reason) {
	if len(st.toks) > tokens {
		return nil, st.wrong(tokens)
	}
	return p, nil
}

// named reads the name that ends a statement.
func (st *stmt) named(i int, v Verb) (*Plan, *reason) {
	if i >= len(st.toks) || st.toks[i].name == "" {
		return nil, st.wrong(i)
	}
	return st.done(i+1, &Plan{Verb: v, Name: st.toks[i].name})
}

// start reads START TRANSACTION and its characteristics.
func (st *stmt) start() (*Plan, *reason) {
	if st.word(1) != "TRANSACTION" {
		if st.word(1) == "SLAVE" || st.word(1) == "REPLICA" || st.word(1) == "GROUP_REPLICATION" || st.word(1) == "ALL" {
			return nil, unsupported(st.at(0), "run it on the backend itself if it is needed", "START %s is not supported: it concerns one server", st.word(1))
		}
		return nil, st.wrong(1)
	}
	p := &Plan{Verb: Begin}
	for i := 2; i < len(st.toks); {
		switch {
		case st.words(i, "WITH", "CONSISTENT", "SNAPSHOT"):
			p.Snapshot = true
			i += 3
		case st.words(i, "READ", "ONLY"):
			p.ReadOnly = true
			i += 2
		case st.words(i, "READ", "WRITE"):
			p.ReadWrite = true
			i += 2
		default:
			return nil, st.wrong(i)
		}
		if i == len(st.toks) {
			break
		}
		if !st.op(i, ",") || i+1 == len(st.toks) {
			return nil, st.wrong(i)
		}
		i++
	}
	if p.ReadOnly && p.ReadWrite {
		return nil, st.wrong(2)
	}
	return p, nil
}

// finish reads [WORK] [AND [NO] CHAIN] [[NO] RELEASE].
func (st *stmt) finish(i int, p *Plan) (*Plan, *reason) {
	if st.word(i) == "WORK" {
		i++
	}
	switch {
	case st.words(i, "AND", "CHAIN"):
		p.Chain = true
		i += 2
	case st.words(i, "AND", "NO", "CHAIN"):
		p.NoChain = true
		i += 3
	}
	switch {
	case st.word(i) == "RELEASE":
		if p.Chain {
			return nil, st.wrong(i)
		}
		p.Disconnect = true
		i++
	case st.words(i, "NO", "RELEASE"):
		p.NoDisconnect = true
		i += 2
	}
	return st.done(i, p)
}

// use reads USE schema.
func (st *stmt) use() (*Plan, *reason) {
	p, why := st.named(1, Use)
	if why != nil {
		return nil, why
	}
	name := strings.ToLower(p.Name)
	if name == Console {
		return p, nil
	}
	if !config.SystemSchema(name) && st.r.catalog.schemas[name] == nil {
		return nil, st.r.catalog.unknown(p.Name, st.at(1))
	}
	p.Schemas = []string{name}
	return p, nil
}

// number is the value of the i-th token of a client's text, ok if that is an integer.
func (st *stmt) number(i int) (n uint64, ok bool) {
	if i >= len(st.toks) || st.toks[i].kind != kInt {
		return 0, false
	}
	n, err := strconv.ParseUint(st.text[st.toks[i].start:st.toks[i].end], 10, 64)
	return n, err == nil
}
