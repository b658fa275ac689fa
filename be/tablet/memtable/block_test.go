package memtable

import (
	"testing"

	"stele/meta/types"
	"stele/sql/rowset"
	"stele/sql/vec"
)

// TestBlocksAreMostOfAWrite: a block keeps the memory of all rows of its write, and the memtable counts its own, so that a few puts
// beside many deletes are copied.
func TestBlocksAreMostOfAWrite(t *testing.T) {
	schema := types.Schema{Columns: []types.Column{{ID: 1, Type: types.ColumnType{Kind: types.KindBigInt}}}}
	for puts, want := range map[int]int{4: 0, 40: 0, 60: 1, 100: 1} {
		column, ops := rowset.NewVector(schema.Columns[0].Type, 100), make([]types.RowOp, 100)
		for i := range ops {
			column.I64, column.N = append(column.I64, int64(i)), i+1
			if i >= puts {
				ops[i] = types.OpDelete
			}
		}
		m := New(&schema)
		m.AppendPuts(ops, &vec.Batch{N: 100, Cols: []*vec.Vector{column}}, 5)
		if len(m.blocks) != want || m.tail+m.cols[0].v.N != puts {
			t.Errorf("%d of 100 rows are put: %d blocks, want %d; %d rows", puts, len(m.blocks), want, m.tail+m.cols[0].v.N)
		}
	}
}
