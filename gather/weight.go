package gather

import (
	"maps"
	"slices"
)

// collation is how WEIGHT_STRING() of a collation is compared.
type collation struct {
	// space is the weight of a space, as long as those of all other characters, for collations that compare strings as if spaces followed
	// them without end. nil: as bytes.
	space []byte
}

// collations are those whose order the weights are known to have; TestCollations compares them with the servers.
var collations = func() map[string]collation {
	all := map[string]collation{}
	for space, names := range map[string][]string{
		"": {
			"binary", "utf8mb4_0900_ai_ci", "utf8mb4_0900_as_ci", "utf8mb4_0900_as_cs", "utf8mb4_0900_bin", "utf8mb4_nopad_bin", "utf8mb4_general_nopad_ci",
			"utf8mb4_unicode_nopad_ci", "utf8mb4_unicode_520_nopad_ci", "utf8mb3_nopad_bin", "utf8mb3_general_nopad_ci",
		},
		"\x20":         {"latin1_bin", "latin1_swedish_ci", "latin1_general_ci", "latin1_general_cs", "ascii_bin", "ascii_general_ci"},
		"\x00\x20":     {"utf8mb4_general_ci", "utf8mb3_general_ci", "utf8_general_ci", "utf8mb3_bin", "utf8_bin"},
		"\x02\x09":     {"utf8mb4_unicode_ci", "utf8mb3_unicode_ci", "utf8_unicode_ci"},
		"\x02\x0a":     {"utf8mb4_unicode_520_ci", "utf8mb3_unicode_520_ci", "utf8_unicode_520_ci"},
		"\x00\x00\x20": {"utf8mb4_bin"},
	} {
		for _, name := range names {
			all[name] = collation{[]byte(space)}
		}
	}
	return all
}()

// AppendWeight appends the key of a string whose WEIGHT_STRING() this is; ok is false if the collation's order is not known.
func AppendWeight(dst []byte, name, weight []byte) (_ []byte, ok bool) {
	c, ok := collations[string(name)]
	switch {
	case !ok || len(c.space) > 0 && len(weight)%len(c.space) != 0:
		return dst, false
	case len(c.space) == 0:
		return appendBytes(dst, weight), true
	}
	return appendPadded(dst, weight, c.space), true
}

// What follows in a padded string, compared with spaces.
const (
	lessThanSpaces = 1
	onlySpaces     = 2
	moreThanSpaces = 3
)

// appendPadded appends, before each weight and behind the last one, how what follows compares with spaces without end; if it
// is nothing else, that is the end.
func appendPadded(dst, weight, space []byte) []byte {
	n := len(space)
	rest := 0 // the next weight that is not that of a space
	for at := 0; ; at += n {
		for rest = max(rest, at); rest < len(weight) && string(weight[rest:rest+n]) == string(space); {
			rest += n
		}
		switch {
		case rest == len(weight):
			return append(dst, onlySpaces)
		case string(weight[rest:rest+n]) < string(space):
			dst = append(dst, lessThanSpaces)
		default:
			dst = append(dst, moreThanSpaces)
		}
		dst = append(dst, weight[at:at+n]...)
	}
}

// Collations are the names of the collations whose order is known.
func Collations() []string { return slices.Sorted(maps.Keys(collations)) }
