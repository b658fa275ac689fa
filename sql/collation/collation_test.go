package collation

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"stele/meta/types"
)

// others are the collations that do not compare bytes.
func others() []types.Collation { return types.Collations()[1:] }

func compare(c types.Collation, a, b string) int {
	return bytes.Compare(AppendKey(nil, c, []byte(a)), AppendKey(nil, c, []byte(b)))
}

// TestCompare has pairs as MariaDB compares them: for each collation in the order of the constants -, = or + as the first text sorts.
func TestCompare(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"a", "A", "======="},
		{"a", "á", "====-=="},
		{"a", "b", "-------"},
		{"a", "a  ", "===--=="},
		{"a", "a\t", "+++--++"},
		{"a b", "a  b", "+++++++"},
		{"", " ", "===--=="},
		{"ß", "s", "=++++++"},
		{"ß", "ss", "-===+=+"},
		{"ä", "a", "====+=+"},
		{"é", "e", "====+=="},
		{"😀", "😁", "==-----"},
		{"中", "文", "-------"},
		{"я", "Я", "======+"},
		{"％", "%", "+=====+"},
		{"a\x00", "a", "-=====-"},
	} {
		for i, by := range others() {
			got := compare(by, c.a, c.b)
			if want := int(map[byte]int{'-': -1, '=': 0, '+': 1}[c.want[i]]); got != want {
				t.Errorf("%s: %q and %q: %d, want %d", by, c.a, c.b, got, want)
			}
		}
	}
}

// words draws texts that meet often: of few characters with relatives, and spaces.
func words() *rapid.Generator[string] {
	return rapid.StringOfN(rapid.SampledFrom([]rune("aAáÁbBßsS éÉя\t%_😀中")), 0, 6, -1)
}

// TestKeysOfPadding: spaces at the end count only where they do, and what compares as if they went on for ever sorts so.
func TestKeysOfPadding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(others()).Draw(t, "collation")
		a, b := words().Draw(t, "a"), words().Draw(t, "b")
		got := compare(c, a, b)
		if back := compare(c, b, a); back != -got {
			t.Fatalf("%s: %q and %q: %d, the other way %d", c, a, b, got, back)
		}
		if c.NoPad() {
			return
		}
		if compare(c, a, a+"  ") != 0 {
			t.Fatalf("%s: %q is not itself with spaces", c, a)
		}
		// Both texts as long as the longer one, with spaces: then only the weights decide.
		long := func(s string) []uint16 {
			var out []uint16
			for _, r := range s {
				first, _ := tableOf(c).weights(r, nil)
				out = append(out, first...)
			}
			for len(out) < 16 {
				out = append(out, tableOf(c).space)
			}
			return out
		}
		x, y, want := long(a), long(b), 0
		for i := range 16 {
			if want == 0 && x[i] != y[i] {
				if want = 1; x[i] < y[i] {
					want = -1
				}
			}
		}
		if got != want {
			t.Fatalf("%s: %q and %q: %d, padded %d", c, a, b, got, want)
		}
	})
}

// likeSlowly is LIKE by its definition.
func likeSlowly(m *Matcher, s []rune, p Pattern) bool {
	if len(p) == 0 {
		return len(s) == 0
	}
	if p[0].kind == '%' {
		for i := range len(s) + 1 {
			if likeSlowly(m, s[i:], p[1:]) {
				return true
			}
		}
		return false
	}
	return len(s) > 0 && (p[0].kind == '_' || m.same(p[0].c, s[0])) && likeSlowly(m, s[1:], p[1:])
}

func TestLike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMatcher(rapid.SampledFrom(others()).Draw(t, "collation"))
		s, p := words().Draw(t, "s"), CompileLike([]byte(rapid.StringOfN(rapid.SampledFrom([]rune("aAáb%%__\\s😀")), 0, 6, -1).Draw(t, "pattern")), '\\')
		if got, want := m.Like([]byte(s), p), likeSlowly(m, []rune(s), p); got != want {
			t.Fatalf("%q like %v: %v", s, p, got)
		}
	})
}

// TestLocate finds what is equal, and only as many bytes as are looked for.
func TestLocate(t *testing.T) {
	for _, c := range []struct {
		part, s string
		pos     int64
		want    int64
	}{{"B", "abcb", 1, 2}, {"B", "abcb", 3, 4}, {"é", "aÉ", 1, 2}, {"e", "é", 1, 0}, {"", "ab", 2, 2}, {"x", "ab", 1, 0}, {"a", "", 1, 0}, {"", "", 1, 1}, {"b ", "ab", 1, 0}} {
		if got := Locate(types.CollationGeneralCI, []byte(c.part), []byte(c.s), c.pos); got != c.want {
			t.Errorf("locate %q in %q from %d: %d, want %d", c.part, c.s, c.pos, got, c.want)
		}
	}
	if n := InSet(types.CollationUnicodeCI, []byte("SS"), []byte("a,b,ß")); n != 3 {
		t.Errorf("ß is member %d", n)
	}
}

// TestBytesThatAreNoText have keys, too, and different ones.
func TestBytesThatAreNoText(t *testing.T) {
	for _, c := range others() {
		if compare(c, "a\xff", "a\xfe") == 0 || compare(c, "\xc3", "Ã") == 0 || compare(c, "a", "a\xff") >= 0 {
			t.Errorf("%s takes bytes for text", c)
		}
	}
}

func BenchmarkAppendKey(b *testing.B) {
	var key []byte
	for b.Loop() {
		key = AppendKey(key[:0], types.CollationGeneralCI, []byte("somebody.with.a.name@example.org"))
	}
}
