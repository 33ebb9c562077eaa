package proxy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/xaproxy/xaproxy/config"
	"github.com/xaproxy/xaproxy/wire"
)

// decoys stand in for users that do not exist: one of the accounts that do, always the same for the same name. A login of
// such a user takes the steps and the time of one that exists, whose password is wrong.
type decoys struct {
	accounts []*wire.Account
	key      []byte // what keeps strangers from telling whose account a name gets; the same after a restart
}

// newDecoys derives the key from all that is secret about the users. The accounts are still to be added.
func newDecoys(users []config.User) decoys {
	h := sha256.New()
	for _, u := range users {
		for _, part := range []string{u.Name, u.Password.Reveal(), u.PasswordHash.Reveal()} {
			h.Write(binary.AppendUvarint(nil, uint64(len(part))))
			h.Write([]byte(part))
		}
	}
	return decoys{key: h.Sum(nil)}
}

func (d *decoys) add(a *wire.Account) { d.accounts = append(d.accounts, a) }

// of returns the account for a name, nil if there are no users.
func (d *decoys) of(name string) *wire.Account {
	if len(d.accounts) == 0 {
		return nil
	}
	h := hmac.New(sha256.New, d.key)
	h.Write([]byte(name))
	return d.accounts[binary.BigEndian.Uint64(h.Sum(nil))%uint64(len(d.accounts))]
}
