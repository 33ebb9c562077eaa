package wire

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// Names of the authentication plugins spoken here.
const (
	nativePassword = "mysql_native_password"
	cachingSHA2    = "caching_sha2_password"
)

// Bytes of the caching_sha2_password conversation, after headerMore on the server's side.
//
// Source: MySQL page_caching_sha2_authentication_exchanges.
const (
	sha2RequestKey = 0x02 // client: send me the RSA public key
	sha2FastOK     = 0x03 // server: the scramble was right, OK follows
	sha2FullAuth   = 0x04 // server: send the password itself
)

// maxPassword is the longest password that is hashed, in bytes, as in the servers; the cost of hashing grows with it.
const maxPassword = 256

// newSalt returns a scramble: 20 random bytes of 1 to 127, because some clients read it as a C string of ASCII.
func newSalt() []byte {
	salt := make([]byte, saltLength)
	rand.Read(salt) // never fails (crypto/rand)
	for i := range salt {
		salt[i] = salt[i]%127 + 1
	}
	return salt
}

// nativeHash is what a server stores for mysql_native_password: SHA1(SHA1(password)).
func nativeHash(password string) [sha1.Size]byte {
	first := sha1.Sum([]byte(password))
	return sha1.Sum(first[:])
}

// nativeScramble is the client's proof: SHA1(password) XOR SHA1(salt, SHA1(SHA1(password))). An empty password has an
// empty proof.
//
// Source: MySQL page_protocol_connection_phase_authentication_methods_native_password_authentication.
func nativeScramble(password string, salt []byte) []byte {
	if password == "" {
		return nil
	}
	first := sha1.Sum([]byte(password))
	second := sha1.Sum(first[:])
	mask := sha1.Sum(append(append([]byte(nil), salt...), second[:]...))
	return xor(first[:], mask[:])
}

// sha2Hash is what a server caches for caching_sha2_password: SHA256(SHA256(password)).
func sha2Hash[S ~string | ~[]byte](password S) [sha256.Size]byte {
	first := sha256.Sum256([]byte(password))
	return sha256.Sum256(first[:])
}

// sha2Scramble is the client's proof: SHA256(password) XOR SHA256(SHA256(SHA256(password)), salt). An empty password has
// an empty proof.
//
// Source: MySQL page_caching_sha2_authentication_exchanges.
func sha2Scramble(password string, salt []byte) []byte {
	if password == "" {
		return nil
	}
	first := sha256.Sum256([]byte(password))
	second := sha256.Sum256(first[:])
	mask := sha256.Sum256(append(append([]byte(nil), second[:]...), salt...))
	return xor(first[:], mask[:])
}

// xor returns a XOR b, b repeated as often as needed.
func xor(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range a {
		out[i] = a[i] ^ b[i%len(b)]
	}
	return out
}

// encryptPassword seals a password with the server's public key, as caching_sha2_password does on a connection without
// TLS: RSA-OAEP (SHA-1) of the zero-terminated password XOR the salt.
//
// Source: MySQL page_caching_sha2_authentication_exchanges.
func encryptPassword(password string, salt, publicKey []byte) ([]byte, error) {
	block, _ := pem.Decode(publicKey)
	if block == nil {
		return nil, errors.New("the server's public key is not PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the server's public key: %w", err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the server's public key is a %T, not RSA", parsed)
	}
	sealed, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key, xor(append([]byte(password), 0), salt), nil)
	if err != nil {
		return nil, fmt.Errorf("encrypt the password: %w", err)
	}
	return sealed, nil
}

// decryptPassword opens what encryptPassword sealed.
func decryptPassword(sealed, salt []byte, key *rsa.PrivateKey) ([]byte, error) {
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, key, sealed, nil)
	if err != nil {
		return nil, errors.New("the encrypted password cannot be decrypted")
	}
	for i := range plain {
		plain[i] ^= salt[i%len(salt)]
	}
	return cString(plain)
}

// cString returns the part of p before the zero byte that must end it.
func cString(p []byte) ([]byte, error) {
	if len(p) == 0 || p[len(p)-1] != 0 {
		return nil, malformed("password packet")
	}
	return p[:len(p)-1], nil
}

// switchRequest is the server's request to authenticate again, with another plugin and a new salt.
//
// Source: MySQL page_protocol_connection_phase_packets_protocol_auth_switch_request.
func switchRequest(dst []byte, plugin string, salt []byte) []byte {
	dst = append(dst, headerEOF)
	dst = append(append(dst, plugin...), 0)
	return append(append(dst, salt...), 0)
}

// parseSwitchRequest reads what switchRequest writes. The salt may come without its terminating zero.
func parseSwitchRequest(p []byte) (plugin string, salt []byte, err error) {
	c := cursor{rest: p}
	c.bytes(1)
	plugin = string(c.nulBytes())
	if c.bad {
		return "", nil, malformed("authentication switch request")
	}
	salt = c.rest
	if n := len(salt); n > 0 && salt[n-1] == 0 {
		salt = salt[:n-1]
	}
	return plugin, append([]byte(nil), salt...), nil
}
