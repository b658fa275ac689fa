package types

import "strings"

// Collation is how text compares and sorts. The numbers are stored in the catalog: append, never renumber.
type Collation uint8

// Collations.
const (
	CollationBinary Collation = iota // by bytes: utf8mb4_bin
	CollationGeneralCI
	CollationUnicodeCI
	CollationUnicode520CI
	Collation0900AI
	Collation0900AS
	CollationUCA1400AI
	CollationSwedishCI
	collationEnd
)

// collationInfo is what users see of a collation. The ids are MySQL's and MariaDB's.
type collationInfo struct {
	name, charset string
	id            int
	noPad         bool
}

var collationInfos = [collationEnd]collationInfo{
	{"utf8mb4_bin", "utf8mb4", 46, true},
	{"utf8mb4_general_ci", "utf8mb4", 45, false},
	{"utf8mb4_unicode_ci", "utf8mb4", 224, false},
	{"utf8mb4_unicode_520_ci", "utf8mb4", 246, false},
	{"utf8mb4_0900_ai_ci", "utf8mb4", 255, true},
	{"utf8mb4_0900_as_ci", "utf8mb4", 305, true},
	{"utf8mb4_uca1400_ai_ci", "utf8mb4", 2304, false},
	{"latin1_swedish_ci", "latin1", 8, false},
}

// String is the name of the collation.
func (c Collation) String() string { return collationInfos[c.known()].name }

// Charset is the character set that the name of the collation is of; the text itself is UTF-8 in any case.
func (c Collation) Charset() string { return collationInfos[c.known()].charset }

// ID is the number by which clients know the collation.
func (c Collation) ID() int { return collationInfos[c.known()].id }

// NoPad reports whether spaces at the end of text count.
func (c Collation) NoPad() bool { return collationInfos[c.known()].noPad }

// known maps what is no collation to comparing by bytes.
func (c Collation) known() Collation {
	if c >= collationEnd {
		return CollationBinary
	}
	return c
}

// Collations lists all.
func Collations() []Collation {
	out := make([]Collation, collationEnd)
	for i := range out {
		out[i] = Collation(i)
	}
	return out
}

// ParseCollation reads the name of a collation. Those of utf8mb3 are the ones of utf8mb4 that compare alike.
func ParseCollation(name string) (Collation, bool) {
	name = strings.ToLower(name)
	for _, old := range []string{"utf8mb3_", "utf8_"} {
		if rest, ok := strings.CutPrefix(name, old); ok {
			name = "utf8mb4_" + rest
		}
	}
	for c := range collationInfos {
		if collationInfos[c].name == name {
			return Collation(c), true
		}
	}
	return CollationBinary, false
}

// BinaryCollation reports whether a name, which need not be known, is that of a collation by bytes.
func BinaryCollation(name string) bool {
	name = strings.ToLower(name)
	return name == "" || name == "binary" || strings.HasSuffix(name, "_bin")
}
