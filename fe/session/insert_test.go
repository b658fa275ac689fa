package session

import (
	"testing"

	"stele/meta/catalog"
	"stele/meta/types"
	"stele/sql/plan"
	"stele/sql/vec"
)

// TestRowsOfLoadsDoNotLast: a leader in this process keeps rows as they are only if their memory is used for nothing else; a load, whose
// inserter nobody tells that, uses it again.
func TestRowsOfLoadsDoNotLast(t *testing.T) {
	kind := types.ColumnType{Kind: types.KindBigInt}
	table := &catalog.Table{Schema: types.Schema{Columns: []types.Column{{ID: 1, Name: "id", Type: kind}}, Key: []types.ColumnID{1}},
		HashBy: []types.ColumnID{1}, Parts: []catalog.Partition{{ID: 2, Tablets: []types.TabletID{3}}}}
	rows := &vec.Batch{N: 1, Cols: []*vec.Vector{{Type: kind, N: 1, I64: []int64{7}}}}
	load := newInserter(nil, nil, nil, &plan.InsertPlan{Table: table}, nil, nil, false)
	literals := newInserter(nil, nil, nil, &plan.InsertPlan{Table: table}, nil, nil, false)
	literals.lasting = true
	for name, c := range map[string]struct {
		ins  *inserter
		want bool
	}{"load": {load, false}, "literals": {literals, true}} {
		writes, err := c.ins.routed(rows, types.OpInsert)
		if err != nil || len(writes) != 1 || writes[0].Tablet != 3 || writes[0].Ops[0] != byte(types.OpInsert) || writes[0].Lasting != c.want {
			t.Errorf("%s: %+v, %v", name, writes, err)
		}
	}
}
