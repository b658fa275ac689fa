package tablet

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"pgregory.net/rapid"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// alteration is a step of a history that gives the tablet another schema.
type alteration struct {
	schema  types.Schema
	changes []func(row [][]byte) [][]byte // of the images of the columns
}

// drawAlteration adds, drops and widens columns, behind those of the key.
func (h *history) drawAlteration(t *rapid.T) *alteration {
	h.schema.Version++
	h.schema.Columns = slices.Clone(h.schema.Columns)
	a := &alteration{}
	behind := slices.Max(h.keyIdx) + 1
	for range rapid.IntRange(1, 3).Draw(t, "clauses") {
		n := len(h.schema.Columns)
		at := rapid.IntRange(behind, n).Draw(t, "at")
		switch {
		case at < n && rapid.Bool().Draw(t, "drop"):
			id := h.schema.Columns[at].ID
			h.schema.Columns = slices.Delete(h.schema.Columns, at, at+1)
			h.schema.Indexed = slices.DeleteFunc(slices.Clone(h.schema.Indexed), func(x types.ColumnID) bool { return x == id })
			a.changes = append(a.changes, func(row [][]byte) [][]byte { return slices.Delete(row, at, at+1) })
		case at < n && rapid.Bool().Draw(t, "widen"):
			c := &h.schema.Columns[at]
			c.Type.NotNull = false
			if c.Type.Kind >= types.KindTinyInt && c.Type.Kind < types.KindBigInt {
				c.Type.Kind++
			}
		default:
			h.last++
			c, image := drawColumn(t, h.last)
			h.schema.Columns = slices.Insert(h.schema.Columns, at, c)
			a.changes = append(a.changes, func(row [][]byte) [][]byte { return slices.Insert(row, at, image) })
		}
	}
	a.schema = h.schema
	return a
}

// drawColumn returns a column with the image of what older rows have in it.
func drawColumn(t *rapid.T, id types.ColumnID) (types.Column, []byte) {
	c := types.Column{ID: id, Name: fmt.Sprint("c", id), Type: rapid.SampledFrom(anyKinds).Draw(t, "type")}
	v := rowset.NewVector(c.Type, 1)
	x := rapid.Int64Range(0, 39).Draw(t, "initial")
	if x < 8 {
		rowset.AppendNull(v)
		return c, columnImage(v, 0)
	}
	c.Type.NotNull = x%2 == 0
	text := fmt.Sprint("v", x)
	rowset.AppendRow(v, &vec.Vector{Type: c.Type, N: 1, I64: []int64{x}, F64: []float64{float64(x) / 4}, Dec: []vec.Int128{{Lo: uint64(x)}},
		Off: []uint32{0, uint32(len(text))}, Data: []byte(text)}, 0)
	c.Initial = &types.Initial{I: x, Bytes: []byte(text)}
	if c.Type.Phys() == types.PhysFloat64 {
		c.Initial.I = int64(math.Float64bits(float64(x) / 4))
	}
	return c, columnImage(v, 0)
}

// of returns rows as they are by the new schema.
func (a *alteration) of(rows map[string]string) map[string]string {
	if rows == nil {
		return nil
	}
	out := make(map[string]string, len(rows))
	for key, image := range rows {
		var row [][]byte
		for rest := []byte(image); len(rest) > 0; {
			size, n := binary.Uvarint(rest)
			end := n + int(size)
			row, rest = append(row, rest[:end]), rest[end:]
		}
		for _, change := range a.changes {
			row = change(row)
		}
		out[key] = string(slices.Concat(row...))
	}
	return out
}

func columnIDs(s *types.Schema) []types.ColumnID {
	out := make([]types.ColumnID, len(s.Columns))
	for i := range out {
		out[i] = s.Columns[i].ID
	}
	return out
}
