package wire

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strconv"
	"strings"
)

// The stored form of caching_sha2_password: "$A$", three hex digits that count thousands of rounds, "$", the salt and the
// digest.
const (
	cryptPrefix     = "$A$"
	cryptSaltLength = 20
	cryptHashLength = 43
	cryptHeader     = len(cryptPrefix) + 4
	cryptMinRounds  = 5 // thousands
	cryptAlphabet   = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// sha256Crypt is a stored hash of caching_sha2_password: SHA-crypt with SHA-256, with 20 bytes of salt instead of the 16
// of the crypt(3) format.
//
// Source: Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512", and MySQL manual "Caching SHA-2 Pluggable
// Authentication", caching_sha2_password_digest_rounds.
type sha256Crypt struct {
	rounds int
	salt   string
	digest string // 43 characters of cryptAlphabet
}

func parseSHA256Crypt(h string) (*sha256Crypt, error) {
	if len(h) != cryptHeader+cryptSaltLength+cryptHashLength || !strings.HasPrefix(h, cryptPrefix) || h[cryptHeader-1] != '$' {
		return nil, errors.New("password hash: neither * and 40 hex digits nor $A$005$, 20 bytes of salt and 43 characters; " +
			"write a salt that is not text as 0x and the hex digits of the whole hash")
	}
	thousands, err := strconv.ParseUint(h[len(cryptPrefix):cryptHeader-1], 16, 12)
	if err != nil || thousands < cryptMinRounds {
		return nil, errors.New("password hash: the rounds after $A$ are three hex digits, 005 or more")
	}
	digest := h[cryptHeader+cryptSaltLength:]
	if strings.Trim(digest, cryptAlphabet) != "" {
		return nil, errors.New("password hash: the digest after the salt has a character outside of ./0-9A-Za-z")
	}
	return &sha256Crypt{int(thousands) * 1000, h[cryptHeader : cryptHeader+cryptSaltLength], digest}, nil
}

// matches reports whether the hash is that of the password.
func (s *sha256Crypt) matches(password []byte) bool {
	return subtle.ConstantTimeCompare([]byte(crypt256(password, s.salt, s.rounds)), []byte(s.digest)) == 1
}

// crypt256 is the digest of SHA-crypt with SHA-256, in its own base 64. The numbers in the comments are the steps of
// Drepper's description.
func crypt256[S ~string | ~[]byte](password S, salt string, rounds int) string {
	pw, sl := []byte(password), []byte(salt) // bytes are not copied: whoever has them wipes them

	// 4-8: digest B
	b := sha256.New()
	b.Write(pw)
	b.Write(sl)
	b.Write(pw)
	sumB := b.Sum(nil)

	// 1-3, 9-12: digest A
	a := sha256.New()
	a.Write(pw)
	a.Write(sl)
	a.Write(repeat(sumB, len(pw)))
	for n := len(pw); n > 0; n >>= 1 {
		if n&1 == 1 {
			a.Write(sumB)
		} else {
			a.Write(pw)
		}
	}
	sum := a.Sum(nil)

	// 13-16: sequence P
	dp := sha256.New()
	for range pw {
		dp.Write(pw)
	}
	p := repeat(dp.Sum(nil), len(pw))

	// 17-20: sequence S
	ds := sha256.New()
	for range 16 + int(sum[0]) {
		ds.Write(sl)
	}
	s := repeat(ds.Sum(nil), len(sl))

	// 21: the rounds
	c := sha256.New()
	for i := range rounds {
		c.Reset()
		if i&1 == 1 {
			c.Write(p)
		} else {
			c.Write(sum)
		}
		if i%3 != 0 {
			c.Write(s)
		}
		if i%7 != 0 {
			c.Write(p)
		}
		if i&1 == 1 {
			c.Write(sum)
		} else {
			c.Write(p)
		}
		sum = c.Sum(sum[:0])
	}

	// 22: base 64 of the bytes in the order 0 10 20, 21 1 11, 12 22 2, ... and 31 30
	out := make([]byte, 0, cryptHashLength)
	for x, y, z := 0, 10, 20; len(out) < 40; x, y, z = (x+21)%30, (y+21)%30, (z+21)%30 {
		out = encode24(out, sum[x], sum[y], sum[z], 4)
	}
	return string(encode24(out, 0, sum[31], sum[30], 3))
}

// repeat returns n bytes: sum again and again, cut at the end.
func repeat(sum []byte, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = sum[i%len(sum)]
	}
	return out
}

// encode24 appends n characters of cryptAlphabet for three bytes, the lowest six bits first.
func encode24(dst []byte, high, middle, low byte, n int) []byte {
	w := uint(high)<<16 | uint(middle)<<8 | uint(low)
	for range n {
		dst = append(dst, cryptAlphabet[w&0x3f])
		w >>= 6
	}
	return dst
}
