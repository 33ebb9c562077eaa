package wire

import (
	"fmt"
	"strings"
	"testing"
)

// Hashes that a MySQL 9.7 server stored, as HEX(authentication_string) of mysql.user.
const (
	storedShort = "0x2441243030412459525140237B76332B60795A3C072F552A6D1F3A493746436A4445377744767261324B2E50496734474B39644" +
		"5356C6E54775950426E705A3658655675562E"
	storedLong = "0x244124303041243E6372014F03426B37483B1D034933170804692C51636D34613269653967364B5A4F39557568584363757" +
		"66C3045342E552E324A326131444B6D3636777234"
	longPassword = "0123456789abcdef0123456789abcdef0123456789"
)

// TestCrypt256 compares with hashes of MySQL and of crypt(3).
func TestCrypt256(t *testing.T) {
	for _, c := range []struct{ password, stored string }{{testPassword, storedShort}, {longPassword, storedLong}} {
		a := mustHash(t, c.stored)
		if !a.verifyPassword([]byte(c.password), true) {
			t.Errorf("%q does not match what MySQL stored", c.password)
		}
		if a := mustHash(t, c.stored); a.verifyPassword([]byte(c.password+"x"), true) {
			t.Errorf("%q matches what MySQL stored for %q", c.password+"x", c.password)
		}
	}
	for _, c := range []struct {
		password, salt string
		rounds         int
		digest         string
	}{
		{"Hello world!", "saltstring", 5000, "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"},
		{
			"a very much longer text to encrypt.  This one even stretches over morethan one line.",
			"saltstringsaltst", 10000, "vtDfoBYAWGilWl5IHXVp/LaeP.43tehWv5zLhKQm8t5",
		},
	} {
		if got := crypt256(c.password, c.salt, c.rounds); got != c.digest {
			t.Errorf("%q: %s, want %s", c.password, got, c.digest)
		}
	}
}

// TestNewAccountHash reads both forms, refuses others, and keeps hashes out of the errors.
func TestNewAccountHash(t *testing.T) {
	native := fmt.Sprintf("*%X", nativeHash(testPassword))
	for _, h := range []string{native, strings.ToLower(native), "0x" + fmt.Sprintf("%x", native), testCrypt, storedShort} {
		mustHash(t, h)
	}
	digits := native[1:]
	for _, h := range []string{
		"", "*", digits, native + "0", native[:40], "*" + strings.Repeat("g", 40), "0xzz" + digits, "0x0", testCrypt[1:], testCrypt + ".",
		strings.Replace(testCrypt, "$A$005$", "$A$004$", 1), strings.Replace(testCrypt, "$A$005$", "$A$00x$", 1),
		strings.Replace(testCrypt, "$A$005$", "$B$005$", 1), testCrypt[:len(testCrypt)-1] + "!",
	} {
		a, err := NewAccountHash(h)
		if err == nil {
			t.Errorf("%q: %+v", h, a)
		} else if len(h) > 8 && strings.Contains(err.Error(), h[len(h)-8:]) {
			t.Errorf("the error holds the hash: %v", err)
		}
	}
}
