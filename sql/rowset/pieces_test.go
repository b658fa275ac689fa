package rowset

import (
	"testing"

	"pgregory.net/rapid"

	"stele/sql/vec"
)

// TestAppendPieces: a column of a merge is its pieces, row by row, also in a vector that is filled again.
func TestAppendPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ct := rapid.SampledFrom(columnTypes).Draw(t, "type")
		srcs := make([]*vec.Vector, rapid.IntRange(1, 4).Draw(t, "sources"))
		for i := range srcs {
			srcs[i] = drawVector(t, ct, rapid.SampledFrom([]int{1, 30, 300}).Draw(t, "rows"))
		}
		got := NewVector(ct, 0)
		for range 2 {
			Empty(got)
			want := NewVector(ct, 0)
			for range rapid.IntRange(1, 3).Draw(t, "batches") {
				var pieces []Piece
				n := 0
				for range rapid.IntRange(0, 20).Draw(t, "pieces") {
					p := Piece{Src: int32(rapid.IntRange(0, len(srcs)-1).Draw(t, "source"))}
					rows := srcs[p.Src].N
					p.From = int32(rapid.IntRange(0, rows-1).Draw(t, "from"))
					p.To = p.From + int32(rapid.SampledFrom([]int{1, 1, 1, min(9, rows-int(p.From))}).Draw(t, "length"))
					pieces = append(pieces, p)
					n += int(p.To - p.From)
					for row := p.From; row < p.To; row++ {
						AppendRow(want, srcs[p.Src], int(row))
					}
				}
				AppendPieces(got, srcs, pieces, n)
			}
			if err := sameRows(want, got); err != nil {
				t.Fatal(err)
			}
		}
	})
}
