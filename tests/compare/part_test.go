package compare

import (
	"strings"
	"testing"
)

func TestShrink(t *testing.T) {
	for seed := range uint64(20) {
		g := NewGrammar(seed)
		for range 50 {
			q := g.Query()
			if !strings.Contains(q.String(), "COALESCE(") {
				continue
			}
			before := len(q.String())
			shrink(q, 1000, func() bool { return strings.Contains(q.String(), "COALESCE(") })
			after := q.String()
			if !strings.Contains(after, "COALESCE(") || len(after) > before || len(after) > 500 {
				t.Errorf("seed %d: %d bytes became %d: %s", seed, before, len(after), after)
			}
		}
	}
}

func TestSameSeedSameStatements(t *testing.T) {
	a, b := NewGrammar(3), NewGrammar(3)
	for range 200 {
		if x, y := a.Query().String()+a.Step().String(), b.Query().String()+b.Step().String(); x != y {
			t.Fatalf("%s\n%s", x, y)
		}
	}
}
