package dialect

import (
	"fmt"
	"strings"
)

// collated writes the value with its collation, if PostgreSQL would take another one.
func (t *translator) collated(v value) (string, error) {
	if v.plain {
		return v.s, nil
	}
	c, err := t.collation(v.t.Collation)
	if err != nil {
		return "", err
	}
	return "(" + v.s + " COLLATE " + c + ")", nil
}

// collations are PostgreSQL's of MySQL's. Those of the schema xaproxy are made by Setup.
var collations = map[string]string{
	"utf8mb4_0900_ai_ci": "xaproxy.utf8mb4_0900_ai_ci",
	"utf8mb4_0900_as_ci": "xaproxy.utf8mb4_0900_as_ci",
	"utf8mb4_0900_as_cs": "xaproxy.utf8mb4_0900_as_cs",
	"utf8mb4_0900_bin":   `"C"`,
	"utf8mb4_nopad_bin":  `"C"`, // MariaDB's
	"utf8mb4_bin":        `"C"`, // that of JSON's strings; columns of it are refused, because it ignores trailing spaces
}

func (t *translator) collation(name string) (string, error) {
	if name == "" {
		name = defaultCollation
	}
	c, ok := collations[strings.ToLower(name)]
	if name == "citext" {
		return "", refuse(-1, "a column of type citext is only translated where it is compared as it is", "give the column a collation of the schema xaproxy")
	}
	if !ok {
		return "", &Error{
			Errno: 1235, State: "42000", At: t.src.find(name), What: "the collation " + name + " has no equal in PostgreSQL",
			Do: "use utf8mb4_0900_ai_ci, utf8mb4_0900_as_ci, utf8mb4_0900_as_cs or utf8mb4_0900_bin",
		}
	}
	return c, nil
}

// joined is the type, collation and rank of strings that meet.
func (t *translator) joined(vs ...value) (value, error) {
	best := value{t: varchar, rank: ignorable + 1}
	for _, v := range vs {
		if !v.t.Kind.text() {
			continue
		}
		switch same := strings.EqualFold(v.t.Collation, best.t.Collation); {
		case v.rank < best.rank:
			best = v
		case v.rank > best.rank:
		case same:
			best.plain = best.plain || v.plain
		case strings.HasSuffix(v.t.Collation, "_bin"):
			best = v
		case strings.HasSuffix(best.t.Collation, "_bin"):
			best.plain = false
		default:
			return best, &Error{Errno: 1267, State: "HY000", At: t.at(v), What: fmt.Sprintf("Illegal mix of collations (%s,IMPLICIT) and (%s,IMPLICIT)", best.t.Collation, v.t.Collation)}
		}
	}
	for _, v := range vs { // another column's collation would be in PostgreSQL's way
		if v.t.Kind.text() && v.rank <= implicit && !strings.EqualFold(v.t.Collation, best.t.Collation) {
			best.plain = false
		}
	}
	return value{t: Type{Kind: Varchar, Collation: best.t.Collation}, rank: min(best.rank, ignorable), plain: best.plain}, nil
}

// collationOf is COLLATION.
func collationOf(t *translator, c *call) (value, error) {
	if len(c.args) != 1 {
		return value{}, t.wrongCount(c)
	}
	name := "binary"
	if v := c.args[0]; v.t.Kind.text() {
		if name = v.t.Collation; name == "" {
			name = defaultCollation
		}
		if _, err := t.collation(name); err != nil {
			return v, err
		}
	}
	return value{s: quoteText(strings.ToLower(name)) + "::text", t: Type{Kind: Varchar, Length: len(name), Collation: defaultCollation}, rank: coercible, notNull: true}, nil
}

// weightString is WEIGHT_STRING. Of the collations that PostgreSQL has from ICU no weights can be had: the column's type says so.
func weightString(t *translator, c *call) (value, error) {
	if len(c.args) != 1 {
		return value{}, t.wrongCount(c)
	}
	v := c.args[0]
	r := with(value{t: Type{Kind: Varbinary}}, v)
	switch {
	case v.t.Kind.bytes():
		r.s = v.s
	case !v.t.Kind.text() || v.t.Kind == Enum || v.t.Kind == Set:
		r.s, r.t = "NULL", Type{Kind: Null}
	case strings.EqualFold(v.t.Collation, "utf8mb4_0900_bin"):
		r.s = "convert_to(" + v.s + ", 'UTF8')"
	default:
		if _, err := t.collation(v.t.Collation); err != nil {
			return v, err
		}
		r.s, r.t = "NULL", Type{Kind: Null}
	}
	return r, nil
}
