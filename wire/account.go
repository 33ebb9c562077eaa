package wire

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
)

// Account is what a server knows about one user's password: hashes only. It is safe for concurrent use.
type Account struct {
	empty      bool
	native     *[sha1.Size]byte // SHA1(SHA1(password)); nil when only a caching_sha2_password hash is known
	nativeOnly bool             // only native is known
	stored     *sha256Crypt     // the stored hash of caching_sha2_password; nil when it is not needed or not known

	mu   sync.Mutex
	sha2 *[sha256.Size]byte // protected by mu: SHA256(SHA256(password)); nil until a full authentication has succeeded
}

// Accounts finds the account of a user. It must be safe for concurrent use.
//
// With false the login fails, but only after all its steps: the server then goes through them with the account that came
// along, or with one of its own when that is nil. Implementations whose accounts are made from stored hashes should
// return one of those, always the same for the same name, so that the steps of a login do not tell which users exist.
type Accounts interface {
	Account(user string) (*Account, bool)
}

// NewAccount makes the account of a plain password, which may be empty. It can be verified with either plugin, without
// the password ever being sent.
func NewAccount(password string) *Account {
	native, sha2 := nativeHash(password), sha2Hash(password)
	return &Account{empty: password == "", native: &native, sha2: &sha2}
}

// NewAccountHash makes an account from what a server stores in mysql.user:
//
//   - "*" and 40 hex digits: mysql_native_password; only that plugin can verify it.
//   - "$A$005$", 20 bytes of salt and 43 characters: caching_sha2_password; only that plugin can verify it, and the
//     client has to send its password once (in TLS, or sealed with the server's RSA key). Afterwards the hash that the
//     fast path needs is kept in the account.
//   - "0x" and the hex digits of either, since the salt of the second form can be any bytes.
//
// The error does not hold the hash.
func NewAccountHash(h string) (*Account, error) {
	if digits, ok := strings.CutPrefix(h, "0x"); ok {
		raw, err := hex.DecodeString(digits)
		if err != nil {
			return nil, errors.New("password hash: bad hex digits after 0x")
		}
		h = string(raw)
	}
	if digits, ok := strings.CutPrefix(h, "*"); ok {
		var native [sha1.Size]byte
		if n, err := hex.Decode(native[:], []byte(digits[:min(len(digits), 2*len(native))])); err != nil || n != len(native) ||
			len(digits) != 2*len(native) {
			return nil, errors.New("password hash: a mysql_native_password hash is * and 40 hex digits")
		}
		return &Account{native: &native, nativeOnly: true}, nil
	}
	stored, err := parseSHA256Crypt(h)
	if err != nil {
		return nil, err
	}
	return &Account{stored: stored}, nil
}

// plugin returns the authentication plugin to use with a client that prefers the named one.
func (a *Account) plugin(preferred string) string {
	switch {
	case a.native == nil:
		return cachingSHA2
	case a.nativeOnly || preferred == nativePassword:
		return nativePassword
	}
	return cachingSHA2
}

// verifyNative checks a client's proof for mysql_native_password.
//
// Source: MySQL page_protocol_connection_phase_authentication_methods_native_password_authentication.
func (a *Account) verifyNative(proof, salt []byte) bool {
	if a.empty {
		return len(proof) == 0
	}
	if a.native == nil || len(proof) != sha1.Size {
		return false
	}
	mask := sha1.Sum(append(append([]byte(nil), salt...), a.native[:]...))
	hash := sha1.Sum(xor(proof, mask[:]))
	return subtle.ConstantTimeCompare(hash[:], a.native[:]) == 1
}

// verifySHA2 checks a client's proof for caching_sha2_password on the fast path. It reports false in known when only the
// password itself can tell.
//
// Source: MySQL page_caching_sha2_authentication_exchanges.
func (a *Account) verifySHA2(proof, salt []byte) (right, known bool) {
	a.mu.Lock()
	sha2 := a.sha2
	a.mu.Unlock()
	if sha2 == nil {
		return false, false
	}
	if len(proof) != sha256.Size {
		return false, true
	}
	mask := sha256.Sum256(append(append([]byte(nil), sha2[:]...), salt...))
	hash := sha256.Sum256(xor(proof, mask[:]))
	return subtle.ConstantTimeCompare(hash[:], sha2[:]) == 1, true
}

// verifyPassword checks the password itself against the stored hash of caching_sha2_password, and keeps what the fast path
// needs when it is right. Of an account that stands in for one that is not known nothing is right, and nothing is kept.
func (a *Account) verifyPassword(password []byte, known bool) bool {
	if a.stored == nil || len(password) > maxPassword || !a.stored.matches(password) || !known {
		return false
	}
	sha2 := sha2Hash(password)
	a.mu.Lock()
	a.sha2 = &sha2
	a.mu.Unlock()
	return true
}
