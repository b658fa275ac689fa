package write

import (
	"testing"

	"stele/proto/bepb"
)

// TestLeastLarge: few rows are large only in a write that is flushed in any case.
func TestLeastLarge(t *testing.T) {
	part := func(bytes int, carried uint32) *bepb.WriteRequest_Part {
		return &bepb.WriteRequest_Part{Rows: make([]byte, bytes), RedoBytes: carried}
	}
	for name, c := range map[string]struct {
		parts []*bepb.WriteRequest_Part
		want  int
	}{
		"one that the commit carries":       {[]*bepb.WriteRequest_Part{part(20<<10, 16<<10)}, largeRows},
		"one that it does not":              {[]*bepb.WriteRequest_Part{part(40<<10, 16<<10)}, manyRows},
		"several that are too much of it":   {[]*bepb.WriteRequest_Part{part(20<<10, 16<<10), part(20<<10, 16<<10)}, manyRows},
		"several that it carries":           {[]*bepb.WriteRequest_Part{part(10<<10, 16<<10), part(10<<10, 16<<10)}, largeRows},
		"nothing is carried":                {[]*bepb.WriteRequest_Part{part(100, 0)}, manyRows},
		"a part of a tablet that is stored": {[]*bepb.WriteRequest_Part{part(10<<10, 0), part(10<<10, 16<<10)}, largeRows},
	} {
		if got := leastLarge(c.parts); got != c.want {
			t.Errorf("%s: %d rows, want %d", name, got, c.want)
		}
	}
}
