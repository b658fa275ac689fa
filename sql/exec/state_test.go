package exec

import (
	"testing"

	"stele/meta/types"
	"stele/sql/expr"
	"stele/sql/physical"
	"stele/sql/vec"
)

// FuzzMergeState merges states as a damaged or foreign BE may send them: refused or not, never a panic.
func FuzzMergeState(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 1, 'a', 0, 1, 'b'})
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, state []byte) {
		for _, ct := range []types.ColumnType{tInt, tDouble, tWide, tStr} {
			specs := []aggSpec{{f: expr.AggFunc{Name: "count", Distinct: true, Arg: expr.Col(0, ct)}, arg: ct}}
			if ct == tStr {
				specs = append(specs, aggSpec{f: expr.AggFunc{Name: "group_concat", Sep: ","}, arg: ct},
					aggSpec{f: expr.AggFunc{Name: "group_concat", Distinct: true}, arg: ct})
			}
			for _, s := range specs {
				mergeOne(t, s, state)
			}
		}
	})
}

func mergeOne(t *testing.T, s aggSpec, state []byte) {
	acc, err := newAccumulator(s)
	if err != nil {
		t.Fatal(err)
	}
	acc.grow(1)
	blob := vec.NewConst(types.ColumnType{Kind: types.KindBlob}, vec.Str(state), 1)
	if acc.merge([]int32{0}, []int32{0}, []*vec.Vector{blob}) != nil {
		return
	}
	out := vec.NewColumnBuilder(types.ColumnType{Kind: types.KindBigInt}, 1)
	if s.f.Name == "group_concat" {
		out = vec.NewColumnBuilder(tStr, 1)
	}
	if err := acc.emit(out, 0, 1); err != nil {
		t.Fatalf("emit a state that was accepted: %v", err)
	}
}

// TestRowsWithoutColumns counts a cross join of inputs of which no column is needed, in memory and through files.
func TestRowsWithoutColumns(t *testing.T) {
	for _, tiny := range []bool{false, true} {
		env := testEnv(t, tiny)
		env.Mem.floor = 32 << 10
		bare := func(n int) *physical.Node {
			in := &memStream{}
			for range n {
				in.batches = append(in.batches, &vec.Batch{N: 10}, &vec.Batch{N: 10, Sel: []int32{3, 4}})
			}
			return source(nil, in, env)
		}
		join := &physical.Node{Join: &physical.Join{}, Children: []*physical.Node{bare(5), bare(100)}}
		sorted := &physical.Node{Sort: &physical.Sort{Keys: []expr.SortKey{{Expr: expr.ConstInt(1)}}}, Children: []*physical.Node{join}}
		agg := &physical.Node{Agg: &physical.Agg{Aggs: []expr.AggFunc{aggOver(t, "count", nil, -1, false)}}, Children: []*physical.Node{sorted}}
		rows := collect(t, build(t, agg, env))
		if rows[0][0].I != 5*12*100*12 {
			t.Fatalf("tiny %t: counted %d rows", tiny, rows[0][0].I)
		}
		if tiny && env.Mem.Spilled() == 0 {
			t.Fatalf("nothing was spilled")
		}
		wantFree(t, env.Mem)
	}
}
