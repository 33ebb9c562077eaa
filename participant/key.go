package participant

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/xaproxy/xaproxy/xa"
)

// A commit key is unique in the table of its decider. The row of a committed transaction has it; or a fence of its own, with a gtrid that
// no transaction has: then all attempts that began before it must fail, because they cannot insert the key, and one that begins later
// takes the fence away in its own transaction, by that gtrid. A fence that is put over another one changes the gtrid.

// fencePrefix begins the gtrid of a key's fence.
const fencePrefix = "xk1."

// tries is how often a key may change hands while it is fenced.
const tries = 10

// KeyDecider implements xa.Keys: the backend with the highest hash of key and name, so that a backend more or less moves few keys.
func (s *Store) KeyDecider(key string) string {
	name, best := "", uint64(0)
	for _, d := range s.o.Deciders {
		h := fnv.New64a()
		_, _ = h.Write([]byte(d + "\x00" + key)) // a hash takes everything
		if sum := mixed(h.Sum64()); name == "" || sum > best {
			name, best = d, sum
		}
	}
	return name
}

// mixed spreads what FNV leaves alike in the high bits of similar texts: the finalizer of MurmurHash3, by Austin Appleby, in the public
// domain.
func mixed(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// FindKey implements xa.Keys.
func (s *Store) FindKey(ctx context.Context, key string) (r xa.KeyRecord, err error) {
	decider := s.KeyDecider(key)
	server := s.server(decider)
	w := wordsOf(server)
	err = s.each(ctx, server, "SELECT gtrid, verdict FROM "+w.decision+" WHERE commit_key = "+w.bytes(key),
		func(scan func(...any) error) (err error) {
			var gtrid, verdict string
			if err := scan(&gtrid, &verdict); err != nil {
				return err
			}
			if r.Over = gtrid; verdict == verdictCommit {
				r = xa.KeyRecord{Committed: true}
				r.GTRID, err = xa.ParseGTRID(gtrid)
			}
			return err
		})
	if err != nil {
		return xa.KeyRecord{}, fmt.Errorf("decider %s: %w", decider, err)
	}
	if r.Committed {
		if err := s.durable(ctx, server); err != nil {
			return xa.KeyRecord{}, fmt.Errorf("decider %s: %w", decider, err)
		}
	}
	return r, nil
}

// FenceKey implements xa.Keys.
func (s *Store) FenceKey(ctx context.Context, key string) (xa.KeyRecord, error) {
	server := s.server(s.KeyDecider(key))
	w := wordsOf(server)
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return xa.KeyRecord{}, err
	}
	fence := fencePrefix + s.coord + "." + hex.EncodeToString(random[:])
	for range tries {
		r, err := s.FindKey(ctx, key)
		if err != nil || r.Committed || r.Over == fence {
			return r, err
		}
		statement := w.insertNew("(gtrid, verdict, branches, commit_key, created_at)", "('"+fence+"', '"+verdictAbort+"', '', "+w.bytes(key)+", "+w.now+")")
		if r.Over != "" {
			statement = "UPDATE " + w.decision + " SET gtrid = '" + fence + "', created_at = " + w.now + " WHERE gtrid = '" + r.Over + "' AND verdict = '" + verdictAbort + "'"
		}
		if _, err := s.exec(ctx, server, statement); err != nil {
			return xa.KeyRecord{}, err
		}
	}
	return xa.KeyRecord{}, errors.New("the commit key changes hands all the time")
}
