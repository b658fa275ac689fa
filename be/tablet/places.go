package tablet

import (
	"slices"

	"stele/be/tablet/rowhash"
	"stele/meta/types"
	"stele/sql/vec"
)

// Places are a column behind those of the rows, so that they go wherever the rows go: the number of a rowset of the snapshot and the position in
// it, or noPlace.
const (
	noPlace    = int64(-1)
	placeShift = 32
)

var placeType = types.ColumnType{Kind: types.KindBigInt, NotNull: true}

func withPlaces(b *vec.Batch, places []int64) *vec.Batch {
	return &vec.Batch{Cols: append(slices.Clip(b.Cols), &vec.Vector{Type: placeType, N: b.N, I64: places}), N: b.N, Sel: b.Sel}
}

// nowhere is for rows that lie in memtables, or that nobody has kept the places of.
func nowhere(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = noPlace
	}
	return out
}

// placesOf are those of some rows of a row group that begins at start.
func (s *Snapshot) placesOf(r *rowsetState, start uint32, rows []int) []int64 {
	at := s.numberOf(r)
	out := make([]int64, len(rows))
	for i, row := range rows {
		out[i] = at<<placeShift | int64(start+uint32(row))
	}
	return out
}

func (s *Snapshot) numberOf(r *rowsetState) int64 {
	return int64(slices.IndexFunc(s.rowsets, func(w rowsetView) bool { return w.r == r }))
}

// GetPlaces is Get with places.
func (s *Snapshot) GetPlaces(keys [][]byte, cols []types.ColumnID) (*vec.Batch, []bool, error) {
	b, found, refs, err := s.get(keys, cols)
	if err != nil {
		return nil, nil, err
	}
	places := nowhere(len(keys))
	for i, ref := range refs {
		if ref.rowset != nil {
			places[i] = s.numberOf(ref.rowset)<<placeShift | int64(ref.pos)
		}
	}
	return withPlaces(b, places), found, nil
}

// Placed takes the places from rows, whose other columns are cols, and says what publishing may know of them once they are locked.
func (s *Snapshot) Placed(b *vec.Batch, cols []types.ColumnID) (rows *vec.Batch, old []Found) {
	rows = &vec.Batch{Cols: b.Cols[:len(cols)], N: b.N}
	old = make([]Found, b.N)
	var hashes []uint64
	if len(cols) == len(s.schema.Columns) && slices.IsSorted(cols) {
		hashes = rowhash.Each(rows, cols)
	}
	for i, place := range b.Cols[len(cols)].I64 {
		if place == noPlace {
			continue
		}
		old[i].rowRef = rowRef{rowset: s.rowsets[place>>placeShift].r, pos: uint32(place)}
		if hashes != nil {
			old[i].hashed, old[i].hash, old[i].schema = true, hashes[i], s.schema.Version
		}
	}
	return rows, old
}
